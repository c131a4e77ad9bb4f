import type { Cleanliness } from '../harness/model/verdict.ts';

export const isDirty = ({ dirty }: Cleanliness): boolean => dirty.length > 0;

/** Sum over several runs. */
export function sumOf(all: readonly Cleanliness[]): Cleanliness {
  const total = (count: (one: Cleanliness) => number) => all.reduce((sum, one) => sum + count(one), 0);
  return {
    injected: total(one => one.injected),
    healed: total(one => one.healed),
    verified: total(one => one.verified),
    dirty: all.flatMap(one => one.dirty),
  };
}

/** `CLEAN — 23 injected, 23 healed, 23 verified by read-back`. */
export const cleanlinessText = (lab: Cleanliness): string =>
  lab.injected === 0 && !isDirty(lab)
    ? 'CLEAN — no fault was injected'
    : `${isDirty(lab) ? 'DIRTY' : 'CLEAN'} — ${lab.injected} injected, ${lab.healed} healed, ${lab.verified} verified by read-back`;
