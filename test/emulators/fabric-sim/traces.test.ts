import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { TappedPacket } from '../../../emulators/fabric-sim/fabric/tapped-packet.ts';
import {
  type ConnectionMatrix,
  parseConnectionMatrix,
  writeConnectionMatrix,
} from '../../../emulators/fabric-sim/traces/connection-matrix.ts';
import {
  pairTable,
  portsOf,
  routesOf,
  sitesOf,
  topologyOf,
} from '../../../emulators/fabric-sim/traces/fabric-graph.ts';
import {
  compareFct,
  type FctRow,
  parseFct,
  standaloneNs,
  writeFct,
} from '../../../emulators/fabric-sim/traces/fct-file.ts';
import { parseHpccConfig } from '../../../emulators/fabric-sim/traces/hpcc-config.ts';
import { parseHpccFlows, writeHpccFlows } from '../../../emulators/fabric-sim/traces/hpcc-flows.ts';
import { hpccGraph, parseHpccTopology, writeHpccTopology } from '../../../emulators/fabric-sim/traces/hpcc-topology.ts';
import {
  htsimGraph,
  parseHtsimTopology,
  writeHtsimTopology,
} from '../../../emulators/fabric-sim/traces/htsim-topology.ts';
import { pcapOf } from '../../../emulators/fabric-sim/traces/pcap.ts';
import { replayTrace } from '../../../emulators/fabric-sim/traces/replay-trace.ts';
import { settingsOfTrace } from '../../../emulators/fabric-sim/traces/settings-of-trace.ts';
import { slowdownByClass, slowdownBySize } from '../../../emulators/fabric-sim/traces/slowdown.ts';
import { traceOfHpcc, traceOfHtsim, withDelay } from '../../../emulators/fabric-sim/traces/trace.ts';
import { TraceFormatError } from '../../../emulators/fabric-sim/traces/trace-text.ts';
import { trace, type TraceCommand } from '../../../harness/cli/trace.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const REFERENCE = path.resolve(ROOT, '../shared/reference');
const skip = existsSync(REFERENCE) ? false : 'the shared reference files are not here';

const file = (name: string) => ({ name, text: readFileSync(path.join(REFERENCE, name), 'utf8') });
const listed = (folder: string, ending: string) =>
  readdirSync(path.join(REFERENCE, folder))
    .filter(name => name.endsWith(ending))
    .map(name => file(`${folder}/${name}`));

/** Two ToRs with two hosts each under two spines. */
const LEAF_SPINE = `Nodes 4
Tiers 2
Podsize 4
Tier 0
Downlink_speed_Gbps 100
Radix_Down 2
Radix_Up 2
Downlink_Latency_ns 1000
Tier 1
Downlink_speed_Gbps 100
Radix_Down 2
Downlink_Latency_ns 1000
`;

const STAR = `4 1 3
3
0 3 100Gbps 1000ns 0
1 3 100Gbps 1000ns 0
2 3 100Gbps 1000ns 0
`;

const CONFIG = `TOPOLOGY_FILE star.topo
FLOW_FILE some.flow
PACKET_PAYLOAD_SIZE 1000
CC_MODE 1
RP_TIMER 300
ALPHA_RESUME_INTERVAL 1
RATE_DECREASE_INTERVAL 4
EWMA_GAIN 0.00390625
FAST_RECOVERY_TIMES 1
RATE_AI 20Mb/s
RATE_HAI 200Mb/s
HAS_WIN 0
L2_ACK_INTERVAL 1
ACK_HIGH_PRIO 1
BUFFER_SIZE 32
KMAX_MAP 1 100000000000 1600
KMIN_MAP 1 100000000000 400
PMAX_MAP 1 100000000000 0.2
SIMULATOR_STOP_TIME 10.00
`;

t.test('every connection matrix of the reference is read, and written back equal', { skip }, async t => {
  const matrices = listed('sim-workloads/tm', '.cm');
  t.ok(matrices.length >= 11, `${matrices.length} files`);
  for (const { name, text } of matrices) {
    const matrix = parseConnectionMatrix(text, name);
    // perm128_20MB, incast63_2MB, dumb8_50MB: how many flows of how many megabytes.
    const [, pattern, count, megabytes] = /(perm|incast|dumb)(\d+)_(\d+)MB/.exec(name) ?? [];
    t.equal(matrix.connections.length, Number(count), `${name} has ${count} flows`);
    t.ok(
      matrix.connections.every(({ bytes, startPs }) => bytes === Number(megabytes) * 1e6 && startPs === 0),
      name,
    );
    if (pattern === 'perm') t.equal(new Set(matrix.connections.map(({ target }) => target)).size, Number(count), name);
    t.same(parseConnectionMatrix(writeConnectionMatrix(matrix), name), matrix, name);
  }
});

t.test('every fat tree of the reference is wired as its arity says, and written back equal', { skip }, async t => {
  const topologies = listed('sim-workloads/topo', '.topo');
  t.ok(topologies.length >= 9, `${topologies.length} files`);
  // k-ary: k^3/4 hosts, k^2/2 switches in each lower tier, k^2/4 cores; each tier of links has k^3/4.
  const expected: Readonly<Record<string, readonly [nodes: number, links: number]>> = {
    ft128: [128 + 32 + 32 + 16, 3 * 128],
    ft1024: [1024 + 128 + 128 + 64, 3 * 1024],
    ls128: [128 + 2 + 16, 128 + 32],
    dumb16: [16 + 2 + 1, 16 + 2],
  };
  for (const { name, text } of topologies) {
    const topology = parseHtsimTopology(text, name);
    const graph = htsimGraph(topology, name);
    const [, family, gbps] = /(ft\d+|ls\d+|dumb\d+)_(\d+)g/.exec(name) ?? [];
    t.same([graph.nodes.length, graph.links.length], expected[family ?? ''], name);
    t.ok(
      graph.links.every(({ rateBps }) => rateBps === Number(gbps) * 1e9),
      name,
    );
    t.same(parseHtsimTopology(writeHtsimTopology(topology), name), topology, name);
  }
});

