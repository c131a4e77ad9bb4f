import type { Random } from '../kernel/random.ts';
import { binomialTail } from './binomial-tail.ts';

/**
 * Completion time of one message over a long, lossy channel: selective repeat (SR) and erasure coding (EC).
 * M. Khalilov et al., "SDR-RDMA: Software-Defined Reliability Architecture for Planetary Scale RDMA Communication",
 * arXiv 2505.05366, section 4.2 and appendices A to C. Times are ns, from the injection of the first chunk until the
 * sender has the acknowledgement of the last.
 *
 * Two things differ from the text on purpose:
 * - RTT is given, never derived from a distance: the paper's 3750 km = 25 ms is light in vacuum, fibre of that length has 36.7 ms.
 * - Appendix A loses the ceiling in P(Y >= ceil(...)) on its way to the tail; without it the mean at 1e-5 is 2.9 times the
 *   simulated one. Here it stays.
 */
export interface LossyChannel {
  readonly rateBps: number;
  readonly rttNs: number;
  /** Size of a chunk, the unit that is acknowledged, lost and sent again. */
  readonly chunkBytes: number;
  /** Probability that a chunk is lost, independent of all others, in [0, 1). From packets: {@link chunkLoss}. */
  readonly loss: number;
}

/** Data and parity chunks of one coded block. `xor`: parity i covers the data chunks j with j mod parity = i. */
export interface ErasureCode {
  readonly kind: 'mds' | 'xor';
  readonly data: number;
  readonly parity: number;
}

export interface Times {
  readonly meanNs: number;
  /** One per asked quantile, in their order. */
  readonly quantilesNs: readonly number[];
}

/** Retransmission timeout of the paper's two variants, in RTT: plain timeout, and 1 RTT as the best case of negative acknowledgement. */
export const SR_TIMEOUT_RTTS = { rto: 3, nack: 1 } as const;

/** Extra wait before an EC receiver gives up, in RTT: half of alpha, where RTO = (1 + alpha) RTT = 3 RTT (section 4.1). */
export const EC_BETA = 1;

/** T_INJ: time to put one chunk on the wire, ns. */
export const injectionNs = ({ chunkBytes, rateBps }: LossyChannel): number => (8e9 * chunkBytes) / rateBps;

/** The whole message without a loss, ns: M T_INJ + RTT. */
export const losslessNs = (channel: LossyChannel, chunks: number): number =>
  chunks * injectionNs(channel) + channel.rttNs;

/** 1 - (1 - P)^n: a chunk of n packets is lost when one of them is (section 5.4.2). */
export const chunkLoss = (packetLoss: number, packets: number): number =>
  -Math.expm1(packets * Math.log1p(-packetLoss));

/**
 * Exact distribution of T_SR = max X_i + RTT, X_i = i T_INJ + (RTO + T_INJ)(Y_i - 1), Y_i geometric (section 4.2.2, appendix A).
 * P(max X <= q) is a product over the chunks and changes only where q meets some i T_INJ + j (RTO + T_INJ): these points are
 * walked in order, so mean and quantiles are exact, with a rest below 1e-12. `chunks` is a whole number.
 *
 * @throws RangeError when `loss` is not in [0, 1) or `chunks` is not a whole number
 */
export function selectiveRepeat(
  channel: LossyChannel,
  {
    chunks,
    timeoutNs,
    quantiles = [],
  }: { readonly chunks: number; readonly timeoutNs: number; readonly quantiles?: readonly number[] },
): Times {
  const { loss, rttNs } = channel;
  if (!(loss >= 0 && loss < 1)) throw new RangeError(`Chunk loss is ${loss}; it must be in [0, 1).`);
  if (!Number.isInteger(chunks) || chunks < 0) throw new RangeError(`A message has whole chunks, not ${chunks}.`);
  const step = injectionNs(channel);
  const firstNs = chunks * step;
  if (loss === 0 || chunks === 0) return { meanNs: firstNs + rttNs, quantilesNs: quantiles.map(() => firstNs + rttNs) };
  const penalty = timeoutNs + step;
  const levels = Math.ceil(Math.log(1e-12 / chunks) / Math.log(loss));
  /** log of P(Y <= j + 1): the chunk needs at most j retransmissions. */
  const done = Array.from({ length: levels + 1 }, (_, j) => Math.log1p(-(loss ** (j + 1))));
  const perLevel = penalty / step;
  let log = 0;
  for (let j = 0, from = 0; from < chunks && j <= levels; j++) {
    const to = Math.min(chunks, Math.ceil((j + 1) * perLevel));
    log += (to - from) * (done[j] as number);
    from = to;
  }
  // Next chunk that reaches its j-th retransmission after the first pass over the message has ended.
  const next = Array.from({ length: levels + 1 }, (_, j) => Math.max(1, Math.floor(chunks - j * perLevel) + 1));
  const found = quantiles.map(() => Number.NaN);
  const logs = quantiles.map(quantile => Math.log(quantile));
  const reach = (): void => {
    for (let i = 0; i < logs.length; i++) if (Number.isNaN(found[i]) && log >= (logs[i] as number)) found[i] = atNs;
  };
  let [atNs, meanNs, low] = [firstNs, firstNs, 1];
  reach();
  // The rest of the integral is below 1e-13 of the time that is left.
  while (log < -1e-13) {
    while (low <= levels && (next[low] as number) > chunks) low++;
    if (low > levels) break;
    let best = low;
    let bestNs = (next[low] as number) * step + low * penalty;
    for (let j = low + 1; j <= levels && step + j * penalty < bestNs; j++) {
      const candidateNs = (next[j] as number) * step + j * penalty;
      if ((next[j] as number) <= chunks && candidateNs < bestNs) [best, bestNs] = [j, candidateNs];
    }
    meanNs += (bestNs - atNs) * -Math.expm1(log);
    atNs = bestNs;
    log += (done[best] as number) - (done[best - 1] as number);
    next[best] = (next[best] as number) + 1;
    reach();
  }
  return {
    meanNs: meanNs + rttNs,
    quantilesNs: found.map(ns => (Number.isNaN(ns) ? atNs : ns) + rttNs),
  };
}

