import * as packetLayout from './packets.ts';
import type { Packets } from './packets.ts';
import * as portLayout from './ports.ts';
import type { Ports } from './ports.ts';

// Copies: V8 folds a module's own constants into its code, imported ones are read at each use.
const { NEXT, PACKET_FLOAT_SHIFT, PACKET_SHIFT, PREVIOUS, WIRE_BYTES } = packetLayout;
const {
  DEPTH_BYTES,
  HEAD,
  PEAK_BYTES,
  PORT_SHIFT,
  QUEUE_FLOAT_SHIFT,
  QUEUE_INT_SHIFT,
  QUEUE_SHIFT,
  TAIL,
  TURN,
  WAITING,
} = portLayout;

/** Priorities 6 and 7 (network control in IEEE 802.1Q) are served before all others, 7 first. */
const STRICT = 0b1100_0000;

/**
 * The egress queues: eight FIFOs a port, threaded through the packets themselves, so that putting and taking touch the packet, its
 * neighbour and one queue record of 32 bytes. A bit mask per port says which queues hold something: choosing the next to serve is
 * a few operations on small numbers whatever the number of queues.
 */
export interface Queues {
  /** Appends the packet; answers the queue's bytes with it. */
  put(port: number, priority: number, packet: number): number;
  /** Removes the oldest packet of a queue that holds one. */
  take(port: number, priority: number): number;
  /** Removes the youngest packet of a queue that holds one. */
  takeTail(port: number, priority: number): number;
  /** The youngest packet of a queue, -1 when it is empty. */
  tail(port: number, priority: number): number;
  /**
   * Which of the priorities in `eligible` (not 0) is served next: 7 before 6 before all others; those in turn, packet by packet, from
   * the one after the last served. A mask that holds one bit needs no turn.
   */
  choose(port: number, eligible: number): number;
}

export function createQueues(ports: Ports, packets: Packets): Queues {
  const { ints, queueInts, queueFloats } = ports;
  const { ints: packetInts, floats: packetFloats } = packets;

  function put(port: number, priority: number, packet: number): number {
    const queue = (port << QUEUE_SHIFT) + priority;
    const q = queue << QUEUE_INT_SHIFT;
    const at = packet << PACKET_SHIFT;
    packetInts[at + NEXT] = -1;
    const tail = queueInts[q + TAIL] as number;
    if (tail === -1) {
      queueInts[q + HEAD] = packet;
      const i = (port << PORT_SHIFT) + WAITING;
      ints[i] = (ints[i] as number) | (1 << priority);
    } else {
      packetInts[(tail << PACKET_SHIFT) + NEXT] = packet;
      packetFloats[(packet << PACKET_FLOAT_SHIFT) + PREVIOUS] = tail;
    }
    queueInts[q + TAIL] = packet;
    const f = queue << QUEUE_FLOAT_SHIFT;
    const depth = (queueFloats[f + DEPTH_BYTES] as number) + (packetInts[at + WIRE_BYTES] as number);
    queueFloats[f + DEPTH_BYTES] = depth;
    if (depth > (queueFloats[f + PEAK_BYTES] as number)) queueFloats[f + PEAK_BYTES] = depth;
    return depth;
  }

  function take(port: number, priority: number): number {
    const queue = (port << QUEUE_SHIFT) + priority;
    const q = queue << QUEUE_INT_SHIFT;
    const packet = queueInts[q + HEAD] as number;
    const at = packet << PACKET_SHIFT;
    const next = packetInts[at + NEXT] as number;
    queueInts[q + HEAD] = next;
    if (next === -1) {
      queueInts[q + TAIL] = -1;
      const i = (port << PORT_SHIFT) + WAITING;
      ints[i] = (ints[i] as number) & ~(1 << priority);
    }
    const f = (queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES;
    queueFloats[f] = (queueFloats[f] as number) - (packetInts[at + WIRE_BYTES] as number);
    return packet;
  }

  function takeTail(port: number, priority: number): number {
    const queue = (port << QUEUE_SHIFT) + priority;
    const q = queue << QUEUE_INT_SHIFT;
    const tail = queueInts[q + TAIL] as number;
    if (queueInts[q + HEAD] === tail) return take(port, priority);
    const before = packetFloats[(tail << PACKET_FLOAT_SHIFT) + PREVIOUS] as number;
    packetInts[(before << PACKET_SHIFT) + NEXT] = -1;
    queueInts[q + TAIL] = before;
    const f = (queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES;
    queueFloats[f] = (queueFloats[f] as number) - (packetInts[(tail << PACKET_SHIFT) + WIRE_BYTES] as number);
    return tail;
  }

  function tail(port: number, priority: number): number {
    return queueInts[(((port << QUEUE_SHIFT) + priority) << QUEUE_INT_SHIFT) + TAIL] as number;
  }

  function choose(port: number, eligible: number): number {
    const strict = eligible & STRICT;
    if (strict !== 0) return 31 - Math.clz32(strict);
    if ((eligible & (eligible - 1)) !== 0) {
      const turn = ints[(port << PORT_SHIFT) + TURN] as number;
      const after = eligible & (-2 << turn);
      const from = after === 0 ? eligible : after;
      return 31 - Math.clz32(from & -from);
    }
    return 31 - Math.clz32(eligible);
  }

  return { put, take, takeTail, tail, choose };
}
