import { LabDirty } from '../binding/binding.ts';
import { openJournals, type ReadJournal } from './journal.ts';
import { holds, type LeaseStore } from './lease-store.ts';
import { lives } from './this-process.ts';

/** A journal of which not even the header can be read. */
export interface UnreadableJournal {
  readonly file: string;
  readonly unreadable: string;
}

/** Journals of these devices that no living lease writes, and those that can not be read. */
export async function leftJournals(
  state: string,
  keys: readonly string[],
  store: Pick<LeaseStore, 'list'>,
): Promise<{ readonly dead: readonly ReadJournal[]; readonly unreadable: readonly UnreadableJournal[] }> {
  const journals = openJournals(state);
  if (journals.length === 0) return { dead: [], unreadable: [] };
  const living = new Set((await store.list()).filter(holds).map(({ id }) => id));
  const dead: ReadJournal[] = [];
  const unreadable: UnreadableJournal[] = [];
  for (const journal of journals) {
    if ('unreadable' in journal) unreadable.push(journal);
    // A lease that a person holds outlives the run that used it.
    else if (living.has(journal.header.lease) && lives(journal.header.process) !== false) continue;
    else if (Object.values(journal.header.devices).some(key => keys.includes(key))) dead.push(journal);
  }
  return { dead, unreadable };
}

/** As `leftJournals`. @throws LabDirty when there is one that can not be read */
export async function deadJournals(
  state: string,
  keys: readonly string[],
  store: Pick<LeaseStore, 'list'>,
): Promise<readonly ReadJournal[]> {
  const { dead, unreadable } = await leftJournals(state, keys, store);
  const [first] = unreadable;
  if (first)
    throw new LabDirty(
      `${first.unreadable}\n  Whose it was is not known, so no lab is run. farspan recover undoes what lies on the devices of its lab and closes it.`,
    );
  return dead;
}

/** @throws LabDirty when a run that is gone left its journal open for one of these devices */
export async function refuseDirtyLab(options: {
  readonly state: string;
  readonly keys: readonly string[];
  readonly store: Pick<LeaseStore, 'list'>;
  readonly inventory: string;
}): Promise<void> {
  const [first] = await deadJournals(options.state, options.keys, options.store);
  if (!first) return;
  const { header, faults, damaged } = first;
  const left = faults.filter(({ state }) => state !== 'closed').map(({ fault, what }) => `${fault} (${what})`);
  throw new LabDirty(
    `${header.lab} was not given back by the run of ${header.begunAt}: ${left.length > 0 ? `not closed: ${left.join(', ')}` : 'no fault is open, but loads may still run'}${damaged === undefined ? '' : ` (the journal is damaged: ${damaged})`}.\n` +
      `  Nothing was sent. Run: farspan recover --inventory ${options.inventory}`,
  );
}
