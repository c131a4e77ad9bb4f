import { fibreDelayPs } from '../model/fibre-delay.ts';
import type { LintedCable } from './linted-fabric.ts';

/**
 * Thermal drift of a fibre's delay, ps per km and K (40 to 50), over a day's 10 K: the only jitter of the fibre itself. 0.67 us over 1331 km.
 * Jitter of milliseconds is queueing or another route.
 */
const DRIFT_PS_PER_KM_K = 50;
const DRIFT_K = 10;

/** What length and rate imply, whatever is configured: everything that checks compare with. */
export interface LongWay {
  readonly metres: number;
  readonly rateBps: number;
  /** From the first end to the second, ns; the way back; and what the first takes longer. */
  readonly forwardNs: number;
  readonly backNs: number;
  readonly asymmetryNs: number;
  readonly rttNs: number;
  /** How far the RTT wanders by temperature, ns. */
  readonly wanderNs: number;
  /** Rate x RTT: bytes in flight of a sender that keeps the span full. */
  readonly bdpBytes: number;
}

export function longWay({
  metres,
  rateBps,
  asymmetryNs,
}: Pick<LintedCable, 'metres' | 'rateBps' | 'asymmetryNs'>): LongWay {
  const backNs = fibreDelayPs(metres) / 1e3;
  const forwardNs = backNs + asymmetryNs;
  const rttNs = forwardNs + backNs;
  return {
    metres,
    rateBps,
    forwardNs,
    backNs,
    asymmetryNs,
    rttNs,
    wanderNs: (2 * (metres / 1e3) * DRIFT_PS_PER_KM_K * DRIFT_K) / 1e3,
    bdpBytes: (rateBps * rttNs) / 8e9,
  };
}
