import type { RawPortCounters, Vouched } from '../binding/switch.ts';
import type { PortCounters } from '../model/record.ts';
import { mostGrowth } from './most-growth.ts';
import { restarted } from './restarted.ts';

type Key = keyof PortCounters;

/** Not counted since boot: the highest value since somebody last cleared it. Nothing here ever clears it. */
const WATERMARK = 'queuePeakBytes' satisfies Key;

/** A packet counter that can not grow faster than another one of the same reading: only packets that arrived can be out of sequence. */
const WITHIN: Readonly<Partial<Record<Key, Key>>> = { outOfSequence: 'rxPackets' };

const BITS_32 = 32;
const BITS_64 = 64;

interface Series {
  /** What was last read. */
  last: bigint;
  /** The earliest instant that it may be of: with what the agent caches, and as if it cached nothing. */
  lastNs: number;
  lastUncachedNs: number;
  /** Counted since the segment began. */
  total: bigint;
  /** What is counted until the next reading belongs to no segment: the next one begins there. */
  split: boolean;
}

interface Step {
  /** To write. */
  readonly total: bigint | null;
  /** Most time since the last reading, as if the agent cached nothing, ns. */
  readonly passedNs: number;
  readonly anew?: true;
  /** Since the last reading, where that is known. */
  readonly grew?: bigint;
  readonly broke?: string;
}

/** One reading of one counter. Times in ns. */
interface Following {
  readonly atNs: number;
  /** The earliest instant that it may be of; and as if the agent cached nothing. */
  readonly earliestNs: number;
  readonly uncachedNs: number;
  readonly bits: number;
  /** What the counter can grow by in so much time; undefined where nothing bounds it. */
  most(passedNs: number): bigint | undefined;
}

/** A watermark as it was last read. `missed`: a reading since then failed. `broken`: a reboot began it anew since then. */
interface Watermark {
  readonly value: bigint;
  readonly as: 'read' | 'missed' | 'broken';
}

/** One port, and when and how well it was read. Times in ns. */
export interface ReadingOf {
  readonly node: string;
  readonly port: string;
  readonly atNs: number;
  /** What the reading took: each value is of some instant in this time before `atNs`. Default 0. */
  readonly bracketNs?: number;
  /** How much older than that counters may be, because the agent caches them. Default 0. */
  readonly cachedNs?: number;
  /** Rate of the port, bit/s, where the reading itself does not tell it. Absent in both: a 32-bit counter can not be followed. */
  readonly rateBps?: number;
}

export interface Counted {
  /** For the record. */
  readonly counters: PortCounters;
  /** Counters that began a new segment with this reading. */
  readonly anew: readonly Key[];
  /** Why segments ended, in words for the record. */
  readonly breaks: readonly string[];
  /** A counter grew by more than its port carries since the last reading: that one must have come out of a cache, and was older than it seemed. */
  readonly older?: true;
}

/**
 * Turns counters since boot into counters since the reservation, in segments. Within a segment growth is known; from one to the next it
 * is not, and nobody subtracts across. A segment ends where the count may have been lost:
 *
 * - the device restarted: snmpEngineBoots changed, or sysUpTime is not what the time that passed makes it (its wrap after 497 days is);
 *   that ends the segments of all counters of the node;
 * - ifCounterDiscontinuityTime changed, or the port has another ifIndex: all counters of the port;
 * - a counter went backwards (another user's clear, a driver reloaded), or grew by more than its port can carry;
 * - a 32-bit counter may have wrapped more than once at line rate since it was last read. What is null then is null once: the next
 *   reading begins a segment.
 *
 * A counter first seen after the baseline begins a segment as well: nobody knows what it held at the reservation. The first value of a
 * segment is 0, and `anew` names it. A reading that failed ends nothing: the count went on.
 *
 * A watermark runs since its last clear. When it rose since the last full reading, it is the peak of the time between; when it did
 * not, that peak was at most it (`queuePeakAtMostBytes`; a watermark of 0 is exact). When it fell, or the switch rebooted, what was
 * between the readings is lost: null, once.
 */
export class CounterHistory {
  readonly #series = new Map<string, Series>();
  readonly #known = new Map<string, Set<Key>>();
  readonly #watermarks = new Map<string, Watermark>();
  readonly #started = new Map<
    string,
    { readonly vouched: Vouched; readonly atNs: number; readonly bracketNs: number }
  >();
  readonly #ports = new Map<string, Vouched>();
  #baseline = true;

  /** From now on a counter that was never seen has no baseline. */
  baselineTaken(): void {
    this.#baseline = false;
  }

