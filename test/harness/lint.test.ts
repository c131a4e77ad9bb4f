import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { HEADROOMS } from '../../bench/published/pfc-headroom.ts';
import provider from '../../emulators/device/provider.ts';
import { lint, type LintCommand } from '../../harness/cli/lint.ts';
import { devicesOf, fabricInLab, fabricOfInventory } from '../../harness/cli/lint-fabrics.ts';
import { parseBfdSummary } from '../../harness/drivers/sonic/bfd.ts';
import { parseConfigTable } from '../../harness/drivers/sonic/config-table.ts';
import { portBuffers } from '../../harness/drivers/sonic/port-buffers.ts';
import { openShell } from '../../harness/lab/connect.ts';
import { readInventory } from '../../harness/lab/inventory.ts';
import { readConfigurations } from '../../harness/lab/read-configurations.ts';
import { solve } from '../../harness/lab/solver.ts';
import type { Finding, Severity } from '../../harness/lint/finding.ts';
import { headroom } from '../../harness/lint/headroom.ts';
import { lintDevices } from '../../harness/lint/lint-devices.ts';
import { lintFabric } from '../../harness/lint/lint-fabric.ts';
import { type DeclaredSettings, fabricOf, type LintedFabric } from '../../harness/lint/linted-fabric.ts';
import { longWay } from '../../harness/lint/long-way.ts';
import { heldRateBps, packetsHeld } from '../../harness/lint/netem-room.ts';
import { timeoutExponent } from '../../harness/lint/retransmission.ts';
import { settingsShown } from '../../harness/lint/settings-shown.ts';
import type { DeviceConfiguration, SwitchConfiguration } from '../../harness/model/device-configuration.ts';
import { DEFAULT_FABRIC, LOSSLESS_PFC } from '../../harness/model/fabric-settings.ts';
import { fibreMetres } from '../../harness/model/fibre-delay.ts';
import { goBackNEfficiency } from '../../harness/model/loss-recovery.ts';
import { pauseS } from '../../harness/model/pfc-headroom.ts';
import type { FabricSettings, Topology } from '../../harness/model/topology.ts';
import { cable } from '../../harness/model/topology.ts';
import type { Distance, Duration, Rate } from '../../harness/model/units.ts';
import { farspanProcess, ROOT } from './farspan-process.ts';

const RUNS = Number(process.env['FARSPAN_LINT_RUNS'] ?? 200);
t.setTimeout(240_000);

/** Started first: it is a process that starts another. */
const shelf = farspanProcess(['lint', 'scenarios/throughput/all-reduce-distance.scenario.ts', '-g', '1331 km']);

/** Two sites of one leaf and one host. */
function pair({
  length = '80 km',
  rate = '400 Gb/s',
  hosts = '400 Gb/s',
  settings = {},
  asymmetry,
}: {
  readonly length?: Distance;
  readonly rate?: Rate;
  readonly hosts?: Rate;
  readonly settings?: Partial<FabricSettings>;
  readonly asymmetry?: Duration;
} = {}): Topology {
  return {
    name: 'pair',
    sites: ['x', 'y'],
    hosts: ['x', 'y'].map(site => ({ kind: 'host', name: `${site}1`, site })),
    switches: ['x', 'y'].map(site => ({ kind: 'switch', name: `${site}l`, site, role: 'leaf' })),
    links: ['x', 'y'].map(site =>
      cable({ node: `${site}1`, port: 'eth0' }, { node: `${site}l`, port: 'host1' }, hosts, '20 m'),
    ),
    spans: {
      north: {
        kind: 'span',
        name: 'north',
        ends: [
          { node: 'xl', port: 'span' },
          { node: 'yl', port: 'span' },
        ],
        rate,
        length,
        ...(asymmetry !== undefined && { asymmetry }),
      },
    },
    settings: { ...DEFAULT_FABRIC, ...settings },
  };
}

const lintPair = (options: Parameters<typeof pair>[0], loss?: number): readonly Finding[] =>
  lintFabric(fabricOf(pair(options)), loss === undefined ? {} : { loss });

function only(findings: readonly Finding[], check: string, subject = ''): Finding {
  const found = findings.filter(finding => finding.check === check && finding.subject.name.includes(subject));
  if (found.length !== 1)
    throw new Error(`${found.length} findings of ${check}: ${findings.map(one => one.check).join(', ')}`);
  return found[0] as Finding;
}

/** Value, needed value and severity, as the table shows them. */
const shown = ({ value, needed, severity }: Finding): readonly string[] => [
  value?.text ?? '-',
  needed === null ? '-' : `${needed.bound} ${needed.text}`,
  severity,
];

