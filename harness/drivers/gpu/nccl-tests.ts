import type { CollectiveRow } from '../../binding/host.ts';
import { escapeDeviceText } from '../device-text.ts';
import { isRecord, ParseError, parseJson } from '../parse-error.ts';

/** One timed collective of a row: out-of-place or in-place. */
export interface NcclTiming {
  readonly timeUs: number;
  readonly algbwBps: number;
  readonly busbwBps: number;
  /** Null when the tool did not check (`N/A`). */
  readonly wrong: number | null;
}

export interface NcclRow {
  readonly sizeBytes: number;
  readonly count: number;
  readonly type: string;
  readonly operation: string;
  readonly root: number;
  readonly outOfPlace: NcclTiming;
  /** Null where the format has no in-place columns. */
  readonly inPlace: NcclTiming | null;
}

export interface NcclText {
  readonly rows: readonly NcclRow[];
  /** Wrong values outside of what was to be written; undefined before the end. */
  readonly outOfBounds: number | undefined;
  readonly averageBusbwBps: number | undefined;
  /** Lines in which the tool, MPI or NCCL say that the job failed. */
  readonly failures: readonly string[];
}

const FAILURE =
  /Test (NCCL|CUDA) failure|unhandled (system|cuda) error|mpirun noticed|MPI_ABORT|NCCL WARN|exited on signal|ORTE|PRTE|Primary job +terminated/;

/** GB/s of nccl-tests are 10^9 B/s (`src/common.cu`: `deltaSec … / 1.0E9`). */
const GIGABYTE_BITS = 8e9;

/** `62.31`, `1.2e+06`. Undefined when it is no finite number. */
function number(word: string | undefined): number | undefined {
  if (word === undefined || !/^\d{1,20}(\.\d{0,10})?([eE][-+]?\d{1,3})?$/.test(word)) return undefined;
  const value = Number(word);
  return Number.isFinite(value) ? value : undefined;
}

function timing(words: readonly string[]): NcclTiming | undefined {
  const [timeUs, algbw, busbw] = words.slice(0, 3).map(number);
  const wrong = words[3] === 'N/A' ? null : number(words[3]);
  if (timeUs === undefined || algbw === undefined || busbw === undefined || wrong === undefined) return undefined;
  return { timeUs, algbwBps: algbw * GIGABYTE_BITS, busbwBps: busbw * GIGABYTE_BITS, wrong };
}

/** A data row, or undefined for any other line. */
function rowOf(line: string): NcclRow | undefined {
  const words = line.trim().split(/\s+/, 32);
  const [size, count, type = '', operation = '', root = ''] = words;
  const sizeBytes = number(size);
  const elements = number(count);
  if (sizeBytes === undefined || elements === undefined || !/^[a-z]\w*$/.test(type) || !/^-?\d{1,6}$/.test(root))
    return undefined;
  const outOfPlace = timing(words.slice(5, 9));
  // 13 words: both placements. 17: each with the i_min i_max i_p99 i_cv% columns of `-I 1` is not asked for by Farspan.
  const inPlace = words.length === 13 ? timing(words.slice(9, 13)) : null;
  if (outOfPlace === undefined || inPlace === undefined || (words.length !== 9 && words.length !== 13))
    return undefined;
  return { sizeBytes, count: elements, type, operation, root: Number(root), outOfPlace, inPlace };
}

/**
 * stdout of an nccl-tests program (2.19 format), also while it runs: a last line without its newline is not read yet.
 * Lines that it does not know (banners, MPI chatter) are skipped; a line that begins like a row but does not read is an error.
 *
 * @throws ParseError
 */
