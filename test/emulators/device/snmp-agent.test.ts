import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import snmp from 'net-snmp';
import t from 'tap';
import { type SnmpAgent, startSnmpAgent } from '../../../emulators/device/snmp-agent.ts';
import { SNMP, SnmpStore, snmprecRows, snmprecStore } from '../../../emulators/device/snmp-store.ts';
import { encodeTrap } from '../../../emulators/device/snmp-trap.ts';
import { connectSnmp, type SnmpValue } from '../../../harness/drivers/snmp.ts';

const run = promisify(execFile);
const recordings = path.resolve(import.meta.dirname, '../../../../shared/recordings/snmp');
const onPath = (program: string): boolean =>
  (process.env['PATH'] ?? '').split(path.delimiter).some(folder => existsSync(path.join(folder, program)));
const skipWalk = onPath('snmpbulkwalk') ? false : 'snmpbulkwalk is not installed';
const skipRecordings = existsSync(recordings) ? false : `${recordings} is absent`;
const skipReplay = skipWalk || skipRecordings;

const USER = {
  name: 'farspan',
  auth: 'sha256',
  authKey: 'authentic-enough',
  privacy: 'aes',
  privacyKey: 'private-enough',
} as const;
const start = (store: SnmpStore, more: object = {}): Promise<SnmpAgent> =>
  startSnmpAgent({
    port: 0,
    community: 'open',
    engineId: Buffer.from('80001f880474657374', 'hex'),
    users: [USER],
    store: () => store,
    ...more,
  });

/** Runs a net-snmp program without MIB files, so that nothing is formatted by a hint. */
async function cli(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, ['-m', '', ...args], {
    maxBuffer: 2 ** 28,
    timeout: 30_000,
    encoding: 'latin1',
  });
  return stdout;
}

const NAMES: Readonly<Record<string, string>> = {
  '2': 'INTEGER',
  '4': 'STRING',
  '6': 'OID',
  '64': 'IpAddress',
  '65': 'Counter32',
  '66': 'Gauge32',
  '67': 'Timeticks',
  '70': 'Counter64',
};

/** `oid type value` of one line of a recording, by rules of its own: hex text for strings. Wraps what the wire can not hold. */
function recorded(line: string): string {
  const [oid = '', tag = '', ...rest] = line.split('|');
  const text = rest.join('|');
  const hex = tag.endsWith('x');
  const type = hex ? tag.slice(0, -1) : tag;
  const bytes = Buffer.from(text, hex ? 'hex' : 'latin1');
  const value =
    type === '4'
      ? bytes.toString('hex')
      : type === '64' && hex
        ? [...bytes].join('.')
        : type === '6'
          ? text.replace(/^\./, '')
          : type === '67'
            ? String(BigInt(text) % 2n ** 32n)
            : text;
  return `${oid} ${NAMES[type]} ${value}`;
}

/** The same of the output of `snmpbulkwalk -On -Oe -Ot -OU -Ox`. */
function walked(output: string): string[] {
  const rows: string[] = [];
  for (const line of output.replaceAll(/ \n(?=[0-9A-F]{2} )/g, ' ').split('\n')) {
    const match = /^\.([0-9.]+) = (?:([A-Za-z0-9-]+): ?)?(.*)$/.exec(line);
    if (!match || line.includes('No more variables left')) continue;
    const [, oid, type, value = ''] = match;
    if (type === 'Hex-STRING') rows.push(`${oid} STRING ${value.replaceAll(' ', '').toLowerCase()}`);
    else if (type === undefined && value === '""') rows.push(`${oid} STRING `);
    else if (type === undefined) rows.push(`${oid} Timeticks ${value}`);
    else rows.push(`${oid} ${type} ${type === 'OID' ? value.replace(/^\./, '') : value}`);
  }
  return rows;
}

