import type { CountersLine, PortCounters, RecordLine } from '../harness/model/record.ts';

/** What one port did between two readings of its device. `null`: one of the two readings failed, or the counter went back or began anew. */
export interface PortWindow {
  readonly beginNs: number;
  readonly endNs: number;
  readonly txBps: number | null | undefined;
  readonly rxBps: number | null | undefined;
  /** Share of the time that the lossless priority was paused. */
  readonly paused: number | null | undefined;
  /** Share of the lossless queue's packets that were marked CE; undefined as well when no packet left the queue. */
  readonly marked: number | null | undefined;
  readonly queuePeakBytes: number | null | undefined;
  readonly drops: number | null | undefined;
}

interface Between {
  readonly before: PortCounters;
  readonly after: PortCounters;
  /** Counters that began anew with the second reading. */
  readonly anew: readonly (keyof PortCounters)[];
}

/** Absent stays absent, unreadable stays null, and a counter that went back or began anew is not a rate. */
function growth({ before, after, anew }: Between, key: keyof PortCounters): number | null | undefined {
  const [from, to] = [before[key], after[key]];
  if (to === undefined || from === undefined) return undefined;
  if (typeof from !== 'number' || typeof to !== 'number' || to < from || anew.includes(key)) return null;
  return to - from;
}

/** Readings whose instants are less sure than half the time between them give no rate. */
const tooUnsure = (from: CountersLine, to: CountersLine): boolean =>
  (from.bracketNs ?? 0) + (to.bracketNs ?? 0) > (to.atNs - from.atNs) / 2;

const over = (amount: number | null | undefined, whole: number | null | undefined, scale = 1) =>
  amount === null || amount === undefined
    ? amount
    : whole === null || whole === undefined || whole <= 0
      ? undefined
      : (amount * scale) / whole;

function windowOf(from: CountersLine, to: CountersLine, between: Between): PortWindow {
  const ns = to.atNs - from.atNs;
  const of = (key: keyof PortCounters) => growth(between, key);
  const unsure = tooUnsure(from, to);
  const rate = (key: keyof PortCounters, scale?: number) => {
    const grew = of(key);
    return over(unsure && grew !== undefined ? null : grew, ns, scale);
  };
  return {
    beginNs: from.atNs,
    endNs: to.atNs,
    txBps: rate('txBytes', 8e9),
    rxBps: rate('rxBytes', 8e9),
    paused: rate('pausedNs'),
    marked: over(of('ecnMarked'), of('queuePackets')),
    queuePeakBytes: between.after.queuePeakBytes,
    drops: of('drops'),
  };
}

/** The windows of every port, by `node:port`, in the order of time. */
export function portWindows(lines: readonly RecordLine[]): ReadonlyMap<string, readonly PortWindow[]> {
  const last = new Map<string, CountersLine>();
  const windows = new Map<string, PortWindow[]>();
  for (const line of lines) {
    if (line.kind !== 'counters') continue;
    const previous = last.get(line.node);
    last.set(line.node, line);
    if (!previous || line.atNs <= previous.atNs) continue;
    for (const [port, after] of Object.entries(line.ports)) {
      const before = previous.ports[port];
      if (!before) continue;
      const name = `${line.node}:${port}`;
      const list = windows.get(name) ?? [];
      if (list.length === 0) windows.set(name, list);
      list.push(windowOf(previous, line, { before, after, anew: line.anew?.[port] ?? [] }));
    }
  }
  return windows;
}
