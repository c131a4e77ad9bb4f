import type { Share } from '../model/units.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';
import { phasePower } from './phase-power.ts';
import { bandShare } from './site-power-series.ts';

/** Where training swings meet the grid's own modes (Choukse et al., arXiv 2508.14318: 0.1 to 20 Hz, of which grids may allow a fifth). */
const BAND = { lowHz: 0.1, highHz: 20 } as const;

/**
 * Share of a site's power swing that lies between 0.1 and 20 Hz, one sample per site. Needs 10 s of rounds and a window of 25 ms or less.
 *
 * Method: discrete Fourier transform of the power in windows, energy of the band over all energy but the mean's. Statistic: worst. U: not known.
 */
export const powerBandKpi: Kpi = {
  name: 'powerBand',
  dimension: 'share',
  better: 'low',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...powerBandKpi, method: `swing between ${BAND.lowHz} and ${BAND.highHz} Hz over all swing` },
      { view, phase },
      seen => {
        const power = phasePower(view, seen);
        if ('missing' in power) return { samples: [], missing: power.missing };
        const samples = power.sites.map(site => bandShare(site, BAND)).filter(share => share !== undefined);
        return {
          samples,
          expected: power.sites.length,
          ...(samples.length < power.sites.length && {
            missing: `no spectrum: ${phase} has no swing, less than ${1 / BAND.lowHz} s of rounds, or windows too long for ${BAND.highHz} Hz`,
          }),
        };
      },
    ),
};

export const powerBand = kpi<Share>(powerBandKpi);
