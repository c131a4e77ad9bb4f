import type { Distance, Duration, Rate, Size } from './units.ts';

/** One end of a cable: a device and the name of its port, both as the topology names them. */
export interface PortRef {
  readonly node: string;
  readonly port: string;
}

/** One GPU node with one NIC (port `eth0`); it is one rank of every collective. */
export interface Host {
  readonly kind: 'host';
  readonly name: string;
  readonly site: string;
}

export interface SwitchNode {
  readonly kind: 'switch';
  readonly name: string;
  readonly site: string;
  readonly role: 'leaf' | 'spine';
  /**
   * Spines of one group share an AS number; all spines of a site are one group when absent. Spines that are joined to each other inside a
   * site (a fat tree's aggregation and core) need different ones, as each tier has its own (RFC 7938, section 5.2.1).
   */
  readonly group?: string;
}

/** One cable inside a site, two ports. */
export interface Link {
  readonly kind: 'link';
  readonly name: string;
  readonly ends: readonly [PortRef, PortRef];
  readonly rate: Rate;
  readonly length: Distance;
}

/** One long-haul fibre between two sites. Never a traffic mirror, never a trace span. */
export interface Span {
  readonly kind: 'span';
  readonly name: string;
  readonly ends: readonly [PortRef, PortRef];
  readonly rate: Rate;
  readonly length: Distance;
  /** What the way from the first end to the second takes beyond the propagation over `length`; the way back does not. 0 or more; none when absent. */
  readonly asymmetry?: Duration;
}

/** RED/ECN marking law of the lossless queue: 0 below `min`, up to `probability` at `max`, 1 above. */
export interface EcnSettings {
  readonly min: Size;
  readonly max: Size;
  /** Marking probability at `max`, a fraction of 1. */
  readonly probability: number;
  /**
   * Whose queue counts: the one that a packet joins, or the one that it leaves behind when its transmission starts (`dequeue`, the
   * default) or ends (`end`, which wants `switching.releaseAt` 'end').
   */
  readonly at?: 'enqueue' | 'dequeue' | 'end';
  /** Beyond `max`: every packet (the default), or the slope goes on up to 1 (`extended`, the form that DCQCN's stability analysis takes). */
  readonly beyondMax?: 'all' | 'extended';
  /** Ports of these rates have thresholds of their own, which `scaleThresholds` leaves alone: the maps of the HPCC family. */
  readonly perRate?: readonly EcnAtRate[];
}

/** Thresholds of the ports of one rate. */
export interface EcnAtRate {
  readonly rate: Rate;
  readonly min: Size;
  readonly max: Size;
  readonly probability: number;
}

/** PFC of the lossless priorities. Thresholds are per ingress port and priority. */
export interface PfcSettings {
  readonly xoff: Size;
  readonly xon: Size;
  /** Room per ingress port and lossless priority for what still comes after a pause; from rate and delay when absent. */
  readonly headroom?: Size;
  /** An ingress is paused at this share of the free buffer too; 1/8 when absent (dynamic threshold), `null` for `xoff` alone. */
  readonly freeShare?: number | null;
  /** Quanta of 512 bit times that a pause frame holds for, refreshed at half of it; 65535 when absent. */
  readonly quanta?: number;
  /** Storm watchdog per egress queue; none when absent. */
  readonly watchdog?: PfcWatchdogSettings;
  /**
   * A pause frame takes its own 672 bit times and the link's delay (`link`, the default), or is there at once (`none`): htsim with a
   * topology file charges nothing for it, and only its numbers are compared so.
   */
  readonly frameDelay?: 'link' | 'none';
  /** Ports that face a span take part too (no headroom covers a long fibre: for studies); false when absent. */
  readonly overSpans?: boolean;
}

/** A lossless queue that stays paused for `detection` is emptied and drops until it has been open for `restoration`. */
export interface PfcWatchdogSettings {
  readonly detection: Duration;
  readonly restoration: Duration;
}

