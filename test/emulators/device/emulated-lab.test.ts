import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import snmp from 'net-snmp';
import t from 'tap';
import { parse } from 'yaml';
import { type EmulatedLab, startEmulatedLab } from '../../../emulators/device/emulated-lab.ts';
import provider from '../../../emulators/device/provider.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import { cable } from '../../../harness/model/topology.ts';

const run = promisify(execFile);
const onPath = (program: string): boolean =>
  (process.env['PATH'] ?? '').split(path.delimiter).some(folder => existsSync(path.join(folder, program)));
const skipSsh = onPath('ssh') ? false : 'the ssh client is not installed';
const skipSnmp = onPath('snmpbulkwalk') ? false : 'snmpbulkwalk is not installed';

/** Two sites of one switch and two hosts each, one span of 80 km: 391.79 us one way. */
const topology: Topology = {
  name: 'pair',
  sites: ['a', 'b'],
  hosts: ['a-host-1', 'a-host-2', 'b-host-1', 'b-host-2'].map(name => ({ kind: 'host', name, site: name.slice(0, 1) })),
  switches: ['a', 'b'].map(site => ({ kind: 'switch', name: `${site}-spine-1`, site, role: 'spine' })),
  links: ['a-host-1', 'a-host-2', 'b-host-1', 'b-host-2'].map(host =>
    cable(
      { node: host, port: 'eth0' },
      { node: `${host.slice(0, 1)}-spine-1`, port: host.slice(2) },
      '100 Gb/s',
      '20 m',
    ),
  ),
  spans: {
    north: {
      kind: 'span',
      name: 'north',
      ends: [
        { node: 'a-spine-1', port: 'span' },
        { node: 'b-spine-1', port: 'span' },
      ],
      rate: '400 Gb/s',
      length: '80 km',
    },
  },
  settings: DEFAULT_FABRIC,
};
const RANKS = '198.18.0.1,198.18.0.2,198.18.0.3,198.18.0.4';
const startJob = (file: string): string =>
  `setsid nohup mpirun -np 4 -H ${RANKS} all_reduce_perf -b 1048576 -e 1048576 -g 1 -n 1 -w 0 -N 0 -c 1 > ${file} 2>&1 < /dev/null & echo $!`;

interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
}

const folder = mkdtempSync(path.join(tmpdir(), 'farspan-test-'));
const lab: EmulatedLab = await startEmulatedLab({ topology, seed: 1, directory: path.join(folder, 'lab') });
t.teardown(async () => {
  await lab.close();
  rmSync(folder, { recursive: true, force: true });
});

const portOf = (device: string, kind: 'sshPort' | 'snmpPort' = 'sshPort'): number =>
  lab.devices.find(({ name }) => name === device)?.[kind] ?? 0;

/** Debian's own ssh client, as a person would call it. */
async function ssh(device: string, command: string): Promise<Answer> {
  const { keyFile, knownHostsFile, user } = lab.secrets;
  const options = [
    'BatchMode=yes',
    'IdentitiesOnly=yes',
    `UserKnownHostsFile=${knownHostsFile}`,
    'GlobalKnownHostsFile=/dev/null',
    'StrictHostKeyChecking=yes',
    'ConnectTimeout=5',
  ];
  const args = [
    '-F',
    '/dev/null',
    '-p',
    String(portOf(device)),
    '-i',
    keyFile,
    ...options.flatMap(option => ['-o', option]),
    `${user}@127.0.0.1`,
    command,
  ];
  try {
    return { ...(await run('ssh', args, { timeout: 20_000 })), code: 0 };
  } catch (error) {
    const { stdout = '', stderr = '', code } = error as { stdout?: string; stderr?: string; code?: number };
    return { stdout, stderr, code: typeof code === 'number' ? code : -1 };
  }
}

async function post(body: object): Promise<{ ns: number; met: boolean }> {
  const response = await fetch(`${lab.clockUrl}/elapse`, { method: 'POST', body: JSON.stringify(body) });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as { ns: number; met: boolean };
}
const elapse = (forNs: number): Promise<{ ns: number; met: boolean }> => post({ forNs });

