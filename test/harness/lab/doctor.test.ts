import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { startEmulatedLab } from '../../../emulators/device/emulated-lab.ts';
import { TestbedUnavailable } from '../../../harness/binding/binding.ts';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import type { Testbed } from '../../../harness/binding/testbed.ts';
import { doctorBoard } from '../../../harness/cli/doctor-board.ts';
import { parseSurvey } from '../../../harness/drivers/device-guard.ts';
import { DATE_COMMAND } from '../../../harness/lab/clock-offset.ts';
import { connectDevice, openShell } from '../../../harness/lab/connect.ts';
import { doctor, type DoctorOptions, type DoctorReport } from '../../../harness/lab/doctor.ts';
import { checkCabling } from '../../../harness/lab/doctor/cabling.ts';
import { judgeRefresh, judgeWidths } from '../../../harness/lab/doctor/counters.ts';
import { judgeTime } from '../../../harness/lab/doctor/device-time.ts';
import { checkRunner, parseDf } from '../../../harness/lab/doctor/free-space.ts';
import { judgeGpus } from '../../../harness/lab/doctor/gpus.ts';
import { checkGuarding } from '../../../harness/lab/doctor/guarding.ts';
import { checkLeftBehind } from '../../../harness/lab/doctor/left-behind.ts';
import { judgeOptics, rxPowerOf } from '../../../harness/lab/doctor/optics.ts';
import { judgeShaper } from '../../../harness/lab/doctor/shaper.ts';
import { checkVersions } from '../../../harness/lab/doctor/versions.ts';
import { within } from '../../../harness/lab/doctor/within.ts';
import { fileHealthStore } from '../../../harness/lab/health.ts';
import { deviceKey, type Inventory, readInventory } from '../../../harness/lab/inventory.ts';
import { labBinding } from '../../../harness/lab/lab-binding.ts';
import { noteFailures } from '../../../harness/lab/note-failures.ts';
import { clocksOf } from '../../../harness/model/clocks-of.ts';
import type { RecordLine } from '../../../harness/model/record.ts';
import { PAIR } from './survival/pair.ts';

const GIB = 2 ** 30;
const FOLDER = mkdtempSync(path.join(tmpdir(), 'farspan-doctor-'));
const lab = await startEmulatedLab({ topology: PAIR, seed: 1, directory: path.join(FOLDER, 'lab') });
t.teardown(async () => {
  await lab.close();
  rmSync(FOLDER, { recursive: true, force: true });
});
const healthy = readInventory(lab.inventoryText, lab.inventory);

let copies = 0;
/** A changed copy of the inventory, beside the original because its secrets are relative to it. */
function changed(edit: (text: string) => string): string {
  const file = path.join(FOLDER, 'lab', `changed-${++copies}.yaml`);
  const now = edit(lab.inventoryText);
  if (now === lab.inventoryText) throw new Error('the edit changed nothing');
  writeFileSync(file, now);
  return file;
}

/** Runs a command on a device by hand, as somebody else would. */
async function somebody(device: string, command: string): Promise<void> {
  const entry = healthy.devices[device];
  if (!entry) throw new Error(device);
  const shell = await openShell(device, entry, { inventory: healthy, env: {} });
  const { exitCode, stderr } = await shell.run(command);
  await shell.close();
  if (exitCode !== 0) throw new Error(`${device}: ${command}: ${stderr}`);
}

const wrongIn = ({ lines }: DoctorReport): readonly string[] =>
  lines
    .filter(({ ok }) => ok !== true)
    .map(({ subject, check, ok, detail }) => `${ok === false ? 'wrong' : 'unknown'} ${subject} ${check}: ${detail}`);

const examine = (file = lab.inventory, options: DoctorOptions = {}): Promise<DoctorReport> =>
  doctor(file, { env: {}, ...options });

void t.test('a healthy lab has no trouble: every check told', async t => {
  const report = await examine(lab.inventory, { folders: { runs: FOLDER }, journals: [] });
  t.same(wrongIn(report), []);
  t.equal(report.exitCode, 0);
  t.same(
    report.devices.map(({ device, ok }) => [device, ok]),
    Object.keys(healthy.devices).map(device => [device, true]),
  );
  t.ok(report.devices.every(({ time }) => time !== undefined && time.boundNs <= 1));
  const checks = (device: string): string =>
    report.lines
      .filter(({ subject }) => subject === device)
      .map(({ check }) => check)
      .join(' ');
  t.equal(
    checks('xl'),
    'reach host key login identity snmp time disk undo fence left behind cabling optics counters',
    'a switch',
  );
  t.equal(checks('x1'), 'reach host key login identity time disk undo fence left behind gpu', 'a host');
  t.equal(checks('span-north'), 'reach host key login identity time disk undo fence left behind shaper', 'a span box');
  t.comment(`${report.lines.length} checks of ${report.devices.length} devices in ${Math.round(report.tookMs)} ms`);
});

