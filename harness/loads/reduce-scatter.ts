import type { Load } from '../model/load.ts';
import { magnitude, type Size } from '../model/units.ts';
import type { LoadRules } from './flow.ts';
import { ringEdges, ringPassNs } from './ring-travel.ts';

type ReduceScatter = Extract<Load, { kind: 'reduce-scatter' }>;

/** Each rank ends with its part of the sum, along a ring. `bytes` is the whole buffer of each rank (nccl-tests "size"). */
export const reduceScatter = ({
  bytes,
  queuePairs = 4,
}: {
  readonly bytes: Size;
  readonly queuePairs?: number;
}): ReduceScatter => ({ kind: 'reduce-scatter', bytes, queuePairs });

export const reduceScatterRules: LoadRules<ReduceScatter> = {
  hasRounds: true,
  /** Each rank sends n - 1 parts of S/n to the next. */
  flows: (load, { hosts }) =>
    ringEdges(hosts.map(host => host.name)).map(([source, target]) => ({
      source,
      target,
      bytes: ((hosts.length - 1) / hosts.length) * magnitude(load.bytes),
    })),
  /** One pass round the ring: see `ringPassNs`. */
  bestRoundNs: (load, on) =>
    ringPassNs(
      on,
      on.topology.hosts.map(host => host.name),
      magnitude(load.bytes),
    ),
  /** (n-1)/n x S: nccl-tests doc/PERFORMANCE.md, "ReduceScatter", S the whole buffer. */
  busBytes: (load, ranks) => ((ranks - 1) / ranks) * magnitude(load.bytes),
};
