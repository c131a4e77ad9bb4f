import type { TapListener, TappedPacket } from '../fabric/tapped-packet.ts';
import { addressOf } from './fct-file.ts';

/** Little endian, times in nanoseconds (pcap(5), `0xa1b23c4d`). */
const NANOSECOND_MAGIC = 0xa1b23c4d;
const LINKTYPE_ETHERNET = 1;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;

const ETHERNET = 14;
const IPV4 = 20;
const UDP = 8;
const BTH = 12;
/** AETH 4 of an ACK; a CNP has 16 reserved bytes (InfiniBand Annex A17.9.3). */
const AETH = 4;
const CNP_RESERVED = 16;

/** IANA: RoCEv2. */
const ROCE_PORT = 4791;
/** IANA: discard. The simulator's datagrams name no service. */
const DISCARD_PORT = 9;

/** Opcodes of the reliable connection (InfiniBand volume 1, table 38): a packet in the middle of an RDMA write, ACK; and the CNP of Annex A17. */
const OPCODE = { data: 0x07, ack: 0x11, nak: 0x11, cnp: 0x81 } as const;
/** AETH syndromes: ACK without credit count; NAK, PSN sequence error. */
const ACK_SYNDROME = 0x1f;
const NAK_SYNDROME = 0x60;
const PSN_MASK = 0xff_ffff;
const DEFAULT_PARTITION = 0xffff;

/** DSCP 26 is RoCE's in priority 3, 48 the CNP's in 6 (NVIDIA Cumulus RoCE defaults); others are class selectors. */
const DSCP: Readonly<Record<number, number>> = { 3: 26 };
const ECN = { 'not-ect': 0, ect: 0b10, ce: 0b11 } as const;

const BUFFERED_BYTES = 65536;

export interface PcapOptions {
  /** Takes the file piece by piece, in order. */
  readonly write: (piece: Uint8Array) => void;
  /** Number of a host, from which its addresses are made: 11.HIGH.LOW.1 as in FCT files, 02:00:00:00:HIGH:LOW. */
  readonly hostNumber: (name: string) => number;
  /** Payload of a full packet: a byte of the flow over it is the packet sequence number. */
  readonly mtuBytes: number;
  /**
   * Bytes of `wireBytes` that no capture has: 24 for the simulator's own packets (preamble 8, gap 12, FCS 4), 0 for those of
   * trace files, whose headers count none of them.
   */
  readonly uncapturedBytes: number;
  /** Added to the packets' times. */
  readonly originPs?: number;
}

export interface Pcap {
  readonly listener: TapListener;
  readonly packets: number;
  /** Hands out what is buffered. */
  flush(): void;
}

/**
 * A pcap file of what a tap sees. Headers only: Ethernet, IPv4, UDP and, for RoCEv2, BTH with opcode and PSN and AETH; payload and ICRC
 * are not simulated, so they are cut off, and the frame's length is told as it was on the wire. A train is one frame of its whole
 * length. Simulated headers may be shorter than RoCEv2's (trace files bring their own): then they are cut to the frame.
 */
export function pcapOf({ write, hostNumber, mtuBytes, uncapturedBytes, originPs = 0 }: PcapOptions): Pcap {
  let buffer = new Uint8Array(BUFFERED_BYTES);
  let view = new DataView(buffer.buffer);
  let used = 0;
  let packets = 0;
  const flush = (): void => {
    if (used === 0) return;
    write(buffer.subarray(0, used));
    buffer = new Uint8Array(BUFFERED_BYTES);
    view = new DataView(buffer.buffer);
    used = 0;
  };
  view.setUint32(0, NANOSECOND_MAGIC, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, MOST_CAPTURED, true);
  view.setUint32(20, LINKTYPE_ETHERNET, true);
  used = FILE_HEADER_BYTES;
  return {
    get packets() {
      return packets;
    },
    flush,
    listener(packet) {
      if (used + RECORD_HEADER_BYTES + MOST_CAPTURED > BUFFERED_BYTES) flush();
      const frameBytes = Math.max(ETHERNET + IPV4 + UDP, packet.wireBytes - uncapturedBytes);
      const captured = Math.min(headerBytesOf(packet), frameBytes);
      const ns = Math.floor((packet.atPs + originPs) / 1000);
      view.setUint32(used, Math.floor(ns / 1e9), true);
      view.setUint32(used + 4, ns % 1e9, true);
      view.setUint32(used + 8, captured, true);
      view.setUint32(used + 12, frameBytes, true);
      used += RECORD_HEADER_BYTES;
      // Cleared after, not before: what is written beyond `captured` is overwritten by the next record or never handed out.
      writeHeaders(view, used, packet, { frameBytes, mtuBytes, hostNumber });
      used += captured;
      packets += 1;
    },
  };
}

