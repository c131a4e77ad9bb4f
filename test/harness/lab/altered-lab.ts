import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import ssh2 from 'ssh2';
import { parse, stringify } from 'yaml';
import { ed25519Key } from '../../../emulators/device/ed25519-key.ts';
import { fingerprintOf } from '../../../emulators/device/ssh-server.ts';

/** What a device answered to one command. */
export interface Answered {
  readonly device: string;
  readonly command: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
}

export interface AlteredLab {
  /** An inventory beside the lab's own, whose SSH goes through here. */
  readonly inventory: string;
  close(): Promise<void>;
}

/** What of an inventory is rewritten. */
interface Rewritten {
  credentials: Record<string, object>;
  readonly devices: Record<string, { ssh: { port: number; hostKey: string; credentials: string } }>;
}

/**
 * A lab whose devices answer as `alter` says: an SSH server before each device of an emulated lab passes commands on and changes what
 * comes back. It lets anybody in who shows `passwords` or any key.
 *
 * @param logins credentials beside those of the lab, and which of them a device uses
 */
export async function alteredLab(options: {
  readonly inventory: string;
  readonly passwords: readonly string[];
  readonly credentials: Readonly<Record<string, object>>;
  readonly credentialOf: (device: string) => string;
  readonly alter: (answer: Answered) => Answered;
}): Promise<AlteredLab> {
  const folder = path.dirname(options.inventory);
  const key = await readFile(path.join(folder, 'id_ed25519'), 'utf8');
  const lab = parse(await readFile(options.inventory, 'utf8')) as Rewritten & {
    readonly credentials: { readonly ssh: { readonly user: string } };
  };
  const user = lab.credentials.ssh.user;
  const own = ed25519Key('altered');
  const hostKey = fingerprintOf(Buffer.from(own.public.split(' ')[1] ?? '', 'base64'));
  const closers: (() => void)[] = [];
  for (const [device, entry] of Object.entries(lab.devices)) {
    const behind = { host: '127.0.0.1', port: entry.ssh.port, username: user, privateKey: key };
    const server = new ssh2.Server({ hostKeys: [own.private] }, connection => {
      const client = new ssh2.Client();
      client.on('error', () => connection.end());
      client.once('close', () => connection.end());
      const ready = new Promise<void>(resolve => {
        client.once('ready', () => {
          client.setNoDelay(true);
          resolve();
        });
      });
      client.connect(behind);
      connection.on('error', () => {});
      connection.once('close', () => client.end());
      (connection as unknown as { setNoDelay(on: boolean): void }).setNoDelay(true);
      connection.on('authentication', context => {
        if (context.method === 'publickey') return context.accept();
        if (context.method === 'password' && options.passwords.includes(context.password)) return context.accept();
        context.reject(['publickey', 'password']);
      });
      connection.on('session', accept => {
        accept().on('exec', (granted, _refused, { command }) => {
          const channel = granted();
          void ready.then(() => passOn(client, channel, { device, command, alter: options.alter }));
        });
      });
      closers.push(() => {
        connection.end();
        client.end();
      });
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => void server.close());
    entry.ssh = {
      ...entry.ssh,
      port: (server.address() as AddressInfo).port,
      hostKey,
      credentials: options.credentialOf(device),
    };
  }
  lab.credentials = { ...lab.credentials, ...options.credentials };
  const inventory = path.join(folder, 'altered.yaml');
  await writeFile(inventory, stringify(lab));
  return {
    inventory,
    close() {
      for (const close of closers) close();
      return Promise.resolve();
    },
  };
}

function passOn(
  client: ssh2.Client,
  channel: ssh2.ServerChannel,
  {
    device,
    command,
    alter,
  }: { readonly device: string; readonly command: string; readonly alter: (answer: Answered) => Answered },
): void {
  channel.on('error', () => {});
  client.exec(command, (error, behind) => {
    if (error) return channel.close();
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    behind.on('data', (bytes: Buffer) => out.push(bytes));
    behind.stderr.on('data', (bytes: Buffer) => err.push(bytes));
    let code: number | null = null;
    behind.on('exit', (given: number | null) => {
      code = given;
    });
    behind.on('close', () => {
      const text = (parts: readonly Buffer[]): string => Buffer.concat(parts).toString('utf8');
      const answer = alter({ device, command, stdout: text(out), stderr: text(err), code });
      if (answer.stderr !== '') channel.stderr.write(answer.stderr);
      channel.write(answer.stdout, () => {
        if (answer.code !== null) channel.exit(answer.code);
        channel.end();
      });
    });
    channel.on('data', (bytes: Buffer) => void behind.write(bytes));
    channel.on('end', () => behind.end());
  });
}
