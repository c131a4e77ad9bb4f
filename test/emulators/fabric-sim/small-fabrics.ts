import { createNetwork } from '../../../emulators/fabric-sim/fabric/create-network.ts';
import type { Network } from '../../../emulators/fabric-sim/fabric/network.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import { cable, type FabricSettings, type Link, type Span, type Topology } from '../../../harness/model/topology.ts';
import type { Distance, Rate } from '../../../harness/model/units.ts';

export const US = 1e6;
export const MS = 1e9;

export interface FabricOptions {
  readonly settings?: Partial<FabricSettings>;
  readonly seed?: number;
  readonly trainPackets?: number;
  readonly overheadBytes?: number;
  readonly rate?: Rate;
}

const host = (name: string, site = 'a') => ({ kind: 'host', name, site }) as const;
const leaf = (name: string, site = 'a') => ({ kind: 'switch', name, site, role: 'leaf' }) as const;

function networkOf(topology: Omit<Topology, 'settings' | 'name' | 'sites'>, options: FabricOptions): Network {
  return createNetwork({
    topology: { name: 'test', sites: ['a', 'b'], ...topology, settings: { ...DEFAULT_FABRIC, ...options.settings } },
    seed: options.seed ?? 1,
    trainPackets: options.trainPackets ?? 1,
    ...(options.overheadBytes !== undefined && { overheadBytes: options.overheadBytes }),
  });
}

/** Hosts h0 … on one switch s, ports p0 …; 200 m cables, so 1 us each. */
export function star(hosts: number, options: FabricOptions = {}): Network {
  const names = Array.from({ length: hosts }, (_, i) => `h${i}`);
  const links = names.map((name, i) =>
    cable({ node: name, port: 'eth0' }, { node: 's', port: `p${i}` }, options.rate ?? '100 Gb/s', '200 m'),
  );
  const network = networkOf({ hosts: names.map(name => host(name)), switches: [leaf('s')], links, spans: {} }, options);
  for (const [i, name] of names.entries()) network.setRoute('s', name, [`p${i}`]);
  return network;
}

export interface PairOptions extends FabricOptions {
  readonly length: Distance;
  readonly spanRate?: Rate;
  readonly hostsPerSite?: number;
}

/** Hosts a0 … on switch x, hosts b0 … on switch y, joined by span `long`; 200 m cables. */
export function sitePair(options: PairOptions): Network {
  const count = options.hostsPerSite ?? 1;
  const links: Link[] = [];
  const hosts = [];
  for (const [site, node] of [
    ['a', 'x'],
    ['b', 'y'],
  ] as const) {
    for (let i = 0; i < count; i++) {
      hosts.push(host(`${site}${i}`, site));
      links.push(
        cable({ node: `${site}${i}`, port: 'eth0' }, { node, port: `p${i}` }, options.rate ?? '100 Gb/s', '200 m'),
      );
    }
  }
  const long: Span = {
    kind: 'span',
    name: 'long',
    ends: [
      { node: 'x', port: 'span' },
      { node: 'y', port: 'span' },
    ],
    rate: options.spanRate ?? '400 Gb/s',
    length: options.length,
  };
  const network = networkOf({ hosts, switches: [leaf('x'), leaf('y', 'b')], links, spans: { long } }, options);
  for (let i = 0; i < count; i++) {
    network.setRoute('x', `a${i}`, [`p${i}`]);
    network.setRoute('x', `b${i}`, ['span']);
    network.setRoute('y', `b${i}`, [`p${i}`]);
    network.setRoute('y', `a${i}`, ['span']);
  }
  return network;
}

/** Two leaves of `perLeaf` hosts (h0 … on l0, then l1) under `spines` spines. */
export function leafSpine(perLeaf: number, spines: number, options: FabricOptions = {}): Network {
  const links: Link[] = [];
  const hosts = [];
  const rate = options.rate ?? '100 Gb/s';
  for (let i = 0; i < 2 * perLeaf; i++) {
    hosts.push(host(`h${i}`));
    links.push(
      cable(
        { node: `h${i}`, port: 'eth0' },
        { node: `l${Math.floor(i / perLeaf)}`, port: `d${i % perLeaf}` },
        rate,
        '200 m',
      ),
    );
  }
  const switches = [leaf('l0'), leaf('l1')];
  for (let spine = 0; spine < spines; spine++) {
    switches.push(leaf(`s${spine}`));
    for (const l of [0, 1])
      links.push(cable({ node: `l${l}`, port: `u${spine}` }, { node: `s${spine}`, port: `d${l}` }, rate, '200 m'));
  }
  const network = networkOf({ hosts, switches, links, spans: {} }, options);
  const up = Array.from({ length: spines }, (_, spine) => `u${spine}`);
  for (let target = 0; target < 2 * perLeaf; target++) {
    const home = Math.floor(target / perLeaf);
    for (const l of [0, 1]) network.setRoute(`l${l}`, `h${target}`, l === home ? [`d${target % perLeaf}`] : up);
    for (let spine = 0; spine < spines; spine++) network.setRoute(`s${spine}`, `h${target}`, [`d${home}`]);
  }
  return network;
}
