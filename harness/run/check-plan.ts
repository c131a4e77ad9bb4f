import { faultRulesOf } from '../faults/fault-rules.ts';
import { beyond, type Fault } from '../model/fault.ts';
import type { Phase, Plan } from '../model/plan.ts';
import { magnitude, type Quantity } from '../model/units.ts';
import type { Check } from '../model/check.ts';
import { hasRounds } from '../loads/roofline.ts';
import { dimensionOf, kpiOf, SHARE_OF } from './limits.ts';
import { settingMistakes } from './setting-mistakes.ts';

/** A scenario's plan can not be played as written. The author is to change the file; no testbed was touched. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

/** `'5 rounds'` is work, everything else is a time. */
export const isWork = (phase: Phase): boolean => / rounds?$/.test(phase.for);

/**
 * Refuses what the compiler can not see: phase names that JavaScript would reorder, work phases of a load without rounds,
 * lengths that are not positive, expectations of phases that do not exist, faults on things that the topology lacks, settings that no
 * world could have.
 *
 * @throws PlanError with one sentence per mistake
 */
export function checkPlan(plan: Plan): void {
  const mistakes = [
    ...phaseMistakes(plan),
    ...expectationMistakes(plan),
    ...faultMistakes(plan),
    ...loadMistakes(plan),
    ...spanMistakes(plan),
    ...rateMistakes(plan),
    ...settingMistakes(plan.topology.settings),
  ];
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
  for (const check of plan.expect) {
    const { kpi, phase, where, comparison, bound, upper } = check;
    if (!names.includes(phase))
      yield `${kpi} is expected during "${phase}" (line ${where.line}), which is no phase. Known: ${names.join(', ')}.`;
    if (comparison === 'within' && upper === undefined)
      yield `${kpi} during ${phase} (line ${where.line}) is expected within one bound. Write both: within('4 ms', '6 ms').`;
    for (const side of [bound, ...(upper === undefined ? [] : [upper])]) {
      if (typeof side === 'object') continue;
      const mistake = boundMistake(side, { check, names });
      if (mistake !== undefined)
        yield `${kpi} during ${phase} ${comparison} "${side}" (line ${where.line}): ${mistake}`;
    }
  }
}

/** A bound that the judge could not use, or that nothing could miss. */
function boundMistake(
  bound: string,
  { check, names }: { readonly check: Check; readonly names: readonly string[] },
): string | undefined {
  const kpi = kpiOf(check);
  if (!kpi) return undefined;
  const [, percent, of] = SHARE_OF.exec(bound) ?? [];
  const value = percent === undefined ? finite(bound) : finite(`${percent} %`);
  if (value === undefined) return 'no number and unit.';
  if (check.comparison === 'at least' && value <= 0) return 'everything is at least that, so nothing would be judged.';
  if (of === 'roofline')
    return kpi.roofline ? undefined : `${check.kpi} has no roofline, because it is a ${kpi.dimension}.`;
  if (of !== undefined) return names.includes(of) ? undefined : `"${of}" is no phase. Known: ${names.join(', ')}.`;
  return dimensionOf(bound) === kpi.dimension ? undefined : `not a ${kpi.dimension}, which ${check.kpi} is.`;
}

/** More packets a second than a probe can send on any host, and more events than a simulation ends with. Our choice. */
const MOST_PROBES_PER_SECOND = 10e6;

function* loadMistakes({ probes, offered }: Plan): Generator<string> {
  const rate = probes?.packetsPerSecond;
  if (rate !== undefined && !(rate > 0 && rate <= MOST_PROBES_PER_SECOND))
    yield `Probes of ${rate} packets/s can not be sent. Give a number from above 0 to ${MOST_PROBES_PER_SECOND}.`;
  if (offered === undefined) return;
  const share = positive(offered);
  if (share === undefined || share > 1 || !offered.endsWith(' %'))
    yield `offered is "${offered}", which is no share of what was planned: it would let a load pass that was never there. Give more than 0 % and at most 100 %.`;
}

function* faultMistakes(plan: Plan): Generator<string> {
  for (const [name, phase] of Object.entries(plan.phases)) {
    const seen = new Set<string>();
    const spans = new Set<string>();
    for (const fault of phase.faults ?? []) {
      const target = targetOf(fault);
      if (!hasTarget(plan, fault))
        yield `Phase "${name}" has ${fault.kind} on ${target}, which ${plan.topology.name} does not have.`;
      const { blast } = faultRulesOf(fault);
      if (plan.blast !== undefined && beyond(blast, plan.blast))
        yield `Phase "${name}" has ${fault.kind} on ${target}, which reaches a whole ${blast}; the plan declares the blast "${plan.blast}".`;
      const key = JSON.stringify(fault);
      if (seen.has(key)) yield `Phase "${name}" names ${fault.kind} on ${target} twice.`;
      else if (spans.has(target) && 'span' in fault)
        yield `Phase "${name}" has two faults on span ${target}. Healing one would undo the other; say it with one fault.`;
      seen.add(key);
      if ('span' in fault) spans.add(target);
    }
  }
}

function* spanMistakes({ topology }: Plan): Generator<string> {
  for (const { name, asymmetry } of Object.values(topology.spans)) {
    if (asymmetry === undefined) continue;
    const ns = finite(asymmetry);
    if (ns === undefined || dimensionOf(asymmetry) !== 'duration' || ns < 0)
      yield `Span ${name} has the asymmetry "${asymmetry}"; it is a time of 0 or more, by which its first end's way takes longer.`;
  }
}

function* rateMistakes({ topology }: Plan): Generator<string> {
  const cables = [...topology.links, ...Object.values(topology.spans)];
  // A fabric can have a million cables, and a sweep many values: a mistake is told once.
  for (const rate of new Set(cables.map(cable => cable.rate)))
    if (positive(rate) === undefined)
      yield `${cables.find(cable => cable.rate === rate)?.name} has the rate "${rate}", which is not above 0.`;
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

function positive(quantity: string): number | undefined {
  const value = finite(quantity);
  return value !== undefined && value > 0 ? value : undefined;
}

function finite(quantity: string): number | undefined {
  try {
    return magnitude(quantity as Quantity);
  } catch {
    return undefined;
  }
}
