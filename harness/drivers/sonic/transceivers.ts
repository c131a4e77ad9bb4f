import { ParseError } from '../parse-error.ts';
import { nameCell, numberCell, textCell } from './cell.ts';
import { readTables, refuseCliError } from './table.ts';

/** One transceiver as `key: value` lines say it. */
export interface Transceiver {
  /** The port; empty when the text names none. */
  readonly port: string;
  /** `SFP EEPROM detected` true, `… Not detected` false; undefined when the text does not say. */
  readonly detected?: boolean;
  /** Values by name. Wrapped values are joined by a newline. A name inside a section is `Section/Name`. */
  readonly values: ReadonlyMap<string, string>;
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

/** `show interfaces transceiver eeprom [--dom]`, `… status`, `… dom` with an external laser source. @throws ParseError */
export function parseTransceivers(text: string): readonly Transceiver[] {
  const expected = 'show interfaces transceiver';
  refuseCliError(text, expected);
  const found: { port: string; detected?: boolean; values: Map<string, string> }[] = [];
  let section: { readonly name: string; readonly indent: number } | undefined;
  let last: { readonly key: string; readonly indent: number } | undefined;
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const indent = indentOf(line.replaceAll('\t', '        '));
    if (indent === 0) {
      const head = /^(\S+): *(?:SFP EEPROM (detected|Not detected)|(.*))$/.exec(line.trimEnd());
      if (!head || (head[3] ?? '') !== '')
        throw new ParseError(`${expected}: a port and whether its EEPROM was detected`, line);
      found.push({
        port: head[1] ?? '',
        ...(head[2] === undefined ? {} : { detected: head[2] === 'detected' }),
        values: new Map(),
      });
      section = undefined;
      last = undefined;
      continue;
    }
    if (found.length === 0) found.push({ port: '', values: new Map() });
    const values = found.at(-1)?.values;
    if (values === undefined) continue;
    // A value that was wrapped stands far to the right of its key.
    if (last !== undefined && indent >= last.indent + 16) {
      values.set(last.key, `${values.get(last.key)}\n${line.trim()}`);
      continue;
    }
    if (section !== undefined && indent <= section.indent) section = undefined;
    const match = /^([^:]{1,120}?) *:(?: +(.*))?$/.exec(line.trim());
    if (!match) throw new ParseError(`${expected}: a name, a colon and a value`, line);
    const [, name = '', value = ''] = match;
    if (value === '') {
      section = { name, indent };
      last = undefined;
      continue;
    }
    const key = section === undefined ? name : `${section.name}/${name}`;
    values.set(key, value.trim());
    last = { key, indent };
  }
  if (found.length === 0) throw new ParseError(expected, text);
  return found;
}

/** A number and its unit in a transceiver's value: `-3.8595dBm`, `30.9258C`, `3.2824Volts`, `193100GHz`. Null when it has none. */
export function transceiverNumber(
  value: string | undefined,
  unit: 'dBm' | 'mA' | 'C' | 'Volts' | 'GHz' | 'mW',
): number | null {
  const match = /^(-?\d{1,12}(?:\.\d{1,12})?)([A-Za-z]+)$/.exec(value ?? '');
  return match && match[2] === unit ? Number(match[1]) : null;
}

export interface PerformanceMonitor {
  readonly port: string;
  readonly parameter: string;
  readonly unit: string | null;
  readonly min: number | null;
  readonly avg: number | null;
  readonly max: number | null;
  readonly highAlarm: number | null;
  readonly highWarning: number | null;
  readonly crossingHigh: boolean | null;
  readonly lowAlarm: number | null;
  readonly lowWarning: number | null;
  readonly crossingLow: boolean | null;
}

/** `show interfaces transceiver pm`. @throws ParseError */
export function parseTransceiverPm(text: string): readonly PerformanceMonitor[] {
  const expected = 'show interfaces transceiver pm';
  const crossed = (cell: string | undefined): boolean | null => {
    if (cell === undefined || cell === '' || cell === 'N/A') return null;
    if (cell !== 'True' && cell !== 'False') throw new ParseError(`${expected}: True or False`, cell);
    return cell === 'True';
  };
  let port = '';
  return readTables(text, expected, [/^\S+:$/, /^\S+: Transceiver performance monitoring not applicable$/]).flatMap(
    table => {
      port = /^(\S+):$/.exec(table.before.at(-1) ?? '')?.[1] ?? port;
      if (!table.columns.includes('Parameter'))
        throw new ParseError(`${expected}: a column Parameter`, table.columns.join('  '));
      return table.rows.map(row => ({
        port,
        parameter: nameCell(row['Parameter']),
        unit: textCell(row['Unit']),
        min: numberCell(row['Min']),
        avg: numberCell(row['Avg']),
        max: numberCell(row['Max']),
        highAlarm: numberCell(row['Threshold High Alarm']),
        highWarning: numberCell(row['Threshold High Warning']),
        crossingHigh: crossed(row['Threshold Crossing Alert-High']),
        lowAlarm: numberCell(row['Threshold Low Alarm']),
        lowWarning: numberCell(row['Threshold Low Warning']),
        crossingLow: crossed(row['Threshold Crossing Alert-Low']),
      }));
    },
  );
}