void t.test('each planted trouble is found, alone, with its fix', async t => {
  const keyOf = (device: string): string => healthy.devices[device]?.ssh.hostKey ?? '';
  const hostKey = await examine(changed(text => text.replace(keyOf('yl'), `SHA256:${'A'.repeat(43)}`)));
  t.match(wrongIn(hostKey), [/^wrong yl host key: changed; pinned SHA256:A+, shown SHA256:/]);
  t.match(
    hostKey.lines.find(({ ok }) => ok === false),
    { fix: /farspan trust yl --replace/ },
  );
  t.equal(hostKey.exitCode, 3);

  const swapped = await examine(
    changed(text =>
      text
        .replace('- xl Ethernet0', '- xl EthernetX')
        .replace('- xl Ethernet4', '- xl Ethernet0')
        .replace('- xl EthernetX', '- xl Ethernet4'),
    ),
  );
  t.match(wrongIn(swapped), [
    /^wrong xl cabling: Ethernet\d and Ethernet\d are swapped: /,
    /^wrong yl cabling: Ethernet4 sees xl Ethernet4, the inventory says xl Ethernet0$/,
  ]);
  t.match(
    swapped.lines.find(({ subject, ok }) => subject === 'xl' && ok === false)?.fix,
    /Swap the two cables at xl, or the ends in the inventory \(.*:\d+:\d+ and .*:\d+:\d+\)/,
  );

  await somebody('span-north', 'ip link set dev eth2 down');
  const dark = await examine();
  await somebody('span-north', 'ip link set dev eth2 up');
  t.match(wrongIn(dark).join('\n'), /wrong span-north shaper: north a-to-b is dark/);
  t.match(wrongIn(dark).join('\n'), /wrong yl optics: Ethernet4 is dark: it receives -40 dBm/);
  t.notMatch(wrongIn(dark).join('\n'), /xl optics/, 'the other way has light');
  t.match(
    dark.lines.find(({ check, ok }) => check === 'optics' && ok === false)?.fix,
    /the fibre is cut or unplugged\. On a span, look at the box between/,
  );

  const full = await examine(lab.inventory, {
    folders: { runs: FOLDER },
    leastFreeBytes: { runner: 2 ** 60, device: GIB },
  });
  t.match(wrongIn(full), [/^wrong runner runner: .* free for runs in /]);
  t.match(full.lines.find(({ check }) => check === 'runner')?.fix, /Make room for .*GiB/);
  const fullDevices = await examine(lab.inventory, { leastFreeBytes: { runner: GIB, device: 2 ** 40 }, only: ['x1'] });
  t.match(wrongIn(fullDevices), [/^wrong x1 disk: 10\.87 GiB free on \/$/]);

  const found = 'tc qdisc replace dev eth2 root netem limit 1000000 delay 48.974us';
  await somebody('span-north', 'tc qdisc replace dev eth2 root netem limit 100 delay 48.974us');
  const limit = await examine();
  await somebody('span-north', found);
  t.match(wrongIn(limit), [
    /^wrong span-north shaper: north a-to-b holds 100 packets; 100 Gb\/s over 10 km need 1196$/,
  ]);
  t.match(
    limit.lines.find(({ check }) => check === 'shaper')?.fix,
    /On the box: tc qdisc replace dev eth2 root netem limit 1196 delay 48\.974us$/,
  );
  t.same(wrongIn(await examine()), [], 'and well again');
});

