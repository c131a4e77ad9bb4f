import type { BfdSession } from '../../model/device-configuration.ts';
import { ParseError } from '../parse-error.ts';
import { nameCell, smallCountCell } from './cell.ts';
import { readTablesWith } from './table.ts';

const NOTES = [/^Total number of BFD sessions: \d+$/];

/**
 * `show bfd summary`: sessions that the switch itself runs. Those of FRR's bfdd are not in it. Intervals are whole ms.
 *
 * @see sonic-utilities, show/main.py, `bfd summary`
 * @throws ParseError
 */
export function parseBfdSummary(text: string): readonly BfdSession[] {
  const expected = 'show bfd summary';
  return readTablesWith(text, expected, ['Peer Addr', 'TX Interval', 'RX Interval', 'Multiplier'], NOTES).flatMap(
    ({ rows }) =>
      rows.map(row => {
        const count = (column: string): number => {
          const value = smallCountCell(row[column]);
          if (value === null) throw new ParseError(`${expected}: a ${column}`, row[column] ?? '');
          return value;
        };
        return {
          peer: nameCell(row['Peer Addr']),
          txMs: count('TX Interval'),
          rxMs: count('RX Interval'),
          multiplier: count('Multiplier'),
        };
      }),
  );
}
