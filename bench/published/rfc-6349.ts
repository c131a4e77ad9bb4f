import {
  achievableTcpBps,
  bdpBytes,
  bufferDelayPercent,
  LINE_FRAME_BYTES,
  tcpEfficiencyPercent,
  transferTimeRatio,
} from '../../emulators/fabric-sim/theory/tcp-response.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

/** Line rate Mb/s, RTT ms, then as printed: BDP KB, TCP throughput Mb/s, transfer time of 100 MB s; and the last digit of the last two. */
const TABLE = [
  [1.536, 50, 9.6, 1.4, 571, 0.1, 1, 'ppp'],
  [44.21, 25, 138.2, 42.8, 18, 0.1, 1, 'ppp'],
  [100, 2, 25, 94.9, 9, 0.1, 1, 'ethernet'],
  [1000, 1, 125, 949.2, 1, 0.1, 1, 'ethernet'],
  [10000, 0.05, 62.5, 9492, 0.1, 1, 0.1, 'ethernet'],
] as const;

const HUNDRED_MB = 100e6;

export const rfc6349: Comparison = {
  title: 'RFC 6349: reference values of a TCP throughput test',
  source: 'RFC 6349 section 4.1, table 4.1.2 and the worked examples of its metrics',
  method:
    'Whole frames per second times 1460 B; a 1500 B packet takes 1538 B of Ethernet and 1508 B of a T1 or T3. The table truncates ' +
    'some values and rounds others up, so one unit of the last printed digit is allowed. The transfer times divide 800 Mb by the ' +
    'printed throughput: 571 s is 800 / 1.4.',
  rows: () => [
    ...TABLE.flatMap(([mbps, rttMs, bdpKb, tcpMbps, seconds, mbpsDigit, secondsDigit, line]): ComparisonRow[] => {
      const path = { rateBps: mbps * 1e6, rttS: rttMs / 1e3 };
      const oursBps = achievableTcpBps({ rateBps: path.rateBps, frameBytes: LINE_FRAME_BYTES[line] });
      return [
        {
          what: `table 4.1.2, ${mbps} Mb/s, ${rttMs} ms: BDP`,
          unit: 'KB',
          published: bdpKb,
          ours: bdpBytes(path) / 1e3,
          allowed: { absolute: 0.05 },
        },
        {
          what: `table 4.1.2, ${mbps} Mb/s, ${rttMs} ms: most TCP throughput`,
          unit: 'Mb/s',
          published: tcpMbps,
          ours: oursBps / 1e6,
          allowed: { absolute: mbpsDigit },
        },
        {
          what: `table 4.1.2, ${mbps} Mb/s, ${rttMs} ms: 100 MB take, at the printed throughput`,
          unit: 's',
          published: seconds,
          ours: (8 * HUNDRED_MB) / (tcpMbps * 1e6),
          allowed: { absolute: secondsDigit },
        },
      ];
    }),
    {
      what: 'worked example: 12 s for a transfer of 8 s, transfer time ratio',
      unit: '',
      published: 1.5,
      ours: transferTimeRatio({ actualS: 12, idealS: 8 }),
      allowed: { relative: 1e-9 },
    },
    {
      what: 'worked example: 2,000 of 102,000 B sent again, TCP efficiency',
      unit: '%',
      published: 98.03,
      ours: tcpEfficiencyPercent({ sentBytes: 102_000, resentBytes: 2_000 }),
      allowed: { absolute: 0.01 },
      note: '98.039 %; the RFC truncates',
    },
    {
      what: 'worked example: RTT of 25 ms that grows to 32 ms, buffer delay',
      unit: '%',
      published: 28,
      ours: bufferDelayPercent({ meanRttS: 0.032, baseRttS: 0.025 }),
      allowed: { relative: 1e-9 },
    },
  ],
};
