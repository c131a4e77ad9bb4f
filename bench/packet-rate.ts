import { createNetwork } from '../emulators/fabric-sim/fabric/create-network.ts';
import type { Network } from '../emulators/fabric-sim/fabric/network.ts';
import { DEFAULT_FABRIC } from '../harness/model/fabric-settings.ts';
import type { Host, Link, SwitchNode, Topology } from '../harness/model/topology.ts';

/*
 * Packet-hops per CPU second of the data plane on two fixed workloads, with and without DCQCN, single packets and trains of 8.
 * Peer: htsim_roce (csg-htsim, C++) does 1.25 M on the same incast and 1.19 M on a permutation of 128 hosts (docs of the study).
 *
 *   npx tsx bench/packet-rate.ts
 */

const RATE = '100 Gb/s';

/** One switch, `hosts` hosts; or leaves of 8 hosts under 8 spines. */
function fabric(
  hosts: number,
  leafSpine: boolean,
  dcqcn: boolean,
): { topology: Topology; routes: (network: Network) => void } {
  const links: Link[] = [];
  const host = (i: number): Host => ({ kind: 'host', name: `h${i}`, site: 'a' });
  const cable = (a: string, aPort: string, b: string, bPort: string) =>
    links.push({
      kind: 'link',
      name: `${a}:${aPort}`,
      ends: [
        { node: a, port: aPort },
        { node: b, port: bPort },
      ],
      rate: RATE,
      length: '200 m',
    });
  const perLeaf = leafSpine ? 8 : hosts;
  const leaves = hosts / perLeaf;
  const spines = leafSpine ? 8 : 0;
  const switches: SwitchNode[] = [];
  for (let leaf = 0; leaf < leaves; leaf++) {
    switches.push({ kind: 'switch', name: `l${leaf}`, site: 'a', role: 'leaf' });
    for (let i = 0; i < perLeaf; i++) cable(`h${leaf * perLeaf + i}`, 'eth0', `l${leaf}`, `d${i}`);
    for (let spine = 0; spine < spines; spine++) cable(`l${leaf}`, `u${spine}`, `s${spine}`, `d${leaf}`);
  }
  for (let spine = 0; spine < spines; spine++)
    switches.push({ kind: 'switch', name: `s${spine}`, site: 'a', role: 'spine' });
  const topology: Topology = {
    name: 'bench',
    sites: ['a'],
    hosts: Array.from({ length: hosts }, (_, i) => host(i)),
    switches,
    links,
    spans: {},
    settings: { ...DEFAULT_FABRIC, dcqcn: dcqcn ? DEFAULT_FABRIC.dcqcn : null },
  };
  const up = Array.from({ length: spines }, (_, spine) => `u${spine}`);
  return {
    topology,
    routes(network) {
      for (let target = 0; target < hosts; target++) {
        const home = Math.floor(target / perLeaf);
        for (let leaf = 0; leaf < leaves; leaf++)
          network.setRoute(`l${leaf}`, `h${target}`, leaf === home ? [`d${target % perLeaf}`] : up);
        for (let spine = 0; spine < spines; spine++) network.setRoute(`s${spine}`, `h${target}`, [`d${home}`]);
      }
    },
  };
}

interface Workload {
  readonly name: string;
  readonly hosts: number;
  readonly leafSpine: boolean;
  readonly bytes: number;
  /** Target of host i, or undefined when it only receives. */
  readonly target: (host: number) => number | undefined;
}

const WORKLOADS: readonly Workload[] = [
  { name: 'incast 63 to 1', hosts: 64, leafSpine: false, bytes: 60e6, target: i => (i === 0 ? undefined : 0) },
  { name: 'permutation 128', hosts: 128, leafSpine: true, bytes: 20e6, target: i => (i + 37) % 128 },
];

console.log('workload          train  dcqcn     M packet-hops  CPU s  M packet-hops/s');
for (const { name, hosts, leafSpine, bytes, target } of WORKLOADS) {
  for (const dcqcn of [false, true]) {
    for (const trainPackets of [1, 8]) {
      const { topology, routes } = fabric(hosts, leafSpine, dcqcn);
      const network = createNetwork({ topology, seed: 1, trainPackets });
      routes(network);
      let left = 0;
      for (let i = 0; i < hosts; i++) {
        const to = target(i);
        if (to === undefined) continue;
        left++;
        network.flow({
          source: `h${i}`,
          target: `h${to}`,
          bytes,
          entropy: 49152 + i,
          onAcknowledged: () => --left === 0 && network.stop(),
        });
      }
      const before = process.cpuUsage();
      network.advance(1e12);
      const { user, system } = process.cpuUsage(before);
      const seconds = (user + system) / 1e6;
      const unfinished = left > 0 ? `  (${left} flows unfinished)` : '';
      console.log(
        `${name.padEnd(17)} ${String(trainPackets).padStart(5)}  ${String(dcqcn).padEnd(8)} ${(network.hops / 1e6).toFixed(2).padStart(14)} ${seconds.toFixed(2).padStart(6)} ${(network.hops / seconds / 1e6).toFixed(2).padStart(16)}${unfinished}`,
      );
    }
  }
}
