import path from 'node:path';
import { TestbedUnavailable } from '../binding/binding.ts';
import { firstLine } from '../binding/first-line.ts';
import { connectDevice, type Opened } from './connect.ts';
import { holdLease } from './held-lease.ts';
import { deviceKey, type Inventory } from './inventory.ts';
import type { Lease, LeaseStore, StoredLease } from './lease-store.ts';
import { refuseDirtyLab } from './lab-dirty.ts';
import { rightBox } from './right-box.ts';

export interface LeaseByHandOptions {
  readonly inventory: Inventory;
  readonly store: LeaseStore;
  readonly state: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly connect?: typeof connectDevice;
}

const labDevices = (inventory: Inventory): readonly string[] =>
  Object.entries(inventory.devices).flatMap(([name, { role }]) => (role === 'lab' ? [name] : []));

/** Opens devices for as long as `use` takes. @throws TestbedUnavailable with every failure, or for a wrong box */
async function withDevices<T>(
  names: readonly string[],
  { inventory, env, connect = connectDevice }: Pick<LeaseByHandOptions, 'inventory' | 'env' | 'connect'>,
  use: (opened: ReadonlyMap<string, Opened>) => Promise<T>,
): Promise<T> {
  const opened = new Map<string, Opened>();
  try {
    const results = await Promise.allSettled(
      names.map(async name => {
        const one = await connect(name, { inventory, env });
        opened.set(name, one);
        await rightBox(name, { opened: one, inventory });
      }),
    );
    const failures = results.flatMap(result =>
      result.status === 'rejected' ? [(result.reason as Error).message] : [],
    );
    if (failures.length > 0) throw new TestbedUnavailable(failures.join('\n'));
    return await use(opened);
  } finally {
    await Promise.allSettled([...opened.values()].map(({ driver }) => driver.close()));
  }
}

const guardsOf = (opened: ReadonlyMap<string, Opened>) =>
  new Map([...opened].map(([name, { guard }]) => [name, guard]));

/**
 * Takes every lab device of an inventory for a person, in the store and on the devices, until it is released or its time is over. Runs use
 * it with `--option lease=ID`.
 *
 * @throws LeaseRefused, LabDirty, TestbedUnavailable
 */
export async function takeByHand(
  options: LeaseByHandOptions & { readonly owner: string; readonly reason: string; readonly forS: number },
): Promise<Lease> {
  const { inventory, store, state } = options;
  const names = labDevices(inventory);
  const keys = names.flatMap(name => (inventory.devices[name] ? [deviceKey(inventory.devices[name])] : []));
  const file = path.resolve(inventory.file);
  await refuseDirtyLab({ state, keys, store, inventory: file });
  return withDevices(names, options, async opened => {
    const held = await holdLease({
      store,
      guards: guardsOf(opened),
      wanted: {
        devices: [...new Set(keys)],
        owner: options.owner,
        reason: options.reason,
        lab: inventory.name,
        inventory: file,
        ttlS: options.forS,
        byHand: true,
      },
    });
    held.detach();
    return held.lease;
  });
}

/** Gives a lease of a person back: off the devices of its inventory, then in the store. @returns what could not be taken off, in words */
export async function releaseByHand(
  options: LeaseByHandOptions & { readonly lease: StoredLease },
): Promise<readonly string[]> {
  const { inventory, store, lease } = options;
  const names = labDevices(inventory).filter(name => {
    const entry = inventory.devices[name];
    return entry !== undefined && lease.devices.includes(deviceKey(entry));
  });
  return withDevices(names, options, async opened => {
    const marker = { token: lease.token, lease: lease.id };
    const words = await Promise.all(
      [...opened].map(async ([name, { guard }]) => {
        const { lease: there } = await guard.survey();
        if (there?.lease !== lease.id) return [];
        await guard.take({ marker, expected: there, holder: lease.owner });
        return guard.release().then(
          () => [],
          (error: unknown) => [`${name}: ${firstLine(error)}`],
        );
      }),
    );
    await store.release(lease);
    return words.flat();
  });
}
