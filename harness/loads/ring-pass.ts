import type { Load } from '../model/load.ts';
import { magnitude } from '../model/units.ts';
import type { LoadRules } from './flow.ts';
import { ringEdges, ringPassNs } from './ring-travel.ts';

type RingPass = Extract<Load, { kind: 'all-gather' | 'reduce-scatter' }>;

/** What an all-gather and a reduce-scatter have in common: n - 1 parts of S/n go once round the ring. */
export const ringPassRules: LoadRules<RingPass> = {
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
  /** (n-1)/n x S: nccl-tests doc/PERFORMANCE.md, "AllGather" (S the whole result) and "ReduceScatter" (S the whole buffer). */
  busBytes: (load, ranks) => ((ranks - 1) / ranks) * magnitude(load.bytes),
};
