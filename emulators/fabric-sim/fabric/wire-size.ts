/** Preamble and start delimiter 8 B and inter-frame gap 12 B (IEEE 802.3): on the wire, but in no byte counter (RFC 2863, ifInOctets). */
export const GAP_BYTES = 20;

/** Smallest Ethernet frame, 64 B with FCS, and its gap. */
const SMALLEST_BYTES = 64 + GAP_BYTES;

/**
 * What a full RoCEv2 packet adds to its payload on the wire: Ethernet 14, IPv4 20, UDP 8, BTH 12, ICRC 4, FCS 4, gap 20 = 82 B,
 * so 4096 B travel as 4178 B: 98.04 % at most. Untagged; the RETH (16 B, first packet of a message only) is ignored.
 */
export const ROCE_OVERHEAD_BYTES = 14 + 20 + 8 + 12 + 4 + 4 + GAP_BYTES;

/** ACK and NAK: the same headers and an AETH of 4 B, no payload. InfiniBand Architecture Specification, volume 1, section 9.3. */
export const ACK_WIRE_BYTES = ROCE_OVERHEAD_BYTES + 4;

/** RoCEv2 congestion notification: the same headers and 16 reserved bytes. InfiniBand Annex A17.9. */
export const CNP_WIRE_BYTES = ROCE_OVERHEAD_BYTES + 16;

/** A PFC frame is 64 B and its gap: 672 bit times. IEEE 802.1Qbb. */
export const PAUSE_WIRE_BYTES = SMALLEST_BYTES;

/** A UDP datagram of so many payload bytes: Ethernet 14, IPv4 20, UDP 8, FCS 4, gap 20. */
export function datagramWireBytes(bytes: number): number {
  return Math.max(SMALLEST_BYTES, bytes + 14 + 20 + 8 + 4 + GAP_BYTES);
}
