import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { accuracyPage, accuracySection, sectionIn } from '../../bench/accuracy-page.ts';
import { type ComparisonRow, disagreement } from '../../bench/published/comparison.ts';
import { comparisons, heavyComparisons, pageComparisons } from '../../bench/published/comparisons.ts';
import { compare } from './compare.ts';

t.setTimeout(300_000);

const root = path.resolve(import.meta.dirname, '../..');
const page = readFileSync(path.join(root, 'docs', 'accuracy.md'), 'utf8');
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { readonly version: string };

for (const comparison of comparisons) {
  compare(comparison, (t, rows) =>
    t.ok(page.includes(accuracySection({ comparison, rows })), 'docs/accuracy.md has these rows: npm run accuracy'),
  );
}

t.test(
  'docs/accuracy.md has a section for every comparison, counts its rows and has none that does not hold',
  async t => {
    const titles = [...comparisons, ...heavyComparisons, ...pageComparisons].map(({ title }) => title);
    t.same(
      [...page.matchAll(/^## (.*)$/gm)].map(([, title]) => title),
      titles,
    );
    t.equal(new Set(titles).size, titles.length, 'titles differ');
    t.equal(
      accuracyPage(
        titles.map(title => sectionIn(page, title) ?? ''),
        version,
      ),
      page,
    );
    t.notMatch(page, /DIFFERS|BROKEN/);
  },
);

t.test('the page says of each row how far off it is, what is allowed and how it stands', async t => {
  const rows: readonly ComparisonRow[] = [
    { what: 'a|b', unit: 'us', published: 200, ours: 203, allowed: { relative: 0.02 }, note: 'x < y' },
    { what: 'c', unit: 'us', published: 200, ours: 206, allowed: { relative: 0.02 } },
    { what: 'd', unit: 'B', published: 0, ours: 1, allowed: { absolute: 2 } },
    { what: 'e', unit: 'B', published: 9, ours: 10, allowed: { bound: 'at-most' } },
    { what: 'f', unit: 'B', published: 9, ours: Number.NaN, allowed: { quoted: 'not built' } },
  ];
  const section = accuracySection({
    comparison: { title: 'A title, 1', source: 's', method: 'm', rows: () => rows },
    rows,
  });
  t.same(
    section
      .split('\n')
      .filter(line => line.startsWith('| '))
      .slice(1),
    [
      '| a\\|b | us | 200 | 203 | +1.5 % | 2 % | agrees | x &lt; y |',
      '| c | us | 200 | 206 | +3 % | 2 % | DIFFERS |  |',
      '| d | B | 0 | 1 | +1 | 2 B | agrees |  |',
      '| e | B | 9 | 10 |  | at most | BROKEN |  |',
      '| f | B | 9 | none |  |  | not judged: not built |  |',
    ],
  );
  const whole = accuracyPage([section], '1.2.3');
  t.match(
    whole,
    'Farspan 1.2.3. 1 comparisons, 5 rows: 2 of 4 judged rows agree, 2 do not; 1 are quoted and not judged.',
  );
  t.match(whole, '- [A title, 1](#a-title-1)');
  t.equal(sectionIn(whole, 'A title, 1'), section);
});

t.test('a row holds within what is allowed, and not beyond', async t => {
  const row = (ours: number, allowed: ComparisonRow['allowed']): ComparisonRow => ({
    what: 'a value',
    unit: 'us',
    published: 200,
    ours,
    allowed,
  });
  for (const ours of [194, 200, 206]) t.equal(disagreement(row(ours, { relative: 0.03 })), undefined);
  for (const ours of [193, 207, Number.NaN, Number.POSITIVE_INFINITY])
    t.ok(disagreement(row(ours, { relative: 0.03 })));
  t.equal(disagreement(row(201, { absolute: 1 })), undefined);
  t.ok(disagreement(row(201.5, { absolute: 1 })));
  t.equal(disagreement(row(199, { bound: 'at-most' })), undefined);
  t.ok(disagreement(row(199, { bound: 'at-least' })));
  t.ok(disagreement(row(Number.NaN, { bound: 'at-least' })));
  t.equal(disagreement(row(Number.NaN, { quoted: 'not built' })), undefined);
});