export function parseNcclText(text: string): NcclText {
  const rows: NcclRow[] = [];
  const failures: string[] = [];
  let outOfBounds: number | undefined;
  let averageBusbwBps: number | undefined;
  const lines = text.split('\n');
  for (const line of lines.slice(0, -1)) {
    if (FAILURE.test(line.slice(0, 2000))) {
      failures.push(line.trim().slice(0, 500));
      continue;
    }
    if (line.startsWith('#')) {
      const bounds = /^# Out of bounds values *: *(\d{1,15})\b/.exec(line);
      if (bounds) outOfBounds = Number(bounds[1]);
      const average = /^# Avg bus bandwidth *: *(\S+)/.exec(line);
      if (average) averageBusbwBps = (number(average[1]) ?? fail('an average', line)) * GIGABYTE_BITS;
      continue;
    }
    const row = rowOf(line);
    if (row) rows.push(row);
    else if (/^ *\d+ +\d+ +(?:u?int\d+|float|double|half|bfloat16|u?int8|fp8)/.test(line)) fail('a row', line);
  }
  return { rows, outOfBounds, averageBusbwBps, failures };
}

function fail(what: string, line: string): never {
  throw new ParseError(`nccl-tests: ${what}`, line);
}

/**
 * Rounds in order. A row holds two: the collective is timed first out-of-place, then in-place (`src/common.cu`, `TimeTest`).
 *
 * @param first number of the first round in `rows`
 */
export function roundsOf(rows: readonly NcclRow[], first = 0): readonly CollectiveRow[] {
  return rows
    .flatMap(({ outOfPlace, inPlace }) => (inPlace === null ? [outOfPlace] : [outOfPlace, inPlace]))
    .map(({ timeUs, busbwBps, wrong }, i) => ({ round: first + i, timeUs, busbwBps, wrong }));
}

export interface NcclJson {
  readonly version: string;
  readonly rows: readonly NcclRow[];
  readonly outOfBounds: number | null;
  readonly averageBusbwBps: number | null;
  readonly errors: readonly string[];
}

/**
 * The file of `-J`, format 3. It is streamed, so that of a killed job is cut off: an error here. `env` is never returned, for it
 * may hold secrets.
 *
 * @throws ParseError
 */
export function parseNcclJson(text: string): NcclJson {
  const expected = 'nccl-tests -J';
  const whole = parseJson(text, expected);
  if (!isRecord(whole) || !Array.isArray(whole['results']))
    throw new ParseError(`${expected}: an object with results`, text);
  const finite = (value: unknown): number | null => {
    const asNumber = typeof value === 'string' && value !== '' ? number(value) : value;
    return typeof asNumber === 'number' && Number.isFinite(asNumber) ? asNumber : null;
  };
  const placed = (value: unknown): NcclTiming | null => {
    if (!isRecord(value)) return null;
    const [timeUs, algbw, busbw] = [finite(value['time']), finite(value['alg_bw']), finite(value['bus_bw'])];
    if (timeUs === null || algbw === null || busbw === null) return null;
    return { timeUs, algbwBps: algbw * GIGABYTE_BITS, busbwBps: busbw * GIGABYTE_BITS, wrong: finite(value['nwrong']) };
  };
  const bounds = whole['out_of_bounds'];
  const average = whole['average_bus_bandwidth'];
  const averageValue = isRecord(average) ? finite(average['bandwidth']) : null;
  return {
    version: printed(whole['version']),
    rows: (whole['results'] as readonly unknown[]).map(row => {
      const outOfPlace = isRecord(row) ? placed(row['out_of_place']) : null;
      if (!isRecord(row) || outOfPlace === null) throw new ParseError(`${expected}: results with out_of_place`, text);
      return {
        sizeBytes: finite(row['size']) ?? fail('a size', text),
        count: finite(row['count']) ?? fail('a count', text),
        type: printed(row['type']),
        operation: printed(row['redop']),
        root: finite(row['root']) ?? -1,
        outOfPlace,
        inPlace: placed(row['in_place']),
      };
    }),
    outOfBounds: isRecord(bounds) ? finite(bounds['count']) : null,
    averageBusbwBps: averageValue === null ? null : averageValue * GIGABYTE_BITS,
    errors: Array.isArray(whole['errors']) ? (whole['errors'] as readonly unknown[]).map(printed) : [],
  };
}

function printed(value: unknown): string {
  return escapeDeviceText(typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).slice(0, 500);
}
