import { openJournals, type ReadJournal } from './journal.ts';
import { holds, type LeaseStore } from './lease-store.ts';
import { lives } from './this-process.ts';

/** An earlier run left the lab with faults that nobody has seen healed. Nothing is run there before it was recovered. */
export class LabDirty extends Error {
  override readonly name = 'LabDirty';
}

/** Journals of these devices that no living lease writes. */
export async function deadJournals(
  state: string,
  keys: readonly string[],
  store: Pick<LeaseStore, 'list'>,
): Promise<readonly ReadJournal[]> {
  const journals = openJournals(state);
  if (journals.length === 0) return [];
  const living = new Set((await store.list()).filter(holds).map(({ id }) => id));
  return journals.flatMap(journal => {
    if ('unreadable' in journal)
      throw new LabDirty(
        `${journal.unreadable}\n  Whose it was is not known, so no lab is run. See what is on the devices with farspan doctor, then move the file away.`,
      );
    // A lease that a person holds outlives the run that used it.
    if (living.has(journal.header.lease) && lives(journal.header.process) !== false) return [];
    return Object.values(journal.header.devices).some(key => keys.includes(key)) ? [journal] : [];
  });
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
  const { header, faults } = first;
  const left = faults.filter(({ state }) => state !== 'closed').map(({ fault, what }) => `${fault} (${what})`);
  throw new LabDirty(
    `${header.lab} was not given back by the run of ${header.begunAt}: ${left.length > 0 ? `not closed: ${left.join(', ')}` : 'no fault is open, but loads may still run'}.\n` +
      `  Nothing was sent. Run: farspan recover --inventory ${options.inventory}`,
  );
}
