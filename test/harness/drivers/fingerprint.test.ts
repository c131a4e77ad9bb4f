import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { Change, Fingerprint } from '../../../harness/binding/fingerprint.ts';
import {
  gpuFingerprint,
  gpuPutBack,
  parseEthtoolSettings,
  parseGpuSettings,
  parseMlnxQos,
} from '../../../harness/drivers/gpu/fingerprint.ts';
import {
  fingerprintOf,
  isOfInterest,
  LINUX_NETWORK_READINGS,
  linuxPutBack,
  parseAddresses,
  parseLinks,
  parseProcesses,
  parseQdiscs,
  parseRoutes,
  parseSysctls,
} from '../../../harness/drivers/linux/fingerprint.ts';
import { netemSpan } from '../../../harness/drivers/netem-span.ts';
import { ParseError } from '../../../harness/drivers/parse-error.ts';
import { kept, readFingerprint, type Reading, type Values } from '../../../harness/drivers/read-fingerprint.ts';
import {
  parseConfiguration,
  parsePresence,
  portValues,
  sonicFingerprint,
  sonicPutBack,
} from '../../../harness/drivers/sonic/fingerprint.ts';
import { parseInterfaceStatus } from '../../../harness/drivers/sonic/interfaces.ts';
import type { Shell, ShellResult } from '../../../harness/drivers/ssh.ts';
import { differences } from '../../../harness/lab/leftover-audit.ts';
import { openGuard } from './open-guard.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../../shared/recordings/sonic');
const skip = existsSync(FOLDER) ? false : 'no recordings at ../shared/recordings/sonic';

/** A device on which `sh` of this machine runs, with programs that print what the test says. */
function shellWith(programs: Readonly<Record<string, string>>): Shell {
  const functions = Object.entries(programs)
    .map(([name, body]) => `${name}() { ${body}\n}`)
    .join('\n');
  return {
    device: 'd',
    close: async () => {},
    run: command =>
      new Promise((resolve, reject) => {
        execFile(
          'sh',
          ['-c', `${functions}\n${command}`],
          { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } },
          (error, stdout, stderr) => {
            if (error && typeof error.code !== 'number') return reject(error);
            resolve(result(stdout, stderr, error ? Number(error.code) : 0));
          },
        );
      }),
  };
}

const result = (stdout: string, stderr = '', exitCode: number | null = 0): ShellResult => ({
  exitCode,
  stdout,
  stderr,
  truncated: false,
  wholeLineBytes: 0,
});

const plain = (found: Fingerprint): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    [...found].map(([section, read]) => [
      section,
      'unread' in read ? `unread: ${read.unread}` : Object.fromEntries(read.value),
    ]),
  );
const pairs = (values: Values): Readonly<Record<string, string | null>> => Object.fromEntries(values);
const prints = (text: string): string => `cat <<'END'\n${text}\nEND`;
const json = (value: unknown): string => prints(JSON.stringify(value));

