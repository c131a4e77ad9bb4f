import path from 'node:path';
import { TestbedUnavailable } from '../binding/binding.ts';
import { firstLine } from '../binding/first-line.ts';
import type { Step } from '../model/record.ts';
import { borrowedStore } from './borrowed-store.ts';
import { type DeviceChange, manualUndo } from './device-change.ts';
import { connectDevice, type Opened } from './connect.ts';
import { fileLeaseStore } from './file-lease-store.ts';
import { fileHealthStore, type HealthEvent } from './health.ts';
import { clearUndos, type HeldLease, holdLease } from './held-lease.ts';
import { deviceKey, type Inventory, ttlOf } from './inventory.ts';
import { closeJournal, type Journal, type JournalFault, leaseOfFile, type ReadJournal } from './journal.ts';
import { loadInventory } from './load-inventory.ts';
import { leaseOwner } from './lease-owner.ts';
import { type LabClock, virtualClock, wallClock } from './lab-clock.ts';
import { leftJournals, type UnreadableJournal } from './lab-dirty.ts';
import { type LeaseStore, LeaseStoreFailed } from './lease-store.ts';
import { requireLabRole } from './require-lab-role.ts';
import { rightBox } from './right-box.ts';
import { restore, type Safekeeping } from './safekeeping.ts';
import { stateFolder } from './state-folder.ts';

export interface RecoverOptions {
  readonly inventory: string;
  /** The state folder, when another than the environment's. */
  readonly state?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Take over devices that carry a lease of another store, once it has been watched to be dead. */
  readonly takeOver?: boolean;
  /** How long a command of another holder may still take, s. Default as `holdLease`. */
  readonly longestCommandS?: number;
  /** Told each thing that was done, as it is done. */
  readonly say: (line: RecoverLine) => void;
  readonly step?: (step: Step) => void;
  readonly connect?: typeof connectDevice;
  readonly quarantine?: (device: string, reason: string) => Promise<void>;
  readonly release?: (device: string) => Promise<void>;
}

export interface RecoverLine {
  readonly ok: boolean;
  /** The device, the fault, or the lab. */
  readonly subject: string;
  readonly words: string;
}

export interface Recovered {
  /** Everything was put back and seen to be: the lab may be used again. */
  readonly clean: boolean;
  readonly healed: number;
  /** What could not be put back, each with what to do by hand. */
  readonly left: readonly string[];
}

/**
 * Puts back what runs that are gone left in effect: first what their journals say, fault by fault in reverse order, each read back; then
 * every undo that still lies on a device. Idempotent: run twice, or killed on its way and run again, it ends the same; with nothing to do
 * it takes the lease, looks, and gives it back.
 *
 * Works with a disk that takes nothing: then it goes on under the lease of the run that is gone (`borrowedStore`), and what it can not
 * write at its end it says. A journal that can not be read any more is made good by what lies on the devices.
 *
 * @throws LeaseRefused when a living run holds the lab; TestbedUnavailable when a device can not be reached or is the wrong box
 */
