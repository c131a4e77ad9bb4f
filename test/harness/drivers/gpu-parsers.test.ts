import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import { parseIperf3, probeCount } from '../../../harness/drivers/gpu/iperf3.ts';
import { parseNcclJson, parseNcclText, roundsOf } from '../../../harness/drivers/gpu/nccl-tests.ts';
import { parseEthtoolStatistics, parseRdmaStatistics } from '../../../harness/drivers/gpu/nic.ts';
import { parseGpuCsv, parseNvidiaSmiXml } from '../../../harness/drivers/gpu/nvidia-smi.ts';
import { parseTraceroute } from '../../../harness/drivers/gpu/traceroute.ts';
import { collectiveCommand, gpuNode, pathCommand, probeSenderCommand } from '../../../harness/drivers/gpu-node.ts';
import { parseIpLink, parseTcQdisc } from '../../../harness/drivers/linux/iproute2.ts';
import { flapProgram, impairmentCommand, netemLimit, netemSpan } from '../../../harness/drivers/netem-span.ts';
import { ParseError } from '../../../harness/drivers/parse-error.ts';
import type { Shell } from '../../../harness/drivers/ssh.ts';
import { openGuard } from './open-guard.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../../shared/recordings/nvidia-smi');
const skip = existsSync(FOLDER) ? false : 'no recordings at ../shared/recordings/nvidia-smi';
const xml = (file: string): string => readFileSync(path.join(FOLDER, file), 'utf8');

void t.test('every recorded nvidia-smi document reads as a person reads it', { skip }, async t => {
  // Typed from the files by hand; `undefined` is not compared.
  const t4 = parseNvidiaSmiXml(xml('tesla-t4.xml'));
  t.match(t4, { schema: 11, driver: '515.105.01', cuda: '11.7', attached: 1 });
  t.strictSame(t4.gpus[0], {
    id: '00000000:00:1E.0',
    name: 'Tesla T4',
    uuid: 'GPU-d37e67a5-91dd-3774-a5cb-99096249601a',
    serial: '0000000000000',
    temperatureC: 40,
    slowdownTemperatureC: 93,
    memoryTemperatureC: null,
    powerW: 26.78,
    powerLimitW: 70,
    performanceState: 'P0',
    smClockHz: 585e6,
    memoryClockHz: 5000e6,
    maxSmClockHz: 1590e6,
    clockReasons: [],
    memoryTotalBytes: 15360 * 1048576,
    memoryUsedBytes: 1032 * 1048576,
    gpuUtilization: 0,
    memoryUtilization: 0,
    pcieGeneration: 3,
    pcieMaxGeneration: 3,
    pcieWidth: 8,
    pcieMaxWidth: 16,
    pcieReplays: 0,
    persistence: false,
    uncorrectedErrors: 0,
  });
  const rtx = parseNvidiaSmiXml(xml('rtx-3080-v13.xml'));
  t.match(rtx, { schema: 13, driver: '595.58.03' });
  t.match(rtx.gpus[0], {
    name: 'NVIDIA GeForce RTX 3080',
    serial: 'REDACTED',
    temperatureC: 27,
    powerW: 142.33,
    powerLimitW: 320,
    smClockHz: 1950e6,
    gpuUtilization: 0.65,
    pcieGeneration: 4,
    pcieWidth: 16,
    clockReasons: [],
    memoryTemperatureC: null,
  });
  t.match(parseNvidiaSmiXml(xml('a10g.xml')).gpus[0], {
    name: 'NVIDIA A10G',
    temperatureC: 17,
    powerW: 25.58,
    smClockHz: 210e6,
    maxSmClockHz: 1710e6,
    pcieGeneration: 1,
    pcieMaxGeneration: 4,
  });
  t.match(parseNvidiaSmiXml(xml('quadro-p2000-v12.xml')), {
    schema: 12,
    driver: '525.125.06',
    gpus: [{ serial: '0322218049033', temperatureC: 34, powerW: 4.61, smClockHz: 139e6 }],
  });

  for (const file of readdirSync(FOLDER)) {
    const text = xml(file);
    const [gpu] = parseNvidiaSmiXml(text).gpus;
    const first = (element: string): string =>
      text.slice(text.indexOf(`<${element}>`) + element.length + 2, text.indexOf(`</${element}>`)).trim();
    t.equal(gpu?.uuid, first('uuid'), `${file} uuid`);
    t.equal(gpu?.temperatureC, parseInt(first('gpu_temp'), 10), `${file} temperature`);
    t.equal(gpu?.pcieWidth, parseInt(first('current_link_width'), 10), `${file} width`);
    t.equal(gpu?.memoryTotalBytes, parseInt(first('total'), 10) * 1048576, `${file} memory`);
    const idle = text.includes('reason_gpu_idle>Active<');
    t.equal(gpu?.clockReasons?.includes('gpu idle'), idle, `${file}: idle or not`);
    t.throws(() => parseNvidiaSmiXml(text.slice(0, text.length * 0.6)), ParseError, `${file} cut off`);
  }
  const active = xml('rtx-3080-v13.xml').replace(
    '<clocks_event_reason_hw_thermal_slowdown>Not Active<',
    '<clocks_event_reason_hw_thermal_slowdown>Active<',
  );
  t.strictSame(parseNvidiaSmiXml(active).gpus[0]?.clockReasons, ['hw thermal slowdown']);
});

