import t from 'tap';
import { createFabricSim, DEFECTS, type FabricSim, type SimEvent } from '../../../emulators/fabric-sim/index.ts';
import type { Load } from '../../../harness/model/load.ts';
import { cable, type Topology } from '../../../harness/model/topology.ts';
import { line, pair, rack, SLOW_BFD } from './hand-made.ts';

const MS = 1e9;
const ms = (milliseconds: number) => Math.round(milliseconds * MS);
/** Payload rate of a 100 Gb/s port at MTU 4096: 4096/4178 (methods-and-numbers, section 1). */
const GOODPUT_BPS = (100e9 * 4096) / 4178;
/** 80 km and 120 km at group index 1.4682, ps: 391.79 us and 587.69 us. */
const OWD_80_KM = 391.79e6;

const near = (value: number | undefined, expected: number) => Math.abs((value ?? Number.NaN) / expected - 1) < 1e-9;

const build = (topology: Topology, options: { defect?: string; seed?: number; trainPackets?: number } = {}) =>
  createFabricSim({ topology, seed: 1, trainPackets: 8, ...options });

function play(topology: Topology, load: Load, rounds: number, options: Parameters<typeof build>[1] = {}) {
  const sim = build(topology, options);
  const job = sim.startJob(load);
  sim.advance(500 * MS, { job, rounds });
  return { sim, job };
}

function heard(sim: FabricSim): SimEvent[] {
  const events: SimEvent[] = [];
  sim.onEvent(event => events.push(event));
  return events;
}

const cutLight = (sim: FabricSim, span = 'north') => {
  for (const way of ['a-to-b', 'b-to-a'] as const) sim.setSpan(span, way, { passing: false, light: false });
};
const cutSilently = (sim: FabricSim, span = 'north') => {
  for (const way of ['a-to-b', 'b-to-a'] as const) sim.setSpan(span, way, { passing: false });
};
const mend = (sim: FabricSim, span = 'north') => {
  for (const way of ['a-to-b', 'b-to-a'] as const) sim.setSpan(span, way, { passing: true, light: true });
};

/** A source port whose path from a-host-1 to b-host-1 crosses this span. */
function portOver(sim: FabricSim, span: string): number {
  for (let port = 49_152; port < 49_408; port++)
    if (sim.path('a-host-1', 'b-host-1', port).spans.join() === span) return port;
  throw new Error(`no port leads over ${span}`);
}

const RATE = 20_000;

/** Time without service of a probe over north, ps, by what it lost of its constant rate (RFC 6412). */
function outage(sim: FabricSim, fault: () => void, lastsPs: number): number {
  const probe = sim.startProbe({
    source: 'a-host-1',
    target: 'b-host-1',
    sourcePort: portOver(sim, 'north'),
    packetsPerSecond: RATE,
  });
  sim.advance(sim.nowPs + 5 * MS);
  fault();
  sim.advance(sim.nowPs + lastsPs);
  probe.stop();
  sim.advance(sim.nowPs + 5 * MS);
  return ((probe.sent() - probe.received()) / RATE) * 1e12;
}

const INTERVAL = 1e12 / RATE;

void t.test('a ring all-reduce over 16 ranks takes 2(N-1) S/(N B) + 4 one-way delays', async t => {
  // S = 64 MiB, N = 16: 30 chunks of 4 MiB at 98.04 Gb/s are 10.268 ms; four crossings of 80 km or 120 km add 1.57 to 2.35 ms.
  const { job } = play(
    pair({ ranksPerSite: 8, north: '80 km', south: '80 km' }),
    { kind: 'all-reduce', bytes: '64 MiB', algorithm: 'ring' },
    2,
  );
  const chunkS = (4 * 2 ** 20 * 8) / GOODPUT_BPS;
  const expectedNs = (30 * chunkS + 4 * OWD_80_KM * 1e-12) * 1e9;
  for (const round of job.rounds) {
    const took = round.endNs - round.beginNs;
    t.ok(took >= expectedNs, `${took} ns is not faster than the formula's ${expectedNs} ns`);
    t.ok(took < 1.03 * expectedNs, `${took} ns is within 3 % of ${expectedNs} ns`);
    t.equal(round.wrong, 0);
    // nccl-tests: busbw = S/t x 2(n-1)/n.
    t.ok(near(round.busbwBps, ((64 * 2 ** 20 * 8) / (took * 1e-9)) * (30 / 16)));
  }
  t.equal(job.rounds[1]?.beginNs, job.rounds[0]?.endNs, 'rounds follow back to back');
  t.equal(job.flows().length, 16, 'queue pairs are used again, not made anew');
});

