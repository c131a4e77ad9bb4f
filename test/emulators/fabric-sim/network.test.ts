import fc from 'fast-check';
import t from 'tap';
import { createNetwork } from '../../../emulators/fabric-sim/fabric/create-network.ts';
import { marksOf, markingProbability } from '../../../emulators/fabric-sim/fabric/red-marking.ts';
import { createEventQueue, NOW } from '../../../emulators/fabric-sim/kernel/event-queue.ts';
import { Random } from '../../../emulators/fabric-sim/kernel/random.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import { cable, type Topology } from '../../../harness/model/topology.ts';
import { leafSpine, MS, sitePair, star, US } from './small-fabrics.ts';

// A full packet at MTU 4096: 4178 B, 334,240 ps at 100 Gb/s (80 ps/B).
const FULL = 4178;
const SER = FULL * 80;
const ACK = 86 * 80;
const LINK = 1 * US;

void t.test('one flow takes serialisation plus the path, to the picosecond', async t => {
  const network = star(2, { settings: { dcqcn: null } });
  let delivered = 0;
  let acknowledged = 0;
  network.flow({
    source: 'h0',
    target: 'h1',
    bytes: 1000 * 4096,
    entropy: 1,
    onDelivered: () => (delivered = network.nowPs),
    onAcknowledged: () => (acknowledged = network.nowPs),
  });
  network.advance(10 * MS);
  // 1000 packets leave the host; the last is stored and forwarded once; two cables of 1 us.
  t.equal(delivered, 1000 * SER + SER + 2 * LINK);
  t.equal(acknowledged, delivered + 2 * ACK + 2 * LINK);
  t.equal(network.count('h1', 'eth0').rxPackets, 1000);
  t.equal(network.count('h1', 'eth0').rxBytes, 1000 * (FULL - 20), 'byte counters leave preamble and gap out');
  t.equal(
    network.hops,
    2 * 1000 + 2 * Math.ceil(1000 / 16),
    'every data packet and every ACK (one per 16 packets, one at the end) makes two hops',
  );
});

void t.test('a short last packet and a faster middle link count with their own sizes and rates', async t => {
  const network = sitePair({ length: '80 km', spanRate: '400 Gb/s', settings: { dcqcn: null } });
  let delivered = 0;
  network.flow({
    source: 'a0',
    target: 'b0',
    bytes: 3 * 4096 + 100,
    entropy: 1,
    onDelivered: () => (delivered = network.nowPs),
  });
  network.advance(2 * MS);
  // At the receiver's link the four packets are back to back behind the first: it sets the pace.
  const fibre = Math.round((80_000 * 1.4682 * 1e12) / 299_792_458);
  const first = SER + LINK + FULL * 20 + fibre + 0;
  t.equal(delivered, first + 3 * SER + (100 + 82) * 80 + LINK);
});

void t.test('80 km of fibre are 391.8 us one way', async t => {
  const network = sitePair({ length: '80 km' });
  t.equal(Math.round(network.span('long', 'a-to-b').delayPs / 1e5) / 10, 391.8);
  t.equal(Math.round(sitePair({ length: '1 km' }).span('long', 'b-to-a').delayPs / 1e3) / 1e3, 4.897, '4.897 us/km');
});

void t.test('goodput at MTU 4096 reaches 98.04 % of the line rate and no more', async t => {
  const network = star(2);
  const flow = network.flow({ source: 'h0', target: 'h1', bytes: Number.POSITIVE_INFINITY, entropy: 1 });
  network.advance(1 * MS);
  const before = flow.delivered();
  network.advance(21 * MS);
  const share = ((flow.delivered() - before) * 8) / 0.02 / 100e9;
  t.ok(Math.abs(share - 4096 / 4178) < 1e-4, `${(share * 100).toFixed(2)} %`);
  t.equal((4096 / 4178).toFixed(4), '0.9804');
});

