import { absolute, type LinuxFiles } from './linux-files.ts';
import { type LinuxProcess, type Pause, type ProcessTable, SIGNALS } from './linux-process.ts';
import { plainPattern } from './plain-pattern.ts';
import { fail, type Invocation, type Program, type ShellResult, succeed } from './small-shell.ts';
import type { WallClock } from './wall-clock.ts';

export interface LinuxOptions {
  readonly files: LinuxFiles;
  readonly processes: ProcessTable;
  readonly hostname: string;
  readonly wall: WallClock;
  /** Time of the data plane, ps; 0 is 1970. */
  readonly nowPs: () => number;
  /** What a process waits for that sleeps so long. */
  readonly sleep: (process: LinuxProcess, seconds: number) => Pause;
}

const MISSING = 'No such file or directory';

/** Splits `-n 3 -q FILE` into letters and words. A letter in `valued` takes the rest of its word or the next one. */
function options(
  argv: readonly string[],
  valued: string,
): {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly words: readonly string[];
} {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const words: string[] = [];
  for (let i = 1; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === '--') {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word);
      continue;
    }
    for (let j = 1; j < word.length; j++) {
      const letter = word[j] as string;
      if (!valued.includes(letter)) flags.add(letter);
      else {
        values.set(letter, word.slice(j + 1) || (argv[++i] ?? ''));
        break;
      }
    }
  }
  return { flags, values, words };
}

const linesOf = (text: string, end = '\n'): readonly string[] => {
  const lines = text.split(end);
  if (lines.at(-1) === '') lines.pop();
  return lines;
};
const textOf = (lines: readonly string[], end = '\n'): string => lines.map(line => line + end).join('');

/** Programs that every emulated Linux box has: files, text, processes, locks, time. Only what scripts on devices use. */
export function linuxPrograms(given: LinuxOptions): Readonly<Record<string, Program>> {
  return { ...filePrograms(given), ...textPrograms(given), ...processPrograms(given), ...systemPrograms(given) };
}

