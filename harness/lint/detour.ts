import { magnitude } from '../model/units.ts';
import { duration } from './amount.ts';
import { type Finding, moreThan } from './finding.ts';
import type { LintedCable, LintedFabric } from './linted-fabric.ts';
import { longWay } from './long-way.ts';

interface Way {
  readonly spans: readonly LintedCable[];
  readonly rttNs: number;
}

/**
 * The longest way between two sites over the fewest spans, with all spans and with each one cut, against the retransmission timeout.
 * Routing counts sites, not kilometres. Nothing where each pair of sites has its own span and no cut leads over a third.
 */
export function detours({ spans, siteOf, settings }: LintedFabric): readonly Finding[] {
  const sites = [...new Set(spans.flatMap(({ ends }) => ends.map(({ device }) => siteOf.get(device) ?? '')))];
  if (sites.length < 3 || settings.roce === undefined) return [];
  const timeoutNs = magnitude(settings.roce.retransmitTimeout);
  const found = new Map<string, Finding>();
  for (const cut of [undefined, ...spans]) {
    const standing = spans.filter(span => span !== cut);
    for (const [i, from] of sites.entries())
      for (const to of sites.slice(i + 1)) {
        const way = fewestSpans(standing, siteOf, from, to);
        if (way === undefined || way.spans.length < 2) continue;
        const name = `${from} to ${to} over ${way.spans.map(span => span.name).join(', ')}`;
        if (!found.has(name)) found.set(name, judged(name, way, { timeoutNs, cut }));
      }
  }
  return [...found.values()];
}

function judged(
  name: string,
  { spans, rttNs }: Way,
  { timeoutNs, cut }: { readonly timeoutNs: number; readonly cut: LintedCable | undefined },
): Finding {
  const short = timeoutNs <= rttNs;
  return {
    subject: { kind: 'path', name },
    check: 'RoCE timeout',
    severity: short ? 'error' : 'ok',
    value: duration(timeoutNs),
    needed: moreThan(duration(rttNs)),
    formula: `${spans.map(span => duration(longWay(span).rttNs).text).join(' + ')} = ${duration(rttNs).text} RTT${cut === undefined ? '' : ` when ${cut.name} is cut`}`,
    source:
      'RFC 4271, section 9.1.2.2: the shortest AS path wins, whatever its kilometres; the timeout is one of the queue pair, not of a span',
    advice: short ? 'Set a timeout that outlives the longest way, not the shortest span.' : '',
  };
}

/** Breadth first; among ways of as many spans the longest, as a hash may take any. */
function fewestSpans(
  spans: readonly LintedCable[],
  siteOf: LintedFabric['siteOf'],
  from: string,
  to: string,
): Way | undefined {
  let frontier = new Map<string, Way>([[from, { spans: [], rttNs: 0 }]]);
  const seen = new Set([from]);
  while (frontier.size > 0 && !frontier.has(to)) {
    const next = new Map<string, Way>();
    for (const [site, way] of frontier)
      for (const span of spans) {
        const [a, b] = span.ends.map(({ device }) => siteOf.get(device) ?? '') as [string, string];
        const far = a === site ? b : b === site ? a : undefined;
        if (far === undefined || seen.has(far)) continue;
        const longer = { spans: [...way.spans, span], rttNs: way.rttNs + longWay(span).rttNs };
        if (longer.rttNs > (next.get(far)?.rttNs ?? -1)) next.set(far, longer);
      }
    for (const site of next.keys()) seen.add(site);
    frontier = next;
  }
  return frontier.get(to);
}
