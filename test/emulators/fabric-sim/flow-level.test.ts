import t from 'tap';
import { createFabricSim } from '../../../emulators/fabric-sim/create-fabric-sim.ts';
import { createNetwork } from '../../../emulators/fabric-sim/fabric/create-network.ts';
import { createFlowLevelNetwork } from '../../../emulators/fabric-sim/flow-level/create-flow-level-network.ts';
import {
  createSwitchingNetwork,
  type SwitchingNetwork,
} from '../../../emulators/fabric-sim/flow-level/create-switching-network.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import { FLOW_ERROR } from '../../../harness/model/flow-error.ts';
import type { Granularity } from '../../../harness/model/granularity.ts';
import type { Load } from '../../../harness/model/load.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import { oneSite } from '../../../scenarios/topologies/one-site.ts';
import { twoSites } from '../../../scenarios/topologies/two-sites.ts';
import { networkContract, TWO_SPANS } from '../../contract/network-contract.ts';

const MS = 1e9;

await networkContract('packets', {
  create: topology => createNetwork({ topology, seed: 7, trainPackets: 1 }),
  between() {},
});
await networkContract('flow level', {
  create: topology => createFlowLevelNetwork({ topology, seed: 7, trainPackets: 1 }),
  between() {},
});
await networkContract('switching', {
  create: topology => createSwitchingNetwork({ topology, seed: 7, granularity: 'packet' }),
  between(network) {
    const switching = network as SwitchingNetwork;
    switching.switchTo(switching.granularity === 'flow' ? 'packet' : 'flow');
  },
});

// ---- shares, by hand ----

function star(settings: Partial<Topology['settings']> = {}): Topology {
  return oneSite({
    leaves: 1,
    hostsPerLeaf: 4,
    spines: 0,
    hosts: '100 Gb/s',
    uplinks: '100 Gb/s',
    settings,
  });
}

await t.test('without congestion control shares are max-min fair, to the byte', async test => {
  const topology = star({ dcqcn: null });
  const network = createFlowLevelNetwork({ topology, seed: 1, trainPackets: 1 });
  for (const { name } of topology.hosts) network.setRoute('a-leaf-1', name, [`host${name.slice(-1)}`]);
  const flow = (source: number, target: number) =>
    network.flow({
      source: `a-host-${source}`,
      target: `a-host-${target}`,
      entropy: 1,
      bytes: Number.POSITIVE_INFINITY,
    });
  // Into host 1: from 2 and 3. Host 2 sends to 3 as well, so its NIC gives 50 to each; host 1's port gives 50 to each of its two.
  // Host 4 sends to 3, whose port has 100 - 50 left for it.
  const rates = [flow(2, 1), flow(3, 1), flow(2, 3), flow(4, 3)];
  network.advance(10 * MS);
  for (const [i, one] of rates.entries()) test.equal(one.rateBps(), 50e9, `flow ${i}: 50 Gb/s on the wire`);
  rates[0]?.stop();
  network.advance(20 * MS);
  // Now 3 has all of host 1's port; 2 and 4 share host 3's.
  test.strictSame(
    rates.slice(1).map(one => one.rateBps()),
    [100e9, 50e9, 50e9],
  );
  // 50 Gb/s x 10 ms x 4096/4178 = 61.27 MB; less what is on the way (0.2 us of cable and a packet).
  const [, , shared] = rates;
  const bytes = (50e9 / 8) * 0.02 * (4096 / 4178);
  test.ok(
    Math.abs((shared?.delivered() ?? 0) - bytes) < 1e4,
    `${shared?.delivered()} bytes in 20 ms, ${bytes} expected`,
  );
});

await t.test('one message takes serialisation, propagation and store-and-forward, as with packets', async test => {
  const topology = star();
  for (const create of [createNetwork, createFlowLevelNetwork]) {
    const network = create({ topology, seed: 1, trainPackets: 1 });
    for (const { name } of topology.hosts) network.setRoute('a-leaf-1', name, [`host${name.slice(-1)}`]);
    let doneAt = 0;
    network.flow({
      source: 'a-host-1',
      target: 'a-host-2',
      entropy: 1,
      bytes: 4096 * 100,
      onDelivered: () => {
        doneAt = network.nowPs;
      },
    });
    network.advance(MS);
    // 100 packets x 4178 B x 80 ps + one more for the switch, 2 x 20 m x 5 ns/m.
    test.ok(Math.abs(doneAt - (101 * 4178 * 80 + 200_000)) < 1000, `${create.name}: ${doneAt} ps`);
  }
});

