import { setTimeout as sleep } from 'node:timers/promises';
import { DeviceError } from '../binding/device-error.ts';
import { firstLine } from '../binding/first-line.ts';
import {
  type DeviceGuard,
  type DeviceSurvey,
  Fenced,
  type Fired,
  type Marker,
  printMarker,
} from '../drivers/device-guard.ts';
import { holds, type Lease, LeaseLost, LeaseRefused, type LeaseStore, type TakeLease } from './lease-store.ts';

/** Longest that one command to a device may take, s (`connect.ts`): an old holder's last one has ended by then. */
export const LONGEST_COMMAND_S = 30;

/** Renewals in one time-to-live: two may fail before a timer on a device fires. */
const RENEWALS = 3;

export interface HoldLeaseOptions {
  readonly store: LeaseStore;
  readonly wanted: TakeLease;
  /** A lease that is held already, by a person: it is used, and neither ended nor given back. */
  readonly joined?: Lease;
  /** By device name. */
  readonly guards: ReadonlyMap<string, DeviceGuard>;
  /**
   * A device shows a lease of another store. `refuse` (the default) says who; `wait` watches it until it can not be alive: no beat for its
   * whole time-to-live and the longest command.
   */
  readonly foreign?: 'refuse' | 'wait';
  /** Longest that a command of another holder may still take, s. Default `LONGEST_COMMAND_S`. */
  readonly longestCommandS?: number;
  /** Asks a device that has booted who it is, before it is leased again: its address may be another box's now. Throws when it is. */
  readonly confirm?: (device: string) => Promise<unknown>;
  /** Told in words what takes long or was found. */
  readonly say?: (words: string) => void;
  /** An undo ran on a device by itself. */
  readonly onFired?: (device: string, fired: Fired) => void;
  /** The lease is gone: nothing may be written any more. */
  readonly onLost?: (error: Error) => void;
  /** Called between two steps, for tests that stop or kill the process there. */
  readonly boundary?: (name: string) => void;
  /** Monotonic, ms. Runs on while the process is stopped. */
  readonly nowMs?: () => number;
}

/** A testbed that is ours: in the store, and on each of its devices. */
export interface HeldLease {
  readonly lease: Lease;
  readonly marker: Marker;
  /** What lay on each device when it was taken, by device. */
  readonly surveys: ReadonlyMap<string, DeviceSurvey>;
  /** @throws LeaseLost when it has ended; to be asked before every write */
  check(): void;
  /** Renews at once: store, then every device. What a device did not take is left to its timer. */
  renew(): Promise<void>;
  /** Puts the lease on a device again that has booted and lost it. @throws Fenced when another was faster */
  restore(device: string): Promise<void>;
  /** Renews no more; the lease stands until its time is over. */
  detach(): void;
  /** Takes it off every device and gives it back. @returns what could not be taken off, in words */
  release(): Promise<readonly string[]>;
}

/**
 * Takes a testbed all or nothing: first in the store, then on every device. Undos of earlier holders that still lie on a device stay armed
 * throughout, under this lease, and are run by the caller (`clearUndos`).
 *
 * @throws LeaseRefused when somebody else holds it; DeviceError when a device can not be leased. Then nothing is held.
 */
