import { createHash } from 'node:crypto';
import type { Fingerprint } from '../binding/fingerprint.ts';
import type { Read } from '../model/device-configuration.ts';
import { escapeDeviceText, excerpt, label } from './device-text.ts';
import { ParseError } from './parse-error.ts';
import type { Shell, ShellResult } from './ssh.ts';

/** Values of one section as they are read: key and text, null for what the device could not tell. */
export type Values = Iterable<readonly [string, string | null]>;

/** One command and the sections that its answer tells of. */
export interface Reading {
  readonly sections: readonly string[];
  readonly command: string;
  /** The values of each section. @throws ParseError */
  readonly parse: (text: string) => Readonly<Record<string, Values>>;
  /** Whether an answer with another exit code than 0 is whole all the same. Default: it is not. */
  readonly whole?: (answer: Answer) => boolean;
  /** What to ask instead of this, as this device refuses it. Undefined: nothing. */
  readonly instead?: (answer: Answer) => Reading | undefined;
}

/** By exit code 127 or these words a device says that it has no such thing. That is an answer: it is the same tomorrow. */
const LACKS =
  /command not found|No such command|invalid choice|is unknown, try|bad command line argument|Operation not supported|No such device/;

/** Most values of one section. A device that shows more is not believed. */
const MOST_VALUES = 100_000;
/** Longer texts are kept by their beginning and a hash: they still differ when anything in them does. */
const LONGEST_TEXT = 500;
const BEGINNING = 200;
/** Wall time for all commands of a device: ten starts of Python on a switch whose processor is busy. Our choice. */
const DEADLINE_MS = 120_000;

/** Device text as a fingerprint keeps it: escaped, bounded, and different for different texts. */
export function kept(text: string): string {
  const safe = escapeDeviceText(text.trim()).replaceAll('\n', '\\n');
  if (safe.length <= LONGEST_TEXT) return safe;
  const hash = createHash('sha256').update(safe).digest('hex').slice(0, 16);
  return `${safe.slice(0, BEGINNING)}… (${safe.length} characters, sha256 ${hash})`;
}

const lacks = ({ exitCode, stdout, stderr }: Answer): boolean =>
  exitCode === 127 || (exitCode !== 0 && LACKS.test(`${stderr}\n${stdout}`.slice(0, 4000)));

/** One command's part of the answer. */
export interface Answer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const MARK = '== farspan';

/** All commands as one, each in a shell of its own; a line on both outputs says where one begins, and one how it ended. */
const together = (readings: readonly Reading[]): string =>
  readings
    .map(
      ({ command }, i) =>
        `echo "${MARK} ${i}" >&2; echo "${MARK} ${i}"; ( ${command} ); printf '\n%s %s %s\n' '${MARK}' ${i} $?`,
    )
    .join('; ');

interface Part {
  readonly lines: string[];
  code: number | undefined;
  ends: number;
}

/** An output of `together` by the number of the command. */
function partsOf(text: string): ReadonlyMap<number, Part> {
  const parts = new Map<number, Part>();
  let part: Part | undefined;
  for (const line of text.split('\n')) {
    const [, at, code] = /^== farspan (\d{1,3})(?: (\d{1,3}))?$/.exec(line) ?? [];
    if (at !== undefined && code === undefined) parts.set(Number(at), (part = { lines: [], code: undefined, ends: 0 }));
    else if (part && at !== undefined && parts.get(Number(at)) === part) {
      part.code = Number(code);
      part.ends++;
    } else part?.lines.push(line);
  }
  return parts;
}

/** The answers to `together`; undefined for one that was not whole. A program that prints our marks is not believed. */
function apart({ stdout, stderr }: ShellResult, count: number): readonly (Answer | undefined)[] {
  const [answers, complaints] = [partsOf(stdout), partsOf(stderr)];
  return Array.from({ length: count }, (_, at) => {
    const { code, ends = 0, lines = [] } = answers.get(at) ?? {};
    if (code === undefined || ends !== 1) return undefined;
    return { exitCode: code, stdout: lines.join('\n'), stderr: complaints.get(at)?.lines.join('\n') ?? '' };
  });
}

function valuesOf(
  { command, parse, whole = () => false }: Reading,
  answer: Answer | undefined,
): Read<Readonly<Record<string, Values>>> {
  const unread = (why: string) => ({ unread: label(`${excerpt(command, 80)}: ${why}`) });
  if (answer === undefined) return unread('no whole answer');
  const { exitCode, stdout, stderr } = answer;
  if (exitCode !== 0 && !whole(answer))
    return unread(`exit code ${exitCode}: ${stderr.trim() || stdout.trim() || 'no output'}`);
  try {
    return { value: parse(stdout) };
  } catch (error) {
    if (error instanceof ParseError) return unread(error.message);
    throw error;
  }
}

/**
 * Sends the commands as one, since each costs a session a round trip and a process, and puts the answers together. Two commands may tell of
 * one section; when one of them could not be read, none of the section is known.
 *
 * @throws DeviceError when the device gives no answer at all
 */
export async function readFingerprint(shell: Shell, readings: readonly Reading[]): Promise<Fingerprint> {
  const found = new Map<string, Read<Map<string, string | null>>>();
  const put = (section: string, now: Read<Values>): void => {
    const before = found.get(section);
    if (before && 'unread' in before) return;
    if ('unread' in now) return void found.set(section, now);
    const values = before?.value ?? new Map<string, string | null>();
    for (const [key, text] of now.value) values.set(kept(key), text === null ? null : kept(text));
    found.set(section, values.size > MOST_VALUES ? { unread: `more than ${MOST_VALUES} values` } : { value: values });
  };
  const ask = async (asked: readonly Reading[]): Promise<readonly (Answer | undefined)[]> => {
    const result = await shell.run(together(asked), { deadlineMs: DEADLINE_MS, confidential: true });
    return result.truncated ? asked.map(() => undefined) : apart(result, asked.length);
  };
  const answers = await ask(readings);
  for (const [i, first] of readings.entries()) {
    let [reading, answer] = [first, answers[i]];
    for (let next = answer && reading.instead?.(answer); next; next = answer && reading.instead?.(answer)) {
      reading = next;
      [answer] = await ask([next]);
    }
    if (answer && lacks(answer)) continue;
    const read = valuesOf(reading, answer);
    for (const section of reading.sections)
      put(section, 'unread' in read ? read : { value: read.value[section] ?? [] });
  }
  return found;
}
