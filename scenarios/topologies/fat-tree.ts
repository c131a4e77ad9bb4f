import type { Distance, FabricSettings, Host, Link, Rate, SwitchNode, Topology } from '#harness';
import { cable, DEFAULT_FABRIC } from '#harness';

export interface FatTreeOptions {
  /** Ports of every switch: an even number from 2 on. k pods, k^3/4 hosts. */
  readonly k: number;
  /** Rate of every port. */
  readonly rate: Rate;
  readonly settings?: Partial<FabricSettings>;
}

const RACK: Distance = '20 m';

/**
 * A fat tree of switches with `k` ports each, all of one rate, without oversubscription:
 *
 *     core-1-1  core-1-2   core-2-1  core-2-2        (k/2)^2 cores, one port to each pod
 *        |  \     |           |         |
 *     pod1-agg-1         pod1-agg-2          ...     k/2 a pod; agg j has the k/2 cores j-1 .. j-k/2
 *        |       \      /       |
 *     pod1-edge-1        pod1-edge-2         ...     k/2 a pod
 *       /    \             /    \
 *   host-1  host-2     host-3  host-4                k/2 an edge switch
 *
 * Two hosts of different pods have (k/2)^2 shortest paths of six cables, of one pod k/2 of four. Aggregation switches of a pod share an
 * AS number, and so do the cores: no path goes down and up again (RFC 7938, section 5.2.1).
 *
 * @throws RangeError when `k` is not an even whole number
 * @see Al-Fares, Loukissas, Vahdat, "A Scalable, Commodity Data Center Network Architecture", SIGCOMM 2008, section 2.2
 */
export function fatTree({ k, rate, settings }: FatTreeOptions): Topology<never> {
  if (!(Number.isInteger(k) && k >= 2 && k % 2 === 0))
    throw new RangeError(`A fat tree of switches with ${k} ports: an even number from 2 on is needed.`);
  const half = k / 2;
  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  const links: Link[] = [];
  for (let agg = 1; agg <= half; agg++)
    for (let core = 1; core <= half; core++)
      switches.push({ kind: 'switch', name: `core-${agg}-${core}`, site: 'a', role: 'spine', group: 'core' });
  for (let pod = 1; pod <= k; pod++) {
    for (let agg = 1; agg <= half; agg++) {
      const name = `pod${pod}-agg-${agg}`;
      switches.push({ kind: 'switch', name, site: 'a', role: 'spine', group: `pod ${pod}` });
      for (let core = 1; core <= half; core++)
        links.push(
          cable({ node: name, port: `up${core}` }, { node: `core-${agg}-${core}`, port: `pod${pod}` }, rate, RACK),
        );
    }
    for (let edge = 1; edge <= half; edge++) {
      const leaf = `pod${pod}-edge-${edge}`;
      switches.push({ kind: 'switch', name: leaf, site: 'a', role: 'leaf' });
      for (let agg = 1; agg <= half; agg++)
        links.push(
          cable({ node: leaf, port: `up${agg}` }, { node: `pod${pod}-agg-${agg}`, port: `down${edge}` }, rate, RACK),
        );
      for (let n = 1; n <= half; n++) {
        const name = `host-${hosts.length + 1}`;
        hosts.push({ kind: 'host', name, site: 'a' });
        links.push(cable({ node: name, port: 'eth0' }, { node: leaf, port: `host${n}` }, rate, RACK));
      }
    }
  }
  return {
    name: 'fat-tree',
    sites: ['a'],
    hosts,
    switches,
    links,
    spans: {},
    settings: { ...DEFAULT_FABRIC, ...settings },
  };
}
