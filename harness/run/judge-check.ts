import type { Kpi } from '../checks/kpi.ts';
import type { RunView } from '../checks/run-view.ts';
import { statisticOf } from '../checks/statistic.ts';
import type { Check, Profile, Statistic } from '../model/check.ts';
import type { DecisionRule } from '../model/plan.ts';
import type { Measurement } from '../model/record.ts';
import { type Dimension, print } from '../model/units.ts';
import type { CheckVerdict } from '../model/verdict.ts';
import { decide, margin } from './decision.ts';
import { kpiOf, LEAST_COVERAGE, type Limits, limitsOf, phasesOf } from './limits.ts';
import { padded } from './padded.ts';

/**
 * Judges one expectation. Pure. Not knowing is not passing:
 * - no samples, or under 95 % of them: inconclusive;
 * - fewer than there should be, and the missing ones could turn a pass: inconclusive;
 * - an event that had not happened when the phase ended, and a limit below what was waited (under the guarded rule by more than U): fail;
 * - a conditional limit (one that holds where the lab can measure it) whose KPI has no samples at all: not run.
 */
export function judgeCheck(
  check: Check,
  options: { readonly view: RunView; readonly rule: DecisionRule; readonly profile: Profile | null },
): CheckVerdict {
  const kpi = kpiOf(check);
  if (!kpi) return unknownKpi(check);
  const statistic = check.statistic ?? kpi.statistic;
  const unseen =
    kpi.unseenAtFlowLevel !== undefined &&
    phasesOf(check, options.profile).find(phase => options.view.granularity(phase) === 'flow');
  if (unseen)
    return unseenCheck(check, kpi, `not run: ${unseen} was played at flow level, which ${kpi.unseenAtFlowLevel}`);
  const limits = limitsOf({ check, kpi, statistic, view: options.view }, options.profile);
  const seen = kpi.measure(options.view, check.phase);
  const value = statisticOf(seen.samples, statistic, kpi.better);
  const {
    outcome,
    band,
    because,
    shown = value,
  } = conclude({ kpi, statistic, limits, seen, value, rule: options.rule });
  return {
    outcome,
    ...(band && { band }),
    title: titleOf(check),
    comparison: check.comparison,
    kpi: kpi.name,
    phase: check.phase,
    dimension: kpi.dimension,
    kind: limits.kind,
    ...(limits.source !== undefined && { source: limits.source }),
    ...ends(limits),
    ...(shown !== undefined && { value: shown }),
    statistic,
    samples: seen.samples.length,
    ...(seen.expected !== undefined && { expectedSamples: seen.expected }),
    ...(seen.uncertainty !== undefined && shown !== undefined && { uncertainty: seen.uncertainty }),
    method: seen.method,
    reason: because,
    where: check.where,
  };
}

interface Facts {
  readonly kpi: Kpi;
  readonly statistic: Statistic;
  readonly limits: Limits;
  readonly seen: Measurement;
  readonly value: number | undefined;
  readonly rule: DecisionRule;
}

type Conclusion = Pick<CheckVerdict, 'outcome' | 'band'> & {
  readonly because: string;
  /** The value to show when it is not the statistic. */
  readonly shown?: number;
};

