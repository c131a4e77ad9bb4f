import path from 'node:path';
import type { Binding, ReserveOptions } from '../binding/binding.ts';
import { LabDirty, TestbedUnavailable } from '../binding/binding.ts';
import { DeviceError } from '../binding/device-error.ts';
import { type Disk, realDisk } from '../binding/disk.ts';
import type { Host } from '../binding/host.ts';
import type { SpanShaper } from '../binding/span-shaper.ts';
import type { Switch } from '../binding/switch.ts';
import type { Testbed } from '../binding/testbed.ts';
import { firstLine } from '../binding/first-line.ts';
import type { Topology } from '../model/topology.ts';
import { admitDevices } from './admit-devices.ts';
import { captureBaseline } from './baseline.ts';
import { becauseOfLease } from './because-of-lease.ts';
import { clockWatch } from './clock-watch.ts';
import { connectDevice, type Opened } from './connect.ts';
import { secretsOf } from './credentials.ts';
import { deviceKey, type Inventory, ttlOf } from './inventory.ts';
import { type LabClock, reachClock, virtualClock, wallClock } from './lab-clock.ts';
import { type LabTestbed, labTestbed } from './lab-testbed.ts';
import { fileLeaseStore } from './file-lease-store.ts';
import { fileHealthStore, type HealthEvent } from './health.ts';
import { clearUndos, type HeldLease, holdLease } from './held-lease.ts';
import { type Journal, openJournal } from './journal.ts';
import { refuseDirtyLab } from './lab-dirty.ts';
import { holds, type Lease, LeaseRefused, type LeaseStore } from './lease-store.ts';
import { leaseOwner } from './lease-owner.ts';
import { SETTLE, startAudit } from './leftover-audit.ts';
import { listenForTraps } from './listen-for-traps.ts';
import { loadInventory } from './load-inventory.ts';
import { suggest } from './near-miss.ts';
import { noteFailures } from './note-failures.ts';
import { nowOf, type OpenLab } from './open-lab.ts';
import { requireLabRole } from './require-lab-role.ts';
import { refuseNarrowCounters } from './refuse-narrow-counters.ts';
import { rightBox } from './right-box.ts';
import type { Safekeeping } from './safekeeping.ts';
import { type Solution, solve } from './solver.ts';
import { stateFolder } from './state-folder.ts';
import { thisProcess } from './this-process.ts';
import { withoutSecrets } from './without-secrets.ts';

/** Options of this world; those that a lab provider reads pass through unread. */
const OWN_OPTIONS = ['inventory', 'state', 'lease'];
const PROVIDER_OPTIONS = ['defect', 'trainPackets', 'bootTime', 'pace'];

export interface LabBindingParts {
  /** Opens the session of one device; another one is for tests. */
  readonly connect?: typeof connectDevice;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called between two steps of lease, journal and undo, for tests that stop or kill the process there. */
  readonly boundary?: (name: string) => void;
  /** Where the journal lies; one that fails is for tests. */
  readonly disk?: Disk;
}

function inventoryFile(options: Readonly<Record<string, string>>): string {
  const known = [...OWN_OPTIONS, ...PROVIDER_OPTIONS];
  for (const key of Object.keys(options)) {
    if (!known.includes(key))
      throw new TestbedUnavailable(
        `Unknown option "${key}" of the lab. ${suggest({ word: key, known, what: 'options' })}`,
      );
  }
  const { inventory } = options;
  if (inventory === undefined || inventory === '') {
    throw new TestbedUnavailable(
      'The lab world needs an inventory: say which with --inventory FILE. `farspan doctor --discover` drafts one.',
    );
  }
  return inventory;
}

interface Named {
  readonly node: string;
  readonly device: string;
  readonly opened: Opened;
}

/** Devices that a topology needs: the node or span it plays, and its name in the inventory. */
function places(solution: Solution): readonly { readonly node: string; readonly device: string }[] {
  return [
    ...[...solution.devices].map(([node, device]) => ({ node, device })),
    ...[...solution.spans].map(([node, { device }]) => ({ node, device })),
  ];
}

/** Opens all at once; when one fails, all are closed and every failure is told. */
async function openAll(
  inventory: Inventory,
  solution: Solution,
  options: Required<Pick<LabBindingParts, 'connect' | 'env'>> & Pick<ReserveOptions, 'step'>,
): Promise<readonly Named[]> {
  const results = await Promise.allSettled(
    places(solution).map(async ({ node, device }) => ({
      node,
      device,
      opened: await options.connect(device, { inventory, env: options.env, step: options.step }),
    })),
  );
  const named = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  const failures = [
    ...new Set(results.flatMap(result => (result.status === 'rejected' ? [(result.reason as Error).message] : []))),
  ];
  if (failures.length > 0) {
    await closeAll(named);
    const shown = failures.slice(0, 5).join('\n');
    throw new TestbedUnavailable(
      failures.length > 5 ? `${shown}\nand ${failures.length - 5} more devices failed` : shown,
      {
        cause: results.find(result => result.status === 'rejected')?.reason,
      },
    );
  }
  return named;
}

