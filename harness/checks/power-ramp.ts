import type { PowerRamp } from '../model/units.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';
import { phasePower } from './phase-power.ts';
import { steepest } from './site-power-series.ts';

/**
 * Steepest change of a site's power, W/s, up or down, one sample per site.
 *
 * Method: greatest difference between neighbouring windows of the plan's power model over the window's length; the window belongs to the
 * figure, as half the window doubles the ramp of a step. Statistic: worst. U: not known, as for `sitePower`.
 */
export const powerRampKpi: Kpi = {
  name: 'powerRamp',
  dimension: 'power-ramp',
  better: 'low',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement({ ...powerRampKpi, method: 'greatest |dP/dt| between neighbouring windows' }, { view, phase }, seen => {
      const power = phasePower(view, seen);
      if ('missing' in power) return { samples: [], missing: power.missing };
      const samples = power.sites.map(steepest).filter(ramp => ramp !== undefined);
      return {
        samples,
        expected: power.sites.length,
        ...(samples.length < power.sites.length && { missing: `${phase} is shorter than two windows of the meter` }),
      };
    }),
};

export const powerRamp = kpi<PowerRamp>(powerRampKpi);
