import type { CountersLine, PortCounters, RecordLine } from '../harness/model/record.ts';

/** What one port did between two readings of its device. `null`: one of the two readings failed or the counter went back. */
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

/** Absent stays absent, unreadable stays null, and a counter that went back is not a rate. */
function growth(before: PortCounters, after: PortCounters, key: keyof PortCounters): number | null | undefined {
  const [from, to] = [before[key], after[key]];
  if (to === undefined || from === undefined) return undefined;
  if (typeof from !== 'number' || typeof to !== 'number' || to < from) return null;
  return to - from;
}

const over = (amount: number | null | undefined, whole: number | null | undefined, scale = 1) =>
  amount === null || amount === undefined
    ? amount
    : whole === null || whole === undefined || whole <= 0
      ? undefined
      : (amount * scale) / whole;

function windowOf(from: CountersLine, to: CountersLine, before: PortCounters, after: PortCounters): PortWindow {
  const ns = to.atNs - from.atNs;
  const of = (key: keyof PortCounters) => growth(before, after, key);
  return {
    beginNs: from.atNs,
    endNs: to.atNs,
    txBps: over(of('txBytes'), ns, 8e9),
    rxBps: over(of('rxBytes'), ns, 8e9),
    paused: over(of('pausedNs'), ns),
    marked: over(of('ecnMarked'), of('queuePackets')),
    queuePeakBytes: after.queuePeakBytes,
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
      list.push(windowOf(previous, line, before, after));
    }
  }
  return windows;
}
