/** Largest time that is still an exact integer in a float64: 2^53 ps = 9007.2 s = 2.5 h. */
export const MAX_TIME_PS = Number.MAX_SAFE_INTEGER;

const BUCKET_BITS = 15;
const BUCKETS = 1 << BUCKET_BITS;
const MASK = BUCKETS - 1;
const NEVER = Number.POSITIVE_INFINITY;

/** Where a source's pending event is. */
const NOWHERE = 0;
const WHEEL = 1;
const FAR = 2;

/**
 * Priority queue of (time, source) pairs: a timing wheel; nothing is allocated per event.
 *
 * A source is a small number that says who is to be woken (a link, a port, a timer). Each has at most one pending event, so the
 * events are two flat arrays indexed by source, and a bucket is a list threaded through them. What makes it fast:
 *
 * - **One event per FIFO.** A link wakes for its oldest packet only, so the queue holds a few entries per port, not one per packet.
 * - **Wheel.** 2^15 buckets of `bucketPs` each; an event goes to its bucket in O(1) and is sorted there among the one or two others
 *   (choose `bucketPs` near the mean time between events). A two-level bitmap finds the next bucket that is not empty.
 * - **Far heap.** What lies beyond the wheel's span (milliseconds: timeouts, long spans) waits in a 4-ary heap and moves into the
 *   wheel when its time is near.
 *
 * Order is total and does not depend on the scheduler: earlier time first, then the smaller source. Any other queue would
 * answer the same sequence. (R. Brown, "Calendar queues", CACM 31(10), 1988; Varghese & Lauck, "Hashed and hierarchical timing
 * wheels", SOSP 1987.)
 */
export class EventQueue {
  /** Time of the event that `next` answered last, ps. */
  timePs = 0;

  private next_ = new Int32Array(1024);
  private times = new Float64Array(1024);
  private where = new Uint8Array(1024);
  private readonly heads = new Int32Array(BUCKETS).fill(-1);
  private readonly words = new Int32Array(BUCKETS >> 5);
  private readonly summary = new Int32Array(BUCKETS >> 10);
  private readonly bucketPs: number;
  private readonly perPs: number;
  private readonly spanPs: number;
  /** The bucket that the clock is in, and the time at which it begins. */
  private bucket = 0;
  private beginPs = 0;
  /** Events in the wheel. */
  private count = 0;

  private farTimes = new Float64Array(256);
  private farSources = new Int32Array(256);
  private farCount = 0;

  /** @throws RangeError when the width is not a power of two (others would not divide exactly) */
  constructor(bucketPs = 1024) {
    if (!Number.isInteger(Math.log2(bucketPs)) || bucketPs < 1)
      throw new RangeError(`A bucket of ${bucketPs} ps is no power of two.`);
    this.bucketPs = bucketPs;
    this.perPs = 1 / bucketPs;
    this.spanPs = bucketPs * BUCKETS;
  }

  isPending(source: number): boolean {
    return (this.where[source] ?? NOWHERE) !== NOWHERE;
  }

  /** Time at which the source is due, ps; Infinity when it has no event. */
  dueAt(source: number): number {
    return this.isPending(source) ? (this.times[source] as number) : NEVER;
  }

  /**
   * Wakes `source` at `timePs`. It must have no pending event, and the time must not lie before that of the last event taken.
   *
   * @throws RangeError when the time is past 2^53 ps or not a number
   */
  push(timePs: number, source: number): void {
    if (!(timePs <= MAX_TIME_PS)) throw new RangeError(`Virtual time ${timePs} ps is beyond 2^53 ps (2.5 h).`);
    if (source >= this.times.length) this.grow(source);
    const times = this.times;
    times[source] = timePs;
    const ahead = timePs - this.beginPs;
    if (ahead >= this.spanPs) {
      this.where[source] = FAR;
      this.pushFar(timePs, source);
      return;
    }
    this.where[source] = WHEEL;
    this.count++;
    const bucket = (this.bucket + ((ahead * this.perPs) | 0)) & MASK;
    const next = this.next_;
    let before = this.heads[bucket] as number;
    if (before === -1) {
      next[source] = -1;
      this.heads[bucket] = source;
      const word = bucket >> 5;
      this.words[word] = (this.words[word] as number) | (1 << (bucket & 31));
      this.summary[word >> 5] = (this.summary[word >> 5] as number) | (1 << (word & 31));
      return;
    }
    const first = times[before] as number;
    if (timePs < first || (timePs === first && source < before)) {
      next[source] = before;
      this.heads[bucket] = source;
      return;
    }
    let after = next[before] as number;
    while (after !== -1) {
      const time = times[after] as number;
      if (time > timePs || (time === timePs && after > source)) break;
      before = after;
      after = next[before] as number;
    }
    next[source] = after;
    next[before] = source;
  }

  /** Makes sure that `source` is woken at `timePs` or earlier. */
  pushEarlier(timePs: number, source: number): void {
    if (this.isPending(source)) {
      if ((this.times[source] as number) <= timePs) return;
      this.remove(source);
    }
    this.push(timePs, source);
  }

