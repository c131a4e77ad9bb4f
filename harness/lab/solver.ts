import { TestbedUnavailable } from '../binding/binding.ts';
import type { PortRef, Topology } from '../model/topology.ts';
import { magnitude, print } from '../model/units.ts';
import type { Inventory, Part } from './inventory.ts';

/** A port as the lab names it. */
export interface DevicePort {
  readonly device: string;
  readonly port: string;
}

/** The shaper that plays a span. `reversed`: the inventory writes the span's ends the other way round. */
export interface SpanPlace {
  readonly device: string;
  readonly reversed: boolean;
}

/** Which device, port and shaper plays which node, port and span of a topology. */
export interface Solution {
  readonly devices: ReadonlyMap<string, string>;
  readonly spans: ReadonlyMap<string, SpanPlace>;
  /** Nodes that are switches. */
  readonly switches: ReadonlySet<string>;
  /** @throws RangeError for a port that no cable of the topology has */
  port(ref: PortRef): DevicePort;
  /** Ports of a node that the topology uses: its own name and the device's. */
  portsOf(node: string): readonly { readonly name: string; readonly port: string }[];
}

/** Spans of the same length within this share are the same: fibre plans are no more exact. */
const SAME_LENGTH = 0.005;

/** Assignments tried before giving up. The identity costs one per node; symmetric labs a few hundred. */
const MOST_TRIES = 200_000;

/** A cable in comparable numbers. `km` is absent inside a site: a rack's metres are nobody's concern. */
interface Cable {
  readonly ends: readonly [DevicePort, DevicePort];
  readonly rateBps: number;
  readonly lengthM?: number;
  /** The span's name in its world and, in the inventory, its shaper. */
  readonly span?: string;
  readonly shaper?: string;
}

interface Vertex {
  readonly name: string;
  readonly part: Part;
  readonly site: string;
}

interface Graph {
  readonly vertices: ReadonlyMap<string, Vertex>;
  readonly cables: readonly Cable[];
  readonly at: ReadonlyMap<string, readonly Cable[]>;
}

function graph(vertices: readonly Vertex[], cables: readonly Cable[]): Graph {
  const at = new Map<string, Cable[]>(vertices.map(({ name }) => [name, []]));
  for (const cable of cables) for (const { device } of cable.ends) at.get(device)?.push(cable);
  return { vertices: new Map(vertices.map(vertex => [vertex.name, vertex])), cables, at };
}

const devicePort = ({ node, port }: PortRef): DevicePort => ({ device: node, port });

function wantedGraph(topology: Topology): Graph {
  const vertices: Vertex[] = [
    ...topology.switches.map(({ name, site, role }): Vertex => ({ name, site, part: role })),
    ...topology.hosts.map(({ name, site }): Vertex => ({ name, site, part: 'host' })),
  ];
  const links = topology.links.map(
    ({ ends, rate }): Cable => ({ ends: [devicePort(ends[0]), devicePort(ends[1])], rateBps: magnitude(rate) }),
  );
  const spans = Object.values(topology.spans).map(
    ({ name, ends, rate, length }): Cable => ({
      ends: [devicePort(ends[0]), devicePort(ends[1])],
      rateBps: magnitude(rate),
      lengthM: magnitude(length),
      span: name,
    }),
  );
  return graph(vertices, [...links, ...spans]);
}

function parseEnd(text: string): DevicePort {
  const [device = '', port = ''] = text.split(' ');
  return { device, port };
}

function offeredGraph(inventory: Inventory): Graph {
  const vertices = Object.entries(inventory.devices)
    .filter(([, device]) => device.part !== 'span')
    .map(([name, { site, part }]): Vertex => ({ name, site, part }));
  const links = inventory.links.map(
    ({ ends, rate }): Cable => ({ ends: [parseEnd(ends[0]), parseEnd(ends[1])], rateBps: magnitude(rate) }),
  );
  const spans = inventory.spans.map(
    ({ name, device, ends, rate, length }): Cable => ({
      ends: [parseEnd(ends[0]), parseEnd(ends[1])],
      rateBps: magnitude(rate),
      lengthM: magnitude(length),
      span: name,
      shaper: device,
    }),
  );
  return graph(vertices, [...links, ...spans]);
}

const farEnd = (cable: Cable, device: string): DevicePort =>
  cable.ends[0].device === device ? cable.ends[1] : cable.ends[0];

