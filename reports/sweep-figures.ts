import type { Statistic } from '../harness/model/check.ts';
import type { SweepCell, SweepHead, SweptKpi } from '../harness/model/sweep.ts';
import { type Dimension, LADDERS, magnitude, type Quantity } from '../harness/model/units.ts';
import { type Outcome, worse } from '../harness/model/verdict.ts';
import { groupBy } from './group-by.ts';
import { meanOf } from './sweep-mean.ts';

/** The scenario as one more parameter, for sweeps of several. */
export const SCENARIO = 'scenario';

export interface SweepRequest {
  readonly kpi: string;
  /** Path of the parameter on the x axis. */
  readonly against: string;
  /** Parameters whose combinations are lines of their own. */
  readonly by: readonly string[];
  /** Only this phase; absent for a figure each. */
  readonly phase?: string;
}

/** One cell at its place. `value` in the base unit; absent when the cell has none that counts. */
export interface SweepPoint {
  readonly seed: number;
  readonly outcome: Outcome;
  readonly value?: number;
  readonly uncertainty?: number;
  readonly reason: string;
  /** The cell's run folder, relative to the sweep's. */
  readonly folder: string | null;
}

/** All seeds of one line at one value of the x parameter. */
export interface SweepStop {
  /** As typed. */
  readonly text: string;
  /** In the axis' unit, or the index of a category. */
  readonly x: number;
  readonly points: readonly SweepPoint[];
  /** How many of the points make the mean. */
  readonly counted: number;
  readonly mean?: number;
  /** U of the mean; absent when it is not known. */
  readonly uncertainty?: number;
  /** The U of a single value is not known: that of the mean holds the spread of the seeds alone. */
  readonly spreadOnly?: true;
  /** Mean over the seeds: a limit that is a share of another phase moves with it. */
  readonly limit?: number;
  readonly upperLimit?: number;
}

export interface SweepFigure {
  readonly id: string;
  readonly kpi: string;
  readonly phase: string;
  readonly statistic: Statistic;
  readonly comparison: SweptKpi['comparison'];
  readonly dimension: Dimension;
  /** Of the y axis, and its size in the base unit. */
  readonly unit: string;
  readonly scale: number;
  readonly axis: SweepAxis;
  readonly lines: readonly { readonly name: string; readonly stops: readonly SweepStop[] }[];
}

/** The x axis: logarithmic when quantities above 0 span a decade or more, categories when they are words. */
export interface SweepAxis {
  readonly path: string;
  readonly kind: 'linear' | 'log' | 'category';
  /** Empty for bare numbers and words. */
  readonly unit: string;
  readonly ticks: readonly { readonly x: number; readonly text: string }[];
}

/** A span of values from which a logarithmic axis is easier to read. Our choice. */
const LOG_FROM = 10;

/** One figure for each phase and statistic in which the KPI is judged, in the order of the record. */
export function sweepFigures(
  { head, cells }: { readonly head: SweepHead; readonly cells: readonly SweepCell[] },
  { kpi, against, by, phase }: SweepRequest,
): readonly SweepFigure[] {
  const axis = axisOf(against, valuesOf(head, against));
  const places = new Map(axis.ticks.map(tick => [tick.text, tick.x]));
  const judged = cells.flatMap(({ kpis }) => kpis.filter(one => one.kpi === kpi && (phase ?? one.phase) === one.phase));
  const kinds = groupBy(judged, kindOf);
  return [...kinds.values()].flatMap((same, index): readonly SweepFigure[] => {
    const [first] = same;
    if (!first) return [];
    const lines = [...groupBy(cells, cell => nameOf(cell, by))].map(([name, own]) => ({
      name,
      stops: [...groupBy(own, cell => valueOf(cell, against))]
        .flatMap(([text, here]) => {
          const x = places.get(text);
          return x === undefined ? [] : [stopOf(here, { text, x, of: first })];
        })
        .toSorted((a, b) => a.x - b.x),
    }));
    const most = Math.max(
      0,
      ...lines
        .flatMap(({ stops }) =>
          stops.flatMap(({ points, limit, upperLimit }) => [
            ...points.map(({ value }) => value ?? 0),
            limit ?? 0,
            upperLimit ?? 0,
          ]),
        )
        .filter(Number.isFinite),
    );
    const ladder = LADDERS[first.dimension];
    const [scale, unit] = ladder.find(([size]) => most >= size) ?? (ladder.at(-1) as readonly [number, string]);
    const { phase: during, statistic, comparison, dimension } = first;
    return [{ id: `f${index}`, kpi, phase: during, statistic, comparison, dimension, unit, scale, axis, lines }];
  });
}

