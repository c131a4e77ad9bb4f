import { allReduce, jct, loss, plan, scenario } from '#harness';
import { twoSites } from '../topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '100 km', rate: '400 Gb/s' }, south: { length: '100 km', rate: '400 Gb/s' } },
});

for (const { algorithm, limit } of [
  { algorithm: 'ring', limit: '2.9 ms' },
  { algorithm: 'tree', limit: '3.2 ms' },
] as const) {
  scenario(`an all-reduce by ${algorithm} crosses 100 km in its time`, { tag: ['@throughput', '@distance'] }, plan({
    why: 'NCCL chooses between ring and tree by size and topology. Over distance small messages pay four crossings with both, and nothing on top of that.',
    derivation: `S = 4 MiB, 8 ranks, B = 98.04 Gb/s, one-way delay 0.49 ms. Ring: 2(N-1)/N S/B + 4 x 0.49 ms = 0.60 + 1.96 = 2.56 ms and an eighth. Tree: every inner
      rank carries 2S, and its farthest leaf is two crossings from the root: at most 2S/B + 4 x 0.49 ms = 0.68 + 1.96 = 2.64 ms, and a fifth, because
      three senders meet at one port. Spans of twice the length add another 1.96 ms to both.`,
    catches: { defect: 'long-span', by: 'jct' },

    topology: fabric,
    load: allReduce({ bytes: '4 MiB', algorithm }),

    phases: { steady: { for: '5 rounds' } },

    expect: [
      jct.during('steady').atMost(limit),
      loss.during('steady').atMost('0 packets'),
    ],
  }));
}
