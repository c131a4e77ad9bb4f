import type { CongestionControl, CongestionControlKind, Feedback, LossSign, PathFacts } from './congestion-control.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';

const RANGES = {
  increasePackets: 'positive',
  keptShare: 'share',
  initialWindowPackets: 'positive',
  mostWindowBytes: 'positive',
} as const satisfies Record<string, ParameterRange>;

/**
 * Reno (RFC 5681), as AIMD(a, b):
 *
 *     slow start            cwnd += acknowledged bytes                 (equation 2; every packet is acknowledged)
 *     congestion avoidance  cwnd += a MTU acknowledged / cwnd          (equation 3)
 *     loss or CE            ssthresh = max(b cwnd, 2 MTU), cwnd = ssthresh, once per window of data  (equation 4, section 3.2; RFC 3168)
 *     timeout               ssthresh likewise, cwnd = 1 MTU            (section 3.1)
 *
 * No growth until the window of the loss is acknowledged, and none while less than half of the window is in use. The
 * reduction is from cwnd while the window is what limits the flow, from the bytes in flight while it is not.
 *
 * Defaults: a 1 packet, b 1/2, 10 packets at first (RFC 6928), at most 2^30 bytes (RFC 7323, section 2.3).
 */
export const reno: CongestionControlKind = {
  name: 'reno',
  acknowledgements: 'each',
  cnp: false,
  ecn: false,
  telemetry: false,
  parameters: { increasePackets: 1, keptShare: 0.5, initialWindowPackets: 10, mostWindowBytes: 2 ** 30 },
  create: (path, parameters) => new Reno(path, parametersInRange('reno', parameters, RANGES)),
};

class Reno implements CongestionControl {
  readonly rateBps = Number.POSITIVE_INFINITY;
  windowBytes: number;
  private readonly p: Readonly<Record<keyof typeof RANGES, number>>;
  private readonly mtuBytes: number;
  private slowStartBytes = Number.POSITIVE_INFINITY;
  private acknowledgedByte = 0;
  private nextByte = 0;
  private cutEnd = -1;
  private limited = true;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RANGES, number>>) {
    this.p = p;
    this.mtuBytes = path.mtuBytes;
    this.windowBytes = Math.min(p.initialWindowPackets * path.mtuBytes, Math.max(p.mostWindowBytes, 2 * path.mtuBytes));
  }

  acknowledged({ bytes, marked, inFlightBytes, acknowledgedByte, nextByte, applicationLimited }: Feedback): void {
    this.acknowledgedByte = acknowledgedByte;
    this.nextByte = nextByte;
    this.limited = applicationLimited !== true && 2 * (inFlightBytes + bytes) >= this.windowBytes;
    if (marked > 0) {
      if (acknowledgedByte > this.cutEnd) this.cut(inFlightBytes);
      return;
    }
    if (!this.limited || acknowledgedByte <= this.cutEnd) return;
    const { increasePackets, mostWindowBytes } = this.p;
    const grown =
      this.windowBytes < this.slowStartBytes ? bytes : (increasePackets * this.mtuBytes * bytes) / this.windowBytes;
    this.windowBytes = Math.min(Math.max(mostWindowBytes, 2 * this.mtuBytes), this.windowBytes + grown);
  }

  lost(_nowPs: number, sign: LossSign, inFlightBytes: number): void {
    if (sign !== 'timeout') {
      if (this.acknowledgedByte > this.cutEnd) this.cut(inFlightBytes);
      return;
    }
    this.slowStartBytes = this.reduced(inFlightBytes);
    this.windowBytes = this.mtuBytes;
    this.cutEnd = -1;
  }

  private reduced(inFlightBytes: number): number {
    const from = this.limited ? this.windowBytes : Math.min(this.windowBytes, inFlightBytes);
    return Math.max(this.p.keptShare * from, 2 * this.mtuBytes);
  }

  private cut(inFlightBytes: number): void {
    this.slowStartBytes = this.reduced(inFlightBytes);
    this.windowBytes = this.slowStartBytes;
    this.cutEnd = this.nextByte;
  }
}
