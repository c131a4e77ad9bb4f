import type { Fault } from '../model/fault.ts';
import type { Granularity } from '../model/granularity.ts';
import type { Plan } from '../model/plan.ts';
import type { Topology } from '../model/topology.ts';
import { isWork, targetOf } from './check-plan.ts';
import { chooseGranularity } from './choose-granularity.ts';
import { cost } from './cost.ts';
import { phaseDeadlineNs } from './deadline.ts';

export interface PhaseDescription {
  readonly name: string;
  readonly for: string;
  /** Of a work phase, ns of testbed time; null for a time phase. */
  readonly deadlineNs: number | null;
  readonly faults: readonly { readonly fault: Fault; readonly on: string }[];
}

/** What a plan would do, as data, without any testbed. */
export interface PlanDescription {
  readonly title: string;
  readonly file: string;
  readonly line: number;
  readonly tags: readonly string[];
  readonly why: string;
  readonly topology: Topology;
  readonly load: string;
  readonly phases: readonly PhaseDescription[];
  readonly expectations: number;
  /** Packet-hops, before packet trains. */
  readonly cost: number;
  /** How finely each phase is simulated in `sim` unless told otherwise. */
  readonly granularity: Readonly<Record<string, Granularity>>;
  /** Only where it was asked for: a large fabric makes it large. */
  readonly sweepable?: Sweepable;
}

/** What playing a plan outside Playwright needs of the project that it was declared in. Paths are absolute: it never leaves this machine. */
export interface Sweepable {
  /** As declared. */
  readonly plan: Plan;
  readonly root: string;
  readonly binding: string;
  /** Empty for none. */
  readonly provider: string;
  readonly world: string;
  readonly worldOptions: Readonly<Record<string, string>>;
  /** Empty for none. */
  readonly profileFile: string;
  readonly trainPackets: number | null;
}

const words = (load: Plan['load']): string =>
  Object.values(load)
    .map((value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value)))
    .join(' ');

export function describePlan(
  plan: Plan,
  scenario: Pick<PlanDescription, 'title' | 'file' | 'line' | 'tags'>,
): PlanDescription {
  return {
    ...scenario,
    why: plan.why,
    topology: plan.topology,
    load: [plan.load, ...(plan.background ?? [])].map(words).join(', beside '),
    phases: Object.entries(plan.phases).map(([name, phase]) => ({
      name,
      for: phase.for,
      deadlineNs: isWork(phase) ? phaseDeadlineNs(plan, name) : null,
      faults: (phase.faults ?? []).map(fault => ({ fault, on: targetOf(fault) })),
    })),
    expectations: plan.expect.length,
    cost: cost(plan),
    granularity: chooseGranularity(plan),
  };
}