void t.test(
  'every row of every recorded walk comes back through snmpbulkwalk as it was recorded',
  { skip: skipReplay },
  async t => {
    for (const file of readdirSync(recordings).filter(name => name.endsWith('.snmprec'))) {
      const text = readFileSync(path.join(recordings, file), 'latin1');
      const expected = new Map<string, string>();
      for (const line of text.split(/\r?\n/).filter(line => line !== '')) {
        const oid = line.slice(0, line.indexOf('|'));
        // A recording that names an OID twice: an agent has one value, the first.
        if (!expected.has(oid)) expected.set(oid, recorded(line));
      }
      const agent = await start(snmprecStore(text));
      try {
        const began = performance.now();
        const rows = walked(
          await cli('snmpbulkwalk', [
            '-v2c',
            '-c',
            'open',
            '-On',
            '-Oe',
            '-Ot',
            '-OU',
            '-Ox',
            '-Cr100',
            `127.0.0.1:${agent.port}`,
            '.1',
          ]),
        );
        const ms = performance.now() - began;
        const got = new Set(rows);
        const wrong = [...expected.values()].filter(row => !got.has(row));
        t.same(wrong.slice(0, 5), [], `${file}: all ${expected.size} rows as recorded`);
        t.equal(rows.length, expected.size, `${file}: no row more, no row less`);
        t.ok(ms < 15_000, `${file}: walked in ${Math.round(ms)} ms`);
      } finally {
        await agent.close();
      }
    }
  },
);

void t.test(
  'the recordings that cover all types',
  { skip: existsSync(recordings) ? false : `${recordings} is absent` },
  t => {
    const rows = snmprecRows(
      '1.3.6.1.2.1.1.1.0|4x|00ff\n1.3.6.1.2.1.1.3.0|67|4294967297\n1.3.6.1.9.1|64x|c6130001\n1.3.6.1.9.2|70|18446744073709551615\n1.3.6.1.9.3|2|-5\n',
    );
    t.same(
      rows.map(({ type, value }) => [type, value]),
      [
        [4, Buffer.from([0, 255])],
        [67, 1],
        [64, '198.19.0.1'],
        [70, 18446744073709551615n],
        [2, -5],
      ],
    );
    t.throws(() => snmprecRows('1.3.6|4|a\nnonsense'), { message: /Line 2/ });
    t.throws(() => snmprecRows('1.3.6|99|a'), RangeError);
    t.end();
  },
);

void t.test('a store answers GETNEXT in the order of arcs, not of text', t => {
  const store = new SnmpStore(
    ['1.3.6.10.1', '1.3.6.9.1', '1.3.6.9.1.0', '1.3.6.9.10', '1.3.6.9.2'].map(oid => ({
      oid,
      type: SNMP.integer,
      value: 1,
    })),
  );
  t.same(
    store.rows().map(({ oid }) => oid),
    ['1.3.6.9.1', '1.3.6.9.1.0', '1.3.6.9.2', '1.3.6.9.10', '1.3.6.10.1'],
  );
  t.equal(store.next('1.3.6.9.2')?.oid, '1.3.6.9.10');
  t.equal(store.next('1.3.6.9.9.9')?.oid, '1.3.6.9.10');
  t.equal(store.next('1.3')?.oid, '1.3.6.9.1');
  t.equal(store.next('1.3.6.10.1'), undefined);
  t.end();
});

