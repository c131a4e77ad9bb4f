import type { CongestionControl, CongestionControlKind, Feedback, LossSign, PathFacts } from './congestion-control.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';

const RANGES = {
  networkRttPs: 'not-negative',
  targetDelayPs: 'not-negative',
  trimming: 'flag',
  referenceBps: 'positive',
  referenceRttPs: 'positive',
  proportionalPackets: 'positive',
  fairPackets: 'positive',
  etaPackets: 'positive',
  fastShare: 'positive',
  fastBelowPs: 'positive',
  gamma: 'share',
  leastFactor: 'share',
  delayGain: 'share',
  mostWindowBdps: 'positive',
  adjustPackets: 'positive',
  quickAdapt: 'flag',
  quickAdaptGate: 'count',
  quickAdaptTargets: 'positive',
} as const satisfies Record<string, ParameterRange>;

/**
 * NSCC, the sender-based control of the Ultra Ethernet specification 1.0, as its authors' simulator has it
 * (uet-htsim, `uec.cpp`; https://github.com/ultraethernet/uet-htsim). All windows in wire bytes; d = round trip - base round trip:
 *
 *     a = BDP / (100 Gb/s x 12 us),  b = T / 12 us
 *     no CE, d <  T   proportional:  inc += 4 mss a b / T x acked (T - d);  d < 1 us for a window: fast, cwnd += a/4 acked instead
 *     no CE, d >= T   fair:          inc += 5 mss a acked
 *     CE,    d >= T   decrease, once per base round trip and while the mean is above T:  cwnd *= max(1 - 0.8 (avg - T) / avg, 0.5)
 *     CE,    d <  T   nothing: another path will do
 *     every 8 packets or network round trip:  cwnd += inc / cwnd;  every network round trip: cwnd += 0.15 mss a
 *     avg:            0.0125 d + 0.9875 avg; with no CE and d > T a quarter of the base round trip stands for d
 *     trimmed packet  cwnd -= its size, avg hears of a network round trip of delay;  timeout: cwnd -= its size
 *     quick adapt, once per base round trip + T: when a packet was trimmed or d > 4 T, and less than 1/8 of the largest window has
 *                     got through since: cwnd = that much; the echo of what is in flight is then ignored
 *
 * cwnd in [1 MTU, 1.5 BDP], at first 1.5 BDP. T is 0.75 network round trips with trimming, one without. Multipath and trimming are
 * the connection's and the switches'. Wants `lost(…, 'trimmed', …)` for every trimmed packet.
 *
 * Defaults: initNsccParams and initNscc of `uec.cpp`. `networkRttPs` 0 is the path's base round trip; the simulator takes the
 * network's longest for all flows. `targetDelayPs` 0 is T as above. Integers there are truncated; not here.
 */
export const nscc: CongestionControlKind = {
  name: 'nscc',
  acknowledgements: 'each',
  cnp: false,
  ecn: true,
  telemetry: false,
  parameters: {
    networkRttPs: 0,
    targetDelayPs: 0,
    trimming: 1,
    referenceBps: 100e9,
    referenceRttPs: 12e6,
    proportionalPackets: 4,
    fairPackets: 5,
    etaPackets: 0.15,
    fastShare: 0.25,
    fastBelowPs: 1e6,
    gamma: 0.8,
    leastFactor: 0.5,
    delayGain: 0.0125,
    mostWindowBdps: 1.5,
    adjustPackets: 8,
    quickAdapt: 1,
    quickAdaptGate: 3,
    quickAdaptTargets: 4,
  },
  create: (path, parameters) => new Nscc(path, parametersInRange('nscc', parameters, RANGES)),
};