void t.test(
  'an incast without congestion control is lossless under PFC and takes N times the serialisation',
  async t => {
    for (const senders of [8, 63]) {
      const network = star(senders + 1, { settings: { dcqcn: null } });
      let last = 0;
      for (let i = 1; i <= senders; i++)
        network.flow({
          source: `h${i}`,
          target: 'h0',
          bytes: 500 * 4096,
          entropy: i,
          onDelivered: () => (last = network.nowPs),
        });
      network.advance(30 * MS);
      t.equal(last, SER + LINK + senders * 500 * SER + LINK, `${senders} to 1`);
      t.same(network.account, {
        injected: network.account.delivered,
        delivered: network.account.delivered,
        dropped: 0,
        inFlight: 0,
      });
      const sent = network.count('s', 'p1').pfcTx;
      const upstream = network.count('h1', 'eth0');
      t.ok(sent > 0, 'the switch paused its first sender');
      t.equal(upstream.pfcRx, sent, 'every pause frame arrived');
      t.ok(upstream.pausedPs > 0 && upstream.pausedPs < network.nowPs, 'which was paused for a while, and resumed');
      t.equal(sent % 2, 0, 'each pause was followed by a resume');
      t.equal(network.count('s', 'p0').drops, 0);
    }
  },
);

void t.test(
  'without PFC the same incast overflows the buffer at the egress port, and go-back-N still delivers all',
  async t => {
    const network = star(9, {
      settings: { dcqcn: null, pfc: null, bufferPerSwitch: '1 MB', roce: { mtu: '4096 B', retransmitTimeout: '1 ms' } },
    });
    const flows = Array.from({ length: 8 }, (_, i) =>
      network.flow({ source: `h${i + 1}`, target: 'h0', bytes: 500 * 4096, entropy: i }),
    );
    network.advance(400 * MS);
    const port = network.count('s', 'p0');
    t.ok(port.drops > 0, `${port.drops} drops`);
    t.ok(port.queuePeakBytes <= 1e6, 'the queue never held more than the buffer');
    t.same(
      flows.map(flow => flow.delivered()),
      Array.from({ length: 8 }, () => 500 * 4096),
    );
    t.equal(network.account.dropped, port.drops, 'all drops are at that port');
  },
);

void t.test('thresholds scale with the port rate', async t => {
  const peak = (rate: '100 Gb/s' | '400 Gb/s') => {
    const network = star(3, { rate, settings: { dcqcn: null } });
    for (const i of [1, 2]) network.flow({ source: `h${i}`, target: 'h0', bytes: 10e6, entropy: i });
    network.advance(3 * MS);
    t.equal(network.account.dropped, 0);
    return network.takeQueuePeak('s', 'p0');
  };
  // Two ingress ports at xoff 512 KB x rate/100G, each overshooting by the pause's flight: 2 us and a packet or two.
  const flight = (bps: number) => (2.1e-6 * bps) / 8 + 2 * FULL;
  for (const [rate, scale] of [
    ['100 Gb/s', 1],
    ['400 Gb/s', 4],
  ] as const) {
    const seen = peak(rate);
    t.ok(seen > 2 * 512e3 * scale && seen < 2 * (512e3 * scale + flight(scale * 100e9)), `${rate}: peak ${seen} B`);
  }
});

