import type { Measurement } from '../model/record.ts';

/** The samples, and one of `value` for each that is missing: what the statistic would be, were the missing ones like that. */
export function padded({ samples, expected = 0 }: Measurement, value: number): readonly number[] {
  return [...samples, ...Array.from({ length: Math.max(0, expected - samples.length) }, () => value)];
}
