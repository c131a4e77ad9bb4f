/**
 * Student's t for a level of confidence of 95 %, by degrees of freedom.
 *
 * @see JCGM 100:2008 (GUM), table G.2
 */
const T95: readonly (readonly [freedom: number, t: number])[] = [
  [1, 12.71],
  [2, 4.3],
  [3, 3.18],
  [4, 2.78],
  [5, 2.57],
  [6, 2.45],
  [7, 2.36],
  [8, 2.31],
  [9, 2.26],
  [10, 2.23],
  [11, 2.2],
  [12, 2.18],
  [13, 2.16],
  [14, 2.14],
  [15, 2.13],
  [16, 2.12],
  [17, 2.11],
  [18, 2.1],
  [19, 2.09],
  [20, 2.09],
  [25, 2.06],
  [30, 2.04],
  [35, 2.03],
  [40, 2.02],
  [45, 2.01],
  [50, 2.01],
  [100, 1.984],
];

/** The next smaller tabulated freedom has the greater t: never too narrow. */
const t95 = (freedom: number): number => T95.findLast(([tabulated]) => tabulated <= freedom)?.[1] ?? 12.71;

interface Value {
  readonly value: number;
  /** U of the value by itself; undefined when it is not known. */
  readonly uncertainty?: number | undefined;
}

/**
 * The mean over seeds and its U at 95 %: the spread of the seeds (type A, t s / sqrt n, GUM 4.2.3 and G.3) and the greatest U that a single
 * value has (type B, taken as common to all and so not averaged away), added in quadrature. A single value has its own U. Where the U of a
 * value is not known, what is left is the spread alone and says so; of one value nothing is left.
 */
export function meanOf(values: readonly Value[]): {
  readonly mean?: number;
  readonly uncertainty?: number;
  readonly spreadOnly?: true;
} {
  const n = values.length;
  if (n === 0) return {};
  const mean = values.reduce((sum, { value }) => sum + value, 0) / n;
  const known = values.flatMap(({ uncertainty }) => (uncertainty === undefined ? [] : [uncertainty]));
  const own = known.length === n ? Math.max(...known) : undefined;
  if (n === 1) return { mean, ...(own !== undefined && { uncertainty: own }) };
  const variance = values.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / (n - 1);
  const spread = t95(n - 1) * Math.sqrt(variance / n);
  return { mean, uncertainty: Math.hypot(spread, own ?? 0), ...(own === undefined && { spreadOnly: true as const }) };
}
