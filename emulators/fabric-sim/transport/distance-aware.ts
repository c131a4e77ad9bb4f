import type { CongestionControl, CongestionControlKind, Feedback, LossSign, PathFacts } from './congestion-control.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';

const RANGES = {
  markedLineShare: 'share',
  mostGain: 'share',
  stabilityProduct: 'positive',
  markingWidthPs: 'positive',
  startLineShare: 'share',
  startGrowthShare: 'share',
  quietRounds: 'count',
  quietPackets: 'count',
  quietGrowthShare: 'share',
  severeMarkShare: 'share',
  queueLimitPs: 'positive',
  lossKeptShare: 'share',
  paceShare: 'positive',
  minRateBps: 'positive',
} as const satisfies Record<string, ParameterRange>;

/**
 * Our own controller for fabrics that span sites, in the spirit of scale-across Ethernet: one law of the equilibrium for all flows,
 * two of the dynamics, chosen by the path. Flows of 10 us and of 10 ms that meet in one queue get the same rate, and the queue
 * stays where RED marks a little, so nothing drains whatever the distance.
 *
 * **Law.** Every acknowledgement of x bytes, m of them marked, moves the window W:
 *
 *     W += k (w rtt x / W - m)          so that   dW/dt = k (w - R p),   R = W / rtt,   p = marked fraction
 *
 * the primal controller of Kelly, Maulloo and Tan (1998) by windows. Its rest point is R = w / p: neither k nor rtt is in it, so
 * all flows that see the same marks have the same rate, and w is the rate of *marked* traffic that each lives with.
 * There is no estimator to lag behind, and no cut deeper than k bytes per marked byte.
 *
 * **Gain.** Windows make the queue static, q = sum W - C T, and RED's p = (q - Kmin) / M with M = (Kmax - Kmin) / Pmax. Around the rest
 * point of the sum S of the windows: dS/dt = -k (C / M) S(t - T) - k (p / T) S. The second term only damps; the first is stable for
 * k C T / M < pi / 2 and without overshoot up to 1 / e. M / C is a time, the same at all rates when thresholds scale with them.
 * Hence k = min(mostGain, stabilityProduct x markingWidth / T): within a site the first, between sites the second, where increase per
 * round trip and depth of cut shrink with the distance. (Gain x delay bounded, each source by its own delay, is enough for a
 * whole network: Johari and Tan 2001, Massoulie 2002, Vinnicombe 2002.) The sum settles in M / (k C) = e T between sites, the same number
 * of round trips at any distance. What it costs: shares become equal in T / (k p) = e T^2 / (markingWidth p), slowly when far and few.
 *
 * **Start.** Within a site at line rate with a full window, as RDMA does. Between sites at a share of it, then more by
 * max(startGrowthShare, min(1, queueLimit / T)) per round trip, until the first mark or half of the queue limit. The news of a full
 * span is a round trip old, so the growth of one round trip is what piles up before it: the queue limit, or the growth share of
 * the bandwidth-delay product where that would take too long.
 *
 * **Room.** At rest w rtt bytes of every round trip come marked. When none has for `quietRounds` round trips in which `quietPackets`
 * should have (by chance e^-8), there is room between the sites, and W grows by min(quietGrowthShare, queueLimit / 4 T) per round
 * trip too: what that piles up stays below Kmax.
 *
 * **Overload.** A round trip in which half of the packets were marked (the queue is beyond Kmax, where p says nothing) or the least
 * queueing delay d was over the limit (no marks on that path): W = (W a round trip ago, which made that queue) x T / (T + d). As all do
 * so, the queue is gone one round trip later; the marks that still come from it are not counted. Loss halves W once per round
 * trip; a timeout starts anew with one packet.
 *
 * **Pace.** W / T x `paceShare`, at most the line rate: a window of milliseconds leaves as a stream, not in bursts.
 *
 * Others that treat the two classes apart: Gemini (Zeng et al., ICNP 2019) takes ECN inside a site and delay between sites, with an
 * increase in proportion to the bandwidth-delay product; Annulus (Saeed et al., SIGCOMM 2020) adds a loop of its own for bottlenecks
 * near the source; LRCC (Computer Networks 2025) is for RDMA over long distances. None of their code or numbers is used here.
 *
 * Defaults: markingWidth 480 us and Kmax from the HPCC artefact's thresholds ((1600 - 400) KB / 0.2 at 100 Gb/s); stabilityProduct
 * 1 / e as above; mostGain 1/2, DCTCP's cut at full marking; w 0.4 % of the line, so that up to Pmax / w = 50 flows at line rate rest
 * below Kmax, at the price of slower sharing for fewer; start 1/8 (eight flows to one span do not overrun it) and at least 25 % per
 * round trip, so the line rate is reached in 10; 3 quiet round trips and 8 packets, that chance does not count as room, then 2 %;
 * queue limit 256 us, twice Kmax's delay, so that it speaks only where marks do not; pace 5 % above W / T lets the window, not
 * the pace, bind.
 */