void t.test('a device that hangs or is gone costs its deadline, and is told', async t => {
  const port = healthy.devices['x1']?.ssh.port;
  const gone = await examine(changed(text => text.replace(`port: ${port}`, 'port: 9')));
  t.match(wrongIn(gone), [/^wrong x1 reach: .*127\.0\.0\.1:9/]);
  const hangs = async () => new Promise<never>(() => {});
  const late = await examine(lab.inventory, { only: ['x1'], withinMs: 1500, connect: hangs });
  t.match(wrongIn(late), ['unknown x1 reach: not done within 1.5 s']);
  t.ok(late.tookMs < 3000, `${late.tookMs} ms`);
  t.same(await within('disk', 20, hangs), [
    {
      check: 'disk',
      ok: 'unknown',
      detail: 'no answer within 0.02 s',
      fix: 'It is slow, or its management network is. Log in by hand and look at its load.',
    },
  ]);
  await t.rejects(
    within('disk', 1000, async () => Promise.reject(new RangeError('a mistake of ours'))),
    RangeError,
  );
});

/** A health store, with a clock that stands. */
const storeIn = (folder: string) => fileHealthStore({ folder, now: () => new Date(0) });

void t.test('health: a pass makes good, a failure suspect, only a recovery or a person ends a quarantine', async t => {
  const folder = path.join(FOLDER, 'health-1');
  const store = storeIn(folder);
  const device = { device: 'xl', key: 'SHA256:x/y+z' };
  const say = (what: Parameters<typeof store.note>[1]['what']): string =>
    store.note(device, { what, reason: what, by: 'test' }).health;
  t.match(store.of(device), { health: 'unknown', reason: 'nobody has looked yet' });
  t.equal(say('passed'), 'good');
  t.equal(say('broke'), 'suspect');
  t.equal(say('passed'), 'good');
  t.equal(say('failed'), 'suspect');
  t.equal(say('unhealed'), 'quarantined');
  t.equal(say('passed'), 'quarantined', 'no check ends it');
  t.equal(say('broke'), 'quarantined');
  t.match(storeIn(folder).of(device), { health: 'quarantined', reason: 'unhealed', since: '1970-01-01T00:00:00.000Z' });
  t.match(store.list(), [{ device: 'xl', health: 'quarantined' }]);
  t.equal(say('recovered'), 'unknown');
  t.equal(say('unhealed'), 'quarantined');
  t.equal(say('released'), 'unknown');
  store.measured(device, 5e9);
  t.equal(say('passed'), 'good');
  t.match(store.of(device), { health: 'good', refreshNs: 5e9 });
});

void t.test('health: a damaged file is unknown, a damaged quarantine is still one', async t => {
  const folder = path.join(FOLDER, 'health-2');
  const store = storeIn(folder);
  const device = { device: 'xl', key: 'k' };
  store.note(device, { what: 'passed', reason: 'well', by: 'test' });
  const files = (): string[] => readdirSync(path.join(folder, 'health')).map(name => path.join(folder, 'health', name));
  const [file = ''] = files();
  const whole = readFileSync(file, 'utf8');
  const wrong: number[] = [];
  for (let length = 0; length < whole.length - 1; length++) {
    writeFileSync(file, whole.slice(0, length));
    if (store.of(device).health !== 'unknown') wrong.push(length);
  }
  t.same(wrong, [], `${whole.length} truncations`);
  store.note(device, { what: 'unhealed', reason: 'dark', by: 'test' });
  for (const name of files()) writeFileSync(name, '{"format":1');
  t.match(store.of(device), { health: 'quarantined', reason: 'the file that says why is damaged' });
});

const messageOf = async (act: () => Promise<unknown>): Promise<string> => {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof TestbedUnavailable)) throw error;
    return error.message;
  }
  return 'it was reserved';
};