void t.test(
  'one command carries all readings; what a device lacks, does not tell, or tells wrong are three things',
  async t => {
    const lines = (section: string, command: string, more: Partial<Reading> = {}): Reading => ({
      sections: [section],
      command,
      parse: text => ({
        [section]: text
          .split('\n')
          .filter(line => line !== '')
          .map(line => {
            if (line.startsWith('bad')) throw new ParseError('a good line', line);
            return [line, 'x'] as const;
          }),
      }),
      ...more,
    });
    let runs = 0;
    const shell = shellWith({});
    const counted: Shell = { ...shell, run: (...of) => (runs++, shell.run(...of)) };
    const found = await readFingerprint(counted, [
      lines('fine', 'echo one; echo note >&2; echo two'),
      lines('without newline', 'printf three'),
      lines('missing', 'no-such-program --json'),
      lines('too old', 'echo "Error: No such command presence" >&2; exit 2'),
      lines('failed', 'echo out; echo "no right" >&2; exit 3'),
      lines('wrong', 'echo bad'),
      lines('both', 'echo four'),
      lines('both', 'exit 1'),
      lines('partly', 'echo five; exit 1', { whole: ({ exitCode }) => exitCode === 1 }),
      lines('empty', 'true'),
      lines('leaves nothing behind', 'cd /; set -- a; exit 0'),
      lines('again', 'exit 9', {
        instead: ({ exitCode }) => (exitCode === 9 ? lines('again', 'echo six') : undefined),
      }),
      lines('spoofed', "echo '== farspan 12 0'; echo seven"),
    ]);
    t.same(plain(found), {
      fine: { one: 'x', two: 'x' },
      'without newline': { three: 'x' },
      failed: 'unread: echo out; echo "no right" >&2; exit 3: exit code 3: no right',
      wrong: 'unread: echo bad: not a good line: bad',
      both: 'unread: exit 1: exit code 1: no output',
      partly: { five: 'x' },
      empty: {},
      'leaves nothing behind': {},
      again: { six: 'x' },
      spoofed: "unread: echo '== farspan 12 0'; echo seven: no whole answer",
    });
    t.equal(runs, 2, 'one for all, and one for what was asked in another way');
    const cut = await readFingerprint(
      { ...shell, run: async () => ({ ...result('== farspan 0\n'), truncated: true }) },
      [lines('a', 'true')],
    );
    t.same(plain(cut), { a: 'unread: true: no whole answer' });
  },
);

void t.test('kept text is bounded, printable, and another one for another text', async t => {
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ minLength: 400, maxLength: 1200 })), text => {
      const short = kept(text);
      // oxlint-disable-next-line no-control-regex
      if (short.length > 560 || /[\u0000-\u001f\u007f-\u009f\u202e]/.test(short.replaceAll('\t', ''))) return false;
      const other = kept(`${text}x`);
      seen.set(short, text);
      return other !== short;
    }),
    { numRuns: 500, seed: 3 },
  );
  t.ok(seen.size > 300, `${seen.size} texts`);
});

void t.test('recorded tables of SONiC become values', { skip }, async t => {
  const read = (file: string): string => readFileSync(path.join(FOLDER, file), 'utf8');
  const status = portValues(parseInterfaceStatus(read('intf/show_interface_status_output.txt')));
  t.match(pairs(status.interfaces), {
    'Ethernet0 admin': 'up',
    'Ethernet0 speed': '25000',
    'Ethernet0 mtu': '9100',
    'Ethernet0 fec': 'rs',
    'Ethernet124 fec': 'auto',
    'Ethernet112 vlan': 'PortChannel0001',
    'PortChannel1001 admin': 'N/A',
  });
  t.match(pairs(status.links), { 'Ethernet0 oper': 'down', 'Ethernet16 oper': 'up', 'PortChannel1001 oper': 'N/A' });
  t.match(pairs(status.optics), { 'Ethernet0 type': 'QSFP28 or later', 'Ethernet16 type': 'RJ45' });

  const recorded = (command: string, file: string): string =>
    `case "$*" in ${command}) ${prints(read(file))}\n;; *) echo 'Error: No such command' >&2; return 2;; esac`;
  const shell = shellWith({
    show: `case "$*" in 'interfaces status') ${prints(read('intf/show_interface_status_output.txt'))}\n;; 'ip bgp summary') ${prints(read('bgp/show_bgp_summary_v4.txt'))}\n;; *) echo 'Error: No such command' >&2; return 2;; esac`,
    ecnconfig: recorded('-l', 'ecn/ecn_show_config_output.txt'),
    pfcwd: recorded("'show config'", 'pfcwd/pfcwd_show_config_output.txt'),
    sudo: '"$@"',
    ps: "echo '  7 sshd'",
    systemctl: 'echo "System has not been booted with systemd as init system (PID 1)." >&2; return 1',
  });
  const found = plain(await sonicFingerprint({ shell, guard: openGuard(shell) }));
  t.match(found, {
    ecn: { 'AZURE_LOSSLESS green_max_threshold': '2097152', 'AZURE_LOSSLESS ecn': 'ecn_all' },
    pfcwd: { 'polling interval': '600 ms', Ethernet0: 'drop, detection 600, restoration 600' },
    undos: {},
  });
  t.equal(Object.keys(found['bgp'] as object).length % 2, 0);
  t.match(found['bgp'], { '10.0.0.1 AS': '65200' });
  t.notOk(Object.hasOwn(found, 'lldp'), 'it has no such command, which is no failure');

  const files = readdirSync(FOLDER, { recursive: true })
    .map(String)
    .filter(file => file.endsWith('.txt'));
  const strange: string[] = [];
  for (const file of files) {
    for (const parser of [
      parseConfiguration,
      parsePresence,
      (text: string) => portValues(parseInterfaceStatus(text)),
    ]) {
      try {
        parser(read(file));
      } catch (error) {
        if (!(error instanceof ParseError)) strange.push(`${file}: ${String(error)}`);
      }
    }
  }
  t.same(strange, [], `${files.length} recordings, each read as everything else`);
});

