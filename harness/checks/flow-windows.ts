import type { FlowLine } from '../model/record.ts';
import { plausible } from './measurement.ts';

/** What every flow got in the window that ended at one instant. */
export interface FlowWindow {
  readonly atNs: number;
  readonly windowNs: number;
  readonly rates: ReadonlyMap<string, number>;
}

/**
 * Flow lines by the instant at which their window ended, in order of time. A window in which a flow is absent that was seen before and
 * is seen after is dropped: what that flow got is not known, and it is not zero.
 */
export function flowWindows(lines: readonly FlowLine[]): readonly FlowWindow[] {
  const windows = new Map<number, { windowNs: number; rates: Map<string, number> }>();
  const lifetimes = new Map<string, { first: number; last: number }>();
  for (const { flow, atNs, windowNs, rateBps } of lines) {
    if (!plausible(rateBps)) continue;
    const window = windows.get(atNs) ?? { windowNs, rates: new Map<string, number>() };
    windows.set(atNs, window);
    window.rates.set(flow, rateBps);
    const life = lifetimes.get(flow) ?? { first: atNs, last: atNs };
    lifetimes.set(flow, { first: Math.min(life.first, atNs), last: Math.max(life.last, atNs) });
  }
  const gapless = (atNs: number, rates: ReadonlyMap<string, number>): boolean =>
    [...lifetimes].every(([flow, { first, last }]) => atNs < first || atNs > last || rates.has(flow));
  return [...windows]
    .map(([atNs, window]) => ({ atNs, ...window }))
    .filter(({ atNs, rates }) => gapless(atNs, rates))
    .toSorted((a, b) => a.atNs - b.atNs);
}

/**
 * Windows joined to longer ones: for each, the time-weighted mean of it and of as many before it as make `spanNs`. The first ones, which
 * have not so much before them, are left out. Flows that are absent from a part are absent from the whole.
 */
export function smoothed(windows: readonly FlowWindow[], spanNs: number): readonly FlowWindow[] {
  return windows.flatMap((last, i): readonly FlowWindow[] => {
    let from = i;
    let lengthNs = last.windowNs;
    while (lengthNs < spanNs && from > 0) lengthNs += windows[--from]?.windowNs ?? 0;
    if (lengthNs < spanNs) return [];
    const parts = windows.slice(from, i + 1);
    const rates = [...last.rates.keys()].flatMap((flow): readonly [string, number][] => {
      if (!parts.every(part => part.rates.has(flow))) return [];
      return [[flow, parts.reduce((sum, part) => sum + ((part.rates.get(flow) ?? 0) * part.windowNs) / lengthNs, 0)]];
    });
    return [{ atNs: last.atNs, windowNs: lengthNs, rates: new Map(rates) }];
  });
}

/**
 * How many windows there should have been in a phase of `lengthNs`, from the time that those which are there cover: windows may grow
 * longer as a phase goes on. One is forgiven, because windows need not begin and end with the phase.
 */
export function expectedWindows(windows: readonly FlowWindow[], lengthNs: number): number {
  const coveredNs = windows.reduce((sum, { windowNs }) => sum + windowNs, 0);
  return coveredNs > 0 ? Math.max(1, Math.floor((windows.length * lengthNs) / coveredNs) - 1) : 1;
}
