import { doubleTree } from '../../../harness/model/double-tree.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { part } from './partition.ts';
import type { LoadOf, PatternKind } from './pattern.ts';
import type { Connection } from './queue-pair.ts';
import { type ReductionKind, reductionRounds, tooFewFor } from './reduction.ts';
import { slices } from './slices.ts';

interface Place {
  /** To the parent; undefined at the root. */
  readonly up: { readonly rank: number; readonly pair: Connection } | undefined;
  readonly down: { readonly rank: number; readonly pair: Connection }[];
}

/**
 * NCCL's double binary tree: half of the data on each of two complementary trees, summed from the leaves to the root and handed back, slice
 * after slice, so that both ways of every edge are busy at once. Ranks in the topology's order: NCCL's own choice of which rank
 * stands where, by distance, is not modelled.
 */
export const treeReduction: ReductionKind = ({ topology, connect }) => {
  const hosts = topology.hosts.map(({ name }) => name);
  const trees = doubleTree(hosts.length).map((tree): readonly Place[] => {
    const places = tree.map((parent, rank): Place => {
      const up =
        parent === null ? undefined : { rank: parent, pair: connect(hosts[rank] as string, hosts[parent] as string) };
      return { up, down: [] };
    });
    for (const [rank, parent] of tree.entries())
      if (parent !== null)
        places[parent]?.down.push({ rank, pair: connect(hosts[parent] as string, hosts[rank] as string) });
    return places;
  });
  return {
    operation(bytes, onLeft) {
      const work = trees.map((places, t) => ({
        places,
        sizes: slices(part(bytes, trees.length, t)),
        /** Children's sums that a rank has of each slice. */
        sums: places.map(() => [] as number[]),
        /** Slices that a rank has sent up, or at the root summed. */
        risen: places.map(() => 0),
      }));
      const entered = hosts.map(() => false);
      const missing = hosts.map(() => work.reduce((sum, { sizes }) => sum + sizes.length, 0));
      type Work = (typeof work)[number];

      /** Sends up what is summed, in order; the root turns it round. */
      function rise(tree: Work, rank: number): void {
        const { up, down } = tree.places[rank] as Place;
        const sums = tree.sums[rank] as number[];
        while (entered[rank]) {
          const slice = tree.risen[rank] as number;
          if (slice === tree.sizes.length || (sums[slice] ?? 0) < down.length) return;
          tree.risen[rank] = slice + 1;
          if (!up) fall(tree, rank, slice);
          else
            up.pair.send(tree.sizes[slice] as number, {
              delivered: () => {
                const above = tree.sums[up.rank] as number[];
                above[slice] = (above[slice] ?? 0) + 1;
                rise(tree, up.rank);
              },
            });
        }
      }
      /** A rank holds the result of a slice. */
      function fall(tree: Work, rank: number, slice: number): void {
        for (const child of (tree.places[rank] as Place).down)
          child.pair.send(tree.sizes[slice] as number, { delivered: () => fall(tree, child.rank, slice) });
        missing[rank] = (missing[rank] as number) - 1;
        if (missing[rank] === 0) onLeft(rank);
      }
      return {
        enter(rank) {
          entered[rank] = true;
          for (const tree of work) rise(tree, rank);
        },
      };
    },
  };
};

/** busbw = S/T x 2(n-1)/n (nccl-tests, doc/PERFORMANCE.md), though the tree's inner ranks move 2S. */
export const treeAllReduce: PatternKind<LoadOf<'all-reduce'>> = {
  refuses: (load, { hosts }) => tooFewFor(magnitude(load.bytes), hosts.length),
  create: (load, { topology, connect, time }) =>
    reductionRounds(treeReduction({ topology, connect }), {
      bytes: magnitude(load.bytes),
      ranks: topology.hosts.length,
      time,
    }),
};
