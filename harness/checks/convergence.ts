import type { Duration } from '../model/units.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import type { PhaseView, RunView } from './run-view.ts';
import { CLOCK_TOLERANCE } from './uncertainty.ts';

/**
 * Loss-derived convergence time, ns, one sample per probe flow.
 *
 * Method: packets lost / offered rate (RFC 6412 section 6.4, RFC 6413 equation 6) of constant-rate UDP flows over every span and
 * direction, counted over the phase. Only in a phase in which a fault began; without one there is nothing to converge from.
 * Statistic: the worst flow. U: one packet interval (loss can not be told finer) plus 100 ppm of the value (the sender's clock).
 * A flow that received more than was sent, or sent nothing, is missing.
 */
export const convergenceKpi: Kpi = {
  name: 'convergence',
  dimension: 'duration',
  better: 'low',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...convergenceKpi, method: 'packets lost / offered rate of the probe flows, RFC 6412 loss-derived' },
      { view, phase },
      seen => {
        if (seen.began.length === 0) return { samples: [], missing: `no fault began in ${phase}` };
        const usable = seen.probes.filter(
          ({ sent, received, packetsPerSecond }) =>
            plausible(received) && sent > 0 && received <= sent && packetsPerSecond > 0,
        );
        const samples = usable.map(
          ({ sent, received, packetsPerSecond }) => ((sent - received) / packetsPerSecond) * 1e9,
        );
        const intervalNs = usable.reduce((most, { packetsPerSecond }) => Math.max(most, 1e9 / packetsPerSecond), 0);
        const uncertainty = samples.length === 0 ? undefined : intervalNs + CLOCK_TOLERANCE * Math.max(...samples);
        return { samples, ...expectedFlows(view, seen, samples.length), uncertainty };
      },
    ),
};

export const convergence = kpi<Duration>(convergenceKpi);

/** One probe flow per span and direction, at least. */
export function expectedFlows(
  view: RunView,
  seen: PhaseView,
  samples: number,
): { readonly expected: number; readonly missing?: string } {
  const expected = Math.max(1, 2 * Object.keys(view.plan.topology.spans).length, seen.probes.length);
  return samples < expected
    ? { expected, missing: `${samples} of ${expected} probe flows were counted` }
    : { expected };
}