void t.test('the share of marked packets follows the RED law at the queue that is held', async t => {
  t.equal(markingProbability({ minBytes: 400e3, maxBytes: 1600e3, probability: 0.2 }, 400e3), 0);
  t.equal(markingProbability({ minBytes: 400e3, maxBytes: 1600e3, probability: 0.2 }, 1000e3), 0.1);
  t.equal(markingProbability({ minBytes: 400e3, maxBytes: 1600e3, probability: 0.2 }, 1600e3), 0.2);
  t.equal(markingProbability({ minBytes: 400e3, maxBytes: 1600e3, probability: 0.2 }, 1600e3 + 1), 1);

  // Two senders with a window of 500 KB each hold a queue of about 1 MB less what is on the way. The law is linear there,
  // so the marked share must be the law at the mean queue.
  const network = star(3, {
    settings: { dcqcn: null, pfc: null, roce: { mtu: '4096 B', retransmitTimeout: '16.8 ms', window: '500 KB' } },
  });
  for (const i of [1, 2]) network.flow({ source: `h${i}`, target: 'h0', bytes: Number.POSITIVE_INFINITY, entropy: i });
  network.advance(1 * MS);
  const begin = network.count('s', 'p0');
  let depths = 0;
  const samples = 20_000;
  for (let i = 1; i <= samples; i++) {
    network.advance(1 * MS + i * 500_003);
    depths += network.count('s', 'p0').queueBytes;
  }
  const end = network.count('s', 'p0');
  const packets = end.queuePackets - begin.queuePackets;
  const share = (end.ecnMarked - begin.ecnMarked) / packets;
  const expected = (0.2 * (depths / samples - 400e3)) / 1200e3;
  // 30,000 packets at 9 %: standard deviation 0.17 %; four of them.
  t.ok(packets > 25_000);
  t.ok(Math.abs(share - expected) < 0.007, `${share.toFixed(4)} marked, ${expected.toFixed(4)} by the law`);
  t.ok(depths / samples > 850e3 && depths / samples < 1020e3, `mean queue ${Math.round(depths / samples)} B`);

  const dice = new Random(7);
  let marks = 0;
  for (let i = 0; i < 20_000; i++) marks += marksOf(8, 0.1, dice);
  // Mean n p = 0.8 a train; standard deviation of the sum sqrt(20000 x 8 x 0.1 x 0.9) = 120.
  t.ok(Math.abs(marks - 16_000) < 480, `${marks} marks of 16000 expected on trains`);
});

void t.test('path() names the ports that packets take, and the hash spreads flows', async t => {
  const uses = new Map<string, number>();
  const network = leafSpine(2, 4, { settings: { dcqcn: null } });
  for (let entropy = 0; entropy < 40; entropy++) {
    const path = network.path('h0', 'h2', entropy);
    t.same([path.length, path[0]?.node, path[1]?.node, path[3]?.node], [4, 'h0', 'l0', 'l1']);
    const before = path.map(({ node, port }) => network.count(node, port).txPackets);
    network.flow({ source: 'h0', target: 'h2', bytes: 4096, entropy });
    const probe = network.datagrams({ source: 'h0', target: 'h2', entropy, bytes: 128, packetsPerSecond: 1 });
    network.advance(network.nowPs + 50 * US);
    probe.stop();
    t.same(
      path.map(({ node, port }) => network.count(node, port).txPackets),
      before.map(sent => sent + 2),
      `entropy ${entropy}: flow and probe left by them`,
    );
    uses.set(path[1]?.port as string, (uses.get(path[1]?.port as string) ?? 0) + 1);
  }
  t.equal(uses.size, 4);
  const spread = new Map<string, number>();
  for (let entropy = 0; entropy < 4000; entropy++) {
    const port = network.path('h1', 'h3', 49152 + entropy)[1]?.port as string;
    spread.set(port, (spread.get(port) ?? 0) + 1);
  }
  // Binomial: mean 1000, standard deviation 27.4.
  for (const [port, count] of spread) t.ok(Math.abs(count - 1000) < 110, `${port}: ${count} of 4000`);
  t.notSame(
    Array.from({ length: 32 }, (_, entropy) => leafSpine(2, 4, { seed: 2 }).path('h0', 'h2', entropy)[1]?.port),
    Array.from({ length: 32 }, (_, entropy) => network.path('h0', 'h2', entropy)[1]?.port),
    'another seed hashes otherwise',
  );
});

