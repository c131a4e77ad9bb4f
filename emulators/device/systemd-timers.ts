import type { LinuxProcess } from './linux-process.ts';
import { isPattern, matches, patternOf } from './shell-pattern.ts';
import { fail, type Program, type ShellResult, succeed } from './small-shell.ts';
import type { WallClock } from './wall-clock.ts';

export interface SystemdTimer {
  /** Without `.timer`. */
  readonly unit: string;
  readonly command: readonly string[];
  readonly dueMs: number;
}

export interface SystemdTimers {
  readonly programs: Readonly<Record<string, Program>>;
  /** Those that have not fired. */
  armed(): readonly SystemdTimer[];
  /** All units are gone, as after a loss of power. */
  clear(): void;
}

export interface SystemdOptions {
  readonly wall: WallClock;
  readonly spawn: (argv: readonly string[], environ: ReadonlyMap<string, string>) => LinuxProcess;
}

interface Armed extends SystemdTimer {
  readonly cancel: () => void;
}

const UNITS: Readonly<Record<string, number>> = {
  us: 1e-3,
  ms: 1,
  msec: 1,
  s: 1e3,
  sec: 1e3,
  '': 1e3,
  m: 60e3,
  min: 60e3,
  h: 3600e3,
  hr: 3600e3,
};
const ENVIRONMENT: ReadonlyMap<string, string> = new Map([
  ['LANG', 'C.UTF-8'],
  ['PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
]);

/** Milliseconds of a time span of systemd.time(7): `5s`, `500ms`, `1min 30s`. */
function spanMs(text: string): number | undefined {
  const parts = [...text.matchAll(/\s*(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]*)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join('') !== text.trimEnd()) return undefined;
  if (parts.some(([, , unit = '']) => !Object.hasOwn(UNITS, unit))) return undefined;
  return parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] as number), 0);
}

/** Transient timers and services of `systemd-run`, and the part of `systemctl` that looks at them and stops them. Wall time. */
export function systemdTimers({ wall, spawn }: SystemdOptions): SystemdTimers {
  const timers = new Map<string, Armed>();
  const services = new Map<string, LinuxProcess>();
  let counted = 0;

  const serve = (unit: string, command: readonly string[], environ: ReadonlyMap<string, string>): void => {
    const process = spawn(command, new Map([...ENVIRONMENT, ...environ]));
    if (process.running()) {
      services.set(unit, process);
      process.onEnd(() => void (services.get(unit) === process && services.delete(unit)));
    }
  };

  const run: Program = ({ argv }) => {
    const { options, environ, command, strange } = readOptions(argv.slice(1));
    if (strange !== undefined) return fail(1, `systemd-run: unrecognized option '${strange}'`);
    if (command.length === 0) return fail(1, 'Command line to execute required.');
    const unit = (options.get('unit') ?? `run-u${++counted}`).replace(/\.(?:timer|service)$/, '');
    const announce = (text: string): ShellResult => ({ stdout: '', stderr: options.has('quiet') ? '' : text, code: 0 });
    const after = options.get('on-active');
    const delayMs = after === undefined ? 0 : spanMs(after);
    if (delayMs === undefined) return fail(1, `Failed to parse timer value "${after}": Invalid argument`);
    const kind = after === undefined ? 'service' : 'timer';
    if (timers.has(unit) || services.has(unit))
      return fail(
        1,
        `Failed to start transient ${kind} unit: Unit ${unit}.${kind} was already loaded or has a fragment file.`,
      );
    if (after === undefined) {
      serve(unit, command, environ);
      return announce(`Running as unit: ${unit}.service\n`);
    }
    const fire = (): void => {
      timers.delete(unit);
      serve(unit, command, environ);
    };
    timers.set(unit, { unit, command, dueMs: wall.nowMs() + delayMs, cancel: wall.after(delayMs, fire) });
    return announce(`Running timer as unit: ${unit}.timer\nWill run service as unit: ${unit}.service\n`);
  };

  const stop = (name: string): string | undefined => {
    const [unit, kind] = unitOf(name);
    const timer = kind === 'timer' ? timers.get(unit) : undefined;
    const service = kind === 'service' ? services.get(unit) : undefined;
    if (!timer && !service) return `Failed to stop ${unit}.${kind}: Unit ${unit}.${kind} not loaded.`;
    timer?.cancel();
    if (timer) timers.delete(unit);
    service?.signal('TERM');
    return undefined;
  };

  const listed = (patterns: readonly string[]): readonly Armed[] =>
    [...timers.values()]
      .filter(({ unit }) => patterns.length === 0 || patterns.some(pattern => like(pattern, `${unit}.timer`)))
      .toSorted((a, b) => a.dueMs - b.dueMs);

  const control: Program = ({ argv }) => {
    const words = argv.slice(1).filter(word => !word.startsWith('-'));
    const flags = new Set(argv.slice(1).filter(word => word.startsWith('-')));
    const [verb, ...units] = words;
    switch (verb) {
      case 'stop': {
        const known = units.flatMap(name => expand(name, [...timers.keys()], [...services.keys()]));
        const wrong = known.map(stop).flatMap(text => (text === undefined ? [] : [`${text}\n`]));
        return { stdout: '', stderr: wrong.join(''), code: wrong.length > 0 ? 5 : 0 };
      }
      case 'is-active': {
        const states = units.map(name => {
          const [unit, kind] = unitOf(name);
          return (kind === 'timer' ? timers.has(unit) : services.has(unit)) ? 'active' : 'inactive';
        });
        const stdout = flags.has('-q') || flags.has('--quiet') ? '' : states.map(state => `${state}\n`).join('');
        return { stdout, stderr: '', code: states.includes('active') ? 0 : 3 };
      }
      case 'list-timers': {
        const rows = listed(units).map(({ unit, dueMs }) => {
          const left = `${Math.max(0, Math.round(dueMs - wall.nowMs()))}ms`;
          return `- ${left} left - - ${unit}.timer ${unit}.service\n`;
        });
        if (flags.has('--no-legend')) return succeed(rows.join(''));
        return succeed(`NEXT LEFT LAST PASSED UNIT ACTIVATES\n${rows.join('')}\n${rows.length} timers listed.\n`);
      }
      case 'reset-failed':
      case 'daemon-reload':
        return succeed();
      case 'is-system-running':
        return succeed('running\n');
      default:
        return fail(1, `Unknown command verb '${verb ?? ''}'.`);
    }
  };

  return {
    programs: { 'systemd-run': run, systemctl: control },
    armed: () => listed([]).map(({ unit, command, dueMs }) => ({ unit, command, dueMs })),
    clear() {
      for (const { cancel } of timers.values()) cancel();
      timers.clear();
      services.clear();
    },
  };
}

