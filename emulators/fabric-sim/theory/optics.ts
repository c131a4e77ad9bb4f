import { fibreDelayPs } from '../../../harness/model/fibre-delay.ts';
import { binomialTail } from './binomial-tail.ts';
import { erfc } from './erfc.ts';

/**
 * From a fibre's length to lost frames: delay, received power, OSNR, bit errors before and after FEC, frame loss.
 *
 * Textbook: power and OSNR budgets, the erfc curves between SNR and bit errors (Gaussian noise, Gray coding), Reed-Solomon's
 * failure under independent errors, bits to frames. Approximations, named where they stand: everything that a real modem loses
 * against the ideal curve is one penalty in dB, and a soft-decision FEC is a steep threshold: {@link FecThreshold}.
 */

/** Round trip over fibre, seconds. */
export const fibreRttS = (metres: number): number => (2 * fibreDelayPs(metres)) / 1e12;

/** Launch power less the fibre's and the connectors' loss, dBm. */
export const receivedDbm = ({
  launchDbm,
  metres,
  attenuationDbPerKm,
  lumpedDb = 0,
}: {
  readonly launchDbm: number;
  readonly metres: number;
  /** G.652.D at 1550 nm: at most 0.3, typically 0.19 to 0.22; G.654.E about 0.17. */
  readonly attenuationDbPerKm: number;
  readonly lumpedDb?: number;
}): number => launchDbm - attenuationDbPerKm * (metres / 1e3) - lumpedDb;

const PLANCK = 6.626_070_15e-34; // J s, exact
const LIGHT_HZ = 193.414e12; // 1550 nm
const REFERENCE_HZ = 12.5e9; // 0.1 nm, in which OSNR is stated
const dB = (ratio: number): number => 10 * Math.log10(ratio);
const ratio = (decibels: number): number => 10 ** (decibels / 10);

/**
 * OSNR after equal amplified spans, dB in 0.1 nm: launch - span loss - noise figure - 10 log(spans) - 10 log(h nu B): the "58 dB"
 * formula (Agrawal, Fiber-Optic Communication Systems, chapter 7; ITU-T G.680).
 */
export const osnrDb = ({
  launchDbm,
  spanLossDb,
  noiseFigureDb,
  spans,
}: {
  /** A channel's power into each span. */
  readonly launchDbm: number;
  readonly spanLossDb: number;
  readonly noiseFigureDb: number;
  readonly spans: number;
}): number => launchDbm - 30 - spanLossDb - noiseFigureDb - dB(spans) - dB(PLANCK * LIGHT_HZ * REFERENCE_HZ);

/** Symbol rate and FEC limits of a coherent interface. */
export interface CoherentMode {
  readonly baud: number;
  /** Bit errors before FEC up to which the output is clean. */
  readonly fec: FecThreshold;
  /** What the real modem needs above the ideal curve, dB. */
  readonly penaltyDb: number;
}

/**
 * Steep-threshold approximation of a soft-decision FEC: below `preFec` the output has `floor`, above it every input error
 * comes through. The real curve falls many decades within a few tenths of a dB around the threshold.
 */
export interface FecThreshold {
  readonly preFec: number;
  readonly floor: number;
}

/** oFEC of OpenROADM and OpenZR+: 2.0e-2; 400ZR's concatenated FEC: 1.25e-2 (OIF-400ZR-03.0); KP4, RS(544,514): 2.4e-4 (IEEE 802.3 clause 91). */
export const FEC_THRESHOLDS = {
  ofec: { preFec: 2.0e-2, floor: 1e-15 },
  cfec: { preFec: 1.25e-2, floor: 1e-15 },
  kp4: { preFec: 2.4e-4, floor: 1e-15 },
} as const satisfies Record<string, FecThreshold>;

/** OIF-400ZR-03.0: 59.84 GBd DP-16QAM, 26 dB OSNR amplified to 120 km, 11 dB of loss unamplified, 2400 ps/nm, Tx -10 dBm, Rx -12 or -20 dBm. */
export const ZR_400 = {
  baud: 59.84375e9,
  osnrDb: 26,
  amplifiedMetres: 120e3,
  dispersionPsPerNm: 2400,
  unamplifiedLossDb: 11,
} as const;

/** Bit errors of a binary decision at Q (linear): erfc(Q/sqrt 2)/2. Textbook. */
export const binaryBer = (q: number): number => erfc(q / Math.SQRT2) / 2;

/** Bit errors of Gray-coded 16QAM at symbol SNR (linear): 3/8 erfc(sqrt(SNR/10)). Textbook; neighbours only, so high by up to 5 % at 2e-2. */
export const qam16Ber = (snr: number): number => (3 / 8) * erfc(Math.sqrt(snr / 10));

/** Symbol SNR (linear) of a dual-polarization signal: OSNR B_ref/baud, less the penalty. */
export const symbolSnr = ({
  osnrDb: osnr,
  baud,
  penaltyDb,
}: {
  osnrDb: number;
  baud: number;
  penaltyDb: number;
}): number => ratio(osnr - penaltyDb) * (REFERENCE_HZ / baud);

/** The argument at which a falling function has `value`, by bisection between 1e-3 and 1e3 times over. */
function inverse(falling: (x: number) => number, value: number): number {
  let [low, high] = [1e-3, 1e4];
  for (let i = 0; i < 200; i++) {
    const middle = Math.sqrt(low * high);
    if (falling(middle) > value) low = middle;
    else high = middle;
  }
  return low;
}

/** OSNR that an ideal DP-16QAM modem needs for so many bit errors before FEC, dB in 0.1 nm. */
export const requiredOsnrDb = ({ preFec, baud }: { readonly preFec: number; readonly baud: number }): number =>
  dB((inverse(qam16Ber, preFec) * baud) / REFERENCE_HZ);

/** Net coding gain of a FEC on 16QAM, dB: SNR for `floor` without FEC over SNR for `preFec`, less the rate spent on parity. */
export const netCodingGainDb = ({ preFec, floor }: FecThreshold, codeRate: number): number =>
  dB(inverse(qam16Ber, floor) / inverse(qam16Ber, preFec)) + dB(codeRate);

/** Bit errors after a threshold FEC. Approximation: see {@link FecThreshold}. */
export const afterFec = ({ preFec, floor }: FecThreshold, ber: number): number =>
  ber <= preFec ? Math.min(ber, floor) : ber;

/** Probability that an RS(544,514) codeword of 10-bit symbols can not be corrected (more than 15 wrong), errors independent. Textbook. */
export const kp4CodewordLoss = (ber: number): number =>
  binomialTail(544, { most: 15, share: -Math.expm1(10 * Math.log1p(-ber)) });

/** 1 - (1 - BER)^(8 bytes): one wrong bit costs the frame (FCS). */
export const frameLoss = (ber: number, frameBytes: number): number => -Math.expm1(8 * frameBytes * Math.log1p(-ber));

/** The whole chain for a dual-polarization 16QAM link: OSNR to frame loss. */
export const coherentFrameLoss = (
  { baud, fec, penaltyDb }: CoherentMode,
  { osnrDb: osnr, frameBytes }: { readonly osnrDb: number; readonly frameBytes: number },
): number => frameLoss(afterFec(fec, qam16Ber(symbolSnr({ osnrDb: osnr, baud, penaltyDb }))), frameBytes);

/** Bytes that a link loses while it is dark. */
export const outageBytes = ({ rateBps, darkS }: { readonly rateBps: number; readonly darkS: number }): number =>
  (rateBps * darkS) / 8;
