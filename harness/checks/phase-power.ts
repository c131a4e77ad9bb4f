import { H200_POWER } from '../model/power.ts';
import type { PhaseView, RunView } from './run-view.ts';
import { type SitePower, sitePowers } from './site-power-series.ts';

/** Power of every site over the rounds of a phase, or why it is not known. */
export function phasePower(
  view: RunView,
  { line, rounds }: PhaseView,
): { readonly sites: readonly SitePower[] } | { readonly missing: string } {
  if (rounds.length === 0) return { missing: `no round of ${line.name} says who computed when` };
  if (rounds.some(({ rankComputeNs }) => rankComputeNs === undefined))
    return { missing: `${view.plan.load.kind} does not say how long each rank computed` };
  // What happens after the last round that ended is not in the record.
  const endNs = rounds.reduce((last, round) => Math.max(last, round.endNs), 0);
  const beginNs = rounds.reduce((first, round) => Math.min(first, round.beginNs), Number.POSITIVE_INFINITY);
  const { topology, power = H200_POWER } = view.plan;
  return { sites: sitePowers(rounds, { topology, model: power, beginNs, endNs }) };
}
