import type { PortCounters } from '../model/record.ts';
import type { Size } from '../model/units.ts';
import { portsBefore, readingsByPort, uncovered } from './counter-growth.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import { readUncertainty } from './uncertainty.ts';

/** A watermark counts whole buffer cells. Cells of current ASICs are 64 B to 256 B; half a kilobyte covers them all. Our choice. */
const CELL_BYTES = 512;

/** What one port's readings of a phase say of its peak. */
interface Peak {
  /** A reading failed, or there was none: it may have held the peak. */
  readonly unread: boolean;
  /** The highest peak that was read, B. */
  readonly read: number;
  /** The peak is not above this, B. */
  readonly atMost: number;
}

function peakOf(readings: readonly PortCounters[]): Peak {
  const values = readings.map(({ queuePeakBytes, queuePeakAtMostBytes }) => queuePeakBytes ?? queuePeakAtMostBytes);
  const read = readings.flatMap(({ queuePeakBytes }) => (plausible(queuePeakBytes) ? [queuePeakBytes] : []));
  return {
    unread: values.length === 0 || !values.every(plausible),
    read: Math.max(0, ...read),
    atMost: Math.max(0, ...values.filter(plausible)),
  };
}

/**
 * Peak of a port's lossless queue within the phase, B, one sample per port.
 *
 * Method: the highest watermark of all readings after the first of the phase; each reading holds the peak since the one before,
 * so the first belongs to what was before. Statistic: the worst port. U: one buffer cell (512 B); in `sim` 0, or not
 * known with packet trains.
 *
 * A watermark that nobody cleared and that did not rise in the phase bounds the peak and does not tell it: that port has no sample.
 * When every port that lacks one has such a bound, the highest of them is the measurement's `atMost`: a limit that holds for every
 * peak from 0 to it is met, one that holds for none is missed, any other is inconclusive. So an old peak never fails a later phase.
 */
export const queuePeakKpi: Kpi = {
  name: 'queuePeak',
  dimension: 'size',
  better: 'low',
  fromCounters: true,
  unseenAtFlowLevel: 'has no queues',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...queuePeakKpi, method: 'highest watermark of the lossless queue, per port' },
      { view, phase },
      seen => {
        const marks = new Map(
          [...readingsByPort(seen)].flatMap(([port, series]) => {
            const marked = series.filter(
              ({ counters }) => counters.queuePeakBytes !== undefined || counters.queuePeakAtMostBytes !== undefined,
            );
            return marked.length > 0 ? [[port, marked] as const] : [];
          }),
        );
        const peaks = [...marks.values()].map(series => {
          const [first, ...readings] = series;
          const peak = peakOf(readings.map(({ counters }) => counters));
          const out = uncovered(seen, first?.atNs ?? 0, series.at(-1)?.atNs ?? 0);
          return out === undefined ? peak : { ...peak, unread: true };
        });
        const before = [...portsBefore(seen, ['queuePeakAtMostBytes']), ...portsBefore(seen, ['queuePeakBytes'])];
        const silent = new Set(before.filter(port => !marks.has(port))).size;
        const unread = peaks.filter(peak => peak.unread).length + silent;
        const ports = marks.size + silent;
        const known = peaks.filter(peak => !peak.unread);
        const bounded = known.filter(({ read, atMost }) => atMost > read);
        const samples = known.filter(({ read, atMost }) => atMost <= read).map(({ read }) => read);
        const expected = Math.max(1, ports);
        const why = [
          ...(unread > 0 || marks.size === 0 ? [`queue watermarks of ${unread} of ${ports} ports`] : []),
          ...(bounded.length > 0
            ? [`the watermarks of ${bounded.length} of ${ports} ports did not rise, so they may be of before`]
            : []),
        ];
        return {
          samples,
          expected,
          ...(why.length > 0 && { missing: why.join('; ') }),
          ...(bounded.length > 0 && unread === 0 && { atMost: Math.max(...bounded.map(({ atMost }) => atMost)) }),
          uncertainty: readUncertainty(view, CELL_BYTES),
        };
      },
    ),
};

export const queuePeak = kpi<Size>(queuePeakKpi);
