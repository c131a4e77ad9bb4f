import { fibreDelayPs } from '../../../harness/model/fibre-delay.ts';
import type { PortRef, Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { cableDelayPs, spanAsymmetryPs } from './propagation.ts';

/** A topology as flat numbers. Nodes: hosts first, then switches. A port is one end of a link, and the link's direction away from it. */
export interface Wiring {
  readonly nodes: readonly string[];
  readonly hosts: number;
  /** Port numbers of each node, in the topology's order: links, then spans. */
  readonly portsOf: readonly (readonly number[])[];
  readonly portNames: readonly string[];
  readonly node: Int32Array;
  /** The port at the other end. */
  readonly peer: Int32Array;
  readonly rateBps: Float64Array;
  readonly psPerByte: Float64Array;
  readonly delayPs: Float64Array;
  /** Index into `spans` x 2 + direction for ports that face a span, -1 for others. */
  readonly spanDirection: Int32Array;
  readonly spans: readonly string[];
  nodeNamed(name: string): number;
  /** @throws RangeError when the node has no port of that name */
  portNamed(node: string, port: string): number;
}

/** @throws RangeError when a cable ends at an unknown node, a port is used twice, or a host does not have exactly one port */
export function wire(topology: Topology): Wiring {
  const nodes = [...topology.hosts, ...topology.switches].map(({ name }) => name);
  const index = new Map(nodes.map((name, i) => [name, i]));
  if (index.size !== nodes.length) throw new RangeError(`${topology.name} names a node twice.`);
  const nodeNamed = (name: string): number => {
    const node = index.get(name);
    if (node === undefined) throw new RangeError(`${topology.name} has no node ${name}.`);
    return node;
  };

  const spans = Object.values<Topology['spans'][string]>(topology.spans);
  const cables = [...topology.links, ...spans];
  const total = cables.length * 2;
  const node = new Int32Array(total);
  const peer = new Int32Array(total);
  const rateBps = new Float64Array(total);
  const psPerByte = new Float64Array(total);
  const delayPs = new Float64Array(total);
  const spanDirection = new Int32Array(total).fill(-1);
  const portNames: string[] = [];
  const portsOf: number[][] = nodes.map(() => []);
  const byName = new Map<string, number>();
  for (const [i, cable] of cables.entries()) {
    for (const [side, end] of cable.ends.entries()) {
      const port = 2 * i + side;
      const owner = nodeNamed(end.node);
      const key = keyOf(end);
      if (byName.has(key)) throw new RangeError(`Port ${end.port} of ${end.node} has two cables.`);
      byName.set(key, port);
      portNames[port] = end.port;
      portsOf[owner]?.push(port);
      node[port] = owner;
      peer[port] = port ^ 1;
      const rate = magnitude(cable.rate);
      if (!(rate > 0)) throw new RangeError(`${cable.name} has rate ${cable.rate}.`);
      rateBps[port] = rate;
      psPerByte[port] = 8e12 / rate;
      const metres = magnitude(cable.length);
      delayPs[port] = cable.kind === 'span' ? fibreDelayPs(metres) : cableDelayPs(metres);
      if (cable.kind === 'span' && side === 0) delayPs[port] = (delayPs[port] as number) + spanAsymmetryPs(cable);
      if (cable.kind === 'span') spanDirection[port] = 2 * (i - topology.links.length) + side;
    }
  }
  for (const [host, { name }] of topology.hosts.entries()) {
    if (portsOf[host]?.length !== 1)
      throw new RangeError(`Host ${name} has ${portsOf[host]?.length} ports; a host has one NIC.`);
  }
  return {
    nodes,
    hosts: topology.hosts.length,
    portsOf,
    portNames,
    node,
    peer,
    rateBps,
    psPerByte,
    delayPs,
    spanDirection,
    spans: spans.map(({ name }) => name),
    nodeNamed,
    portNamed: (name, port) => {
      const found = byName.get(keyOf({ node: name, port }));
      if (found === undefined) throw new RangeError(`${name} has no port ${port}.`);
      return found;
    },
  };
}

const keyOf = ({ node, port }: PortRef): string => `${node}\n${port}`;
