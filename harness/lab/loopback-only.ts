import { BlockList, isIP } from 'node:net';
import { TestbedUnavailable } from '../binding/binding.ts';
import type { Inventory } from './inventory.ts';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether an address is loopback. A name is not: what it resolves to may change between the check and the connection. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version !== 0 && loopback.check(host, version === 6 ? 'ipv6' : 'ipv4');
}

/**
 * Refuses a lab with a device that is not this machine's own, and any device in production.
 *
 * @throws TestbedUnavailable with the line of the inventory
 */
export function requireSafe(inventory: Inventory): void {
  const refuse = (path: readonly (string | number)[], text: string): never => {
    throw new TestbedUnavailable(`${inventory.where(path)}: ${text}`);
  };
  const advice =
    'not crash-safe: until leases and journal exist this binding talks to loopback only (127.0.0.0/8 or ::1, as an address).';
  for (const [name, device] of Object.entries(inventory.devices)) {
    if (device.role !== 'lab')
      refuse(
        ['devices', name, 'role'],
        `${name} has role "${device.role}"; Farspan touches devices of role "lab" only.`,
      );
    for (const protocol of ['ssh', 'snmp'] as const) {
      const host = device[protocol]?.host;
      if (host !== undefined && !isLoopback(host))
        refuse(['devices', name, protocol, 'host'], `${name} is at ${host}; ${advice}`);
    }
  }
  if (inventory.traps && !isLoopback(inventory.traps.host))
    refuse(['traps', 'host'], `traps are received at ${inventory.traps.host}; ${advice}`);
  if (inventory.clock !== undefined) {
    const host = new URL(inventory.clock).hostname.replace(/^\[|\]$/g, '');
    if (!isLoopback(host)) refuse(['clock'], `the clock is at ${host}; ${advice}`);
  }
}
