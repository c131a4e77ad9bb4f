import { createHash } from 'node:crypto';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import { TextDecoder } from 'node:util';
import pLimit from 'p-limit';
import type { ClientChannel, ConnectConfig } from 'ssh2';
import ssh2 from 'ssh2';
import { DeviceError } from '../binding/device-error.ts';
import type { Step } from '../model/record.ts';
import { CollectedOutput } from './collected-output.ts';
import { deviceError, escapeDeviceText, excerpt } from './device-text.ts';

/** What a command answered. Output is already escaped (`escapeDeviceText`); nothing behind this holds a control byte. */
export interface ShellResult {
  /** Null when a signal ended the command. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The output was longer than allowed; the command was ended, and only the beginning of each stream is here. Never parse it. */
  readonly truncated: boolean;
  /** Bytes that the device sent up to and including the last newline of stdout: where `tail -c +N` goes on. */
  readonly wholeLineBytes: number;
}

export interface RunOptions {
  /** Wall time for everything: its turn, connecting again if need be, channel, output, exit status. Default: that of the session. */
  readonly deadlineMs?: number;
  /** Most bytes of stdout and stderr together. Default 8 MiB. */
  readonly maxBytes?: number;
  /** What is sent to the command's stdin before it is closed. */
  readonly stdin?: string;
  /** The answer may hold secrets of the device's own (its whole configuration): the step says only how long it was. */
  readonly confidential?: boolean;
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
  /**
   * Takes secrets out of what goes into steps and errors, before either is cut to size. Not applied to results: a driver that parses
   * them must see what the device sent.
   */
  readonly redact?: (text: string) => string;
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
/** Bytes of each stream that a cut output still shows to people. */
const CUT_KEPT = 64 * 1024;
/** OpenSSH's default `MaxSessions` is 10 (sshd_config(5)); two are left for people. */
const CHANNELS_AT_ONCE = 8;
/** A dead peer is found after interval x count = 3 s and one interval to notice. */
const KEEPALIVE = { keepaliveInterval: 1000, keepaliveCountMax: 3 };
/**
 * What a device may still do with a channel that was given up. Beyond that it does not follow the protocol, and the session is ended:
 * it would cost memory, and a place among `MaxSessions`. A window is 2 MiB and is granted again until the device has read the close.
 */
const AFTER_CLOSE = { bytes: 16 * 2 ** 20, ms: 5000 };
/** A session that is closed in good order is waited for this long. */
const CLOSE_WITHIN_MS = 1000;

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
  /** Why it is not, when the session itself found out. */
  why?: string;
  /** Bytes that came for channels which were given up and are not closed yet. */
  late: number;
  /** Ends it now, whatever the peer does. ssh2 leaves a socket that it has half closed to its peer. */
  end(): void;
}

type Reach = Pick<SshOptions, 'device' | 'host' | 'port' | 'deadlineMs' | 'signal' | 'redact'> & {
  readonly onStage?: (stage: Stage) => void;
};

type About = Parameters<typeof deviceError>[0];

