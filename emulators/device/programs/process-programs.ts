import { type LinuxProcess, type Pause, type ProcessTable, SIGNALS } from '../linux-process.ts';
import { plainPattern } from '../plain-pattern.ts';
import { fail, type Program, type ShellResult, succeed } from '../small-shell.ts';
import type { WallClock } from '../wall-clock.ts';
import { longDate } from './date-text.ts';
import { programOptions, textOf } from './program-options.ts';

export interface ProcessProgramsOptions {
  readonly processes: ProcessTable;
  readonly wall: WallClock;
  /** Time of the data plane, ps. */
  readonly nowPs: () => number;
  /** What a process waits for that sleeps so long. */
  readonly sleep: (process: LinuxProcess, seconds: number) => Pause;
}

/** ps, kill, sleep, timeout, flock. */
export function processPrograms({
  processes,
  wall,
  sleep,
  nowPs,
}: ProcessProgramsOptions): Readonly<Record<string, Program>> {
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
    const { flags, words } = programOptions(argv, 'gPtu');
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
      const { flags, values, words } = programOptions(argv, 'wE');
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
