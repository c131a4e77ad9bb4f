import type { DeviceFacts } from '../../binding/device-facts.ts';
import { parsed } from '../../drivers/parse-error.ts';
import type { SnmpSession } from '../../drivers/snmp.ts';
import { succeeded } from '../../drivers/ssh.ts';
import type { Opened } from '../connect.ts';
import type { Inventory, InventoryDevice } from '../inventory.ts';

/** A device that let the doctor in. Nothing is written to it. */
export interface OpenDevice {
  readonly name: string;
  readonly entry: InventoryDevice;
  readonly inventory: Inventory;
  readonly opened: Opened;
  readonly facts: DeviceFacts;
  /** Absent: the inventory gives it no SNMP, or it did not answer. */
  readonly snmp?: SnmpSession;
}

/** The answer to a command that only reads. @throws DeviceError when it fails or its text is not what `parse` reads */
export async function ask<T>({ name, opened }: OpenDevice, command: string, parse: (text: string) => T): Promise<T> {
  const { stdout } = succeeded(name, command, await opened.read(command));
  return parsed({ device: name, tried: command }, parse, stdout);
}

/** Ports of a device that the inventory cables, in its order. */
export const cabledPorts = ({ links, spans }: Inventory, device: string): readonly string[] =>
  [...links, ...spans].flatMap(({ ends }) =>
    ends.flatMap(end => {
      const [name, port = ''] = end.split(' ');
      return name === device ? [port] : [];
    }),
  );
