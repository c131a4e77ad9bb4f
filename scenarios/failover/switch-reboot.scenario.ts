import { allReduce, busbw, convergence, jobRecovery, plan, reboot, scenario, spec, switchNamed } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '80 km', rate: '400 Gb/s' }, south: { length: '120 km', rate: '400 Gb/s' } },
});

scenario('a spine that reboots takes no job with it', { tag: ['@switch', '@failover'] }, plan({
  why: 'Spines are rebooted for every upgrade. BGP must move the traffic away and back without a job noticing more than a pause.',
  derivation: `All neighbours lose light at once; convergence is that of a cut. The reboot is shortened to 100 ms of virtual time: what is judged
    is the way out and the way back, not the vendor's boot time.`,
  catches: { defect: 'slow-failover', by: 'convergence' },

  topology: fabric,
  load: allReduce({ bytes: '64 MiB' }),

  phases: {
    steady: { for: '5 rounds' },
    rebooting: { for: '20 rounds', faults: [reboot(switchNamed(fabric, 'a-spine-1'), { takes: '100 ms' })] },
    restored: { for: '10 rounds' },
  },

  expect: [
    convergence.during('rebooting').atMost(spec('failover.convergence')),
    jobRecovery.during('rebooting').atMost(spec('failover.jobRecovery')),
    busbw.during('restored').atLeast('95 % of steady'),
  ],
}));
