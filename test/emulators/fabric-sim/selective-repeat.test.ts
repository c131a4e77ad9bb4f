import fc from 'fast-check';
import t, { type Test } from 'tap';
import { createNetwork } from '../../../emulators/fabric-sim/fabric/create-network.ts';
import type { Network } from '../../../emulators/fabric-sim/fabric/network.ts';
import { Random } from '../../../emulators/fabric-sim/kernel/random.ts';
import { LAWS } from '../../../emulators/fabric-sim/transport/laws.ts';
import {
  createSpreading,
  PATH_GOOD,
  PATH_MARKED,
  PATH_TIMED_OUT,
  PATH_TRIMMED,
  type Spreading,
  type SpreadingName,
} from '../../../emulators/fabric-sim/transport/spreading.ts';
import { UEC_HEADER_BYTES, uecNumbers, uecSettings } from '../../../emulators/fabric-sim/transport/uec.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import type { FabricSettings, SelectiveRepeatSettings } from '../../../harness/model/topology.ts';
import { leafSpine, MS, sitePair, star, US } from './small-fabrics.ts';

const ROCE = { mtu: '1000 B', retransmitTimeout: '1 ms' } as const;
const REPEAT = { control: 'none', recovery: 'selective-repeat', acknowledgeEvery: 1 } as const;
const PLAIN: Partial<FabricSettings> = { pfc: null, ecn: null, dcqcn: null, roce: ROCE, transport: REPEAT };

/** Two hosts `a` and `b` on one fibre `line`, 50 us each way, 100 Gb/s. */
function line(settings: Partial<FabricSettings>, seed = 1): Network {
  const network = createNetwork({
    topology: {
      name: 'line',
      sites: ['here', 'there'],
      hosts: [
        { kind: 'host', name: 'a', site: 'here' },
        { kind: 'host', name: 'b', site: 'there' },
      ],
      switches: [],
      links: [],
      spans: {
        line: {
          kind: 'span',
          name: 'line',
          ends: [
            { node: 'a', port: 'eth0' },
            { node: 'b', port: 'eth0' },
          ],
          rate: '100 Gb/s',
          length: '10 km',
        },
      },
      settings: { ...DEFAULT_FABRIC, ...settings },
    },
    seed,
    trainPackets: 1,
  });
  for (const direction of ['a-to-b', 'b-to-a'] as const) network.setSpan('line', direction, { delayPs: FAR });
  return network;
}

/** Everything that was put into the network has come out of it or been lost, and nothing is left inside. */
function conserves(t: Test, network: Network): void {
  const { injected, delivered, dropped, inFlight } = network.account;
  t.equal(injected, delivered + dropped + inFlight, 'injected = delivered + dropped + in flight');
  t.equal(inFlight, 0, 'nothing is left in the network');
}

/** Times, ps: 1 B takes 80 ps at 100 Gb/s; 1000 B are 1082 on the wire, an acknowledgement is 86. */
const PACKET = 1082 * 80;
const ACK = 86 * 80;
const FAR = 50 * US;

void t.test('a lost packet is sent again when its loss is known, by hand', t => {
  const run = (packets: number, lossEvery: number, selectiveRepeat: SelectiveRepeatSettings) => {
    const network = line({ ...PLAIN, transport: { ...REPEAT, selectiveRepeat } });
    network.setSpan('line', 'a-to-b', { lossEvery });
    const done: number[] = [];
    const acknowledged: number[] = [];
    network.flow({
      source: 'a',
      target: 'b',
      bytes: packets * 1000,
      entropy: 1,
      onDelivered: () => done.push(network.nowPs),
      onAcknowledged: () => acknowledged.push(network.nowPs),
    });
    network.advance(10 * MS);
    conserves(t, network);
    return { done, acknowledged, nic: network.nic('a'), lost: network.spanCount('line', 'a-to-b').lost };
  };
  // The first sign is the acknowledgement of packet 7 + r, which leaves b when that has arrived; then packet 7 goes once more.
  for (const reorder of [1, 2, 3]) {
    const { done, acknowledged, nic, lost } = run(10, 7, { reorder });
    const signAt = (7 + reorder) * PACKET + FAR + ACK + FAR;
    t.same(done, [signAt + PACKET + FAR], `reorder ${reorder}`);
    t.same(acknowledged, [signAt + PACKET + FAR + ACK + FAR]);
    t.same([nic.retransmittedPackets, nic.timeouts, lost], [1, 0, 1]);
  }
  // Nothing comes after the last packet: only the time-out tells, 1 ms after the start of its transmission.
  const last = run(10, 10, { reorder: 1 });
  t.same(last.done, [9 * PACKET + 1 * MS + PACKET + FAR]);
  t.same([last.nic.retransmittedPackets, last.nic.timeouts], [1, 1]);
  // Without inference every loss waits for its time-out. 3 of 4, then 6 of ... only what is lost goes again.
  const patient = run(10, 7, { reorder: null, timeout: 'oldest' });
  t.same(patient.done, [6 * PACKET + 1 * MS + PACKET + FAR]);
  // A time-out that gives up everything repeats only what has not been acknowledged.
  t.equal(run(10, 7, { reorder: null, timeout: 'all' }).nic.retransmittedPackets, 1);
  t.end();
});