/** Makes errors of a session, without its secrets. */
const errorsOf =
  ({ redact = text => text }: Pick<SshOptions, 'redact'>) =>
  (about: About): DeviceError =>
    deviceError({ ...about, tried: redact(about.tried), answer: redact(about.answer) });

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
  const error = errorsOf(options);
  return new Promise((resolve, reject) => {
    let stage: Stage = 'TCP connection';
    let settled = false;
    const enter = (next: Stage): void => {
      stage = next;
      options.onStage?.(next);
    };
    const socket = net.connect({ host: options.host, port: options.port, noDelay: true });
    const client = new ssh2.Client();
    // One for each command that runs or was given up; their number is bounded by other means.
    client.setMaxListeners(0);
    const connection: Connection = {
      client,
      alive: false,
      late: 0,
      end() {
        connection.alive = false;
        socket.destroy();
      },
    };
    const fail = (answer: string, hint: string, cause?: unknown): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      connection.end();
      reject(refuse() ?? error({ device: options.device, tried, answer, advice: hint, cause }));
    };
    const abort = (): void => fail('interrupted', 'The run was ended before the session was up. Nothing was sent.');
    const timer = setTimeout(
      () => fail(`no answer within ${options.deadlineMs} ms, waiting for: ${stage}`, advice[stage]),
      options.deadlineMs,
    );

    socket.once('connect', () => enter('SSH banner'));
    socket.once('data', () => enter('key exchange'));
    client.once('handshake', () => enter('authentication'));
    client.on('ready', () => {
      if (settled) return;
      connection.alive = true;
      settled = true;
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      resolve(connection);
    });
    // A listener must stay for the life of the client: an error event without one ends the process.
    client.on('error', (cause: Error & { level?: string; code?: string | number }) => {
      connection.why ??= cause.message === 'Keepalive timeout' ? 'the device gave no sign of life' : cause.message;
      if (settled) {
        connection.end();
      } else if (cause.level === 'client-authentication') {
        fail(
          `${config.username ?? 'the user'} was not let in: ${cause.message}`,
          'Wrong or missing credentials. Check user, key, password or agent that the inventory refers to; log in by hand with the same.',
          cause,
        );
      } else if (cause.code === 'ECONNREFUSED') {
        fail(
          'connection refused',
          'The machine is there but nothing listens on that port. Check the port in the inventory and that sshd runs.',
          cause,
        );
      } else {
        fail(`${cause.message} (during: ${stage})`, advice[stage], cause);
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
    } catch (cause) {
      fail(
        cause instanceof Error ? cause.message : String(cause),
        'The credentials could not be read. Check the key file that the inventory refers to.',
        cause,
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

async function open(options: SshOptions & Pick<Reach, 'onStage'>): Promise<Connection> {
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
/** Behind that, so much is looked at for a secret that the cut would split. */
const REDACT_BEYOND = 8192;

/**
 * Connects and logs in. The host key is checked before any credential is sent.
 * A session that was lost is opened again by the next command, within that command's deadline; a command is never sent twice.
 *
 * @throws DeviceError that names the stage: refused, time-out at TCP, banner, key exchange or login, wrong credentials,
 *   changed host key (both fingerprints), unknown host key
 */
export async function connectSsh(options: SshOptions): Promise<Shell> {
  const error = errorsOf(options);
  const redact = options.redact ?? ((text: string): string => text);
  const ended = new AbortController();
  const abort = (): void => ended.abort();
  if (options.signal?.aborted) abort();
  options.signal?.addEventListener('abort', abort, { once: true });
  const connect = (onStage: (stage: Stage) => void): Promise<Connection> =>
    open({ ...options, signal: ended.signal, onStage });

  let current: Connection;
  try {
    current = await connect(() => {});
  } catch (failure) {
    options.signal?.removeEventListener('abort', abort);
    throw failure;
  }
  let opening: { readonly session: Promise<Connection>; stage: Stage } | undefined;
  let closed = false;
  const limit = pLimit(CHANNELS_AT_ONCE);
  ended.signal.addEventListener('abort', () => current.end(), { once: true });
  if (ended.signal.aborted) current.end();

  /** The live session, opening one at most once at a time; who waits for it waits no longer than his own deadline. */
  const session = async (leftMs: number, late: (stage: Stage) => DeviceError): Promise<Connection> => {
    if (current.alive) return current;
    if (opening === undefined) {
      const begun: { session: Promise<Connection>; stage: Stage } = {
        stage: 'TCP connection',
        session: connect(stage => {
          begun.stage = stage;
        }).then(opened => {
          // It may have been given up in the very moment in which it was ready.
          if (ended.signal.aborted) opened.end();
          current = opened;
          return opened;
        }),
      };
      const over = (): void => {
        opening = undefined;
      };
      begun.session.then(over, over);
      opening = begun;
    }
    const awaited = opening;
    return within(awaited.session, leftMs, () => late(awaited.stage));
  };

  /** Runs when one of the channels is free, or says at its deadline that none was. */
  const inTurn = <T>(leftMs: number, late: () => DeviceError, work: () => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      let waits = true;
      const timer = setTimeout(() => {
        waits = false;
        reject(late());
      }, leftMs);
      void limit(async () => {
        if (!waits) return;
        clearTimeout(timer);
        await work().then(resolve, reject);
      });
    });

  const run = async (
    command: string,
    { deadlineMs = options.deadlineMs, maxBytes = DEFAULT_MAX_BYTES, stdin, confidential = false }: RunOptions = {},
  ) => {
    const about = { device: options.device, tried: command };
    const began = performance.now();
    const at = new Date().toISOString();
    const left = (): number => deadlineMs - (performance.now() - began);
    const unsent = (answer: string, hint = ''): DeviceError =>
      error({ ...about, answer, advice: `Nothing was sent. ${hint}`.trim() });
    const shown = (text: string): string => excerpt(redacted(text, redact), STEP_ANSWER);
    const report = (answer: string, exitCode: number | null): void =>
      options.step?.({
        at,
        tookMs: Math.round((performance.now() - began) * 1000) / 1000,
        device: options.device,
        protocol: 'ssh',
        tried: shown(command),
        answer: shown(answer),
        exitCode,
      });
    try {
      const result = await inTurn(
        deadlineMs,
        () => unsent(`not sent within ${deadlineMs} ms: earlier commands are still running`),
        async () => {
          if (closed) throw unsent('the session is closed', 'This is an error of the harness.');
          if (ended.signal.aborted) throw unsent('interrupted');
          const connection = await session(left(), stage =>
            unsent(`no session within ${deadlineMs} ms, waiting for: ${stage}`, advice[stage]),
          );
          if (left() <= 0) throw unsent(`no session within ${deadlineMs} ms`);
          return execute(connection, {
            error: more => error({ ...about, ...more }),
            command,
            deadlineMs,
            leftMs: left(),
            maxBytes,
            ...(stdin === undefined ? {} : { stdin }),
          });
        },
      );
      const answer = result.stderr ? `${result.stdout}\n${result.stderr}` : result.stdout;
      report(confidential ? `${answer.length} characters, not kept` : answer, result.exitCode);
      return result;
    } catch (failure) {
      report(failure instanceof DeviceError ? failure.answer : String(failure), null);
      throw failure;
    }
  };

  const close = (): Promise<void> => {
    options.signal?.removeEventListener('abort', abort);
    if (closed) return Promise.resolve();
    closed = true;
    const { client, alive } = current;
    // What is still being opened is not wanted any more; what runs gets a moment to be closed in good order.
    if (!alive) {
      ended.abort();
      return Promise.resolve();
    }
    return new Promise(resolve => {
      const timer = setTimeout(() => ended.abort(), CLOSE_WITHIN_MS);
      client.once('close', () => {
        clearTimeout(timer);
        ended.abort();
        resolve();
      });
      client.end();
    });
  };

  return { device: options.device, run, close };
}

/** The secrets of a long text stand in for their like: only its beginning is shown, and its length. */
const redacted = (text: string, redact: (text: string) => string): string => {
  const from = STEP_ANSWER + REDACT_BEYOND;
  return text.length <= from ? redact(text) : redact(text.slice(0, from)) + text.slice(from);
};

/** What `work` gives, or `late` when it gives nothing in time. `work` goes on, and what becomes of it then is nobody's concern. */
function within<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), ms);
    const settled = (): void => clearTimeout(timer);
    work.then(resolve, reject);
    work.then(settled, settled);
  });
}