t.test('every file of the HPCC family in the reference is read, and written back equal', { skip }, async t => {
  for (const { name, text } of listed('sim-workloads/hpcc', '.topo')) {
    const topology = parseHpccTopology(text, name);
    t.same(parseHpccTopology(writeHpccTopology(topology), name), topology, name);
  }
  for (const { name, text } of listed('sim-workloads/hpcc', '.flow')) {
    const flows = parseHpccFlows(text, name);
    t.equal(writeHpccFlows(flows).trim().split('\n').length, flows.length + 1);
    t.same(parseHpccFlows(writeHpccFlows(flows), name), flows, name);
  }
  const laws = new Set<string>();
  for (const { name, text } of listed('sim-workloads/hpcc', '.conf')) {
    const config = parseHpccConfig(text, name);
    t.same(config.unknown, [], name);
    const trace = traceOfHpcc({
      config: { name, text },
      topology: file('sim-workloads/hpcc/star17.topo'),
      flows: file(`sim-workloads/hpcc/${config.flowFile}`),
    });
    laws.add(trace.fabric.transport.name);
    t.match(name, `_${trace.fabric.transport.name}.conf`);
  }
  t.same([...laws].toSorted(), ['dcqcn', 'dctcp', 'hpcc']);
});

t.test("THEMIS's files give the flows, the RTT and the BDP that the artefact prints", { skip }, async t => {
  for (const [load, flows, inter] of [
    [30, 2133, 1110],
    [50, 3433, 1789],
    [70, 4986, 2611],
  ] as const) {
    const folder = `themis/load-${load}`;
    const trace = traceOfHpcc({
      config: file(`${folder}/config.txt`),
      topology: file(`${folder}/topology.txt`),
      flows: file(`${folder}/flow.txt`),
    });
    t.equal(trace.flows.length, flows);
    t.equal(trace.flows.filter(flow => trace.sites[flow.source] !== trace.sites[flow.target]).length, inter);
    t.same(
      [trace.sites[0], trace.sites[15], trace.sites[16], trace.sites[31]],
      [0, 0, 1, 1],
      'hosts 0 to 15 are one site',
    );
    t.equal(trace.pairs.maxRttNs, 1_012_365);
    t.equal(trace.pairs.maxBdpBytes, 12_654_562);
    t.same(trace.fabric.window, { bytes: 12_654_562, scalesWithRate: true });
    t.equal(trace.notes.filter(note => note.includes('to itself is left out')).length, 2);
    t.equal(trace.graph.links.length, 73, '75 links, two of them to itself');
    // 2 x (6 + 1) us and 365 ns of serialisation.
    const short = withDelay(trace, { a: 's48', b: 's49', delayPs: 1e6 });
    t.equal(short.pairs.maxRttNs, 14_365);
    t.same(short.sites, trace.sites, 'sites stay');
    t.same(
      parseHpccFlows(writeHpccFlows(parseHpccFlows(file(`${folder}/flow.txt`).text, 'a')), 'b'),
      parseHpccFlows(file(`${folder}/flow.txt`).text, 'a'),
    );
  }
});

const TRIGGERED = `# a chain, a fan and a barrier
Nodes 4
Connections 6
Triggers 3

0->1 id 1 start 1e3 size 4096 send_done_trigger 1
1->0 id 2 trigger 1 size 4096 recv_done_trigger 3
0->2 id 3 trigger 1 size 4096 recv_done_trigger 3
2->3 id 4 trigger 3 size 4096 send_done_trigger 2
3->2 id 5 trigger 2 size 4096 prio 7
2->0 id 6 trigger 2 size 4096
trigger id 1 oneshot
trigger id 2 multishot
trigger id 3 barrier count 2
`;

t.test('a matrix with triggers is read as htsim reads it', async t => {
  const matrix = parseConnectionMatrix(TRIGGERED, 'x.cm');
  t.match(matrix, {
    nodes: 4,
    connections: [
      { source: 0, target: 1, id: 1, bytes: 4096, startPs: 1000, trigger: undefined, sendDoneTrigger: 1 },
      { source: 1, target: 0, id: 2, startPs: undefined, trigger: 1, recvDoneTrigger: 3 },
      { id: 3 },
      { id: 4 },
      { id: 5, priority: 7 },
      { id: 6 },
    ],
    triggers: [
      { id: 1, kind: 'oneshot' },
      { id: 2, kind: 'multishot' },
      { id: 3, kind: 'barrier', count: 2 },
    ],
  });
  t.same(parseConnectionMatrix(writeConnectionMatrix(matrix), 'y.cm'), matrix);
  t.equal(parseConnectionMatrix('Nodes 2\nConnections 1\n0->1 start 0\n', 'x').connections[0]?.bytes, Infinity);
});