void t.test('the window bounds what is in flight: one window a round trip', t => {
  const network = line({ ...PLAIN, roce: { ...ROCE, window: '4999 B' } });
  const flow = network.flow({ source: 'a', target: 'b', bytes: Number.POSITIVE_INFINITY, entropy: 1 });
  // Four packets of 1000 B fit in 4999 B, a fifth does not. A round: packet out, acknowledgement back.
  const roundPs = PACKET + FAR + ACK + FAR;
  network.advance(100 * roundPs - FAR - ACK);
  t.equal(flow.delivered(), 4 * 100 * 1000 - 3000, 'the last three of the hundredth round are still to come');
  flow.stop();
  network.advance(network.nowPs + MS);
  conserves(t, network);
  t.end();
});

void t.test('a span loses every n-th data packet and no other', t => {
  const network = line(PLAIN);
  network.setSpan('line', 'a-to-b', { lossEvery: 4 });
  network.setSpan('line', 'b-to-a', { lossEvery: 2 });
  t.equal(network.span('line', 'a-to-b').lossEvery, 4);
  network.flow({ source: 'a', target: 'b', bytes: 90_000, entropy: 1 });
  network.advance(20 * MS);
  const forth = network.spanCount('line', 'a-to-b');
  t.equal(forth.lost, Math.floor(forth.packets / 4));
  // 90 packets must come through: the 4th, 8th ... of those sent are lost, so 119 are sent and 29 of them lost.
  t.same(forth, { packets: 119, lost: 29 });
  t.equal(network.spanCount('line', 'b-to-a').lost, 0, 'acknowledgements are not counted');
  for (const lossEvery of [-1, 1.5, Number.NaN])
    t.throws(() => network.setSpan('line', 'a-to-b', { lossEvery }), RangeError);
  t.end();
});

interface Chance {
  readonly seed: number;
  readonly loss: number;
  readonly ackLoss: number;
  readonly messages: readonly number[];
  readonly reorder: number | null;
  readonly timeout: 'all' | 'oldest';
  readonly acknowledge: 'count' | 'asked';
  readonly acknowledgeEvery: number;
  readonly windowPackets: number | undefined;
  readonly control: string;
}