class Nscc implements CongestionControl {
  readonly rateBps = Number.POSITIVE_INFINITY;
  windowBytes: number;
  private readonly p: Readonly<Record<keyof typeof RANGES, number>>;
  private readonly lineBps: number;
  /** Wire bytes of a full packet, and per payload byte. */
  private readonly packetBytes: number;
  private readonly wireShare: number;
  private readonly networkRttPs: number;
  private readonly targetPs: number;
  /** alpha, B/ps; fi and eta, B; the fast increase's share. */
  private readonly proportional: number;
  private readonly fair: number;
  private readonly eta: number;
  private readonly fastShare: number;
  private readonly adjustBytes: number;
  /** cwnd, maximum and increments, wire bytes. */
  private window: number;
  private mostWindow = 0;
  private increment = 0;
  private received = 0;
  private baseRttPs: number;
  private averagePs = 0;
  private fast = false;
  private fastBytes = 0;
  private lastDecreasePs = 0;
  private lastAdjustPs = 0;
  private achieved = 0;
  private ignored = 0;
  private toIgnore = 0;
  private triggered = false;
  /** 0: not armed yet. */
  private quickAdaptAtPs = 0;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RANGES, number>>) {
    this.p = p;
    this.lineBps = path.lineBps;
    this.packetBytes = path.mtuBytes + path.overheadBytes;
    this.wireShare = this.packetBytes / path.mtuBytes;
    this.networkRttPs = p.networkRttPs || path.baseRttPs;
    this.targetPs = p.targetDelayPs || this.networkRttPs * (p.trimming === 1 ? 0.75 : 1);
    const a = (path.lineBps * this.networkRttPs) / (p.referenceBps * p.referenceRttPs);
    const b = this.targetPs / p.referenceRttPs;
    this.proportional = (p.proportionalPackets * path.mtuBytes * a * b) / this.targetPs;
    this.fair = p.fairPackets * path.mtuBytes * a;
    this.eta = p.etaPackets * path.mtuBytes * a;
    this.fastShare = p.fastShare * a;
    this.adjustBytes = p.adjustPackets * this.packetBytes;
    this.baseRttPs = this.networkRttPs;
    this.boundBy(this.networkRttPs);
    this.window = this.mostWindow;
    this.windowBytes = this.window / this.wireShare;
  }

  acknowledged({ nowPs, bytes, marked, rttPs, inFlightBytes }: Feedback): void {
    const fresh = bytes * this.wireShare;
    const ce = marked > 0;
    this.achieved += fresh;
    this.received += fresh;
    this.ignored += fresh;
    let delayPs = this.averagePs;
    if (!Number.isNaN(rttPs)) {
      if (rttPs < this.baseRttPs) {
        this.baseRttPs = rttPs;
        this.boundBy(rttPs);
      }
      delayPs = rttPs - this.baseRttPs;
      this.average(!ce && delayPs > this.targetPs ? this.baseRttPs * 0.25 : delayPs);
    }
    const late = delayPs > this.p.quickAdaptTargets * this.targetPs;
    if (this.adaptQuickly(nowPs, inFlightBytes, ce, late)) return;
    if (delayPs < this.targetPs) {
      if (!ce) this.increaseProportionally(fresh, delayPs);
    } else if (ce) this.decrease(nowPs);
    else this.increment += this.fair * fresh;
    this.clamp();
    const sincePs = nowPs - this.lastAdjustPs;
    if (this.received > this.adjustBytes || sincePs > this.networkRttPs) {
      this.window += this.increment / this.window;
      if (sincePs >= this.networkRttPs) {
        this.window += this.eta;
        this.lastAdjustPs = nowPs;
      }
      this.increment = 0;
      this.received = 0;
    }
    this.clamp();
  }

  lost(nowPs: number, sign: LossSign, inFlightBytes: number, rttPs = Number.NaN): void {
    if (sign === 'trimmed') {
      // A header alone is faster than its packet: the base falls below the true one, as it does in the simulator.
      if (rttPs < this.baseRttPs) {
        this.baseRttPs = rttPs;
        this.boundBy(rttPs);
      }
      this.ignored += this.packetBytes;
      this.average(this.networkRttPs);
      this.triggered = true;
      if (this.adaptQuickly(nowPs, inFlightBytes, true, true)) return;
    }
    this.window -= this.packetBytes;
    this.clamp();
  }

  private average(delayPs: number): void {
    this.averagePs = this.p.delayGain * delayPs + (1 - this.p.delayGain) * this.averagePs;
  }

  private increaseProportionally(fresh: number, delayPs: number): void {
    if (delayPs < this.p.fastBelowPs) {
      this.fastBytes += fresh;
      if (this.fastBytes > this.window || this.fast) {
        this.window += fresh * this.fastShare;
        this.fast = true;
        return;
      }
    } else this.fastBytes = 0;
    this.fast = false;
    this.increment += this.proportional * fresh * (this.targetPs - delayPs);
  }

  private decrease(nowPs: number): void {
    this.fast = false;
    this.fastBytes = 0;
    if (this.averagePs <= this.targetPs || nowPs - this.lastDecreasePs <= this.baseRttPs) return;
    const { gamma, leastFactor } = this.p;
    this.window *= Math.max(1 - (gamma * (this.averagePs - this.targetPs)) / this.averagePs, leastFactor);
    this.lastDecreasePs = nowPs;
  }

  /**
   * True when the window has been set, or this is the echo of what was in flight then. `due`: a packet was trimmed, or came late.
   * Bare arguments: an object per acknowledgement costs.
   */
  private adaptQuickly(nowPs: number, inFlightBytes: number, ce: boolean, due: boolean): boolean {
    const { quickAdapt, quickAdaptGate } = this.p;
    if (quickAdapt === 0) return false;
    let done = false;
    if (this.ignored < this.toIgnore && ce) done = true;
    else if (nowPs > this.quickAdaptAtPs) {
      if (
        this.quickAdaptAtPs !== 0 &&
        (due || this.triggered) &&
        this.achieved < this.mostWindow / 2 ** quickAdaptGate
      ) {
        this.window = this.achieved;
        this.toIgnore = inFlightBytes * this.wireShare;
        this.ignored = 0;
        this.triggered = false;
        done = true;
      }
      this.achieved = 0;
      this.quickAdaptAtPs = nowPs + this.baseRttPs + this.targetPs;
    }
    if (done) {
      this.increment = 0;
      this.received = 0;
      this.clamp();
    }
    return done;
  }

  private boundBy(rttPs: number): void {
    this.mostWindow = Math.max(this.packetBytes, (this.p.mostWindowBdps * this.lineBps * rttPs) / 8e12);
  }

  private clamp(): void {
    this.window = Math.min(this.mostWindow, Math.max(this.packetBytes, this.window));
    this.windowBytes = this.window / this.wireShare;
  }
}
