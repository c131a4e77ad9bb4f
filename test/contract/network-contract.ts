import t, { type Test } from 'tap';
import { ControlPlane } from '../../emulators/fabric-sim/control/control-plane.ts';
import type { Flow, Network } from '../../emulators/fabric-sim/fabric/network.ts';
import type { Topology } from '../../harness/model/topology.ts';
import { twoSites } from '../../scenarios/topologies/two-sites.ts';

const US = 1e6;
const MS = 1e9;
const RETRANSMIT_TIMEOUT_PS = 16.8 * MS;
/** One way over 80 km: 80 km x 1.4682 / c = 391.8 us, four cables of 20 m at 5 ns/m, and store-and-forward; 400 us bounds it. */
const ONE_WAY_PS = 400 * US;

export const TWO_SPANS: Topology = twoSites({
  ranksPerSite: 2,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '80 km', rate: '100 Gb/s' }, south: { length: '80 km', rate: '100 Gb/s' } },
});

/** Engines under the contract. `between` is called between two stretches of time, where an engine may do what it likes to go on. */
export interface NetworkUnderContract {
  create(topology: Topology): Network;
  between(network: Network): void;
}

/** Tables of a healthy fabric; nobody reacts to what happens afterwards. */
function routed({ create }: NetworkUnderContract, topology = TWO_SPANS): Network {
  const network = create(topology);
  const control = new ControlPlane({ topology, settings: topology.settings.controlPlane, network, onEvent: () => {} });
  t.ok(control.isUp('a-leaf-1'));
  return network;
}

const darken = (network: Network, name: string, passing: boolean): void => {
  for (const direction of ['a-to-b', 'b-to-a'] as const) network.setSpan(name, direction, { passing, light: passing });
};

/** Source ports whose flow from a-host-1 to b-host-1 crosses that span both ways. */
function portOver(network: Network, span: 'north' | 'south'): number {
  const spine = span === 'north' ? 1 : 2;
  for (let entropy = 49_152; entropy < 49_652; entropy++) {
    const there = network.path('a-host-1', 'b-host-1', entropy).some(({ node }) => node === `a-spine-${spine}`);
    const back = network.path('b-host-1', 'a-host-1', entropy).some(({ node }) => node === `b-spine-${spine}`);
    if (there && back) return entropy;
  }
  throw new Error(`No source port leads over ${span}.`);
}

function conserved(test: Test, network: Network, when: string): void {
  const { injected, delivered, dropped, inFlight } = network.account;
  test.equal(injected, delivered + dropped + inFlight, `${when}: packets sent = delivered + dropped + in flight`);
  test.ok(inFlight >= 0 && delivered >= 0 && dropped >= 0, `${when}: no count is negative`);
}

