import { existsSync } from 'node:fs';
import t from 'tap';
import { rowInWords } from '../../bench/accuracy-page.ts';
import { type Comparison, type ComparisonRow, disagreement } from '../../bench/published/comparison.ts';

/** One comparison as a subtest: each row is printed and must hold. `also` sees the rows; it is not called without the needed files. */
export function compare(comparison: Comparison, also?: (t: Tap, rows: readonly ComparisonRow[]) => void): void {
  const { needs, title } = comparison;
  const missing = needs !== undefined && !existsSync(needs) && `${needs} is not there`;
  void t.test(title, { skip: missing, timeout: 600_000 }, async t => {
    const rows = await comparison.rows();
    t.ok(rows.length > 0, 'it has rows');
    for (const row of rows) {
      const words = rowInWords(row);
      t.comment(words);
      t.equal(disagreement(row), undefined, words);
    }
    also?.(t, rows);
  });
}

type Tap = Pick<typeof t, 'ok'>;