void t.test('a switch without a route, and a port that does not forward, drop and count', async t => {
  const network = leafSpine(1, 2, { settings: { dcqcn: null } });
  const probe = network.datagrams({ source: 'h0', target: 'h1', entropy: 9, bytes: 128, packetsPerSecond: 1e6 });
  const uplink = network.path('h0', 'h1', 9)[1]?.port as string;
  network.advance(1 * MS);
  t.equal(network.count('l0', uplink).drops, 0);
  network.setForwarding('l0', uplink, false);
  t.equal(network.path('h0', 'h1', 9).length, 1);
  network.advance(2 * MS);
  const drops = network.count('l0', uplink).drops;
  t.equal(drops, 1000, 'one a microsecond');
  network.setRoute('l0', 'h1', [uplink === 'u0' ? 'u1' : 'u0']);
  network.advance(3 * MS);
  t.equal(network.count('l0', uplink).drops, drops, 'the other port carries on');
  network.setRoute('l0', 'h1', []);
  t.same(network.routes('l0', 'h1'), []);
  network.advance(4 * MS);
  t.equal(network.count('l0', 'd0').drops, 1000, 'no route: dropped where it came in');
  network.setRoute('l0', 'h1', ['u0', 'u1']);
  network.setForwarding('l0', uplink, true);
  probe.stop();
  network.advance(5 * MS);
  t.equal(probe.sent() - probe.received(), 2000);
  t.equal(network.account.inFlight, 0);
});

void t.test('cutting a span loses exactly what is in it, in that direction only', async t => {
  const network = sitePair({ length: '80 km' });
  const there = network.datagrams({ source: 'a0', target: 'b0', entropy: 1, bytes: 128, packetsPerSecond: 1e5 });
  const back = network.datagrams({ source: 'b0', target: 'a0', entropy: 1, bytes: 128, packetsPerSecond: 1e5 });
  network.advance(10 * MS + 5 * US);
  network.setSpan('long', 'a-to-b', { passing: false });
  // 391.8 us at one datagram per 10 us: 39 of them are under way in the fibre (the 40th is on a cable or not yet sent).
  const lost = network.spanCount('long', 'a-to-b').lost;
  t.ok(lost === 39 || lost === 40, `${lost} lost at the cut`);
  network.advance(20 * MS + 5 * US);
  t.equal(network.spanCount('long', 'a-to-b').lost, lost + 1000, 'and everything sent into it after');
  t.equal(network.count('x', 'span').drops, 0, 'the switch knows nothing of a silent cut');
  network.setSpan('long', 'a-to-b', { passing: true });
  there.stop();
  back.stop();
  network.advance(30 * MS);
  t.equal(there.sent() - there.received(), lost + 1000);
  t.equal(back.sent(), back.received());
});

void t.test('a delay that changes shifts arrivals and never lets one overtake', async t => {
  const network = sitePair({ length: '80 km', settings: { dcqcn: null } });
  const flow = network.flow({ source: 'a0', target: 'b0', bytes: Number.POSITIVE_INFINITY, entropy: 1 });
  for (const [i, delayMs] of [1, 0.1, 2, 0].entries()) {
    network.advance((i + 1) * 8 * MS);
    network.setSpan('long', 'a-to-b', { delayPs: delayMs * MS });
  }
  network.advance(50 * MS);
  t.equal(network.nic('b0').outOfSequence, 0);
  t.equal(network.account.dropped, 0);
  t.ok(flow.delivered() > 0.9 * 0.05 * 12.2e9);
});

void t.test('probes are not starved by a congested lossless queue, nor stopped by a pause', async t => {
  const network = star(4, { settings: { dcqcn: null } });
  for (const i of [1, 2]) network.flow({ source: `h${i}`, target: 'h0', bytes: Number.POSITIVE_INFINITY, entropy: i });
  network.advance(1 * MS);
  const probe = network.datagrams({ source: 'h3', target: 'h0', entropy: 5, bytes: 128, packetsPerSecond: 1e5 });
  const paused = network.datagrams({ source: 'h1', target: 'h0', entropy: 5, bytes: 128, packetsPerSecond: 1e5 });
  network.advance(21 * MS);
  for (const stream of [probe, paused]) {
    stream.stop();
    t.equal(stream.sent(), 2001, '0, 10 us … 20 ms');
  }
  network.advance(21 * MS + 10 * US);
  t.equal(probe.received(), 2001);
  t.equal(paused.received(), 2001, 'a sender that is paused in priority 3 still sends in priority 0');
});

