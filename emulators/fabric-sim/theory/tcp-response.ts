/**
 * TCP under deterministic loss, one packet in 1/p: average windows by RFC 9438 section 5.1, and RFC 6349's reference values of a
 * throughput test. Windows are segments, RTT is seconds, p a fraction of 1.
 */

/** RFC 9438 section 4.6: multiplicative decrease factor, and section 5.1: C, in segments/s^3. */
export const CUBIC = { beta: 0.7, c: 0.4 } as const;

interface LossyPath {
  readonly loss: number;
  readonly rttS: number;
}

/**
 * AVG_W_reno = 1.2 / sqrt(p). The RFC's tables print it with this constant; AIMD(1, 0.5) itself gives sqrt(3/2) = 1.2247
 * (RFC 5348 section 3.1, RFC 3649 section 2), and the printed values are those of 1.2.
 */
export const renoWindow = ({ loss }: Pick<LossyPath, 'loss'>): number => 1.2 / Math.sqrt(loss);

/** AVG_W_cubic = [C (3 + beta) / (4 (1 - beta))]^1/4 RTT^3/4 / p^3/4, outside the Reno-friendly region. RFC 9438 section 5.1. */
export function cubicWindow({
  loss,
  rttS,
  beta = CUBIC.beta,
  c = CUBIC.c,
}: LossyPath & {
  readonly beta?: number;
  readonly c?: number;
}): number {
  return ((c * (3 + beta)) / (4 * (1 - beta))) ** 0.25 * (rttS / loss) ** 0.75;
}

/**
 * What RFC 9438's tables hold: CUBIC does at least as well as Reno (section 4.3), so the larger of the two. In a real flow
 * both regions can occur within one epoch; a packet run then lies above this.
 */
export const cubicResponse = (path: LossyPath): number => Math.max(cubicWindow(path), renoWindow(path));

/** K = cbrt((W_max - cwnd_epoch) / C), seconds: how long CUBIC needs back to W_max. RFC 9438 section 4.2. */
export const cubicPeriodS = (
  wMax: number,
  { beta = CUBIC.beta, c = CUBIC.c }: { readonly beta?: number; readonly c?: number } = {},
): number => Math.cbrt((wMax * (1 - beta)) / c);

/** Bandwidth-delay product, bytes. */
export const bdpBytes = ({ rateBps, rttS }: { readonly rateBps: number; readonly rttS: number }): number =>
  (rateBps * rttS) / 8;

/**
 * The most that TCP can carry over a link, bit/s (RFC 6349 section 4.1.1): whole frames per second times 1460 B.
 * `frameBytes` is a full frame with its layer 1 and 2 overhead: 1538 B on Ethernet, 1508 B on a T1 or T3 with PPP.
 */
export function achievableTcpBps({
  rateBps,
  frameBytes,
  segmentBytes = 1460,
}: {
  readonly rateBps: number;
  readonly frameBytes: number;
  readonly segmentBytes?: number;
}): number {
  return Math.floor(rateBps / (8 * frameBytes)) * segmentBytes * 8;
}

/** RFC 6349 section 4.1.1: bytes of a 1500 B packet on the line. */
export const LINE_FRAME_BYTES = { ethernet: 1538, ppp: 1508 } as const;

/** Window-limited throughput, bit/s: one window a round trip (RFC 6349 section 3.3.1). */
export const windowLimitedBps = ({
  windowBytes,
  rttS,
}: {
  readonly windowBytes: number;
  readonly rttS: number;
}): number => (8 * windowBytes) / rttS;

/** RFC 6349 section 4.1: actual over ideal transfer time. */
export const transferTimeRatio = ({ actualS, idealS }: { readonly actualS: number; readonly idealS: number }): number =>
  actualS / idealS;

/** RFC 6349 section 4.2 (TCP efficiency), %: bytes sent less bytes sent again, over bytes sent. */
export const tcpEfficiencyPercent = ({
  sentBytes,
  resentBytes,
}: {
  readonly sentBytes: number;
  readonly resentBytes: number;
}): number => (100 * (sentBytes - resentBytes)) / sentBytes;

/** RFC 6349 section 4.3 (buffer delay), %: growth of the mean RTT during the transfer over the base RTT. */
export const bufferDelayPercent = ({
  meanRttS,
  baseRttS,
}: {
  readonly meanRttS: number;
  readonly baseRttS: number;
}): number => (100 * (meanRttS - baseRttS)) / baseRttS;
