import { TestbedUnavailable } from '../binding/binding.ts';
import type { Host } from '../binding/host.ts';
import type { SpanShaper } from '../binding/span-shaper.ts';
import type { Switch } from '../binding/switch.ts';
import { connectSnmp, type SnmpOptions, type SnmpSession } from '../drivers/snmp.ts';
import { connectSsh, type Shell } from '../drivers/ssh.ts';
import type { Step } from '../model/record.ts';
import { resolveCredential } from './credentials.ts';
import type { Inventory, InventoryDevice } from './inventory.ts';
import type { Facts } from './right-box.ts';

/** A device with its session up, and the one question that every kind answers. */
export type Opened = { readonly facts: () => Promise<Facts> } & (
  | { readonly kind: 'switch'; readonly driver: Switch }
  | { readonly kind: 'host'; readonly driver: Host }
  | { readonly kind: 'span'; readonly driver: SpanShaper }
);

export interface ConnectOptions {
  readonly inventory: Inventory;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly step?: (step: Step) => void;
}

/** Wall time for connecting and for a command without a deadline of its own. Slow control planes answer `show` in seconds. */
const SSH_DEADLINE_MS = 30_000;
const SNMP_DEADLINE_MS = 5_000;

/** Logs in to a device of the inventory. @throws DeviceError, or TestbedUnavailable when a secret is missing */
export async function openShell(
  name: string,
  entry: InventoryDevice,
  { inventory, env, step }: ConnectOptions,
): Promise<Shell> {
  const secret = await resolveCredential(entry.ssh.credentials, { inventory, env });
  if (secret.kind !== 'ssh') throw new TestbedUnavailable(`Credential "${entry.ssh.credentials}" is not for SSH.`);
  return connectSsh({
    device: name,
    host: entry.ssh.host,
    port: entry.ssh.port,
    user: secret.user,
    hostKey: entry.ssh.hostKey?.replace(/=+$/, ''),
    deadlineMs: SSH_DEADLINE_MS,
    ...(secret.privateKey === undefined ? {} : { key: secret.privateKey }),
    ...(secret.password === undefined ? {} : { password: secret.password }),
    ...(secret.agent === undefined ? {} : { agent: secret.agent }),
    ...(step === undefined ? {} : { step }),
  });
}

/** Opens SNMP to a device that has it. Nothing is sent yet: SNMP has no session. */
export async function openSnmp(
  name: string,
  entry: InventoryDevice,
  { inventory, env, step }: ConnectOptions,
): Promise<SnmpSession | undefined> {
  if (!entry.snmp) return undefined;
  const secret = await resolveCredential(entry.snmp.credentials, { inventory, env });
  if (secret.kind === 'ssh') throw new TestbedUnavailable(`Credential "${entry.snmp.credentials}" is not for SNMP.`);
  const as: SnmpOptions['as'] =
    secret.kind === 'snmp-v2c'
      ? { community: secret.community }
      : {
          user: {
            name: secret.user,
            auth: { protocol: secret.auth, key: secret.authKey },
            priv: { protocol: secret.privacy === 'aes' ? 'aes128' : secret.privacy, key: secret.privacyKey },
          },
        };
  return connectSnmp({
    device: name,
    host: entry.snmp.host,
    port: entry.snmp.port,
    as,
    deadlineMs: SNMP_DEADLINE_MS,
    ...(step === undefined ? {} : { step }),
  });
}

export async function connectDevice(name: string, _options: ConnectOptions): Promise<Opened> {
  throw new TestbedUnavailable(`No driver yet for ${name}.`);
}