void t.test('a hierarchical all-reduce takes two passes inside and one round trip and S/X between', async t => {
  // n = 4, S = 32 MiB: 2 x 3/4 S/B = 4.107 ms; RTT over 80 km 0.784 ms; S/X with X = 4 B: 0.685 ms. Uplinks are wide, so hashes can not collide.
  const topology = pair({ ranksPerSite: 4, north: '80 km', south: '80 km' });
  const { job } = play(topology, { kind: 'all-reduce', bytes: '32 MiB', algorithm: 'hierarchical' }, 2);
  const bits = 32 * 2 ** 20 * 8;
  const expectedNs = ((1.5 * bits) / GOODPUT_BPS + 2 * OWD_80_KM * 1e-12 + bits / (4 * GOODPUT_BPS)) * 1e9;
  for (const round of job.rounds) {
    const took = round.endNs - round.beginNs;
    t.ok(took >= expectedNs && took < 1.03 * expectedNs, `${took} ns is within 3 % above ${expectedNs} ns`);
    t.equal(round.wrong, 0);
  }

  // Three sites of two in a line: 4 steps between the sites, each of a sixth of the shard's site; every byte is accounted for.
  const three = line({ sites: 3, ranksPerSite: 2 });
  const round = play(three, { kind: 'all-reduce', bytes: '3 MiB', algorithm: 'hierarchical' }, 1).job.rounds[0];
  t.equal(round?.wrong, 0);
  // 2 x 1/2 S/B inside, 4/3 x S/2 / B between, and at least 4 times 10 km.
  const leastNs = ((1 + 2 / 3) * (3 * 2 ** 20 * 8)) / GOODPUT_BPS / 1e-9 + 4 * 48_970;
  const took = (round?.endNs ?? 0) - (round?.beginNs ?? 0);
  t.ok(took >= leastNs && took < 1.35 * leastNs, `${took} ns against at least ${leastNs} ns`);
});

void t.test('an all-to-all, a permutation and an incast move what they should, no faster than the ports', async t => {
  const topology = rack({ hosts: 8 });
  const exchange = play(topology, { kind: 'all-to-all', bytes: '8 MiB' }, 3).job.rounds;
  for (const { busbwBps, wrong } of exchange) {
    t.ok(busbwBps <= GOODPUT_BPS && busbwBps > 0.8 * GOODPUT_BPS, `all-to-all busbw ${busbwBps}`);
    t.equal(wrong, 0);
  }
  const shifted = play(topology, { kind: 'permutation', bytes: '4 MiB', shift: 3 }, 2).job.rounds;
  for (const { busbwBps, flowsBps = [], wrong } of shifted) {
    t.equal(flowsBps.length, 8);
    t.equal(busbwBps, Math.min(...flowsBps), 'the slowest flow counts');
    t.ok(busbwBps <= GOODPUT_BPS && busbwBps > 0.97 * GOODPUT_BPS, `permutation ${busbwBps}`);
    t.equal(wrong, 0);
  }
  // PFC alone keeps the receiver's port full.
  const { job, sim } = play(
    rack({ hosts: 8, settings: { dcqcn: null } }),
    { kind: 'incast', bytes: '2 MiB', senders: 7 },
    2,
  );
  const [first] = job.rounds;
  t.ok(near(first?.busbwBps, (7 * 2 * 2 ** 20 * 8) / (((first?.endNs ?? 0) - (first?.beginNs ?? 0)) * 1e-9)));
  t.ok(
    (first?.busbwBps ?? 0) <= GOODPUT_BPS && (first?.busbwBps ?? 0) > 0.97 * GOODPUT_BPS,
    `incast ${first?.busbwBps}`,
  );
  t.equal(first?.flowsBps?.length, 7);
  t.equal(sim.count('leaf', 'host1').txBytes > 2 * 7 * 2 * 2 ** 20, true, 'the receiver’s port carried both rounds');
});

