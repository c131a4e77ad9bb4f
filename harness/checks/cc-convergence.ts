import type { Duration } from '../model/units.ts';
import { type FlowWindow, flowWindows, smoothed } from './flow-windows.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';

/** BMWG AI fabric training draft, "CC convergence": all flows within 10 % of their fair share. */
const TOLERANCE = 0.1;

/**
 * Rates are looked at over this long, ns: a sawtooth of DCQCN takes some of its increase timers (300 us each), and in a shorter window
 * a packet more or less is itself a tenth of a flow's share. The draft names no window. Our choice.
 */
const LOOK_NS = 2e6;

/**
 * Congestion control convergence, ns: from the instant at which M flows join M others until all 2M have their fair share and keep it.
 *
 * Method (BMWG AI fabric training draft, "CC convergence"): the join is the beginning of the first window in which the late flows
 * show; converged at the end of the first stretch of 2 ms (or one window, if longer) from which on, to the end of the phase, each
 * flow is within 10 % of the mean of all 2M (how much they get together is `goodput`'s question). Flows that never settle have no sample, but take longer than what was
 * seen: a limit below that fails. U: one stretch.
 */
export const ccConvergenceKpi: Kpi = {
  name: 'ccConvergence',
  dimension: 'duration',
  better: 'low',
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
        const settled = after.findLastIndex(window => !isFair(window, all)) + 1;
        const last = windows.at(-1) ?? first;
        const at = after[settled];
        if (!at)
          return {
            samples: [],
            expected: 1,
            missing: `the flows were not within 10 % of their fair share at the end of ${phase}`,
            exceeds: last.atNs - joinNs,
          };
        return { samples: [at.atNs - joinNs], expected: 1, uncertainty: at.windowNs };
      },
    ),
};

export const ccConvergence = kpi<Duration>(ccConvergenceKpi);

const sending = (rates: ReadonlyMap<string, number>): number => [...rates.values()].filter(rate => rate > 0).length;

function isFair({ rates }: FlowWindow, flows: number): boolean {
  const share = [...rates.values()].reduce((sum, rate) => sum + rate, 0) / flows;
  return (
    rates.size === flows && share > 0 && [...rates.values()].every(rate => Math.abs(rate - share) <= TOLERANCE * share)
  );
}
