import type { CongestionControl, CongestionControlKind, Feedback, LossSign, PathFacts } from './congestion-control.ts';
import { HYSTART, HyStart } from './hystart.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';

const RANGES = {
  c: 'positive',
  beta: 'share',
  fastConvergence: 'flag',
  renoFriendly: 'flag',
  hystart: 'flag',
  hystartLeastRisePs: 'positive',
  hystartMostRisePs: 'positive',
  initialWindowPackets: 'positive',
  mostWindowBytes: 'positive',
} as const satisfies Record<string, ParameterRange>;

/**
 * CUBIC (RFC 9438). Windows in packets, times in seconds:
 *
 *     W_cubic(t) = C (t - K)^3 + W_max,   K = cbrt((W_max - cwnd_epoch) / C)                       (figures 1 and 2)
 *     target = W_cubic(t + RTT), at least cwnd, at most 1.5 cwnd;  cwnd += (target - cwnd) / cwnd   (sections 4.2, 4.4, 4.5)
 *     W_est += alpha acked / cwnd,   alpha = 3 (1 - beta) / (1 + beta), 1 once W_est >= cwnd_prior  (figure 4)
 *     W_cubic(t) < W_est:  cwnd = W_est                                                             (section 4.3)
 *     congestion:  ssthresh = beta cwnd, cwnd_prior = cwnd, cwnd = max(ssthresh, 2; after CE 1)     (figure 5)
 *     fast convergence:  cwnd < W_max ? W_max = cwnd (1 + beta) / 2 : cwnd                          (section 4.7)
 *     timeout:  ssthresh as above, cwnd = 1; the next avoidance stage has K = 0, W_max = its first cwnd   (section 4.8)
 *     slow start:  cwnd += acked, left by HyStart++ when asked (RFC 9406), then K = 0 as above      (section 4.10)
 *
 * - One reduction per window of data (RFC 6582's recovery point); no growth until it is acknowledged; a stage starts with the
 *   first acknowledgement beyond it.
 * - The reduction is from cwnd while the window is what limits the flow, from the bytes in flight while it is not (section 4.6).
 * - No growth while the flow fills less than half of its window, or has nothing to send; such time does not count in t (section 5.8).
 * - Spurious reductions (section 4.9) are not undone: no reordering detection here would know.
 *
 * Defaults: C 0.4, beta 0.7 (section 5), fast convergence and the Reno-friendly region on, HyStart++ off (deterministic comparisons
 * want plain slow start; on a fabric its thresholds need other values), 10 packets at first (RFC 6928), at most 2^30 bytes
 * (RFC 7323, section 2.3).
 */
export const cubic: CongestionControlKind = {
  name: 'cubic',
  acknowledgements: 'each',
  cnp: false,
  ecn: false,
  telemetry: false,
  parameters: {
    c: 0.4,
    beta: 0.7,
    fastConvergence: 1,
    renoFriendly: 1,
    hystart: 0,
    hystartLeastRisePs: HYSTART.leastRisePs,
    hystartMostRisePs: HYSTART.mostRisePs,
    initialWindowPackets: 10,
    mostWindowBytes: 2 ** 30,
  },
  create: (path, parameters) => new Cubic(path, parametersInRange('cubic', parameters, RANGES)),
};