void t.test('a quarantined device is refused at once; a suspect one is looked at first', async t => {
  const state = path.join(FOLDER, 'state');
  const health = fileHealthStore({ folder: state });
  const subjectOf = (device: string) => ({
    device,
    key: deviceKey(healthy.devices[device] as Inventory['devices'][string]),
  });
  const contacted: string[] = [];
  const reserve = async (): Promise<void> => {
    const binding = labBinding({ env: {}, boundary: name => void contacted.push(name) });
    const testbed = await binding.reserve(PAIR, {
      seed: 1,
      record: () => {},
      step: ({ device }) => void contacted.push(device),
      options: { inventory: lab.inventory, state },
    });
    await testbed.release();
  };
  health.note(subjectOf('span-north'), { what: 'unhealed', reason: 'cut of north: light off', by: 'ada@runner' });
  const refused = await messageOf(reserve);
  t.match(
    refused,
    /inventory\.yaml:\d+:\d+: span-north is not used: quarantined since .* by ada@runner: cut of north: light off\./,
  );
  t.match(refused, /farspan recover --inventory .*\. Or, .* --release span-north --because TEXT$/);
  t.same(
    contacted.filter(name => name !== 'clock'),
    [],
    'nothing was contacted',
  );
  health.note(subjectOf('span-north'), { what: 'released', reason: 'looked at it', by: 'ada' });

  health.note(subjectOf('span-north'), { what: 'broke', reason: 'tc hung', by: 'ada@runner' });
  await somebody('span-north', 'tc qdisc replace dev eth2 root netem limit 100 delay 48.974us');
  const sick = await messageOf(reserve);
  await somebody('span-north', 'tc qdisc replace dev eth2 root netem limit 1000000 delay 48.974us');
  t.match(
    sick,
    /span-north is not used: it is suspect \(tc hung\), and shaper: north a-to-b holds 100 packets; .*\n {2}It would drop/,
  );
  t.equal(health.of(subjectOf('span-north')).health, 'suspect');
  t.equal(await messageOf(reserve), 'it was reserved');
  t.match(health.of(subjectOf('span-north')), { health: 'good', reason: /^all checks passed; before: shaper: / });
});

void t.test(
  'on wall time: a clock that is not disciplined is told, and a run reads all clocks from its start to its end',
  async t => {
    const paced = await startEmulatedLab({ topology: PAIR, seed: 1, directory: path.join(FOLDER, 'paced'), pace: 1 });
    t.teardown(() => paced.close());
    const inventory = path.join(FOLDER, 'paced', 'wall.yaml');
    writeFileSync(inventory, paced.inventoryText.replace(/^clock: .*\n/m, ''));
    // The devices' own date moves with the simulator's slices; in its place this machine's, 2.5 s ahead.
    const startNs = process.hrtime.bigint();
    const startUnixNs = BigInt(Date.now()) * 1_000_000n + 2_500_000_000n;
    const connect: typeof connectDevice = async (name, options) => {
      const opened = await connectDevice(name, options);
      const read: typeof opened.read = async (command, run) => {
        if (command !== DATE_COMMAND) return opened.read(command, run);
        const unixNs = startUnixNs + process.hrtime.bigint() - startNs;
        const stdout = `${unixNs / 1_000_000_000n}.${String(unixNs % 1_000_000_000n).padStart(9, '0')}\n`;
        return { ...(await opened.read(command, run)), stdout };
      };
      return { ...opened, read };
    };
    const report = await examine(inventory, { refreshWithinMs: 500, connect });
    t.same(
      report.devices.map(({ device }) => [
        device,
        report.lines.find(({ subject, check }) => subject === device && check === 'time')?.ok,
      ]),
      report.devices.map(({ device }) => [device, false]),
    );
    const worstNs = Math.max(...report.devices.map(({ time }) => time?.boundNs ?? Number.POSITIVE_INFINITY));
    t.ok(worstNs < 1e9, `2.5 s ahead, known to ${worstNs / 1e6} ms at worst`);
    t.match(
      report.lines.filter(({ check }) => check === 'refresh'),
      [{ ok: 'unknown' }, { ok: 'unknown' }],
      'without traffic nobody knows how old counters are',
    );

    const lines: RecordLine[] = [];
    const testbed = await labBinding({ env: {}, connect }).reserve(PAIR, {
      seed: 1,
      record: line => void lines.push(line),
      step: () => {},
      options: { inventory, state: path.join(FOLDER, 'paced-state') },
    });
    const fault = { kind: 'span-cut', span: PAIR.spans.north, direction: 'both', light: 'lost' } as const;
    const injected = await testbed.inject(fault, '1-span-cut');
    await injected.heal();
    t.same(await testbed.release(), { dirty: [] });
    const clocks = clocksOf(lines);
    const known = ['north', 'x1', 'xl'].map(node => clocks(node, injected.injectedNs ?? Number.NaN)?.boundNs);
    t.ok(
      known.every(boundNs => boundNs !== undefined && boundNs < 1e9),
      `at the fault the clocks are known to ${known.map(ns => `${(ns ?? Number.NaN) / 1e6} ms`).join(', ')}`,
    );
    t.ok(
      lines.filter(({ kind }) => kind === 'clock').length >= 4 * report.devices.length,
      'begin, around the fault, end',
    );
  },
);

