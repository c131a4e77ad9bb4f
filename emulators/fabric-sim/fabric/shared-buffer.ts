import type { Pfc } from './pfc.ts';
import * as portLayout from './ports.ts';
import type { Ports } from './ports.ts';

// Copies: V8 folds a module's own constants into its code, imported ones are read at each use.
const { HELD_BYTES, HOLDS, OVER_BYTES, PRIORITIES, QUEUE_FLOAT_SHIFT, QUEUE_INT_SHIFT, QUEUE_SHIFT } = portLayout;

/** The HPCC artefact's switch resumes 3 KB below the dynamic threshold. */
const RESUME_OFFSET_BYTES = 3000;

export interface SharedBufferOptions {
  readonly ports: Ports;
  readonly nodes: number;
  readonly bufferBytes: number;
  readonly pfc: Pfc;
  /** Bytes of each switch that are kept for what is in flight after a pause. */
  readonly reserveBytes: Float64Array;
  /** Per port; see {@link createSharedBuffer}. */
  readonly xoffBytes: Float64Array;
  readonly xonBytes: Float64Array;
  readonly headroomBytes: Float64Array;
  /** Share of the free buffer at which an ingress pauses; Infinity for the fixed threshold alone. */
  readonly freeShare: number;
  /** Share of the free buffer that a queue without PFC may hold; Infinity for all of it. */
  readonly lossyShare: number;
}

/**
 * The packet memory of each switch, shared by all ports.
 *
 * - **Lossy** packets (priorities without PFC, whatever came over a span) are taken while their queue holds less than `lossyShare` of
 *   the free buffer (dynamic threshold: Choudhury and Hahne, IEEE/ACM ToN 6(2), 1998) and less than the queue limit; never from the
 *   reserve.
 * - **Lossless** packets are counted per ingress port and priority. The ingress pauses its feeder when they exceed
 *   min(xoff, `freeShare` of the free buffer) and resumes it at min(xon, that share - 3 KB). What arrives while it holds goes on the
 *   account of its headroom and is lost when that is full: headroom that is too small loses packets, as in a switch.
 *
 * The shares and the offset are those of the HPCC artefact's switch (dynamic threshold shift 3, resume offset 3 KB).
 */
export interface SharedBuffer {
  /** Whether a switch has room. `ingress` is the account (port x 8 + priority) of a lossless packet, -1 for others, which a queue limit binds. */
  admits(node: number, ingress: number, bytes: number, queueBytes: number, queueLimitBytes: number): boolean;
  /** A packet goes into memory. */
  add(node: number, ingress: number, bytes: number, nowPs: number): void;
  /** A packet has left memory. */
  remove(node: number, ingress: number, bytes: number, nowPs: number): void;
  /** Bytes in memory, by node. */
  readonly usedBytes: Float64Array;
}

export function createSharedBuffer(options: SharedBufferOptions): SharedBuffer {
  const { bufferBytes, pfc, reserveBytes, xoffBytes, xonBytes, headroomBytes, freeShare, lossyShare } = options;
  const { queueInts, queueFloats } = options.ports;
  const usedBytes = new Float64Array(options.nodes);

  function admits(node: number, ingress: number, bytes: number, queueBytes: number, queueLimitBytes: number): boolean {
    const used = (usedBytes[node] as number) + bytes;
    if (ingress >= 0) {
      if (used > bufferBytes) return false;
      if (!holds(ingress)) return true;
      const room = headroomBytes[ingress >> QUEUE_SHIFT] as number;
      return (queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + OVER_BYTES] as number) + bytes <= room;
    }
    const free = bufferBytes - (reserveBytes[node] as number) - used;
    return free >= 0 && queueBytes + bytes <= queueLimitBytes && queueBytes <= lossyShare * (free + bytes);
  }

  function holds(ingress: number): boolean {
    return queueInts[(ingress << QUEUE_INT_SHIFT) + HOLDS] === 1;
  }

  function add(node: number, ingress: number, bytes: number, nowPs: number): void {
    usedBytes[node] = (usedBytes[node] as number) + bytes;
    if (ingress < 0) return;
    const held = (queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + HELD_BYTES] as number) + bytes;
    queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + HELD_BYTES] = held;
    if (holds(ingress)) {
      queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + OVER_BYTES] =
        (queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + OVER_BYTES] as number) + bytes;
      return;
    }
    const port = ingress >> QUEUE_SHIFT;
    if (held > (xoffBytes[port] as number) || held > freeBytes(node) * freeShare) {
      queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + OVER_BYTES] = 0;
      pfc.hold(port, ingress & (PRIORITIES - 1), true, nowPs);
    }
  }

  function remove(node: number, ingress: number, bytes: number, nowPs: number): void {
    usedBytes[node] = (usedBytes[node] as number) - bytes;
    if (ingress < 0) return;
    const held = (queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + HELD_BYTES] as number) - bytes;
    queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + HELD_BYTES] = held;
    const over = queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + OVER_BYTES] as number;
    if (over > 0) queueFloats[(ingress << QUEUE_FLOAT_SHIFT) + OVER_BYTES] = over > bytes ? over - bytes : 0;
    if (!holds(ingress)) return;
    const port = ingress >> QUEUE_SHIFT;
    if (held <= 0 || (held <= (xonBytes[port] as number) && held <= freeBytes(node) * freeShare - RESUME_OFFSET_BYTES))
      pfc.hold(port, ingress & (PRIORITIES - 1), false, nowPs);
  }

  function freeBytes(node: number): number {
    return bufferBytes - (reserveBytes[node] as number) - (usedBytes[node] as number);
  }

  return { admits, add, remove, usedBytes };
}
