import type { FctRow } from './fct-file.ts';

/** Completion time over the standalone time, at least 1, as the HPCC family's fct_analysis.py has it. */
export function slowdownOf({ fctNs, standaloneNs }: Pick<FctRow, 'fctNs' | 'standaloneNs'>): number {
  return Math.max(1, fctNs / standaloneNs);
}

export interface Spread {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** Element floor(n x p) of the sorted values: `get_pctl` of fct_analysis.py. */
export function percentileOf(sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] as number;
}

/** Undefined of nothing. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  const sorted = values.toSorted((a, b) => a - b);
  return {
    count: values.length,
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    p50: percentileOf(sorted, 0.5),
    p95: percentileOf(sorted, 0.95),
    p99: percentileOf(sorted, 0.99),
  };
}

export interface SizeBin extends Spread {
  /** Share of the flows, smallest first, that lie before this bin: 0, 0.05, ... */
  readonly from: number;
  /** Size of the bin's largest flow. */
  readonly mostBytes: number;
}

/**
 * Slowdowns in bins of 5 % of the flows, by size, as fct_analysis.py prints them. That script loses the last flow (it drops the
 * last line of its input as if it were empty); here all count. Empty bins are left out.
 */
export function slowdownBySize(
  rows: readonly FctRow[],
  { stepPercent = 5 }: { readonly stepPercent?: number } = {},
): readonly SizeBin[] {
  if (!(Number.isInteger(stepPercent) && stepPercent >= 1 && stepPercent <= 100))
    throw new RangeError(`Bins of ${stepPercent} %: a whole number from 1 to 100 is needed.`);
  // Ties in size by slowdown, as `sort -n -k 2` breaks them by the whole line.
  const sorted = rows
    .map(row => ({ bytes: row.bytes, slowdown: slowdownOf(row) }))
    .toSorted((a, b) => a.bytes - b.bytes || a.slowdown - b.slowdown);
  const bins: SizeBin[] = [];
  for (let percent = 0; percent < 100; percent += stepPercent) {
    const part = sorted.slice(
      Math.floor((percent * sorted.length) / 100),
      Math.floor((Math.min(100, percent + stepPercent) * sorted.length) / 100),
    );
    const spread = spreadOf(part.map(({ slowdown }) => slowdown));
    if (spread) bins.push({ from: percent / 100, mostBytes: part.at(-1)?.bytes as number, ...spread });
  }
  return bins;
}

/** Slowdowns of flows inside a site and between sites. `siteOf` of a node number. */
export function slowdownByClass(
  rows: readonly FctRow[],
  siteOf: (node: number) => unknown,
): { readonly intra: Spread | undefined; readonly inter: Spread | undefined } {
  const of = (inside: boolean) =>
    spreadOf(rows.filter(row => (siteOf(row.source) === siteOf(row.target)) === inside).map(slowdownOf));
  return { intra: of(true), inter: of(false) };
}