void t.test(
  'an error of a device that reaches the run makes it suspect; a lost lease and our mistakes do not',
  async t => {
    const failed: string[] = [];
    const broken = new DeviceError('xl', 'show lldp', 'no answer', 'Look at it.');
    let error: unknown = broken;
    const testbed = noteFailures(
      {
        name: 'hand-made',
        observe: async () => Promise.reject(error),
        start: async () => ({ rounds: async () => Promise.reject(error), stop: async () => {} }),
      } as unknown as Testbed,
      ({ device }) => void failed.push(device),
    );
    await t.rejects(testbed.observe(), broken);
    error = new Error('it could not be injected', { cause: broken });
    const load = await testbed.start({ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'ring' });
    await t.rejects(load.rounds(), error as Error);
    error = new RangeError('a mistake of ours');
    await t.rejects(testbed.observe(), error as Error);
    t.same(failed, ['xl', 'xl']);
  },
);

const neighbor = (port: string, device: string, remotePort: string) => ({ port, device, remotePort });

void t.test('cabling: missing, wrong, extra and what does not speak LLDP', async t => {
  const look = (neighbors: readonly ReturnType<typeof neighbor>[], up = true) =>
    checkCabling('xl', {
      inventory: healthy,
      neighbors,
      ports: new Map(['Ethernet0', 'Ethernet4'].map(port => [port, { operUp: up }])),
    }).map(({ ok, detail }) => `${ok} ${detail}`);
  const host = neighbor('Ethernet0', 'X1.example.org', '02:fa:00:00:05:01');
  const span = neighbor('Ethernet4', 'yl', 'Ethernet4');
  t.same(look([host, span, neighbor('eth0', 'oob-switch', 'ge-0/0/1')]), ['true 2 of 2 cables as the inventory says']);
  t.same(look([span]), ['unknown Ethernet0 is up and sees no neighbour; x1 eth0 should be there']);
  t.same(look([span], false), ['false Ethernet0 is down; x1 eth0 should be there']);
  t.same(look([host]), ['unknown Ethernet4 is up and sees no neighbour; yl Ethernet4 over span-north should be there']);
  t.same(look([host, neighbor('Ethernet4', 'span-north', 'eth1')]), [
    'false Ethernet4 sees span-north eth1, the inventory says yl Ethernet4',
  ]);
  t.same(look([host, span, neighbor('Ethernet8', 'z9', 'eth0')]), [
    'false Ethernet8 sees z9 eth0, and the inventory has no cable there',
  ]);
  const many = Array.from({ length: 10_000 }, (_, i) => neighbor(`Ethernet${100 + i}`, 'z'.repeat(10_000), 'eth0'));
  const flood = look([host, span, ...many]);
  t.equal(flood.length, 21);
  t.equal(flood.at(-1), 'false 9980 more neighbours that the inventory has no cable to');
  t.ok(
    flood.every(line => line.length < 400),
    'a device that makes up neighbours is cut',
  );
});

void t.test('optics: limits of receive power, lanes, watts, and what tells nothing', async t => {
  const judge = (dBm: number | null | undefined) =>
    judgeOptics(dBm === undefined ? [] : [{ port: 'Ethernet0', dBm }], { cabled: ['Ethernet0'], spans: [] }).map(
      ({ ok }) => ok,
    );
  t.same([-14, 0, -14.01, 0.01, -40, null].map(judge), [[true], [true], [false], [false], [false], ['unknown']]);
  t.same(judge(undefined), [true], 'copper inside a site');
  t.match(judgeOptics([], { cabled: ['Ethernet0'], spans: ['Ethernet0'] }), [{ ok: 'unknown' }], 'a span must tell');
  const row = (type: number, scale: number, precision: number, value: number) => ({
    1: type,
    2: scale,
    3: precision,
    4: value,
    5: 1,
  });
  const names = new Map(
    ['Ethernet0/1', 'Ethernet0/2', 'Ethernet4'].map((port, i) => [
      `1.3.6.1.2.1.47.1.1.1.1.7.${i}`,
      Buffer.from(`DOM RX Power Sensor for ${port}`),
    ]),
  );
  const powers = await rxPowerOf({
    walk: async root => (root.endsWith('.7') ? names : new Map()),
    table: async () =>
      new Map([
        ['0', row(14, 9, 2, -350)],
        ['1', row(14, 9, 2, -1650)],
        // 0.1995 mW are -7 dBm.
        ['2', row(6, 8, 4, 1995)],
      ]),
  });
  t.same(
    powers.map(({ port, dBm }) => [port, Math.round((dBm ?? Number.NaN) * 100) / 100]),
    [
      ['Ethernet0', -16.5],
      ['Ethernet4', -7],
    ],
    'the weakest lane of each port',
  );
});