void t.test('the inventory names every device, and secrets are readable by their owner only', t => {
  const inventory = parse(readFileSync(lab.inventory, 'utf8')) as {
    devices: Record<string, { driver: string; address?: string }>;
    links: { ends: string[] }[];
    spans: object[];
  };
  t.same(
    Object.entries(inventory.devices).map(([name, { driver, address }]) => [name, driver, address]),
    [
      ['a-spine-1', 'sonic', '198.19.0.1'],
      ['b-spine-1', 'sonic', '198.19.0.2'],
      ['a-host-1', 'gpu-node', '198.18.0.1'],
      ['a-host-2', 'gpu-node', '198.18.0.2'],
      ['b-host-1', 'gpu-node', '198.18.0.3'],
      ['b-host-2', 'gpu-node', '198.18.0.4'],
      ['span-north', 'netem-span', undefined],
    ],
  );
  t.same(
    inventory.links.map(({ ends }) => ends),
    [
      ['a-host-1 eth0', 'a-spine-1 Ethernet0'],
      ['a-host-2 eth0', 'a-spine-1 Ethernet4'],
      ['b-host-1 eth0', 'b-spine-1 Ethernet0'],
      ['b-host-2 eth0', 'b-spine-1 Ethernet4'],
    ],
  );
  t.match(inventory.spans, [
    {
      name: 'north',
      device: 'span-north',
      ends: ['a-spine-1 Ethernet8', 'b-spine-1 Ethernet8'],
      rate: '400 Gb/s',
      length: '80 km',
    },
  ]);
  for (const file of ['id_ed25519', 'community', 'snmp-auth', 'snmp-priv'])
    t.equal(statSync(path.join(folder, 'lab', file)).mode & 0o777, 0o600, file);
  t.end();
});

void t.test(
  "Debian's ssh client runs commands on a switch, and a wrong one ends with bash's 127",
  { skip: skipSsh },
  async t => {
    const status = await ssh('a-spine-1', 'show interfaces status');
    t.equal(status.code, 0);
    t.same(
      status.stdout
        .split('\n')
        .filter(line => line.includes('Ethernet'))
        .map(line =>
          line
            .trim()
            .split(/ +/)
            .filter((_, i) => [0, 2, 7, 8].includes(i)),
        ),
      [
        ['Ethernet0', '100G', 'up', 'up'],
        ['Ethernet4', '100G', 'up', 'up'],
        ['Ethernet8', '400G', 'up', 'up'],
      ],
    );
    const wrong = await ssh('a-spine-1', 'nosuchcommand --now');
    t.equal(wrong.code, 127);
    t.match(wrong.stderr, 'nosuchcommand: command not found');
    t.equal((await ssh('a-spine-1', 'show nonsense')).code, 2);
    t.equal((await ssh('a-spine-1', 'config interface shutdown Ethernet99')).code, 2);
    const uptime = await ssh('a-host-1', 'cat /proc/uptime');
    t.equal(uptime.stdout, '0.00 0.00\n', 'nobody has moved time yet');
  },
);

void t.test('a key that is not allowed and a host key that is not pinned are refused', { skip: skipSsh }, async t => {
  const { knownHostsFile } = lab.secrets;
  const args = [
    '-F',
    '/dev/null',
    '-p',
    String(portOf('a-host-1')),
    '-o',
    'BatchMode=yes',
    '-o',
    'IdentityFile=/dev/null',
    '-o',
    'IdentitiesOnly=yes',
    '-o',
    `UserKnownHostsFile=${knownHostsFile}`,
    '-o',
    'StrictHostKeyChecking=yes',
  ];
  await t.rejects(run('ssh', [...args, 'farspan@127.0.0.1', 'hostname'], { timeout: 10_000 }), /Permission denied/);
  await t.rejects(
    run('ssh', [...args.map(arg => arg.replace(knownHostsFile, '/dev/null')), 'farspan@127.0.0.1', 'hostname'], {
      timeout: 10_000,
    }),
    /Host key verification failed/,
  );
});

