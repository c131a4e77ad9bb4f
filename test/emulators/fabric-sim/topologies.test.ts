import t from 'tap';
import { ControlPlane } from '../../../emulators/fabric-sim/control/control-plane.ts';
import { createFabricSim } from '../../../emulators/fabric-sim/create-fabric-sim.ts';
import { createNetwork } from '../../../emulators/fabric-sim/fabric/create-network.ts';
import type { Network } from '../../../emulators/fabric-sim/fabric/network.ts';
import { standing } from '../../../harness/loads/standing.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import { fatTree } from '../../../scenarios/topologies/fat-tree.ts';
import { joinedSites } from '../../../scenarios/topologies/joined-sites.ts';
import { oneSite } from '../../../scenarios/topologies/one-site.ts';
import { railOptimised } from '../../../scenarios/topologies/rail-optimised.ts';

const MS = 1e9;
/** Longer than detection, every hop and FIB update of these fabrics, with 1000 km spans. */
const SETTLED_PS = 300 * MS;

interface Routed {
  readonly topology: Topology;
  readonly network: Network;
  readonly control: ControlPlane;
  cut(span: string): void;
  heal(span: string): void;
}

function routed(topology: Topology): Routed {
  const network = createNetwork({ topology, seed: 1, trainPackets: 1 });
  const control = new ControlPlane({
    topology,
    settings: topology.settings.controlPlane,
    network,
    onEvent: () => undefined,
  });
  const set = (span: string, on: boolean) => {
    for (const direction of ['a-to-b', 'b-to-a'] as const) network.setSpan(span, direction, { passing: on, light: on });
    control.spanChanged(span);
  };
  return { topology, network, control, cut: span => set(span, false), heal: span => set(span, true) };
}

/** Every way that tables allow between two hosts, as nodes; a way that comes back to a node ends in `loop`, one without a route in `void`. */
function ways({ topology, network }: Routed, source: string, target: string): readonly (readonly string[])[] {
  const cables = [...topology.links, ...Object.values(topology.spans)];
  const peers = new Map(
    cables.flatMap(({ ends: [a, b] }) => [
      [`${a.node} ${a.port}`, b.node] as const,
      [`${b.node} ${b.port}`, a.node] as const,
    ]),
  );
  const far = (node: string, port: string) => peers.get(`${node} ${port}`) ?? '';
  const isHost = new Set(topology.hosts.map(({ name }) => name));
  const found: string[][] = [];
  const walk = (way: readonly string[]): void => {
    const node = way.at(-1) as string;
    if (node === target) found.push([...way]);
    else if (way.indexOf(node) < way.length - 1) found.push([...way, 'loop']);
    else {
      const ports = isHost.has(node) ? network.ports(node) : network.routes(node, target);
      if (ports.length === 0) found.push([...way, 'void']);
      for (const port of ports) walk([...way, far(node, port)]);
    }
  };
  walk([source]);
  return found;
}

/** `6x4`: four ways of six cables between the two hosts. */
function shape(fabric: Routed, source: string, target: string): string {
  const found = ways(fabric, source, target);
  const wrong = found.find(way => way.at(-1) !== target);
  if (wrong) return wrong.join(' > ');
  const lengths = new Set(found.map(way => way.length - 1));
  return `${[...lengths].join('/')}x${found.length}`;
}

/** How many pairs of hosts have each shape. */
function census(fabric: Routed): Record<string, number> {
  const counted: Record<string, number> = {};
  for (const { name: source } of fabric.topology.hosts)
    for (const { name: target } of fabric.topology.hosts) {
      if (source === target) continue;
      const found = shape(fabric, source, target);
      counted[found] = (counted[found] ?? 0) + 1;
    }
  return counted;
}

t.test('a leaf-spine site has as many ways of four cables as spines', async t => {
  const site = routed(oneSite({ leaves: 3, hostsPerLeaf: 2, spines: 4, hosts: '100 Gb/s', uplinks: '100 Gb/s' }));
  // 6 hosts: each has 1 neighbour on its leaf and 4 elsewhere.
  t.same(census(site), { '2x1': 6, '4x4': 24 });
});