void t.test('reset empties queues, restarts counters and releases paused neighbours', async t => {
  const network = star(3, { settings: { dcqcn: null } });
  for (const i of [1, 2]) network.flow({ source: `h${i}`, target: 'h0', bytes: Number.POSITIVE_INFINITY, entropy: i });
  network.advance(1 * MS);
  t.ok(network.count('s', 'p0').queueBytes > 500e3);
  network.reset('s');
  t.same(network.count('s', 'p0'), {
    ...network.count('s', 'p0'),
    rxBytes: 0,
    txBytes: 0,
    queueBytes: 0,
    queuePackets: 0,
    ecnMarked: 0,
    drops: 0,
    queuePeakBytes: 0,
  });
  network.advance(60 * MS);
  t.ok(
    network.count('s', 'p0').txPackets > 0.9 * (0.03 / 334.24e-9),
    'traffic flows again after the retransmission timeout at the latest',
  );
  const { injected, delivered, dropped, inFlight } = network.account;
  t.equal(injected, delivered + dropped + inFlight);
});

/** Everything that a run of eight senders shows. */
function incastRun(seed: number, trainPackets = 1) {
  const network = star(9, { seed, trainPackets });
  const finished: number[] = [];
  for (let i = 1; i <= 8; i++)
    network.flow({
      source: `h${i}`,
      target: 'h0',
      bytes: 2_048_000,
      entropy: i,
      onAcknowledged: () => finished.push(network.nowPs),
    });
  network.advance(20 * MS);
  return {
    finished,
    port: network.count('s', 'p0'),
    nics: Array.from({ length: 9 }, (_, i) => network.nic(`h${i}`)),
    hops: network.hops,
  };
}

void t.test('one seed is one run, bit for bit; another seed marks other packets', async t => {
  t.same(incastRun(3), incastRun(3));
  t.not(incastRun(3).port.ecnMarked, incastRun(4).port.ecnMarked);
});

void t.test('trains of 8 give nearly the results of single packets', async t => {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const seeds = [1, 2, 3, 4];
  const error = (a: number, b: number) => Math.abs(a / b - 1);
  const burst = (trainPackets: number) => {
    const runs = seeds.map(seed => incastRun(seed, trainPackets));
    for (const run of runs) t.equal(run.finished.length, 8);
    return { fct: mean(runs.flatMap(run => run.finished)) / US, marked: mean(runs.map(run => run.port.ecnMarked)) };
  };
  const [single, trains] = [burst(1), burst(8)];
  t.comment(
    `8 to 1, 2 MB each: FCT ${single.fct.toFixed(1)} us, in trains ${trains.fct.toFixed(1)} us; marks ${single.marked}, in trains ${trains.marked}`,
  );
  // Eight senders start at the line rate: the queue grows by 87 KB/us, so some us of later feedback mean many marks more.
  t.ok(error(trains.fct, single.fct) < 0.12, 'mean FCT of a sudden incast within 12 %');
  t.ok(trains.marked < 2 * single.marked && trains.marked > single.marked / 2, 'its marks within a factor of 2');

  const steady = (trainPackets: number) => {
    const runs = seeds.map(seed => {
      const network = star(5, { seed, trainPackets });
      const flows = [1, 2, 3, 4].map(i =>
        network.flow({ source: `h${i}`, target: 'h0', bytes: Number.POSITIVE_INFINITY, entropy: i }),
      );
      const sum = () => flows.reduce((bytes, flow) => bytes + flow.delivered(), 0);
      network.advance(15 * MS);
      const [bytes, marked] = [sum(), network.count('s', 'p0').ecnMarked];
      network.advance(35 * MS);
      return { gbps: ((sum() - bytes) * 8) / 0.02 / 1e9, marked: network.count('s', 'p0').ecnMarked - marked };
    });
    return { gbps: mean(runs.map(run => run.gbps)), marked: mean(runs.map(run => run.marked)) };
  };
  const [even, evenTrains] = [steady(1), steady(8)];
  t.comment(
    `4 to 1, settled: ${even.gbps.toFixed(2)} Gb/s, in trains ${evenTrains.gbps.toFixed(2)}; marks ${even.marked}, in trains ${evenTrains.marked}`,
  );
  t.ok(error(evenTrains.gbps, even.gbps) < 0.01, 'settled goodput within 1 %');
  t.ok(error(evenTrains.marked, even.marked) < 0.15, 'settled marks within 15 %');

  // Without congestion: only the way through the switches differs, by less than one train per hop.
  const alone = (trainPackets: number) => {
    const network = sitePair({ length: '80 km', trainPackets, settings: { dcqcn: null } });
    let at = 0;
    network.flow({
      source: 'a0',
      target: 'b0',
      bytes: 1000 * 4096,
      entropy: 1,
      onDelivered: () => (at = network.nowPs),
    });
    network.advance(5 * MS);
    return at;
  };
  const [one, eight] = [alone(1), alone(8)];
  t.comment(`one flow over 80 km: ${one / US} us, in trains ${eight / US} us`);
  t.ok(one > 0 && Math.abs(eight - one) < 8 * SER);
});

