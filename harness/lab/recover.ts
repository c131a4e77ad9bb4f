import path from 'node:path';
import { TestbedUnavailable } from '../binding/binding.ts';
import type { Step } from '../model/record.ts';
import { type DeviceChange, manualUndo } from './device-change.ts';
import { connectDevice, type Opened } from './connect.ts';
import { fileLeaseStore } from './file-lease-store.ts';
import { fileHealthStore, type HealthEvent } from './health.ts';
import { clearUndos, type HeldLease, holdLease } from './held-lease.ts';
import { deviceKey, type Inventory, ttlOf } from './inventory.ts';
import { closeJournal, type Journal, type JournalFault, type ReadJournal } from './journal.ts';
import { loadInventory } from './lab-binding.ts';
import { leaseOwner } from './lease-owner.ts';
import { type LabClock, virtualClock, wallClock } from './lab-clock.ts';
import { deadJournals } from './lab-dirty.ts';
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
 * Works with a full disk: what it needs to write it writes into room that the journal has made before, or not at all.
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

  const store = fileLeaseStore({ folder: state });
  const opened = new Map<string, Opened>();
  let lease: HeldLease | undefined;
  try {
    const journals = await deadJournals(state, Object.values(keys), store);
    // Only what those runs leased, so that a switch that is broken elsewhere in the lab keeps nothing from being healed.
    const wanted =
      journals.length === 0
        ? names
        : names.filter(name => journals.some(({ header }) => Object.values(header.devices).includes(keys[name] ?? '')));
    await openAll(wanted, opened, { inventory, env, connect, step });
    lease = await holdLease({
      store,
      guards: new Map([...opened].map(([name, { guard }]) => [name, guard])),
      wanted: {
        devices: [...new Set(wanted.map(name => keys[name] ?? name))],
        owner: leaseOwner(),
        reason: 'recover',
        lab: inventory.name,
        inventory: file,
        ttlS: ttlOf(inventory),
      },
      foreign: options.takeOver === true ? 'wait' : 'refuse',
      say: words => say({ ok: true, subject: inventory.name, words }),
    });
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
  if (left.length === 0) {
    for (const name of opened.keys()) await options.release?.(name);
    for (const { file } of journals) closeJournal(file);
  }
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