export async function recover(options: RecoverOptions): Promise<Recovered> {
  const { env = process.env, say, connect = connectDevice, step } = options;
  const inventory = await loadInventory(options.inventory);
  const file = path.resolve(inventory.file);
  const state = stateFolder(options.state, env);
  const names = Object.keys(inventory.devices).filter(name => inventory.devices[name]?.role === 'lab');
  requireLabRole(inventory, names);
  const keys = Object.fromEntries(names.flatMap(name => keyOf(inventory, name)));
  const clock: LabClock =
    inventory.clock === undefined ? wallClock({}) : virtualClock({ url: inventory.clock, step: step ?? (() => {}) });

  const { store, failed } = storeAt(state);
  const opened = new Map<string, Opened>();
  let lease: HeldLease | undefined;
  try {
    const look = (): ReturnType<typeof leftJournals> => leftJournals(state, Object.values(keys), store);
    const found = await look();
    const given = found.unreadable.length === 0 ? [] : await store.list();
    // Only what those runs leased, so that a switch that is broken elsewhere in the lab keeps nothing from being healed.
    const wanted =
      found.dead.length === 0 || found.unreadable.length > 0
        ? names
        : names.filter(name =>
            found.dead.some(({ header }) => Object.values(header.devices).includes(keys[name] ?? '')),
          );
    await openAll(wanted, opened, { inventory, env, connect, step });
    const hold = (from: LeaseStore): Promise<HeldLease> =>
      holdLease({
        store: from,
        guards: new Map([...opened].map(([name, { guard }]) => [name, guard])),
        confirm: async name => {
          const one = opened.get(name);
          if (one) await rightBox(name, { opened: one, inventory });
        },
        wanted: {
          devices: [...new Set(wanted.map(name => keys[name] ?? name))],
          owner: leaseOwner(),
          reason: 'recover',
          lab: inventory.name,
          inventory: file,
          ttlS: ttlOf(inventory),
        },
        foreign: options.takeOver === true ? 'wait' : 'refuse',
        ...(options.longestCommandS !== undefined && { longestCommandS: options.longestCommandS }),
        say: words => say({ ok: true, subject: inventory.name, words }),
      });
    const borrow = (error: unknown): Promise<HeldLease> => {
      const instead = error instanceof LeaseStoreFailed && !error.busy ? borrowedStore(found.dead) : undefined;
      if (!instead) throw error;
      const words = `going on under the lease of the run that is gone, for ${firstLine(error)}`;
      say({ ok: true, subject: inventory.name, words });
      return hold(instead);
    };
    lease = await (failed ? borrow(failed) : hold(store).catch(borrow));
    // Somebody else may have recovered meanwhile.
    const now = await look();
    const open = new Set([...now.dead, ...now.unreadable].map(({ file }) => file));
    const journals = found.dead.filter(({ file }) => open.has(file));
    for (const { header, damaged } of journals)
      if (damaged !== undefined)
        say({
          ok: true,
          subject: header.lab,
          words: `the journal of ${header.begunAt} is damaged (${damaged}); what it does not say lies on the devices`,
        });
    /** Its lease lies on one of these devices, or the store gave it for one. */
    const isOurs = ({ file: at }: UnreadableJournal): boolean => {
      const id = leaseOfFile(at);
      const here = given.find(one => one.id === id)?.devices.some(key => Object.values(keys).includes(key)) === true;
      return here || [...(lease?.surveys.values() ?? [])].some(survey => survey.lease?.lease === id);
    };
    const health = fileHealthStore({ folder: state });
    const note = async (device: string, happened: Omit<HealthEvent, 'by'>): Promise<void> => {
      try {
        health.note({ device, key: keys[device] ?? device }, { ...happened, by: leaseOwner() });
      } catch (error) {
        // With a full disk the lab is healed all the same.
        say({ ok: false, subject: device, words: `its health could not be kept: ${(error as Error).message}` });
      }
    };
    return await heal({
      quarantine: (device, reason) => note(device, { what: 'unhealed', reason }),
      release: device => note(device, { what: 'recovered', reason: 'undone and read back by farspan recover' }),
      ...options,
      inventory,
      keys,
      journals,
      unreadable: found.unreadable.filter(({ file: at }) => open.has(at)).map(one => ({ ...one, ours: isOurs(one) })),
      opened,
      lease,
      clock,
    });
  } finally {
    await lease?.release();
    await Promise.allSettled([...opened.values()].map(({ driver }) => driver.close()));
    store.close();
  }
}

/** A store that can not even be opened says nothing of who holds what: then only dead processes count. */
function storeAt(state: string): { readonly store: LeaseStore; readonly failed?: LeaseStoreFailed } {
  try {
    return { store: fileLeaseStore({ folder: state }) };
  } catch (error) {
    if (!(error instanceof LeaseStoreFailed)) throw error;
    const fail = (): Promise<never> => Promise.reject(error);
    const none = {
      take: fail,
      renew: fail,
      release: fail,
      break: fail,
      knows: async () => false,
      list: async () => [],
    };
    return { store: { ...none, close: () => {} }, failed: error };
  }
}

const keyOf = (inventory: Inventory, name: string): readonly (readonly [string, string])[] => {
  const entry = inventory.devices[name];
  return entry ? [[name, deviceKey(entry)]] : [];
};

async function openAll(
  names: readonly string[],
  opened: Map<string, Opened>,
  options: Required<Pick<RecoverOptions, 'connect' | 'env'>> & {
    readonly inventory: Inventory;
    readonly step: RecoverOptions['step'];
  },
): Promise<void> {
  const { inventory, env, connect, step } = options;
  const results = await Promise.allSettled(
    names.map(async name => {
      const one = await connect(name, { inventory, env, ...(step && { step }) });
      opened.set(name, one);
      await rightBox(name, { opened: one, inventory });
    }),
  );
  const failures = results.flatMap(result => (result.status === 'rejected' ? [(result.reason as Error).message] : []));
  if (failures.length > 0) throw new TestbedUnavailable(failures.join('\n'));
}

