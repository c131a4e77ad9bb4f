import type { Random } from '../kernel/random.ts';
import { ecmpChoice, switchSeed } from './ecmp-hash.ts';
import * as portLayout from './ports.ts';
import type { Ports } from './ports.ts';
import type { Wiring } from './wiring.ts';

// Copies: V8 folds a module's own constants into its code, imported ones are read at each use.
const { BUSY_UNTIL, DEPTH_BYTES, PORT_FLOAT_SHIFT, PRIORITIES, PS_PER_BYTE, QUEUE_FLOAT_SHIFT, QUEUE_SHIFT } =
  portLayout;

/** A switch's choice among equal next hops. One law a file would be one function a file: they stand here side by side. */
export type LoadBalancing = 'ecmp' | 'adaptive' | 'spray';

export interface ForwardingOptions {
  readonly wiring: Wiring;
  readonly ports: Ports;
  readonly law: LoadBalancing;
  /** Seeds the hash of every switch. */
  readonly seed: number;
  /** For `spray`. */
  readonly random: Random;
}

/**
 * Forwarding tables: for each switch and host one port, or a group of equal ports.
 *
 * - `ecmp`: hash of the packet's header with the switch's seed, modulo the group (a flow keeps its path).
 * - `adaptive`: the port with the least time of work before it (transmission in progress and all its queues); among equals the one
 *   that the hash would take, or the next after it. Per packet, so flows may be reordered.
 * - `spray`: any port of the group with equal chance, per packet.
 */
export interface Forwarding {
  /** Port by which a node sends a packet on; -1 when it has no route. */
  egress(node: number, target: number, hash: number, nowPs: number): number;
  /** Where a flow goes by hash alone: what a trace would answer. */
  hashed(node: number, target: number, hash: number): number;
  /** Ports of a switch that lead to a host, in the order that the hash indexes them; none drops. */
  set(node: number, target: number, ports: readonly number[]): void;
  get(node: number, target: number): readonly number[];
  /** Gives `target` the ports that `other` has now: as `set` with the same ports, without looking at each. */
  setAs(node: number, target: number, other: number): void;
}

export function createForwarding(options: ForwardingOptions): Forwarding {
  const { wiring, law, random, seed } = options;
  const { floats, queueFloats } = options.ports;
  const { hosts } = wiring;
  const nicPorts = Int32Array.from({ length: hosts }, (_, host) => wiring.portsOf[host]?.[0] as number);
  const entries = (wiring.nodes.length - hosts) * hosts;
  /** A port; -1 for none; -2 - group for several. Half the size where ports and groups are few: it is read at every hop, at random. */
  let table: Int16Array | Int32Array = (
    wiring.node.length < 0x8000 ? new Int16Array(entries) : new Int32Array(entries)
  ).fill(-1);
  /** Groups one after the other: the number of ports, then the ports. */
  let members = new Int32Array(64);
  let used = 0;
  const groupIds = new Map<string, number>();
  const seeds = Int32Array.from({ length: wiring.nodes.length }, (_, node) => switchSeed(seed, node));

  function egress(node: number, target: number, hash: number, nowPs: number): number {
    if (node < hosts) return nicPorts[node] as number;
    const entry = table[(node - hosts) * hosts + target] as number;
    if (entry >= -1) return entry;
    const group = -entry - 2;
    const size = members[group] as number;
    if (law === 'spray') return members[group + 1 + (random.word() % size)] as number;
    const choice = ecmpChoice(hash, seeds[node] as number, size);
    return law === 'ecmp' ? (members[group + 1 + choice] as number) : leastLoaded(group, choice, nowPs);
  }

  function hashed(node: number, target: number, hash: number): number {
    if (node < hosts) return nicPorts[node] as number;
    const entry = table[(node - hosts) * hosts + target] as number;
    if (entry >= -1) return entry;
    const group = -entry - 2;
    return members[group + 1 + ecmpChoice(hash, seeds[node] as number, members[group] as number)] as number;
  }

  function leastLoaded(group: number, from: number, nowPs: number): number {
    const size = members[group] as number;
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < size; k++) {
      const port = members[group + 1 + ((from + k) % size)] as number;
      const work = workPs(port, nowPs);
      if (work < least) {
        least = work;
        best = port;
      }
    }
    return best;
  }

  function workPs(port: number, nowPs: number): number {
    const f = port << PORT_FLOAT_SHIFT;
    let bytes = 0;
    for (let queue = port << QUEUE_SHIFT; queue < (port << QUEUE_SHIFT) + PRIORITIES; queue++)
      bytes += queueFloats[(queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES] as number;
    return Math.max(0, (floats[f + BUSY_UNTIL] as number) - nowPs) + bytes * (floats[f + PS_PER_BYTE] as number);
  }

  function set(node: number, target: number, ports: readonly number[]): void {
    const at = (node - hosts) * hosts + target;
    if (ports.length <= 1) {
      table[at] = ports[0] ?? -1;
      return;
    }
    const key = ports.join();
    let group = groupIds.get(key);
    if (group === undefined) {
      group = used;
      used += ports.length + 1;
      if (used > members.length) {
        const wider = new Int32Array(2 * used);
        wider.set(members);
        members = wider;
      }
      members.set([ports.length, ...ports], group);
      groupIds.set(key, group);
      if (group > 0x7ff0 && table instanceof Int16Array) table = Int32Array.from(table);
    }
    table[at] = -2 - group;
  }

  function setAs(node: number, target: number, other: number): void {
    table[(node - hosts) * hosts + target] = table[(node - hosts) * hosts + other] as number;
  }

  function get(node: number, target: number): readonly number[] {
    const entry = table[(node - hosts) * hosts + target] as number;
    if (entry === -1) return [];
    if (entry >= 0) return [entry];
    const group = -entry - 2;
    return [...members.subarray(group + 1, group + 1 + (members[group] as number))];
  }

  return { egress, hashed, set, get, setAs };
}