void t.test('whatever is lost, every message is delivered once, in order, and then acknowledged once', t => {
  const chance: fc.Arbitrary<Chance> = fc.record({
    seed: fc.nat(1000),
    loss: fc.constantFrom(0, 0.01, 0.2, 0.5),
    ackLoss: fc.constantFrom(0, 0.05, 0.4),
    messages: fc.array(fc.integer({ min: 1, max: 60_000 }), { minLength: 1, maxLength: 5 }),
    reorder: fc.constantFrom(1, 3, null),
    timeout: fc.constantFrom('all' as const, 'oldest' as const),
    acknowledge: fc.constantFrom('count' as const, 'asked' as const),
    acknowledgeEvery: fc.constantFrom(1, 4, 16),
    windowPackets: fc.constantFrom(undefined, 1, 7, 40),
    control: fc.constantFrom('none', 'reno', 'nscc'),
  });
  fc.assert(
    fc.property(chance, c => {
      const network = line(
        {
          ...PLAIN,
          roce: { ...ROCE, ...(c.windowPackets !== undefined && { window: `${c.windowPackets * 1000} B` }) },
          transport: {
            control: c.control,
            recovery: 'selective-repeat',
            acknowledgeEvery: c.acknowledgeEvery,
            selectiveRepeat: { reorder: c.reorder, timeout: c.timeout, acknowledge: c.acknowledge },
          },
        },
        c.seed,
      );
      network.setSpan('line', 'a-to-b', { loss: c.loss });
      network.setSpan('line', 'b-to-a', { loss: c.ackLoss });
      const events: string[] = [];
      const note = (i: number) => ({
        onDelivered: () => events.push(`delivered ${i}`),
        onAcknowledged: () => events.push(`acknowledged ${i}`),
      });
      const [first, ...rest] = c.messages as [number, ...number[]];
      const flow = network.flow({ source: 'a', target: 'b', bytes: first, entropy: 1, ...note(0) });
      for (const [i, bytes] of rest.entries()) flow.send(bytes, note(i + 1));
      network.advance(3000 * MS);
      const order = (kind: string) => events.filter(event => event.startsWith(kind));
      const all = (kind: string) => c.messages.map((_, i) => `${kind} ${i}`);
      const { injected, delivered, dropped, inFlight } = network.account;
      return (
        flow.delivered() === c.messages.reduce((a, b) => a + b, 0) &&
        order('delivered').join() === all('delivered').join() &&
        order('acknowledged').join() === all('acknowledged').join() &&
        all('delivered').every((event, i) => events.indexOf(event) < events.indexOf(`acknowledged ${i}`)) &&
        injected === delivered + dropped &&
        inFlight === 0
      );
    }),
    { numRuns: 60, seed: 20261122 },
  );
  t.end();
});

void t.test('repetition costs what was lost, not a window', t => {
  const network = line(PLAIN, 5);
  network.setSpan('line', 'a-to-b', { loss: 0.01 });
  let doneAt = Number.NaN;
  network.flow({
    source: 'a',
    target: 'b',
    bytes: 20e6,
    entropy: 1,
    onAcknowledged: () => {
      doneAt = network.nowPs;
    },
  });
  network.advance(20 * MS);
  const { lost } = network.spanCount('line', 'a-to-b');
  const { retransmittedPackets } = network.nic('a');
  t.comment(`20,000 packets, ${lost} lost, ${retransmittedPackets} sent again, ${(doneAt / MS).toFixed(3)} ms`);
  t.ok(lost > 150 && lost < 260, 'about 1 %');
  t.equal(retransmittedPackets, lost, 'each lost packet is sent once more, and no other');
  // The line is never idle until the end: the packets, and one round for the last repetitions, two when one of them is lost again.
  const busy = (20_000 + lost) * PACKET;
  t.ok(doneAt >= busy && doneAt < busy + 3 * (2 * FAR), 'within three round trips of the line rate');
  conserves(t, network);
  t.end();
});

void t.test(
  'packets that overtake each other are delivered in order; they pass for lost only where loss is inferred',
  t => {
    const run = (reorder: number | null) => {
      const network = leafSpine(4, 4, {
        seed: 3,
        settings: {
          ...PLAIN,
          switching: { loadBalancing: 'spray' },
          transport: { ...REPEAT, selectiveRepeat: { reorder } },
        },
      });
      const done: number[] = [];
      for (let i = 0; i < 4; i++)
        network.flow({ source: `h${i}`, target: `h${4 + i}`, bytes: 1e6, entropy: i, onDelivered: () => done.push(i) });
      network.advance(20 * MS);
      t.same(
        done.toSorted((x, y) => x - y),
        [0, 1, 2, 3],
      );
      t.equal(network.account.dropped, 0);
      conserves(t, network);
      const of = (key: 'retransmittedPackets' | 'outOfSequence', host: number) => network.nic(`h${host}`)[key];
      return {
        again: [0, 1, 2, 3].reduce((sum, i) => sum + of('retransmittedPackets', i), 0),
        outOfOrder: [4, 5, 6, 7].reduce((sum, i) => sum + of('outOfSequence', i), 0),
      };
    };
    const off = run(null);
    const one = run(1);
    t.comment(`out of order ${off.outOfOrder} of 4000; sent again for nothing with reorder 1: ${one.again}`);
    t.ok(off.outOfOrder > 100);
    t.equal(off.again, 0, 'nothing was lost and nothing is sent again');
    t.ok(one.again > 0, 'inference takes lateness for loss');
    t.end();
  },
);

