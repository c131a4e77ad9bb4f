import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createNetwork } from '../emulators/fabric-sim/fabric/create-network.ts';
import { parseConnectionMatrix } from '../emulators/fabric-sim/traces/connection-matrix.ts';
import { type FabricGraph, routesOf, topologyOf } from '../emulators/fabric-sim/traces/fabric-graph.ts';
import { htsimGraph, parseHtsimTopology } from '../emulators/fabric-sim/traces/htsim-topology.ts';
import { replayTrace } from '../emulators/fabric-sim/traces/replay-trace.ts';
import { traceOfHpcc } from '../emulators/fabric-sim/traces/trace.ts';
import { UEC_HEADER_BYTES, uecSettings } from '../emulators/fabric-sim/transport/uec.ts';
import { DEFAULT_FABRIC } from '../harness/model/fabric-settings.ts';
import type { FabricSettings } from '../harness/model/topology.ts';
import {
  type CanonicalWorkload,
  HPCC_DUMBBELL,
  type HpccWorkload,
  ROCE_PAYLOAD_BYTES,
  ROCE_WORKLOADS,
  UEC_PAYLOAD_BYTES,
  UEC_WORKLOADS,
} from './canonical-workloads.ts';

/*
 * One canonical workload in one process, from its files to its completion times: what the drivers of the bench start as a child, so that both
 * sides are whole processes with their start-up, their compilation and their memory. Prints one line of JSON, a `Simulated`.
 *
 *   npx tsx bench/simulate.ts --workloads DIR --workload 'permutation of 1024, 2 MB, 100G' [--seed 7] [--train 1] [--part 1]
 *
 * The settings are like for like with the peer (`canonical-workloads.ts`), with everything that ours counts left on: PFC, ECN marking, the
 * shared buffer and the statistics of every queue.
 */

/** What one run took and did. Seconds of user and system time of all threads: compilation and garbage collection count. */
export interface Simulated {
  readonly workload: string;
  readonly hops: number;
  readonly events: number;
  /** Flows that have ended, and their completion times. */
  readonly flows: number;
  readonly firstUs: number;
  readonly meanUs: number;
  readonly lastUs: number;
  /** Packets with a CE mark at departure, pause and resume frames sent, packets sent again: proof that the parts are on. */
  readonly marked: number;
  readonly pauseFrames: number;
  readonly resent: number;
  /** From the opening of the files to the last completion. */
  readonly simulationCpuS: number;
  /** Of that, `advance` alone. */
  readonly advanceCpuS: number;
  /** All of the process so far: Node's own start and the compilation of TypeScript too. */
  readonly processCpuS: number;
  readonly peakRssBytes: number;
}

export interface SimulateOptions {
  /** Folder of the workloads' files. */
  readonly folder: string;
  readonly seed?: number;
  readonly trainPackets?: number;
  /** Fraction of each message that is sent, rounded up to whole packets; 1 when absent. Two sizes give the cost of a packet-hop alone. */
  readonly part?: number;
}

/** A run of at most 9,000 s of virtual time. */
const END_PS = 9e15;

/**
 * htsim's RoCE in our words: line rate, no congestion control; 64 B of headers and of an acknowledgement, one for every packet, in the
 * data's own priority; pause and resume by the bytes of an ingress port, in units of 4096 B as its command line counts; no bound on the
 * buffer. ECN stays on with the declared thresholds: senders do not listen.
 */
export function roceSettings({ pfcPackets }: Pick<CanonicalWorkload, 'pfcPackets'>): FabricSettings {
  if (pfcPackets === undefined) throw new RangeError('A RoCE workload without PFC thresholds.');
  return {
    ...DEFAULT_FABRIC,
    bufferPerSwitch: '100 GB',
    pfc: {
      xoff: `${pfcPackets.off * ROCE_PAYLOAD_BYTES} B`,
      xon: `${pfcPackets.on * ROCE_PAYLOAD_BYTES} B`,
      freeShare: null,
      headroom: '10 GB',
      overSpans: true,
    },
    dcqcn: null,
    roce: { mtu: `${ROCE_PAYLOAD_BYTES} B`, retransmitTimeout: '1000 s' },
    switching: { scaleThresholds: false, priorities: { control: 3, data: 3, datagrams: 0 } },
    transport: { control: 'none', acknowledgementBytes: '64 B', acknowledgeEvery: 1 },
  };
}
const ROCE_HEADER_BYTES = 64;

function fabricOf(workload: CanonicalWorkload): {
  readonly settings: FabricSettings;
  readonly overheadBytes: number;
  readonly payloadBytes: number;
} {
  if (workload.peer === 'htsim-roce')
    return {
      settings: roceSettings(workload),
      overheadBytes: ROCE_HEADER_BYTES,
      payloadBytes: ROCE_PAYLOAD_BYTES,
    };
  const { linkRateBps, linkDelayPs, meanLinkDelayPs = linkDelayPs, hostsPerPod, nodes } = workload;
  return {
    settings: uecSettings(
      { rateBps: linkRateBps, links: hostsPerPod < nodes ? 6 : 4, linkDelayPs: meanLinkDelayPs },
      DEFAULT_FABRIC,
    ),
    overheadBytes: UEC_HEADER_BYTES,
    payloadBytes: UEC_PAYLOAD_BYTES,
  };
}

