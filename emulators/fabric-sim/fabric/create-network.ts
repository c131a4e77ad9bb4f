import { magnitude } from '../../../harness/model/units.ts';
import { Datagrams } from '../transport/datagrams.ts';
import { Roce } from '../transport/roce.ts';
import { DataPlane } from './data-plane.ts';
import { flowHash } from './ecmp-hash.ts';
import type { Network, NetworkOptions, SpanState } from './network.ts';
import { DATAGRAM } from './packet-pool.ts';
import { ROCE_OVERHEAD_BYTES } from './wire-size.ts';
import { wire } from './wiring.ts';

/**
 * A packet network at rest at time 0, with no routes on its switches; a host sends everything by its NIC.
 *
 * Same options, same calls: same results, bit for bit. See {@link DataPlane} and {@link Roce} for the laws it follows.
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
  const trainBytes = trainPackets * (magnitude(topology.settings.roce.mtu) + overheadBytes);
  const plane = new DataPlane({ topology, wiring, seed, trainBytes, overheadBytes });
  const roce = new Roce({ plane, settings: topology.settings, trainPackets, overheadBytes });
  const streams: Datagrams[] = [];
  plane.attach({
    receive(_host, packet) {
      if (plane.pool.kind[packet] === DATAGRAM)
        (streams[plane.pool.owner[packet] as number] as Datagrams).arrived(packet);
      else roce.receive(packet);
    },
    pull: host => roce.pull(host),
    get readyAtPs() {
      return roce.readyAtPs;
    },
  });

  const hostNamed = (name: string): number => {
    const host = wiring.nodeNamed(name);
    if (host >= wiring.hosts) throw new RangeError(`${name} is a switch, not a host.`);
    return host;
  };
  const ends = ({ source, target }: { readonly source: string; readonly target: string }) => {
    if (source === target) throw new RangeError(`${source} can not send to itself over the fabric.`);
    return { sourceHost: hostNamed(source), targetHost: hostNamed(target) };
  };
  const directionOf = (name: string, direction: 'a-to-b' | 'b-to-a'): number => {
    const span = wiring.spans.indexOf(name);
    if (span < 0) throw new RangeError(`There is no span ${name}. Known: ${wiring.spans.join(', ') || 'none'}.`);
    return 2 * span + (direction === 'a-to-b' ? 0 : 1);
  };

  return {
    get nowPs() {
      return plane.nowPs;
    },
    get hops() {
      return plane.hops;
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

    flow: request => roce.open({ ...request, ...ends(request) }),
    datagrams(request) {
      const stream = new Datagrams(plane, streams.length, { ...request, ...ends(request) });
      streams.push(stream);
      return stream;
    },

    setRoute(node, target, ports) {
      plane.setRoute(
        wiring.nodeNamed(node),
        hostNamed(target),
        ports.map(port => wiring.portNamed(node, port)),
      );
    },
    routes: (node, target) =>
      plane.route(wiring.nodeNamed(node), hostNamed(target)).map(port => wiring.portNames[port] as string),
    setForwarding: (node, port, on) => plane.setForwarding(wiring.portNamed(node, port), on),
    span: (name, direction) => stateOf(plane, directionOf(name, direction)),
    setSpan(name, direction, change) {
      const span = directionOf(name, direction);
      if (change.delayPs !== undefined && !(Number.isSafeInteger(change.delayPs) && change.delayPs >= 0))
        throw new RangeError(`Delay ${change.delayPs} ps.`);
      if (change.loss !== undefined && !(change.loss >= 0 && change.loss <= 1))
        throw new RangeError(`Loss ${change.loss} is no fraction of 1.`);
      if (change.passing !== undefined) plane.setSpanPassing(span, change.passing);
      if (change.light !== undefined) plane.spanLight[span] = change.light ? 1 : 0;
      if (change.loss !== undefined) plane.setSpanLoss(span, change.loss);
      if (change.delayPs !== undefined) wiring.delayPs[plane.portOfSpan(span)] = change.delayPs;
    },
    spanCount(name, direction) {
      const span = directionOf(name, direction);
      return { packets: plane.spanCarried[span] as number, lost: plane.spanLost[span] as number };
    },
    reset: node => plane.reset(wiring.nodeNamed(node)),

    ports: node =>
      (wiring.portsOf[wiring.nodeNamed(node)] as readonly number[]).map(port => wiring.portNames[port] as string),
    count: (node, port) => plane.count(wiring.portNamed(node, port)),
    takeQueuePeak: (node, port) => plane.takePeak(wiring.portNamed(node, port)),
    nic: host => ({ ...(roce.nics[hostNamed(host)] as (typeof roce.nics)[number]) }),
    path(source, target, entropy) {
      const { sourceHost, targetHost } = ends({ source, target });
      const hash = flowHash(sourceHost, targetHost, entropy);
      const path: { node: string; port: string }[] = [];
      let node = sourceHost;
      // A loop in the tables must not hang the caller: no path is longer than the nodes are many.
      while (node !== targetHost && path.length <= wiring.nodes.length) {
        const port = plane.egress(node, targetHost, hash);
        if (port < 0 || !plane.isForwarding(port)) break;
        path.push({ node: wiring.nodes[node] as string, port: wiring.portNames[port] as string });
        const far = wiring.peer[port] as number;
        const span = wiring.spanDirection[port] as number;
        if (!plane.isForwarding(far) || (span >= 0 && plane.spanPassing[span] === 0)) break;
        node = wiring.node[far] as number;
        if (node < wiring.hosts) break;
      }
      return path;
    },
  };
}

function stateOf(plane: DataPlane, span: number): SpanState {
  return {
    passing: plane.spanPassing[span] === 1,
    light: plane.spanLight[span] === 1,
    delayPs: plane.wiring.delayPs[plane.portOfSpan(span)] as number,
    loss: plane.spanLoss[span] as number,
  };
}
