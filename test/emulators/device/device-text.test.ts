import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { iperf3Json } from '../../../emulators/device/iperf3-text.ts';
import { labShape } from '../../../emulators/device/lab-shape.ts';
import { floatText, ncclHeader, ncclRow } from '../../../emulators/device/nccl-text.ts';
import type { ShellResult } from '../../../emulators/device/small-shell.ts';
import { frrAge, sonicCli, speedOf } from '../../../emulators/device/sonic-cli.ts';
import { wallClock } from '../../../emulators/device/wall-clock.ts';
import { tabulate } from '../../../emulators/device/tabulate.ts';
import { createFabricSim } from '../../../emulators/fabric-sim/index.ts';
import { parseIperf3 } from '../../../harness/drivers/gpu/iperf3.ts';
import { parseNcclText, roundsOf } from '../../../harness/drivers/gpu/nccl-tests.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import { cable } from '../../../harness/model/topology.ts';

const recordings = path.resolve(import.meta.dirname, '../../../../shared/recordings/sonic');
const skip = existsSync(recordings) ? false : `${recordings} is absent`;
const recorded = (file: string): string => readFileSync(path.join(recordings, file), 'utf8');

/** Cells of a recorded table, by the ruler's columns. */
function cellsOf(table: string): { headers: string[]; rows: string[][]; text: string } {
  const lines = table.split('\n');
  const ruler = lines.findIndex(line => /^-+(  -+)+$/.test(line));
  const widths = (lines[ruler] as string).split('  ').map(dashes => dashes.length);
  const cut = (line: string): string[] => {
    let at = 0;
    return widths.map(width => {
      const cell = line.slice(at, at + width).trim();
      at += width + 2;
      return cell;
    });
  };
  const body: string[] = [];
  for (let i = ruler + 1; i < lines.length && lines[i] !== ''; i++) body.push(lines[i] as string);
  return {
    headers: cut(lines[ruler - 1] as string),
    rows: body.map(cut),
    text: `${[lines[ruler - 1], lines[ruler], ...body].join('\n')}\n`,
  };
}

void t.test("tabulate draws sonic-utilities' own tables again, byte for byte", { skip }, t => {
  const files = [
    'intf/show_interface_status_output.txt',
    'port/intf_counters_all.txt',
    'port/intf_rates_nonzero.txt',
    'pfc/show_pfc_counters_output.txt',
    'queue/show_queue_counters.txt',
    'queue/show_wred_queue_counters.txt',
    'wm/show_queue_wm_unicast_output.txt',
    'pfcwd/pfcwd_show_stats_output.txt',
    'pfcwd/show_pfcwd_stats_with_queues.txt',
  ];
  for (const file of files) {
    const { headers, rows, text } = cellsOf(recorded(file));
    t.ok(rows.length > 1, file);
    t.equal(tabulate(headers, rows, { text: 'right' }), text, file);
  }
  t.end();
});

const pair: Topology = {
  name: 'text',
  sites: ['a'],
  hosts: [1, 2].map(n => ({ kind: 'host', name: `h${n}`, site: 'a' })),
  switches: [{ kind: 'switch', name: 's1', site: 'a', role: 'leaf' }],
  links: [1, 2].map(n => cable({ node: `h${n}`, port: 'eth0' }, { node: 's1', port: `p${n}` }, '100 Gb/s', '20 m')),
  spans: {},
  settings: DEFAULT_FABRIC,
};

void t.test('the emulated switch has the headers of the recorded ones', { skip }, t => {
  const sim = createFabricSim({ topology: pair, seed: 1, trainPackets: 1 });
  const box = sonicCli({
    sim,
    shape: labShape(pair),
    node: 's1',
    bootPs: 1e11,
    wall: wallClock(() => performance.now()),
    instance: 'text',
  });
  const exec = (command: string): ShellResult => {
    const answers: ShellResult[] = [];
    box.exec(command, result => void answers.push(result));
    return answers[0] as ShellResult;
  };
  const header = (text: string): string => {
    const lines = text.split('\n');
    return (lines[lines.findIndex(line => /^-+(  -+)+$/.test(line)) - 1] ?? 'no table')
      .trim()
      .replaceAll(/ {2,}/g, '|');
  };
  for (const [command, file] of [
    ['show interfaces status', 'intf/show_interface_status_output.txt'],
    ['show interfaces counters', 'port/intf_counters_on_sup.txt'],
    ['show pfc counters', 'pfc/show_pfc_counters_output.txt'],
    ['show queue counters', 'queue/show_queue_counters.txt'],
    ['show queue wredcounters', 'queue/show_wred_queue_counters.txt'],
    ['show queue watermark unicast', 'wm/show_queue_wm_unicast_output.txt'],
    ['show pfcwd stats', 'pfcwd/pfcwd_show_stats_output.txt'],
    ['show ip bgp summary', 'bgp/show_bgp_summary_v4.txt'],
  ] as const) {
    t.equal(header(exec(command).stdout), header(recorded(file)).replace(/\|TRIM.*$/, ''), command);
  }
  t.match(exec('ecnconfig -l').stdout, /^Profile: AZURE_LOSSLESS\n-+ {2}-+\n(.*\n)*green_max_threshold {2,}1600000\n/);
  t.match(exec('show version').stdout, /^SONiC Software Version: SONiC\./m);
  t.match(exec('sonic-cfggen -d -v DEVICE_METADATA.localhost.mac').stdout, /^([0-9a-f]{2}:){5}00\n$/);
  t.equal(
    exec('sonic-db-cli COUNTERS_DB HGETALL COUNTERS_PORT_NAME_MAP').stdout,
    "{'Ethernet0': 'oid:0x1000000000002', 'Ethernet4': 'oid:0x1000000000003'}\n",
  );
  t.match(
    exec('sonic-db-cli COUNTERS_DB HGETALL COUNTERS:oid:0x1000000000002').stdout,
    "'SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US': '0'",
  );
  t.equal(exec('sonic-db-cli COUNTERS_DB HGETALL COUNTERS:oid:0x9').stdout, '{}\n');
  t.end();
});

