import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { readRecord } from '../../../harness/run/run-folder.ts';
import type { TappedPacket } from '../../../emulators/fabric-sim/fabric/tapped-packet.ts';
import sim from '../../../emulators/fabric-sim/binding.ts';
import type { Network } from '../../../emulators/fabric-sim/fabric/network.ts';
import { startSeries, type Series } from '../../../emulators/fabric-sim/fabric/series.ts';
import { createSwitchingNetwork } from '../../../emulators/fabric-sim/flow-level/create-switching-network.ts';
import { readRun, writeReports } from '../../../harness/cli/run-reports.ts';
import type { RunVerdict } from '../../../harness/model/verdict.ts';
import { faultRulesOf } from '../../../harness/faults/fault-rules.ts';
import { protectionSwitch } from '../../../harness/faults/protection-switch.ts';
import { degrade } from '../../../harness/faults/span-degrade.ts';
import { standing } from '../../../harness/loads/standing.ts';
import type { ProbeLine } from '../../../harness/model/record.ts';
import { longFault, shortFault } from '../../../reports/fault-words.ts';
import { runInFolder } from '../../../harness/run/run-in-folder.ts';
import { pair } from './hand-made.ts';
import { createFabricSim } from '../../../emulators/fabric-sim/create-fabric-sim.ts';
import type { SimEvent } from '../../../emulators/fabric-sim/fabric-sim.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import { dice } from './one-queue.ts';
import { leafSpine, MS, sitePair, star, US } from './small-fabrics.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

/** 4096 B and 82 B of headers and gap at 100 Gb/s; an acknowledgement of 86 B. */
const FULL_PS = 4178 * 80;
const ACK_PS = 86 * 80;

// ---- taps ----------------------------------------------------------------------------------------------------------

t.test('a tap shows each packet of a port as it is sent and as it has come in', async t => {
  const network = star(2);
  const seen: TappedPacket[] = [];
  const end = network.tap?.('s', 'p1', packet => seen.push({ ...packet }));
  const flow = network.flow({ source: 'h0', target: 'h1', entropy: 50_001, bytes: 2 * 4096 + 1 });
  network.advance(20 * US);
  // First bit out of the switch when the packet is in: its time on the wire and 1 us of cable; the last packet is 83 B.
  const data = { kind: 'data', source: 'h0', target: 'h1', entropy: 50_001, ecn: 'ect', priority: 3, direction: 'out' };
  t.match(seen.slice(0, 3), [
    { ...data, atPs: FULL_PS + US, sequence: 0, payloadBytes: 4096, wireBytes: 4178 },
    { ...data, atPs: 2 * FULL_PS + US, sequence: 4096, payloadBytes: 4096, wireBytes: 4178 },
    // It waits behind the second, which is still being sent.
    { ...data, atPs: 3 * FULL_PS + US, sequence: 8192, payloadBytes: 1, wireBytes: 83 },
  ]);
  const backPs = 3 * FULL_PS + 83 * 80 + 2 * US + ACK_PS + US;
  t.match(seen.slice(3), [
    { kind: 'ack', source: 'h1', target: 'h0', entropy: 50_001, direction: 'in', atPs: backPs, sequence: 8193 },
  ]);
  t.equal(seen.length, 4, 'and nothing else');
  end?.();
  flow.send(4096);
  network.datagrams({ source: 'h0', target: 'h1', entropy: 7, bytes: 100, packetsPerSecond: 1e6 });
  network.advance(30 * US);
  t.equal(seen.length, 4, 'a tap that was ended shows nothing');
  network.tap?.('h1', 'eth0', packet => seen.push({ ...packet }));
  network.advance(31 * US);
  t.match(seen[4], { kind: 'datagram', source: 'h0', entropy: 7, payloadBytes: 100, wireBytes: 166, direction: 'in' });
  t.throws(() => network.tap?.('s', 'p9', () => {}), /s has no port p9/);
});

t.test('a tap shows a train as one packet that is in when its last bit is', async t => {
  const network = star(2, { trainPackets: 4 });
  const seen: TappedPacket[] = [];
  network.tap?.('s', 'p0', packet => seen.push({ ...packet }));
  network.flow({ source: 'h0', target: 'h1', entropy: 1, bytes: 4 * 4096 });
  network.advance(20 * US);
  t.match(seen[0], { kind: 'data', payloadBytes: 4 * 4096, wireBytes: 4 * 4178, atPs: 4 * FULL_PS + US });
});

t.test('a tap of selective repeat shows bytes, and what a span loses at its sender only', async t => {
  const settings = {
    transport: { control: 'none', recovery: 'selective-repeat' },
  } as const;
  const network = sitePair({ length: '10 km', settings });
  const [sent, arrived]: TappedPacket[][] = [[], []];
  network.tap?.('x', 'span', packet => packet.kind === 'data' && sent?.push({ ...packet }));
  network.tap?.('y', 'span', packet => packet.direction === 'in' && arrived?.push({ ...packet }));
  network.setSpan('long', 'a-to-b', { lossEvery: 3 });
  network.flow({ source: 'a0', target: 'b0', entropy: 9, bytes: 4 * 4096 });
  network.advance(200 * US);
  t.same(
    sent?.slice(0, 4).map(({ sequence }) => sequence),
    [0, 4096, 8192, 12_288],
  );
  t.same(
    arrived?.slice(0, 3).map(({ sequence }) => sequence),
    [0, 4096, 12_288],
  );
});

