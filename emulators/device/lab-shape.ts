import { createHash } from 'node:crypto';
import type { Span, Topology } from '../../harness/model/topology.ts';
import { magnitude } from '../../harness/model/units.ts';

/** Where a cable of the topology ends, with the names the devices themselves use. */
export interface CableEnd {
  readonly node: string;
  /** The topology's name of the port. */
  readonly port: string;
  /** The device's own name of it: `Ethernet4`, `eth0`. */
  readonly devicePort: string;
}

export interface PortShape {
  /** The topology's name. */
  readonly port: string;
  readonly devicePort: string;
  /** 1-based; `Ethernet{4 i}` has ifIndex i + 1. */
  readonly ifIndex: number;
  readonly rateBps: number;
  readonly far: CableEnd;
  /** Our address on the cable and the neighbour's (a /31 of 10.0.0.0/8). */
  readonly address: string;
  readonly farAddress: string;
  /** One-way propagation delay of a cable inside a site, ps; undefined on a span, whose delay changes. */
  readonly delayPs: number | undefined;
  readonly span: string | undefined;
}

export interface DeviceIdentity {
  readonly name: string;
  readonly serial: string;
  /** Lower-case, colons. */
  readonly baseMac: string;
  readonly site: string;
}

/** Names, addresses and identities of an emulated lab; a function of the topology only. */
export interface LabShape {
  readonly topology: Topology;
  readonly identity: (device: string) => DeviceIdentity;
  /** Ports of a switch or host in the topology's order. */
  readonly ports: (node: string) => readonly PortShape[];
  /** By the device's own name. */
  readonly portNamed: (node: string, devicePort: string) => PortShape | undefined;
  /** Data-plane address of a host's NIC, or of a switch's traceroute answers. */
  readonly address: (node: string) => string;
  readonly hostAt: (address: string) => string | undefined;
  /** The box that plays a span. */
  readonly spanBox: (span: string) => string;
}

/** Group index of standard single-mode fibre at 1550 nm (Corning SMF-28 Ultra data sheet) over the speed of light, ps per metre. */
const FIBRE_PS_PER_METRE = (1.4682 / 299_792_458) * 1e12;

const block = (second: number, index: number): string => {
  const n = index + 1;
  if (n >= 65_535) throw new RangeError(`An emulated lab has at most 65,534 hosts and as many switches.`);
  return `198.${second}.${n >> 8}.${n & 255}`;
};

/** @throws RangeError when a span and another device would have one name */
export function labShape(topology: Topology): LabShape {
  const spans: readonly Span[] = Object.values(topology.spans);
  const ports = new Map<string, PortShape[]>();
  const isSwitch = new Set(topology.switches.map(({ name }) => name));
  const cables = [
    ...topology.links.map(link => ({
      ends: link.ends,
      rateBps: magnitude(link.rate),
      delayPs: Math.round(magnitude(link.length) * FIBRE_PS_PER_METRE),
      span: undefined,
    })),
    ...spans.map(span => ({ ends: span.ends, rateBps: magnitude(span.rate), delayPs: undefined, span: span.name })),
  ];
  const devicePort = new Map<string, string>();
  const counted = new Map<string, number>();
  for (const { ends } of cables) {
    for (const { node, port } of ends) {
      const index = counted.get(node) ?? 0;
      counted.set(node, index + 1);
      devicePort.set(`${node} ${port}`, isSwitch.has(node) ? `Ethernet${4 * index}` : `eth${index}`);
    }
  }
  for (const [i, { ends, rateBps, delayPs, span }] of cables.entries()) {
    const first = 2 * i;
    const pair = [first, first + 1].map(n => `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`) as [string, string];
    for (const [side, { node, port }] of ends.entries()) {
      const list = ports.get(node) ?? [];
      ports.set(node, list);
      const far = ends[1 - side] as (typeof ends)[number];
      list.push({
        port,
        devicePort: devicePort.get(`${node} ${port}`) as string,
        ifIndex: list.length + 1,
        rateBps,
        far: { ...far, devicePort: devicePort.get(`${far.node} ${far.port}`) as string },
        address: pair[side] as string,
        farAddress: pair[1 - side] as string,
        delayPs,
        span,
      });
    }
  }

  const addresses = new Map<string, string>();
  for (const [i, { name }] of topology.hosts.entries()) addresses.set(name, block(18, i));
  for (const [i, { name }] of topology.switches.entries()) addresses.set(name, block(19, i));
  const hosts = new Map(topology.hosts.map(({ name }) => [addresses.get(name) as string, name]));

  const identities = new Map<string, DeviceIdentity>();
  const identify = (name: string, site: string, number: number): void => {
    if (identities.has(name)) throw new RangeError(`Two devices of ${topology.name} would be named ${name}.`);
    // Locally administered; the last octet is left for the ports.
    const mac = [0x02, 0xfa, (number >> 16) & 255, (number >> 8) & 255, number & 255, 0];
    const serial = `FSE${createHash('sha256').update(`${topology.name}/${name}`).digest('hex').slice(0, 10).toUpperCase()}`;
    identities.set(name, {
      name,
      site,
      serial,
      baseMac: mac.map(octet => octet.toString(16).padStart(2, '0')).join(':'),
    });
  };
  const all = [...topology.switches, ...topology.hosts].map(({ name, site }) => ({ name, site }));
  for (const [i, { name, site }] of [
    ...all,
    ...spans.map(({ name }) => ({ name: `span-${name}`, site: '-' })),
  ].entries())
    identify(name, site, i + 1);

  return {
    topology,
    identity(device) {
      const found = identities.get(device);
      if (!found) throw new RangeError(`${topology.name} has no device ${device}.`);
      return found;
    },
    ports: node => ports.get(node) ?? [],
    portNamed: (node, name) => ports.get(node)?.find(port => port.devicePort === name),
    address(node) {
      const found = addresses.get(node);
      if (found === undefined) throw new RangeError(`${node} has no data-plane address.`);
      return found;
    },
    hostAt: address => hosts.get(address),
    spanBox: span => `span-${span}`,
  };
}

/** `02:fa:00:00:01:03` for port 3 of a device whose base is `…:00`. */
export const portMac = (baseMac: string, ifIndex: number): string =>
  `${baseMac.slice(0, -2)}${(ifIndex & 255).toString(16).padStart(2, '0')}`;