t.test('a fat tree of 4-port switches has 16 hosts and the paths of Al-Fares et al.', async t => {
  const topology = fatTree({ k: 4, rate: '100 Gb/s' });
  t.equal(topology.hosts.length, 16, 'k^3/4 hosts');
  t.equal(topology.switches.length, 20, '5 k^2/4 switches');
  t.equal(topology.links.length, 48, '3 k^3/4 cables');
  const tree = routed(topology);
  for (const { name } of topology.switches) t.equal(tree.control.ports(name).length, 4, `${name} has k ports`);
  // Of each host: 1 on its edge switch, 2 in its pod by k/2 ways, 12 in other pods by (k/2)^2 ways.
  t.same(census(tree), { '2x1': 16, '4x2': 32, '6x4': 192 });

  t.test('and loses one core’s ways with one cable', async t => {
    tree.control.setAdmin('pod1-agg-1', 'up1', false);
    tree.network.advance(tree.network.nowPs + SETTLED_PS);
    // All of pod 1's pairs, 4 x 12 both ways, had core-1-1 for one of four ways.
    t.same(census(tree), { '2x1': 16, '4x2': 32, '6x3': 96, '6x4': 96 });
  });

  t.test('and uses the other aggregation switch when an edge switch loses one', async t => {
    tree.control.setAdmin('pod1-agg-1', 'up1', true);
    tree.network.advance(tree.network.nowPs + SETTLED_PS);
    t.same(census(tree), { '2x1': 16, '4x2': 32, '6x4': 192 }, 'all is as before');
    tree.control.setAdmin('pod1-edge-1', 'up1', false);
    tree.network.advance(tree.network.nowPs + SETTLED_PS);
    // The 2 hosts of that edge: 2 x 2 pairs in the pod and 2 x 12 outside, both ways, over one of two aggregation switches.
    t.same(census(tree), { '2x1': 16, '4x1': 8, '4x2': 24, '6x2': 48, '6x4': 144 });
  });
});

t.test('a fat tree refuses odd ports', async t => {
  t.throws(() => fatTree({ k: 3, rate: '100 Gb/s' }), { message: /3 ports/ });
});

t.test('rails keep a GPU index on one switch, and spines join the rails', async t => {
  const topology = railOptimised({ nodes: 3, gpusPerNode: 4, spines: 2, hosts: '100 Gb/s', uplinks: '400 Gb/s' });
  const rails = routed(topology);
  // 12 GPUs: 2 others on the own rail, 9 on the three other rails over either spine.
  t.same(census(rails), { '2x1': 24, '4x2': 108 });
  t.equal(shape(rails, 'node-1-gpu-3', 'node-3-gpu-3'), '2x1');
  t.same(
    ways(rails, 'node-1-gpu-1', 'node-1-gpu-2').map(way => way.length),
    [5, 5],
    'a node’s GPUs meet in the fabric',
  );

  const apart = routed(railOptimised({ nodes: 2, gpusPerNode: 2, spines: 0, hosts: '100 Gb/s', uplinks: '400 Gb/s' }));
  t.equal(shape(apart, 'node-1-gpu-1', 'node-2-gpu-1'), '2x1');
  t.match(shape(apart, 'node-1-gpu-1', 'node-1-gpu-2'), / > void$/, 'without spines rails are apart');
});

const SITE = {
  span: { length: '100 km', rate: '400 Gb/s' },
  ranksPerSite: 4,
  hostsPerLeaf: 2,
  hosts: '100 Gb/s',
  uplinks: '400 Gb/s',
} as const;
const at = (site: string) => `${site}-host-1`;
/** Borders on the ways between two sites' first hosts. */
const sitesBetween = (fabric: Routed, a: string, b: string) =>
  ways(fabric, at(a), at(b)).map(way =>
    way
      .filter(node => node.endsWith('-border') || node === 'loop' || node === 'void')
      .map(node => node.replace('-border', ''))
      .join(' '),
  );

t.test('sites in a line are reached through those between, and parted by a cut', async t => {
  const topology = joinedSites({ ...SITE, sites: ['a', 'b', 'c', 'd'], shape: 'line', spines: 1 });
  t.same(Object.keys(topology.spans), ['a-b', 'b-c', 'c-d']);
  // @ts-expect-error -- the compiler knows a line's spans
  t.equal(topology.spans['a-c'], undefined);
  const line = routed(topology);
  // In a site: 1 on the own leaf, 2 on the other by border or spine. To other sites, 4 hosts each: cables = 4 and one a span.
  t.same(census(line), { '2x1': 16, '4x2': 32, '5x1': 96, '6x1': 64, '7x1': 32 });
  line.cut('b-c');
  line.network.advance(SETTLED_PS);
  t.match(shape(line, at('a'), at('d')), / > void$/, 'no way is left');
  t.equal(shape(line, at('a'), at('b')), '5x1');
  t.equal(shape(line, at('d'), at('c')), '5x1');
  line.heal('b-c');
  line.network.advance(2 * SETTLED_PS);
  t.equal(shape(line, at('a'), at('d')), '7x1', 'healed');
});

t.test('sites in a ring go the shorter way, and the other when a span is cut', async t => {
  const topology = joinedSites({ ...SITE, sites: ['a', 'b', 'c', 'd'], shape: 'ring' });
  t.same(Object.keys(topology.spans), ['a-b', 'b-c', 'c-d', 'd-a']);
  const ring = routed(topology);
  // Opposite sites have two ways of two spans.
  t.same(census(ring), { '2x1': 16, '4x1': 32, '5x1': 128, '6x2': 64 });
  ring.cut('a-b');
  ring.network.advance(SETTLED_PS);
  t.same(sitesBetween(ring, 'a', 'b'), ['a d c b']);
  t.same(sitesBetween(ring, 'b', 'a'), ['b c d a']);
  t.same(sitesBetween(ring, 'a', 'c'), ['a d c']);
  // Now a line b c d a: three pairs of neighbours, two at two spans, one at three; 16 pairs of hosts each, both ways.
  t.same(census(ring), { '2x1': 16, '4x1': 32, '5x1': 96, '6x1': 64, '7x1': 32 });
  ring.heal('a-b');
  ring.network.advance(2 * SETTLED_PS);
  t.same(census(ring), { '2x1': 16, '4x1': 32, '5x1': 128, '6x2': 64 }, 'healed');
});

