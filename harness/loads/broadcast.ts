import type { Load } from '../model/load.ts';
import { magnitude, type Size } from '../model/units.ts';
import type { LoadRules } from './flow.ts';
import { ringEdges, sharedRateBps } from './ring-travel.ts';

type Broadcast = Extract<Load, { kind: 'broadcast' }>;

/** The first host's `bytes` reach every other, handed on along the ring in chunks; the last host sends nothing. */
export const broadcast = ({
  bytes,
  queuePairs = 4,
}: {
  readonly bytes: Size;
  readonly queuePairs?: number;
}): Broadcast => ({ kind: 'broadcast', bytes, queuePairs });

export const broadcastRules: LoadRules<Broadcast> = {
  hasRounds: true,
  flows: (load, { hosts }) =>
    chain(hosts.map(host => host.name)).map(([source, target]) => ({ source, target, bytes: magnitude(load.bytes) })),
  /**
   * T = S/B + sum(d) over the n - 1 edges of the chain, B the slowest NIC: its last byte leaves after S/B and what came before it, and travels on.
   * And nowhere less than what shared links need for all edges at once.
   */
  bestRoundNs(load, on) {
    const edges = chain(on.topology.hosts.map(host => host.name));
    const rateBps = edges.length === 0 ? undefined : sharedRateBps(on, edges);
    if (rateBps === undefined) return undefined;
    const slowestBps = Math.min(...on.topology.hosts.map(({ name }) => on.nic(name)?.rateBps ?? Number.NaN));
    const travelNs = edges.reduce((sum, [source, target]) => sum + (on.delayNs(source, target) ?? Number.NaN), 0);
    const bits = 8e9 * magnitude(load.bytes);
    return Math.max(bits / (slowestBps * on.efficiency) + travelNs, bits / rateBps);
  },
  /** S: nccl-tests doc/PERFORMANCE.md, "Broadcast", factor 1. */
  busBytes: load => magnitude(load.bytes),
};

const chain = (ranks: readonly string[]): readonly (readonly [string, string])[] => ringEdges(ranks).slice(0, -1);
