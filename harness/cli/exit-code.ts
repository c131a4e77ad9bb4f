import type { Trouble } from '../playwright/annotations.ts';
import type { Outcome } from '../model/verdict.ts';

/** Exit codes of every command; design section 6. */
export const EXIT = {
  pass: 0,
  fail: 1,
  /** Inconclusive, invalid, or nothing was judged. */
  undecided: 2,
  error: 3,
  dirty: 4,
  usage: 5,
  lease: 6,
  evidence: 7,
  interrupted: 130,
} as const;

export interface Ended {
  readonly outcome: Outcome;
  readonly dirty: boolean;
  readonly trouble?: Trouble;
}

/**
 * One code for everything that was run. A dirty testbed always wins; then an interruption; then trouble, gravest first
 * (evidence, lease, lab, usage); then the worst verdict. Scenarios that were not run change nothing, unless no other was judged.
 */
export function exitCode(ended: readonly Ended[], { interrupted }: { readonly interrupted: boolean }): number {
  if (ended.some(({ dirty, trouble }) => dirty || trouble === 'dirty')) return EXIT.dirty;
  if (interrupted) return EXIT.interrupted;
  const broken = ended.filter(({ outcome }) => outcome === 'error').map(({ trouble = 'lab' }) => trouble);
  if (broken.includes('evidence')) return EXIT.evidence;
  if (broken.includes('lease')) return EXIT.lease;
  if (broken.includes('lab')) return EXIT.error;
  if (broken.includes('usage')) return EXIT.usage;
  const outcomes = new Set(ended.map(({ outcome }) => outcome));
  if (outcomes.has('fail')) return EXIT.fail;
  if (outcomes.has('invalid') || outcomes.has('inconclusive')) return EXIT.undecided;
  return outcomes.has('pass') ? EXIT.pass : EXIT.undecided;
}