/** How switches spread and hold packets. What is absent is as `fabric/` says. */
export interface SwitchingSettings {
  /** Choice among equal next hops; `ecmp` when absent. */
  readonly loadBalancing?: 'ecmp' | 'adaptive' | 'spray';
  /**
   * What the hash of `ecmp` sees: addresses, protocol and UDP ports (`five-tuple`, the default), or addresses and protocol: then all flows
   * between two hosts take one path.
   */
  readonly ecmpFields?: 'five-tuple' | 'addresses';
  /** Seeds the switches' hashes; the run's seed when absent. */
  readonly ecmpSeed?: number;
  /** ECN and PFC thresholds are declared for 100 Gb/s ports and scaled with the port's rate; true when absent. */
  readonly scaleThresholds?: boolean;
  /** A queue without PFC holds at most this multiple of the free buffer (Choudhury and Hahne 1998); the whole buffer when absent. */
  readonly lossyShare?: number;
  /** At most so many bytes in one queue without PFC; what comes beyond is trimmed, where it can be, or dropped. */
  readonly queueLimit?: Size;
  /** Queue limits are declared for 100 Gb/s ports and scaled with the port's rate; false when absent. */
  readonly scaleQueueLimit?: boolean;
  /** Limit of the control priority's queue; `queueLimit` when absent. */
  readonly controlQueueLimit?: Size;
  /** Packets that a full queue can not take lose their payload and go on as so many wire bytes in the control priority. */
  readonly trimTo?: Size;
  /** Which packet a full queue trims: the one that arrives (the default), or with equal chance that or the youngest in the queue, whose place it takes. */
  readonly trimVictim?: 'arriving' | 'either';
  /** Control packets that a NIC sends in a row while data waits too, before one data packet; without end when absent. */
  readonly nicControlRun?: number;
  /** A packet leaves the buffer's account when its transmission starts (the default) or ends. */
  readonly releaseAt?: 'start' | 'end';
  /** Priorities 0..7 of acknowledgements and CNPs, RoCE data and datagrams; 6, 3, 0 when absent. 6 and 7 are served first. */
  readonly priorities?: { readonly control: number; readonly data: number; readonly datagrams: number };
}

/** What carries the jobs' data. Absent: RoCEv2, go-back-N, DCQCN as `dcqcn` says. */
export interface TransportSettings {
  /** Congestion control law by name; `emulators/fabric-sim/transport/laws.ts` lists them. */
  readonly control: string;
  /** The law's parameters that differ from its defaults, by their names there. */
  readonly parameters?: Readonly<Record<string, number>>;
  readonly recovery?: 'go-back-n' | 'selective-repeat';
  /** Which path each packet takes: the flow's (the default), or the sender varies the entropy per packet. */
  readonly spreading?: 'flow' | 'oblivious' | 'bitmap' | 'reps' | 'mixed';
  /** Entropies that a flow spreads over, a power of two; 64 when absent. */
  readonly paths?: number;
  /** Wire bytes of an acknowledgement; RoCEv2's when absent. */
  readonly acknowledgementBytes?: Size;
  /** Packets that one acknowledgement answers at most, fewer where a window is full; as the law wants when absent. */
  readonly acknowledgeEvery?: number;
  /** For `recovery` 'selective-repeat'. */
  readonly selectiveRepeat?: SelectiveRepeatSettings;
}

/** Selective repeat beside what {@link TransportSettings} say. Its retransmission time-out is that of `roce`. */
export interface SelectiveRepeatSettings {
  /**
   * A packet is lost when one sent so many transmissions later is acknowledged (RFC 9002, section 6.1.1); `null`: never. When absent
   * 3, and `null` where packets of one flow take several paths.
   */
  readonly reorder?: number | null;
  /** What a time-out gives up: all in flight (the default), or the oldest packet. */
  readonly timeout?: 'all' | 'oldest';
  /**
   * When the receiver acknowledges: every `acknowledgeEvery` packets, at the end of a message, when the sender asks, and at once while
   * packets are missing (`count`, the default), or every `acknowledgeEvery` packets, at once after CE, and when the sender asks (`asked`: its window is full
   * or nothing is left), as Ultra Ethernet does.
   */
  readonly acknowledge?: 'count' | 'asked';
}

