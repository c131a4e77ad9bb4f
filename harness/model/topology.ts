import type { Distance, Duration, Rate, Size } from './units.ts';

/** One end of a cable: a device and the name of its port, both as the topology names them. */
export interface PortRef {
  readonly node: string;
  readonly port: string;
}

/** One GPU node with one NIC (port `eth0`); it is one rank of every collective. */
export interface Host {
  readonly kind: 'host';
  readonly name: string;
  readonly site: string;
}

export interface SwitchNode {
  readonly kind: 'switch';
  readonly name: string;
  readonly site: string;
  readonly role: 'leaf' | 'spine';
}

/** One cable inside a site, two ports. */
export interface Link {
  readonly kind: 'link';
  readonly name: string;
  readonly ends: readonly [PortRef, PortRef];
  readonly rate: Rate;
  readonly length: Distance;
}

/** One long-haul fibre between two sites. Never a traffic mirror, never a trace span. */
export interface Span {
  readonly kind: 'span';
  readonly name: string;
  readonly ends: readonly [PortRef, PortRef];
  readonly rate: Rate;
  readonly length: Distance;
}

/** RED/ECN marking law of the lossless queue: 0 below `min`, up to `probability` at `max`, 1 above. */
export interface EcnSettings {
  readonly min: Size;
  readonly max: Size;
  /** Marking probability at `max`, a fraction of 1. */
  readonly probability: number;
}

/** PFC of the lossless priority. Thresholds are per ingress port. */
export interface PfcSettings {
  readonly xoff: Size;
  readonly xon: Size;
}

/** Timers of the control plane. Each is a parameter with its source beside its default. */
export interface ControlPlaneSettings {
  /** Loss of light until the port is operationally down. */
  readonly lossOfLight: Duration;
  /** BFD: detection time = interval x multiplier (RFC 5880 section 6.8.4). */
  readonly bfdInterval: Duration;
  readonly bfdMultiplier: number;
  /** Best-path run and advertisement to each neighbour, per hop. */
  readonly bgpHop: Duration;
  /** Programming the next-hop group into the forwarding table. */
  readonly fibUpdate: Duration;
  /** Link up until the BGP session is established again. */
  readonly bgpEstablish: Duration;
}

/** DCQCN at the NIC (names after Zhu et al., SIGCOMM 2015, table 14, and NVIDIA's `roce_rp` parameters). */
export interface DcqcnSettings {
  readonly alphaTimer: Duration;
  readonly rateReducePeriod: Duration;
  readonly increaseTimer: Duration;
  readonly byteCounter: Size;
  /** EWMA gain, a fraction of 1. */
  readonly g: number;
  readonly additiveIncrease: Rate;
  readonly hyperIncrease: Rate;
  readonly fastRecoveryRounds: number;
  readonly minRate: Rate;
  /** Least time between two CNPs for one flow, at the notification point. */
  readonly cnpInterval: Duration;
}

export interface RoceSettings {
  /** Payload of a full packet. */
  readonly mtu: Size;
  /** Go-back-N retransmission timeout. */
  readonly retransmitTimeout: Duration;
  /** Most bytes in flight per flow; unlimited when absent. */
  readonly window?: Size;
}

/** What the fabric is declared to be configured as. `model/fabric-settings.ts` holds the defaults and their sources. */
export interface FabricSettings {
  readonly bufferPerSwitch: Size;
  readonly ecn: EcnSettings | null;
  readonly pfc: PfcSettings | null;
  readonly controlPlane: ControlPlaneSettings;
  readonly dcqcn: DcqcnSettings | null;
  readonly roce: RoceSettings;
}

/** The abstract shape a scenario asks for. Plain data: any graph of hosts, switches, links and spans. */
export interface Topology<SpanName extends string = string> {
  readonly name: string;
  readonly sites: readonly string[];
  readonly hosts: readonly Host[];
  readonly switches: readonly SwitchNode[];
  readonly links: readonly Link[];
  readonly spans: Readonly<Record<SpanName, Span>>;
  readonly settings: FabricSettings;
}

/** A cable between two ports, named after them. */
export function cable(a: PortRef, b: PortRef, rate: Rate, length: Distance): Link {
  return { kind: 'link', name: `${a.node}:${a.port}--${b.node}:${b.port}`, ends: [a, b], rate, length };
}

const known = (names: readonly string[]): string => `Known: ${names.join(', ') || 'none'}.`;

/** The link between two nodes (the first, when several run in parallel). @throws RangeError when there is none */
export function linkBetween(topology: Topology, nodeA: string, nodeB: string): Link {
  const link = topology.links.find(
    ({ ends: [a, b] }) => (a.node === nodeA && b.node === nodeB) || (a.node === nodeB && b.node === nodeA),
  );
  if (!link)
    throw new RangeError(
      `No link joins ${nodeA} and ${nodeB} in ${topology.name}. ${known(topology.links.map(l => l.name))}`,
    );
  return link;
}

/** @throws RangeError when the topology has no switch of that name */
export function switchNamed(topology: Topology, name: string): SwitchNode {
  const found = topology.switches.find(node => node.name === name);
  if (!found)
    throw new RangeError(`${topology.name} has no switch ${name}. ${known(topology.switches.map(s => s.name))}`);
  return found;
}
