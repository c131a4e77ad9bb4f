import type { Rate } from '../model/units.ts';
import { expectedWindows, flowWindows } from './flow-windows.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';
import { rateUncertaintyBps } from './uncertainty.ts';

/**
 * Payload that all flows of the load deliver together, bit/s, one sample per window of the flow series.
 *
 * Method: sum over the flows of bytes delivered in the window / its length. Statistic: median over the windows of the phase.
 * U: that of one flow's rate times the number of flows.
 */
export const goodputKpi: Kpi = {
  name: 'goodput',
  dimension: 'rate',
  better: 'high',
  statistic: 'median',
  roofline: 'goodput',
  measure: (view, phase) =>
    measurement({ ...goodputKpi, method: 'sum of what all flows delivered, per window' }, { view, phase }, seen => {
      const windows = flowWindows(seen.flows);
      const samples = windows.map(({ rates }) => [...rates.values()].reduce((sum, rate) => sum + rate, 0));
      const each = rateUncertaintyBps(view);
      const flows = windows.reduce((most, { rates }) => Math.max(most, rates.size), 0);
      const expected = expectedWindows(windows, seen.line.endNs - seen.line.beginNs);
      return {
        samples,
        expected,
        ...(samples.length < expected && {
          missing: `${samples.length} of ${expected} windows have the rate of every flow`,
        }),
        uncertainty: each === undefined ? undefined : each * flows,
      };
    }),
};

export const goodput = kpi<Rate, 'roofline'>(goodputKpi);
