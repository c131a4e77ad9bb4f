import {
  channelBps,
  channelsFor,
  flatRingBarrierS,
  flatRingS,
  hierarchicalS,
} from '../../emulators/fabric-sim/theory/collective-times.ts';
import { fibreRttS } from '../../emulators/fabric-sim/theory/optics.ts';
import { allReduce } from '../../harness/loads/all-reduce.ts';
import { allToAll } from '../../harness/loads/all-to-all.ts';
import { busbwBps } from '../../harness/loads/roofline.ts';
import type { Load } from '../../harness/model/load.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const EARLIER = 'our own earlier evaluation, a regression target';

const SITE = { bytes: 2 ** 30, ranks: 64, nicBps: 400e9, alphaS: 5e-6 };
const FLAT = { ...SITE, ranks: 128 };

/** km; hierarchical ms and busbw GB/s with 1.6 and 12.8 Tb/s of egress; flat ring pipelined and with barriers, ms. */
const EXAMPLES = [
  [10, 48.4, 43.7, 44.1, 48.8, 44.1, 55],
  [100, 49.3, 44.6, 43.3, 47.8, 45.8, 167],
  [1331, 61.3, 56.6, 34.8, 37.6, 69.9, 1698],
] as const;

const oneGib: Load = allReduce({ bytes: '1 GiB' });

/** busbw of a round over its algbw, as `harness/loads` computes it. */
const factor = (load: Load, ranks: number): number => busbwBps(load, { ranks, roundNs: 1e6 }) / ((8e9 * 2 ** 30) / 1e6);

export const collectives: Comparison = {
  title: 'Collectives over two sites: least times, bus bandwidth and NCCL’s window',
  source:
    'nccl-tests v2.19.6, doc/PERFORMANCE.md (busbw factors); Thakur et al. 2005 (ring); example values are our own earlier evaluation',
  method:
    '1 GiB, 64 ranks a site at 400 Gb/s, 5 us a step inside a site, light at 4.897 us/km, payload rates. busbw as `harness/loads` computes it from ' +
    'the round’s time.',
  rows: () => {
    const examples = EXAMPLES.flatMap(([km, at1600, at12800, busbw1600, busbw12800, pipelined, barrier]) => {
      const rttS = fibreRttS(km * 1e3);
      const row = (what: string, unit: string, published: number, ours: number): ComparisonRow => ({
        what: `${km} km, ${what}`,
        unit,
        published,
        ours,
        allowed: { relative: 0.003 },
        note: EARLIER,
      });
      const hierarchical = (egressBps: number): number => hierarchicalS(SITE, { sites: 2, egressBps, rttS });
      const busbw = (roundS: number): number => busbwBps(oneGib, { ranks: 128, roundNs: 1e9 * roundS }) / 8e9;
      return [
        row('hierarchical, 1.6 Tb/s between sites', 'ms', at1600, 1e3 * hierarchical(1.6e12)),
        row('hierarchical, 12.8 Tb/s between sites', 'ms', at12800, 1e3 * hierarchical(12.8e12)),
        row('busbw, hierarchical, 1.6 Tb/s', 'GB/s', busbw1600, busbw(hierarchical(1.6e12))),
        row('busbw, hierarchical, 12.8 Tb/s', 'GB/s', busbw12800, busbw(hierarchical(12.8e12))),
        row('flat ring of 128, pipelined', 'ms', pipelined, 1e3 * flatRingS(FLAT, { rttS })),
        row('flat ring of 128, a barrier each step', 'ms', barrier, 1e3 * flatRingBarrierS(FLAT, { rttS })),
      ];
    });
    const identities = [2, 8, 64].flatMap((ranks): ComparisonRow[] => [
      {
        what: `busbw over algbw, all-reduce, ${ranks} ranks: 2(n-1)/n`,
        unit: '',
        published: (2 * (ranks - 1)) / ranks,
        ours: factor(oneGib, ranks),
        allowed: { relative: 1e-12 },
      },
      {
        what: `busbw over algbw, all-to-all, ${ranks} ranks: (n-1)/n`,
        unit: '',
        published: (ranks - 1) / ranks,
        ours: factor(allToAll({ bytes: '1 GiB' }), ranks),
        allowed: { relative: 1e-12 },
      },
    ]);
    const windows = (
      [
        [10, 342, 1],
        [100, 34, 0.5],
        [1331, 2.57, 0.01],
      ] as const
    ).map(
      ([km, published, absolute]): ComparisonRow => ({
        what: `NCCL, one channel of 4 MiB over ${km} km`,
        unit: 'Gb/s',
        published,
        ours: channelBps({ rttS: fibreRttS(km * 1e3) }) / 1e9,
        allowed: { absolute },
        note: EARLIER,
      }),
    );
    return [
      ...examples,
      ...identities,
      ...windows,
      {
        what: 'NCCL, channels of 4 MiB that fill 400 Gb/s over 1331 km',
        unit: '',
        published: 156,
        ours: channelsFor(400e9, { rttS: fibreRttS(1331e3) }),
        allowed: { absolute: 0 },
        note: EARLIER,
      },
    ];
  },
};