export const distanceAware: CongestionControlKind = {
  name: 'distance-aware',
  acknowledgements: 'each',
  cnp: false,
  ecn: true,
  telemetry: false,
  parameters: {
    markedLineShare: 0.004,
    mostGain: 0.5,
    stabilityProduct: 1 / Math.E,
    markingWidthPs: 480e6,
    startLineShare: 0.125,
    startGrowthShare: 0.25,
    quietRounds: 3,
    quietPackets: 8,
    quietGrowthShare: 0.02,
    severeMarkShare: 0.5,
    queueLimitPs: 256e6,
    lossKeptShare: 0.5,
    paceShare: 1.05,
    minRateBps: 10e6,
  },
  create: (path, parameters) => new DistanceAware(path, parametersInRange('distance-aware', parameters, RANGES)),
};

class DistanceAware implements CongestionControl {
  rateBps = 0;
  windowBytes = 0;
  /** k. Read by tests. */
  readonly gain: number;
  private readonly p: Readonly<Record<keyof typeof RANGES, number>>;
  private readonly lineBps: number;
  private readonly mtuBytes: number;
  private readonly wireShare: number;
  private readonly interSite: boolean;
  /** w, bytes per ps. */
  private readonly markedBytesPerPs: number;
  private readonly leastWindow: number;
  private readonly mostWindow: number;
  private baseRttPs: number;
  private rttPs: number;
  /** W, bytes; less than a packet means a pace of less than a packet per round trip. */
  private window: number;
  private starting: boolean;
  private readonly growth: number;
  private readonly quietGrowth: number;
  private quiet = 0;
  /** Bytes that should have come marked since the last that did. */
  private sinceMark = 0;
  /** W at the start of the round trip before this one's, and of this one. */
  private roundWindow: number;
  /** Marks up to here are the echo of a queue that is being drained. */
  private echoEnd = -1;
  private roundEnd = 0;
  private roundPackets = 0;
  private roundMarked = 0;
  private roundLeastPs = Number.POSITIVE_INFINITY;
  private lossEnd = -1;
  private acknowledgedByte = 0;
  private nextByte = 0;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RANGES, number>>) {
    this.p = p;
    this.lineBps = path.lineBps;
    this.mtuBytes = path.mtuBytes;
    this.wireShare = (path.mtuBytes + path.overheadBytes) / path.mtuBytes;
    this.interSite = path.interSite;
    this.baseRttPs = path.baseRttPs;
    this.rttPs = path.baseRttPs;
    this.gain = path.interSite
      ? Math.min(p.mostGain, (p.stabilityProduct * p.markingWidthPs) / path.baseRttPs)
      : p.mostGain;
    this.markedBytesPerPs = (p.markedLineShare * path.lineBps) / 8e12;
    const fullWindow = (path.lineBps * path.baseRttPs) / 8e12;
    this.mostWindow = Math.max(2 * path.mtuBytes, (path.lineBps * (path.baseRttPs + p.queueLimitPs)) / 8e12);
    this.leastWindow = Math.min(path.mtuBytes, (Math.min(p.minRateBps, path.lineBps) * path.baseRttPs) / 8e12);
    this.starting = path.interSite;
    this.growth = Math.max(p.startGrowthShare, Math.min(1, p.queueLimitPs / path.baseRttPs));
    this.quietGrowth = path.interSite ? Math.min(p.quietGrowthShare, p.queueLimitPs / 4 / path.baseRttPs) : 0;
    this.window = path.interSite ? Math.max(path.mtuBytes, fullWindow * p.startLineShare) : fullWindow;
    this.roundWindow = this.window;
    this.apply();
  }

  acknowledged({ bytes, packets, marked, rttPs, acknowledgedByte, nextByte, applicationLimited }: Feedback): void {
    this.acknowledgedByte = acknowledgedByte;
    this.nextByte = nextByte;
    if (!Number.isNaN(rttPs)) {
      this.rttPs = rttPs;
      this.baseRttPs = Math.min(this.baseRttPs, rttPs);
      this.roundLeastPs = Math.min(this.roundLeastPs, rttPs);
    }
    this.roundPackets += packets;
    this.roundMarked += marked;
    const echo = acknowledgedByte <= this.echoEnd;
    const markedBytes = packets > 0 && !echo ? (bytes * Math.min(marked, packets)) / packets : 0;
    if (this.starting && (marked > 0 || this.rttPs - this.baseRttPs > this.p.queueLimitPs / 2)) this.starting = false;
    if (applicationLimited === true) {
      this.window -= this.gain * markedBytes;
    } else if (this.starting) {
      this.window += this.growth * bytes;
    } else if (!echo) {
      const wanted = (this.markedBytesPerPs * this.rttPs * bytes) / this.window;
      this.window += this.gain * (wanted - markedBytes);
      this.sinceMark = marked > 0 ? 0 : this.sinceMark + wanted;
      if (this.quiet >= this.p.quietRounds && this.sinceMark >= this.p.quietPackets * this.mtuBytes)
        this.window += this.quietGrowth * bytes;
    }
    if (acknowledgedByte > this.roundEnd) this.endRound(nextByte);
    this.apply();
  }

  lost(_nowPs: number, sign: LossSign): void {
    if (sign === 'timeout') {
      this.window = this.mtuBytes;
      this.starting = this.interSite;
      this.lossEnd = -1;
    } else if (this.acknowledgedByte > this.lossEnd) {
      this.window *= this.p.lossKeptShare;
      this.starting = false;
      this.lossEnd = this.nextByte;
    }
    this.apply();
  }

  private endRound(nextByte: number): void {
    const standingPs = this.roundLeastPs - this.baseRttPs;
    const { severeMarkShare, queueLimitPs } = this.p;
    const severe = this.roundMarked >= severeMarkShare * Math.max(1, this.roundPackets);
    const over = standingPs < Number.POSITIVE_INFINITY && (severe || standingPs > queueLimitPs);
    if (over && this.roundEnd > this.echoEnd) {
      this.window = Math.min(this.window, (this.roundWindow * this.baseRttPs) / (this.baseRttPs + standingPs));
      this.starting = false;
      this.echoEnd = nextByte;
    }
    this.quiet = this.roundMarked > 0 ? 0 : this.quiet + 1;
    this.roundWindow = this.window;
    this.roundEnd = nextByte;
    this.roundPackets = 0;
    this.roundMarked = 0;
    this.roundLeastPs = Number.POSITIVE_INFINITY;
  }

  private apply(): void {
    this.window = Math.min(this.mostWindow, Math.max(this.leastWindow, this.window));
    this.windowBytes = Math.max(this.mtuBytes, this.window);
    // Below one packet only the pace can hold the rate, and then over the round trip as it is.
    const overPs = this.window >= this.mtuBytes ? this.baseRttPs / this.p.paceShare : this.rttPs;
    this.rateBps = Math.min(this.lineBps, (this.window * this.wireShare * 8e12) / overPs);
  }
}
