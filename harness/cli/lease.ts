import { fileLeaseStore } from '../lab/file-lease-store.ts';
import { leaseOwner } from '../lab/lease-owner.ts';
import { releaseByHand, takeByHand } from '../lab/lease-by-hand.ts';
import { holds, type LeaseStore, type StoredLease } from '../lab/lease-store.ts';
import { stateFolder } from '../lab/state-folder.ts';
import { type Duration, magnitude } from '../model/units.ts';
import { EXIT } from './exit-code.ts';
import { inventoryAt } from './inventory-at.ts';
import { say } from './say.ts';
import { UsageError } from './usage-error.ts';

/** Longest that a person may hold a lab without asking again. */
const LONGEST_S = 7 * 24 * 3600;

async function withStore<T>(use: (store: LeaseStore, state: string) => Promise<T>): Promise<T> {
  const state = stateFolder(undefined, process.env);
  const store = fileLeaseStore({ folder: state });
  try {
    return await use(store, state);
  } finally {
    store.close();
  }
}

async function named(store: LeaseStore, id: string): Promise<StoredLease> {
  const leases = await store.list();
  const found = leases.filter(lease => lease.id.startsWith(id));
  const [one] = found;
  if (one && found.length === 1) return one;
  throw new UsageError(
    `${found.length > 1 ? 'several leases begin with' : 'there is no lease'} "${id}". List them with: npx farspan lease list`,
  );
}

const lineOf = (lease: StoredLease): string => {
  const state = !holds(lease)
    ? lease.alive === false
      ? 'its process is gone'
      : 'ended'
    : `${Math.ceil(lease.leftS)} s left without renewal`;
  return `  ${lease.id}  ${lease.lab}  ${lease.owner}  since ${lease.takenAt}  ${state}\n      ${lease.reason}; ${lease.devices.length} devices; ${lease.inventory}`;
};

/** Commands about who holds which lab. Each resolves with the exit code. */
export const lease = {
  list: (): Promise<number> =>
    withStore(async store => {
      const leases = await store.list();
      say(leases.length === 0 ? 'No lab is held.' : `${leases.length} ${leases.length === 1 ? 'lease' : 'leases'}`);
      for (const one of leases) say(lineOf(one));
      return EXIT.pass;
    }),

  take: (options: { readonly inventory: string; readonly reason: string; readonly for: Duration }): Promise<number> =>
    withStore(async (store, state) => {
      const forS = Math.round(magnitude(options.for) / 1e9);
      if (!(forS >= 60 && forS <= LONGEST_S)) throw new UsageError('a lease lasts from "1 min" to "168 h".');
      const inventory = inventoryAt(options.inventory);
      const taken = await takeByHand({
        inventory,
        store,
        state,
        env: process.env,
        owner: leaseOwner(),
        reason: options.reason,
        forS,
      });
      say(`${inventory.name} is yours for ${options.for}: lease ${taken.id}, ${taken.devices.length} devices.`);
      say(`  run under it     npx farspan run --world lab --inventory ${options.inventory} --option lease=${taken.id}`);
      say(`  give it back     npx farspan lease release ${taken.id}`);
      return EXIT.pass;
    }),

  release: (id: string): Promise<number> =>
    withStore(async (store, state) => {
      const one = await named(store, id);
      if (one.alive === true)
        throw new UsageError(
          `${one.lab} is held by a run that goes on (${one.owner}); end the run, it gives the lease back.`,
        );
      const words = await releaseByHand({
        inventory: inventoryAt(one.inventory),
        store,
        state,
        env: process.env,
        lease: one,
      });
      for (const line of words) say(`  ! ${line}`);
      say(
        words.length === 0
          ? `${one.lab} was given back.`
          : `${one.lab} was given back in the store; see farspan doctor.`,
      );
      return words.length === 0 ? EXIT.pass : EXIT.dirty;
    }),

  break: (id: string, { yes }: { readonly yes: boolean }): Promise<number> =>
    withStore(async store => {
      const one = await named(store, id);
      if (!yes) {
        say(lineOf(one));
        throw new UsageError(
          'its holder will have no effect on the lab from then on, and its faults must be recovered. Give --yes if you mean it.',
        );
      }
      await store.break(one.id);
      say(
        `The lease of ${one.owner} on ${one.lab} is broken. What it left is undone with: npx farspan recover --inventory ${one.inventory}`,
      );
      return EXIT.pass;
    }),
};
