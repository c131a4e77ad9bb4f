import type { MatrixTrigger } from './connection-matrix.ts';
import { parseConnectionMatrix } from './connection-matrix.ts';
import type { FabricGraph, PairTable } from './fabric-graph.ts';
import { pairTable, sitesOf } from './fabric-graph.ts';
import { parseHpccConfig } from './hpcc-config.ts';
import { parseHpccFlows } from './hpcc-flows.ts';
import { hpccGraph, parseHpccTopology } from './hpcc-topology.ts';
import { htsimGraph, parseHtsimTopology } from './htsim-topology.ts';
import {
  fabricOfHpcc,
  fabricOfHtsim,
  HPCC_HEADER_BYTES,
  type HpccBranch,
  type HtsimSettings,
  type TraceFabric,
} from './trace-fabric.ts';
import { TraceFormatError } from './trace-text.ts';

/** One flow of a trace. Hosts by their index in the graph, which is their number in the file. */
export interface TraceFlow {
  readonly source: number;
  readonly target: number;
  /** Infinity: endless. */
  readonly bytes: number;
  /** On the file's clock; undefined when a trigger starts it. */
  readonly startPs: number | undefined;
  readonly trigger: number | undefined;
  readonly sendDoneTrigger: number | undefined;
  readonly recvDoneTrigger: number | undefined;
  /** UDP ports; the source port is what ECMP hashes. Counted up from 10000 for each pair of hosts, as the HPCC family does. */
  readonly sourcePort: number;
  readonly targetPort: number;
}

/** A workload on a fabric, whatever files it came from. */
export interface Trace {
  readonly graph: FabricGraph;
  /** Site of each node, as the files give the lengths: stays when a study changes a length. */
  readonly sites: readonly number[];
  readonly fabric: TraceFabric;
  readonly flows: readonly TraceFlow[];
  readonly triggers: readonly MatrixTrigger[];
  /** A link that goes down, on the file's clock. */
  readonly linkDown: { readonly atPs: number; readonly link: number } | undefined;
  /** On the file's clock. */
  readonly stopPs: number;
  /** Of a packet in the standalone time of a flow. */
  readonly standaloneHeaderBytes: number;
  readonly pairs: PairTable;
  /** What of the files is not simulated, or otherwise than there, in sentences. */
  readonly notes: readonly string[];
}

export interface TextFile {
  /** As the user calls it, for messages. */
  readonly name: string;
  readonly text: string;
}

const FIRST_SOURCE_PORT = 10_000;
/** Flows of the HPCC family's files begin at 2 s, and LINK_DOWN counts from there. */
const HPCC_EPOCH_PS = 2e12;
/** As the canonical htsim runs end (`-end 10000000`). */
const HTSIM_STOP_PS = 10e12;
/** Port that htsim traces are given, which have none; the HPCC family's custom for ordinary flows. */
const HTSIM_TARGET_PORT = 100;

/** @throws TraceFormatError, RangeError */
export function traceOfHpcc({
  config,
  topology,
  flows,
  branch,
}: {
  readonly config: TextFile;
  readonly topology: TextFile;
  readonly flows: TextFile;
  /** Whose headers packets have; the artefact's when absent. */
  readonly branch?: HpccBranch;
}): Trace {
  const settings = parseHpccConfig(config.text, config.name);
  const shape = parseHpccTopology(topology.text, topology.name);
  const { graph: bare, notes } = hpccGraph(shape, topology.name);
  const graph =
    settings.errorRatePerLink > 0
      ? { ...bare, links: bare.links.map(link => ({ ...link, loss: link.loss || settings.errorRatePerLink })) }
      : bare;
  const parsed = parseHpccFlows(flows.text, flows.name);
  const ports = portCounter();
  const made = parsed.map((flow, i): TraceFlow => {
    for (const end of [flow.source, flow.target])
      if (graph.nodes[end]?.kind !== 'host')
        throw new TraceFormatError({
          file: flows.name,
          line: 0,
          problem: `flow ${i + 1} has node ${end} as an end, which is no host of ${topology.name}`,
        });
    return {
      source: flow.source,
      target: flow.target,
      bytes: flow.bytes,
      startPs: flow.startPs,
      trigger: undefined,
      sendDoneTrigger: undefined,
      recvDoneTrigger: undefined,
      sourcePort: ports(flow),
      targetPort: flow.targetPort,
    };
  });
  const down = settings.linkDown;
  const link =
    down && graph.links.findIndex(({ a, b }) => (a === down.a && b === down.b) || (a === down.b && b === down.a));
  if (link === -1) throw new RangeError(`LINK_DOWN names nodes ${down?.a} and ${down?.b}, which no link joins.`);
  return {
    graph,
    sites: sitesOf(graph),
    fabric: fabricOfHpcc(settings, graph, branch),
    flows: made,
    triggers: [],
    linkDown: down && link !== undefined ? { atPs: HPCC_EPOCH_PS + down.atPs, link } : undefined,
    stopPs: settings.stopPs,
    standaloneHeaderBytes: HPCC_HEADER_BYTES,
    pairs: pairTable(graph, { payloadBytes: settings.payloadBytes }),
    notes: [
      ...(new Set(parsed.map(({ priority }) => priority)).size > 1
        ? [`${flows.name}: its flows have several priorities; all are carried in one here`]
        : []),
      ...settings.notes.map(note => `${config.name}: ${note}`),
      ...notes.map(note => `${topology.name}: ${note}`),
    ],
  };
}

