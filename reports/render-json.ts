import { sumOf } from './cleanliness-words.ts';
import type { FinishedRun } from './finished-run.ts';
import { worstOf } from './outcome-words.ts';

/**
 * The verdicts as JSON for other programs: values in base units (ns, bit/s, byte, a fraction of 1, packets).
 * Everything that a terminal could obey is written as `\u` escapes, so printing the file is safe and parsing gives the exact text.
 */
export function renderJson(runs: readonly FinishedRun[]): string {
  const text = JSON.stringify(
    { format: 1, outcome: worstOf(runs), cleanliness: sumOf(runs.map(({ verdict }) => verdict.cleanliness)), runs },
    null,
    2,
  );
  return `${text.replace(/(?!\n)[\p{C}\p{Zl}\p{Zp}]/gu, character =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  )}\n`;
}
