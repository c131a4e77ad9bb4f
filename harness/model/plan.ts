import type { Check } from './check.ts';
import type { Blast, Fault } from './fault.ts';
import type { Load } from './load.ts';
import type { PowerModel } from './power.ts';
import type { Topology } from './topology.ts';
import type { Duration, Rounds, Share } from './units.ts';

/** A stretch of the run with a name. It states which faults are true; it lasts a time, or an amount of work. */
export interface Phase {
  readonly for: Duration | Rounds;
  readonly faults?: readonly Fault[];
  /** A work phase ends here at the latest, in testbed time. Default: rounds x roofline x 3 and a budget per fault. */
  readonly deadline?: Duration;
}

/** `simple`: a value on the right side of its limit passes. `guarded`: it must be further from it than U (ILAC-G8, w = U). */
export type DecisionRule = 'simple' | 'guarded';

/**
 * Probe packets a second and flow when the plan does not say: convergence is then known to 50 us, a thousandth of the 50 ms that
 * is usually asked for.
 */
export const DEFAULT_PROBES_PER_SECOND = 20_000;

export interface Plan<PhaseName extends string = string> {
  readonly why: string;
  /** How each limit was derived and from which source; shown beside the thresholds. */
  readonly derivation?: string;
  /** The planted defect that this scenario is there to catch, and the KPI that must fail then; a test turns it on and demands it. */
  readonly catches?: { readonly defect: string; readonly by: string };
  readonly topology: Topology;
  readonly load: Load;
  /** Loads that run beside `load` from its start to its end. Nothing of theirs is judged but that they were there. */
  readonly background?: readonly Load[];
  /** What a GPU node draws; `H200_POWER` when absent. */
  readonly power?: PowerModel;
  readonly phases: Readonly<Record<PhaseName, Phase>>;
  readonly expect: readonly Check<NoInfer<PhaseName>>[];
  /** The furthest that a fault of this plan may reach; one that reaches further is refused. Default: as far as the faults that it lists. */
  readonly blast?: Blast;
  /** Default: `guarded` wherever a driver measures, `simple` in `sim`. */
  readonly decision?: DecisionRule;
  /** The load gate: the offered load before the first fault must be this much of its plan. Default 95 %. */
  readonly offered?: Share;
  /** The constant-rate UDP probes; default 20,000 packets/s of 128 B per span and direction in virtual time. */
  readonly probes?: { readonly packetsPerSecond: number };
}