void t.test('hostile XML is refused: entity bombs, other documents, endless depth, control characters', async t => {
  const bomb = `<?xml version="1.0"?><!DOCTYPE nvidia_smi_log [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><nvidia_smi_log><driver_version>&b;</driver_version></nvidia_smi_log>`;
  t.throws(() => parseNvidiaSmiXml(bomb), ParseError);
  t.throws(() => parseNvidiaSmiXml('<html><body/></html>'), { message: /a root nvidia_smi_log/ });
  t.throws(() => parseNvidiaSmiXml(`<nvidia_smi_log>${'<a>'.repeat(100)}`), ParseError);
  t.throws(
    () => parseNvidiaSmiXml('<nvidia_smi_log><driver_version>&evil;</driver_version></nvidia_smi_log>'),
    ParseError,
  );
  t.throws(() => parseNvidiaSmiXml(''), ParseError);
  t.throws(() => parseNvidiaSmiXml('<nvidia_smi_log></nvidia_smi_log>'), { message: /driver_version/ });
  t.equal(
    parseNvidiaSmiXml('<nvidia_smi_log><driver_version>1&#x202e;2</driver_version></nvidia_smi_log>').driver,
    '1\\u202e2',
  );
});

void t.test('idle GPUs are not throttled; power, heat and brake are', async t => {
  const line = (mask: string) => `0, GPU-1, NVIDIA H100, ${mask}, 69.50, 41, 1980\n`;
  const throttles = (mask: string) =>
    parseGpuCsv(line(mask))[0]
      ?.reasons?.filter(reason => reason.throttles)
      .map(({ name }) => name);
  t.strictSame(throttles('0x0000000000000001'), []);
  t.strictSame(throttles('0x0000000000000113'), [], 'idle, application clocks, sync boost, display');
  t.strictSame(throttles('0x00000000000000ec'), [
    'sw power cap',
    'hw slowdown',
    'sw thermal slowdown',
    'hw thermal slowdown',
    'hw power brake slowdown',
  ]);
  t.match(parseGpuCsv(line('0x4'))[0], { index: 0, powerW: 69.5, temperatureC: 41, smClockHz: 1980e6 });
  t.match(parseGpuCsv('3, GPU-1, X, [N/A], [Not Supported], [N/A], [N/A]\n')[0], {
    index: 3,
    reasons: null,
    powerW: null,
    temperatureC: null,
  });
  for (const bad of [
    '',
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
    line('4'),
    '0, a, b\n',
  ])
    t.throws(() => parseGpuCsv(bad), ParseError, bad);
});