void t.test('counters wrap at their width and values are read when they are asked for', { skip: skipWalk }, async t => {
  let octets = 2n ** 64n - 1n;
  const store = new SnmpStore([
    { oid: '1.3.6.1.2.1.2.2.1.10.1', type: SNMP.counter32, value: () => Number(BigInt.asUintN(32, octets)) },
    { oid: '1.3.6.1.2.1.31.1.1.1.6.1', type: SNMP.counter64, value: () => octets },
    { oid: '1.3.6.1.2.1.31.1.1.1.6.2', type: SNMP.counter64, value: 128n },
    { oid: '1.3.6.1.2.1.31.1.1.1.6.3', type: SNMP.counter64, value: 0n },
  ]);
  const agent = await start(store);
  t.teardown(() => agent.close());
  const get = async (oid: string): Promise<string> =>
    (await cli('snmpget', ['-v2c', '-c', 'open', '-On', '-Oqv', `127.0.0.1:${agent.port}`, oid])).trim();
  t.equal(await get('1.3.6.1.2.1.31.1.1.1.6.1'), '18446744073709551615');
  t.equal(await get('1.3.6.1.2.1.2.2.1.10.1'), '4294967295');
  octets += 3n;
  t.equal(await get('1.3.6.1.2.1.31.1.1.1.6.1'), '2', '2^64 - 1 + 3 is 2');
  t.equal(await get('1.3.6.1.2.1.2.2.1.10.1'), '2');
  t.equal(await get('1.3.6.1.2.1.31.1.1.1.6.2'), '128');
  t.equal(await get('1.3.6.1.2.1.31.1.1.1.6.3'), '0');
  t.match(await get('1.3.6.1.2.1.31.1.1.1.6.9'), 'No Such Instance');
  t.match(await get('1.3.6.1.2.1.99.9'), 'No Such Object');
  const v1 = await cli('snmpwalk', ['-v1', '-c', 'open', '-On', `127.0.0.1:${agent.port}`, '.1']);
  t.match(v1, '.1.3.6.1.2.1.2.2.1.10.1 = Counter32: 2');
  t.notMatch(v1, 'Counter64', 'SNMPv1 has no Counter64');
});

void t.test(
  'SNMPv3: the right keys walk, the wrong ones do not, and a reboot of the engine is survived',
  { skip: skipWalk },
  async t => {
    let boots = 1;
    let seconds = 5;
    const store = new SnmpStore([{ oid: '1.3.6.1.2.1.1.5.0', type: SNMP.octets, value: Buffer.from('box') }]);
    const agent = await start(store, { engineBoots: () => boots, engineSeconds: () => seconds });
    t.teardown(() => agent.close());
    const v3 = (auth: string, privacy: string): string[] => [
      '-v3',
      '-l',
      'authPriv',
      '-u',
      'farspan',
      '-a',
      'SHA-256',
      '-A',
      auth,
      '-x',
      'AES',
      '-X',
      privacy,
      '-On',
      '-t',
      '1',
      '-r',
      '0',
      `127.0.0.1:${agent.port}`,
      '1.3.6.1.2.1.1',
    ];
    t.match(await cli('snmpwalk', v3(USER.authKey, USER.privacyKey)), '.1.3.6.1.2.1.1.5.0 = STRING: "box"');
    await t.rejects(cli('snmpwalk', v3('wrong-wrong-wrong', USER.privacyKey)));
    await t.rejects(cli('snmpwalk', v3(USER.authKey, 'wrong-wrong-wrong')));
    await t.rejects(
      cli('snmpget', ['-v2c', '-c', 'closed', '-t', '1', '-r', '0', `127.0.0.1:${agent.port}`, '1.3.6.1.2.1.1.5.0']),
      'a wrong community is not answered',
    );

    // One manager session through a reboot: its idea of the engine's time is refused once, then corrected by the report.
    const session = snmp.createV3Session(
      '127.0.0.1',
      {
        name: USER.name,
        level: snmp.SecurityLevel.authPriv,
        authProtocol: snmp.AuthProtocols.sha256,
        authKey: USER.authKey,
        privProtocol: snmp.PrivProtocols.aes,
        privKey: USER.privacyKey,
      },
      { port: agent.port, timeout: 1000, retries: 1 },
    );
    t.teardown(() => session.close());
    const get = (): Promise<string> =>
      new Promise((resolve, reject) =>
        session.get(['1.3.6.1.2.1.1.5.0'], (error, varbinds) =>
          error ? reject(error) : resolve(String(varbinds?.[0]?.value)),
        ),
      );
    t.equal(await get(), 'box');
    boots = 2;
    seconds = 0;
    t.equal(await get(), 'box');
  },
);