void t.test('CONFIG_DB is read field by field, and no secret of it is kept', async t => {
  const values = pairs(
    parseConfiguration(
      JSON.stringify({
        PORT: { Ethernet0: { mtu: '9100', lanes: '0,1' } },
        INTERFACE: { 'Ethernet0|10.0.0.0/31': {} },
        SNMP_COMMUNITY: { 'hunter2-community': { TYPE: 'RO' } },
        TACPLUS: { global: { passkey: 'hunter2-passkey' } },
        ACL_TABLE: { DATAACL: { ports: ['Ethernet0', 'Ethernet4'] } },
      }),
    ),
  );
  const secret = Object.keys(values).find(key => key.startsWith('SNMP_COMMUNITY'));
  t.match(secret, /^SNMP_COMMUNITY\|hidden [0-9a-f]{12} TYPE$/);
  t.match(values, {
    'PORT|Ethernet0 mtu': '9100',
    'INTERFACE|Ethernet0|10.0.0.0/31': 'there',
    'TACPLUS|global passkey': /^hidden [0-9a-f]{12}$/,
    'ACL_TABLE|DATAACL ports': '["Ethernet0","Ethernet4"]',
  });
  t.notMatch(JSON.stringify(values), /hunter2/);
  t.throws(() => parseConfiguration('Traceback (most recent call last)'), ParseError);
  t.throws(() => parseConfiguration('{"PORT": 3}'), ParseError);
});