/** Ours beside the published value, and how far they may be apart, as a share. */
type Published = readonly [what: string, ours: number, published: number, apart: number];

t.test('every quantity is what is published', async t => {
  const way = (km: number, gbps: number) => longWay({ metres: km * 1e3, rateBps: gbps * 1e9, asymmetryNs: 0 });
  const rows: Published[] = [
    ['us/km', way(1, 400).backNs / 1e3, 4.897, 1e-4],
    ['RTT of 100 km, ms', way(100, 400).rttNs / 1e6, 0.979, 1e-3],
    ['RTT of 1331 km, ms', way(1331, 400).rttNs / 1e6, 13.04, 1e-3],
    // BDP at 400, 800 and 1600 Gb/s, MB.
    ...(
      [
        [10, 4.9, 9.8, 19.6],
        [100, 49, 98, 196],
        [1000, 490, 979, 1959],
        [1331, 652, 1304, 2607],
      ] as const
    ).flatMap(([km, ...megabytes]) =>
      megabytes.map((mb, i): Published => [`BDP ${km} km`, way(km, 400 * 2 ** i).bdpBytes / 1e6, mb, 5e-3]),
    ),
    // SONiC's xoff, MB.
    ...HEADROOMS.map(
      ([gbps, km, mb]): Published => [
        `headroom ${gbps} Gb/s ${km} km`,
        headroom({ rateBps: gbps * 1e9, metres: km * 1e3 }).bytes / 1e6,
        mb,
        1e-2,
      ],
    ),
    ['65535 quanta at 400 Gb/s, us', pauseS(65_535, 400e9) * 1e6, 83.9, 1e-3],
    ['t = 14, ms', (4.096 * 2 ** 14) / 1e3, 67, 2e-3],
    ['t for 13 ms', timeoutExponent(13e6) ?? 0, 12, 0],
    ['t for 13 ms and queueing to 17 ms', timeoutExponent(17e6) ?? 0, 13, 0],
    ['go-back-N at 1e-6', goBackNEfficiency({ loss: 1e-6, window: 159e3 }), 0.86, 5e-3],
    ['go-back-N at 1e-5', goBackNEfficiency({ loss: 1e-5, window: 159e3 }), 0.39, 1.2e-2],
    [
      'netem, 1000 packets of 1500 B and 5 ms, Gb/s',
      heldRateBps({ limit: 1000, delayNs: 5e6, mtuBytes: 1500 }) / 1e9,
      2.4,
      0,
    ],
    ['its inverse, packets', packetsHeld({ rateBps: 2.4e9, delayNs: 5e6, mtuBytes: 1500 }), 1000, 0],
    ['and km of a delay', fibreMetres(way(80, 400).backNs * 1e3), 80e3, 1e-6],
  ];
  t.comment(`${rows.length} published values`);
  t.same(
    rows
      .filter(([, ours, published, apart]) => !(Math.abs(ours - published) <= apart * published + 1e-9))
      .map(([what, ours, published]) => `${what}: ${ours}, published ${published}`),
    [],
  );
});

t.test('New Jersey to Chicago: what 1331 km ask of the declared fabric', async t => {
  const findings = lintPair({ length: '1331 km' }, 1e-6);
  const wanted: Readonly<Record<string, readonly string[]>> = {
    RTT: ['13.04 ms', '-', 'info'],
    BDP: ['651.8 MB', '-', 'info'],
    'PFC over the span': ['none: lossy', '-', 'info'],
    'BFD detection': ['9.9 ms', 'more than 13.04 ms', 'warning'],
    'RoCE timeout': ['16.8 ms', 'more than 13.68 ms', 'ok'],
    'QP timeout exponent': ['t = 12', 'at least t = 12', 'ok'],
    'QP gives up after': ['-', 'more than 23.42 ms', 'unknown'],
    'loss, go-back-N': ['1e-6', 'at most 7e-7', 'warning'],
    'DCQCN feedback': ['13.04 ms', 'at most 300 us', 'warning'],
    'NCCL channels': ['-', 'at least 156 channels', 'unknown'],
    // 9 x 13.04 ms x 50 GB/s x 2/1: 4 one-way delays beside S / B are then 10 %.
    'message for 90 % busbw': ['11.73 GB', '-', 'info'],
    'netem limit': ['-', 'at least 79571 packets', 'info'],
  };
  for (const [check, row] of Object.entries(wanted)) t.same(shown(only(findings, check)), row, check);
  t.match(only(findings, 'NCCL channels').formula, /2\.574 Gb\/s a channel/, 'NCCL_BUFFSIZE / RTT');
  t.match(only(findings, 'loss, go-back-N').formula, /86\.27 % of the span is left/);
  t.match(only(findings, 'QP gives up after').formula, /7 retries .* = 117\.6 ms/);
  t.match(only(findings, 'PFC over the span').formula, /656\.5 MB .* more than the whole buffer of 32 MB/);
});