async function closeAll(named: readonly Named[]): Promise<void> {
  await Promise.allSettled(named.map(({ opened }) => opened.driver.close()));
}

function byNode<D>(named: readonly Named[], kind: Opened['kind']): ReadonlyMap<string, D> {
  return new Map(
    named.filter(({ opened }) => opened.kind === kind).map(({ node, opened }) => [node, opened.driver as D]),
  );
}

/** The devices of a solution by their keys in the lease store. */
const keysOf = (inventory: Inventory, solution: Solution): Readonly<Record<string, string>> =>
  Object.fromEntries(
    places(solution).flatMap(({ device }) => {
      const entry = inventory.devices[device];
      return entry ? [[device, deviceKey(entry)]] : [];
    }),
  );

/**
 * The binding for everything that is reached over the wire: an emulated lab or racks in an inventory. Nothing is written to a device
 * before it has shown the serial and MAC of the inventory and carries our lease; nothing is made untrue there before its undo is armed.
 *
 * @throws (reserve) TestbedUnavailable, InventoryError; LeaseRefused when somebody holds a device; LabDirty when a run that is gone left
 *   faults open there
 */
export function labBinding({
  connect = connectDevice,
  env = process.env,
  boundary = () => {},
  disk = realDisk,
}: LabBindingParts = {}): Binding {
  return {
    async reserve(topology: Topology, options: ReserveOptions): Promise<Testbed> {
      const inventory = await loadInventory(inventoryFile(options.options));
      const secrets = secretsOf(inventory);
      const testbed = await secrets.guard(() =>
        reserveLab(topology, {
          ...options,
          record: line => options.record(secrets.data(line)),
          step: step => options.step(secrets.data(step)),
          inventory,
          connect,
          env,
          boundary,
          disk,
        }),
      );
      return withoutSecrets<Testbed>(testbed, secrets);
    },
  };
}

