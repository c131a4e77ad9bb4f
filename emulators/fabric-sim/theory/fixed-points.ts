/**
 * Where congestion control settles: windows, rates and queues that a packet run is held against. One bottleneck, N identical
 * long flows, RTT without queueing `rttS`. DCQCN's stands in `dcqcn-fluid.ts`, CUBIC's in `tcp-response.ts`.
 */
export interface Bottleneck {
  readonly flows: number;
  readonly rateBps: number;
  /** Round trip without queueing. */
  readonly rttS: number;
  /** Bytes of one full packet as the bottleneck counts it. */
  readonly packetBytes: number;
}

/** Bandwidth-delay product in packets. */
const bdpPackets = ({ rateBps, rttS, packetBytes }: Bottleneck): number => (rateBps * rttS) / (8 * packetBytes);

/**
 * DCTCP with synchronised flows, marking above `thresholdPackets` (K): a sawtooth (Alizadeh et al., "Data Center TCP", SIGCOMM 2010,
 * section 3.3; RFC 8257). W* = (C RTT + K)/N is the window at which marking begins; alpha solves
 * alpha^2 (1 - alpha/4) = (2 W* + 1)/(W* + 1)^2, about sqrt(2/W*).
 */
export function dctcpSawtooth(
  at: Bottleneck,
  { thresholdPackets }: { readonly thresholdPackets: number },
): {
  readonly alpha: number;
  /** Largest window of a flow, W* + 1, and the mean over the sawtooth. */
  readonly windowMostPackets: number;
  readonly windowMeanPackets: number;
  /** K + N, and K + N less the amplitude N (W* + 1) alpha/2; below 0 the queue runs empty and throughput is lost. */
  readonly queueMostPackets: number;
  readonly queueLeastPackets: number;
  readonly periodS: number;
} {
  const edge = (bdpPackets(at) + thresholdPackets) / at.flows;
  const share = (2 * edge + 1) / (edge + 1) ** 2;
  let [low, high] = [0, 1];
  for (let i = 0; i < 60; i++) {
    const alpha = (low + high) / 2;
    if (alpha ** 2 * (1 - alpha / 4) < share) low = alpha;
    else high = alpha;
  }
  const drop = ((edge + 1) * low) / 2;
  return {
    alpha: low,
    windowMostPackets: edge + 1,
    windowMeanPackets: edge + 1 - drop / 2,
    queueMostPackets: thresholdPackets + at.flows,
    queueLeastPackets: thresholdPackets + at.flows - at.flows * drop,
    periodS: drop * (at.rttS + (8 * thresholdPackets * at.packetBytes) / at.rateBps),
  };
}

/** Least K that keeps one DCTCP flow from running the queue empty: C RTT/7 (Alizadeh et al. 2010, section 3.4). */
export const dctcpLeastThresholdPackets = (at: Bottleneck): number => bdpPackets(at) / 7;

/** Largest g that follows the sawtooth: 1.386/sqrt(2 (C RTT + K)) (Alizadeh et al. 2010, section 3.4). */
export const dctcpGainLimit = (at: Bottleneck, { thresholdPackets }: { readonly thresholdPackets: number }): number =>
  1.386 / Math.sqrt(2 * (bdpPackets(at) + thresholdPackets));

/** Swift's target delay: base + flow scaling (Kumar et al., SIGCOMM 2020, section 3.5). Hops belong to `baseS`. */
export interface SwiftTarget {
  readonly baseS: number;
  /** Largest delay that flow scaling adds, and the windows between which it does; none when 0. */
  readonly scalingRangeS: number;
  readonly scalingLeastWindow: number;
  readonly scalingMostWindow: number;
}

