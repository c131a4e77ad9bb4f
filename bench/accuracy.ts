import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { accuracyPage, accuracySection, rowInWords, sectionIn } from './accuracy-page.ts';
import { disagreement } from './published/comparison.ts';
import { comparisons, heavyComparisons, pageComparisons } from './published/comparisons.ts';

/*
 * npm run accuracy [-- --only WORDS]: runs every comparison with published numbers and writes docs/accuracy.md. Minutes of CPU; with
 * `--only`, those whose titles contain the words and those that the page lacks, and the rest of the page stays. Exit status 1 when a row
 * does not hold; the page is written then too. What a comparison cost goes to standard error, since the page must not depend on it.
 */
const { values } = parseArgs({ options: { only: { type: 'string' } } });
const { only } = values;
const root = path.resolve(import.meta.dirname, '..');
const page = path.join(root, 'docs', 'accuracy.md');
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { readonly version: string };
const before = only !== undefined && existsSync(page) ? readFileSync(page, 'utf8') : '';
const sections: string[] = [];
for (const comparison of [...comparisons, ...heavyComparisons, ...pageComparisons]) {
  const { title } = comparison;
  const kept = only === undefined || title.includes(only) ? undefined : sectionIn(before, title);
  if (kept !== undefined) {
    sections.push(kept);
    continue;
  }
  const start = process.cpuUsage();
  const rows = await comparison.rows();
  const { user, system } = process.cpuUsage(start);
  console.error(`${((user + system) / 1e6).toFixed(1).padStart(6)} CPU s, ${rows.length} rows: ${title}`);
  for (const row of rows) {
    if (disagreement(row) === undefined) continue;
    console.error(`         ${rowInWords(row)}`);
    process.exitCode = 1;
  }
  sections.push(accuracySection({ comparison, rows }));
}
writeFileSync(page, accuracyPage(sections, version));
console.error(`${path.relative(process.cwd(), page)} written`);
