import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import {
  cable,
  type ControlPlaneSettings,
  type FabricSettings,
  type Host,
  type Link,
  type Span,
  type SwitchNode,
  type Topology,
} from '../../../harness/model/topology.ts';
import type { Distance, Rate } from '../../../harness/model/units.ts';

/** Loss of light is found before BFD could: what is tested is then one timer, not two. */
export const SLOW_BFD: ControlPlaneSettings = { ...DEFAULT_FABRIC.controlPlane, bfdInterval: '50 ms' };

/** Two sites of one leaf and one spine per span. Names: `a-host-1`, `a-leaf`, `a-spine-1`, spans `north` and `south`. */
export function pair(options: {
  readonly ranksPerSite: number;
  readonly north?: Distance;
  readonly south?: Distance;
  readonly uplinks?: Rate;
  readonly settings?: Partial<FabricSettings>;
}): Topology<'north' | 'south'> {
  const { ranksPerSite, north = '80 km', south = '120 km', uplinks = '400 Gb/s' } = options;
  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  const links: Link[] = [];
  for (const site of ['a', 'b']) {
    switches.push({ kind: 'switch', name: `${site}-leaf`, site, role: 'leaf' });
    for (const spine of [1, 2]) {
      switches.push({ kind: 'switch', name: `${site}-spine-${spine}`, site, role: 'spine' });
      links.push(
        cable(
          { node: `${site}-leaf`, port: `up${spine}` },
          { node: `${site}-spine-${spine}`, port: 'down' },
          uplinks,
          '20 m',
        ),
      );
    }
    for (let n = 1; n <= ranksPerSite; n++) {
      hosts.push({ kind: 'host', name: `${site}-host-${n}`, site });
      links.push(
        cable(
          { node: `${site}-host-${n}`, port: 'eth0' },
          { node: `${site}-leaf`, port: `host${n}` },
          '100 Gb/s',
          '20 m',
        ),
      );
    }
  }
  const span = (name: string, spine: number, length: Distance): Span => ({
    kind: 'span',
    name,
    ends: [
      { node: `a-spine-${spine}`, port: 'span' },
      { node: `b-spine-${spine}`, port: 'span' },
    ],
    rate: '400 Gb/s',
    length,
  });
  return {
    name: 'pair',
    sites: ['a', 'b'],
    hosts,
    switches,
    links,
    spans: { north: span('north', 1, north), south: span('south', 2, south) },
    settings: { ...DEFAULT_FABRIC, ...options.settings },
  };
}

/** Sites of one leaf and `ranksPerSite` hosts in a line: `s1-leaf` to `sN-leaf`, spans `span1` to `spanN-1` of 10 km. */
export function line(options: {
  readonly sites: number;
  readonly ranksPerSite?: number;
  readonly settings?: Partial<FabricSettings>;
}): Topology {
  const names = Array.from({ length: options.sites }, (_, i) => `s${i + 1}`);
  const hosts: Host[] = [];
  const links: Link[] = [];
  for (const site of names) {
    for (let n = 1; n <= (options.ranksPerSite ?? 1); n++) {
      hosts.push({ kind: 'host', name: `${site}-host-${n}`, site });
      links.push(
        cable(
          { node: `${site}-host-${n}`, port: 'eth0' },
          { node: `${site}-leaf`, port: `host${n}` },
          '100 Gb/s',
          '20 m',
        ),
      );
    }
  }
  const spans = names.slice(1).map((site, i): [string, Span] => {
    const ends = [
      { node: `s${i + 1}-leaf`, port: 'east' },
      { node: `${site}-leaf`, port: 'west' },
    ] as const;
    return [`span${i + 1}`, { kind: 'span', name: `span${i + 1}`, ends, rate: '400 Gb/s', length: '10 km' }];
  });
  return {
    name: 'line',
    sites: names,
    hosts,
    switches: names.map(site => ({ kind: 'switch', name: `${site}-leaf`, site, role: 'leaf' })),
    links,
    spans: Object.fromEntries(spans),
    settings: { ...DEFAULT_FABRIC, ...options.settings },
  };
}

/** One switch `leaf` with hosts `h1` to `hN` at 100 Gb/s. */
export function rack(options: { readonly hosts: number; readonly settings?: Partial<FabricSettings> }): Topology {
  const names = Array.from({ length: options.hosts }, (_, i) => `h${i + 1}`);
  return {
    name: 'rack',
    sites: ['a'],
    hosts: names.map(name => ({ kind: 'host', name, site: 'a' })),
    switches: [{ kind: 'switch', name: 'leaf', site: 'a', role: 'leaf' }],
    links: names.map((name, i) =>
      cable({ node: name, port: 'eth0' }, { node: 'leaf', port: `host${i + 1}` }, '100 Gb/s', '20 m'),
    ),
    spans: {},
    settings: { ...DEFAULT_FABRIC, ...options.settings },
  };
}
