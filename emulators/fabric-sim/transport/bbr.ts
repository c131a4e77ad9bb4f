import type { CongestionControl, CongestionControlKind, Feedback, LossSign, PathFacts } from './congestion-control.ts';
import { DeliveryRate } from './delivery-rate.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';

const RANGES = {
  startupGain: 'positive',
  windowGain: 'positive',
  probeGain: 'positive',
  drainGain: 'positive',
  bandwidthRounds: 'count',
  minRttWindowPs: 'positive',
  probeRttPs: 'positive',
  probeRttPackets: 'positive',
  fullGrowth: 'positive',
  fullRounds: 'count',
  initialWindowPackets: 'positive',
  cyclePhase: 'count',
} as const satisfies Record<string, ParameterRange>;

const CYCLE = 8;

type State = 'startup' | 'drain' | 'probe-bandwidth' | 'probe-rtt';

/**
 * BBR version 1 (Cardwell et al., draft-cardwell-iccrg-bbr-congestion-control-00):
 *
 *     BtlBw = max of the delivery rate over 10 round trips;  RTprop = min of the round trip over 10 s       (section 4.1)
 *     pacing rate = gain x BtlBw,  window = window gain x BtlBw x RTprop + 3 packets                        (sections 4.2.1, 4.2.3)
 *     startup         gain 2/ln 2 = 2.885 for both, until BtlBw has grown by less than 25 % for 3 round trips  (sections 4.3.2, 4.3.2.2)
 *     drain           gain ln 2/2, until what is in flight fits BtlBw x RTprop                              (section 4.3.3)
 *     probe bandwidth gains 1.25, 0.75, 1 x 6, one RTprop each; the 1.25 lasts until the queue that it wants is there or a packet
 *                     is lost, the 0.75 ends early when the queue is gone; window gain 2                    (section 4.3.4)
 *     probe RTT       when RTprop is 10 s old: window 4 packets for 200 ms and a round trip                 (section 4.3.5)
 *     loss            for a round trip the window is what is in flight, then what it was; timeout: from 1 packet (section 4.2.3.4)
 *
 * The rates count payload, and so does the pace: `rateBps` adds what the headers take. Times without data to send give no
 * samples below the present BtlBw.
 *
 * Defaults: the draft's. `cyclePhase` says where in the cycle (0 … 7, not 1) a flow starts: the draft draws it, here the
 * run does, so that one seed gives one result.
 */
export const bbr: CongestionControlKind = {
  name: 'bbr',
  acknowledgements: 'each',
  cnp: false,
  ecn: false,
  telemetry: false,
  parameters: {
    startupGain: 2 / Math.LN2,
    windowGain: 2,
    probeGain: 1.25,
    drainGain: 0.75,
    bandwidthRounds: 10,
    minRttWindowPs: 10e12,
    probeRttPs: 0.2e12,
    probeRttPackets: 4,
    fullGrowth: 1.25,
    fullRounds: 3,
    initialWindowPackets: 10,
    cyclePhase: 2,
  },
  create: (path, parameters) => new Bbr(path, parametersInRange('bbr', parameters, RANGES)),
};

class Bbr implements CongestionControl {
  rateBps: number;
  windowBytes: number;
  /** Read by tests. */
  state: State = 'startup';
  private readonly p: Readonly<Record<keyof typeof RANGES, number>>;
  private readonly mtuBytes: number;
  private readonly wireShare: number;
  private readonly lineBps: number;
  private readonly delivery: DeliveryRate;
  /** Best rates of the last rounds as (round, rate), best first: a rate that a later one beats is dropped. */
  private readonly bestRound: Float64Array;
  private readonly bestBps: Float64Array;
  private best = 0;
  private round = 0;
  private roundEnd = 0;
  private roundStarted = false;
  private minRttPs = Number.POSITIVE_INFINITY;
  private minRttAtPs = 0;
  private pacingGain: number;
  private fullBps = 0;
  private stalls = 0;
  private pipeFull = false;
  private phase = 0;
  private phaseAtPs = 0;
  private probeRttEndsPs = Number.NaN;
  private probeRttRound = false;
  private priorWindow = 0;
  private lossInPhase = false;
  /** Until a round trip after a loss: the window follows what is in flight. */
  private conserving = false;

