import type { CongestionControl, CongestionControlKind, Feedback, PathFacts } from './congestion-control.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';
import { windowAtRate } from './rate-window.ts';

const RANGES = {
  ewmaShare: 'share',
  decreaseShare: 'share',
  lowRttPs: 'positive',
  highRttPs: 'positive',
  minRttPs: 'positive',
  additiveIncreaseBps: 'positive',
  hyperIncreaseBps: 'positive',
  hyperAfter: 'count',
  hyperBelowLow: 'flag',
  minRateBps: 'positive',
  varyingWindow: 'flag',
  fullWindowBytes: 'not-negative',
} as const satisfies Record<string, ParameterRange>;

/**
 * TIMELY (Mittal et al., SIGCOMM 2015, algorithm 1), once per round trip:
 *
 *     diff = (1 - a) diff + a (rtt - last rtt);   gradient = diff / minRtt
 *     rtt < T_low          R += delta
 *     rtt > T_high         R *= 1 - b (1 - T_high / rtt)
 *     gradient <= 0        R += N delta,  N = 5 after five increases in a row, else 1
 *     else                 R *= 1 - b gradient
 *
 * As the HPCC artefact has it (`rdma-hw.cc`, UpdateRateTimely): the first round trip only measures; N delta is a rate of its own
 * (`hyperIncreaseBps`), which below T_low counts too (`hyperBelowLow`; 0 is the paper); 1 - b gradient is not under 0.
 * Fixed points are infinitely many, so flows do not become fair (Zhu et al., CoNEXT 2016, "ECN or Delay"): that is the law.
 *
 * Defaults: the artefact's a 0.875, b 0.8, T_low 50 us, T_high 500 us, minRtt 20 us; delta 10 Mb/s per 10 Gb/s and five times that
 * (`run.py`, "timely", at 100 Gb/s); 5 increases until N (paper, section 4.3). `varyingWindow` 1 is its "timely_vwin".
 * On a path whose round trip is above T_low a jitter of 20 us counts as gradient 1: raise the three times with the path.
 */
export const timely: CongestionControlKind = {
  name: 'timely',
  acknowledgements: 'each',
  cnp: false,
  ecn: false,
  telemetry: false,
  parameters: {
    ewmaShare: 0.875,
    decreaseShare: 0.8,
    lowRttPs: 50e6,
    highRttPs: 500e6,
    minRttPs: 20e6,
    additiveIncreaseBps: 100e6,
    hyperIncreaseBps: 500e6,
    hyperAfter: 5,
    hyperBelowLow: 1,
    minRateBps: 100e6,
    varyingWindow: 0,
    fullWindowBytes: 0,
  },
  create: (path, parameters) => new Timely(path, parametersInRange('timely', parameters, RANGES)),
};

class Timely implements CongestionControl {
  rateBps: number;
  windowBytes: number;
  private readonly p: Readonly<Record<keyof typeof RANGES, number>>;
  private readonly lineBps: number;
  private readonly mtuBytes: number;
  private readonly fullWindowBytes: number;
  private roundEnd = 0;
  private lastRttPs = 0;
  private diffPs = 0;
  private increases = 0;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RANGES, number>>) {
    if (p.highRttPs < p.lowRttPs) throw new RangeError('Law timely: highRttPs must not be below lowRttPs.');
    this.p = p;
    this.lineBps = path.lineBps;
    this.mtuBytes = path.mtuBytes;
    this.fullWindowBytes =
      p.varyingWindow === 1
        ? p.fullWindowBytes || (path.bottleneckBps * path.baseRttPs) / 8e12
        : Number.POSITIVE_INFINITY;
    this.rateBps = path.lineBps;
    this.windowBytes = windowAtRate(this.fullWindowBytes, 1, path.mtuBytes);
  }

  acknowledged({ rttPs, acknowledgedByte, nextByte }: Feedback): void {
    // A round whose last packet was sent twice has no round trip of its own: the next packet's ends it.
    if (acknowledgedByte <= this.roundEnd || Number.isNaN(rttPs)) return;
    if (this.roundEnd > 0) this.update(rttPs);
    this.roundEnd = nextByte;
    this.lastRttPs = rttPs;
  }

  private update(rttPs: number): void {
    const { p } = this;
    this.diffPs = (1 - p.ewmaShare) * this.diffPs + p.ewmaShare * (rttPs - this.lastRttPs);
    const gradient = this.diffPs / p.minRttPs;
    const low = rttPs < p.lowRttPs;
    if (low || (rttPs <= p.highRttPs && gradient <= 0)) {
      const hyper = this.increases >= p.hyperAfter && (!low || p.hyperBelowLow === 1);
      this.setRate(this.rateBps + (hyper ? p.hyperIncreaseBps : p.additiveIncreaseBps));
      this.increases++;
      return;
    }
    const share = rttPs > p.highRttPs ? 1 - p.highRttPs / rttPs : gradient;
    this.setRate(this.rateBps * Math.max(0, 1 - p.decreaseShare * share));
    this.increases = 0;
  }

  private setRate(rateBps: number): void {
    this.rateBps = Math.min(this.lineBps, Math.max(Math.min(this.p.minRateBps, this.lineBps), rateBps));
    this.windowBytes = windowAtRate(this.fullWindowBytes, this.rateBps / this.lineBps, this.mtuBytes);
  }
}