/** Whether the lab's cable can play the topology's. Rates are equal: a faster cable has another roofline. */
function plays(offered: Cable, wanted: Cable): boolean {
  if (offered.rateBps !== wanted.rateBps) return false;
  if (wanted.lengthM === undefined || offered.lengthM === undefined) return wanted.lengthM === offered.lengthM;
  return Math.abs(offered.lengthM - wanted.lengthM) <= SAME_LENGTH * wanted.lengthM;
}

const km = (metres: number): string => `${Number((metres / 1000).toPrecision(6))} km`;

/** Cables of a node by what they lead to: `2 hosts of 100 Gb/s`, `1 span of 400 Gb/s and 80 km`. */
function needs(graph: Graph, node: string): ReadonlyMap<string, { readonly count: number; readonly sample: Cable }> {
  const counted = new Map<string, { count: number; sample: Cable }>();
  for (const cable of graph.at.get(node) ?? []) {
    const far = graph.vertices.get(farEnd(cable, node).device);
    const rate = print(cable.rateBps, 'rate');
    const kind =
      cable.lengthM === undefined
        ? `link to a ${far?.part ?? 'node'} of ${rate}`
        : `span of ${rate} and ${km(cable.lengthM)}`;
    counted.set(kind, { count: (counted.get(kind)?.count ?? 0) + 1, sample: cable });
  }
  return counted;
}

const plural = (kind: string, count: number): string =>
  count === 1
    ? `1 ${kind}`
    : `${count} ${kind
        .replace(/^(link|span)/, '$1s')
        .replace('to a ', 'to ')
        .replace(/ (host|spine) of/, ' $1s of')
        .replace(/ leaf of/, ' leaves of')}`;

const inWords = (needed: ReturnType<typeof needs>): string =>
  [...needed].map(([kind, { count }]) => plural(kind, count)).join(', ') || 'no cable';

const many: Readonly<Record<Part, string>> = { leaf: 'leaves', spine: 'spines', host: 'hosts', span: 'span boxes' };
const counted = (part: Part, count: number): string => `${count} ${count === 1 ? part : many[part]}`;

/** Switch-to-switch cables carry traffic whether a scenario asked for them or not. */
const transit = (graph: Graph, node: string): readonly Cable[] =>
  (graph.at.get(node) ?? []).filter(cable => graph.vertices.get(farEnd(cable, node).device)?.part !== 'host');

/** Why `device` can not play `node`, whatever its neighbours play; undefined when it may. */
function unfit(
  wanted: Graph,
  offered: Graph,
  pair: { readonly node: string; readonly device: string },
): string | undefined {
  const cables = offered.at.get(pair.device) ?? [];
  for (const [kind, { count, sample }] of needs(wanted, pair.node)) {
    const farPart = wanted.vertices.get(farEnd(sample, pair.node).device)?.part;
    const there = cables.filter(
      cable => plays(cable, sample) && offered.vertices.get(farEnd(cable, pair.device).device)?.part === farPart,
    ).length;
    if (there < count) return `${pair.device} has ${there === 0 ? `no ${kind}` : `only ${plural(kind, there)}`}`;
  }
  if (wanted.vertices.get(pair.node)?.part !== 'host') {
    const extra = transit(offered, pair.device).length - transit(wanted, pair.node).length;
    if (extra > 0)
      return `${pair.device} has ${extra} more cable${extra === 1 ? '' : 's'} to other switches, which would carry traffic`;
  }
  return undefined;
}

/** Neighbours next to each other: a wrong choice is found at once. Switches first, then hosts. */
function order(wanted: Graph): readonly string[] {
  const done = new Set<string>();
  const walk = (start: string): void => {
    const queue = [start];
    while (queue.length > 0) {
      const node = queue.shift();
      if (node === undefined || done.has(node)) continue;
      done.add(node);
      for (const cable of wanted.at.get(node) ?? []) {
        const far = farEnd(cable, node).device;
        if (wanted.vertices.get(far)?.part !== 'host') queue.push(far);
      }
    }
  };
  for (const { name, part } of wanted.vertices.values()) if (part !== 'host') walk(name);
  return [...done, ...[...wanted.vertices.values()].filter(({ part }) => part === 'host').map(({ name }) => name)];
}

