import { allReduce, busbw, jobRecovery, linkBetween, linkDown, loss, plan, scenario, spec } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 8,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '10 km', rate: '400 Gb/s' }, south: { length: '10 km', rate: '400 Gb/s' } },
});

scenario('a leaf that loses an uplink keeps its ranks in the ring', { tag: ['@link', '@failover'] }, plan({
  why: 'The commonest failure of all: one cable between a leaf and a spine. Its flows must move to the others.',
  derivation: `Each leaf has four uplinks and the ring needs one of them per direction, so the roofline stays. The leaf itself sees the port
    go down and only its own next-hop group changes: recovery within the profile, one go-back-N timeout included.`,
  catches: { defect: 'no-failover', by: 'jobRecovery' },

  topology: fabric,
  load: allReduce({ bytes: '64 MiB' }),

  phases: {
    steady: { for: '5 rounds' },
    linkLost: { for: '15 rounds', faults: [linkDown(linkBetween(fabric, 'a-leaf-1', 'a-spine-1'))] },
    restored: { for: '8 rounds' },
  },

  expect: [
    jobRecovery.during('linkLost').atMost(spec('failover.jobRecovery')),
    busbw.during('linkLost').atLeast('90 % of roofline'),
    busbw.during('restored').atLeast('95 % of steady'),
    loss.during('restored').atMost('0 packets'),
  ],
}));
