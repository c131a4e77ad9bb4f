import { type Comparison, type ComparisonRow, disagreement } from './published/comparison.ts';

/** A comparison and what it gave. */
export interface ComparedSection {
  readonly comparison: Comparison;
  readonly rows: readonly ComparisonRow[];
}

/** How a row stands, in words. */
export function verdictOf(row: ComparisonRow): string {
  if ('quoted' in row.allowed) return `not judged: ${row.allowed.quoted}`;
  const wrong = disagreement(row);
  if ('bound' in row.allowed) return wrong === undefined ? 'holds' : 'BROKEN';
  return wrong === undefined ? 'agrees' : 'DIFFERS';
}

/** The whole page, in Markdown, from its sections' texts. The same rows give the same bytes: no date, no machine. */
export function accuracyPage(sections: readonly string[], version: string): string {
  const verdicts = sections.flatMap(verdictsIn);
  const judged = verdicts.filter(verdict => !verdict.startsWith('not judged'));
  const wrong = judged.filter(verdict => verdict !== 'agrees' && verdict !== 'holds').length;
  return [
    '# Accuracy: published numbers beside ours',
    '',
    `Farspan ${version}. ${sections.length} comparisons, ${verdicts.length} rows: ${judged.length - wrong} of ${judged.length} judged rows agree, ${wrong} do not; ${verdicts.length - judged.length} are quoted and not judged.`,
    '',
    'Made by `npm run accuracy` from `bench/published/`; the same rows are the tests `test/bench/published.test.ts` and',
    '`test/bench/published-heavy.test.ts`. "Off" is ours less the published value, in percent of it unless what is allowed is a number. What',
    'is allowed stands beside each row in the source.',
    '',
    ...sections.map(titleOf).map(title => `- [${title}](#${anchorOf(title)})`),
    '',
    ...sections,
  ].join('\n');
}

/** The text of a comparison's section in a page that was made before; undefined when it has none. */
export function sectionIn(page: string, title: string): string | undefined {
  const begin = page.indexOf(`\n## ${title}\n`);
  if (begin < 0) return undefined;
  const end = page.indexOf('\n## ', begin + 1);
  return page.slice(begin + 1, end < 0 ? undefined : end);
}

function titleOf(section: string): string {
  return section.slice('## '.length, section.indexOf('\n'));
}

function verdictsIn(section: string): readonly string[] {
  const lines = section.split('\n').filter(line => line.startsWith('| '));
  return lines.slice(1).map(line => line.split(/(?<!\\) \| /)[6] ?? '');
}

/** One comparison's part of the page; ends with a line feed. */
export function accuracySection({ comparison, rows }: ComparedSection): string {
  return [
    `## ${comparison.title}`,
    '',
    `Source: ${oneLine(comparison.source)}.`.replace(/\.\.$/, '.'),
    '',
    `Method: ${oneLine(comparison.method)}`,
    '',
    '| what | unit | published | ours | off | allowed | verdict | note |',
    '|---|---|---:|---:|---:|---|---|---|',
    ...rows.map(row => {
      const cells = [
        row.what,
        row.unit,
        shownNumber(row.published),
        Number.isNaN(row.ours) ? 'none' : shownNumber(row.ours),
        offOf(row),
        allowedOf(row),
        verdictOf(row),
        row.note ?? '',
      ];
      return `| ${cells.map(cell).join(' | ')} |`;
    }),
    '',
  ].join('\n');
}

/** As the test prints it: value beside value. */
export function rowInWords(row: ComparisonRow): string {
  const off = offOf(row);
  return `${row.what}: published ${shownNumber(row.published)}, ours ${Number.isNaN(row.ours) ? 'none' : shownNumber(row.ours)} ${row.unit}${off === '' ? '' : ` (${off})`}; ${verdictOf(row)}`;
}

/** Six digits, or one after the point, show every published value here as it is printed. */
function shownNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return String(value);
  if (Math.abs(value) >= 1e5 && Math.abs(value) < 1e12) return String(Number(value.toFixed(1)));
  const short = Number(value.toPrecision(6));
  return Math.abs(short) >= 1e-4 && Math.abs(short) < 1e12 ? String(short) : short.toExponential();
}

function offOf({ published, ours, allowed }: ComparisonRow): string {
  if (!Number.isFinite(ours) || 'bound' in allowed) return '';
  const off = ours - published;
  if (published === 0 || 'absolute' in allowed) return signed(Number(off.toPrecision(3)));
  return `${signed(Number(((100 * off) / Math.abs(published)).toFixed(2)))} %`;
}

function signed(value: number): string {
  return value > 0 ? `+${value}` : String(value === 0 ? 0 : value);
}

function allowedOf({ allowed, unit }: ComparisonRow): string {
  if ('quoted' in allowed) return '';
  if ('bound' in allowed) return allowed.bound === 'at-most' ? 'at most' : 'at least';
  if ('relative' in allowed) return `${Number((100 * allowed.relative).toPrecision(3))} %`;
  return allowed.absolute === 0 ? 'none' : `${Number(allowed.absolute.toPrecision(3))} ${unit}`;
}

function cell(text: string): string {
  return oneLine(text).replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}

/** GitHub's anchor of a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}
