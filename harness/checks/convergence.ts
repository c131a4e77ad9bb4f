import type { ProbeLine } from '../model/record.ts';
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
 * Statistic: the worst flow. U: one packet interval (loss can not be told finer), the packets left undecided at the end, and 100 ppm of
 * the value (the sender's clock). A flow that received more than was sent, or sent nothing, is missing. One that lost everything from
 * the fault to the end of the phase has not converged: no sample, but it takes longer than what was seen.
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
        const usable = seen.probes.filter(isOffered);
        const faultNs = Math.min(...seen.began.map(({ injectedNs }) => injectedNs));
        const lasting = usable.filter(probe => outageNs(probe, 'at most') >= STILL_OUT * (probe.endNs - faultNs));
        const samples = usable.filter(probe => !lasting.includes(probe)).map(probe => outageNs(probe, 'at least'));
        const granularityNs = usable.map(
          ({ undecided = 0, packetsPerSecond }) => ((1 + undecided) / packetsPerSecond) * 1e9,
        );
        const uncertaintyOf = (values: readonly number[]): number | undefined =>
          values.length === 0 ? undefined : Math.max(...granularityNs) + CLOCK_TOLERANCE * Math.max(...values);
        if (lasting.length > 0) {
          const flows = lasting.map(({ span, direction }) => `${span} ${direction}`).join(', ');
          // What was left undecided may have come through: only what is known to be lost counts.
          const exceeds = Math.max(...lasting.map(probe => outageNs(probe, 'at least')));
          return {
            samples,
            expected: samples.length + lasting.length,
            missing: `nothing came through at the end of ${phase}: ${flows}`,
            exceeds,
            uncertainty: uncertaintyOf([...samples, exceeds]),
          };
        }
        return { samples, ...expectedFlows(view, seen, samples.length), uncertainty: uncertaintyOf(samples) };
      },
    ),
};

export const convergence = kpi<Duration>(convergenceKpi);

/** An outage as long as this share of the time since the fault has not ended: what was in the fibre at the fault is lost besides. */
const STILL_OUT = 0.98;

function outageNs(
  { sent, received, undecided = 0, packetsPerSecond }: ProbeLine,
  bound: 'at least' | 'at most',
): number {
  return ((sent - received + (bound === 'at most' ? undecided : 0)) / packetsPerSecond) * 1e9;
}

/** A flow is offered when this much of its plan was sent: what was never sent could not be lost. As the load gate asks. */
const OFFERED = 0.95;

/** Whether what a probe flow lost tells anything: it was sent as planned, and no more came than was sent. */
export function isOffered(probe: ProbeLine): boolean {
  const { sent, received, undecided = 0, packetsPerSecond, beginNs, endNs } = probe;
  return (
    plausible(received) &&
    sent > 0 &&
    received <= sent &&
    packetsPerSecond > 0 &&
    sent + undecided >= OFFERED * packetsPerSecond * ((endNs - beginNs) / 1e9) - 1
  );
}

/** One probe flow per span and direction, at least. */
export function expectedFlows(
  view: RunView,
  seen: PhaseView,
  samples: number,
): { readonly expected: number; readonly missing?: string } {
  const flows = new Set(seen.probes.map(({ span, direction }) => `${span} ${direction}`)).size;
  // A second flow over one span and direction does not stand in for one over another.
  const twice = seen.probes.length - flows;
  const expected = Math.max(1, 2 * Object.keys(view.plan.topology.spans).length + twice, seen.probes.length);
  return samples < expected
    ? { expected, missing: `${samples} of ${expected} probe flows were counted` }
    : { expected };
}
