import type {
  FabricSettings,
  Host,
  Link,
  PortRef,
  Span,
  SwitchNode,
  Topology,
} from '../../../harness/model/topology.ts';

/** What trace files say of a fabric: numbered nodes, and links with a rate and a delay that is the same both ways. */
export interface FabricGraph {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  readonly links: readonly GraphLink[];
}

export interface GraphNode {
  readonly name: string;
  readonly kind: 'host' | 'switch';
}

export interface GraphLink {
  /** Indices of `FabricGraph.nodes`. */
  readonly a: number;
  readonly b: number;
  readonly rateBps: number;
  readonly delayPs: number;
  /** Frame loss, fraction of 1. */
  readonly loss: number;
}

/** One entry of a forwarding table: the equal next hops of `node` towards `target`, as `Network.setRoute` takes them. */
export interface Route {
  readonly node: string;
  readonly target: string;
  readonly ports: readonly string[];
}

/** A link at least this long, one way, joins sites: 20 km of fibre. Rows and halls are shorter, sites farther. */
export const SPAN_FROM_PS = 100e6;

/** `harness/model` gives lengths and the simulator makes delays of them: these are its factors, inverted (`propagation.ts`). */
const CABLE_PS_PER_METRE = 5000;
const FIBRE_PS_PER_METRE = (1.4682 * 1e12) / 299_792_458;

interface GraphPort {
  readonly node: number;
  readonly peer: number;
  readonly link: number;
  readonly name: string;
}

