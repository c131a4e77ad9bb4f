import type { Duration } from '../model/units.ts';
import { expectedRounds } from './busbw.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import { timeUncertaintyNs } from './uncertainty.ts';

/**
 * Time of an iteration in which the GPUs wait for the fabric, ns, one sample per round of a load that computes (training, pipeline).
 *
 * Method: the round's time minus the compute of the rank that computed longest. For data parallelism that is
 * max(0, T_comm - T_overlap) (methods-and-numbers section 7); for a pipeline it is the bubble and what distance adds to it.
 * Statistic: median. U: the last printed digit of a time, 0 in an exact simulation.
 */
export const exposedCommunicationKpi: Kpi = {
  name: 'exposedCommunication',
  dimension: 'duration',
  better: 'low',
  statistic: 'median',
  measure: (view, phase) =>
    measurement(
      { ...exposedCommunicationKpi, method: 'time of each round minus its longest compute' },
      { view, phase },
      seen => {
        const samples = seen.rounds
          .map(({ beginNs, endNs, computeNs = Number.NaN }) => endNs - beginNs - computeNs)
          .filter(plausible);
        return {
          samples,
          ...expectedRounds(seen, samples.length),
          ...(samples.length === 0 && { missing: `no round of ${view.plan.load.kind} says how long it computed` }),
          uncertainty: timeUncertaintyNs(view),
        };
      },
    ),
};

export const exposedCommunication = kpi<Duration>(exposedCommunicationKpi);