function conclude(facts: Facts): Conclusion {
  const { kpi, limits, seen, value, rule } = facts;
  const { least, most, problem } = limits;
  if (problem !== undefined)
    return { outcome: 'inconclusive', because: `${problem}${value === undefined ? '' : `; ${measured(facts)}`}` };
  const expected = `expected ${rangeWords(limits)}`;
  const late = tookLonger(facts, expected);
  if (late) return late;
  const between = withinBounds(facts, expected);
  if (between) return between;
  if (value === undefined) return withoutSamples(facts, expected);
  const coverage = seen.samples.length / (seen.expected ?? seen.samples.length);
  if (coverage < LEAST_COVERAGE) {
    return {
      outcome: 'inconclusive',
      because: `${expected}, but coverage is ${print(coverage, 'share')}: ${seen.missing ?? 'samples are missing'}`,
    };
  }
  const uncertainty = sumOf([seen.uncertainty, least?.uncertainty ?? 0, most?.uncertainty ?? 0]);
  const decision = decide(margin({ value, least: least?.value, most: most?.value }), { rule, uncertainty });
  if (decision.outcome === 'pass' && !survives(facts, uncertainty)) {
    return {
      outcome: 'inconclusive',
      because: `${expected}, ${measured(facts)}, but what is missing could change that: ${seen.missing ?? 'samples are missing'}`,
    };
  }
  return {
    ...decision,
    because: `${expected}, ${measured(facts)}${caveat(decision.band, { rule, uncertainty, dimension: kpi.dimension })}`,
  };
}

/** A fail, when what had not happened at the end of the phase had by then taken too long: one flow of many that stays out is enough. */
function tookLonger({ kpi, statistic, limits: { most }, seen, rule }: Facts, expected: string): Conclusion | undefined {
  if (seen.exceeds === undefined || !most) return undefined;
  const least = statisticOf(padded(seen, seen.exceeds), statistic, kpi.better) ?? seen.exceeds;
  const uncertainty = sumOf([seen.uncertainty, most.uncertainty]);
  if (decide(margin({ value: least, most: most.value }), { rule, uncertainty }).outcome !== 'fail') return undefined;
  const why = seen.missing ?? 'no samples';
  return {
    outcome: 'fail',
    because: `${expected}, took longer than ${print(least, kpi.dimension)}: ${why}`,
    shown: least,
  };
}

/** Where missing samples are bounded, the value lies in a range: it passes or fails where all of the range does. */
function withinBounds(
  { kpi, statistic, limits: { least, most }, seen, rule }: Facts,
  expected: string,
): Conclusion | undefined {
  if (seen.atMost === undefined) return undefined;
  const low = statisticOf(padded(seen, 0), statistic, kpi.better);
  const high = statisticOf(padded(seen, seen.atMost), statistic, kpi.better);
  if (low === undefined || high === undefined) return undefined;
  const uncertainty = sumOf([seen.uncertainty, least?.uncertainty ?? 0, most?.uncertainty ?? 0]);
  const by = (...margins: readonly number[]) => decide(Math.min(...margins), { rule, uncertainty });
  const words = `${expected}, ${statistic} was from ${print(low, kpi.dimension)} to ${print(high, kpi.dimension)}`;
  const because = `${words}: ${seen.missing ?? 'samples are missing'}`;
  const best = by(margin({ value: high, least: least?.value }), margin({ value: low, most: most?.value }));
  if (best.outcome === 'fail') return { ...best, because, shown: low };
  const worst = by(margin({ value: low, least: least?.hardest }), margin({ value: high, most: most?.hardest }));
  return worst.outcome === 'pass'
    ? { ...worst, because, shown: high }
    : { outcome: 'inconclusive', because: `${because}, which does not tell` };
}

function withoutSamples({ kpi, limits: { kind, least }, seen, rule }: Facts, expected: string): Conclusion {
  const why = seen.missing ?? 'no samples';
  // Taking longer than a lower bound meets it; nobody writes that, and it must not pass unseen.
  if (seen.exceeds !== undefined) {
    const plusMinus = rule === 'simple' ? '' : ` (${uncertaintyWords(seen, kpi.dimension)})`;
    return {
      outcome: 'inconclusive',
      because: `${expected}, took longer than ${print(seen.exceeds, kpi.dimension)}${plusMinus}, which does not tell${least ? ' how long' : ''}: ${why}`,
    };
  }
  return { outcome: kind === 'conditional' ? 'not run' : 'inconclusive', because: `${expected}, but ${why}` };
}