/** base + clamp(a/sqrt(cwnd) + b, 0, range), with a = range/(1/sqrt(least) - 1/sqrt(most)), b = -a/sqrt(most). Windows in packets. */
export function swiftTargetS(
  { baseS, scalingRangeS, scalingLeastWindow, scalingMostWindow }: SwiftTarget,
  window: number,
): number {
  const a = scalingRangeS / (1 / Math.sqrt(scalingLeastWindow) - 1 / Math.sqrt(scalingMostWindow));
  const b = -a / Math.sqrt(scalingMostWindow);
  return baseS + Math.min(scalingRangeS, Math.max(0, a / Math.sqrt(window) + b));
}

/**
 * Swift settles where the delay meets its target, since below it windows grow and above it they shrink: N cwnd = C target(cwnd).
 * With flow scaling the queue grows about as sqrt(N). Windows then move by `ai` a flow and round trip, and a decrease answers one
 * RTT later: the queue swings by up to about 2 N ai packets around the mean.
 * `queueBytes` is undefined when the target is below the RTT without queueing: then no window reaches it.
 */
export function swiftFixedPoint(
  at: Bottleneck,
  target: SwiftTarget,
): { readonly windowPackets: number; readonly delayS: number; readonly queueBytes: number | undefined } {
  const packetS = (8 * at.packetBytes) / at.rateBps;
  let [low, high] = [1e-9, (target.baseS + target.scalingRangeS) / packetS + 1];
  for (let i = 0; i < 200; i++) {
    const window = Math.sqrt(low * high);
    if (at.flows * window * packetS < swiftTargetS(target, window)) low = window;
    else high = window;
  }
  const delayS = swiftTargetS(target, low);
  return {
    windowPackets: low,
    delayS,
    queueBytes: delayS < at.rttS ? undefined : ((delayS - at.rttS) * at.rateBps) / 8,
  };
}

/**
 * HPCC with an update per RTT (maxStage 0, as the paper's own simulations): W = W eta/U + W_AI, sum W = U C T, so
 * U = eta + N W_AI/(C T); no queue while U <= 1, (U - 1) C T above (Li et al., SIGCOMM 2019, section 3.3, which therefore bids
 * W_AI <= C T (1 - eta)/N). All flows have the same window: W_AI makes it fair.
 */
export function hpccFixedPoint(
  { flows, rateBps, rttS }: Bottleneck,
  { eta, additiveBytes }: { readonly eta: number; readonly additiveBytes: number },
): { readonly utilisation: number; readonly queueBytes: number; readonly windowBytes: number } {
  const bdpBytes = (rateBps * rttS) / 8;
  const inFlight = eta + (flows * additiveBytes) / bdpBytes;
  return {
    utilisation: Math.min(1, inFlight),
    queueBytes: Math.max(0, inFlight - 1) * bdpBytes,
    windowBytes: (inFlight * bdpBytes) / flows,
  };
}

/**
 * TIMELY has no fixed point of its own: between Tlow and Thigh it follows the gradient of the RTT alone, which is zero at
 * every queue and for every split of the rate. It ends anywhere in this range, with any unfairness (Zhu et al., "ECN or Delay",
 * CoNEXT 2016, section 4). Queues in bytes.
 */
export const timelyQueueRangeBytes = (
  { rateBps, rttS }: Bottleneck,
  { lowS, highS }: { readonly lowS: number; readonly highS: number },
): readonly [number, number] => [(Math.max(0, lowS - rttS) * rateBps) / 8, (Math.max(0, highS - rttS) * rateBps) / 8];

/**
 * Patched TIMELY: R <- delta (1 - w) + R (1 - beta w (rtt - Tlow)/Tlow), w = 1/2 at gradient zero, so delta = R beta (rtt - Tlow)/Tlow
 * and with R = C/N: rtt* = Tlow (1 + N delta/(beta C)); one fixed point, fair, its queue linear in N
 * (Zhu et al., CoNEXT 2016, section 4, q* = q' + N delta q'/(beta C) with q' = C Tlow).
 */
export const patchedTimelyRttS = (
  { flows, rateBps }: Bottleneck,
  { lowS, deltaBps, beta }: { readonly lowS: number; readonly deltaBps: number; readonly beta: number },
): number => lowS * (1 + (flows * deltaBps) / (beta * rateBps));