/** The frames of a pcap file: time, length on the wire, UDP source port, PSN and opcode. */
function framesOf(bytes: Buffer) {
  t.equal(bytes.readUInt32LE(0), 0xa1b23c4d, 'nanoseconds');
  const frames = [];
  for (let at = 24; at < bytes.length; ) {
    const kept = bytes.readUInt32LE(at + 8);
    const frame = bytes.subarray(at + 16, at + 16 + kept);
    frames.push({
      ns: bytes.readUInt32LE(at) * 1e9 + bytes.readUInt32LE(at + 4),
      bytes: bytes.readUInt32LE(at + 12),
      port: frame.readUInt16BE(34),
      opcode: frame.readUInt8(42),
      psn: frame.readUIntBE(51, 3),
    });
    at += 16 + kept;
  }
  return frames;
}

t.test('farspan trace captures a port of a replayed trace in a pcap file', async t => {
  const folder = t.testdir({
    matrix: 'Nodes 4\nConnections 1\n0->1 id 1 start 0 size 8192\n',
    topology:
      'Nodes 4\nTiers 2\nPodsize 4\nTier 0\nDownlink_speed_Gbps 100\nRadix_Down 2\nRadix_Up 2\nDownlink_Latency_ns 1000\n' +
      'Tier 1\nDownlink_speed_Gbps 100\nRadix_Down 2\nDownlink_Latency_ns 1000\n',
  });
  const file = path.join(folder, 'h1.pcap');
  const job = {
    htsim: path.join(folder, 'matrix'),
    topo: path.join(folder, 'topology'),
    pcap: [`h1:eth0=${file}`],
    delay: [],
    seed: 1,
    seeds: 1,
    train: 1,
  };
  const program = path.join(ROOT, 'emulators/fabric-sim/traces/main.ts');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), program, JSON.stringify(job)],
    { encoding: 'utf8', timeout: 60_000 },
  );
  t.equal(status, 0, stderr);
  t.match(stdout, /h1\.pcap: 4 packets/);
  // 4160 B at 100 Gb/s are 332.8 ns; two cables of 1 us and one switch. htsim acknowledges every packet with 64 B at once.
  const [port] = framesOf(readFileSync(file)).map(frame => frame.port);
  t.same(framesOf(readFileSync(file)), [
    { ns: 2665, bytes: 4160, port, opcode: 0x07, psn: 0 },
    { ns: 2665, bytes: 64, port, opcode: 0x11, psn: 1 },
    { ns: 2998, bytes: 4160, port, opcode: 0x07, psn: 1 },
    { ns: 2998, bytes: 64, port, opcode: 0x11, psn: 2 },
  ]);
});

// ---- series --------------------------------------------------------------------------------------------------------

const columnOf = (series: Series, quantity: string, name?: string) =>
  series.columns.find(column => column.quantity === quantity && (name === undefined || column.name === name));
const valuesOf = (series: Series, quantity: string, name?: string) => [
  ...(columnOf(series, quantity, name)?.values ?? []),
];

t.test('a series that is full merges neighbours and doubles its interval: counters stay exact', async t => {
  const network = star(2);
  const series = startSeries(network, { intervalPs: 10 * US, slots: 4, ports: [{ node: 's', port: 'p1' }] });
  network.datagrams({ source: 'h0', target: 'h1', entropy: 1, bytes: 100, packetsPerSecond: 1e6 });
  // Datagram k leaves the switch k us + 13.28 ns + 1 us after the start; 146 B of its 166 are counted.
  const sent = (atUs: number) => (atUs - 1) * 146;
  network.advance(35 * US);
  t.equal(series.intervalPs, 10 * US);
  t.same(valuesOf(series, 'txBytes'), [sent(10), sent(20), sent(30)]);
  network.advance(45 * US);
  t.equal(series.intervalPs, 20 * US);
  t.same(valuesOf(series, 'txBytes'), [sent(20), sent(40)]);
  network.advance(1000 * US);
  // 80, 160, 320 and 640 us were full: slots of 320 us since.
  t.equal(series.intervalPs, 320 * US);
  t.same(valuesOf(series, 'txBytes'), [sent(320), sent(640), sent(960)]);
  t.same(valuesOf(series, 'ecnMarked'), [0, 0, 0]);
  series.stop();
  network.advance(2000 * US);
  t.equal(series.length, 3, 'stopped is stopped');
});

t.test('peaks of a series stay peaks when slots merge, and no other reader misses one', async t => {
  const play = (followed: boolean) => {
    const network = star(3);
    const series = followed
      ? startSeries(network, { intervalPs: 1 * US, slots: 4, queues: [{ node: 's', port: 'p2' }] })
      : undefined;
    for (const [i, source] of ['h0', 'h1'].entries())
      network.flow({ source, target: 'h2', entropy: i, bytes: 10 * 4096 });
    network.advance(3 * US);
    const early = network.takeQueuePeak('s', 'p2');
    network.advance(64 * US);
    return { series, early, late: network.takeQueuePeak('s', 'p2'), after: network.takeQueuePeak('s', 'p2'), network };
  };
  const { series, early, late, after, network } = play(true);
  const alone = play(false);
  t.same([early, late, after], [alone.early, alone.late, alone.after], 'the same readings as without a series');
  t.equal(network.hops, alone.network.hops);
  // Two line rates into one: at the arrival of the tenth pair 20 packets have come, the one that is being sent and 8 more have left,
  // because arrivals of an instant come before its departures.
  t.equal(late, 11 * 4178);
  t.equal(Math.max(...valuesOf(series as Series, 'peak')), late);
  t.equal(series?.intervalPs, 32 * US);
  t.same(valuesOf(series as Series, 'bytes'), [0, 0]);
});