/** Pairs every wanted cable between two nodes with a cable of the lab, by name order; undefined when there are too few. */
function pairCables(wanted: readonly Cable[], offered: readonly Cable[]): ReadonlyMap<Cable, Cable> | undefined {
  const free = new Set(offered);
  const paired = new Map<Cable, Cable>();
  for (const cable of wanted) {
    const fitting = [...free].filter(candidate => plays(candidate, cable));
    const chosen =
      fitting.find(candidate => candidate.span !== undefined && candidate.span === cable.span) ?? fitting[0];
    if (!chosen) return undefined;
    free.delete(chosen);
    paired.set(cable, chosen);
  }
  return paired;
}

const between = (graph: Graph, a: string, b: string): readonly Cable[] =>
  (graph.at.get(a) ?? []).filter(cable => farEnd(cable, a).device === b);

interface Attempt {
  readonly devices: Map<string, string>;
  tries: number;
  /** The most nodes ever placed, and the node that then had no device. */
  deepest: { readonly placed: number; readonly node: string };
}

function search(wanted: Graph, offered: Graph): Attempt & { readonly found: boolean } {
  const nodes = order(wanted);
  const attempt: Attempt = { devices: new Map(), tries: 0, deepest: { placed: -1, node: '' } };
  const sites = new Map<string, string>();
  const used = new Set<string>();
  const fitting = new Map<string, readonly string[]>();
  for (const node of nodes) {
    const vertex = wanted.vertices.get(node);
    const names = [...offered.vertices.values()]
      .filter(({ name, part }) => part === vertex?.part && unfit(wanted, offered, { node, device: name }) === undefined)
      .map(({ name }) => name);
    // Identity names first: an inventory written for the topology binds without a search.
    fitting.set(node, [...names.filter(name => name === node), ...names.filter(name => name !== node)]);
  }

  const place = (index: number): boolean => {
    const node = nodes[index];
    if (node === undefined) return true;
    if (index > attempt.deepest.placed) attempt.deepest = { placed: index, node };
    const site = wanted.vertices.get(node)?.site ?? '';
    for (const device of fitting.get(node) ?? []) {
      if (used.has(device)) continue;
      if (++attempt.tries > MOST_TRIES) return false;
      const labSite = offered.vertices.get(device)?.site ?? '';
      const known = sites.get(site);
      if (known === undefined ? [...sites.values()].includes(labSite) : known !== labSite) continue;
      const neighbours = new Set((wanted.at.get(node) ?? []).map(cable => farEnd(cable, node).device));
      const cabled = [...neighbours].every(far => {
        const other = attempt.devices.get(far);
        return (
          other === undefined || pairCables(between(wanted, node, far), between(offered, device, other)) !== undefined
        );
      });
      if (!cabled) continue;
      attempt.devices.set(node, device);
      used.add(device);
      if (known === undefined) sites.set(site, labSite);
      if (place(index + 1)) return true;
      attempt.devices.delete(node);
      used.delete(device);
      if (known === undefined) sites.delete(site);
    }
    return false;
  };
  return Object.assign(attempt, { found: place(0) });
}

