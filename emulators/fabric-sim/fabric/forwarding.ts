import type { Random } from '../kernel/random.ts';
import { ecmpChoice, switchSeed } from './ecmp-hash.ts';
import {
  BUSY_UNTIL,
  DEPTH_BYTES,
  PORT_FLOAT_SHIFT,
  type Ports,
  PRIORITIES,
  PS_PER_BYTE,
  QUEUE_FLOAT_SHIFT,
  QUEUE_SHIFT,
} from './ports.ts';
import type { Wiring } from './wiring.ts';

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
export class Forwarding {
  private readonly options: ForwardingOptions;
  private readonly hosts: number;
  private readonly table: Int32Array;
  private readonly groups: Int32Array[] = [];
  private readonly groupIds = new Map<string, number>();
  private readonly seeds: Int32Array;

  constructor(options: ForwardingOptions) {
    const { wiring, seed } = options;
    this.options = options;
    this.hosts = wiring.hosts;
    this.table = new Int32Array((wiring.nodes.length - wiring.hosts) * wiring.hosts).fill(-1);
    this.seeds = Int32Array.from({ length: wiring.nodes.length }, (_, node) => switchSeed(seed, node));
  }

  /** Port by which a node sends a packet on; -1 when it has no route. */
  egress(node: number, target: number, hash: number, nowPs: number): number {
    const hosts = this.hosts;
    if (node < hosts) return this.options.wiring.portsOf[node]?.[0] as number;
    const entry = this.table[(node - hosts) * hosts + target] as number;
    if (entry >= -1) return entry;
    const group = this.groups[-entry - 2] as Int32Array;
    const { law } = this.options;
    if (law === 'ecmp') return group[ecmpChoice(hash, this.seeds[node] as number, group.length)] as number;
    if (law === 'spray') return group[this.options.random.word() % group.length] as number;
    return this.leastLoaded(group, ecmpChoice(hash, this.seeds[node] as number, group.length), nowPs);
  }

  /** Where a flow goes by hash alone: what a trace would answer. */
  hashed(node: number, target: number, hash: number): number {
    if (node < this.hosts) return this.options.wiring.portsOf[node]?.[0] as number;
    const entry = this.table[(node - this.hosts) * this.hosts + target] as number;
    if (entry >= -1) return entry;
    const group = this.groups[-entry - 2] as Int32Array;
    return group[ecmpChoice(hash, this.seeds[node] as number, group.length)] as number;
  }

  private leastLoaded(group: Int32Array, from: number, nowPs: number): number {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < group.length; k++) {
      const port = group[(from + k) % group.length] as number;
      const work = this.workPs(port, nowPs);
      if (work < least) {
        least = work;
        best = port;
      }
    }
    return best;
  }

  private workPs(port: number, nowPs: number): number {
    const { floats, queueFloats } = this.options.ports;
    const f = port << PORT_FLOAT_SHIFT;
    let bytes = 0;
    for (let queue = port << QUEUE_SHIFT; queue < (port << QUEUE_SHIFT) + PRIORITIES; queue++)
      bytes += queueFloats[(queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES] as number;
    return Math.max(0, (floats[f + BUSY_UNTIL] as number) - nowPs) + bytes * (floats[f + PS_PER_BYTE] as number);
  }

  set(node: number, target: number, ports: readonly number[]): void {
    const at = (node - this.hosts) * this.hosts + target;
    if (ports.length === 0) this.table[at] = -1;
    else if (ports.length === 1) this.table[at] = ports[0] as number;
    else {
      const key = ports.join();
      let group = this.groupIds.get(key);
      if (group === undefined) {
        group = this.groups.push(Int32Array.from(ports)) - 1;
        this.groupIds.set(key, group);
      }
      this.table[at] = -2 - group;
    }
  }

  get(node: number, target: number): readonly number[] {
    const entry = this.table[(node - this.hosts) * this.hosts + target] as number;
    if (entry === -1) return [];
    return entry >= 0 ? [entry] : [...(this.groups[-entry - 2] as Int32Array)];
  }
}