t.test('each severity is reached by the setting that it is about, and each says what to do', async t => {
  const pfc = { ...LOSSLESS_PFC, overSpans: true };
  const roce = DEFAULT_FABRIC.roce;
  const of = (check: string, options: Parameters<typeof pair>[0], subject = 'north', loss?: number): Severity =>
    only(lintPair(options, loss), check, subject).severity;
  const reached: readonly (readonly [Severity, Severity, string])[] = [
    ['error', of('PFC headroom', { settings: { pfc } }), '39.5 MB of headroom in a buffer of 32 MB'],
    [
      'error',
      of('PFC headroom', { settings: { pfc: { ...pfc, headroom: '1 MB' }, bufferPerSwitch: '160 MB' } }),
      'declared too small',
    ],
    [
      'ok',
      of('PFC headroom', { settings: { pfc: { ...pfc, headroom: '40 MB' }, bufferPerSwitch: '160 MB' } }),
      'declared large enough',
    ],
    ['ok', of('PFC headroom', { settings: { pfc, bufferPerSwitch: '160 MB' } }), 'derived, and it fits'],
    [
      'unknown',
      of('PFC headroom', { rate: '1.6 Tb/s', settings: { pfc, bufferPerSwitch: '1 GB' } }),
      'no quanta are published for 1.6 Tb/s',
    ],
    [
      'error',
      of('PFC headroom', { rate: '1.6 Tb/s', settings: { pfc } }),
      'even the bound from below is larger than the buffer',
    ],
    ['warning', of('PFC pause time', { settings: { pfc } }), '83.9 us of pause, 783.6 us RTT'],
    ['ok', of('PFC pause time', { length: '2 km', settings: { pfc } }), '2 km'],
    ['error', of('headroom of all ports', { settings: { pfc } }, 'xl'), 'all ports of a switch together'],
    [
      'error',
      of('PFC headroom', { settings: { pfc: { ...LOSSLESS_PFC, headroom: '10 KB' } } }, 'x1'),
      'a cable in the rack',
    ],
    [
      'error',
      of('RoCE timeout', { length: '1331 km', settings: { roce: { ...roce, retransmitTimeout: '4 ms' } } }),
      'below the RTT',
    ],
    [
      'warning',
      of('RoCE timeout', { length: '1331 km', settings: { roce: { ...roce, retransmitTimeout: '13.2 ms' } } }),
      'below RTT and queue',
    ],
    ['ok', of('QP gives up after', { settings: { roce: { ...roce, retries: 7 } } }), '117 ms outlast 17 ms'],
    ['error', of('QP gives up after', { settings: { roce: { ...roce, retries: 1 } } }), 'one retry does not'],
    ['warning', of('RoCE window', { settings: { roce: { ...roce, window: '1 MB' } } }), '1 MB of 39 MB'],
    ['ok', of('RoCE window', { settings: { roce: { ...roce, window: '40 MB' } } }), '40 MB'],
    ['ok', of('NCCL channels', { settings: { nccl: { bufferSize: '4 MiB', channels: 16 } } }), '10 are needed'],
    ['warning', of('NCCL channels', { settings: { nccl: { bufferSize: '4 MiB', channels: 8 } } }), '8 are too few'],
    ['ok', of('loss, go-back-N', {}, 'north', 1e-6), '99 % left at 80 km'],
    ['warning', of('loss, go-back-N', {}, 'north', 1e-4), '51 % left'],
    [
      'ok',
      of(
        'loss, selective repeat',
        { settings: { transport: { control: 'dcqcn', recovery: 'selective-repeat' } } },
        'north',
        1e-4,
      ),
      'selective repeat',
    ],
    ['ok', of('BFD detection', {}), '9.9 ms at 80 km'],
    [
      'error',
      of('BGP hold time', { settings: { controlPlane: { ...DEFAULT_FABRIC.controlPlane, bgpHold: '1 s' } } }),
      '1 s',
    ],
    [
      'ok',
      of('BGP hold time', { settings: { controlPlane: { ...DEFAULT_FABRIC.controlPlane, bgpHold: '9 s' } } }),
      '9 s',
    ],
    ['ok', of('DCQCN feedback', { length: '10 km' }), '98 us of 300 us'],
    ['info', of('ECN Kmax', { settings: { ecn: null } }), 'no ECN'],
    ['warning', of('ECN Kmax', { settings: { bufferPerSwitch: '2 MB' } }), 'marks begin beyond the buffer'],
    ['info', of('asymmetry', { asymmetry: '50 us' }), 'declared asymmetry'],
    ['error', of('length and rate', { length: '0 km' }), 'no distance'],
  ];
  t.same(
    reached.filter(([wanted, found]) => wanted !== found),
    [],
    `${reached.length} settings`,
  );
  t.same([...new Set(reached.map(([severity]) => severity))].toSorted(), ['error', 'info', 'ok', 'unknown', 'warning']);
  const everything = [
    lintPair({ settings: { pfc } }),
    lintPair({ length: '3000 km' }, 1e-3),
    lintPair({ length: '0 km' }),
  ].flat();
  t.same(
    everything.filter(
      ({ severity, advice, formula, source }) =>
        formula === '' || source === '' || (advice === '' && !['ok', 'info'].includes(severity)),
    ),
    [],
    'formula and source always, advice whenever something is to be done',
  );
  t.same(
    lintPair({ settings: { dcqcn: null } }).filter(({ check }) => check.startsWith('DCQCN')),
    [],
    'a law that is off has no timers',
  );
});

