import type { Granularity } from '../../harness/model/granularity.ts';
import type { Load } from '../../harness/model/load.ts';
import type { RoundLine } from '../../harness/model/record.ts';
import type { Topology } from '../../harness/model/topology.ts';
import type { ProtectionOptions, ProtectionState } from './control/protection.ts';
import type { Series, SeriesOptions } from './fabric/series.ts';
import type { DatagramStream, NicCount, Observable, PortCount, SpanState } from './fabric/network.ts';

export interface FabricSimOptions {
  readonly topology: Topology;
  readonly seed: number;
  readonly trainPackets: number;
  /** How finely it is simulated at first; default trains of `trainPackets`. Without it the engine can not be changed later. */
  readonly granularity?: Granularity;
  /** A defect planted in the fabric, by name; see `defects.ts`. */
  readonly defect?: string;
}

export interface SimPort {
  readonly name: string;
  readonly adminUp: boolean;
  readonly operUp: boolean;
  /** Virtual time of the last change of `operUp`, ps. */
  readonly lastChangePs: number;
  readonly rateBps: number;
  /** Far end, as LLDP shows it: on a span, the far switch. */
  readonly neighbor: { readonly node: string; readonly port: string };
}

export interface SimBgpSession {
  readonly port: string;
  readonly neighbor: string;
  readonly neighborAsn: number;
  readonly established: boolean;
  readonly sincePs: number;
  readonly prefixes: number;
}

export interface SimJob {
  readonly load: Load;
  /** Finished rounds, exact. Times in ns like every record line. */
  readonly rounds: readonly RoundLine[];
  /** The flows this load uses now, for rate series: name and bytes delivered so far. */
  flows(): readonly { readonly name: string; readonly delivered: number }[];
  stop(): void;
}

/** Something that happened on the control plane, for traps and logs. */
export interface SimEvent {
  readonly atPs: number;
  readonly node: string;
  readonly kind: 'link-down' | 'link-up' | 'bgp-down' | 'bgp-up' | 'booting' | 'booted';
  readonly port?: string;
}

/**
 * A whole fabric in virtual time: data plane, control plane and jobs. Both the `sim` world and the emulated devices stand on it.
 * Reboots, cuts and admin changes take effect as on real gear: through detection, withdrawal and FIB timers.
 */
export interface FabricSim {
  readonly topology: Topology;
  readonly nowPs: number;
  readonly hops: number;
  /** What the counters tell now; see `Network`. */
  readonly observes: ReadonlySet<Observable>;
  /**
   * Goes on with another granularity from now on. Between two `advance` only.
   *
   * @throws RangeError when that can not carry what runs, or the fabric was built without `granularity`
   */
  playAs(granularity: Granularity): void;
  /** Virtual time passes. With `until`, stops at the very event that makes the job's `rounds.length` reach `rounds`. */
  advance(untilPs: number, until?: { readonly job: SimJob; readonly rounds: number }): void;
  /** Runs `act` at a virtual time. */
  at(atPs: number, act: () => void): void;
  onEvent(listener: (event: SimEvent) => void): void;

  /** Why the load can not be simulated; undefined when it can. */
  refuses(load: Load): string | undefined;
  startJob(load: Load): SimJob;
  startProbe(probe: {
    readonly source: string;
    readonly target: string;
    readonly sourcePort: number;
    readonly packetsPerSecond: number;
  }): DatagramStream;
  /** Switch and port hops of a UDP flow with this source port, and the spans it crosses. */
  path(
    source: string,
    target: string,
    sourcePort: number,
  ): { readonly hops: readonly { readonly node: string; readonly port: string }[]; readonly spans: readonly string[] };

  ports(node: string): readonly SimPort[];
  setAdmin(node: string, port: string, up: boolean): void;
  bgp(node: string): readonly SimBgpSession[];
  count(node: string, port: string): Readonly<PortCount>;
  takeQueuePeak(node: string, port: string): number;
  nic(host: string): Readonly<NicCount>;
  /** Follows ports, queues and flows from now on, in bounded memory. A switch that reboots restarts its own counters. */
  series(options: SeriesOptions): Series;
  span(name: string, direction: 'a-to-b' | 'b-to-a'): Readonly<SpanState>;
  setSpan(name: string, direction: 'a-to-b' | 'b-to-a', change: Partial<SpanState>): void;
  /**
   * Gives the span a longer protection path; what is set on the span is its working path from then on, and `span` tells that. Not to be
   * undone.
   */
  protect(name: string, options: ProtectionOptions): void;
  /** Which path carries traffic, and why; undefined for a span that is not protected. */
  protection(name: string): ProtectionState | undefined;
  /** Packets sent into the span and those of them that a cut or random loss took, since the start. */
  spanCount(name: string, direction: 'a-to-b' | 'b-to-a'): { readonly packets: number; readonly lost: number };
  reboot(node: string, takesPs: number): void;
  /** False while it boots. */
  isUp(node: string): boolean;
  bootedAtPs(node: string): number;
  asn(node: string): number;
}
