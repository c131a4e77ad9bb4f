import { allReduce, busbw, loss, plan, probeLoss, scenario } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

for (const { length, bytes, tags } of [
  { length: '10 km', bytes: '32 MiB', tags: ['@tour'] },
  { length: '100 km', bytes: '32 MiB', tags: [] },
  { length: '1331 km', bytes: '64 MiB', tags: [] },
] as const) {
  const fabric = twoSites({
    ranksPerSite: 4,
    hosts: '100 Gb/s',
    uplinks: '100 Gb/s',
    spans: { north: { length, rate: '400 Gb/s' }, south: { length, rate: '400 Gb/s' } },
  });

  scenario(`a ring all-reduce reaches its roofline at ${length}`, { tag: ['@throughput', '@distance', ...tags] }, plan({
    why: 'Distance costs latency, which a pipelined ring pays once per crossing. Everything beyond that is the fabric wasting bandwidth.',
    derivation: `Roofline: T = 2(N-1)(a + S/(N B)) + 4 x one-way delay (pipelined flat ring with two crossings), B the NIC rate less headers,
      4.897 us/km (group index 1.4682). 90 %: BMWG draft, BusBW. 1331 km is New Jersey to Chicago, RTT 13.04 ms. No loss on a healthy fabric:
      a probe count is known to one packet in some hundred, hence 0.5 %.`,
    catches: { defect: length === '10 km' ? 'leaky-span' : 'long-span', by: 'busbw' },

    topology: fabric,
    load: allReduce({ bytes }),

    phases: { steady: { for: '5 rounds' } },

    expect: [
      busbw.during('steady').atLeast('90 % of roofline'),
      loss.during('steady').atMost('0 packets'),
      probeLoss.during('steady').atMost('0.5 %'),
    ],
  }));
}
