import { ParseError } from '../parse-error.ts';

/** `N/A`, `-`, an empty cell, or no such column: the device does not have it. Never zero. */
export function isMissing(cell: string | undefined): boolean {
  return cell === undefined || cell === '' || cell === 'N/A' || cell === 'n/a' || cell === '-' || cell === 'None';
}

/** A whole number, thousands commas allowed. Null when missing. @throws ParseError */
export function countCell(cell: string | undefined): bigint | null {
  if (cell === undefined || isMissing(cell)) return null;
  if (!/^(\d{1,20}|\d{1,3}(,\d{3}){1,6})$/.test(cell)) throw new ParseError('a count', cell);
  return BigInt(cell.replaceAll(',', ''));
}

/** A decimal number, also `4.21e-10`. Null when missing. @throws ParseError */
export function numberCell(cell: string | undefined): number | null {
  if (cell === undefined || isMissing(cell)) return null;
  const value = /^[-+]?\d{1,40}(\.\d{0,40})?([eE][-+]?\d{1,3})?$/.test(cell) ? Number(cell) : Number.NaN;
  if (!Number.isFinite(value)) throw new ParseError('a number', cell);
  return value;
}

/** A count that fits a double exactly, such as an MTU. @throws ParseError */
export function smallCountCell(cell: string | undefined): number | null {
  const count = countCell(cell);
  if (count === null) return null;
  if (count > BigInt(Number.MAX_SAFE_INTEGER)) throw new ParseError('a count below 2^53', cell ?? '');
  return Number(count);
}

const BYTE_RATES: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/**
 * `2000.00 MB/s` in bit/s. The column is named BPS but counts **bytes**, with decimal prefixes.
 *
 * @see utilities_common/netstat.py, format_brate, of sonic-utilities
 * @throws ParseError
 */
export function byteRateCell(cell: string | undefined): number | null {
  if (cell === undefined || isMissing(cell)) return null;
  const match = /^(\d{1,30}(?:\.\d{1,10})?) ([KMGT]?B)\/s$/.exec(cell);
  if (!match) throw new ParseError('a byte rate such as "1.00 MB/s"', cell);
  return Number(match[1]) * (BYTE_RATES[match[2] ?? ''] ?? Number.NaN) * 8;
}

/** `247000.00/s` in packets a second. @throws ParseError */
export function packetRateCell(cell: string | undefined): number | null {
  if (cell === undefined || isMissing(cell)) return null;
  if (!cell.endsWith('/s')) throw new ParseError('a packet rate such as "1.00/s"', cell);
  return numberCell(cell.slice(0, -2));
}

/** `64.00%` as a fraction of 1. @throws ParseError */
export function percentCell(cell: string | undefined): number | null {
  if (cell === undefined || isMissing(cell)) return null;
  if (!cell.endsWith('%')) throw new ParseError('a percentage', cell);
  const value = numberCell(cell.slice(0, -1));
  return value === null ? null : value / 100;
}

/** `40G`, `1000M`, `100M`, `1.6T` in bit/s. @throws ParseError */
export function speedCell(cell: string | undefined): number | null {
  if (cell === undefined || isMissing(cell)) return null;
  const match = /^(\d{1,9}(?:\.\d{1,3})?)([MGT])$/.exec(cell);
  if (!match) throw new ParseError('a speed such as "100G"', cell);
  return Math.round(Number(match[1]) * ({ M: 1e6, G: 1e9, T: 1e12 }[match[2] as 'M' | 'G' | 'T'] ?? Number.NaN));
}

/** `up`/`U` true, `down`/`D` false; null for anything missing. `X` is admin down (intfutil). @throws ParseError */
export function upCell(cell: string | undefined): boolean | null {
  if (cell === undefined || isMissing(cell)) return null;
  if (cell === 'up' || cell === 'U') return true;
  if (cell === 'down' || cell === 'D' || cell === 'X') return false;
  throw new ParseError('up or down', cell);
}

/** Text, or null when missing. */
export function textCell(cell: string | undefined): string | null {
  return cell === undefined || isMissing(cell) ? null : cell;
}

/** A cell that must be there. @throws ParseError */
export function nameCell(cell: string | undefined): string {
  if (cell === undefined || cell === '') throw new ParseError('a name', cell ?? '');
  return cell;
}
