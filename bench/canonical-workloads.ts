import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { HpccInput, PeerName } from './peers.ts';

/*
 * Workloads that a peer and this simulator run from the same files. Source of every number: the study `reference/simulators.md`,
 * section 2 (measured 2026-11-22, 2 vCPU AMD EPYC, medians of 3 or 5), with csg-htsim 841d9e7, uet-htsim 40ccb05 and
 * astra-network-ns3 8fd3604. The files are in `reference/sim-workloads`, the folder that the functions here take.
 */

/** What the study measured of a workload. Times of that machine: compare ratios, and measure both sides again. */
export interface StudyNumbers {
  /** Packets (data and acknowledgements) times links. */
  readonly packetHops: number;
  readonly cpuSeconds: number;
  readonly peakRssMegabytes?: number;
  /** Completion times, where the study gives them. */
  readonly lastUs?: number;
  readonly meanUs?: number;
  readonly firstUs?: number;
}

/** Connections and topology in htsim's formats. */
export interface CanonicalWorkload {
  readonly name: string;
  readonly peer: Exclude<PeerName, 'hpcc-ns3'>;
  /** Below the folder of the workloads. */
  readonly connections: string;
  readonly topology: string;
  readonly nodes: number;
  readonly hostsPerTor: number;
  /** Equal to `nodes` in two tiers. */
  readonly hostsPerPod: number;
  readonly linkRateBps: number;
  readonly linkDelayPs: number;
  /** Mean over the links of the longest path, where they differ. */
  readonly meanLinkDelayPs?: number;
  /** RoCE: per ingress, in packets of 4096 B. */
  readonly pfcPackets?: { readonly off: number; readonly on: number };
  /** Simulated time after which the peer stops. */
  readonly endUs: number;
  readonly study: StudyNumbers;
  /** This many times the peer's packet-hops per CPU second is what the bench aims at (issue 3). */
  readonly targetRatio: number;
}

const LEAF_SPINE = { nodes: 128, hostsPerTor: 64, hostsPerPod: 128, linkDelayPs: 1e6 };
const FAT_TREE_128 = { nodes: 128, hostsPerTor: 4, hostsPerPod: 16, linkDelayPs: 1e6 };
const FAT_TREE_1024 = { nodes: 1024, hostsPerTor: 8, hostsPerPod: 64, linkDelayPs: 1e6 };
/** 1 us at the hosts, 2.5 ms on both core links. */
const DUMBBELL = { nodes: 16, hostsPerTor: 8, hostsPerPod: 16, linkDelayPs: 1e6 };
const SHALLOW = { off: 15, on: 12 };
const END_US = 1e7;

/** Line rate, PFC, per-flow ECMP: like for like down to the number of packet-hops. */
export const ROCE_WORKLOADS: readonly CanonicalWorkload[] = [
  {
    ...LEAF_SPINE,
    name: 'incast 63 to 1, 20 MB, 100G',
    peer: 'htsim-roce',
    connections: 'tm/incast63_20MB.cm',
    topology: 'topo/ls128_100g.topo',
    linkRateBps: 100e9,
    pfcPackets: SHALLOW,
    endUs: END_US,
    study: { packetHops: 1_230_516, cpuSeconds: 0.92, peakRssMegabytes: 5, lastUs: 102383 },
    targetRatio: 5,
  },
  {
    ...LEAF_SPINE,
    name: 'incast 63 to 1, 200 MB, 100G',
    peer: 'htsim-roce',
    connections: 'tm/incast63_200MB.cm',
    topology: 'topo/ls128_100g.topo',
    linkRateBps: 100e9,
    pfcPackets: SHALLOW,
    endUs: END_US,
    study: { packetHops: 12_304_908, cpuSeconds: 9.82, peakRssMegabytes: 5, lastUs: 1.02377e6 },
    targetRatio: 5,
  },
  {
    ...LEAF_SPINE,
    name: 'incast 63 to 1, 20 MB, 400G',
    peer: 'htsim-roce',
    connections: 'tm/incast63_20MB.cm',
    topology: 'topo/ls128_400g.topo',
    linkRateBps: 400e9,
    pfcPackets: SHALLOW,
    endUs: END_US,
    study: { packetHops: 1_230_516, cpuSeconds: 0.99, peakRssMegabytes: 5, lastUs: 25598.8 },
    targetRatio: 5,
  },
  {
    ...FAT_TREE_128,
    name: 'permutation of 128, 20 MB, 100G',
    peer: 'htsim-roce',
    connections: 'tm/perm128_20MB.cm',
    topology: 'topo/ft128_100g.topo',
    linkRateBps: 100e9,
    pfcPackets: SHALLOW,
    endUs: END_US,
    study: { packetHops: 7_109_648, cpuSeconds: 5.96, peakRssMegabytes: 13 },
    targetRatio: 5,
  },
  {
    ...FAT_TREE_128,
    name: 'permutation of 128, 20 MB, 1.6T',
    peer: 'htsim-roce',
    connections: 'tm/perm128_20MB.cm',
    topology: 'topo/ft128_1600g.topo',
    linkRateBps: 1600e9,
    linkDelayPs: 0.5e6,
    pfcPackets: SHALLOW,
    endUs: END_US,
    study: { packetHops: 7_109_648, cpuSeconds: 7.08, peakRssMegabytes: 33 },
    targetRatio: 6,
  },
  {
    ...FAT_TREE_1024,
    name: 'permutation of 1024, 2 MB, 100G',
    peer: 'htsim-roce',
    connections: 'tm/perm1024_2MB.cm',
    topology: 'topo/ft1024_100g.topo',
    linkRateBps: 100e9,
    pfcPackets: SHALLOW,
    endUs: END_US,
    study: { packetHops: 5_869_956, cpuSeconds: 14.5, peakRssMegabytes: 92 },
    targetRatio: 8,
  },
  {
    ...DUMBBELL,
    name: 'two sites, 8 pairs, 5 ms one way, 400 MB, 100G',
    peer: 'htsim-roce',
    connections: 'tm/dumb8_400MB.cm',
    topology: 'topo/dumb16_100g_5ms.topo',
    linkRateBps: 100e9,
    pfcPackets: { off: 30_000, on: 20_000 },
    endUs: END_US,
    study: {
      packetHops: 6_250_048,
      cpuSeconds: 4.39,
      peakRssMegabytes: 53,
      firstUs: 269496,
      meanUs: 269815.5,
      lastUs: 270007,
    },
    targetRatio: 5,
  },
];