/** What our own driver read, in the words of `recorded`, without the type: a driver's values carry none. */
function seen(value: SnmpValue | undefined, type: string): string {
  if (value === null || value === undefined) return 'missing';
  if (!Buffer.isBuffer(value)) return String(value).replace(/^\./, '');
  return type === 'IpAddress' ? [...value].join('.') : value.toString('hex');
}

void t.test(
  'our driver reads every row of every recorded walk as the file has it',
  { skip: skipRecordings },
  async t => {
    for (const file of readdirSync(recordings).filter(name => name.endsWith('.snmprec'))) {
      const text = readFileSync(path.join(recordings, file), 'latin1');
      const expected = new Map<string, string>();
      for (const line of text.split(/\r?\n/).filter(line => line !== '')) {
        const row = recorded(line);
        const oid = row.slice(0, row.indexOf(' '));
        if (!expected.has(oid)) expected.set(oid, row);
      }
      const agent = await start(snmprecStore(text));
      const session = connectSnmp({
        device: file,
        host: '127.0.0.1',
        port: agent.port,
        as: { community: 'open' },
        deadlineMs: 30_000,
      });
      try {
        const read = new Map([...(await session.walk('1.0')), ...(await session.walk('1.3'))]);
        const wrong = [...expected].filter(([oid, row]) => {
          const [, type = '', ...rest] = row.split(' ');
          return seen(read.get(oid), type) !== rest.join(' ');
        });
        t.same(
          wrong.slice(0, 5).map(([oid, row]) => ({ row, read: seen(read.get(oid), row.split(' ')[1] ?? '') })),
          [],
          `${file}: all ${expected.size} rows`,
        );
        t.equal(read.size, expected.size, `${file}: no row more, no row less`);
      } finally {
        session.close();
        await agent.close();
      }
    }
  },
);

void t.test('a device that is down does not answer', { skip: skipWalk }, async t => {
  let up = false;
  const agent = await start(new SnmpStore([{ oid: '1.3.6.1.2.1.1.3.0', type: SNMP.timeTicks, value: 7 }]), {
    isUp: () => up,
  });
  t.teardown(() => agent.close());
  const args = [
    '-v2c',
    '-c',
    'open',
    '-On',
    '-Ot',
    '-t',
    '1',
    '-r',
    '0',
    `127.0.0.1:${agent.port}`,
    '1.3.6.1.2.1.1.3.0',
  ];
  await t.rejects(cli('snmpget', args));
  up = true;
  t.match(await cli('snmpget', args), '.1.3.6.1.2.1.1.3.0 = 7');
});

void t.test('hostile datagrams neither end the agent nor stop it from answering', { skip: skipWalk }, async t => {
  const agent = await start(new SnmpStore([{ oid: '1.3.6.1.2.1.1.3.0', type: SNMP.timeTicks, value: 7 }]));
  t.teardown(() => agent.close());
  const socket = createSocket('udp4');
  t.teardown(() => void socket.close());
  const trap = encodeTrap({ community: 'open', requestId: 1, upTime: 0, trapOid: '1.3.6.1.6.3.1.1.5.3', varbinds: [] });
  // A GETBULK with a negative count, all prefixes of a good message, every byte of it changed.
  const bulk = Buffer.from(trap);
  bulk[bulk.indexOf(0xa7)] = 0xa5;
  const hostile: Uint8Array[] = [bulk, Buffer.alloc(1), Buffer.alloc(2000, 0x30)];
  for (let i = 0; i < trap.length; i++) {
    hostile.push(trap.subarray(0, i));
    for (const value of [0x00, 0x80, 0xff, 0xa1])
      hostile.push(Buffer.concat([bulk.subarray(0, i), Buffer.of(value), bulk.subarray(i + 1)]));
  }
  for (const datagram of hostile) await new Promise(resolve => socket.send(datagram, agent.port, '127.0.0.1', resolve));
  const answer = await cli('snmpget', [
    '-v2c',
    '-c',
    'open',
    '-On',
    '-Ot',
    `127.0.0.1:${agent.port}`,
    '1.3.6.1.2.1.1.3.0',
  ]);
  t.match(answer, '.1.3.6.1.2.1.1.3.0 = 7');
});

