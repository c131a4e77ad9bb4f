import type { Topology } from '../../../harness/model/topology.ts';
import type { Tappable } from './tapped-packet.ts';

/**
 * What an engine may or may not see: queue depths and peaks, ECN marks, PFC frames and pauses, congestion notifications, packets out of
 * order. What it does not see, its counters do not tell: they stand still and mean nothing, and must be reported as absent, never as 0.
 */
export type Observable = 'queues' | 'ecn' | 'pfc' | 'cnp' | 'order';

export const OBSERVABLES: ReadonlySet<Observable> = new Set(['queues', 'ecn', 'pfc', 'cnp', 'order']);

/** Lets a round that would be the same again be counted instead of played. Only an engine without memory of rates has it. */
export interface Repeats {
  /**
   * What a round that begins now depends on, besides what is sent in it: equal numbers, equal rounds. Undefined when that can not be said:
   * something is under way, or chance has a hand in it.
   */
  state(): number | undefined;
  /** Notes what every flow has been given so far; with `since`, only what it was given since that mark. */
  mark(since?: RoundMark): RoundMark;
  /**
   * Counts what `given` says again, as sent, delivered and acknowledged, and calls `done` `lastsPs` from now. False when something
   * else is due before, so that the round must be played.
   */
  repeat(round: { readonly given: RoundMark; readonly lastsPs: number; readonly done: () => void }): boolean;
}

/** Opaque. */
export interface RoundMark {
  readonly taken: unknown;
}

/** Times are integer picoseconds, sizes bytes, rates bit/s. Nodes and ports carry the topology's names. */
export interface NetworkOptions {
  readonly topology: Topology;
  readonly seed: number;
  /** Packets carried as one unit; 1 is exact. */
  readonly trainPackets: number;
  /** What a full RoCE packet adds to its payload on the wire; 82 B when absent (see `wire-size.ts`). Other simulators' goldens use other headers, without a gap between frames: byte counters and telemetry then count all of it. */
  readonly overheadBytes?: number;
  /**
   * Events of one instant: by the place of the port (the default, which depends on nothing that happened before), or in the order in
   * which they were scheduled. htsim's event list has the latter; where all packets are of one size, its printed digits hang on it.
   */
  readonly ties?: 'by-source' | 'as-scheduled';
}

/** One RoCEv2 flow (a queue pair) of a fixed size, or endless. */
export interface FlowRequest {
  readonly source: string;
  readonly target: string;
  /** Infinity for an endless flow. */
  readonly bytes: number;
  /** UDP source port: with the addresses, the ECMP hash input. */
  readonly entropy: number;
  /** A planted defect: the sender ignores CNPs and stays at line rate. */
  readonly deaf?: boolean;
  /** Called once, at the virtual instant when the last byte is acknowledged at the sender. */
  readonly onAcknowledged?: () => void;
  /** Called once, at the virtual instant when the last byte has arrived, in order, at the receiver. */
  readonly onDelivered?: () => void;
}

export interface Flow {
  readonly id: number;
  /** Bytes delivered in order so far. */
  delivered(): number;
  /** Current sending rate, bit/s. */
  rateBps(): number;
  /** Adds bytes to a flow that has finished or not: a queue pair that is used again (rate and path state stay). */
  send(bytes: number, callbacks?: Pick<FlowRequest, 'onAcknowledged' | 'onDelivered'>): void;
  stop(): void;
}

export interface DatagramStream {
  sent(): number;
  received(): number;
  stop(): void;
}

/** Everything a port has counted since the start. Sizes in bytes, times in ps. */
export interface PortCount {
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  drops: number;
  queuePackets: number;
  ecnMarked: number;
  pfcRx: number;
  pfcTx: number;
  pausedPs: number;
  queueBytes: number;
  /** Peak of the lossless queue since `takeQueuePeak`. */
  queuePeakBytes: number;
  /** Packets that lost their payload to a full queue. */
  trimmed?: number;
}

/** One queue: bytes now, packets sent and dropped since the start, peak since it was last taken. */
export interface QueueCount {
  readonly bytes: number;
  readonly sent: number;
  readonly drops: number;
  readonly peakBytes: number;
}

/** What of a port only grows: the fields that readings are made of. */
export const COUNTED = [
  'rxBytes',
  'txBytes',
  'rxPackets',
  'txPackets',
  'drops',
  'queuePackets',
  'ecnMarked',
  'pfcRx',
  'pfcTx',
  'pausedPs',
] as const satisfies readonly (keyof PortCount)[];

export interface NicCount {
  cnpSent: number;
  cnpHandled: number;
  /** Go-back-N: packets that came out of order and were thrown away. */
  outOfSequence: number;
  timeouts: number;
  retransmittedPackets: number;
}