void t.test('ethtool, rdma and traceroute', async t => {
  const counts = parseEthtoolStatistics(
    'NIC statistics:\n     rx_packets: 12\n     rx_bytes_phy: 18446744073709551615\n     rx[0]: drops: 3\n',
  );
  t.strictSame(
    [...counts],
    [
      ['rx_packets', 12n],
      ['rx_bytes_phy', 2n ** 64n - 1n],
      ['rx[0]: drops', 3n],
    ],
  );
  for (const bad of ['', 'no stats available\n', 'NIC statistics:\n  a: b\n', 'NIC statistics:\n  a: -1\n'])
    t.throws(() => parseEthtoolStatistics(bad), ParseError, bad);
  t.strictSame(
    [
      ...parseRdmaStatistics(
        '[{"ifindex":0,"ifname":"mlx5_0","port":1,"np_cnp_sent":9007199254740993,"out_of_sequence":4294967295}]',
      ),
    ],
    [
      ['np_cnp_sent', 9007199254740993n],
      ['out_of_sequence', 4294967295n],
    ],
  );
  for (const bad of ['', '[]', '{}', '[1]', '[{"a":1']) t.throws(() => parseRdmaStatistics(bad), ParseError, bad);
  t.strictSame(
    parseTraceroute(
      'traceroute to 198.18.0.9 (198.18.0.9), 30 hops max, 60 byte packets\n 1  198.19.0.1  0.123 ms\n 2  *\n 3  198.18.0.9  1.2 ms !H\n',
    ),
    ['198.19.0.1', '*', '198.18.0.9'],
  );
  for (const bad of ['', 'traceroute: unknown host\n', ' 2  198.19.0.1  1 ms\n'])
    t.throws(() => parseTraceroute(bad), ParseError, bad);
});

// The layout of nccl-tests 2.19 (`src/common.cu`): banner, three header lines, rows, footers.
const HEADER = `# nccl-tests version 2.19.0 nccl-headers=22907 nccl-library=22907
# Collective test starting: all_reduce_perf
# nThread 1 nGpus 1 minBytes 67108864 maxBytes 67108864 step: 1048576(bytes) warmup iters: 0 iters: 1 agg iters: 1 validation: 1 graph: 0
#
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)
`;
const ROW =
  '    67108864      16777216     float     sum      -1  11245.3    5.97   11.19       0  11301.0    5.94   11.13       2\n';

void t.test('nccl-tests rows are rounds, also while the file still grows', async t => {
  const text = parseNcclText(`${HEADER}${ROW}${ROW}# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 11.16\n#\n`);
  t.equal(text.rows.length, 2);
  t.match(text.rows[0], { sizeBytes: 67108864, count: 16777216, type: 'float', operation: 'sum', root: -1 });
  t.match(text, { outOfBounds: 0, averageBusbwBps: 89.28e9 });
  t.strictSame(roundsOf(text.rows.slice(0, 1), 6), [
    { round: 6, timeUs: 11245.3, busbwBps: 11.19 * 8e9, wrong: 0 },
    { round: 7, timeUs: 11301, busbwBps: 11.13 * 8e9, wrong: 2 },
  ]);
  for (let cut = 0; cut <= ROW.length; cut++) {
    const rows = parseNcclText(`${HEADER}${ROW}${ROW.slice(0, cut)}`).rows.length;
    t.equal(rows, cut === ROW.length ? 2 : 1, `${cut} characters of the last row`);
  }
  const single = parseNcclText(
    '    1048576        262144     float    none      -1    62.31   16.83   31.55     N/A\n',
  );
  t.strictSame(
    roundsOf(single.rows),
    [{ round: 0, timeUs: 62.31, busbwBps: 31.55 * 8e9, wrong: null }],
    'without in-place columns a row is one round',
  );
  t.equal(
    parseNcclText('    1048576  262144  float  sum  -1  1.2e+06  0.00  0.00  0  1.2e+06  0.00  0.00  N/A\n').rows[0]
      ?.outOfPlace.timeUs,
    1.2e6,
  );
  const failed = parseNcclText(
    `${HEADER}node2: Test NCCL failure common.cu:958 'unhandled system error'\nmpirun noticed that process rank 3 exited on signal 9\n`,
  );
  t.equal(failed.failures.length, 2);
  t.throws(
    () => parseNcclText('    1048576  262144  float  sum  -1  nan  0.00  0.00  0\n'),
    ParseError,
    'a row that does not read is no silence',
  );
});

