import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { listDevices } from '../lab/devices.ts';
import { discover } from '../lab/discover.ts';
import { doctor } from '../lab/doctor.ts';
import { fileHealthStore } from '../lab/health.ts';
import { fileLeaseStore } from '../lab/file-lease-store.ts';
import { deviceKey } from '../lab/inventory.ts';
import { leaseOwner } from '../lab/lease-owner.ts';
import { deadJournals } from '../lab/lab-dirty.ts';
import { stateFolder } from '../lab/state-folder.ts';
import { trust } from '../lab/trust.ts';
import { doctorBoard } from './doctor-board.ts';
import { EXIT } from './exit-code.ts';
import { printable, say } from './say.ts';
import { inventoryAt } from './inventory-at.ts';
import { UsageError } from './usage-error.ts';

async function confirmed(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true)
    throw new UsageError('there is nobody to ask: compare the fingerprint with the device itself and give --yes.');
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await terminal.question(question)).trim());
  } finally {
    terminal.close();
  }
}

/** Commands about a lab. Each resolves with the exit code. */
export const lab = {
  /** One line a device; nothing is contacted. */
  async devices({ inventory }: { readonly inventory: string }): Promise<number> {
    const read = inventoryAt(inventory);
    const rows = listDevices(read).map(({ device, driver, part, role, site, ssh, snmp, hostKey, identity }) => [
      device,
      driver,
      part,
      role,
      site,
      `ssh ${ssh}`,
      snmp,
      `host key ${hostKey}`,
      identity,
    ]);
    const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? [];
    say(`${read.name}: ${rows.length} devices`);
    for (const row of rows)
      say(`  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
    return EXIT.pass;
  },

  /** Looks at everything a run would need. */
  async doctor({ inventory: file, json }: { readonly inventory: string; readonly json?: string }): Promise<number> {
    const inventory = inventoryAt(file);
    const state = stateFolder(undefined, process.env);
    const store = fileLeaseStore({ folder: state });
    try {
      const report = await doctor(file, {
        store,
        health: fileHealthStore({ folder: state }),
        journals: await deadJournals(state, Object.values(inventory.devices).map(deviceKey), store),
        folders: { 'leases and journals': state, runs: 'runs' },
      });
      say(doctorBoard(report));
      if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
      return report.exitCode;
    } finally {
      store.close();
    }
  },

  /** Drafts an inventory from LLDP on standard output. */
  async discover({ inventory }: { readonly inventory: string }): Promise<number> {
    process.stdout.write(printable(await discover(inventoryAt(inventory)), 8 * 2 ** 20));
    return EXIT.pass;
  },

  /** Ends a quarantine or a suspicion by a person's word. The next reservation takes the device as one that nobody has looked at. */
  async releaseDevice({
    inventory,
    device,
    because,
  }: {
    readonly inventory: string;
    readonly device: string;
    readonly because: string;
  }): Promise<number> {
    const { devices } = inventoryAt(inventory);
    const entry = Object.hasOwn(devices, device) ? devices[device] : undefined;
    if (!entry)
      throw new UsageError(
        `${inventory} has no device ${JSON.stringify(device)}. List them with: npx farspan devices --inventory ${inventory}`,
      );
    if (because.trim() === '') throw new UsageError('say why with --because TEXT: the next person will ask.');
    const health = fileHealthStore({ folder: stateFolder(undefined, process.env) });
    const subject = { device, key: deviceKey(entry) };
    const before = health.of(subject);
    if (before.health === 'good' || before.health === 'unknown') {
      say(`Nothing keeps ${device} from being used; it is ${before.health}: ${before.reason}`);
      return EXIT.pass;
    }
    health.note(subject, { what: 'released', reason: because, by: leaseOwner() });
    say(`${device} was ${before.health} since ${before.since ?? 'an unknown time'}: ${before.reason}`);
    say(`  released by ${leaseOwner()}: ${because}`);
    say(`  Look at it before the next run: npx farspan doctor --inventory ${inventory}`);
    return EXIT.pass;
  },

  async trust({
    device,
    inventory,
    yes,
    replace,
  }: {
    readonly device: string;
    readonly inventory: string;
    readonly yes: boolean;
    readonly replace: boolean;
  }): Promise<number> {
    const { devices } = inventoryAt(inventory);
    if (!Object.hasOwn(devices, device))
      throw new UsageError(
        `${inventory} has no device ${JSON.stringify(device)}. List them with: npx farspan devices --inventory ${inventory}`,
      );
    const { outcome, fingerprint } = await trust(inventory, device, {
      replace,
      confirm: async ({ shown, replaces }) => {
        say(`${device} shows the host key ${shown}${replaces === undefined ? '' : `\nand it replaces   ${replaces}`}`);
        return (
          yes ||
          (await confirmed(
            'Is it the right key? Compare it on the device: ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub  [y/N] ',
          ))
        );
      },
    });
    say(`${device}: ${outcome} (${fingerprint})`);
    return outcome === 'declined' ? EXIT.usage : EXIT.pass;
  },
};
