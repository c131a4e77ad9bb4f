import { clocksOf } from '../harness/model/clocks-of.ts';
import type { EventLine, RecordLine } from '../harness/model/record.ts';

/** An event with how well its instant is known, and how it stands to the one above it. */
export interface PlacedEvent {
  readonly event: EventLine;
  /** Undefined: the clock of its node was not read. */
  readonly boundNs: number | undefined;
  /** Empty for the first, and for one of the same node. */
  readonly order: string;
}

/** What the harness says by itself has the runner's clock. */
const OUR_OWN: ReadonlySet<string> = new Set(['farspan', 'clock', 'traps']);

/**
 * Events of a lab in the order of their instants. That one came before another, of another node, is said only where they are further apart
 * than the bounds of both clocks together. Undefined for a simulated run: its events are exact, and their order is.
 */
export function placedEvents(lines: readonly RecordLine[]): readonly PlacedEvent[] | undefined {
  const run = lines.find(line => line.kind === 'run');
  if (!run || run.world === 'sim') return undefined;
  const clocks = clocksOf(lines);
  const virtual = run.trainPackets !== null;
  const boundOf = ({ node, atNs }: EventLine): number | undefined =>
    virtual || OUR_OWN.has(node) ? 0 : clocks(node, atNs)?.boundNs;
  const events = lines.filter(line => line.kind === 'event').toSorted((a, b) => a.atNs - b.atNs);
  return events.map((event, i) => {
    const boundNs = boundOf(event);
    const above = events[i - 1];
    if (!above || above.node === event.node) return { event, boundNs, order: '' };
    const aboveNs = boundOf(above);
    if (boundNs === undefined || aboveNs === undefined)
      return { event, boundNs, order: `order to ${above.node} not known` };
    const apartNs = event.atNs - above.atNs;
    const order = apartNs > boundNs + aboveNs ? `${above.node} before` : `about the same time as ${above.node}`;
    return { event, boundNs, order };
  });
}
