import { renderSummary } from '../../reports/index.ts';
import type { FinishedRun } from '../../reports/index.ts';

/** The end of a run on this terminal. */
export function printSummary(
  runs: readonly FinishedRun[],
  { notes, report }: { readonly notes: readonly string[]; readonly report?: string },
): void {
  const { stdout, env } = process;
  const color = stdout.isTTY === true && !env['NO_COLOR'];
  const text = renderSummary(runs, {
    color,
    notes,
    ...(stdout.isTTY && { width: stdout.columns }),
    ...(report !== undefined && { report }),
  });
  stdout.write(`\n${text}`);
}
