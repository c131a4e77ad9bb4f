import { createHash } from 'node:crypto';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { TextDecoder } from 'node:util';
import pLimit from 'p-limit';
import type { ClientChannel, ConnectConfig } from 'ssh2';
import ssh2 from 'ssh2';
import { DeviceError } from '../binding/device-error.ts';
import type { Step } from '../model/record.ts';
import { deviceError, escapeDeviceText, excerpt } from './device-text.ts';

/** What a command answered. Output is already escaped (`escapeDeviceText`); nothing behind this holds a control byte. */
export interface ShellResult {
  /** Null when a signal ended the command. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The output was longer than allowed and was cut; the command was ended. Never parse it. */
  readonly truncated: boolean;
  /** Bytes that the device sent up to and including the last newline of stdout: where `tail -c +N` goes on. */
  readonly wholeLineBytes: number;
}

export interface RunOptions {
  /** Wall time for everything: connecting again if need be, channel, output, exit status. Default: that of the session. */
  readonly deadlineMs?: number;
  /** Most bytes of stdout and stderr together. Default 8 MiB. */
  readonly maxBytes?: number;
  /** What is sent to the command's stdin before it is closed. */
  readonly stdin?: string;
}

/** One SSH session to a device. Commands may run at the same time. */
export interface Shell {
  readonly device: string;
  /** Runs one command. A non-zero exit is a result, not an error. @throws DeviceError when no result came back */
  run(command: string, options?: RunOptions): Promise<ShellResult>;
  close(): Promise<void>;
}

export interface SshOptions {
  /** The device's name in the inventory, for every message. */
  readonly device: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Private key, PEM or OpenSSH format. */
  readonly key?: string | Buffer;
  readonly passphrase?: string;
  readonly password?: string;
  /** Path of an ssh-agent socket. */
  readonly agent?: string;
  /** The pinned host key: `SHA256:` and base64 without padding, as `ssh-keygen -lf` prints it. Undefined: every key is refused. */
  readonly hostKey: string | undefined;
  /** Wall time for connecting, and the default for a command. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** Told about every command. */
  readonly step?: (step: Step) => void;
}

/** The cause of a `DeviceError` when a command was sent and its fate is not known. It must never be repeated blindly. */
export class MaybeApplied extends Error {
  override readonly name = 'MaybeApplied';
}

/** Whether a command may have taken effect although it failed. */
export function maybeApplied(error: unknown): boolean {
  return error instanceof DeviceError && error.cause instanceof MaybeApplied;
}

const DEFAULT_MAX_BYTES = 8 * 2 ** 20;
/** OpenSSH's default `MaxSessions` is 10 (sshd_config(5)); two are left for people. */
const CHANNELS_AT_ONCE = 8;
/** A dead peer is found after interval x count = 3 s and one interval to notice. */
const KEEPALIVE = { keepaliveInterval: 1000, keepaliveCountMax: 3 };

/**
 * Forward secrecy, AEAD or CTR with encrypt-then-MAC, no SHA-1. Without chacha20-poly1305 and CBC no suite is left that the
 * Terrapin attack (CVE-2023-48795) breaks, whether or not the peer knows strict key exchange.
 */
const ALGORITHMS: NonNullable<ConnectConfig['algorithms']> = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group14-sha256',
  ],
  serverHostKey: [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes256-ctr', 'aes192-ctr', 'aes128-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none'],
};

