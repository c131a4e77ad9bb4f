import type { Share } from '../model/units.ts';
import { expectedRounds } from './busbw.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import { timeUncertaintyNs } from './uncertainty.ts';

/**
 * How much of an iteration is compute, as a share, one sample per round of a load that computes (training, pipeline).
 *
 * Method: T_single / (T_single + exposed communication) (methods-and-numbers section 7), T_single the compute of the rank that computed
 * longest; for a pipeline it is 1 - bubble. Statistic: median. U: that of the round's time over the time.
 */
export const scalingEfficiencyKpi: Kpi = {
  name: 'scalingEfficiency',
  dimension: 'share',
  better: 'high',
  statistic: 'median',
  measure: (view, phase) =>
    measurement(
      { ...scalingEfficiencyKpi, method: 'longest compute of each round over its time' },
      { view, phase },
      seen => {
        const times = seen.rounds.map(({ beginNs, endNs }) => endNs - beginNs);
        const samples = seen.rounds
          .map(({ computeNs = Number.NaN }, i) => computeNs / (times[i] as number))
          .filter(share => plausible(share) && share <= 1);
        const timeU = timeUncertaintyNs(view);
        return {
          samples,
          ...expectedRounds(seen, samples.length),
          ...(samples.length === 0 && { missing: `no round of ${view.plan.load.kind} says how long it computed` }),
          uncertainty: timeU === undefined ? undefined : timeU / Math.min(...times),
        };
      },
    ),
};

export const scalingEfficiency = kpi<Share>(scalingEfficiencyKpi);