t.test('what a file has wrong is told with its file, its line and what was expected', async t => {
  const wrong: readonly (readonly [reader: (text: string) => unknown, text: string, said: RegExp])[] = [
    ...(
      [
        ['Nodes 2\nConnections 1\n0->1 id 1 speed 3\n', /^a\.x:3: unknown keyword "speed"; expected one of id, start/],
        ['Nodes 2\nConnections 1\n0->2 start 0\n', /^a\.x:3: "2"; expected a node, a whole number from 0 to 1/],
        ['Nodes 2\nConnections 1\n0->0 start 0\n', /^a\.x:3: "0->0"; expected two different nodes/],
        ['Nodes 2\nConnections 2\n0->1 start 0\n', /^a\.x:2: Connections 2, but the file has 1/],
        ['Nodes 2\nConnections 1\n0->1 id 1\n', /^a\.x:3: neither start nor trigger/],
        ['Nodes 2\nConnections 1\n0->1 id 1 start 0 size\n', /^a\.x:3: the line ends here; expected the value of size/],
        ['Nodes 2\nConnections 1\n0->1 id 1 trigger 4\n', /^a\.x:3: trigger 4 is not declared/],
        ['Nodes 2\nTriggers 1\ntrigger id 1 barrier\n', /^a\.x:3: a barrier without count/],
        [
          'Nodes 2\nConnections 2\nTriggers 1\n0->1 start 0 send_done_trigger 1\n1->0 start 0 send_done_trigger 1\ntrigger id 1 oneshot\n',
          /^a\.x:5: oneshot 1 is activated 2 times; expected at most 1/,
        ],
        ['Edges 2\n', /^a\.x:1: "Edges"; expected Nodes/],
        ['', /^a\.x: no Nodes/],
        ['\u001b[2J 1\n', /^a\.x:1: "\\u001b\[2J"; expected Nodes/],
      ] as const
    ).map(([text, said]) => [(input: string) => parseConnectionMatrix(input, 'a.x'), text, said] as const),
    ...(
      [
        [LEAF_SPINE.replace('Radix_Up 2', 'Radix_Up 1'), /^a\.x: tier 0: radix 2 down and 1 up is not 1:1/],
        [LEAF_SPINE.replace('Tiers 2', 'Tiers 4'), /^a\.x:2: "4"; expected Tiers, a whole number from 2 to 3/],
        [LEAF_SPINE.replace('Radix_Up 2', 'Radix_Sideways 2'), /^a\.x:7: unknown keyword "Radix_Sideways"/],
        [LEAF_SPINE.replace('Radix_Up 2\n', ''), /^a\.x: tier 0 has no radix_up/],
        [LEAF_SPINE.replace('Nodes 4', 'Nodes 5'), /^a\.x: 5 nodes are no multiple of the pod size 4/],
        [`${LEAF_SPINE}Bundle 3\n`, /^a\.x: tier 0 has 2 uplinks/],
      ] as const
    ).map(([text, said]) => [(input: string) => parseHtsimTopology(input, 'a.x'), text, said] as const),
    ...(
      [
        ['4 1 1\n3\n0 3 100Gbps 1000 0\n', /^a\.x:3: "1000"; expected the delay of link 1, a time such as 1000ns/],
        ['4 1 1\n3\n0 3 fast 1000ns 0\n', /^a\.x:3: "fast"; expected the rate of link 1, a rate such as 100Gbps/],
        ['4 1 1\n3\n0 4 1Gbps 1000ns 0\n', /^a\.x:3: "4"; expected a node of link 1 of 1, a whole number from 0 to 3/],
        ['4 1 2\n3\n0 3 1Gbps 1000ns 0\n', /^a\.x:3: the file ends here; expected a node of link 2 of 2/],
        ['4 1 0\n3\nmore\n', /^a\.x:3: "more" after the end/],
        ['4 1 0\n4\n', /^a\.x:2: "4"; expected a switch number from 0 to 3/],
      ] as const
    ).map(([text, said]) => [(input: string) => parseHpccTopology(input, 'a.x'), text, said] as const),
    ...(
      [
        ['1\n0 0 3 100 5 2\n', /^a\.x:2: flow 1 goes from node 0 to itself/],
        ['2\n0 1 3 100 5 2\n0 1 3 100 5 1.5\n', /^a\.x:3: flow 2 starts before flow 1/],
        ['1\n0 1 3 100 0 2\n', /^a\.x:2: "0"; expected the size of flow 1 of 1, a whole number from 1/],
        ['1\n0 1 3 100 5 soon\n', /^a\.x:2: "soon"; expected the start of flow 1 in seconds/],
      ] as const
    ).map(([text, said]) => [(input: string) => parseHpccFlows(input, 'a.x'), text, said] as const),
    ...(
      [
        [CONFIG.replace('CC_MODE 1', 'CC_MODE one'), /^a\.x:4: "one"; expected a count/],
        [CONFIG.replace('KMAX_MAP 1', 'KMAX_MAP 2'), /^a\.x:16: KMAX_MAP has 2 numbers after its count; expected 4/],
        [CONFIG.replace(/KMIN_MAP.*\n/, ''), /^a\.x: KMIN_MAP says nothing for 100000000000 bit\/s/],
        [CONFIG.replace(/FLOW_FILE.*\n/, ''), /^a\.x: no FLOW_FILE; expected it/],
      ] as const
    ).map(([text, said]) => [(input: string) => parseHpccConfig(input, 'a.x'), text, said] as const),
    [input => parseFct(input, 'a.x'), '0b000001 0b000101 1 2 3 4 5\n', /^a\.x:1: 7 columns; expected 8/],
    [input => parseFct(input, 'a.x'), '0b000002 0b000101 1 2 3 4 5 6\n', /^a\.x:1: "0b000002"; expected an address/],
  ];
  for (const [reader, text, said] of wrong) t.throws(() => reader(text), { name: 'TraceFormatError', message: said });
});

