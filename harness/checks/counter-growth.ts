import type { PortCounters } from '../model/record.ts';
import type { PhaseView } from './run-view.ts';

/** Counters that only rise. */
type Rising = Exclude<keyof PortCounters, 'operUp' | 'queuePeakBytes'>;

/** Growth of some counters of one port over the phase. */
export interface PortGrowth {
  readonly port: string;
  readonly grew: Readonly<Partial<Record<Rising, number>>>;
  /** Time between the two readings, ns. */
  readonly windowNs: number;
  /** When they were taken, ns, and how unsure both instants are together. */
  readonly fromNs: number;
  readonly toNs: number;
  readonly bracketNs: number;
}

export interface Growth {
  readonly ports: readonly PortGrowth[];
  /** Ports that have all these counters, whether or not they could be read. */
  readonly expected: number;
  /** Why some ports that have the counters are not in `ports`. */
  readonly missing: readonly string[];
}

/** Less of the phase between a port's first and its last reading is not the phase (the floor that every expectation has). */
const LEAST_COVERED = 0.95;

interface Read {
  readonly atNs: number;
  readonly bracketNs: number;
  readonly counters: PortCounters;
  /** Counters that began anew with this reading. */
  readonly anew: readonly string[];
}

/** Readings of every port in the phase, by `node port`, in order. */
export function readingsByPort({ counters }: PhaseView): ReadonlyMap<string, readonly Read[]> {
  const readings = new Map<string, Read[]>();
  for (const { atNs, bracketNs = 0, node, ports, anew } of counters) {
    for (const [port, values] of Object.entries(ports)) {
      const key = `${node} ${port}`;
      const known = readings.get(key) ?? [];
      readings.set(key, known);
      known.push({ atNs, bracketNs, counters: values, anew: anew?.[port] ?? [] });
    }
  }
  return readings;
}

/** Ports that showed all of these counters in an earlier phase: they have them, whether or not this phase brought a reading. */
export function portsBefore(phase: PhaseView, names: readonly (keyof PortCounters)[]): ReadonlySet<string> {
  const ports = new Set<string>();
  for (let earlier = phase.before; earlier; earlier = earlier.before) {
    for (const [port, series] of readingsByPort(earlier))
      if (names.every(name => series.some(({ counters }) => counters[name] !== undefined))) ports.add(port);
  }
  return ports;
}

/** Share of the phase that lies between two readings. The conductor says when it read; where it did not, the phase itself is taken. */
function coveredShare({ line }: PhaseView, firstNs: number, lastNs: number): number {
  const [fromNs, toNs] = line.readNs ?? [line.beginNs, line.endNs];
  if (toNs <= fromNs) return 1;
  return (Math.min(lastNs, toNs) - Math.max(firstNs, fromNs)) / (toNs - fromNs);
}

/** Why a port's readings from the first to the last do not hold the phase; undefined when they do. */
export function uncovered(phase: PhaseView, firstNs: number, lastNs: number): string | undefined {
  const covered = coveredShare(phase, firstNs, lastNs);
  return covered < LEAST_COVERED
    ? `its readings hold ${Math.floor(Math.max(0, covered) * 100)} % of the phase`
    : undefined;
}

/**
 * How much counters grew on every port that has all of them: last reading of the phase minus its first.
 * A port whose counter could not be read (null), was read once only, began anew within the phase (a reset: what it counted before is
 * lost), or whose readings leave out more than 5 % of the phase is missing; so is one that showed the counter in an earlier phase and
 * has no reading here. A port that never shows the counter does not have it, and is not expected to.
 */
export function counterGrowth(phase: PhaseView, names: readonly Rising[]): Growth {
  const ports: PortGrowth[] = [];
  const missing: string[] = [];
  let expected = 0;
  const readings = readingsByPort(phase);
  const before = portsBefore(phase, names);
  for (const port of before) {
    if (readings.has(port)) continue;
    expected++;
    missing.push(`${port}: no reading`);
  }
  for (const [port, series] of readings) {
    const shows = names.every(name => series.some(reading => reading.counters[name] !== undefined));
    if (!shows && !before.has(port)) continue;
    expected++;
    const [first, last] = [series[0], series.at(-1)];
    const flaw =
      names.map(name => flawOf(series, name)).find(found => found !== undefined) ??
      (first && last && uncovered(phase, first.atNs, last.atNs));
    if (flaw !== undefined || !first || !last) missing.push(`${port}: ${flaw ?? 'not read'}`);
    else {
      const grew = Object.fromEntries(
        names.map(name => [name, (last.counters[name] as number) - (first.counters[name] as number)]),
      );
      ports.push({
        port,
        grew,
        windowNs: last.atNs - first.atNs,
        fromNs: first.atNs,
        toNs: last.atNs,
        bracketNs: first.bracketNs + last.bracketNs,
      });
    }
  }
  return { ports, expected, missing };
}

function flawOf(series: readonly Read[], name: Rising): string | undefined {
  if (series.length < 2) return 'one reading only';
  const values = series.map(({ counters }) => counters[name]);
  // A failed reading between two good ones costs nothing: growth is taken from the ends, and a reset would still show.
  if (typeof values[0] !== 'number' || typeof values.at(-1) !== 'number') return 'a counter could not be read';
  if (series.slice(1).some(({ anew }) => anew.includes(name))) return 'a counter began anew';
  const read = values.filter(value => typeof value === 'number');
  return read.some((value, i) => i > 0 && value < (read[i - 1] as number)) ? 'a counter fell back' : undefined;
}

/** The words for what is missing, bounded: the first few and how many more. */
export function missingWords({ missing, expected }: Growth, what: string): { readonly missing?: string } {
  if (expected === 0) return { missing: `no port reported ${what}` };
  if (missing.length === 0) return {};
  const more = missing.length > 3 ? ` and ${missing.length - 3} more` : '';
  return { missing: `${what} of ${missing.length} of ${expected} ports: ${missing.slice(0, 3).join(', ')}${more}` };
}
