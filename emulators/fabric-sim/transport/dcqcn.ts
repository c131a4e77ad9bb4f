import type { DcqcnSettings } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { CongestionControl, CongestionControlKind, PathFacts } from './congestion-control.ts';
import { parametersInRange, type ParameterRange } from './parameter-range.ts';
import { windowAtRate } from './rate-window.ts';

/** DCQCN's parameters in the simulator's units. */
export interface DcqcnParameters {
  /** `nic`: alpha runs on a clock of its own; `paper`: alpha rises at each CNP. See {@link DcqcnControl}. */
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

const NO_WINDOW = { fullBytes: Number.POSITIVE_INFINITY, mtuBytes: 0 };

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
 * - `nic` (alpha timer shorter): the first CNP sets alpha = 1 and starts the clocks, and is not counted by them; alpha is updated
 *   once per alpha timer by whether a CNP came in it; a look-out every reduce period, the first one period after the first CNP,
 *   cuts when a CNP has come since the last cut, after the alpha update of the same instant; RT follows RC at a cut only when an
 *   increase has happened since the last one; event number i since the cut (i = 0, 1 …) recovers for i < F, adds at F, hyper beyond.
 *   After the "Mlx" functions of `rdma-hw.cc` of the HPCC artefact, https://github.com/alibaba-edu/High-Precision-Congestion-Control.
 *
 * No event is spent on the timers: `settle` plays what they would have done by then; alpha's decay over k periods is
 * (1 - g)^k. Rates are bit/s, capped by the line rate.
 *
 * With `fullWindowBytes` the window follows the rate (the artefact's VAR_WIN; {@link windowAtRate}); without there is none.
 */
export class DcqcnControl implements CongestionControl {
  /** RC. Valid for the time of the last `settle`. */
  rateBps: number;
  windowBytes: number;
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
  private readonly fullWindowBytes: number;
  private readonly mtuBytes: number;

  constructor(
    parameters: DcqcnParameters,
    lineBps: number,
    window: { readonly fullBytes: number; readonly mtuBytes: number } = NO_WINDOW,
  ) {
    this.parameters = parameters;
    this.lineBps = lineBps;
    this.rateBps = lineBps;
    this.targetBps = lineBps;
    this.fullWindowBytes = window.fullBytes;
    this.mtuBytes = window.mtuBytes;
    this.windowBytes = windowAtRate(window.fullBytes, 1, window.mtuBytes);
  }

  /** Plays timers up to and including `nowPs`. */
  settle(nowPs: number): void {
    if (!this.active) return;
    for (;;) {
      const cutAt = this.cutPending ? this.cutAtPs : Number.POSITIVE_INFINITY;
      const owedAt = this.owed > 0 ? this.owedAtPs : Number.POSITIVE_INFINITY;
      // At one instant clocks come before notifications, as for single packets, which `notified` settles first.
      if (owedAt < cutAt && owedAt < this.increaseAtPs) {
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
  notified(nowPs: number, count: number, spreadPs: number): void {
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
      this.cutAtPs = form === 'nic' ? nowPs + rateReducePeriodPs : nowPs;
    } else if (form === 'nic') {
      this.age(nowPs);
      this.alphaCnp = true;
    }
    if (form === 'nic') {
      if (this.cutPending) return;
      this.cutPending = true;
      // The look-outs lie on a grid that starts one period after the first CNP.
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
  sent(_nowPs: number, payloadBytes: number): void {
    if (!this.active) return;
    this.bytes += payloadBytes;
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
    this.setRate(Math.max(minRateBps, this.rateBps * (1 - this.alpha / 2)));
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
    const next = Math.min(this.lineBps, (this.rateBps + this.targetBps) / 2);
    // Halving the distance for ever never arrives; within 1 bit/s is there.
    this.setRate(this.lineBps - next < 1 ? this.lineBps : next);
  }

  private setRate(rateBps: number): void {
    this.rateBps = rateBps;
    this.windowBytes = windowAtRate(this.fullWindowBytes, rateBps / this.lineBps, this.mtuBytes);
  }
}

const RANGES = {
  alphaTimerPs: 'positive',
  rateReducePeriodPs: 'positive',
  increaseTimerPs: 'positive',
  byteCounterBytes: 'not-negative',
  g: 'share',
  additiveIncreaseBps: 'not-negative',
  hyperIncreaseBps: 'not-negative',
  fastRecoveryRounds: 'count',
  minRateBps: 'positive',
  cnpIntervalPs: 'not-negative',
  varyingWindow: 'flag',
  fullWindowBytes: 'not-negative',
} as const satisfies Record<string, ParameterRange>;

/**
 * DCQCN in the form of the NIC. Defaults: the HPCC artefact's `run.py`, "dcqcn", at 100 Gb/s (R_AI 5 and R_HAI 50 Mb/s per 25 Gb/s of
 * the line; no byte counter: 0; a CNP with every marked packet's acknowledgement: interval 0). `varyingWindow` 1 is its
 * "dcqcn_vwin"; `fullWindowBytes` 0 is the path's bandwidth-delay product, any other value the artefact's GLOBAL_T window.
 */
export const dcqcn: CongestionControlKind = {
  name: 'dcqcn',
  acknowledgements: 'coalesced',
  cnp: true,
  ecn: true,
  telemetry: false,
  parameters: {
    alphaTimerPs: 1e6,
    rateReducePeriodPs: 4e6,
    increaseTimerPs: 300e6,
    byteCounterBytes: 0,
    g: 1 / 256,
    additiveIncreaseBps: 20e6,
    hyperIncreaseBps: 200e6,
    fastRecoveryRounds: 1,
    minRateBps: 100e6,
    cnpIntervalPs: 0,
    varyingWindow: 0,
    fullWindowBytes: 0,
  },
  create: (path, parameters) => dcqcnControl('nic', path, parameters),
};

/**
 * DCQCN as published. Defaults: Zhu et al., SIGCOMM 2015, sections 3.1 and 5 (40 Gb/s: g 1/256, alpha timer and T 55 us, B 10 MB,
 * R_AI 40 Mb/s, F 5, CNPs at most every 50 us); hyper increase 10 x R_AI as its QCN ancestor; least rate R_AI.
 */
export const dcqcnPaper: CongestionControlKind = {
  ...dcqcn,
  name: 'dcqcn-paper',
  parameters: {
    alphaTimerPs: 55e6,
    rateReducePeriodPs: 50e6,
    increaseTimerPs: 55e6,
    byteCounterBytes: 10e6,
    g: 1 / 256,
    additiveIncreaseBps: 40e6,
    hyperIncreaseBps: 400e6,
    fastRecoveryRounds: 5,
    minRateBps: 40e6,
    cnpIntervalPs: 50e6,
    varyingWindow: 0,
    fullWindowBytes: 0,
  },
  create: (path, parameters) => dcqcnControl('paper', path, parameters),
};

function dcqcnControl(
  form: DcqcnParameters['form'],
  path: PathFacts,
  parameters: Readonly<Record<string, number>>,
): CongestionControl {
  const p = parametersInRange(form === 'nic' ? dcqcn.name : dcqcnPaper.name, parameters, RANGES);
  const bdpBytes = (path.bottleneckBps * path.baseRttPs) / 8e12;
  const window = { fullBytes: p.fullWindowBytes || bdpBytes, mtuBytes: path.mtuBytes };
  return new DcqcnControl(
    {
      form,
      alphaTimerPs: p.alphaTimerPs,
      rateReducePeriodPs: p.rateReducePeriodPs,
      increaseTimerPs: p.increaseTimerPs,
      byteCounterBytes: p.byteCounterBytes || Number.POSITIVE_INFINITY,
      g: p.g,
      additiveBps: p.additiveIncreaseBps,
      hyperBps: p.hyperIncreaseBps,
      fastRecoveryRounds: p.fastRecoveryRounds,
      minRateBps: Math.min(p.minRateBps, path.lineBps),
      cnpIntervalPs: p.cnpIntervalPs,
    },
    path.lineBps,
    p.varyingWindow === 1 ? window : NO_WINDOW,
  );
}

/** The parameters of {@link dcqcn} or {@link dcqcnPaper} that a fabric's settings name, and which of the two kinds they are for. */
export function dcqcnLaw(settings: DcqcnSettings): {
  readonly kind: CongestionControlKind;
  readonly parameters: Readonly<Record<string, number>>;
} {
  const { form, additiveBps, hyperBps, ...rest } = dcqcnParameters(settings);
  const kind = form === 'nic' ? dcqcn : dcqcnPaper;
  return {
    kind,
    parameters: { ...kind.parameters, ...rest, additiveIncreaseBps: additiveBps, hyperIncreaseBps: hyperBps },
  };
}