async function reserveLab(
  topology: Topology,
  options: ReserveOptions & Required<LabBindingParts> & { readonly inventory: Inventory },
): Promise<Testbed> {
  const { record, step, signal, inventory, connect, env, boundary, disk } = options;
  const solution = solve(topology, inventory);
  requireLabRole(
    inventory,
    places(solution).map(({ device }) => device),
  );
  signal?.throwIfAborted();

  // The signal stops a reservation, never a session: healing needs the sessions most when a run was interrupted.
  const clock: LabClock = inventory.clock === undefined ? wallClock({}) : virtualClock({ url: inventory.clock, step });
  await reachClock(clock);
  const state = stateFolder(options.options['state'], env);
  const keys = keysOf(inventory, solution);
  const file = path.resolve(inventory.file);
  let held: HeldLease | undefined;
  /** What is to be undone when the reservation fails, and at its end; the latest first. */
  const undo: (() => Promise<readonly string[]> | void)[] = [];
  const giveBack = async (): Promise<readonly string[]> => {
    const words: string[] = [];
    for (const act of undo.splice(0).toReversed()) {
      try {
        words.push(...((await act()) ?? []));
      } catch (error) {
        words.push(firstLine(error));
      }
    }
    return words;
  };
  try {
    const store = fileLeaseStore({ folder: state });
    undo.push(() => store.close());
    await refuseDirtyLab({ state, keys: Object.values(keys), store, inventory: file });
    const health = fileHealthStore({ folder: state });
    await admitDevices(Object.keys(keys), { inventory, health, store, clock, env, connect });
    const named = await openAll(inventory, solution, { connect, env, step });
    undo.push(async () => {
      await closeAll(named);
      return [];
    });
    const facts = await Promise.all(named.map(({ device, opened }) => rightBox(device, { opened, inventory })));
    signal?.throwIfAborted();

    const epochNs = await clock.now();
    const epochDateMs = Date.now();
    const event = (node: string, what: string): void => record({ kind: 'event', atNs: 0, node, what });
    const guards = new Map(named.map(({ device, opened }) => [device, opened.guard]));
    let testbed: LabTestbed | undefined;
    let lost: Error | undefined;
    const joined = await joinedLease(options.options['lease'], { store, keys: Object.values(keys) });
    const lease = (held = await holdLease({
      ...(joined && { joined }),
      store,
      guards,
      boundary,
      confirm: async device => {
        const opened = named.find(one => one.device === device)?.opened;
        if (opened) await rightBox(device, { opened, inventory });
      },
      wanted: {
        devices: [...new Set(Object.values(keys))],
        owner: leaseOwner(),
        reason: options.reason ?? topology.name,
        lab: inventory.name,
        inventory: file,
        ttlS: ttlOf(inventory),
      },
      onFired: (device, fired) => void testbed?.timerFired(device, fired),
      onLost: error => {
        lost = error;
        testbed?.break(error);
      },
    }));
    let journal: Journal | undefined;
    undo.push(async () => {
      const left = await lease.release();
      boundary('given back');
      const unclosed = journal?.unclosed() ?? [];
      if (left.length === 0 && unclosed.length === 0) journal?.close();
      else journal?.leave();
      if (unclosed.length === 0) return left;
      return [
        ...left,
        `the journal does not say that ${unclosed.join(', ')} was healed: farspan recover --inventory ${file}`,
      ];
    });
    // A run that held the lab when this one looked may have died before its lease was given to this one.
    await refuseDirtyLab({ state, keys: Object.values(keys), store, inventory: file });
    journal = openJournal({
      state,
      disk,
      header: {
        lease: lease.lease.id,
        token: lease.lease.token,
        ttlS: lease.lease.ttlS,
        lab: inventory.name,
        inventory: file,
        devices: keys,
        process: thisProcess(),
        begunAt: new Date().toISOString(),
      },
    });
    options.onJournal?.(journal.file);
    boundary('journal begun');

    // What earlier holders left in effect is undone before anything is looked at.
    const { cleared, failed } = await clearUndos(guards, lease.surveys);
    for (const words of cleared) event('farspan', `an undo that an earlier holder left was run: ${words}`);
    if (failed.length > 0)
      throw new LabDirty(
        `${inventory.name} was left with faults that could not be undone:\n  ${failed.join('\n  ')}\n  Run: farspan recover --inventory ${file}`,
      );

    const lab: OpenLab = {
      topology,
      inventory,
      solution,
      clock,
      epochNs,
      switches: byNode<Switch>(named, 'switch'),
      hosts: byNode<Host>(named, 'host'),
      shapers: byNode<SpanShaper>(named, 'span'),
      record,
      clocks: clockWatch({ devices: named, clock, epochNs, epochDateMs, record }),
      refreshNs: new Map(
        named.flatMap(({ node, device }) => {
          const { refreshNs } = health.of({ device, key: keys[device] ?? device });
          return refreshNs === undefined ? [] : [[node, refreshNs] as const];
        }),
      ),
    };
    /** What can not be kept is said in the record, and ends nothing. */
    const noteHealth = (device: string, happened: HealthEvent): void => {
      const key = keys[device];
      if (key === undefined) return;
      try {
        health.note({ device, key }, secretsOf(inventory).data(happened));
      } catch (error) {
        event(device, `its health could not be kept (${happened.what}: ${happened.reason}): ${firstLine(error)}`);
      }
    };
    const devices = named.map(({ node, device }, i) => ({
      node,
      device,
      driver: inventory.devices[device]?.driver ?? '',
      software: facts[i]?.software ?? '',
    }));
    record({ kind: 'testbed', name: inventory.name, devices });
    await lab.clocks?.read();
    await refuseNarrowCounters(lab);
    const baseline = await captureBaseline(lab);
    const traps = await listenForTraps(lab, { env });
    undo.push(async () => {
      await traps.close();
      return [];
    });
    const keep: Safekeeping = {
      lease,
      journal,
      guards,
      devices: new Map(named.map(({ device, opened }) => [device, opened])),
      clock,
      checkpoints: new Set(),
      mayPowerCycle: device => inventory.devices[device]?.powerCycle === true,
      quarantine: async (device, reason) => noteHealth(device, { what: 'unhealed', reason, by: leaseOwner() }),
      boundary,
    };
    const audit = await startAudit({
      devices: new Map(named.map(({ device, opened }) => [device, opened.driver])),
      now: () => nowOf(lab),
      elapse: ns => clock.elapse({ forNs: ns }),
      settle: SETTLE[clock.kind],
    });
    for (const words of audit.unread) event('farspan', `not compared at the end: ${words}`);
    testbed = await labTestbed({ lab, keep, baseline, audit, close: giveBack });
    if (lost) testbed.break(lost);
    return noteFailures(
      testbed,
      ({ device, tried, answer }) =>
        noteHealth(device, { what: 'broke', reason: `${tried}: ${firstLine(answer)}`, by: leaseOwner() }),
      error => becauseOfLease(error, lease),
    );
  } catch (error) {
    const told = becauseOfLease(error, held);
    await giveBack();
    if (told !== error) throw told;
    if (error instanceof DeviceError) throw new TestbedUnavailable(error.message, { cause: error });
    throw error;
  }
}

/** The lease that a person took and this run is to use. @throws LeaseRefused when there is none such, or it lacks a device */
async function joinedLease(
  id: string | undefined,
  { store, keys }: { readonly store: LeaseStore; readonly keys: readonly string[] },
): Promise<Lease | undefined> {
  if (id === undefined || id === '') return undefined;
  const found = (await store.list()).find(lease => lease.id === id);
  if (!found || !holds(found))
    throw new LeaseRefused(`There is no lease ${id}, or it has ended. List them with: farspan lease list`);
  const missing = keys.filter(key => !found.devices.includes(key));
  if (missing.length > 0)
    throw new LeaseRefused(`Lease ${id} of ${found.owner} lacks ${missing.length} devices that this topology needs.`);
  return found;
}

export default labBinding();
