import { escapeDeviceText } from '../device-text.ts';
import { isRecord, ParseError, parseJson } from '../parse-error.ts';
import { refuseCliError } from './table.ts';

/** A table of CONFIG_DB: key (`Ethernet0|3-4`) to fields. */
export type ConfigTable = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** What prints a table of CONFIG_DB as JSON; nothing at all when there is no such table. */
export const configTableCommand = (table: string): string => `sonic-cfggen -d --var-json ${table}`;

/** `sonic-cfggen -d --var-json TABLE`. No output is an empty table. Values that are no text are left out. @throws ParseError */
export function parseConfigTable(text: string): ConfigTable {
  const expected = 'a table of CONFIG_DB';
  refuseCliError(text, expected);
  if (text.trim() === '') return new Map();
  const table = parseJson(text, expected);
  if (!isRecord(table)) throw new ParseError(expected, text);
  return new Map(
    Object.entries(table).map(([key, fields]) => {
      if (!isRecord(fields)) throw new ParseError(`${expected}: fields of ${key}`, text);
      return [
        escapeDeviceText(key),
        new Map(
          Object.entries(fields).flatMap(([name, value]) =>
            typeof value === 'string' ? [[escapeDeviceText(name), escapeDeviceText(value)] as const] : [],
          ),
        ),
      ];
    }),
  );
}
