import { absolute, type LinuxFiles } from '../linux-files.ts';
import { plainPattern } from '../plain-pattern.ts';
import { fail, type Invocation, type Program, type ShellResult, succeed } from '../small-shell.ts';
import { linesOf, MISSING, programOptions, textOf } from './program-options.ts';

/** cat, grep, cut, sort and their like: texts in, a text out. */
export function textPrograms(files: LinuxFiles): Readonly<Record<string, Program>> {
  /** A program over the texts of its files, or of stdin when it has none. */
  const over =
    (
      name: string,
      valued: string,
      act: (texts: readonly Text[], given: ReturnType<typeof programOptions>, call: Invocation) => ShellResult,
      skip = 0,
    ): Program =>
    call => {
      const given = programOptions(call.argv, valued);
      const words = given.words.slice(skip);
      const texts: Text[] = [];
      let stderr = '';
      for (const word of words.length === 0 ? ['-'] : words) {
        const path = absolute(word, call.folder);
        const text = word === '-' ? call.stdin.read() : files.read(path);
        if (text !== undefined) texts.push({ name: word, text });
        else if (files.kind(path) === 'folder')
          stderr += `${name}: ${name === 'cut' || name === 'cat' || name === 'grep' ? '' : `error reading '`}${word}${name === 'cut' || name === 'cat' || name === 'grep' ? '' : `'`}: Is a directory\n`;
        else
          stderr += `${name}: ${name === 'tail' || name === 'head' ? `cannot open '${word}' for reading` : name === 'sort' ? `cannot read: ${word}` : word}: ${MISSING}\n`;
      }
      const failed = name === 'sort' || name === 'grep' ? 2 : 1;
      if (stderr !== '' && texts.length === 0) return { stdout: '', stderr, code: failed };
      const result = act(texts, given, call);
      return stderr === '' ? result : { ...result, stderr: stderr + result.stderr, code: failed };
    };
  const joined = (texts: readonly Text[]): string => texts.map(({ text }) => text).join('');
  const count = (text: string | undefined): number | undefined =>
    /^[-+]?\d{1,15}$/.test(text ?? '') ? Math.abs(Number(text)) : undefined;

  const part =
    (name: 'head' | 'tail'): Program =>
    call => {
      // `-5` is an old way to write `-n 5`.
      const argv = call.argv.map(word => (/^-\d+$/.test(word) ? `-n${word.slice(1)}` : word));
      return over(name, 'cn', (texts, { values }) => {
        const wanted = values.get('c') ?? values.get('n') ?? '10';
        const n = count(wanted);
        if (n === undefined)
          return fail(1, `${name}: invalid number of ${values.has('c') ? 'bytes' : 'lines'}: ‘${wanted}’`);
        const bytes = values.has('c');
        return succeed(
          texts
            .map(({ text }) => (name === 'head' ? head(text, n, bytes) : tail(text, n, bytes, wanted.startsWith('+'))))
            .join(''),
        );
      })({ ...call, argv });
    };

  const grep: Program = call => {
    const given = programOptions(call.argv, 'em');
    const explicit = given.values.get('e');
    const skip = explicit === undefined ? 1 : 0;
    const wanted = explicit ?? given.words[0];
    if (wanted === undefined) return fail(2, 'Usage: grep [OPTION]... PATTERNS [FILE]...');
    const { flags } = given;
    const pattern = plainPattern(wanted, {
      fixed: flags.has('F'),
      ignoreCase: flags.has('i'),
      wholeLine: flags.has('x'),
    });
    if (!pattern) return fail(2, `grep: ${wanted.slice(0, 100)}: this pattern is not part of this device`);
    const result = over(
      'grep',
      'em',
      texts => {
        const end = flags.has('z') ? '\0' : '\n';
        const found = texts.map(({ name, text }) => ({
          name,
          lines: linesOf(text, end).filter(line => pattern.test(line) !== flags.has('v')),
        }));
        const any = found.some(({ lines }) => lines.length > 0);
        const label = (name: string): string => (texts.length > 1 && !flags.has('h') ? `${name}:` : '');
        const stdout = flags.has('q')
          ? ''
          : flags.has('l')
            ? textOf(found.filter(({ lines }) => lines.length > 0).map(({ name }) => name))
            : flags.has('c')
              ? textOf(found.map(({ name, lines }) => `${label(name)}${lines.length}`))
              : found
                  .map(({ name, lines }) =>
                    textOf(
                      lines.map(line => label(name) + line),
                      end,
                    ),
                  )
                  .join('');
        return { stdout, stderr: '', code: any ? 0 : 1 };
      },
      skip,
    )(call) as ShellResult;
    return flags.has('s') ? { ...result, stderr: '' } : result;
  };

  return {
    cat: over('cat', '', (texts, _, { output, folder }) => {
      // It would read what it writes, for ever.
      const own = texts.filter(
        ({ name, text }) => output !== undefined && text !== '' && absolute(name, folder) === output,
      );
      const stderr = textOf(own.map(({ name }) => `cat: ${name}: input file is output file`));
      return { stdout: joined(texts.filter(text => !own.includes(text))), stderr, code: own.length > 0 ? 1 : 0 };
    }),
    head: part('head'),
    tail: part('tail'),
    grep,
    wc: over('wc', '', (texts, { flags, words }) => {
      const letters = ['l', 'w', 'c'].filter(letter => flags.size === 0 || flags.has(letter));
      const rows = texts.map(({ name, text }) => ({ name, counts: letters.map(letter => counted(letter, text)) }));
      const named = words.length > 0;
      const width =
        letters.length === 1 && rows.length === 1
          ? 1
          : named
            ? Math.max(...rows.flatMap(row => row.counts.map(n => String(n).length)))
            : 7;
      return succeed(
        textOf(
          rows.map(
            ({ name, counts }) => `${counts.map(n => String(n).padStart(width)).join(' ')}${named ? ` ${name}` : ''}`,
          ),
        ),
      );
    }),
    cut: over('cut', 'dfc', (texts, { values, flags }) => {
      const list = fieldList(values.get('f') ?? values.get('c') ?? '');
      if (!list) return fail(1, 'cut: you must specify a list of bytes, characters, or fields');
      const delimiter = values.get('d') ?? '\t';
      const lines = linesOf(joined(texts)).flatMap(line => {
        if (values.has('c'))
          return [
            Array.from(line)
              .filter((_, i) => list(i + 1))
              .join(''),
          ];
        if (!line.includes(delimiter)) return flags.has('s') ? [] : [line];
        return [
          line
            .split(delimiter)
            .filter((_, i) => list(i + 1))
            .join(delimiter),
        ];
      });
      return succeed(textOf(lines));
    }),
    sort: over('sort', 'kt', (texts, { flags }) => {
      const number = (line: string): number => Number(/^\s*-?\d+(?:\.\d+)?/.exec(line)?.[0] ?? 0);
      const bytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
      const compare = (a: string, b: string): number => (flags.has('n') ? number(a) - number(b) : 0) || bytes(a, b);
      const lines = linesOf(joined(texts)).toSorted((a, b) => (flags.has('r') ? compare(b, a) : compare(a, b)));
      return succeed(textOf(flags.has('u') ? lines.filter((line, i) => i === 0 || line !== lines[i - 1]) : lines));
    }),
    uniq: over('uniq', '', (texts, { flags }) => {
      const groups: { line: string; count: number }[] = [];
      for (const line of linesOf(joined(texts))) {
        const last = groups.at(-1);
        if (last?.line === line) last.count++;
        else groups.push({ line, count: 1 });
      }
      const kept = groups.filter(({ count }) => (!flags.has('d') || count > 1) && (!flags.has('u') || count === 1));
      return succeed(
        textOf(kept.map(({ line, count }) => (flags.has('c') ? `${String(count).padStart(7)} ${line}` : line))),
      );
    }),
    tr(call) {
      const { flags, words } = programOptions(call.argv, '');
      const [from, to] = words.map(characterSet);
      if (!from) return fail(1, 'tr: missing operand');
      const text = call.stdin.read();
      if (flags.has('d'))
        return succeed(
          Array.from(text)
            .filter(c => !from.includes(c))
            .join(''),
        );
      if (!to || to.length === 0) return fail(1, `tr: missing operand after ‘${words[0]}’`);
      const change = new Map(from.map((c, i) => [c, to[Math.min(i, to.length - 1)] as string]));
      return succeed(
        Array.from(text)
          .map(c => change.get(c) ?? c)
          .join(''),
      );
    },
    tee(call) {
      const { flags, words } = programOptions(call.argv, '');
      const text = call.stdin.read();
      for (const word of words) {
        const opened = files.open(absolute(word, call.folder), flags.has('a') ? 'append' : 'write');
        if (typeof opened === 'string') return { stdout: text, stderr: `tee: ${word}: ${MISSING}\n`, code: 1 };
        opened.write(text);
        opened.close();
      }
      return succeed(text);
    },
    basename: ({ argv: [, path = '', suffix = ''] }) => {
      const name = path.replace(/\/+$/, '').replace(/^.*\//, '') || '/';
      return succeed(
        `${suffix !== '' && name !== suffix && name.endsWith(suffix) ? name.slice(0, -suffix.length) : name}\n`,
      );
    },
    dirname: ({ argv: [, path = ''] }) =>
      succeed(`${/^(.*[^/])\/+[^/]+\/*$/.exec(path)?.[1] ?? (path.startsWith('/') ? '/' : '.')}\n`),
    seq({ argv }) {
      const numbers = argv.slice(1).map(Number);
      const [first, step, last] =
        numbers.length === 1 ? [1, 1, numbers[0]] : numbers.length === 2 ? [numbers[0], 1, numbers[1]] : numbers;
      if (![first, step, last].every(Number.isInteger) || step === 0)
        return fail(1, 'seq: whole numbers only on this device');
      const [from, by, to] = [first, step, last] as [number, number, number];
      const length = Math.max(0, Math.floor((to - from) / by) + 1);
      if (length > 100_000) return fail(1, 'seq: too many numbers for this device');
      return succeed(textOf(Array.from({ length }, (_, i) => String(from + i * by))));
    },
  };
}

interface Text {
  readonly name: string;
  readonly text: string;
}

/** Lines with their newlines, where they have one. */
const wholeLines = (text: string): readonly string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];

