import type { Amount } from './amount.ts';

/**
 * `error`: at this distance it can not work, or it is not what was declared. `warning`: it works at a price that the formula names.
 * `unknown`: nobody declared it, or it could not be read. `info`: a quantity without a limit. `ok`: it was looked at and holds.
 */
export type Severity = 'error' | 'warning' | 'unknown' | 'info' | 'ok';

export interface Subject {
  readonly kind: 'span' | 'link' | 'device' | 'path';
  readonly name: string;
}

export interface Needed extends Amount {
  readonly bound: 'at least' | 'at most' | 'more than' | 'exactly';
}

/** One thing that was looked at, as data. */
export interface Finding {
  readonly subject: Subject;
  /** What was looked at: `PFC headroom`, `NCCL channels`. */
  readonly check: string;
  readonly severity: Severity;
  /** What is declared, read or computed; null when nobody said it. */
  readonly value: Amount | null;
  /** What the distance or the declaration asks for; null when there is no limit. */
  readonly needed: Needed | null;
  /** How the numbers come about, with the numbers in it. */
  readonly formula: string;
  readonly source: string;
  /** What to do; empty when there is nothing to do. */
  readonly advice: string;
}

/** A finding of a check that does not say of what: who calls it does. */
export type Judged = Omit<Finding, 'subject'>;

export const atLeast = (amount: Amount): Needed => ({ ...amount, bound: 'at least' });
export const atMost = (amount: Amount): Needed => ({ ...amount, bound: 'at most' });
export const moreThan = (amount: Amount): Needed => ({ ...amount, bound: 'more than' });
export const exactly = (amount: Amount): Needed => ({ ...amount, bound: 'exactly' });

/** Nobody declared the setting of that name, so nothing is judged; what would be needed is said all the same. */
export function undeclared(
  check: string,
  setting: string,
  { needed, formula, source }: Pick<Judged, 'needed' | 'formula' | 'source'>,
): Judged {
  return {
    check,
    severity: 'unknown',
    value: null,
    needed,
    formula,
    source,
    advice: `Declare ${setting} in the topology's settings.`,
  };
}
