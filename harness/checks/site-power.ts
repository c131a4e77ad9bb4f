import type { Power } from '../model/units.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';
import { phasePower } from './phase-power.ts';

/**
 * Power that a site draws, W, one sample per site and window of the plan's power model; compare `worst` with the site's cap.
 *
 * Method: sum over the site's ranks of what each draws in its state, averaged over the window (`site-power-series.ts`): a model, no meter.
 * Statistic: the worst, which is the peak. U: not known, as it is that of the model's parameters.
 */
export const sitePowerKpi: Kpi = {
  name: 'sitePower',
  dimension: 'power',
  better: 'low',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...sitePowerKpi, method: "sum over a site's ranks of the model's power, per window" },
      { view, phase },
      seen => {
        const power = phasePower(view, seen);
        if ('missing' in power) return { samples: [], missing: power.missing };
        const samples = power.sites.flatMap(({ watts }) => watts);
        return { samples, ...(samples.length === 0 && { missing: `${phase} is shorter than a window of the meter` }) };
      },
    ),
};

export const sitePower = kpi<Power>(sitePowerKpi);