/** `SHA256:…` of a public key blob, as `ssh-keygen -lf` prints it. */
const fingerprint = (key: Buffer): string =>
  `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;

type Stage = 'TCP connection' | 'SSH banner' | 'key exchange' | 'authentication';

interface Connection {
  readonly client: ssh2.Client;
  alive: boolean;
}

type Reach = Pick<SshOptions, 'device' | 'host' | 'port' | 'deadlineMs' | 'signal'>;

const advice: Readonly<Record<Stage, string>> = {
  'TCP connection':
    'Nothing answers there. Check that the device is up, the address and port in the inventory, and firewalls in between.',
  'SSH banner':
    'Something accepts TCP but does not speak SSH. Check the port; the device may be booting, overloaded, or out of sessions.',
  'key exchange':
    'The device speaks SSH but did not finish the key exchange. It may be overloaded, or share no algorithm with this client.',
  authentication: 'The device did not answer the login. Its AAA server may be unreachable; log in by hand to see.',
};

/** Opens TCP and SSH up to the point that `settle` decides. One deadline covers all stages. */
function establish(options: Reach, config: ConnectConfig, refuse: () => DeviceError | undefined): Promise<Connection> {
  const at = `${options.host}:${options.port}`;
  const tried = `SSH to ${at}`;
  return new Promise((resolve, reject) => {
    let stage: Stage = 'TCP connection';
    let settled = false;
    const socket = net.connect({ host: options.host, port: options.port, noDelay: true });
    const client = new ssh2.Client();
    const connection: Connection = { client, alive: false };
    const stop = (error?: DeviceError): void => {
      connection.alive = false;
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      if (error === undefined) return;
      client.destroy();
      socket.destroy();
      reject(error);
    };
    const fail = (answer: string, hint: string, cause?: unknown): void =>
      stop(refuse() ?? deviceError({ device: options.device, tried, answer, advice: hint, cause }));
    const abort = (): void => fail('interrupted', 'The run was ended before the session was up. Nothing was sent.');
    const timer = setTimeout(
      () => fail(`no answer within ${options.deadlineMs} ms, waiting for: ${stage}`, advice[stage]),
      options.deadlineMs,
    );

    socket.once('connect', () => {
      stage = 'SSH banner';
    });
    socket.once('data', () => {
      stage = 'key exchange';
    });
    client.on('handshake', () => {
      stage = 'authentication';
    });
    client.on('ready', () => {
      if (settled) return;
      connection.alive = true;
      settled = true;
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      resolve(connection);
    });
    // A listener must stay for the life of the client: an error event without one ends the process.
    client.on('error', (error: Error & { level?: string; code?: string | number }) => {
      connection.alive = false;
      if (settled) return;
      if (error.level === 'client-authentication') {
        fail(
          `${config.username ?? 'the user'} was not let in: ${error.message}`,
          'Wrong or missing credentials. Check user, key, password or agent that the inventory refers to; log in by hand with the same.',
          error,
        );
      } else if (error.code === 'ECONNREFUSED') {
        fail(
          'connection refused',
          'The machine is there but nothing listens on that port. Check the port in the inventory and that sshd runs.',
          error,
        );
      } else {
        fail(`${error.message} (during: ${stage})`, advice[stage], error);
      }
    });
    client.on('close', () => {
      connection.alive = false;
      fail(`the connection was closed by the device during: ${stage}`, advice[stage]);
    });
    if (options.signal?.aborted) {
      abort();
      return;
    }
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      client.connect({ ...config, ...KEEPALIVE, sock: socket, readyTimeout: 0, algorithms: ALGORITHMS });
    } catch (error) {
      fail(
        error instanceof Error ? error.message : String(error),
        'The credentials could not be read. Check the key file that the inventory refers to.',
        error,
      );
    }
  });
}

/**
 * The fingerprint of the host key that `host:port` shows now, for `farspan trust`. No credential is sent.
 *
 * @throws DeviceError when no key is shown within `deadlineMs`
 */
export async function fetchHostKey(host: string, port: number, deadlineMs: number): Promise<string> {
  let seen: string | undefined;
  const enough = deviceError({ device: host, tried: 'host key', answer: 'seen', advice: '' });
  try {
    const { client } = await establish(
      { device: host, host, port, deadlineMs },
      {
        username: 'farspan',
        hostVerifier: (key: Buffer) => {
          seen = fingerprint(key);
          return false;
        },
      },
      () => (seen === undefined ? undefined : enough),
    );
    client.end();
  } catch (error) {
    if (error !== enough) throw error;
  }
  if (seen === undefined)
    throw deviceError({
      device: host,
      tried: 'reading the host key',
      answer: 'no key was shown',
      advice: advice['key exchange'],
    });
  return seen;
}

async function open(options: SshOptions): Promise<Connection> {
  let refused: DeviceError | undefined;
  const verify = (key: Buffer): boolean => {
    const shown = fingerprint(key);
    if (shown === options.hostKey) return true;
    const about = { device: options.device, tried: `checking the host key of ${options.host}:${options.port}` };
    refused = deviceError(
      options.hostKey === undefined || options.hostKey === ''
        ? {
            ...about,
            answer: `the key is not known\n  shown:  ${shown}`,
            advice: `No credential was sent. Compare it with the device's own (ssh-keygen -lf on its console), then run: farspan trust ${options.device}`,
          }
        : {
            ...about,
            answer: `the key has changed\n  pinned: ${options.hostKey}\n  shown:  ${shown}`,
            advice: `No credential was sent. Either the device was reinstalled or this is another machine. If the new key is right, run: farspan trust ${options.device}`,
          },
    );
    return false;
  };
  const { key, passphrase, password, agent, user } = options;
  if (key !== undefined) {
    const readable = ssh2.utils.parseKey(key, passphrase);
    if (readable instanceof Error) {
      throw deviceError({
        device: options.device,
        tried: 'reading the private key',
        answer: readable.message,
        advice: 'Nothing was sent. Check the key file and the passphrase that the inventory refers to.',
      });
    }
  }
  let asked = false;
  const methods: ssh2.AnyAuthMethod[] = [
    ...(key === undefined
      ? []
      : [{ type: 'publickey' as const, username: user, key, ...(passphrase === undefined ? {} : { passphrase }) }]),
    ...(agent === undefined ? [] : [{ type: 'agent' as const, username: user, agent }]),
    ...(password === undefined
      ? []
      : [
          { type: 'password' as const, username: user, password },
          {
            type: 'keyboard-interactive' as const,
            username: user,
            // One hidden prompt, once: a second one is a re-prompt after a wrong password, or asks for something else.
            prompt: (
              _n: string,
              _i: string,
              _l: string,
              prompts: readonly ssh2.Prompt[],
              finish: (answers: string[]) => void,
            ) => {
              const secret = prompts.length === 1 && prompts[0]?.echo !== true && !asked;
              asked ||= prompts.length > 0;
              finish(secret ? [password] : prompts.map(() => ''));
            },
          },
        ]),
  ];
  const config: ConnectConfig = { username: user, hostVerifier: verify, authHandler: methods };
  return establish(options, config, () => refused);
}