const unitOf = (name: string): readonly [string, 'timer' | 'service'] =>
  name.endsWith('.timer') ? [name.slice(0, -6), 'timer'] : [name.replace(/\.service$/, ''), 'service'];

const like = (pattern: string, name: string): boolean => matches(patternOf([{ text: pattern, quoted: false }]), name);

/** A pattern stands for the loaded units that it matches, which may be none. */
function expand(name: string, timers: readonly string[], services: readonly string[]): readonly string[] {
  if (!isPattern([{ text: name, quoted: false }])) return [name];
  return [...timers.map(unit => `${unit}.timer`), ...services.map(unit => `${unit}.service`)].filter(unit =>
    like(name, unit),
  );
}

const BARE: ReadonlySet<string> = new Set(['quiet', 'collect', 'no-block', 'system', 'no-ask-password']);
const VALUED: ReadonlySet<string> = new Set([
  'unit',
  'on-active',
  'timer-property',
  'property',
  'description',
  'setenv',
  'slice',
]);

function readOptions(words: readonly string[]): {
  readonly options: ReadonlyMap<string, string>;
  readonly environ: ReadonlyMap<string, string>;
  readonly command: readonly string[];
  readonly strange: string | undefined;
} {
  const options = new Map<string, string>();
  const environ = new Map<string, string>();
  let at = 0;
  for (; words[at]?.startsWith('-'); at++) {
    const word = words[at] as string;
    if (word === '--') {
      at++;
      break;
    }
    const [, name = '', given] =
      /^--([a-z-]+)(?:=([^]*))?$/.exec(word === '-q' ? '--quiet' : word === '-G' ? '--collect' : word) ?? [];
    if (BARE.has(name)) options.set(name, '');
    else if (VALUED.has(name)) {
      const value = given ?? words[++at] ?? '';
      const cut = value.indexOf('=');
      if (name === 'setenv' && cut > 0) environ.set(value.slice(0, cut), value.slice(cut + 1));
      else options.set(name, value);
    } else return { options, environ, command: [], strange: word };
  }
  return { options, environ, command: words.slice(at), strange: undefined };
}
