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