/** Most that is done with a device text per step. */
const STEP_ANSWER = 2000;

/**
 * Connects and logs in. The host key is checked before any credential is sent.
 * A session that was lost is opened again by the next command, within that command's deadline; a command is never sent twice.
 *
 * @throws DeviceError that names the stage: refused, time-out at TCP, banner, key exchange or login, wrong credentials,
 *   changed host key (both fingerprints), unknown host key
 */
export async function connectSsh(options: SshOptions): Promise<Shell> {
  let current: Connection = await open(options);
  let opening: Promise<Connection> | undefined;
  let closed = false;
  const limit = pLimit(CHANNELS_AT_ONCE);
  const abort = (): void => {
    current.client.destroy();
  };
  options.signal?.addEventListener('abort', abort, { once: true });

  /** The live session, opening one at most once at a time. */
  const session = async (deadlineMs: number): Promise<Connection> => {
    if (current.alive) return current;
    opening ??= open({ ...options, deadlineMs }).finally(() => {
      opening = undefined;
    });
    current = await opening;
    return current;
  };

  const run = async (
    command: string,
    { deadlineMs = options.deadlineMs, maxBytes = DEFAULT_MAX_BYTES, stdin }: RunOptions = {},
  ) => {
    const about = { device: options.device, tried: command };
    const began = performance.now();
    const at = new Date().toISOString();
    const report = (answer: string, exitCode: number | null): void =>
      options.step?.({
        at,
        tookMs: Math.round((performance.now() - began) * 1000) / 1000,
        device: options.device,
        protocol: 'ssh',
        tried: excerpt(command, STEP_ANSWER),
        answer: excerpt(answer, STEP_ANSWER),
        exitCode,
      });
    try {
      const result = await limit(async () => {
        if (closed)
          throw deviceError({
            ...about,
            answer: 'the session is closed',
            advice: 'Nothing was sent. This is an error of the harness.',
          });
        if (options.signal?.aborted)
          throw deviceError({ ...about, answer: 'interrupted', advice: 'Nothing was sent.' });
        const left = (): number => deadlineMs - (performance.now() - began);
        if (left() <= 0) {
          throw deviceError({
            ...about,
            answer: `not sent within ${deadlineMs} ms: earlier commands are still running`,
            advice: 'Nothing was sent.',
          });
        }
        const connection = await session(left());
        return execute(connection, {
          ...about,
          deadlineMs,
          leftMs: left(),
          maxBytes,
          ...(stdin === undefined ? {} : { stdin }),
        });
      });
      report(result.stderr ? `${result.stdout}\n${result.stderr}` : result.stdout, result.exitCode);
      return result;
    } catch (error) {
      report(error instanceof DeviceError ? error.answer : String(error), null);
      throw error;
    }
  };

  const close = (): Promise<void> => {
    options.signal?.removeEventListener('abort', abort);
    if (closed) return Promise.resolve();
    closed = true;
    const { client, alive } = current;
    if (!alive) {
      client.destroy();
      return Promise.resolve();
    }
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        client.destroy();
        resolve();
      }, 1000);
      client.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      client.end();
    });
  };

  return { device: options.device, run, close };
}

interface Execution {
  readonly device: string;
  readonly tried: string;
  readonly deadlineMs: number;
  readonly leftMs: number;
  readonly maxBytes: number;
  readonly stdin?: string;
}

