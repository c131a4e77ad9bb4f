import type { Span } from '../../../harness/model/topology.ts';
import { type Distance, magnitude } from '../../../harness/model/units.ts';
import { Datagrams } from '../transport/datagrams.ts';
import { createConnections } from '../transport/connection.ts';
import { controlOf } from '../transport/control-of.ts';
import { repeatsSelectively, SelectiveConnections } from '../transport/selective-repeat.ts';
import { createDataPlane, type DataPlane } from './data-plane.ts';
import { flowHash, seenEntropy } from './ecmp-hash.ts';
import { type Network, type NetworkOptions, OBSERVABLES, type SpanState } from './network.ts';
import { OWNER, PACKET_SHIFT } from './packets.ts';
import { checkedSpanChange } from './span-change.ts';
import { type TapOptions, tapPort } from './tap.ts';
import { PRIORITIES } from './ports.ts';
import { GAP_BYTES, ROCE_OVERHEAD_BYTES } from './wire-size.ts';
import { wire } from './wiring.ts';

/**
 * A packet network at rest at time 0, with no routes on its switches; a host sends everything by its NIC.
 *
 * Same options, same calls: same results, bit for bit. See {@link DataPlane} and {@link createConnections} for the laws it follows.
 *
 * @throws RangeError when the topology or its settings can not be simulated, or `trainPackets` is not in 1..64
 */
