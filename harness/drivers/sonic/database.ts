import { ParseError } from '../parse-error.ts';
import { refuseCliError } from './table.ts';

/** Most of what a hash of COUNTERS_DB holds is far below this. */
const MOST_KEYS = 100_000;

/**
 * `sonic-db-cli DB HGETALL KEY`: a Python dict of strings, `{'SAI_PORT_STAT_…': '12', …}`. An unknown key answers `{}`.
 * Linear time; no code is run.
 *
 * @throws ParseError
 */
export function parsePythonDict(text: string): ReadonlyMap<string, string> {
  const expected = "a Python dict of strings such as {'a': 'b'}";
  refuseCliError(text, expected);
  const body = text.trim();
  if (!body.startsWith('{') || !body.endsWith('}')) throw new ParseError(expected, text);
  const found = new Map<string, string>();
  // A sticky scan: each step starts where the last ended, so nothing is read twice.
  const entry = /\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*:\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*(,|$)/y;
  const inner = body.slice(1, -1);
  let at = 0;
  while (at < inner.length && inner.slice(at).trim() !== '') {
    entry.lastIndex = at;
    const match = entry.exec(inner);
    if (!match || found.size >= MOST_KEYS) throw new ParseError(expected, inner.slice(at, at + 100));
    found.set(match[1] ?? match[2] ?? '', match[3] ?? match[4] ?? '');
    at = entry.lastIndex;
    if (match[5] !== ',') {
      if (at < inner.length) throw new ParseError(expected, inner.slice(at, at + 100));
      break;
    }
  }
  return found;
}

/** `show version`: the lines `Name: value`. @throws ParseError when it names no software version */
export function parseShowVersion(text: string): {
  readonly software: string;
  readonly model: string;
  readonly serial: string;
} {
  const expected = 'show version';
  refuseCliError(text, expected);
  const value = (name: string): string => {
    const line = text.split('\n').find(candidate => candidate.trimStart().startsWith(`${name}:`));
    return line === undefined ? '' : line.slice(line.indexOf(':') + 1).trim();
  };
  const software = value('SONiC Software Version').replace(/^SONiC\./, '');
  if (software === '') throw new ParseError(`${expected}: a line "SONiC Software Version: …"`, text);
  return { software, model: value('HwSKU'), serial: value('Serial Number') };
}