void t.test('flow doubling begins with M flows and M more join', async t => {
  const sim = build(rack({ hosts: 9 }));
  const job = sim.startJob({ kind: 'flow-doubling', flows: 4, join: '2 ms' });
  sim.advance(ms(1.9));
  t.same(
    job.flows().map(({ name }) => name),
    ['h2->h1', 'h3->h1', 'h4->h1', 'h5->h1'],
  );
  sim.advance(10 * MS);
  t.equal(job.flows().length, 8);
  t.ok(job.flows().every(({ delivered }) => delivered > 0));
  t.same(job.rounds, []);
  const before = job.flows();
  job.stop();
  sim.advance(12 * MS);
  t.same(job.flows(), before, 'a stopped job delivers nothing more');
  t.throws(() => sim.advance(2 ** 53), /2.5 h/);
});

void t.test('a load that does not fit is refused in words', async t => {
  const small = build(rack({ hosts: 4 }));
  for (const [load, words] of [
    [{ kind: 'incast', bytes: '1 MiB', senders: 4 }, /needs 5 hosts, there are 4/],
    [{ kind: 'incast', bytes: '1 MiB', senders: 1.5 }, /whole number/],
    [{ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'hierarchical' }, /two sites/],
    [{ kind: 'permutation', bytes: '1 MiB', shift: 4 }, /everything to its sender/],
    [{ kind: 'flow-doubling', flows: 2, join: '1 ms' }, /needs 5 hosts, there are 4/],
    [{ kind: 'all-reduce', bytes: '8 B', algorithm: 'ring' }, /too small/],
    [{ kind: 'all-to-all', bytes: '1.5 B' }, /whole number of bytes/],
    [{ kind: 'training' }, /knows no load "training"/],
  ] as [Load, RegExp][]) {
    t.match(small.refuses(load), words);
    t.throws(() => small.startJob(load), words);
  }
  const lopsided = pair({ ranksPerSite: 2 });
  t.match(
    build({
      ...lopsided,
      hosts: lopsided.hosts.slice(0, 3),
      links: lopsided.links.filter(({ ends }) => ends[0].node !== 'b-host-2'),
    }).refuses({ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'hierarchical' }),
    /equal size/,
  );
  t.equal(small.refuses({ kind: 'flow-doubling', flows: 1, join: '1 ms' }), undefined);
});

void t.test('a cut with loss of light is out for detection, one BGP hop and one FIB update', async t => {
  const sim = build(pair({ ranksPerSite: 2, settings: { controlPlane: SLOW_BFD } }));
  const events = heard(sim);
  const lost = outage(sim, () => cutLight(sim), 60 * MS);
  // 10 ms loss of light + 2 ms BGP hop + 100 ns of cable + 5 ms FIB, and what was in 80 km of fibre.
  const expected = 17 * MS + OWD_80_KM;
  t.ok(Math.abs(lost - expected) <= 1.5 * INTERVAL, `${lost} ps against ${expected} ps`);
  const downs = events
    .filter(({ kind }) => kind === 'link-down')
    .map(({ atPs, node, port }) => `${node} ${port} ${atPs}`);
  t.same(downs.sort(), [`a-spine-1 span ${15 * MS}`, `b-spine-1 span ${15 * MS}`]);
  t.equal(sim.path('a-host-1', 'b-host-1', 49_152).spans.join(), 'south', 'everything goes south now');
  t.equal(sim.bgp('a-spine-1').find(({ port }) => port === 'span')?.established, false);

  mend(sim);
  const back = sim.nowPs;
  t.ok(sim.ports('a-spine-1').find(({ name }) => name === 'span')?.operUp, 'light brings the port up at once');
  sim.advance(back + 60 * MS);
  const ups = events.filter(({ kind, atPs }) => kind === 'bgp-up' && atPs > back);
  t.same(
    ups.map(({ atPs }) => atPs - back),
    [20 * MS, 20 * MS],
    'the session is back after bgpEstablish',
  );
  t.ok(portOver(sim, 'north'), 'and with it the routes');
  t.same(
    sim.bgp('a-leaf').map(({ established, prefixes }) => [established, prefixes]),
    [
      [true, 2],
      [true, 2],
    ],
  );
});

void t.test('a silent cut is found by BFD while the ports stay up', async t => {
  const sim = build(pair({ ranksPerSite: 2 }));
  const events = heard(sim);
  const lost = outage(sim, () => cutSilently(sim), 60 * MS);
  // BFD 3 x 3.3 ms = 9.9 ms (RFC 5880 section 6.8.4) + 2 ms + 5 ms, and what was in the fibre.
  const expected = 16.9 * MS + OWD_80_KM;
  t.ok(Math.abs(lost - expected) <= 1.5 * INTERVAL, `${lost} ps against ${expected} ps`);
  t.same(events.map(({ kind, node }) => `${kind} ${node}`).sort(), ['bgp-down a-spine-1', 'bgp-down b-spine-1']);
  t.ok(sim.ports('a-spine-1').every(({ operUp }) => operUp));
});