interface Healing extends Pick<RecoverOptions, 'say' | 'quarantine' | 'release'> {
  readonly inventory: Inventory;
  readonly opened: ReadonlyMap<string, Opened>;
  readonly keys: Readonly<Record<string, string>>;
  readonly journals: readonly ReadJournal[];
  readonly unreadable: readonly (UnreadableJournal & { readonly ours: boolean })[];
  readonly lease: HeldLease;
  readonly clock: LabClock;
}

async function heal(options: Healing): Promise<Recovered> {
  const { say, inventory, opened, journals, lease } = options;
  const guards = new Map([...opened].map(([name, { guard }]) => [name, guard]));
  const left: string[] = [];
  let healed = 0;
  const wrong = (subject: string, words: string): void => {
    left.push(`${subject}: ${words}`);
    say({ ok: false, subject, words });
  };
  const keep: Safekeeping = {
    lease,
    journal: UNWRITTEN,
    guards,
    devices: opened,
    clock: options.clock,
    mayPowerCycle: device => inventory.devices[device]?.powerCycle === true,
    quarantine: options.quarantine ?? (async () => {}),
    checkpoints: new Set(),
    boundary: () => {},
  };
  // The latest run first, and of each run the latest fault.
  for (const { header, faults } of journals.toReversed()) {
    const renamed = (device: string): string | undefined =>
      Object.keys(options.keys).find(name => options.keys[name] === header.devices[device]);
    for (const fault of faults.filter(({ state }) => state !== 'closed').toReversed()) {
      const changes = fault.changes.flatMap(change => {
        const device = renamed(change.device);
        return device === undefined ? [] : [recoverable({ ...change, device }, fault)];
      });
      if (changes.length < fault.changes.length || changes.some(({ device }) => !opened.has(device))) {
        wrong(fault.fault, `${fault.what}: its device is not in this inventory`);
        continue;
      }
      const { verified, observed, by } = await restore(keep, {
        id: fault.fault,
        what: fault.what,
        declared: fault.declared,
        changes,
        ...(fault.checkpoint !== undefined && { checkpoint: fault.checkpoint }),
      });
      if (!verified) {
        wrong(fault.fault, `${fault.what} could not be undone, found: ${observed}. By hand: ${manualUndo(changes)}`);
        continue;
      }
      healed++;
      say({
        ok: true,
        subject: fault.fault,
        words: `${fault.what}: undone${by === 'undo' ? '' : ` by ${by}`} and read back`,
      });
    }
    for (const { checkpoint, changes } of faults) {
      if (checkpoint === undefined) continue;
      for (const { device } of changes) await dropForeign(opened.get(renamed(device) ?? ''), checkpoint);
    }
  }
  // Loads, probes, and what no journal knows: their undos lie on the devices.
  const surveys = new Map(
    await Promise.all([...guards].map(async ([name, guard]) => [name, await guard.survey()] as const)),
  );
  const { cleared, failed } = await clearUndos(guards, surveys);
  for (const words of cleared) say({ ok: true, subject: words, words: 'its undo lay on the device and was run' });
  for (const words of failed) wrong(inventory.name, words);
  healed += cleared.length;
  const close = (file: string): void => {
    try {
      closeJournal(file);
    } catch (error) {
      wrong(
        file,
        `all was undone, but it could not be closed: ${firstLine(error)}. Recover again when the disk takes it`,
      );
    }
  };
  if (left.length === 0) {
    for (const name of opened.keys()) await options.release?.(name);
    for (const { file } of [...journals, ...options.unreadable.filter(({ ours }) => ours)]) close(file);
  }
  for (const { file, ours } of options.unreadable)
    if (!ours)
      wrong(
        file,
        'can not be read, and whose it was is not known; all that lay on these devices was undone. Recover the other labs of this machine too, then move it away',
      );
  return { clean: left.length === 0, healed, left };
}

/** Of a reboot that was never commanded nobody waits for another boot. */
function recoverable(change: DeviceChange, { state }: JournalFault): DeviceChange {
  if (state !== 'intended' && state !== 'armed') return change;
  return {
    ...change,
    found: change.found.map(found =>
      found.kind === 'device' ? { kind: 'device' as const, ports: found.ports } : found,
    ),
  };
}

/** A checkpoint of the run that is gone. That it is not there any more is as good. */
async function dropForeign(opened: Opened | undefined, name: string): Promise<void> {
  if (opened?.kind === 'switch') await opened.driver.checkpoint?.drop(name).catch(() => undefined);
}

/** The journal of the run that is gone stays as it is until everything in it was seen healed; then it is closed whole. */
const UNWRITTEN: Journal = {
  file: '',
  intent: () => {},
  state: () => {},
  unclosed: () => [],
  close: () => {},
  leave: () => {},
};
