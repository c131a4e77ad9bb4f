import { allReduce, busbw, convergence, cut, jobRecovery, plan, scenario, spec } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 8,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '80 km', rate: '400 Gb/s' }, south: { length: '120 km', rate: '400 Gb/s' } },
});

scenario('an all-reduce survives the cut of one of two spans', { tag: ['@span', '@failover', '@tour'] }, plan({
  why: 'Two diverse fibres join the sites. Losing one must cost bandwidth, never the job.',
  derivation: `The ring crosses the sites once each way at the NIC rate, 100 Gb/s: either span alone carries it, so the roofline stays.
    Convergence: loss of light 10 ms + BGP hops + FIB update; the profile asks for 50 ms, SDH's protection time (ITU-T G.841).
    Recovery adds one go-back-N timeout (16.8 ms) and one round.`,
  catches: { defect: 'slow-failover', by: 'convergence' },

  topology: fabric,
  load: allReduce({ bytes: '64 MiB' }),

  phases: {
    steady: { for: '5 rounds' },
    northCut: { for: '15 rounds', faults: [cut(fabric.spans.north)] },
    restored: { for: '8 rounds' },
  },

  expect: [
    busbw.during('steady').atLeast('90 % of roofline'),
    convergence.during('northCut').atMost(spec('failover.convergence')),
    jobRecovery.during('northCut').atMost(spec('failover.jobRecovery')),
    busbw.during('northCut').atLeast('90 % of roofline'),
    busbw.during('restored').atLeast('95 % of steady'),
  ],
}));
