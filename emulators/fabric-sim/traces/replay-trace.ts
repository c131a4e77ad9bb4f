import { createNetwork } from '../fabric/create-network.ts';
import type { Network } from '../fabric/network.ts';
import type { Tappable, TapListener } from '../fabric/tapped-packet.ts';
import type { MatrixTrigger } from './connection-matrix.ts';
import { type GraphNode, lossySpans, portsOf, routesOf, topologyOf } from './fabric-graph.ts';
import { type FctRow, standaloneNs } from './fct-file.ts';
import { settingsOfTrace } from './settings-of-trace.ts';
import type { Trace, TraceFlow } from './trace.ts';

export interface ReplayOptions {
  readonly trace: Trace;
  readonly seed: number;
  /** Packets carried as one; 1, exact, when absent. */
  readonly trainPackets?: number;
  /** Ends the run so long after the first flow's start; the trace's own stop time when absent. */
  readonly stopAfterPs?: number;
  readonly taps?: readonly { readonly node: string; readonly port: string; readonly listener: TapListener }[];
  /** Called about a thousand times a run. */
  readonly onProgress?: (progress: ReplayProgress) => void;
  /** Makes the network; `createNetwork` when absent. */
  readonly create?: typeof createNetwork;
}

export interface ReplayProgress {
  /** Since the first flow's start. */
  readonly elapsedPs: number;
  readonly finished: number;
  readonly flows: number;
  readonly hops: number;
}

/** Times on the file's clock. */
export interface FlowOutcome {
  readonly flow: TraceFlow;
  /** Undefined when its trigger never fired, or the run ended before. */
  readonly startPs: number | undefined;
  /** From the start until the last byte's acknowledgement is at the sender; undefined when the run ended before. */
  readonly fctPs: number | undefined;
}

export interface Replay {
  /** In the order of the trace. */
  readonly outcomes: readonly FlowOutcome[];
  /** Those that finished, in the order in which they did, as a line of an FCT file each. */
  readonly rows: readonly FctRow[];
  /** The flow of each row, as an index of `outcomes`. */
  readonly finished: readonly number[];
  readonly endedPs: number;
  readonly hops: number;
  /** In what the run differs from what the files ask for. */
  readonly differences: readonly string[];
  /** At its end, for counters. */
  readonly network: Network;
}

/** Longest slice of virtual time between two reports of progress. */
const SLICE_PS = 100e6;

/**
 * Plays a trace: its fabric, its routes, its flows at their times or by their triggers, until all finite flows are done or the
 * stop time. The simulator's clock starts at the first flow.
 *
 * @throws RangeError when the files ask for something that can not be simulated
 */
export function replayTrace({
  trace,
  seed,
  trainPackets = 1,
  stopAfterPs,
  taps = [],
  onProgress,
  create = createNetwork,
}: ReplayOptions): Replay {
  const { settings, overheadBytes, differences } = settingsOfTrace(trace);
  const { graph, sites, flows } = trace;
  const network = create({ topology: topologyOf(graph, { settings, sites }), seed, trainPackets, overheadBytes });
  for (const { node, target, ports } of routesOf(graph)) network.setRoute(node, target, ports);
  for (const { name, loss } of lossySpans(graph)) {
    network.setSpan(name, 'a-to-b', { loss });
    network.setSpan(name, 'b-to-a', { loss });
  }
  for (const { node, port, listener } of taps) tapOf(network)(node, port, listener);

  const timed = flows
    .map((flow, index) => ({ index, startPs: flow.startPs }))
    .filter((flow): flow is { index: number; startPs: number } => flow.startPs !== undefined)
    .toSorted((a, b) => a.startPs - b.startPs || a.index - b.index);
  const originPs = timed[0]?.startPs ?? 0;
  const stopPs = stopAfterPs ?? Math.max(0, trace.stopPs - originPs);
  const started: (number | undefined)[] = flows.map(() => undefined);
  const lasted: (number | undefined)[] = flows.map(() => undefined);
  const done: number[] = [];
  const finite = flows.filter(({ bytes }) => Number.isFinite(bytes)).length;
  const triggers = triggersOf(trace);

  const start = (index: number): void => {
    const flow = flows[index] as TraceFlow;
    const startPs = network.nowPs;
    started[index] = startPs;
    network.flow({
      source: (graph.nodes[flow.source] as GraphNode).name,
      target: (graph.nodes[flow.target] as GraphNode).name,
      bytes: flow.bytes,
      entropy: flow.sourcePort,
      onDelivered: () => activate(flow.recvDoneTrigger),
      onAcknowledged: () => {
        lasted[index] = network.nowPs - startPs;
        done.push(index);
        activate(flow.sendDoneTrigger);
        if (done.length === finite) network.stop();
      },
    });
  };
  const activate = (trigger: number | undefined): void => {
    if (trigger === undefined) return;
    // A flow may end inside the event that starts it; a call of its own keeps one flow's events from nesting in another's.
    for (const index of triggers(trigger)) network.at(network.nowPs, () => start(index));
  };
  // One call waits at a time, so that a million flows do not wait in the simulator's own queue.
  let next = 0;
  const startDue = (): void => {
    for (; next < timed.length && (timed[next]?.startPs as number) - originPs <= network.nowPs; next += 1)
      start(timed[next]?.index as number);
    const due = timed[next];
    if (due) network.at(due.startPs - originPs, startDue);
  };
  network.at(0, startDue);
  const down = trace.linkDown;
  if (down) {
    network.at(Math.max(0, down.atPs - originPs), () => {
      for (const { node, port } of endsOf(trace, down.link)) network.setForwarding(node, port, false);
      reroute(trace, network, new Set([down.link]));
    });
  }

  const slicePs = Math.max(1, Math.min(SLICE_PS, Math.ceil(stopPs / 1000)));
  while (network.nowPs < stopPs && (done.length < finite || finite < flows.length)) {
    network.advance(Math.min(stopPs, network.nowPs + slicePs));
    onProgress?.({ elapsedPs: network.nowPs, finished: done.length, flows: flows.length, hops: network.hops });
  }
  return {
    outcomes: flows.map((flow, index) => {
      const startPs = started[index];
      return { flow, startPs: startPs === undefined ? undefined : startPs + originPs, fctPs: lasted[index] };
    }),
    rows: done.map(index => rowOf(trace, index, (started[index] as number) + originPs, lasted[index] as number)),
    finished: done,
    endedPs: network.nowPs + originPs,
    hops: network.hops,
    differences,
    network,
  };
}

