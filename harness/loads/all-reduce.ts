import type { Load } from '../model/load.ts';
import type { Topology } from '../model/topology.ts';
import { magnitude, type Size } from '../model/units.ts';
import type { Flow, LoadRules } from './flow.ts';
import { ringEdges, sharedRateBps } from './ring-travel.ts';
import { hostsBySite, type Standing } from './standing.ts';
import { treeFlows, treeNs } from './tree-all-reduce.ts';

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
  flows(load, topology) {
    if (load.algorithm === 'hierarchical') return hierarchicalFlows(load, topology);
    const ranks = topology.hosts.map(host => host.name);
    return (load.algorithm === 'tree' ? treeFlows : ringFlows)(ranks, magnitude(load.bytes));
  },
  bestRoundNs(load, on) {
    if (load.algorithm === 'hierarchical') return hierarchicalNs(load, on);
    const ranks = on.topology.hosts.map(host => host.name);
    return (load.algorithm === 'tree' ? treeNs : ringNs)(on, ranks, magnitude(load.bytes));
  },
  /** 2(N-1)/N x S: nccl-tests doc/PERFORMANCE.md, "AllReduce". */
  busBytes: (load, ranks) => ((2 * (ranks - 1)) / ranks) * magnitude(load.bytes),
};

/** Each rank sends 2(N-1) chunks of S/N to the next. */
function ringFlows(ranks: readonly string[], bytes: number): readonly Flow[] {
  return ringEdges(ranks).map(([source, target]) => ({
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
  const edges = ringEdges(ranks);
  if (edges.length === 0) return undefined;
  const rateBps = sharedRateBps(on, edges);
  if (rateBps === undefined) return undefined;
  return ((2 * (ranks.length - 1)) / ranks.length) * ((8e9 * bytes) / rateBps) + travelNs(on, edges);
}

/** 2 sum(d) - min(d_i + d_i+1) over the edges of a ring. */
function travelNs(on: Standing, edges: readonly (readonly [string, string])[]): number {
  const delays = edges.map(([source, target]) => on.delayNs(source, target) ?? Number.NaN);
  const pairs = delays.map((delay, i) => delay + (delays[(i + 1) % delays.length] as number));
  return 2 * delays.reduce((sum, delay) => sum + delay, 0) - Math.min(...pairs);
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
 * (methods-and-numbers section 7; for K = 2: RTT + S/X). Sites of a ring that are not equally far apart: the way round it as for the flat ring,
 * in place of 2(K-1) OWD. The three steps follow each other. Sites that differ: the slowest counts.
 */
function hierarchicalNs(load: AllReduce, on: Standing): number | undefined {
  const sites = hostsBySite(on.topology);
  const bytes = magnitude(load.bytes);
  const inside = sites.map(site => (site.length < 2 ? 0 : ringNs(on, site, bytes)));
  if (inside.some(time => time === undefined)) return undefined;
  const insideNs = Math.max(...(inside as readonly number[]));
  if (sites.length < 2) return insideNs > 0 ? insideNs : undefined;
  const rings = shardRings(sites);
  const rateBps = sharedRateBps(on, rings.flatMap(ringEdges));
  if (rateBps === undefined) return undefined;
  const betweenNs = Math.max(...rings.map(ring => travelNs(on, ringEdges(ring))));
  const steps = 2 * (sites.length - 1);
  return insideNs + betweenNs + (steps / sites.length) * ((8e9 * bytes) / rings.length / rateBps);
}