void t.test('one silent direction takes the session down at both ends', async t => {
  const sim = build(pair({ ranksPerSite: 2 }));
  const events = heard(sim);
  sim.setSpan('north', 'a-to-b', { passing: false });
  sim.advance(30 * MS);
  const downs = events.filter(({ kind }) => kind === 'bgp-down');
  t.same(
    downs.map(({ node }) => node),
    ['b-spine-1', 'a-spine-1'],
    'the deaf end first',
  );
  t.equal(downs[0]?.atPs, 9.9 * MS);
  t.ok(Math.abs((downs[1]?.atPs ?? 0) - 9.9 * MS - OWD_80_KM) < 0.01e6, 'the other one way later');
});

void t.test('a bounce that is faster than detection is never noticed', async t => {
  const sim = build(pair({ ranksPerSite: 2 }));
  const events = heard(sim);
  cutLight(sim);
  sim.advance(ms(9.8));
  mend(sim);
  sim.advance(15 * MS);
  cutSilently(sim);
  sim.advance(ms(24.8));
  mend(sim);
  sim.advance(100 * MS);
  t.same(events, []);
  t.ok(portOver(sim, 'north'));
});

void t.test('a withdrawal goes hop by hop', async t => {
  const sim = build(line({ sites: 4, settings: { controlPlane: SLOW_BFD } }));
  cutLight(sim, 'span3');
  const hops = () => sim.path('s1-host-1', 's4-host-1', 49_152).hops.length;
  // s3 notices at 10 ms. s2 hears at 12.05, s1 at 14.10 ms (10 km of fibre are 48.97 us each); each table changes 5 ms after.
  sim.advance(ms(14.9));
  t.equal(hops(), 3, 'the last switch still sends into a port that is down');
  sim.advance(ms(17.04));
  t.equal(hops(), 3, 's2 has heard and not programmed');
  sim.advance(ms(17.06));
  t.equal(hops(), 2, 's2 has no route any more');
  sim.advance(ms(19.09));
  t.equal(hops(), 2);
  sim.advance(ms(19.11));
  t.equal(hops(), 1, 's1 has no route any more');
  mend(sim, 'span3');
  sim.advance(ms(19.11 + 20 + 3 * 2.05 + 5.1));
  t.equal(hops(), 5, 'and it all comes back');
});

void t.test('a port that is shut is down at once here and after loss of light there', async t => {
  const sim = build(pair({ ranksPerSite: 2, settings: { controlPlane: SLOW_BFD } }));
  const events = heard(sim);
  sim.setAdmin('a-leaf', 'up1', false);
  const state = (node: string, port: string) => sim.ports(node).find(({ name }) => name === port);
  t.match(state('a-leaf', 'up1'), {
    adminUp: false,
    operUp: false,
    lastChangePs: 0,
    neighbor: { node: 'a-spine-1', port: 'down' },
  });
  t.match(state('a-spine-1', 'down'), { adminUp: true, operUp: true });
  sim.advance(10 * MS);
  t.match(state('a-spine-1', 'down'), { adminUp: true, operUp: false, lastChangePs: 10 * MS });
  sim.advance(40 * MS);
  t.equal(sim.path('a-host-1', 'b-host-1', 49_152).spans.join(), 'south');
  t.equal(sim.path('b-host-1', 'a-host-1', 49_152).spans.join(), 'south', 'the far site heard of it too');
  sim.setAdmin('a-leaf', 'up1', true);
  t.match(state('a-leaf', 'up1'), { operUp: true });
  sim.advance(90 * MS);
  t.ok(portOver(sim, 'north'));
  t.same(new Set(events.map(({ kind }) => kind)), new Set(['link-down', 'bgp-down', 'link-up', 'bgp-up']));
  t.throws(() => sim.setAdmin('a-leaf', 'up9', false), /no port up9. Known: up1, up2, host1, host2/);
});