void t.test('nccl-tests JSON gives rows and verdict, never the environment, and nothing when cut off', async t => {
  const json = JSON.stringify({
    version: '2.19.0',
    env: ['SECRET=1'],
    results: [
      {
        size: 1048576,
        count: 262144,
        type: 'float',
        redop: 'sum',
        root: -1,
        out_of_place: { time: 62.31, alg_bw: 16.83, bus_bw: 31.55, nwrong: 0 },
        in_place: { time: 61, alg_bw: 17, bus_bw: 32, nwrong: 'N/A' },
      },
    ],
    out_of_bounds: { count: 0, okay: 'true' },
    average_bus_bandwidth: { bandwidth: 31.8, okay: 'unchecked' },
    errors: [],
  });
  const whole = parseNcclJson(json);
  t.match(whole, { version: '2.19.0', outOfBounds: 0, averageBusbwBps: 31.8 * 8e9 });
  t.match(whole.rows[0], {
    sizeBytes: 1048576,
    outOfPlace: { busbwBps: 31.55 * 8e9, wrong: 0 },
    inPlace: { timeUs: 61, wrong: null },
  });
  t.notMatch(JSON.stringify(whole), /SECRET/);
  for (let cut = 1; cut < json.length; cut += 17) t.throws(() => parseNcclJson(json.slice(0, cut)), ParseError);
});

void t.test('iperf3 ends: interruptions by the harness are normal, everything else is an error', async t => {
  // As iperf 3.12 of Debian printed them on 127.0.0.1, shortened.
  const client =
    '{"start":{"version":"iperf 3.12"},"intervals":[],"end":{"sum":{"seconds":2.195576,"lost_packets":0,"packets":2144,"sender":true},"sum_sent":{"packets":2144},"sum_received":{"packets":0}},"error":"interrupt - the client has terminated"}';
  const server =
    '{"start":{"version":"iperf 3.12"},"intervals":[],"end":{"sum":{"seconds":2.000155,"lost_packets":44,"packets":2140,"sender":false},"sum_sent":{"packets":0},"sum_received":{"packets":2140}},"error":"the client has terminated"}';
  const refused =
    '{"start":{"connected":[],"version":"iperf 3.12"},"intervals":[],"end":{},"error":"unable to connect to server: Connection refused"}';
  t.match(parseIperf3(client), { packets: 2144, error: undefined, version: 'iperf 3.12' });
  t.strictSame(probeCount(parseIperf3(client), parseIperf3(server)), { sent: 2144, received: 2096 });
  t.match(parseIperf3(refused), { error: /Connection refused/, packets: undefined });
  t.throws(() => probeCount(parseIperf3(refused), parseIperf3(server)), { message: /Connection refused/ });
  for (const bad of ['', client.slice(0, 100), '[]', '{}', 'iperf3: error'])
    t.throws(() => parseIperf3(bad), ParseError, bad);
});

