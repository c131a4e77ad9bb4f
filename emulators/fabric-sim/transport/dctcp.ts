import type { CongestionControl, CongestionControlKind, Feedback, LossSign, PathFacts } from './congestion-control.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';
import { windowAtRate } from './rate-window.ts';

const WINDOW_RANGES = {
  g: 'share',
  initialAlpha: 'share',
  initialWindowPackets: 'positive',
} as const satisfies Record<string, ParameterRange>;

/**
 * DCTCP by window: RFC 8257 over the window rules of RFC 5681.
 *
 *     once per window of data:  M = marked bytes / acknowledged bytes;  alpha = alpha (1 - g) + g M     (RFC 8257, section 3.3, steps 3 to 8)
 *     CE echoed, once per window:  cwnd = cwnd (1 - alpha / 2), ssthresh = cwnd                          (step 9 of section 3.3, section 3.4)
 *     else:                    slow start cwnd += bytes; congestion avoidance cwnd += MTU bytes / cwnd    (RFC 5681, equations 2 and 3)
 *     loss:                    cwnd halves, as any TCP's (RFC 8257, section 3.5); timeout: one MTU         (RFC 5681, equation 4)
 *
 * Defaults: g = 1/16 (RFC 8257, section 4.2), alpha starts at 1 (section 4.2), initial window 10 packets (RFC 6928).
 * Wants an acknowledgement for every packet with its own CE bit (section 3.2).
 */
export const dctcp: CongestionControlKind = {
  name: 'dctcp',
  acknowledgements: 'each',
  cnp: false,
  ecn: true,
  telemetry: false,
  parameters: { g: 1 / 16, initialAlpha: 1, initialWindowPackets: 10 },
  create: (path, parameters) => new WindowDctcp(path, parametersInRange('dctcp', parameters, WINDOW_RANGES)),
};

class WindowDctcp implements CongestionControl {
  readonly rateBps = Number.POSITIVE_INFINITY;
  windowBytes: number;
  /** Read by tests. */
  alpha: number;
  private readonly g: number;
  private readonly mtuBytes: number;
  private slowStartBytes = Number.POSITIVE_INFINITY;
  /** End of the window of data that alpha's present sample covers: SND.UNA at first (RFC 8257, section 3.3). */
  private windowEnd = 0;
  private packets = 0;
  private marked = 0;
  /** No second cut until more than this is acknowledged. */
  private cutEnd = -1;
  /** As the last acknowledgement said. */
  private acknowledgedByte = 0;
  private nextByte = 0;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof WINDOW_RANGES, number>>) {
    this.g = p.g;
    this.alpha = p.initialAlpha;
    this.mtuBytes = path.mtuBytes;
    this.windowBytes = p.initialWindowPackets * path.mtuBytes;
  }

  acknowledged(feedback: Feedback): void {
    const { bytes, packets, marked, acknowledgedByte, nextByte } = feedback;
    this.acknowledgedByte = acknowledgedByte;
    this.nextByte = nextByte;
    this.packets += packets;
    this.marked += marked;
    if (acknowledgedByte > this.windowEnd) {
      this.alpha = this.alpha * (1 - this.g) + this.g * Math.min(1, this.marked / Math.max(1, this.packets));
      this.packets = 0;
      this.marked = 0;
      this.windowEnd = nextByte;
    }
    if (marked > 0) {
      if (acknowledgedByte > this.cutEnd) this.cutTo(this.windowBytes * (1 - this.alpha / 2));
      return;
    }
    if (feedback.applicationLimited || acknowledgedByte <= this.cutEnd) return;
    if (this.windowBytes < this.slowStartBytes) this.windowBytes += bytes;
    else this.windowBytes += (this.mtuBytes * bytes) / this.windowBytes;
  }

  lost(_nowPs: number, sign: LossSign, inFlightBytes: number): void {
    if (sign === 'timeout') {
      this.slowStartBytes = Math.max(inFlightBytes / 2, 2 * this.mtuBytes);
      this.windowBytes = this.mtuBytes;
      this.cutEnd = -1;
      return;
    }
    if (this.acknowledgedByte > this.cutEnd) this.cutTo(this.windowBytes / 2);
  }

  private cutTo(windowBytes: number): void {
    // One packet keeps the clock of acknowledgements going.
    this.windowBytes = Math.max(this.mtuBytes, windowBytes);
    this.slowStartBytes = Math.max(this.windowBytes, 2 * this.mtuBytes);
    this.cutEnd = this.nextByte;
  }
}

