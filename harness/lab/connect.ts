import { createHash } from 'node:crypto';
import type { DeviceFacts } from '../binding/device-facts.ts';
import { TestbedUnavailable } from '../binding/binding.ts';
import { DeviceError } from '../binding/device-error.ts';
import type { Host } from '../binding/host.ts';
import type { SpanShaper } from '../binding/span-shaper.ts';
import type { Switch } from '../binding/switch.ts';
import { type DeviceGuard, deviceGuard } from '../drivers/device-guard.ts';
import { GPU_NODE_WRITES, gpuNode } from '../drivers/gpu-node.ts';
import { netemSpan, SPAN_WRITES } from '../drivers/netem-span.ts';
import { SONIC_WRITES, sonicSwitch } from '../drivers/sonic-switch.ts';
import { connectSnmp, type SnmpOptions, type SnmpSession } from '../drivers/snmp.ts';
import { connectSsh, type Shell } from '../drivers/ssh.ts';
import type { Step } from '../model/record.ts';
import { magnitude } from '../model/units.ts';
import { learnSecrets, resolveCredential, secretsOf } from './credentials.ts';
import { type DriverName, type Inventory, type InventoryDevice, ttlOf } from './inventory.ts';

/** A device with its session up, the one question that every kind answers, and the only way to change it. */
export type Opened = {
  readonly facts: () => Promise<DeviceFacts>;
  readonly guard: DeviceGuard;
  /** Runs a command that only reads; what writes goes through the guard. */
  readonly read: Shell['run'];
} & (
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
/** One SNMP operation. Management networks lose datagrams; an emulated lab answers over loopback, or not at all. */
const SNMP_DEADLINE_MS = { wall: 5_000, virtual: 1_500 };

/** What each driver may write, and what is put before it where the login is not root. */
const WRITES: Readonly<Record<DriverName, { readonly allowed: readonly RegExp[]; readonly prefix: string }>> = {
  sonic: { allowed: SONIC_WRITES, prefix: 'sudo ' },
  'gpu-node': { allowed: GPU_NODE_WRITES, prefix: '' },
  'netem-span': { allowed: SPAN_WRITES, prefix: '' },
};

/** A box by what `rightBox` tells it by. */
const boxOf = ({ serial = '', baseMac = '' }: InventoryDevice): string =>
  createHash('sha256').update(`${serial} ${baseMac.toLowerCase()}`).digest('hex').slice(0, 10);

/** As `farspan plan` prints a write of this driver. */
export const writePrefix = (driver: DriverName): string => WRITES[driver].prefix;

/** Logs in to a device of the inventory. @throws DeviceError, or TestbedUnavailable when a secret is missing */
export async function openShell(
  name: string,
  entry: InventoryDevice,
  { inventory, env, step }: ConnectOptions,
): Promise<Shell> {
  await learnSecrets({ inventory, env });
  const secret = await resolveCredential(entry.ssh.credentials, { inventory, env });
  if (secret.kind !== 'ssh') throw new TestbedUnavailable(`Credential "${entry.ssh.credentials}" is not for SSH.`);
  return connectSsh({
    device: name,
    host: entry.ssh.host,
    port: entry.ssh.port,
    user: secret.user,
    hostKey: entry.ssh.hostKey?.replace(/=+$/, ''),
    deadlineMs: SSH_DEADLINE_MS,
    redact: secretsOf(inventory).redact,
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
    deadlineMs: SNMP_DEADLINE_MS[inventory.clock === undefined ? 'wall' : 'virtual'],
    ...(step === undefined ? {} : { step }),
  });
}

/**
 * Opens a device with the driver that the inventory names. The caller closes it.
 *
 * @throws DeviceError that names the stage which failed; TestbedUnavailable when a secret is missing
 */
export async function connectDevice(name: string, options: ConnectOptions): Promise<Opened> {
  const { inventory } = options;
  const entry = Object.hasOwn(inventory.devices, name) ? inventory.devices[name] : undefined;
  if (!entry) throw new TestbedUnavailable(`${inventory.file} has no device "${name}".`);
  const snmp = await openSnmp(name, entry, options);
  let shell: Shell;
  try {
    shell = await openShell(name, entry, options);
  } catch (error) {
    snmp?.close();
    throw error;
  }
  const guard = deviceGuard({ shell, ...WRITES[entry.driver], ttlS: ttlOf(inventory), box: boxOf(entry) });
  const read: Shell['run'] = (command, run) => shell.run(command, run);
  if (entry.driver === 'sonic') {
    const driver = sonicSwitch({ name, shell, guard, ...(snmp === undefined ? {} : { snmp }) });
    return { kind: 'switch', driver, guard, read, facts: () => driver.facts() };
  }
  // Only switches are read over SNMP so far.
  snmp?.close();
  if (entry.driver === 'gpu-node') {
    const driver = gpuNode({ name, shell, guard });
    return { kind: 'host', driver, guard, read, facts: () => driver.facts() };
  }
  const span = inventory.spans.find(({ device }) => device === name);
  const driver = netemSpan({ name, shell, guard, rateBps: span === undefined ? 0 : magnitude(span.rate) });
  return { kind: 'span', driver, guard, read, facts: () => spanBoxFacts(name, shell) };
}

/** A Linux box says who it is by its kernel, its DMI serial (where it has one) and the MAC of its first span interface. */
async function spanBoxFacts(name: string, shell: Shell): Promise<DeviceFacts> {
  const ask = async (command: string): Promise<string> => {
    const { exitCode, stdout, stderr } = await shell.run(command);
    if (exitCode !== 0)
      throw new DeviceError(
        name,
        command,
        stderr || stdout,
        'Is this a span box? It needs Linux with iproute2 and the interfaces eth1 and eth2.',
      );
    return stdout.trim();
  };
  return {
    model: 'Linux span box',
    software: await ask('hostname'),
    serial: '',
    baseMac: await ask('cat /sys/class/net/eth1/address'),
  };
}