/** Runs a RoCE or UEC workload from its connection matrix and topology. @throws Error when a flow has not ended */
export function simulate(workload: CanonicalWorkload, options: SimulateOptions): Simulated {
  const { folder, seed = 7, trainPackets = 1, part = 1 } = options;
  const begun = process.cpuUsage();
  const text = (name: string) => readFileSync(path.join(folder, name), 'utf8');
  const graph = htsimGraph(parseHtsimTopology(text(workload.topology), workload.topology), workload.name);
  const { connections } = parseConnectionMatrix(text(workload.connections), workload.connections);
  const { settings, overheadBytes, payloadBytes } = fabricOf(workload);
  // One site: `PFC over spans` and the rest of what sites do is no matter here.
  const sites = graph.nodes.map(() => 0);
  const network = createNetwork({
    topology: topologyOf(graph, { settings, sites }),
    seed,
    trainPackets,
    overheadBytes,
  });
  for (const { node, target, ports } of routesOf(graph)) network.setRoute(node, target, ports);
  const endsUs: number[] = [];
  for (const [i, { source, target, bytes }] of connections.entries()) {
    const sent =
      workload.peer === 'htsim-roce' ? Math.ceil((bytes * part) / payloadBytes) * payloadBytes : bytes * part;
    network.flow({
      source: `h${source}`,
      target: `h${target}`,
      bytes: sent,
      entropy: 49_152 + i,
      onAcknowledged: () => {
        endsUs.push(network.nowPs / 1e6);
        if (endsUs.length === connections.length) network.stop();
      },
    });
  }
  const built = process.cpuUsage();
  network.advance(END_PS);
  const advanceCpuS = secondsSince(built);
  const simulationCpuS = secondsSince(begun);
  if (endsUs.length < connections.length)
    throw new Error(`${workload.name}: ${connections.length - endsUs.length} flows have not ended.`);
  return summary({ name: workload.name, graph, network, endsUs, simulationCpuS, advanceCpuS });
}

/** Runs a configuration of the HPCC family. */
export function simulateHpcc(
  workload: HpccWorkload,
  { folder, seed = 1, trainPackets = 1 }: SimulateOptions,
): Simulated {
  const begun = process.cpuUsage();
  const { configuration, files } = workload;
  if (files === undefined) throw new RangeError(`${workload.name} brings no files.`);
  const trace = traceOfHpcc({
    config: { name: configuration, text: readFileSync(path.join(folder, configuration), 'utf8') },
    topology: { name: 'topology', text: files.TOPOLOGY_FILE },
    flows: { name: 'flows', text: files.FLOW_FILE },
  });
  let advanceFrom = begun;
  const replay = replayTrace({
    trace,
    seed,
    trainPackets,
    create: options => {
      const network = createNetwork(options);
      advanceFrom = process.cpuUsage();
      return network;
    },
  });
  const endsUs = replay.outcomes.map(({ fctPs }, i) => {
    if (fctPs === undefined) throw new Error(`${workload.name}: flow ${i} has not ended.`);
    return fctPs / 1e6;
  });
  return summary({
    name: workload.name,
    graph: trace.graph,
    network: replay.network,
    endsUs,
    simulationCpuS: secondsSince(begun),
    advanceCpuS: secondsSince(advanceFrom),
  });
}

function summary({
  name,
  graph,
  network,
  endsUs,
  simulationCpuS,
  advanceCpuS,
}: {
  readonly name: string;
  readonly graph: FabricGraph;
  readonly network: ReturnType<typeof createNetwork>;
  readonly endsUs: readonly number[];
  readonly simulationCpuS: number;
  readonly advanceCpuS: number;
}): Simulated {
  const { user, system } = process.cpuUsage();
  const peakRssBytes = process.resourceUsage().maxRSS * 1024;
  let marked = 0;
  let pauseFrames = 0;
  let resent = 0;
  for (const node of graph.nodes) {
    if (node.kind === 'host') resent += network.nic(node.name).retransmittedPackets;
    for (const port of network.ports(node.name)) {
      const { ecnMarked, pfcTx } = network.count(node.name, port);
      marked += ecnMarked;
      pauseFrames += pfcTx;
    }
  }
  return {
    workload: name,
    hops: network.hops,
    events: network.events,
    flows: endsUs.length,
    firstUs: Math.min(...endsUs),
    meanUs: endsUs.reduce((sum, us) => sum + us, 0) / endsUs.length,
    lastUs: Math.max(...endsUs),
    marked,
    pauseFrames,
    resent,
    simulationCpuS,
    advanceCpuS,
    processCpuS: (user + system) / 1e6,
    peakRssBytes,
  };
}

const secondsSince = (before: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
};

function main(): void {
  const { values } = parseArgs({
    options: {
      workload: { type: 'string' },
      workloads: { type: 'string' },
      seed: { type: 'string' },
      train: { type: 'string', default: '1' },
      part: { type: 'string', default: '1' },
    },
  });
  const { workload: name, workloads: folder } = values;
  if (name === undefined || folder === undefined)
    throw new RangeError('Usage: simulate.ts --workloads DIR --workload NAME [--seed N] [--train N] [--part FRACTION]');
  const options: SimulateOptions = {
    folder,
    trainPackets: Number(values.train),
    part: Number(values.part),
    ...(values.seed !== undefined && { seed: Number(values.seed) }),
  };
  const canonical = [...ROCE_WORKLOADS, ...UEC_WORKLOADS].find(workload => workload.name === name);
  if (canonical === undefined && name !== HPCC_DUMBBELL.name)
    throw new RangeError(`There is no workload ${JSON.stringify(name)}.`);
  console.log(JSON.stringify(canonical ? simulate(canonical, options) : simulateHpcc(HPCC_DUMBBELL, options)));
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) main();