void t.test('a switch that reboots is gone, forgets its counters and comes back', async t => {
  const sim = build(pair({ ranksPerSite: 2, settings: { controlPlane: SLOW_BFD } }));
  const events = heard(sim);
  const lost = outage(sim, () => sim.reboot('a-spine-1', 100 * MS), 60 * MS);
  // The leaf itself loses light (10 ms) and programs its table (5 ms). What had left the spine before arrives.
  t.ok(Math.abs(lost - 15 * MS) <= 1.5 * INTERVAL, `${lost} ps`);
  t.notOk(sim.isUp('a-spine-1'));
  sim.advance(104 * MS);
  t.equal(sim.count('a-spine-1', 'span').txPackets, 0, 'counters started again');
  sim.advance(106 * MS);
  t.ok(sim.isUp('a-spine-1'));
  t.equal(sim.bootedAtPs('a-spine-1'), 105 * MS);
  t.notOk(
    sim.bgp('a-spine-1').some(({ established }) => established),
    'sessions take their time',
  );
  sim.advance(160 * MS);
  t.ok(sim.bgp('a-spine-1').every(({ established }) => established));
  t.ok(portOver(sim, 'north'));
  t.same(
    events.filter(({ kind }) => kind.startsWith('boot')),
    [
      { atPs: 5 * MS, node: 'a-spine-1', kind: 'booting' },
      { atPs: 105 * MS, node: 'a-spine-1', kind: 'booted' },
    ],
  );
  t.throws(() => sim.reboot('a-host-1', 1), /no switch a-host-1/);
});

void t.test('AS numbers are private, one per leaf and one per spine tier, unless valleys are needed', async t => {
  const sim = build(pair({ ranksPerSite: 1 }));
  const numbers = ['a-leaf', 'b-leaf', 'a-spine-1', 'a-spine-2', 'b-spine-1'].map(node => sim.asn(node));
  t.ok(
    numbers.every(asn => asn >= 4_200_000_000 && asn <= 4_294_967_294),
    'RFC 6996 section 5',
  );
  t.equal(new Set(numbers).size, 4);
  t.equal(sim.asn('a-spine-1'), sim.asn('a-spine-2'), 'RFC 7938 section 5.2.1');
  t.throws(() => sim.asn('a-host-1'), RangeError);

  // leaf 1 - spine 1 - leaf 2 - spine 2 - leaf 3: the way from 1 to 3 is a valley.
  const w: Topology = {
    ...rack({ hosts: 0 }),
    hosts: ['x', 'z'].map(name => ({ kind: 'host', name, site: 'a' })),
    switches: ['l1', 's1', 'l2', 's2', 'l3'].map(name => ({
      kind: 'switch',
      name,
      site: 'a',
      role: name.startsWith('l') ? 'leaf' : 'spine',
    })),
    links: [
      cable({ node: 'x', port: 'eth0' }, { node: 'l1', port: 'h' }, '100 Gb/s', '20 m'),
      cable({ node: 'z', port: 'eth0' }, { node: 'l3', port: 'h' }, '100 Gb/s', '20 m'),
      ...(['l1-s1', 's1-l2', 'l2-s2', 's2-l3'] as const).map(name => {
        const [a, b] = name.split('-') as [string, string];
        return cable({ node: a, port: `to-${b}` }, { node: b, port: `to-${a}` }, '100 Gb/s', '20 m');
      }),
    ],
  };
  const valley = build(w);
  t.equal(new Set(['l1', 's1', 'l2', 's2', 'l3'].map(node => valley.asn(node))).size, 5);
  t.same(
    valley.path('x', 'z', 1).hops.map(({ node }) => node),
    ['x', 'l1', 's1', 'l2', 's2', 'l3'],
  );
});

void t.test('advance stops at the very event that ends the round', async t => {
  const sim = build(rack({ hosts: 4 }));
  const job = sim.startJob({ kind: 'permutation', bytes: '1 MiB', shift: 1 });
  sim.advance(100 * MS, { job, rounds: 3 });
  t.equal(job.rounds.length, 3);
  t.equal(job.rounds[2]?.endNs, sim.nowPs / 1e3);
  const now = sim.nowPs;
  sim.advance(100 * MS, { job, rounds: 2 });
  t.equal(sim.nowPs, now, 'what has happened is not waited for');
});