/** NSCC with trimming and spraying, `-sender_cc_only`. The study counts hops as a third of the peer's events. */
export const UEC_WORKLOADS: readonly CanonicalWorkload[] = [
  {
    ...LEAF_SPINE,
    name: 'UEC incast 63 to 1, 20 MB, 100G',
    peer: 'htsim-uec',
    connections: 'tm/incast63_20MB.cm',
    topology: 'topo/ls128_100g.topo',
    linkRateBps: 100e9,
    endUs: END_US,
    study: { packetHops: 3.32e6, cpuSeconds: 2.0, peakRssMegabytes: 6, lastUs: 105058 },
    targetRatio: 3,
  },
  {
    ...FAT_TREE_128,
    name: 'UEC permutation of 128, 20 MB, 100G',
    peer: 'htsim-uec',
    connections: 'tm/perm128_20MB.cm',
    topology: 'topo/ft128_100g.topo',
    linkRateBps: 100e9,
    endUs: END_US,
    study: { packetHops: 4.84e6, cpuSeconds: 8.8, peakRssMegabytes: 38, firstUs: 1637, lastUs: 1881 },
    targetRatio: 3,
  },
  {
    ...FAT_TREE_1024,
    name: 'UEC permutation of 1024, 2 MB, 100G',
    peer: 'htsim-uec',
    connections: 'tm/perm1024_2MB.cm',
    topology: 'topo/ft1024_100g.topo',
    linkRateBps: 100e9,
    endUs: 400,
    study: { packetHops: 3.97e6, cpuSeconds: 18.7, peakRssMegabytes: 140, firstUs: 167.9, lastUs: 205.8 },
    targetRatio: 10,
  },
  {
    ...DUMBBELL,
    name: 'UEC two sites, 8 pairs, 5 ms one way, 50 MB, 100G',
    peer: 'htsim-uec',
    connections: 'tm/dumb8_50MB.cm',
    topology: 'topo/dumb16_100g_5ms.topo',
    linkRateBps: 100e9,
    meanLinkDelayPs: (2 * 1e6 + 2 * 2.5e9) / 4,
    endUs: END_US,
    study: { packetHops: 1.41e6, cpuSeconds: 0.79, peakRssMegabytes: 54, lastUs: 42931 },
    targetRatio: 3,
  },
];

/** Links between two hosts: 2 below one ToR, 4 in one pod (or two tiers), else 6. */
export function pathLinks(
  { hostsPerTor, hostsPerPod }: Pick<CanonicalWorkload, 'hostsPerTor' | 'hostsPerPod'>,
  { source, target }: { source: number; target: number },
): number {
  if (Math.floor(source / hostsPerTor) === Math.floor(target / hostsPerTor)) return 2;
  return Math.floor(source / hostsPerPod) === Math.floor(target / hostsPerPod) ? 4 : 6;
}

