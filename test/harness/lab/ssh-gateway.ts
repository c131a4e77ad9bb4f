import net from 'node:net';
import { startSshServer } from '../../../emulators/device/ssh-server.ts';
import type { Shell } from '../../../harness/drivers/ssh.ts';

/** Stands before devices with one host key, as boxes of one cloned image do. What is asked of it, it asks of a device. */
export interface SshGateway {
  readonly port: number;
  /** What was sent through it that is meant to change something, with how it ended. */
  readonly writes: readonly { readonly command: string; readonly code: number | null }[];
  close(): Promise<void>;
}

const CHANGES =
  /guard\S* (?:take|renew|write|arm|job|disarm|undo|release)\b|^(?:sudo )?(?:config|reboot|ip link|tc qdisc replace)\b/;

export async function sshGateway(options: {
  readonly to: Shell;
  readonly user: string;
  /** Private key of the gateway, OpenSSH text. */
  readonly hostKey: string;
  readonly authorizedKey: string;
}): Promise<SshGateway> {
  const writes: { command: string; code: number | null }[] = [];
  const server = await startSshServer({
    device: {
      name: options.to.device,
      prompt: '$ ',
      exec(command, done) {
        const answer = (code: number | null, stdout: string, stderr: string): void => {
          if (CHANGES.test(command)) writes.push({ command, code });
          done({ stdout, stderr, code: code ?? 255 });
        };
        options.to.run(command).then(
          ({ exitCode, stdout, stderr }) => answer(exitCode, stdout, stderr),
          (error: Error) => answer(null, '', error.message),
        );
      },
    },
    port: 0,
    user: options.user,
    hostKey: options.hostKey,
    authorizedKeys: [options.authorizedKey],
  });
  return { port: server.port, writes, close: () => server.close() };
}

/** An address that can be given to another box: whoever is connected is cut off, and the next one comes there. */
export interface MovableAddress {
  readonly port: number;
  move(toPort: number): void;
  close(): void;
}

export async function movableAddress(toPort: number): Promise<MovableAddress> {
  let to = toPort;
  const sockets = new Set<net.Socket>();
  const server = net.createServer(near => {
    const far = net.connect(to, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as net.AddressInfo).port,
    move(next) {
      to = next;
      cut();
    },
    close() {
      cut();
      server.close();
    },
  };
}
