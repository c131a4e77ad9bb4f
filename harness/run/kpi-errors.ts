import type { RunView } from '../checks/run-view.ts';
import { statisticOf } from '../checks/statistic.ts';
import type { KpiError, Measurement, ProbeLine, RecordLine } from '../model/record.ts';
import type { Check } from '../model/check.ts';
import { kpiOf } from './limits.ts';
import { runView } from './run-view.ts';

/**
 * The harness's own measurement error of every KPI that the plan asks for: measured once from the record as it is, and once from the
 * same record with the simulator's rounds, probe counts and counters in place of those that drivers read. Phases and faults stay as the
 * harness wrote them. A probe's truth counts what was on the fibre when it was stopped as sent and not received; what was measured
 * leaves that undecided, so the two are apart by it and U covers it. A KPI that the truth can not give is named with the reason, never taken as equal. Empty when the record holds no
 * truth (a real lab, or `sim`, which measures nothing).
 */
export function kpiErrors(lines: readonly RecordLine[]): readonly KpiError[] {
  const run = lines.find(line => line.kind === 'run');
  if (!run || !lines.some(line => line.kind === 'truth')) return [];
  const views = { measured: runView(run, lines), truth: runView(run, asTheSimulatorKnows(lines)) };
  const asked = new Map(run.plan.expect.map(check => [`${check.statistic} ${check.kpi} ${check.phase}`, check]));
  return [...asked.values()].flatMap(check => errorOf(check, views));
}

function errorOf(check: Check, views: { readonly measured: RunView; readonly truth: RunView }): KpiError[] {
  const kpi = kpiOf(check);
  if (!kpi) return [];
  const statistic = check.statistic ?? kpi.statistic;
  const subject = { kpi: kpi.name, phase: check.phase, statistic, dimension: kpi.dimension };
  const seen = kpi.measure(views.measured, check.phase);
  const known = kpi.measure(views.truth, check.phase);
  const measured = statisticOf(seen.samples, statistic, kpi.better);
  const truth = statisticOf(known.samples, statistic, kpi.better);
  if (measured === undefined) return [{ ...subject, missing: `not measured: ${seen.missing ?? 'no samples'}` }];
  if (truth === undefined || known.samples.length < seen.samples.length)
    return [{ ...subject, missing: `the simulator's truth does not give it: ${shortOf(known, seen)}` }];
  const absolute = Math.abs(measured - truth);
  return [{ ...subject, measured, truth, absolute, uncertainty: seen.uncertainty ?? null }];
}

const shortOf = (known: Measurement, seen: Measurement): string =>
  known.missing ?? `${known.samples.length} samples, ${seen.samples.length} were measured`;

const MEASURED: ReadonlySet<RecordLine['kind']> = new Set(['round', 'probe', 'flow', 'counters', 'truth']);

/**
 * The record as it would be, had the harness measured without error. What the simulator does not tell is absent, and not taken from the
 * drivers. Counters stand at their time between the phases, as the drivers' do: those that were read after the last phase belong to none.
 */
function asTheSimulatorKnows(lines: readonly RecordLine[]): readonly RecordLine[] {
  const truth = lines.flatMap(line => (line.kind === 'truth' ? [line.line] : []));
  const rounds = truth.filter(line => line.kind === 'round');
  const probes = new Map(truth.flatMap(line => (line.kind === 'probe' ? [[flowOf(line), line] as const] : [])));
  const counters = truth.filter(line => line.kind === 'counters').toSorted((a, b) => a.atNs - b.atNs);
  const known: RecordLine[] = [...rounds];
  for (const line of lines) {
    if (line.kind === 'phase') {
      const later = counters.findIndex(({ atNs }) => atNs > line.endNs);
      known.push(...counters.splice(0, later < 0 ? counters.length : later));
    }
    if (line.kind === 'probe') {
      const exact = probes.get(flowOf(line));
      if (exact) known.push({ ...exact, phase: line.phase });
    }
    if (!MEASURED.has(line.kind)) known.push(line);
  }
  return known;
}

/** A probe flow of the truth belongs to no phase: it is told by its way and by the ns in which it began. */
export const flowOf = ({ span, direction, source, target, beginNs }: ProbeLine): string =>
  JSON.stringify([span, direction, source, target, Math.round(beginNs)]);