void t.test('iproute2 and sysctl without what moves by itself', async t => {
  const links = parseLinks(
    JSON.stringify([
      {},
      {
        ifname: 'eth1',
        flags: ['NO-CARRIER', 'BROADCAST', 'PROMISC', 'UP'],
        mtu: 9000,
        operstate: 'DOWN',
        promiscuity: 1,
        address: '02:00:00:00:00:01',
        stats64: { rx: { bytes: 3 } },
      },
      { ifname: 'v0', flags: [], mtu: 1500, linkinfo: { info_kind: 'vlan' }, link: 'eth1', group: 'default' },
    ]),
  );
  t.same(pairs(links.interfaces), {
    'eth1 admin': 'up',
    'eth1 flags': 'PROMISC',
    'eth1 mtu': '9000',
    'eth1 address': '02:00:00:00:00:01',
    'eth1 promiscuity': '1',
    'v0 admin': 'down',
    'v0 mtu': '1500',
    'v0 link': 'eth1',
    'v0 kind': 'vlan',
  });
  t.same(pairs(links.links), { 'eth1 oper': 'DOWN', 'v0 oper': 'UNKNOWN' });
  t.same(
    pairs(
      parseAddresses(
        JSON.stringify([
          {
            ifname: 'eth1',
            addr_info: [
              { family: 'inet', local: '10.1.1.1', prefixlen: 24, scope: 'global', valid_life_time: 77 },
              { family: 'inet6', local: 'fe80::1', prefixlen: 64, scope: 'link' },
              { family: 'inet6', local: '2001:db8::9', prefixlen: 64, scope: 'global', temporary: true },
              { family: 'inet6', local: '2001:db8::1', prefixlen: 64, scope: 'global' },
            ],
          },
        ]),
      ),
    ),
    { 'eth1 10.1.1.1/24': 'scope global', 'eth1 2001:db8::1/64': 'scope global' },
  );
  t.same(
    pairs(
      parseRoutes(
        JSON.stringify([
          { dst: 'default', gateway: '10.1.1.254', dev: 'eth1', metric: 100 },
          { dst: '10.1.1.0/24', dev: 'eth1', protocol: 'kernel' },
          { dst: '10.2.0.0/16', gateway: '10.1.1.2', dev: 'eth1', protocol: 'bgp' },
          { type: 'blackhole', dst: '10.9.0.0/16' },
        ]),
      ),
    ),
    { 'default metric 100': 'via 10.1.1.254 dev eth1', 'blackhole 10.9.0.0/16': 'set' },
  );
  const netem = (handle: string, seed: number) =>
    pairs(
      parseQdiscs(
        JSON.stringify([
          {
            kind: 'netem',
            handle,
            dev: 'eth1',
            root: true,
            refcnt: 2,
            options: { limit: 1000, delay: { jitter: 0, delay: 0.005, correlation: 0 }, seed },
          },
          { kind: 'clsact', handle: 'ffff:', dev: 'eth1', parent: 'ffff:fff1', options: {} },
        ]),
      ),
    );
  t.same(netem('8001:', 5), netem('8003:', 6), 'put back is as before, whatever handle and seed the kernel draws');
  t.same(netem('8001:', 5), {
    'eth1 root': 'netem {"delay":{"correlation":0,"delay":0.005,"jitter":0},"limit":1000}',
    'eth1 parent ffff:fff1': 'clsact',
  });
  t.same(pairs(parseSysctls('net.ipv4.tcp_rmem = 4096\t131072\t6291456\nnet.core.rmem_max=212992\n')), {
    'net.ipv4.tcp_rmem': '4096 131072 6291456',
    'net.core.rmem_max': '212992',
  });
  for (const parser of [parseLinks, parseAddresses, parseRoutes, parseQdiscs, parseSysctls, parseProcesses])
    t.throws(() => parser('Segmentation fault'), ParseError);
});

void t.test('a process is of interest by the rule and no other', async t => {
  const yes = [
    'iperf3 -s -1 -p 5201 -J',
    '/usr/bin/mpirun -np 2 all_reduce_perf',
    '/opt/nccl-tests/build/all_reduce_perf -b 8',
    'ib_write_bw -d mlx5_0',
    'sh -c while :; do tc qdisc replace dev eth1 root netem; sleep 0.1; done',
    'bash -c sleep 5; ip link set dev eth1 up',
    'tcpdump -i eth0',
    'tc -batch -',
    'ip monitor',
  ];
  const no = [
    'ip -j -d link show',
    'sh -c ls',
    'sleep 5',
    '/usr/sbin/sshd -D',
    'bash -c : farspan fingerprint; ps -e; for p in $(ps); do true; done',
    'sh -c sleep 5; exec sh /run/farspan/guard fire - l f 1',
    'python3 my_perf_notes.py',
  ];
  t.same(
    yes.filter(args => !isOfInterest(args, false)),
    [],
  );
  t.same(
    no.filter(args => isOfInterest(args, false)),
    [],
  );
  t.ok(isOfInterest('python3 anything.py', true), 'whatever carries the mark of a job');
  t.same(
    pairs(
      parseProcesses(
        '    1 /sbin/init\n   22 iperf3 -s\n   23 iperf3 -s\n  900 python3 x.py\n== jobs\n/proc/900/environ\n',
      ),
    ),
    { 'iperf3 -s': '2 running', 'python3 x.py': '1 running' },
  );
});

