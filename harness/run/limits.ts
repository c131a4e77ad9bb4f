import { KPIS } from '../checks/kpis.ts';
import type { Kpi } from '../checks/kpi.ts';
import type { RunView } from '../checks/run-view.ts';
import { statisticOf } from '../checks/statistic.ts';
import type { Bound, Check, LimitKind, Profile, Statistic } from '../model/check.ts';
import { type Dimension, magnitude, print, type Quantity } from '../model/units.ts';
import { padded } from './padded.ts';

/** One bound as a number. */
export interface Limit {
  readonly value: number;
  /** The value that it could have had at the hardest, were the missing samples of the phase it refers to as good as can be. */
  readonly hardest: number;
  /** U of the limit itself: a share of what another phase measured is as uncertain as that. */
  readonly uncertainty: number | undefined;
  /** `88.2 Gb/s (90 % of roofline 98 Gb/s)`. */
  readonly words: string;
}

/** The bounds of a check, or why there are none. */
export interface Limits {
  readonly kind: LimitKind;
  readonly source?: string;
  readonly least?: Limit;
  readonly most?: Limit;
  readonly problem?: string;
}

interface Context {
  readonly check: Check;
  readonly kpi: Kpi;
  readonly statistic: Statistic;
  readonly view: RunView;
}

/** Finds the limits of a check: in the check, in the profile, in another phase, or in physics. Never throws. */
export function limitsOf(context: Context, profile: Profile | null): Limits {
  const { check } = context;
  const named = typeof check.bound === 'object' ? check.bound.spec : undefined;
  const found =
    named !== undefined && profile && Object.hasOwn(profile.limits, named) ? profile.limits[named] : undefined;
  if (named !== undefined && !found) {
    const known = profile
      ? `profile ${profile.name} has ${Object.keys(profile.limits).join(', ') || 'no limits'}`
      : 'no profile is in force';
    return { kind: 'mandatory', problem: `limit ${named} is not known: ${known}` };
  }
  const { kind, source } = found ?? { kind: 'mandatory' as const, source: undefined };
  const subject = { kind, ...(source !== undefined && { source }) };
  const bound = found?.bound ?? (check.bound as Exclude<Bound, object>);
  const upper = check.comparison === 'within' ? (found?.upper ?? check.upper) : undefined;
  if (check.comparison === 'within' && (upper === undefined || typeof upper === 'object'))
    return { ...subject, problem: 'a range needs its upper bound' };

  const first = resolve(bound, check.comparison === 'at most' ? 'most' : 'least', context);
  if ('problem' in first) return { ...subject, ...first };
  if (upper === undefined)
    return { ...subject, ...(check.comparison === 'at most' ? { most: first } : { least: first }) };
  const second = resolve(upper as Exclude<Bound, object>, 'most', context);
  return 'problem' in second ? { ...subject, ...second } : { ...subject, least: first, most: second };
}

/** `90 % of roofline`: how much, of what. */
export const SHARE_OF = /^(\S+) % of (.+)$/;

function resolve(
  bound: Exclude<Bound, object>,
  side: 'least' | 'most',
  context: Context,
): Limit | { readonly problem: string } {
  const { kpi } = context;
  const [, percent, of] = SHARE_OF.exec(bound) ?? [];
  if (percent === undefined || of === undefined) return absolute(bound as Quantity, kpi);
  const share = Number(percent) / 100;
  if (percent.trim() === '' || !Number.isFinite(share)) return { problem: `"${bound}" is not a share` };
  return of === 'roofline' ? ofRoofline(share, bound, context) : ofPhase(share, { bound, of, side }, context);
}

