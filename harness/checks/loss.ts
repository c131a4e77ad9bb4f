import type { Count } from '../model/units.ts';
import { counterGrowth, missingWords } from './counter-growth.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';
import { readUncertainty } from './uncertainty.ts';

/**
 * Packets dropped by the fabric over the phase: the total of all ports' drop counters, all priorities, probes included.
 * (Frames that vanish in a cut fibre are counted by nobody's port; `probeLoss` sees them.)
 *
 * Method: last minus first reading of each port in the phase, one sample per port. Counters that stood still everywhere while rounds
 * finished were not read afresh (an agent that caches): they tell nothing. Statistic: total. U: 0, counters
 * count; not known in `sim` with packet trains.
 */
export const lossKpi: Kpi = {
  name: 'loss',
  dimension: 'count',
  better: 'low',
  fromCounters: true,
  unseenAtFlowLevel: 'has no queues that could overflow',
  statistic: 'total',
  measure: (view, phase) =>
    measurement({ ...lossKpi, method: 'growth of the drop counter of every port' }, { view, phase }, seen => {
      const sent = counterGrowth(seen, ['txPackets']).ports;
      if (seen.rounds.length > 0 && sent.length > 0 && sent.every(({ grew }) => grew.txPackets === 0)) {
        const missing = `no port counted a packet while ${seen.rounds.length} rounds finished`;
        return { samples: [], expected: sent.length, missing };
      }
      const growth = counterGrowth(seen, ['drops']);
      const samples = growth.ports.map(({ grew }) => grew.drops ?? Number.NaN);
      return {
        samples,
        expected: Math.max(1, growth.expected),
        ...missingWords(growth, 'drops'),
        uncertainty: readUncertainty(view, 0),
      };
    }),
};

export const loss = kpi<Count>(lossKpi);
