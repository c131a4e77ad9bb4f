import { existsSync, readFileSync } from 'node:fs';
import dgram from 'node:dgram';
import path from 'node:path';
import fc from 'fast-check';
import snmp from 'net-snmp';
import t, { type Test } from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import {
  connectSnmp,
  oidFollows,
  receiveTraps,
  snmpCounter,
  snmpMac,
  snmpText,
  type Trap,
} from '../../../harness/drivers/snmp.ts';
import { collectiveCommand } from '../../../harness/drivers/gpu-node.ts';
import { safePort, sonicSwitch } from '../../../harness/drivers/sonic-switch.ts';
import type { Shell } from '../../../harness/drivers/ssh.ts';
import { openGuard } from './open-guard.ts';

const freePort = (): Promise<number> =>
  new Promise(resolve => {
    const socket = dgram.createSocket('udp4');
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });

/** An agent of net-snmp with the given values. OID → [type, value]. */
async function agent(t: Test, values: Readonly<Record<string, readonly [number, unknown]>>): Promise<number> {
  const port = await freePort();
  const instance = snmp.createAgent({ port, address: '127.0.0.1', disableAuthorization: false }, () => {});
  instance.getAuthorizer().addCommunity('lab');
  const mib = instance.getMib();
  for (const [oid, [scalarType, value]] of Object.entries(values)) {
    const name = `v${oid.replaceAll('.', '_')}`;
    instance.registerProvider({
      name,
      type: snmp.MibProviderType.Scalar,
      oid: oid.replace(/\.0$/, ''),
      scalarType,
      maxAccess: snmp.MaxAccess['read-only'],
    });
    mib.setScalarValue(name, value);
  }
  t.teardown(() => new Promise<void>(resolve => instance.close(() => resolve())));
  return port;
}

const failure = async (work: Promise<unknown>): Promise<DeviceError> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
  throw new Error('it did not fail');
};

void t.test('64-bit counters stay exact, what the agent lacks is null, and many OIDs are many requests', async t => {
  const edges = [0n, 1n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
  const bytes = (n: bigint) => Buffer.from(n.toString(16).padStart(16, '0'), 'hex');
  const port = await agent(
    t,
    Object.fromEntries(
      edges.map((n, i) => [`1.3.6.1.4.1.9999.${i + 1}.0`, [snmp.ObjectType.Counter64, bytes(n)] as const]),
    ),
  );
  const session = connectSnmp({
    device: 'leaf-1',
    host: '127.0.0.1',
    port,
    as: { community: 'lab' },
    deadlineMs: 4000,
  });
  t.teardown(() => session.close());
  const oids = [...edges.keys()].map(i => `1.3.6.1.4.1.9999.${i + 1}.0`);
  const found = await session.get([...oids, '1.3.6.1.4.1.9999.77.0']);
  t.strictSame(
    oids.map(oid => found.get(oid)),
    edges,
  );
  t.equal(found.get('1.3.6.1.4.1.9999.77.0'), null, 'missing is null, never zero');
  const many = await session.get(Array.from({ length: 100 }, (_, i) => `1.3.6.1.4.1.9999.${i + 1}.0`));
  t.equal(many.size, 100);
  t.strictSame([...(await session.walk('1.3.6.1.4.1.9999')).values()], edges);
  t.equal((await session.walk('1.3.6.1.4.1.5555')).size, 0, 'an absent subtree is empty');
});

void t.test('an agent that is not there, or has another community, gives one clear error in time', async t => {
  const nobody = connectSnmp({
    device: 'leaf-9',
    host: '127.0.0.1',
    port: await freePort(),
    as: { community: 'lab' },
    deadlineMs: 300,
    retryAfterMs: 100,
  });
  t.teardown(() => nobody.close());
  const began = performance.now();
  const silent = await failure(nobody.get(['1.3.6.1.2.1.1.3.0']));
  t.ok(performance.now() - began < 1000);
  t.match(
    silent.message,
    /leaf-9: SNMP get 1\.3\.6\.1\.2\.1\.1\.3\.0 failed: no answer from 127\.0\.0\.1:\d+ over UDP within 300 ms/,
  );
  t.match(silent.advice, /community/);
  const port = await agent(t, {});
  const wrong = connectSnmp({
    device: 'leaf-9',
    host: '127.0.0.1',
    port,
    as: { community: 'other' },
    deadlineMs: 300,
    retryAfterMs: 100,
  });
  t.teardown(() => wrong.close());
  t.match((await failure(wrong.walk('1.3.6'))).answer, /no answer/);
  t.throws(
    () =>
      connectSnmp({
        device: 'x',
        host: '127.0.0.1',
        port,
        as: { user: { name: 'u', priv: { protocol: 'aes128', key: '12345678' } } },
        deadlineMs: 1,
      }),
    RangeError,
  );
});

/** A UDP server that answers every request with what `reply` makes of its bytes. */
async function liar(t: Test, reply: (request: Buffer) => readonly Buffer[]): Promise<number> {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (request, from) => {
    for (const answer of reply(request)) socket.send(answer, from.port, from.address);
  });
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
  t.teardown(() => new Promise<void>(resolve => socket.close(() => resolve())));
  return socket.address().port;
}

