import { createNetwork } from '../../emulators/fabric-sim/fabric/create-network.ts';
import type { NicCount } from '../../emulators/fabric-sim/fabric/network.ts';
import {
  type FabricGraph,
  type GraphLink,
  type GraphNode,
  type Route,
  routesOf,
  topologyOf,
} from '../../emulators/fabric-sim/traces/fabric-graph.ts';
import { htsimGraph } from '../../emulators/fabric-sim/traces/htsim-topology.ts';
import { UEC_HEADER_BYTES, uecSettings } from '../../emulators/fabric-sim/transport/uec.ts';
import { DEFAULT_FABRIC } from '../../harness/model/fabric-settings.ts';

export interface UecRun {
  /** Hosts of a three-tier fat tree of switches with k ports each: 16 (k = 4), 128 (8) or 1024 (16). */
  readonly hosts: number;
  readonly flows: readonly { readonly source: number; readonly target: number; readonly bytes: number }[];
  readonly seed: number;
  /** How often all flows are started, as new ones on a fabric at rest: every time new paths, marks and trims are drawn. Once when absent. */
  readonly rounds?: number;
  readonly paths?: number;
  readonly spreading?: 'oblivious' | 'bitmap' | 'reps' | 'mixed';
  /** The link from core switch 0 down to the first pod has a quarter of its rate (`-failed 1`). */
  readonly slowCore?: boolean;
}

export interface UecResult {
  /** Of each round: from the start to the last acknowledgement, us, in the order of the flows. */
  readonly rounds: readonly (readonly number[])[];
  readonly resent: number;
  readonly timeouts: number;
  readonly trimmed: number;
  readonly hops: number;
}

const RATE_BPS = 100e9;
const LINK_PS = 1e6;
const LINKS = 6;
/** No run of the validation lasts longer. */
const END_PS = 100e9;
/** Between rounds: longer than the retransmission time-out, so that nothing is left of the last. */
const PAUSE_PS = 1e9;

/** Plays flows that all start at 0 over uet-htsim's default fabric: 100 Gb/s, 1 us a link, switches without latency. */
export function runUec(run: UecRun): UecResult {
  const { hosts, flows, seed, paths, spreading, slowCore = false } = run;
  const radix = Math.round(Math.cbrt(4 * hosts));
  if (radix ** 3 !== 4 * hosts) throw new RangeError(`No fat tree has ${hosts} hosts.`);
  const half = radix / 2;
  const tier = {
    downlinkGbps: RATE_BPS / 1e9,
    downlinkNs: LINK_PS / 1000,
    switchNs: 0,
    bundle: 1,
    oversubscribed: 1,
    queueDownBytes: undefined,
    queueUpBytes: undefined,
  };
  const whole = htsimGraph(
    {
      nodes: hosts,
      podSize: half * half,
      tiers: [
        { ...tier, radixDown: half, radixUp: half },
        { ...tier, radixDown: half, radixUp: half },
        { ...tier, radixDown: radix, radixUp: 0 },
      ],
    },
    'fat-tree',
  );
  const { graph, routes } = slowCore ? slowed(whole) : { graph: whole, routes: routesOf(whole) };
  const network = createNetwork({
    topology: topologyOf(graph, {
      settings: uecSettings(
        {
          rateBps: RATE_BPS,
          links: LINKS,
          linkDelayPs: LINK_PS,
          ...(paths !== undefined && { paths }),
          ...(spreading !== undefined && { spreading }),
        },
        DEFAULT_FABRIC,
      ),
    }),
    seed,
    trainPackets: 1,
    overheadBytes: UEC_HEADER_BYTES,
  });
  for (const { node, target, ports } of routes) network.setRoute(node, target, ports);
  const rounds: number[][] = [];
  for (let round = 0; round < (run.rounds ?? 1); round++) {
    const startPs = network.nowPs;
    const fctUs: number[] = flows.map(() => Number.NaN);
    let open = flows.length;
    for (const [index, { source, target, bytes }] of flows.entries())
      network.flow({
        source: `h${source}`,
        target: `h${target}`,
        bytes,
        entropy: (1 + index + round * flows.length) & 0xffff,
        onAcknowledged: () => {
          fctUs[index] = (network.nowPs - startPs) / 1e6;
          if (--open === 0) network.stop();
        },
      });
    network.advance(startPs + END_PS);
    if (open > 0) throw new Error(`${open} of ${flows.length} flows have not ended after ${END_PS / 1e9} ms.`);
    rounds.push(fctUs);
    network.advance(network.nowPs + PAUSE_PS);
  }
  const sum = (field: keyof NicCount): number => {
    let total = 0;
    for (let host = 0; host < hosts; host++) total += network.nic(`h${host}`)[field];
    return total;
  };
  let trimmed = 0;
  for (const { name, kind } of graph.nodes) {
    if (kind !== 'switch') continue;
    for (const port of network.ports(name)) trimmed += network.count(name, port).trimmed ?? 0;
  }
  return { rounds, resent: sum('retransmittedPackets'), timeouts: sum('timeouts'), trimmed, hops: network.hops };
}

/**
 * The way down from core switch 0 to the first pod at a quarter of its rate. The way up keeps its own: the cable is two here, and each
 * is routed one way.
 */
function slowed(graph: FabricGraph): { readonly graph: FabricGraph; readonly routes: readonly Route[] } {
  const core = graph.nodes.findIndex(({ name }) => name === 'core0');
  const link = graph.links.find(({ a, b }) => a === core || b === core) as GraphLink;
  const agg = (graph.nodes[link.a === core ? link.b : link.a] as GraphNode).name;
  const two = { ...graph, links: [...graph.links, { ...link, rateBps: link.rateBps / 4 }] };
  return {
    graph: two,
    routes: [...routesOf(two)].map(({ node, target, ports }) => ({
      node,
      target,
      ports: ports.filter(port => !(node === agg && port === 'core0.2') && !(node === 'core0' && port === agg)),
    })),
  };
}