void t.test('netem holds twice what is in flight, and reads back what iproute2 prints', async t => {
  // 400 Gb/s x 400 us = 160 Mb = 20 MB in flight; / 1024 B = 19531.25; twice = 39062.5.
  t.equal(netemLimit({ rateBps: 400e9, delayNs: 400_000, mtuBytes: 1024 }), 39_063);
  t.equal(netemLimit({ rateBps: 1e9, delayNs: 1000, mtuBytes: 1024 }), 1000, 'never below netem’s default');
  t.equal(
    impairmentCommand({ device: 'eth2', delayNs: 391_500, loss: 0.001, limitPackets: 5000 }),
    'tc qdisc replace dev eth2 root netem limit 5000 delay 391.5us loss 0.1%',
  );
  t.equal(
    impairmentCommand({ device: 'eth2', delayNs: 0, loss: 0, limitPackets: 1000 }),
    'tc qdisc replace dev eth2 root netem limit 1000 delay 0us',
  );
  t.equal(
    impairmentCommand({ device: 'eth1', delayNs: 5e6, loss: 1, limitPackets: 1000 }),
    'tc qdisc replace dev eth1 root netem limit 1000 delay 5000us loss 100%',
  );
  t.throws(() => impairmentCommand({ device: 'eth1;x', delayNs: 0, loss: 0, limitPackets: 1 }), RangeError);
  t.throws(() => impairmentCommand({ device: 'eth1', delayNs: Number.NaN, loss: 0, limitPackets: 1 }), RangeError);
  t.throws(() => impairmentCommand({ device: 'eth1', delayNs: 0, loss: 2, limitPackets: 1 }), RangeError);
  t.equal(
    flapProgram({ everyNs: 50e6, downNs: 10e6, down: ['A', 'B'], up: ['C'] }),
    "sh -c 'while :; do A;B; sleep 0.01; C; sleep 0.04; done'",
  );
  const netem =
    '[{"kind":"netem","handle":"8001:","root":true,"refcnt":2,"options":{"limit":1000,"delay":{"delay":0.0003915,"jitter":0,"correlation":0},"loss-random":{"loss":0.001,"correlation":0},"ecn":false,"gap":0},"bytes":9007199254740993,"packets":12,"drops":3,"overlimits":0}]';
  t.strictSame(parseTcQdisc(netem), {
    kind: 'netem',
    delayNs: 391_500,
    loss: 0.001,
    limitPackets: 1000,
    others: [],
    bytes: 9007199254740993n,
    packets: 12n,
    drops: 3n,
  });
  t.throws(
    () => parseTcQdisc(netem.replace('loss-random', 'loss-gemodel')),
    ParseError,
    'a loss model would read as no loss',
  );
  for (const bad of ['', '[]', '[{"kind":"netem"}]', netem.slice(0, 80)])
    t.throws(() => parseTcQdisc(bad), ParseError, bad);
  for (const bad of ['', '[]', '[{}]', '[{"ifname":"a"}]']) t.throws(() => parseIpLink(bad), ParseError, bad);
});

/** A Linux box of a few commands, with state. */
function box(handle: (command: string) => string | number): Shell & { readonly sent: string[] } {
  const sent: string[] = [];
  return {
    device: 'box',
    sent,
    run: async command => {
      sent.push(command);
      const answer = handle(command);
      const stdout = typeof answer === 'string' ? answer : '';
      return {
        exitCode: typeof answer === 'number' ? answer : 0,
        stdout,
        stderr: '',
        truncated: false,
        wholeLineBytes: Buffer.from(stdout).lastIndexOf(10) + 1,
      };
    },
    close: async () => {},
  };
}

