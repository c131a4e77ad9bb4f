/** Parent of every rank in one binary tree; null for its root. */
export type Tree = readonly (number | null)[];

/**
 * Binary tree over ranks 0 to n - 1 in which inner ranks and leaves alternate: the root is 0, a rank whose lowest set bit is b
 * hangs under (rank ^ b) | 2b, or under rank ^ b where that is no rank.
 */
function alternating(ranks: number): Tree {
  return Array.from({ length: ranks }, (_, rank) => {
    if (rank === 0) return null;
    const bit = rank & -rank;
    const up = (rank ^ bit) | (bit << 1);
    return up < ranks ? up : rank ^ bit;
  });
}

/**
 * The two complementary binary trees of NCCL's `tree` algorithm: the second is the first mirrored (n even) or shifted by one rank
 * (n odd), so that no rank is inner in both, and each carries half of the data.
 *
 * @see Sanders, Speck, Träff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", Parallel Computing 35 (2009)
 * @see https://github.com/NVIDIA/nccl/blob/master/src/graph/trees.cc `ncclGetBtree`, `ncclGetDtree`
 */
export function doubleTree(ranks: number): readonly [Tree, Tree] {
  const first = alternating(ranks);
  const place = ranks % 2 === 0 ? (rank: number) => ranks - 1 - rank : (rank: number) => (rank + 1) % ranks;
  const second = Array.from({ length: ranks }, (): number | null => null);
  for (const [rank, parent] of first.entries()) second[place(rank)] = parent === null ? null : place(parent);
  return [first, second];
}
