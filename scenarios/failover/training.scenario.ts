import { cut, jct, jobRecovery, plan, scalingEfficiency, scenario, sitePower, trainingIteration } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '80 km', rate: '400 Gb/s' }, south: { length: '120 km', rate: '400 Gb/s' } },
});

scenario('training goes on through the cut of one of two spans', { tag: ['@span', '@failover', '@training'] }, plan({
  why: 'An iteration that waits for lost packets costs every GPU its compute. A cut may cost one iteration the failover, and the others nothing.',
  derivation: `C = 20 ms of compute, S = 16 MiB in 4 buckets over the last two thirds. Each bucket's ring takes 2(N-1)/N S/(4B) + 4 x 0.59 ms over the longer
    span = 0.60 + 2.35 = 2.95 ms, and the next is ready 3.3 ms later: the last bucket alone is exposed, 22.95 ms in all, of which 87 % is compute.
    24.5 ms grants a fifteenth more. A worst iteration has the failover (17 ms), one go-back-N timeout (16.8 ms) and what was lost to send again: 100 ms, own limit.
    Power: four GPUs of 700 W.`,
  catches: { defect: 'slow-failover', by: 'jct' },

  topology: fabric,
  load: trainingIteration({ bytes: '16 MiB', compute: '20 ms' }),

  phases: {
    steady: { for: '4 rounds' },
    northCut: { for: '8 rounds', faults: [cut(fabric.spans.north)] },
    restored: { for: '4 rounds' },
  },

  expect: [
    jct.during('steady').atMost('24.5 ms'),
    scalingEfficiency.during('steady').atLeast('80 %'),
    jct.during('northCut').atMost('24.5 ms'),
    jct.worst.during('northCut').atMost('100 ms'),
    jobRecovery.during('northCut').atMost('200 ms'),
    jct.during('restored').atMost('24.5 ms'),
    sitePower.during('northCut').atMost('2.8 kW'),
  ],
}));
