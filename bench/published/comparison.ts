/** One published value beside ours. */
export interface ComparisonRow {
  /** What is compared, with its parameters: `RFC 9438 table 1, p = 1e-4, Reno`. */
  readonly what: string;
  readonly unit: string;
  /** As printed in the source. */
  readonly published: number;
  readonly ours: number;
  /**
   * How far ours may lie from it: `relative` to the published value, or `absolute` in its unit; `at-most` and `at-least` hold it
   * against a limit. `quoted` rows are shown and not judged: nothing here reproduces them, and the page says so.
   */
  readonly allowed:
    | { readonly relative: number }
    | { readonly absolute: number }
    | { readonly bound: 'at-most' | 'at-least' }
    | { readonly quoted: string };
  /** Spread over seeds, a known fault of the peer, or anything else that a reader must know. */
  readonly note?: string;
}

/**
 * Published numbers beside ours. Every comparison is a test (`test/bench/`) and a section of `docs/accuracy.md`
 * (`npm run accuracy`), from the same rows, so that neither can say more than the other.
 */
export interface Comparison {
  readonly title: string;
  /** Where the published values come from: document, section, table. */
  readonly source: string;
  /** What was done to get ours, and what a reader must know of the method. */
  readonly method: string;
  /** A folder that is no part of the repository and without which `rows` throws. */
  readonly needs?: string;
  /** Empty files or missing shared data are an error, never an empty list. */
  rows(): readonly ComparisonRow[] | Promise<readonly ComparisonRow[]>;
}

/** Why a row does not hold; undefined when it does. */
export function disagreement({ published, ours, allowed }: ComparisonRow): string | undefined {
  if ('quoted' in allowed) return undefined;
  if (!Number.isFinite(ours)) return `ours is ${ours}`;
  if ('bound' in allowed) {
    const holds = allowed.bound === 'at-most' ? ours <= published : ours >= published;
    return holds ? undefined : `${ours} is not ${allowed.bound} ${published}`;
  }
  const off = Math.abs(ours - published);
  const most = 'relative' in allowed ? allowed.relative * Math.abs(published) : allowed.absolute;
  return off <= most ? undefined : `${ours} is ${off} from ${published}, ${most} is allowed`;
}