  /** Everything this node counted so far is discontinuous, as after a reboot. */
  breakNode(node: string): void {
    this.#break(`${node}\n`);
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

  /** Hand in first the ports of a node that have a voucher: a restart that one of them shows is a restart of all. */
  since(at: ReadingOf, raw: RawPortCounters): Counted {
    const name = `${at.node}\n${at.port}`;
    const { vouched, narrow = [], ...values } = raw;
    const breaks = vouched === undefined ? [] : this.#check(at, vouched);
    const counters: Record<string, number | boolean | null> = {};
    const anew: Key[] = [];
    const known = this.#known.get(name) ?? new Set<Key>();
    this.#known.set(name, known);
    const grown = new Map<Key, bigint>();
    // Some agents tell less than the port does: Linux says 10 Mb/s of a loopback.
    const rateBps = Math.max(vouched?.rateBps ?? 0, at.rateBps ?? 0) || undefined;
    let older = false;
    // A counter that bounds another one comes before it.
    const ordered = (Object.entries(values) as [Key, bigint | boolean | null | undefined][]).toSorted(
      ([a], [b]) => Number(WITHIN[a] !== undefined) - Number(WITHIN[b] !== undefined),
    );
    for (const [key, value] of ordered) {
      if (value === undefined) continue;
      known.add(key);
      if (value === null || typeof value === 'boolean') {
        counters[key] = value;
        if (key === WATERMARK) this.missed(at);
      } else if (key === WATERMARK) {
        const { peak, fell } = this.#peak(name, value);
        Object.assign(counters, peak);
        if (fell) breaks.push(`${key} went backwards`);
      } else {
        const { bracketNs = 0, cachedNs = 0 } = at;
        const within = WITHIN[key] === undefined ? undefined : grown.get(WITHIN[key]);
        const step = this.#follow(`${name}\n${key}`, value, {
          atNs: at.atNs,
          earliestNs: at.atNs - bracketNs - cachedNs,
          uncachedNs: at.atNs - bracketNs,
          bits: narrow.includes(key) ? BITS_32 : BITS_64,
          most: passedNs => within ?? mostGrowth(key, { rateBps, overNs: passedNs }),
        });
        const atOnce = mostGrowth(key, { rateBps, overNs: step.passedNs });
        older ||= atOnce !== undefined && step.grew !== undefined && step.grew > atOnce;
        counters[key] = step.total === null ? null : Number(step.total);
        if (step.anew) anew.push(key);
        if (step.grew !== undefined) grown.set(key, step.grew);
        if (step.broke !== undefined) breaks.push(`${key} ${step.broke}`);
      }
    }
    return { counters: counters as PortCounters, anew, breaks, ...(older && { older }) };
  }

  /** Ends segments for what the voucher shows. @returns why, in words */
  #check({ node, port, atNs, bracketNs = 0 }: ReadingOf, vouched: Vouched): string[] {
    const name = `${node}\n${port}`;
    const before = this.#started.get(node);
    this.#started.set(node, { vouched, atNs, bracketNs });
    const portBefore = this.#ports.get(name);
    this.#ports.set(name, vouched);
    const why = before && restarted({ before, now: { vouched, atNs }, bracketNs: before.bracketNs + bracketNs });
    if (why !== undefined) {
      // What the ports showed before the restart is compared with nothing after it.
      for (const key of this.#ports.keys()) if (key.startsWith(`${node}\n`) && key !== name) this.#ports.delete(key);
      this.#break(`${node}\n`);
      return [`${why}, so all ports began anew`];
    }
    if (!portBefore) return [];
    const broken: string[] = [];
    if (portBefore.ifIndex !== vouched.ifIndex)
      broken.push(`its ifIndex was ${portBefore.ifIndex} and is ${vouched.ifIndex}`);
    const [then, now] = [portBefore.discontinuityTicks, vouched.discontinuityTicks];
    if (then !== null && now !== null && then !== now) broken.push('ifCounterDiscontinuityTime changed');
    if (broken.length > 0) this.#break(`${name}\n`);
    return broken;
  }

  #break(prefix: string): void {
    for (const [key, series] of this.#series) if (key.startsWith(prefix)) series.split = true;
    for (const [port, { value }] of this.#watermarks)
      if (`${port}\n`.startsWith(prefix)) this.#watermarks.set(port, { value, as: 'broken' });
  }

  #peak(port: string, value: bigint): { peak: PortCounters; fell: boolean } {
    const last = this.#watermarks.get(port);
    this.#watermarks.set(port, { value, as: 'read' });
    if (last?.as === 'broken') return { peak: { [WATERMARK]: null }, fell: false };
    if (last && value < last.value) return { peak: { [WATERMARK]: null }, fell: true };
    const exact = value === 0n || (last?.as === 'read' && value > last.value);
    return {
      peak: exact ? { [WATERMARK]: Number(value) } : { queuePeakAtMostBytes: Number(value) },
      fell: false,
    };
  }

  #follow(name: string, value: bigint, { atNs, earliestNs, uncachedNs, bits, most }: Following): Step {
    const now = BigInt.asUintN(bits, value);
    const series = this.#series.get(name);
    if (!series) {
      this.#series.set(name, { last: now, lastNs: earliestNs, lastUncachedNs: uncachedNs, total: 0n, split: false });
      return this.#baseline ? { total: 0n, passedNs: 0 } : { total: 0n, passedNs: 0, anew: true };
    }
    const passedNs = atNs - series.lastUncachedNs;
    const bound = most(atNs - series.lastNs);
    const unsure = bits === BITS_32 && (bound === undefined || bound >= 1n << BigInt(BITS_32));
    const grew = BigInt.asUintN(bits, now - series.last);
    const backwards = now < series.last;
    const wasSplit = series.split;
    Object.assign(series, { last: now, lastNs: earliestNs, lastUncachedNs: uncachedNs });
    if (wasSplit) {
      Object.assign(series, { total: 0n, split: false });
      return { total: 0n, passedNs, anew: true };
    }
    if (unsure) {
      series.split = true;
      return { total: null, passedNs, broke: 'has 32 bits and may have wrapped more than once since it was read' };
    }
    // Backwards by no more than a full line can count is a wrap.
    if (bound === undefined ? backwards : grew > bound) {
      series.total = 0n;
      return {
        total: 0n,
        passedNs,
        anew: true,
        broke: backwards ? 'went backwards' : 'grew by more than its port can carry',
      };
    }
    series.total += grew;
    return { total: series.total, passedNs, grew };
  }
}
