import type { Outcome, RunVerdict } from '../model/verdict.ts';

/**
 * The verdict on the whole scenario: a pass of its plan is none when something beside the plan failed (a hook, the body, stopping the
 * lab). Any other verdict stays, being no better; and so does that of a testbed left dirty, whose scenario fails for that alone.
 */
export function besidePlan(
  verdict: RunVerdict,
  { outcome, errors }: { readonly outcome: Outcome; readonly errors: readonly string[] },
): RunVerdict {
  if (verdict.outcome !== 'pass' || outcome === 'pass' || verdict.cleanliness.dirty.length > 0) return verdict;
  return { ...verdict, outcome, reason: `beside the plan: ${errors[0]?.split('\n')[0] ?? outcome}` };
}
