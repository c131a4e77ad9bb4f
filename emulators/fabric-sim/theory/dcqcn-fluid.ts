/**
 * The fluid model of DCQCN: N identical flows over one bottleneck with RED marking.
 * Y. Zhu et al., "Congestion Control for Large-Scale RDMA Deployments", SIGCOMM 2015, section 5; with the feedback delay tau* of
 * Y. Zhu, M. Ghobadi, V. Misra, J. Padhye, "ECN or Delay", CoNEXT 2016, section 3.
 *
 *     dq/dt  = N RC - C
 *     da/dt  = (g/tau') [1 - (1-p)^(tau' RC) - a]
 *     dRT/dt = -(RT-RC)/tau [1 - (1-p)^(tau RC)] + R_AI RC (1-p)^(F B) p/((1-p)^-B - 1) + R_AI RC (1-p)^(F T RC) p/((1-p)^(-T RC) - 1)
 *     dRC/dt = -RC a/(2 tau) [1 - (1-p)^(tau RC)] + (RT-RC)/2 RC p/((1-p)^-B - 1) + (RT-RC)/2 RC p/((1-p)^(-T RC) - 1)
 *
 * p and the RC that it met are those of tau* ago. The model counts packets: rates are packets/s, B is packets.
 */
export interface DcqcnFluid {
  readonly flows: number;
  readonly rateBps: number;
  readonly packetBytes: number;
  /** Marking law: 0 below `kminBytes`, `pMax` at `kmaxBytes`. */
  readonly kminBytes: number;
  readonly kmaxBytes: number;
  readonly pMax: number;
  /**
   * Above `kmaxBytes`: `step` marks everything, as switches do; `extended` goes on with the slope of Kmin to Kmax until 1. The
   * analysis of both papers needs the second: with many flows q* lies above Kmax, where the step has no fixed point at all.
   */
  readonly red: 'step' | 'extended';
  /** Gain of alpha. */
  readonly g: number;
  /** tau: least time between two CNPs of a flow. */
  readonly cnpIntervalS: number;
  /** tau': alpha decays when no CNP has come for so long. */
  readonly alphaTimerS: number;
  /** T: increase timer. */
  readonly increaseTimerS: number;
  /** B: byte counter. */
  readonly byteCounterBytes: number;
  readonly additiveBps: number;
  /** F: rounds of fast recovery. */
  readonly fastRecoveryRounds: number;
}

/**
 * The papers' parameters at 40 Gb/s: Kmin 5 KB, Kmax 200 KB, Pmax 1 %, g = 1/256, CNP 50 us, alpha 55 us, T = 55 us, B = 10 MB,
 * R_AI = 40 Mb/s, F = 5 (SIGCOMM 2015, table 14), with packets of 1000 B.
 */
export const DCQCN_PAPER = {
  rateBps: 40e9,
  packetBytes: 1000,
  kminBytes: 5e3,
  kmaxBytes: 200e3,
  pMax: 0.01,
  red: 'extended',
  g: 1 / 256,
  cnpIntervalS: 50e-6,
  alphaTimerS: 55e-6,
  increaseTimerS: 55e-6,
  byteCounterBytes: 10e6,
  additiveBps: 40e6,
  fastRecoveryRounds: 5,
} as const satisfies Omit<DcqcnFluid, 'flows'>;

/** Marking probability at a queue of so many bytes, by the fluid's law. */
export function fluidMarking(
  { kminBytes, kmaxBytes, pMax, red }: Pick<DcqcnFluid, 'kminBytes' | 'kmaxBytes' | 'pMax' | 'red'>,
  queueBytes: number,
): number {
  if (queueBytes <= kminBytes) return 0;
  if (red === 'step' && queueBytes > kmaxBytes) return 1;
  return Math.min(1, (pMax * (queueBytes - kminBytes)) / (kmaxBytes - kminBytes));
}

/** p/((1-p)^-n - 1): increase events per packet when one comes every n unmarked packets; 1/n at p = 0. */
const eventsPerPacket = (p: number, log: number, n: number): number => (p <= 0 ? 1 / n : p / Math.expm1(-n * log));