export function createNetwork(options: NetworkOptions): Network {
  const { topology, seed, trainPackets, overheadBytes = ROCE_OVERHEAD_BYTES } = options;
  if (!Number.isInteger(trainPackets) || trainPackets < 1 || trainPackets > 64)
    throw new RangeError(`Trains of ${trainPackets} packets: 1 to 64 are possible.`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`Seed ${seed} is not a whole number from 0 to 2^53.`);
  const wiring = wire(topology);
  const fullWireBytes = magnitude(topology.settings.roce.mtu) + overheadBytes;
  const plane = createDataPlane({
    topology,
    wiring,
    seed,
    fullWireBytes,
    trainPackets: repeatsSelectively(topology.settings) ? 1 : trainPackets,
    ties: options.ties,
    gapBytes: options.overheadBytes === undefined ? GAP_BYTES : 0,
  });
  const transport = { plane, settings: topology.settings, overheadBytes, ...controlOf(topology.settings) };
  const selective = repeatsSelectively(topology.settings)
    ? new SelectiveConnections({ ...transport, seed })
    : undefined;
  const roce = selective ?? createConnections({ ...transport, trainPackets });
  const spanLengths = Object.values<Span>(topology.spans).map(({ length }) => length);
  /** What stands before the bit errors of each span direction. */
  const beforeBer: { readonly attenuationDb: number; readonly preFecBer: number }[] = [];
  const streams: Datagrams[] = [];
  // Tables are written target after target with the same group of many ports: 8,192 hosts and groups of 64 are 67 million names.
  const lastRoutes: { readonly target: number; readonly ports: readonly string[] }[] = [];
  const seen = seenEntropy(topology.settings);
  /** Source, target and entropy of each flow and source and entropy of each stream, for taps. */
  const flowFacts: number[] = [];
  const streamFacts: number[] = [];
  const taps: TapOptions = {
    plane,
    owners: {
      flow: id => ({
        source: flowFacts[3 * id] as number,
        target: flowFacts[3 * id + 1] as number,
        entropy: flowFacts[3 * id + 2] as number,
      }),
      stream: id => ({ source: streamFacts[2 * id] as number, entropy: streamFacts[2 * id + 1] as number }),
    },
    spreads: (topology.settings.transport?.spreading ?? 'flow') !== 'flow',
    sequenceBytes: selective ? magnitude(topology.settings.roce.mtu) : 1,
  };
  plane.attach({
    receive: selective === undefined ? roce.receive : packet => selective.receive(packet),
    receiveDatagram: packet =>
      (streams[plane.packets.ints[(packet << PACKET_SHIFT) + OWNER] as number] as Datagrams).arrived(packet),
    pull: selective === undefined ? roce.pull : host => selective.pull(host),
    ready: roce.ready,
    ...(selective && { waits: (host: number) => selective.waits(host) }),
  });

  const hostNamed = (name: string): number => {
    const host = wiring.nodeNamed(name);
    if (host >= wiring.hosts) throw new RangeError(`${name} is a switch, not a host.`);
    return host;
  };
  const switchNamed = (name: string): number => {
    const node = wiring.nodeNamed(name);
    if (node < wiring.hosts) throw new RangeError(`${name} is a host: it sends everything by its NIC.`);
    return node;
  };
  const ends = ({ source, target }: { readonly source: string; readonly target: string }) => {
    if (source === target) throw new RangeError(`${source} can not send to itself over the fabric.`);
    return { sourceHost: hostNamed(source), targetHost: hostNamed(target) };
  };
  const queueOf = (priority = plane.dataPriority): number => {
    if (!(Number.isInteger(priority) && priority >= 0 && priority < PRIORITIES))
      throw new RangeError(`Priority ${priority}: 0 to 7 exist.`);
    return priority;
  };
  const directionOf = (name: string, direction: 'a-to-b' | 'b-to-a'): number => {
    const span = wiring.spans.indexOf(name);
    if (span < 0) throw new RangeError(`There is no span ${name}. Known: ${wiring.spans.join(', ') || 'none'}.`);
    return 2 * span + (direction === 'a-to-b' ? 0 : 1);
  };

  return {
    observes: OBSERVABLES,
    get nowPs() {
      return plane.nowPs;
    },
    get hops() {
      return plane.hops;
    },
    get events() {
      return plane.eventCount;
    },
    get account() {
      return {
        injected: plane.injected,
        delivered: plane.delivered,
        dropped: plane.dropped,
        inFlight: plane.inFlight(),
      };
    },
    advance: untilPs => plane.advance(untilPs),
    stop: () => plane.stop(),
    at(atPs, run) {
      if (atPs < plane.nowPs) throw new RangeError(`${atPs} ps has passed; it is ${plane.nowPs} ps.`);
      plane.calls.push(atPs, run);
    },

    flow(request) {
      const between = ends(request);
      const flow = roce.open({ ...request, entropy: seen(request.entropy), ...between });
      flowFacts[3 * flow.id] = between.sourceHost;
      flowFacts[3 * flow.id + 1] = between.targetHost;
      flowFacts[3 * flow.id + 2] = request.entropy;
      return flow;
    },
    datagrams(request) {
      const between = ends(request);
      const entropy = seen(request.entropy);
      const stream = new Datagrams(plane, streams.length, { ...request, entropy, ...between, seed });
      streams.push(stream);
      streamFacts.push(between.sourceHost, request.entropy);
      return stream;
    },

    setRoute(node, target, ports) {
      const from = switchNamed(node);
      const to = hostNamed(target);
      const last = lastRoutes[from - wiring.hosts];
      if (last !== undefined && sameNames(last.ports, ports)) {
        plane.forwarding.setAs(from, to, last.target);
        return;
      }
      const numbers = ports.map(port => wiring.portNamed(node, port));
      plane.forwarding.set(from, to, numbers);
      // A copy: the caller may go on writing into his.
      lastRoutes[from - wiring.hosts] = { target: to, ports: [...ports] };
    },
    routes: (node, target) =>
      plane.forwarding.get(switchNamed(node), hostNamed(target)).map(port => wiring.portNames[port] as string),
    setForwarding: (node, port, on) => plane.setForwarding(wiring.portNamed(node, port), on),
    span(name, direction) {
      const span = directionOf(name, direction);
      return { ...stateOf(plane, span), ...(beforeBer[span] ?? { attenuationDb: 0, preFecBer: 0 }) };
    },
    setSpan(name, direction, asked) {
      const span = directionOf(name, direction);
      const change = checkedSpanChange(asked, magnitude(spanLengths[span >> 1] as Distance));
      const { lossEvery } = change;
      if (change.passing !== undefined) plane.setSpanPassing(span, change.passing);
      if (change.light !== undefined) plane.spans.light[span] = change.light ? 1 : 0;
      if (change.loss !== undefined) plane.spans.setLoss(span, change.loss);
      if (lossEvery !== undefined) plane.spans.setLossEvery(span, lossEvery);
      if (change.delayPs !== undefined) plane.setDelay(plane.portOfSpan(span), change.delayPs);
      if (change.jitterPs !== undefined) plane.spans.setJitter(span, change.jitterPs);
      if (change.reorderShare !== undefined) plane.spans.setStrayShare(span, change.reorderShare);
      if (change.reorderPs !== undefined) plane.spans.strayPs[span] = change.reorderPs;
      if (change.ber !== undefined) {
        plane.spans.setBer(span, change.ber);
        beforeBer[span] = { attenuationDb: change.attenuationDb ?? 0, preFecBer: change.preFecBer ?? 0 };
      }
    },
    spanCount(name, direction) {
      const span = directionOf(name, direction);
      return { packets: plane.spans.carried[span] as number, lost: plane.spans.lost[span] as number };
    },
    reset: node => plane.reset(wiring.nodeNamed(node)),

    ports: node =>
      (wiring.portsOf[wiring.nodeNamed(node)] as readonly number[]).map(port => wiring.portNames[port] as string),
    count: (node, port) => plane.count(wiring.portNamed(node, port)),
    takeQueuePeak: (node, port) => plane.takePeak(wiring.portNamed(node, port)),
    queueCount: (node, port, priority) => plane.queueCount(wiring.portNamed(node, port), queueOf(priority)),
    takeSeriesPeak: (node, port, priority) => plane.takeSeriesPeak(wiring.portNamed(node, port), queueOf(priority)),
    tap: (node, port, listener) => tapPort(taps, wiring.portNamed(node, port), listener),
    nic: host => ({ ...(roce.nics[hostNamed(host)] as (typeof roce.nics)[number]) }),
    path(source, target, entropy) {
      const { sourceHost, targetHost } = ends({ source, target });
      const hash = flowHash(sourceHost, targetHost, seen(entropy));
      const path: { node: string; port: string }[] = [];
      let node = sourceHost;
      // A loop in the tables must not hang the caller: no path is longer than the nodes are many.
      while (node !== targetHost && path.length <= wiring.nodes.length) {
        const port = plane.forwarding.hashed(node, targetHost, hash);
        if (port < 0 || !plane.isForwarding(port)) break;
        path.push({ node: wiring.nodes[node] as string, port: wiring.portNames[port] as string });
        const far = wiring.peer[port] as number;
        const span = wiring.spanDirection[port] as number;
        if (!plane.isForwarding(far) || (span >= 0 && plane.spans.passing[span] === 0)) break;
        node = wiring.node[far] as number;
        if (node < wiring.hosts) break;
      }
      return path;
    },
  };
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  if (some.length !== others.length) return false;
  for (let i = 0; i < some.length; i++) if (some[i] !== others[i]) return false;
  return true;
}

function stateOf(plane: DataPlane, span: number): SpanState {
  return {
    passing: plane.spans.passing[span] === 1,
    light: plane.spans.light[span] === 1,
    delayPs: plane.delayOf(plane.portOfSpan(span)),
    loss: plane.spans.loss[span] as number,
    lossEvery: plane.spans.lossEvery(span),
    jitterPs: plane.spans.jitterMeanPs(span),
    reorderShare: plane.spans.strayShare(span),
    reorderPs: plane.spans.strayPs[span] as number,
    ber: plane.spans.ber(span),
  };
}
