import { part } from './partition.ts';
import type { QueuePair } from './queue-pair.ts';

export interface RingPassOptions {
  /** `pairs[i]` leads from member i to member i + 1; the last leads to the first. */
  readonly pairs: readonly QueuePair[];
  /** Bytes that are cut into one chunk per member. */
  readonly bytes: number;
  readonly steps: number;
  /** The member whose chunk member 0 sends first: 0 for a reduce-scatter, 1 for the all-gather that follows one. */
  readonly firstChunk: number;
  /** A member has received everything that it waits for. */
  readonly onDone: (member: number) => void;
}

/** Chunks travel in slices of about this size, at most so many; NCCL cuts its chunks likewise (Simple protocol, 2 to 4 slices of up to 512 KiB). */
const SLICE_BYTES = 256 * 1024;
const MOST_SLICES = 8;

/**
 * `steps` pipelined steps around a ring: in step k member i sends chunk (i + firstChunk - k) mod n to its neighbour, each slice as soon as
 * the same slice of step k - 1 has arrived (Patarasuk & Yuan, "Bandwidth optimal all-reduce algorithms", JPDC 2009, section 4).
 * Members may start at different times; what arrives earlier waits.
 */
export function ringPass(options: RingPassOptions): { start(member: number): void } {
  const { pairs, bytes, steps, firstChunk, onDone } = options;
  const n = pairs.length;
  const slices = Math.min(MOST_SLICES, Math.max(1, Math.round(bytes / n / SLICE_BYTES)));
  const members = pairs.map(() => ({ started: false, received: 0, waiting: [] as [number, number][] }));

  const chunkBytes = (member: number, step: number) => part(bytes, n, (((member + firstChunk - step) % n) + n) % n);

  function send(member: number, step: number, slice: number): void {
    const size = part(chunkBytes(member, step), slices, slice);
    (pairs[member] as QueuePair).send(size, { delivered: () => arrive((member + 1) % n, step, slice) });
  }

  function arrive(at: number, step: number, slice: number): void {
    const member = members[at] as (typeof members)[number];
    if (!member.started) {
      member.waiting.push([step, slice]);
      return;
    }
    member.received += 1;
    if (step + 1 < steps) send(at, step + 1, slice);
    if (member.received === steps * slices) onDone(at);
  }

  return {
    start(at) {
      const member = members[at] as (typeof members)[number];
      member.started = true;
      for (let slice = 0; slice < slices; slice++) send(at, 0, slice);
      for (const [step, slice] of member.waiting.splice(0)) arrive(at, step, slice);
    },
  };
}
