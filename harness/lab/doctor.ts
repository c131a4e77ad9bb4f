import { TestbedUnavailable } from '../binding/binding.ts';
import { DeviceError } from '../binding/device-error.ts';
import { fetchHostKey } from '../drivers/ssh.ts';
import { connectDevice, type ConnectOptions, openSnmp } from './connect.ts';
import { resolveCredential } from './credentials.ts';
import type { Inventory, InventoryDevice } from './inventory.ts';
import { loadInventory } from './lab-binding.ts';
import { virtualClock } from './lab-clock.ts';
import { differs } from './right-box.ts';

/** One thing that was looked at, and what to do when it is not right. */
export interface DoctorLine {
  /** A device, or `inventory`, `clock`. */
  readonly subject: string;
  readonly check: 'inventory' | 'safety' | 'secrets' | 'reach' | 'host key' | 'login' | 'identity' | 'snmp' | 'clock';
  readonly ok: boolean;
  readonly detail: string;
  /** Present when not ok. */
  readonly fix?: string;
}

export interface DoctorReport {
  readonly lines: readonly DoctorLine[];
  /** 0 when all is well, 3 when something in the lab is not (design section 6). */
  readonly exitCode: 0 | 3;
}

export interface DoctorOptions {
  readonly env?: ConnectOptions['env'];
  readonly deadlineMs?: number;
  /** Told each line as soon as it is known. */
  readonly line?: (line: DoctorLine) => void;
  /** Only these devices; default all. */
  readonly only?: readonly string[];
}

const SYS_UPTIME = '1.3.6.1.2.1.1.3.0';
const DEADLINE_MS = 10_000;

/** Splits an error into what happened and what to do. */
function told(error: unknown): { readonly detail: string; readonly fix: string } {
  if (error instanceof DeviceError) return { detail: `${error.tried}: ${error.answer}`, fix: error.advice };
  const [detail = '', ...rest] = (error instanceof Error ? error.message : String(error)).split('\n');
  return { detail, fix: rest.join(' ').trim() || 'Correct it and run farspan doctor again.' };
}

async function examine(
  name: string,
  entry: InventoryDevice,
  options: {
    inventory: Inventory;
    env: ConnectOptions['env'];
    deadlineMs: number;
    say: (line: Omit<DoctorLine, 'subject'>) => void;
  },
): Promise<void> {
  const { inventory, env, deadlineMs, say } = options;
  if (entry.role !== 'lab') {
    say({ check: 'safety', ok: true, detail: `role ${entry.role}: not touched` });
    return;
  }
  const references = [entry.ssh.credentials, ...(entry.snmp ? [entry.snmp.credentials] : [])];
  let secrets = true;
  for (const reference of references) {
    try {
      await resolveCredential(reference, { inventory, env });
    } catch (error) {
      secrets = false;
      say({ check: 'secrets', ok: false, ...told(error) });
    }
  }
  let shown: string;
  try {
    shown = await fetchHostKey(entry.ssh.host, entry.ssh.port, deadlineMs);
    say({ check: 'reach', ok: true, detail: `SSH answers at ${entry.ssh.host}:${entry.ssh.port}` });
  } catch (error) {
    say({ check: 'reach', ok: false, ...told(error) });
    return;
  }
  const pinned = entry.ssh.hostKey?.replace(/=+$/, '');
  if (pinned === undefined) {
    say({
      check: 'host key',
      ok: false,
      detail: `not pinned; it shows ${shown}`,
      fix: `Compare it on the device's console, then run: farspan trust ${name}`,
    });
    return;
  }
  if (pinned !== shown) {
    say({
      check: 'host key',
      ok: false,
      detail: `changed; pinned ${pinned}, shown ${shown}`,
      fix: `Reinstalled, or another machine? If the new key is right, run: farspan trust ${name} --replace`,
    });
    return;
  }
  say({ check: 'host key', ok: true, detail: shown });
  if (!secrets) return;
  try {
    const opened = await connectDevice(name, { inventory, env });
    try {
      const facts = await opened.facts();
      say({ check: 'login', ok: true, detail: `${facts.model} ${facts.software}`.trim() });
      const differences = differs(entry, facts);
      const stated = entry.serial !== undefined || entry.baseMac !== undefined;
      const says = `serial ${facts.serial || 'none'}, MAC ${facts.baseMac || 'none'}`;
      if (differences.length > 0)
        say({
          check: 'identity',
          ok: false,
          detail: differences.join('; '),
          fix: 'Correct the address, or serial and baseMac if the device was replaced.',
        });
      else if (!stated)
        say({
          check: 'identity',
          ok: false,
          detail: `the inventory states none; the device says ${says}`,
          fix: `Write serial and baseMac of ${name} into the inventory.`,
        });
      else say({ check: 'identity', ok: true, detail: says });
    } finally {
      await opened.driver.close();
    }
  } catch (error) {
    say({ check: 'login', ok: false, ...told(error) });
    return;
  }
  if (!entry.snmp) return;
  try {
    const snmp = await openSnmp(name, entry, { inventory, env });
    try {
      const uptime = (await snmp?.get([SYS_UPTIME]))?.get(SYS_UPTIME);
      if (uptime === null || uptime === undefined)
        say({
          check: 'snmp',
          ok: false,
          detail: 'it answers but has no sysUpTime',
          fix: 'Give this user or community a view of the system group.',
        });
      else say({ check: 'snmp', ok: true, detail: `sysUpTime ${Number(uptime) / 100} s` });
    } finally {
      snmp?.close();
    }
  } catch (error) {
    say({ check: 'snmp', ok: false, ...told(error) });
  }
}