void t.test('a person gets a shell with a prompt', { skip: skipSsh }, async t => {
  const { keyFile, knownHostsFile } = lab.secrets;
  const child = spawn(
    'ssh',
    [
      '-F',
      '/dev/null',
      '-tt',
      '-p',
      String(portOf('a-host-1')),
      '-i',
      keyFile,
      '-o',
      'BatchMode=yes',
      '-o',
      `UserKnownHostsFile=${knownHostsFile}`,
      'farspan@127.0.0.1',
    ],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  let seen = '';
  child.stdout.on('data', chunk => (seen += String(chunk)));
  child.stdin.end('hostnamme\u007f\u007fe\rexit\r');
  const [code] = (await once(child, 'close')) as [number];
  t.equal(code, 0);
  t.match(seen, 'root@a-host-1:~# ');
  t.match(seen, /\r\na-host-1\r\n/, 'hostname, typed with a slip, ran');
});

void t.test(
  'a collective prints a row per two rounds, and the clock stops when the file shows what was asked for',
  { skip: skipSsh },
  async t => {
    const started = await ssh('a-host-1', startJob('/tmp/nccl'));
    const pid = Number(started.stdout);
    t.ok(pid > 1);
    t.equal(
      (await ssh('a-host-1', 'cat /tmp/nccl')).stdout.split('\n').filter(line => /^ +1048576/.test(line)).length,
      0,
      'time stands still',
    );
    const { met, ns } = await post({ host: 'a-host-1', pid, rounds: 3, withinNs: 1e9 });
    t.equal(met, true);
    const text = (await ssh('a-host-1', 'cat /tmp/nccl')).stdout;
    const rows = text
      .split('\n')
      .filter(line => /^ +1048576/.test(line))
      .map(line => line.trim().split(/ +/));
    t.equal(rows.length, 2, 'round 3 stands in the second row');
    t.same(rows[0]?.slice(0, 5), ['1048576', '262144', 'float', 'sum', '-1']);
    const times = rows.flatMap(row => [Number(row[5]), Number(row[9])]);
    t.ok(
      Math.abs(times.reduce((sum, us) => sum + us, 0) * 1e3 - ns) < 100,
      'four rounds without a pause make up all the time that passed',
    );
    // A ring of 4 over 2 sites: 6 steps in series of which some cross 80 km; never faster than 6 x 256 KiB at 100 Gb/s.
    t.ok(
      times.every(us => us > 126),
      'no round is faster than the wire',
    );
    for (const row of rows) {
      const [us, algbw, busbw] = [5, 6, 7].map(i => Number(row[i])) as [number, number, number];
      t.ok(Math.abs(algbw - 1048576 / 1e3 / us) <= 0.0051, 'algbw = bytes / time');
      t.ok(Math.abs(busbw - (1.5 * 1048576) / 1e3 / us) <= 0.0051, 'busbw = algbw x 2 (n - 1) / n, n = 4');
    }
    t.equal((await ssh('a-host-1', `tail -c +${text.length + 1} /tmp/nccl`)).stdout, '', 'nothing is printed twice');
    const late = await post({ host: 'a-host-1', pid, rounds: 1000, withinNs: 1000 });
    t.same(late, { ns: ns + 1000, met: false }, 'the clock does not wait longer than it was told');
    t.equal((await ssh('a-host-1', `kill -0 ${pid}`)).code, 0);
    await ssh('a-host-1', `kill -INT ${pid}`);
    t.equal((await ssh('a-host-1', `kill -0 ${pid}`)).code, 1);
    const bytes = lab.sim.count('a-host-1', 'eth0').txBytes;
    await elapse(10_000_000);
    t.ok(
      lab.sim.count('a-host-1', 'eth0').txBytes - bytes < 2 * 1048576,
      'a killed job sends no more than what it had begun',
    );
    // Factors of nccl-tests' doc/PERFORMANCE.md; the count column is one rank's part in a reduce-scatter and an all-gather.
    for (const [tool, count, redop, factor] of [
      ['reduce_scatter_perf', 65536, 'sum', 0.75],
      ['all_gather_perf', 65536, 'none', 0.75],
      ['broadcast_perf', 262144, 'none', 1],
      ['-x NCCL_ALGO=Tree all_reduce_perf', 262144, 'sum', 1.5],
    ] as const) {
      const [variables, program] = tool.startsWith('-x') ? [tool.slice(0, 18), tool.slice(18)] : ['', tool];
      const started = startJob('/tmp/other')
        .replace('mpirun', `mpirun ${variables}`)
        .replace('all_reduce_perf', program);
      const job = (await ssh('a-host-1', started)).stdout.trim();
      await post({ host: 'a-host-1', pid: Number(job), rounds: 2, withinNs: 1e9 });
      const printed = (await ssh('a-host-1', 'cat /tmp/other')).stdout;
      await ssh('a-host-1', `kill -INT ${job}`);
      const row = printed.split('\n').find(candidate => /^ *1048576 /.test(candidate)) ?? printed;
      const [, elements, , operation, , us, , busbw] = row.trim().split(/\s+/);
      t.strictSame([Number(elements), operation], [count, redop], tool);
      t.ok(Math.abs(Number(busbw) - (factor * 1048576) / 1e3 / Number(us)) <= 0.0051, `${tool}: ${row}`);
    }
    const wrong = await ssh(
      'a-host-1',
      'setsid nohup mpirun -np 2 -H 198.18.0.2,198.18.0.1 all_reduce_perf -b 8 -e 8 > /tmp/w 2>&1 < /dev/null & echo $!',
    );
    t.match((await ssh('a-host-1', 'cat /tmp/w')).stdout, /rank 0 is not a-host-1/);
    t.equal((await ssh('a-host-1', `kill -0 ${wrong.stdout.trim()}`)).code, 1);
  },
);

void t.test(
  'a probe over the span loses nothing, also when it is stopped with packets in flight',
  { skip: skipSsh },
  async t => {
    const server = await ssh('b-host-1', 'setsid nohup iperf3 -s -1 -p 5201 -J > /tmp/s 2>&1 < /dev/null & echo $!');
    const client = await ssh(
      'a-host-1',
      'setsid nohup iperf3 -c 198.18.0.3 -p 5201 --cport 40001 -u -b 20480000 -l 128 -t 0 -J > /tmp/c 2>&1 < /dev/null & echo $!',
    );
    await elapse(10_000_000);
    t.equal((await ssh('b-host-1', `kill -0 ${server.stdout.trim()}; cat /tmp/s`)).stdout, '', '-J writes at the end');
    await ssh('a-host-1', `kill -INT ${client.stdout.trim()}`);
    t.equal((await ssh('b-host-1', `kill -0 ${server.stdout.trim()}`)).code, 1, 'the server serves one test');
    const sent = JSON.parse((await ssh('a-host-1', 'cat /tmp/c')).stdout) as {
      end: { sum_sent: { packets: number } };
      error: string;
    };
    const received = JSON.parse((await ssh('b-host-1', 'cat /tmp/s')).stdout) as {
      end: { sum: { packets: number; lost_packets: number } };
      error: string;
    };
    // 20,000/s for 10 ms.
    t.ok(Math.abs(sent.end.sum_sent.packets - 200) <= 1, String(sent.end.sum_sent.packets));
    t.equal(sent.error, 'interrupt - the client has terminated');
    t.equal(received.end.sum.packets - received.end.sum.lost_packets, sent.end.sum_sent.packets);
    t.equal(received.error, 'the client has terminated');
    const refused = await ssh(
      'a-host-1',
      'setsid nohup iperf3 -c 198.18.0.3 -p 5999 --cport 40001 -u -b 20480000 -l 128 -t 0 -J > /tmp/r 2>&1 < /dev/null & echo $!',
    );
    t.match((await ssh('a-host-1', `cat /tmp/r; kill -0 ${refused.stdout.trim()}`)).stdout, 'Connection refused');
    const route = (await ssh('a-host-1', 'traceroute -n -U -q 1 -w 1 --sport=40001 -p 5201 198.18.0.3')).stdout
      .trim()
      .split('\n')
      .slice(1);
    t.same(
      route.map(line => line.trim().split(/ +/).slice(0, 2)),
      [
        ['1', '198.19.0.1'],
        ['2', '198.19.0.2'],
        ['3', '198.18.0.3'],
      ],
    );
    // 80 km x 1.4682 / c, both ways.
    t.ok(Math.abs(Number(route[1]?.trim().split(/ +/)[2]) - 0.7836) < 0.001, route[1] ?? 'no hop');
  },
);

void t.test(
  'the span box shapes, cuts and heals, and says what it does as iproute2 does',
  { skip: skipSsh },
  async t => {
    const show = async (): Promise<{ options: Record<string, unknown>; drops: number }> =>
      (
        JSON.parse((await ssh('span-north', 'tc -j -s qdisc show dev eth2')).stdout) as {
          options: Record<string, unknown>;
          drops: number;
        }[]
      )[0] as never;
    t.match((await show()).options, { delay: { delay: 0.000391791 } });
    await ssh('span-north', 'tc qdisc replace dev eth2 root netem limit 5000 delay 1500us loss 100%');
    t.match((await show()).options, { limit: 5000, delay: { delay: 0.0015 }, 'loss-random': { loss: 1 } });
    t.match(lab.sim.span('north', 'a-to-b'), { delayPs: 1.5e9, loss: 1 });
    t.match(lab.sim.span('north', 'b-to-a'), { delayPs: 391791044, loss: 0 }, 'the other direction is as it was');
    await ssh('span-north', 'tc qdisc replace dev eth2 root netem limit 5000 delay 391.791us');
    t.equal((await show()).options['loss-random'], undefined, 'replace resets what it does not name');
    t.equal((await ssh('span-north', 'tc qdisc replace dev eth9 root netem delay 1us')).code, 1);
    t.match((await ssh('span-north', 'tc qdisc replace dev eth2 root netem lost 1%')).stderr, 'What is "lost"?');

    await ssh('span-north', 'ip link set dev eth1 down; ip link set dev eth2 down');
    t.match(JSON.parse((await ssh('span-north', 'ip -j -s link show dev eth1')).stdout), [
      { operstate: 'DOWN', flags: ['BROADCAST', 'MULTICAST'] },
    ]);
    await elapse(50_000_000);
    t.match(
      (await ssh('a-spine-1', 'show interfaces status')).stdout,
      /Ethernet8 .* down +up /,
      'both ends see the loss of light',
    );
    t.match((await ssh('b-spine-1', 'show interfaces status')).stdout, /Ethernet8 .* down +up /);
    t.match((await ssh('a-spine-1', 'show ip bgp summary')).stdout, /never +Active +b-spine-1/);
    t.notMatch((await ssh('a-spine-1', 'show lldp table')).stdout, 'b-spine-1');
    await ssh('span-north', 'ip link set dev eth1 up; ip link set dev eth2 up');
    await elapse(200_000_000);
    t.match((await ssh('a-spine-1', 'show interfaces status')).stdout, /Ethernet8 .* up +up /);
  },
);

void t.test('the box flaps by itself on data-plane time until it is killed', { skip: skipSsh }, async t => {
  const started = await ssh(
    'span-north',
    "setsid nohup sh -c 'while :; do ip link set dev eth1 down; ip link set dev eth2 down; sleep 0.002; ip link set dev eth1 up; ip link set dev eth2 up; sleep 0.008; done' > /dev/null 2>&1 < /dev/null & echo $!",
  );
  const light: boolean[] = [];
  for (let ms = 0; ms < 20; ms++) {
    await elapse(500_000);
    light.push(lab.sim.span('north', 'a-to-b').light);
    await elapse(500_000);
  }
  // Looked at 0.5, 1.5, 2.5 … ms after the start: dark for 2 ms of every 10.
  t.same(
    light,
    Array.from({ length: 20 }, (_, ms) => ms % 10 >= 2),
  );
  t.equal((await ssh('span-north', `kill ${started.stdout.trim()}`)).code, 0);
  await elapse(30_000_000);
  t.equal((await ssh('span-north', `kill -0 ${started.stdout.trim()}`)).code, 1);
  const before = lab.sim.span('north', 'a-to-b').light;
  await elapse(30_000_000);
  t.equal(lab.sim.span('north', 'a-to-b').light, before);
  await ssh('span-north', 'ip link set dev eth1 up; ip link set dev eth2 up');
  await elapse(200_000_000);
});

void t.test(
  'snmpbulkwalk reads the switch over v2c and v3, and the lost light of its optics',
  { skip: skipSnmp || skipSsh },
  async t => {
    const { community, user, snmpAuth, snmpPrivacy } = lab.secrets;
    const walk = async (as: readonly string[], oid: string): Promise<readonly string[]> => {
      const { stdout } = await run(
        'snmpbulkwalk',
        ['-m', '', ...as, '-On', '-OQ', '-Oe', `127.0.0.1:${portOf('a-spine-1', 'snmpPort')}`, oid],
        { timeout: 10_000 },
      );
      return stdout
        .trim()
        .split('\n')
        .filter(line => !line.includes('No more variables'));
    };
    const v2 = ['-v2c', '-c', community];
    const v3 = ['-v3', '-l', 'authPriv', '-u', user, '-a', 'SHA-256', '-A', snmpAuth, '-x', 'AES', '-X', snmpPrivacy];
    const names = await walk(v2, '1.3.6.1.2.1.31.1.1.1.1');
    t.same(names, [
      '.1.3.6.1.2.1.31.1.1.1.1.1 = "Ethernet0"',
      '.1.3.6.1.2.1.31.1.1.1.1.2 = "Ethernet4"',
      '.1.3.6.1.2.1.31.1.1.1.1.3 = "Ethernet8"',
    ]);
    t.same(await walk(v3, '1.3.6.1.2.1.31.1.1'), await walk(v2, '1.3.6.1.2.1.31.1.1'), 'v3 sees what v2c sees');
    const [octets] = await walk(v2, '1.3.6.1.2.1.31.1.1.1.6.1');
    t.equal(octets, `.1.3.6.1.2.1.31.1.1.1.6.1 = ${lab.sim.count('a-spine-1', 'host-1').rxBytes}`);
    t.match(await walk(v2, '1.0.8802.1.1.2.1.4.1.1.9'), [/"a-host-1"/, /"a-host-2"/, /"b-spine-1"/]);
    t.same(await walk(v2, '1.3.6.1.2.1.99.1.1.1.4.2003'), ['.1.3.6.1.2.1.99.1.1.1.4.2003 = -700'], 'lit: 0.01 dBm');
    await ssh('span-north', 'ip link set dev eth1 down');
    t.same(await walk(v2, '1.3.6.1.2.1.99.1.1.1.4.2003'), ['.1.3.6.1.2.1.99.1.1.1.4.2003 = -4000'], 'dark: -40 dBm');
    await ssh('span-north', 'ip link set dev eth1 up');
    await elapse(200_000_000);
  },
);

void t.test(
  "net-snmp's receiver gets linkDown when a port goes down, with the port and the device",
  { skip: skipSsh },
  async t => {
    const traps: { oid: string; value: unknown }[][] = [];
    const receiver = snmp.createReceiver(
      { port: lab.trapsPort, address: '127.0.0.1', transport: 'udp4', disableAuthorization: true } as never,
      (_error: Error | null, notification: never) => {
        if (notification)
          traps.push((notification as { pdu: { varbinds: { oid: string; value: unknown }[] } }).pdu.varbinds);
      },
    );
    t.teardown(() => receiver.close());
    await new Promise(resolve => setTimeout(resolve, 50));
    t.equal((await ssh('a-spine-1', 'sudo config interface shutdown Ethernet0')).code, 0);
    await elapse(50_000_000);
    for (const end = performance.now() + 3000; traps.length === 0 && performance.now() < end; )
      await new Promise(resolve => setTimeout(resolve, 20));
    const text = traps.map(varbinds =>
      varbinds.map(({ oid, value }) => `${oid}=${Buffer.isBuffer(value) ? value.toString() : String(value)}`),
    );
    t.ok(
      text.some(
        varbinds =>
          varbinds[1] === '1.3.6.1.6.3.1.1.4.1.0=1.3.6.1.6.3.1.1.5.3' &&
          varbinds.includes('1.3.6.1.2.1.2.2.1.1.1=1') &&
          varbinds.includes('1.3.6.1.2.1.2.2.1.7.1=2') &&
          varbinds.includes('1.3.6.1.2.1.2.2.1.8.1=2') &&
          varbinds.includes('1.3.6.1.6.3.18.1.3.0=198.19.0.1') &&
          varbinds.includes('1.3.6.1.2.1.1.5.0=a-spine-1'),
      ),
      JSON.stringify(text),
    );
    await ssh('a-spine-1', 'sudo config interface startup Ethernet0');
    await elapse(200_000_000);
    t.match((await ssh('a-spine-1', 'show interfaces status')).stdout, /Ethernet0 .* up +up /);
  },
);

void t.test(
  'a switch that reboots refuses connections and comes back on the same port with a new uptime',
  { skip: skipSsh },
  async t => {
    const accepts = (): Promise<boolean> =>
      new Promise(resolve => {
        const socket = net.connect(portOf('b-spine-1'), '127.0.0.1', () => {
          socket.destroy();
          resolve(true);
        });
        socket.once('error', () => resolve(false));
      });
    const before = Number((await ssh('b-spine-1', 'cat /proc/uptime')).stdout.split(' ')[0]);
    t.equal((await ssh('b-spine-1', 'sudo reboot')).code, 255, 'the device closes the connection');
    await elapse(10_000_000);
    t.equal(await accepts(), false);
    // 100 ms in all, then ports and sessions come up.
    await elapse(95_000_000);
    t.equal(await accepts(), true);
    const after = Number((await ssh('b-spine-1', 'cat /proc/uptime')).stdout.split(' ')[0]);
    t.ok(after < before && after <= 0.02, `${before} s, then ${after} s`);
    await elapse(200_000_000);
  },
);

void t.test(
  'the process answers while a long time elapses, and the clock service refuses nonsense',
  { skip: skipSsh },
  async t => {
    const pid = Number((await ssh('a-host-1', startJob('/tmp/long'))).stdout);
    let done = false;
    const long = elapse(60_000_000).then(() => (done = true));
    const slowest: number[] = [];
    while (!done) {
      const began = performance.now();
      await fetch(`${lab.clockUrl}/now`);
      slowest.push(performance.now() - began);
    }
    await long;
    t.ok(
      slowest.length > 1 && Math.max(...slowest) < 1000,
      `${slowest.length} answers, the slowest after ${Math.round(Math.max(...slowest))} ms`,
    );
    await ssh('a-host-1', `kill -INT ${pid}`);
    for (const body of [
      {},
      { forNs: -1 },
      { forNs: 'x' },
      { host: 'a-host-1', pid: 1, rounds: 1, withinNs: 1 },
      { host: 'a-host-1', pid, rounds: 0, withinNs: 1 },
    ]) {
      await t.rejects(post(body), /^400|400/, JSON.stringify(body));
    }
    const lines = (await (await fetch(`${lab.clockUrl}/truth`)).text())
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { kind: string });
    t.same([...new Set(lines.map(({ kind }) => kind))], ['round', 'probe', 'counters']);
    t.equal((await fetch(`${lab.clockUrl}/nothing`)).status, 404);
  },
);

