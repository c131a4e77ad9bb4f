/** Largest time that is still an exact integer in a float64: 2^53 ps = 9007.2 s = 2.5 h. */
export const MAX_TIME_PS = Number.MAX_SAFE_INTEGER;

/**
 * Priority queue of (time, source) pairs: a 4-ary heap over typed arrays; nothing is allocated per event.
 * A source is a small number that says who is to be woken (a link, a port, a timer).
 *
 * Order is total and does not depend on the scheduler: earlier time first, then the smaller source. A source keeps at
 * most a few pending events, so a wheel or another heap would pop the same sequence.
 *
 * `take` leaves a hole at the root which the next `push` fills (root replacement): most events plan their own successor,
 * and one sift is then saved. Layout and trick after a measured comparison of heaps and wheels for packet events.
 */
export class EventQueue {
  private times = new Float64Array(1024);
  private sources = new Int32Array(1024);
  private length = 0;
  private hole = false;

  /** Time of the earliest event, ps; Infinity when there is none. */
  peek(): number {
    if (this.hole) this.close();
    return this.length === 0 ? Number.POSITIVE_INFINITY : (this.times[0] as number);
  }

  /** Removes the earliest event and answers its source. Call only after `peek` answered a finite time. */
  take(): number {
    this.hole = true;
    return this.sources[0] as number;
  }

  /** @throws RangeError when the time is past 2^53 ps or not a number */
  push(timePs: number, source: number): void {
    if (!(timePs <= MAX_TIME_PS)) throw new RangeError(`Virtual time ${timePs} ps is beyond 2^53 ps (2.5 h).`);
    if (this.hole) {
      this.hole = false;
      this.siftDown(timePs, source);
      return;
    }
    if (this.length === this.times.length) this.grow();
    const times = this.times;
    const sources = this.sources;
    let at = this.length++;
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

  private close(): void {
    this.hole = false;
    this.length--;
    if (this.length > 0) this.siftDown(this.times[this.length] as number, this.sources[this.length] as number);
  }

  private siftDown(timePs: number, source: number): void {
    const times = this.times;
    const sources = this.sources;
    const length = this.length;
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
      if (leastTime > timePs || (leastTime === timePs && (sources[least] as number) >= source)) break;
      times[at] = leastTime;
      sources[at] = sources[least] as number;
      at = least;
    }
    times[at] = timePs;
    sources[at] = source;
  }

  private grow(): void {
    const times = new Float64Array(this.times.length * 2);
    times.set(this.times);
    this.times = times;
    const sources = new Int32Array(this.sources.length * 2);
    sources.set(this.sources);
    this.sources = sources;
  }
}