/** Looks at everything a run would need, writes to nothing, and says what to do about what is wrong. */
export async function doctor(inventoryFile: string, options: DoctorOptions = {}): Promise<DoctorReport> {
  const { env = process.env, deadlineMs = DEADLINE_MS } = options;
  const lines: DoctorLine[] = [];
  const say = (line: DoctorLine): void => {
    lines.push(line);
    options.line?.(line);
  };
  const report = (): DoctorReport => ({ lines, exitCode: lines.every(({ ok }) => ok) ? 0 : 3 });

  let inventory: Inventory;
  try {
    inventory = await loadInventory(inventoryFile);
    const count = Object.keys(inventory.devices).length;
    say({
      subject: 'inventory',
      check: 'inventory',
      ok: true,
      detail: `${inventory.name}: ${count} devices, ${inventory.links.length} links, ${inventory.spans.length} spans`,
    });
  } catch (error) {
    if (!(error instanceof TestbedUnavailable)) throw error;
    say({
      subject: 'inventory',
      check: 'inventory',
      ok: false,
      detail: error.message,
      fix: 'Correct the file at the lines named.',
    });
    return report();
  }
  const { clock } = inventory;
  if (clock === undefined) say({ subject: 'clock', check: 'clock', ok: true, detail: 'wall time' });
  else {
    try {
      const ns = await virtualClock({ url: clock, step: () => undefined, deadlineMs }).now();
      say({ subject: 'clock', check: 'clock', ok: true, detail: `virtual time ${ns} ns at ${clock}` });
    } catch (error) {
      say({ subject: 'clock', check: 'clock', ok: false, ...told(error) });
    }
  }
  const chosen = Object.entries(inventory.devices).filter(
    ([name]) => options.only === undefined || options.only.includes(name),
  );
  await Promise.all(
    chosen.map(([name, entry]) =>
      examine(name, entry, { inventory, env, deadlineMs, say: line => say({ subject: name, ...line }) }),
    ),
  );
  return report();
}

/** One line per check: `ok   a-leaf-1  login  SONiC 4.2`; what is wrong is followed by its fix. */
export function printDoctor({ subject, check, ok, detail, fix }: DoctorLine): string {
  const head = `${ok ? 'ok  ' : 'FAIL'}  ${subject.padEnd(16)}  ${check.padEnd(9)}  ${detail}`;
  return fix === undefined ? head : `${head}\n        ${fix}`;
}
