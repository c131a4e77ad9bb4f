import type { Fault } from '../model/fault.ts';
import type { Topology } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';
import { type Arc, maxFlow } from './max-flow.ts';

/** Group index of standard single-mode fibre at 1550 nm (Corning SMF-28 Ultra data sheet: 1.4682): 4.897 us/km. */
const GROUP_INDEX = 1.4682;
const LIGHT_IN_VACUUM = 299_792_458; // m/s, exact

/** One-way propagation over `metres` of fibre, ns. */
export const propagationNs = (metres: number): number => ((metres * GROUP_INDEX) / LIGHT_IN_VACUUM) * 1e9;

interface Cable {
  readonly a: string;
  readonly b: string;
  readonly rateBps: number;
  /** From `a` to `b`, and back. */
  readonly delayNs: number;
  readonly backNs: number;
}

interface Nic {
  readonly leaf: string;
  readonly rateBps: number;
  readonly delayNs: number;
}

/** The part of a topology that carries traffic while certain faults are true. Rates are wire rates, bit/s. */
export interface Standing {
  readonly topology: Topology;
  /** Share of the wire rate that is payload: MTU / (MTU + 82 B). */
  readonly efficiency: number;
  /** The host's only port, when its cable and its leaf are up. */
  nic(host: string): Nic | undefined;
  /** Most that the sources can send to the targets together, whatever the routing: bit/s, 0 when there is no path. */
  capacityBps(sources: readonly string[], targets: readonly string[]): number;
  /** Least one-way propagation between two hosts, ns; undefined when there is no path. */
  delayNs(source: string, target: string): number | undefined;
  /** Fewest cables between two hosts; undefined when there is no path. */
  hops(source: string, target: string): number | undefined;
}

/**
 * Bytes on the wire per packet beside its payload: preamble and start 8, Ethernet 14, IPv4 20, UDP 8, BTH 12, ICRC 4, FCS 4,
 * gap 12. 4096 B of payload make 98.04 %. Untagged RoCEv2 without the 16 B RETH of a message's first packet.
 */
const WIRE_OVERHEAD_BYTES = 82;

/** @param payloadBytes of a full packet */
export const wireEfficiency = (payloadBytes: number): number => payloadBytes / (payloadBytes + WIRE_OVERHEAD_BYTES);

/**
 * What still stands while `faults` are true. A cut or flapping span, a downed link and a rebooting switch are gone altogether:
 * - a cut in one direction, or a silent one, takes the whole span out once it is detected (local/remote fault, BFD);
 * - a degraded span stands whole, and one on its protection path is longer;
 * - a flapping span or a rebooting switch is taken in its worst state: a fabric that keeps it out of service (damping) is right.
 */
