import { allReduce, busbw, plan, scenario } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '1000 km', rate: '400 Gb/s' }, south: { length: '1000 km', rate: '400 Gb/s' } },
});

scenario('a hierarchical all-reduce crosses the sites once', { tag: ['@throughput', '@distance'] }, plan({
  why: 'Reduce inside each site, exchange between them, gather again: the long haul is paid once, by all ranks at the same time.',
  derivation: `Roofline: T = 2[(n-1)a + S(n-1)/(nB)] + RTT + S/X for two sites of n ranks with site egress X (hierarchical all-reduce). 85 %:
    three barriers a round leave gaps that the formula does not have.`,
  catches: { defect: 'long-span', by: 'busbw' },

  topology: fabric,
  load: allReduce({ bytes: '64 MiB', algorithm: 'hierarchical' }),

  phases: { steady: { for: '4 rounds' } },

  expect: [busbw.during('steady').atLeast('85 % of roofline')],
}));