/** What a parameter was asked to be, in order. */
export const valuesOf = ({ parameters, scenarios }: SweepHead, path: string): readonly string[] =>
  path === SCENARIO ? scenarios : (parameters.find(one => one.path === path)?.values ?? []);

export const valueOf = ({ parameters, scenario }: SweepCell, path: string): string =>
  path === SCENARIO ? scenario : (parameters[path] ?? '');

const nameOf = (cell: SweepCell, by: readonly string[]): string =>
  by.map(path => (path === SCENARIO ? cell.scenario : `${shortPath(path)} = ${valueOf(cell, path)}`)).join(', ');

/** The last two keys: what a reader needs in a legend. The whole path stands in the table's head. */
export const shortPath = (path: string): string => path.split('.').slice(-2).join('.');

function axisOf(path: string, values: readonly string[]): SweepAxis {
  const numbers = values.map(numberOf);
  const known = numbers.flatMap(one => (one === undefined ? [] : [one]));
  const isUnit = known.every(({ bare }) => bare) || known.every(({ bare }) => !bare);
  if (known.length < values.length || !isUnit || path === SCENARIO)
    return { path, kind: 'category', unit: '', ticks: values.map((text, x) => ({ x, text })) };
  const greatest = known.reduce((a, b) => (b.magnitude > a.magnitude ? b : a));
  const scale = greatest.bare ? 1 : magnitude(`1 ${greatest.unit}` as Quantity);
  const ticks = values.map((text, i) => ({
    x: Number(((known[i]?.magnitude ?? 0) / scale).toPrecision(12)),
    text,
  }));
  const xs = ticks.map(({ x }) => x);
  const isLog = Math.min(...xs) > 0 && Math.max(...xs) / Math.min(...xs) >= LOG_FROM;
  return {
    path,
    kind: isLog ? 'log' : 'linear',
    unit: greatest.unit,
    ticks: ticks.toSorted((a, b) => a.x - b.x),
  };
}

function numberOf(
  text: string,
): { readonly magnitude: number; readonly unit: string; readonly bare: boolean } | undefined {
  if (/^\d/.test(text) && Number.isFinite(Number(text))) return { magnitude: Number(text), unit: '', bare: true };
  try {
    return { magnitude: magnitude(text as Quantity), unit: text.split(' ')[1] ?? '', bare: false };
  } catch {
    return undefined;
  }
}

/** What stands in one figure. */
const kindOf = ({ kpi, phase, statistic, comparison }: SweptKpi): string =>
  JSON.stringify([kpi, phase, statistic, comparison]);

/** Of several limits on one value the hardest: it decides, and it is missed when any is. */
const tightest = (all: readonly SweptKpi[]): SweptKpi | undefined =>
  all.toSorted((a, b) => (a.comparison === 'at most' ? 1 : -1) * ((a.limit ?? 0) - (b.limit ?? 0)))[0];

/** Numbers of a run that broke, or that was not sound, say nothing about the product. */
const countsFor = ({ outcome }: SweepPoint): boolean => outcome !== 'error' && outcome !== 'invalid';

function stopOf(
  cells: readonly SweepCell[],
  { text, x, of }: { readonly text: string; readonly x: number; readonly of: SweptKpi },
): SweepStop {
  const pairs = cells
    .toSorted((a, b) => a.seed - b.seed)
    .map(cell => ({
      cell,
      own: tightest(cell.kpis.filter(one => kindOf(one) === kindOf(of))),
    }));
  const points = pairs.map(({ cell, own }): SweepPoint => {
    const { seed, reason, folder } = cell;
    const broken = cell.outcome === 'error' || cell.outcome === 'invalid' || cell.outcome === 'not run';
    const outcome = broken || !own ? worse(cell.outcome, own?.outcome ?? 'not run') : own.outcome;
    const value = cell.outcome === 'error' || cell.outcome === 'not run' ? undefined : own?.value;
    return {
      seed,
      reason,
      folder,
      outcome,
      ...(value !== undefined && Number.isFinite(value) && { value }),
      ...(own?.uncertainty !== undefined && { uncertainty: own.uncertainty }),
    };
  });
  const counted = points.filter(point => countsFor(point) && point.value !== undefined);
  const limit = average(pairs.flatMap(({ own }) => own?.limit ?? []));
  const upperLimit = average(pairs.flatMap(({ own }) => own?.upperLimit ?? []));
  return {
    text,
    x,
    points,
    counted: counted.length,
    ...meanOf(counted.map(({ value, uncertainty }) => ({ value: value as number, uncertainty }))),
    ...(limit !== undefined && { limit }),
    ...(upperLimit !== undefined && { upperLimit }),
  };
}

function average(values: readonly number[]): number | undefined {
  const finite = values.filter(Number.isFinite);
  return finite.length === 0 ? undefined : finite.reduce((sum, value) => sum + value, 0) / finite.length;
}
