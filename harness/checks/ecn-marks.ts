import type { Share } from '../model/units.ts';
import { counterGrowth, missingWords } from './counter-growth.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';
import { readUncertainty } from './uncertainty.ts';

/**
 * Share of the packets leaving a port's lossless queue that were marked CE, one sample per port that sent any.
 *
 * Method: growth of marked / growth of sent (BMWG AI fabric training draft, "ECN marking ratio"). Statistic: the worst port, the most
 * marked one; so `atLeast` asks that some port marks at all. U: 0, counters count; not known in
 * `sim` with packet trains, which mark bursts more often.
 */
export const ecnMarksKpi: Kpi = {
  name: 'ecnMarks',
  dimension: 'share',
  better: 'low',
  fromCounters: true,
  unseenAtFlowLevel: 'has no queues, and so no marks',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...ecnMarksKpi, method: 'packets marked CE / packets sent by the lossless queue, per port' },
      { view, phase },
      seen => {
        const growth = counterGrowth(seen, ['ecnMarked', 'queuePackets']);
        const idle = growth.ports.filter(({ grew }) => grew.queuePackets === 0).length;
        const samples = growth.ports.flatMap(({ grew }) =>
          grew.queuePackets ? [(grew.ecnMarked ?? Number.NaN) / grew.queuePackets] : [],
        );
        const allIdle =
          samples.length === 0 && idle > 0 ? { missing: 'no port sent a packet from its lossless queue' } : {};
        return {
          samples,
          expected: Math.max(1, growth.expected - idle),
          ...allIdle,
          ...missingWords(growth, 'ECN marks'),
          uncertainty: readUncertainty(view, 0),
        };
      },
    ),
};

export const ecnMarks = kpi<Share>(ecnMarksKpi);