const head = (text: string, n: number, bytes: boolean): string =>
  bytes ? text.slice(0, n) : wholeLines(text).slice(0, n).join('');

/** `+N` starts at the N-th, 1-based; +0 is the same as +1. */
function tail(text: string, n: number, bytes: boolean, fromStart: boolean): string {
  const units = bytes ? text : wholeLines(text);
  const kept = fromStart ? units.slice(Math.max(0, n - 1)) : n === 0 ? units.slice(0, 0) : units.slice(-n);
  return typeof kept === 'string' ? kept : kept.join('');
}

const counted = (letter: string, text: string): number =>
  letter === 'l'
    ? text.split('\n').length - 1
    : letter === 'c'
      ? Buffer.byteLength(text)
      : text.split(/\s+/).filter(word => word !== '').length;

/** `1`, `2-`, `-3`, `1,4-5` as a question whether a field is meant. */
function fieldList(text: string): ((index: number) => boolean) | undefined {
  const ranges: [number, number][] = [];
  for (const item of text.split(',')) {
    const [, low, dash, high] = /^(\d{0,9})(-?)(\d{0,9})$/.exec(item) ?? [];
    if (low === undefined || (low === '' && high === '')) return undefined;
    const from = low === '' ? 1 : Number(low);
    ranges.push([from, dash === '' ? from : high === '' ? Infinity : Number(high)]);
  }
  return index => ranges.some(([from, to]) => from <= index && index <= to);
}

/** The characters of an operand of tr: escapes and ranges. */
function characterSet(text: string): readonly string[] {
  const plain = text.replace(/\\(?:([0-7]{1,3})|([^]))/g, (_, octal?: string, letter?: string) =>
    octal === undefined
      ? ({ n: '\n', t: '\t', r: '\r' }[letter as string] ?? (letter as string))
      : String.fromCharCode(Number.parseInt(octal, 8)),
  );
  const set: string[] = [];
  for (let i = 0; i < plain.length; i++) {
    const [low, dash, high] = [plain[i] as string, plain[i + 1], plain[i + 2]];
    if (dash !== '-' || high === undefined || high < low) set.push(low);
    else {
      for (let code = low.charCodeAt(0); code <= Math.min(high.charCodeAt(0), low.charCodeAt(0) + 255); code++)
        set.push(String.fromCharCode(code));
      i += 2;
    }
  }
  return set;
}
