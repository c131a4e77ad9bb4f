/** Longest text of one file, characters: 8192 hosts in an all-to-all of one line each would be 4 GiB and is refused. */
const MOST_CHARACTERS = 2 ** 28;
const MOST_LINE_CHARACTERS = 2 ** 20;
const MOST_SHOWN = 60;

/** A trace file does not say what its format asks for. The message names file, line and what was expected. */
export class TraceFormatError extends Error {
  override readonly name = 'TraceFormatError';
  readonly file: string;
  /** From 1; 0 when it is about the file as a whole. */
  readonly line: number;

  constructor({ file, line, problem }: { readonly file: string; readonly line: number; readonly problem: string }) {
    super(`${file}${line > 0 ? `:${line}` : ''}: ${problem}`);
    this.file = file;
    this.line = line;
  }
}

/** A piece of a file as an error may show it: quoted, escaped, short. */
export function shown(text: string): string {
  return JSON.stringify(text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}...` : text);
}

export interface Word {
  readonly text: string;
  readonly file: string;
  readonly line: number;
}

export interface Line {
  readonly number: number;
  readonly words: readonly Word[];
}

export function reject(at: Pick<Word, 'file' | 'line'>, problem: string): never {
  throw new TraceFormatError({ file: at.file, line: at.line, problem });
}

/**
 * Lines that hold something, cut into words at white space; a carriage return is white space. One pass.
 *
 * @throws TraceFormatError when the text or a line is longer than any trace is
 */
export function* wordedLines(text: string, file: string): Generator<Line> {
  if (text.length > MOST_CHARACTERS)
    reject({ file, line: 0 }, `${text.length} characters; at most ${MOST_CHARACTERS} are read`);
  let number = 0;
  for (let start = 0; start <= text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    number += 1;
    if (end - start > MOST_LINE_CHARACTERS)
      reject({ file, line: number }, `a line of ${end - start} characters; at most ${MOST_LINE_CHARACTERS} are read`);
    const words = text
      .slice(start, end)
      .split(/[ \t\r\f\v]+/)
      .filter(word => word !== '')
      .map(word => ({ text: word, file, line: number }));
    if (words.length > 0) yield { number, words };
    start = end + 1;
  }
}

/** A file that is one stream of words, as C++ `>>` reads it. */
export class WordReader {
  private readonly lines: Generator<Line>;
  private readonly file: string;
  private words: readonly Word[] = [];
  private next = 0;
  private line = 0;

  constructor(text: string, file: string) {
    this.file = file;
    this.lines = wordedLines(text, file);
  }

  /** @throws TraceFormatError when the file has ended */
  word(expected: string): Word {
    while (this.next >= this.words.length) {
      const { value, done } = this.lines.next();
      if (done === true)
        return reject({ file: this.file, line: this.line }, `the file ends here; expected ${expected}`);
      this.words = value.words;
      this.line = value.number;
      this.next = 0;
    }
    const word = this.words[this.next] as Word;
    this.next += 1;
    return word;
  }

  whole(range: WholeRange): number {
    return whole(this.word(range.what), range);
  }

  /** @throws TraceFormatError when there is more */
  end(): void {
    while (this.next >= this.words.length) {
      const { value, done } = this.lines.next();
      if (done === true) return;
      this.words = value.words;
      this.next = 0;
    }
    const word = this.words[this.next] as Word;
    reject(word, `${shown(word.text)} after the end; expected nothing more`);
  }
}

export interface WholeRange {
  readonly what: string;
  readonly least: number;
  readonly most: number;
}

/** @throws TraceFormatError unless the word is a whole decimal number in range */
export function whole(word: Word, { what, least, most }: WholeRange): number {
  const value = /^\d{1,16}$/.test(word.text) ? Number(word.text) : Number.NaN;
  if (!(value >= least && value <= most))
    reject(word, `${shown(word.text)}; expected ${what}, a whole number from ${least} to ${most}`);
  return value;
}

/** @throws TraceFormatError unless the word is a decimal number in range; exponents are read */
export function decimal(word: Word, { what, least, most }: WholeRange): number {
  const value = /^\d{1,20}(\.\d{0,30})?(e[+-]?\d{1,3})?$/i.test(word.text) ? Number(word.text) : Number.NaN;
  if (!(value >= least && value <= most))
    reject(word, `${shown(word.text)}; expected ${what}, a number from ${least} to ${most}`);
  return value;
}

/** Longest time of a trace: 2 h, within the 2.5 h that integer picoseconds hold exactly. */
const MOST_SECONDS = 7200;

/** Decimal seconds as whole picoseconds, without the error of binary fractions: `2.000025862` is 2000025862000. */
export function secondsAsPs(word: Word, what: string): number {
  decimal(word, { what: `${what} in seconds`, least: 0, most: MOST_SECONDS });
  const [seconds, fraction = ''] = word.text.split('.');
  if (/e/i.test(word.text)) return Math.round(Number(word.text) * 1e12);
  return Number(seconds) * 1e12 + Math.round(Number(`0.${fraction || '0'}`) * 1e12);
}

const RATE_UNITS: Readonly<Record<string, number>> = {
  bps: 1,
  'b/s': 1,
  kbps: 1e3,
  'kb/s': 1e3,
  Kbps: 1e3,
  'Kb/s': 1e3,
  Mbps: 1e6,
  'Mb/s': 1e6,
  Gbps: 1e9,
  'Gb/s': 1e9,
  Tbps: 1e12,
  'Tb/s': 1e12,
};
const PS: Readonly<Record<string, number>> = { ps: 1, ns: 1e3, us: 1e6, ms: 1e9, s: 1e12 };

/** `100Gbps`, `20Mb/s`: ns-3's DataRate, in bits. @throws TraceFormatError */
export function rate(word: Word, what: string): number {
  const bps = scaled(word, RATE_UNITS);
  if (!(bps > 0 && bps <= 1e15))
    reject(word, `${shown(word.text)}; expected ${what}, a rate such as 100Gbps or 20Mb/s`);
  return bps;
}

/** `1000ns`, `0.5ms`: ns-3's Time. @throws TraceFormatError */
export function delay(word: Word, what: string): number {
  const ps = Math.round(scaled(word, PS));
  if (!(ps >= 0 && ps <= MOST_SECONDS * 1e12))
    reject(word, `${shown(word.text)}; expected ${what}, a time such as 1000ns or 0.5ms`);
  return ps;
}

function scaled(word: Word, units: Readonly<Record<string, number>>): number {
  const [, count, unit] = /^(\d{1,16}(?:\.\d{0,16})?)([A-Za-z/]{1,5})$/.exec(word.text) ?? [];
  if (count === undefined || unit === undefined || !Object.hasOwn(units, unit)) return Number.NaN;
  return Number(count) * (units[unit] as number);
}
