import { doubleTree, type Tree } from '../model/double-tree.ts';
import type { Flow } from './flow.ts';
import { sharedRateBps } from './ring-travel.ts';
import type { Standing } from './standing.ts';

/** Every edge of both trees carries S/2 to the parent and S/2 back. */
export function treeFlows(ranks: readonly string[], bytes: number): readonly Flow[] {
  if (ranks.length < 2) return [];
  return doubleTree(ranks.length).flatMap(tree =>
    tree.flatMap((parent, child) => {
      if (parent === null) return [];
      const [source, target] = [ranks[child] as string, ranks[parent] as string];
      return [
        { source, target, bytes: bytes / 2 },
        { source: target, target: source, bytes: bytes / 2 },
      ];
    }),
  );
}

/**
 * Double binary tree (Sanders, Speck, Träff 2009). Two bounds, whichever is later:
 * - bandwidth: a rank that is inner in one tree and leaf in the other sends (1 + 2) S/2 + S/2 = 2S, so T = 2S/B, or what shared links need, and one hop;
 * - latency: a rank has a first result when the farthest leaf's data has been at the root and come back, and then hands S/2 to each of its
 *   c children: T = the longest way up + its way down + c (S/2)/B + one hop.
 */
export function treeNs(on: Standing, ranks: readonly string[], bytes: number): number | undefined {
  const flows = treeFlows(ranks, bytes);
  if (flows.length === 0) return undefined;
  const rateBps = sharedRateBps(
    on,
    flows.map(({ source, target }) => [source, target] as const),
  );
  if (rateBps === undefined) return undefined;
  const halfBits = (8e9 * bytes) / 2;
  const hopNs = Math.min(...flows.map(({ source, target }) => on.delayNs(source, target) ?? Number.NaN));
  const backNs = doubleTree(ranks.length).flatMap(tree => {
    const ways = waysToRootNs(on, ranks, tree);
    return ranks.map((rank, i) => {
      const children = tree.filter(parent => parent === i).length;
      const rankBps = (on.nic(rank)?.rateBps ?? Number.NaN) * on.efficiency;
      const handedOnNs = children === 0 ? 0 : (children * halfBits) / rankBps + hopNs;
      return Math.max(...ways) + (ways[i] as number) + handedOnNs;
    });
  });
  return Math.max(halfBits / rateBps + hopNs, ...backNs);
}

/** Propagation from every rank to the root of its tree. */
const waysToRootNs = (on: Standing, ranks: readonly string[], tree: Tree): readonly number[] =>
  ranks.map((_rank, from) => {
    let sumNs = 0;
    for (let at = from, up = tree[at] ?? null; up !== null; at = up, up = tree[at] ?? null)
      sumNs += on.delayNs(ranks[at] as string, ranks[up] as string) ?? Number.NaN;
    return sumNs;
  });
