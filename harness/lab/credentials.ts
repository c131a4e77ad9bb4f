import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { TestbedUnavailable } from '../binding/binding.ts';
import type { Credential, Inventory } from './inventory.ts';
import { Secrets } from './secrets.ts';

/** What stands behind a credential's reference. Values are secrets: never printed, never recorded. */
export type Secret =
  | {
      readonly kind: 'ssh';
      readonly user: string;
      readonly privateKey?: string;
      readonly password?: string;
      readonly agent?: string;
    }
  | { readonly kind: 'snmp-v2c'; readonly community: string }
  | {
      readonly kind: 'snmp-v3';
      readonly user: string;
      readonly auth: Extract<Credential, { kind: 'snmp-v3' }>['auth'];
      readonly authKey: string;
      readonly privacy: Extract<Credential, { kind: 'snmp-v3' }>['privacy'];
      readonly privacyKey: string;
    };

const known = new Map<Inventory, Secrets>();

/** The secrets that were looked up for an inventory so far. Whatever says something about its lab passes it through them first. */
export function secretsOf(inventory: Inventory): Secrets {
  const secrets = known.get(inventory) ?? new Secrets();
  known.set(inventory, secrets);
  return secrets;
}

const learned = new WeakMap<Inventory, Promise<unknown>>();

/**
 * Looks up every credential of the inventory once, so that a device can not say the secret of another before that is known. What can not
 * be looked up is told by whoever needs it.
 */
export async function learnSecrets(source: SecretSource): Promise<void> {
  const { inventory } = source;
  const looking =
    learned.get(inventory) ??
    Promise.allSettled(Object.keys(inventory.credentials).map(name => resolveCredential(name, source)));
  learned.set(inventory, looking);
  await looking;
}

/** A text without any secret that this process has looked up: for its terminal, which shows words of every lab. */
export const redactKnown = (text: string): string =>
  [...known.values()].reduce((clean, secrets) => secrets.redact(clean), text);

/** Which parts of a credential are secret. */
function secretParts(secret: Secret): Readonly<Record<string, string | undefined>> {
  if (secret.kind === 'ssh') return { password: secret.password, privateKey: secret.privateKey };
  if (secret.kind === 'snmp-v2c') return { community: secret.community };
  return { authKey: secret.authKey, privacyKey: secret.privacyKey };
}

/** Largest secret file: an RSA-16384 key is about 13 KB. */
const LARGEST_SECRET = 64 * 1024;

export interface SecretSource {
  readonly inventory: Inventory;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Looks a credential up where the inventory says it is, and remembers it among the secrets of that inventory.
 *
 * @throws TestbedUnavailable naming the variable or file that is missing, and the line that asks for it; never the secret
 */
export async function resolveCredential(name: string, source: SecretSource): Promise<Secret> {
  const secret = await lookUp(name, source);
  for (const [part, value] of Object.entries(secretParts(secret)))
    if (value !== undefined) secretsOf(source.inventory).add(`${name} ${part}`, value);
  return secret;
}

async function lookUp(name: string, { inventory, env }: SecretSource): Promise<Secret> {
  const entry = Object.hasOwn(inventory.credentials, name) ? inventory.credentials[name] : undefined;
  if (!entry) throw new TestbedUnavailable(`${inventory.file} has no credential "${name}".`);

  const fromEnv = (key: string, variable: string): string => {
    const value = env[variable];
    if (value !== undefined && value !== '') return value;
    throw new TestbedUnavailable(
      `${inventory.where(['credentials', name, key])}: credential "${name}" needs the environment variable ${variable}, which is ${value === undefined ? 'not set' : 'empty'}.\n` +
        `  Set it in the shell that runs farspan: export ${variable}=…`,
    );
  };
  const fromFile = async (key: string, file: string): Promise<string> => {
    const full = path.resolve(path.dirname(inventory.file), file);
    try {
      const text = await readFile(full, 'utf8');
      if (text.length > LARGEST_SECRET) throw new Error(`larger than ${LARGEST_SECRET} characters`);
      if (text.trim() === '') throw new Error('the file is empty');
      return text;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      const reason =
        code === 'ENOENT'
          ? 'there is no such file'
          : code === 'EACCES'
            ? 'it may not be read by this user'
            : (error as Error).message;
      throw new TestbedUnavailable(
        `${inventory.where(['credentials', name, key])}: credential "${name}" needs the file ${file}: ${reason}.\n  Paths are relative to the inventory.`,
        { cause: error },
      );
    }
  };
  /** A secret is one line; the line end of the file is not part of it. */
  const either = async (
    envKey: string,
    variable: string | undefined,
    fileKey: string,
    file: string | undefined,
  ): Promise<string> => {
    if (variable !== undefined) return fromEnv(envKey, variable);
    return (await fromFile(fileKey, file ?? '')).replace(/\r?\n$/, '');
  };

  if (entry.kind === 'snmp-v2c') {
    return {
      kind: 'snmp-v2c',
      community: await either('communityEnv', entry.communityEnv, 'communityFile', entry.communityFile),
    };
  }
  if (entry.kind === 'snmp-v3') {
    const { kind, user, auth, privacy } = entry;
    const authKey = await either('authKeyEnv', entry.authKeyEnv, 'authKeyFile', entry.authKeyFile);
    const privacyKey = await either('privacyKeyEnv', entry.privacyKeyEnv, 'privacyKeyFile', entry.privacyKeyFile);
    return { kind, user, auth, authKey, privacy, privacyKey };
  }
  if (entry.agent) return { kind: 'ssh', user: entry.user, agent: fromEnv('agent', 'SSH_AUTH_SOCK') };
  if (entry.keyFile !== undefined)
    return { kind: 'ssh', user: entry.user, privateKey: await fromFile('keyFile', entry.keyFile) };
  return {
    kind: 'ssh',
    user: entry.user,
    password: await either('passwordEnv', entry.passwordEnv, 'passwordFile', entry.passwordFile),
  };
}