void t.test(
  'a driver that lacks a field of nvidia-smi is asked for the others; what it can not tell is not known',
  async t => {
    const smi = [
      'case "$1" in *mig.mode.current*) echo \'Field "mig.mode.current" is not a valid field to query.\'; return 2;;',
      '*clocks.max.sm*) echo \'Field "clocks.max.sm" is not a valid field to query.\'; return 2;; esac',
      "echo '0, 700.00 W, [N/A], [N/A], 1980 MHz, 3201 MHz, Enabled, Default, Enabled'",
      "echo '1, [Unknown Error], [N/A], [N/A], 1980 MHz, 3201 MHz, Enabled, Default, Enabled'",
    ].join('\n');
    // A function's name has no hyphen in every shell.
    const shell = shellWith({ smi, ip: json([]), tc: json([]) });
    const found = await gpuFingerprint({
      shell: { ...shell, run: (command, options) => shell.run(command.replaceAll('nvidia-smi', 'smi'), options) },
      guard: openGuard(shell),
      nic: 'eth0',
    });
    t.match(plain(found)['gpu'], {
      '0 power.limit': '700.00 W',
      '0 clocks.applications.graphics': '[N/A]',
      '1 power.limit': null,
      '1 compute_mode': 'Default',
    });
    t.notMatch(plain(found)['gpu'], { '0 mig.mode.current': String }, 'a field that it lacks is absent');
    t.throws(() => parseGpuSettings('No devices were found', ['power.limit']), ParseError);
  },
);

void t.test('settings of a NIC', async t => {
  t.same(
    pairs(
      parseEthtoolSettings(
        'Pause parameters for eth0:\nAutonegotiate:\toff\nRX:\t\ton\nTX:\t\toff\nRX negotiated: on\n',
        /^Pause/,
      ),
    ),
    {
      Autonegotiate: 'off',
      RX: 'on',
      TX: 'off',
    },
  );
  t.same(
    pairs(
      parseEthtoolSettings(
        'Features for eth0:\nrx-checksumming: on\n\ttx-checksum-ip-generic: off [fixed]\n',
        /^Features/,
      ),
    ),
    {
      'rx-checksumming': 'on',
      'tx-checksum-ip-generic': 'off',
    },
  );
  t.throws(() => parseEthtoolSettings('netlink error', /^Pause/), ParseError);
  t.same(
    pairs(
      parseMlnxQos(
        [
          'DCBX mode: OS controlled',
          'Priority trust state: dscp',
          'dscp2prio mapping:',
          '\tprio:0 dscp:07,06,05,',
          '\tprio:0 dscp:04,',
          '\tprio:3 dscp:26,',
          'default priority:',
          'Receive buffer size (bytes): 130944,130944,0,max_buffer_size=262016',
          'PFC configuration:',
          '\tpriority    0   1   2   3',
          '\tenabled     0   0   0   1   ',
          'tc: 0 ratelimit: unlimited, tsa: vendor',
          '\t priority:  1',
          '\t priority:  2',
        ].join('\n'),
      ),
    ),
    {
      'DCBX mode': 'OS controlled',
      'Priority trust state': 'dscp',
      'dscp2prio mapping prio:0': 'dscp:07,06,05, dscp:04,',
      'dscp2prio mapping prio:3': 'dscp:26,',
      'Receive buffer size (bytes)': '130944,130944,0,max_buffer_size=262016',
      'PFC configuration enabled': '0 0 0 1',
      'tc: 0': 'ratelimit: unlimited, tsa: vendor',
      'tc: 0 priority': '1 2',
    },
  );
});