/** What every data plane must do, whatever it is made of. */
export async function networkContract(name: string, engine: NetworkUnderContract): Promise<void> {
  await t.test(`${name}: each message is delivered once, acknowledged once, and in that order`, async test => {
    const network = routed(engine);
    const said: string[] = [];
    const messages = [1, 4096, 100_000, 3_000_001];
    const flows: Flow[] = [];
    for (const [i, [source, target]] of [
      ['a-host-1', 'b-host-1'],
      ['b-host-2', 'a-host-2'],
      ['a-host-2', 'a-host-1'],
    ].entries()) {
      const callbacks = (k: number) => ({
        onDelivered: () => said.push(`${i}.${k} delivered`),
        onAcknowledged: () => said.push(`${i}.${k} acknowledged`),
      });
      const flow = network.flow({
        source: source as string,
        target: target as string,
        entropy: 50_000 + i,
        bytes: messages[0] as number,
        ...callbacks(0),
      });
      for (const [k, bytes] of messages.entries()) if (k > 0) flow.send(bytes, callbacks(k));
      flows.push(flow);
    }
    network.advance(350 * US);
    conserved(test, network, 'under way');
    engine.between(network);
    network.advance(900 * US);
    engine.between(network);
    conserved(test, network, 'later');
    network.advance(60 * MS);
    for (const [i, flow] of flows.entries()) {
      test.equal(
        flow.delivered(),
        messages.reduce((sum, bytes) => sum + bytes, 0),
        `flow ${i} delivered every byte`,
      );
      for (const kind of ['delivered', 'acknowledged'])
        test.strictSame(
          said.filter(word => word.startsWith(`${i}.`) && word.endsWith(kind)),
          messages.map((_, k) => `${i}.${k} ${kind}`),
          `flow ${i}: ${kind} once each, in order`,
        );
      for (const k of messages.keys())
        test.ok(
          said.indexOf(`${i}.${k} delivered`) < said.indexOf(`${i}.${k} acknowledged`),
          'delivered before acknowledged',
        );
    }
    conserved(test, network, 'at the end');
    test.equal(network.account.inFlight, 0, 'nothing is left on the way');
  });

  await t.test(`${name}: what a cable carries is what its far end receives`, async test => {
    const network = routed(engine);
    for (const [i, source] of ['a-host-1', 'a-host-2'].entries())
      network.flow({ source, target: 'b-host-1', bytes: 5_000_000, entropy: 50_100 + i });
    network.advance(500 * US);
    engine.between(network);
    network.advance(20 * MS);
    for (const cable of [...TWO_SPANS.links, ...Object.values(TWO_SPANS.spans)]) {
      const [a, b] = cable.ends.map(({ node, port }) => network.count(node, port));
      if (!a || !b) throw new Error('a cable has two ends');
      test.equal(a.txBytes, b.rxBytes, `${cable.name}: bytes`);
      test.equal(a.txPackets, b.rxPackets, `${cable.name}: packets`);
      test.equal(b.txBytes, a.rxBytes, `${cable.name}: bytes back`);
    }
    // 2 x 5 MB in packets of 4096 B: 2442 of them, each with 62 B of headers that counters see.
    const { rxBytes, rxPackets } = network.count('b-host-1', 'eth0');
    test.ok(rxPackets >= 2442 && rxBytes >= 10_000_000 + 2442 * 62, 'payload and headers have come');
    // An engine that hands over sends again what was on the way: all of it, at one RTT of 0.8 ms.
    test.ok(rxBytes < 2.1 * (10_000_000 + 2442 * 62), 'and at most once more, what was sent again');
  });

  await t.test(`${name}: packets go where the tables say, and the hash chooses`, async test => {
    const network = routed(engine);
    const over = portOver(network, 'north');
    network.setRoute('a-leaf-1', 'b-host-1', ['up2-1']);
    network.setRoute('b-leaf-1', 'a-host-1', ['up2-1']);
    test.strictSame(network.routes('a-leaf-1', 'b-host-1'), ['up2-1']);
    test.ok(network.path('a-host-1', 'b-host-1', over).some(({ node }) => node === 'a-spine-2'));
    let done = 0;
    network.flow({
      source: 'a-host-1',
      target: 'b-host-1',
      bytes: 1_000_000,
      entropy: over,
      onDelivered: () => done++,
    });
    engine.between(network);
    network.advance(20 * MS);
    test.equal(done, 1);
    test.equal(network.count('a-spine-1', 'span').txBytes, 0, 'nothing crossed the other span');
    test.ok(network.count('a-spine-2', 'span').txBytes >= 1_000_000);
    network.setRoute('a-leaf-1', 'b-host-1', []);
    test.strictSame(
      network.path('a-host-1', 'b-host-1', over),
      [{ node: 'a-host-1', port: 'eth0' }],
      'without a route the path ends',
    );
    test.throws(() => network.setRoute('a-host-1', 'b-host-1', []), /a-host-1/);
    test.throws(() => network.flow({ source: 'a-host-1', target: 'a-host-1', bytes: 1, entropy: 1 }), /itself/);
  });

  await t.test(`${name}: a flow outlives a cut, by retransmission after the heal or by another route`, async test => {
    for (const way of ['heal', 'reroute'] as const) {
      const network = routed(engine);
      const entropy = portOver(network, 'north');
      let doneAt = 0;
      let calls = 0;
      const bytes = 12_500_000; // 1 ms at 100 Gb/s
      const flow = network.flow({
        source: 'a-host-1',
        target: 'b-host-1',
        bytes,
        entropy,
        onDelivered: () => {
          calls++;
          doneAt = network.nowPs;
        },
      });
      network.advance(700 * US);
      darken(network, 'north', false);
      network.advance(5 * MS);
      const held = flow.delivered();
      test.ok(held > 0 && held < bytes, `${way}: part of it had come`);
      conserved(test, network, 'during the cut');
      const { lost } = network.spanCount('north', 'a-to-b');
      test.ok(lost > 0, `${way}: packets were lost in the cut span`);
      engine.between(network);
      network.advance(10 * MS);
      test.equal(flow.delivered(), held, `${way}: nothing comes through a cut span`);
      if (way === 'heal') darken(network, 'north', true);
      else
        for (const [site, other] of [
          ['a', 'b'],
          ['b', 'a'],
        ])
          network.setRoute(`${site}-leaf-1`, `${other}-host-1`, ['up2-1']);
      const fromPs = network.nowPs;
      network.advance(60 * MS);
      test.equal(calls, 1, `${way}: delivered once`);
      test.equal(flow.delivered(), bytes);
      // At the latest by the timer, which may just have run out; then 1 ms of data at DCQCN's pace, and the way there.
      test.ok(
        doneAt > fromPs && doneAt < fromPs + RETRANSMIT_TIMEOUT_PS + 3 * MS + ONE_WAY_PS,
        `${way}: within the timer`,
      );
      conserved(test, network, 'at the end');
    }
  });

  await t.test(`${name}: a flow that is stopped says nothing more`, async test => {
    const network = routed(engine);
    let calls = 0;
    const flow = network.flow({
      source: 'a-host-1',
      target: 'b-host-2',
      bytes: 1e9,
      entropy: 3,
      onDelivered: () => calls++,
      onAcknowledged: () => calls++,
    });
    network.advance(2 * MS);
    flow.stop();
    const delivered = flow.delivered();
    test.ok(delivered > 0);
    engine.between(network);
    network.advance(200 * MS);
    test.equal(flow.delivered(), delivered);
    test.equal(calls, 0);
    test.throws(() => flow.send(1), RangeError);
    test.throws(() => network.flow({ source: 'a-host-1', target: 'b-host-2', bytes: 0, entropy: 3 }), RangeError);
  });

  await t.test(`${name}: datagrams tell how long a path was cut`, async test => {
    const network = routed(engine);
    const stream = network.datagrams({
      source: 'a-host-1',
      target: 'b-host-1',
      entropy: portOver(network, 'south'),
      bytes: 128,
      packetsPerSecond: 20_000,
    });
    network.advance(10 * MS);
    test.equal(stream.sent(), 201, 'one every 50 us, the first at once');
    test.ok(stream.received() >= 192 && stream.received() <= 194, '391.8 us and 4 switches away: 8 are on the way');
    engine.between(network);
    network.advance(20 * MS);
    darken(network, 'south', false);
    network.advance(25 * MS);
    engine.between(network);
    network.advance(30 * MS);
    darken(network, 'south', true);
    network.advance(40 * MS);
    stream.stop();
    network.advance(45 * MS);
    test.equal(stream.sent(), 801);
    // 10 ms of datagrams that met the cut, and the 391.8 us that were in the fibre: 207.8; one more or less by where the edges lie.
    const lost = stream.sent() - stream.received();
    test.ok(lost >= 206 && lost <= 210, `${lost} lost, 208 expected`);
    conserved(test, network, 'at the end');
  });

  await t.test(`${name}: time passes in order, and stops where it is told`, async test => {
    const network = routed(engine);
    const said: string[] = [];
    network.at(20, () => said.push('c'));
    network.at(10, () => said.push('a'));
    network.at(10, () => said.push('b'));
    network.at(15, () => {
      said.push('stop');
      network.stop();
    });
    network.advance(100);
    test.strictSame(said, ['a', 'b', 'stop']);
    test.equal(network.nowPs, 15);
    engine.between(network);
    network.advance(100);
    test.strictSame(said, ['a', 'b', 'stop', 'c'], 'what was asked for before is called once, after the change too');
    test.equal(network.nowPs, 100);
    test.throws(() => network.at(50, () => {}), RangeError);
    test.throws(() => network.advance(50), RangeError);
  });

  await t.test(`${name}: the same calls give the same results, and looking changes nothing`, async test => {
    const play = (looks: number): readonly number[] => {
      const network = routed(engine);
      const times: number[] = [];
      for (let i = 0; i < 4; i++)
        network.flow({
          source: `a-host-${1 + (i % 2)}`,
          target: 'b-host-1',
          bytes: 2_000_000,
          entropy: 50_000 + i,
          onDelivered: () => times.push(network.nowPs),
        });
      for (let look = 1; look <= looks; look++) {
        network.advance(Math.round((look * 4 * MS) / looks));
        network.count('a-spine-1', 'span');
      }
      engine.between(network);
      network.advance(40 * MS);
      return times;
    };
    const once = play(1);
    test.equal(once.length, 4);
    test.strictSame(play(1), once);
    test.strictSame(play(37), once, 'whatever the slices of time');
  });
}