const MOST_CAPTURED = ETHERNET + IPV4 + UDP + BTH + CNP_RESERVED;

function headerBytesOf({ kind }: TappedPacket): number {
  switch (kind) {
    case 'datagram':
      return ETHERNET + IPV4 + UDP;
    case 'data':
      return ETHERNET + IPV4 + UDP + BTH;
    case 'ack':
    case 'nak':
      return ETHERNET + IPV4 + UDP + BTH + AETH;
    case 'cnp':
      return ETHERNET + IPV4 + UDP + BTH + CNP_RESERVED;
  }
}

function writeHeaders(
  view: DataView,
  at: number,
  packet: TappedPacket,
  {
    frameBytes,
    mtuBytes,
    hostNumber,
  }: { readonly frameBytes: number; readonly mtuBytes: number; readonly hostNumber: (name: string) => number },
): void {
  const source = hostNumber(packet.source);
  const target = hostNumber(packet.target);
  writeMac(view, at, target);
  writeMac(view, at + 6, source);
  view.setUint16(at + 12, 0x0800);

  // A train may be longer than 65535 B, which IPv4 can not say.
  const ipBytes = Math.min(65535, frameBytes - ETHERNET);
  const ip = at + ETHERNET;
  view.setUint8(ip, 0x45);
  view.setUint8(ip + 1, ((DSCP[packet.priority] ?? packet.priority * 8) << 2) | ECN[packet.ecn]);
  view.setUint16(ip + 2, ipBytes);
  view.setUint16(ip + 4, 0);
  // Don't fragment.
  view.setUint16(ip + 6, 0x4000);
  view.setUint8(ip + 8, 64);
  view.setUint8(ip + 9, 17);
  view.setUint16(ip + 10, 0);
  view.setUint32(ip + 12, addressOf(source));
  view.setUint32(ip + 16, addressOf(target));
  view.setUint16(ip + 10, checksum(view, ip, IPV4));

  const udp = ip + IPV4;
  view.setUint16(udp, packet.entropy & 0xffff);
  view.setUint16(udp + 2, packet.kind === 'datagram' ? DISCARD_PORT : ROCE_PORT);
  view.setUint16(udp + 4, ipBytes - IPV4);
  // RoCEv2 leaves it 0 (Annex A17.9.2): the ICRC covers the packet.
  view.setUint16(udp + 6, 0);
  if (packet.kind === 'datagram') return;

  const bth = udp + UDP;
  view.setUint8(bth, OPCODE[packet.kind]);
  view.setUint8(bth + 1, 0);
  view.setUint16(bth + 2, DEFAULT_PARTITION);
  // The queue pair is not simulated; the flow's entropy tells flows of one pair apart.
  view.setUint32(bth + 4, packet.entropy & 0xff_ffff);
  view.setUint32(bth + 8, Math.floor(packet.sequence / mtuBytes) & PSN_MASK);
  const after = bth + BTH;
  if (packet.kind === 'ack' || packet.kind === 'nak') {
    view.setUint32(after, 0);
    view.setUint8(after, packet.kind === 'ack' ? ACK_SYNDROME : NAK_SYNDROME);
  } else if (packet.kind === 'cnp') {
    for (let i = 0; i < CNP_RESERVED; i += 4) view.setUint32(after + i, 0);
  }
}

function writeMac(view: DataView, at: number, host: number): void {
  view.setUint32(at, 0x02000000);
  view.setUint16(at + 4, host & 0xffff);
}

/** RFC 1071. */
function checksum(view: DataView, at: number, bytes: number): number {
  let sum = 0;
  for (let i = 0; i < bytes; i += 2) sum += view.getUint16(at + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
