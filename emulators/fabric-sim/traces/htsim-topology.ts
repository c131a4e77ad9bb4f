import type { FabricGraph, GraphLink, GraphNode } from './fabric-graph.ts';
import { reject, shown, type Word, whole, wordedLines } from './trace-text.ts';

const MOST_NODES = 2 ** 16;
const MOST_LINKS = 2 ** 21;

/** One tier of an htsim fat tree; tier 0 are the top-of-rack switches. Links go down from the tier. */
export interface HtsimTier {
  readonly downlinkGbps: number;
  readonly downlinkNs: number;
  readonly switchNs: number;
  readonly radixDown: number;
  /** 0 in the top tier. */
  readonly radixUp: number;
  /** Parallel cables between a switch of this tier and one below. */
  readonly bundle: number;
  readonly oversubscribed: number;
  /** Bytes of an output queue, when the file says so. */
  readonly queueDownBytes: number | undefined;
  readonly queueUpBytes: number | undefined;
}

/** An htsim topology file (`.topo`). */
export interface HtsimTopology {
  readonly nodes: number;
  readonly podSize: number;
  /** Two or three. */
  readonly tiers: readonly HtsimTier[];
}

const KEYS = {
  downlink_speed_gbps: { least: 1, most: 100_000 },
  radix_up: { least: 1, most: MOST_NODES },
  radix_down: { least: 1, most: MOST_NODES },
  queue_up: { least: 1, most: 2 ** 40 },
  queue_down: { least: 1, most: 2 ** 40 },
  oversubscribed: { least: 1, most: MOST_NODES },
  bundle: { least: 1, most: MOST_NODES },
  switch_latency_ns: { least: 0, most: 1e9 },
  downlink_latency_ns: { least: 1, most: 1e12 },
} as const;
type Key = keyof typeof KEYS;

/**
 * Reads an htsim topology, as `FatTreeTopology::load` does (csg-htsim, sim/datacenter/fat_tree_topology.cpp); keywords in any case.
 * Unlike there an unknown keyword is an error, and so is a radix, a bundle or an oversubscription that does not fit the others.
 *
 * @throws TraceFormatError naming file and line
 */
export function parseHtsimTopology(text: string, file: string): HtsimTopology {
  const header = new Map<string, number>();
  const tiers = new Map<number, Map<Key, number>>();
  let current: Map<Key, number> | undefined;
  for (const { words } of wordedLines(text, file)) {
    const [first, value, extra] = words as readonly [Word, Word?, Word?];
    if (first.text.startsWith('#')) continue;
    if (value === undefined) return reject(first, `${shown(first.text)} and no value; expected KEYWORD NUMBER`);
    if (extra !== undefined) reject(extra, `${shown(extra.text)}; expected the end of the line`);
    const key = first.text.toLowerCase();
    if (key === 'tier') {
      const tier = whole(value, { what: 'a tier', least: 0, most: 2 });
      if (tiers.has(tier)) reject(first, `tier ${tier} a second time; expected each once`);
      current = new Map();
      tiers.set(tier, current);
    } else if (key === 'nodes' || key === 'tiers' || key === 'podsize') {
      if (current !== undefined) reject(first, `${first.text} after a tier; expected it in the header`);
      if (header.has(key)) reject(first, `${first.text} a second time; expected it once`);
      const range = key === 'tiers' ? { least: 2, most: 3 } : { least: 1, most: MOST_NODES };
      header.set(key, whole(value, { what: first.text, ...range }));
    } else if (Object.hasOwn(KEYS, key)) {
      if (current === undefined) return reject(first, `${first.text} before any Tier; expected Tier N first`);
      if (current.has(key as Key)) reject(first, `${first.text} a second time in its tier; expected it once`);
      current.set(key as Key, whole(value, { what: first.text, ...KEYS[key as Key] }));
    } else
      reject(
        first,
        `unknown keyword ${shown(first.text)}; expected Nodes, Tiers, Podsize, Tier or one of ${Object.keys(KEYS).join(', ')}`,
      );
  }
  const of = (key: string): number =>
    header.get(key) ?? reject({ file, line: 0 }, `no ${key}; expected it in the header`);
  const count = of('tiers');
  const topology = {
    nodes: of('nodes'),
    podSize: of('podsize'),
    tiers: Array.from({ length: count }, (_, tier) => tierOf(tiers.get(tier), { file, tier, top: tier === count - 1 })),
  };
  if (tiers.size !== count)
    reject({ file, line: 0 }, `${tiers.size} tiers are described; expected ${count}, as Tiers says`);
  const problem = misfit(topology);
  if (problem !== undefined) reject({ file, line: 0 }, problem);
  return topology;
}