interface Execution {
  /** An error about this command. */
  readonly error: (about: Pick<About, 'answer' | 'advice' | 'cause'>) => DeviceError;
  readonly command: string;
  readonly deadlineMs: number;
  readonly leftMs: number;
  readonly maxBytes: number;
  readonly stdin?: string;
}

/**
 * Lets go of a channel whose answer nobody waits for any more, and of the whole session when the device does not follow: see
 * `AFTER_CLOSE`.
 */
function abandon(connection: Connection, channel: ClientChannel): void {
  let late = 0;
  const timer = setTimeout(() => connection.end(), AFTER_CLOSE.ms);
  const count = (chunk: Buffer): void => {
    late += chunk.length;
    connection.late += chunk.length;
    if (connection.late > AFTER_CLOSE.bytes) connection.end();
  };
  for (const stream of [channel, channel.stderr]) {
    stream.removeAllListeners('data');
    stream.on('data', count);
  }
  const gone = (): void => {
    connection.late -= late;
    late = 0;
    clearTimeout(timer);
    connection.client.removeListener('close', gone);
  };
  channel.once('close', gone);
  connection.client.once('close', gone);
  channel.on('error', () => connection.end());
  try {
    channel.signal('KILL');
  } catch {
    // The session may just have ended; closing it is enough.
  }
  channel.destroy();
}

