import type { ReadJournal } from '../journal.ts';
import type { DoctorLine } from './doctor-line.ts';

/** Journals of runs that are gone. Pure. */
export function checkJournals(
  journals: readonly Pick<ReadJournal, 'header' | 'faults'>[],
  { lab, inventory }: { readonly lab: string; readonly inventory: string },
): readonly DoctorLine[] {
  if (journals.length === 0)
    return [{ subject: lab, check: 'journal', ok: true, detail: 'no run is gone that did not give the lab back' }];
  return journals.map(({ header, faults }) => {
    const open = faults.filter(({ state }) => state !== 'closed').map(({ fault, what }) => `${fault} (${what})`);
    return {
      subject: lab,
      check: 'journal',
      ok: false,
      detail: `the run of ${header.begunAt} did not give the lab back: ${open.length > 0 ? `not closed: ${open.join(', ')}` : 'no fault is open, loads may still run'}`,
      fix: `Run: farspan recover --inventory ${inventory}`,
    };
  });
}
