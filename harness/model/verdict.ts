import type { Check, LimitKind, Statistic } from './check.ts';
import type { CallSite } from './call-site.ts';
import type { Dimension } from './units.ts';

/** From best to worst. A verdict only ever worsens. */
export const OUTCOMES = ['pass', 'not run', 'inconclusive', 'invalid', 'fail', 'error'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** The worse of two. */
export const worse = (a: Outcome, b: Outcome): Outcome => (OUTCOMES.indexOf(b) > OUTCOMES.indexOf(a) ? b : a);

/** How one expectation came out, with everything that a reader needs to believe it. Values in the base unit of `dimension`. */
export interface CheckVerdict {
  readonly outcome: Outcome;
  /** ILAC-G8 band under the guarded rule: where the value stands to the limit and its guard band. */
  readonly band?: 'pass' | 'conditional pass' | 'conditional fail' | 'fail';
  /** The expectation in words: `busbw during steady at least 90 % of roofline`. */
  readonly title: string;
  /** Which side of the limit is good; absent in verdicts of older versions. */
  readonly comparison?: Check['comparison'];
  readonly kpi: string;
  readonly phase: string;
  readonly dimension: Dimension;
  readonly kind: LimitKind;
  /** The limit's source, when it came from a profile. */
  readonly source?: string;
  readonly limit?: number;
  readonly upperLimit?: number;
  readonly value?: number;
  readonly statistic: Statistic;
  readonly samples: number;
  readonly expectedSamples?: number;
  /** Measurement uncertainty of the value, same unit; absent when it is not known. */
  readonly uncertainty?: number;
  readonly method: string;
  /** One sentence: expected, measured, why. */
  readonly reason: string;
  readonly where: CallSite;
}

/** A condition that must hold before any verdict on the product is worth anything. */
export interface GateVerdict {
  readonly gate: 'load' | 'fault' | 'deadline' | 'coverage' | 'witness';
  readonly outcome: Outcome;
  readonly title: string;
  readonly reason: string;
}

/** Whether the lab is as it was found. `verified` counts read-backs, not commands sent. */
export interface Cleanliness {
  readonly injected: number;
  readonly healed: number;
  readonly verified: number;
  /** What could not be restored, one line each with the manual command. Empty means clean. */
  readonly dirty: readonly string[];
}

export interface RunVerdict {
  readonly outcome: Outcome;
  readonly reason: string;
  readonly gates: readonly GateVerdict[];
  readonly checks: readonly CheckVerdict[];
  readonly cleanliness: Cleanliness;
  readonly seed: number;
  /** The one line that plays it again. */
  readonly replay: string;
}
