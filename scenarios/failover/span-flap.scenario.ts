import { allReduce, busbw, flap, jobRecovery, plan, scenario, spec } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '80 km', rate: '400 Gb/s' }, south: { length: '120 km', rate: '400 Gb/s' } },
});

scenario('a flapping span slows the job and never stops it', { tag: ['@span', '@failover', '@flap'] }, plan({
  why: 'A dirty connector takes the light away again and again. The fabric must keep the job moving on the other span.',
  derivation: `Down 20 ms of every 120 ms: longer than loss-of-light detection (10 ms), so each flap is a real reroute. Each costs at most one
    convergence and one go-back-N timeout. Half of steady while it lasts, and all of it after: own limits.`,
  catches: { defect: 'slow-recovery', by: 'busbw' },

  topology: fabric,
  load: allReduce({ bytes: '64 MiB' }),

  phases: {
    steady: { for: '5 rounds' },
    flapping: { for: '40 rounds', faults: [flap(fabric.spans.north, { every: '120 ms', down: '20 ms' })] },
    restored: { for: '10 rounds' },
  },

  expect: [
    busbw.mean.during('flapping').atLeast('50 % of steady'),
    jobRecovery.during('flapping').atMost(spec('failover.jobRecovery')),
    busbw.during('restored').atLeast('95 % of steady'),
  ],
}));
