import { crc32 } from 'node:zlib';
import { harmlessJson } from './harmless-json.ts';

/**
 * Writes lines that each end with a checksum over themselves and the sum before them: CRC-32 (ISO 3309, as in gzip), chained. Any changed,
 * missing, doubled or swapped line is found when they are read; every error of one byte is, for CRC-32 finds all bursts of up to 32 bits.
 * It guards against failing disks and careless hands, not against a forger.
 */
export interface Sealer {
  /** The line as it is to be written, with its newline. What follows is chained to it, whether or not it was written. */
  seal(line: object): string;
  /** What the last line was sealed with, 8 hex digits; zeros before the first. */
  readonly sum: string;
}

/** As many bytes as `,"sum":"1a2b3c4d"}`. */
const SEAL_BYTES = 18;
const SEAL = /^,"sum":"([0-9a-f]{8})"\}$/;
const NEWLINE = 0x0a;

const hex = (sum: number): string => sum.toString(16).padStart(8, '0');

export function sealer(): Sealer {
  let sum = 0;
  return {
    seal(line) {
      const json = harmlessJson(line);
      sum = crc32(json, sum);
      return `${json.slice(0, -1)},"sum":"${hex(sum)}"}\n`;
    },
    get sum() {
      return hex(sum);
    },
  };
}

/** A whole file of sealed lines. */
export function sealed(lines: readonly object[]): string {
  const { seal } = sealer();
  return lines.map(seal).join('');
}

/** What sealed lines hold, up to the first that is not as it was written. */
export interface Unsealed<T> {
  readonly lines: readonly T[];
  /** What the last of them was sealed with, 8 hex digits; zeros when there is none. */
  readonly sum: string;
  /** Why the reading stopped before the end; absent when every line is whole. */
  readonly truncated?: string;
}

/** Reads sealed lines; the valid prefix is returned whatever comes after it. */
export function unsealed<T>(bytes: Buffer): Unsealed<T> {
  const lines: T[] = [];
  let sum = 0;
  for (let begin = 0; begin < bytes.length; ) {
    const end = bytes.indexOf(NEWLINE, begin);
    const line = end < 0 ? 'was cut off' : open<T>(bytes.subarray(begin, end), sum);
    if (typeof line === 'string')
      return {
        lines,
        sum: hex(sum),
        truncated: `line ${lines.length + 1} ${line}; ${linesText(lines.length)} before it ${lines.length === 1 ? 'was' : 'were'} read`,
      };
    lines.push(line.value);
    sum = line.sum;
    begin = end + 1;
  }
  return { lines, sum: hex(sum) };
}

const linesText = (count: number): string => (count === 1 ? '1 line' : `${count} lines`);

/** The line that follows `before`, or what is wrong with it: a line before it that is missing shows here as well. */
function open<T>(bytes: Buffer, before: number): { readonly value: T; readonly sum: number } | string {
  const body = bytes.subarray(0, -SEAL_BYTES);
  const found = SEAL.exec(bytes.subarray(-SEAL_BYTES).toString('latin1'));
  if (!found) return 'has no checksum';
  const sum = crc32('}', crc32(body, before));
  if (hex(sum) !== found[1]) return 'does not fit its checksum';
  try {
    return { value: JSON.parse(`${body.toString()}}`) as T, sum };
  } catch {
    return 'is no JSON object';
  }
}

/** One object as a file of its own, with a checksum over it. */
export const sealedObject = (value: object): string =>
  `${harmlessJson({ ...value, sum: hex(crc32(JSON.stringify(value))) }, 2)}\n`;

/** The object of such a file; undefined when any byte of it is not as it was written. */
export function unsealedObject<T extends object>(bytes: Buffer): T | undefined {
  try {
    const { sum: _, ...value } = JSON.parse(bytes.toString()) as T & { readonly sum?: string };
    return Buffer.from(sealedObject(value)).equals(bytes) ? (value as unknown as T) : undefined;
  } catch {
    return undefined;
  }
}
