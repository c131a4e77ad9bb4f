import type { ProbeLine, RecordLine } from '../harness/model/record.ts';
import type { Fault } from '../harness/model/fault.ts';
import { magnitude, print } from '../harness/model/units.ts';
import type { Link, PortRef, Span, Topology } from '../harness/model/topology.ts';
import { html } from './escape-html.ts';
import type { Markup } from './escape-html.ts';
import { longFault } from './fault-words.ts';
import { portWindows } from './port-rates.ts';
import type { PortWindow } from './port-rates.ts';
import { sanitize } from './sanitize.ts';
import { timelineOf } from './timeline.ts';
import type { FaultStory, Timeline } from './timeline.ts';
import { topologyLayout } from './topology-layout.ts';
import type { Layout, Place, SpanTrack } from './topology-layout.ts';

const LIGHT_IN_VACUUM = 299_792_458; // m/s, exact
const GROUP_INDEX = 1.4682; // standard single-mode fibre at 1550 nm (Corning SMF-28 data sheet)

/** One-way propagation over a fibre, ns. */
const propagationNs = ({ length }: Pick<Span, 'length'>): number =>
  ((magnitude(length) * GROUP_INDEX) / LIGHT_IN_VACUUM) * 1e9;

const short = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

const pathOf = ({ fromX, fromY, toX, toY, y }: SpanTrack): string => {
  const turn = Math.min(12, Math.abs(toX - fromX) / 2);
  const way = toX >= fromX ? turn : -turn;
  return `M${fromX} ${fromY}V${y + turn}Q${fromX} ${y} ${fromX + way} ${y}H${toX - way}Q${toX} ${y} ${toX} ${y + turn}V${toY}`;
};

function nodeShape({ name, role, x, y, width, height }: Place): Markup {
  const label = role === 'host' ? (/\d+$/.exec(name)?.[0] ?? short(name, 4)) : short(name, 14);
  return html`<g class="node ${role}"><title>${name} (${role})</title><rect x="${x - width / 2}" y="${y - height / 2}" width="${width}" height="${height}" rx="${role === 'host' ? 4 : 6}"/><text x="${x}" y="${y + 4}" text-anchor="middle">${label}</text></g>`;
}

function linkLine(link: Link, places: Layout['places'], mark = 'link'): Markup | null {
  const [a, b] = link.ends.map(({ node }) => places.get(node));
  if (!a || !b) return null;
  const [over, under] = a.y <= b.y ? [a, b] : [b, a];
  return html`<line class="${mark}" x1="${over.x}" y1="${over.y + over.height / 2}" x2="${under.x}" y2="${under.y - under.height / 2}"><title>${link.name}, ${link.rate}, ${link.length}</title></line>`;
}

/** Parallel links between two nodes are one line in the drawing. */
function distinct(links: readonly Link[]): readonly Link[] {
  const byPair = new Map(
    links.map(link => [
      link.ends
        .map(({ node }) => node)
        .toSorted()
        .join('\n'),
      link,
    ]),
  );
  return [...byPair.values()];
}

const cross = (x: number, y: number): Markup =>
  html`<g class="cross"><circle cx="${x}" cy="${y}" r="9"/><path d="M${x - 4} ${y - 4}L${x + 4} ${y + 4}M${x + 4} ${y - 4}L${x - 4} ${y + 4}"/></g>`;

