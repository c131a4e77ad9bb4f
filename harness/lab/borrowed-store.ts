import type { ReadJournal } from './journal.ts';
import { type Lease, LeaseRefused, type LeaseStore } from './lease-store.ts';
import { lives } from './this-process.ts';

/**
 * Stands in for a lease store whose disk takes nothing, for a recovery only: it gives the lease of a run that is gone, as the run's
 * journal has it. Its token lies on the devices already, and a store that can not be written gives nobody a newer one.
 *
 * @returns undefined when there is no such run, or one of them may be alive
 */
export function borrowedStore(journals: readonly ReadJournal[]): LeaseStore | undefined {
  const headers = journals.map(({ header }) => header).toSorted((a, b) => b.token - a.token);
  const [latest] = headers;
  if (!latest || headers.some(({ process }) => lives(process) !== false)) return undefined;
  const lease: Lease = {
    id: latest.lease,
    token: latest.token,
    devices: Object.values(latest.devices).toSorted(),
    owner: `${latest.process.host}:${latest.process.pid}`,
    reason: 'recover under its own lease',
    lab: latest.lab,
    inventory: latest.inventory,
    takenAt: latest.begunAt,
    ttlS: latest.ttlS,
  };
  return {
    take: async () => lease,
    renew: async () => {},
    release: async () => {},
    break: () => Promise.reject(new LeaseRefused('The lease store can not be written.')),
    knows: async id => headers.some(header => header.lease === id),
    list: async () => [],
    close: () => {},
  };
}