function absolute(bound: Quantity, kpi: Kpi): Limit | { readonly problem: string } {
  const dimension = dimensionOf(bound);
  if (dimension !== kpi.dimension) return { problem: `"${bound}" is not a ${kpi.dimension}, which ${kpi.name} is` };
  try {
    const value = magnitude(bound);
    return { value, hardest: value, uncertainty: 0, words: print(value, kpi.dimension) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

function ofRoofline(share: number, bound: string, { check, kpi, view }: Context): Limit | { readonly problem: string } {
  if (!kpi.roofline)
    return { problem: `${kpi.name} has no roofline: "${bound}" can not be asked of a ${kpi.dimension}` };
  const roof = kpi.roofline === 'busbw' ? view.busbwRoofline(check.phase) : view.goodputRoofline(check.phase);
  if (roof === undefined)
    return { problem: `no path: during ${check.phase} the topology is disconnected and the roofline does not exist` };
  const value = share * roof;
  return {
    value,
    hardest: value,
    uncertainty: 0,
    words: `${print(value, kpi.dimension)} (${bound} ${print(roof, kpi.dimension)})`,
  };
}

interface Reference {
  readonly bound: string;
  readonly of: string;
  readonly side: 'least' | 'most';
}

function ofPhase(
  share: number,
  { bound, of, side }: Reference,
  { kpi, statistic, view }: Context,
): Limit | { readonly problem: string } {
  const seen = kpi.measure(view, of);
  const reached = statisticOf(seen.samples, statistic, kpi.better);
  if (reached === undefined)
    return { problem: `${of} has no ${kpi.name} to compare with: ${seen.missing ?? 'no samples'}` };
  const coverage = seen.samples.length / (seen.expected ?? seen.samples.length);
  if (coverage < LEAST_COVERAGE)
    return {
      problem: `${of} has too few ${kpi.name} samples to compare with: ${seen.missing ?? `${seen.samples.length} of ${seen.expected}`}`,
    };
  // What is missing there might have raised a lower bound, or lowered an upper one.
  const hardest =
    statisticOf(padded(seen, side === 'least' ? Number.POSITIVE_INFINITY : 0), statistic, kpi.better) ?? reached;
  return {
    value: share * reached,
    hardest: share * hardest,
    uncertainty: seen.uncertainty === undefined ? undefined : share * seen.uncertainty,
    words: `${print(share * reached, kpi.dimension)} (${bound}, which reached ${print(reached, kpi.dimension)})`,
  };
}

/** Below this share of the samples that there should be, nothing is concluded. Design section 1. */
export const LEAST_COVERAGE = 0.95;

const DIMENSIONS: Readonly<Record<string, Dimension>> = {
  ...Object.fromEntries(['ns', 'us', 'ms', 's', 'min', 'h'].map(unit => [unit, 'duration' as const])),
  ...Object.fromEntries(['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s'].map(unit => [unit, 'rate' as const])),
  ...Object.fromEntries(['B', 'KB', 'MB', 'GB', 'KiB', 'MiB', 'GiB'].map(unit => [unit, 'size' as const])),
  '%': 'share',
  packets: 'count',
  ...Object.fromEntries(['W', 'kW', 'MW'].map(unit => [unit, 'power' as const])),
  ...Object.fromEntries(['W/s', 'kW/s', 'MW/s'].map(unit => [unit, 'power-ramp' as const])),
};

/** What kind of number a quantity is, by its unit; undefined for a distance or an unknown unit. */
export function dimensionOf(quantity: string): Dimension | undefined {
  const unit = quantity.split(' ')[1] ?? '';
  return Object.hasOwn(DIMENSIONS, unit) ? DIMENSIONS[unit] : undefined;
}

/** The phases that a check looks at: its own, and those that its bounds refer to, in the plan or in the profile that has its limit. */
export function phasesOf({ phase, comparison, bound, upper }: Check, profile: Profile | null): readonly string[] {
  const named = typeof bound === 'object' ? bound.spec : undefined;
  const found =
    named !== undefined && profile && Object.hasOwn(profile.limits, named) ? profile.limits[named] : undefined;
  const sides = [found?.bound ?? bound, comparison === 'within' ? (found?.upper ?? upper) : upper];
  return [phase, ...sides.flatMap(side => (typeof side === 'string' ? (SHARE_OF.exec(side)?.[2] ?? []) : []))];
}

/** The KPI of a check, if this version knows it. */
export const kpiOf = (check: Check): Kpi | undefined => KPIS.get(check.kpi);