type Terms = ReturnType<typeof terms>;

/** What one flow gains and loses at marking probability `p` while it sends `rate` packets/s. */
function terms(model: DcqcnFluid, p: number, rate: number) {
  const log = Math.log1p(-p);
  const bytePackets = model.byteCounterBytes / model.packetBytes;
  const timerPackets = Math.max(1e-9, model.increaseTimerS * rate);
  const byBytes = eventsPerPacket(p, log, bytePackets);
  const byTimer = eventsPerPacket(p, log, timerPackets);
  const rounds = model.fastRecoveryRounds;
  return {
    /** Probability of a CNP within tau, and within tau'. */
    cut: -Math.expm1(model.cnpIntervalS * rate * log),
    alpha: -Math.expm1(model.alphaTimerS * rate * log),
    recover: byBytes + byTimer,
    add: Math.exp(rounds * bytePackets * log) * byBytes + Math.exp(rounds * timerPackets * log) * byTimer,
  };
}

/**
 * The one p at which all derivatives are zero with RC = C/N, by bisection on
 * alpha cut^2 = tau^2 R_AI RC (recover)(add): the left side grows with p, the right side falls (SIGCOMM 2015, section 5.2).
 * q* = Kmin + p*(Kmax - Kmin)/Pmax. With `red: 'step'` a q* above Kmax does not exist: `queueBytes` is then undefined.
 */
export function dcqcnFixedPoint(model: DcqcnFluid): { readonly p: number; readonly queueBytes: number | undefined } {
  const rate = model.rateBps / (8 * model.packetBytes) / model.flows;
  const additive = model.additiveBps / (8 * model.packetBytes);
  const excess = (p: number): number => {
    const { cut, alpha, recover, add } = terms(model, p, rate);
    return alpha * cut ** 2 - model.cnpIntervalS ** 2 * additive * rate * recover * add;
  };
  let [low, high] = [1e-12, 1 - 1e-12];
  for (let i = 0; i < 200 && high / low > 1 + 1e-13; i++) {
    const p = Math.sqrt(low * high);
    if (excess(p) < 0) low = p;
    else high = p;
  }
  const queueBytes = model.kminBytes + (low / model.pMax) * (model.kmaxBytes - model.kminBytes);
  return { p: low, queueBytes: model.red === 'step' && queueBytes > model.kmaxBytes ? undefined : queueBytes };
}

/**
 * p* to leading order: [R_AI N^2/(tau' C^2) (1/B + N/(T C))^2]^(1/3) (SIGCOMM 2015, section 5.2). 19 to 35 % above the exact one
 * at the paper's parameters.
 */
export function dcqcnFixedPointApproximation(model: DcqcnFluid): number {
  const packetBits = 8 * model.packetBytes;
  const [capacity, additive] = [model.rateBps / packetBits, model.additiveBps / packetBits];
  const events = packetBits / 8 / model.byteCounterBytes + model.flows / (model.increaseTimerS * capacity);
  return Math.cbrt(((additive * model.flows ** 2) / (model.alphaTimerS * capacity ** 2)) * events ** 2);
}

interface FluidState {
  /** Packets. */
  readonly queue: number;
  readonly alpha: number;
  /** RT and RC, packets/s. */
  readonly target: number;
  readonly rate: number;
}

export interface FluidRun {
  /** tau*: from marking at the queue until the sender knows. */
  readonly feedbackDelayS: number;
  readonly durationS: number;
  readonly stepS: number;
}

export interface FluidOutcome {
  /** Mean, standard deviation and extremes of q over the last quarter of the run, bytes. */
  readonly queueMeanBytes: number;
  readonly queueStdBytes: number;
  readonly queueLeastBytes: number;
  readonly queueMostBytes: number;
  /** Share of the capacity used over the last quarter. */
  readonly utilisation: number;
}

/**
 * Integrates the model from line rate, alpha = 1 and an empty queue with Heun's method (second order), the past in a ring.
 * Explicit Euler will not do: its error feeds the oscillation, and at the edge of stability (2 flows, 85 us) a run of 2 us
 * steps swings that decays with shorter ones. Rates stay between 0 and C, q does not fall below 0.
 *
 * @throws RangeError when the delay is shorter than a step, or the run is shorter than four delays
 */
