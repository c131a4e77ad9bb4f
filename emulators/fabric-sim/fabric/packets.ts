import { cacheLines } from '../kernel/cache-lines.ts';

/** What a packet is. */
export const DATA = 0;
export const ACK = 1;
export const NAK = 2;
export const CNP = 3;
export const DATAGRAM = 4;

/*
 * A packet (or a train of packets that move as one unit) is a record of 64 bytes, one cache line: 16 whole numbers, the last six of
 * which are also three float64. Record n begins at whole number n << 4 and at float n << 3.
 */
export const PACKET_SHIFT = 4;
export const PACKET_FLOAT_SHIFT = 3;

/** Next in the list that it is on; -1 at the end. */
export const NEXT = 0;
/** Flow or stream that it belongs to. */
export const OWNER = 1;
/** Index of the host that it goes to. */
export const TARGET = 2;
/** What each switch's ECMP hash mixes. */
export const HASH = 3;
export const WIRE_BYTES = 4;
/** Packets in the train. */
export const COUNT = 5;
/** Data: payload. An acknowledgement: packets that it answers. */
export const PAYLOAD_BYTES = 6;
/** Queue account (port x 8 + priority) of the ingress whose PFC holds it; -1 for none. */
export const INGRESS = 7;
/** Kind and priority and flags; see the `_BITS` below. */
export const META = 8;
/** Packets of the train that carry CE. An acknowledgement: how many of those answered did. */
export const MARKED = 9;
/** As float: when the next packet on the same link arrives at its far end, ps: taking one packet then need not touch the next. */
export const NEXT_ARRIVES = 5;
/** As float, in the same place: while it waits in a queue, the packet before it. What the first one holds is old. */
export const PREVIOUS = 5;
/** As float: place in the flow of its first byte or packet; for ACK and NAK what is expected next. */
export const SEQUENCE = 6;
/** As float: when the data packet left its host, ps; an acknowledgement brings it back. */
export const STAMP = 7;

/** META: bits 0..2 kind, 3..5 priority, then flags, then 16 bits of entropy that an acknowledgement brings back. */
export const KIND_MASK = 7;
export const PRIORITY_SHIFT = 3;
export const ECN_CAPABLE = 1 << 6;
/** The payload was cut off by a full queue. */
export const TRIMMED = 1 << 7;
/** Sent before: its round trip says nothing. */
export const AGAIN = 1 << 8;
/** May be trimmed. */
export const TRIMMABLE = 1 << 9;
/** Probe of the sender for an acknowledgement at once. */
export const ASKS = 1 << 10;
/** The switch before the receiver trimmed it: no other path would have helped. */
export const TRIMMED_LAST = 1 << 11;
export const ENTROPY_SHIFT = 16;

/** All packets of a network: flat records with a free list. A number names one; -1 is none. */
export interface Packets {
  readonly ints: Int32Array;
  readonly floats: Float64Array;
  /**
   * A record with kind, priority and flags in `meta`, one packet long, unmarked. Sizes, sequence and stamp are the caller's to set.
   *
   * @throws RangeError when more are under way than there is room for
   */
  take(meta: number, owner: number, target: number, hash: number): number;
  give(packet: number): void;
}

/** Room for `most` packets under way at once; memory is reserved for all, and used as far as they are touched. */
export function createPackets(most: number): Packets {
  const { ints, floats } = cacheLines(most << 6);
  let free = -1;
  /** Records from here on have never been used. */
  let fresh = 0;

  return {
    ints,
    floats,
    take(meta, owner, target, hash) {
      let packet = free;
      if (packet >= 0) free = ints[(packet << PACKET_SHIFT) + NEXT] as number;
      else {
        if (fresh === most)
          throw new RangeError(
            `More than ${most} packets are under way at once: more than all buffers and fibres of the fabric should hold.`,
          );
        packet = fresh++;
      }
      const at = packet << PACKET_SHIFT;
      ints[at + NEXT] = -1;
      ints[at + OWNER] = owner;
      ints[at + TARGET] = target;
      ints[at + HASH] = hash;
      ints[at + COUNT] = 1;
      ints[at + PAYLOAD_BYTES] = 0;
      ints[at + INGRESS] = -1;
      ints[at + META] = meta;
      ints[at + MARKED] = 0;
      return packet;
    },
    give(packet) {
      ints[(packet << PACKET_SHIFT) + NEXT] = free;
      free = packet;
    },
  };
}
