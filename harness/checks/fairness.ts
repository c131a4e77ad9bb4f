import type { Share } from '../model/units.ts';
import { expectedRounds } from './busbw.ts';
import { expectedWindows, flowWindows } from './flow-windows.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import type { PhaseView } from './run-view.ts';
import { rateUncertaintyBps } from './uncertainty.ts';

/**
 * Jain's fairness index of what flows got: (sum x)^2 / (n sum x^2), from 1/n (one takes all) to 1 (all get the same).
 * Undefined when there is no flow, or when none got anything.
 *
 * @see Jain, Chiu, Hawe, "A Quantitative Measure of Fairness and Discrimination", DEC-TR-301, 1984
 */
export function jainIndex(rates: readonly number[]): number | undefined {
  const most = Math.max(...rates);
  if (!(most > 0) || !Number.isFinite(most)) return undefined;
  // Scaled by the greatest, so that squares of bit rates neither overflow nor vanish.
  const sum = rates.reduce((total, rate) => total + rate / most, 0);
  const squares = rates.reduce((total, rate) => total + (rate / most) ** 2, 0);
  return Math.min(1, sum ** 2 / (rates.length * squares));
}

/**
 * How evenly the flows share what they get, as a share: one sample per round, or per window of the flow series for a load without rounds.
 *
 * Method: Jain's index of the flows' goodputs (BMWG AI fabric training draft, "JFI"). Statistic: the median.
 * U: 4 e, where e is the relative error of one flow's rate: numerator and denominator are each off by 2 e at most.
 */
export const fairnessKpi: Kpi = {
  name: 'fairness',
  dimension: 'share',
  better: 'high',
  unseenAtFlowLevel: 'shares links fairly by its own rule',
  statistic: 'median',
  measure: (view, phase) =>
    measurement({ ...fairnessKpi, method: "Jain's index of the flows' goodputs" }, { view, phase }, seen => {
      const shares = sharesOf(seen);
      const samples = shares.map(jainIndex).filter(plausible);
      const rateU = rateUncertaintyBps(view);
      const means = shares
        .map(rates => rates.reduce((sum, rate) => sum + rate, 0) / rates.length)
        .filter(mean => mean > 0);
      const uncertainty = rateU === undefined || means.length === 0 ? undefined : (4 * rateU) / Math.min(...means);
      if (seen.rounds.length > 0 || seen.line.rounds)
        return { samples, ...expectedRounds(seen, samples.length), uncertainty };
      const expected = expectedWindows(flowWindows(seen.flows), seen.line.endNs - seen.line.beginNs);
      const missing =
        samples.length < expected
          ? { missing: `${samples.length} of ${expected} windows have the rate of every flow` }
          : {};
      return { samples, expected, ...missing, uncertainty };
    }),
};

export const fairness = kpi<Share>(fairnessKpi);

const sharesOf = (seen: PhaseView): readonly (readonly number[])[] =>
  seen.rounds.length > 0
    ? seen.rounds.flatMap(({ flowsBps }) => (flowsBps?.length && flowsBps.every(plausible) ? [flowsBps] : []))
    : flowWindows(seen.flows).map(({ rates }) => [...rates.values()]);