export async function holdLease(options: HoldLeaseOptions): Promise<HeldLease> {
  const { store, wanted, guards, boundary = () => {}, say = () => {}, longestCommandS = LONGEST_COMMAND_S } = options;
  const nowMs = options.nowMs ?? (() => Number(process.hrtime.bigint() / 1000n) / 1e3);
  const { joined } = options;
  // Before it is asked for: the store's time-to-live begins later than this, never earlier.
  let renewedMs = nowMs();
  const lease = joined ?? (await store.take(wanted));
  const marker: Marker = { token: lease.token, lease: lease.id };
  boundary('leased in the store');
  const holder = `${lease.owner} (${lease.reason})`;
  const surveys = new Map<string, DeviceSurvey>();
  const taken: string[] = [];

  const takeOne = async (device: string, guard: DeviceGuard): Promise<void> => {
    const survey = await guard.survey();
    surveys.set(device, survey);
    let before = survey.lease;
    if (before !== undefined && (await store.knows(before.lease))) {
      // It has ended, or the store would not have given ours; but for a device that another inventory knows by another key.
      const living = (await store.list()).find(one => one.id === before?.lease && one.id !== lease.id && holds(one));
      if (living)
        throw new LeaseRefused(`${device} is held by ${living.owner} since ${living.takenAt} (${living.reason}).`);
    } else if (before !== undefined) before = await watch(guard, survey, { device, options, say });
    // Where nothing can be compared under a lock, a command of the old holder may still be on its way.
    if (before !== undefined && !survey.fences) {
      const waitS = (survey.ttlS ?? wanted.ttlS) + longestCommandS;
      say(
        `${device} can not compare leases (no flock): waiting ${waitS} s for the last command of ${survey.holder ?? printMarker(before)}`,
      );
      await guard.endOtherSessions();
      await sleep(waitS * 1000);
    }
    await guard.take({ marker, expected: before, holder, leaseS: lease.ttlS });
    taken.push(device);
  };

  const giveUp = async (): Promise<readonly string[]> => {
    if (joined) return [];
    const results = await Promise.allSettled(taken.map(async device => guards.get(device)?.release()));
    await store.release(lease);
    return results.flatMap((result, i) =>
      result.status === 'rejected' ? [`${taken[i]}: ${briefly(result.reason)}`] : [],
    );
  };

  // Watching a foreign lease takes longer than a time-to-live of ours.
  const waiting = setInterval(
    () => {
      const beganMs = nowMs();
      store.renew(lease).then(
        () => void (renewedMs = beganMs),
        () => {},
      );
    },
    (wanted.ttlS * 1000) / RENEWALS,
  );
  const results = await Promise.allSettled([...guards].map(([device, guard]) => takeOne(device, guard)));
  clearInterval(waiting);
  const failed = results.find(result => result.status === 'rejected');
  if (failed) {
    await giveUp();
    throw failed.reason instanceof Fenced
      ? new LeaseRefused(
          `${firstLine(failed.reason)}\n  Somebody was faster. farspan lease list --inventory ${wanted.inventory}`,
          { cause: failed.reason },
        )
      : failed.reason;
  }
  boundary('leased on every device');

  let lost: Error | undefined;
  let renewing: Promise<void> | undefined;
  let released: Promise<readonly string[]> | undefined;
  const told = new Set<string>();

  const lose = (error: Error): void => {
    if (lost) return;
    lost = error;
    clearInterval(timer);
    options.onLost?.(error);
  };
  const renewOne = async (device: string, guard: DeviceGuard): Promise<void> => {
    try {
      for (const fired of await guard.renew()) {
        const key = `${device} ${fired.fault}`;
        if (fired.lease !== lease.id || told.has(key)) continue;
        told.add(key);
        options.onFired?.(device, fired);
      }
    } catch (error) {
      // A device that does not answer heals itself when its timer fires, and one that has booted has nothing to heal. Another's lease ends ours.
      if (error instanceof Fenced && !error.answer.startsWith('no lease')) lose(error);
    }
  };
  const renewAll = async (): Promise<void> => {
    try {
      const beganMs = nowMs();
      await store.renew(lease);
      renewedMs = beganMs;
    } catch (error) {
      if (error instanceof LeaseLost) return lose(error);
      // A busy or full disk: the lease stands for its time-to-live, and `check` ends it after that.
    }
    await Promise.all([...guards].map(([device, guard]) => renewOne(device, guard)));
    boundary('renewed');
  };
  const renew = (): Promise<void> =>
    (renewing ??= renewAll().finally(() => {
      renewing = undefined;
    }));
  const timer = setInterval(() => void renew(), (wanted.ttlS * 1000) / RENEWALS);

  return {
    lease,
    marker,
    surveys,
    check() {
      if (lost) throw lost;
      const lateS = (nowMs() - renewedMs) / 1000 - wanted.ttlS;
      if (lateS <= 0) return;
      lose(
        new LeaseLost(
          `The lease of ${wanted.lab} ended ${lateS.toFixed(1)} s ago: it was not renewed in time. Nothing was sent.`,
        ),
      );
      throw lost as unknown as Error;
    },
    renew,
    async restore(device) {
      const guard = guards.get(device);
      if (!guard) throw new RangeError(`${device} is no device of this lease.`);
      await options.confirm?.(device);
      const { lease: there } = await guard.survey();
      if (there?.lease !== lease.id) await guard.take({ marker, expected: there, holder, leaseS: lease.ttlS });
    },
    detach: () => clearInterval(timer),
    release() {
      released ??= (async () => {
        clearInterval(timer);
        await renewing;
        return giveUp();
      })();
      return released;
    },
  };
}

/** Runs every undo that lies on the devices: what earlier holders left in effect. @returns in words what was run, and what failed */
export async function clearUndos(
  guards: ReadonlyMap<string, DeviceGuard>,
  surveys: ReadonlyMap<string, DeviceSurvey>,
): Promise<{ readonly cleared: readonly string[]; readonly failed: readonly string[] }> {
  const cleared: string[] = [];
  const failed: string[] = [];
  for (const [device, { undos }] of surveys) {
    // The latest fault first: ids are counted up.
    for (const fault of undos.toReversed()) {
      try {
        await guards.get(device)?.runUndo(fault);
        cleared.push(`${device}: ${fault}`);
      } catch (error) {
        failed.push(`${device}: the undo of ${fault} that lies there failed: ${briefly(error)}`);
      }
    }
  }
  return { cleared, failed };
}

/**
 * A lease of another store, or of a machine that this one can not look into. Alive as long as its beat grows: no clock but ours is asked.
 *
 * @returns what is on the device once nobody alive holds it
 */
async function watch(
  guard: DeviceGuard,
  survey: DeviceSurvey,
  {
    device,
    options,
    say,
  }: { readonly device: string; readonly options: HoldLeaseOptions; readonly say: (words: string) => void },
): Promise<Marker | undefined> {
  const who = survey.holder ?? 'somebody';
  const seconds = (survey.ttlS ?? options.wanted.ttlS) + (options.longestCommandS ?? LONGEST_COMMAND_S);
  const refuse = (why: string): never => {
    throw new LeaseRefused(
      `${device} is held by ${who}: ${why}.\n` +
        `  Its lease is not in the store of this machine: another machine or store took it. Ask them; if it is dead, this takes it over once ` +
        `it has not moved for ${seconds} s: farspan recover --take-over --inventory ${options.wanted.inventory}`,
    );
  };
  if (options.foreign !== 'wait') refuse('its lease lies on the device');
  say(`${device} is held by ${who}; watching for ${seconds} s whether it is alive`);
  const until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await sleep(Math.min(1000, Math.max(1, until - performance.now())));
    const now = await guard.survey();
    if (now.lease === undefined) return undefined;
    if (now.lease.lease !== survey.lease?.lease || now.beat !== survey.beat) refuse('it is alive');
  }
  return survey.lease;
}

/** In one line, without the device's name, which stands before it. */
const briefly = (error: unknown): string =>
  firstLine(error instanceof DeviceError ? `${error.tried}: ${error.answer}` : error);