t.test('a ring of three and a mesh never loop on their way to new tables', async t => {
  for (const fabric of [
    routed(joinedSites({ ...SITE, sites: ['a', 'b', 'c'], shape: 'ring' })),
    routed(joinedSites({ ...SITE, sites: ['a', 'b', 'c', 'd'], shape: 'mesh' })),
  ]) {
    const { sites, name } = fabric.topology;
    fabric.cut('a-b');
    const seen = new Set<string>();
    for (let ms = 0; ms <= 60; ms++) {
      fabric.network.advance(ms * MS);
      for (const a of sites)
        for (const b of sites)
          if (a !== b && ways(fabric, at(a), at(b)).some(way => way.at(-1) === 'loop'))
            seen.add(`${a} ${b} at ${ms} ms`);
    }
    t.same([...seen], [], name);
    t.same(
      sitesBetween(fabric, 'a', 'b').toSorted(),
      sites.slice(2).map(via => `a ${via} b`),
      `${name}: all detours of one site are used`,
    );
  }
});

t.test('a mesh has a span for each pair, and survives the loss of all but a chain', async t => {
  const topology = joinedSites({
    ...SITE,
    sites: ['a', 'b', 'c', 'd'],
    shape: 'mesh',
    spans: { 'a-d': { length: '1000 km' } },
  });
  t.same(Object.keys(topology.spans), ['a-b', 'a-c', 'a-d', 'b-c', 'b-d', 'c-d']);
  t.same(
    [topology.spans['a-d'].length, topology.spans['a-d'].rate, topology.spans['b-d'].length],
    ['1000 km', '400 Gb/s', '100 km'],
  );
  const mesh = routed(topology);
  t.same(census(mesh), { '2x1': 16, '4x1': 32, '5x1': 192 });
  for (const span of ['a-d', 'a-c', 'b-d']) mesh.cut(span);
  mesh.network.advance(SETTLED_PS);
  t.same(sitesBetween(mesh, 'a', 'd'), ['a b c d']);
  mesh.cut('b-c');
  mesh.network.advance(2 * SETTLED_PS);
  t.match(sitesBetween(mesh, 'a', 'd').join(), /void/);
});

t.test('sites that can not be joined so are refused', async t => {
  t.throws(() => joinedSites({ ...SITE, sites: ['a', 'b'], shape: 'ring' }), { message: /line/ });
  t.throws(() => joinedSites({ ...SITE, sites: ['a', 'a'], shape: 'line' }), { message: /different/ });
});

t.test('an asymmetric span is longer one way, for packets, the roofline and routing alike', async t => {
  const topology = joinedSites({
    ...SITE,
    sites: ['a', 'b'],
    shape: 'line',
    span: { length: '100 km', rate: '400 Gb/s', asymmetry: '50 us' },
  });
  const { network } = routed(topology);
  // 100 km x 1.4682 / c = 489.739 us.
  const thereUs = network.span('a-b', 'a-to-b').delayPs / 1e6;
  const backUs = network.span('a-b', 'b-to-a').delayPs / 1e6;
  t.ok(Math.abs(backUs - 489.739) < 0.001, `${backUs} us back`);
  t.ok(Math.abs(thereUs - 539.739) < 0.001, `${thereUs} us there`);
  const on = standing(topology, []);
  const difference = (on.delayNs(at('a'), at('b')) ?? 0) - (on.delayNs(at('b'), at('a')) ?? 0);
  t.ok(Math.abs(difference - 50_000) < 1e-3, `the roofline knows ${difference} ns`);

  // One message each way: equal but for the asymmetry.
  const sim = createFabricSim({ topology, seed: 1, trainPackets: 1 });
  t.equal(sim.span('a-b', 'a-to-b').delayPs - sim.span('a-b', 'b-to-a').delayPs, 50e6);
  const arrived: number[] = [];
  for (const [source, target] of [
    [at('a'), at('b')],
    [at('b'), at('a')],
  ] as const)
    network.flow({ source, target, bytes: 4096, entropy: 1, onDelivered: () => arrived.push(network.nowPs) });
  network.advance(2 * MS);
  t.equal((arrived[1] ?? 0) - (arrived[0] ?? 0), 50e6);

  const reversed = { ...topology, spans: { 'a-b': { ...topology.spans['a-b'], asymmetry: '-1 us' as const } } };
  t.throws(() => routed(reversed), { message: /swap its ends/ });
});