t.test('no text makes a reader do anything but read it or name its mistake, in linear time', async t => {
  const readers = [
    parseConnectionMatrix,
    parseHtsimTopology,
    parseHpccTopology,
    parseHpccFlows,
    parseHpccConfig,
    parseFct,
  ];
  const words = fc.constantFrom(
    ...'Nodes Connections Triggers Failures 0->1 1->0 id start size trigger oneshot barrier count Tier Tiers Podsize Radix_Up Bundle 0 1 2 3 4 100 -1 1e9 9999999999999999999 100Gbps 1000ns CC_MODE KMAX_MAP LINK_DOWN FLOW_FILE TOPOLOGY_FILE 0b000001 __proto__ constructor { # \u0000 \u001b[0m'.split(
      ' ',
    ),
  );
  const texts = fc
    .array(fc.tuple(fc.oneof(words, fc.string()), fc.constantFrom(' ', '\n', '\t', '\r\n')), { maxLength: 60 })
    .map(pieces => pieces.flat().join(''));
  for (const reader of readers) {
    fc.assert(
      fc.property(texts, text => {
        try {
          reader(text, 'any');
        } catch (error) {
          if (!(error instanceof TraceFormatError)) throw error;
          // oxlint-disable-next-line no-control-regex
          return error.message.length < 400 && !/[\u0000-\u001f]/.test(error.message);
        }
        return true;
      }),
      { numRuns: 150, seed: 7 },
    );
    const began = performance.now();
    for (const endless of ['9'.repeat(2 ** 22), ' \t'.repeat(2 ** 21), '\n'.repeat(2 ** 21), 'Nodes '.repeat(2 ** 17)])
      t.throws(() => reader(endless, 'long') !== undefined && reader === parseFct && reject(), TraceFormatError);
    t.ok(performance.now() - began < 5000, `${reader.name} took ${Math.round(performance.now() - began)} ms`);
  }
  // Blank text is a file of no completed flow.
  function reject(): never {
    throw new TraceFormatError({ file: '', line: 0, problem: '' });
  }
});

t.test('what is written is read back equal, whatever it is', async t => {
  const matrices: fc.Arbitrary<ConnectionMatrix> = fc
    .array(
      fc.record({
        source: fc.nat(9),
        hop: fc.integer({ min: 1, max: 9 }),
        bytes: fc.integer({ min: 1, max: 2 ** 40 }),
        startPs: fc.nat(2 ** 31 - 1),
      }),
    )
    .map(flows => ({
      nodes: 10,
      triggers: [],
      failures: [],
      connections: flows.map(({ source, hop, bytes, startPs }, i) => ({
        source,
        target: (source + hop) % 10,
        id: i + 1,
        bytes,
        startPs,
        trigger: undefined,
        sendDoneTrigger: undefined,
        recvDoneTrigger: undefined,
        priority: undefined,
        addOn: false,
      })),
    }));
  fc.assert(
    fc.property(matrices, matrix => {
      t.same(parseConnectionMatrix(writeConnectionMatrix(matrix), 'm'), matrix);
    }),
    { numRuns: 30, seed: 7 },
  );
  const link = fc.record({
    a: fc.nat(9),
    b: fc.nat(9),
    rateBps: fc.integer({ min: 1, max: 3.2e12 }),
    delayPs: fc.integer({ min: 0, max: 1e12 }),
    errorRate: fc.constantFrom(0, 1e-4, 0.5, 1e-12),
  });
  fc.assert(
    fc.property(fc.array(link), fc.uniqueArray(fc.nat(9)), (links, switches) => {
      const topology = { nodes: 10, switches, links };
      t.same(parseHpccTopology(writeHpccTopology(topology), 't'), topology);
    }),
    { numRuns: 30, seed: 7 },
  );
  const starts = fc.array(fc.integer({ min: 0, max: 7.2e15 })).map(all => all.toSorted((x, y) => x - y));
  fc.assert(
    fc.property(starts, all => {
      const flows = all.map(startPs => ({ source: 1, target: 2, priority: 3, targetPort: 100, bytes: 5, startPs }));
      t.same(parseHpccFlows(writeHpccFlows(flows), 'f'), flows);
    }),
    { numRuns: 30, seed: 7 },
  );
  const rows = fc.array(
    fc.record({
      source: fc.nat(65535),
      target: fc.nat(65535),
      sourcePort: fc.nat(65535),
      targetPort: fc.nat(65535),
      bytes: fc.maxSafeNat(),
      startNs: fc.maxSafeNat(),
      fctNs: fc.maxSafeNat(),
      standaloneNs: fc.maxSafeNat(),
    }),
  );
  fc.assert(
    fc.property(rows, all => {
      t.same(parseFct(writeFct(all), 'r'), all);
    }),
    { numRuns: 30, seed: 7 },
  );
});

t.test('a leaf-spine goes up by every spine and down by one port', async t => {
  const graph = htsimGraph(parseHtsimTopology(LEAF_SPINE, 'x'), 'x');
  t.same(
    graph.nodes.map(({ name }) => name),
    ['h0', 'h1', 'h2', 'h3', 'tor0', 'tor1', 'agg0', 'agg1'],
  );
  const table = new Map([...routesOf(graph)].map(({ node, target, ports }) => [`${node} ${target}`, ports]));
  t.same(table.get('tor0 h0'), ['h0']);
  t.same(table.get('tor0 h3'), ['agg0', 'agg1']);
  t.same(table.get('agg1 h3'), ['tor1']);
  t.equal(table.size, 4 * 4, 'each of four switches has each of four hosts');
  const without = graph.links.findIndex(({ a, b }) => a === 4 && b === 6);
  const broken = new Map(
    [...routesOf(graph, { down: new Set([without]) })].map(({ node, target, ports }) => [`${node} ${target}`, ports]),
  );
  t.same(broken.get('tor0 h3'), ['agg1']);
  t.same(broken.get('agg0 h0'), ['tor1'], 'the spine that lost its cable goes round by the other ToR');
});

