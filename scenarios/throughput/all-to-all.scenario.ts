import { allToAll, busbw, loss, plan, scenario } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '200 Gb/s',
  spans: { north: { length: '10 km', rate: '400 Gb/s' }, south: { length: '10 km', rate: '400 Gb/s' } },
});

scenario('an all-to-all between two sites uses what the spans offer', { tag: ['@throughput', '@moe'] }, plan({
  why: 'Mixture-of-experts training sends everything to everyone; half of it crosses the sites, in bursts that a window or a buffer can spoil.',
  derivation: `Roofline: nccl-tests' busbw with factor (n-1)/n, bounded by the NIC and by the spans, plus one round trip. Many flows
    share few links, so ECMP collisions are part of the product: 60 % of roofline, own limit.`,
  catches: { defect: 'slow-uplink', by: 'busbw' },

  topology: fabric,
  load: allToAll({ bytes: '32 MiB' }),

  phases: { steady: { for: '5 rounds' } },

  expect: [
    busbw.during('steady').atLeast('60 % of roofline'),
    loss.during('steady').atMost('0 packets'),
  ],
}));
