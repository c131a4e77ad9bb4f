import type { SnmpSession } from '../drivers/snmp.ts';

/** How often an agent refreshes the counters that it hands out. Times in ns. */
export type Refresh =
  | {
      /** Median time between refreshes; 0 when every poll brought other values: at each request, or faster than was polled. */
      readonly periodNs: number;
      /** The truth is from `leastNs` to `mostNs`, the widest that the polls allow. Readings may be `mostNs` old. */
      readonly leastNs: number;
      readonly mostNs: number;
      /** Refreshes that were seen. */
      readonly refreshes: number;
      readonly missing?: never;
    }
  | {
      /** Why it is not known. Unknown is not "at once". */
      readonly missing: string;
    };

export interface MeasureRefreshOptions {
  /** What the agent shows now; another text when any counter moved. */
  readonly read: () => Promise<string>;
  /** The lab's clock, ns. */
  readonly now: () => Promise<number>;
  readonly wait: (ns: number) => Promise<void>;
  /** Time between polls. Default 200 ms. */
  readonly pollNs?: number;
  /** Gives up after this time. Default 40 s: twice the slowest cache known to us, and a little. */
  readonly withinNs?: number;
}

/** Refreshes after which the period is believed: three periods between them. */
const ENOUGH = 4;

/** A refresh happened after `afterNs`, when the old values were still asked for, and before `beforeNs`, when the new ones were there. */
interface Seen {
  readonly afterNs: number;
  readonly beforeNs: number;
}

/**
 * Measures an agent's cache by polling faster than it refreshes: the values stand, then all move. What moves them is any traffic; polling
 * itself moves the management port's. A device of which nothing moves tells nothing.
 *
 * Between two polls a refresh may have been anywhere, so each bound is as wide as the polls around it. Two refreshes between
 * two polls count as one: a period near the time between polls comes out too long, never too short.
 */
export async function measureRefresh(options: MeasureRefreshOptions): Promise<Refresh> {
  const { read, now, wait, pollNs = 200e6, withinNs = 40e9 } = options;
  const seen: Seen[] = [];
  let polls = 0;
  const poll = async (): Promise<{ readonly beganNs: number; readonly endedNs: number; readonly text: string }> => {
    const beganNs = await now();
    const text = await read();
    polls++;
    return { beganNs, endedNs: await now(), text };
  };
  const began = await now();
  let last = await poll();
  while (seen.length < ENOUGH && last.endedNs - began < withinNs) {
    await wait(pollNs);
    const next = await poll();
    if (next.endedNs <= last.endedNs) return { missing: 'the clock of the lab stood still' };
    if (next.text !== last.text) seen.push({ afterNs: last.beganNs, beforeNs: next.endedNs });
    last = next;
  }
  const seconds = Math.round((last.endedNs - began) / 1e8) / 10;
  if (seen.length < 2) {
    const moved = seen.length === 0 ? 'no counter moved' : 'counters moved once';
    return { missing: `${moved} in ${seconds} s: there is no traffic, or the agent refreshes more rarely` };
  }
  const pairs = seen.slice(1).map((later, i) => ({ earlier: seen[i] as Seen, later }));
  const mostNs = Math.max(...pairs.map(({ earlier, later }) => later.beforeNs - earlier.afterNs));
  if (seen.length === polls - 1) return { periodNs: 0, leastNs: 0, mostNs, refreshes: seen.length };
  const leastNs = Math.max(0, Math.min(...pairs.map(({ earlier, later }) => later.afterNs - earlier.beforeNs)));
  const middle = ({ afterNs, beforeNs }: Seen): number => (afterNs + beforeNs) / 2;
  const gaps = pairs.map(({ earlier, later }) => middle(later) - middle(earlier)).toSorted((a, b) => a - b);
  const periodNs = gaps[Math.floor(gaps.length / 2)] as number;
  return { periodNs, leastNs, mostNs, refreshes: seen.length };
}

/** ifHCInOctets and ifInOctets (RFC 2863). */
const OCTET_COLUMNS = ['1.3.6.1.2.1.31.1.1.1.6', '1.3.6.1.2.1.2.2.1.10'] as const;

/**
 * What `measureRefresh` reads of an SNMP agent: the received octets of all its interfaces, in 64 bits where it has them.
 *
 * @throws DeviceError when the agent does not answer
 */
export async function octetsOf(session: SnmpSession): Promise<string> {
  for (const column of OCTET_COLUMNS) {
    const rows = await session.walk(column);
    if (rows.size > 0) return [...rows].map(([oid, value]) => `${oid} ${String(value)}`).join('\n');
  }
  return '';
}