void t.test(
  'the provider starts a lab in its own process, refuses what it does not know, and leaves nothing behind',
  async t => {
    await t.rejects(provider.provide(topology, { seed: 1, options: { dfect: 'ecn-off' } }), {
      name: 'TestbedUnavailable',
      message: /no option dfect. Known: defect, trainPackets/,
    });
    await t.rejects(provider.provide(topology, { seed: 1, options: { defect: 'nonsense' } }), {
      name: 'OptionRefused',
      message: /nonsense.*Known: ecn-off/s,
    });
    for (const [without, message] of [
      ['nobody:flock', /has no device nobody/],
      ['span-north', /"span-north" is not DEVICE:PROGRAM/],
    ] as const)
      await t.rejects(provider.provide(topology, { seed: 1, options: { without } }), {
        name: 'OptionRefused',
        message,
      });
    const provided = await provider.provide(topology, {
      seed: 7,
      options: { defect: 'ecn-off', trainPackets: '4', without: 'span-north:flock,ps;a-spine-1:systemd' },
    });
    const inventory = parse(readFileSync(provided.inventory, 'utf8')) as { clock: string };
    t.same(await (await fetch(`${inventory.clock}/now`)).json(), { ns: 0 });
    await provided.stop();
    await provided.stop();
    await t.rejects(fetch(`${inventory.clock}/now`));
    t.equal(existsSync(provided.inventory), false);
  },
);

void t.test('a lab whose provider dies ends by itself', async t => {
  const file = path.join(folder, 'topology.json');
  writeFileSync(file, JSON.stringify(topology));
  const main = path.resolve(import.meta.dirname, '../../../emulators/device/main.ts');
  const child: ChildProcess = spawn(
    process.execPath,
    ['--import', 'tsx', main, '--ready-json', '--topology', file, '--dir', path.join(folder, 'orphan')],
    { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } },
  );
  t.teardown(() => child.kill('SIGKILL'));
  const closed = once(child, 'close') as Promise<[number | null]>;
  await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data');
  child.stdin?.destroy();
  t.equal((await closed)[0], 0);
  t.equal(existsSync(path.join(folder, 'orphan')), false, 'its keys are gone');
});
