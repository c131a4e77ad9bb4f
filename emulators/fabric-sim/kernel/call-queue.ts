import { MAX_TIME_PS } from './event-queue.ts';

interface Call {
  readonly atPs: number;
  readonly sequence: number;
  readonly run: () => void;
}

const before = (a: Call, b: Call): boolean => a.atPs < b.atPs || (a.atPs === b.atPs && a.sequence < b.sequence);

/** Calls asked for from outside, in order of time and then of asking. A binary heap: such calls are rare beside packets. */
export class CallQueue {
  /** Time of the earliest call, ps; Infinity when there is none. A field: it is read before every event. */
  nextPs = Number.POSITIVE_INFINITY;
  private readonly heap: Call[] = [];
  private readonly latestPs: number;
  private sequence = 0;

  /** Packets' times are exact up to 2^53 ps; who needs no single picoseconds may go on. */
  constructor(latestPs = MAX_TIME_PS) {
    this.latestPs = latestPs;
  }

  get size(): number {
    return this.heap.length;
  }

  /** @throws RangeError when the time is no integer in 0..`latestPs` */
  push(atPs: number, run: () => void): void {
    if (!Number.isInteger(atPs) || atPs < 0 || atPs > this.latestPs)
      throw new RangeError(`${atPs} is not a virtual time in integer ps up to ${this.latestPs}.`);
    const call = { atPs, sequence: this.sequence++, run };
    const heap = this.heap;
    let at = heap.push(call) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(call, heap[parent] as Call)) break;
      heap[at] = heap[parent] as Call;
      at = parent;
    }
    heap[at] = call;
    this.nextPs = (heap[0] as Call).atPs;
  }

  /** Removes the earliest call. Only while `nextPs` is finite. */
  take(): () => void {
    const heap = this.heap;
    const top = heap[0] as Call;
    const last = heap.pop() as Call;
    if (heap.length > 0) {
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1] as Call, heap[child] as Call)) child++;
        if (!before(heap[child] as Call, last)) break;
        heap[at] = heap[child] as Call;
        at = child;
      }
      heap[at] = last;
    }
    this.nextPs = heap[0]?.atPs ?? Number.POSITIVE_INFINITY;
    return top.run;
  }
}
