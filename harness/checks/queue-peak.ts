import type { Size } from '../model/units.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';

/** A watermark counts whole buffer cells. Cells of current ASICs are 64 B to 256 B; half a kilobyte covers them all. Our choice. */
const CELL_BYTES = 512;

/**
 * Peak of a port's lossless queue within the phase, B, one sample per port.
 *
 * Method: the highest watermark of all readings after the first of the phase; each reading holds the peak since the one before,
 * so the first belongs to what was before. Statistic: the worst port. U: one buffer cell (512 B); 0 in `sim`.
 */
export const queuePeakKpi: Kpi = {
  name: 'queuePeak',
  dimension: 'size',
  better: 'low',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...queuePeakKpi, method: 'highest watermark of the lossless queue, per port' },
      { view, phase },
      seen => {
        const marks = new Map<string, (number | null)[]>();
        for (const { node, ports } of seen.counters) {
          for (const [port, { queuePeakBytes }] of Object.entries(ports)) {
            if (queuePeakBytes === undefined) continue;
            const key = `${node} ${port}`;
            marks.set(key, [...(marks.get(key) ?? []), queuePeakBytes]);
          }
        }
        // A watermark that could not be read may have held the peak: its port is missing.
        const complete = [...marks.values()]
          .map(([, ...peaks]) => peaks)
          .filter(peaks => peaks.length > 0 && peaks.every(plausible));
        const samples = complete.map(peaks => Math.max(...(peaks as number[])));
        const expected = Math.max(1, marks.size);
        const missing =
          samples.length < expected
            ? { missing: `queue watermarks of ${marks.size - samples.length} of ${marks.size} ports` }
            : {};
        return { samples, expected, ...missing, uncertainty: view.reading === 'exact' ? 0 : CELL_BYTES };
      },
    ),
};

export const queuePeak = kpi<Size>(queuePeakKpi);
