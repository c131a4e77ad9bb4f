import { concurrentRateBps } from './concurrent-rate.ts';
import type { Standing } from './standing.ts';

/** The edges of a ring: each rank to the next, the last to the first. None for fewer than two ranks. */
export const ringEdges = (ranks: readonly string[]): readonly (readonly [string, string])[] =>
  ranks.length < 2 ? [] : ranks.map((rank, i) => [rank, ranks[(i + 1) % ranks.length] as string]);

/** Payload rate that all these pairs can have at once, bit/s; undefined without a path. */
export const sharedRateBps = (on: Standing, pairs: readonly (readonly [string, string])[]): number | undefined =>
  concurrentRateBps(
    on,
    pairs.map(([source, target]) => ({ source, target, weight: 1 })),
  );

/**
 * One pass round a ring, as in a reduce-scatter or an all-gather: T = (n-1) S/(n B) + sum(d) - min(d_i), d the propagations of the n edges.
 * A chunk of S/n goes over n - 1 edges in a row, and some chunk leaves out the shortest of them.
 *
 * @see Patarasuk, Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", JPDC 69 (2009)
 */
export function ringPassNs(on: Standing, ranks: readonly string[], bytes: number): number | undefined {
  const edges = ringEdges(ranks);
  const rateBps = edges.length === 0 ? undefined : sharedRateBps(on, edges);
  if (rateBps === undefined) return undefined;
  const delays = edges.map(([source, target]) => on.delayNs(source, target) ?? Number.NaN);
  const travelNs = delays.reduce((sum, delay) => sum + delay, 0) - Math.min(...delays);
  return ((ranks.length - 1) / ranks.length) * ((8e9 * bytes) / rateBps) + travelNs;
}
