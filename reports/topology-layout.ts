import type { Topology } from '../harness/model/topology.ts';

export interface Place {
  readonly name: string;
  readonly role: 'spine' | 'leaf' | 'host';
  /** Centre, in drawing units. */
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** One span as three straight pieces: up from its first end, across, down to its second. */
export interface SpanTrack {
  readonly name: string;
  readonly fromX: number;
  readonly fromY: number;
  readonly toX: number;
  readonly toY: number;
  readonly y: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly places: ReadonlyMap<string, Place>;
  readonly sites: readonly {
    readonly name: string;
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  }[];
  readonly spans: readonly SpanTrack[];
}

const SIZE = { spine: [104, 30], leaf: [96, 28], host: [26, 22] } as const;
const GAP = { spine: 28, leaf: 20, host: 6 } as const;
/** Room between two spans, for a line of text and a line of state. */
const TRACK = 68;
const SITE_GAP = 260;
const PAD = 22;
const HOSTS_A_ROW = 16;

type Role = keyof typeof SIZE;

const rowWidth = (role: Role, count: number) => (count === 0 ? 0 : count * SIZE[role][0] + (count - 1) * GAP[role]);

/**
 * Where everything stands: sites side by side, spines over leaves over hosts, spans as tracks above, the widest on top.
 * Every second site has its spines mirrored, so the usual spans (spine i to spine i) nest and do not cross. Any graph.
 */
export function topologyLayout(topology: Topology): Layout {
  const spans = Object.values(topology.spans);
  const top = 18 + spans.length * TRACK + 26;
  const places = new Map<string, Place>();
  const sites: Layout['sites'][number][] = [];
  const siteHeights: number[] = [];
  let left = 10;

  for (const [index, site] of topology.sites.entries()) {
    const namesOf = (role: 'spine' | 'leaf') =>
      topology.switches.filter(node => node.site === site && node.role === role).map(({ name }) => name);
    const hosts = topology.hosts.filter(node => node.site === site).map(({ name }) => name);
    const rows: (readonly [Role, readonly string[], number])[] = [
      ['spine', index % 2 === 0 ? namesOf('spine') : namesOf('spine').toReversed(), 0],
      ['leaf', namesOf('leaf'), 92],
    ];
    for (let i = 0; i < hosts.length; i += HOSTS_A_ROW)
      rows.push(['host', hosts.slice(i, i + HOSTS_A_ROW), 176 + (i / HOSTS_A_ROW) * 30]);
    const inner = Math.max(240, ...rows.map(([role, names]) => rowWidth(role, names.length)));
    for (const [role, names, down] of rows) {
      const [width, height] = SIZE[role];
      const begin = left + PAD + (inner - rowWidth(role, names.length)) / 2 + width / 2;
      names.forEach((name, i) => {
        places.set(name, { name, role, x: begin + i * (width + GAP[role]), y: top + 40 + down, width, height });
      });
    }
    const height = 40 + (rows.at(-1)?.[2] ?? 0) + 50;
    siteHeights.push(height);
    sites.push({ name: site, x: left, y: top, width: inner + 2 * PAD, height });
    left += inner + 2 * PAD + SITE_GAP;
  }

  const tallest = Math.max(60, ...siteHeights);
  const used = new Map<string, number>();
  const endsAt = new Map<string, number>();
  for (const { ends } of spans) for (const { node } of ends) endsAt.set(node, (endsAt.get(node) ?? 0) + 1);
  const leave = (node: string) => {
    const place = places.get(node);
    const slot = used.get(node) ?? 0;
    used.set(node, slot + 1);
    const count = endsAt.get(node) ?? 1;
    const x = place ? place.x + (((slot + 1) / (count + 1)) * place.width - place.width / 2) : 0;
    return { x, y: place ? place.y - place.height / 2 : top };
  };

  const tracks = spans.map(({ name, ends: [a, b] }) => {
    const [from, to] = [leave(a.node), leave(b.node)];
    return { name, fromX: from.x, fromY: from.y, toX: to.x, toY: to.y };
  });
  const extent = ({ fromX, toX }: { readonly fromX: number; readonly toX: number }) => Math.abs(toX - fromX);
  const widestFirst = tracks.toSorted((a, b) => extent(b) - extent(a));

  return {
    width: left - SITE_GAP + 10,
    height: top + tallest + 12,
    places,
    sites: sites.map(site => ({ ...site, height: tallest })),
    spans: widestFirst.map((track, i): SpanTrack => ({ ...track, y: 18 + i * TRACK + 26 })),
  };
}
