import { readFile } from 'node:fs/promises';
import type { Binding, ReserveOptions } from '../binding/binding.ts';
import { TestbedUnavailable } from '../binding/binding.ts';
import { DeviceError } from '../binding/device-error.ts';
import type { Host } from '../binding/host.ts';
import type { SpanShaper } from '../binding/span-shaper.ts';
import type { Switch } from '../binding/switch.ts';
import type { Testbed } from '../binding/testbed.ts';
import type { Topology } from '../model/topology.ts';
import { captureBaseline } from './baseline.ts';
import { connectDevice, type Opened } from './connect.ts';
import { type Inventory, readInventory } from './inventory.ts';
import { type LabClock, reachClock, virtualClock, wallClock } from './lab-clock.ts';
import { labTestbed } from './lab-testbed.ts';
import { listenForTraps } from './listen-for-traps.ts';
import { requireSafe } from './loopback-only.ts';
import { suggest } from './near-miss.ts';
import type { OpenLab } from './open-lab.ts';
import { rightBox } from './right-box.ts';
import { type Solution, solve } from './solver.ts';

/** Options of this world; those that a lab provider reads pass through unread. */
const OWN_OPTIONS = ['inventory'];
const PROVIDER_OPTIONS = ['defect', 'trainPackets', 'bootTime', 'pace'];

export interface LabBindingParts {
  /** Opens the session of one device; another one is for tests. */
  readonly connect?: typeof connectDevice;
  readonly env?: Readonly<Record<string, string | undefined>>;
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

/** @throws TestbedUnavailable when there is no such file; InventoryError when it is wrong */
export async function loadInventory(file: string): Promise<Inventory> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new TestbedUnavailable(
      `The inventory ${file} can not be read: ${code === 'ENOENT' ? 'there is no such file' : (error as Error).message}.`,
      { cause: error },
    );
  }
  return readInventory(text, file);
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
  options: Required<LabBindingParts> & Pick<ReserveOptions, 'step'>,
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

/**
 * The binding for everything that is reached over the wire: an emulated lab or racks in an inventory. Nothing is written
 * to a device before it has shown the serial and MAC of the inventory.
 *
 * Not crash-safe: until leases and a journal exist it talks to loopback only.
 */
export function labBinding({ connect = connectDevice, env = process.env }: LabBindingParts = {}): Binding {
  return {
    async reserve(topology: Topology, options: ReserveOptions): Promise<Testbed> {
      const { record, step, signal } = options;
      const inventory = await loadInventory(inventoryFile(options.options));
      requireSafe(inventory);
      const solution = solve(topology, inventory);
      signal?.throwIfAborted();

      // The signal stops a reservation, never a session: healing needs the sessions most when a run was interrupted.
      const clock: LabClock =
        inventory.clock === undefined ? wallClock({}) : virtualClock({ url: inventory.clock, step });
      await reachClock(clock);
      const named = await openAll(inventory, solution, { connect, env, step });
      try {
        const facts = await Promise.all(named.map(({ device, opened }) => rightBox(device, { opened, inventory })));
        signal?.throwIfAborted();
        const lab: OpenLab = {
          topology,
          inventory,
          solution,
          clock,
          epochNs: await clock.now(),
          switches: byNode<Switch>(named, 'switch'),
          hosts: byNode<Host>(named, 'host'),
          shapers: byNode<SpanShaper>(named, 'span'),
          record,
        };
        const devices = named.map(({ node, device }, i) => ({
          node,
          device,
          driver: inventory.devices[device]?.driver ?? '',
          software: facts[i]?.software ?? '',
        }));
        record({ kind: 'testbed', name: inventory.name, devices });
        const baseline = await captureBaseline(lab);
        const traps = await listenForTraps(lab, { env });
        try {
          return await labTestbed({
            lab,
            baseline,
            close: async () => {
              await traps.close();
              await closeAll(named);
            },
          });
        } catch (error) {
          await traps.close();
          throw error;
        }
      } catch (error) {
        await closeAll(named);
        if (error instanceof DeviceError) throw new TestbedUnavailable(error.message, { cause: error });
        throw error;
      }
    },
  };
}

export default labBinding();