t.test('three sites: the timeout outlives the way round the ring, not only each span', async t => {
  const ring = (timeout: Duration): LintedFabric => {
    const base = fabricOf(pair({ settings: { roce: { ...DEFAULT_FABRIC.roce, retransmitTimeout: timeout } } }));
    const [north] = base.spans;
    if (north === undefined) throw new Error('no span');
    const span = (name: string, a: string, b: string) => ({
      ...north,
      name,
      metres: 800e3,
      ends: [
        { device: a, port: `to-${b}` },
        { device: b, port: `to-${a}` },
      ] as const,
    });
    return {
      ...base,
      spans: [span('x-y', 'xl', 'yl'), span('y-z', 'yl', 'zl'), span('z-x', 'zl', 'xl')],
      siteOf: new Map([...base.siteOf, ['zl', 'z']]),
    };
  };
  const paths = (timeout: Duration): readonly Finding[] =>
    lintFabric(ring(timeout)).filter(({ subject }) => subject.kind === 'path');
  // 800 km are 7.836 ms; the way round, when one is cut, twice that.
  t.same(
    paths('12 ms')
      .map(({ subject, severity, needed }) => `${subject.name}: ${severity}, ${needed?.bound} ${needed?.text}`)
      .toSorted(),
    [
      'x to y over z-x, y-z: error, more than 15.67 ms',
      'x to z over x-y, y-z: error, more than 15.67 ms',
      'y to z over x-y, z-x: error, more than 15.67 ms',
    ],
  );
  t.ok(paths('16.8 ms').every(({ severity }) => severity === 'ok'));
  t.ok(
    lintFabric(ring('12 ms')).every(
      ({ subject, check, severity }) => subject.kind === 'path' || check !== 'RoCE timeout' || severity !== 'error',
    ),
    'each span by itself is short enough',
  );
});

const RATES = [10e9, 25e9, 100e9, 200e9, 400e9, 800e9];
const metres = fc.double({ min: 1, max: 20_000e3, noNaN: true });

t.test(`what distance asks grows with km and with rate (${RUNS} pairs)`, async t => {
  fc.assert(
    fc.property(metres, metres, fc.nat(RATES.length - 1), fc.nat(RATES.length - 1), (m1, m2, r1, r2) => {
      const [near, far] = [Math.min(m1, m2), Math.max(m1, m2)];
      const [slow, fast] = [RATES[Math.min(r1, r2)] as number, RATES[Math.max(r1, r2)] as number];
      const asked = (at: number, rateBps: number): readonly number[] => {
        const way = longWay({ metres: at, rateBps, asymmetryNs: 0 });
        return [
          way.rttNs,
          way.bdpBytes,
          headroom({ metres: at, rateBps }).bytes,
          timeoutExponent(way.rttNs) ?? Number.POSITIVE_INFINITY,
          packetsHeld({ rateBps, delayNs: way.forwardNs, mtuBytes: 4096 }),
        ];
      };
      const least = asked(near, slow);
      return [asked(far, slow), asked(near, fast)].every(more =>
        more.every((value, i) => value >= (least[i] as number)),
      );
    }),
    { numRuns: RUNS },
  );
  fc.assert(
    fc.property(fc.double({ min: 1, max: 8e12, noNaN: true }), ns => {
      const exponent = timeoutExponent(ns);
      return (
        exponent !== undefined && 4096 * 2 ** exponent > ns && (exponent === 1 || 4096 * 2 ** (exponent - 1) <= ns)
      );
    }),
    { numRuns: RUNS },
  );
  t.equal(timeoutExponent(4096 * 2 ** 32), undefined, 'five bits end somewhere');
});