/** The first reason, in the order a person would check: how many, of which kind, which spans, how cabled. */
function whyNot(options: {
  topology: Topology;
  inventory: Inventory;
  wanted: Graph;
  offered: Graph;
  attempt: Attempt;
}): string {
  const { topology, inventory, wanted, offered, attempt } = options;
  const lab = `${inventory.name} (${inventory.file})`;
  const of = (graph: Graph, part: Part): readonly Vertex[] =>
    [...graph.vertices.values()].filter(vertex => vertex.part === part);

  const labSites = new Set([...offered.vertices.values()].map(({ site }) => site));
  if (labSites.size < topology.sites.length) {
    return `${topology.name} needs ${topology.sites.length} sites; ${lab} has ${labSites.size}: ${[...labSites].join(', ')}.`;
  }
  for (const part of ['leaf', 'spine', 'host'] as const) {
    const [need, have] = [of(wanted, part), of(offered, part)];
    if (have.length < need.length)
      return `${topology.name} needs ${counted(part, need.length)}; ${lab} has ${have.length}.`;
  }
  for (const span of wanted.cables.filter(cable => cable.lengthM !== undefined)) {
    if (offered.cables.some(cable => plays(cable, span))) continue;
    const there = offered.cables
      .filter(cable => cable.lengthM !== undefined)
      .map(cable => `${cable.span} (${print(cable.rateBps, 'rate')}, ${km(cable.lengthM ?? 0)})`);
    return `${topology.name} needs a span of ${print(span.rateBps, 'rate')} and ${km(span.lengthM ?? 0)} for "${span.span}"; ${lab} has ${there.join(', ') || 'no span'}.`;
  }
  for (const part of ['leaf', 'spine', 'host'] as const) {
    const classes = new Map<string, Vertex[]>();
    for (const vertex of of(wanted, part)) {
      const kind = inWords(needs(wanted, vertex.name));
      classes.set(kind, [...(classes.get(kind) ?? []), vertex]);
    }
    for (const [kind, members] of classes) {
      const node = members[0]?.name ?? '';
      const reasons = of(offered, part).map(({ name }) => unfit(wanted, offered, { node, device: name }));
      const fit = reasons.filter(reason => reason === undefined).length;
      if (fit >= members.length) continue;
      const listed = reasons.filter(reason => reason !== undefined);
      const shown =
        listed.slice(0, 4).join('; ') + (listed.length > 4 ? `; and ${listed.length - 4} more do not fit` : '');
      return `${topology.name} needs ${counted(part, members.length)} with ${kind} each; in ${lab} ${fit === 0 ? 'none fits' : `${fit} fit${fit === 1 ? 's' : ''}`}: ${shown}.`;
    }
  }
  const gaveUp = attempt.tries > MOST_TRIES ? ` (gave up after ${MOST_TRIES} attempts)` : '';
  return `${lab} has the devices that ${topology.name} needs, but not cabled like it: no device can play ${attempt.deepest.node} (${inWords(needs(wanted, attempt.deepest.node))}) together with its neighbours and sites${gaveUp}.`;
}

/**
 * Finds which devices of the inventory play which nodes of the topology: same part, sites one to one, and for every cable of the
 * topology a cable of the same rate between the same two devices; spans of the same length too (within 0.5 %).
 * Devices that carry the topology's own names are tried first. Spare hosts are allowed; spare cables between switches are not,
 * because traffic would take them.
 *
 * @throws TestbedUnavailable saying in words what the lab lacks
 */
export function solve(topology: Topology, inventory: Inventory): Solution {
  const asymmetric = Object.values(topology.spans).find(({ asymmetry = '0 ns' }) => magnitude(asymmetry) !== 0);
  if (asymmetric)
    throw new TestbedUnavailable(
      `${topology.name} needs "${asymmetric.name}" to take ${asymmetric.asymmetry} longer one way than the other; an inventory does not say that of a span, so ${inventory.name} (${inventory.file}) may not have it.`,
    );
  const wanted = wantedGraph(topology);
  const offered = offeredGraph(inventory);
  const attempt = search(wanted, offered);
  if (!attempt.found) throw new TestbedUnavailable(whyNot({ topology, inventory, wanted, offered, attempt }));

  const ports = new Map<string, Map<string, DevicePort>>();
  const spans = new Map<string, SpanPlace>();
  const seen = new Set<string>();
  for (const cable of wanted.cables) {
    const [a, b] = cable.ends;
    const pair = `${a.device} ${b.device}`;
    if (seen.has(pair) || seen.has(`${b.device} ${a.device}`)) continue;
    seen.add(pair);
    const [deviceA = '', deviceB = ''] = [attempt.devices.get(a.device), attempt.devices.get(b.device)];
    const paired =
      pairCables(between(wanted, a.device, b.device), between(offered, deviceA, deviceB)) ?? new Map<Cable, Cable>();
    for (const [asked, given] of paired) {
      for (const end of asked.ends) {
        const device = attempt.devices.get(end.device) ?? '';
        const there = given.ends[0].device === device ? given.ends[0] : given.ends[1];
        const mine = ports.get(end.device) ?? new Map<string, DevicePort>();
        ports.set(end.device, mine.set(end.port, there));
      }
      if (asked.span !== undefined && given.shaper !== undefined) {
        spans.set(asked.span, {
          device: given.shaper,
          reversed: given.ends[0].device !== attempt.devices.get(asked.ends[0].device),
        });
      }
    }
  }
  return {
    devices: attempt.devices,
    spans,
    switches: new Set(topology.switches.map(({ name }) => name)),
    port({ node, port }) {
      const found = ports.get(node)?.get(port);
      if (!found) throw new RangeError(`${topology.name} has no cable at ${node} ${port}.`);
      return found;
    },
    portsOf: node => [...(ports.get(node) ?? [])].map(([name, { port }]) => ({ name, port })),
  };
}