function filePrograms({ files }: LinuxOptions): Readonly<Record<string, Program>> {
  /** Tries each; goes on after one that failed, as coreutils does. */
  const each = (words: readonly string[], act: (word: string) => string | undefined): ShellResult => {
    const stderr = words.map(act).flatMap(wrong => (wrong === undefined ? [] : [`${wrong}\n`]));
    return { stdout: '', stderr: stderr.join(''), code: stderr.length > 0 ? 1 : 0 };
  };
  const into = (target: string, source: string): string =>
    files.kind(target) === 'folder' ? absolute(source.slice(source.lastIndexOf('/') + 1), target) : target;
  const moved =
    (name: string, act: (from: string, to: string) => boolean): Program =>
    ({ argv, folder }) => {
      const { words } = options(argv, '');
      const [target, ...sources] = words.toReversed();
      if (target === undefined || sources.length === 0) return fail(1, `${name}: missing file operand`);
      const path = absolute(target, folder);
      if (sources.length > 1 && files.kind(path) !== 'folder')
        return fail(1, `${name}: target '${target}': Not a directory`);
      return each(sources.toReversed(), word => {
        const from = absolute(word, folder);
        if (files.kind(from) === undefined) return `${name}: cannot stat '${word}': ${MISSING}`;
        if (name === 'cp' && files.kind(from) === 'folder') return `cp: -r not specified; omitting directory '${word}'`;
        const wrong = name === 'cp' ? `cannot create regular file '${target}'` : `cannot move '${word}' to '${target}'`;
        return act(from, into(path, from)) ? undefined : `${name}: ${wrong}: ${MISSING}`;
      });
    };
  return {
    mkdir({ argv, folder }) {
      const { flags, words } = options(argv, 'm');
      return each(words, word => {
        const path = absolute(word, folder);
        if (files.makeFolder(path, flags.has('p'))) return undefined;
        const why = files.kind(path) === undefined ? MISSING : 'File exists';
        return `mkdir: cannot create directory ‘${word}’: ${why}`;
      });
    },
    rmdir: ({ argv, folder }) =>
      each(options(argv, '').words, word => {
        const path = absolute(word, folder);
        const names = files.list(path);
        if (names?.length === 0 && files.remove(path)) return undefined;
        return `rmdir: failed to remove '${word}': ${names ? 'Directory not empty' : files.kind(path) === 'file' ? 'Not a directory' : MISSING}`;
      }),
    rm({ argv, folder }) {
      const { flags, words } = options(argv, '');
      const [force, recursive] = [flags.has('f'), flags.has('r') || flags.has('R')];
      return each(words, word => {
        const path = absolute(word, folder);
        if (files.kind(path) === 'folder' && !recursive) return `rm: cannot remove '${word}': Is a directory`;
        return files.remove(path) || force ? undefined : `rm: cannot remove '${word}': ${MISSING}`;
      });
    },
    mv: moved('mv', (from, to) => files.rename(from, to)),
    cp: moved('cp', (from, to) => files.write(to, files.read(from) ?? '')),
    touch: ({ argv, folder }) =>
      each(options(argv, 'dt').words, word => {
        const opened = files.open(absolute(word, folder), 'append');
        if (typeof opened === 'string')
          return opened === 'is-folder' ? undefined : `touch: cannot touch '${word}': ${MISSING}`;
        opened.close();
        return undefined;
      }),
    chmod: ({ argv, folder }) =>
      each(argv.slice(2), word =>
        files.kind(absolute(word, folder)) === undefined ? `chmod: cannot access '${word}': ${MISSING}` : undefined,
      ),
    sync: () => succeed(),
    ls({ argv, folder }) {
      const { flags, words } = options(argv, '');
      const wanted = words.length === 0 ? ['.'] : words.toSorted();
      const kindOf = (word: string): 'file' | 'folder' | undefined => files.kind(absolute(word, folder));
      const missing = words.filter(word => kindOf(word) === undefined);
      const folders = flags.has('d') ? [] : wanted.filter(word => kindOf(word) === 'folder');
      const plain = wanted.filter(word => !missing.includes(word) && !folders.includes(word));
      const listing = folders.map(word => {
        const names = (files.list(absolute(word, folder)) ?? []).filter(
          name => flags.has('a') || flags.has('A') || !name.startsWith('.'),
        );
        return (wanted.length > 1 ? `${word}:\n` : '') + textOf(names);
      });
      return {
        stdout: [...(plain.length > 0 ? [textOf(plain)] : []), ...listing].join('\n'),
        stderr: textOf(missing.map(word => `ls: cannot access '${word}': ${MISSING}`)),
        code: missing.length > 0 ? 2 : 0,
      };
    },
  };
}