/** How bad; what can not be judged stands between. */
const GRAVE: readonly Severity[] = ['ok', 'info', 'unknown', 'warning', 'error'];

t.test(`a longer span never makes a finding milder (${RUNS} pairs)`, async t => {
  const settings: Partial<FabricSettings> = {
    bufferPerSwitch: '160 MB',
    pfc: { ...LOSSLESS_PFC, overSpans: true },
    roce: { ...DEFAULT_FABRIC.roce, window: '64 MB', retries: 7 },
    nccl: { bufferSize: '4 MiB', channels: 32 },
  };
  let compared = 0;
  fc.assert(
    fc.property(metres, metres, (m1, m2) => {
      const at = (m: number) => lintPair({ length: `${m} m`, settings }, 1e-6);
      const [near, far] = [at(Math.min(m1, m2)), at(Math.max(m1, m2))];
      compared += near.length;
      return near.every(({ check, subject, severity }) => {
        const same = far.find(other => other.check === check && other.subject.name === subject.name);
        return same === undefined ? false : GRAVE.indexOf(same.severity) >= GRAVE.indexOf(severity);
      });
    }),
    { numRuns: RUNS },
  );
  t.comment(`${compared} findings compared`);
});

t.test('what nobody declared is unknown, whichever settings are missing, and never ok', async t => {
  const all: DeclaredSettings = { ...DEFAULT_FABRIC, nccl: { bufferSize: '4 MiB', channels: 256 } };
  const fabric = fabricOf(pair());
  const needs: Readonly<Record<string, readonly (keyof DeclaredSettings)[]>> = {
    'BFD detection': ['controlPlane'],
    'outage, silent cut': ['controlPlane'],
    'RoCE timeout': ['roce', 'bufferPerSwitch'],
    'QP timeout exponent': ['roce'],
    'NCCL channels': ['nccl'],
    'DCQCN feedback': ['dcqcn'],
    'ECN Kmax': ['ecn'],
    'PFC headroom': ['pfc'],
    'loss, go-back-N': ['roce'],
  };
  const keys = Object.keys(all) as (keyof DeclaredSettings)[];
  fc.assert(
    fc.property(fc.subarray(keys), missing => {
      const settings = Object.fromEntries(Object.entries(all).filter(([key]) => !missing.includes(key as never)));
      const findings = lintFabric({ ...fabric, settings: settings as DeclaredSettings });
      return findings.every(({ check, severity }) => {
        const blind = needs[check]?.some(key => missing.includes(key)) ?? false;
        return !blind || severity === 'unknown';
      });
    }),
    { numRuns: RUNS },
  );
  const blind = lintFabric({ ...fabric, settings: {} });
  t.same(
    blind.filter(({ severity }) => severity === 'ok'),
    [],
    'nothing declared: nothing is ok',
  );
  t.same(
    Object.keys(needs).filter(check => only(blind, check).severity !== 'unknown'),
    [],
    'and each setting is asked for by name',
  );
});

/** Sessions as sonic-utilities prints them: show/main.py, `bfd summary`, through tabulate. */
const BFD_SUMMARY = `Total number of BFD sessions: 2
Peer Addr    Interface    Vrf      State    Type          Local Addr      TX Interval    RX Interval    Multiplier  Multihop      Local Discriminator
-----------  -----------  -------  -------  ------------  ------------  -------------  -------------  ------------  ----------  ---------------------
10.0.1.1     default      default  DOWN     async_active  10.0.0.1                300            500             3  true                           88
10.0.2.1     Ethernet12   default  UP       async_active  10.0.0.1                200            600             3  false                          89
`;