/** What stands at the end of an output that goes on when somebody presses a key. */
const WAITS_FOR_A_KEY = /(?:--\s?more\s?--[^\n]{0,40}|\(END\)|lines \d+-\d+[^\n]{0,40})\s*$/i;
const WAITS_FOR_A_SECRET = /(?:password|passphrase|passcode)[^\n]{0,80}:\s*$/i;
const TAIL_BYTES = 200;

/** Why a command may not have ended, as far as its output tells. */
function waitsFor(output: CollectedOutput, errors: CollectedOutput): string {
  const tails = [output, errors].map(one => one.bytes().subarray(-TAIL_BYTES).toString('latin1').trimEnd());
  if (tails.some(tail => WAITS_FOR_A_KEY.test(tail)))
    return ' It shows a page and waits for a key: turn paging off on the device (terminal length 0).';
  if (tails.some(tail => WAITS_FOR_A_SECRET.test(tail)))
    return ' It asks for a password: the login needs the right to run this without one.';
  return '';
}

function execute(connection: Connection, execution: Execution): Promise<ShellResult> {
  const { client } = connection;
  const { error, command, deadlineMs, leftMs, maxBytes, stdin } = execution;
  return new Promise((resolve, reject) => {
    let stage: 'channel open' | 'output' | 'exit status' = 'channel open';
    let channel: ClientChannel | undefined;
    let settled = false;
    let exit: { readonly code: number | null } | undefined;
    let truncated = false;
    const stdout = new CollectedOutput();
    const stderr = new CollectedOutput();
    const bytes = (): number => stdout.length + stderr.length;

    const settle = (finish: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      client.removeListener('close', lost);
      finish();
    };
    const fail = (answer: string, hint: string): void =>
      settle(() => {
        if (channel && connection.alive) abandon(connection, channel);
        reject(error({ answer, advice: hint, cause: new MaybeApplied('its fate is not known') }));
      });
    const unknownFate = 'The command may have been applied. It is not sent again: read the state of the device first.';
    const lost = (): void =>
      fail(
        `the connection was lost, waiting for: ${stage}${connection.why === undefined ? '' : ` (${connection.why})`}`,
        unknownFate,
      );
    const timer = setTimeout(() => {
      // A server that never opens the channel is sick; the next command gets a new session.
      if (stage === 'channel open') connection.end();
      fail(
        `no end within ${deadlineMs} ms, waiting for: ${stage}${bytes() > 0 ? ` (${bytes()} bytes came so far)` : ''}`,
        `The command may have been applied and may still be running.${waitsFor(stdout, stderr)} It is not sent again: read the state of the device first.`,
      );
    }, leftMs);
    const done = (): void =>
      settle(() => {
        if (truncated && channel) abandon(connection, channel);
        const text = (part: CollectedOutput): string =>
          escapeDeviceText(
            new TextDecoder('utf-8').decode(truncated ? part.bytes().subarray(0, CUT_KEPT) : part.bytes()),
          );
        resolve({
          exitCode: exit?.code ?? null,
          stdout: text(stdout),
          stderr: text(stderr),
          truncated,
          wholeLineBytes: stdout.bytes().lastIndexOf(10) + 1,
        });
      });
    const collect =
      (into: CollectedOutput) =>
      (chunk: Buffer): void => {
        if (settled) return;
        const room = maxBytes - bytes();
        into.append(chunk.length <= room ? chunk : chunk.subarray(0, room));
        if (chunk.length <= room) return;
        truncated = true;
        done();
      };

    client.once('close', lost);
    try {
      client.exec(command, (refusal, opened) => {
        if (refusal) {
          settle(() =>
            reject(
              error({
                answer: `the device refused to run it: ${refusal.message}`,
                advice: 'It may be out of sessions (sshd MaxSessions) or allow no commands for this user.',
                cause: connection.alive ? refusal : new MaybeApplied('its fate is not known'),
              }),
            ),
          );
          return;
        }
        channel = opened;
        if (settled) {
          abandon(connection, opened);
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
        opened.once('close', () => {
          if (exit !== undefined) done();
          else if (connection.alive) fail('the device closed the channel without an exit status', unknownFate);
          else lost();
        });
        opened.once('error', lost);
        opened.end(stdin ?? '');
      });
    } catch (cause) {
      settle(() =>
        reject(
          error({
            answer: `it could not be sent: ${cause instanceof Error ? cause.message : String(cause)}`,
            advice: 'Nothing was sent. The session was lost just before.',
            cause,
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
