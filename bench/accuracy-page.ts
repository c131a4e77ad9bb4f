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

/** The whole page, in Markdown. The same rows give the same bytes: no date, no machine. */
export function accuracyPage(sections: readonly ComparedSection[], version: string): string {
  const rows = sections.flatMap(section => section.rows);
  const judged = rows.filter(({ allowed }) => !('quoted' in allowed));
  const wrong = judged.filter(row => disagreement(row) !== undefined).length;
  return [
    '# Accuracy: published numbers beside ours',
    '',
    `Farspan ${version}. ${sections.length} comparisons, ${rows.length} rows: ${judged.length - wrong} of ${judged.length} judged rows agree, ${wrong} do not; ${rows.length - judged.length} are quoted and not judged.`,
    '',
    'Made by `npm run accuracy` from `bench/published/`; the same rows are the tests `test/bench/published.test.ts` and',
    '`test/bench/published-heavy.test.ts`. "Off" is ours less the published value, in percent of it where it is not 0. "Allowed" is fixed',
    'beside each row in the source, never fitted by the run.',
    '',
    ...sections.map(({ comparison }) => `- [${comparison.title}](#${anchorOf(comparison.title)})`),
    '',
    ...sections.map(section => accuracySection(section)),
  ].join('\n');
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

/** Six digits show every published value here as it is printed, and differences of 1e-5. */
function shownNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return String(value);
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
