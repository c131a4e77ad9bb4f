import type { Duration } from '../model/units.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import { lacksRounds, type PhaseView, type RunView } from './run-view.ts';
import { statisticOf } from './statistic.ts';
import { instantUncertaintyNs } from './uncertainty.ts';

/** A round is back when it reaches this much of what it should: the usual threshold of the field (BMWG draft: busbw 90 % of the NIC rate). */
const BACK_AT = 0.9;

/**
 * From the fault to the end of the first round that is back at its share, ns; one sample per phase in which a fault began.
 *
 * Method: the earliest injection in the phase, to the end of the first round that began at it or later and reached 90 % of the
 * median busbw of the phase before. Where the fault takes capacity away, that median is scaled by what the topology still allows
 * (roofline of this phase / roofline of the phase before), so that a fabric is not asked for bandwidth that was cut. At best it
 * is one round's time. A job that did not come back has no sample, but takes longer than what was seen of it: a limit below that fails.
 * U: the printed round times, 100 ppm of the value and, between real devices' clocks, 10 ms; 0 in an exact simulation.
 */
export const jobRecoveryKpi: Kpi = {
  name: 'jobRecovery',
  dimension: 'duration',
  better: 'low',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...jobRecoveryKpi, method: `fault to the end of the first round back at ${100 * BACK_AT} % of its share` },
      { view, phase },
      seen => {
        const faultNs = seen.began[0]?.injectedNs;
        if (faultNs === undefined) return { samples: [], missing: `no fault began in ${phase}` };
        const baseline = baselineBps(view, seen);
        if (typeof baseline !== 'number') return { samples: [], expected: 1, missing: baseline.missing };
        if (lacksRounds(seen))
          return { samples: [], expected: 1, missing: `rounds of ${phase} are missing from the record` };
        const back = seen.rounds.find(round => round.beginNs >= faultNs && round.busbwBps >= BACK_AT * baseline);
        if (!back) {
          const exceeds = seen.line.endNs - faultNs;
          return {
            samples: [],
            expected: 1,
            missing: `no round of ${phase} was back at its share`,
            ...(plausible(exceeds) && { exceeds, uncertainty: instantUncertaintyNs(view, exceeds) }),
          };
        }
        const value = back.endNs - faultNs;
        return { samples: [value], expected: 1, uncertainty: instantUncertaintyNs(view, value) };
      },
    ),
};

export const jobRecovery = kpi<Duration>(jobRecoveryKpi);

/** What a round should reach while the faults of this phase are true, bit/s. */
function baselineBps(view: RunView, { line, before }: PhaseView): number | { readonly missing: string } {
  if (!before) return { missing: 'no phase before the fault shows what the job reached without it' };
  if (lacksRounds(before)) return { missing: `rounds of ${before.line.name} are missing from the record` };
  const median = statisticOf(before.rounds.map(round => round.busbwBps).filter(plausible), 'median', 'high');
  if (median === undefined) return { missing: `${before.line.name} has no rounds to compare with` };
  const [was, is] = [view.busbwRoofline(before.line.name), view.busbwRoofline(line.name)];
  // Where a fault leaves no path for a while (a rebooting leaf), the job is back when it is back at what it reached before.
  return median * (was !== undefined && is !== undefined ? Math.min(1, is / was) : 1);
}