class Cubic implements CongestionControl {
  readonly rateBps = Number.POSITIVE_INFINITY;
  windowBytes: number;
  private readonly p: Readonly<Record<keyof typeof RANGES, number>>;
  private readonly mtuBytes: number;
  private readonly mostPackets: number;
  private readonly alpha: number;
  private readonly hystart: HyStart | undefined;
  /** cwnd, packets. */
  private window: number;
  private slowStartUntil = Number.POSITIVE_INFINITY;
  private windowMax = 0;
  /** False: the next stage starts at its plateau (after slow start or a timeout). */
  private windowMaxKnown = false;
  private windowPrior = 0;
  private windowReno = 0;
  /** K, s. */
  private plateauAtS = 0;
  /** Start of the avoidance stage, ps; NaN between stages. */
  private epochPs = Number.NaN;
  private lastPs = 0;
  private smoothedRttPs: number;
  private rttSeen = false;
  private acknowledgedByte = 0;
  private nextByte = 0;
  private cutEnd = -1;
  private limited = true;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RANGES, number>>) {
    this.p = p;
    this.mtuBytes = path.mtuBytes;
    this.mostPackets = Math.max(2, p.mostWindowBytes / path.mtuBytes);
    this.alpha = (3 * (1 - p.beta)) / (1 + p.beta);
    this.smoothedRttPs = path.baseRttPs;
    this.hystart =
      p.hystart === 1
        ? new HyStart({ ...HYSTART, leastRisePs: p.hystartLeastRisePs, mostRisePs: p.hystartMostRisePs })
        : undefined;
    this.window = Math.min(p.initialWindowPackets, this.mostPackets);
    this.windowBytes = this.window * path.mtuBytes;
  }

  acknowledged(feedback: Feedback): void {
    const { nowPs, bytes, marked, rttPs, inFlightBytes, acknowledgedByte, nextByte } = feedback;
    const sincePs = nowPs - this.lastPs;
    this.lastPs = nowPs;
    this.acknowledgedByte = acknowledgedByte;
    this.nextByte = nextByte;
    if (!Number.isNaN(rttPs)) {
      this.smoothedRttPs = this.rttSeen ? (7 * this.smoothedRttPs + rttPs) / 8 : rttPs;
      this.rttSeen = true;
    }
    this.limited = feedback.applicationLimited !== true && 2 * (inFlightBytes + bytes) >= this.windowBytes;
    if (marked > 0) {
      if (acknowledgedByte > this.cutEnd) this.cut(inFlightBytes, 1);
      return;
    }
    if (!this.limited) {
      this.epochPs += sincePs;
      return;
    }
    if (acknowledgedByte <= this.cutEnd || bytes <= 0) return;
    const acked = bytes / this.mtuBytes;
    if (this.window < this.slowStartUntil) this.slowStart(feedback, acked);
    else this.avoid(nowPs, acked);
    this.window = Math.min(this.mostPackets, this.window);
    this.windowBytes = this.window * this.mtuBytes;
  }

  lost(_nowPs: number, sign: LossSign, inFlightBytes: number): void {
    if (sign !== 'timeout') {
      if (this.acknowledgedByte > this.cutEnd) this.cut(inFlightBytes, 2);
      return;
    }
    this.slowStartUntil = Math.max(2, this.reducedFrom(inFlightBytes) * this.p.beta);
    this.windowPrior = this.window;
    this.windowMaxKnown = false;
    this.window = 1;
    this.windowBytes = this.mtuBytes;
    this.epochPs = Number.NaN;
    this.cutEnd = -1;
  }

  private slowStart(feedback: Feedback, acked: number): void {
    const share = this.hystart?.growth(feedback) ?? 1;
    this.window += acked * share;
    if (share > 0) return;
    this.slowStartUntil = this.window;
    this.windowPrior = this.window;
  }

  private avoid(nowPs: number, acked: number): void {
    const { c, renoFriendly } = this.p;
    if (Number.isNaN(this.epochPs)) {
      this.epochPs = nowPs;
      if (!this.windowMaxKnown) this.windowMax = this.window;
      this.windowMaxKnown = true;
      this.windowMax = Math.max(this.windowMax, this.window);
      this.windowReno = this.window;
      this.plateauAtS = Math.cbrt((this.windowMax - this.window) / c);
    }
    const atS = (nowPs - this.epochPs) / 1e12;
    const share = Math.min(1, acked / this.window);
    this.windowReno += (this.windowReno >= this.windowPrior ? 1 : this.alpha) * share;
    if (renoFriendly === 1 && this.cubicAt(atS) < this.windowReno) {
      // Set to W_est, says section 4.3; never down to it: W_cubic(t + RTT) may have led a step further.
      this.window = Math.max(this.window, this.windowReno);
      return;
    }
    const target = this.cubicAt(atS + this.smoothedRttPs / 1e12);
    this.window += (Math.min(1.5 * this.window, Math.max(this.window, target)) - this.window) * share;
  }

  private cubicAt(atS: number): number {
    return this.p.c * (atS - this.plateauAtS) ** 3 + this.windowMax;
  }

  private reducedFrom(inFlightBytes: number): number {
    return this.limited ? this.window : Math.min(this.window, inFlightBytes / this.mtuBytes);
  }

  private cut(inFlightBytes: number, leastPackets: number): void {
    const { beta, fastConvergence } = this.p;
    const reduced = this.reducedFrom(inFlightBytes) * beta;
    this.windowMax =
      fastConvergence === 1 && this.windowMaxKnown && this.window < this.windowMax
        ? (this.window * (1 + beta)) / 2
        : this.window;
    this.windowMaxKnown = true;
    this.windowPrior = this.window;
    this.window = Math.max(reduced, leastPackets);
    this.slowStartUntil = Math.max(reduced, 2);
    this.windowBytes = this.window * this.mtuBytes;
    this.epochPs = Number.NaN;
    this.cutEnd = this.nextByte;
  }
}
