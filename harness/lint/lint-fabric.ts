import { detection } from './detection.ts';
import { detours } from './detour.ts';
import { feedback } from './feedback.ts';
import type { Finding, Judged } from './finding.ts';
import { inFlight } from './in-flight.ts';
import { hostRateBps, type LintedCable, type LintedFabric } from './linted-fabric.ts';
import { longWay } from './long-way.ts';
import { losslessPorts } from './lossless-ports.ts';
import { losslessSpan } from './lossless-span.ts';
import { lossEfficiency } from './loss-efficiency.ts';
import { netemRoom } from './netem-room.ts';
import { propagation } from './propagation.ts';
import { retransmission } from './retransmission.ts';

export interface LintOptions {
  /** Loss that spans are expected to have, a fraction of 1; absent: nobody said. */
  readonly loss?: number;
}

/** What the kilometres of a fabric ask of what is declared: every span in turn, then ways over several spans, then the sites. */
export function lintFabric(fabric: LintedFabric, options: LintOptions = {}): readonly Finding[] {
  return [
    ...fabric.spans.flatMap(span =>
      lintSpan(span, fabric, options).map(judged => ({
        subject: { kind: 'span' as const, name: span.name },
        ...judged,
      })),
    ),
    ...detours(fabric),
    ...losslessPorts(fabric),
  ];
}

function lintSpan(span: LintedCable, fabric: LintedFabric, { loss }: LintOptions): readonly Judged[] {
  const { settings } = fabric;
  const way = longWay(span);
  return [
    ...propagation(way),
    ...losslessSpan(way, settings),
    ...detection(way, settings),
    ...retransmission(way, settings),
    ...lossEfficiency(way, settings, loss),
    ...feedback(way, settings),
    ...inFlight(way, settings, hostRateBps(fabric)),
    {
      ...netemRoom({ rateBps: way.rateBps, delayNs: way.forwardNs }, settings),
      severity: 'info',
      value: null,
      advice: '',
    },
  ];
}
