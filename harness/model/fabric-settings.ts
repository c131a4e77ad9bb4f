import type {
  ControlPlaneSettings,
  DcqcnSettings,
  EcnSettings,
  FabricSettings,
  PfcSettings,
  RoceSettings,
} from './topology.ts';

/**
 * Kmin/Kmax/Pmax of the HPCC artefact, scaled to a port rate: 400 KB, 1600 KB, 0.2 at 100 Gb/s.
 *
 * @see https://github.com/alibaba-edu/High-Precision-Congestion-Control, simulation/run.py
 */
export const HPCC_ECN_100G: EcnSettings = { min: '400 KB', max: '1600 KB', probability: 0.2 };

/** One lossless priority with room for the bytes in flight of a rack-length cable after a pause. */
export const LOSSLESS_PFC: PfcSettings = { xoff: '512 KB', xon: '448 KB' };

/**
 * Loss of light: 10 ms debounce (IEEE 802.3 local fault is faster; switches hold down about this long).
 * BFD 3 x 3.3 ms is the fastest hardware profile (RFC 7419 lists 3.3 ms as common interval).
 * BGP hop and FIB update: a few milliseconds each on current NOSes; parameters, to be measured per product.
 */
export const FAST_CONTROL_PLANE: ControlPlaneSettings = {
  lossOfLight: '10 ms',
  bfdInterval: '3.3 ms',
  bfdMultiplier: 3,
  bgpHop: '2 ms',
  fibUpdate: '5 ms',
  bgpEstablish: '20 ms',
};

/** DCQCN as the HPCC artefact configures it at 100 Gb/s (run.py, "dcqcn"): alpha 1 us, decrease 4 us, increase 300 us, AI 20 Mb/s, HAI 200 Mb/s. */
export const HPCC_DCQCN_100G: DcqcnSettings = {
  alphaTimer: '1 us',
  rateReducePeriod: '4 us',
  increaseTimer: '300 us',
  byteCounter: '10 MB',
  g: 1 / 256,
  additiveIncrease: '20 Mb/s',
  hyperIncrease: '200 Mb/s',
  fastRecoveryRounds: 1,
  minRate: '100 Mb/s',
  cnpInterval: '4 us',
};

/** DCQCN as published: Zhu et al., SIGCOMM 2015, at 40 Gb/s; R_AI 40 Mb/s, timers 55 us, byte counter 10 MB, g = 1/256, F = 5. */
export const PAPER_DCQCN: DcqcnSettings = {
  alphaTimer: '55 us',
  rateReducePeriod: '50 us',
  increaseTimer: '55 us',
  byteCounter: '10 MB',
  g: 1 / 256,
  additiveIncrease: '40 Mb/s',
  hyperIncrease: '400 Mb/s',
  fastRecoveryRounds: 5,
  minRate: '40 Mb/s',
  cnpInterval: '50 us',
};

/** 4096 B is the largest RoCEv2 MTU; 16.8 ms = 4.096 us x 2^12 outlives the RTT of 1331 km (13.04 ms). InfiniBand spec, local ACK timeout. */
export const LONG_HAUL_ROCE: RoceSettings = { mtu: '4096 B', retransmitTimeout: '16.8 ms' };

/** 32 MB shared buffer: the HPCC artefact's 16 MB x bandwidth/50 Gb/s at 100 Gb/s. */
export const DEFAULT_FABRIC: FabricSettings = {
  bufferPerSwitch: '32 MB',
  ecn: HPCC_ECN_100G,
  pfc: LOSSLESS_PFC,
  controlPlane: FAST_CONTROL_PLANE,
  dcqcn: HPCC_DCQCN_100G,
  roce: LONG_HAUL_ROCE,
};