t.test('bundles are parallel ports of one group, and half of a switch latency lies in each cable', async t => {
  const text = LEAF_SPINE.replace(
    'Radix_Down 2\nDownlink_Latency_ns 1000\n',
    'Radix_Down 4\nBundle 2\nDownlink_Latency_ns 1000\n',
  )
    .replace('Podsize 4', 'Podsize 4')
    .replace('Radix_Up 2\nDownlink_Latency_ns 1000', 'Radix_Up 2\nDownlink_Latency_ns 1000\nSwitch_Latency_ns 300')
    .replace(/$/, 'Switch_Latency_ns 500\n');
  const graph = htsimGraph(parseHtsimTopology(text, 'x'), 'x');
  t.same(
    graph.nodes.map(({ name }) => name),
    ['h0', 'h1', 'h2', 'h3', 'tor0', 'tor1', 'agg0'],
  );
  const table = new Map([...routesOf(graph)].map(({ node, target, ports }) => [`${node} ${target}`, ports]));
  t.same(table.get('tor0 h2'), ['agg0', 'agg0.2']);
  t.same(table.get('agg0 h2'), ['tor1', 'tor1.2']);
  // h0, tor0, agg0, tor1, h2: four cables of 1 us, and 300 + 500 + 300 ns in the switches.
  t.equal(pairTable(graph, { payloadBytes: 1 }).facts(0, 2)?.baseRttNs, 2 * (4000 + 1100) + 0);
});

t.test('parallel cables, self loops, sites and spans of an HPCC topology come out as told', async t => {
  const text =
    '5 3 6\n2 3 4\n0 2 100Gbps 1us 0\n1 3 100Gbps 1us 0\n2 4 400Gbps 1us 0\n2 4 400Gbps 1us 0\n4 3 1.6Tbps 0.5ms 0.001\n4 4 1Gbps 1ns 0\n';
  const { graph, notes } = hpccGraph(parseHpccTopology(text, 'x'), 'x');
  t.equal(notes.length, 2);
  t.match(notes[0], /parallel cables/);
  t.match(notes[1], /cable from s4 to itself/);
  t.same(
    portsOf(graph).map(ports => ports.map(({ name }) => name)),
    [['eth0'], ['eth0'], ['h0', 's4', 's4.2'], ['h1', 's4'], ['s2', 's2.2', 's3']],
  );
  const table = new Map([...routesOf(graph)].map(({ node, target, ports }) => [`${node} ${target}`, ports]));
  t.same(table.get('s2 h1'), ['s4', 's4.2']);
  t.same(sitesOf(graph), [0, 1, 0, 1, 0]);
  const topology = topologyOf(graph, { settings: DEFAULT_FABRIC });
  t.same(topology.sites, ['site-1', 'site-2']);
  t.equal(topology.links.length, 4);
  t.match(topology.spans, { 's4:s3--s3:s4': { rate: '1600000000000 b/s' } });
  t.throws(() => hpccGraph(parseHpccTopology('3 1 1\n2\n0 2 1Gbps 1us 0\n', 'x'), 'x'), /Host h1 has 0 cables/);
});

t.test('unknown and repeated keys of a configuration are kept, listed and said', async t => {
  const config = parseHpccConfig(`${CONFIG}THEMIS_WINDOW 5 6 7\nRATE_AI 50Mb/s {the last}\nENABLE_TRACE 1\n`, 'x');
  t.same(config.unknown, [{ key: 'THEMIS_WINDOW', value: '5 6 7', line: 20 }]);
  t.same(config.unused, [{ key: 'ENABLE_TRACE', value: '1', line: 22 }]);
  t.equal(config.rateAiBps, 50e6);
  t.match(config.notes, [/line 20: "THEMIS_WINDOW" is not known/, /line 21 sets "RATE_AI" again/]);
  t.match(config, { bufferBytes: 33_554_432, stopPs: 10e12, rpTimerPs: 300e6, ecn: [{ minBytes: 400_000 }] });
});

t.test('what the simulator can not be told of a configuration is listed', async t => {
  const traceOf = (config: string) =>
    traceOfHpcc({
      config: { name: 'c', text: config },
      topology: { name: 't', text: STAR },
      flows: { name: 'f', text: '1\n0 1 3 100 1000 2\n' },
    });
  const plain = settingsOfTrace(traceOf(CONFIG));
  t.same(plain.differences, []);
  t.equal(plain.overheadBytes, 48);
  t.match(plain.settings, {
    ecn: { min: '400000 B', at: 'dequeue' },
    pfc: { freeShare: 1 / 8 },
    transport: {
      control: 'dcqcn',
      parameters: { increaseTimerPs: 300e6, additiveIncreaseBps: 20e6, varyingWindow: 0 },
      acknowledgementBytes: '60 B',
      acknowledgeEvery: 1,
    },
  });
  t.equal(settingsOfTrace(traceOf(CONFIG.replace('CC_MODE 1', 'CC_MODE 3'))).overheadBytes, 90, 'INT is 42 B');
  // Twice 2 us and twice 80 ns at 100 Gb/s.
  t.match(settingsOfTrace(traceOf(CONFIG.replace('HAS_WIN 0', 'HAS_WIN 1\nVAR_WIN 0'))).settings.roce, {
    window: '52000 B',
  });
  t.match(settingsOfTrace(traceOf(CONFIG.replace('HAS_WIN 0', 'HAS_WIN 1\nVAR_WIN 1'))).settings, {
    roce: { window: undefined },
    transport: { parameters: { fullWindowBytes: 52_000, varyingWindow: 1 } },
  });
  t.match(settingsOfTrace(traceOf(CONFIG.replace('HAS_WIN 0', 'HAS_WIN 1\nGLOBAL_T 0'))).differences, [/GLOBAL_T 0/]);
  t.match(settingsOfTrace(traceOf(CONFIG.replace('CC_MODE 1', 'CC_MODE 3\nMULTI_RATE 1'))).differences, [
    /HAS_WIN 0/,
    /MULTI_RATE 1/,
  ]);
  t.throws(() => settingsOfTrace(traceOf(CONFIG.replace('CC_MODE 1', 'CC_MODE 11'))), /CC_MODE 11 is not here/);
  t.throws(() => traceOf(CONFIG.replace(/RP_TIMER.*\n/, '')), /CC_MODE 1 needs RP_TIMER/);
});