void t.test('a full queue trims; each trimmed packet is named to its sender and sent once more', t => {
  for (const trimVictim of ['arriving', 'either'] as const) {
    const network = star(9, {
      settings: {
        ...PLAIN,
        roce: { ...ROCE, window: '20000 B' },
        switching: {
          queueLimit: '20000 B',
          controlQueueLimit: '100000 B',
          trimTo: '84 B',
          trimVictim,
          releaseAt: 'end',
        },
        transport: { ...REPEAT, selectiveRepeat: { reorder: null } },
      },
    });
    const done: number[] = [];
    for (let i = 1; i < 9; i++)
      network.flow({ source: `h${i}`, target: 'h0', bytes: 200_000, entropy: i, onDelivered: () => done.push(i) });
    network.advance(20 * MS);
    t.equal(done.length, 8);
    const trimmed = network.count('s', 'p0').trimmed ?? 0;
    let again = 0;
    let timeouts = 0;
    for (let i = 1; i < 9; i++) {
      again += network.nic(`h${i}`).retransmittedPackets;
      timeouts += network.nic(`h${i}`).timeouts;
    }
    t.comment(`${trimVictim}: ${trimmed} trimmed of 1600`);
    t.ok(trimmed > 100);
    t.same([again, timeouts, network.account.dropped], [trimmed, 0, 0]);
    t.ok(network.count('s', 'p0').queuePeakBytes <= 20_000);
    conserves(t, network);
  }
  t.end();
});

void t.test('every law carries its flows through loss and CE', t => {
  for (const control of Object.keys(LAWS)) {
    const network = sitePair({
      length: '20 km',
      spanRate: '100 Gb/s',
      hostsPerSite: 2,
      settings: {
        pfc: null,
        dcqcn: null,
        ecn: { min: '100 KB', max: '400 KB', probability: 0.2 },
        roce: { mtu: '4096 B', retransmitTimeout: '1 ms' },
        transport: { control, recovery: 'selective-repeat' },
      },
    });
    network.setSpan('long', 'a-to-b', { loss: 1e-3 });
    let done = 0;
    for (const i of [0, 1])
      network.flow({ source: `a${i}`, target: `b${i}`, bytes: 4e6, entropy: i, onAcknowledged: () => done++ });
    network.advance(400 * MS);
    t.equal(done, 2, control);
    t.ok(network.spanCount('long', 'a-to-b').lost > 0, `${control}: something was lost`);
    conserves(t, network);
  }
  t.end();
});

const spreading = (name: SpreadingName, paths = 8): Spreading =>
  createSpreading(name, { paths, random: new Random(9) }) as Spreading;
const take = (from: Spreading, count: number) => Array.from({ length: count }, () => from.next());

void t.test('a sender chooses paths by its scheme', t => {
  t.equal(createSpreading('flow', { paths: 8, random: new Random(1) }), undefined, 'one path has no scheme');
  for (const paths of [0, 3, 65536]) t.throws(() => spreading('oblivious', paths), RangeError);

  const oblivious = spreading('oblivious');
  const low = (values: readonly number[]) => values.map(value => value & 7).toSorted((x, y) => x - y);
  const rounds = [take(oblivious, 8), take(oblivious, 8), take(oblivious, 8)];
  for (const round of rounds) t.same(low(round), [0, 1, 2, 3, 4, 5, 6, 7], 'each path once a round');
  t.equal(new Set(rounds.flat().map(value => value >> 3)).size, 1, 'the upper bits are the flow’s');

  const bitmap = spreading('bitmap');
  const bad = bitmap.next();
  bitmap.heard?.(bad, PATH_TRIMMED);
  const next = take(bitmap, 7 + 4 * 7);
  t.ok(!next.includes(bad), 'a trimmed packet keeps its path out for four rounds');
  t.ok(take(bitmap, 16).includes(bad), 'and then it is back');
  bitmap.heard?.(bad, PATH_TIMED_OUT);
  bitmap.heard?.(bad, PATH_TIMED_OUT);
  t.ok(!take(bitmap, 8 * 7).includes(bad), 'a time-out for longer, and two for no longer than one');
  t.ok(take(bitmap, 9 * 8).includes(bad));
  for (let path = 0; path < 8; path++) bitmap.heard?.(path, PATH_TIMED_OUT);
  t.type(bitmap.next(), 'number', 'it never finds no path at all');

  const reps = spreading('reps', 1024);
  for (let i = 0; i < 9; i++) reps.heard?.(2000 + i, PATH_GOOD);
  reps.heard?.(3000, PATH_MARKED);
  t.same(take(reps, 8), [2001, 2002, 2003, 2004, 2005, 2006, 2007, 2008], 'the last eight good ones, oldest first');
  t.ok(reps.next() < 1024, 'then any path');

  const mixed = spreading('mixed');
  for (let i = 0; i < 200; i++) mixed.heard?.(10_000 + i, PATH_GOOD);
  t.same(
    take(mixed, 200),
    Array.from({ length: 200 }, (_, i) => 10_000 + i),
    'every good one once more',
  );
  t.same(low(take(mixed, 8)), [0, 1, 2, 3, 4, 5, 6, 7], 'then in turn');
  t.end();
});