void t.test('GPUs: what hardware slows down, Xids, errors; what is not told', async t => {
  const state = (reasons: readonly string[] | null) => ({
    index: 0,
    uuid: 'GPU-1',
    name: 'H200',
    reasons: reasons && reasons.map(name => ({ name, throttles: true })),
    powerW: null,
    temperatureC: null,
    smClockHz: null,
  });
  const gpu = { id: '00000000:01:00.0', persistence: null, uncorrectedErrors: null };
  const judge = (parts: Partial<Parameters<typeof judgeGpus>[0]>) =>
    judgeGpus({ driver: '580', states: [state([])], gpus: [gpu], log: undefined, ...parts }).map(
      ({ ok, detail }) => `${ok} ${detail}`,
    );
  t.same(judge({}), ['true 1 GPU at driver 580, none throttled']);
  t.same(judge({ states: [state(['sw power cap'])] }), ['true 1 GPU at driver 580, none throttled']);
  t.same(judge({ states: [state(['hw thermal slowdown'])] }), ['false GPU 0 is slowed down: hw thermal slowdown']);
  t.same(judge({ states: [state(null)] }), ['unknown GPU 0 does not tell whether it is throttled']);
  t.match(judge({ gpus: [{ ...gpu, uncorrectedErrors: 2 }] }), [/^false GPU 00000000:01:00\.0 has 2 uncorrected/]);
  t.match(judge({ gpus: [{ ...gpu, persistence: false }] }), [/^true 1 GPU/, /^true GPU .* no persistence mode/]);
  t.same(
    judge({
      log: '[ 1.0] NVRM: Xid (PCI:0000:01:00): 79, GPU has fallen off the bus.\n[ 2.0] NVRM: Xid (PCI:0000:01:00 GPU-I:05): 94, pid=7\n[ 3.0] NVRM: Xid (PCI:0000:01:00): 79, again',
    }),
    ["false the kernel's log has Xid 79, 94 of GPU 0000:01:00"],
  );
});

void t.test('shaper, counters, clocks, disks and versions by hand', async t => {
  const span = healthy.spans[0]!;
  const state = { light: true, delayNs: 48_974, loss: 0, queue: { kind: 'netem', limitPackets: 2000 }, raw: '' };
  const shaper = (parts: Partial<typeof state>) =>
    judgeShaper(span, 'b-to-a', { ...state, ...parts }).map(({ detail }) => detail);
  t.same(shaper({}), []);
  t.same(shaper({ delayNs: 1e6 }), ['north b-to-a delays by 1 ms; 10 km of fibre take 48.97 us']);
  t.same(shaper({ loss: 0.01 }), ['north b-to-a loses 1 %']);
  t.same(shaper({ light: false }), ['north b-to-a is dark']);

  const widths = (bits: 32 | 64, rateBps: number | null) =>
    judgeWidths(['Ethernet0'], new Map([['Ethernet0', { bits, rateBps }]])).map(({ ok }) => ok);
  t.same(
    [widths(64, 100e9), widths(32, 100e9), widths(32, 100e6), widths(32, null)],
    [[true], [false], [true], [false]],
  );
  t.match(judgeWidths(['Ethernet0'], new Map()), [{ ok: 'unknown' }]);
  t.match(judgeRefresh({ missing: 'no counter moved in 25 s' }), { ok: 'unknown' });
  t.match(judgeRefresh({ periodNs: 5e9, leastNs: 4.8e9, mostNs: 5.2e9, refreshes: 4 }), {
    ok: true,
    detail: 'counters are refreshed every 5 s, at most 5.2 s old',
  });

  const time = (offsetNs: number, boundNs: number, resolutionNs = 2, virtual = false) =>
    judgeTime({ offsetNs, boundNs, resolutionNs, virtual });
  t.match(time(-3e6, 4e5), { ok: true, detail: '-3 ms ± 400 us against the runner' });
  t.match(time(2e9, 4e5), { ok: false, fix: /chronyc tracking/ });
  t.match(time(0.2e9, 0.5e9, 1e9), { ok: true, fix: /tells whole seconds/ });
  t.match(time(5, 1, 2, true), { ok: false, fix: /clock service/ });

  t.equal(parseDf('Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda3 10 4 6 40% /\n'), 6 * 1024);
  t.throws(() => parseDf('df: /: No such file or directory'), /not df -P/);
  const full = checkRunner({ runs: '/x' }, { leastBytes: GIB, free: () => GIB - 1 });
  t.match(full, [{ ok: false, detail: /free for runs in \/x/, fix: /^Make room for 1 GiB/ }]);
  const unreadable = (): number => {
    throw new Error('EIO');
  };
  t.match(checkRunner({ runs: '/x' }, { leastBytes: GIB, free: unreadable }), [{ ok: 'unknown' }]);

  const version = (device: string, software: string) => ({ device, kind: 'sonic leaf', software });
  t.match(checkVersions([version('a', '4.2'), version('b', '4.2')]), [{ ok: true, detail: '2 sonic leaf: 4.2' }]);
  t.match(checkVersions([version('a', '4.2'), version('b', '4.1'), version('c', '4.2')]), [
    { ok: false, detail: 'sonic leaf: 2 run 4.2; b runs 4.1' },
  ]);
});

