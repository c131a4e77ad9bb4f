import { bitRate, bytes, duration } from './amount.ts';
import type { Judged } from './finding.ts';
import type { LongWay } from './long-way.ts';

/** Share of the bus bandwidth that the message must reach; BMWG's AI fabric training draft has 90 % for BusBW. */
const SHARE = 0.9;

/**
 * The message from which on distance costs a ring all-reduce at most a tenth: T = 2 (N - 1) S / (N B) + 4 d, so
 * S = 9 x RTT x B x N / (N - 1) / 8 for 90 %.
 *
 * @param nicBps rate of one host's NIC
 * @param ranks hosts of the ring; nothing for fewer than two
 */
export function messageSize({ rttNs }: LongWay, nicBps: number | undefined, ranks: number): readonly Judged[] {
  if (nicBps === undefined || ranks < 2) return [];
  const times = SHARE / (1 - SHARE);
  const least = (times * rttNs * nicBps * (ranks / (ranks - 1))) / 8e9;
  return [
    {
      check: 'message for 90 % busbw',
      severity: 'info',
      value: bytes(least),
      needed: null,
      formula: `${Math.round(times)} x ${duration(rttNs).text} x ${bitRate(nicBps).text} / 8 x ${ranks}/${ranks - 1} = ${bytes(least).text} in a ring over all ${ranks} hosts that crosses this span there and back`,
      source:
        'Pipelined ring: T = 2 (N - 1) S / (N B) + 4 x one-way delay (Patarasuk and Yuan, JPDC 2009); 90 %: BMWG draft, BusBW',
      advice: '',
    },
  ];
}