void t.test('an error status that no standard knows is one clear error', async t => {
  const socket = dgram.createSocket('udp4');
  t.teardown(() => socket.close());
  socket.on('message', (request, { port, address }) => {
    const answer = Buffer.from(request);
    answer[answer.indexOf(0xa0)] = 0xa2;
    // Error status 0 and error index 0, each an INTEGER of one byte.
    answer[answer.indexOf(Buffer.from([2, 1, 0, 2, 1, 0])) + 2] = 99;
    socket.send(answer, port, address);
  });
  await new Promise<void>(resolve => void socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  const session = connectSnmp({ device: 'd', host: '127.0.0.1', port, as: { community: 'lab' }, deadlineMs: 2000 });
  t.teardown(() => session.close());
  t.match((await failure(session.get(['1.3.6.1.2.1.1.3.0']))).answer, /error status that no standard knows/);
});

void t.test(
  'malformed datagrams, answers to other questions and endless walks end in an error, never in the process',
  async t => {
    const garbage = await liar(t, request => [
      Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff]),
      Buffer.alloc(0),
      Buffer.from('hello'),
      request.subarray(0, 9),
    ]);
    const session = connectSnmp({
      device: 'x',
      host: '127.0.0.1',
      port: garbage,
      as: { community: 'lab' },
      deadlineMs: 400,
      retryAfterMs: 150,
    });
    t.teardown(() => session.close());
    t.type(await failure(session.get(['1.3.6.1.2.1.1.3.0'])), DeviceError);
    // Turns the GETBULK (0xa5) into a response (0xa2) that repeats the question: the OID never moves on.
    const echo = await liar(t, request => {
      const answer = Buffer.from(request);
      const at = answer.indexOf(0xa5);
      if (at > 0) answer[at] = 0xa2;
      const status = answer.indexOf(Buffer.from([0x02, 0x01, 0x00, 0x02, 0x01, 0x19]));
      if (status > 0) answer[status + 5] = 0;
      return [answer];
    });
    const circles = connectSnmp({
      device: 'x',
      host: '127.0.0.1',
      port: echo,
      as: { community: 'lab' },
      deadlineMs: 1000,
    });
    t.teardown(() => circles.close());
    t.match((await failure(circles.walk('1.3.6.1.2.1.2'))).answer, /precede|circles|no answer/);
    t.equal(oidFollows('1.3.6.1.9', '1.3.6.1.10'), true, 'numbers, not text');
    t.equal(oidFollows('1.3.6.1', '1.3.6.1.0'), true);
    t.equal(oidFollows('1.3.6.1', '1.3.6.1'), false);
  },
);

