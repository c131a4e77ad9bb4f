import type { Inventory } from './inventory.ts';

/** One row of `farspan devices`. */
export interface DeviceRow {
  readonly device: string;
  readonly driver: string;
  readonly part: string;
  readonly site: string;
  readonly role: string;
  /** `127.0.0.1:2201`, as SSH reaches it. */
  readonly ssh: string;
  readonly snmp: string;
  readonly hostKey: 'pinned' | 'not pinned';
  readonly identity: string;
  /** Cables that end here. */
  readonly cables: number;
}

const hostPort = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

/** What the inventory knows of each device, in its own order. Nothing is sent. */
export function listDevices(inventory: Inventory): readonly DeviceRow[] {
  const cables = new Map<string, number>();
  for (const { ends } of [...inventory.links, ...inventory.spans]) {
    for (const end of ends) {
      const [device = ''] = end.split(' ');
      cables.set(device, (cables.get(device) ?? 0) + 1);
    }
  }
  for (const { device } of inventory.spans) cables.set(device, (cables.get(device) ?? 0) + 1);
  return Object.entries(inventory.devices).map(([device, entry]) => ({
    device,
    driver: entry.driver,
    part: entry.part,
    site: entry.site,
    role: entry.role,
    ssh: hostPort(entry.ssh),
    snmp: entry.snmp ? hostPort(entry.snmp) : '-',
    hostKey: entry.ssh.hostKey === undefined ? 'not pinned' : 'pinned',
    identity: [entry.serial, entry.baseMac].filter(text => text !== undefined).join(' ') || 'none',
    cables: cables.get(device) ?? 0,
  }));
}
