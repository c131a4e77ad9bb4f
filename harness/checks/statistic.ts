import type { Statistic } from '../model/check.ts';

/**
 * Many samples as one value. Percentiles are by nearest rank (the smallest sample that p % of all do not exceed), the median of
 * an even number is the mean of the middle two. Undefined for no samples: nothing was measured.
 *
 * @param better which way is good: `worst` is the least rate, but the longest time
 */
export function statisticOf(
  samples: readonly number[],
  statistic: Statistic,
  better: 'high' | 'low',
): number | undefined {
  if (samples.length === 0) return undefined;
  const ascending = samples.toSorted((a, b) => a - b);
  const ranked = (percent: number): number | undefined =>
    ascending[Math.max(0, Math.ceil((percent / 100) * ascending.length) - 1)];
  const sum = (): number => ascending.reduce((total, sample) => total + sample, 0);
  switch (statistic) {
    case 'median': {
      const [low, high] = [
        ascending[Math.floor((ascending.length - 1) / 2)],
        ascending[Math.floor(ascending.length / 2)],
      ];
      // Equal ones are not averaged: two infinities would be, to NaN or not, and rounding would move a value that is exact.
      return low === high || low === undefined || high === undefined ? low : (low + high) / 2;
    }
    case 'mean':
      return sum() / ascending.length;
    case 'worst':
      return better === 'high' ? ascending[0] : ascending.at(-1);
    case 'best':
      return better === 'high' ? ascending.at(-1) : ascending[0];
    case 'p1':
      return ranked(1);
    case 'p5':
      return ranked(5);
    case 'p95':
      return ranked(95);
    case 'p99':
      return ranked(99);
    case 'total':
      return sum();
  }
}
