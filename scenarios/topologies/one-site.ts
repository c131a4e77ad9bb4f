import type { Distance, FabricSettings, Host, Link, Rate, SwitchNode, Topology } from '#harness';
import { cable, DEFAULT_FABRIC } from '#harness';

export interface OneSiteOptions {
  readonly leaves: number;
  readonly hostsPerLeaf: number;
  /** 0 for a single switch: then `leaves` must be 1. */
  readonly spines: number;
  readonly hosts: Rate;
  readonly uplinks: Rate;
  readonly settings?: Partial<FabricSettings>;
}

const RACK: Distance = '20 m';

/** One leaf-spine site `a`, or a single switch. One link from each leaf to each spine. */
export function oneSite(options: OneSiteOptions): Topology<never> {
  if (options.spines === 0 && options.leaves !== 1)
    throw new RangeError(`Without spines a site has one leaf, got ${options.leaves}.`);
  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  const links: Link[] = [];
  for (let spine = 1; spine <= options.spines; spine++)
    switches.push({ kind: 'switch', name: `a-spine-${spine}`, site: 'a', role: 'spine' });
  for (let leaf = 1; leaf <= options.leaves; leaf++) {
    switches.push({ kind: 'switch', name: `a-leaf-${leaf}`, site: 'a', role: 'leaf' });
    for (let n = 1; n <= options.hostsPerLeaf; n++) {
      const name = `a-host-${(leaf - 1) * options.hostsPerLeaf + n}`;
      hosts.push({ kind: 'host', name, site: 'a' });
      links.push(
        cable({ node: name, port: 'eth0' }, { node: `a-leaf-${leaf}`, port: `host${n}` }, options.hosts, RACK),
      );
    }
    for (let spine = 1; spine <= options.spines; spine++) {
      links.push(
        cable(
          { node: `a-leaf-${leaf}`, port: `up${spine}` },
          { node: `a-spine-${spine}`, port: `down${leaf}` },
          options.uplinks,
          RACK,
        ),
      );
    }
  }
  return {
    name: 'one-site',
    sites: ['a'],
    hosts,
    switches,
    links,
    spans: {},
    settings: { ...DEFAULT_FABRIC, ...options.settings },
  };
}
