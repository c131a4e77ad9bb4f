import type { RunVerdict } from '../harness/model/verdict.ts';

/** One run as the lists of runs show it: summary, JUnit, TAP, JSON, index. */
export interface FinishedRun {
  readonly title: string;
  /** The scenario's file, as the user would name it. */
  readonly file: string;
  readonly verdict: RunVerdict;
  /** Wall time of the whole run, s. */
  readonly durationS: number;
  /** Path of its HTML report, relative to where the list is written or read. */
  readonly report?: string;
}
