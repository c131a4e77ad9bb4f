/** Who holds what, and until when. Times are those of the store, so that no two machines' clocks are compared. */
export interface Lease {
  /** Letters and digits; new for each lease. */
  readonly id: string;
  /** Fencing token: greater than that of every lease before. */
  readonly token: number;
  /** Keys of the devices, all of them or none (`deviceKey`). */
  readonly devices: readonly string[];
  readonly owner: string;
  readonly reason: string;
  /** Name of the lab and the inventory's file, for people. */
  readonly lab: string;
  readonly inventory: string;
  /** When it was taken, ISO 8601, for people. */
  readonly takenAt: string;
  readonly ttlS: number;
}

/** A lease as a store lists it. */
export interface StoredLease extends Lease {
  /** Seconds until it ends without renewal; 0 or less when it has ended. */
  readonly leftS: number;
  /** Whether the process that took it lives: known only on its own machine and boot, else undefined. */
  readonly alive: boolean | undefined;
}

export interface TakeLease {
  readonly devices: readonly string[];
  readonly owner: string;
  readonly reason: string;
  readonly lab: string;
  readonly inventory: string;
  readonly ttlS: number;
  /** Held by no process: by a person, until it is released or its time is over. */
  readonly byHand?: boolean;
}

/**
 * The leases of a lab. A lease is taken whole or not at all, and is the only one of each of its devices until it is released, broken, its
 * time is over, or the process that took it has died on this machine.
 *
 * The promise to callers is what a device can be given: a token and an id that no other lease has or will have. That a holder which
 * wakes up late has no effect is the device's doing (`drivers/device-guard.ts`).
 *
 * Every call throws LeaseStoreFailed when the store can not be read or written.
 */
export interface LeaseStore {
  /** @throws LeaseRefused naming the holder of the first device that is taken */
  take(wanted: TakeLease): Promise<Lease>;
  /** Puts its end off by its time-to-live. @throws LeaseLost when it has ended or was given to another */
  renew(lease: Lease): Promise<void>;
  /** Gives it back; one that has already ended is no error. */
  release(lease: Lease): Promise<void>;
  /** Ends a lease by a person's word, whoever holds it. @returns whether there was one */
  break(id: string): Promise<boolean>;
  /** Whether this store gave that lease, ever. A device that shows one it did not give belongs to another. */
  knows(id: string): Promise<boolean>;
  /** Every lease that was not given back, ended ones too. */
  list(): Promise<readonly StoredLease[]>;
  close(): void;
}

/** Somebody else holds the testbed. */
export class LeaseRefused extends Error {
  override readonly name = 'LeaseRefused';
}

/** The lease was ours and is not any more; nothing may be written. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** The store itself can not be read or written: a full or broken disk, or no right to it. */
export class LeaseStoreFailed extends Error {
  override readonly name = 'LeaseStoreFailed';
  /** Another process has it and does not go on; it may hold anything. */
  readonly busy: boolean;

  constructor(message: string, { busy, cause }: { readonly busy: boolean; readonly cause: unknown }) {
    super(message, { cause });
    this.busy = busy;
  }
}

/** Whether a stored lease still holds its devices. */
export const holds = ({ leftS, alive }: Pick<StoredLease, 'leftS' | 'alive'>): boolean => leftS > 0 && alive !== false;
