import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import ssh2, { type AuthContext, type Connection, type ServerChannel } from 'ssh2';
import type { ShellResult } from './small-shell.ts';

export interface SshDevice {
  readonly name: string;
  /** Runs one command line. `done` is called once, or never when the device goes down meanwhile. */
  exec(command: string, done: (result: ShellResult) => void): void;
  /** What an interactive shell shows before each line. */
  readonly prompt: string;
  readonly banner?: string;
}

export interface SshServerOptions {
  readonly device: SshDevice;
  /** 0 for any free port. */
  readonly port: number;
  readonly user: string;
  /** OpenSSH private key text. */
  readonly hostKey: string;
  /** OpenSSH public key lines that may log in. */
  readonly authorizedKeys: readonly string[];
  /** Password login too, when given. */
  readonly password?: string;
}

export interface SshServer {
  readonly port: number;
  /** `SHA256:…` as `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
  /** The host key as a known_hosts entry has it: `ssh-ed25519 AAAA…`. */
  readonly publicKey: string;
  /** Cuts all connections and refuses new ones, as a booting device. */
  down(): Promise<void>;
  /** Listens again on the same port. */
  up(): Promise<void>;
  close(): Promise<void>;
}

/** Bytes of one interactive line. */
const LONGEST_LINE = 4096;

const sameBytes = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b);

/** OpenSSH's fingerprint: base64 of SHA-256 over the public key blob, without padding. */
export const fingerprintOf = (blob: Buffer): string =>
  `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;

function parsedKey(text: string): ReturnType<typeof ssh2.utils.parseKey> & { type: string } {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return key as ReturnType<typeof parsedKey>;
}

/** A real SSH server on loopback for one device: exec, exit status, and a shell for people. */
export async function startSshServer(options: SshServerOptions): Promise<SshServer> {
  const host = parsedKey(options.hostKey);
  if (Array.isArray(host) || !('getPublicSSH' in host)) throw new TypeError('The host key is not one private key.');
  const hostBlob = host.getPublicSSH();
  const allowed = options.authorizedKeys.map(line => {
    const key = parsedKey(line);
    if (Array.isArray(key) || !('getPublicSSH' in key)) throw new TypeError('An authorized key is not one public key.');
    return key;
  });
  const connections = new Set<Connection>();

  const authenticate = (context: AuthContext): void => {
    if (context.username !== options.user) return context.reject(['publickey', 'password']);
    if (context.method === 'publickey') {
      const match = allowed.find(
        key => key.type === context.key.algo && sameBytes(key.getPublicSSH(), context.key.data),
      );
      // Without a signature the client only asks whether the key would do.
      if (
        match &&
        (context.signature === undefined ||
          (context.blob && match.verify(context.blob, context.signature, context.hashAlgo) === true))
      )
        return context.accept();
    }
    if (context.method === 'password' && options.password !== undefined) {
      const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
      if (sameBytes(digest(context.password), digest(options.password))) return context.accept();
    }
    context.reject(options.password === undefined ? ['publickey'] : ['publickey', 'password']);
  };

  const server = new ssh2.Server(
    { hostKeys: [options.hostKey], ident: 'OpenSSH_9.2p1 Debian-2+deb12u3' },
    connection => {
      connections.add(connection);
      // ssh2 leaves TCP_NODELAY off: without this an exec takes 88 ms instead of 0.6 ms.
      (connection as unknown as { setNoDelay(on: boolean): void }).setNoDelay(true);
      connection.on('close', () => connections.delete(connection));
      connection.on('error', () => connection.end());
      connection.on('authentication', authenticate);
      connection.on('session', accept => {
        const session = accept();
        session.on('pty', granted => granted?.());
        session.on('window-change', granted => granted?.());
        session.on('env', granted => granted?.());
        session.on('exec', (granted, _reject, { command }) => {
          const channel = granted();
          options.device.exec(command, result => finish(channel, connection, result));
        });
        session.on('shell', granted => interact(granted(), connection, options.device));
      });
    },
  );
  server.on('error', () => {});

  const listen = async (port: number): Promise<number> => {
    const listening = once(server, 'listening');
    server.listen(port, '127.0.0.1');
    await listening;
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(options.port);
  let listening = true;
  const down = async (): Promise<void> => {
    if (!listening) return;
    listening = false;
    const closed = new Promise<void>(resolve => void server.close(() => resolve()));
    for (const connection of connections) connection.end();
    // A peer that does not read its FIN would keep the server open: cut it.
    const cut = setTimeout(() => {
      for (const connection of connections) (connection as unknown as { _sock?: { destroy(): void } })._sock?.destroy();
    }, 100);
    await closed;
    clearTimeout(cut);
  };
  return {
    port,
    fingerprint: fingerprintOf(hostBlob),
    publicKey: `${host.type} ${hostBlob.toString('base64')}`,
    down,
    async up() {
      if (listening) return;
      listening = true;
      await listen(port);
    },
    close: down,
  };
}

function finish(channel: ServerChannel, connection: Connection, { stdout, stderr, code, hangUp }: ShellResult): void {
  channel.on('error', () => {});
  if (stderr !== '') channel.stderr.write(stderr);
  const exit = (): void => {
    if (!hangUp) channel.exit(code);
    channel.end();
    if (hangUp) connection.end();
  };
  if (stdout === '') exit();
  else channel.write(stdout, exit);
}

/** A shell for people: echo, backspace, ^C, ^D, `exit`. */
function interact(channel: ServerChannel, connection: Connection, device: SshDevice): void {
  let line = '';
  let after = '';
  let busy = false;
  channel.on('error', () => {});
  const crlf = (text: string): string => text.replaceAll('\n', '\r\n');
  const prompt = (): void => void channel.write(device.prompt);
  const leave = (code: number): void => {
    channel.write('\r\n');
    channel.exit(code);
    channel.end();
  };
  const enter = (): void => {
    channel.write('\r\n');
    const command = line.trim();
    line = '';
    if (command === 'exit' || command === 'logout') return leave(0);
    if (command === '') return prompt();
    busy = true;
    device.exec(command, result => {
      busy = false;
      channel.write(crlf(result.stdout + result.stderr));
      if (result.hangUp) connection.end();
      else prompt();
    });
  };
  if (device.banner) channel.write(crlf(device.banner));
  prompt();
  channel.on('data', (bytes: Buffer) => {
    for (const c of bytes.toString('utf8')) {
      const previous = after;
      after = c;
      // What is typed while a command runs is lost.
      if (busy || (c === '\n' && previous === '\r')) continue;
      if (c === '\r' || c === '\n') enter();
      else if (c === '\u007f' || c === '\b') {
        if (line !== '') channel.write('\b \b');
        line = line.slice(0, -1);
      } else if (c === '\u0003') {
        line = '';
        channel.write('^C\r\n');
        prompt();
      } else if (c === '\u0004') {
        if (line === '') return leave(0);
      } else if (c >= ' ' && line.length < LONGEST_LINE) {
        line += c;
        channel.write(c);
      }
    }
  });
}