void t.test('mutated datagrams never end the poller or the trap receiver', async t => {
  const bad: string[] = [];
  const traps: Trap[] = [];
  const receiver = await receiveTraps({
    port: 0,
    communities: ['lab'],
    onTrap: trap => void traps.push(trap),
    onBad: why => void bad.push(why),
  });
  t.teardown(() => receiver.close());
  const sender = snmp.createSession('127.0.0.1', 'lab', { version: snmp.Version2c, trapPort: receiver.port });
  t.teardown(() => void sender.close());
  const sent = (community: snmp.Session, oid: string): Promise<void> =>
    new Promise((resolve, reject) => {
      community.trap(oid, [{ oid: '1.3.6.1.2.1.2.2.1.1.5', type: snmp.ObjectType.Integer, value: 5 }], error =>
        error ? reject(error) : resolve(),
      );
    });
  await sent(sender, '1.3.6.1.6.3.1.1.5.3');
  const stranger = snmp.createSession('127.0.0.1', 'who', { version: snmp.Version2c, trapPort: receiver.port });
  t.teardown(() => void stranger.close());
  await sent(stranger, '1.3.6.1.6.3.1.1.5.4');
  const socket = dgram.createSocket('udp4');
  const [valid] = fc.sample(
    fc.constant(
      Buffer.from(
        '302a02010104036c6162a72002040000000102010002010030123010060a2b060106030101040100060a2b06010603010105',
        'hex',
      ),
    ),
    1,
  );
  for (const edits of fc.sample(fc.array(fc.tuple(fc.nat(50), fc.nat(255)), { minLength: 1, maxLength: 6 }), {
    numRuns: 2000,
    seed: 3,
  })) {
    const datagram = Buffer.from(valid ?? '');
    for (const [at, byte] of edits) if (at < datagram.length) datagram[at] = byte;
    socket.send(datagram, receiver.port, '127.0.0.1');
  }
  await new Promise(resolve => setTimeout(resolve, 300));
  // A busy machine may need a while for 2000 datagrams; the receiver says when it has seen the last.
  for (let i = 0; i < 50 && traps.at(-1)?.oid !== '1.3.6.1.6.3.1.1.5.4'; i++) {
    await sent(sender, '1.3.6.1.6.3.1.1.5.4');
    await new Promise(resolve => setTimeout(resolve, 100));
  }
  socket.close();
  t.match(traps[0], { oid: '1.3.6.1.6.3.1.1.5.3', version: '2c', inform: false, from: '127.0.0.1' });
  t.equal(traps[0]?.values.get('1.3.6.1.2.1.2.2.1.1.5'), 5);
  t.equal(traps.at(-1)?.oid, '1.3.6.1.6.3.1.1.5.4', 'after 2000 mutated datagrams traps are still received');
  t.ok(
    bad.some(why => /community/.test(why)),
    'the stranger is told of',
  );
  t.ok(bad.length > 1000, `${bad.length} of 2000 datagrams were malformed`);
});

void t.test(
  'recorded walks of real switches read the same as their own lines',
  {
    skip: existsSync(path.resolve(import.meta.dirname, '../../../../shared/recordings/snmp'))
      ? false
      : 'no recordings at ../shared/recordings/snmp',
  },
  async t => {
    // The recordings are text, not datagrams: what is checked is what the driver makes of each value.
    const lines = readFileSync(
      path.resolve(import.meta.dirname, '../../../../shared/recordings/snmp/ocnos_s9600-32x.snmprec'),
      'utf8',
    ).split('\n');
    const counters = lines
      .map(line => line.split('|'))
      .filter(([oid = '', type]) => type === '70' && oid.startsWith('1.3.6.1.2.1.31.1.1.1.6.'));
    t.ok(counters.length > 20);
    const chosen = counters.slice(0, 20);
    const port = await agent(
      t,
      Object.fromEntries(
        chosen.map(([, , value = ''], i) => [
          `1.3.6.1.4.1.9999.${i + 1}.0`,
          [snmp.ObjectType.Counter64, Buffer.from(BigInt(value).toString(16).padStart(16, '0'), 'hex')] as const,
        ]),
      ),
    );
    const session = connectSnmp({
      device: 'ocnos',
      host: '127.0.0.1',
      port,
      as: { community: 'lab' },
      deadlineMs: 4000,
    });
    t.teardown(() => session.close());
    t.strictSame(
      [...(await session.walk('1.3.6.1.4.1.9999')).values()].map(String),
      chosen.map(([, , value]) => value),
    );
  },
);

