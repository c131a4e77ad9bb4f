import type { Duration } from '../model/units.ts';
import { type FlowWindow, flowWindows, smoothed } from './flow-windows.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';

/** BMWG AI fabric training draft, "CC convergence": all flows within 10 % of their fair share. */
const TOLERANCE = 0.1;

/**
 * Rates are looked at over this long, ns. The draft names no window; this is our choice: DCQCN's cuts are random (RED), a sawtooth lasts
 * some milliseconds, and only a mean over several of them can be within 10 % of anything.
 */
const LOOK_NS = 10e6;

/**
 * Congestion control convergence, ns: from the instant at which M flows join M others until all 2M have their fair share and keep it.
 *
 * Method (BMWG AI fabric training draft, "CC convergence"): the join is the beginning of the first window in which the late flows
 * show; converged at the end of the first stretch of 10 ms (or one window, if longer) in which each flow is within 10 % of the mean
 * of all 2M, and after which it is so again on average to the end of the phase (how much they get together is `goodput`'s question). Flows that never settle have no sample, but take longer than what was
 * seen: a limit below that fails. U: one stretch.
 */
export const ccConvergenceKpi: Kpi = {
  name: 'ccConvergence',
  dimension: 'duration',
  better: 'low',
  unseenAtFlowLevel: 'has no congestion control that could converge',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...ccConvergenceKpi, method: 'join until all flows stay within 10 % of their fair share' },
      { view, phase },
      seen => {
        const { load } = view.plan;
        if (load.kind !== 'flow-doubling') return { samples: [], missing: `${load.kind} has no flows that join` };
        const windows = flowWindows(seen.flows);
        const all = 2 * load.flows;
        const joined = windows.findIndex(({ rates }) => sending(rates) > load.flows);
        const first = windows[joined];
        if (!first) return { samples: [], expected: 1, missing: `no flow joined the first ${load.flows} in ${phase}` };
        const joinNs = first.atNs - first.windowNs;
        const after = smoothed(windows.slice(joined), LOOK_NS);
        const last = windows.at(-1) ?? first;
        const at = after.find(stretch => isFair(stretch, all) && keepsFair(windows, stretch.atNs, all));
        if (!at)
          return {
            samples: [],
            expected: 1,
            missing: `the flows were not within 10 % of their fair share at the end of ${phase}`,
            exceeds: last.atNs - joinNs,
            uncertainty: (after.at(-1) ?? last).windowNs,
          };
        return { samples: [at.atNs - joinNs], expected: 1, uncertainty: at.windowNs };
      },
    ),
};

export const ccConvergence = kpi<Duration>(ccConvergenceKpi);

const sending = (rates: ReadonlyMap<string, number>): number => [...rates.values()].filter(rate => rate > 0).length;

/** What came after `fromNs`, taken together, is fair too. Nothing after it: the phase ended there, and nothing speaks against it. */
function keepsFair(windows: readonly FlowWindow[], fromNs: number, flows: number): boolean {
  const rest = windows.filter(({ atNs }) => atNs > fromNs);
  const whole = smoothed(
    rest,
    rest.reduce((sum, { windowNs }) => sum + windowNs, 0),
  ).at(-1);
  return whole === undefined || isFair(whole, flows);
}

function isFair({ rates }: FlowWindow, flows: number): boolean {
  const share = [...rates.values()].reduce((sum, rate) => sum + rate, 0) / flows;
  return (
    rates.size === flows && share > 0 && [...rates.values()].every(rate => Math.abs(rate - share) <= TOLERANCE * share)
  );
}
