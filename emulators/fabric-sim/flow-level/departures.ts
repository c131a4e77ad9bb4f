/** Something that ends at a time that may be moved. */
export interface Departing {
  readonly id: number;
  departPs: number;
  /** Place in the heap; -1 when not in it. */
  slot: number;
}

const before = (a: Departing, b: Departing): boolean =>
  a.departPs < b.departPs || (a.departPs === b.departPs && a.id < b.id);

/** Who departs next: a binary heap whose entries know their place, so that a new rate moves an entry instead of adding one. */
export class Departures<D extends Departing> {
  private readonly heap: D[] = [];

  peekPs(): number {
    return this.heap[0]?.departPs ?? Number.POSITIVE_INFINITY;
  }

  first(): D {
    return this.heap[0] as D;
  }

  /** Infinity takes it out. */
  set(entry: D, departPs: number): void {
    if (entry.departPs === departPs && entry.slot >= 0) return;
    entry.departPs = departPs;
    if (departPs === Number.POSITIVE_INFINITY) {
      this.remove(entry);
      return;
    }
    if (entry.slot < 0) entry.slot = this.heap.push(entry) - 1;
    this.rise(entry);
    this.sink(entry);
  }

  private remove(entry: D): void {
    if (entry.slot < 0) return;
    const last = this.heap.pop() as D;
    if (last !== entry) {
      last.slot = entry.slot;
      this.heap[last.slot] = last;
      this.rise(last);
      this.sink(last);
    }
    entry.slot = -1;
  }

  private rise(entry: D): void {
    const { heap } = this;
    while (entry.slot > 0) {
      const parent = heap[(entry.slot - 1) >> 1] as D;
      if (!before(entry, parent)) return;
      this.swap(entry, parent);
    }
  }

  private sink(entry: D): void {
    const { heap } = this;
    for (;;) {
      let child = heap[2 * entry.slot + 1];
      const right = heap[2 * entry.slot + 2];
      if (child === undefined) return;
      if (right !== undefined && before(right, child)) child = right;
      if (!before(child, entry)) return;
      this.swap(child, entry);
    }
  }

  private swap(a: D, b: D): void {
    [a.slot, b.slot] = [b.slot, a.slot];
    this.heap[a.slot] = a;
    this.heap[b.slot] = b;
  }
}
