import { TestbedUnavailable } from '../binding/binding.ts';
import type { Inventory } from './inventory.ts';

/**
 * Refuses a testbed of which a device is in production, before anything is connected to.
 *
 * @throws TestbedUnavailable with the line of the inventory
 */
export function requireLabRole(inventory: Inventory, devices: readonly string[]): void {
  for (const name of devices) {
    const role = inventory.devices[name]?.role;
    if (role === 'lab') continue;
    throw new TestbedUnavailable(
      `${inventory.where(['devices', name, 'role'])}: ${name} has role "${role}"; Farspan touches devices of role "lab" only.\n` +
        '  Nothing was connected to. If it is a lab device, write role: lab; else choose a topology that needs it not.',
    );
  }
}