void t.test('a span box is set in one command, read back, and refused when it clamps', async t => {
  const state: Record<string, { delay: number; loss: number; up: boolean }> = {
    eth1: { delay: 0, loss: 0, up: true },
    eth2: { delay: 0, loss: 0, up: true },
  };
  let clampS = 1;
  let limit = 1;
  let more: object = {};
  const shell = box(command => {
    const dev = /dev (\S+)/.exec(command)?.[1] ?? '';
    const of = state[dev] ?? { delay: 0, loss: 0, up: false };
    const set = /netem limit \d+ delay ([\d.]+)us(?: loss ([\d.]+)%)?$/.exec(command);
    if (command.startsWith('setsid')) return '77\n';
    if (set) {
      of.delay = Math.min(clampS, Number(set[1]) / 1e6);
      of.loss = Number(set[2] ?? 0) / 100;
      return '';
    }
    if (command.startsWith('ip link set')) {
      of.up = command.endsWith(' up');
      return '';
    }
    if (command.startsWith('ip -j'))
      return JSON.stringify([
        {
          ifname: dev,
          flags: of.up ? ['BROADCAST', 'UP', 'LOWER_UP'] : ['BROADCAST'],
          operstate: of.up ? 'UP' : 'DOWN',
          mtu: 9216,
          stats64: {},
        },
      ]);
    return JSON.stringify([
      {
        kind: 'netem',
        root: true,
        options: { limit, delay: { delay: of.delay, jitter: 0 }, 'loss-random': { loss: of.loss }, ...more },
        bytes: 5,
        packets: 4,
        drops: 3,
      },
    ]);
  });
  const span = netemSpan({ name: 'north', shell, guard: openGuard(shell), rateBps: 100e9 });
  await span.setImpairment('a-to-b', { delayNs: 400_000, loss: 0.5 });
  t.match(state, { eth1: { delay: 0 }, eth2: { delay: 0.0004, loss: 0.5 } }, 'a to b leaves at eth2');
  t.match(await span.read('a-to-b'), { light: true, delayNs: 400_000, loss: 0.5 });
  await span.setLight('b-to-a', 'off');
  t.match(await span.read('b-to-a'), { light: false });
  t.match(await span.read('a-to-b'), { light: true });
  await span.setLight('b-to-a', 'on');
  t.strictSame(await span.counters('a-to-b'), { packets: 4n, bytes: 5n, dropped: 3n });
  await span.flap({ everyNs: 100e6, downNs: 25e6, light: 'kept', job: '1-span-flap' });
  t.match(
    shell.sent.find(command => command.startsWith('setsid')),
    /^setsid nohup sh -c 'while :; do tc qdisc replace dev eth2 root netem limit \d+ delay 400us loss 100%;tc qdisc replace dev eth1 .* loss 100%; sleep 0\.025; .*loss 50%;.*; sleep 0\.075; done' > \/dev\/null 2>&1 < \/dev\/null & echo \$!$/,
  );
  limit = 900_000;
  await span.setImpairment('a-to-b', { delayNs: 1000, loss: 0 });
  t.match(
    shell.sent.findLast(command => command.startsWith('tc qdisc replace')),
    / limit 900000 /,
    'a longer queue that was found stays',
  );
  limit = 1;
  more = { corrupt: { corrupt: 0.1, correlation: 0 } };
  const before = shell.sent.length;
  await t.rejects(span.setImpairment('a-to-b', { delayNs: 400_000, loss: 0 }), { message: /netem also sets corrupt/ });
  t.notOk(
    shell.sent.slice(before).some(command => command.includes('replace')),
    'what somebody else set is not thrown away',
  );
  more = {};
  clampS = 0.0001;
  await t.rejects(span.setImpairment('a-to-b', { delayNs: 400_000, loss: 0 }), { message: /reads back as .*100us/ });
});