export function standing(topology: Topology, faults: readonly Fault[]): Standing {
  const goneSpans = new Set(
    faults.flatMap(fault => (fault.kind === 'span-cut' || fault.kind === 'span-flap' ? [fault.span.name] : [])),
  );
  const detours = new Map<string, number>();
  for (const fault of faults) {
    if (fault.kind !== 'protection-switch') continue;
    detours.set(fault.span.name, (detours.get(fault.span.name) ?? 0) + propagationNs(magnitude(fault.detour)));
  }
  const goneLinks = new Set(faults.flatMap(fault => (fault.kind === 'link-down' ? [fault.link.name] : [])));
  const goneNodes = new Set(faults.flatMap(fault => (fault.kind === 'switch-reboot' ? [fault.switch.name] : [])));
  const cables: Cable[] = [
    ...topology.links.filter(link => !goneLinks.has(link.name)),
    ...Object.values(topology.spans).filter(span => !goneSpans.has(span.name)),
  ]
    .filter(({ ends }) => ends.every(end => !goneNodes.has(end.node)))
    .map(cable => {
      const [a, b] = cable.ends;
      const detourNs = cable.kind === 'span' ? (detours.get(cable.name) ?? 0) : 0;
      const backNs = propagationNs(magnitude(cable.length)) + detourNs;
      const moreNs = cable.kind === 'span' && cable.asymmetry !== undefined ? magnitude(cable.asymmetry) : 0;
      return { a: a.node, b: b.node, rateBps: magnitude(cable.rate), delayNs: backNs + moreNs, backNs };
    });
  const isHost = new Set(topology.hosts.map(host => host.name));
  const nics = new Map<string, Nic>();
  const neighbours = new Map<string, Map<string, { rateBps: number; delayNs: number }>>();
  for (const { a, b, rateBps, delayNs, backNs } of cables) {
    if (isHost.has(a)) nics.set(a, { leaf: b, rateBps, delayNs });
    else if (isHost.has(b)) nics.set(b, { leaf: a, rateBps, delayNs });
    else {
      join(neighbours, a, b, rateBps, delayNs);
      join(neighbours, b, a, rateBps, backNs);
    }
  }
  const arcs: Arc[] = [...neighbours].flatMap(([from, edges]) =>
    [...edges].map(([to, { rateBps }]) => ({ from, to, capacity: rateBps })),
  );
  const delays = new Map<string, ReadonlyMap<string, number>>();
  const hopCounts = new Map<string, ReadonlyMap<string, number>>();
  const distances = (
    cache: typeof delays,
    from: string,
    cost: (edge: { delayNs: number }) => number,
  ): ReadonlyMap<string, number> => {
    const known = cache.get(from) ?? shortest(neighbours, from, cost);
    cache.set(from, known);
    return known;
  };

  return {
    topology,
    efficiency: wireEfficiency(magnitude(topology.settings.roce.mtu)),
    nic: host => nics.get(host),
    capacityBps(sources, targets) {
      const feed = (hosts: readonly string[], arc: (leaf: string, capacity: number) => Arc): Arc[] =>
        hosts.flatMap(host => {
          const nic = nics.get(host);
          return nic ? [arc(nic.leaf, nic.rateBps)] : [];
        });
      return maxFlow(
        [
          ...arcs,
          ...feed(sources, (leaf, capacity) => ({ from: SOURCE, to: leaf, capacity })),
          ...feed(targets, (leaf, capacity) => ({ from: leaf, to: TARGET, capacity })),
        ],
        { source: SOURCE, target: TARGET },
      );
    },
    delayNs(source, target) {
      const [from, to] = [nics.get(source), nics.get(target)];
      const between = from && to && distances(delays, from.leaf, edge => edge.delayNs).get(to.leaf);
      return between === undefined ? undefined : from!.delayNs + between + to!.delayNs;
    },
    hops(source, target) {
      const [from, to] = [nics.get(source), nics.get(target)];
      const between = from && to && distances(hopCounts, from.leaf, () => 1).get(to.leaf);
      return between === undefined ? undefined : between + 2;
    },
  };
}

// Names that no node of a topology can have, so that the two added nodes never collide with one.
const SOURCE = '\0source';
const TARGET = '\0target';

function join(
  neighbours: Map<string, Map<string, { rateBps: number; delayNs: number }>>,
  from: string,
  to: string,
  rateBps: number,
  delayNs: number,
): void {
  const edges = neighbours.get(from) ?? new Map<string, { rateBps: number; delayNs: number }>();
  neighbours.set(from, edges);
  const parallel = edges.get(to);
  edges.set(to, {
    rateBps: rateBps + (parallel?.rateBps ?? 0),
    delayNs: Math.min(delayNs, parallel?.delayNs ?? Number.POSITIVE_INFINITY),
  });
}

/** Dijkstra over the switches; a fabric has few enough of them that the nearest is found by looking at all. */
function shortest(
  neighbours: ReadonlyMap<string, ReadonlyMap<string, { delayNs: number }>>,
  from: string,
  cost: (edge: { delayNs: number }) => number,
): ReadonlyMap<string, number> {
  const settled = new Map<string, number>();
  const open = new Map([[from, 0]]);
  while (open.size > 0) {
    const [node, distance] = [...open].reduce((nearest, next) => (next[1] < nearest[1] ? next : nearest));
    open.delete(node);
    settled.set(node, distance);
    for (const [to, edge] of neighbours.get(node) ?? []) {
      if (!settled.has(to)) open.set(to, Math.min(distance + cost(edge), open.get(to) ?? Number.POSITIVE_INFINITY));
    }
  }
  return settled;
}

/** Names of the hosts of each site, in the topology's order. */
export function hostsBySite(topology: Topology): readonly (readonly string[])[] {
  const sites = new Map<string, string[]>();
  for (const host of topology.hosts) {
    const names = sites.get(host.site);
    if (names) names.push(host.name);
    else sites.set(host.site, [host.name]);
  }
  return [...sites.values()];
}
