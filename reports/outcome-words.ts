import { OUTCOMES, worse } from '../harness/model/verdict.ts';
import type { CheckVerdict, Outcome } from '../harness/model/verdict.ts';
import type { FinishedRun } from './finished-run.ts';

/** A sign beside the word, so that nothing depends on colour. */
export const SIGN: Readonly<Record<Outcome, string>> = {
  pass: '✓',
  'not run': '–',
  inconclusive: '?',
  invalid: '⊘',
  fail: '✗',
  error: '!',
};

/** What an outcome means, in one sentence for someone who meets it the first time. */
export const MEANING: Readonly<Record<Outcome, string>> = {
  pass: 'Every limit that decides is met, and the evidence is good enough to say so.',
  'not run': 'Nothing was judged. This world or lab can not do what the scenario asks.',
  inconclusive:
    'The evidence does not decide: samples are missing, or a value is closer to its limit than its uncertainty.',
  invalid: 'A condition of the test itself did not hold, so the numbers say nothing about the product.',
  fail: 'The product missed at least one limit that decides.',
  error: 'The harness or the lab broke. This says nothing about the product.',
};

/** Whether a check takes part in the verdict. Optional and informative limits are only reported. */
export const decides = ({ kind }: Pick<CheckVerdict, 'kind'>): boolean =>
  kind === 'mandatory' || kind === 'conditional';

/** `1 fail · 2 pass`: how many runs came out how, worst first, all others left out. */
export function tally(outcomes: readonly Outcome[]): string {
  return OUTCOMES.toReversed()
    .map(outcome => ({ outcome, count: outcomes.filter(one => one === outcome).length }))
    .filter(({ count }) => count > 0)
    .map(({ outcome, count }) => `${count} ${outcome}`)
    .join(' · ');
}

/**
 * The worst outcome of all that were played. What was not run is told beside it and changes nothing, unless nothing was played: that is
 * not a pass.
 */
export function worstOf(runs: readonly FinishedRun[]): Outcome {
  const played = runs.map(({ verdict }) => verdict.outcome).filter(outcome => outcome !== 'not run');
  return played.length === 0 ? 'not run' : played.reduce<Outcome>(worse, 'pass');
}
