import { bitRate, distance } from './amount.ts';
import { detection } from './detection.ts';
import { detours } from './detour.ts';
import { feedback } from './feedback.ts';
import { type Finding, type Judged, moreThan } from './finding.ts';
import { inFlight } from './in-flight.ts';
import { type DeclaredSettings, hostRateBps, type LintedCable, type LintedFabric } from './linted-fabric.ts';
import { type LongWay, longWay } from './long-way.ts';
import { losslessPorts } from './lossless-ports.ts';
import { losslessSpan } from './lossless-span.ts';
import { lossEfficiency } from './loss-efficiency.ts';
import { messageSize } from './message-size.ts';
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
  if (!(span.metres > 0 && span.rateBps > 0)) return [noDistance(span)];
  const way = longWay(span);
  return [
    ...propagation(way),
    ...losslessSpan(way, settings),
    ...detection(way, settings),
    ...retransmission(way, settings),
    ...lossEfficiency(way, settings, loss),
    ...feedback(way, settings),
    ...inFlight(way, settings, hostRateBps(fabric)),
    ...messageSize(way, hostRateBps(fabric), fabric.hosts.size),
    // Where a box plays the span, what it is set to is looked at instead.
    ...(span.box === undefined ? [roomOnLinux(way, settings)] : []),
  ];
}

/** What a Linux box would have to hold if one played the span. */
const roomOnLinux = ({ rateBps, forwardNs }: LongWay, settings: DeclaredSettings): Judged => ({
  ...netemRoom({ rateBps, delayNs: forwardNs }, settings),
  severity: 'info',
  value: null,
  advice: '',
});

const noDistance = ({ metres, rateBps }: LintedCable): Judged => ({
  check: 'length and rate',
  severity: 'error',
  value: distance(metres),
  needed: moreThan(distance(0)),
  formula: `${distance(metres).text} at ${bitRate(rateBps).text}`,
  source: 'the declaration itself',
  advice: 'Give the span a length and a rate above 0.',
});
