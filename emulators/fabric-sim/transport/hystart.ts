import type { Feedback } from './congestion-control.ts';

export interface HyStartParameters {
  /** MIN_RTT_THRESH and MAX_RTT_THRESH. */
  readonly leastRisePs: number;
  readonly mostRisePs: number;
  /** MIN_RTT_DIVISOR, N_RTT_SAMPLE, CSS_GROWTH_DIVISOR, CSS_ROUNDS. */
  readonly riseDivisor: number;
  readonly samples: number;
  readonly growthDivisor: number;
  readonly cautiousRounds: number;
}

/** Constants of RFC 9406, section 4.3. The rise of 4 to 16 ms is for the Internet: a fabric's round trips are shorter than that. */
export const HYSTART: HyStartParameters = {
  leastRisePs: 4e9,
  mostRisePs: 16e9,
  riseDivisor: 8,
  samples: 8,
  growthDivisor: 4,
  cautiousRounds: 5,
};

/**
 * HyStart++ (RFC 9406, section 4.2): leaves slow start when a round's least round trip has risen over the last round's by
 * max(MIN, min(last / 8, MAX)), first into conservative slow start at a quarter of the growth, after 5 rounds for good; back
 * into slow start when the rise turns out to have been noise.
 */
export class HyStart {
  private readonly parameters: HyStartParameters;
  private roundEnd = 0;
  private lastLeastPs = Number.POSITIVE_INFINITY;
  private leastPs = Number.POSITIVE_INFINITY;
  private samples = 0;
  /** Least round trip at the entry into conservative slow start; Infinity when in slow start. */
  private baselinePs = Number.POSITIVE_INFINITY;
  private cautiousRounds = 0;

  constructor(parameters: HyStartParameters) {
    this.parameters = parameters;
  }

  /** Share of slow start's growth that this acknowledgement is worth; 0 when slow start has ended. */
  growth({ rttPs, acknowledgedByte, nextByte }: Feedback): number {
    const { leastRisePs, mostRisePs, riseDivisor, samples, growthDivisor, cautiousRounds } = this.parameters;
    if (acknowledgedByte > this.roundEnd) {
      this.roundEnd = nextByte;
      this.lastLeastPs = this.leastPs;
      this.leastPs = Number.POSITIVE_INFINITY;
      this.samples = 0;
      if (this.baselinePs < Number.POSITIVE_INFINITY) this.cautiousRounds++;
    }
    if (this.cautiousRounds > cautiousRounds) return 0;
    if (!Number.isNaN(rttPs)) {
      this.leastPs = Math.min(this.leastPs, rttPs);
      this.samples++;
    }
    if (this.baselinePs < Number.POSITIVE_INFINITY) {
      if (this.samples >= samples && this.leastPs < this.baselinePs) {
        this.baselinePs = Number.POSITIVE_INFINITY;
        this.cautiousRounds = 0;
      }
      return 1 / growthDivisor;
    }
    if (this.samples >= samples && this.lastLeastPs < Number.POSITIVE_INFINITY) {
      const risePs = Math.max(leastRisePs, Math.min(this.lastLeastPs / riseDivisor, mostRisePs));
      if (this.leastPs >= this.lastLeastPs + risePs) {
        this.baselinePs = this.leastPs;
        this.cautiousRounds = 1;
      }
    }
    return 1;
  }
}
