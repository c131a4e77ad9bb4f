import type { FabricGraph } from './fabric-graph.ts';
import { pairTable } from './fabric-graph.ts';
import type { EcnAtRate, HpccConfig } from './hpcc-config.ts';
import type { HtsimTopology } from './htsim-topology.ts';

/**
 * What trace files say of switches and hosts beside the graph: plain data, to be mapped onto what the simulator can do.
 * Times ps, sizes bytes, rates bit/s.
 */
export interface TraceFabric {
  /** Payload of a full packet. */
  readonly mtuBytes: number;
  /** What a full packet adds to it on the wire. */
  readonly headerBytes: number;
  /** An acknowledgement on the wire. */
  readonly ackBytes: number;
  readonly ackEveryPackets: number;
  readonly ackHighPriority: boolean;
  readonly ecn: { readonly at: 'enqueue' | 'dequeue'; readonly byRate: readonly EcnAtRate[] } | null;
  /** Shared by the ports of a switch; null when nothing is ever dropped for want of it. */
  readonly bufferBytes: number | null;
  readonly pfc: TracePfc | null;
  /** A packet counts in a switch's buffer until its transmission starts or ends. */
  readonly releaseAt: 'start' | 'end';
  readonly transport: TraceTransport;
  /** Most bytes in flight of a flow. */
  readonly window: TraceWindow | null;
}

export interface TraceWindow {
  /** The same for all flows, or each pair of hosts has its own BDP. */
  readonly bytes: number | 'bdp-of-pair';
  /** The window shrinks with the rate: window x rate / line rate (VAR_WIN). */
  readonly scalesWithRate: boolean;
}

/** Per ingress port and priority. */
export type TracePfc =
  | { readonly law: 'static'; readonly xoffBytes: number; readonly xonBytes: number }
  | {
      /**
       * Broadcom's dynamic threshold as the HPCC family's switch-mmu.cc has it: pause when an ingress queue, less its reserve, is
       * at (buffer - all headroom - all reserves - shared bytes in use) >> shift, or headroom is in use; resume when it is
       * `resumeOffsetBytes` below that and headroom is empty.
       */
      readonly law: 'dynamic';
      /** At `nicRateBps` and below; one less for each doubling of the port's rate above it, down to 0. */
      readonly shift: number;
      readonly nicRateBps: number;
      readonly reserveBytes: number;
      readonly resumeOffsetBytes: number;
      /** Headroom of a port: rate x one-way delay x this factor. */
      readonly headroomFactor: number;
    };

export type TraceTransport =
  | { readonly name: 'none' }
  | {
      readonly name: 'dcqcn';
      readonly alphaTimerPs: number;
      readonly rateReducePeriodPs: number;
      readonly increaseTimerPs: number;
      readonly g: number;
      readonly fastRecoveryRounds: number;
      readonly additiveBps: number;
      readonly hyperBps: number;
      readonly minBps: number;
      readonly clampTargetRate: boolean;
    }
  | {
      readonly name: 'hpcc';
      readonly eta: number;
      readonly maxStage: number;
      readonly additiveBps: number;
      readonly minBps: number;
      readonly fastReact: boolean;
      readonly multiRate: boolean;
      readonly sampleFeedback: boolean;
      /** T of the paper. */
      readonly baseRttPs: number | 'of-pair';
    }
  | {
      readonly name: 'timely';
      readonly ewma: number;
      readonly beta: number;
      readonly lowPs: number;
      readonly highPs: number;
      readonly minRttPs: number;
      readonly additiveBps: number;
      readonly hyperBps: number;
      readonly minBps: number;
    }
  | { readonly name: 'dctcp'; readonly g: number; readonly additiveBps: number; readonly minBps: number }
  /** A mode that the files name and nothing here knows. */
  | { readonly name: 'unknown'; readonly ccMode: number };

/** In the standalone time of every branch: PPP 14, IPv4 20, UDP 8, priority group 2, sequence 4 (`GetStaticWholeHeaderSize` without INT). */
export const HPCC_HEADER_BYTES = 48;
/**
 * What branches of the family put on the wire, without INT: header of a data packet, headers of an ACK, and what an ACK is padded to.
 * They differ in PPP's header (ppp-header.cc): 14 B, as Ethernet, in the artefact (alibaba-edu 9f4be2a) and THEMIS, 2 B in the fork of
 * ASTRA-sim (astra-network-ns3 8fd3604), of which one flow of 2 MB at 10 Gb/s takes 2000 x 829 ns and not 839.
 */
const HPCC_WIRE = {
  artefact: { dataBytes: 48, ackBytes: 46, leastAckBytes: 60 },
  astra: { dataBytes: 36, ackBytes: 34, leastAckBytes: 48 },
} as const;

export type HpccBranch = keyof typeof HPCC_WIRE;
/** INT header by mode: five hops of 8 B and a count of 2; a time stamp; two bytes of PINT (int-header.cc). */
const HPCC_INT_BYTES: Readonly<Record<number, number>> = { 3: 42, 7: 8, 10: 2 };

/** SWITCH_MMU of the family: reserve 4 KiB a port, resume 3 KiB below, headroom 3 x rate x delay, shift 3 = 1/8 at NIC rate. */
const HPCC_PFC = { reserveBytes: 4096, resumeOffsetBytes: 3072, headroomFactor: 3, shift: 3 } as const;

