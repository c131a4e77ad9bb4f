import type { Random } from '../kernel/random.ts';

export interface RedLaw {
  readonly minBytes: number;
  readonly maxBytes: number;
  /** Marking probability at `maxBytes`, a fraction of 1. */
  readonly probability: number;
  /** Beyond `maxBytes` the slope goes on (up to 1) instead of jumping to 1. */
  readonly extended?: boolean;
}

/**
 * Probability that one packet is marked CE when the queue that it leaves still holds `queueBytes`:
 * 0 up to min, then linear up to `probability` at max, 1 above (or on along the slope, the form of the stability analysis). Zhu et al., SIGCOMM 2015, figure 5.
 */
export function markingProbability(law: RedLaw, queueBytes: number): number {
  if (queueBytes <= law.minBytes) return 0;
  if (queueBytes > law.maxBytes && law.extended !== true) return 1;
  return Math.min(1, (law.probability * (queueBytes - law.minBytes)) / (law.maxBytes - law.minBytes));
}

/**
 * How many packets of a train are marked: a binomial draw by inversion of one uniform number, so the expected count is
 * that of single packets. The train as a whole counts as marked when one packet is.
 */
export function marksOf(packets: number, probability: number, random: Random): number {
  if (probability <= 0) return 0;
  if (probability >= 1) return packets;
  const u = random.fraction();
  const odds = probability / (1 - probability);
  let term = (1 - probability) ** packets;
  let sum = term;
  let marked = 0;
  while (u > sum && marked < packets) {
    term *= ((packets - marked) / (marked + 1)) * odds;
    sum += term;
    marked++;
  }
  return marked;
}