void t.test('what a person is told to type holds device text only as quoted words', async t => {
  const span = netemSpan({ name: 'd', shell: shellWith({}), guard: openGuard(shellWith({})), rateBps: 100e9 });
  const change = (section: string, key: string, was?: string, is?: string): Change => ({ section, key, was, is });
  t.same(
    [
      linuxPutBack(change('interfaces', 'eth1 mtu', '9000', '1500')),
      linuxPutBack(change('interfaces', 'eth1 admin', 'up', 'down')),
      linuxPutBack(change('interfaces', 'left0 admin', undefined, 'up')),
      linuxPutBack(change('addresses', 'eth1 10.1.1.1/24', undefined, 'scope global')),
      linuxPutBack(change('qdiscs', 'eth1 root', 'noqueue', 'netem {}')),
      linuxPutBack(change('sysctls', 'net.ipv4.tcp_rmem', '1 2 3', '4 5 6')),
      span.putBack(
        change(
          'qdiscs',
          'eth1 root',
          'netem {"delay":{"delay":0.005},"limit":1000,"loss-random":{"loss":0.01}}',
          'noqueue',
        ),
      ),
      span.putBack(
        change('qdiscs', 'eth1 root', 'netem {"delay":{"delay":0.005,"jitter":0.001},"limit":1000}', 'noqueue'),
      ),
      gpuPutBack(change('gpu', '3 power.limit', '700.00 W', '400.00 W')),
      gpuPutBack(change('qos', 'eth0 PFC configuration enabled', '0 0 0 1', '0 0 0 0')),
      sonicPutBack(change('interfaces', 'Ethernet0 fec', 'rs', 'none')),
      sonicPutBack(change('ecn', 'AZURE_LOSSLESS green_min_threshold', '1000', '1')),
      sonicPutBack(change('configuration', 'VLAN|Vlan100', undefined, 'there')),
      sonicPutBack(change('configuration', 'TACPLUS|global passkey', 'hidden 0123', 'hidden 4567')),
      sonicPutBack(change('bgp', '10.0.0.1 state', 'Established', 'Active')),
    ],
    [
      'ip link set dev eth1 mtu 9000',
      'ip link set dev eth1 up',
      'ip link del dev left0',
      'ip addr del 10.1.1.1/24 dev eth1',
      'tc qdisc del dev eth1 root',
      "sysctl -w 'net.ipv4.tcp_rmem=1 2 3'",
      'tc qdisc replace dev eth1 root netem limit 1000 delay 5000us loss 1%',
      undefined,
      'nvidia-smi -i 3 -pl 700.00',
      'mlnx_qos -i eth0 --pfc 0,0,0,1',
      'sudo config interface fec Ethernet0 rs',
      'sudo ecnconfig -p AZURE_LOSSLESS -gmin 1000',
      "sudo sonic-db-cli CONFIG_DB DEL 'VLAN|Vlan100'",
      undefined,
      undefined,
    ],
  );

  // A shell that only prints the words it was given: nothing of a hostile text may run there.
  const sections = [
    'interfaces',
    'addresses',
    'routes',
    'qdiscs',
    'sysctls',
    'files',
    'timers',
    'processes',
    'gpu',
    'qos',
    'pause',
    'offloads',
    'dcqcn',
    'configuration',
    'ecn',
    'pfcwd',
  ];
  const hostile = fc.constantFrom(
    '$(touch p)',
    '`touch p`',
    '; touch p',
    "' ; touch p #",
    '\n touch p',
    '| touch p',
    '> p',
    '&& touch p',
    'eth1',
  );
  const ran: string[] = [];
  let commands = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...sections),
      fc.array(hostile, { minLength: 1, maxLength: 3 }),
      hostile,
      fc.boolean(),
      (section, words, value, gone) => {
        const suffix =
          { interfaces: ' mtu', ecn: ' green_min_threshold', configuration: ' mtu', gpu: ' power.limit' }[section] ??
          '';
        const one = change(section, kept(`${words.join(' ')}${suffix}`), gone ? kept(value) : undefined, kept(value));
        for (const putBack of [linuxPutBack, gpuPutBack, sonicPutBack, span.putBack]) {
          const command = putBack(one);
          if (command === undefined) continue;
          commands++;
          // Outside of quotes there is nothing that a shell acts on but our own separators.
          const bare = command
            .replaceAll(/'(?:[^']|'\\'')*'/g, 'q')
            .replace(/^ps -e -o pid= -o args= \| grep -F -e |; kill PID$/g, '')
            .replace(/^echo (\S+) > /, '');
          if (/[;&|`$<>\n]/.test(bare)) ran.push(command);
        }
      },
    ),
    { numRuns: 500, seed: 5 },
  );
  t.same(ran, [], `${commands} commands`);
});

/** Why the test of the kernel's own tools is skipped, or false. */
function needsNamespaces(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = ['ip', 'tc', 'unshare', 'nsenter', 'sysctl'].filter(
    program => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
  );
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  return spawnSync('unshare', ['-n', 'ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1']).status === 0
    ? false
    : 'no network namespaces here';
}

void t.test(
  'Debian’s iproute2 and sysctl: leftovers in a namespace are named, and gone after what is said to do by hand',
  { skip: needsNamespaces() },
  async t => {
    const holder: ChildProcess = spawn('unshare', ['-n', 'sleep', '60'], { stdio: 'ignore' });
    t.teardown(() => holder.kill('SIGKILL'));
    const enter = (command: string): Promise<ShellResult> =>
      new Promise(resolve => {
        execFile(
          'nsenter',
          ['-t', String(holder.pid), '-n', 'sh', '-c', command],
          { encoding: 'utf8' },
          (error, stdout, stderr) => resolve(result(stdout, stderr, error ? Number(error.code) : 0)),
        );
      });
    for (let tries = 0; tries < 50; tries++)
      if ((await enter('ip -j link show type veth')).stdout.trim() === '[]') break;
    const shell: Shell = { device: 'ns', close: async () => {}, run: enter };
    const from = { shell, guard: openGuard(shell) };
    const must = async (command: string): Promise<void> => {
      const { exitCode, stderr } = await enter(command);
      if (exitCode !== 0) throw new Error(`${command}: ${stderr}`);
    };
    await must(
      'ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip addr add 10.1.1.1/24 dev v0',
    );
    const before = await fingerprintOf(from, LINUX_NETWORK_READINGS);
    const left = async () => differences('ns', before, await fingerprintOf(from, LINUX_NETWORK_READINGS));
    t.same(await left(), [], 'two readings of what nobody touched are alike');
    const plants: Readonly<Record<string, string>> = {
      'ip addr add 10.9.9.9/32 dev v0': 'addresses v0 10.9.9.9/32',
      'ip addr del 10.1.1.1/24 dev v0': 'addresses v0 10.1.1.1/24',
      'ip link set dev v0 mtu 1400': 'interfaces v0 mtu',
      'ip link set dev v1 txqueuelen 77': 'interfaces v1 txqlen',
      'tc qdisc add dev v0 clsact': 'qdiscs v0 parent ffff:fff1',
      'ip route add blackhole 10.66.0.0/16': 'routes blackhole 10.66.0.0/16',
      'sysctl -w net.ipv4.ip_forward=1': 'sysctls net.ipv4.ip_forward',
      'ip link set dev v1 down': 'interfaces v1 admin',
    };
    for (const command of Object.keys(plants)) await must(command);
    const found = await left();
    const names = found.map(({ section, key }) => `${section} ${key}`);
    t.same(
      Object.values(plants).filter(name => !names.includes(name)),
      [],
      names.join(', '),
    );
    for (const difference of found) {
      const command = linuxPutBack(difference);
      if (command !== undefined) await enter(command);
    }
    let rest = await left();
    for (let tries = 0; rest.length > 0 && tries < 20; tries++) rest = await left();
    t.same(rest, []);
    t.comment(`${Object.keys(plants).length} leftovers, ${found.length} differences: ${names.join(', ')}`);
  },
);
