import { faultRulesOf } from '../faults/fault-rules.ts';
import { bestRoundNs } from '../loads/roofline.ts';
import type { Fault } from '../model/fault.ts';
import type { Plan } from '../model/plan.ts';
import { magnitude } from '../model/units.ts';
import { isWork } from './check-plan.ts';

/** A job three times slower than physics allows has not stalled; it fails on its throughput. Design section 1. */
const PATIENCE = 3;

/** Phases in which a fault is true are granted its budget, whether it begins there or only goes on. */
const faultsOf = (plan: Plan, phase: string): readonly Fault[] => plan.phases[phase]?.faults ?? [];

/**
 * Longest that a phase may last, ns of testbed time. A work phase: its own `deadline`, else rounds x best round x 3 plus the budget
 * of its faults; a phase after one with faults is granted theirs as well, because healing changes paths too.
 * The best round is that of the topology while the faults are true; where they leave no path (a rebooting leaf), that of the whole
 * topology. A time phase: its length.
 *
 * @throws RangeError when the plan has no such phase, or the load has no path even on the whole topology
 */
export function phaseDeadlineNs(plan: Plan, name: string): number {
  const phase = plan.phases[name];
  if (!phase) throw new RangeError(`The plan has no phase ${name}. Known: ${Object.keys(plan.phases).join(', ')}.`);
  if (phase.deadline !== undefined) return magnitude(phase.deadline);
  if (!isWork(phase)) return magnitude(phase.for);
  const faults = faultsOf(plan, name);
  const roundNs = bestRoundNs(plan.load, plan.topology, faults) ?? bestRoundNs(plan.load, plan.topology);
  if (roundNs === undefined)
    throw new RangeError(
      `${plan.load.kind} has no path on ${plan.topology.name}: phase ${name} can not do its rounds.`,
    );
  const workNs = magnitude(phase.for) * roundNs * PATIENCE;
  const names = Object.keys(plan.phases);
  const before = faultsOf(plan, names[names.indexOf(name) - 1] ?? '');
  const distinct = new Map([...before, ...faults].map(fault => [JSON.stringify(fault), fault]));
  return [...distinct.values()].reduce(
    (sum, fault) => sum + faultRulesOf(fault).budgetNs(fault, { settings: plan.topology.settings, workNs }),
    workNs,
  );
}

/** A run that makes no progress for this long on the wall clock is given up, as an error. */
export const NO_PROGRESS_MS = 120_000;
