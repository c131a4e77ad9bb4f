import type { Load } from '../model/load.ts';
import type { Topology } from '../model/topology.ts';
import { magnitude, type Size } from '../model/units.ts';
import { concurrentRateBps } from './concurrent-rate.ts';
import type { Flow, LoadRules } from './flow.ts';
import { hostsBySite, type Standing } from './standing.ts';

type AllReduce = Extract<Load, { kind: 'all-reduce' }>;

/**
 * Every rank ends with the sum of all ranks' buffers. `bytes` is the buffer on each rank (nccl-tests "size").
 * Four queue pairs a connection: a lone flow would hash onto one span, and a cut of the other would test nothing.
 * NCCL's own default is 1; four is what RoCE tuning guides set on fabrics that hash by flow.
 */
export const allReduce = ({
  bytes,
  algorithm = 'ring',
  queuePairs = 4,
}: {
  readonly bytes: Size;
  readonly algorithm?: AllReduce['algorithm'];
  readonly queuePairs?: number;
}): AllReduce => ({
  kind: 'all-reduce',
  bytes,
  algorithm,
  queuePairs,
});

export const allReduceRules: LoadRules<AllReduce> = {
  hasRounds: true,
  flows: (load, topology) =>
    load.algorithm === 'ring'
      ? ringFlows(
          topology.hosts.map(host => host.name),
          magnitude(load.bytes),
        )
      : hierarchicalFlows(load, topology),
  bestRoundNs: (load, on) =>
    load.algorithm === 'ring'
      ? ringNs(
          on,
          on.topology.hosts.map(host => host.name),
          magnitude(load.bytes),
        )
      : hierarchicalNs(load, on),
  /** 2(N-1)/N x S: nccl-tests doc/PERFORMANCE.md, "AllReduce". */
  busBytes: (load, ranks) => ((2 * (ranks - 1)) / ranks) * magnitude(load.bytes),
};

const neighboursIn = (ranks: readonly string[]): readonly (readonly [string, string])[] =>
  ranks.length < 2 ? [] : ranks.map((rank, i) => [rank, ranks[(i + 1) % ranks.length] as string]);

/** Each rank sends 2(N-1) chunks of S/N to the next. */
function ringFlows(ranks: readonly string[], bytes: number): readonly Flow[] {
  return neighboursIn(ranks).map(([source, target]) => ({
    source,
    target,
    bytes: ((2 * (ranks.length - 1)) / ranks.length) * bytes,
  }));
}

/**
 * Pipelined flat ring: T = 2(N-1) S/(N B) + 2 sum(d) - min(d_i + d_i+1), where d are the propagations of the N ring edges.
 * A chunk goes over 2(N-1) edges in a row, so round the ring twice less two edges; it can start at the edge that makes this longest.
 * With two site crossings this is methods-and-numbers section 7, "2(N-1)(alpha + S/(NB)) + 4 OWD", with alpha the propagation
 * inside a site (switches may cut through, so no store-and-forward time is part of the limit).
 */
function ringNs(on: Standing, ranks: readonly string[], bytes: number): number | undefined {
  const edges = neighboursIn(ranks);
  if (edges.length === 0) return undefined;
  const rateBps = concurrentRateBps(
    on,
    edges.map(([source, target]) => ({ source, target, weight: 1 })),
  );
  if (rateBps === undefined) return undefined;
  const delays = edges.map(([source, target]) => on.delayNs(source, target) ?? Number.NaN);
  const pairs = delays.map((delay, i) => delay + (delays[(i + 1) % delays.length] as number));
  const travel = 2 * delays.reduce((sum, delay) => sum + delay, 0) - Math.min(...pairs);
  return ((2 * (ranks.length - 1)) / ranks.length) * ((8e9 * bytes) / rateBps) + travel;
}

/** Reduce-scatter in each site, all-reduce of each shard between the sites' equal ranks, all-gather in each site. */
function hierarchicalFlows(load: AllReduce, topology: Topology): readonly Flow[] {
  const sites = hostsBySite(topology);
  const bytes = magnitude(load.bytes);
  const shards = Math.min(...sites.map(site => site.length));
  return [
    ...sites.flatMap(site => ringFlows(site, bytes)),
    ...shardRings(sites).flatMap(ring => ringFlows(ring, bytes / shards)),
  ];
}

const shardRings = (sites: readonly (readonly string[])[]): readonly (readonly string[])[] =>
  Array.from({ length: Math.min(...sites.map(site => site.length)) }, (_, i) => sites.map(site => site[i] as string));

/**
 * T = 2[(n-1) alpha + S(n-1)/(n B)] + 2(K-1) OWD + 2(K-1)/K S/X for K sites of n ranks, X the egress that n shards share
 * (methods-and-numbers section 7; for K = 2: RTT + S/X). The three steps follow each other. Sites that differ: the slowest counts.
 */
function hierarchicalNs(load: AllReduce, on: Standing): number | undefined {
  const sites = hostsBySite(on.topology);
  const bytes = magnitude(load.bytes);
  const inside = sites.map(site => (site.length < 2 ? 0 : ringNs(on, site, bytes)));
  if (inside.some(time => time === undefined)) return undefined;
  const insideNs = Math.max(...(inside as readonly number[]));
  if (sites.length < 2) return insideNs > 0 ? insideNs : undefined;
  const rings = shardRings(sites);
  const edges = rings.flatMap(neighboursIn);
  const rateBps = concurrentRateBps(
    on,
    edges.map(([source, target]) => ({ source, target, weight: 1 })),
  );
  if (rateBps === undefined) return undefined;
  const owdNs = Math.max(...edges.map(([source, target]) => on.delayNs(source, target) ?? Number.NaN));
  const steps = 2 * (sites.length - 1);
  return insideNs + steps * owdNs + (steps / sites.length) * ((8e9 * bytes) / rings.length / rateBps);
}