await t.test('random loss takes what go-back-N throws away', async test => {
  const network = createFlowLevelNetwork({ topology: TWO_SPANS, seed: 1, trainPackets: 1 });
  for (const [site, other] of [
    ['a', 'b'],
    ['b', 'a'],
  ]) {
    network.setRoute(`${site}-leaf-1`, `${other}-host-1`, ['up1-1']);
    network.setRoute(`${other}-spine-1`, `${other}-host-1`, ['down1-1']);
    network.setRoute(`${site}-spine-1`, `${other}-host-1`, ['span']);
    network.setRoute(`${other}-leaf-1`, `${other}-host-1`, ['host1']);
  }
  network.setSpan('north', 'a-to-b', { loss: 1e-4 });
  const flow = network.flow({ source: 'a-host-1', target: 'b-host-1', entropy: 1, bytes: Number.POSITIVE_INFINITY });
  network.advance(100 * MS);
  const before = flow.delivered();
  network.advance(200 * MS);
  const share = ((flow.delivered() - before) * 8) / 0.1 / (100e9 * (4096 / 4178));
  // (1 - p) / (1 - p + p W), W = 100 Gb/s x RTT / 4178 B; RTT = 2 x 391.79 us and some us of cables and packets: W = 2350.
  const window = (100e9 * 785.5e-6) / 8 / 4178;
  const expected = (1 - 1e-4) / (1 - 1e-4 + 1e-4 * window);
  test.ok(Math.abs(share - expected) < 0.005, `${share.toFixed(4)} of the rate, ${expected.toFixed(4)} expected`);
  const { packets, lost } = network.spanCount('north', 'a-to-b');
  test.ok(Math.abs(lost / packets - 1e-4) < 1e-5, `${lost} of ${packets} packets lost`);
});

// ---- the same round again ----

const HIERARCHICAL = { kind: 'all-reduce', algorithm: 'hierarchical', bytes: '8 MiB' } as const satisfies Load;

await t.test('rounds that are counted are the rounds that would have been played', async test => {
  const play = (slicePs: number) => {
    const sim = createFabricSim({ topology: TWO_SPANS, seed: 3, trainPackets: 1, granularity: 'flow' });
    const job = sim.startJob(HIERARCHICAL);
    // A slice that ends within a round forces it to be played.
    while (sim.nowPs < 300 * MS) sim.advance(Math.min(300 * MS, sim.nowPs + slicePs));
    return { rounds: job.rounds, delivered: job.flows(), nic: sim.count('a-host-1', 'eth0') };
  };
  const [counted, played] = [play(300 * MS), play(0.3 * MS)];
  test.ok(counted.rounds.length > 30);
  test.strictSame(counted.rounds, played.rounds, 'each round, to the picosecond');
  test.strictSame(counted.nic, played.nic, 'and each counter');
  test.strictSame(counted.delivered, played.delivered);
});

await t.test('a change ends the counting: a cut span shows in the next round', async test => {
  const sim = createFabricSim({ topology: TWO_SPANS, seed: 3, trainPackets: 1, granularity: 'flow' });
  const job = sim.startJob(HIERARCHICAL);
  sim.at(100 * MS, () => {
    for (const direction of ['a-to-b', 'b-to-a'] as const)
      sim.setSpan('north', direction, { passing: false, light: false });
  });
  sim.advance(400 * MS);
  const times = job.rounds.map(({ beginNs, endNs }) => Math.round((endNs - beginNs) * 1e3) / 1e3);
  const cut = job.rounds.findIndex(({ endNs }) => endNs > 100e6);
  test.ok(new Set(times.slice(0, cut)).size === 1, 'all alike before');
  test.ok(
    (times[cut] ?? 0) > (times[0] ?? 0) + 10e6,
    'the cut costs its round the time until light is missed, 10 ms, and more',
  );
  test.ok(job.rounds.every(({ wrong }) => wrong === 0));
});