const ROW: FctRow = {
  source: 1,
  target: 0,
  sourcePort: 10_000,
  targetPort: 100,
  bytes: 2_000_000,
  startNs: 2_000_000_000,
  fctNs: 170_091,
  standaloneNs: 171_840,
};

t.test("completion times are the HPCC family's lines, and compare flow by flow", async t => {
  t.equal(writeFct([ROW]), '0b000101 0b000001 10000 100 2000000 2000000000 170091 171840\n');
  t.equal(writeFct([{ ...ROW, source: 300 }]).slice(0, 8), '0b012c01', 'node 300 is 11.1.44.1');
  // 2 MB in 2000 packets of 48 B more, at 100 Gb/s, and 4 us of cables and 160 ns of serialisation.
  const star = { bytes: 2_000_000, payloadBytes: 1000, headerBytes: 48, baseRttNs: 4160, rateBps: 100e9 };
  t.equal(standaloneNs(star), 4160 + 167_680);
  t.equal(standaloneNs({ ...star, bytes: 1001 }), 4160 + 87, '1097 B take 87.76 ns, whole ns are kept');
  const slower = { ...ROW, fctNs: 340_182 };
  const renumbered = { ...ROW, source: 2, sourcePort: 7 };
  const { pairs, onlyTheirs, onlyOurs } = compareFct(
    [ROW, { ...renumbered, sourcePort: 9 }, { ...ROW, bytes: 1 }],
    [renumbered, slower],
  );
  t.same(
    pairs.map(({ difference }) => difference),
    [1, 0],
  );
  t.equal(onlyTheirs[0]?.bytes, 1);
  t.same(onlyOurs, []);
});

t.test('slowdowns are binned by size and split by class', async t => {
  const rows = Array.from({ length: 40 }, (_, i) => ({
    ...ROW,
    source: i % 4,
    target: 2,
    bytes: 1000 * (40 - i),
    standaloneNs: 100,
    fctNs: 100 * (40 - i) - 50,
  })).filter(({ source, target }) => source !== target);
  const bins = slowdownBySize(
    Array.from({ length: 40 }, (_, i) => ({ ...ROW, bytes: i + 1, standaloneNs: 10, fctNs: 5 * i })),
  );
  t.equal(bins.length, 20);
  // Flows 39 and 40: 19 and 19.5 times alone; the median of two is the second, as int(n x 0.5) says.
  t.match(bins.at(-1), { from: 0.95, mostBytes: 40, count: 2, mean: 19.25, p50: 19.5, p99: 19.5 });
  t.match(bins[0], { from: 0, mostBytes: 2, mean: 1 }, 'faster than alone counts as 1');
  const { intra, inter } = slowdownByClass(rows, node => Math.floor(node / 2));
  t.equal(intra?.count, 10, 'from 3 to 2');
  t.equal(inter?.count, 20, 'from 0 and 1 to 2');
  t.equal(slowdownByClass([], () => 0).inter, undefined, 'none is not zero');
});

const PACKET: TappedPacket = {
  atPs: 1_234_567_891_999,
  kind: 'data',
  source: 'h1',
  target: 'h258',
  entropy: 10_001,
  sequence: 8192,
  payloadBytes: 4096,
  wireBytes: 4178,
  ecn: 'ce',
  priority: 3,
  direction: 'out',
};

function captured(packets: readonly TappedPacket[], options: { uncapturedBytes?: number } = {}): Buffer {
  const pieces: Uint8Array[] = [];
  const pcap = pcapOf({
    write: piece => pieces.push(piece),
    hostNumber: name => Number(name.slice(1)),
    mtuBytes: 4096,
    uncapturedBytes: 24,
    ...options,
  });
  for (const packet of packets) pcap.listener(packet);
  pcap.flush();
  t.equal(pcap.packets, packets.length);
  return Buffer.concat(pieces);
}

t.test('a captured packet is the RoCEv2 frame that the standards describe, byte for byte', async t => {
  const hex = (...parts: readonly string[]) => parts.join('').replaceAll(' ', '');
  t.equal(
    captured([PACKET]).toString('hex'),
    hex(
      // pcap, nanoseconds, 2.4, zone 0, accuracy 0, 70 B at most, Ethernet.
      '4d3cb2a1 0200 0400 00000000 00000000 46000000 01000000',
      // 1 s 234567891 ns; 54 B of a frame of 4154 B: 4096 + 14 + 20 + 8 + 12 + 4 (ICRC).
      '01000000 d3 38 fb 0d 36000000 3a100000',
      '0200 0000 0102 0200 0000 0001 0800',
      // IPv4: DSCP 26 and CE; 4140 B; don't fragment; 64 hops; UDP; checksum, the complement of the words' sum eeab; 11.0.1.1 to 11.1.2.1.
      '45 6b 102c 0000 4000 40 11 1154 0b000101 0b010201',
      // UDP 10001 to 4791, 4120 B, no checksum.
      '2711 12b7 1018 0000',
      // BTH: RDMA write middle, default partition, queue pair 10001, PSN 2.
      '07 00 ffff 00002711 00000002',
    ),
  );
});

