import type { Share } from '../model/units.ts';
import { counterGrowth, missingWords } from './counter-growth.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';
import { readUncertainty } from './uncertainty.ts';

/** SONiC counts pause time in us (SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US), as NICs do: two readings are off by one each at most. */
const PAUSE_RESOLUTION_NS = 2e3;

/**
 * Share of the phase in which a port's lossless priority was paused by its far end, one sample per port.
 *
 * Method: growth of the pause time / time between the two readings. Statistic: the worst port. U: 2 us of that time; in `sim` 0, or not
 * known with packet trains.
 */
export const pfcPauseKpi: Kpi = {
  name: 'pfcPause',
  dimension: 'share',
  better: 'low',
  fromCounters: true,
  unseenAtFlowLevel: 'has no queues, and so no pauses',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...pfcPauseKpi, method: 'growth of the pause time / time between the readings, per port' },
      { view, phase },
      seen => {
        const growth = counterGrowth(seen, ['pausedNs']);
        const usable = growth.ports.filter(({ windowNs }) => windowNs > 0);
        const samples = usable.map(({ grew, windowNs }) => (grew.pausedNs ?? Number.NaN) / windowNs);
        const shortestNs = usable.reduce((least, { windowNs }) => Math.min(least, windowNs), Number.POSITIVE_INFINITY);
        return {
          samples,
          expected: Math.max(1, growth.expected),
          ...missingWords(growth, 'PFC pause time'),
          uncertainty: readUncertainty(view, PAUSE_RESOLUTION_NS / shortestNs),
        };
      },
    ),
};

export const pfcPause = kpi<Share>(pfcPauseKpi);
