import { loadavg } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createFabricSim } from '../emulators/fabric-sim/create-fabric-sim.ts';
import { createNetwork } from '../emulators/fabric-sim/fabric/create-network.ts';
import { DEFAULT_FABRIC } from '../harness/model/fabric-settings.ts';
import type { Granularity } from '../harness/model/granularity.ts';
import { cable, type Host, type Link, type SwitchNode, type Topology } from '../harness/model/topology.ts';
import type { Size } from '../harness/model/units.ts';
import { twoSites } from '../scenarios/topologies/two-sites.ts';
import { measureChild } from './peers.ts';

/*
 * What size costs. Each line is a process of its own, so memory is its own too.
 *
 *   npx tsx bench/scale.ts                    permutations from 16 to 8,192 hosts at 400 Gb/s, the same packet-hops each; DCQCN off and on
 *   npx tsx bench/scale.ts --two-sites 16     1,024 GPUs in two sites 100 km apart, hierarchical all-reduce of 16 MiB:
 *                                             packet by packet, in trains and at flow level; --skip packet for messages that would take hours
 */

const { values } = parseArgs({
  options: {
    /** What a child of this program runs: JSON. */
    one: { type: 'string' },
    'two-sites': { type: 'string' },
    skip: { type: 'string', default: '' },
    hosts: { type: 'string', default: '16,128,1024,8192' },
  },
});

/** Leaves, hosts of each and spines: no leaf is oversubscribed. */
const SHAPES: Readonly<Record<number, { readonly leaves: number; readonly perLeaf: number; readonly spines: number }>> =
  {
    16: { leaves: 4, perLeaf: 4, spines: 4 },
    128: { leaves: 16, perLeaf: 8, spines: 8 },
    1024: { leaves: 32, perLeaf: 32, spines: 32 },
    8192: { leaves: 128, perLeaf: 64, spines: 64 },
  };
const MOST_HOSTS = 8192;
/** Of one flow among 8,192; fewer hosts send more each. */
const MESSAGE_BYTES = 1e6;

interface Permutation {
  readonly kind: 'permutation';
  readonly hosts: number;
  readonly dcqcn: boolean;
}

interface AllReduce {
  readonly kind: 'all-reduce';
  readonly mebibytes: number;
  readonly granularity: Granularity;
}

interface Result {
  readonly hops: number;
  readonly events: number;
  readonly buildCpuS: number;
  readonly buildRssBytes: number;
  readonly advanceCpuS: number;
  readonly advanceWallS: number;
  readonly peakRssBytes: number;
  readonly virtualUs: number;
}

const cpuSeconds = (since?: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
};

function leafSpine({ hosts: count, dcqcn }: Permutation): Topology {
  const shape = SHAPES[count];
  if (shape === undefined) throw new RangeError(`${count} hosts: ${Object.keys(SHAPES).join(', ')} have shapes.`);
  const { leaves, perLeaf, spines } = shape;
  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  const links: Link[] = [];
  for (let leaf = 0; leaf < leaves; leaf++) {
    switches.push({ kind: 'switch', name: `leaf${leaf}`, site: 'a', role: 'leaf' });
    for (let i = 0; i < perLeaf; i++) {
      const name = `h${leaf * perLeaf + i}`;
      hosts.push({ kind: 'host', name, site: 'a' });
      links.push(cable({ node: name, port: 'eth0' }, { node: `leaf${leaf}`, port: `down${i}` }, '400 Gb/s', '20 m'));
    }
    for (let spine = 0; spine < spines; spine++)
      links.push(
        cable(
          { node: `leaf${leaf}`, port: `up${spine}` },
          { node: `spine${spine}`, port: `down${leaf}` },
          '400 Gb/s',
          '20 m',
        ),
      );
  }
  for (let spine = 0; spine < spines; spine++)
    switches.push({ kind: 'switch', name: `spine${spine}`, site: 'a', role: 'spine' });
  const settings = { ...DEFAULT_FABRIC, dcqcn: dcqcn ? DEFAULT_FABRIC.dcqcn : null };
  return { name: 'leaf-spine', sites: ['a'], hosts, switches, links, spans: {}, settings };
}

function permutation(one: Permutation): Result {
  const { hosts } = one;
  const { leaves, perLeaf, spines } = SHAPES[hosts] as (typeof SHAPES)[number];
  const begun = process.cpuUsage();
  const network = createNetwork({ topology: leafSpine(one), seed: 1, trainPackets: 1 });
  const up = Array.from({ length: spines }, (_, spine) => `up${spine}`);
  for (let target = 0; target < hosts; target++) {
    const home = Math.floor(target / perLeaf);
    for (let leaf = 0; leaf < leaves; leaf++)
      network.setRoute(`leaf${leaf}`, `h${target}`, leaf === home ? [`down${target % perLeaf}`] : up);
    for (let spine = 0; spine < spines; spine++) network.setRoute(`spine${spine}`, `h${target}`, [`down${home}`]);
  }
  // i -> (a i + 1) mod hosts with a = 1 mod 4 is a permutation, and a - 1 even while 1 is odd leaves nobody to himself.
  const factor = 4 * Math.floor(0.1545 * hosts) + 1;
  let left = hosts;
  for (let i = 0; i < hosts; i++)
    network.flow({
      source: `h${i}`,
      target: `h${(factor * i + 1) % hosts}`,
      bytes: (MESSAGE_BYTES * MOST_HOSTS) / hosts,
      entropy: 49_152 + (i % 16_384),
      onAcknowledged: () => --left === 0 && network.stop(),
    });
  const buildCpuS = cpuSeconds(begun);
  const buildRssBytes = process.memoryUsage().rss;
  const before = process.cpuUsage();
  const wall = performance.now();
  network.advance(1e15);
  if (left > 0) throw new Error(`${left} flows have not ended.`);
  return {
    hops: network.hops,
    events: network.events,
    buildCpuS,
    buildRssBytes,
    advanceCpuS: cpuSeconds(before),
    advanceWallS: (performance.now() - wall) / 1000,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    virtualUs: network.nowPs / 1e6,
  };
}

