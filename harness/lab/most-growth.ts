import type { PortCounters } from '../model/record.ts';

/** A clock that is 1 % off is broken: Ethernet and hosts keep 100 ppm. */
const CLOCKS = 1.01;

/** Smallest Ethernet frame with preamble and gap, bit (IEEE 802.3). */
const SMALLEST_FRAME_BITS = 84 * 8;

/** A counter moves by whole frames, and that of a simulated device by whole trains of packets: it may be ahead by this much. */
const BURST = { bytes: 256 * 1024, packets: 256 } as const;

/** A port drops what comes in and what should go out. */
const DROPS_BOTH_WAYS = 2;

const OCTETS: ReadonlySet<keyof PortCounters> = new Set(['rxBytes', 'txBytes']);
const PACKETS: ReadonlySet<keyof PortCounters> = new Set([
  'rxPackets',
  'txPackets',
  'drops',
  'queuePackets',
  'ecnMarked',
  'pfcRx',
  'pfcTx',
  'cnpSent',
  'cnpHandled',
  'outOfSequence',
]);

/**
 * The most that a counter of a port can grow in so much time: frames of the smallest size, back to back. With 2^32 it says when a
 * 32-bit counter may have wrapped; the published wrap times follow from it (ifInOctets at 400 Gb/s: 85.9 ms).
 *
 * @returns bytes or packets, rounded up; undefined where no rate bounds the counter, or the rate is not known
 */
export function mostGrowth(
  key: keyof PortCounters,
  { rateBps, overNs }: { readonly rateBps: number | undefined; readonly overNs: number },
): bigint | undefined {
  if (rateBps === undefined || !(rateBps > 0) || !Number.isFinite(overNs)) return undefined;
  const bits = (rateBps * Math.max(0, overNs) * CLOCKS) / 1e9;
  if (OCTETS.has(key)) return BigInt(Math.ceil(bits / 8)) + BigInt(BURST.bytes);
  if (!PACKETS.has(key)) return undefined;
  const sides = key === 'drops' ? DROPS_BOTH_WAYS : 1;
  return BigInt(sides) * (BigInt(Math.ceil(bits / SMALLEST_FRAME_BITS)) + BigInt(BURST.packets));
}

/** How long a 32-bit octet counter takes to wrap at line rate, ns: 2^32 x 8 / rate. */
export const octetWrapNs = (rateBps: number): number => (2 ** 32 * 8 * 1e9) / rateBps;