void t.test('spread packets use all uplinks; one path keeps to one', t => {
  const uplinks = (scheme: SpreadingName) => {
    const network = leafSpine(2, 4, {
      settings: { ...PLAIN, transport: { ...REPEAT, spreading: scheme, paths: 64 } },
    });
    network.flow({ source: 'h0', target: 'h2', bytes: 4e6, entropy: 5 });
    network.advance(5 * MS);
    conserves(t, network);
    t.equal(network.nic('h0').retransmittedPackets, 0, scheme);
    return [0, 1, 2, 3].map(i => network.count('l0', `u${i}`).txPackets);
  };
  t.same(
    uplinks('flow').filter(packets => packets > 0),
    [4000],
  );
  for (const scheme of ['oblivious', 'bitmap', 'reps', 'mixed'] as const) {
    const packets = uplinks(scheme);
    t.comment(`${scheme}: ${packets.join(', ')}`);
    t.equal(
      packets.reduce((a, b) => a + b),
      4000,
    );
    t.ok(Math.min(...packets) > 200, `${scheme}: every uplink`);
  }
  t.end();
});

void t.test('the profile of Ultra Ethernet has the numbers of uet-htsim', t => {
  // R = 12 us + 6 x (4150 + 64) B x 80 ps; BDP 175,284 B = 43 packets; RTO = 15 us + 6 x 178,450 B x 80 ps.
  const options = { rateBps: 100e9, links: 6, linkDelayPs: 1e6 };
  t.same(uecNumbers(options), {
    networkRttPs: 14_022_720,
    queueBytes: 178_450,
    ecnLowBytes: 37_350,
    ecnHighBytes: 145_250,
    timeoutPs: 100_656_000,
  });
  // One switch: 2 x (1 us + 332 ns) for the packet and one more after each, 4 packets in all; ACK 2 x (1 us + 5.12 ns).
  const network = star(3, {
    overheadBytes: UEC_HEADER_BYTES,
    settings: uecSettings({ ...options, links: 2 }, DEFAULT_FABRIC),
  });
  let doneAt = Number.NaN;
  network.flow({
    source: 'h1',
    target: 'h2',
    bytes: 4 * 4086,
    entropy: 1,
    onAcknowledged: () => {
      doneAt = network.nowPs;
    },
  });
  network.advance(MS);
  t.equal(doneAt, 5 * 332_000 + 2 * US + 2 * (1 * US + 5120));
  conserves(t, network);
  t.end();
});

void t.test('settings that make no sense are refused', t => {
  const refused = (settings: Partial<FabricSettings>) => t.throws(() => line({ ...PLAIN, ...settings }), RangeError);
  for (const reorder of [0, 1.5, -1]) refused({ transport: { ...REPEAT, selectiveRepeat: { reorder } } });
  refused({ transport: { ...REPEAT, acknowledgeEvery: 0 } });
  refused({ roce: { mtu: '100 B', retransmitTimeout: '1 ms' } });
  refused({ roce: { mtu: '1000 B', retransmitTimeout: '0 ms' } });
  refused({ roce: { ...ROCE, window: '999 B' } });
  refused({ ecn: { min: '1 KB', max: '2 KB', probability: 1, at: 'end' } });
  refused({ switching: { nicControlRun: -1 } });
  const network = line(PLAIN);
  const flow = network.flow({ source: 'a', target: 'b', bytes: 1, entropy: 1 });
  for (const bytes of [0, -1, 1.5, Number.NaN]) t.throws(() => flow.send(bytes), RangeError);
  flow.stop();
  t.throws(() => flow.send(1), RangeError);
  t.end();
});