void t.test('speeds and session ages are printed as SONiC and FRR print them', t => {
  t.same([speedOf(400e9), speedOf(25e9), speedOf(100e6)], ['400G', '25G', '100M']);
  t.same(
    [frrAge(0), frrAge(3725), frrAge(86_400 + 2 * 3600 + 180), frrAge(9 * 86_400 + 3 * 3600)],
    ['00:00:00', '01:02:05', '1d02h03m', '1w2d03h'],
  );
  t.end();
});

void t.test("numbers take the width of nccl-tests' getFloatStr, and a row reads back as two rounds", t => {
  // src/util.cu: two decimals while they fit, then one, then none, then an exponent.
  t.same(
    [
      floatText(1.234, 7),
      floatText(12345.678, 7),
      floatText(123456.78, 7),
      floatText(1234567.8, 7),
      floatText(12345678, 7),
      floatText(123.456, 6),
      floatText(1234567, 6),
    ],
    ['   1.23', '12345.7', '123457'.padStart(7), '1234568', '1.2e+07', '123.46', ' 1e+06'],
  );
  const job = {
    tool: 'all_reduce_perf',
    bytes: 64 * 2 ** 20,
    elements: 16 * 2 ** 20,
    ranks: Array.from({ length: 4 }, (_, i) => ({ host: `h${i}`, pid: 10 + i })),
    gpu: 'GPU',
    checked: true,
  } as const;
  const round = (n: number, us: number) =>
    ({ kind: 'round', round: n, beginNs: 0, endNs: us * 1e3, busbwBps: 0, wrong: 0 }) as const;
  const text = ncclHeader(job) + ncclRow(job, [round(0, 10_000), round(1, 20_000)]);
  // 67.108864 MB in 10 ms: 6.71 GB/s; ring all-reduce of 4: x 1.5.
  t.match(
    text,
    /\n {4}67108864 {6}16777216 {5}float {5}sum {6}-1 {2}10000\.0 {4}6\.71 {3}10\.07 {7}0 {2}20000\.0 {4}3\.36 {4}5\.03 {7}0\n$/,
  );
  t.match(
    roundsOf(parseNcclText(text).rows).map(({ round, timeUs, wrong }) => [round, timeUs, wrong]),
    [
      [0, 10_000, 0],
      [1, 20_000, 0],
    ],
  );
  const unchecked = ncclRow({ ...job, tool: 'alltoall_perf' }, [round(0, 10_000), round(1, 20_000)]);
  t.match(
    parseNcclText(unchecked).rows[0],
    { outOfPlace: { wrong: 0 }, inPlace: { wrong: null } },
    'alltoall_perf does not check in place',
  );
  t.end();
});

void t.test('the JSON of an interrupted iperf3 server gives sent and received', t => {
  const text = iperf3Json({
    role: 'server',
    local: { host: '198.18.0.1', port: 5201 },
    remote: { host: '198.18.0.2', port: 4000 },
    blockBytes: 128,
    rateBps: 1e6,
    seconds: 2,
    packets: 1000,
    lost: 30,
    error: 'the client has terminated',
  });
  t.match(parseIperf3(text), { packets: 1000, lostPackets: 30, error: undefined });
  const { end } = JSON.parse(text) as {
    end: { sum_received: { bytes: number; bits_per_second: number }; sum_sent: { packets: number } };
  };
  t.same(
    [end.sum_received.bytes, end.sum_received.bits_per_second, end.sum_sent.packets],
    [970 * 128, 970 * 128 * 4, 0],
  );
  t.end();
});
