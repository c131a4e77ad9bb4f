import type { Standing } from './standing.ts';

export interface Demand {
  readonly source: string;
  readonly target: string;
  /** Relative size of this demand; 1 for flows that are all alike. */
  readonly weight: number;
}

/** Pairs of leaves looked at one by one; beyond that only leaf and site totals count, and the bound may be less tight. */
const MOST_LEAF_PAIRS = 512;

/**
 * Greatest payload rate per unit of weight that all demands can have at once, bit/s: for every host, every leaf (out and in),
 * every pair of leaves and every pair of sites, the max-flow between the two sides divided by what must pass between them;
 * the least of these. An upper bound (max-flow min-cut), and reached on leaf-spine sites joined by spans when load is spread
 * evenly. Undefined when some demand has no path.
 */
export function concurrentRateBps(on: Standing, demands: readonly Demand[]): number | undefined {
  const siteOf = new Map(on.topology.hosts.map(host => [host.name, host.site]));
  const cuts = new Map<string, Cut>();
  const count = (key: string, { source, target, weight }: Demand): void => {
    const cut = cuts.get(key) ?? { weight: 0, sources: new Set<string>(), targets: new Set<string>() };
    cuts.set(key, cut);
    cut.weight += weight;
    cut.sources.add(source);
    cut.targets.add(target);
  };
  for (const demand of demands) {
    const [from, to] = [on.nic(demand.source), on.nic(demand.target)];
    if (!from || !to || on.delayNs(demand.source, demand.target) === undefined) return undefined;
    count(`from host ${demand.source}`, demand);
    count(`to host ${demand.target}`, demand);
    if (from.leaf !== to.leaf) {
      count(`from leaf ${from.leaf}`, demand);
      count(`to leaf ${to.leaf}`, demand);
      count(`leaf pair ${from.leaf} ${to.leaf}`, demand);
    }
    const [site, other] = [siteOf.get(demand.source), siteOf.get(demand.target)];
    if (site !== other) {
      count(`from site ${site}`, demand);
      count(`to site ${other}`, demand);
      count(`site pair ${site} ${other}`, demand);
    }
  }
  let least = Number.POSITIVE_INFINITY;
  let pairs = 0;
  for (const [key, cut] of cuts) {
    if (key.startsWith('leaf pair') && ++pairs > MOST_LEAF_PAIRS) continue;
    least = Math.min(least, on.capacityBps([...cut.sources], [...cut.targets]) / cut.weight);
  }
  return Number.isFinite(least) ? least * on.efficiency : undefined;
}

interface Cut {
  weight: number;
  readonly sources: Set<string>;
  readonly targets: Set<string>;
}