  /** Forgets the pending event of a source, if there is one. */
  remove(source: number): void {
    const where = this.where[source] ?? NOWHERE;
    if (where === NOWHERE) return;
    this.where[source] = NOWHERE;
    if (where === FAR) return; // its entry in the heap is stale now and will be skipped
    this.count--;
    const ahead = (this.times[source] as number) - this.beginPs;
    const bucket = (this.bucket + ((ahead * this.perPs) | 0)) & MASK;
    const next = this.next_;
    let at = this.heads[bucket] as number;
    if (at === source) {
      this.heads[bucket] = next[source] as number;
      if (next[source] === -1) this.clear(bucket);
      return;
    }
    while (next[at] !== source) at = next[at] as number;
    next[at] = next[source] as number;
  }

  /** Takes the earliest event that is due at `limitPs` or before, and answers its source; -1 when there is none. */
  next(limitPs: number): number {
    let bucket = this.bucket;
    let source = this.heads[bucket] as number;
    if (source === -1) {
      bucket = this.search(limitPs);
      if (bucket === -1) return -1;
      source = this.heads[bucket] as number;
    }
    const time = this.times[source] as number;
    if (time > limitPs) return -1;
    if (bucket !== this.bucket) {
      this.beginPs += ((bucket - this.bucket) & MASK) * this.bucketPs;
      this.bucket = bucket;
    }
    this.timePs = time;
    this.count--;
    this.where[source] = NOWHERE;
    const after = this.next_[source] as number;
    this.heads[bucket] = after;
    if (after === -1) this.clear(bucket);
    return source;
  }

  private clear(bucket: number): void {
    const word = bucket >> 5;
    const left = (this.words[word] as number) & ~(1 << (bucket & 31));
    this.words[word] = left;
    if (left === 0) this.summary[word >> 5] = (this.summary[word >> 5] as number) & ~(1 << (word & 31));
  }

  /** The first bucket from the clock's on that holds something. The clock's own is empty. -1 when nothing is due by `limitPs`. */
  private search(limitPs: number): number {
    while (this.farCount > 0 && (this.farTimes[0] as number) - this.beginPs < this.spanPs) this.takeFar();
    while (this.count === 0) {
      // Only far events are left: the clock jumps, but never past the limit, or an earlier push would find no bucket.
      if (this.farCount === 0 || (this.farTimes[0] as number) > limitPs) return -1;
      this.beginPs = Math.floor((this.farTimes[0] as number) / this.bucketPs) * this.bucketPs;
      while (this.farCount > 0 && (this.farTimes[0] as number) - this.beginPs < this.spanPs) this.takeFar();
    }
    let word = this.bucket >> 5;
    let bits = (this.words[word] as number) & (-1 << (this.bucket & 31));
    if (bits === 0) {
      let group = word >> 5;
      // -1 << 32 is -1 << 0: the last word of a group has none after it.
      let some = (word & 31) === 31 ? 0 : (this.summary[group] as number) & (-1 << ((word & 31) + 1));
      while (some === 0) {
        group = (group + 1) & ((BUCKETS >> 10) - 1);
        some = this.summary[group] as number;
      }
      word = (group << 5) | (31 - Math.clz32(some & -some));
      bits = this.words[word] as number;
    }
    return (word << 5) | (31 - Math.clz32(bits & -bits));
  }

  // ---- the far heap: 4-ary, ordered by time and then source ---------------------------------------------------------

  private pushFar(timePs: number, source: number): void {
    if (this.farCount === this.farTimes.length) {
      const times = new Float64Array(this.farCount * 2);
      times.set(this.farTimes);
      this.farTimes = times;
      const sources = new Int32Array(this.farCount * 2);
      sources.set(this.farSources);
      this.farSources = sources;
    }
    const times = this.farTimes;
    const sources = this.farSources;
    let at = this.farCount++;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      const parentTime = times[parent] as number;
      if (parentTime < timePs || (parentTime === timePs && (sources[parent] as number) <= source)) break;
      times[at] = parentTime;
      sources[at] = sources[parent] as number;
      at = parent;
    }
    times[at] = timePs;
    sources[at] = source;
  }

  /** Moves the heap's first entry into the wheel, or drops it when its event was removed meanwhile. */
  private takeFar(): void {
    const times = this.farTimes;
    const sources = this.farSources;
    const timePs = times[0] as number;
    const source = sources[0] as number;
    const length = --this.farCount;
    if (length > 0) {
      const lastTime = times[length] as number;
      const lastSource = sources[length] as number;
      let at = 0;
      for (;;) {
        const first = (at << 2) + 1;
        if (first >= length) break;
        let least = first;
        let leastTime = times[first] as number;
        const end = first + 4 < length ? first + 4 : length;
        for (let child = first + 1; child < end; child++) {
          const time = times[child] as number;
          if (time < leastTime || (time === leastTime && (sources[child] as number) < (sources[least] as number))) {
            least = child;
            leastTime = time;
          }
        }
        if (leastTime > lastTime || (leastTime === lastTime && (sources[least] as number) >= lastSource)) break;
        times[at] = leastTime;
        sources[at] = sources[least] as number;
        at = least;
      }
      times[at] = lastTime;
      sources[at] = lastSource;
    }
    if (this.where[source] === FAR && this.times[source] === timePs) this.push(timePs, source);
  }

  private grow(source: number): void {
    const length = Math.max(this.times.length * 2, source + 1);
    const next = new Int32Array(length);
    next.set(this.next_);
    this.next_ = next;
    const times = new Float64Array(length);
    times.set(this.times);
    this.times = times;
    const where = new Uint8Array(length);
    where.set(this.where);
    this.where = where;
  }
}
