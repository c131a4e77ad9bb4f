import { goBackNEfficiency } from '../../harness/model/loss-recovery.ts';
import { bdpBytes } from '../../emulators/fabric-sim/theory/tcp-response.ts';
import { wireEfficiency } from '../../harness/loads/standing.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const EARLIER = 'our own earlier evaluation of the formula, a regression target';

/** 400 Gb/s, 13 ms, packets of 4 KiB: about 159,000 in flight. */
const WINDOW = bdpBytes({ rateBps: 400e9, rttS: 0.013 }) / 4096;

export const retransmission: Comparison = {
  title: 'RoCE over 13 ms: what go-back-N and the headers leave of a link',
  source: 'Bertsekas and Gallager, Data Networks, 2.4 (formulas); values are our own earlier evaluation',
  method: 'Closed forms: 400 Gb/s, RTT 13 ms, packets of 4 KiB, independent loss.',
  rows: () => [
    {
      what: 'packets in flight',
      unit: 'thousand',
      published: 159,
      ours: WINDOW / 1e3,
      allowed: { absolute: 0.5 },
      note: EARLIER,
    },
    ...(
      [
        [1e-6, 86],
        [1e-5, 39],
      ] as const
    ).map(
      ([loss, published]): ComparisonRow => ({
        what: `go-back-N at a loss of ${loss.toExponential(0)}`,
        unit: '% of the link',
        published,
        ours: 100 * goBackNEfficiency({ loss, window: WINDOW }),
        allowed: { absolute: 0.5 },
        note: EARLIER,
      }),
    ),
    {
      what: 'RoCEv2 at an MTU of 4096 B, untagged IPv4: payload of the wire rate',
      unit: '%',
      published: 98.04,
      ours: 100 * wireEfficiency(4096),
      allowed: { absolute: 0.005 },
      note: 'the "98 % of line rate" of vendors is the headers’ limit',
    },
  ],
};