function tierOf(
  given: ReadonlyMap<Key, number> | undefined,
  { file, tier, top }: { readonly file: string; readonly tier: number; readonly top: boolean },
): HtsimTier {
  if (given === undefined) return reject({ file, line: 0 }, `nothing of tier ${tier}; expected Tier ${tier}`);
  const of = (key: Key): number =>
    given.get(key) ?? reject({ file, line: 0 }, `tier ${tier} has no ${key}; expected it`);
  if (top && (given.has('radix_up') || given.has('queue_up')))
    reject({ file, line: 0 }, `tier ${tier} is the top, but has radix_up or queue_up; expected no uplinks there`);
  return {
    downlinkGbps: of('downlink_speed_gbps'),
    downlinkNs: of('downlink_latency_ns'),
    switchNs: given.get('switch_latency_ns') ?? 0,
    radixDown: of('radix_down'),
    radixUp: top ? 0 : of('radix_up'),
    bundle: given.get('bundle') ?? 1,
    oversubscribed: given.get('oversubscribed') ?? 1,
    queueDownBytes: given.get('queue_down'),
    queueUpBytes: given.get('queue_up'),
  };
}

interface Counts {
  readonly tors: number;
  readonly aggs: number;
  readonly cores: number;
  readonly torsPerPod: number;
  readonly aggsPerPod: number;
}

/** Switches of each tier, after `FatTreeTopology::set_custom_params`. */
function countsOf({ nodes, podSize, tiers }: HtsimTopology): Counts {
  const [tor, agg, core] = tiers as readonly [HtsimTier, HtsimTier, HtsimTier?];
  const pods = nodes / podSize;
  const torsPerPod = podSize / tor.radixDown;
  const torUplinks = (nodes * tor.downlinkGbps) / (agg.downlinkGbps * tor.oversubscribed);
  const aggsPerPod = torUplinks / (pods * agg.radixDown);
  const aggUplinks = core ? (torUplinks * agg.downlinkGbps) / (core.downlinkGbps * agg.oversubscribed) : 0;
  const cores = core ? aggUplinks / core.radixDown : 0;
  return { tors: torsPerPod * pods, aggs: aggsPerPod * pods, cores, torsPerPod, aggsPerPod };
}

/** The first of htsim's conditions that does not hold. */
function misfit(topology: HtsimTopology): string | undefined {
  const { nodes, podSize, tiers } = topology;
  const [tor, agg, core] = tiers as readonly [HtsimTier, HtsimTier, HtsimTier?];
  const counts = countsOf(topology);
  const { tors, aggs, cores, aggsPerPod, torsPerPod } = counts;
  if (nodes % podSize !== 0) return `${nodes} nodes are no multiple of the pod size ${podSize}`;
  if (core === undefined && podSize !== nodes)
    return `two tiers with ${nodes} nodes in pods of ${podSize}; expected one pod, as every ToR meets every tier 1 switch`;
  if (podSize % tor.radixDown !== 0)
    return `pod size ${podSize} is no multiple of tier 0's radix_down ${tor.radixDown}`;
  if (tor.bundle !== 1) return `tier 0 has bundle ${tor.bundle}; a host has one NIC`;
  if (Math.floor(tor.radixDown / tor.radixUp) !== tor.oversubscribed)
    return `tier 0: radix ${tor.radixDown} down and ${tor.radixUp} up is not ${tor.oversubscribed}:1 oversubscribed`;
  if (!Number.isInteger(aggsPerPod) || aggsPerPod * agg.bundle !== tor.radixUp)
    return `tier 0 has ${tor.radixUp} uplinks, but radix, speed and bundle of tier 1 make it ${aggsPerPod} switches a pod with ${agg.bundle} cables each`;
  if (agg.radixDown !== agg.bundle * torsPerPod)
    return `tier 1 has radix_down ${agg.radixDown}, but ${torsPerPod} switches below with ${agg.bundle} cables each`;
  if (core !== undefined) {
    if (!Number.isInteger(cores) || cores % aggsPerPod !== 0)
      return `radix and speed of tier 2 make it ${cores} switches, no multiple of ${aggsPerPod} tier 1 switches a pod`;
    if (core.radixDown !== (nodes / podSize) * core.bundle)
      return `tier 2 has radix_down ${core.radixDown}, but ${nodes / podSize} pods with ${core.bundle} cables each`;
    if ((cores * core.bundle) / aggsPerPod !== agg.radixUp)
      return `tier 1 has ${agg.radixUp} uplinks, but tier 2 has ${cores / aggsPerPod} switches for it with ${core.bundle} cables each`;
  }
  const links = nodes + tors * tor.radixUp + (core ? aggs * agg.radixUp : 0);
  if (nodes + tors + aggs + cores > MOST_NODES * 2 || links > MOST_LINKS)
    return `${nodes + tors + aggs + cores} nodes and ${links} links; at most ${MOST_NODES * 2} and ${MOST_LINKS} are read`;
  return undefined;
}