/** @throws RangeError when the configuration lacks what its congestion control needs, or thresholds for a rate of the graph */
export function fabricOfHpcc(config: HpccConfig, graph: FabricGraph, branch: HpccBranch = 'artefact'): TraceFabric {
  const wire = HPCC_WIRE[branch];
  const pairs = pairTable(graph, { payloadBytes: config.payloadBytes });
  const intBytes = HPCC_INT_BYTES[config.ccMode] ?? 0;
  const nic = graph.links.find(({ a, b }) => [a, b].some(node => graph.nodes[node]?.kind === 'host'));
  if (config.enableQcn) {
    for (const { rateBps } of graph.links)
      if (!config.ecn.some(at => at.rateBps === rateBps))
        throw new RangeError(`KMIN_MAP, KMAX_MAP and PMAX_MAP say nothing for ${rateBps} bit/s, which a link has.`);
  }
  return {
    mtuBytes: config.payloadBytes,
    headerBytes: wire.dataBytes + intBytes,
    ackBytes: Math.max(wire.leastAckBytes, wire.ackBytes + intBytes),
    ackEveryPackets: Math.max(1, config.l2AckInterval),
    ackHighPriority: config.ackHighPriority,
    ecn: config.enableQcn ? { at: 'dequeue', byRate: config.ecn } : null,
    bufferBytes: config.bufferBytes,
    // USE_DYNAMIC_PFC_THRESHOLD is read by the family and used nowhere: its switch has the dynamic law only.
    releaseAt: 'start',
    pfc: nic === undefined ? null : { law: 'dynamic', nicRateBps: nic.rateBps, ...HPCC_PFC },
    transport: transportOf(config, config.globalT ? pairs.maxRttNs * 1000 : 'of-pair'),
    window: config.hasWindow
      ? { bytes: config.globalT ? pairs.maxBdpBytes : 'bdp-of-pair', scalesWithRate: config.varWindow }
      : null,
  };
}

function transportOf(config: HpccConfig, baseRttPs: number | 'of-pair'): TraceTransport {
  const needed = (value: number | undefined, key: string): number => {
    if (value === undefined)
      throw new RangeError(`CC_MODE ${config.ccMode} needs ${key}, which the configuration lacks.`);
    return value;
  };
  const minBps = config.minRateBps;
  switch (config.ccMode) {
    case 1:
      return {
        name: 'dcqcn',
        alphaTimerPs: config.alphaResumeIntervalPs,
        rateReducePeriodPs: config.rateDecreaseIntervalPs,
        increaseTimerPs: needed(config.rpTimerPs, 'RP_TIMER'),
        g: config.ewmaGain,
        fastRecoveryRounds: config.fastRecoveryTimes,
        additiveBps: needed(config.rateAiBps, 'RATE_AI'),
        hyperBps: needed(config.rateHaiBps, 'RATE_HAI'),
        minBps,
        clampTargetRate: config.clampTargetRate,
      };
    case 3:
      return {
        name: 'hpcc',
        eta: config.targetUtilisation,
        maxStage: config.miThreshold,
        additiveBps: needed(config.rateAiBps, 'RATE_AI'),
        minBps,
        fastReact: config.fastReact,
        multiRate: config.multiRate,
        sampleFeedback: config.sampleFeedback,
        baseRttPs,
      };
    case 7:
      // Attributes of rdma-hw.cc.
      return {
        name: 'timely',
        ewma: 0.875,
        beta: 0.8,
        lowPs: 50e6,
        highPs: 500e6,
        minRttPs: 20e6,
        additiveBps: needed(config.rateAiBps, 'RATE_AI'),
        hyperBps: needed(config.rateHaiBps, 'RATE_HAI'),
        minBps,
      };
    case 8:
      return { name: 'dctcp', g: config.ewmaGain, additiveBps: config.dctcpRateAiBps, minBps };
    default:
      return { name: 'unknown', ccMode: config.ccMode };
  }
}

export interface HtsimSettings {
  /** `-mtu`. */
  readonly mtuBytes: number;
  /** `-pfc_thresholds LOW HIGH`, in packets; null without `-queue_type lossless_input`. */
  readonly pfcPackets: { readonly low: number; readonly high: number } | null;
  /** `-q`: packets of one output queue. */
  readonly queuePackets: number;
}

/** As the canonical RoCE runs call htsim: MTU 4096, 64 B of header and of an ACK, Xoff 15, Xon 12 packets, no congestion control. */
export const HTSIM_ROCE: HtsimSettings = { mtuBytes: 4096, pfcPackets: { low: 12, high: 15 }, queuePackets: 1000 };
const HTSIM_HEADER_BYTES = 64;

/** htsim's RoCE: line rate senders, an ACK a packet, pause and resume by the bytes of an ingress port. Nothing shares a buffer. */
export function fabricOfHtsim(
  _topology: HtsimTopology,
  { mtuBytes, pfcPackets }: HtsimSettings = HTSIM_ROCE,
): TraceFabric {
  return {
    mtuBytes,
    headerBytes: HTSIM_HEADER_BYTES,
    ackBytes: HTSIM_HEADER_BYTES,
    ackEveryPackets: 1,
    ackHighPriority: false,
    ecn: null,
    bufferBytes: null,
    releaseAt: 'end',
    // Bytes on the wire are counted, but a packet of a threshold is the MTU alone (queue_lossless_input.cpp).
    pfc: pfcPackets && { law: 'static', xoffBytes: pfcPackets.high * mtuBytes, xonBytes: pfcPackets.low * mtuBytes },
    transport: { name: 'none' },
    window: null,
  };
}