void t.test('packets are conserved on any fabric, whatever breaks', async t => {
  const action = fc.record({
    atUs: fc.integer({ min: 0, max: 900 }),
    what: fc.constantFrom('off', 'on', 'cut', 'mend', 'loss', 'delay', 'reset', 'no route'),
    pick: fc.nat(1000),
  });
  const flow = fc.record({
    source: fc.nat(1000),
    target: fc.nat(1000),
    packets: fc.integer({ min: 1, max: 400 }),
    entropy: fc.nat(65535),
  });
  const graph = fc.record({
    switches: fc.integer({ min: 1, max: 5 }),
    hosts: fc.integer({ min: 2, max: 6 }),
    chords: fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 4 }),
    flows: fc.array(flow, { minLength: 1, maxLength: 8 }),
    actions: fc.array(action, { maxLength: 8 }),
    seed: fc.nat(),
    trainPackets: fc.constantFrom(1, 3, 8),
    pfc: fc.boolean(),
    bufferKb: fc.constantFrom(200, 2000, 32_000),
  });
  fc.assert(
    fc.property(graph, plan => {
      const network = build(plan);
      const check = () => {
        const { injected, delivered, dropped, inFlight } = network.account;
        return injected === delivered + dropped + inFlight;
      };
      const streams = plan.flows.map(({ source, target, packets, entropy }) => {
        const from = source % plan.hosts;
        const to = (from + 1 + (target % (plan.hosts - 1))) % plan.hosts;
        network.flow({ source: `h${from}`, target: `h${to}`, bytes: packets * 4096 - 100, entropy });
        return network.datagrams({ source: `h${to}`, target: `h${from}`, entropy, bytes: 128, packetsPerSecond: 1e6 });
      });
      for (const { atUs, what, pick } of plan.actions.toSorted((a, b) => a.atUs - b.atUs)) {
        network.advance(atUs * US);
        if (!check()) return false;
        const node = `s${pick % plan.switches}`;
        const port = network.ports(node)[pick % network.ports(node).length] as string;
        const direction = pick % 2 === 0 ? 'a-to-b' : 'b-to-a';
        if (what === 'off' || what === 'on') network.setForwarding(node, port, what === 'on');
        else if (what === 'reset') network.reset(node);
        else if (what === 'no route') network.setRoute(node, `h${pick % plan.hosts}`, []);
        else if (what === 'cut' || what === 'mend') network.setSpan('long', direction, { passing: what === 'mend' });
        else if (what === 'loss') network.setSpan('long', direction, { loss: (pick % 100) / 99 });
        else network.setSpan('long', direction, { delayPs: pick * 1000 });
      }
      network.advance(1 * MS);
      for (const stream of streams) stream.stop();
      return check() && network.account.injected > 0 && streams.every(stream => stream.received() <= stream.sent());
    }),
    { numRuns: 120, seed: 20261122 },
  );
  t.pass('120 fabrics');
});

