import type { Cleanliness, Outcome } from '../model/verdict.ts';
import type { PlanDescription } from '../run/describe-plan.ts';
import type { Trouble } from './annotations.ts';

/** What became of one scenario, as the reporter hands it to `farspan`. */
export interface ScenarioResult {
  readonly title: string;
  /** Relative to the configuration. */
  readonly file: string;
  readonly line: number;
  readonly world: string;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** Absolute; absent for a scenario without a plan, or one that broke before it had a folder. */
  readonly folder?: string;
  readonly plan?: PlanDescription;
  readonly trouble?: Trouble;
  /** Of its plan and of what its body injected, together. */
  readonly cleanliness: Cleanliness;
  readonly errors: readonly string[];
  /** Why it was not run. */
  readonly skipped?: string;
}

/** Everything of one run of Playwright. */
export interface Results {
  readonly format: 1;
  readonly results: readonly ScenarioResult[];
  /** Trouble that belongs to no scenario: a file that does not load, a pattern that matches nothing. */
  readonly errors: readonly string[];
  readonly interrupted: boolean;
}
