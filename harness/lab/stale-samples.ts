import type { RawPortCounters } from '../binding/switch.ts';

/** What an agent's cache holds together; states and sysUpTime are always of now. */
const CACHED = ['rxBytes', 'txBytes', 'rxPackets', 'txPackets'] as const;

/** No agent known to us holds counters for longer: net-snmp's ifTable 3 s (measured), SONiC's 5 s. For bounds where nobody measured. */
const LONGEST_CACHE_NS = 30e9;

interface Held {
  readonly print: string;
  /** When these values were first seen, by the lab's clock. */
  readonly sinceNs: number;
}

/**
 * Knows when an agent answered out of its cache: every octet and packet counter of the device stands as it stood, and the agent need not
 * have refreshed since. Such a sample tells of the refresh before and nothing of now.
 */
export class StaleSamples {
  readonly #periodNs: (node: string) => number | undefined;
  readonly #held = new Map<string, Held>();

  /**
   * @param periodNs how often the agent of a node refreshes its counters, as measured (`measure-refresh.ts`), ns; 0 for at every request,
   * undefined when nobody measured it: then every device that stands still may be one that was not refreshed
   */
  constructor(periodNs: (node: string) => number | undefined) {
    this.#periodNs = periodNs;
  }

  /** The measured period, or nothing: how old a reading is said to be, and what to wait for. */
  toldNs(node: string): number {
    return this.#periodNs(node) ?? 0;
  }

  /** The longest that the agent may hold counters, for bounds. */
  mostNs(node: string): number {
    return this.#periodNs(node) ?? LONGEST_CACHE_NS;
  }

  /** Takes every reading of a node. @returns whether it may still be the one before */
  isHeld(
    node: string,
    { ports, atNs }: { readonly ports: ReadonlyMap<string, RawPortCounters | undefined>; readonly atNs: number },
  ): boolean {
    const print = [...ports]
      .flatMap(([port, raw]) => (raw ? [port, ...CACHED.map(key => String(raw[key]))] : []))
      .join(' ');
    if (print === '') return false;
    const before = this.#held.get(node);
    if (before?.print !== print) {
      this.#held.set(node, { print, sinceNs: atNs });
      return false;
    }
    return atNs - before.sinceNs < (this.#periodNs(node) ?? Number.POSITIVE_INFINITY);
  }
}
