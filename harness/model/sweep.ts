import type { CheckVerdict, Outcome } from './verdict.ts';

/**
 * The record of a sweep, `sweep.ndjson`: what was asked for, then one line for each cell as it finishes. No wall times, no host facts.
 * A resumed sweep adds another head; the last one says which cells belong to it, and of two lines of one cell the last is true.
 */
export type SweepLine = SweepHead | SweepCell;

/** One parameter and the values it takes, as typed. */
export interface SweepParameter {
  /** A path into the plan; `*` stands for any characters within one key. */
  readonly path: string;
  readonly values: readonly string[];
}

export interface SweepHead {
  readonly kind: 'sweep';
  readonly format: 1;
  readonly version: string;
  readonly world: string;
  readonly trainPackets: number | null;
  readonly options: Readonly<Record<string, string>>;
  readonly scenarios: readonly string[];
  readonly parameters: readonly SweepParameter[];
  readonly seeds: readonly number[];
  /** The profile's name; null for none. */
  readonly profile: string | null;
  /** Every cell of the matrix, by id. */
  readonly cells: readonly string[];
}

/** One limit of one cell: the judge's verdict on it without its prose. Values in the base unit of `dimension`; missing is never zero. */
export interface SweptKpi
  extends Pick<
    CheckVerdict,
    'outcome' | 'kpi' | 'phase' | 'statistic' | 'dimension' | 'kind' | 'limit' | 'upperLimit' | 'value' | 'uncertainty'
  > {
  readonly comparison: NonNullable<CheckVerdict['comparison']>;
}

/** One cell that is finished. */
export interface SweepCell {
  readonly kind: 'cell';
  /** Hash of everything that decides the cell's record: plan, seed, world, options, profile, version. */
  readonly id: string;
  readonly scenario: string;
  /** Path to value, as typed. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly seed: number;
  readonly outcome: Outcome;
  readonly reason: string;
  /** How finely it was simulated, as `granularityText` says it; absent where packets are real or the cell broke before. */
  readonly granularity?: string;
  /** What the cell costs by its plan, before packet trains. */
  readonly packetHops: number;
  /** Relative to the sweep's folder, with forward slashes; null when the cell broke before it had one. */
  readonly folder: string | null;
  readonly dirty: boolean;
  readonly kpis: readonly SweptKpi[];
}
