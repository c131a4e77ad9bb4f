import { busbw, fairness, loss, permutation, plan, scenario } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 2,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '1000 km', rate: '100 Gb/s' } },
  settings: { transport: { control: 'distance-aware' } },
});

scenario('two flows share a span of 1000 km and keep it full', { tag: ['@congestion', '@distance'] }, plan({
  why: 'Congestion control made for microseconds of round trip cuts deep and recovers slowly over ten milliseconds. A law that knows the distance must not.',
  derivation: `Each direction of the span has two flows of 49.02 Gb/s at best. RTT 9.8 ms; a round of 256 MiB takes 43.8 + 4.9 ms. DCQCN cuts a flow by up to half on
    marks that are 9.8 ms old and wins back 20 Mb/s per 300 us (HPCC artefact), 0.65 Gb/s per round trip: half of the span or thereabouts stays
    empty. The distance-aware law begins at an eighth of the line and grows by a quarter per round trip until marked, so 50 Gb/s take
    ln 4 / ln 1.25 = 6.2 round trips = 61 ms: two rounds to warm up. Then windows rest where RED marks a little. 85 %: own limit.
    Loss: ECN and the leaves' PFC keep the border's queue.`,
  catches: { defect: 'control-ignored', by: 'busbw' },

  topology: fabric,
  load: permutation({ bytes: '256 MiB', shift: 2 }),

  phases: {
    warmUp: { for: '2 rounds' },
    steady: { for: '2 rounds' },
  },

  expect: [
    busbw.during('steady').atLeast('85 % of roofline'),
    fairness.during('steady').atLeast('90 %'),
    loss.during('steady').atMost('0 packets'),
  ],
}));
