import type { Duration } from '../model/units.ts';
import { expectedRounds } from './busbw.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import { timeUncertaintyNs } from './uncertainty.ts';

/**
 * Job completion time: how long one round took on all ranks, ns, one sample per round.
 *
 * Method: end minus beginning of each round, first rank in to last rank out (BMWG AI fabric training draft, "JCT").
 * Statistic: median. A round that never finished has no time: it is missing, and the deadline gate fails the run.
 * U: the last printed digit of nccl-tests' time column (1 us), 0 in an exact simulation.
 */
export const jctKpi: Kpi = {
  name: 'jct',
  dimension: 'duration',
  better: 'low',
  statistic: 'median',
  measure: (view, phase) =>
    measurement({ ...jctKpi, method: 'end minus beginning of each round' }, { view, phase }, seen => {
      const samples = seen.rounds.map(round => round.endNs - round.beginNs).filter(time => plausible(time) && time > 0);
      return { samples, ...expectedRounds(seen, samples.length), uncertainty: timeUncertaintyNs(view) };
    }),
};

export const jct = kpi<Duration>(jctKpi);