void t.test('snmp-native, a second implementation, reads the same IF-MIB counters', async t => {
  interface NativeVarbind {
    readonly oid: readonly number[];
    readonly value: unknown;
    readonly valueHex: string;
  }
  const native = createRequire(import.meta.url)('snmp-native') as {
    Session: new (
      options: object,
    ) => {
      getSubtree(options: object, done: (error: Error | null, rows: NativeVarbind[]) => void): void;
      close(): void;
    };
  };
  const values = [0n, 1n, 127n, 128n, 255n, 256n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
  const store = new SnmpStore(
    values.map((value, i) => ({ oid: `1.3.6.1.2.1.31.1.1.1.6.${i + 1}`, type: SNMP.counter64, value })),
  );
  const agent = await start(store);
  t.teardown(() => agent.close());
  const session = new native.Session({ host: '127.0.0.1', port: agent.port, community: 'open', timeouts: [2000] });
  const rows = await new Promise<NativeVarbind[]>((resolve, reject) =>
    session.getSubtree({ oid: [1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6] }, (error, found) =>
      error ? reject(error) : resolve(found),
    ),
  );
  session.close();
  t.same(
    rows.map(({ valueHex }) => BigInt(`0x${valueHex}`)),
    values,
  );
});

void t.test("a trap of ours is what net-snmp's receiver understands, with an uptime of 0", async t => {
  const received = await new Promise<{ community: unknown; varbinds: { oid: string; type: number; value: unknown }[] }>(
    (resolve, reject) => {
      const receiver = snmp.createReceiver(
        { port: 0, address: '127.0.0.1', transport: 'udp4', disableAuthorization: true } as never,
        (error: Error | null, notification: never) => {
          receiver.close();
          if (error) reject(error);
          else resolve((notification as { pdu: never }).pdu);
        },
      );
      const [socket] = Object.values(
        (receiver as unknown as { listener: { sockets: Record<string, import('node:dgram').Socket> } }).listener
          .sockets,
      );
      socket?.once('listening', () => {
        socket.send(
          encodeTrap({
            community: 'open',
            requestId: 2 ** 31 - 1,
            upTime: 0,
            trapOid: '1.3.6.1.6.3.1.1.5.3',
            varbinds: [
              { oid: '1.3.6.1.2.1.2.2.1.8.4294967295', type: SNMP.integer, value: -129 },
              { oid: '1.3.6.1.6.3.18.1.3.0', type: SNMP.ipAddress, value: '198.19.0.255' },
              { oid: '1.3.6.1.2.1.1.5.0', type: SNMP.octets, value: Buffer.alloc(300, 0x61) },
            ],
          }),
          socket.address().port,
          '127.0.0.1',
        );
      });
    },
  );
  t.same(
    received.varbinds.map(({ oid, type, value }) => [oid, type, Buffer.isBuffer(value) ? value.toString() : value]),
    [
      ['1.3.6.1.2.1.1.3.0', 67, 0],
      ['1.3.6.1.6.3.1.1.4.1.0', 6, '1.3.6.1.6.3.1.1.5.3'],
      ['1.3.6.1.2.1.2.2.1.8.4294967295', 2, -129],
      ['1.3.6.1.6.3.18.1.3.0', 64, '198.19.0.255'],
      ['1.3.6.1.2.1.1.5.0', 4, 'a'.repeat(300)],
    ],
  );
});
