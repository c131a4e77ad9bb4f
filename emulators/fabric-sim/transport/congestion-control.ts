/** In-band telemetry that came back with an acknowledgement: one entry per switch hop, in path order. Flat, reused: read, never keep. */
export interface Telemetry {
  hops: number;
  /** Egress queue left behind by the packet, bytes. */
  readonly queueBytes: Float64Array;
  /** Bytes that the egress port has sent since the start. */
  readonly txBytes: Float64Array;
  /** When the hop wrote this, ps. */
  readonly atPs: Float64Array;
  /** Rate of the egress port, bit/s. */
  readonly rateBps: Float64Array;
}

/** What one acknowledgement says. One object per network, filled anew for every call: read, never keep. */
export interface Feedback {
  nowPs: number;
  /** Payload bytes that it acknowledges for the first time. */
  bytes: number;
  /** Packets that it answers, and how many of them carried CE. */
  packets: number;
  marked: number;
  /** Round trip of the newest packet that it answers, ps; NaN when not known (no time stamp, or a packet that was sent twice: Karn). */
  rttPs: number;
  /** Payload bytes sent and neither acknowledged nor known lost, after this acknowledgement. */
  inFlightBytes: number;
  /** First byte not acknowledged, and the next byte to be sent for the first time: a law that acts once a round trip compares them. */
  acknowledgedByte: number;
  nextByte: number;
  /** Set when the control asked for it. */
  telemetry: Telemetry | undefined;
  /** The flow has nothing left to send for the first time: what it sends says nothing of the path (RFC 9438, section 5.8). False when absent. */
  applicationLimited?: boolean;
}

/** How a flow learned of a loss. `trimmed`: the header came through without its payload, so congestion is certain. */
export type LossSign = 'out-of-order' | 'timeout' | 'trimmed';

/** What a law may know of its flow's path when the flow starts: a NIC learns it from configuration or an idle probe. */
export interface PathFacts {
  /** Rate of the NIC, and of the slowest link on the path, bit/s. */
  readonly lineBps: number;
  readonly bottleneckBps: number;
  /** Payload of a full packet, and what it adds on the wire. */
  readonly mtuBytes: number;
  readonly overheadBytes: number;
  /** Round trip of one full packet and its acknowledgement on the idle path, ps. */
  readonly baseRttPs: number;
  /** Switches on the path. */
  readonly hops: number;
  /** The path leaves its site, over a span. */
  readonly interSite: boolean;
}

/**
 * A congestion control law for one flow. A new law is one file.
 *
 * The connection sends a packet when `windowBytes` has room for it and the gap since the last one is at least its wire bytes x 8 /
 * `rateBps`. Both may change in any call; a law that uses only one leaves the other at Infinity.
 * Laws keep no timers: what would have happened by a clock is played in closed form by `settle`, which the connection calls before
 * it reads `rateBps` or `windowBytes`, with times that never go back.
 * Methods that a law lacks cost nothing.
 */
export interface CongestionControl {
  rateBps: number;
  windowBytes: number;
  acknowledged?(feedback: Feedback): void;
  /** A congestion notification packet has come; `count` of them for a train, spread over `spreadPs`. */
  notified?(nowPs: number, count: number, spreadPs: number): void;
  /**
   * Called once per loss event as the connection sees it, before anything is sent again. `inFlightBytes` still counts what was lost;
   * `rttPs` is that of a trimmed packet's header and the answer to it.
   */
  lost?(nowPs: number, sign: LossSign, inFlightBytes: number, rttPs?: number): void;
  /** A packet (train) has left. `inFlightBytes` includes it. */
  sent?(nowPs: number, payloadBytes: number, inFlightBytes: number): void;
  settle?(nowPs: number): void;
}

/** A kind of law: what it needs from the rest, its parameters, and how to make one for a flow. */
export interface CongestionControlKind {
  readonly name: string;
  /** `each`: every packet is acknowledged at once, with its CE bit and time stamp echoed; `coalesced`: as RoCE NICs do. */
  readonly acknowledgements: 'each' | 'coalesced';
  /** The receiver answers CE with CNPs. */
  readonly cnp: boolean;
  /** Data packets are ECN-capable. */
  readonly ecn: boolean;
  /** Switches write queue, bytes, time and rate into data packets (HPCC). */
  readonly telemetry: boolean;
  /**
   * A new rate moves the next packet of a gap that already runs: to the start of the last one plus its wire bytes x 8 / new rate.
   * When absent the gap is fixed as the last packet leaves. HPCC does the one, DCQCN, DCTCP and TIMELY the other (HPCC artefact,
   * `rdma-hw.cc`: ChangeRate against a plain assignment).
   */
  readonly repaces?: boolean;
  /**
   * Named numbers with their defaults; the source of each is in the law's docstring. Units are part of the name (`minRateBps`).
   * An override under another name is an error.
   */
  readonly parameters: Readonly<Record<string, number>>;
  /** @throws RangeError for parameters out of range */
  create(path: PathFacts, parameters: Readonly<Record<string, number>>): CongestionControl;
}
