import { ParseError } from '../parse-error.ts';

/** One table as `tabulate` prints it: a header, a ruler of dashes, rows. Cells are trimmed text. */
export interface Table {
  /** Lines that stand before the header, trimmed: captions, namespaces, notes. */
  readonly before: readonly string[];
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, string>>[];
}

/**
 * Lines that sonic-utilities prints around its tables. Any other line that is not part of a table is an error: a row that
 * does not fit its ruler must never vanish.
 */
const KNOWN_NOTES: readonly RegExp[] = [
  /^Reminder: /,
  /^Total number of neighbors \d+$/,
  /^Total entries displayed: +\d+$/,
  /^Capability codes: /,
  /^-+$/,
  /^The rates are calculated within \d+ seconds period$/,
  /^Last cached time was /,
  /^Changed polling interval to \d+ms( on \S+)?$/,
  /^BIG_RED_SWITCH status is \S+( on \S+)?$/,
  /^For namespace *\S*:$/,
  /^For namespace \S* *:$/,
  /^Running command: /,
  /^(Shared|Headroom) pool maximum occupancy:/,
  /^(Ingress|Egress) [a-z ]+ per [A-Za-z ]+:/,
  /^Namespace:? \S+$/,
];

/** Text that sonic-utilities or the shell prints instead of an answer. */
const CLI_ERROR =
  /^(Usage: |Error: |Traceback \(most recent call last\)|Root privileges are required|.*: command not found$|.*: Permission denied$|Failed to |sudo: )/m;

/** @throws ParseError when the text is a usage or error message of the CLI */
export function refuseCliError(text: string, expected: string): void {
  if (CLI_ERROR.test(text.slice(0, 20_000))) throw new ParseError(`${expected} but an error message`, text);
}

type Span = readonly [number, number];

/** Where the columns of a ruler are; undefined when the line is none. At least two columns: `-----` alone closes other tables. */
function rulerSpans(line: string): readonly Span[] | undefined {
  if (!/^[ -]*$/.test(line) || !line.includes('--')) return undefined;
  const spans = [...line.matchAll(/-+/g)].map(({ index, 0: dashes }): Span => [index, index + dashes.length]);
  return spans.length >= 2 && spans.every(([begin, end]) => end - begin >= 2) ? spans : undefined;
}

/** Cells of a line, or undefined when text stands where the ruler has none. */
function cells(line: string, spans: readonly Span[]): readonly string[] | undefined {
  const found: string[] = [];
  let at = 0;
  for (const [begin, end] of spans) {
    if (line.slice(at, begin).trim() !== '') return undefined;
    found.push(line.slice(begin, end).trim());
    at = end;
  }
  return line.slice(at).trim() === '' ? found : undefined;
}

/**
 * Every table in the text, by its ruler of dashes. Headers may span lines (their first column is blank on all but the first);
 * empty lines separate groups of rows inside a table. Linear time.
 *
 * @param notes further lines that may stand around the tables
 * @throws ParseError on error messages, when there is no table, or a line is neither row nor known note
 */
export function readTables(text: string, expected: string, notes: readonly RegExp[] = []): readonly Table[] {
  refuseCliError(text, expected);
  const lines = text.split('\n');
  const rulers = lines.flatMap((line, at) => {
    const spans = rulerSpans(line);
    return spans === undefined ? [] : [{ at, spans, header: at }];
  });
  if (rulers.length === 0) throw new ParseError(expected, text);
  for (const ruler of rulers) {
    do {
      ruler.header--;
    } while (
      ruler.header > 0 &&
      lines[ruler.header]?.trim() !== '' &&
      lines[ruler.header]?.slice(...(ruler.spans[0] as Span)).trim() === ''
    );
    if (ruler.header < 0 || lines[ruler.header]?.trim() === '')
      throw new ParseError(`${expected}: a header above the ruler`, lines[ruler.at] ?? '');
  }
  const isNote = (line: string): boolean => [...KNOWN_NOTES, ...notes].some(note => note.test(line));
  const outside = (line: string): string => {
    const trimmed = line.trim();
    if (!isNote(trimmed)) throw new ParseError(`${expected}: a row that fits its ruler, or a known note`, line);
    return trimmed;
  };
  let before = lines
    .slice(0, rulers[0]?.header)
    .filter(line => line.trim() !== '')
    .map(outside);
  return rulers.map(({ at, spans, header }, i) => {
    const columns = spans.map(([begin, end]) =>
      lines
        .slice(header, at)
        .map(line => line.slice(begin, end).trim())
        .filter(part => part !== '')
        .join(' '),
    );
    const rows: Readonly<Record<string, string>>[] = [];
    const after: string[] = [];
    for (const line of lines.slice(at + 1, rulers[i + 1]?.header)) {
      if (line.trim() === '') continue;
      const found = isNote(line.trim()) ? undefined : cells(line, spans);
      // The first column names the row; without it the line belongs to nothing.
      if (found === undefined || found[0] === '') after.push(outside(line));
      else if (after.length > 0) throw new ParseError(`${expected}: rows directly below each other`, line);
      else rows.push(Object.fromEntries(columns.map((column, c) => [column, found[c] ?? ''])));
    }
    const table = { before, columns, rows };
    before = after;
    return table;
  });
}

/** Tables of which each has at least these columns. @throws ParseError */
export function readTablesWith(
  text: string,
  expected: string,
  columns: readonly string[],
  notes?: readonly RegExp[],
): readonly Table[] {
  const tables = readTables(text, expected, notes);
  for (const table of tables) {
    const missing = columns.filter(column => !table.columns.includes(column));
    if (missing.length > 0)
      throw new ParseError(`${expected}: a column ${missing.join(', ')}`, table.columns.join('  '));
  }
  return tables;
}

/** The namespace that the lines before a table name, such as `asic0`; empty when they name none. */
export function namespaceOf({ before }: Table): string {
  for (const line of before.toReversed()) {
    const named = /\(Namespace (\S+)\)|^For namespace *(\S*?) *:/.exec(line);
    if (named) return named[1] ?? named[2] ?? '';
  }
  return '';
}