void t.test('every planted defect is what it says', async t => {
  t.throws(() => build(rack({ hosts: 2 }), { defect: 'ecn-of' }), /no defect "ecn-of". Known: ecn-off, /);
  t.ok(Object.values(DEFECTS).every(({ what }) => /^[A-Z].*\.$/.test(what)));

  const incast: Load = { kind: 'incast', bytes: '4 MiB', senders: 8 };
  const burst = (defect?: string) => {
    const { sim } = play(
      rack({ hosts: 9, settings: { bufferPerSwitch: '4 MB' } }),
      incast,
      2,
      defect === undefined ? {} : { defect },
    );
    const sum = (read: (host: number) => number) =>
      Array.from({ length: 9 }, (_, i) => read(i + 1)).reduce((a, b) => a + b);
    return {
      marked: sim.count('leaf', 'host1').ecnMarked,
      share: sim.count('leaf', 'host1').ecnMarked / sim.count('leaf', 'host1').queuePackets,
      pauses: sum(host => sim.count('leaf', `host${host}`).pfcTx),
      drops: sum(host => sim.count('leaf', `host${host}`).drops),
      handled: sum(host => sim.nic(`h${host}`).cnpHandled),
    };
  };
  const sound = burst();
  t.ok(sound.marked > 0 && sound.pauses > 0 && sound.handled > 0, JSON.stringify(sound));
  t.equal(sound.drops, 0);
  t.equal(burst('ecn-off').marked, 0);
  t.ok(burst('ecn-late').share < sound.share / 4, 'far fewer marks');
  t.ok(burst('ecn-eager').share > 0.99, 'everything is marked');
  t.equal(burst('pfc-off').pauses, 0);
  t.equal(burst('dcqcn-off').handled, 0);
  t.ok(burst('small-buffer').pauses !== sound.pauses || burst('small-buffer').drops > 0);

  // Four obedient flows into one port: each has about a quarter; one that is deaf has the most of all.
  const shares = (defect?: string) => {
    const sim = build(rack({ hosts: 9 }), defect === undefined ? {} : { defect });
    const job = sim.startJob({ kind: 'flow-doubling', flows: 4, join: '100 ms' });
    sim.advance(20 * MS);
    const all = job.flows().reduce((sum, { delivered }) => sum + delivered, 0);
    return job.flows().map(({ delivered }) => delivered / all);
  };
  t.ok(shares().every(share => share < 0.35));
  for (const defect of ['deaf-sender', 'dcqcn-deaf'])
    t.ok((shares(defect)[0] ?? 0) > 0.5, `${defect}: ${shares(defect).join()}`);

  const topology = pair({ ranksPerSite: 2, settings: { controlPlane: SLOW_BFD } });
  t.equal(build(topology, { defect: 'slow-uplink' }).ports('a-leaf')[0]?.rateBps, 100e9);
  t.equal(build(topology).ports('a-leaf')[0]?.rateBps, 400e9);
  t.ok(Math.abs(build(topology, { defect: 'long-span' }).span('north', 'a-to-b').delayPs - 2 * OWD_80_KM) < 0.01e6);
  t.equal(build(topology, { defect: 'leaky-span' }).span('south', 'b-to-a').loss, 2e-3);
  const polarised = build(topology, { defect: 'ecmp-polarised' });
  t.throws(() => portOver(polarised, 'south'), 'every path goes over the first uplink');

  const slow = build(topology, { defect: 'slow-failover' });
  const lost = outage(slow, () => cutLight(slow), 500 * MS);
  t.ok(Math.abs(lost - 400 * MS - OWD_80_KM) <= 1.5 * INTERVAL, `${lost} ps of outage`);
  const never = build(topology, { defect: 'no-failover' });
  const all = outage(never, () => cutLight(never), 300 * MS);
  t.ok(Math.abs(all - 300 * MS - OWD_80_KM) <= 1.5 * INTERVAL, 'the probe never comes back');

  const ring: Load = { kind: 'all-reduce', bytes: '4 MiB', algorithm: 'ring' };
  const recovery = (defect?: string) => {
    const sim = build(topology, defect === undefined ? {} : { defect });
    const job = sim.startJob(ring);
    sim.advance(2 * MS);
    for (const span of ['north', 'south']) cutLight(sim, span);
    sim.advance(3 * MS);
    for (const span of ['north', 'south']) mend(sim, span);
    const rounds = job.rounds.length;
    sim.advance(2000 * MS, { job, rounds: rounds + 2 });
    return sim.nowPs;
  };
  t.ok(recovery() < 100 * MS, 'a lost packet is sent again after 16.8 ms');
  t.ok(recovery('slow-recovery') > 1000 * MS, 'or after 1 s');
});