/** Timers of the control plane. Each is a parameter with its source beside its default. */
export interface ControlPlaneSettings {
  /** Loss of light until the port is operationally down. */
  readonly lossOfLight: Duration;
  /** BFD: detection time = interval x multiplier (RFC 5880 section 6.8.4). */
  readonly bfdInterval: Duration;
  readonly bfdMultiplier: number;
  /** Best-path run and advertisement to each neighbour, per hop. */
  readonly bgpHop: Duration;
  /** Programming the next-hop group into the forwarding table. */
  readonly fibUpdate: Duration;
  /** Link up until the BGP session is established again. */
  readonly bgpEstablish: Duration;
  /** What BGP alone would wait for a silent neighbour, for `farspan lint`: the simulator's sessions end by loss of light and BFD. */
  readonly bgpHold?: Duration;
}

/** DCQCN at the NIC (names after Zhu et al., SIGCOMM 2015, table 14, and NVIDIA's `roce_rp` parameters). */
export interface DcqcnSettings {
  readonly alphaTimer: Duration;
  readonly rateReducePeriod: Duration;
  readonly increaseTimer: Duration;
  readonly byteCounter: Size;
  /** EWMA gain, a fraction of 1. */
  readonly g: number;
  readonly additiveIncrease: Rate;
  readonly hyperIncrease: Rate;
  readonly fastRecoveryRounds: number;
  readonly minRate: Rate;
  /** Least time between two CNPs for one flow, at the notification point. */
  readonly cnpInterval: Duration;
}

export interface RoceSettings {
  /** Payload of a full packet. */
  readonly mtu: Size;
  /** Go-back-N retransmission timeout. */
  readonly retransmitTimeout: Duration;
  /** Most bytes in flight per flow; unlimited when absent. */
  readonly window?: Size;
  /** Timeouts in a row after which a queue pair gives up, for `farspan lint`: the simulator's never do. */
  readonly retries?: number;
}

/** What NCCL is started with, for `farspan lint`: the simulator's collectives have no such buffers. */
export interface NcclSettings {
  /** NCCL_BUFFSIZE: what one channel has in flight at most. */
  readonly bufferSize: Size;
  /** Channels that cross a span from one NIC. */
  readonly channels?: number;
}

/** What the fabric is declared to be configured as. `model/fabric-settings.ts` holds the defaults and their sources. */
export interface FabricSettings {
  readonly bufferPerSwitch: Size;
  readonly ecn: EcnSettings | null;
  readonly pfc: PfcSettings | null;
  readonly controlPlane: ControlPlaneSettings;
  readonly dcqcn: DcqcnSettings | null;
  readonly roce: RoceSettings;
  readonly nccl?: NcclSettings;
  readonly switching?: SwitchingSettings;
  readonly transport?: TransportSettings;
}

/** The abstract shape a scenario asks for. Plain data: any graph of hosts, switches, links and spans. */
export interface Topology<SpanName extends string = string> {
  readonly name: string;
  readonly sites: readonly string[];
  readonly hosts: readonly Host[];
  readonly switches: readonly SwitchNode[];
  readonly links: readonly Link[];
  readonly spans: Readonly<Record<SpanName, Span>>;
  readonly settings: FabricSettings;
}

/** A cable between two ports, named after them. */
export function cable(a: PortRef, b: PortRef, rate: Rate, length: Distance): Link {
  return { kind: 'link', name: `${a.node}:${a.port}--${b.node}:${b.port}`, ends: [a, b], rate, length };
}

const known = (names: readonly string[]): string => `Known: ${names.join(', ') || 'none'}.`;

/** The link between two nodes (the first, when several run in parallel). @throws RangeError when there is none */
export function linkBetween(topology: Topology, nodeA: string, nodeB: string): Link {
  const link = topology.links.find(
    ({ ends: [a, b] }) => (a.node === nodeA && b.node === nodeB) || (a.node === nodeB && b.node === nodeA),
  );
  if (!link)
    throw new RangeError(
      `No link joins ${nodeA} and ${nodeB} in ${topology.name}. ${known(topology.links.map(l => l.name))}`,
    );
  return link;
}

/** @throws RangeError when the topology has no switch of that name */
export function switchNamed(topology: Topology, name: string): SwitchNode {
  const found = topology.switches.find(node => node.name === name);
  if (!found)
    throw new RangeError(`${topology.name} has no switch ${name}. ${known(topology.switches.map(s => s.name))}`);
  return found;
}