function faultMark(fault: Fault, layout: Layout): Markup | null {
  switch (fault.kind) {
    case 'span-cut':
    case 'span-flap':
    case 'span-degrade':
    case 'protection-switch': {
      const track = layout.spans.find(({ name }) => name === fault.span.name);
      if (!track) return null;
      return html`<path class="cover" d="${pathOf(track)}"/><path class="broken" d="${pathOf(track)}"/>${cross((track.fromX + track.toX) / 2, track.y)}`;
    }
    case 'link-down': {
      const [a, b] = fault.link.ends.map(({ node }) => layout.places.get(node));
      if (!a || !b) return null;
      return html`${linkLine(fault.link, layout.places, 'cover')}${linkLine(fault.link, layout.places, 'broken')}${cross((a.x + b.x) / 2, (a.y + b.y) / 2)}`;
    }
    case 'switch-reboot': {
      const place = layout.places.get(fault.switch.name);
      if (!place) return null;
      const { x, y, width, height } = place;
      return html`<rect class="rebooting" x="${x - width / 2 - 4}" y="${y - height / 2 - 4}" width="${width + 8}" height="${height + 8}" rx="9"/>${cross(x + width / 2 + 2, y - height / 2 - 2)}`;
    }
  }
}

interface Instant {
  readonly name: string;
  readonly beginNs: number;
  readonly endNs: number;
  readonly faults: readonly FaultStory[];
}

/** Mean over the windows that lie in the phase, weighted by their length; undefined without one. */
function meanTx(windows: readonly PortWindow[] | undefined, { beginNs, endNs }: Instant): number | undefined {
  let [bits, ns] = [0, 0];
  for (const window of windows ?? []) {
    const shared = Math.min(window.endNs, endNs) - Math.max(window.beginNs, beginNs);
    if (shared <= 0 || typeof window.txBps !== 'number') continue;
    bits += window.txBps * shared;
    ns += shared;
  }
  return ns > 0 ? bits / ns : undefined;
}

const lossOf = (probes: readonly ProbeLine[], span: string, phase: string): number | undefined => {
  const mine = probes.filter(probe => probe.span === span && probe.phase === phase && probe.sent > 0);
  return mine.length === 0 ? undefined : Math.max(...mine.map(({ sent, received }) => (sent - received) / sent));
};

/** `→ 83 Gb/s (21 %) ← 81 Gb/s (20 %) · probe loss 0 %`: what went over a span in a phase, as far as it was seen. */
function spanState(
  span: Span,
  instant: Instant,
  windows: ReadonlyMap<string, readonly PortWindow[]>,
  probes: readonly ProbeLine[],
): string {
  const load = ({ node, port }: PortRef) => {
    const rate = meanTx(windows.get(`${node}:${port}`), instant);
    return rate === undefined
      ? 'not measured'
      : `${print(Number(rate.toPrecision(3)), 'rate')} (${Math.round((rate / magnitude(span.rate)) * 100)} %)`;
  };
  const loss = lossOf(probes, span.name, instant.name);
  return `→ ${load(span.ends[0])}   ← ${load(span.ends[1])}${loss === undefined ? '' : `   probe loss ${print(Number(loss.toPrecision(3)), 'share')}`}`;
}

function instantsOf({ phases, faults, endNs }: Timeline): readonly Instant[] {
  const during = (beginNs: number, to: number) => faults.filter(fault => fault.beginNs < to && fault.endNs > beginNs);
  if (phases.length === 0) return [{ name: 'the whole run', beginNs: 0, endNs, faults }];
  const lastNs = phases.at(-1)?.endNs ?? 0;
  const cutShort = during(lastNs, endNs).some(fault => fault.beginNs >= lastNs);
  return [
    ...phases.map(({ name, beginNs, endNs: to }) => ({ name, beginNs, endNs: to, faults: during(beginNs, to) })),
    ...(cutShort
      ? [{ name: 'after the last whole phase', beginNs: lastNs, endNs, faults: during(lastNs, endNs) }]
      : []),
  ];
}

const share = (fault: FaultStory, { beginNs, endNs }: Instant): string => {
  const [from, to] = [Math.max(fault.beginNs, beginNs), Math.min(fault.endNs, endNs)];
  const whole = endNs - beginNs;
  if (fault.beginNs < beginNs && to < endNs) return ` until ${print(to - beginNs, 'duration')} into this phase`;
  const part = whole > 0 ? (to - from) / whole : 1;
  return part > 0.995 ? '' : ` (${print(to - from, 'duration')} of this phase)`;
};

