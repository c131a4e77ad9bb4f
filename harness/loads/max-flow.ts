/** A directed arc. Arcs that join the same two nodes add up. */
export interface Arc {
  readonly from: string;
  readonly to: string;
  readonly capacity: number;
}

/**
 * Most that can flow from `source` to `target`, by shortest augmenting paths (Edmonds and Karp, JACM 19(2), 1972).
 * By the max-flow min-cut theorem it equals the narrowest cut between the two.
 */
export function maxFlow(
  arcs: readonly Arc[],
  { source, target }: { readonly source: string; readonly target: string },
): number {
  const residual = new Map<string, Map<string, number>>();
  const add = (from: string, to: string, capacity: number): void => {
    const edges = residual.get(from) ?? new Map<string, number>();
    residual.set(from, edges);
    edges.set(to, (edges.get(to) ?? 0) + capacity);
  };
  for (const { from, to, capacity } of arcs) {
    add(from, to, capacity);
    add(to, from, 0);
  }
  let flow = 0;
  for (let path = augmentingPath(residual, source, target); path; path = augmentingPath(residual, source, target)) {
    const width = Math.min(...path.map(([from, to]) => residual.get(from)?.get(to) ?? 0));
    for (const [from, to] of path) {
      add(from, to, -width);
      add(to, from, width);
    }
    flow += width;
  }
  return flow;
}

function augmentingPath(
  residual: ReadonlyMap<string, ReadonlyMap<string, number>>,
  source: string,
  target: string,
): readonly (readonly [string, string])[] | undefined {
  const cameFrom = new Map<string, string>([[source, source]]);
  const queue = [source];
  for (let next = 0; next < queue.length && !cameFrom.has(target); next++) {
    const node = queue[next] as string;
    for (const [to, capacity] of residual.get(node) ?? []) {
      if (capacity > 0 && !cameFrom.has(to)) {
        cameFrom.set(to, node);
        queue.push(to);
      }
    }
  }
  if (!cameFrom.has(target)) return undefined;
  const path: [string, string][] = [];
  for (let node = target; node !== source; node = cameFrom.get(node) as string)
    path.unshift([cameFrom.get(node) as string, node]);
  return path;
}