  constructor(path: PathFacts, p: Readonly<Record<keyof typeof RANGES, number>>) {
    if (p.cyclePhase >= CYCLE || p.cyclePhase === 1) throw new RangeError('Law bbr: cyclePhase must be 0 or 2 to 7.');
    this.p = p;
    this.mtuBytes = path.mtuBytes;
    this.wireShare = (path.mtuBytes + path.overheadBytes) / path.mtuBytes;
    this.lineBps = path.lineBps;
    this.delivery = new DeliveryRate(path.baseRttPs);
    this.bestRound = new Float64Array(p.bandwidthRounds + 2);
    this.bestBps = new Float64Array(p.bandwidthRounds + 2);
    this.pacingGain = p.startupGain;
    this.windowBytes = p.initialWindowPackets * path.mtuBytes;
    this.rateBps = 0;
    this.pace((p.startupGain * this.windowBytes * 8e12) / path.baseRttPs);
  }

  /** BtlBw, bit/s of payload; 0 before the first sample. Read by tests. */
  bandwidthBps(): number {
    return this.best === 0 ? 0 : (this.bestBps[0] as number);
  }

  sent(nowPs: number, payloadBytes: number, inFlightBytes: number): void {
    this.delivery.sent(nowPs, payloadBytes, inFlightBytes);
  }

  acknowledged(feedback: Feedback): void {
    const { nowPs, bytes, rttPs, inFlightBytes } = feedback;
    const known = this.minRttPs === Number.POSITIVE_INFINITY ? 0 : this.minRttPs;
    const sampleBps = this.delivery.acknowledged(nowPs, bytes, rttPs, known);
    this.roundStarted = this.delivery.priorDelivered >= this.roundEnd && !Number.isNaN(rttPs);
    if (this.roundStarted) {
      this.roundEnd = this.delivery.delivered;
      this.round++;
      if (this.conserving && this.state !== 'probe-rtt')
        this.windowBytes = Math.max(this.windowBytes, this.priorWindow);
      this.conserving = false;
    }
    const idle = feedback.applicationLimited === true;
    if (!Number.isNaN(sampleBps) && (!idle || sampleBps >= this.bandwidthBps())) this.remember(sampleBps);
    this.advanceCycle(nowPs, inFlightBytes + bytes);
    this.checkPipe(idle);
    this.checkDrain(nowPs, inFlightBytes);
    this.checkMinRtt(nowPs, rttPs, inFlightBytes);
    const bandwidthBps = this.bandwidthBps();
    if (bandwidthBps === 0) return;
    const paceBps = this.pacingGain * bandwidthBps;
    if (this.pipeFull || paceBps * this.wireShare > this.rateBps) this.pace(paceBps);
    this.setWindow(bytes, inFlightBytes);
  }

  lost(_nowPs: number, sign: LossSign, inFlightBytes: number): void {
    this.lossInPhase = true;
    if (!this.conserving) {
      this.priorWindow = Math.max(this.state === 'probe-rtt' ? this.priorWindow : 0, this.windowBytes);
      this.conserving = true;
      this.roundEnd = this.delivery.delivered;
      this.windowBytes = Math.max(Math.min(this.windowBytes, inFlightBytes), this.mtuBytes);
    }
    if (sign === 'timeout') this.windowBytes = this.mtuBytes;
  }

  /** Bytes in flight that `gain` allows: gain x BDP and three packets of quanta (section 4.2.3.2). */
  private target(gain: number): number {
    if (this.minRttPs === Number.POSITIVE_INFINITY) return this.p.initialWindowPackets * this.mtuBytes;
    return (gain * this.bandwidthBps() * this.minRttPs) / 8e12 + 3 * this.mtuBytes;
  }

  private remember(sampleBps: number): void {
    let { best } = this;
    const oldest = this.round - this.p.bandwidthRounds;
    let expired = 0;
    while (expired < best && (this.bestRound[expired] as number) <= oldest) expired++;
    if (expired > 0) {
      this.bestRound.copyWithin(0, expired, best);
      this.bestBps.copyWithin(0, expired, best);
      best -= expired;
    }
    while (best > 0 && (this.bestBps[best - 1] as number) <= sampleBps) best--;
    // One entry a round is enough: a lower rate of the same round never becomes the maximum.
    if (best === 0 || (this.bestRound[best - 1] as number) < this.round) {
      this.bestRound[best] = this.round;
      this.bestBps[best] = sampleBps;
      best++;
    }
    this.best = best;
  }

