import net from 'node:net';
import ssh2 from 'ssh2';
import { ed25519Key } from '../../../emulators/device/ed25519-key.ts';
import { fingerprintOf } from '../../../emulators/device/ssh-server.ts';

/** What of ssh2's server a device that breaks the protocol needs. */
interface Wire {
  readonly outgoing: { readonly id: number };
  readonly _client: { readonly _protocol: { channelData(id: number, bytes: Buffer): void } };
  close(): void;
}

export interface FloodingDevice {
  readonly port: number;
  readonly hostKey: string;
  /** Bytes of TCP that it has sent over all its connections. */
  sent(): number;
  /** Ends its connections. */
  close(): Promise<void>;
}

const PLAIN = Buffer.alloc(32 * 1024, 'All work and no play makes a dull device.\n');
const HOSTILE = Buffer.alloc(32 * 1024, '\u001b[2J\u202e\u0000\u009b31m\r\n');

/**
 * A device whose command is how it floods: `stdout`, `stderr`, `both`, `single bytes`, `ignores close` (goes on after the channel was
 * closed, with window), `ignores all` (neither close nor window). `fine` answers `done`, `split` sends UTF-8 byte by byte and the last
 * rune by half, `fails …` never ends. Login as anybody.
 */
export async function floodingDevice(): Promise<FloodingDevice> {
  const keys = ed25519Key('flooding');
  const sockets = new Set<net.Socket>();
  let gone = 0;
  const server = new ssh2.Server({ hostKeys: [keys.private] }, connection => {
    const socket = (connection as unknown as { readonly _sock: net.Socket })._sock;
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      gone += socket.bytesWritten;
    });
    connection.on('error', () => {});
    connection.on('authentication', context => context.accept());
    connection.on('session', accept => {
      accept().on('exec', (granted, _refused, { command }) => flood(granted(), socket, command));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    hostKey: fingerprintOf(Buffer.from(keys.public.split(' ')[1] ?? '', 'base64')),
    sent: () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, gone),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>(resolve => void server.close(() => resolve()));
    },
  };
}

function flood(channel: ssh2.ServerChannel, socket: net.Socket, how: string): void {
  channel.on('error', () => {});
  channel.resume();
  if (how === 'fine') {
    channel.write('done\n');
    channel.exit(0);
    channel.end();
    return;
  }
  if (how.startsWith('fails')) return;
  if (how === 'split') {
    for (const byte of Buffer.from('\u4e2d\u{1f600}'.repeat(500))) channel.write(Buffer.of(byte));
    channel.write(Buffer.of(0xff, 0xe2, 0x82, 0x21));
    channel.exit(0);
    channel.end();
    return;
  }
  const wire = channel as unknown as Wire;
  if (how.startsWith('ignores')) wire.close = () => {};
  const { _protocol: protocol } = wire._client;
  const bytes = how === 'single bytes' ? Buffer.from('x') : how === 'stderr' ? HOSTILE : PLAIN;
  let open = true;
  channel.once('close', () => {
    open = how.startsWith('ignores');
  });
  const streams = how === 'both' ? [channel, channel.stderr] : how === 'stderr' ? [channel.stderr] : [channel];
  let turn = 0;
  const pump = (): void => {
    if (socket.destroyed || !open) return;
    for (let i = 0; i < 64 && !socket.writableNeedDrain; i++) {
      const stream = streams[turn++ % streams.length] as NodeJS.WritableStream & { writableNeedDrain: boolean };
      if (how.startsWith('ignores')) protocol.channelData(wire.outgoing.id, bytes);
      else if (!stream.writableNeedDrain) stream.write(bytes);
    }
    setImmediate(pump);
  };
  pump();
}
