import type { Distance, Duration, FabricSettings, Host, Link, Rate, Span, SwitchNode, Topology } from '#harness';
import { cable, DEFAULT_FABRIC } from '#harness';

/** How sites are joined: each to the next; and the last to the first; or each to each. */
export type SitesShape = 'line' | 'ring' | 'mesh';

/** `a-b`, `b-c`: each site and the next. */
type LineNames<Sites extends readonly string[]> = Sites extends readonly [
  infer A extends string,
  infer B extends string,
  ...infer Rest extends readonly string[],
]
  ? `${A}-${B}` | LineNames<readonly [B, ...Rest]>
  : never;

/** The line's, and `c-a`: the last and the first. */
type RingNames<Sites extends readonly string[]> =
  | LineNames<Sites>
  | (Sites extends readonly [infer First extends string, ...(readonly string[]), infer Last extends string]
      ? `${Last}-${First}`
      : never);

/** Each site and those after it. */
type MeshNames<Sites extends readonly string[]> = Sites extends readonly [
  infer A extends string,
  ...infer Rest extends readonly string[],
]
  ? `${A}-${Rest[number]}` | MeshNames<Rest>
  : never;

/** Names of the spans, known to the compiler: `fabric.spans['a-c']` of a line a, b, c does not compile. */
export type SpanNames<Sites extends readonly string[], Shape extends SitesShape> = Shape extends 'line'
  ? LineNames<Sites>
  : Shape extends 'ring'
    ? RingNames<Sites>
    : MeshNames<Sites>;

/** One span; `asymmetry` is what its way from the first site of its name to the second takes longer than the way back. */
export interface SpanKind {
  readonly length: Distance;
  readonly rate: Rate;
  readonly asymmetry?: Duration;
}

export interface JoinedSitesOptions<Sites extends readonly string[], Shape extends SitesShape> {
  readonly sites: Sites;
  readonly shape: Shape;
  /** What every span is, unless `spans` says otherwise of one. */
  readonly span: SpanKind;
  readonly spans?: Partial<Readonly<Record<SpanNames<Sites, Shape>, Partial<SpanKind>>>>;
  readonly ranksPerSite: number;
  readonly hosts: Rate;
  readonly uplinks: Rate;
  /** Hosts on one leaf; default 4, or fewer when a site has fewer. */
  readonly hostsPerLeaf?: number;
  /** Spines of a site beside its border; none when absent. */
  readonly spines?: number;
  /** Parallel uplinks from each leaf to the border and to each spine; 1 when absent. */
  readonly uplinksPerSpine?: number;
  readonly settings?: Partial<FabricSettings>;
}

const RACK: Distance = '20 m';

/**
 * Leaf-spine sites joined by spans as a line, a ring or a full mesh. All spans of a site end at its border switch, so what passes
 * through a site on its way to another touches that one box:
 *
 *     line  a --- b --- c          ring  a --- b          mesh  a --- b
 *                                        |     |                | \ / |
 *                                        d --- c                | / \ |
 *                                                               d --- c
 *     a site:   spans -- border     spine-1 ..
 *                          |   \   /   |
 *                        leaf-1     leaf-2 ..
 *
 * Routing counts AS hops, one per border and leaf: traffic takes the way with the fewest sites, whatever the lengths, and in a ring of an
 * even number both ways to the site opposite. Span names are `first-second`, the ring's last one `last-first`.
 *
 * @throws RangeError for fewer than two sites, a site that is named twice, or a ring of fewer than three
 */
export function joinedSites<const Sites extends readonly string[], const Shape extends SitesShape>(
  options: JoinedSitesOptions<Sites, Shape>,
): Topology<SpanNames<Sites, Shape>> {
  const { sites, shape, ranksPerSite, spines = 0, uplinksPerSpine = 1 } = options;
  if (sites.length < 2 || new Set(sites).size < sites.length)
    throw new RangeError(`Sites ${sites.join(', ')}: two or more different ones are needed.`);
  if (shape === 'ring' && sites.length < 3)
    throw new RangeError(`A ring of ${sites.length} sites is a line: three or more are needed.`);
  const hostsPerLeaf = Math.min(options.hostsPerLeaf ?? 4, ranksPerSite);

  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  const links: Link[] = [];
  for (const site of sites) {
    const tops = [`${site}-border`, ...Array.from({ length: spines }, (_, i) => `${site}-spine-${i + 1}`)];
    const leaves = Array.from({ length: Math.ceil(ranksPerSite / hostsPerLeaf) }, (_, i) => `${site}-leaf-${i + 1}`);
    for (const name of leaves) switches.push({ kind: 'switch', name, site, role: 'leaf' });
    for (const name of tops) switches.push({ kind: 'switch', name, site, role: 'spine' });
    for (let rank = 0; rank < ranksPerSite; rank++) {
      const name = `${site}-host-${rank + 1}`;
      const leaf = leaves[Math.floor(rank / hostsPerLeaf)] as string;
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
    for (const [i, leaf] of leaves.entries()) {
      for (const [j, top] of tops.entries()) {
        for (let n = 1; n <= uplinksPerSpine; n++)
          links.push(
            cable(
              { node: leaf, port: `up${j + 1}-${n}` },
              { node: top, port: `down${i + 1}-${n}` },
              options.uplinks,
              RACK,
            ),
          );
      }
    }
  }

  const others = options.spans as Readonly<Record<string, Partial<SpanKind>>> | undefined;
  const spans = Object.fromEntries(
    pairsOf(sites, shape).map(([a, b]): [string, Span] => {
      const name = `${a}-${b}`;
      const ends = [
        { node: `${a}-border`, port: `span-${b}` },
        { node: `${b}-border`, port: `span-${a}` },
      ] as const;
      return [name, { kind: 'span', name, ends, ...options.span, ...others?.[name] }];
    }),
  ) as Record<SpanNames<Sites, Shape>, Span>;
  return {
    name: `${sites.length}-sites-${shape}`,
    sites,
    hosts,
    switches,
    links,
    spans,
    settings: { ...DEFAULT_FABRIC, ...options.settings },
  };
}

function pairsOf(sites: readonly string[], shape: SitesShape): readonly (readonly [string, string])[] {
  if (shape === 'mesh') return sites.flatMap((a, i) => sites.slice(i + 1).map(b => [a, b] as const));
  const line = sites.slice(1).map((b, i) => [sites[i] as string, b] as const);
  return shape === 'line' ? line : [...line, [sites.at(-1) as string, sites[0] as string]];
}