void t.test('a collective is started detached, polled by its growing file, and cleaned up', async t => {
  let file = Buffer.from(`${HEADER}${ROW.slice(0, 30)}`);
  let running = true;
  const shell = box(command => {
    if (command.startsWith('setsid nohup mpirun')) return '4711\n';
    const tail = /^tail -c \+(\d+) \/tmp\/job$/.exec(command);
    if (tail) return file.subarray(Number(tail[1]) - 1).toString('utf8');
    if (command === 'kill -INT 4711') {
      running = false;
      return '';
    }
    if (command === 'kill -0 4711') return running ? 0 : 1;
    return 127;
  });
  const guard = openGuard(shell);
  const host = gpuNode({ name: 'n1', shell, guard, newFile: () => '/tmp/job' });
  const job = await host.startCollective({ kind: 'all-reduce', bytes: '64 MiB', algorithm: 'ring' }, [
    '198.18.0.1',
    '198.18.0.2',
  ]);
  t.equal(job.pid, 4711);
  t.equal(
    shell.sent[0],
    'setsid nohup mpirun -np 2 -H 198.18.0.1,198.18.0.2 all_reduce_perf -b 67108864 -e 67108864 -g 1 -n 1 -w 0 -N 0 -c 1 > /tmp/job 2>&1 < /dev/null & echo $!',
  );
  t.strictSame(await job.rows(0), []);
  file = Buffer.concat([file, Buffer.from(ROW.slice(30)), Buffer.from(ROW)]);
  t.strictSame(
    (await job.rows(1)).map(({ round }) => round),
    [1, 2, 3],
  );
  t.strictSame(await job.rows(4), [], 'nothing is read twice');
  t.ok(
    shell.sent.includes(`tail -c +${HEADER.length + 1} /tmp/job`),
    'the unfinished row is read again, the rest is not',
  );
  await Promise.all([job.stop(), job.stop()]);
  t.strictSame(guard.undone, ['job-1'], 'what it left is taken away by its own undo, once');
  t.equal((await job.rows(0)).length, 4, 'rows stay readable after the end');
  t.equal(
    collectiveCommand({ kind: 'incast', bytes: '1 MiB', senders: 2 }, ['a', 'b', 'c']),
    'mpirun -np 3 -H a,b,c gather_perf -b 3145728 -e 3145728 -g 1 -n 1 -w 0 -N 0 -c 1',
    'gather_perf counts the whole receive buffer',
  );
  for (const [load, words] of [
    [{ kind: 'all-reduce', bytes: '1 KiB', algorithm: 'tree' }, '-x NCCL_ALGO=Tree -np 2 -H a,b all_reduce_perf'],
    [
      { kind: 'reduce-scatter', bytes: '1 KiB', queuePairs: 4 },
      '-x NCCL_IB_QPS_PER_CONNECTION=4 -x NCCL_IB_SPLIT_DATA_ON_QPS=1 -np 2 -H a,b reduce_scatter_perf',
    ],
    [{ kind: 'all-gather', bytes: '1 KiB' }, '-np 2 -H a,b all_gather_perf'],
    [{ kind: 'broadcast', bytes: '1 KiB' }, '-np 2 -H a,b broadcast_perf'],
  ] as const) {
    t.equal(collectiveCommand(load, ['a', 'b']), `mpirun ${words} -b 1024 -e 1024 -g 1 -n 1 -w 0 -N 0 -c 1`);
  }
  t.throws(() => collectiveCommand({ kind: 'permutation', bytes: '1 MiB', shift: 2 }, ['a', 'b']), RangeError);
  t.throws(
    () => collectiveCommand({ kind: 'expert-all-to-all', bytes: '1 MiB', skew: 1, seed: 1 }, ['a', 'b']),
    /no program for expert-all-to-all/,
  );
  t.equal(
    probeSenderCommand({ target: '198.18.0.9', targetPort: 5201, sourcePort: 49152, packetsPerSecond: 20_000 }),
    'iperf3 -c 198.18.0.9 -p 5201 --cport 49152 -u -b 20480000 -l 128 -t 0 -J',
  );
  t.equal(
    pathCommand({ target: '198.18.0.9', sourcePort: 49152, targetPort: 5201 }),
    'traceroute -n -U -q 1 -w 1 --sport=49152 -p 5201 198.18.0.9',
  );
});

void t.test('a GPU node without PFC, RDMA or a telling GPU is missing values, never zeros', async t => {
  const answers: Record<string, string | number> = {
    'ethtool -S eth0': 'NIC statistics:\n     rx_bytes_phy: 10\n     rx_prio3_pause_duration: 7\n',
    'rdma -j statistic show link mlx5_0/1': 1,
    'cat /sys/class/net/eth0/address': 'AA:bb:cc:dd:ee:ff\n',
  };
  const shell = box(
    command => answers[command] ?? (command.startsWith('nvidia-smi --query') ? '0, G, X, [N/A], 1, 1, 1\n' : 127),
  );
  const host = gpuNode({ name: 'n1', shell, guard: openGuard(shell) });
  const counters = await host.counters();
  t.strictSame(counters, {
    rxBytes: 10n,
    pausedNs: 7000n,
    cnpSent: null,
    cnpHandled: null,
    outOfSequence: null,
    narrow: ['outOfSequence'],
  });
  t.notOk('pfcRx' in counters, 'no such counter: absent');
  await t.rejects(host.throttled(), { message: /does not tell its clock reasons/ });
  await t.rejects(host.facts(), DeviceError);
});

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  parseNvidiaSmiXml,
  parseGpuCsv,
  parseEthtoolStatistics,
  parseRdmaStatistics,
  parseNcclText,
  parseNcclJson,
  parseIperf3,
  parseTraceroute,
  parseIpLink,
  parseTcQdisc,
};

