import type { RawPortCounters } from '../binding/switch.ts';
import type { PortCounters } from '../model/record.ts';

type Key = keyof PortCounters;

/** Not counted since boot: the highest value since somebody last cleared it. Nothing here ever clears it. */
const WATERMARK = 'queuePeakBytes' satisfies Key;

interface Series {
  readonly base: bigint;
  last: bigint;
  /** It went backwards once: what it counted since the reservation can not be known any more. */
  broken: boolean;
}

/** A watermark as it was last read. `missed`: a reading since then failed. `broken`: a reboot began it anew since then. */
interface Watermark {
  readonly value: bigint;
  readonly as: 'read' | 'missed' | 'broken';
}

/**
 * Turns counters since boot into counters since the reservation. A counter that went backwards (reboot, `clear counters`) is null
 * from then on, even when it later passes its old value. A counter first seen after the baseline is null too: nobody knows what
 * it held at the reservation.
 *
 * A watermark runs since its last clear. When it rose since the last full reading, it is the peak of the time between; when it did
 * not, that peak was at most it (`queuePeakAtMostBytes`; a watermark of 0 is exact). When it fell, or the switch rebooted, what was
 * between the readings is lost: null, once.
 */
export class CounterHistory {
  readonly #series = new Map<string, Series>();
  readonly #known = new Map<string, Set<Key>>();
  readonly #watermarks = new Map<string, Watermark>();
  #baseline = true;

  /** From now on a counter that was never seen has no baseline. */
  baselineTaken(): void {
    this.#baseline = false;
  }

  /** Everything this node counted so far is discontinuous, as after a reboot. */
  breakNode(node: string): void {
    const own = `${node}\n`;
    for (const [key, series] of this.#series) if (key.startsWith(own)) series.broken = true;
    for (const [port, { value }] of this.#watermarks)
      if (port.startsWith(own)) this.#watermarks.set(port, { value, as: 'broken' });
  }

  /** A full reading of this port failed: a watermark that has risen by the next one may have risen before this one. */
  missed({ node, port }: { readonly node: string; readonly port: string }): void {
    const at = `${node}\n${port}`;
    const last = this.#watermarks.get(at);
    if (last?.as === 'read') this.#watermarks.set(at, { value: last.value, as: 'missed' });
  }

  /** Counters that this port has shown so far. */
  known({ node, port }: { readonly node: string; readonly port: string }): ReadonlySet<Key> {
    return this.#known.get(`${node}\n${port}`) ?? new Set();
  }

  /** @returns the counters for the record, and the names of those that went backwards just now */
  since(
    at: { readonly node: string; readonly port: string },
    raw: RawPortCounters,
  ): { counters: PortCounters; resets: readonly string[] } {
    const counters: Record<string, number | boolean | null> = {};
    const resets: string[] = [];
    const known = this.#known.get(`${at.node}\n${at.port}`) ?? new Set<Key>();
    this.#known.set(`${at.node}\n${at.port}`, known);
    for (const [key, value] of Object.entries(raw) as [Key, bigint | boolean | null | undefined][]) {
      if (value === undefined) continue;
      known.add(key);
      if (value === null || typeof value === 'boolean') {
        counters[key] = value;
        if (key === WATERMARK) this.missed(at);
      } else if (key === WATERMARK) {
        const { peak, reset } = this.#peak(`${at.node}\n${at.port}`, value);
        Object.assign(counters, peak);
        if (reset) resets.push(key);
      } else {
        const { delta, reset } = this.#delta(`${at.node}\n${at.port}\n${key}`, value);
        counters[key] = delta;
        if (reset) resets.push(key);
      }
    }
    return { counters: counters as PortCounters, resets };
  }

  #peak(port: string, value: bigint): { peak: PortCounters; reset: boolean } {
    const last = this.#watermarks.get(port);
    this.#watermarks.set(port, { value, as: 'read' });
    if (last?.as === 'broken') return { peak: { [WATERMARK]: null }, reset: false };
    if (last && value < last.value) return { peak: { [WATERMARK]: null }, reset: true };
    const exact = value === 0n || (last?.as === 'read' && value > last.value);
    return {
      peak: exact ? { [WATERMARK]: Number(value) } : { queuePeakAtMostBytes: Number(value) },
      reset: false,
    };
  }

  #delta(name: string, value: bigint): { delta: number | null; reset: boolean } {
    const series = this.#series.get(name);
    if (!series) {
      this.#series.set(name, { base: value, last: value, broken: !this.#baseline });
      return { delta: this.#baseline ? 0 : null, reset: false };
    }
    const reset = !series.broken && value < series.last;
    series.last = value;
    if (reset) series.broken = true;
    return { delta: series.broken ? null : Number(value - series.base), reset };
  }
}
