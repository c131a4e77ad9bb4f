import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import dgram from 'node:dgram';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import { deviceGuard } from '../../../harness/drivers/device-guard.ts';
import { GPU_NODE_WRITES, gpuNode } from '../../../harness/drivers/gpu-node.ts';
import { parseIpLink, parseTcQdisc } from '../../../harness/drivers/linux/iproute2.ts';
import { ifMib } from '../../../harness/drivers/if-mib.ts';
import { netemSpan } from '../../../harness/drivers/netem-span.ts';
import { connectSnmp, receiveTraps, type SnmpOptions, snmpText, type Trap } from '../../../harness/drivers/snmp.ts';
import { connectSsh, fetchHostKey, type Shell } from '../../../harness/drivers/ssh.ts';
import { measureRefresh, octetsOf } from '../../../harness/lab/measure-refresh.ts';
import { StaleSamples } from '../../../harness/lab/stale-samples.ts';
import { openGuard } from './open-guard.ts';
import { openSshd, type OpenSshd } from './open-sshd.ts';

/** Why a test of a program is skipped, or false. */
const needs = (...programs: readonly string[]): string | false => {
  const missing = programs.filter(
    program => !['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some(folder => existsSync(path.join(folder, program))),
  );
  return missing.length > 0 ? `not installed: ${missing.join(', ')}` : false;
};

const folder = (t: Test): string => {
  const made = mkdtempSync(path.join(os.tmpdir(), 'farspan-test-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
};
const tcpPort = (): Promise<number> =>
  new Promise(resolve => {
    const server = net.createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
const udpPort = (): Promise<number> =>
  new Promise(resolve => {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
/** A child that is ended, by its id, at the end of the test. */
const child = (t: Test, program: string, words: readonly string[], env = process.env): ChildProcess => {
  const running = spawn(program, words, { stdio: 'ignore', env });
  t.teardown(async () => {
    if (running.exitCode !== null) return;
    running.kill('SIGTERM');
    await Promise.race([new Promise(resolve => running.once('exit', resolve)), sleep(2000)]);
  });
  return running;
};
const until = async (what: string, work: () => Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 100; i++) {
    if (await work().catch(() => false)) return;
    await sleep(50);
  }
  throw new Error(`${what} did not come up within 5 s`);
};

/** sshd for this test. */
const sshd = async (t: Test): Promise<OpenSshd> => {
  const server = await openSshd();
  t.teardown(() => server.close());
  return server;
};

const login = async (t: Test, server: OpenSshd): Promise<Shell> => {
  const shell = await connectSsh({
    device: 'debian',
    host: '127.0.0.1',
    deadlineMs: 8000,
    ...server,
  });
  t.teardown(() => shell.close());
  return shell;
};

void t.test(
  'OpenSSH of Debian: commands run, and its key has the fingerprint that ssh-keygen prints',
  { skip: openSshd.missing() },
  async t => {
    const server = await sshd(t);
    t.equal(await fetchHostKey('127.0.0.1', server.port, 3000), server.hostKey);
    const shell = await login(t, server);
    t.match(await shell.run('echo out; echo err >&2; exit 7'), { exitCode: 7, stdout: 'out\n', stderr: 'err\n' });
    t.match(await shell.run("printf 'a\\033[31mb'"), { stdout: 'a\\x1b[31mb' });
    t.equal((await shell.run('head -c 3000000 /dev/zero | tr "\\0" x')).stdout.length, 3_000_000);
    t.match(await shell.run('cat', { stdin: 'through' }), { stdout: 'through' });
    const flood = await shell.run('yes', { maxBytes: 50_000 });
    t.match(flood, { truncated: true });
    const killed = await shell.run('kill -9 $$');
    t.equal(killed.exitCode, null, 'ended by a signal is no exit code');
    await t.rejects(shell.run('sleep 5', { deadlineMs: 300 }), { message: /no end within 300 ms/ });
    await t.rejects(
      connectSsh({
        device: 'debian',
        host: '127.0.0.1',
        user: os.userInfo().username,
        password: 'x',
        deadlineMs: 5000,
        port: server.port,
        hostKey: server.hostKey,
      }),
      {
        message: /was not let in/,
      },
    );
    const span = netemSpan({
      name: 'box',
      shell,
      guard: openGuard(shell),
      rateBps: 1e9,
      interfaces: { a: 'lo', b: 'lo' },
    });
    if (needs('tc', 'ip') === false) {
      const state = await span.read('a-to-b');
      t.match(state, { light: true, delayNs: 0, loss: 0 }, 'the loopback interface as iproute2 prints it');
      t.match(state.raw, /^lo UNKNOWN, /);
      const [before, after] = [await span.counters('a-to-b'), (await shell.run('true'), await span.counters('a-to-b'))];
      t.ok(after.packets > before.packets && after.bytes > before.bytes, 'SSH over loopback is counted there');
    }
  },
);

void t.test(
  'iperf3 of Debian: a probe between two ends that are stopped by the harness counts every packet',
  { skip: openSshd.missing() || needs('iperf3') },
  async t => {
    const server = await sshd(t);
    const shell = await login(t, server);
    // The true guard, in /run/farspan of this machine.
    const guard = deviceGuard({ shell, allowed: GPU_NODE_WRITES, ttlS: 60 });
    const { lease } = await guard.survey();
    await guard.take({ marker: { token: 1, lease: 'iperf3' }, expected: lease, holder: 'the tests' });
    t.teardown(() => guard.release());
    const host = gpuNode({ name: 'debian', shell, guard, nic: 'lo' });
    const [port, sourcePort] = [await tcpPort(), await udpPort()];
    const receiver = await host.receiveProbe({ port });
    const began = performance.now();
    const probe = await host.startProbe({ target: '127.0.0.1', sourcePort, packetsPerSecond: 1000, receiver });
    await sleep(1000);
    const { sent, received } = await probe.stop();
    const seconds = (performance.now() - began) / 1000;
    t.ok(
      sent > 500 && sent < 1000 * (seconds + 0.5),
      `${sent} packets sent in at most ${seconds.toFixed(2)} s at 1000/s`,
    );
    t.ok(received <= sent && received > sent * 0.98, `${received} of ${sent} received over loopback`);
    t.strictSame(await probe.stop(), { sent, received }, 'stopping twice gives the same');
    const unused = await host.receiveProbe({ port: await tcpPort() });
    await unused.stop();
    await unused.stop();
    const busy = await host.receiveProbe({ port: await tcpPort() });
    t.teardown(() => busy.stop());
    // Nobody listens at that port. A sender that is seen to have ended at once fails there, a slower one when it is stopped: never in silence.
    const early = host.startProbe({
      target: '127.0.0.1',
      sourcePort,
      packetsPerSecond: 1000,
      receiver: { ...busy, port: await tcpPort() },
    });
    await t.rejects(
      early.then(async late => {
        await sleep(200);
        return late.stop();
      }),
      { message: /refused|unable to connect/ },
    );
  },
);

void t.test('iproute2 of Debian prints what the parsers read', { skip: needs('ip', 'tc') }, async t => {
  const link = parseIpLink(execFileSync('ip', ['-j', '-s', 'link', 'show', 'dev', 'lo'], { encoding: 'utf8' }));
  t.match(link, { name: 'lo', operstate: 'UNKNOWN' });
  t.ok(link.flags.includes('LOOPBACK'));
  const counted = readFileSync('/sys/class/net/lo/statistics/rx_bytes', 'utf8').trim();
  t.ok(link.rxBytes !== null && link.rxBytes <= BigInt(counted), `${link.rxBytes} then, ${counted} now`);
  t.ok(link.rxBytes !== null && link.rxBytes > 0n);
  t.equal(link.mtuBytes, Number(readFileSync('/sys/class/net/lo/mtu', 'utf8')));
  const qdisc = parseTcQdisc(execFileSync('tc', ['-j', '-s', 'qdisc', 'show', 'dev', 'lo'], { encoding: 'utf8' }));
  t.type(qdisc.kind, 'string');
});

/** snmpd as it comes with Debian: community `lab`, v3 user `keeper`. */
async function snmpd(t: Test): Promise<Pick<SnmpOptions, 'device' | 'host' | 'port' | 'deadlineMs'>> {
  const at = folder(t);
  const port = await udpPort();
  writeFileSync(
    path.join(at, 'snmpd.conf'),
    [
      `agentAddress udp:127.0.0.1:${port}`,
      'rocommunity lab 127.0.0.1',
      'createUser keeper SHA-256 "authkey-secret" AES "privkey-secret"',
      'rouser keeper authPriv',
      'sysName farspan-\u00fcber',
      'sysLocation rack 7',
      '',
    ].join('\n'),
  );
  child(
    t,
    '/usr/sbin/snmpd',
    [
      '-f',
      '-C',
      '-c',
      path.join(at, 'snmpd.conf'),
      '-Lf',
      path.join(at, 'log'),
      '-p',
      path.join(at, 'pid'),
      '-I',
      '-smux',
    ],
    {
      ...process.env,
      SNMP_PERSISTENT_DIR: at,
    },
  );
  const settings = { device: 'debian', host: '127.0.0.1', port, deadlineMs: 4000 };
  const probe = connectSnmp({ ...settings, as: { community: 'lab' }, deadlineMs: 400, retryAfterMs: 100 });
  await until('snmpd', async () => (await probe.get(['1.3.6.1.2.1.1.3.0'])).size === 1);
  probe.close();
  return settings;
}

void t.test('snmpd of Debian: v2c and v3 read the same, and wrong keys are told', { skip: needs('snmpd') }, async t => {
  const settings = await snmpd(t);
  const keeper = {
    name: 'keeper',
    auth: { protocol: 'sha256', key: 'authkey-secret' },
    priv: { protocol: 'aes128', key: 'privkey-secret' },
  } as const;
  const plain = connectSnmp({ ...settings, as: { community: 'lab' } });
  const secret = connectSnmp({ ...settings, as: { user: keeper } });
  t.teardown(() => {
    plain.close();
    secret.close();
  });
  for (const session of [plain, secret]) {
    const found = await session.get([
      '1.3.6.1.2.1.1.5.0',
      '1.3.6.1.2.1.1.3.0',
      '1.3.6.1.2.1.1.99.0',
      '1.3.6.1.2.1.31.1.1.1.6.1',
    ]);
    t.equal(snmpText(found.get('1.3.6.1.2.1.1.5.0')), 'farspan-\u00fcber');
    t.type(found.get('1.3.6.1.2.1.1.3.0'), 'number');
    t.equal(found.get('1.3.6.1.2.1.1.99.0'), null);
    const counted = BigInt(readFileSync('/sys/class/net/lo/statistics/rx_bytes', 'utf8').trim());
    const octets = found.get('1.3.6.1.2.1.31.1.1.1.6.1');
    t.type(octets, 'bigint', 'ifHCInOctets of lo is 64 bits wide');
    t.ok((octets as bigint) <= counted && (octets as bigint) > 0n, `${String(octets)} then, ${counted} now`);
    const rows = await session.table('1.3.6.1.2.1.2.2.1', [1, 2, 8]);
    t.equal(snmpText(rows.get('1')?.[2]), 'lo');
    t.ok((await session.walk('1.3.6.1.2.1.1')).size >= 7, 'the system group');
  }
  if (needs('snmpbulkwalk') === false) {
    const walked = execFileSync(
      'snmpbulkwalk',
      ['-v2c', '-clab', '-On', '-Oq', `127.0.0.1:${settings.port}`, '1.3.6.1.2.1.2.2.1.2'],
      { encoding: 'utf8' },
    );
    t.strictSame(
      [...(await plain.walk('1.3.6.1.2.1.2.2.1.2'))].map(([oid, value]) => `.${oid} ${snmpText(value)}`),
      walked
        .trim()
        .split('\n')
        .map(line => line.replaceAll('"', '')),
      'the same walk as snmpbulkwalk',
    );
  }
  const wrongKey = connectSnmp({
    ...settings,
    as: { user: { ...keeper, auth: { protocol: 'sha256', key: 'another-secret' } } },
    deadlineMs: 2000,
  });
  const nobody = connectSnmp({ ...settings, as: { user: { ...keeper, name: 'nobody' } }, deadlineMs: 2000 });
  t.teardown(() => {
    wrongKey.close();
    nobody.close();
  });
  for (const session of [wrongKey, nobody]) {
    const error = await session.get(['1.3.6.1.2.1.1.3.0']).then(
      () => undefined,
      (failed: unknown) => failed,
    );
    t.type(error, DeviceError);
    t.match((error as DeviceError).advice, /SNMPv3 user, protocols or keys differ|snmpd runs and knows the user/);
  }
});

void t.test(
  'snmpd of Debian caches its counters: the period is measured, and a sample within it is held back',
  { skip: needs('snmpd') },
  async t => {
    const session = connectSnmp({ ...(await snmpd(t)), as: { community: 'lab' } });
    t.teardown(() => session.close());
    const now = async (): Promise<number> => performance.now() * 1e6;
    // The polls themselves are the traffic: lo counts them.
    const refresh = await measureRefresh({
      read: () => octetsOf(session),
      now,
      wait: ns => sleep(ns / 1e6),
      pollNs: 100e6,
    });
    t.comment(JSON.stringify(refresh));
    if (refresh.missing !== undefined) throw new Error(refresh.missing);
    t.ok(refresh.leastNs <= 3.1e9 && refresh.mostNs >= 2.9e9, 'net-snmp holds ifTable for 3 s');
    const mib = ifMib({ session, isPort: name => name === 'lo' });
    const stale = new StaleSamples(() => refresh.mostNs);
    const held: boolean[] = [];
    for (let i = 0; i < 3; i++) {
      held.push(stale.isHeld('debian', { ports: await mib.read(['lo']), atNs: await now() }));
      await sleep(50);
    }
    t.ok(
      held.filter(isHeld => isHeld).length >= 1,
      `of three samples in 0.1 s these came out of the cache: ${held.join(', ')}`,
    );
    const vouched = (await mib.read(['lo'])).get('lo')?.vouched;
    t.match(vouched, { ifIndex: 1, boots: 1, discontinuityTicks: 0 }, 'what vouches came in the same answer');
    t.ok((vouched?.upTicks ?? 0) > 500, `sysUpTime ${vouched?.upTicks} ticks`);
    t.strictSame(
      [...(await mib.widths(['lo'])).values()].map(({ bits }) => bits),
      [64],
    );
  },
);

void t.test(
  'snmptrap and snmpinform of net-snmp arrive, v2c and v3',
  { skip: needs('snmptrap', 'snmpinform') },
  async t => {
    const traps: Trap[] = [];
    const bad: string[] = [];
    const receiver = await receiveTraps({
      port: 0,
      communities: ['lab'],
      v3users: [
        {
          name: 'keeper',
          auth: { protocol: 'sha256', key: 'authkey-secret' },
          priv: { protocol: 'aes128', key: 'privkey-secret' },
        },
      ],
      onTrap: trap => void traps.push(trap),
      onBad: why => void bad.push(why),
    });
    t.teardown(() => receiver.close());
    const to = `127.0.0.1:${receiver.port}`;
    const send = (program: string, ...words: readonly string[]): Promise<number | null> =>
      new Promise(resolve => {
        spawn(program, words, { stdio: 'ignore', env: { ...process.env, SNMP_PERSISTENT_DIR: os.tmpdir() } }).once(
          'exit',
          resolve,
        );
      });
    const linkDown = ['', '1.3.6.1.6.3.1.1.5.3', '1.3.6.1.2.1.2.2.1.1.5', 'i', '5'];
    await send('snmptrap', '-v2c', '-c', 'lab', to, ...linkDown);
    t.equal(await send('snmpinform', '-v2c', '-c', 'lab', to, ...linkDown), 0, 'an inform is acknowledged');
    const v3 = [
      '-v3',
      '-l',
      'authPriv',
      '-u',
      'keeper',
      '-a',
      'SHA-256',
      '-A',
      'authkey-secret',
      '-x',
      'AES',
      '-X',
      'privkey-secret',
    ];
    await send('snmptrap', ...v3, '-e', '0x8000000001020304', to, ...linkDown);
    await send('snmptrap', '-v2c', '-c', 'stranger', to, ...linkDown);
    await sleep(200);
    t.strictSame(
      traps.map(({ version, inform, oid }) => [version, inform, oid]),
      [
        ['2c', false, '1.3.6.1.6.3.1.1.5.3'],
        ['2c', true, '1.3.6.1.6.3.1.1.5.3'],
        ['3', false, '1.3.6.1.6.3.1.1.5.3'],
      ],
    );
    t.equal(traps[0]?.values.get('1.3.6.1.2.1.2.2.1.1.5'), 5);
    t.ok(
      bad.some(why => why.includes('community')),
      'the stranger is refused, and told of',
    );
  },
);
