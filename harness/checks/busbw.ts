import type { RoundLine } from '../model/record.ts';
import type { Rate } from '../model/units.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import type { PhaseView } from './run-view.ts';
import { rateUncertaintyBps } from './uncertainty.ts';

/**
 * Bus bandwidth, bit/s per rank, one sample per round.
 *
 * Method: nccl-tests' busbw of each round (doc/PERFORMANCE.md); incast is gather (what the
 * receiver gets), permutation is sendrecv (what the slowest flow gets).
 * Statistic: median over the rounds of the phase. A phase that ended at its deadline counts each unfinished round as 0 b/s:
 * that is what the job got. U: half of the last printed digit (0.04 Gb/s) where a tool prints it, 0 in an exact simulation.
 */
export const busbwKpi: Kpi = {
  name: 'busbw',
  dimension: 'rate',
  better: 'high',
  statistic: 'median',
  roofline: 'busbw',
  measure: (view, phase) =>
    measurement(
      { ...busbwKpi, method: 'nccl-tests busbw of each round; unfinished rounds count as 0 b/s' },
      { view, phase },
      seen => {
        const finished = seen.rounds.map(round => round.busbwBps).filter(plausible);
        const unfinished = Array.from({ length: unfinishedRounds(seen) }, () => 0);
        return {
          samples: [...finished, ...unfinished],
          ...expectedRounds(seen, finished.length + unfinished.length),
          uncertainty: rateUncertaintyBps(view),
        };
      },
    ),
};

export const busbw = kpi<Rate, 'roofline'>(busbwKpi);

/** Rounds that a phase asked for and that were not done when its deadline came. */
export const unfinishedRounds = ({ line }: PhaseView): number =>
  line.ended === 'deadline' && line.rounds ? Math.max(0, line.rounds.asked - line.rounds.done) : 0;

/** How many rounds there should be samples of, and why there are fewer. A time phase expects at least one, and those that a job owes which fell silent. */
export function expectedRounds(
  { line, rounds }: PhaseView,
  samples: number,
): { readonly expected?: number; readonly missing?: string } {
  const expected = line.rounds?.asked ?? Math.max(1, rounds.length + roundsOwed(rounds, line.endNs));
  if (samples >= expected) return { expected };
  return {
    expected,
    missing: line.rounds
      ? `${samples} of ${expected} rounds have a usable reading`
      : samples === 0
        ? 'no whole round lies in the phase'
        : `the phase had time for ${expected} rounds, and ${samples} of them ended in it`,
  };
}

/** A silence this many times the longest round is a job that stopped: the patience that a work phase's deadline has. */
const PATIENCE = 3;

/** Rounds that a time phase had time for after its last one, when it was silent for too long: those that a hung job owes. */
function roundsOwed(rounds: readonly RoundLine[], endNs: number): number {
  const longestNs = rounds.reduce((most, round) => Math.max(most, round.endNs - round.beginNs), 0);
  const silentNs = endNs - rounds.reduce((last, round) => Math.max(last, round.endNs), Number.NEGATIVE_INFINITY);
  return rounds.length > 0 && silentNs >= PATIENCE * longestNs && longestNs > 0 ? Math.floor(silentNs / longestNs) : 0;
}
