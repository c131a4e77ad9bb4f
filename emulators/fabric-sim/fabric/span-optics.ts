import { afterFec, FEC_THRESHOLDS, frameLoss, qam16Ber, requiredOsnrDb, symbolSnr, ZR_400 } from '../theory/optics.ts';
import { GAP_BYTES } from './wire-size.ts';

/** Attenuation that a span's own length is reckoned with, dB/km. G.652.D at 1550 nm: typically 0.19 to 0.22. */
const FIBRE_DB_PER_KM = 0.2;

/**
 * Bit errors before FEC of a 400ZR line over a span of this length to which `attenuationDb` of loss were added.
 *
 * OIF-400ZR-03.0 has an amplified line of 120 km end at an OSNR of 26 dB, at which its FEC's limit of 1.25e-2 is just met: that fixes the
 * modem's penalty against the ideal curve. With the launch power as it is, OSNR falls dB for dB with the loss of the line ("58 dB" formula,
 * see `osnrDb`), so a shorter span has 0.2 dB/km more. Longer spans are taken as amplified on the way to the same 26 dB. Gaussian
 * noise only: dispersion, filters and nonlinearity are in the penalty.
 */
export function spanPreFecBer({
  metres,
  attenuationDb,
}: {
  readonly metres: number;
  readonly attenuationDb: number;
}): number {
  const { baud, osnrDb, amplifiedMetres } = ZR_400;
  const spareDb = (FIBRE_DB_PER_KM * Math.max(0, amplifiedMetres - metres)) / 1e3;
  const penaltyDb = osnrDb - requiredOsnrDb({ preFec: FEC_THRESHOLDS.cfec.preFec, baud });
  return qam16Ber(symbolSnr({ osnrDb: osnrDb + spareDb - attenuationDb, baud, penaltyDb }));
}

/** Bit errors that frames see: 400ZR's FEC as a threshold; none in, none out. See `afterFec`. */
export const spanBer = (preFecBer: number): number => afterFec(FEC_THRESHOLDS.cfec, preFecBer);

/** Share of packets of so many wire bytes that are lost: a wrong bit costs the frame, one in preamble or gap does not. */
export const packetLoss = (ber: number, wireBytes: number): number =>
  frameLoss(ber, Math.max(1, wireBytes - GAP_BYTES));
