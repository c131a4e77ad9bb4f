import type { DcqcnSettings } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';

/** DCQCN's parameters in the simulator's units. */
export interface DcqcnParameters {
  /** `nic`: alpha runs on a clock of its own; `paper`: alpha rises at each CNP. See {@link Dcqcn}. */
  readonly form: 'nic' | 'paper';
  readonly alphaTimerPs: number;
  readonly rateReducePeriodPs: number;
  readonly increaseTimerPs: number;
  readonly byteCounterBytes: number;
  readonly g: number;
  readonly additiveBps: number;
  readonly hyperBps: number;
  readonly fastRecoveryRounds: number;
  readonly minRateBps: number;
  readonly cnpIntervalPs: number;
}

/** @throws RangeError when a timer is not positive or g is not in 0..1 */
export function dcqcnParameters(settings: DcqcnSettings): DcqcnParameters {
  const ps = (duration: DcqcnSettings['alphaTimer']) => Math.round(magnitude(duration) * 1000);
  const parameters: DcqcnParameters = {
    form: magnitude(settings.alphaTimer) < magnitude(settings.rateReducePeriod) ? 'nic' : 'paper',
    alphaTimerPs: ps(settings.alphaTimer),
    rateReducePeriodPs: ps(settings.rateReducePeriod),
    increaseTimerPs: ps(settings.increaseTimer),
    byteCounterBytes: magnitude(settings.byteCounter),
    g: settings.g,
    additiveBps: magnitude(settings.additiveIncrease),
    hyperBps: magnitude(settings.hyperIncrease),
    fastRecoveryRounds: settings.fastRecoveryRounds,
    minRateBps: magnitude(settings.minRate),
    cnpIntervalPs: ps(settings.cnpInterval),
  };
  const positive = [
    parameters.alphaTimerPs,
    parameters.rateReducePeriodPs,
    parameters.increaseTimerPs,
    parameters.byteCounterBytes,
    parameters.minRateBps,
  ];
  if (positive.some(value => !(value > 0)))
    throw new RangeError('DCQCN timers, byte counter and least rate must be more than 0.');
  if (!(settings.g > 0 && settings.g <= 1)) throw new RangeError(`DCQCN's g is ${settings.g}; it must be in (0, 1].`);
  return parameters;
}

/**
 * The reaction point of DCQCN for one flow (Zhu et al., SIGCOMM 2015, section 3.1 and equations 1 to 4):
 *
 *     cut        RT = RC;  RC = RC (1 - alpha/2)
 *     CNP        alpha = (1 - g) alpha + g          no CNP for a period: alpha = (1 - g) alpha
 *     increase   RC = (RC + RT) / 2 ;  additive: RT += R_AI first ;  hyper: RT += R_HAI first
 *
 * Two forms, told apart by their parameters:
 * - `paper` (alpha timer not shorter than the reduce period): cut and alpha update happen at the CNP, increases are counted
 *   by timer T and byte counter B; fast recovery while max(T, B) < F, hyper when min(T, B) > F, additive else.
 * - `nic` (alpha timer shorter): alpha is updated once per alpha timer by whether a CNP came in it; a cut is looked for every
 *   reduce period after the first CNP; RT follows RC at a cut only when an increase has happened since the last one;
 *   the first CNP sets alpha = 1; event number i since the cut (i = 0, 1 …) recovers for i < F, adds at F, hyper beyond.
 *   After `rdma-hw.cc` ("Mlx" functions) of the HPCC artefact, https://github.com/alibaba-edu/High-Precision-Congestion-Control.
 *
 * No event is spent on the timers: `settle` plays what they would have done by then; alpha's decay over k periods is
 * (1 - g)^k. Rates are bit/s, capped by the line rate.
 */
export class Dcqcn {
  /** RC. Valid for the time of the last `settle`. */
  rateBps: number;
  private targetBps: number;
  private alpha = 1;
  /** False until the first CNP: nothing runs. */
  private active = false;
  private alphaEpochPs = 0;
  private alphaCnp = false;
  private cutPending = false;
  /** Next instant a pending cut may happen (nic), or earliest next cut (paper). */
  private cutAtPs = 0;
  private increaseAtPs = Number.POSITIVE_INFINITY;
  private timerStage = 0;
  private byteStage = 0;
  private bytes = 0;
  /** Notifications of a marked train that are still to be played, and when the next one is. */
  private owed = 0;
  private owedAtPs = 0;
  private owedEveryPs = 0;
  private readonly parameters: DcqcnParameters;
  private readonly lineBps: number;

  constructor(parameters: DcqcnParameters, lineBps: number) {
    this.parameters = parameters;
    this.lineBps = lineBps;
    this.rateBps = lineBps;
    this.targetBps = lineBps;
  }