/** A chain of switches with chords, one span from its first to its last, shortest-path ECMP routes. */
function build(plan: {
  readonly switches: number;
  readonly hosts: number;
  readonly chords: readonly (readonly [number, number])[];
  readonly seed: number;
  readonly trainPackets: number;
  readonly pfc: boolean;
  readonly bufferKb: number;
}) {
  const links: Topology['links'][number][] = [];
  const edges: { a: number; b: number; port: string }[] = [];
  const join = (a: number, b: number) => {
    const port = `e${edges.length}`;
    edges.push({ a, b, port });
    return [
      { node: `s${a}`, port },
      { node: `s${b}`, port: `${port}x` },
    ] as const;
  };
  for (let h = 0; h < plan.hosts; h++)
    links.push(
      cable({ node: `h${h}`, port: 'eth0' }, { node: `s${h % plan.switches}`, port: `h${h}` }, '100 Gb/s', '20 m'),
    );
  for (let s = 1; s < plan.switches; s++) links.push(cable(...join(s - 1, s), '100 Gb/s', '20 m'));
  for (const [a, b] of plan.chords)
    if (a % plan.switches !== b % plan.switches)
      links.push(cable(...join(a % plan.switches, b % plan.switches), '40 Gb/s', '20 m'));
  const ends = join(0, plan.switches === 1 ? 0 : plan.switches - 1);
  const topology: Topology = {
    name: 'any',
    sites: ['a'],
    hosts: Array.from({ length: plan.hosts }, (_, h) => ({ kind: 'host', name: `h${h}`, site: 'a' })),
    switches: Array.from({ length: plan.switches }, (_, s) => ({
      kind: 'switch',
      name: `s${s}`,
      site: 'a',
      role: 'leaf',
    })),
    links,
    spans: { long: { kind: 'span', name: 'long', ends, rate: '100 Gb/s', length: '5 km' } },
    settings: {
      ...DEFAULT_FABRIC,
      bufferPerSwitch: `${plan.bufferKb} KB`,
      pfc: plan.pfc ? DEFAULT_FABRIC.pfc : null,
      roce: { mtu: '4096 B', retransmitTimeout: '0.2 ms' },
    },
  };
  const network = createNetwork({ topology, seed: plan.seed, trainPackets: plan.trainPackets });
  for (let h = 0; h < plan.hosts; h++) {
    const home = h % plan.switches;
    const distance = Array.from({ length: plan.switches }, () => Number.POSITIVE_INFINITY);
    distance[home] = 0;
    for (let round = 0; round < plan.switches; round++) {
      for (const { a, b } of edges) {
        distance[a] = Math.min(distance[a] as number, (distance[b] as number) + 1);
        distance[b] = Math.min(distance[b] as number, (distance[a] as number) + 1);
      }
    }
    for (let s = 0; s < plan.switches; s++) {
      const closer = edges.flatMap(({ a, b, port }) => {
        if (a === s && distance[b] === (distance[s] as number) - 1) return [port];
        if (b === s && distance[a] === (distance[s] as number) - 1) return [`${port}x`];
        return [];
      });
      network.setRoute(`s${s}`, `h${h}`, s === home ? [`h${h}`] : closer);
    }
  }
  return network;
}

