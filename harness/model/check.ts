import type { CallSite } from './call-site.ts';
import type { Quantity } from './units.ts';

/** How many samples of a KPI become the one value that is judged. `worst` is the worst for the reader: least rate, longest time. */
export type Statistic = 'median' | 'mean' | 'worst' | 'best' | 'p1' | 'p5' | 'p95' | 'p99' | 'total';

/** A limit by name, to be found in the run's profile: `spec('failover.busbw')`. */
export interface SpecRef {
  readonly spec: string;
}

/** Absolute, a share of another phase (`'45 % of steady'`) or of the physical limit (`'90 % of roofline'`), or named in a profile. */
export type Bound = Quantity | `${number} % of ${string}` | SpecRef;

/** Mandatory and conditional limits decide the verdict; optional and informative ones are only reported. */
export type LimitKind = 'mandatory' | 'conditional' | 'optional' | 'informative';

/** One named limit of a profile, with where it comes from. */
export interface ProfileLimit {
  readonly bound: Quantity | `${number} % of ${string}`;
  /** The upper bound, for limits used with `within`. */
  readonly upper?: Quantity | `${number} % of ${string}`;
  readonly kind: LimitKind;
  /** Document, version and clause, or who decided it and when. */
  readonly source: string;
}

/** A file of limits. It replaces limits without editing scenarios. */
export interface Profile {
  readonly name: string;
  readonly limits: Readonly<Record<string, ProfileLimit>>;
}

/** One expectation, as plain data, so a stored run can be judged again without the hardware. */
export interface Check<PhaseName extends string = string> {
  readonly kpi: string;
  readonly phase: PhaseName;
  readonly statistic?: Statistic;
  readonly comparison: 'at least' | 'at most' | 'within';
  readonly bound: Bound;
  /** The upper bound of `within`. */
  readonly upper?: Bound;
  readonly where: CallSite;
}
