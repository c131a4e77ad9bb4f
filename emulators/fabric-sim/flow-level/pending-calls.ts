interface Call {
  readonly atPs: number;
  readonly sequence: number;
  readonly run: () => void;
}

const before = (a: Call, b: Call): boolean => a.atPs < b.atPs || (a.atPs === b.atPs && a.sequence < b.sequence);

/** Calls in order of time, then of asking: a binary heap. */
export class PendingCalls {
  private readonly heap: Call[] = [];
  private sequence = 0;

  get size(): number {
    return this.heap.length;
  }

  /** Time of the earliest call, ps; Infinity when there is none. */
  peekPs(): number {
    return this.heap[0]?.atPs ?? Number.POSITIVE_INFINITY;
  }

  push(atPs: number, run: () => void): void {
    if (!Number.isInteger(atPs) || atPs < 0) throw new RangeError(`${atPs} is not a virtual time in whole ps.`);
    const call = { atPs, sequence: this.sequence++, run };
    const { heap } = this;
    let at = heap.push(call) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(call, heap[parent] as Call)) break;
      heap[at] = heap[parent] as Call;
      at = parent;
    }
    heap[at] = call;
  }

  /** Removes the earliest call, of which there must be one. */
  take(): () => void {
    const { heap } = this;
    const top = heap[0] as Call;
    const last = heap.pop() as Call;
    if (heap.length === 0) return top.run;
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
    return top.run;
  }
}
