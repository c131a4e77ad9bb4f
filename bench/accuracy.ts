import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { accuracyPage, type ComparedSection, rowInWords } from './accuracy-page.ts';
import { disagreement } from './published/comparison.ts';
import { comparisons, heavyComparisons, pageComparisons } from './published/comparisons.ts';

/*
 * npm run accuracy: runs every comparison with published numbers and writes docs/accuracy.md. Minutes of CPU. Exit status 1 when a row
 * does not hold; the page is written then too. What a comparison cost goes to standard error, since the page must not depend on it.
 */
const root = path.resolve(import.meta.dirname, '..');
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { readonly version: string };
const sections: ComparedSection[] = [];
for (const comparison of [...comparisons, ...heavyComparisons, ...pageComparisons]) {
  const before = process.cpuUsage();
  const rows = await comparison.rows();
  const { user, system } = process.cpuUsage(before);
  console.error(`${((user + system) / 1e6).toFixed(1).padStart(6)} CPU s, ${rows.length} rows: ${comparison.title}`);
  for (const row of rows) if (disagreement(row) !== undefined) console.error(`         ${rowInWords(row)}`);
  sections.push({ comparison, rows });
}
const page = path.join(root, 'docs', 'accuracy.md');
writeFileSync(page, accuracyPage(sections, version));
console.error(`${path.relative(process.cwd(), page)} written`);
if (sections.some(({ rows }) => rows.some(row => disagreement(row) !== undefined))) process.exitCode = 1;
