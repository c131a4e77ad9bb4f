import type { CongestionControl, CongestionControlKind, Feedback, PathFacts } from './congestion-control.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';
import { windowAtRate } from './rate-window.ts';

const RANGES = {
  targetUtilisation: 'share',
  maxStage: 'count',
  additiveIncreaseBps: 'not-negative',
  minRateBps: 'positive',
  fastReact: 'flag',
  fullWindowBytes: 'not-negative',
  baseRttPs: 'not-negative',
} as const satisfies Record<string, ParameterRange>;

/** Hops whose telemetry a flow remembers; the artefact has 5, two sites with three tiers each have 11. */
const MOST_HOPS = 16;

/**
 * HPCC (Li et al., SIGCOMM 2019, algorithm 1), from what each hop of the path wrote into the packet:
 *
 *     u_j = txRate_j / B_j + min(q_j, q_j at the last acknowledgement) / (B_j T)      (equation 2 with the filter of line 7)
 *     tau = min(time between the two packets at the hop with the largest u, T)
 *     U   = (1 - tau / T) U + (tau / T) max u_j                                        (line 11)
 *     U >= eta or stage >= maxStage:  W = Wc / (U / eta) + W_AI, stage = 0             (equation 4)
 *     else:                           W = Wc + W_AI, stage + 1
 *
 * Every acknowledgement moves W (fast reaction, from the same Wc); once per round trip, at the first acknowledgement of
 * what was sent after the last update, Wc = W. The first round trip only stores the telemetry.
 *
 * In the form of the HPCC artefact (`rdma-hw.cc`, UpdateRateHp, one rate for all hops): W is kept as the rate R = W / T, in
 * [min rate, line rate], the window is full window x R / line ({@link windowAtRate}); q is related to the full window,
 * q x line / B_j / window; U starts at 1. A rate change moves the gap that runs (`repaces`).
 *
 * Defaults: eta 0.95 and T from the path as in the paper; maxStage 0, what the paper's simulations ran with (the authors' results page
 * corrects the 5 that the text says). `additiveIncreaseBps` 0 is 10 Mb/s per 25 Gb/s of the line (`run.py`, "hp"); `fullWindowBytes` 0 is
 * T x the line rate; `baseRttPs` 0 is the path's (the artefact's GLOBAL_T takes the longest of the network for all flows).
 * The artefact rounds what it writes (128 B and 80 B times 4 at 100 Gb/s) and its clock ticks in ns; here the values are exact.
 */
export const hpcc: CongestionControlKind = {
  name: 'hpcc',
  acknowledgements: 'each',
  cnp: false,
  ecn: false,
  telemetry: true,
  repaces: true,
  parameters: {
    targetUtilisation: 0.95,
    maxStage: 0,
    additiveIncreaseBps: 0,
    minRateBps: 100e6,
    fastReact: 1,
    fullWindowBytes: 0,
    baseRttPs: 0,
  },
  create: (path, parameters) => new Hpcc(path, parametersInRange('hpcc', parameters, RANGES)),
};

class Hpcc implements CongestionControl {
  rateBps: number;
  windowBytes: number;
  /** U. Read by tests. */
  utilisation = 1;
  private readonly eta: number;
  private readonly maxStage: number;
  private readonly additiveBps: number;
  private readonly minRateBps: number;
  private readonly lineBps: number;
  private readonly mtuBytes: number;
  private readonly fastReact: boolean;
  private readonly fullWindowBytes: number;
  private readonly baseRttPs: number;
  /** Wc / T. */
  private referenceBps: number;
  private stage = 0;
  private lastUpdate = 0;
  private hops = 0;
  private readonly queueBytes = new Float64Array(MOST_HOPS);
  private readonly txBytes = new Float64Array(MOST_HOPS);
  private readonly atPs = new Float64Array(MOST_HOPS);

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RANGES, number>>) {
    this.eta = p.targetUtilisation;
    this.maxStage = p.maxStage;
    this.lineBps = path.lineBps;
    this.mtuBytes = path.mtuBytes;
    this.additiveBps = p.additiveIncreaseBps || (path.lineBps * 10e6) / 25e9;
    this.minRateBps = Math.min(p.minRateBps, path.lineBps);
    this.fastReact = p.fastReact === 1;
    this.baseRttPs = p.baseRttPs || path.baseRttPs;
    this.fullWindowBytes = p.fullWindowBytes || (path.lineBps * this.baseRttPs) / 8e12;
    this.rateBps = path.lineBps;
    this.referenceBps = path.lineBps;
    this.windowBytes = windowAtRate(this.fullWindowBytes, 1, path.mtuBytes);
  }

  acknowledged(feedback: Feedback): void {
    const { telemetry, acknowledgedByte, nextByte } = feedback;
    if (telemetry === undefined) return;
    const roundEnded = acknowledgedByte > this.lastUpdate;
    if (this.lastUpdate === 0) {
      this.remember(telemetry);
      this.lastUpdate = nextByte;
      return;
    }
    if (!roundEnded && !this.fastReact) return;
    // Another route has other hops: what is remembered belongs to the old ones.
    if (telemetry.hops === this.hops) this.measure(telemetry);
    else this.remember(telemetry);
    const excess = this.utilisation / this.eta;
    const multiplicative = excess >= 1 || this.stage >= this.maxStage;
    const rateBps = (multiplicative ? this.referenceBps / excess : this.referenceBps) + this.additiveBps;
    this.rateBps = Math.min(this.lineBps, Math.max(this.minRateBps, rateBps));
    this.windowBytes = windowAtRate(this.fullWindowBytes, this.rateBps / this.lineBps, this.mtuBytes);
    if (!roundEnded) return;
    this.referenceBps = this.rateBps;
    this.stage = multiplicative ? 0 : this.stage + 1;
    this.lastUpdate = Math.max(this.lastUpdate, nextByte);
  }

  private measure(telemetry: NonNullable<Feedback['telemetry']>): void {
    let most = 0;
    let tauPs = 0;
    for (let hop = 0; hop < this.hops; hop++) {
      const rateBps = telemetry.rateBps[hop] as number;
      const queueBytes = telemetry.queueBytes[hop] as number;
      const spanPs = (telemetry.atPs[hop] as number) - (this.atPs[hop] as number);
      // An acknowledgement of the same packet again, or one overtaken on another path, tells nothing new.
      if (spanPs <= 0) continue;
      const sentBps = (((telemetry.txBytes[hop] as number) - (this.txBytes[hop] as number)) * 8e12) / spanPs;
      const standing = Math.min(queueBytes, this.queueBytes[hop] as number);
      const u = sentBps / rateBps + (standing * this.lineBps) / rateBps / this.fullWindowBytes;
      if (u > most) {
        most = u;
        tauPs = spanPs;
      }
    }
    this.remember(telemetry);
    const share = Math.min(tauPs, this.baseRttPs) / this.baseRttPs;
    this.utilisation = (1 - share) * this.utilisation + share * most;
  }

  private remember(telemetry: NonNullable<Feedback['telemetry']>): void {
    this.hops = Math.min(telemetry.hops, MOST_HOPS);
    for (let hop = 0; hop < this.hops; hop++) {
      this.queueBytes[hop] = telemetry.queueBytes[hop] as number;
      this.txBytes[hop] = telemetry.txBytes[hop] as number;
      this.atPs[hop] = telemetry.atPs[hop] as number;
    }
  }
}
