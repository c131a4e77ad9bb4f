import net from 'node:net';
import ssh2 from 'ssh2';
import { ed25519Key } from '../../../emulators/device/ed25519-key.ts';
import { fingerprintOf } from '../../../emulators/device/ssh-server.ts';

/** The twelve stages at which a device may stall: `reliability-and-ux.md` A1, row 6. */
export const STAGES = [
  'no banner',
  'mid key exchange',
  'auth never answers',
  'channel open never calls back',
  'exec without output',
  'no exit status',
  'window 0',
  'half-open TCP',
  'slow loris',
  'pager',
  'password again',
  'reset after the command was sent',
] as const;
export type Stage = (typeof STAGES)[number];

/** Stages before the login is done: no command can have been sent. */
export const BEFORE_LOGIN: ReadonlySet<Stage> = new Set(['no banner', 'mid key exchange', 'auth never answers']);

/** How a path between client and device treats what goes over it. */
type Mode =
  /** As it comes. */
  | { readonly kind: 'pass' }
  /** TCP is accepted, nothing comes. */
  | { readonly kind: 'mute' }
  /** The first bytes of the device only. */
  | { readonly kind: 'first'; readonly bytes: number }
  /** Both ways into nothing; no FIN, no RST: the peer lost power, or the path. */
  | { readonly kind: 'swallow' }
  /** One byte a second from the device. */
  | { readonly kind: 'drip' };

const PASS: Mode = { kind: 'pass' };
const DRIP_MS = 1000;

/** One TCP path to the device, in which bytes can be lost. */
export class Path {
  mode: Mode = PASS;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  /** Client's sockets by the port from which the device sees them. */
  readonly #clients = new Map<number, net.Socket>();
  readonly #stalled = new Set<net.Socket>();

  private constructor(devicePort: number) {
    this.#server = net.createServer({ noDelay: true }, client => this.#join(client, devicePort));
  }

  static async to(devicePort: number): Promise<Path> {
    const path = new Path(devicePort);
    await new Promise<void>(resolve => path.#server.listen(0, '127.0.0.1', resolve));
    return path;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** Sockets of either side that are still open. */
  get open(): number {
    return this.#sockets.size;
  }

  /** Lets nothing through on the connections that are there, whatever comes later. */
  swallow(): void {
    for (const socket of this.#sockets) this.#stalled.add(socket);
  }

  /** RST to the client. Node never closes a socket that is reset while it is being shut down. */
  reset(): void {
    for (const socket of this.#clients.values()) if (!socket.writableEnded) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise(resolve => this.#server.close(resolve));
  }

  #watch(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #join(client: net.Socket, devicePort: number): void {
    this.#watch(client);
    const { mode } = this;
    if (mode.kind === 'mute') return void client.resume();
    const device = net.connect({ host: '127.0.0.1', port: devicePort, noDelay: true });
    this.#watch(device);
    device.once('connect', () => this.#clients.set(device.localPort ?? 0, client));
    client.once('close', () => {
      this.#clients.delete(device.localPort ?? 0);
      device.destroy();
    });
    device.once('close', () => {
      if (!this.#stalled.has(client)) client.destroy();
    });
    const swallowed = (socket: net.Socket): boolean => this.#stalled.has(socket) || this.mode.kind === 'swallow';
    client.on('data', bytes => {
      if (!swallowed(client)) device.write(bytes);
    });
    let passed = 0;
    const held: Buffer[] = [];
    let drips: NodeJS.Timeout | undefined;
    client.once('close', () => clearInterval(drips));
    device.on('data', bytes => {
      if (swallowed(client)) return;
      if (mode.kind === 'first') {
        client.write(bytes.subarray(0, Math.max(0, mode.bytes - passed)));
        passed += bytes.length;
      } else if (this.mode.kind === 'drip') {
        held.push(bytes);
        drips ??= setInterval(() => {
          const [next = Buffer.alloc(0), ...rest] = held.splice(0);
          client.write(next.subarray(0, 1));
          held.push(...(next.length > 1 ? [next.subarray(1)] : []), ...rest);
        }, DRIP_MS);
      } else client.write(bytes);
    });
  }
}

export interface StallingDevice {
  readonly port: number;
  readonly hostKey: string;
  /** How often a command was run, by its id. */
  readonly ran: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/**
 * A device that does as it is told: a command is `ID STAGE`, and stalls there once it has been run and counted. Login `admin` with
 * password `secret`; user `silent` is never answered, user `asked` is asked for the password again and again.
 *
 * @param onRun called when a command has been run, before anything of its answer is sent
 */
export async function stallingDevice(onRun: (id: string, stage: string) => void): Promise<StallingDevice> {
  const keys = ed25519Key('stalling');
  const blob = Buffer.from(keys.public.split(' ')[1] ?? '', 'base64');
  const ran = new Map<string, number>();
  const live = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [keys.private] }, connection => {
    live.add(connection);
    connection.once('close', () => live.delete(connection));
    connection.on('error', () => {});
    connection.on('authentication', context => {
      if (context.username === 'silent') return;
      if (context.username === 'asked' && context.method === 'keyboard-interactive') {
        const ask = (): void =>
          context.prompt([{ prompt: 'Password: ', echo: false }], () => setTimeout(ask, 20).unref());
        return ask();
      }
      if (context.method === 'password' && context.username === 'admin' && context.password === 'secret')
        return context.accept();
      context.reject(['password', 'keyboard-interactive']);
    });
    let opens = true;
    connection.on('session', accept => {
      if (!opens) return;
      accept().on('exec', (granted, _refused, { command }) => {
        const [id = '', ...words] = command.split(' ');
        const stage = words.join(' ');
        if (stage === 'next channel stalls') {
          opens = false;
          const channel = granted();
          channel.exit(0);
          return channel.end();
        }
        ran.set(id, (ran.get(id) ?? 0) + 1);
        onRun(id, stage);
        answer(granted(), stage);
      });
    });
  });
  server.on('error', () => {});
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    hostKey: fingerprintOf(blob),
    ran,
    async close() {
      for (const connection of live) connection.end();
      await new Promise<void>(resolve => void server.close(() => resolve()));
    },
  };
}

function answer(channel: ssh2.ServerChannel, stage: string): void {
  channel.on('error', () => {});
  // A channel that is not read grants no more window once 2 MiB have come.
  if (stage !== 'window 0') channel.resume();
  switch (stage) {
    case 'no exit status':
      return void channel.write('half of an answ');
    case 'no exit status, closed':
      return channel.close();
    case 'pager':
      return void channel.write(`${'Ethernet0  up  400G\r\n'.repeat(24)}\u001b[7m--More--\u001b[m`);
    case 'password again':
      return void channel.stderr.write('Sorry, try again.\n[sudo] password for admin: ');
    case 'fine':
      channel.write('done\n');
      channel.exit(0);
      return void channel.end();
    default:
    // Nothing ever comes.
  }
}
