/** How much buffer a lossless ingress port needs above its xoff threshold, by SONiC's formula, and how long a pause holds. */

/** Bits of one pause quantum (IEEE 802.3 31B.2). */
export const QUANTUM_BITS = 512;

/**
 * Longest reaction of a peer to a pause frame in quanta, by rate in Mb/s. IEEE 802.3 31B.3.7, as sonic-swss
 * `cfgmgr/buffer_headroom_mellanox.lua` (`pause_quanta_per_speed`) has it.
 */
export const PAUSE_QUANTA: Readonly<Record<number, number>> = {
  800_000: 905,
  400_000: 905,
  200_000: 453,
  100_000: 394,
  50_000: 147,
  40_000: 118,
  25_000: 80,
  10_000: 67,
  1_000: 2,
  100: 1,
};

/** Peer response, bytes: quanta x 512 / 8. @throws RangeError for a rate that the table has not */
export function peerResponseBytes(rateBps: number): number {
  const quanta = PAUSE_QUANTA[rateBps / 1e6];
  if (quanta === undefined)
    throw new RangeError(
      `No pause quanta for ${rateBps / 1e6} Mb/s. Known: ${Object.keys(PAUSE_QUANTA).join(', ')} Mb/s.`,
    );
  return (quanta * QUANTUM_BITS) / 8;
}

/** Light in SONiC's cable, m/s: 5.05 us/km, slower than fibre's 4.897. */
const SONIC_LIGHT = 198_000_000;

export interface SonicHeadroom {
  readonly rateBps: number;
  readonly metres: number;
  readonly portMtuBytes: number;
  readonly losslessMtuBytes: number;
  /** MAC and PHY latency; SONiC's ASIC table has 0.8 KiB. */
  readonly macPhyBytes: number;
  readonly gearboxBytes?: number;
  /** Quanta of the peer's response; those of its rate when absent. 0 gives a bound from below for rates that the table has not. */
  readonly peerQuanta?: number;
  /** Share of small packets, %, and the ASIC's cell: together the worst use of cells. No small packets when absent. */
  readonly smallPacketPercent?: number;
  readonly cellBytes?: number;
}

/**
 * `xoff` of sonic-swss `cfgmgr/buffer_headroom_mellanox.lua`, bytes above the xoff threshold, rounded up to KiB:
 * lossless MTU + cell occupancy x (port MTU + cable + 2 gearbox + MAC/PHY + peer response).
 * Its cable term divides by 8 x 1024 what it has multiplied by 10^9/10^6: 2.3 % less than the bytes in flight, which the slow light
 * just makes up for.
 */
export function sonicXoffBytes({
  rateBps,
  metres,
  portMtuBytes,
  losslessMtuBytes,
  macPhyBytes,
  gearboxBytes = 0,
  peerQuanta,
  smallPacketPercent = 0,
  cellBytes = 1,
}: SonicHeadroom): number {
  const cableBytes = (2 * metres * (rateBps / 1e6) * 1e9) / SONIC_LIGHT / (8 * 1024);
  const worst = cellBytes > 128 ? cellBytes / 64 : (2 * cellBytes) / (1 + cellBytes);
  const occupancy = (100 - smallPacketPercent + smallPacketPercent * worst) / 100;
  const responseBytes = peerQuanta === undefined ? peerResponseBytes(rateBps) : (peerQuanta * QUANTUM_BITS) / 8;
  const delayBytes = portMtuBytes + cableBytes + 2 * gearboxBytes + macPhyBytes + responseBytes;
  return Math.ceil((losslessMtuBytes + delayBytes * occupancy) / 1024) * 1024;
}

/** How long one pause frame of so many quanta holds, seconds. */
export const pauseS = (quanta: number, rateBps: number): number => (quanta * QUANTUM_BITS) / rateBps;
