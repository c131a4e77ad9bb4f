import type { Distance, FabricSettings, Host, Link, Rate, Span, SwitchNode, Topology } from '#harness';
import { cable, DEFAULT_FABRIC, magnitude } from '#harness';

export interface TwoSitesOptions<Name extends string> {
  readonly ranksPerSite: number;
  readonly hosts: Rate;
  readonly uplinks: Rate;
  readonly spans: Readonly<Record<Name, { readonly length: Distance; readonly rate: Rate }>>;
  /** Hosts on one leaf; default 4, or fewer when a site has fewer. */
  readonly hostsPerLeaf?: number;
  /** Parallel uplinks from each leaf to each spine; default enough that a leaf is not oversubscribed. */
  readonly uplinksPerSpine?: number;
  readonly settings?: Partial<FabricSettings>;
}

const RACK: Distance = '20 m';

/**
 * Two leaf-spine sites, `a` and `b`, joined by named spans; span i joins spine i of both sites.
 * `spans` keeps its keys, so `fabric.spans.nroth` does not compile.
 */
export function twoSites<const Name extends string>(options: TwoSitesOptions<Name>): Topology<Name> {
  const names = Object.keys(options.spans) as Name[];
  const hostsPerLeaf = Math.min(options.hostsPerLeaf ?? 4, options.ranksPerSite);
  const leaves = Math.ceil(options.ranksPerSite / hostsPerLeaf);
  const parallel =
    options.uplinksPerSpine ??
    Math.ceil((hostsPerLeaf * magnitude(options.hosts)) / (names.length * magnitude(options.uplinks)));

  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  const links: Link[] = [];
  for (const site of ['a', 'b']) {
    for (let leaf = 1; leaf <= leaves; leaf++)
      switches.push({ kind: 'switch', name: `${site}-leaf-${leaf}`, site, role: 'leaf' });
    for (const i of names.keys())
      switches.push({ kind: 'switch', name: `${site}-spine-${i + 1}`, site, role: 'spine' });
    for (let rank = 0; rank < options.ranksPerSite; rank++) {
      const name = `${site}-host-${rank + 1}`;
      const leaf = `${site}-leaf-${Math.floor(rank / hostsPerLeaf) + 1}`;
      hosts.push({ kind: 'host', name, site });
      links.push(
        cable(
          { node: name, port: 'eth0' },
          { node: leaf, port: `host${(rank % hostsPerLeaf) + 1}` },
          options.hosts,
          RACK,
        ),
      );
    }
    for (let leaf = 1; leaf <= leaves; leaf++) {
      for (const i of names.keys()) {
        for (let n = 1; n <= parallel; n++) {
          links.push(
            cable(
              { node: `${site}-leaf-${leaf}`, port: `up${i + 1}-${n}` },
              { node: `${site}-spine-${i + 1}`, port: `down${leaf}-${n}` },
              options.uplinks,
              RACK,
            ),
          );
        }
      }
    }
  }
  const spans = Object.fromEntries(
    names.map((name, i): [Name, Span] => {
      const ends = [
        { node: `a-spine-${i + 1}`, port: 'span' },
        { node: `b-spine-${i + 1}`, port: 'span' },
      ] as const;
      return [name, { kind: 'span', name, ends, ...options.spans[name] }];
    }),
  ) as Record<Name, Span>;
  return {
    name: 'two-sites',
    sites: ['a', 'b'],
    hosts,
    switches,
    links,
    spans,
    settings: { ...DEFAULT_FABRIC, ...options.settings },
  };
}