void t.test('time runs forward, ties run in the order asked for, and overflow is an error', async t => {
  const network = star(2);
  const order: string[] = [];
  network.at(5, () => order.push('first'));
  network.at(5, () => {
    order.push('second');
    network.at(5, () => order.push('asked at that very time'));
  });
  network.at(3, () => order.push('earlier'));
  network.at(7, () => network.stop());
  network.at(7, () => order.push('after the stop'));
  network.advance(100);
  t.same(order, ['earlier', 'first', 'second', 'asked at that very time']);
  t.equal(network.nowPs, 7);
  network.advance(100);
  t.equal(order.at(-1), 'after the stop');
  t.equal(network.nowPs, 100);
  t.throws(() => network.advance(99), RangeError);
  t.throws(() => network.at(99, () => {}), RangeError);
  t.throws(() => network.advance(2 ** 53), RangeError);
  t.throws(() => createEventQueue({ bucketPs: 1, buckets: 1024, sources: 2 }).push(2 ** 53, 1), /beyond 2\^53 ps/);
  t.throws(() => network.flow({ source: 'h0', target: 's', bytes: 1, entropy: 1 }), /switch, not a host/);
  t.throws(() => network.flow({ source: 'h0', target: 'h0', bytes: 1, entropy: 1 }), RangeError);
  t.throws(() => network.setSpan('none', 'a-to-b', { loss: 0.1 }), /no span none/);
});

void t.test(
  'the event queue answers any mix of pushes, removals and moves in order of time, then source or push',
  async t => {
    // Times from one bucket's width to far beyond the wheel's span, against a sorted list.
    const time = fc.oneof(fc.nat(50), fc.nat(5000), fc.nat(2 ** 20), fc.nat(2 ** 31));
    fc.assert(
      fc.property(
        fc.constantFrom(1, 16, 1024),
        fc.constantFrom('by-source' as const, 'as-scheduled' as const),
        fc.array(fc.tuple(fc.constantFrom('push', 'earlier', 'remove', 'next', 'wait'), time, fc.nat(40)), {
          maxLength: 400,
        }),
        (bucketPs, ties, actions) => {
          const queue = createEventQueue({ bucketPs, buckets: 1024, sources: 41, ties });
          // A map keeps the order in which keys came; a stable sort by time alone keeps it too.
          const due = new Map<number, number>();
          let now = 0;
          const next = (limit: number) => {
            const first = [...due].toSorted(([a, s], [b, r]) => s - r || (ties === 'by-source' ? a - b : 0))[0];
            const expected = first !== undefined && first[1] <= limit ? first[0] : -1;
            if (queue.next(limit) !== expected) return false;
            if (first === undefined || expected === -1) return true;
            now = first[1];
            due.delete(expected);
            return queue.clock[NOW] === now;
          };
          for (const [action, ahead, source] of actions) {
            if (action === 'push' && !due.has(source)) {
              queue.push(now + ahead, source);
              due.set(source, now + ahead);
            } else if (action === 'earlier') {
              queue.pushEarlier(now + ahead, source);
              const earlier = (due.get(source) ?? Infinity) <= now + ahead;
              if (!earlier) due.delete(source);
              if (!earlier) due.set(source, now + ahead);
            } else if (action === 'remove') {
              queue.remove(source);
              due.delete(source);
            } else if (action === 'next' && !next(now + ahead)) return false;
            else if (action === 'wait' && Math.min(Infinity, ...due.values()) > now + ahead) {
              if (!next(now + ahead)) return false;
              now += ahead;
            }
            if ([...due].some(([one, at]) => queue.dueAt(one) !== at)) return false;
          }
          while (due.size > 0) if (!next(Infinity)) return false;
          return queue.next(Infinity) === -1;
        },
      ),
      { seed: 20261122, numRuns: 300 },
    );
    const dice = new Random(1);
    const first = Array.from({ length: 1000 }, () => dice.fraction());
    t.ok(Math.abs(first.reduce((a, b) => a + b) / 1000 - 0.5) < 0.04, 'uniform mean, standard error 0.009');
  },
);
