import type { CongestionControl, CongestionControlKind, Feedback, LossSign, PathFacts } from './congestion-control.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';

const RANGES = {
  additiveIncreasePackets: 'positive',
  decreaseShare: 'share',
  mostDecreaseShare: 'share',
  baseTargetPs: 'not-negative',
  hopTargetPs: 'not-negative',
  scalingRangePs: 'not-negative',
  scalingLowPackets: 'positive',
  scalingHighPackets: 'positive',
  scalingWholePackets: 'flag',
  leastWindowPackets: 'positive',
  mostWindowPackets: 'not-negative',
  initialWindowPackets: 'positive',
  timeoutsToReset: 'count',
} as const satisfies Record<string, ParameterRange>;

/**
 * Swift's fabric window (Kumar et al., SIGCOMM 2020, algorithm 1), for every acknowledgement:
 *
 *     delay < target   cwnd += ai acked / cwnd   (cwnd >= 1 packet),   cwnd += ai acked   (below)
 *     else, once per round trip:   cwnd *= max(1 - beta (delay - target) / delay, 1 - max_mdf)
 *     fast retransmission          cwnd *= 1 - max_mdf, once per round trip
 *     timeout                      the same; from the `timeoutsToReset`-th in a row on: cwnd = least
 *     cwnd < 1 packet              one packet per rtt / cwnd
 *
 *     target = base + hops x hbar + max(0, min(range, a / sqrt(cwnd) + b))             (section 3.1, flow and topology scaling)
 *     a = range / (1 / sqrt(fs_min) - 1 / sqrt(fs_max)),   b = -a / sqrt(fs_max)
 *
 * The pace ends as soon as the window is a packet again (`repaces`). Delay is the round trip; there is no host delay to tell apart from it. A cut counts as such when the window has become
 * smaller (the paper's `<=` would start the round trip of silence with every acknowledgement above target).
 *
 * Defaults: csg-htsim's `swift.cpp`, which calls them guesses: ai 1, beta 0.8, max_mdf 0.5, range 5 x base, fs_min 0.1 and fs_max 100
 * packets, reset at the 5th timeout, 12 packets at first; hbar = base / 6.55. Its base target is 20 us for a round trip of
 * 15 us: `baseTargetPs` 0 is 4/3 of the path's base round trip, without which a long path would never be below target;
 * `hopTargetPs` 0 is base / 6.55, `scalingRangePs` 0 is 5 x base, `mostWindowPackets` 0 is what fits the path at three times the base target.
 * Least window 0.001 packets (section 3.2). csg-htsim divides cwnd by the packet in integers: below one packet its target has the whole
 * range at once, and its queues are longer for it; `scalingWholePackets` 1 does so too.
 */
export const swift: CongestionControlKind = {
  name: 'swift',
  acknowledgements: 'each',
  cnp: false,
  ecn: false,
  telemetry: false,
  repaces: true,
  parameters: {
    additiveIncreasePackets: 1,
    decreaseShare: 0.8,
    mostDecreaseShare: 0.5,
    baseTargetPs: 0,
    hopTargetPs: 0,
    scalingRangePs: 0,
    scalingLowPackets: 0.1,
    scalingHighPackets: 100,
    scalingWholePackets: 0,
    leastWindowPackets: 0.001,
    mostWindowPackets: 0,
    initialWindowPackets: 12,
    timeoutsToReset: 5,
  },
  create: (path, parameters) => new Swift(path, parametersInRange('swift', parameters, RANGES)),
};