/** Faults that are drawn in a phase: not one that the phase before left over and that was healed in its first twentieth. */
const marked = ({ faults, beginNs, endNs }: Instant): readonly FaultStory[] =>
  faults.filter(fault => fault.beginNs >= beginNs || fault.endNs - beginNs > (endNs - beginNs) / 20);

/** The fabric as a drawing, with one layer a phase: what was faulted, and what the spans carried. */
export function topologyDrawing(topology: Topology, lines: readonly RecordLine[]): Markup {
  const layout = topologyLayout(topology);
  const windows = portWindows(lines);
  const probes = lines.filter(line => line.kind === 'probe');
  const instants = instantsOf(timelineOf(lines));
  const spans = Object.values(topology.spans);
  const spanNamed = new Map(spans.map(span => [span.name, span]));
  const first = Math.max(
    0,
    instants.findIndex(({ faults }) => faults.length > 0),
  );
  const middle = ({ fromX, toX }: SpanTrack) => (fromX + toX) / 2;

  const base = html`
    ${layout.sites.map(({ name, x, y, width, height }) => html`<g class="site"><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="12"/><text x="${x + 14}" y="${y + height - 12}">site ${short(sanitize(name), 40)}</text></g>`)}
    ${distinct(topology.links).map(link => linkLine(link, layout.places))}
    ${layout.spans.map(track => html`<path class="span" d="${pathOf(track)}"><title>span ${track.name}</title></path>`)}
    ${[...layout.places.values()].map(nodeShape)}
    ${layout.spans.map(track => {
      const span = spanNamed.get(track.name) as Span;
      return html`<text class="span-name" x="${middle(track)}" y="${track.y - 14}" text-anchor="middle"><tspan class="strong">${short(span.name, 40)}</tspan>  ${span.length} · ${print(propagationNs(span), 'duration')} one way · ${span.rate}</text>`;
    })}`;

  const layers = instants.map((instant, i) => {
    const states = layout.spans.map(track => {
      const dead = marked(instant).some(({ injected: { fault } }) => 'span' in fault && fault.span.name === track.name);
      return html`<text class="span-state${dead ? ' bad' : ''}" x="${middle(track)}" y="${track.y + (dead ? 24 : 18)}" text-anchor="middle">${spanState(spanNamed.get(track.name) as Span, instant, windows, probes)}</text>`;
    });
    return html`<g class="layer${i === first ? ' on' : ''}" data-layer="${i}">${marked(instant).map(({ injected }) => faultMark(injected.fault, layout))}${states}</g>`;
  });

  return html`
    <fieldset class="choice" id="instant"><legend>State in phase</legend>
      ${instants.map((instant, i) => html`<label><input type="radio" name="instant" value="${i}"${i === first ? html` checked` : ''}><span>${instant.name}${marked(instant).length > 0 ? html` <b class="mark" title="faults in effect">✕ ${marked(instant).length}</b>` : ''}</span></label>`)}
    </fieldset>
    <div class="scroll" tabindex="0" role="region" aria-label="Topology drawing">
      <svg class="topology" viewBox="0 0 ${Math.ceil(layout.width)} ${Math.ceil(layout.height)}" width="${Math.ceil(layout.width)}" height="${Math.ceil(layout.height)}" role="img" aria-label="${`${topology.name}: ${topology.sites.length} sites, ${topology.switches.length} switches, ${topology.hosts.length} hosts, ${spans.length} spans`}">${base}${layers}</svg>
    </div>
    ${instants.map((instant, i) => html`<p class="caption layer-text${i === first ? ' on' : ''}" data-layer="${i}"><b>${instant.name}</b>: ${instant.faults.length === 0 ? 'no fault in effect.' : instant.faults.map(fault => `${longFault(fault.injected.fault)}${share(fault, instant)}`).join('; ')}</p>`)}`;
}