/** A reader of its own: what the writer wrote, by the pcap and RoCEv2 layouts. */
function read(bytes: Buffer) {
  const packets: Record<string, number | string>[] = [];
  for (let at = 24; at < bytes.length; ) {
    const kept = bytes.readUInt32LE(at + 8);
    const frame = bytes.subarray(at + 16, at + 16 + kept);
    packets.push({
      ns: bytes.readUInt32LE(at) * 1e9 + bytes.readUInt32LE(at + 4),
      kept,
      length: bytes.readUInt32LE(at + 12),
      dscp: frame.readUInt8(15) >> 2,
      ecn: frame.readUInt8(15) & 3,
      ipBytes: frame.readUInt16BE(16),
      port: frame.readUInt16BE(36),
      opcode: kept > 42 ? frame.readUInt8(42) : -1,
      psn: kept >= 54 ? frame.readUIntBE(51, 3) : -1,
      syndrome: kept >= 58 ? frame.readUInt8(54) : -1,
    });
    at += 16 + kept;
  }
  return packets;
}

t.test('ACK, NAK, CNP and datagrams keep their own headers, and short frames their length', async t => {
  const ack: TappedPacket = { ...PACKET, kind: 'ack', payloadBytes: 0, wireBytes: 86, ecn: 'not-ect', priority: 6 };
  const packets = read(
    captured([
      ack,
      { ...ack, kind: 'nak', sequence: 4096 * 2 ** 24 + 4096 },
      { ...ack, kind: 'cnp', wireBytes: 98 },
      { ...ack, kind: 'datagram', wireBytes: 84, priority: 0, ecn: 'ect' },
    ]),
  );
  t.match(packets, [
    { kept: 58, length: 62, opcode: 0x11, psn: 2, syndrome: 0x1f, dscp: 48, ecn: 0, port: 4791, ipBytes: 48 },
    { opcode: 0x11, psn: 1, syndrome: 0x60 },
    { kept: 70, length: 74, opcode: 0x81, syndrome: 0 },
    { kept: 42, length: 60, opcode: -1, port: 9, dscp: 0, ecn: 2 },
  ]);
  const [small] = read(captured([{ ...ack, wireBytes: 60 }], { uncapturedBytes: 0 }));
  t.match(small, { length: 60, kept: 58, ipBytes: 46 }, "the HPCC family's ACK of 60 B stays 60 B");
  const [tiny] = read(captured([{ ...ack, wireBytes: 50 }], { uncapturedBytes: 0 }));
  t.match(tiny, { length: 50, kept: 50 });
  const [train] = read(captured([{ ...PACKET, payloadBytes: 4096 * 32, wireBytes: 4178 * 32 }]));
  t.match(train, { length: 4178 * 32 - 24, ipBytes: 65535 });
  t.equal(read(captured(Array.from({ length: 5000 }, () => PACKET))).length, 5000, 'more than a buffer holds');
});

const tool = ['tshark', 'tcpdump'].find(name => spawnSync(name, ['--version']).status === 0);
t.test(
  'tcpdump or tshark reads the same packets',
  { skip: tool === undefined && 'neither tshark nor tcpdump is installed' },
  async t => {
    const folder = t.testdir({ 'a.pcap': captured([PACKET]) });
    const { stdout } = spawnSync(tool as string, ['-n', '-r', path.join(folder, 'a.pcap')], { encoding: 'utf8' });
    t.match(stdout, /11\.0\.1\.1/);
    t.match(stdout, /11\.1\.2\.1/);
  },
);

function htsim(matrix: string) {
  return traceOfHtsim({ matrix: { name: 'm', text: matrix }, topology: { name: 't', text: LEAF_SPINE } });
}

t.test('one packet takes its serialisation, the cables and an acknowledgement', async t => {
  const { rows, outcomes, endedPs } = replayTrace({
    trace: htsim('Nodes 4\nConnections 1\n0->1 id 1 start 5000000 size 4096\n'),
    seed: 7,
  });
  // 4160 B and an ACK of 64 B, each twice at 100 Gb/s, and two cables there and back of 1 us.
  const fct = 2 * 332_800 + 2 * 5120 + 4e6;
  t.equal(outcomes[0]?.fctPs, fct);
  t.equal(outcomes[0]?.startPs, 5e6);
  t.equal(endedPs, 5e6 + fct);
  t.match(rows, [{ source: 0, target: 1, sourcePort: 10_000, startNs: 5000, standaloneNs: 4000 + 2 * 327 + 332 }]);
});

t.test('triggers start their flows when their flows are done', async t => {
  const { outcomes } = replayTrace({ trace: htsim(TRIGGERED), seed: 7, stopAfterPs: 1e9 });
  const [first, second, third, fourth, fifth] = outcomes.map(({ startPs, fctPs }) => ({
    start: startPs ?? Number.NaN,
    end: (startPs ?? Number.NaN) + (fctPs ?? Number.NaN),
  })) as [Times, Times, Times, Times, Times];
  t.equal(second.start, first.end, 'one shot starts two');
  t.equal(third.start, first.end);
  t.ok(fourth.start < third.end && fourth.start > third.start, 'the barrier waits for the later of two deliveries');
  t.ok(fourth.start > second.start);
  t.equal(fifth.start, fourth.end, 'a multishot starts one flow a time');
  t.same(outcomes[5]?.startPs, undefined, 'and its second was never due');
  t.equal(outcomes[5]?.fctPs, undefined);
});
interface Times {
  readonly start: number;
  readonly end: number;
}