/** @throws TraceFormatError, RangeError */
export function traceOfHtsim({
  matrix,
  topology,
  settings,
}: {
  readonly matrix: TextFile;
  readonly topology: TextFile;
  readonly settings?: HtsimSettings;
}): Trace {
  const shape = parseHtsimTopology(topology.text, topology.name);
  const { nodes, connections, triggers, failures } = parseConnectionMatrix(matrix.text, matrix.name);
  if (nodes > shape.nodes)
    throw new TraceFormatError({
      file: matrix.name,
      line: 0,
      problem: `Nodes ${nodes}, but ${topology.name} has ${shape.nodes}`,
    });
  if (failures.length > 0)
    throw new RangeError(
      `${matrix.name} degrades ${failures.length} links (failure lines), which is read but can not be replayed.`,
    );
  const graph = htsimGraph(shape, topology.name);
  const fabric = fabricOfHtsim(shape, settings);
  const ports = portCounter();
  const ignored = [
    ...(connections.some(({ priority }) => priority !== undefined) ? ['prio of its flows is not simulated'] : []),
    ...(connections.some(({ addOn }) => addOn) ? ['addon flows start like others'] : []),
    ...(shape.tiers.some(tier => tier.queueDownBytes !== undefined || tier.queueUpBytes !== undefined)
      ? ['queue_up and queue_down are not simulated: lossless queues take what comes']
      : []),
  ];
  return {
    graph,
    sites: sitesOf(graph),
    fabric,
    flows: connections.map(flow => ({
      source: flow.source,
      target: flow.target,
      bytes: flow.bytes,
      startPs: flow.startPs,
      trigger: flow.trigger,
      sendDoneTrigger: flow.sendDoneTrigger,
      recvDoneTrigger: flow.recvDoneTrigger,
      sourcePort: ports(flow),
      targetPort: HTSIM_TARGET_PORT,
    })),
    triggers,
    linkDown: undefined,
    stopPs: HTSIM_STOP_PS,
    standaloneHeaderBytes: fabric.headerBytes,
    pairs: pairTable(graph, { payloadBytes: fabric.mtuBytes }),
    notes: ignored.map(note => `${matrix.name}: ${note}`),
  };
}

function portCounter(): (pair: { readonly source: number; readonly target: number }) => number {
  const used = new Map<string, number>();
  return ({ source, target }) => {
    const key = `${source} ${target}`;
    const nth = used.get(key) ?? 0;
    used.set(key, nth + 1);
    return FIRST_SOURCE_PORT + (nth % (65536 - FIRST_SOURCE_PORT));
  };
}

/** The same trace with other one-way delays of the links between two nodes, by name. @throws RangeError when no link joins them */
export function withDelay(
  trace: Trace,
  { a, b, delayPs }: { readonly a: string; readonly b: string; readonly delayPs: number },
): Trace {
  const nameOf = (node: number) => trace.graph.nodes[node]?.name;
  let changed = 0;
  const links = trace.graph.links.map(link => {
    const ends = [nameOf(link.a), nameOf(link.b)];
    if (!ends.includes(a) || !ends.includes(b)) return link;
    changed += 1;
    return { ...link, delayPs };
  });
  if (changed === 0) throw new RangeError(`No link joins ${a} and ${b}.`);
  const graph = { ...trace.graph, links };
  const pairs = pairTable(graph, { payloadBytes: trace.fabric.mtuBytes });
  const { window, transport } = trace.fabric;
  return {
    ...trace,
    graph,
    pairs,
    // Window and T come from the longest path (GLOBAL_T), so they change with it.
    fabric: {
      ...trace.fabric,
      window: window && typeof window.bytes === 'number' ? { ...window, bytes: pairs.maxBdpBytes } : window,
      transport:
        transport.name === 'hpcc' && typeof transport.baseRttPs === 'number'
          ? { ...transport, baseRttPs: pairs.maxRttNs * 1000 }
          : transport,
    },
  };
}
