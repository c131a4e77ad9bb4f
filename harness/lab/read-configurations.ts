import pLimit from 'p-limit';
import { TestbedUnavailable } from '../binding/binding.ts';
import { DeviceError } from '../binding/device-error.ts';
import { readHost, readSonic, readSpanBox } from '../drivers/read-configuration.ts';
import type { DeviceConfiguration } from '../model/device-configuration.ts';
import { connectDevice, type ConnectOptions, openShell } from './connect.ts';
import { rightBox } from './right-box.ts';

/** Sessions at the same time. Each device is asked one command after the other. */
const DEVICES_AT_ONCE = 16;

export interface ReadConfigurations {
  readonly configurations: readonly DeviceConfiguration[];
  /** Devices of which nothing is known, and why. */
  readonly unreached: readonly { readonly device: string; readonly why: string; readonly asked: boolean }[];
}

/**
 * Reads what devices are configured as. Nothing is written and no lease is needed. A device of role `production` is not asked, and one
 * that is not the box of the inventory is not believed.
 */
export async function readConfigurations(
  devices: readonly string[],
  options: ConnectOptions,
): Promise<ReadConfigurations> {
  const { inventory } = options;
  const limit = pLimit(DEVICES_AT_ONCE);
  const configurations: DeviceConfiguration[] = [];
  const unreached: { device: string; why: string; asked: boolean }[] = [];
  const read = async (device: string): Promise<void> => {
    const entry = inventory.devices[device];
    if (entry === undefined || entry.role !== 'lab') {
      unreached.push({ device, why: `role ${entry?.role ?? 'unknown'}: not touched`, asked: false });
      return;
    }
    try {
      const opened = await connectDevice(device, options);
      try {
        await rightBox(device, { opened, inventory });
      } finally {
        await opened.driver.close();
      }
      const shell = await openShell(device, entry, options);
      try {
        const from = { name: device, shell };
        if (entry.driver === 'sonic') configurations.push(await readSonic(from));
        else if (entry.driver === 'gpu-node') configurations.push(await readHost(from));
        else configurations.push(await readSpanBox(from));
      } finally {
        await shell.close();
      }
    } catch (error) {
      if (!(error instanceof DeviceError || error instanceof TestbedUnavailable)) throw error;
      unreached.push({ device, why: error.message, asked: true });
    }
  };
  await Promise.all(devices.map(device => limit(read, device)));
  const order = (a: { readonly device: string }, b: { readonly device: string }): number =>
    devices.indexOf(a.device) - devices.indexOf(b.device);
  return { configurations: configurations.toSorted(order), unreached: unreached.toSorted(order) };
}
