import { cacheLines } from '../kernel/cache-lines.ts';
import type { Wiring } from './wiring.ts';

/** Queues of a port: one per priority. Queue q of port p has the number p x 8 + q. */
export const PRIORITIES = 8;
export const QUEUE_SHIFT = 3;

/*
 * A port is a record of 128 bytes, two cache lines. The first is the link away from it, read and written where packets arrive at the
 * other end; the second is the egress, where they are sent. What the arriving side must know of the port at the other end (does it
 * forward, does it pause) is kept here too, so that an arrival touches one line of ports. Record n begins at whole number n << 5 and
 * at float n << 4.
 */
export const PORT_SHIFT = 5;
export const PORT_FLOAT_SHIFT = 4;

/** Packets on the link, oldest first; -1 when none. */
export const LINK_HEAD = 0;
export const LINK_TAIL = 1;
/** Node and port at the other end. */
export const FAR_NODE = 2;
export const FAR_PORT = 3;
/** 1 while the port at the other end forwards. */
export const FAR_FORWARDING = 4;
/** Bit q: the port at the other end, as an ingress, pauses priority q when its account is full. */
export const FAR_PAUSES = 5;
/** Node that owns the port. */
export const NODE = 6;
/** Span direction that the link is, -1 for a cable. */
export const SPAN = 7;
/** As floats: one-way delay, ps; latest arrival that the link has promised, ps; what has arrived at the other end. */
export const DELAY = 4;
export const LAST_ARRIVAL = 5;
export const ARRIVED_BYTES = 6;
export const ARRIVED_PACKETS = 7;

/** 1 while the port forwards. */
export const FORWARDING = 16;
/** Bit q: queue q holds packets. */
export const WAITING = 17;
/** Bit q: the far end has paused priority q. */
export const PAUSED = 18;
/** In PAUSED, so much above the bit of its pause: the watchdog drops what comes for the priority. */
export const STORM_SHIFT = 8;
/** Priority that was served last. */
export const TURN = 19;
/** Bit q: this port, as an ingress, has paused priority q at the far end. */
export const HOLDING = 20;
/** As floats: end of the transmission in progress, ps. */
export const BUSY_UNTIL = 11;
export const PS_PER_BYTE = 12;
export const TX_BYTES = 13;
/** Queue length from which on departing packets may be marked, bytes; Infinity for never. */
export const MARKS_FROM = 14;
/** Time per byte that a train may arrive early at the far end: that of its fastest port; 0 at hosts. */
export const EARLY_PS_PER_BYTE = 15;

/*
 * A queue is a record of 64 bytes, one cache line: the egress queue of a port and priority, and the account of what has come in by the
 * same port in the same priority. Record n begins at whole number n << 4 and at float n << 3.
 */
export const QUEUE_INT_SHIFT = 4;
export const QUEUE_FLOAT_SHIFT = 3;
export const HEAD = 0;
export const TAIL = 1;
/** 1 while the account has paused the feeder. */
export const HOLDS = 2;
export const DEPTH_BYTES = 2;
/** Packets sent since the start. */
export const SENT = 3;
export const PEAK_BYTES = 4;
/** The account: bytes stored, and those of them in its headroom. */
export const HELD_BYTES = 5;
export const OVER_BYTES = 6;

/** Ports and their queues as flat records; what each field means stands above. */
export interface Ports {
  readonly count: number;
  readonly ints: Int32Array;
  readonly floats: Float64Array;
  readonly queueInts: Int32Array;
  readonly queueFloats: Float64Array;
}

/** Idle ports of a wiring, all forwarding. */
export function createPorts(wiring: Wiring): Ports {
  const count = wiring.node.length;
  const { ints: queueInts, floats: queueFloats } = cacheLines((count * PRIORITIES) << 6);
  const ports: Ports = { count, ...cacheLines(count << 7), queueInts, queueFloats };
  const { ints, floats } = ports;
  for (let port = 0; port < count; port++) {
    const peer = wiring.peer[port] as number;
    const far = wiring.node[peer] as number;
    const i = port << PORT_SHIFT;
    const f = port << PORT_FLOAT_SHIFT;
    ints[i + LINK_HEAD] = -1;
    ints[i + LINK_TAIL] = -1;
    ints[i + NODE] = wiring.node[port] as number;
    ints[i + FAR_NODE] = far;
    ints[i + FAR_PORT] = peer;
    ints[i + FORWARDING] = 1;
    ints[i + FAR_FORWARDING] = 1;
    ints[i + SPAN] = wiring.spanDirection[port] as number;
    floats[f + PS_PER_BYTE] = wiring.psPerByte[port] as number;
    floats[f + DELAY] = wiring.delayPs[port] as number;
    floats[f + EARLY_PS_PER_BYTE] = far < wiring.hosts ? 0 : fastest(wiring, far);
    floats[f + MARKS_FROM] = Number.POSITIVE_INFINITY;
    for (let queue = 0; queue < PRIORITIES; queue++) {
      const q = ((port << QUEUE_SHIFT) + queue) << QUEUE_INT_SHIFT;
      ports.queueInts[q + HEAD] = -1;
      ports.queueInts[q + TAIL] = -1;
    }
  }
  return ports;
}

function fastest(wiring: Wiring, node: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (const port of wiring.portsOf[node] as readonly number[])
    least = Math.min(least, wiring.psPerByte[port] as number);
  return least;
}
