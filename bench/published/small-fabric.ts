import { createNetwork } from '../../emulators/fabric-sim/fabric/create-network.ts';
import type { Network } from '../../emulators/fabric-sim/fabric/network.ts';
import { DEFAULT_FABRIC } from '../../harness/model/fabric-settings.ts';
import { cable, type FabricSettings, type Link, type Span } from '../../harness/model/topology.ts';
import type { Distance, Rate } from '../../harness/model/units.ts';

/** Two nodes and what joins them. A port is called like the node at its other end. */
export interface Edge {
  readonly between: readonly [string, string];
  readonly rate: Rate;
  readonly length: Distance;
  /** A fibre between sites, called like its two ends: `x-y`. A cable when absent. */
  readonly span?: boolean;
}

export interface SmallFabric {
  readonly hosts: readonly string[];
  readonly edges: readonly Edge[];
  /** In place of the default fabric's; without ECN, PFC and congestion control when absent. */
  readonly settings?: Partial<FabricSettings>;
  readonly seed?: number;
  /** What a full packet adds to its payload on the wire; RoCEv2's when absent. */
  readonly overheadBytes?: number;
}

/** Cables of such a length delay by 1 us; 5 ns/m. */
export const MICROSECOND_OF_CABLE = 200;

/** A fabric for one question, packet by packet, routed by fewest hops. What is not a host is a switch. */
export function smallFabric({ hosts, edges, settings, seed = 1, overheadBytes }: SmallFabric): Network {
  const nodes = [...new Set(edges.flatMap(({ between }) => between))];
  const switches = nodes.filter(name => !hosts.includes(name));
  const links: Link[] = [];
  const spans: Record<string, Span> = {};
  for (const { between, rate, length, span } of edges) {
    const [a, b] = between;
    const ends = [
      { node: a, port: b },
      { node: b, port: a },
    ] as const;
    const name = `${a}-${b}`;
    if (span === true) spans[name] = { kind: 'span', name, ends, rate, length };
    else links.push(cable(...ends, rate, length));
  }
  const network = createNetwork({
    topology: {
      name: 'small fabric',
      sites: ['site'],
      hosts: hosts.map(name => ({ kind: 'host', name, site: 'site' })),
      switches: switches.map(name => ({ kind: 'switch', name, site: 'site', role: 'leaf' })),
      links,
      spans,
      settings: { ...DEFAULT_FABRIC, ecn: null, pfc: null, dcqcn: null, ...settings },
    },
    seed,
    trainPackets: 1,
    ...(overheadBytes !== undefined && { overheadBytes }),
  });
  const near = (node: string): readonly string[] =>
    edges.flatMap(({ between: [a, b] }) => (a === node ? [b] : b === node ? [a] : []));
  for (const target of hosts) {
    const away = new Map([[target, 0]]);
    for (const [node, hops] of away) for (const next of near(node)) if (!away.has(next)) away.set(next, hops + 1);
    for (const node of switches) {
      const hops = away.get(node);
      if (hops === undefined) continue;
      network.setRoute(
        node,
        target,
        near(node).filter(next => away.get(next) === hops - 1),
      );
    }
  }
  return network;
}

/** Hosts `h0` … that send and `t` that takes, around switch `s`. */
export function fanIn(
  senders: number,
  {
    rate,
    length,
    last,
    ...rest
  }: Omit<SmallFabric, 'hosts' | 'edges'> & {
    readonly rate: Rate;
    readonly length: Distance;
    /** The cable of `t`; like the others when absent. */
    readonly last?: { readonly rate?: Rate; readonly length?: Distance };
  },
): Network {
  const names = Array.from({ length: senders }, (_, i) => `h${i}`);
  return smallFabric({
    hosts: [...names, 't'],
    edges: [
      ...names.map((name): Edge => ({ between: [name, 's'], rate, length })),
      { between: ['s', 't'], rate: last?.rate ?? rate, length: last?.length ?? length },
    ],
    ...rest,
  });
}