const RATE_RANGES = {
  g: 'share',
  additiveIncreaseBps: 'not-negative',
  minRateBps: 'positive',
  varyingWindow: 'flag',
  fullWindowBytes: 'not-negative',
} as const satisfies Record<string, ParameterRange>;

/**
 * DCTCP by rate, as the HPCC artefact compares itself with it (`rdma-hw.cc`, HandleAckDctcp), per acknowledged packet:
 *
 *     once per round trip:     alpha = (1 - g) alpha + g min(1, marked / batch), batch = packets then in flight + 1
 *     CE and not yet cut in this round trip:  R = max(Rmin, R (1 - alpha / 2))
 *     no cut in this round trip:              R = min(line, R + R_AI) once per round trip
 *
 * The first round trip only sets the marks; alpha starts at 1; the flow starts at the line rate. The window follows the rate
 * ({@link windowAtRate}).
 *
 * Defaults: `run.py`, "dctcp": g 1/16, window on. `additiveIncreaseBps` 0 is one packet per base round trip (its 615 Mb/s:
 * 1000 B per 13 us); `fullWindowBytes` 0 is the path's bandwidth-delay product. The goldens of the fork were made with
 * g 1/256 and 1 Gb/s, and marking at K = 300 KB per 100 Gb/s.
 */
export const dctcpRate: CongestionControlKind = {
  name: 'dctcp-rate',
  acknowledgements: 'each',
  cnp: false,
  ecn: true,
  telemetry: false,
  parameters: { g: 1 / 16, additiveIncreaseBps: 0, minRateBps: 100e6, varyingWindow: 1, fullWindowBytes: 0 },
  create: (path, parameters) => new RateDctcp(path, parametersInRange('dctcp-rate', parameters, RATE_RANGES)),
};

class RateDctcp implements CongestionControl {
  rateBps: number;
  windowBytes: number;
  /** Read by tests. */
  alpha = 1;
  private readonly g: number;
  private readonly additiveBps: number;
  private readonly minRateBps: number;
  private readonly lineBps: number;
  private readonly mtuBytes: number;
  private readonly fullWindowBytes: number;
  private lastUpdate = 0;
  private marked = 0;
  private batch = 0;
  private cut = false;
  private cutEnd = 0;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RATE_RANGES, number>>) {
    this.g = p.g;
    this.additiveBps = p.additiveIncreaseBps || (path.mtuBytes * 8e12) / path.baseRttPs;
    this.minRateBps = Math.min(p.minRateBps, path.lineBps);
    this.lineBps = path.lineBps;
    this.mtuBytes = path.mtuBytes;
    this.fullWindowBytes =
      p.varyingWindow === 1
        ? p.fullWindowBytes || (path.bottleneckBps * path.baseRttPs) / 8e12
        : Number.POSITIVE_INFINITY;
    this.rateBps = path.lineBps;
    this.windowBytes = windowAtRate(this.fullWindowBytes, 1, path.mtuBytes);
  }

  acknowledged({ marked, acknowledgedByte, nextByte }: Feedback): void {
    let roundEnded = false;
    this.marked += marked;
    if (acknowledgedByte > this.lastUpdate) {
      roundEnded = true;
      if (this.lastUpdate === 0) this.batch = Math.floor(nextByte / this.mtuBytes) + 1;
      else {
        this.alpha = (1 - this.g) * this.alpha + this.g * Math.min(1, this.marked / this.batch);
        this.marked = 0;
        this.batch = Math.floor((nextByte - acknowledgedByte) / this.mtuBytes) + 1;
      }
      this.lastUpdate = nextByte;
    }
    if (this.cut && acknowledgedByte > this.cutEnd) this.cut = false;
    if (marked > 0 && !this.cut) {
      this.setRate(Math.max(this.minRateBps, this.rateBps * (1 - this.alpha / 2)));
      this.cut = true;
      this.cutEnd = nextByte;
    }
    if (!this.cut && roundEnded) this.setRate(Math.min(this.lineBps, this.rateBps + this.additiveBps));
  }

  private setRate(rateBps: number): void {
    this.rateBps = rateBps;
    this.windowBytes = windowAtRate(this.fullWindowBytes, rateBps / this.lineBps, this.mtuBytes);
  }
}
