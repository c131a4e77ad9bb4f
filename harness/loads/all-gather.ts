import type { Load } from '../model/load.ts';
import { magnitude, type Size } from '../model/units.ts';
import type { LoadRules } from './flow.ts';
import { ringEdges, ringPassNs } from './ring-travel.ts';

type AllGather = Extract<Load, { kind: 'all-gather' }>;

/** Each rank ends with all ranks' parts, along a ring. `bytes` is the whole result (nccl-tests "size"). */
export const allGather = ({
  bytes,
  queuePairs = 4,
}: {
  readonly bytes: Size;
  readonly queuePairs?: number;
}): AllGather => ({ kind: 'all-gather', bytes, queuePairs });

export const allGatherRules: LoadRules<AllGather> = {
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
  /** (n-1)/n x S: nccl-tests doc/PERFORMANCE.md, "AllGather", S the whole result. */
  busBytes: (load, ranks) => ((ranks - 1) / ranks) * magnitude(load.bytes),
};