function holdsNaN(value: unknown): boolean {
  if (typeof value === 'number') return Number.isNaN(value);
  if (value instanceof Map) return [...value.values()].some(holdsNaN);
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsNaN);
}

void t.test('no text makes a parser throw anything but a ParseError, or give NaN', async t => {
  const json = fc.json({ maxDepth: 4 });
  const shaped = fc
    .constantFrom(
      '[{"kind":"netem","root":true,"options":%}]',
      '[{"ifname":"a","flags":[],"operstate":"UP","stats64":%}]',
      '{"start":{},"end":{"sum":%}}',
      '{"results":[{"size":1,"count":%,"out_of_place":{"time":%}}]}',
    )
    .chain(frame => json.map(value => frame.replaceAll('%', value)));
  const words = fc
    .array(
      fc.constantFrom(
        'NIC statistics:\n',
        '  a: 1\n',
        '<nvidia_smi_log>',
        '<gpu id="1">',
        '</gpu>',
        '<driver_version>1</driver_version>',
        '<fb_memory_usage><total>N/A</total>',
        '</nvidia_smi_log>',
        '&amp;',
        '<![CDATA[',
        ROW,
        '# Avg bus bandwidth : nan\n',
        '1e999',
        ' 1  1.1.1.1 1 ms\n',
        '\u001b',
        '0, G, X, 0x4, nan, 1, 1\n',
        '"',
        '{',
        '[',
        '1e400',
      ),
      { maxLength: 20 },
    )
    .map(parts => parts.join(''));
  for (const [name, parser] of Object.entries(PARSERS)) {
    fc.assert(
      fc.property(fc.oneof(shaped, words, json, fc.string({ unit: 'binary', maxLength: 100 })), text => {
        try {
          return !holdsNaN(parser(text));
        } catch (error) {
          if (error instanceof ParseError) return true;
          throw error;
        }
      }),
      { numRuns: 120, seed: 11 },
    );
    t.pass(name);
  }
});

void t.test('parsers take linear time: four times the text costs about four times as much', async t => {
  const inputs: readonly (readonly [string, (n: number) => string, (text: string) => unknown])[] = [
    ['nccl rows', n => ROW.repeat(n / 100), parseNcclText],
    ['one endless nccl line', n => `${'1 '.repeat(n * 5)}\n`, parseNcclText],
    ['one endless nccl blank', n => `#${' '.repeat(n * 10)}\n`, parseNcclText],
    ['ethtool', n => `NIC statistics:\n${'  rx: 1\n'.repeat(n)}`, parseEthtoolStatistics],
    ['ethtool colons', n => `NIC statistics:\n${':'.repeat(n * 10)}`, parseEthtoolStatistics],
    [
      'xml',
      n => `<nvidia_smi_log><driver_version>1</driver_version>${'<gpu id="1"></gpu>'.repeat(n / 4)}</nvidia_smi_log>`,
      parseNvidiaSmiXml,
    ],
    [
      'xml text',
      n => `<nvidia_smi_log><driver_version>${'x '.repeat(n * 5)}</driver_version></nvidia_smi_log>`,
      parseNvidiaSmiXml,
    ],
    ['csv', n => ', '.repeat(n * 5), parseGpuCsv],
    ['digits in JSON', n => `[{"a":${'1'.repeat(n * 10)}}]`, parseRdmaStatistics],
    ['traceroute', n => ` 1  ${'*'.repeat(n * 10)}`, parseTraceroute],
  ];
  const cost = (work: () => unknown): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 3; i++) {
      const { user, system } = process.cpuUsage();
      try {
        work();
      } catch (error) {
        if (!(error instanceof ParseError)) throw error;
      }
      const after = process.cpuUsage();
      best = Math.min(best, after.user + after.system - user - system);
    }
    return best;
  };
  for (const [name, make, parser] of inputs) {
    const [small, large] = [make(10_000), make(40_000)];
    cost(() => parser(small));
    const [one, four] = [cost(() => parser(small)), cost(() => parser(large))];
    t.ok(
      four / Math.max(one, 5000) < 10,
      `${name}: ${one} us for ${small.length}, ${four} us for ${large.length} characters`,
    );
  }
});