/** 512 GPUs a site, 32 a leaf; 8 spines a site, each with a span of 100 km at 1.6 Tb/s to the other's. */
function allReduce({ mebibytes, granularity }: AllReduce): Result {
  const begun = process.cpuUsage();
  const span = { length: '100 km', rate: '1600 Gb/s' } as const;
  const topology = twoSites({
    ranksPerSite: 512,
    hosts: '400 Gb/s',
    uplinks: '400 Gb/s',
    hostsPerLeaf: 32,
    spans: Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`span${i + 1}`, span])),
  });
  const sim = createFabricSim({ topology, seed: 7, trainPackets: 1, granularity });
  const buildCpuS = cpuSeconds(begun);
  const buildRssBytes = process.memoryUsage().rss;
  const before = process.cpuUsage();
  const wall = performance.now();
  const bytes: Size = `${mebibytes} MiB`;
  const job = sim.startJob({ kind: 'all-reduce', algorithm: 'hierarchical', bytes });
  sim.advance(3600e12, { job, rounds: 1 });
  const round = job.rounds[0];
  if (!round) throw new Error('The round has not ended.');
  return {
    hops: sim.hops,
    events: 0,
    buildCpuS,
    buildRssBytes,
    advanceCpuS: cpuSeconds(before),
    advanceWallS: (performance.now() - wall) / 1000,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    virtualUs: (round.endNs - round.beginNs) / 1000,
  };
}

async function inChild(one: Permutation | AllReduce): Promise<Result> {
  let line = '';
  await measureChild({
    command: process.execPath,
    args: ['--import', 'tsx', 'bench/scale.ts', '--one', JSON.stringify(one)],
    folder: path.resolve(import.meta.dirname, '..'),
    deadlineMs: 3_600_000,
    onLine: text => (line = text),
  });
  return JSON.parse(line) as Result;
}

const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
const head = (cells: readonly string[]): void => console.log(`${row(cells)}\n${row(cells.map(() => '---'))}`);
const mega = (value: number, digits = 0): string => (value / 1e6).toFixed(digits);

async function permutations(sizes: readonly number[]): Promise<void> {
  head([
    'hosts',
    'DCQCN',
    'M hops',
    'events/hop',
    'build CPU s',
    'built MB',
    'CPU s',
    'ns/hop',
    'to 16 hosts',
    'peak MB',
    'last us',
  ]);
  for (const dcqcn of [false, true]) {
    let smallest: number | undefined;
    for (const hosts of sizes) {
      const of = await inChild({ kind: 'permutation', hosts, dcqcn });
      const nsPerHop = (of.advanceCpuS * 1e9) / of.hops;
      smallest ??= nsPerHop;
      console.log(
        row([
          hosts,
          dcqcn ? 'on' : 'off',
          mega(of.hops, 2),
          (of.events / of.hops).toFixed(2),
          of.buildCpuS.toFixed(2),
          mega(of.buildRssBytes),
          of.advanceCpuS.toFixed(2),
          nsPerHop.toFixed(0),
          (nsPerHop / smallest).toFixed(2),
          mega(of.peakRssBytes),
          of.virtualUs.toFixed(1),
        ]),
      );
    }
  }
}

async function twoSiteModes(mebibytes: number): Promise<void> {
  head(['granularity', 'all-reduce us', 'to packet', 'M hops', 'build CPU s', 'CPU s', 'wall s', 'peak MB']);
  let exactUs = Number.NaN;
  for (const granularity of ['packet', 'train:8', 'train:64', 'flow'] as const) {
    if (values.skip.split(',').includes(granularity)) continue;
    const of = await inChild({ kind: 'all-reduce', mebibytes, granularity });
    if (granularity === 'packet') exactUs = of.virtualUs;
    const error = Number.isNaN(exactUs) ? '-' : `${((of.virtualUs / exactUs - 1) * 100).toFixed(2)} %`;
    console.log(
      row([
        granularity,
        of.virtualUs.toFixed(1),
        error,
        mega(of.hops, 2),
        of.buildCpuS.toFixed(2),
        of.advanceCpuS.toFixed(2),
        of.advanceWallS.toFixed(2),
        mega(of.peakRssBytes),
      ]),
    );
  }
}

if (values.one !== undefined) {
  const one = JSON.parse(values.one) as Permutation | AllReduce;
  console.log(JSON.stringify(one.kind === 'permutation' ? permutation(one) : allReduce(one)));
} else {
  console.log(`load average ${(loadavg()[0] as number).toFixed(1)}`);
  if (values['two-sites'] !== undefined) await twoSiteModes(Number(values['two-sites']));
  else await permutations(values.hosts.split(',').map(Number));
  console.log(`load average ${(loadavg()[0] as number).toFixed(1)}`);
}
