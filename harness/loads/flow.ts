import type { Load } from '../model/load.ts';
import type { Topology } from '../model/topology.ts';
import type { Standing } from './standing.ts';

/** Traffic from one rank to another in one round of a load. */
export interface Flow {
  readonly source: string;
  readonly target: string;
  /** Payload of one round, B; infinite for a load without rounds. */
  readonly bytes: number;
}

/** What one kind of load is, and the best that physics allows it. Pure. */
export interface LoadRules<L extends Load = Load> {
  /** Whether it consists of rounds; work phases need them. */
  readonly hasRounds: boolean;
  /** The flows of one round. */
  flows(load: L, topology: Topology): readonly Flow[];
  /** Least time of one round on what stands, ns. Undefined when some rank can not be reached, or there are no rounds. */
  bestRoundNs(load: L, on: Standing): number | undefined;
  /** Bytes that, divided by the round's time, are the load's busbw: nccl-tests' correction factor times its size. */
  busBytes(load: L, ranks: number): number;
  /** Payload that a load without rounds offers on average, bit/s; absent for one that takes what it gets. */
  offeredBps?(load: L, topology: Topology): number;
}
