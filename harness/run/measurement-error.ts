import type { CountersLine, MeasurementError, RecordLine, RoundLine } from '../model/record.ts';
import type { Dimension } from '../model/units.ts';
import { flowOf } from './kpi-errors.ts';

interface Pair {
  readonly measured: number;
  readonly truth: number;
}

function worst(
  about: { readonly quantity: string; readonly phase: string; readonly dimension: Dimension },
  pairs: readonly Pair[],
): MeasurementError[] {
  const [furthest] = pairs.toSorted((a, b) => Math.abs(b.measured - b.truth) - Math.abs(a.measured - a.truth));
  if (!furthest) return [];
  const { measured, truth } = furthest;
  const absolute = Math.abs(measured - truth);
  return [
    {
      ...about,
      samples: pairs.length,
      measured,
      truth,
      absolute,
      relative: truth === 0 ? null : absolute / Math.abs(truth),
    },
  ];
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

const of = <K extends RecordLine['kind']>(lines: readonly RecordLine[], kind: K): Extract<RecordLine, { kind: K }>[] =>
  lines.filter((line): line is Extract<RecordLine, { kind: K }> => line.kind === kind);

function rounds(
  measured: readonly RoundLine[],
  truth: readonly RoundLine[],
): { readonly measured: RoundLine; readonly truth: RoundLine }[] {
  const known = new Map(truth.map(line => [line.round, line]));
  return measured.flatMap(line => {
    const exact = known.get(line.round);
    return exact ? [{ measured: line, truth: exact }] : [];
  });
}

/** Ports of which a counter began anew somewhere in the run: it has another zero than the simulator's from then on. */
const anewAt = (counters: readonly CountersLine[]): ReadonlySet<string> =>
  new Set(counters.flatMap(({ node, anew }) => Object.keys(anew ?? {}).map(port => `${node} ${port}`)));

/** Bytes of ports at the instants at which both sides have a reading. */
function bytes(
  measured: readonly CountersLine[],
  { truth, anew }: { readonly truth: readonly CountersLine[]; readonly anew: ReadonlySet<string> },
  key: 'rxBytes' | 'txBytes',
): Pair[] {
  const known = new Map(truth.map(line => [`${line.node} ${Math.round(line.atNs)}`, line]));
  return measured.flatMap(line => {
    const exact = known.get(`${line.node} ${Math.round(line.atNs)}`);
    return Object.entries(line.ports).flatMap(([port, counters]) => {
      if (anew.has(`${line.node} ${port}`)) return [];
      const [seen, real] = [counters[key], exact?.ports[port]?.[key]];
      return typeof seen === 'number' && typeof real === 'number' ? [{ measured: seen, truth: real }] : [];
    });
  });
}

/**
 * The harness's own measurement error, quantity by quantity (`kpi-errors.ts` has it KPI by KPI): per phase the median busbw, and the furthest pair of round begins and times, probe
 * counts and byte counters. Empty when the record holds no truth (a real lab, or `sim`, which measures nothing).
 * Byte counters are cumulative from the lab's start on one side and from the reservation on the other only if the lab was used
 * before; a provided lab begins with its reservation.
 */
export function measurementError(lines: readonly RecordLine[]): readonly MeasurementError[] {
  const truth = of(lines, 'truth').map(({ line }) => line);
  if (truth.length === 0) return [];
  const paired = rounds(of(lines, 'round'), of(truth, 'round'));
  const knownProbes = new Map(of(truth, 'probe').map(line => [flowOf(line), line]));
  const anew = anewAt(of(lines, 'counters'));
  return of(lines, 'phase').flatMap(({ name: phase, beginNs, endNs }) => {
    const inside = (atNs: number): boolean => atNs > beginNs && atNs <= endNs;
    const here = paired.filter(pair => inside(pair.truth.endNs));
    const probes = of(lines, 'probe').flatMap(line => {
      const exact = line.phase === phase ? knownProbes.get(flowOf(line)) : undefined;
      return exact ? [{ line, exact }] : [];
    });
    const counters = of(lines, 'counters').filter(line => inside(line.atNs));
    const known = of(truth, 'counters');
    const busbw =
      here.length === 0
        ? []
        : [
            {
              measured: median(here.map(pair => pair.measured.busbwBps)),
              truth: median(here.map(pair => pair.truth.busbwBps)),
            },
          ];
    return [
      ...worst({ quantity: 'busbw', phase, dimension: 'rate' }, busbw).map(error => ({
        ...error,
        samples: here.length,
      })),
      ...worst(
        { quantity: 'round begin', phase, dimension: 'duration' },
        here.map(pair => ({ measured: pair.measured.beginNs, truth: pair.truth.beginNs })),
      ),
      ...worst(
        { quantity: 'round time', phase, dimension: 'duration' },
        here.map(pair => ({
          measured: pair.measured.endNs - pair.measured.beginNs,
          truth: pair.truth.endNs - pair.truth.beginNs,
        })),
      ),
      ...worst(
        { quantity: 'probe sent', phase, dimension: 'count' },
        probes.map(({ line, exact }) => ({ measured: line.sent, truth: exact.sent })),
      ),
      ...worst(
        { quantity: 'probe received', phase, dimension: 'count' },
        probes.map(({ line, exact }) => ({ measured: line.received, truth: exact.received })),
      ),
      ...worst({ quantity: 'rxBytes', phase, dimension: 'size' }, bytes(counters, { truth: known, anew }, 'rxBytes')),
      ...worst({ quantity: 'txBytes', phase, dimension: 'size' }, bytes(counters, { truth: known, anew }, 'txBytes')),
    ];
  });
}