function textPrograms({ files }: LinuxOptions): Readonly<Record<string, Program>> {
  /** A program over the texts of its files, or of stdin when it has none. */
  const over =
    (
      name: string,
      valued: string,
      act: (texts: readonly Text[], given: ReturnType<typeof options>, call: Invocation) => ShellResult,
      skip = 0,
    ): Program =>
    call => {
      const given = options(call.argv, valued);
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
    const given = options(call.argv, 'em');
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
        if (values.has('c')) return [[...line].filter((_, i) => list(i + 1)).join('')];
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
      const { flags, words } = options(call.argv, '');
      const [from, to] = words.map(characterSet);
      if (!from) return fail(1, 'tr: missing operand');
      const text = call.stdin.read();
      if (flags.has('d')) return succeed([...text].filter(c => !from.includes(c)).join(''));
      if (!to || to.length === 0) return fail(1, `tr: missing operand after ‘${words[0]}’`);
      const change = new Map(from.map((c, i) => [c, to[Math.min(i, to.length - 1)] as string]));
      return succeed([...text].map(c => change.get(c) ?? c).join(''));
    },
    tee(call) {
      const { flags, words } = options(call.argv, '');
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

function processPrograms({ processes, wall, sleep, nowPs }: LinuxOptions): Readonly<Record<string, Program>> {
  const columns: Readonly<
    Record<string, { readonly header: string; readonly width: number; readonly of: (p: Listed) => string }>
  > = {
    pid: { header: 'PID', width: 7, of: ({ pid }) => String(pid) },
    ppid: { header: 'PPID', width: 7, of: ({ pid }) => (pid === 1 ? '0' : '1') },
    pgid: { header: 'PGID', width: 7, of: ({ group }) => String(group) },
    user: { header: 'USER', width: -8, of: () => 'root' },
    stat: { header: 'STAT', width: -4, of: () => 'S' },
    etimes: { header: 'ELAPSED', width: 7, of: ({ startedPs }) => String(Math.floor((nowPs() - startedPs) / 1e12)) },
    lstart: { header: 'STARTED', width: 24, of: ({ startedPs }) => longDate(startedPs) },
    comm: { header: 'COMMAND', width: -15, of: ({ args }) => (args[0] ?? '').replace(/^.*\//, '').slice(0, 15) },
    args: { header: 'COMMAND', width: -27, of: ({ args }) => args.join(' ') },
  };
  const named = (name: string): string => (name === 'cmd' || name === 'command' ? 'args' : name);
  const INIT: Listed = { pid: 1, group: 1, startedPs: 0, args: ['/sbin/init'] };
  const detached = (): readonly LinuxProcess[] => processes.all().filter(process => !process.foreground);

  const ps: Program = ({ argv, process }) => {
    const wanted: { name: string; header: string }[] = [];
    let only: ReadonlySet<number> | undefined;
    for (let i = 1; i < argv.length; i++) {
      const word = argv[i] as string;
      if (/^-[a-zA-Z]*o$/.test(word)) {
        for (const item of (argv[++i] ?? '').split(',')) {
          const [name = '', header] = item.split('=');
          wanted.push({ name: named(name), header: header ?? columns[named(name)]?.header ?? '' });
        }
      } else if (word === '-p') only = new Set((argv[++i] ?? '').split(',').map(Number));
      else if (!/^-?[aefxAuw]+$/.test(word)) return fail(1, 'error: unsupported SysV option');
    }
    if (wanted.length === 0)
      wanted.push(...['pid', 'args'].map(name => ({ name, header: columns[name]?.header ?? '' })));
    const strange = wanted.find(({ name }) => !Object.hasOwn(columns, name));
    if (strange) return fail(1, `error: unknown user-defined format specifier "${strange.name}"`);
    const listed: readonly Listed[] = [
      INIT,
      ...detached(),
      { pid: process.pid, group: process.group, startedPs: process.startedPs, args: argv },
    ];
    const shown = only ? listed.filter(({ pid }) => only.has(pid)) : listed;
    const line = (cells: readonly string[]): string =>
      cells
        .map((cell, i) => {
          const width = columns[wanted[i]?.name ?? '']?.width ?? 0;
          return width > 0 ? cell.padStart(width) : i === cells.length - 1 ? cell : cell.padEnd(-width);
        })
        .join(' ');
    const rows = shown.map(item =>
      line(wanted.map(({ name }) => (columns[name] as { of: (p: Listed) => string }).of(item))),
    );
    const header = wanted.some(({ header }) => header !== '') ? [line(wanted.map(({ header }) => header))] : [];
    return { stdout: textOf([...header, ...rows]), stderr: '', code: shown.length > 0 ? 0 : 1 };
  };

  const found = (
    argv: readonly string[],
  ): { readonly flags: ReadonlySet<string>; readonly found: readonly LinuxProcess[] } | undefined => {
    const { flags, words } = options(argv, 'gPtu');
    const pattern = plainPattern(words[0] ?? '', {
      fixed: false,
      ignoreCase: flags.has('i'),
      wholeLine: flags.has('x'),
    });
    if (words.length !== 1 || !pattern) return undefined;
    const name = ({ args }: LinuxProcess): string =>
      flags.has('f') ? args.join(' ') : (args[0] ?? '').replace(/^.*\//, '');
    return { flags, found: detached().filter(process => pattern.test(name(process))) };
  };

  return {
    ps,
    pgrep({ argv }) {
      const result = found(argv);
      if (!result) return fail(2, 'pgrep: only one pattern can be provided');
      const { flags } = result;
      const lines = result.found.map(({ pid, args }) =>
        flags.has('a') ? `${pid} ${args.join(' ')}` : flags.has('l') ? `${pid} ${args[0]}` : String(pid),
      );
      return {
        stdout: flags.has('c') ? `${lines.length}\n` : textOf(lines),
        stderr: '',
        code: lines.length > 0 ? 0 : 1,
      };
    },
    pkill({ argv }) {
      const signal =
        argv[1]?.startsWith('-') && signalOf(argv[1].slice(1)) !== undefined ? signalOf(argv[1].slice(1)) : undefined;
      const result = found(signal === undefined ? argv : argv.toSpliced(1, 1));
      if (!result) return fail(2, 'pkill: only one pattern can be provided');
      for (const process of result.found) process.signal(signal ?? 'TERM');
      return { stdout: '', stderr: '', code: result.found.length > 0 ? 0 : 1 };
    },
    kill({ argv, blame }) {
      const words = argv.slice(1);
      let name: string | undefined = 'TERM';
      if (words[0] === '-s') name = signalOf(words.splice(0, 2)[1] ?? '');
      else if (words[0] !== undefined && words[0] !== '--' && words[0].startsWith('-')) {
        const asked = words.shift() as string;
        name = signalOf(asked.slice(1));
        if (name === undefined) return fail(1, `${blame}kill: ${asked.slice(1)}: invalid signal specification`);
      }
      if (words[0] === '--') words.shift();
      let stderr = '';
      for (const word of words) {
        if (!/^-?\d{1,9}$/.test(word)) {
          stderr += `${blame}kill: ${word}: arguments must be process or job IDs\n`;
          continue;
        }
        const number = Number(word);
        const targets =
          number < 0
            ? processes.all().filter(({ group }) => group === -number)
            : [processes.get(number)].filter(process => process?.running() === true);
        if (targets.length === 0) stderr += `${blame}kill: (${word}) - No such process\n`;
        if (name !== '0') for (const target of targets) target?.signal(name ?? 'TERM');
      }
      return { stdout: '', stderr, code: stderr === '' ? 0 : 1 };
    },
    *sleep({ argv, process }): Generator<Pause, ShellResult> {
      const times = argv.slice(1).map(seconds);
      if (times.length === 0) return fail(1, 'sleep: missing operand');
      const wrong = times.indexOf(undefined);
      if (wrong >= 0) return fail(1, `sleep: invalid time interval ‘${argv[wrong + 1]}’`);
      yield sleep(
        process,
        (times as number[]).reduce((sum, time) => sum + time, 0),
      );
      return succeed();
    },
    *timeout({ argv, run }): Generator<Pause, ShellResult> {
      const { words } = timeoutWords(argv);
      const limit = seconds(words[0] ?? '');
      if (limit === undefined || words.length < 2) return fail(125, 'timeout: invalid time interval');
      const endMs = wall.nowMs() + limit * 1000;
      const inner = run(words.slice(1));
      for (let step = inner.next(); ; step = inner.next()) {
        if (step.done) return { stdout: '', stderr: '', code: step.value };
        let late = false;
        const pause = step.value;
        yield resume => {
          const cancel = pause(resume);
          const clear = wall.after(endMs - wall.nowMs(), () => {
            late = true;
            cancel();
            resume();
          });
          return () => {
            cancel();
            clear();
          };
        };
        if (late) {
          inner.return(0);
          return { stdout: '', stderr: '', code: 124 };
        }
      }
    },
    *flock({ argv, descriptor, run }): Generator<Pause, ShellResult> {
      const { flags, values, words } = options(argv, 'wE');
      const [target = '', ...command] = words;
      const opened = descriptor(Number(target));
      if (!/^\d{1,9}$/.test(target)) return fail(64, 'flock: a file descriptor is needed on this device');
      if (!opened) return fail(65, `flock: ${target}: Bad file descriptor`);
      if (flags.has('u')) {
        opened.unlock();
        return succeed();
      }
      const patienceMs = flags.has('n') ? 0 : values.has('w') ? (seconds(values.get('w') ?? '') ?? 0) * 1000 : Infinity;
      const endMs = wall.nowMs() + patienceMs;
      while (!opened.lock()) {
        const leftMs = endMs - wall.nowMs();
        if (leftMs <= 0) return { stdout: '', stderr: '', code: Number(values.get('E') ?? 1) };
        yield resume => {
          const forget = opened.onUnlock(resume);
          const clear = leftMs === Infinity ? (): void => {} : wall.after(leftMs, resume);
          return () => {
            forget();
            clear();
          };
        };
      }
      return command.length === 0 ? succeed() : { stdout: '', stderr: '', code: yield* run(command) };
    },
  };
}

interface Listed {
  readonly pid: number;
  readonly group: number;
  readonly startedPs: number;
  readonly args: readonly string[];
}

/** The words of timeout behind its own options. */
function timeoutWords(argv: readonly string[]): { readonly words: readonly string[] } {
  let at = 1;
  for (; argv[at]?.startsWith('-'); at++) if (/^-[sk]$/.test(argv[at] as string)) at++;
  return { words: argv.slice(at) };
}

function signalOf(text: string): string | undefined {
  const name = text.toUpperCase().replace(/^SIG/, '');
  if (name === '0' || Object.hasOwn(SIGNALS, name)) return name;
  return Object.entries(SIGNALS).find(([, number]) => String(number) === name)?.[0];
}

/** Seconds of `5`, `0.5`, `5s`, `2m`. */
function seconds(text: string): number | undefined {
  const [, number, unit = 's'] = /^(\d{1,12}(?:\.\d{1,12})?|\.\d{1,12})([smhd]?)$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * ({ s: 1, m: 60, h: 3600, d: 86_400 }[unit || 's'] ?? 1);
}

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Thu Jan  1 00:00:00 1970`, as ps prints the start of a process. */
function longDate(ps: number): string {
  const date = new Date(Math.floor(ps / 1e9));
  const day = String(date.getUTCDate()).padStart(2);
  return `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${day} ${date.toISOString().slice(11, 19)} ${date.getUTCFullYear()}`;
}

function systemPrograms({ hostname, nowPs }: LinuxOptions): Readonly<Record<string, Program>> {
  return {
    hostname: () => succeed(`${hostname}\n`),
    whoami: () => succeed('root\n'),
    id: ({ argv }) =>
      succeed(
        argv[1] === undefined ? 'uid=0(root) gid=0(root) groups=0(root)\n' : argv[1].includes('n') ? 'root\n' : '0\n',
      ),
    uname({ argv }) {
      const parts = ['Linux', hostname, '6.1.0-22-2-amd64', '#1 SMP Debian 6.1.94-1', 'x86_64', 'GNU/Linux'];
      const flags = argv[1]?.slice(1) ?? 's';
      const at: Readonly<Record<string, number>> = { s: 0, n: 1, r: 2, v: 3, m: 4, o: 5 };
      const chosen = flags === 'a' ? parts : parts.filter((_, i) => [...flags].some(flag => at[flag] === i));
      return succeed(`${chosen.join(' ')}\n`);
    },
    df: () =>
      succeed(
        'Filesystem     1024-blocks    Used Available Capacity Mounted on\n/dev/sda3         16337788 4084447  11401753      27% /\n',
      ),
    date({ argv }) {
      const format = argv.find(word => word.startsWith('+'))?.slice(1) ?? '%a %b %e %H:%M:%S UTC %Y';
      return succeed(`${dateText(format, nowPs())}\n`);
    },
  };
}

function dateText(format: string, ps: number): string {
  const iso = new Date(Math.floor(ps / 1e9)).toISOString();
  const long = longDate(ps);
  const fields: Readonly<Record<string, string>> = {
    s: String(Math.floor(ps / 1e12)),
    N: String(Math.floor((ps % 1e12) / 1e3)).padStart(9, '0'),
    Y: iso.slice(0, 4),
    m: iso.slice(5, 7),
    d: iso.slice(8, 10),
    e: String(Number(iso.slice(8, 10))).padStart(2),
    H: iso.slice(11, 13),
    M: iso.slice(14, 16),
    S: iso.slice(17, 19),
    F: iso.slice(0, 10),
    T: iso.slice(11, 19),
    Z: 'UTC',
    z: '+0000',
    a: long.slice(0, 3),
    b: long.slice(4, 7),
    '%': '%',
  };
  return format.replace(/%([A-Za-z%])/g, (whole, letter: string) =>
    Object.hasOwn(fields, letter) ? (fields[letter] as string) : whole,
  );
}
