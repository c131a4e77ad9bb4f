/** Instants at which something is sampled within a phase of unknown length. */
export interface Sampling {
  /** The next instant, ps; Infinity when this phase has had all its samples. */
  readonly nextPs: number;
  /** Length of the window that ends then, ps. */
  readonly windowPs: number;
  taken(): void;
}

const STAGES = 10;

/**
 * At most `most` windows, however long the phase: the first `even` of `firstPs`, then ten stages of equally many windows, each stage's
 * twice as long as the one's before. Windows follow each other without a gap.
 */
export function sampling(options: {
  readonly beginPs: number;
  readonly firstPs: number;
  readonly even: number;
  readonly most: number;
}): Sampling {
  const { beginPs, firstPs, even, most } = options;
  const perStage = Math.max(1, Math.floor((most - even) / STAGES));
  let taken = 0;
  let windowPs = firstPs;
  let nextPs = beginPs + firstPs;
  return {
    get nextPs() {
      return nextPs;
    },
    get windowPs() {
      return windowPs;
    },
    taken() {
      taken += 1;
      windowPs = taken < even ? firstPs : firstPs * 2 ** (1 + Math.floor((taken - even) / perStage));
      nextPs = taken < most ? nextPs + windowPs : Number.POSITIVE_INFINITY;
    },
  };
}
