import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetchHostKey } from '../../../harness/drivers/ssh.ts';

/** sshd as it comes with Debian, on loopback, letting this user in by a key of its own. */
export interface OpenSshd {
  readonly port: number;
  readonly user: string;
  readonly key: Buffer;
  /** As an inventory pins it. */
  readonly hostKey: string;
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** @param options.apart in a pid namespace of its own: it sees no process of the machine but its own */
export async function openSshd(options: { readonly apart?: boolean } = {}): Promise<OpenSshd> {
  const at = mkdtempSync(path.join(os.tmpdir(), 'farspan-sshd-'));
  for (const name of ['host', 'user'])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path.join(at, name)]);
  mkdirSync('/run/sshd', { recursive: true });
  const port = await freePort();
  writeFileSync(
    path.join(at, 'config'),
    [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${path.join(at, 'host')}`,
      `AuthorizedKeysFile ${path.join(at, 'user.pub')}`,
      'PermitRootLogin prohibit-password',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'UsePAM no',
      'StrictModes no',
      `SetEnv HOME=${at}`,
      `PidFile ${path.join(at, 'pid')}`,
      '',
    ].join('\n'),
  );
  const daemon = ['/usr/sbin/sshd', '-D', '-f', path.join(at, 'config')];
  const [program = '', ...words] =
    options.apart === true ? ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', ...daemon] : daemon;
  const child = spawn(program, words, { stdio: 'ignore' });
  const end = performance.now() + 20_000;
  while ((await fetchHostKey('127.0.0.1', port, 500).catch(() => '')) === '') {
    if (performance.now() > end || child.exitCode !== null) throw new Error('sshd did not come up within 20 s');
    await sleep(50);
  }
  const listed = execFileSync('ssh-keygen', ['-lf', path.join(at, 'host.pub')], { encoding: 'utf8' });
  return {
    port,
    user: os.userInfo().username,
    key: readFileSync(path.join(at, 'user')),
    hostKey: listed.split(' ')[1] ?? '',
    async close() {
      if (child.exitCode === null) {
        const gone = new Promise(resolve => child.once('exit', resolve));
        // unshare leaves a SIGTERM to its child, and a busy machine leaves it late: nothing of it is worth a gentle end.
        child.kill('SIGKILL');
        await Promise.race([gone, sleep(2000)]);
        // It must not keep the test from ending.
        child.unref();
      }
      rmSync(at, { recursive: true, force: true });
    },
  };
}

/** Why it can not be opened here; false when it can. */
openSshd.missing = (): string | false => {
  const missing = ['sshd', 'ssh-keygen', 'setsid', 'flock', 'pgrep'].filter(
    program => !['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some(folder => existsSync(path.join(folder, program))),
  );
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  return process.getuid?.() === 0 ? false : 'sshd can let in only its own user without root; run as root';
};