t.test('a stop time ends the run, endless flows run until then, and what did not finish says so', async t => {
  const trace = htsim('Nodes 4\nConnections 2\n0->1 id 1 start 0 size 100000000\n2->3 id 2 start 0\n');
  const seen: number[] = [];
  const replay = replayTrace({
    trace,
    seed: 7,
    stopAfterPs: 50e6,
    onProgress: ({ elapsedPs }) => seen.push(elapsedPs),
  });
  t.equal(replay.endedPs, 50e6);
  t.same(replay.rows, []);
  t.same(
    replay.outcomes.map(({ fctPs }) => fctPs),
    [undefined, undefined],
  );
  t.ok(seen.length >= 900 && seen.at(-1) === 50e6, `${seen.length} reports`);
  t.throws(() => htsim('Nodes 4\nFailures 1\nfailure switch_type TOR switch_id 0 link_id 1\n'), /can not be replayed/);
});

t.test('a link that goes down is routed round, as the configuration says', async t => {
  // Two ways from s2 to s3, by s4 and by s5; the one by s4 goes down after 1 us.
  const topology =
    '6 4 6\n2 3 4 5\n0 2 100Gbps 1us 0\n1 3 100Gbps 1us 0\n2 4 100Gbps 1us 0\n2 5 100Gbps 1us 0\n4 3 100Gbps 1us 0\n5 3 100Gbps 1us 0\n';
  const { network, rows } = replayTrace({
    trace: traceOfHpcc({
      config: { name: 'c', text: `${CONFIG}LINK_DOWN 1 2 4\n` },
      topology: { name: 't', text: topology },
      flows: { name: 'f', text: '2\n0 1 3 100 10000 2.001\n1 0 3 100 10000 2.001\n' },
    }),
    seed: 7,
  });
  t.equal(rows.length, 2);
  t.same(network.routes('s2', 'h1'), ['s5']);
  t.same(network.routes('s4', 'h0'), ['s3'], 's4 goes round');
  t.equal(network.count('s2', 's4').txBytes, 0);
});

t.test('farspan trace replays, compares, and exits as the command line says', async t => {
  const folder = t.testdir({
    'star.conf': CONFIG,
    'star.topo': STAR,
    'some.flow': '2\n0 2 3 100 2000000 2.0\n1 0 3 100 1000 2.0\n',
    // The first twice as fast as 100 Gb/s allows: 2 MB in 85 us.
    'peer.fct': '0b000001 0b000201 10000 100 2000000 2000000000 85000 171840\n',
  });
  const farspan = (...args: readonly string[]) =>
    spawnSync(process.execPath, [path.join(ROOT, 'bin/farspan.js'), 'trace', ...args], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
    });
  const done = farspan('--hpcc', 'star.conf', '--fct', 'ours.fct', '--compare', 'peer.fct', '--within', '50%');
  t.match(done.stdout, /2 flows, all finished/);
  t.match(done.stdout, /0->2:100 +2000000 +85\.000 +171\.\d{3} +\+10[12]\.\d\d %/);
  t.match(done.stdout, /1 flows of this trace are not in peer\.fct/);
  t.match(done.stdout, /The means differ by \+10[12]\.\d+ %; 50\.00 % is allowed/);
  t.equal(done.status, 1, done.stderr);
  const rows = parseFct(readFileSync(path.join(folder, 'ours.fct'), 'utf8'), 'ours.fct');
  t.match(rows, [
    { source: 1, target: 0, bytes: 1000 },
    { source: 0, target: 2, bytes: 2_000_000, standaloneNs: 171_840 },
  ]);
  const fast = farspan('--hpcc', 'star.conf', '--compare', 'peer.fct', '--within', '200%');
  t.equal(fast.status, 2, 'means agree, but of one flow of two');
  t.match(fast.stdout, /1 flows have nothing to be compared with, so nothing is concluded/);
  const over = farspan('--hpcc', 'star.conf', '--compare', 'peer.fct', '--fct', path.join('.', 'peer.fct'));
  t.equal(over.status, 5, "the peer's times are not written over");
  t.match(over.stderr, /peer\.fct is read here too/);
  const nowhere = farspan('--hpcc', 'star.conf', '--fct', 'none/ours.fct');
  t.equal(nowhere.status, 7);
  t.match(nowhere.stderr, /none\/ours\.fct can not be written: ENOENT/);
  t.notMatch(nowhere.stdout, /flows/, 'told before the run, not after it');
  // Read, it would never end.
  const endless = farspan('--hpcc', 'star.conf', '--compare', '/dev/zero');
  t.equal(endless.status, 5);
  t.match(endless.stderr, /\/dev\/zero is no file/);
  const missing = farspan('--hpcc', 'none.conf');
  t.equal(missing.status, 5);
  t.match(missing.stderr, /^farspan: none\.conf is not there\./m);
  const options = { pcap: [], delay: [], seed: 7, seeds: 1, train: 1 };
  const refused: readonly (readonly [Partial<TraceCommand>, RegExp])[] = [
    [{}, /name one workload/],
    [{ hpcc: 'a', htsim: 'b', topo: 'c' }, /name one workload/],
    [{ htsim: 'b' }, /--htsim needs --topo/],
    [{ hpcc: 'a', pfc: '1,2' }, /are for --htsim/],
    [{ hpcc: 'a', within: '3%' }, /--within needs --compare/],
    [{ hpcc: 'a', compare: 'b', within: '3' }, /--within 3: write percent/],
    [{ hpcc: 'a', stop: '30' }, /--stop 30: write a time/],
    [{ htsim: 'a', topo: 'b', pfc: '15,12' }, /--pfc 15,12: write LOW,HIGH/],
  ];
  for (const [command, said] of refused)
    await t.rejects(trace({ ...options, ...command }), { name: 'UsageError', message: said });
});