await t.test('a day of training is played at flow level, which packets can not reach', async test => {
  const sim = createFabricSim({ topology: TWO_SPANS, seed: 3, trainPackets: 1, granularity: 'flow' });
  const job = sim.startJob({
    kind: 'training-iteration',
    algorithm: 'ring',
    bytes: '8 MiB',
    buckets: 2,
    compute: '60 s',
    overlap: '0 %',
  });
  const dayPs = 86_400e12;
  sim.advance(dayPs);
  test.equal(sim.nowPs, dayPs);
  // Each iteration takes 60 s and some ms: 1439 are done after 24 h.
  test.equal(job.rounds.length, 1439);
  test.throws(() => sim.playAs('packet'), RangeError, 'packets have 2.5 h');
  const packets = createFabricSim({ topology: TWO_SPANS, seed: 3, trainPackets: 1 });
  test.throws(() => packets.advance(dayPs), /2\.5 h/);
});

// ---- error against packets, by scenario family ----

const SITES = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '80 km', rate: '200 Gb/s' }, south: { length: '120 km', rate: '200 Gb/s' } },
});
const CLOS = oneSite({ leaves: 4, hostsPerLeaf: 4, spines: 4, hosts: '100 Gb/s', uplinks: '100 Gb/s' });

interface Family {
  readonly name: keyof typeof FLOW_ERROR;
  readonly topology: Topology;
  readonly load: Load;
  readonly cutAtPs?: number;
}

const FAMILIES: readonly Family[] = [
  { name: 'ring', topology: SITES, load: { kind: 'all-reduce', algorithm: 'ring', bytes: '32 MiB', queuePairs: 4 } },
  {
    name: 'hierarchical',
    topology: SITES,
    load: { kind: 'all-reduce', algorithm: 'hierarchical', bytes: '64 MiB', queuePairs: 4 },
  },
  { name: 'all-to-all', topology: SITES, load: { kind: 'all-to-all', bytes: '64 MiB' } },
  { name: 'permutation', topology: CLOS, load: { kind: 'permutation', shift: 4, bytes: '16 MiB' } },
  { name: 'incast', topology: CLOS, load: { kind: 'incast', senders: 8, bytes: '8 MB' } },
  {
    name: 'span cut',
    topology: SITES,
    load: { kind: 'all-reduce', algorithm: 'ring', bytes: '32 MiB', queuePairs: 4 },
    cutAtPs: 20 * MS,
  },
];

/** Mean round time of rounds 2 to 4; with a cut, of the round that it fell into. */
function roundMs({ topology, load, cutAtPs }: Family, granularity: Granularity): number {
  const sim = createFabricSim({ topology, seed: 7, trainPackets: 1, granularity });
  const job = sim.startJob(load);
  if (cutAtPs !== undefined)
    sim.at(cutAtPs, () => {
      for (const direction of ['a-to-b', 'b-to-a'] as const)
        sim.setSpan('north', direction, { passing: false, light: false });
    });
  sim.advance(2000 * MS, { job, rounds: 4 });
  const times = job.rounds.map(({ beginNs, endNs }) => (endNs - beginNs) / 1e6);
  if (cutAtPs !== undefined) return Math.max(...times);
  return times.slice(1).reduce((sum, ms) => sum + ms, 0) / (times.length - 1);
}

await t.test('flow level is as far from packets as is said of each family', async test => {
  for (const family of FAMILIES) {
    const [packets, flows] = [roundMs(family, 'packet'), roundMs(family, 'flow')];
    const error = flows / packets - 1;
    test.comment(
      `${family.name.padEnd(12)} round ${packets.toFixed(3)} ms by packets, ${flows.toFixed(3)} ms at flow level: ${(100 * error).toFixed(1)} %`,
    );
    test.ok(Math.abs(error) <= FLOW_ERROR[family.name], `${family.name}: within ${100 * FLOW_ERROR[family.name]} %`);
  }
});

await t.test('flow level refuses what it can not play', async test => {
  const network = createSwitchingNetwork({ topology: star(), seed: 1, granularity: 'packet' });
  network.setRoute('a-leaf-1', 'a-host-2', ['host2']);
  const deaf = network.flow({ source: 'a-host-1', target: 'a-host-2', bytes: 1e9, entropy: 1, deaf: true });
  test.throws(() => network.switchTo('flow'), /ignores congestion/);
  test.equal(network.granularity, 'packet', 'and nothing has changed');
  deaf.stop();
  network.switchTo('flow');
  test.ok(network.observes.size === 0, 'no queue, mark, pause, notification or order is seen');
  network.switchTo('train:8');
  test.equal(network.observes.size, 5);
  test.equal(createFlowLevelNetwork({ topology: star({ ecn: DEFAULT_FABRIC.ecn }), seed: 1, trainPackets: 1 }).hops, 0);
});