class Swift implements CongestionControl {
  rateBps = Number.POSITIVE_INFINITY;
  windowBytes: number;
  private readonly p: Readonly<Record<keyof typeof RANGES, number>>;
  private readonly mtuBytes: number;
  private readonly wireBits: number;
  private readonly lineBps: number;
  private readonly fixedTargetPs: number;
  private readonly rangePs: number;
  /** a and b of the flow scaling. */
  private readonly slopePs: number;
  private readonly offsetPs: number;
  private readonly mostPackets: number;
  /** cwnd, packets. */
  private window: number;
  private smoothedRttPs: number;
  private rttSeen = false;
  private lastCutPs = Number.NEGATIVE_INFINITY;
  private timeouts = 0;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RANGES, number>>) {
    if (p.scalingHighPackets <= p.scalingLowPackets)
      throw new RangeError('Law swift: scalingHighPackets must be more than scalingLowPackets.');
    this.p = p;
    this.mtuBytes = path.mtuBytes;
    this.lineBps = path.lineBps;
    this.wireBits = (path.mtuBytes + path.overheadBytes) * 8;
    const basePs = p.baseTargetPs || (path.baseRttPs * 4) / 3;
    this.fixedTargetPs = basePs + path.hops * (p.hopTargetPs || basePs / 6.55);
    this.rangePs = p.scalingRangePs || 5 * basePs;
    this.slopePs = this.rangePs / (1 / Math.sqrt(p.scalingLowPackets) - 1 / Math.sqrt(p.scalingHighPackets));
    this.offsetPs = -this.slopePs / Math.sqrt(p.scalingHighPackets);
    this.mostPackets = p.mostWindowPackets || Math.max(2, (3 * basePs * path.bottleneckBps) / 8e12 / path.mtuBytes);
    this.smoothedRttPs = path.baseRttPs;
    this.window = Math.min(p.initialWindowPackets, this.mostPackets);
    this.windowBytes = 0;
    this.apply();
  }

  /** Target delay at the present window, ps. Read by tests. */
  targetPs(): number {
    const packets = this.p.scalingWholePackets === 1 ? Math.floor(this.window) : this.window;
    const scaling = this.slopePs / Math.sqrt(packets) + this.offsetPs;
    return this.fixedTargetPs + Math.max(0, Math.min(this.rangePs, scaling));
  }

  acknowledged({ nowPs, bytes, rttPs, applicationLimited }: Feedback): void {
    this.timeouts = 0;
    if (Number.isNaN(rttPs)) return;
    const mayCut = nowPs - this.lastCutPs >= this.smoothedRttPs;
    this.smoothedRttPs = this.rttSeen ? (7 * this.smoothedRttPs + rttPs) / 8 : rttPs;
    this.rttSeen = true;
    const target = this.targetPs();
    const { additiveIncreasePackets, decreaseShare, mostDecreaseShare } = this.p;
    if (rttPs < target) {
      if (applicationLimited) return;
      const acked = bytes / this.mtuBytes;
      this.window += (additiveIncreasePackets * acked) / Math.max(1, this.window);
    } else if (mayCut) {
      this.cut(nowPs, Math.max(1 - (decreaseShare * (rttPs - target)) / rttPs, 1 - mostDecreaseShare));
    }
    this.apply();
  }

  lost(nowPs: number, sign: LossSign): void {
    if (sign === 'timeout') {
      this.timeouts++;
      if (this.timeouts >= this.p.timeoutsToReset) this.window = this.p.leastWindowPackets;
    }
    if (nowPs - this.lastCutPs >= this.smoothedRttPs) this.cut(nowPs, 1 - this.p.mostDecreaseShare);
    this.apply();
  }

  private cut(nowPs: number, factor: number): void {
    if (factor >= 1) return;
    this.window *= factor;
    this.lastCutPs = nowPs;
  }

  private apply(): void {
    this.window = Math.min(this.mostPackets, Math.max(this.p.leastWindowPackets, this.window));
    if (this.window >= 1) {
      this.windowBytes = this.window * this.mtuBytes;
      this.rateBps = Number.POSITIVE_INFINITY;
    } else {
      // Less than a packet per round trip: the window lets one out, the pace says when.
      this.windowBytes = this.mtuBytes;
      this.rateBps = Math.min(this.lineBps, (this.wireBits * 1e12 * this.window) / this.smoothedRttPs);
    }
  }
}