/** Ports of each node in the order of the links. A host's port is `eth0`; a switch's is named after the node at its other end, `NAME.2` when a second cable leads there. */
export function portsOf(graph: FabricGraph): readonly (readonly GraphPort[])[] {
  const ports: GraphPort[][] = graph.nodes.map(() => []);
  const seen = new Map<number, number>();
  for (const [link, { a, b }] of graph.links.entries()) {
    for (const [node, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const key = node * graph.nodes.length + peer;
      const nth = (seen.get(key) ?? 0) + 1;
      seen.set(key, nth);
      const far = (graph.nodes[peer] as GraphNode).name;
      const own = ports[node] as GraphPort[];
      const name = graph.nodes[node]?.kind === 'host' ? `eth${own.length}` : nth === 1 ? far : `${far}.${nth}`;
      own.push({ node, peer, link, name });
    }
  }
  return ports;
}

/** Sites: what hangs together when the links of {@link SPAN_FROM_PS} and more are cut. Site of each node, numbered by its first node. */
export function sitesOf(graph: FabricGraph): readonly number[] {
  const root = graph.nodes.map((_, node) => node);
  const find = (node: number): number => {
    let top = node;
    while (root[top] !== top) top = root[top] as number;
    for (let at = node; at !== top; ) {
      const above = root[at] as number;
      root[at] = top;
      at = above;
    }
    return top;
  };
  for (const { a, b, delayPs } of graph.links) {
    if (delayPs < SPAN_FROM_PS) root[find(b)] = find(a);
  }
  const numbers = new Map<number, number>();
  return graph.nodes.map((_, node) => {
    const top = find(node);
    const known = numbers.get(top);
    if (known !== undefined) return known;
    numbers.set(top, numbers.size);
    return numbers.size - 1;
  });
}

/**
 * As the harness describes a fabric. Long and lossy links become spans, so that `Network.setSpan` can change them.
 *
 * `sites` (of each node) when the graph's own lengths do not tell them.
 */
export function topologyOf(
  graph: FabricGraph,
  { settings, sites = sitesOf(graph) }: { readonly settings: FabricSettings; readonly sites?: readonly number[] },
): Topology {
  const ports = portsOf(graph);
  const named = ports.map(own => new Map(own.map(({ link, name }) => [link, name])));
  const endOf = (node: number, link: number): PortRef => ({
    node: (graph.nodes[node] as GraphNode).name,
    port: named[node]?.get(link) as string,
  });
  const siteOf = (node: number): string => `site-${(sites[node] as number) + 1}`;
  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  for (const [node, { name, kind }] of graph.nodes.entries()) {
    const site = siteOf(node);
    if (kind === 'host') hosts.push({ kind, name, site });
    else {
      const leaf = (ports[node] as readonly GraphPort[]).some(({ peer }) => graph.nodes[peer]?.kind === 'host');
      switches.push({ kind, name, site, role: leaf ? 'leaf' : 'spine' });
    }
  }
  const links: Link[] = [];
  const spans: Record<string, Span> = {};
  for (const [index, { a, b, rateBps, delayPs }] of graph.links.entries()) {
    const ends = [endOf(a, index), endOf(b, index)] as const;
    const name = cableName(ends);
    const rate = `${rateBps} b/s` as const;
    if (isSpan(graph.links[index] as GraphLink))
      spans[name] = { kind: 'span', name, ends, rate, length: `${delayPs / FIBRE_PS_PER_METRE} m` };
    else links.push({ kind: 'link', name, ends, rate, length: `${delayPs / CABLE_PS_PER_METRE} m` });
  }
  return {
    name: graph.name,
    sites: [...new Set(graph.nodes.map((_, n) => siteOf(n)))],
    hosts,
    switches,
    links,
    spans,
    settings,
  };
}

export function isSpan({ delayPs, loss }: GraphLink): boolean {
  return delayPs >= SPAN_FROM_PS || loss > 0;
}

/** Names of the spans with a loss, and the loss. */
export function lossySpans(graph: FabricGraph): readonly { readonly name: string; readonly loss: number }[] {
  if (graph.links.every(({ loss }) => loss === 0)) return [];
  const names = Object.keys(topologyOf(graph, { settings: {} as FabricSettings }).spans);
  return graph.links
    .filter(isSpan)
    .map(({ loss }, i) => ({ name: names[i] as string, loss }))
    .filter(({ loss }) => loss > 0);
}

function cableName([a, b]: readonly [PortRef, PortRef]): string {
  return `${a.node}:${a.port}--${b.node}:${b.port}`;
}

/**
 * Shortest paths by hop count, all equal next hops: what the HPCC family computes (`CalculateRoute` in its third.cc), and, in a
 * fat tree, htsim's up/down groups. Breadth first from each host; hosts carry nothing through. Next hops are in the order in which
 * the search reaches them, neighbours by number; the family iterates by the address of its objects, which nothing fixes.
 * Hosts under one switch share their groups, so a fabric of n leaves costs n searches. Links in `down` (indices) are not used.
 */
export function* routesOf(
  graph: FabricGraph,
  { down = new Set() }: { readonly down?: ReadonlySet<number> } = {},
): Generator<Route> {
  const ports = portsOf(graph).map(own => own.filter(({ link }) => !down.has(link)));
  const byPeer = ports.map(own => own.toSorted((x, y) => x.peer - y.peer || x.link - y.link));
  const hostsUnder = new Map<number, { readonly host: number; readonly via: readonly string[] }[]>();
  for (const [host, { kind }] of graph.nodes.entries()) {
    if (kind !== 'host') continue;
    const peers = new Set((ports[host] as readonly GraphPort[]).map(({ peer }) => peer));
    for (const peer of peers) {
      if (graph.nodes[peer]?.kind !== 'switch') continue;
      const via = (ports[peer] as readonly GraphPort[]).filter(port => port.peer === host).map(({ name }) => name);
      const under = hostsUnder.get(peer);
      if (under) under.push({ host, via });
      else hostsUnder.set(peer, [{ host, via }]);
    }
  }
  for (const [leaf, hosts] of hostsUnder) {
    const groups = towards(graph, byPeer, leaf);
    for (const { host, via } of hosts) {
      const target = (graph.nodes[host] as GraphNode).name;
      yield { node: (graph.nodes[leaf] as GraphNode).name, target, ports: via };
      for (const [node, group] of groups) yield { node: (graph.nodes[node] as GraphNode).name, target, ports: group };
    }
  }
}

/** Ports of every other switch on its shortest paths to switch `leaf`. */
function towards(
  graph: FabricGraph,
  byPeer: readonly (readonly GraphPort[])[],
  leaf: number,
): readonly (readonly [number, readonly string[]])[] {
  const distance = new Int32Array(graph.nodes.length).fill(-1);
  const groups = new Map<number, string[]>();
  const queue = [leaf];
  distance[leaf] = 0;
  for (let i = 0; i < queue.length; i += 1) {
    const now = queue[i] as number;
    const further = (distance[now] as number) + 1;
    for (const { peer, link } of byPeer[now] as readonly GraphPort[]) {
      if (graph.nodes[peer]?.kind !== 'switch') continue;
      if (distance[peer] === -1) {
        distance[peer] = further;
        groups.set(peer, []);
        queue.push(peer);
      }
      if (distance[peer] === further) {
        const back = (byPeer[peer] as readonly GraphPort[]).find(port => port.link === link) as GraphPort;
        (groups.get(peer) as string[]).push(back.name);
      }
    }
  }
  return [...groups];
}

/** What the HPCC family knows of a pair of hosts. Whole nanoseconds, floored per hop as its integers are. */
export interface PairFacts {
  /** Twice the propagation delay and once the serialisation of a full payload on every hop. */
  readonly baseRttNs: number;
  /** Of the slowest link. */
  readonly rateBps: number;
  readonly bdpBytes: number;
}

export interface PairTable {
  /** By index of `FabricGraph.nodes`. Undefined when there is no path. */
  facts(source: number, target: number): PairFacts | undefined;
  /** Over all pairs. */
  readonly maxRttNs: number;
  readonly maxBdpBytes: number;
}

/** Delay, rate and BDP of every pair along the path that the search finds first, as `CalculateRoute` of the HPCC family's third.cc. */
export function pairTable(graph: FabricGraph, { payloadBytes }: { readonly payloadBytes: number }): PairTable {
  const ports = portsOf(graph).map(own => own.toSorted((x, y) => x.peer - y.peer || x.link - y.link));
  const reach = (target: number): Reach => reachOf(graph, ports, { target, payloadBytes });
  // Flows of one target often come one after another; the reach of every host at once would be 100 GB for 65536 of them.
  const cache = new Map<number, Reach>();
  const facts = (source: number, target: number): PairFacts | undefined => {
    const known = cache.get(target);
    const made = known ?? reach(target);
    if (!known) {
      if (cache.size >= MOST_CACHED) cache.clear();
      cache.set(target, made);
    }
    return source === target ? undefined : factsOf(made, source);
  };
  let most: { maxRttNs: number; maxBdpBytes: number } | undefined;
  const extremes = () => {
    if (most) return most;
    most = { maxRttNs: 0, maxBdpBytes: 0 };
    const hosts = graph.nodes.flatMap(({ kind }, node) => (kind === 'host' ? [node] : []));
    let largest = { rttNs: 0, rateBps: 0 };
    for (const target of hosts) {
      const way = reach(target);
      for (const source of hosts) {
        const rttNs = rttOf(way, source);
        if (source === target || way.rateBps[source] === 0) continue;
        most.maxRttNs = Math.max(most.maxRttNs, rttNs);
        // Fabrics have few kinds of pairs: what can not be larger than the largest so far is not worked out to the byte.
        const rateBps = way.rateBps[source] as number;
        if (rttNs * rateBps < largest.rttNs * largest.rateBps) continue;
        if (rttNs === largest.rttNs && rateBps === largest.rateBps) continue;
        largest = { rttNs, rateBps };
        most.maxBdpBytes = Math.max(most.maxBdpBytes, factsOf(way, source)?.bdpBytes ?? 0);
      }
    }
    return most;
  };
  return {
    facts,
    get maxRttNs() {
      return extremes().maxRttNs;
    },
    get maxBdpBytes() {
      return extremes().maxBdpBytes;
    },
  };
}

/** Targets whose reach is kept; 24 B a node each. */
const MOST_CACHED = 1024;

const rttOf = ({ delayNs, txNs }: Reach, source: number): number =>
  2 * (delayNs[source] as number) + (txNs[source] as number);

function factsOf(way: Reach, source: number): PairFacts | undefined {
  const slowest = way.rateBps[source] as number;
  if (slowest === 0) return undefined;
  const baseRttNs = rttOf(way, source);
  // rtt x rate passes 2^53.
  const bdpBytes = Number((BigInt(baseRttNs) * BigInt(Math.round(slowest))) / 8_000_000_000n);
  return { baseRttNs, rateBps: slowest, bdpBytes };
}

interface Reach {
  readonly delayNs: Float64Array;
  readonly txNs: Float64Array;
  readonly rateBps: Float64Array;
}

function reachOf(
  graph: FabricGraph,
  ports: readonly (readonly GraphPort[])[],
  { target, payloadBytes }: { readonly target: number; readonly payloadBytes: number },
): Reach {
  const count = graph.nodes.length;
  const delayNs = new Float64Array(count);
  const txNs = new Float64Array(count);
  const rateBps = new Float64Array(count);
  const queue = [target];
  rateBps[target] = Number.POSITIVE_INFINITY;
  for (let i = 0; i < queue.length; i += 1) {
    const now = queue[i] as number;
    for (const { peer, link } of ports[now] as readonly GraphPort[]) {
      if (rateBps[peer] !== 0) continue;
      const { delayPs, rateBps: bps } = graph.links[link] as GraphLink;
      delayNs[peer] = (delayNs[now] as number) + Math.floor(delayPs / 1000);
      txNs[peer] = (txNs[now] as number) + Math.floor((payloadBytes * 8e9) / bps);
      rateBps[peer] = Math.min(rateBps[now] as number, bps);
      if (graph.nodes[peer]?.kind === 'switch') queue.push(peer);
    }
  }
  rateBps[target] = 0;
  return { delayNs, txNs, rateBps };
}
