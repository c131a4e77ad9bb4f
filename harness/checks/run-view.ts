import type { Fault } from '../model/fault.ts';
import type { Granularity } from '../model/granularity.ts';
import type { Plan } from '../model/plan.ts';
import type { CountersLine, FaultLine, FlowLine, PhaseLine, ProbeLine, RoundLine } from '../model/record.ts';

/** One phase as it was played, with what was seen in it. */
export interface PhaseView {
  readonly line: PhaseLine;
  /** Faults that were true in it, from the plan. */
  readonly faults: readonly Fault[];
  /** Faults that were injected in it, earliest first. A fault that only goes on from the phase before is not among them. */
  readonly began: readonly FaultLine[];
  /** Rounds of this phase, in order: the first that it asked for, or for a time phase those that lie in it whole. */
  readonly rounds: readonly RoundLine[];
  /** Readings in the order of the record between the end of the phase before and the end of this one: the first is the baseline. */
  readonly counters: readonly CountersLine[];
  readonly probes: readonly ProbeLine[];
  /** Flow windows that lie in the phase whole. */
  readonly flows: readonly FlowLine[];
  /** The phase that was played before this one. */
  readonly before: PhaseView | undefined;
}

/** A run record, sorted for the KPIs. Immutable; holds nothing that the record does not. */
export interface RunView {
  readonly plan: Plan;
  /**
   * `exact`: the simulator itself was read. `virtual`: drivers read devices, on one virtual clock.
   * `real`: drivers read devices, each with a clock of its own.
   */
  readonly reading: 'exact' | 'virtual' | 'real';
  /** Packets simulated as one unit; 1 is exact, 0 flow level: the coarsest of the run's phases. Null where packets are real. */
  readonly trainPackets: number | null;
  /** How finely a phase was simulated; undefined where packets are real, and in records that do not say. */
  granularity(phase: string): Granularity | undefined;
  phase(name: string): PhaseView | undefined;
  /** How well the offset of a node's clock is known at an instant, ns; undefined when it was not measured before and after. */
  clockBoundNs(node: string, atNs: number): number | undefined;
  /** The best that the topology allows as it stands in a phase, bit/s; undefined when it leaves no path. */
  busbwRoofline(phase: string): number | undefined;
  goodputRoofline(phase: string): number | undefined;
}

/** Whether rounds that were done, of those that the phase asked for, are not in the record. */
export const lacksRounds = (phase: PhaseView | undefined): boolean =>
  phase !== undefined && phase.rounds.length < Math.min(phase.line.rounds?.done ?? 0, phase.line.rounds?.asked ?? 0);
