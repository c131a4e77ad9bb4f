import { busbw, expertAllToAll, fairness, loss, plan, scenario } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '200 Gb/s',
  spans: { north: { length: '10 km', rate: '400 Gb/s' }, south: { length: '10 km', rate: '400 Gb/s' } },
});

scenario('popular experts starve no sender', { tag: ['@throughput', '@moe'] }, plan({
  why: 'Mixture-of-experts routing is never even. The port of the most popular rank is everyone’s bottleneck: no sender may wait longer for it than the others.',
  derivation: `Zipf with exponent 1 over 8 ranks: the most popular gets 1/2.718 of each of 7 others' 16 MiB, so its port is the roofline. 50 % of it: own limit, for an
    incast of seven in every round that congestion control has to catch. Fairness: the seven send equal parts to one port, so each should get a seventh, and
    Jain's index is 1. One that gets twice as much as the six others makes it 8^2/(7 x 10) = 91 %: 95 % forbids that.`,
  catches: { defect: 'dcqcn-deaf', by: 'fairness' },

  topology: fabric,
  load: expertAllToAll({ bytes: '16 MiB', skew: 1, seed: 3 }),

  phases: { steady: { for: '6 rounds' } },

  expect: [
    busbw.during('steady').atLeast('50 % of roofline'),
    fairness.during('steady').atLeast('95 %'),
    loss.during('steady').atMost('0 packets'),
  ],
}));
