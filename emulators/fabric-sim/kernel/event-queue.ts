import { cacheLines } from './cache-lines.ts';

/** Largest time that is still an exact integer in a float64: 2^53 ps = 9007.2 s = 2.5 h. */
export const MAX_TIME_PS = Number.MAX_SAFE_INTEGER;

const NEVER = Number.POSITIVE_INFINITY;

/**
 * Places in the clock. Numbers that change with every event live in typed arrays: in a variable of a closure each new fraction or
 * large number would be a new object on the heap.
 */
export const NOW = 0;
const BEGIN = 1;
/** Pushes until now, where they count. */
const PUSHES = 2;

/** Events that are sorted by insertion before they are merged. */
const RUN = 16;
const FOLLOWING = 2;
const PLACE = 3;

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
 * - **Wheel.** `buckets` of `bucketPs` each, as few as span the usual delays, so that the wheel stays in the nearest cache; an event goes to its bucket in O(1); a bucket is sorted when the clock comes to it, so that thousands of events on one
 *   picosecond (all hosts start at once, at one rate) cost n log n and not n^2 (choose `bucketPs` near the mean time between events). A two-level bitmap finds the next bucket that is not empty.
 * - **Far heap.** What lies beyond the wheel's span (milliseconds: timeouts, long spans) waits in a 4-ary heap and moves into the
 *   wheel when its time is near.
 *
 * Order is total and does not depend on the scheduler: earlier time first, then the smaller source (or the earlier push, see `ties`). Any other queue would
 * answer the same sequence. (R. Brown, "Calendar queues", CACM 31(10), 1988; Varghese & Lauck, "Hashed and hierarchical timing
 * wheels", SOSP 1987.)
 */
export interface EventQueue {
  /** `clock[NOW]`: time of the event that `next` answered last, ps; its owner may move it on to a time before the next event. */
  readonly clock: Float64Array;
  isPending(source: number): boolean;
  /** Time at which the source is due, ps; Infinity when it has no event. */
  dueAt(source: number): number;
  /**
   * Wakes `source` at `timePs`. It must have no pending event, and the time must not lie before that of the last event taken.
   *
   * @throws RangeError when the time is past 2^53 ps or not a number
   */
  push(timePs: number, source: number): void;
  /** Makes sure that `source` is woken at `timePs` or earlier. */
  pushEarlier(timePs: number, source: number): void;
  /** Forgets the pending event of a source, if there is one. */
  remove(source: number): void;
  /** Takes the earliest event that is due at `limitPs` or before, and answers its source; -1 when there is none. */
  next(limitPs: number): number;
}

/**
 * A queue for the sources 0 to `sources` - 1.
 *
 * @throws RangeError when the width or the number of buckets is not a power of two (others would not divide exactly), or the buckets
 * are fewer than 1024
 */
export function createEventQueue({
  bucketPs,
  buckets,
  sources,
  ties = 'by-source',
}: {
  readonly bucketPs: number;
  readonly buckets: number;
  readonly sources: number;
  /** Which of two events of one time comes first: that of the smaller source (the default), or the one that was pushed first. */
  readonly ties?: 'by-source' | 'as-scheduled';
}): EventQueue {
  if (!Number.isInteger(Math.log2(bucketPs)) || bucketPs < 1)
    throw new RangeError(`A bucket of ${bucketPs} ps is no power of two.`);
  if (!Number.isInteger(Math.log2(buckets)) || buckets < 1024)
    throw new RangeError(`${buckets} buckets are no power of two from 1024 on.`);
  const mask = buckets - 1;
  const groupMask = (buckets >> 10) - 1;
  // An event is a record of 16 bytes: its time as float, then two whole numbers: the next in its bucket, and where it is.
  const { ints: events, floats: times } = cacheLines(sources << 4);
  /** Where pushes count: the number of each source's last one. */
  const turns = ties === 'as-scheduled' ? new Float64Array(sources) : undefined;
  const heads = new Int32Array(buckets).fill(-1);
  const words = new Int32Array(buckets >> 5);
  const summary = new Int32Array(buckets >> 10);
  const perPs = 1 / bucketPs;
  const spanPs = bucketPs * buckets;
  const clock = new Float64Array(3);
  /** The bucket that the clock is in; `clock[BEGIN]` is the time at which it begins. */
  let clockBucket = 0;
  /** Events in the wheel. */
  let count = 0;
  let farTimes = new Float64Array(256);
  let farSources = new Int32Array(256);
  let farCount = 0;
  /** The one bucket whose events are in order, its last event, and what sorting needs. */
  let sorted = -1;
  let tail = -1;
  let inOrder = new Int32Array(64);
  let merged = new Int32Array(64);

  function isPending(source: number): boolean {
    return (events[(source << 2) + PLACE] as number) !== NOWHERE;
  }

  function dueAt(source: number): number {
    return isPending(source) ? (times[source << 1] as number) : NEVER;
  }

  function push(timePs: number, source: number): void {
    if (!(timePs <= MAX_TIME_PS)) throw new RangeError(`Virtual time ${timePs} ps is beyond 2^53 ps (2.5 h).`);
    // What comes back from the far heap keeps its turn.
    if (turns !== undefined && events[(source << 2) + PLACE] === NOWHERE)
      turns[source] = clock[PUSHES] = (clock[PUSHES] as number) + 1;
    times[source << 1] = timePs;
    const ahead = timePs - (clock[BEGIN] as number);
    if (ahead >= spanPs) {
      events[(source << 2) + PLACE] = FAR;
      pushFar(timePs, source);
      return;
    }
    events[(source << 2) + PLACE] = WHEEL;
    count++;
    const bucket = (clockBucket + ((ahead * perPs) | 0)) & mask;
    let before = heads[bucket] as number;
    if (before === -1) {
      events[(source << 2) + FOLLOWING] = -1;
      heads[bucket] = source;
      const word = bucket >> 5;
      words[word] = (words[word] as number) | (1 << (bucket & 31));
      summary[word >> 5] = (summary[word >> 5] as number) | (1 << (word & 31));
      if (bucket === sorted) tail = source;
      return;
    }
    if (bucket !== sorted) {
      events[(source << 2) + FOLLOWING] = before;
      heads[bucket] = source;
      return;
    }
    const last = times[tail << 1] as number;
    if (last < timePs || (last === timePs && goesBefore(tail, source))) {
      events[(source << 2) + FOLLOWING] = -1;
      events[(tail << 2) + FOLLOWING] = source;
      tail = source;
      return;
    }
    const first = times[before << 1] as number;
    if (timePs < first || (timePs === first && goesBefore(source, before))) {
      events[(source << 2) + FOLLOWING] = before;
      heads[bucket] = source;
      return;
    }
    let after = events[(before << 2) + FOLLOWING] as number;
    while (after !== -1) {
      const time = times[after << 1] as number;
      if (time > timePs || (time === timePs && goesBefore(source, after))) break;
      before = after;
      after = events[(before << 2) + FOLLOWING] as number;
    }
    events[(source << 2) + FOLLOWING] = after;
    events[(before << 2) + FOLLOWING] = source;
  }

  function goesBefore(source: number, other: number): boolean {
    return turns === undefined ? source < other : (turns[source] as number) < (turns[other] as number);
  }

  function pushEarlier(timePs: number, source: number): void {
    if (isPending(source)) {
      if ((times[source << 1] as number) <= timePs) return;
      remove(source);
    }
    push(timePs, source);
  }

  function remove(source: number): void {
    const place = events[(source << 2) + PLACE] as number;
    if (place === NOWHERE) return;
    events[(source << 2) + PLACE] = NOWHERE;
    if (place === FAR) return; // its entry in the heap is stale now and will be skipped
    count--;
    const ahead = (times[source << 1] as number) - (clock[BEGIN] as number);
    const bucket = (clockBucket + ((ahead * perPs) | 0)) & mask;
    let at = heads[bucket] as number;
    if (at === source) {
      heads[bucket] = events[(source << 2) + FOLLOWING] as number;
      if (events[(source << 2) + FOLLOWING] === -1) clear(bucket);
      return;
    }
    while (events[(at << 2) + FOLLOWING] !== source) at = events[(at << 2) + FOLLOWING] as number;
    if (source === tail) tail = at;
    events[(at << 2) + FOLLOWING] = events[(source << 2) + FOLLOWING] as number;
  }

  function next(limitPs: number): number {
    let bucket = clockBucket;
    let source = heads[bucket] as number;
    if (source === -1) {
      bucket = search(limitPs);
      if (bucket === -1) return -1;
      source = heads[bucket] as number;
    }
    if (bucket !== sorted) {
      sorted = bucket;
      tail = source;
      if (events[(source << 2) + FOLLOWING] !== -1) source = sort(bucket);
    }
    const time = times[source << 1] as number;
    if (time > limitPs) return -1;
    if (bucket !== clockBucket) {
      clock[BEGIN] = (clock[BEGIN] as number) + ((bucket - clockBucket) & mask) * bucketPs;
      clockBucket = bucket;
    }
    clock[NOW] = time;
    count--;
    events[(source << 2) + PLACE] = NOWHERE;
    const after = events[(source << 2) + FOLLOWING] as number;
    heads[bucket] = after;
    if (after === -1) clear(bucket);
    return source;
  }

  /** Puts a bucket's events in order; answers the first. They lie in it youngest first, so what was asked for in order needs one look. */
  function sort(bucket: number): number {
    let size = 0;
    for (let at = heads[bucket] as number; at !== -1; at = events[(at << 2) + FOLLOWING] as number) size++;
    if (size > inOrder.length) {
      inOrder = new Int32Array(2 * size);
      merged = new Int32Array(2 * size);
    }
    let place = size;
    for (let at = heads[bucket] as number; at !== -1; at = events[(at << 2) + FOLLOWING] as number)
      inOrder[--place] = at;
    // Short runs by insertion, then merged two by two.
    for (let from = 0; from < size; from += RUN) {
      const to = from + RUN < size ? from + RUN : size;
      for (let i = from + 1; i < to; i++) {
        const source = inOrder[i] as number;
        let at = i;
        while (at > from && isBefore(source, inOrder[at - 1] as number)) {
          inOrder[at] = inOrder[at - 1] as number;
          at--;
        }
        inOrder[at] = source;
      }
    }
    for (let width = RUN; width < size; width *= 2) {
      for (let from = 0; from < size; from += 2 * width) {
        const middle = Math.min(from + width, size);
        const to = Math.min(from + 2 * width, size);
        let left = from;
        let right = middle;
        for (let i = from; i < to; i++) {
          const takesLeft =
            left < middle && (right >= to || isBefore(inOrder[left] as number, inOrder[right] as number));
          merged[i] = inOrder[takesLeft ? left++ : right++] as number;
        }
      }
      [inOrder, merged] = [merged, inOrder];
    }
    for (let i = 1; i < size; i++) events[((inOrder[i - 1] as number) << 2) + FOLLOWING] = inOrder[i] as number;
    tail = inOrder[size - 1] as number;
    events[(tail << 2) + FOLLOWING] = -1;
    const first = inOrder[0] as number;
    heads[bucket] = first;
    return first;
  }

  function isBefore(source: number, other: number): boolean {
    const time = times[source << 1] as number;
    const otherTime = times[other << 1] as number;
    return time < otherTime || (time === otherTime && goesBefore(source, other));
  }

  function clear(bucket: number): void {
    const word = bucket >> 5;
    const left = (words[word] as number) & ~(1 << (bucket & 31));
    words[word] = left;
    if (left === 0) summary[word >> 5] = (summary[word >> 5] as number) & ~(1 << (word & 31));
  }

  /** The first bucket from the clock's on that holds something. The clock's own is empty. -1 when nothing is due by `limitPs`. */
  function search(limitPs: number): number {
    while (farCount > 0 && (farTimes[0] as number) - (clock[BEGIN] as number) < spanPs) takeFar();
    while (count === 0) {
      // Only far events are left: the clock jumps, but never past the limit, or an earlier push would find no bucket.
      if (farCount === 0 || (farTimes[0] as number) > limitPs) return -1;
      clock[BEGIN] = Math.floor((farTimes[0] as number) / bucketPs) * bucketPs;
      while (farCount > 0 && (farTimes[0] as number) - (clock[BEGIN] as number) < spanPs) takeFar();
    }
    let word = clockBucket >> 5;
    let bits = (words[word] as number) & (-1 << (clockBucket & 31));
    if (bits === 0) {
      let group = word >> 5;
      // -1 << 32 is -1 << 0: the last word of a group has none after it.
      let some = (word & 31) === 31 ? 0 : (summary[group] as number) & (-1 << ((word & 31) + 1));
      while (some === 0) {
        group = (group + 1) & groupMask;
        some = summary[group] as number;
      }
      word = (group << 5) | (31 - Math.clz32(some & -some));
      bits = words[word] as number;
    }
    return (word << 5) | (31 - Math.clz32(bits & -bits));
  }

  // ---- the far heap: 4-ary, ordered by time and then source ---------------------------------------------------------

  function pushFar(timePs: number, source: number): void {
    if (farCount === farTimes.length) {
      const wider = new Float64Array(farCount * 2);
      wider.set(farTimes);
      farTimes = wider;
      const more = new Int32Array(farCount * 2);
      more.set(farSources);
      farSources = more;
    }
    let at = farCount++;
    while (at > 0) {
      const parent = (at - 1) >> 2;
      const parentTime = farTimes[parent] as number;
      if (parentTime < timePs || (parentTime === timePs && (farSources[parent] as number) <= source)) break;
      farTimes[at] = parentTime;
      farSources[at] = farSources[parent] as number;
      at = parent;
    }
    farTimes[at] = timePs;
    farSources[at] = source;
  }

  /** Moves the heap's first entry into the wheel, or drops it when its event was removed meanwhile. */
  function takeFar(): void {
    const timePs = farTimes[0] as number;
    const source = farSources[0] as number;
    const length = --farCount;
    if (length > 0) {
      const lastTime = farTimes[length] as number;
      const lastSource = farSources[length] as number;
      let at = 0;
      for (;;) {
        const first = (at << 2) + 1;
        if (first >= length) break;
        let least = first;
        let leastTime = farTimes[first] as number;
        const end = first + 4 < length ? first + 4 : length;
        for (let child = first + 1; child < end; child++) {
          const time = farTimes[child] as number;
          if (
            time < leastTime ||
            (time === leastTime && (farSources[child] as number) < (farSources[least] as number))
          ) {
            least = child;
            leastTime = time;
          }
        }
        if (leastTime > lastTime || (leastTime === lastTime && (farSources[least] as number) >= lastSource)) break;
        farTimes[at] = leastTime;
        farSources[at] = farSources[least] as number;
        at = least;
      }
      farTimes[at] = lastTime;
      farSources[at] = lastSource;
    }
    if (events[(source << 2) + PLACE] === FAR && times[source << 1] === timePs) push(timePs, source);
  }

  return {
    clock,
    isPending,
    dueAt,
    push,
    pushEarlier,
    remove,
    next,
  };
}
