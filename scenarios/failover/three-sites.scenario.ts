import { allReduce, busbw, convergence, cut, jobRecovery, loss, plan, scenario, spec } from '#harness';
import { joinedSites } from '../topologies/joined-sites.ts';

const fabric = joinedSites({
  sites: ['a', 'b', 'c'],
  shape: 'ring',
  span: { length: '80 km', rate: '400 Gb/s' },
  spans: { 'c-a': { length: '120 km' } },
  ranksPerSite: 2,
  hosts: '100 Gb/s',
  uplinks: '400 Gb/s',
});

scenario('three sites in a ring survive the cut of a span', { tag: ['@span', '@failover', '@sites'] }, plan({
  why: 'Three sites need three spans for a ring, and a ring has a second way to everywhere: through the site that had nothing to do with it.',
  derivation: `The job's ring crosses each span once, one way, at the NIC rate of 100 Gb/s. With a-b cut, its edge from a to b goes a-c-b: 200 km instead of 80, on the
    idle directions of the two others, so bandwidth stays and the roofline only grows by 0.59 ms for each of the two passes. BFD tells both borders
    within 3 x 3.3 ms and a FIB update takes 5 ms; they know the other way already: 14.9 ms of the profile's 50 ms. Recovery adds a
    go-back-N timeout of 16.8 ms. The span back, sessions need 20 ms and routes a hop or two: 10 rounds leave enough after that.`,
  catches: { defect: 'no-failover', by: 'jobRecovery' },

  topology: fabric,
  load: allReduce({ bytes: '64 MiB' }),

  phases: {
    steady: { for: '4 rounds' },
    cutAB: { for: '12 rounds', faults: [cut(fabric.spans['a-b'])] },
    restored: { for: '10 rounds' },
  },

  expect: [
    busbw.during('steady').atLeast('90 % of roofline'),
    convergence.during('cutAB').atMost(spec('failover.convergence')),
    jobRecovery.during('cutAB').atMost(spec('failover.jobRecovery')),
    busbw.during('cutAB').atLeast('90 % of roofline'),
    busbw.during('restored').atLeast('95 % of steady'),
    loss.during('restored').atMost('0 packets'),
  ],
}));