/** Which flows an activation of a trigger starts; the counts are kept inside. */
function triggersOf({ flows, triggers }: Trace): (id: number) => readonly number[] {
  const waiting = new Map<number, number[]>();
  for (const [index, { trigger }] of flows.entries()) {
    if (trigger !== undefined) waiting.set(trigger, [...(waiting.get(trigger) ?? []), index]);
  }
  const state = new Map(triggers.map(trigger => [trigger.id, { ...trigger, activations: 0 }]));
  return id => {
    const trigger = state.get(id) as MatrixTrigger & { activations: number };
    const targets = waiting.get(id) ?? [];
    trigger.activations += 1;
    switch (trigger.kind) {
      case 'oneshot':
        return trigger.activations === 1 ? targets : [];
      case 'multishot':
        return targets.slice(trigger.activations - 1, trigger.activations);
      case 'barrier':
        return trigger.activations === trigger.count ? targets : [];
    }
  };
}

function tapOf(network: Network): Tappable['tap'] {
  const { tap } = network as Network & Partial<Tappable>;
  if (tap === undefined)
    throw new RangeError('This simulator has no taps on its ports, so no packets can be captured.');
  return tap.bind(network);
}

function endsOf({ graph }: Trace, link: number): readonly { readonly node: string; readonly port: string }[] {
  return portsOf(graph).flatMap((ports, node) =>
    ports
      .filter(port => port.link === link)
      .map(({ name }) => ({ node: (graph.nodes[node] as GraphNode).name, port: name })),
  );
}

/** Tables without the links that are down; where no way is left, the old entry goes. */
function reroute({ graph }: Trace, network: Network, down: ReadonlySet<number>): void {
  const kept = new Set<string>();
  for (const { node, target, ports } of routesOf(graph, { down })) {
    kept.add(`${node} ${target}`);
    network.setRoute(node, target, ports);
  }
  for (const { node, target } of routesOf(graph))
    if (!kept.has(`${node} ${target}`)) network.setRoute(node, target, []);
}

function rowOf(trace: Trace, index: number, startPs: number, fctPs: number): FctRow {
  const { source, target, sourcePort, targetPort, bytes } = trace.flows[index] as TraceFlow;
  const facts = trace.pairs.facts(source, target);
  if (facts === undefined) throw new RangeError(`No path joins nodes ${source} and ${target}.`);
  return {
    source,
    target,
    sourcePort,
    targetPort,
    bytes,
    startNs: Math.round(startPs / 1000),
    fctNs: Math.round(fctPs / 1000),
    standaloneNs: standaloneNs({
      bytes,
      payloadBytes: trace.fabric.mtuBytes,
      headerBytes: trace.standaloneHeaderBytes,
      ...facts,
    }),
  };
}
