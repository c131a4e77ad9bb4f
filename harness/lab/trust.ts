import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { parseDocument } from 'yaml';
import { TestbedUnavailable } from '../binding/binding.ts';
import { fetchHostKey } from '../drivers/ssh.ts';
import { readInventory } from './inventory.ts';
import { suggest } from './near-miss.ts';

export interface TrustOptions {
  /**
   * Asked before anything is written, with what a person must compare. `replaces` is the key that was pinned and is another one:
   * confirming then needs `replace` too.
   */
  readonly confirm: (question: {
    readonly device: string;
    readonly shown: string;
    readonly replaces?: string;
  }) => Promise<boolean>;
  /** Replacing a pinned key that changed must be asked for by name. */
  readonly replace?: boolean;
  readonly deadlineMs?: number;
}

export interface Trusted {
  readonly outcome: 'pinned' | 'already pinned' | 'declined';
  readonly fingerprint: string;
}

const DEADLINE_MS = 10_000;

/**
 * Fetches a device's SSH host key, asks, and pins its fingerprint in the inventory. Comments and layout of the file stay; it is
 * replaced in one rename, so that a crash leaves the old or the new file. No credential is sent.
 *
 * @throws TestbedUnavailable for an unknown device, a pinned key that changed without `replace`, or a file that changed meanwhile
 * @throws DeviceError when the device shows no key
 */
export async function trust(inventoryFile: string, device: string, options: TrustOptions): Promise<Trusted> {
  const text = await readFile(inventoryFile, 'utf8');
  const inventory = readInventory(text, inventoryFile);
  const entry = Object.hasOwn(inventory.devices, device) ? inventory.devices[device] : undefined;
  if (!entry) {
    throw new TestbedUnavailable(
      `${inventoryFile} has no device "${device}". ${suggest({ word: device, known: Object.keys(inventory.devices), what: 'devices' })}`,
    );
  }
  const shown = await fetchHostKey(entry.ssh.host, entry.ssh.port, options.deadlineMs ?? DEADLINE_MS);
  const pinned = entry.ssh.hostKey?.replace(/=+$/, '');
  if (pinned === shown) return { outcome: 'already pinned', fingerprint: shown };
  if (pinned !== undefined && !options.replace) {
    throw new TestbedUnavailable(
      `${inventory.where(['devices', device, 'ssh', 'hostKey'])}: the host key of ${device} has changed.\n  pinned: ${pinned}\n  shown:  ${shown}\n` +
        `  Either it was reinstalled or this is another machine. If the new key is right, run: farspan trust ${device} --replace`,
    );
  }
  const agreed = await options.confirm({ device, shown, ...(pinned === undefined ? {} : { replaces: pinned }) });
  if (!agreed) return { outcome: 'declined', fingerprint: shown };

  const document = parseDocument(text);
  document.setIn(['devices', device, 'ssh', 'hostKey'], shown);
  if ((await readFile(inventoryFile, 'utf8')) !== text)
    throw new TestbedUnavailable(`${inventoryFile} was changed meanwhile; nothing was written. Run the command again.`);
  // lineWidth 0: long lines of the file are not folded.
  await replaceFile(inventoryFile, document.toString({ lineWidth: 0, flowCollectionPadding: true }));
  return { outcome: 'pinned', fingerprint: shown };
}

/** Writes beside the file, syncs, and renames over it, keeping its mode. */
async function replaceFile(file: string, text: string): Promise<void> {
  const beside = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
  const { mode } = await stat(file);
  const handle = await open(beside, 'wx', mode & 0o777);
  try {
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await chmod(beside, mode & 0o777);
    await rename(beside, file);
  } catch (error) {
    await unlink(beside).catch(() => undefined);
    throw error;
  }
}