/**
 * The fat tree as htsim wires it (`FatTreeTopology::init_network`): hosts `h0`.., then `tor0`.., `agg0`.., `core0`... Aggregation
 * switch i of a pod goes to the cores i, i + aggregation switches of a pod, ... A two-tier tree has every ToR on every
 * aggregation switch.
 *
 * htsim delays every packet by the latency of each switch. Here half of it lies in each cable of the switch, which gives every
 * path from host to host the same sum; pause frames, which htsim does not delay so, take it too.
 */
export function htsimGraph(topology: HtsimTopology, name: string): FabricGraph {
  const { nodes: hosts, tiers } = topology;
  const [tor, agg, core] = tiers as readonly [HtsimTier, HtsimTier, HtsimTier?];
  const { tors, aggs, cores, torsPerPod, aggsPerPod } = countsOf(topology);
  const nodes: GraphNode[] = [];
  for (const [count, prefix] of [
    [hosts, 'h'],
    [tors, 'tor'],
    [aggs, 'agg'],
    [cores, 'core'],
  ] as const) {
    for (let i = 0; i < count; i += 1) nodes.push({ name: `${prefix}${i}`, kind: prefix === 'h' ? 'host' : 'switch' });
  }
  const links: GraphLink[] = [];
  const connect = (a: number, b: number, above: HtsimTier, below: HtsimTier | undefined): void => {
    const delayPs = above.downlinkNs * 1000 + (above.switchNs + (below?.switchNs ?? 0)) * 500;
    for (let cable = 0; cable < above.bundle; cable += 1)
      links.push({ a, b, rateBps: above.downlinkGbps * 1e9, delayPs, loss: 0 });
  };
  for (let host = 0; host < hosts; host += 1) connect(host, hosts + Math.floor(host / tor.radixDown), tor, undefined);
  for (let t = 0; t < tors; t += 1) {
    const pod = Math.floor(t / torsPerPod);
    for (let a = pod * aggsPerPod; a < (pod + 1) * aggsPerPod; a += 1) connect(hosts + t, hosts + tors + a, agg, tor);
  }
  if (core) {
    for (let a = 0; a < aggs; a += 1) {
      for (let l = 0; l < agg.radixUp / core.bundle; l += 1)
        connect(hosts + tors + a, hosts + tors + aggs + (a % aggsPerPod) + aggsPerPod * l, core, agg);
    }
  }
  return { name, nodes, links };
}

/** The topology in htsim's format; `parseHtsimTopology` reads it back equal. */
export function writeHtsimTopology({ nodes, podSize, tiers }: HtsimTopology): string {
  const blocks = tiers.map((tier, i) =>
    [
      `Tier ${i}`,
      `Downlink_speed_Gbps ${tier.downlinkGbps}`,
      `Radix_Down ${tier.radixDown}`,
      ...(tier.radixUp > 0 ? [`Radix_Up ${tier.radixUp}`] : []),
      `Downlink_Latency_ns ${tier.downlinkNs}`,
      `Switch_Latency_ns ${tier.switchNs}`,
      ...(tier.oversubscribed > 1 ? [`Oversubscribed ${tier.oversubscribed}`] : []),
      ...(tier.bundle > 1 ? [`Bundle ${tier.bundle}`] : []),
      ...(tier.queueDownBytes === undefined ? [] : [`Queue_Down ${tier.queueDownBytes}`]),
      ...(tier.queueUpBytes === undefined ? [] : [`Queue_Up ${tier.queueUpBytes}`]),
    ].join('\n'),
  );
  return `Nodes ${nodes}\nTiers ${tiers.length}\nPodsize ${podSize}\n\n${blocks.join('\n\n')}\n`;
}
