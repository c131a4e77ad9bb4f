import { part } from './partition.ts';
import type { Connection } from './queue-pair.ts';

export interface RingPassOptions {
  /** `pairs[i]` leads from member i to member i + 1; the last leads to the first. */
  readonly pairs: readonly Connection[];
  /** Bytes that are cut into one chunk per member. */
  readonly bytes: number;
  readonly steps: number;
  /** The member whose chunk member 0 sends first: 0 for a reduce-scatter, 1 for the all-gather that follows one. */
  readonly firstChunk: number;
  /** A member has received everything that it waits for. */
  readonly onDone: (member: number) => void;
}

/**
 * `steps` pipelined steps around a ring: in step k member i sends chunk (i + firstChunk - k) mod n to its neighbour, as soon as it has received
 * the chunk of step k - 1 whole (Patarasuk & Yuan, "Bandwidth optimal all-reduce algorithms", JPDC 2009, section 4). There is no barrier, so a
 * latency is paid once on its way around the ring, not in every step. Whole chunks, because that is what the roofline's formula counts: finer
 * slices would hide the latency of the spans behind the slices queued before them.
 * Members may start at different times; what arrives earlier waits.
 */
export function ringPass(options: RingPassOptions): { start(member: number): void } {
  const { pairs, bytes, steps, firstChunk, onDone } = options;
  const n = pairs.length;
  const members = pairs.map(() => ({ started: false, received: 0, waiting: [] as number[] }));

  function send(member: number, step: number): void {
    const chunk = (((member + firstChunk - step) % n) + n) % n;
    (pairs[member] as Connection).send(part(bytes, n, chunk), { delivered: () => arrive((member + 1) % n, step) });
  }

  function arrive(at: number, step: number): void {
    const member = members[at] as (typeof members)[number];
    if (!member.started) {
      member.waiting.push(step);
      return;
    }
    member.received += 1;
    if (step + 1 < steps) send(at, step + 1);
    if (member.received === steps) onDone(at);
  }

  return {
    start(at) {
      const member = members[at] as (typeof members)[number];
      member.started = true;
      send(at, 0);
      for (const step of member.waiting.splice(0)) arrive(at, step);
    },
  };
}
