import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { TappedPacket } from '../../../emulators/fabric-sim/fabric/tapped-packet.ts';
import sim from '../../../emulators/fabric-sim/binding.ts';
import type { Network } from '../../../emulators/fabric-sim/fabric/network.ts';
import { startSeries, type Series } from '../../../emulators/fabric-sim/fabric/series.ts';
import { createSwitchingNetwork } from '../../../emulators/fabric-sim/flow-level/create-switching-network.ts';
import { runInFolder } from '../../../harness/run/run-in-folder.ts';
import { pair } from './hand-made.ts';
import { MS, sitePair, star, US } from './small-fabrics.ts';

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
  const recordOf = (folder: string) => readFileSync(path.join(folder, 'record.ndjson'), 'utf8').split('\n').slice(1);
  t.same(recordOf(with_), recordOf(without), 'but for the option in its head');
  t.notOk(existsSync(path.join(without, 'series.ndjson')));
  const [head, ...columns] = readFileSync(path.join(with_, 'series.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown> & { values: number[] });
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
  for (const words of ['fast', '0us', '10us:', '10us:a-leaf', '10 parsecs'])
    await t.rejects(reserve(words), /Option series is an interval/);
  await t.rejects(reserve('10us:a-leaf/nine'), /a-leaf has no port nine/);
});