export interface SpanState {
  /** Frames pass in this direction. */
  passing: boolean;
  /** The far end sees light from this direction. */
  light: boolean;
  delayPs: number;
  /** Random frame loss, fraction of 1. */
  loss: number;
  /** Every so many data packets one is lost; 0 or absent for none. */
  lossEvery?: number;
  /** Mean of an extra delay of each packet, uniform in 0..2 x mean, ps; order is kept. Packet level only. */
  jitterPs?: number;
  /** Share of packets, fraction of 1, that take `reorderPs` longer and may be overtaken. Packet level only. */
  reorderShare?: number;
  reorderPs?: number;
  /**
   * Bit errors: added attenuation, dB, which sets the ratio before FEC, which sets the ratio after it, by which frames are lost: see
   * `span-optics.ts`. What is set alone leaves what stands before it in the chain at 0. At flow level all packets are taken as full ones.
   */
  attenuationDb?: number;
  preFecBer?: number;
  ber?: number;
}

/**
 * The data plane: hosts, switches, links and spans that carry packets in virtual time.
 * It knows nothing of routing protocols: a forwarding table is set from outside, and a port that is down or a span that
 * is cut loses what is sent into it until somebody changes the table.
 *
 * `tap` is absent where no packets are simulated.
 */
export interface Network extends Partial<Tappable> {
  readonly nowPs: number;
  /** Runs everything up to and including `untilPs`. Stops early, at the present event, when `stop()` was called. */
  advance(untilPs: number): void;
  /** Ends the `advance` in progress after the present event; `nowPs` is then that event's time. */
  stop(): void;
  /** Calls `run` at `atPs`; ties run in the order they were asked for. */
  at(atPs: number, run: () => void): void;

  flow(request: FlowRequest): Flow;
  /**
   * UDP: one datagram of `bytes` every 1e12/`packetsPerSecond` ps, best effort class, never retransmitted. With `gaps` or `sizes`
   * 'exponential' that is their mean (a Poisson process; sizes on the wire, without an MTU), by the network's seed. An engine of
   * steady rates keeps the means only.
   */
  datagrams(request: {
    source: string;
    target: string;
    entropy: number;
    bytes: number;
    packetsPerSecond: number;
    gaps?: 'even' | 'exponential';
    sizes?: 'fixed' | 'exponential';
  }): DatagramStream;

  /**
   * Ports of `node` that lead to host `target`, in the order the ECMP hash indexes them; empty drops. A port that is named n times has n
   * times the weight: the hash indexes places, not ports (weighted ECMP as ASICs do it, by repeated members of a group).
   */
  setRoute(node: string, target: string, ports: readonly string[]): void;
  routes(node: string, target: string): readonly string[];
  /** A port that is not forwarding drops what is queued and what arrives. Affects this end only. */
  setForwarding(node: string, port: string, on: boolean): void;
  span(name: string, direction: 'a-to-b' | 'b-to-a'): SpanState;
  setSpan(name: string, direction: 'a-to-b' | 'b-to-a', change: Partial<SpanState>): void;
  /** Packets sent into the span and those of them that a cut or random loss took, since the start. */
  spanCount(name: string, direction: 'a-to-b' | 'b-to-a'): { readonly packets: number; readonly lost: number };
  /** Empties every queue of a switch and restarts its counters: a reboot. */
  reset(node: string): void;

  ports(node: string): readonly string[];
  count(node: string, port: string): Readonly<PortCount>;
  /** Resets the queue peak of the port to the present depth. */
  takeQueuePeak(node: string, port: string): number;
  /** One queue of a port, the data priority's when none is named. Absent, like the next, where queues are not simulated. */
  queueCount?(node: string, port: string, priority?: number): QueueCount;
  /** Peak of a queue since this was last asked, for series: `takeQueuePeak` is not disturbed. */
  takeSeriesPeak?(node: string, port: string, priority?: number): number;
  nic(host: string): Readonly<NicCount>;
  /** Ports that a packet with these headers leaves by, hop by hop, with today's tables; shorter when it would be dropped. */
  path(source: string, target: string, entropy: number): readonly { node: string; port: string }[];
  /** What its counters tell. */
  readonly observes: ReadonlySet<Observable>;
  readonly repeats?: Repeats | undefined;
  /** Packet-hops simulated so far, for the cost account. */
  readonly hops: number;
  /** Events handled so far: hops per event tell how well links and ports are used without waking. */
  readonly events: number;
  /** Packets of all kinds since the start: injected = delivered + dropped + inFlight, always. `inFlight` is counted, not derived. */
  readonly account: {
    readonly injected: number;
    readonly delivered: number;
    readonly dropped: number;
    readonly inFlight: number;
  };
}