t.test('a SONiC switch: BFD sessions, buffer tables in the forms of old and new releases', async t => {
  t.same(parseBfdSummary(BFD_SUMMARY), [
    { peer: '10.0.1.1', txMs: 300, rxMs: 500, multiplier: 3 },
    { peer: '10.0.2.1', txMs: 200, rxMs: 600, multiplier: 3 },
  ]);
  t.equal(parseConfigTable('').size, 0, 'a table that is not there prints nothing');
  t.throws(() => parseConfigTable('[1]'), /not a table of CONFIG_DB/);
  t.throws(() => parseConfigTable('Traceback (most recent call last):\n'), /error message/);
  const table = (value: unknown) => parseConfigTable(JSON.stringify(value));
  const buffers = portBuffers(
    {
      groups: table({
        'Ethernet0|0': { profile: 'ingress_lossy_profile' },
        'Ethernet0|3-4': { profile: '[BUFFER_PROFILE|pg_lossless_100000_300m_profile]' },
        'Ethernet4|3-4': { profile: 'NULL' },
        'Ethernet8|0': { profile: 'ingress_lossy_profile' },
      }),
      profiles: table({
        ingress_lossy_profile: { size: '0' },
        pg_lossless_100000_300m_profile: { size: '184320', xon: '18432', xoff: '165888' },
      }),
      cables: table({ AZURE: { Ethernet0: '300m', Ethernet4: '40000m', Ethernet8: '5m' } }),
      qos: table({
        global: { dscp_to_tc_map: 'AZURE' },
        Ethernet0: { pfc_enable: '3,4' },
        Ethernet4: { pfc_enable: '3,4' },
      }),
    },
    3,
  );
  t.same(Object.fromEntries(buffers), {
    Ethernet0: { pfc: true, cableMetres: 300, headroomBytes: 165_888, profile: 'pg_lossless_100000_300m_profile' },
    Ethernet4: { pfc: true, cableMetres: 40_000, headroomBytes: null, profile: 'NULL' },
    Ethernet8: { pfc: false, cableMetres: 5, headroomBytes: null, profile: '' },
  });
});

const UNREAD = { unread: 'ecnconfig -l: command not found' };
const MUTE: Omit<SwitchConfiguration, 'device'> = {
  kind: 'switch',
  ecn: UNREAD,
  bfd: UNREAD,
  mtuBytes: UNREAD,
  buffers: UNREAD,
  poolBytes: UNREAD,
};

t.test('a device that shows nothing is unknown in everything, and one that was not asked too', async t => {
  const fabric = fabricOf(pair());
  const boxed = {
    ...fabric,
    spans: fabric.spans.map(span => ({ ...span, box: { device: 'span-north', reversed: false } })),
  };
  const mute: DeviceConfiguration[] = [
    { ...MUTE, device: 'xl' },
    { ...MUTE, device: 'yl' },
    { kind: 'host', device: 'x1', mtuBytes: UNREAD },
    { kind: 'host', device: 'y1', mtuBytes: UNREAD },
  ];
  const findings = lintDevices(boxed, mute, [{ device: 'span-north', why: 'role production: not touched' }]);
  t.same([...new Set(findings.map(({ severity }) => severity))], ['unknown']);
  t.ok(findings.length >= 12, `${findings.length} findings`);
  t.same(
    settingsShown(
      boxed,
      mute.filter(one => one.kind === 'switch'),
    ),
    {},
    'and stands for no declaration',
  );
  t.same(settingsShown(boxed, []), {}, 'neither does a switch that was not read');
});

t.test('a box plays each way as declared, whichever way round it is cabled', async t => {
  const fabric = fabricOf(pair({ asymmetry: '50 us' }));
  const egress = (dev: string, delayNs: number) => ({
    value: { interface: dev, queue: 'netem', delayNs, loss: 0, limitPackets: 1e6, others: [], mtuBytes: 9100 },
  });
  const of = (reversed: boolean, { toSecond, toFirst }: { toSecond: number; toFirst: number }): readonly string[] =>
    lintDevices({ ...fabric, spans: fabric.spans.map(span => ({ ...span, box: { device: 'box', reversed } })) }, [
      {
        kind: 'span-box',
        device: 'box',
        ways: { 'a-to-b': egress('eth2', toSecond), 'b-to-a': egress('eth1', toFirst) },
      },
    ])
      .filter(({ check }) => check.startsWith('netem delay'))
      .map(({ check, severity }) => `${check} ${severity}`);
  // 80 km are 391.8 us; from the first end to the second 50 us more.
  const [long, short] = [441_790, 391_790];
  t.same(of(false, { toSecond: long, toFirst: short }), ['netem delay, eth2 ok', 'netem delay, eth1 ok']);
  t.same(of(false, { toSecond: short, toFirst: long }), ['netem delay, eth2 error', 'netem delay, eth1 error']);
  t.same(of(true, { toSecond: short, toFirst: long }), ['netem delay, eth2 ok', 'netem delay, eth1 ok']);
  const other = lintDevices(
    { ...fabric, spans: fabric.spans.map(span => ({ ...span, box: { device: 'box', reversed: false } })) },
    [
      {
        kind: 'span-box',
        device: 'box',
        ways: {
          'a-to-b': { value: { ...egress('eth2', 0).value, queue: 'noqueue', limitPackets: null } },
          'b-to-a': { value: { ...egress('eth1', short).value, limitPackets: null, others: ['jitter', 'reorder'] } },
        },
      },
    ],
  );
  t.same(
    other.map(({ check, severity }) => `${check} ${severity}`),
    ['netem delay, eth2 error', 'netem delay, eth1 ok', 'netem limit, eth1 unknown', 'netem options, eth1 error'],
    'a box without netem plays no fibre, a limit that is not told is unknown, and jitter was not declared',
  );
});