  /** Plays timers up to and including `nowPs`. */
  settle(nowPs: number): void {
    if (!this.active) return;
    for (;;) {
      const cutAt = this.cutPending ? this.cutAtPs : Number.POSITIVE_INFINITY;
      const owedAt = this.owed > 0 ? this.owedAtPs : Number.POSITIVE_INFINITY;
      if (owedAt <= cutAt && owedAt <= this.increaseAtPs) {
        if (owedAt > nowPs) return;
        this.owed--;
        this.owedAtPs += this.owedEveryPs;
        this.notice(owedAt);
      } else if (cutAt <= this.increaseAtPs) {
        if (cutAt > nowPs) return;
        this.cut(cutAt);
      } else {
        if (this.increaseAtPs > nowPs) return;
        this.increaseAtPs += this.parameters.increaseTimerPs;
        this.timerStage++;
        this.increase();
        // At the line rate with nothing to recover every further tick changes nothing until the next cut restarts the timer.
        if (this.rateBps >= this.lineBps) this.increaseAtPs = Number.POSITIVE_INFINITY;
      }
    }
  }

  /** A congestion notification has come; of a train `count` of them, which single packets would have spread over `spreadPs`. */
  notify(nowPs: number, count = 1, spreadPs = 0): void {
    this.settle(nowPs);
    this.notice(nowPs);
    this.owed = count - 1;
    this.owedEveryPs = Math.round(spreadPs / count);
    this.owedAtPs = nowPs + this.owedEveryPs;
    this.settle(nowPs);
  }

  private notice(nowPs: number): void {
    const { form, rateReducePeriodPs, g } = this.parameters;
    if (!this.active) {
      this.active = true;
      this.alpha = 1;
      this.alphaEpochPs = nowPs;
      this.cutAtPs = nowPs;
    } else if (form === 'nic') {
      this.age(nowPs);
      this.alphaCnp = true;
    }
    if (form === 'nic') {
      if (this.cutPending) return;
      this.cutPending = true;
      // The look-outs lie on a grid that starts with the first CNP.
      if (this.cutAtPs < nowPs)
        this.cutAtPs += Math.ceil((nowPs - this.cutAtPs) / rateReducePeriodPs) * rateReducePeriodPs;
      this.settle(nowPs);
    } else {
      if (nowPs < this.cutAtPs) return;
      this.cut(nowPs);
      this.alpha = (1 - g) * this.alpha + g;
    }
  }

  /** Payload bytes have left: drives the byte counter. */
  sent(bytes: number): void {
    if (!this.active) return;
    this.bytes += bytes;
    while (this.bytes >= this.parameters.byteCounterBytes) {
      this.bytes -= this.parameters.byteCounterBytes;
      this.byteStage++;
      this.increase();
    }
  }

  private cut(atPs: number): void {
    const { form, rateReducePeriodPs, increaseTimerPs, minRateBps } = this.parameters;
    this.age(atPs);
    if (form === 'paper') this.alphaEpochPs = atPs;
    if (form === 'paper' || this.timerStage + this.byteStage > 0) this.targetBps = this.rateBps;
    this.rateBps = Math.max(minRateBps, this.rateBps * (1 - this.alpha / 2));
    this.timerStage = 0;
    this.byteStage = 0;
    this.bytes = 0;
    this.cutPending = false;
    this.cutAtPs = atPs + rateReducePeriodPs;
    this.increaseAtPs = atPs + increaseTimerPs;
  }

  /** Alpha up to `atPs`: the first period that ended may have had a CNP, the others had none. */
  private age(atPs: number): void {
    const { alphaTimerPs, g } = this.parameters;
    let periods = Math.floor((atPs - this.alphaEpochPs) / alphaTimerPs);
    if (periods <= 0) return;
    this.alphaEpochPs += periods * alphaTimerPs;
    if (this.alphaCnp) {
      this.alphaCnp = false;
      this.alpha = (1 - g) * this.alpha + g;
      periods--;
    }
    if (periods > 0) this.alpha *= (1 - g) ** periods;
  }

  private increase(): void {
    const { form, fastRecoveryRounds, additiveBps, hyperBps } = this.parameters;
    const most = form === 'paper' ? Math.max(this.timerStage, this.byteStage) : this.timerStage + this.byteStage - 1;
    const least = form === 'paper' ? Math.min(this.timerStage, this.byteStage) : most;
    if (most >= fastRecoveryRounds)
      this.targetBps = Math.min(this.lineBps, this.targetBps + (least > fastRecoveryRounds ? hyperBps : additiveBps));
    this.rateBps = Math.min(this.lineBps, (this.rateBps + this.targetBps) / 2);
    // Halving the distance for ever never arrives; within 1 bit/s is there.
    if (this.lineBps - this.rateBps < 1) this.rateBps = this.lineBps;
  }
}