function execute(connection: Connection, execution: Execution): Promise<ShellResult> {
  const { client } = connection;
  const { device, tried, deadlineMs, leftMs, maxBytes, stdin } = execution;
  return new Promise((resolve, reject) => {
    let stage: 'channel open' | 'output' | 'exit status' = 'channel open';
    let channel: ClientChannel | undefined;
    let settled = false;
    let exit: { readonly code: number | null } | undefined;
    let bytes = 0;
    let truncated = false;
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];

    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      client.removeListener('close', lost);
      finish();
    };
    const fail = (answer: string, hint: string): void =>
      settle(() => {
        channel?.destroy();
        reject(deviceError({ device, tried, answer, advice: hint, cause: new MaybeApplied(answer) }));
      });
    const lost = (): void =>
      fail(
        `the connection was lost, waiting for: ${stage}`,
        'The command may have been applied. It is not sent again: read the state of the device first.',
      );
    const timer = setTimeout(() => {
      // A server that never opens the channel is sick; the next command gets a new session.
      if (stage === 'channel open') client.destroy();
      fail(
        `no end within ${deadlineMs} ms, waiting for: ${stage}${bytes > 0 ? ` (${bytes} bytes came so far)` : ''}`,
        'The command may have been applied and may still be running. It is not sent again: read the state of the device first.',
      );
    }, leftMs);
    const done = (): void =>
      settle(() => {
        const text = (parts: readonly Buffer[]): string =>
          escapeDeviceText(new TextDecoder('utf-8').decode(Buffer.concat(parts)));
        const wholeLineBytes = Buffer.concat(stdout).lastIndexOf(10) + 1;
        resolve({
          exitCode: exit?.code ?? null,
          stdout: text(stdout),
          stderr: text(stderr),
          truncated,
          wholeLineBytes,
        });
      });
    const collect =
      (into: Buffer[]) =>
      (chunk: Buffer): void => {
        if (settled || truncated) return;
        const room = maxBytes - bytes;
        bytes += chunk.length;
        into.push(chunk.length <= room ? chunk : chunk.subarray(0, room));
        if (chunk.length <= room) return;
        truncated = true;
        try {
          channel?.signal('KILL');
        } catch {
          // The session may just have ended; closing it is enough.
        }
        channel?.destroy();
        done();
      };

    client.once('close', lost);
    try {
      client.exec(tried, (error, opened) => {
        if (error) {
          settle(() =>
            reject(
              deviceError({
                device,
                tried,
                answer: `the device refused to run it: ${error.message}`,
                advice: 'It may be out of sessions (sshd MaxSessions) or allow no commands for this user.',
                cause: connection.alive ? error : new MaybeApplied(error.message),
              }),
            ),
          );
          return;
        }
        channel = opened;
        if (settled) {
          opened.destroy();
          return;
        }
        stage = 'output';
        opened.on('data', collect(stdout));
        opened.stderr.on('data', collect(stderr));
        opened.once('end', () => {
          stage = 'exit status';
        });
        opened.once('exit', (code: number | null) => {
          exit = { code };
        });
        opened.once('close', () => (exit === undefined ? lost() : done()));
        opened.once('error', lost);
        opened.end(stdin ?? '');
      });
    } catch (error) {
      settle(() =>
        reject(
          deviceError({
            device,
            tried,
            answer: `it could not be sent: ${error instanceof Error ? error.message : String(error)}`,
            advice: 'Nothing was sent. The session was lost just before.',
            cause: error,
          }),
        ),
      );
    }
  });
}

/** The stdout of a command that must succeed. @throws DeviceError as `succeed` */
export async function output(shell: Shell, command: string, options: RunOptions = {}): Promise<string> {
  return (await succeed(shell, command, options)).stdout;
}

/**
 * The result of a command that must succeed.
 *
 * @throws DeviceError when it exits with another code than 0, or its output was cut
 */
export async function succeed(shell: Shell, command: string, options: RunOptions = {}): Promise<ShellResult> {
  return succeeded(shell.device, command, await shell.run(command, options), options);
}

/** A result that must be a success. @throws DeviceError as `succeed` */
export function succeeded(device: string, command: string, result: ShellResult, options: RunOptions = {}): ShellResult {
  const { exitCode, stdout, stderr, truncated } = result;
  const about = { device, tried: command };
  if (truncated) {
    throw deviceError({
      ...about,
      answer: `more output than ${options.maxBytes ?? DEFAULT_MAX_BYTES} bytes; it starts with: ${excerpt(stdout, 300)}`,
      advice: 'Cut output is never parsed. Ask the device for less.',
    });
  }
  if (exitCode !== 0) {
    throw deviceError({
      ...about,
      answer: `exit code ${exitCode ?? 'none (ended by a signal)'}: ${stderr.trim() || stdout.trim() || 'no output'}`,
      advice:
        exitCode === 127
          ? 'The program is not installed there, or this is another kind of device than the inventory says.'
          : 'Run it by hand on the device to see why.',
    });
  }
  return result;
}