t.test('MTU: hosts may send less than a switch takes, never more, and a full RoCE packet must fit', async t => {
  const fabric = fabricOf(pair());
  const at = (host: number, one: number, other: number): readonly string[] =>
    lintDevices(fabric, [
      { kind: 'host', device: 'x1', mtuBytes: { value: host } },
      {
        ...MUTE,
        device: 'xl',
        mtuBytes: {
          value: new Map([
            ['span', one],
            ['host1', one],
          ]),
        },
      },
      {
        ...MUTE,
        device: 'yl',
        mtuBytes: {
          value: new Map([
            ['span', other],
            ['host1', one],
          ]),
        },
      },
    ])
      .filter(({ check }) => check === 'MTU')
      .map(({ subject, severity, needed }) => `${subject.kind} ${severity} ${needed?.bound} ${needed?.text}`);
  t.same(at(9000, 9100, 9100), ['span ok exactly 9100 B', 'link ok at least 9000 B']);
  t.same(at(9216, 9100, 9000), ['span error exactly 9100 B', 'link error at least 9216 B']);
  t.same(at(4096, 4100, 4100), ['span error at least 4156 B', 'link error at least 4156 B']);
});

/** A lab whose switches are set up as its own operator likes it, and as no default scenario declares. */
const ELSE: Partial<FabricSettings> = {
  ecn: { min: '150 KB', max: '1500 KB', probability: 0.1 },
  pfc: { ...LOSSLESS_PFC, overSpans: true, headroom: '1 MB' },
  controlPlane: { ...DEFAULT_FABRIC.controlPlane, bfdInterval: '50 ms' },
};