/** One line of a connection matrix. */
export interface Connection {
  readonly source: number;
  readonly target: number;
  readonly bytes: number;
}

/** The connections of a workload, read from `<folder>/<workload.connections>`. Throws on a file without connections. */
export async function connectionsOf(folder: string, { connections }: CanonicalWorkload): Promise<Connection[]> {
  const text = await readFile(path.join(folder, connections), 'utf8');
  const found: Connection[] = [];
  for (const line of text.split('\n')) {
    const match = /^(\d+)->(\d+) .*\bsize (\d+)/.exec(line.slice(0, 200));
    if (match) found.push({ source: Number(match[1]), target: Number(match[2]), bytes: Number(match[3]) });
  }
  if (found.length === 0) throw new Error(`${connections} has no connections`);
  return found;
}

/** Payload of a packet in the RoCE workloads; htsim sends whole packets only and acknowledges each. */
export const ROCE_PAYLOAD_BYTES = 4096;

/** Packet-hops of a RoCE workload without loss: every data packet and its acknowledgement over every link. Exact for htsim_roce. */
export function rocePacketHops(
  workload: Pick<CanonicalWorkload, 'hostsPerTor' | 'hostsPerPod'>,
  connections: readonly Connection[],
): number {
  return connections.reduce(
    (sum, connection) => sum + 2 * Math.ceil(connection.bytes / ROCE_PAYLOAD_BYTES) * pathLinks(workload, connection),
    0,
  );
}

/** Payload of a full UEC packet: 4150 B on the wire, 64 B of header. */
export const UEC_PAYLOAD_BYTES = 4086;

/**
 * Packet-hops of a UEC run from what the peer counts. First transmissions are exact; the rest (retransmissions, ACKs, NACKs) is
 * spread over the flows in proportion to their packets. A trimmed packet goes on to its target and counts whole.
 */
export function uecPacketHops(
  workload: CanonicalWorkload,
  connections: readonly Connection[],
  counters: {
    readonly newPackets: number;
    readonly retransmissions: number;
    readonly acknowledgements: number;
    readonly negativeAcknowledgements: number;
  },
): number {
  let packets = 0;
  let hops = 0;
  for (const connection of connections) {
    const own = Math.ceil(connection.bytes / UEC_PAYLOAD_BYTES);
    packets += own;
    hops += own * pathLinks(workload, connection);
  }
  const sent =
    counters.newPackets + counters.retransmissions + counters.acknowledgements + counters.negativeAcknowledgements;
  return (hops / packets) * sent;
}

/** A configuration of the HPCC fork of ns-3 with its published result. */
export interface HpccWorkload {
  readonly name: string;
  /** Below the folder of the workloads; names its topology and flow files. */
  readonly configuration: string;
  /** Texts of input files other than the configuration's, for `runHpcc`. */
  readonly files?: Readonly<Record<HpccInput, string>>;
  readonly study: StudyNumbers;
  readonly targetRatio: number;
}

/**
 * 8 pairs over one 100G link of 5 us, 20 MB each, DCQCN, payload 1000 B: the study's workload for the speed of the fork, whose
 * files it did not keep (hosts at 1 us give its mean to the printed digit).
 * 0.96 M packet-hops: 8 x 20,000 packets, data and acknowledgement, over 3 links. The study's 3.1 CPU s include the fork's queue
 * monitor, which as shipped writes a line every 100 ns to the end of the run; a build that obeys `QLEN_MON_END`, as the artefact does,
 * took 1.3 CPU s on the machine of issue 3.
 */
export const HPCC_DUMBBELL: HpccWorkload = {
  name: 'DCQCN, 8 pairs, 5 us, 20 MB, 100G',
  configuration: 'hpcc/inc8_dcqcn.conf',
  files: {
    TOPOLOGY_FILE: [
      '18 2 17',
      '16 17',
      ...Array.from({ length: 16 }, (_, host) => `${host} ${host < 8 ? 16 : 17} 100Gbps 1us 0`),
      '16 17 100Gbps 5us 0',
      '',
    ].join('\n'),
    FLOW_FILE: ['8', ...Array.from({ length: 8 }, (_, i) => `${i} ${i + 8} 3 100 20000000 2.0`), ''].join('\n'),
  },
  study: { packetHops: 960_000, cpuSeconds: 3.1, peakRssMegabytes: 86, meanUs: 14517.6 },
  targetRatio: 12,
};

/** The nine configurations whose results are in `hpcc/golden_fct.json`, by their key there. */
export const HPCC_GOLDENS: readonly string[] = ['dcqcn', 'hpcc', 'dctcp'].flatMap(scheme =>
  ['one', 'inc2', 'inc8'].map(load => `${load}_${scheme}`),
);