t.test('the rate of a flow is its goodput over the slot, and a flow that comes later has nothing before', async t => {
  const network = star(3);
  const flows: { name: string; flow: ReturnType<Network['flow']> }[] = [];
  const start = (name: string, source: string) =>
    flows.push({ name, flow: network.flow({ source, target: 'h2', entropy: 1, bytes: 30 * 4096 }) });
  const series = startSeries(network, {
    intervalPs: 10 * FULL_PS,
    slots: 8,
    flows: () => flows.map(({ name, flow }) => ({ name, delivered: flow.delivered() })),
  });
  start('one', 'h0');
  network.advance(50 * FULL_PS);
  start('two', 'h1');
  network.advance(70 * FULL_PS);
  // Each packet is in 2 x (334.24 ns + 1 us) after it began, so 10 slots x 334.24 ns end within the 3rd one delivered, then 10 per slot.
  t.same(
    valuesOf(series, 'delivered', 'one').slice(0, 4),
    [3, 13, 23, 30].map(packets => packets * 4096),
  );
  const full = (4096 * 8e12) / FULL_PS;
  t.ok(Math.abs((valuesOf(series, 'rate', 'one')[1] ?? 0) - full) < 1, '98.04 Gb/s of 100');
  t.ok(Math.abs((valuesOf(series, 'rate', 'one')[3] ?? 0) - 0.7 * full) < 1);
  t.same(
    valuesOf(series, 'rate', 'two').slice(0, 5),
    Array.from({ length: 5 }, () => Number.NaN),
  );
  t.equal(valuesOf(series, 'delivered', 'two')[5], 3 * 4096);
  network.advance(90 * FULL_PS);
  t.ok(Math.abs((valuesOf(series, 'rate', 'one')[1] ?? 0) - (full * 1.7) / 2) < 1, 'the mean of two');
  for (const [wrong, said] of [
    [{ intervalPs: 0 }, /An interval of 0 ps/],
    [{ intervalPs: 1, slots: 3 }, /A series of 3 slots/],
    [{ intervalPs: 1, ports: [{ node: 's', port: 'x' }] }, /s has no port x/],
    [{ intervalPs: 1, queues: [{ node: 's', port: 'p0', priority: 8 }] }, /Priority 8/],
  ] as const)
    t.throws(() => startSeries(network, wrong), said);
});

t.test('what flow level does not see is missing in a series, not 0', async t => {
  const topology = pair({ ranksPerSite: 1 });
  const network = createSwitchingNetwork({ topology, seed: 1, granularity: 'flow' });
  const place = { node: 'a-leaf', port: 'up1' };
  const series = startSeries(network, { intervalPs: 10 * US, ports: [place], queues: [place] });
  network.advance(25 * US);
  network.switchTo('packet');
  network.advance(45 * US);
  t.same(valuesOf(series, 'peak'), [Number.NaN, Number.NaN, 0, 0]);
  t.same(valuesOf(series, 'ecnMarked'), [Number.NaN, Number.NaN, 0, 0]);
  t.same(valuesOf(series, 'txBytes'), [0, 0, 0, 0]);
});