void t.test('texts, MACs and counters of SNMP values', async t => {
  t.equal(snmpText(Buffer.from('eth\u001b[2J')), 'eth\\x1b[2J');
  t.equal(snmpText(null), null);
  t.equal(snmpMac(Buffer.from([0, 1, 2, 0xab, 0xcd, 0xef])), '00:01:02:ab:cd:ef');
  t.equal(snmpMac(Buffer.from('x')), null);
  t.equal(snmpCounter(5), 5n);
  t.equal(snmpCounter(null), null);
  t.equal(snmpCounter('5'), null);
});

/** A shell that answers from a table, and remembers what was sent. */
function scripted(answers: Readonly<Record<string, string>>): Shell & { readonly sent: string[] } {
  const sent: string[] = [];
  return {
    device: 'leaf-1',
    sent,
    run: async command => {
      sent.push(command);
      const stdout = answers[command];
      return {
        exitCode: stdout === undefined ? 127 : 0,
        stdout: stdout ?? '',
        stderr: stdout === undefined ? 'bash: command not found' : '',
        truncated: false,
        wholeLineBytes: 0,
      };
    },
    close: async () => {},
  };
}

void t.test('a SONiC switch joins SNMP, tables and database into counters of a port', async t => {
  const shell = scripted({
    'show pfc counters':
      '  Port Rx    PFC0    PFC1    PFC2    PFC3    PFC4    PFC5    PFC6    PFC7\n---------  ------  ------  ------  ------  ------  ------  ------  ------\nEthernet4       0       0       0   1,203       0       0       0       0\n\n  Port Tx    PFC0    PFC1    PFC2    PFC3    PFC4    PFC5    PFC6    PFC7\n---------  ------  ------  ------  ------  ------  ------  ------  ------\nEthernet4       0       0       0      77       0       0       0       0\n',
    'show queue counters':
      'For namespace :\n     Port    TxQ    Counter/pkts    Counter/bytes    Drop/pkts    Drop/bytes\n---------  -----  --------------  ---------------  -----------  ------------\nEthernet4    UC0               1                1            1             1\nEthernet4    UC3           9,001               70           19            76\n',
    'show queue wredcounters':
      '     Port    TxQ    WredDrp/pkts    WredDrp/bytes    EcnMarked/pkts    EcnMarked/bytes\n---------  -----  --------------  ---------------  ----------------  -----------------\nEthernet4    UC3               0                0               415                  0\n',
    'show queue watermark unicast':
      'Egress shared pool occupancy per unicast queue:\n     Port      UC0    UC3\n---------  -------  -----\nEthernet4        0   2986\n',
    'sonic-db-cli COUNTERS_DB HGETALL COUNTERS_PORT_NAME_MAP': "{'Ethernet4': 'oid:0x1000000000003'}\n",
    'sonic-db-cli COUNTERS_DB HGETALL COUNTERS:oid:0x1000000000003':
      "{'SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US': '12'}\n",
    'show version': 'SONiC Software Version: SONiC.202405\nHwSKU: AC\nSerial Number: S1\n',
    'sonic-cfggen -d -v DEVICE_METADATA.localhost.mac': '00:11:22:33:44:55\n',
    'show ip bgp summary':
      'Neighbhor      V     AS  State/PfxRcd\n-----------  ---  -----  --------------\n10.0.0.1       4  65200  Active\n',
    'sudo config interface shutdown Ethernet4': '',
  });
  const oids: string[] = [];
  const values: Record<string, unknown> = {
    8: 1,
    13: 2,
    19: 3,
    '31.6': 2n ** 60n,
    '31.10': 10n,
    '31.7': 100n,
    '31.8': 1n,
    '31.11': 5n,
  };
  const get = async (asked: readonly string[]) => {
    oids.push(...asked);
    return new Map(
      asked.map(oid => [
        oid,
        (values[`${oid.startsWith('1.3.6.1.2.1.31') ? '31.' : ''}${oid.split('.').at(-2)}`] ?? null) as
          | bigint
          | number
          | null,
      ]),
    );
  };
  const session = {
    device: 'leaf-1',
    get,
    together: (groups: readonly (readonly string[])[]) => Promise.all(groups.map(get)),
    walk: async () => new Map(),
    table: async () => new Map(),
    close: () => {},
  };
  const device = sonicSwitch({
    name: 'leaf-1',
    shell,
    guard: openGuard(shell),
    snmp: session,
    ifIndex: port => Number(port.slice(8)) / 4 + 1,
  });
  const found = (await device.counters(['Ethernet4'])).get('Ethernet4');
  t.strictSame(found, {
    rxBytes: 2n ** 60n,
    txBytes: 10n,
    rxPackets: 101n,
    txPackets: 5n,
    drops: 5n,
    operUp: true,
    narrow: ['drops'],
    queuePackets: 9001n,
    ecnMarked: 415n,
    pfcRx: 1203n,
    pfcTx: 77n,
    pausedNs: 12_000n,
    queuePeakBytes: 2986n,
  });
  t.ok(
    oids.every(oid => oid.endsWith(oid.startsWith('1.3.6.1.2.1.1.') || oid.startsWith('1.3.6.1.6.') ? '.0' : '.2')),
    'ifIndex of Ethernet4 is 2',
  );
  const sent = shell.sent.length;
  t.equal((await device.sample(['Ethernet4'])).get('Ethernet4')?.rxBytes, 2n ** 60n);
  t.equal(shell.sent.length, sent, 'a sample sends no command');
  delete values['31.8'];
  t.match(
    (await device.sample(['Ethernet4'])).get('Ethernet4'),
    { rxPackets: null, txPackets: 5n },
    'a part of a sum that is not answered once is missing, not zero',
  );
  Object.assign(values, { '31.8': 1n, '31.12': 7n });
  t.match(
    (await device.sample(['Ethernet4'])).get('Ethernet4'),
    { rxPackets: 101n, txPackets: 5n },
    'one that was not there at the first reading stays out',
  );
  delete values['31.12'];
  t.equal(
    (await device.counters(['Ethernet8'])).get('Ethernet8')?.queuePackets,
    null,
    'a port that no table holds is missing, not zero',
  );
  t.match(await device.facts(), { software: '202405', serial: 'S1', baseMac: '00:11:22:33:44:55' });
  t.strictSame(await device.bgp(), [{ address: '10.0.0.1', asn: 65200, state: 'Active', prefixes: undefined }]);
  await device.setPort('Ethernet4', 'down');
  t.equal(shell.sent.at(-1), 'sudo config interface shutdown Ethernet4');
  await t.rejects(device.lldp(), { message: /show lldp table failed: exit code 127/ });
});

void t.test('nothing but a port name or an address enters a command', async t => {
  for (const bad of [
    'Ethernet',
    'Ethernet0;reboot',
    'Ethernet00000',
    '-h',
    'Ethernet0\nreboot',
    'ethernet0',
    '',
    '$(id)',
  ])
    t.throws(() => safePort(bad), RangeError, bad);
  t.equal(safePort('Ethernet124'), 'Ethernet124');
  const load = { kind: 'all-to-all', bytes: '1 MiB' } as const;
  for (const bad of ['a b', 'a;b', '-x', '$(id)', 'a\nb', "a'b", ''])
    t.throws(() => collectiveCommand(load, ['198.18.0.1', bad]), RangeError, bad);
  t.match(
    collectiveCommand(load, ['198.18.0.1', '198.18.0.2']),
    /mpirun -np 2 -H 198\.18\.0\.1,198\.18\.0\.2 alltoall_perf -b 1048576 -e 1048576 /,
  );
});