  private advanceCycle(nowPs: number, priorInFlight: number): void {
    if (this.state !== 'probe-bandwidth') return;
    const full = nowPs - this.phaseAtPs > this.minRttPs;
    let next = full;
    if (this.pacingGain > 1) next = full && (this.lossInPhase || priorInFlight >= this.target(this.pacingGain));
    else if (this.pacingGain < 1) next = full || priorInFlight <= this.target(1);
    if (next) this.startPhase(nowPs, (this.phase + 1) % CYCLE);
  }

  private startPhase(nowPs: number, phase: number): void {
    this.phase = phase;
    this.phaseAtPs = nowPs;
    this.lossInPhase = false;
    this.pacingGain = phase === 0 ? this.p.probeGain : phase === 1 ? this.p.drainGain : 1;
  }

  private checkPipe(idle: boolean): void {
    if (this.pipeFull || !this.roundStarted || idle) return;
    const bandwidthBps = this.bandwidthBps();
    if (bandwidthBps >= this.fullBps * this.p.fullGrowth) {
      this.fullBps = bandwidthBps;
      this.stalls = 0;
      return;
    }
    this.stalls++;
    this.pipeFull = this.stalls >= this.p.fullRounds;
  }

  private checkDrain(nowPs: number, inFlightBytes: number): void {
    if (this.state === 'startup' && this.pipeFull) {
      this.state = 'drain';
      this.pacingGain = 1 / this.p.startupGain;
    }
    if (this.state === 'drain' && inFlightBytes <= this.target(1)) this.probeBandwidth(nowPs);
  }

  private probeBandwidth(nowPs: number): void {
    this.state = 'probe-bandwidth';
    this.startPhase(nowPs, this.p.cyclePhase);
  }

  private checkMinRtt(nowPs: number, rttPs: number, inFlightBytes: number): void {
    const { minRttWindowPs, probeRttPackets, probeRttPs } = this.p;
    const expired = nowPs > this.minRttAtPs + minRttWindowPs;
    if (!Number.isNaN(rttPs) && (rttPs <= this.minRttPs || expired)) {
      this.minRttPs = rttPs;
      this.minRttAtPs = nowPs;
    }
    if (expired && this.state !== 'probe-rtt') {
      this.state = 'probe-rtt';
      this.pacingGain = 1;
      this.priorWindow = Math.max(this.conserving ? this.priorWindow : 0, this.windowBytes);
      this.probeRttEndsPs = Number.NaN;
    }
    if (this.state !== 'probe-rtt') return;
    if (Number.isNaN(this.probeRttEndsPs)) {
      if (inFlightBytes > probeRttPackets * this.mtuBytes) return;
      this.probeRttEndsPs = nowPs + probeRttPs;
      this.probeRttRound = false;
      this.roundEnd = this.delivery.delivered;
      return;
    }
    if (this.roundStarted) this.probeRttRound = true;
    if (!this.probeRttRound || nowPs <= this.probeRttEndsPs) return;
    this.minRttAtPs = nowPs;
    this.windowBytes = Math.max(this.windowBytes, this.priorWindow);
    if (this.pipeFull) this.probeBandwidth(nowPs);
    else {
      this.state = 'startup';
      this.pacingGain = this.p.startupGain;
    }
  }

  private setWindow(bytes: number, inFlightBytes: number): void {
    const least = this.p.probeRttPackets * this.mtuBytes;
    if (this.conserving) {
      this.windowBytes = Math.max(this.windowBytes, inFlightBytes + bytes);
    } else {
      const gain = this.state === 'startup' || this.state === 'drain' ? this.p.startupGain : this.p.windowGain;
      const target = this.target(gain);
      if (this.pipeFull) this.windowBytes = Math.min(this.windowBytes + bytes, target);
      else if (this.windowBytes < target || this.delivery.delivered < this.p.initialWindowPackets * this.mtuBytes)
        this.windowBytes += bytes;
    }
    this.windowBytes = Math.max(this.windowBytes, least);
    if (this.state === 'probe-rtt') this.windowBytes = Math.min(this.windowBytes, least);
  }

  /** Never 0: a first sample of nothing delivered must not stop the flow for ever. */
  private pace(payloadBps: number): void {
    this.rateBps = Math.min(this.lineBps, Math.max(payloadBps * this.wireShare, this.lineBps * 1e-6));
  }
}
