import { allReduce, busbw, convergence, cut, jobRecovery, plan, scenario, spec } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '80 km', rate: '400 Gb/s' }, south: { length: '120 km', rate: '400 Gb/s' } },
});

scenario('a span that goes dark in silence is found by BFD', { tag: ['@span', '@failover', '@silent'] }, plan({
  why: 'An amplifier that keeps its light on while frames vanish fools every port. Only a liveness protocol can tell.',
  derivation: `BFD 3 x 3.3 ms detects within 9.9 ms (RFC 5880 section 6.8.4); then BGP hops and FIB update as for a cut with loss of light.
    The span's ports stay up all the while: that is the fault's own effect probe.`,
  catches: { defect: 'slow-failover', by: 'convergence' },

  topology: fabric,
  load: allReduce({ bytes: '64 MiB' }),

  phases: {
    steady: { for: '5 rounds' },
    darkNorth: { for: '15 rounds', faults: [cut(fabric.spans.north, { light: 'kept' })] },
    restored: { for: '8 rounds' },
  },

  expect: [
    busbw.during('steady').atLeast('90 % of roofline'),
    convergence.during('darkNorth').atMost(spec('failover.convergence')),
    jobRecovery.during('darkNorth').atMost(spec('failover.jobRecovery')),
    busbw.during('restored').atLeast('95 % of steady'),
  ],
}));

scenario('a span that is silent in one direction is left by both ends', { tag: ['@span', '@failover', '@silent'] }, plan({
  why: 'One direction of one fibre dies in silence. A session that hears nothing from its peer must go down at both ends.',
  derivation: 'BFD is bidirectional: losing one direction takes the session down on both sides (RFC 5880 section 6.8.4). Limits as for the silent cut.',
  catches: { defect: 'no-failover', by: 'convergence' },

  topology: fabric,
  load: allReduce({ bytes: '64 MiB' }),

  phases: {
    steady: { for: '3 rounds' },
    halfDark: { for: '12 rounds', faults: [cut(fabric.spans.north, { direction: 'a-to-b', light: 'kept' })] },
  },

  expect: [
    convergence.during('halfDark').atMost(spec('failover.convergence')),
    busbw.during('halfDark').atLeast('85 % of steady'),
  ],
}));