export function runDcqcnFluid(model: DcqcnFluid, { feedbackDelayS, durationS, stepS }: FluidRun): FluidOutcome {
  const delay = Math.round(feedbackDelayS / stepS);
  const steps = Math.round(durationS / stepS);
  if (delay < 1) throw new RangeError(`A delay of ${feedbackDelayS} s is shorter than a step of ${stepS} s.`);
  if (steps < 4 * delay)
    throw new RangeError(`A run of ${durationS} s is too short for a delay of ${feedbackDelayS} s.`);
  const capacity = model.rateBps / (8 * model.packetBytes);
  const additive = model.additiveBps / (8 * model.packetBytes);
  const within = (rate: number): number => Math.min(capacity, Math.max(0, rate));
  const slope = ({ queue, alpha, target, rate }: FluidState, then: number, term: Terms): FluidState => ({
    queue: queue > 0 || model.flows * rate > capacity ? model.flows * rate - capacity : 0,
    alpha: (model.g * (term.alpha - alpha)) / model.alphaTimerS,
    target: (-(target - rate) / model.cnpIntervalS) * term.cut + additive * then * term.add,
    rate: ((-rate * alpha) / (2 * model.cnpIntervalS)) * term.cut + ((target - rate) / 2) * then * term.recover,
  });
  const moved = (from: FluidState, by: FluidState, stepS: number): FluidState => ({
    queue: Math.max(0, from.queue + stepS * by.queue),
    alpha: from.alpha + stepS * by.alpha,
    target: within(from.target + stepS * by.target),
    rate: within(from.rate + stepS * by.rate),
  });
  // Slot i % delay holds what the step at i - delay saw, until the step at i has read it.
  const pastP = new Float64Array(delay);
  const pastRate = new Float64Array(delay).fill(capacity);
  let state: FluidState = { queue: 0, alpha: 1, target: capacity, rate: capacity };
  let then = capacity;
  let term = terms(model, 0, capacity);
  const from = Math.floor(steps * 0.75);
  let [sum, squares, least, most, served] = [0, 0, Number.POSITIVE_INFINITY, 0, 0];
  for (let i = 0; i < steps; i++) {
    const { queue, rate } = state;
    pastP[i % delay] = Math.min(1 - 1e-12, fluidMarking(model, queue * model.packetBytes));
    pastRate[i % delay] = rate;
    if (i >= from) {
      sum += queue;
      squares += queue * queue;
      least = Math.min(least, queue);
      most = Math.max(most, queue);
      served += queue > 0 ? capacity : Math.min(model.flows * rate, capacity);
    }
    const first = slope(state, then, term);
    const next = (i + 1) % delay;
    then = pastRate[next] as number;
    term = terms(model, pastP[next] as number, then);
    const second = slope(moved(state, first, stepS), then, term);
    state = moved(
      state,
      {
        queue: (first.queue + second.queue) / 2,
        alpha: (first.alpha + second.alpha) / 2,
        target: (first.target + second.target) / 2,
        rate: (first.rate + second.rate) / 2,
      },
      stepS,
    );
  }
  const count = steps - from;
  const mean = sum / count;
  return {
    queueMeanBytes: mean * model.packetBytes,
    queueStdBytes: Math.sqrt(Math.max(0, squares / count - mean * mean)) * model.packetBytes,
    queueLeastBytes: least * model.packetBytes,
    queueMostBytes: most * model.packetBytes,
    utilisation: served / count / capacity,
  };
}

/**
 * OSCILLATES, as this project defines it: over the last quarter of the run the standard deviation of q is more than a tenth of its
 * mean. A stable run has a damped q whose deviation keeps falling, a limit cycle has one of the size of q itself; a tenth
 * lies far from both.
 */
export const OSCILLATION_SHARE = 0.1;

export const oscillates = ({ queueMeanBytes, queueStdBytes }: FluidOutcome): boolean =>
  queueStdBytes > OSCILLATION_SHARE * queueMeanBytes;
