import type { DataPlane } from '../fabric/data-plane.ts';
import { flowHash } from '../fabric/ecmp-hash.ts';
import type { PathFacts } from './congestion-control.ts';

export interface PathQuestion {
  readonly source: number;
  readonly target: number;
  readonly entropy: number;
  readonly mtuBytes: number;
  readonly overheadBytes: number;
  readonly ackBytes: number;
}

/**
 * What a NIC may know of the path that a flow's first packet takes now: rates, delays, hops. The base round trip is that of one full
 * packet out and one acknowledgement back over the same links, stored and forwarded at each switch. Without a route: of the NIC's own
 * cable.
 */
export function pathFacts(plane: DataPlane, question: PathQuestion): PathFacts {
  const { wiring } = plane;
  const { source, target, entropy, mtuBytes, overheadBytes, ackBytes } = question;
  const hash = flowHash(source, target, entropy);
  const line = wiring.rateBps[wiring.portsOf[source]?.[0] as number] as number;
  let bottleneckBps = line;
  let baseRttPs = 0;
  let hops = 0;
  let interSite = false;
  let node = source;
  // A loop in the tables must not hang the caller: no path is longer than the nodes are many.
  for (let links = 0; node !== target && links <= wiring.nodes.length; links++) {
    const port = plane.forwarding.hashed(node, target, hash);
    if (port < 0) break;
    const psPerByte = wiring.psPerByte[port] as number;
    baseRttPs += Math.round((mtuBytes + overheadBytes) * psPerByte) + Math.round(ackBytes * psPerByte);
    baseRttPs += plane.delayOf(port) + plane.delayOf(wiring.peer[port] as number);
    bottleneckBps = Math.min(bottleneckBps, wiring.rateBps[port] as number);
    if ((wiring.spanDirection[port] as number) >= 0) interSite = true;
    node = wiring.node[wiring.peer[port] as number] as number;
    if (node !== target) hops++;
  }
  return { lineBps: line, bottleneckBps, mtuBytes, overheadBytes, baseRttPs, hops, interSite };
}
