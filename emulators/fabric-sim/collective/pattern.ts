import type { Load } from '../../../harness/model/load.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import type { Connect } from './queue-pair.ts';

export type LoadOf<Kind extends Load['kind']> = Extract<Load, { kind: Kind }>;

export interface Time {
  nowPs(): number;
  at(atPs: number, run: () => void): void;
}

/** What a finished round measured, without its number and times. */
export interface RoundResult {
  readonly busbwBps: number;
  /** Compute of the rank that computed longest, ns; for loads that compute. */
  readonly computeNs?: number;
  /** The same of every rank, where a rank computes without a gap from the round's beginning. */
  readonly rankComputeNs?: readonly number[];
  readonly flowsBps?: readonly number[];
}

/** A load in motion. Connected once, then played round after round. */
export interface Pattern {
  /** Starts one round; `done` is called once, at the instant when the last rank has finished. Absent for loads without rounds. */
  readonly round?: (done: (result: RoundResult) => void) => void;
  /**
   * Every round sends the same, whatever came before: nothing is drawn by chance, nothing is sent on an acknowledgement that comes after the
   * round, and nothing is remembered from one to the next. Then an engine that can may count a round instead of playing it.
   */
  readonly steady?: true;
  /** Starts a load that has no rounds. */
  readonly begin?: () => void;
}

/** One kind of load: what it needs of a topology, and how it moves data. */
export interface PatternKind<L extends Load> {
  /** Why this load can not run on this topology; undefined when it can. */
  refuses(load: L, topology: Topology): string | undefined;
  create(load: L, world: { readonly topology: Topology; readonly connect: Connect; readonly time: Time }): Pattern;
}

/** bit/s of `bytes` in `ps` picoseconds. */
export const bitRate = (bytes: number, ps: number): number => (bytes * 8e12) / ps;