t.test('the sim world writes series beside the record when asked, and the record stays the same', async t => {
  const topology = pair({ ranksPerSite: 2, north: '10 km', south: '10 km' });
  const runsDir = t.testdir();
  const play = async (worldOptions: Readonly<Record<string, string>>) => {
    const { folder, errors } = await runInFolder({
      binding: sim,
      plan: {
        why: 'to see series',
        topology,
        load: { kind: 'incast', bytes: '1 MiB', senders: 3 },
        phases: { steady: { for: '5 rounds' } },
        expect: [],
      },
      set: {},
      scenario: { title: 'series', file: 'series.scenario.ts', line: 1, tags: [] },
      world: 'sim',
      seed: 1,
      trainPackets: 1,
      worldOptions,
      profile: null,
      named: {},
      root: ROOT,
      runsDir,
      now: () => new Date(0),
    });
    t.same(errors, []);
    return folder;
  };
  const [with_, without] = [await play({ series: '20us:a-leaf/host1,a-spine-1/span' }), await play({})];
  // The checksums follow from the head; what they are of must be the same.
  const recordOf = (folder: string) =>
    readRecord(folder)
      .lines.slice(1)
      .map(line => JSON.stringify(line));
  t.same(recordOf(with_), recordOf(without), 'but for the option in its head');
  t.notOk(existsSync(path.join(without, 'series.ndjson')));
  const [head, ...columns] = readFileSync(path.join(with_, 'series.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, string | number> & { values: number[] });
  t.match(head, { kind: 'series', beginNs: 0 });
  const port = columns.filter(({ name, of }) => of === 'port' && name === 'a-leaf host1');
  t.same(
    port.map(({ quantity, unit }) => `${quantity} ${unit}`),
    ['rxBytes B', 'txBytes B', 'ecnMarked packets', 'pausedNs ns', 'drops packets'],
  );
  t.equal(port[1]?.values.length, head?.['slots']);
  // Three senders of 1 MiB each, five rounds, 256 packets a message: through one host's port.
  const sent = port[1]?.values.at(-1) ?? 0;
  t.ok(sent >= 5 * 3 * 256 * (4178 - 20), `${sent} B were sent to the receiver`);
  t.ok(columns.some(({ of, quantity }) => of === 'queue' && quantity === 'peak'));
  t.equal(columns.filter(({ of, quantity }) => of === 'flow' && quantity === 'rate').length, 3);
  const reserve = (series: string) =>
    sim.reserve(topology, { seed: 1, record: () => {}, step: () => {}, options: { series } });
  const run = readRun(with_);
  writeReports(run, run.verdict as RunVerdict);
  const page = readFileSync(path.join(with_, 'report.html'), 'utf8');
  t.match(page, 'Queue peak, from the series');
  t.match(page, 'a-leaf host1');
  const other = readRun(without);
  writeReports(other, other.verdict as RunVerdict);
  t.notMatch(readFileSync(path.join(without, 'report.html'), 'utf8'), 'from the series');
  for (const words of ['fast', '0us', '10us:', '10us:a-leaf', '10 parsecs'])
    await t.rejects(reserve(words), /Option series is an interval/);
  await t.rejects(reserve('10us:a-leaf/nine'), /a-leaf has no port nine/);
});

// ---- spans ---------------------------------------------------------------------------------------------------------

/** Datagrams a0 to b0, one every `everyPs`, each with its number as entropy; answers when each came in, in that order. */
function arrivals(network: Network, options: { readonly count: number; readonly everyPs: number }) {
  const seen: { readonly number: number; readonly takenPs: number }[] = [];
  const beganPs = network.nowPs;
  network.tap?.('y', 'span', ({ kind, direction, entropy, atPs }) => {
    if (kind === 'datagram' && direction === 'in')
      seen.push({ number: entropy, takenPs: atPs - beganPs - entropy * options.everyPs });
  });
  for (let number = 0; number < options.count; number++) {
    network.advance(beganPs + number * options.everyPs);
    network.datagrams({ source: 'a0', target: 'b0', entropy: number, bytes: 100, packetsPerSecond: 1 });
  }
  network.advance(beganPs + options.count * options.everyPs + 10 * MS);
  return seen;
}

/** 10 km of fibre: 48.974 us; 166 B at 100 and at 400 Gb/s, and 1 us of cable. */
const ALONE_PS = 48_974_000 + 166 * 100 + US;

t.test('bit errors lose frames by their length: p = 1 - (1 - BER)^(8 bytes)', async t => {
  const ber = 1e-6;
  const sent = 20_000;
  for (const [bytes, frameBytes] of [
    [128, 128 + 46],
    [4096, 4096 + 46],
  ] as const) {
    const network = sitePair({ length: '10 km' });
    network.setSpan('long', 'a-to-b', { ber });
    const stream = network.datagrams({ source: 'a0', target: 'b0', entropy: 1, bytes, packetsPerSecond: 1e6 });
    network.advance(sent * US - 1);
    stream.stop();
    network.advance(sent * US + MS);
    const p = 1 - (1 - ber) ** (8 * frameBytes);
    const lost = stream.sent() - stream.received();
    t.equal(stream.sent(), sent);
    t.ok(Math.abs(lost - sent * p) <= 4 * Math.sqrt(sent * p), `${lost} of ${sent} lost, ${sent * p} expected`);
    t.equal(network.spanCount('long', 'a-to-b').lost, lost);
  }
});

t.test('attenuation eats the margin of a line, then all is lost within tenths of a dB', async t => {
  const network = sitePair({ length: '80 km' });
  const lostWith = (change: Parameters<Network['setSpan']>[2]) => {
    network.setSpan('long', 'a-to-b', change);
    const before = network.spanCount('long', 'a-to-b');
    const stream = network.datagrams({ source: 'a0', target: 'b0', entropy: 1, bytes: 100, packetsPerSecond: 1e6 });
    network.advance(network.nowPs + 100 * US);
    stream.stop();
    network.advance(network.nowPs + MS);
    return network.spanCount('long', 'a-to-b').lost - before.lost;
  };
  // 400ZR bridges 120 km; 80 km of 0.2 dB/km leave 8 dB.
  t.equal(lostWith({ attenuationDb: 7.9 }), 0);
  t.ok((network.span('long', 'a-to-b').preFecBer ?? 1) < 1.25e-2);
  t.ok(lostWith({ attenuationDb: 8.1 }) >= 99);
  t.match(network.span('long', 'a-to-b'), { attenuationDb: 8.1 });
  t.equal(
    network.span('long', 'a-to-b').ber,
    network.span('long', 'a-to-b').preFecBer,
    'nothing is corrected any more',
  );
  t.equal(lostWith({ preFecBer: 1.2e-2 }), 0, 'below the limit of the FEC');
  t.match(network.span('long', 'a-to-b'), { attenuationDb: 0, preFecBer: 1.2e-2, ber: 1e-15 });
  t.match(network.span('long', 'b-to-a'), { attenuationDb: 0, preFecBer: 0, ber: 0 }, 'the other way is as it was');
  for (const wrong of [{ ber: 2 }, { attenuationDb: -1 }, { jitterPs: 0.5 }, { reorderShare: -1 }, { reorderPs: -1 }])
    t.throws(() => network.setSpan('long', 'a-to-b', wrong), RangeError);
});

t.test('jitter is uniform around its mean, and order is kept however dense packets are', async t => {
  const network = sitePair({ length: '10 km' });
  t.ok(arrivals(network, { count: 3, everyPs: US }).every(({ takenPs }) => Math.abs(takenPs - ALONE_PS) < 1000));
  network.setSpan('long', 'a-to-b', { jitterPs: 5 * US });
  t.equal(network.span('long', 'a-to-b').jitterPs, 5 * US);
  const extra = arrivals(network, { count: 400, everyPs: 20 * US }).map(({ takenPs }) => takenPs - ALONE_PS);
  const mean = extra.reduce((sum, ps) => sum + ps, 0) / extra.length;
  // Standard deviation of the mean: 10 us / sqrt(12 x 400) = 0.144 us.
  t.ok(Math.abs(mean - 5 * US) < 4 * 0.144 * US, `mean ${mean / US} us`);
  t.ok(Math.min(...extra) > -1000 && Math.max(...extra) < 10 * US + 1000);
  const dense = arrivals(network, { count: 200, everyPs: 0.1 * US }).map(({ number }) => number);
  t.same(
    dense,
    dense.toSorted((a, b) => a - b),
  );
});

t.test('reordered packets take the extra delay exactly, and others overtake them', async t => {
  const network = sitePair({ length: '10 km' });
  network.setSpan('long', 'a-to-b', { reorderShare: 0.25, reorderPs: 7 * US });
  const seen = arrivals(network, { count: 2000, everyPs: US });
  const late = seen.filter(({ takenPs }) => Math.abs(takenPs - ALONE_PS - 7 * US) < 1000).length;
  const direct = seen.filter(({ takenPs }) => Math.abs(takenPs - ALONE_PS) < 1000).length;
  t.equal(late + direct, 2000, 'nothing else, and nothing is lost');
  // Binomial: 500 +- 4 x 19.4.
  t.ok(Math.abs(late - 500) < 78, `${late} of 2000`);
  const order = seen.map(({ number }) => number);
  t.ok(
    order.some((number, i) => number < (order[i - 1] ?? -1)),
    'some were overtaken',
  );
  t.same(
    order.toSorted((a, b) => a - b),
    Array.from({ length: 2000 }, (_, i) => i),
  );
  const stream = network.datagrams({ source: 'a0', target: 'b0', entropy: 1, bytes: 100, packetsPerSecond: 1e6 });
  network.advance(network.nowPs + 100 * US);
  const conserved = () => {
    const { injected, delivered, dropped, inFlight } = network.account;
    t.equal(injected, delivered + dropped + inFlight);
    return inFlight;
  };
  t.ok(conserved() >= 50, 'both ways of the span are full');
  network.setSpan('long', 'a-to-b', { passing: false });
  stream.stop();
  // One a microsecond: what is in the cables of 1.01 us on either side, two at most of those that were sent, came directly, and came late.
  const left = conserved();
  t.ok(left <= 6, `a cut takes what is on both: ${left} left`);
  network.setSpan('long', 'a-to-b', { passing: true });
  network.advance(network.nowPs + MS);
  t.equal(conserved(), 0);
});

t.test('each direction has a delay of its own, and a cut of one leaves the other', async t => {
  const network = sitePair({ length: '10 km' });
  network.setSpan('long', 'b-to-a', { delayPs: 148_974_000 });
  let acknowledgedPs = 0;
  network.flow({
    source: 'a0',
    target: 'b0',
    entropy: 1,
    bytes: 4096,
    onAcknowledged: () => {
      acknowledgedPs = network.nowPs;
    },
  });
  network.advance(MS);
  // There 48.974 us, back 148.974 us; four cables of 1 us; 4178 B and 86 B at 100, 400 and 100 Gb/s.
  const fibresPs = network.span('long', 'a-to-b').delayPs + 148_974_000;
  t.equal(acknowledgedPs, fibresPs + 4 * US + (4178 + 86) * (80 + 20 + 80));
  const ways = [
    network.datagrams({ source: 'a0', target: 'b0', entropy: 1, bytes: 100, packetsPerSecond: 1e5 }),
    network.datagrams({ source: 'b0', target: 'a0', entropy: 1, bytes: 100, packetsPerSecond: 1e5 }),
  ] as const;
  network.advance(2 * MS);
  network.setSpan('long', 'a-to-b', { passing: false });
  network.advance(2 * MS + 5 * US); // what had passed is in
  const before = ways.map(stream => stream.received());
  network.advance(3 * MS + 5 * US);
  t.equal(ways[0].received(), before[0], 'nothing comes any more');
  t.equal(ways[1].received(), (before[1] ?? 0) + 100, 'and all the other way');
});

t.test(
  'what a span does to packets goes on when the engine changes, and flow level loses by bit errors too',
  async t => {
    const topology = pair({ ranksPerSite: 1 });
    const network = createSwitchingNetwork({ topology, seed: 1, granularity: 'packet' });
    const change = { jitterPs: 5, reorderShare: 0.1, reorderPs: 7, preFecBer: 1e-3, lossEvery: 9 };
    network.setSpan('north', 'a-to-b', change);
    const before = network.span('north', 'a-to-b');
    t.match(before, { ...change, ber: 1e-15 });
    network.switchTo('flow');
    t.same(network.span('north', 'a-to-b'), before);
    network.switchTo('packet');
    t.same(network.span('north', 'a-to-b'), before);
    t.throws(() => {
      network.switchTo('flow');
      network.setSpan('north', 'a-to-b', { ber: 3 });
    }, RangeError);
  },
);

// ---- protection ----------------------------------------------------------------------------------------------------

/** BFD of 150 ms outlives a protection switch of 60 ms. */
const PATIENT = { ...DEFAULT_FABRIC.controlPlane, bfdInterval: '50 ms' } as const;
const FIBRE_80_KM_PS = 391_790_000;

t.test('a protected span is dark for detection and switching, then longer, and goes back after the wait', async t => {
  const topology = pair({ ranksPerSite: 1, settings: { controlPlane: PATIENT } });
  const fabric = createFabricSim({ topology, seed: 1, trainPackets: 1 });
  const events: SimEvent[] = [];
  fabric.onEvent(event => events.push(event));
  fabric.protect('north', { detourPs: 2 * MS, waitToRestorePs: 300 * MS });
  t.equal(fabric.protection('north'), 'working');
  t.equal(fabric.protection('south'), undefined);
  const port = Array.from({ length: 200 }, (_, i) => 50_000 + i).find(sourcePort =>
    fabric.path('a-host-1', 'b-host-1', sourcePort).spans.includes('north'),
  ) as number;
  const probe = fabric.startProbe({
    source: 'a-host-1',
    target: 'b-host-1',
    sourcePort: port,
    packetsPerSecond: 100_000,
  });
  const lostIn = (untilPs: number) => {
    const before = probe.sent() - probe.received();
    fabric.advance(untilPs);
    return probe.sent() - probe.received() - before;
  };
  lostIn(10 * MS);
  for (const way of ['a-to-b', 'b-to-a'] as const) fabric.setSpan('north', way, { passing: false, light: false });
  t.equal(fabric.protection('north'), 'detecting');
  t.equal(fabric.span('north', 'a-to-b').light, false, 'the working path is told as it is');
  // 60 ms at 100 a millisecond; 39 that were in the fibre are lost and 239 are in the longer one.
  const lost = lostIn(150 * MS);
  t.equal(fabric.protection('north'), 'protecting');
  t.ok(Math.abs(lost - 6000 - 200 - 39) <= 3, `${lost} fewer have come`);
  t.same(events, [], 'neither light nor BFD told the switches');
  t.equal(lostIn(200 * MS), 0);
  for (const way of ['a-to-b', 'b-to-a'] as const) fabric.setSpan('north', way, { passing: true, light: true });
  t.equal(fabric.protection('north'), 'restoring');
  fabric.advance(499 * MS);
  t.equal(fabric.protection('north'), 'restoring');
  fabric.advance(500 * MS);
  t.equal(fabric.protection('north'), 'working');
  t.ok(Math.abs(lostIn(600 * MS) + 200) <= 3, 'going back loses nothing, and the longer fibre empties');
  t.ok(Math.abs(fabric.span('north', 'a-to-b').delayPs - FIBRE_80_KM_PS) < 1e6);
});

t.test('protection: degradation switches, a short failure and a silent one do not, and fast BFD is faster', async t => {
  const build = (settings = {}) => {
    const topology = pair({ ranksPerSite: 1, settings });
    const fabric = createFabricSim({ topology, seed: 1, trainPackets: 1 });
    const events: string[] = [];
    fabric.onEvent(({ kind, node, atPs }) => events.push(`${kind} ${node} ${atPs / MS}`));
    fabric.protect('north', { detourPs: { 'a-to-b': MS, 'b-to-a': 3 * MS } });
    return { fabric, events };
  };
  const degraded = build({ controlPlane: PATIENT }).fabric;
  degraded.setSpan('north', 'b-to-a', { attenuationDb: 8.1 });
  degraded.advance(60 * MS);
  t.equal(degraded.protection('north'), 'protecting', 'one degraded direction moves both');
  degraded.setSpan('north', 'b-to-a', { attenuationDb: 0 });
  degraded.advance(3000 * MS);
  t.equal(degraded.protection('north'), 'protecting', 'not revertive without a wait');

  const short = build().fabric;
  short.setSpan('north', 'a-to-b', { light: false });
  short.advance(9 * MS);
  short.setSpan('north', 'a-to-b', { light: true });
  short.advance(200 * MS);
  t.equal(short.protection('north'), 'working');

  const silent = build();
  silent.fabric.setSpan('north', 'a-to-b', { passing: false });
  silent.fabric.advance(200 * MS);
  t.equal(silent.fabric.protection('north'), 'working', 'the optical layer does not see it');
  t.ok(
    silent.events.some(event => event.startsWith('bgp-down b-spine-1 9.9')),
    'BFD does, after 3 x 3.3 ms',
  );

  const fast = build();
  fast.fabric.setSpan('north', 'a-to-b', { light: false });
  fast.fabric.advance(200 * MS);
  t.ok(fast.events.includes('bgp-down b-spine-1 9.9'));
  t.notOk(
    fast.events.some(event => event.startsWith('link-down')),
    'the line terminal keeps its light',
  );
  t.throws(() => fast.fabric.protect('north', { detourPs: 1 }), /protected already/);
  t.throws(() => fast.fabric.protect('west', { detourPs: 1 }), /has no span west/);
  t.throws(() => fast.fabric.protect('south', { detourPs: -1 }), RangeError);
});

// ---- BFD under partial loss ----------------------------------------------------------------------------------------

t.test('BFD flaps under partial loss as often as three losses in a row come', async t => {
  // (1 - p^3) / ((1 - p) p^3) intervals from good to three lost: 14 for p = 1/2, by tossing coins too.
  const meanOf = (p: number) => (1 - p ** 3) / ((1 - p) * p ** 3);
  t.equal(meanOf(0.5), 14);
  const draw = dice(1);
  let tosses = 0;
  for (let game = 0; game < 20_000; game++) for (let run = 0; run < 3; tosses++) run = draw() < 0.5 ? run + 1 : 0;
  t.ok(Math.abs(tosses / 20_000 - 14) < 0.4, `${tosses / 20_000} tosses`);

  for (const [p, seconds] of [
    [0.5, 60],
    [0.1, 1000],
  ] as const) {
    const controlPlane = { ...DEFAULT_FABRIC.controlPlane, bgpEstablish: '1 us' } as const;
    const fabric = createFabricSim({
      topology: pair({ ranksPerSite: 1, settings: { controlPlane } }),
      seed: 1,
      trainPackets: 1,
    });
    const downs = new Map<string, number>();
    fabric.onEvent(({ kind, node }) => kind === 'bgp-down' && downs.set(node, (downs.get(node) ?? 0) + 1));
    fabric.setSpan('north', 'a-to-b', { loss: p });
    fabric.advance(seconds * 1e12);
    const expected = seconds / 3.3e-3 / meanOf(p);
    const seen = downs.get('b-spine-1') ?? 0;
    t.ok(Math.abs(seen - expected) < 4 * Math.sqrt(expected), `${seen} flaps at p = ${p}, ${expected} expected`);
    fabric.setSpan('north', 'a-to-b', { loss: 0 });
    downs.clear();
    fabric.advance(2 * seconds * 1e12);
    t.equal(downs.size, 0, 'and none without loss');
  }
});

t.test('timers of BFD scale its flaps, and bit errors count as loss of its 70 B', async t => {
  const count = (bfdInterval: '1 ms' | '10 ms', change: { loss: number } | { ber: number }) => {
    const controlPlane = {
      ...DEFAULT_FABRIC.controlPlane,
      bfdInterval,
      bfdMultiplier: 2,
      bgpEstablish: '1 us',
    } as const;
    const fabric = createFabricSim({
      topology: pair({ ranksPerSite: 1, settings: { controlPlane } }),
      seed: 2,
      trainPackets: 1,
    });
    let downs = 0;
    fabric.onEvent(({ kind, node }) => {
      if (kind === 'bgp-down' && node === 'a-spine-2') downs += 1;
    });
    fabric.setSpan('south', 'b-to-a', change);
    fabric.advance(60e12);
    return downs;
  };
  // Two in a row: (1 - p^2) / ((1 - p) p^2) = 30 intervals for p = 0.2.
  const loss = 0.2;
  for (const [interval, expected] of [
    ['1 ms', 2000],
    ['10 ms', 200],
  ] as const)
    t.ok(Math.abs(count(interval, { loss }) - expected) < 4 * Math.sqrt(expected));
  for (const seldom of [1e-2, 1e-6, 1e-150])
    t.equal(count('1 ms', { loss: seldom }) < 30, true, 'seldom or never in a minute');
  const ber = 1 - (1 - loss) ** (1 / (8 * 70));
  t.ok(Math.abs(count('10 ms', { ber }) - 200) < 57);
});

// ---- ECMP ----------------------------------------------------------------------------------------------------------

const spineOf = (network: Network, entropy: number, target = 'h1') =>
  network.path('h0', target, entropy).find(({ node }) => node === 'l0')?.port ?? '';

t.test('a port that is named twice has twice the weight, at packet and at flow level', async t => {
  const network = leafSpine(1, 3);
  network.setRoute('l0', 'h1', ['u0', 'u0', 'u1', 'u2']);
  t.same(network.routes('l0', 'h1'), ['u0', 'u0', 'u1', 'u2']);
  const counts = new Map<string, number>();
  for (let entropy = 0; entropy < 8000; entropy++)
    counts.set(spineOf(network, entropy), (counts.get(spineOf(network, entropy)) ?? 0) + 1);
  // Binomial: 4000 +- 4 x 45 and 2000 +- 4 x 39.
  t.ok(Math.abs((counts.get('u0') ?? 0) - 4000) < 180, `${counts.get('u0')}`);
  for (const port of ['u1', 'u2']) t.ok(Math.abs((counts.get(port) ?? 0) - 2000) < 156);
  const level = createSwitchingNetwork({ topology: pair({ ranksPerSite: 1 }), seed: 1, granularity: 'flow' });
  level.setRoute('a-leaf', 'b-host-1', ['up1', 'up2', 'up2', 'up2']);
  let south = 0;
  for (let entropy = 0; entropy < 4000; entropy++)
    if (level.path('a-host-1', 'b-host-1', entropy)[1]?.port === 'up2') south += 1;
  t.ok(Math.abs(south - 3000) < 4 * Math.sqrt(4000 * 0.75 * 0.25), `${south} of 4000`);
});

t.test('a hash of addresses alone sends all flows of two hosts one way, and packets keep their ports', async t => {
  const settings = { switching: { ecmpFields: 'addresses' } } as const;
  const network = leafSpine(8, 4, { settings });
  const ways = new Set(Array.from({ length: 100 }, (_, entropy) => spineOf(network, entropy, 'h8')));
  t.equal(ways.size, 1);
  const targets = Array.from({ length: 8 }, (_, i) => spineOf(network, 0, `h${8 + i}`));
  t.ok(new Set(targets).size > 1, 'other hosts, other ways');
  const seen: string[] = [];
  network.tap?.('h8', 'eth0', ({ kind, entropy, direction }) => {
    if (direction === 'in') seen.push(`${kind} ${entropy}`);
  });
  network.flow({ source: 'h0', target: 'h8', entropy: 50_123, bytes: 1 });
  network.datagrams({ source: 'h0', target: 'h8', entropy: 7, bytes: 100, packetsPerSecond: 1 });
  network.datagrams({ source: 'h0', target: 'h8', entropy: 8, bytes: 100, packetsPerSecond: 1 });
  const uplinks = ['u0', 'u1', 'u2', 'u3'].map(port => network.count('l0', port).txPackets);
  network.advance(50 * US);
  t.same(seen.toSorted(), ['data 50123', 'datagram 7', 'datagram 8']);
  const sent = ['u0', 'u1', 'u2', 'u3'].map((port, i) => network.count('l0', port).txPackets - (uplinks[i] ?? 0));
  t.same(
    sent.toSorted((a, b) => a - b),
    [0, 0, 0, 3],
    'by one way',
  );
  const spreading = { transport: { control: 'none', recovery: 'selective-repeat', spreading: 'oblivious' } } as const;
  t.throws(() => leafSpine(1, 2, { settings: { ...settings, ...spreading } }), /hash addresses only/);
  const five = leafSpine(8, 4);
  t.equal(new Set(Array.from({ length: 100 }, (_, entropy) => spineOf(five, entropy, 'h8'))).size, 4);
});

// ---- faults in the language ----------------------------------------------------------------------------------------

t.test(
  'a degraded span is evident by witnesses, else by lost probes in each direction, and not where ports went down',
  async t => {
    const { spans, settings } = pair({ ranksPerSite: 1 });
    const fault = degrade(spans.north, { loss: '0.1 %' });
    t.equal(degrade(spans.north, { ber: 1e-9, direction: 'a-to-b' }).direction, 'a-to-b');
    const rules = faultRulesOf(fault);
    t.equal(rules.describe(fault), 'loss of 0.1 % on span north');
    const probe = (direction: 'a-to-b' | 'b-to-a', received: number): ProbeLine => ({
      kind: 'probe',
      phase: 'p',
      span: 'north',
      direction,
      source: 'a-host-1',
      target: 'b-host-1',
      packetsPerSecond: 1000,
      beginNs: 0,
      endNs: 1e9,
      sent: 1000,
      received,
    });
    const none = { effects: [], probes: [], counters: [], baseline: [] };
    t.equal(rules.evidence(fault, none).real, null);
    t.equal(rules.evidence(fault, { ...none, probes: [probe('a-to-b', 999), probe('b-to-a', 998)] }).real, true);
    t.equal(rules.evidence(fault, { ...none, probes: [probe('a-to-b', 999), probe('b-to-a', 1000)] }).real, null);
    const down = {
      kind: 'counters',
      atNs: 1,
      node: 'a-spine-1',
      ports: { span: { operUp: false } },
    } as const;
    t.equal(rules.evidence(fault, { ...none, counters: [down] }).real, false);
    const witness = { kind: 'effect', fault: 'f', atNs: 1, witness: 'w', seen: 'no loss', real: false } as const;
    t.match(rules.evidence(fault, { ...none, effects: [witness] }), { real: false, reason: /no loss/ });
    // As long again as the work, and a recovery.
    const budget = (workNs: number) => rules.budgetNs(fault, { settings, workNs });
    t.equal(budget(5e6) - budget(0), 5e6);
    for (const wrong of [{ loss: '0 %' }, { loss: '100 %' }, { ber: 0 }, { ber: 1 }] as const)
      t.throws(() => degrade(spans.north, wrong), /more than nothing and less than everything/);
  },
);

t.test('a protection switch is evident by witnesses alone, and the path that stands is longer both ways', async t => {
  const topology = pair({ ranksPerSite: 1, north: '80 km', south: '120 km' });
  const fault = protectionSwitch(topology.spans.north, { detour: '20 km' });
  t.equal(fault.outage, '50 ms');
  const rules = faultRulesOf(fault);
  t.match(rules.describe(fault), 'protection switch of span north to a path longer by 20 km');
  const none = { effects: [], probes: [], counters: [], baseline: [] };
  t.equal(rules.evidence(fault, none).real, null);
  const witness = { kind: 'effect', fault: 'f', atNs: 1, witness: 'w', seen: 'delay', real: true } as const;
  t.equal(rules.evidence(fault, { ...none, effects: [witness] }).real, true);
  // 20 km x 1.4682 / c = 97.948 us, once each way.
  for (const [source, target] of [
    ['a-host-1', 'b-host-1'],
    ['b-host-1', 'a-host-1'],
  ] as const) {
    const [before, after] = [[], [fault]].map(faults => standing(topology, faults).delayNs(source, target) ?? 0);
    t.ok(Math.abs((after ?? 0) - (before ?? 0) - 97_947.8) < 1, `${after} ns`);
  }
  t.equal(
    standing(topology, [fault, degrade(topology.spans.south, { loss: '1 %' })]).capacityBps(['a-host-1'], ['b-host-1']),
    standing(topology, []).capacityBps(['a-host-1'], ['b-host-1']),
    'nothing is gone',
  );
  t.throws(() => protectionSwitch(topology.spans.north, { detour: '0 km' }), /longer than the working one/);
  t.equal(shortFault(fault), 'detour north');
  t.match(longFault(degrade(topology.spans.north, { ber: 1e-9 })), 'span north with bit errors of 1e-9, both ways');
});