/** Whether a pass holds even if every missing sample, here and in the phase that is compared with, were as bad as can be. */
function survives(
  { kpi, statistic, limits: { least, most }, seen, rule }: Facts,
  uncertainty: number | undefined,
): boolean {
  const lowest = statisticOf(padded(seen, 0), statistic, kpi.better) ?? Number.NaN;
  const highest = statisticOf(padded(seen, Number.POSITIVE_INFINITY), statistic, kpi.better) ?? Number.NaN;
  const worst = Math.min(
    margin({ value: lowest, least: least?.hardest }),
    margin({ value: highest, most: most?.hardest }),
  );
  return decide(worst, { rule, uncertainty }).outcome === 'pass';
}

function sumOf(parts: readonly (number | undefined)[]): number | undefined {
  return parts.some(part => part === undefined) ? undefined : parts.reduce<number>((sum, part) => sum + (part ?? 0), 0);
}

function measured({ kpi, statistic, seen, value }: Facts): string {
  const plusMinus =
    seen.uncertainty === undefined || seen.uncertainty === 0 ? '' : ` ± ${print(seen.uncertainty, kpi.dimension)}`;
  const of = `${statistic} of ${seen.samples.length} ${seen.samples.length === 1 ? 'sample' : 'samples'}`;
  return `${of} was ${value === undefined ? 'not known' : print(value, kpi.dimension)}${plusMinus}`;
}

const uncertaintyWords = ({ uncertainty }: Measurement, dimension: Dimension): string =>
  uncertainty === undefined ? 'U not known' : `U = ${print(uncertainty, dimension)}`;

function caveat(
  band: Conclusion['band'],
  { rule, uncertainty, dimension }: { rule: DecisionRule; uncertainty: number | undefined; dimension: Dimension },
): string {
  if (rule === 'simple') return '';
  if (uncertainty === undefined)
    return '; its measurement uncertainty is not known, so the guarded rule can not decide';
  return band === 'conditional pass' || band === 'conditional fail'
    ? `: ${band}, closer to the limit than U = ${print(uncertainty, dimension)}`
    : '';
}

const rangeWords = ({ least, most }: Limits): string =>
  [...(least ? [`at least ${least.words}`] : []), ...(most ? [`at most ${most.words}`] : [])].join(' and ');

/** `limit` is the bound of the comparison, the lower one of a range; `upperLimit` the other end of a range. */
function ends({ least, most }: Limits): Pick<CheckVerdict, 'limit' | 'upperLimit'> {
  if (least && most) return { limit: least.value, upperLimit: most.value };
  const only = least ?? most;
  return only ? { limit: only.value } : {};
}

/** The expectation in words: `busbw during steady at least 90 % of roofline`. */
export function titleOf({ kpi, statistic, phase, comparison, bound, upper }: Check): string {
  const say = (side: Check['bound']): string => (typeof side === 'object' ? `spec ${side.spec}` : side);
  const range = upper === undefined ? say(bound) : `${say(bound)} and ${say(upper)}`;
  return `${statistic ? `${statistic} ` : ''}${kpi} during ${phase} ${comparison} ${range}`;
}

const unseenCheck = (check: Check, kpi: Kpi, reason: string): CheckVerdict => ({
  outcome: 'not run',
  title: titleOf(check),
  comparison: check.comparison,
  kpi: kpi.name,
  phase: check.phase,
  dimension: kpi.dimension,
  kind: 'mandatory',
  statistic: check.statistic ?? kpi.statistic,
  samples: 0,
  method: 'none',
  reason,
  where: check.where,
});

const unknownKpi = (check: Check): CheckVerdict => ({
  outcome: 'error',
  title: titleOf(check),
  comparison: check.comparison,
  kpi: check.kpi,
  phase: check.phase,
  dimension: 'count',
  kind: 'mandatory',
  statistic: check.statistic ?? 'median',
  samples: 0,
  method: 'not known',
  reason: `this version of Farspan knows no KPI ${check.kpi}`,
  where: check.where,
});
