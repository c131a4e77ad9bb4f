import type { Fault } from '../model/fault.ts';
import type { Phase, Plan } from '../model/plan.ts';
import { magnitude } from '../model/units.ts';
import { hasRounds } from '../loads/roofline.ts';

/** A scenario's plan can not be played as written. The author is to change the file; no testbed was touched. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

/** `'5 rounds'` is work, everything else is a time. */
export const isWork = (phase: Phase): boolean => / rounds?$/.test(phase.for);

/**
 * Refuses what the compiler can not see: phase names that JavaScript would reorder, work phases of a load without rounds,
 * lengths that are not positive, expectations of phases that do not exist, faults on things that the topology lacks.
 *
 * @throws PlanError with one sentence per mistake
 */
export function checkPlan(plan: Plan): void {
  const mistakes = [...phaseMistakes(plan), ...expectationMistakes(plan), ...faultMistakes(plan)];
  if (mistakes.length > 0) throw new PlanError(mistakes.join('\n'));
}

function* phaseMistakes(plan: Plan): Generator<string> {
  const phases = Object.entries(plan.phases);
  if (phases.length === 0) yield 'The plan has no phase. Give it at least one, such as steady: { for: "5 rounds" }.';
  for (const [name, phase] of phases) {
    if (/^\d+$/.test(name)) {
      yield `Phase "${name}" looks like an integer, and JavaScript would play it before the others. Call it "phase${name}" or say what happens in it.`;
    }
    if (name === 'roofline') yield 'No phase may be called "roofline": it names the physical limit in a bound.';
    const length = positive(phase.for);
    if (length === undefined)
      yield `Phase "${name}" lasts "${phase.for}", which is not a positive time or number of rounds.`;
    if (isWork(phase)) {
      if (length !== undefined && !Number.isInteger(length))
        yield `Phase "${name}" asks for ${phase.for}; rounds are whole.`;
      if (!hasRounds(plan.load)) {
        yield `Phase "${name}" lasts ${phase.for}, but ${plan.load.kind} has no rounds. Give it a time, such as "20 ms".`;
      }
    }
    if (phase.deadline !== undefined && positive(phase.deadline) === undefined) {
      yield `Phase "${name}" has the deadline "${phase.deadline}", which is not a positive time.`;
    }
  }
}

function* expectationMistakes(plan: Plan): Generator<string> {
  const names = Object.keys(plan.phases);
  for (const { kpi, phase, where } of plan.expect) {
    if (!names.includes(phase))
      yield `${kpi} is expected during "${phase}" (line ${where.line}), which is no phase. Known: ${names.join(', ')}.`;
  }
}

function* faultMistakes(plan: Plan): Generator<string> {
  for (const [name, phase] of Object.entries(plan.phases)) {
    const seen = new Set<string>();
    for (const fault of phase.faults ?? []) {
      const target = targetOf(fault);
      if (!hasTarget(plan, fault))
        yield `Phase "${name}" has ${fault.kind} on ${target}, which ${plan.topology.name} does not have.`;
      const key = JSON.stringify(fault);
      if (seen.has(key)) yield `Phase "${name}" names ${fault.kind} on ${target} twice.`;
      seen.add(key);
    }
  }
}

/** The thing of the topology that a fault is on. */
export function targetOf(fault: Fault): string {
  if ('span' in fault) return fault.span.name;
  return 'link' in fault ? fault.link.name : fault.switch.name;
}

function hasTarget({ topology }: Plan, fault: Fault): boolean {
  if ('span' in fault) return Object.hasOwn(topology.spans, fault.span.name);
  if ('link' in fault) return topology.links.some(({ name }) => name === fault.link.name);
  return topology.switches.some(({ name }) => name === fault.switch.name);
}

function positive(quantity: Phase['for']): number | undefined {
  try {
    const value = magnitude(quantity);
    return value > 0 ? value : undefined;
  } catch {
    return undefined;
  }
}
