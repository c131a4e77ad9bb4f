import type { RawPortCounters } from '../binding/switch.ts';
import type { PortCounters } from '../model/record.ts';

type Key = keyof PortCounters;

/** Not counted since boot: a peak since the last reading. */
const GAUGES: ReadonlySet<string> = new Set<Key>(['queuePeakBytes']);

interface Series {
  readonly base: bigint;
  last: bigint;
  /** It went backwards once: what it counted since the reservation can not be known any more. */
  broken: boolean;
}

/**
 * Turns counters since boot into counters since the reservation. A counter that went backwards (reboot, `clear counters`) is null
 * from then on, even when it later passes its old value. A counter first seen after the baseline is null too: nobody knows what
 * it held at the reservation.
 */
export class CounterHistory {
  readonly #series = new Map<string, Series>();
  readonly #known = new Map<string, Set<Key>>();
  #baseline = true;

  /** From now on a counter that was never seen has no baseline. */
  baselineTaken(): void {
    this.#baseline = false;
  }

  /** Everything this node counted so far is discontinuous, as after a reboot. */
  breakNode(node: string): void {
    for (const [key, series] of this.#series) if (key.startsWith(`${node}\n`)) series.broken = true;
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
      if (value === null || typeof value === 'boolean') counters[key] = value;
      else if (GAUGES.has(key)) counters[key] = Number(value);
      else {
        const { delta, reset } = this.#delta(`${at.node}\n${at.port}\n${key}`, value);
        counters[key] = delta;
        if (reset) resets.push(key);
      }
    }
    return { counters: counters as PortCounters, resets };
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