t.test('over the wire: what devices are configured as, against scenario and kilometres', async t => {
  const lab = await provider.provide(pair({ settings: ELSE }), { seed: 1, options: {} });
  t.teardown(() => lab.stop());
  const text = await readFile(lab.inventory, 'utf8');
  const inventory = readInventory(text, lab.inventory);
  const reading = { inventory, env: {} };
  const entry = inventory.devices['span-north'];
  if (entry === undefined) throw new Error('no span box');
  const shell = await openShell('span-north', entry, reading);
  t.teardown(() => shell.close());
  const sent: string[] = [];
  const read = async () =>
    readConfigurations(devicesOf(fabricOfInventory(inventory)), {
      ...reading,
      step: ({ protocol, tried }) => void (protocol === 'ssh' && sent.push(tried)),
    });
  const against = async (settings: Partial<FabricSettings>): Promise<readonly string[]> => {
    const { configurations, unreached } = await read();
    const topology = pair({ settings });
    return lintDevices(fabricInLab(topology, solve(topology, inventory)), configurations, unreached)
      .filter(({ severity }) => severity !== 'ok')
      .map(one => `${one.severity} ${one.subject.name} ${one.check}: ${shown(one).slice(0, 2).join(', ')}`);
  };

  const shortHeadroom = ['xl', 'yl'].flatMap(device => [
    `error ${device} PFC headroom: 1 MB, at least 39.53 MB`,
    `error ${device} headroom of all ports: 39.61 MB, at most 32 MB`,
  ]);
  t.same(await against(ELSE), shortHeadroom, 'as declared, but 80 km are more than its headroom and its buffer');
  t.same(
    await against({}),
    ['xl', 'yl'].flatMap(device => [
      `error ${device} ECN Kmin: 150 KB, exactly 400 KB`,
      `error ${device} ECN Kmax: 1.5 MB, exactly 1.6 MB`,
      `error ${device} ECN Pmax: 10 %, exactly 20 %`,
      `error ${device} BFD: 150 ms, exactly 9.9 ms`,
      `error ${device} PFC: on, exactly off`,
      ...shortHeadroom.filter(line => line.includes(` ${device} `)),
    ]),
    'each difference from a scenario that declares otherwise',
  );

  const alone = await read();
  t.same(
    settingsShown(
      fabricOfInventory(inventory),
      alone.configurations.filter(one => one.kind === 'switch'),
    ),
    {
      ecn: { min: '150000 B', max: '1500000 B', probability: 0.1 },
      switching: { scaleThresholds: false },
      controlPlane: { bfdInterval: '50 ms', bfdMultiplier: 3 },
      bufferPerSwitch: '32000000 B',
      pfc: { overSpans: true },
    },
    'without a scenario, what all switches show stands for the declaration',
  );

  // An old gap: what somebody left on the box long ago.
  await shell.run('tc qdisc replace dev eth1 root netem limit 1000 delay 1.2ms loss 0.1%');
  t.same(
    (await against(ELSE)).filter(line => line.includes('north')),
    [
      'error north netem delay, eth1: 1.2 ms, exactly 391.8 us',
      'error north netem limit, eth1: 1000 packets, at least 14649 packets',
      'error north netem loss, eth1: 0.1 %, at most 0 %',
    ],
  );

  t.ok(sent.length > 50, `${sent.length} commands were sent`);
  const READS =
    /^(show |ecnconfig -l$|sonic-cfggen -d |tc -j -s qdisc show |ip -j -s link show |cat \/sys\/|hostname$|nvidia-smi -q -x$)/;
  t.same(
    [...new Set(sent)].filter(command => !READS.test(command)),
    [],
    'and each of them reads',
  );

  const folder = mkdtempSync(path.join(os.tmpdir(), 'farspan-lint-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const json = path.join(folder, 'findings.json');
  // Beside the original: its secrets are relative to it.
  const dead = path.join(path.dirname(lab.inventory), 'dead.yaml');
  await writeFile(dead, text.replace(/(span-north:\n(?:.*\n)*?.*port: )\d+/, '$11'));
  const production = path.join(path.dirname(lab.inventory), 'production.yaml');
  await writeFile(production, text.replace(/(span-north:\n(?:.*\n)*?.*role: )lab/, '$1production'));
  const said = async (options: Partial<LintCommand>): Promise<{ readonly code: number; readonly out: string }> => {
    const lines: string[] = [];
    return { code: await lint({ files: [], all: false, ...options }, line => lines.push(line)), out: lines.join('\n') };
  };
  const [wrong, silent, untouched] = await Promise.all([
    said({ inventory: lab.inventory, json }),
    said({ inventory: dead }),
    said({ inventory: production }),
  ]);
  t.equal(wrong.code, 1);
  t.match(wrong.out, /netem delay, eth1 +1\.2 ms +exactly 391\.8 us +ERROR/);
  t.match(wrong.out, /span-north eth1 plays 1\.2 ms, 245 km of fibre; north is declared 80 km/);
  t.match(wrong.out, /span-north eth1 passes [\d.]+ Gb\/s of 400 Gb\/s/);
  const written = JSON.parse(readFileSync(json, 'utf8')) as {
    counts: Record<Severity, number>;
    fabrics: { findings: Finding[] }[];
  };
  t.equal(
    written.counts.error,
    written.fabrics.flatMap(({ findings }) => findings).filter(one => one.severity === 'error').length,
  );
  t.match(only(written.fabrics[0]?.findings ?? [], 'netem delay, eth1'), {
    subject: { kind: 'span', name: 'north' },
    severity: 'error',
    value: { value: 1_200_000, unit: 'ns' },
    needed: { bound: 'exactly', unit: 'ns' },
  });
  t.equal(silent.code, 3, 'a device that could not be asked agrees with nothing');
  t.match(silent.out, /device span-north[^]*not read: /);
  t.equal(untouched.code, 1, 'a production device is not asked, which is no failure; the switches are still wrong');
  t.match(untouched.out, /role production: not touched/);
});

t.test('the shelf has no error, and docs/lint.md shows what the command says', async t => {
  const { code, out, err } = await shelf;
  t.equal(code, 0, err);
  const [, example = ''] = /```text\n([^]*?)```/.exec(readFileSync(path.join(ROOT, 'docs/lint.md'), 'utf8')) ?? [];
  const said = out.split('\n').map(line => line.trimEnd());
  let at = -1;
  const missing = example
    .split('\n')
    .map(line => line.trimEnd())
    .filter(line => line !== '' && line.trim() !== '…')
    .filter(line => {
      const found = said.indexOf(line, at + 1);
      if (found >= 0) at = found;
      return found < 0;
    });
  t.ok(example.length > 500, 'there is an example');
  t.same(missing, [], 'each of its lines, in this order');
});
