import { escapeDeviceText } from '../device-text.ts';
import { isRecord, ParseError, parseJson } from '../parse-error.ts';
import { countCell, nameCell } from './cell.ts';
import { namespaceOf, readTables } from './table.ts';

/** Peak occupancy since the last clear, bytes. */
export interface Watermark {
  readonly namespace: string;
  /** A port, or a pool. */
  readonly of: string;
  /** By queue (`UC3`), priority group (`PG3`), or `Bytes` for a pool. */
  readonly bytes: Readonly<Record<string, bigint | null>>;
}

/**
 * `show queue watermark`, `show priority-group watermark`, `show buffer_pool watermark`, `show headroom-pool watermark` and their
 * `persistent-watermark` forms, text or JSON.
 *
 * @throws ParseError
 */
export function parseWatermarks(text: string): readonly Watermark[] {
  const expected = 'a watermark table';
  if (!/^\s*\[/.test(text)) {
    return readTables(text, expected).flatMap(table => {
      const [first = '', ...rest] = table.columns;
      if (first !== 'Port' && first !== 'Pool') throw new ParseError(`${expected}: a first column Port or Pool`, first);
      return table.rows.map(row => ({
        namespace: namespaceOf(table),
        of: nameCell(row[first]),
        bytes: Object.fromEntries(rest.map(column => [column, countCell(row[column])])),
      }));
    });
  }
  const rows = parseJson(text, expected);
  if (!Array.isArray(rows)) throw new ParseError(expected, text);
  return rows.map((row: unknown) => {
    if (!isRecord(row)) throw new ParseError(`${expected}: objects`, text);
    const { Port, Pool, ...cells } = row;
    const of = Port ?? Pool;
    if (typeof of !== 'string') throw new ParseError(`${expected}: a Port or Pool`, text);
    return {
      namespace: '',
      of: escapeDeviceText(of),
      bytes: Object.fromEntries(
        Object.entries(cells).map(([column, value]) => [escapeDeviceText(column), countCell(String(value))]),
      ),
    };
  });
}