/** One random T_SR, ns. Only lost chunks cost a draw. */
export function sampleSelectiveRepeat(
  channel: LossyChannel,
  { chunks, timeoutNs }: { readonly chunks: number; readonly timeoutNs: number },
  random: Random,
): number {
  const step = injectionNs(channel);
  let lastNs = chunks * step;
  for (let i = random.runLength(channel.loss) + 1; i <= chunks; i += random.runLength(channel.loss) + 1) {
    let lost = 1;
    while (random.fraction() < channel.loss) lost++;
    lastNs = Math.max(lastNs, i * step + lost * (timeoutNs + step));
  }
  return lastNs + channel.rttNs;
}

/**
 * Probability that a block can not be decoded (appendix B). MDS: more than `parity` of all chunks are lost. XOR: in one of the
 * `parity` groups of data/parity + 1 chunks two or more are lost.
 */
export function blockFailure({ kind, data, parity }: ErasureCode, loss: number): number {
  if (kind === 'mds') return binomialTail(data + parity, { most: parity, share: loss });
  return -Math.expm1(parity * Math.log1p(-binomialTail(data / parity + 1, { most: 1, share: loss })));
}

/** Probability that some block of the message fails and the receiver asks for selective repeat: 1 - p^(M/k). */
export const fallbackProbability = (code: ErasureCode, { chunks, loss }: { chunks: number; loss: number }): number =>
  -Math.expm1((chunks / code.data) * Math.log1p(-blockFailure(code, loss)));

/** (M + ceil(M m/k)) T_INJ: data and parity on the wire, ns. */
const codedNs = (channel: LossyChannel, code: ErasureCode, chunks: number): number =>
  (chunks + Math.ceil((chunks * code.parity) / code.data)) * injectionNs(channel);

/**
 * The paper's lower bound on the mean T_EC, ns (section 4.2.3):
 * (M + ceil(M/R)) T_INJ + P_fallback (RTT + beta RTT) + E[T_SR(E[failures] k)]; E[T_SR] between whole chunks is linear, and
 * T_SR(0) = RTT is the acknowledgement that every message waits for.
 */
export function erasureCodedMeanNs(
  channel: LossyChannel,
  { code, chunks, timeoutNs }: { readonly code: ErasureCode; readonly chunks: number; readonly timeoutNs: number },
): number {
  const again = chunks * blockFailure(code, channel.loss);
  const whole = Math.floor(again);
  const [below, above] = [whole, whole + 1].map(
    count => selectiveRepeat(channel, { chunks: count, timeoutNs }).meanNs,
  ) as [number, number];
  return (
    codedNs(channel, code, chunks) +
    fallbackProbability(code, { chunks, loss: channel.loss }) * (1 + EC_BETA) * channel.rttNs +
    below +
    (again - whole) * (above - below)
  );
}

/** One random T_EC, ns: each block fails or not; failed ones are sent again, all their data, by selective repeat. */
export function sampleErasureCoded(
  channel: LossyChannel,
  { code, chunks, timeoutNs }: { readonly code: ErasureCode; readonly chunks: number; readonly timeoutNs: number },
  random: Random,
): number {
  const failure = blockFailure(code, channel.loss);
  const blocks = Math.ceil(chunks / code.data);
  let failed = 0;
  for (let i = random.runLength(failure) + 1; i <= blocks; i += random.runLength(failure) + 1) failed++;
  const sentNs = codedNs(channel, code, chunks);
  if (failed === 0) return sentNs + channel.rttNs;
  const again = sampleSelectiveRepeat(channel, { chunks: failed * code.data, timeoutNs }, random);
  return sentNs + (1 + EC_BETA) * channel.rttNs + again;
}

/**
 * Ring all-reduce over N data centers, one message a stage (appendix C): T(i, r) = max(T(i-1, r-1), T(i, r-1)) + t(i, r),
 * 2N - 2 stages, all begin at 0. Returns the time of the last to finish; `stageNs` is drawn once per transfer.
 * Never below 2N - 2 times the mean stage, in expectation.
 */
export function sampleRingAllReduce(sites: number, stageNs: () => number): number {
  let finished: readonly number[] = Array.from({ length: sites }, () => 0);
  for (let stage = 0; stage < 2 * sites - 2; stage++)
    finished = finished.map((own, i) => Math.max(own, finished[(i + sites - 1) % sites] as number) + stageNs());
  return Math.max(...finished);
}
