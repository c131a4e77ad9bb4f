import type { FabricSettings } from '../../../harness/model/topology.ts';

export interface UecOptions {
  /** Rate of all links of the fabric, bit/s. */
  readonly rateBps: number;
  /** Links on its longest path between hosts, and the delay of each, ps. */
  readonly links: number;
  readonly linkDelayPs: number;
  /** Entropies that a flow spreads over; 64 when absent, 1 keeps it on one path. */
  readonly paths?: number;
  readonly spreading?: 'oblivious' | 'bitmap' | 'reps' | 'mixed';
}

/** Wire bytes of a full packet and of a header alone (acknowledgement, trimmed packet). */
const PACKET_BYTES = 4150;
export const UEC_HEADER_BYTES = 64;
/** The receiver acknowledges when so many wire bytes have come (`-sack_threshold`). */
const ACK_BYTES = 16384;
/** ECN and queue limits are declared for ports of this rate. */
const REFERENCE_BPS = 100e9;

export interface UecNumbers {
  /** Round trip of a full packet and its acknowledgement over the longest path, ps; one BDP of it at most waits in a queue. */
  readonly networkRttPs: number;
  readonly queueBytes: number;
  readonly ecnLowBytes: number;
  readonly ecnHighBytes: number;
  readonly timeoutPs: number;
}

/** R = 2 links delay + links (packet + header) time;  queue = BDP in whole packets;  ECN at 0.2 and 0.8 of it;  time-out 15 us + 6 queues. */
export function uecNumbers({ rateBps, links, linkDelayPs }: UecOptions): UecNumbers {
  const psPerByte = 8e12 / rateBps;
  const networkRttPs = Math.round(links * (2 * linkDelayPs + (PACKET_BYTES + UEC_HEADER_BYTES) * psPerByte));
  const packets = Math.ceil(networkRttPs / psPerByte / PACKET_BYTES);
  const queueBytes = packets * PACKET_BYTES;
  return {
    networkRttPs,
    queueBytes,
    ecnLowBytes: PACKET_BYTES * Math.ceil(0.2 * packets),
    ecnHighBytes: PACKET_BYTES * Math.ceil(0.8 * packets),
    timeoutPs: Math.round(15e6 + 6 * queueBytes * psPerByte),
  };
}

/**
 * A fabric of Ultra Ethernet with sender-based control (NSCC), packet trimming and packet spraying, as uet-htsim has it with
 * `-sender_cc_only` (`main_uec.cpp`, `uec.cpp`, `compositequeue.cpp`; https://github.com/ultraethernet/uet-htsim). Networks need
 * `overheadBytes: UEC_HEADER_BYTES` beside these settings, and switches that forward by `ecmp`.
 *
 * What differs from that simulator: its windows and delays are whole numbers, and it sends a request (RTS) when a flow times out with
 * its window closed; here nothing does.
 */
export function uecSettings(options: UecOptions, base: FabricSettings): FabricSettings {
  const { networkRttPs, queueBytes, ecnLowBytes, ecnHighBytes, timeoutPs } = uecNumbers(options);
  const atReference = REFERENCE_BPS / options.rateBps;
  return {
    ...base,
    // Queues have limits of their own; no memory is shared.
    bufferPerSwitch: '1000 GB',
    ecn: {
      min: `${ecnLowBytes * atReference} B`,
      max: `${ecnHighBytes * atReference} B`,
      probability: 1,
      at: 'end',
    },
    pfc: null,
    dcqcn: null,
    roce: { mtu: `${PACKET_BYTES - UEC_HEADER_BYTES} B`, retransmitTimeout: `${timeoutPs / 1000} ns` },
    switching: {
      ...base.switching,
      queueLimit: `${queueBytes * atReference} B`,
      controlQueueLimit: `${2 * queueBytes * atReference} B`,
      scaleQueueLimit: true,
      trimTo: `${UEC_HEADER_BYTES} B`,
      trimVictim: 'either',
      releaseAt: 'end',
      nicControlRun: 10,
    },
    transport: {
      control: 'nscc',
      parameters: { networkRttPs },
      recovery: 'selective-repeat',
      spreading: options.spreading ?? 'mixed',
      paths: options.paths ?? 64,
      acknowledgementBytes: `${UEC_HEADER_BYTES} B`,
      acknowledgeEvery: Math.ceil(ACK_BYTES / PACKET_BYTES),
      selectiveRepeat: { reorder: null, timeout: 'oldest', acknowledge: 'asked' },
    },
  };
}
