import { jct, pipeline, plan, scalingEfficiency, scenario } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '400 Gb/s',
  spans: { north: { length: '100 km', rate: '400 Gb/s' }, south: { length: '100 km', rate: '400 Gb/s' } },
});

scenario('a pipeline with one cut between its stages hides 100 km', { tag: ['@throughput', '@distance', '@training'] }, plan({
  why: 'Pipeline stages are the cheapest place to cross sites: little data, and compute to hide the way. Distance must cost a hop per flush and gradient, not bandwidth.',
  derivation: `p = 2 stages of 4 ranks, m = 8 microbatches of 4 MiB, f = b = 5 ms. (m + p - 1)(f + b) = 90 ms. A hop takes c = 0.49 + 0.34 = 0.83 ms. With two stages the
    first runs one microbatch ahead, so every second one waits a round trip: 2c x m/2 = 6.65 ms. 96.7 ms and 2 %. Efficiency 80/96.7 = 82.8 %, 80 % granted.
    Twice the distance waits 8 x 0.49 = 3.9 ms more. Uplinks are wide: two flows on one would double the transfer.`,
  catches: { defect: 'long-span', by: 'jct' },

  topology: fabric,
  load: pipeline({ bytes: '4 MiB', stages: 2, microbatches: 8, forward: '5 ms', backward: '5 ms' }),

  phases: { steady: { for: '3 rounds' } },

  expect: [
    jct.during('steady').atMost('98.6 ms'),
    scalingEfficiency.during('steady').atLeast('80 %'),
  ],
}));
