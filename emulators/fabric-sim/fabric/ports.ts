import type { Wiring } from './wiring.ts';

/** Queues of a port: one per priority. Queue q of port p has the number p x 8 + q. */
export const PRIORITIES = 8;
export const QUEUE_SHIFT = 3;

/*
 * A port is a record of 128 bytes, two cache lines: 12 whole numbers and ten float64. It stands for both the egress of its node and
 * the link away from it. Record n begins at whole number n << 5 and at float n << 4.
 */
export const PORT_SHIFT = 5;
export const PORT_FLOAT_SHIFT = 4;

/** Packets on the link, oldest first; -1 when none. */
export const LINK_HEAD = 0;
export const LINK_TAIL = 1;
/** Node that owns the port, and the node and the port at the other end. */
export const NODE = 2;
export const FAR_NODE = 3;
export const FAR_PORT = 4;
/** 1 while the port forwards. */
export const FORWARDING = 5;
/** Bit q: queue q holds packets. */
export const WAITING = 6;
/** Bit q: the far end has paused priority q. */
export const PAUSED = 7;
/** Priority that was served last. */
export const TURN = 8;
/** Span direction that the link is, -1 for a cable. */
export const SPAN = 9;
/** Bit q: this port, as an ingress, has paused priority q at the far end. */
export const HOLDING = 10;
/** Bit q: this port, as an ingress, pauses priority q when its account is full. */
export const PAUSES = 11;
/** As floats: end of the transmission in progress, ps. */
export const BUSY_UNTIL = 6;
export const PS_PER_BYTE = 7;
export const DELAY = 8;
/** Latest arrival that the link has promised, ps. */
export const LAST_ARRIVAL = 9;
/** Time per byte that a train may arrive early at the far end: that of its fastest port; 0 at hosts. */
export const EARLY_PS_PER_BYTE = 10;
export const TX_BYTES = 11;
export const RX_BYTES = 12;
export const RX_PACKETS = 13;
export const DROPS = 14;
/** Queue length from which on departing packets may be marked, bytes; Infinity for never. */
export const MARKS_FROM = 15;

/* A queue is a record of 32 bytes: head and tail, then three float64. Record n begins at whole number n << 3 and at float n << 2. */
export const QUEUE_INT_SHIFT = 3;
export const QUEUE_FLOAT_SHIFT = 2;
export const HEAD = 0;
export const TAIL = 1;
export const DEPTH_BYTES = 1;
/** Packets sent since the start. */
export const SENT = 2;
export const PEAK_BYTES = 3;

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
  const memory = new ArrayBuffer(count << 7);
  const queueMemory = new ArrayBuffer((count * PRIORITIES) << 5);
  const ports: Ports = {
    count,
    ints: new Int32Array(memory),
    floats: new Float64Array(memory),
    queueInts: new Int32Array(queueMemory),
    queueFloats: new Float64Array(queueMemory),
  };
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