void t.test('what was left behind, and what a device can do about it', async t => {
  const survey = parseSurvey(
    '== lease\n17 k3f9\n== holder\n60 ada@runner-3 (span-cut)\n== undo/2-span-cut\ntrue\n== fired\nk3f9 1-link-down 3 0\n== boot\nb\n',
  );
  const look = (fate: 'living' | 'ended' | 'foreign' | undefined, parts: Partial<typeof survey> = {}) => {
    const { ok, detail, fix } = checkLeftBehind({ ...survey, ...parts }, { fate, inventory: 'lab.yaml' });
    return `${ok} ${detail}${fix === undefined ? '' : ` -> ${fix}`}`;
  };
  t.equal(look('living'), 'true in use by ada@runner-3 (span-cut), 1 undo armed (2-span-cut)');
  t.equal(
    look('ended'),
    'false 1 undo armed (2-span-cut), of ada@runner-3 (span-cut), which is gone -> Run: farspan recover --inventory lab.yaml',
  );
  t.match(look('foreign'), /^unknown leased by ada@runner-3 .* of another machine, 1 undo armed .* --take-over$/);
  t.equal(
    look('ended', { undos: [] }),
    'true the lease of ada@runner-3 (span-cut), which is gone; the next run takes it over; a timer undid 1-link-down',
  );
  t.equal(look(undefined, { undos: [], lease: undefined, holder: undefined, fired: [] }), 'true nothing');
  t.match(look('ended', { fired: [{ lease: 'k3f9', fault: 'f', code: 2 }] }), /^false timers ran f \(exit code 2\)/);
  t.match(checkGuarding(survey), [{ detail: 'a watchdog process undoes faults' }, { ok: true, fix: /util-linux/ }]);
});

void t.test('the board has a line a device, then what needs attention and how to put it right', async t => {
  const line = (subject: string, ok: boolean | 'unknown', detail: string, fix?: string) => ({
    subject,
    check: 'optics' as const,
    ok,
    detail,
    ...(fix !== undefined && { fix }),
  });
  const board = doctorBoard({
    lab: 'lab-1',
    tookMs: 1234,
    exitCode: 3,
    devices: [
      { device: 'a-leaf-1', part: 'leaf', ok: true, software: '4.2', time: { offsetNs: 3e5, boundNs: 4e5 } },
      { device: 'b', part: 'leaf', ok: false },
      { device: 'c', part: 'host', ok: 'unknown' },
    ],
    lines: [
      line('a-leaf-1', true, 'fine'),
      line('b', false, 'Ethernet4 is dark', 'Look at the fibre.'),
      line('c', 'unknown', 'not told', 'Look by hand.'),
    ],
  });
  t.equal(
    board,
    `lab-1: 3 devices looked at in 1.2 s

     device    part  health  software  clock             checks
  ✔  a-leaf-1  leaf  -       4.2       +300 us ± 400 us  1 check
  ✘  b         leaf  -       -         -                 ✘ optics
  ?  c         host  -       -         -                 ? optics

Needs attention
  ✘ b  optics: Ethernet4 is dark
      → Look at the fibre.
  ? c  optics: not told
      → Look by hand.

3 devices: 1 well, 1 not, 1 not known. 3 checks, 2 need attention.`,
  );
});
