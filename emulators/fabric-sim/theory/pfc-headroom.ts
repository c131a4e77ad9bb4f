import { peerResponseBytes } from '../../../harness/model/pfc-headroom.ts';

/**
 * How much buffer a lossless ingress port needs above its xoff threshold: by Cisco's sum of bit times, and exactly for this
 * simulator. SONiC's formula is in `harness/model/pfc-headroom.ts`: `farspan lint` needs it too.
 */

/**
 * Cisco's sum of delays (Nexus 9000 QoS guides, "PFC headroom"), bytes: largest frame that the pause waits for + pause frame 672
 * bit times + interface + cable at 5 ns/m both ways + peer response + largest no-drop frame.
 */
export function ciscoHeadroomBytes({
  rateBps,
  metres,
  maxFrameBytes,
  noDropFrameBytes,
  interfaceBits = 0,
}: {
  readonly rateBps: number;
  readonly metres: number;
  readonly maxFrameBytes: number;
  readonly noDropFrameBytes: number;
  /** D_intf of the two MACs and PHYs. */
  readonly interfaceBits?: number;
}): number {
  const cableBits = 2 * metres * 5e-9 * rateBps;
  return maxFrameBytes + 672 / 8 + (interfaceBits + cableBits) / 8 + peerResponseBytes(rateBps) + noDropFrameBytes;
}

/**
 * Frames that still arrive whole after the one whose last bit crossed xoff, in this simulator, when all are full and nothing
 * drains: floor((2 delay + pause)/frame) + 1, times of the link.
 *
 * The pause leaves at once (it waits for no frame at the receiver's side) and takes its own serialisation; the peer stops
 * before its next frame, so what is on the fibre both ways, what it sends while the pause travels, and the frame it has just
 * begun are still to come. Where the pause meets the start of a frame to the picosecond, that frame counts as begun.
 */
export function framesAfterXoff({
  rateBps,
  delayPs,
  frameWireBytes,
  pauseWireBytes,
}: {
  readonly rateBps: number;
  /** One way. */
  readonly delayPs: number;
  /** A full frame with preamble and gap. */
  readonly frameWireBytes: number;
  /** 84 B, `PAUSE_WIRE_BYTES`. */
  readonly pauseWireBytes: number;
}): number {
  const bitPs = 1e12 / rateBps;
  return Math.floor((2 * delayPs + 8 * pauseWireBytes * bitPs) / (8 * frameWireBytes * bitPs)) + 1;
}
