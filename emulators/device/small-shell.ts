import {
  absolute,
  describe,
  type Description,
  fileNode,
  type LinuxFiles,
  nullDevice,
  type OpenMode,
  textSource,
} from './linux-files.ts';
import { type LinuxProcess, type Pause, type ProcessTable, type Running, Signalled } from './linux-process.ts';
import { arithmetic, ArithmeticError } from './shell-arithmetic.ts';
import { echoText, printfText } from './shell-printf.ts';
import { pathsLike, readFields, type Segment, splitFields } from './shell-fields.ts';
import { isPattern, matches, patternOf, type Piece } from './shell-pattern.ts';
import {
  type AndOr,
  type Command,
  type Part,
  type Pipeline,
  type Redirection,
  type Script,
  ShellParser,
  ShellSyntaxError,
  type Word,
} from './shell-syntax.ts';
import { shellTest } from './shell-test.ts';

/** What a command answered. */
export interface ShellResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  /** The device ends the connection itself, as a rebooting one does. */
  readonly hangUp?: boolean;
}

/** One call of a program. */
export interface Invocation {
  readonly argv: readonly string[];
  /** File that stdout goes to; `/dev/null`, a pipe and no redirection are undefined. */
  readonly output: string | undefined;
  /** The process is this program and nobody waits for it. */
  readonly background: boolean;
  readonly process: LinuxProcess;
  readonly environ: ReadonlyMap<string, string>;
  readonly stdin: Description;
  readonly folder: string;
  /** How the shell begins its own complaints: `bash: line 1: `. */
  readonly blame: string;
  readonly descriptor: (fd: number) => Description | undefined;
  /** Runs another program with the same files, as exec does. Its output is written; the code comes back. */
  readonly run: (argv: readonly string[], environ?: ReadonlyMap<string, string>) => Generator<Pause, number>;
}

/** A program: answers at once, after pauses, or goes on by itself as the process. */
export type Program = (invocation: Invocation) => ShellResult | Running | Generator<Pause, ShellResult>;

export interface ShellHost {
  readonly programs: Readonly<Record<string, Program>>;
  readonly files: LinuxFiles;
  readonly processes: ProcessTable;
}

export interface SmallShell {
  /**
   * What `bash -c LINE` does for a session. `done` is called once, before this returns unless the line has to wait for something.
   *
   * @returns the process that runs it
   */
  run(line: string, done: (result: ShellResult) => void): LinuxProcess;
  /** Starts a program with nobody attached, as a service manager does. */
  spawn(argv: readonly string[], environ: ReadonlyMap<string, string>): LinuxProcess;
}

/** Longest command line that is read, characters. */
const LONGEST = 64 * 1024;
/** Longest text and most fields that one word may become: a few doublings must not fill this process. */
const LONGEST_TEXT = 1024 * 1024;
const MOST_FIELDS = 100_000;
/** Longest text that a pattern is tried on at every position. */
const LONGEST_TRIM = 4096;
const LONGEST_PATTERN = 1024;
/** What reading a script answers when it is wrong, unlike a 2 of its last command. */
const WRONG_SYNTAX = 0x1_02;
/** What a subshell costs of the steps that a process may take. */
const STEPS_OF_A_COPY = 20;
/** Deepest nesting of functions, subshells and scripts that call each other. */
const DEEPEST = 100;

export const succeed = (stdout = ''): ShellResult => ({ stdout, stderr: '', code: 0 });
export const fail = (code: number, stderr: string): ShellResult => ({ stdout: '', stderr: `${stderr}\n`, code });

const LOGIN: ReadonlyMap<string, string> = new Map([
  ['HOME', '/root'],
  ['LOGNAME', 'root'],
  ['PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
  ['PWD', '/'],
  ['SHELL', '/bin/bash'],
  ['USER', 'root'],
]);

/** Ends the shell, the function or the loop around. */
class Leave extends Error {
  readonly from: 'shell' | 'function' | 'loop' | 'round';
  readonly code: number;
  levels: number;

  constructor(from: Leave['from'], code: number, levels = 1) {
    super(from);
    this.from = from;
    this.code = code;
    this.levels = levels;
  }
}
/** The device ends the connection; whatever ran there is gone. */
class HangUp extends Signalled {}

/** Which shell it is to the outside: the login shell's words are bash's, those of `sh` are dash's. */
type Flavour = 'bash' | 'dash';

interface Variable {
  /** Undefined while it is only marked for export. */
  value: string | undefined;
  exported: boolean;
}

interface State {
  readonly process: LinuxProcess;
  readonly flavour: Flavour;
  /** `$0` */
  readonly name: string;
  readonly variables: Map<string, Variable>;
  readonly functions: Map<string, Command>;
  readonly descriptors: Map<number, Description>;
  parameters: readonly string[];
  folder: string;
  status: number;
  /** Status of the last `$(…)`: that of a command which is nothing else. */
  substituted: number;
  lastBackground: number | undefined;
  exitOnError: boolean;
  refuseUnset: boolean;
  /** Inside a condition, where a failure ends nothing. */
  tested: number;
  depth: number;
  /** Loops around, which `break` may leave. */
  loops: number;
  /** The process is this shell and no copy of it, so `exec` changes what the process is. */
  main: boolean;
  line: number;
  /** `eval: ` inside it. */
  within: string;
  /** Variables that `local` hides, of each function that runs. */
  readonly locals: Map<string, Variable | undefined>[];
}

type Steps<T> = Generator<Pause, T>;

/** A shell of a box: a POSIX sh with the words of bash for its users and those of dash inside `sh`. See docs/emulated-lab.md for its limits. */
export function smallShell({ programs, files, processes }: ShellHost): SmallShell {
  // ---- state ----

  const fork = (state: State, process: LinuxProcess): State => {
    // A copy is dear: two that copy themselves twice must not take all day to reach their depth.
    state.process.budget -= STEPS_OF_A_COPY;
    return copied(state, process);
  };
  const copied = (state: State, process: LinuxProcess): State => ({
    ...state,
    process,
    main: process !== state.process,
    depth: state.depth + 1,
    variables: new Map([...state.variables].map(([name, variable]) => [name, { ...variable }])),
    functions: new Map(state.functions),
    descriptors: new Map([...state.descriptors].map(([fd, description]) => [fd, description.share()])),
    locals: state.locals.map(hidden => new Map(hidden)),
  });
  const closeAll = (state: State): void => {
    for (const description of state.descriptors.values()) description.close();
    state.descriptors.clear();
  };
  const environ = (state: State): Map<string, string> =>
    new Map(
      [...state.variables].flatMap(([name, { value, exported }]) =>
        exported && value !== undefined ? [[name, value] as const] : [],
      ),
    );
  const freshState = (
    process: LinuxProcess,
    flavour: Flavour,
    name: string,
    descriptors: Map<number, Description>,
  ): State => ({
    process,
    flavour,
    name,
    variables: new Map([...process.environ].map(([key, value]) => [key, { value, exported: true }])),
    functions: new Map(),
    descriptors,
    parameters: [],
    folder: '/',
    status: 0,
    substituted: 0,
    lastBackground: undefined,
    exitOnError: false,
    refuseUnset: false,
    tested: 0,
    depth: 0,
    loops: 0,
    main: true,
    line: 1,
    within: '',
    locals: [],
  });

  const blame = (state: State): string =>
    state.flavour === 'bash' ? `bash: line ${state.line}: ` : `${state.name}: ${state.line}: `;
  const emit = (state: State, fd: number, text: string): boolean =>
    text === '' || (state.descriptors.get(fd)?.write(text) ?? false);
  const complain = (state: State, text: string): void => void emit(state, 2, `${blame(state)}${text}\n`);
  /** Inside `eval`, dash names that too. */
  const complainWithin = (state: State, text: string): void =>
    complain(state, state.flavour === 'dash' ? state.within + text : text);
  /** A mistake that ends a shell which nobody sits at. */
  const fatal = (state: State, text: string, code = 2): Leave => {
    complain(state, text);
    return new Leave('shell', state.flavour === 'bash' && code === 2 ? 1 : code);
  };
  const tick = (state: State): void => {
    if (state.process.signalled !== undefined) throw new Signalled();
    if (--state.process.budget > 0) return;
    throw fatal(state, 'a loop without sleep would never let time pass: this device ended it', 137);
  };
  const deeper = (state: State): void => {
    if (state.depth > DEEPEST) throw fatal(state, 'nested too deeply for this device');
  };

  // ---- variables ----

  const get = (state: State, name: string): string | undefined => {
    switch (name) {
      case '?':
        return String(state.status);
      case '$':
        return String(state.process.pid);
      case '!':
        return state.lastBackground === undefined ? '' : String(state.lastBackground);
      case '#':
        return String(state.parameters.length);
      case '-':
        return `${state.exitOnError ? 'e' : ''}${state.refuseUnset ? 'u' : ''}`;
      case '0':
        return state.name;
      case '@':
      case '*':
        return state.parameters.length === 0
          ? undefined
          : state.parameters.join(name === '@' ? ' ' : (get(state, 'IFS') ?? ' ').slice(0, 1));
      default:
        return /^\d/.test(name) ? state.parameters[Number(name) - 1] : state.variables.get(name)?.value;
    }
  };
  const set = (state: State, name: string, value: string): void => {
    const variable = state.variables.get(name);
    if (variable) variable.value = value;
    else state.variables.set(name, { value, exported: false });
  };

  // ---- expansion ----

  // What a part of a word becomes; undefined stands between two parameters of `$@`.

  function* segments(state: State, word: Word): Steps<(Segment | undefined)[]> {
    const result: (Segment | undefined)[] = [];
    let length = 0;
    for (const part of word) {
      for (const segment of yield* expand(state, part)) {
        length += segment?.text.length ?? 0;
        if (length > LONGEST_TEXT || result.length > MOST_FIELDS)
          throw fatal(state, 'a word became too long for this device');
        result.push(segment);
      }
    }
    return result;
  }

  function* expand(state: State, part: Part): Steps<readonly (Segment | undefined)[]> {
    const { quoted } = part;
    switch (part.kind) {
      case 'text':
        return [{ text: part.text, quoted, split: false }];
      case 'command':
        return [{ text: yield* substitute(state, part.body), quoted, split: !quoted }];
      case 'arithmetic': {
        const expression = yield* textOf(state, part.expression);
        try {
          const text = arithmetic(expression, {
            get: name => get(state, name),
            set: (name, value) => set(state, name, value),
          });
          return [{ text, quoted, split: !quoted }];
        } catch (error) {
          if (!(error instanceof ArithmeticError)) throw error;
          throw fatal(state, `arithmetic expression: ${error.message}: "${expression.slice(0, 200)}"`);
        }
      }
      case 'parameter':
        return yield* parameter(state, part);
    }
  }

  function* parameter(state: State, part: Part & { kind: 'parameter' }): Steps<readonly (Segment | undefined)[]> {
    const { name, operator, word, quoted } = part;
    const value = get(state, name);
    const plain = (text: string): readonly Segment[] => [{ text, quoted, split: !quoted }];
    const whole = (): readonly (Segment | undefined)[] => {
      if (name !== '@' && (name !== '*' || quoted)) return plain(value ?? '');
      return state.parameters.flatMap((text, i) => [...(i === 0 ? [] : [undefined]), { text, quoted, split: !quoted }]);
    };
    const missing = value === undefined || (operator?.startsWith(':') === true && value === '');
    switch (operator?.replace(':', '')) {
      case undefined:
        if (value === undefined && state.refuseUnset && name !== '@' && name !== '*')
          throw fatal(state, `${name}: parameter not set`);
        return whole();
      case 'length':
        return plain(String((value ?? '').length));
      case '-':
        return missing ? yield* alternative(state, word, quoted) : whole();
      case '+':
        return missing ? plain('') : yield* alternative(state, word, quoted);
      case '=': {
        if (!missing) return whole();
        const text = yield* textOf(state, word);
        if (!/^[A-Za-z_]/.test(name)) throw fatal(state, `${name}: bad variable name`);
        set(state, name, text);
        return plain(text);
      }
      case '?': {
        if (!missing) return whole();
        const text = yield* textOf(state, word);
        throw fatal(state, `${name}: ${text || 'parameter not set'}`);
      }
      default:
        return plain(trim(state, value ?? '', operator as string, yield* piecesOf(state, word)));
    }
  }

  /** The word of `${x:-word}`: its own quotes count; unquoted parts are split as the parameter would be. */
  function* alternative(state: State, word: Word, quoted: boolean): Steps<readonly (Segment | undefined)[]> {
    if (word.length === 0) return [{ text: '', quoted, split: !quoted }];
    const parts = yield* segments(state, word);
    return parts.map(part => part && { ...part, quoted: part.quoted || quoted, split: !part.quoted && !quoted });
  }

  const trim = (state: State, text: string, operator: string, pieces: readonly Piece[]): string => {
    const pattern = patternOf(pieces);
    if (text.length > LONGEST_TRIM || pattern.length > LONGEST_PATTERN)
      throw fatal(state, `a text of ${text.length} characters is too long for \${…${operator}…} on this device`);
    const lengths = Array.from({ length: text.length + 1 }, (_, i) => i);
    if (operator.length === 2) lengths.reverse();
    const front = operator.startsWith('#');
    for (const length of lengths) {
      const part = front ? text.slice(0, length) : text.slice(text.length - length);
      if (matches(pattern, part)) return front ? text.slice(length) : text.slice(0, text.length - length);
    }
    return text;
  };

  /** One text: as in an assignment, without fields and patterns. */
  function* textOf(state: State, word: Word): Steps<string> {
    return (yield* segments(state, word)).map(segment => segment?.text ?? ' ').join('');
  }

  function* piecesOf(state: State, word: Word): Steps<readonly Piece[]> {
    return (yield* segments(state, word)).map(segment => segment ?? { text: ' ', quoted: true });
  }

  function* fieldsOf(state: State, words: readonly Word[]): Steps<string[]> {
    const result: string[] = [];
    let length = 0;
    for (const word of words) {
      for (const pieces of splitFields(yield* segments(state, word), get(state, 'IFS') ?? ' \t\n')) {
        for (const text of glob(state, pieces)) {
          length += text.length;
          if (length > LONGEST_TEXT || result.length >= MOST_FIELDS) throw fatal(state, 'Argument list too long', 126);
          result.push(text);
        }
      }
    }
    return result;
  }

  const glob = (state: State, pieces: readonly Piece[]): readonly string[] => {
    const text = pieces.map(piece => piece.text).join('');
    if (!isPattern(pieces)) return [text];
    const found = pathsLike(files, pieces, state.folder);
    return found.length === 0 ? [text] : found;
  };

  function* substitute(state: State, body: Script): Steps<string> {
    const output = fileNode();
    const inner = fork(state, state.process);
    deeper(inner);
    inner.descriptors.get(1)?.close();
    inner.descriptors.set(1, describe(output, 'append'));
    state.substituted = yield* subshell(inner, () => script(inner, body));
    return (output.content as string).replaceAll('\0', '').replace(/\n+$/, '');
  }

  // ---- redirections ----

  const REFUSED = {
    missing: 'No such file or directory',
    'no-folder': 'No such file or directory',
    'is-folder': 'Is a directory',
    'read-only': 'Permission denied',
  } as const;

  const openFile = (state: State, path: string, mode: OpenMode): Description | undefined => {
    const opened = path === '' ? 'missing' : files.open(absolute(path, state.folder), mode);
    if (typeof opened !== 'string') return opened;
    if (state.flavour === 'bash') complain(state, `${path}: ${REFUSED[opened]}`);
    else if (mode === 'read') complainWithin(state, `cannot open ${path}: No such file`);
    else
      complain(state, `cannot create ${path}: ${opened === 'no-folder' ? 'Directory nonexistent' : REFUSED[opened]}`);
    return undefined;
  };

  /** @returns false when it could not be done; the complaint is written */
  function* redirect(
    state: State,
    redirection: Redirection,
    saved: Map<number, Description | undefined>,
  ): Steps<boolean> {
    const { fd, operator } = redirection;
    const target = yield* textOf(state, redirection.target);
    let next: Description | undefined;
    if (operator === '>&' || operator === '<&') {
      if (target !== '-') {
        const source = /^\d{1,9}$/.test(target) ? state.descriptors.get(Number(target)) : undefined;
        if (!source) {
          complain(state, `${target}: ${/^\d+$/.test(target) ? 'Bad file descriptor' : 'bad fd number'}`);
          return false;
        }
        next = source.share();
      }
    } else {
      const mode = operator === '<' ? 'read' : operator === '>>' || operator === '<>' ? 'append' : 'write';
      next = openFile(state, target, mode);
      if (!next) return false;
    }
    const old = state.descriptors.get(fd);
    if (saved.has(fd)) old?.close();
    else saved.set(fd, old);
    if (next) state.descriptors.set(fd, next);
    else state.descriptors.delete(fd);
    return true;
  }

  /** Runs with the redirections, and puts the descriptors back. */
  function* redirected(state: State, list: readonly Redirection[], run: () => Steps<number>): Steps<number> {
    if (list.length === 0) return yield* run();
    const saved = new Map<number, Description | undefined>();
    try {
      for (const redirection of list)
        if (!(yield* redirect(state, redirection, saved))) return state.flavour === 'bash' ? 1 : 2;
      return yield* run();
    } finally {
      for (const [fd, old] of saved) {
        state.descriptors.get(fd)?.close();
        if (old) state.descriptors.set(fd, old);
        else state.descriptors.delete(fd);
      }
    }
  }

  /** For good: those of `exec`, and of what a background process is. */
  function* redirectForGood(state: State, list: readonly Redirection[]): Steps<boolean> {
    const saved = new Map<number, Description | undefined>();
    try {
      for (const redirection of list) if (!(yield* redirect(state, redirection, saved))) return false;
      return true;
    } finally {
      for (const old of saved.values()) old?.close();
    }
  }

  // ---- commands ----

  /** Runs a copy of the shell to its end. */
  function* subshell(inner: State, run: () => Steps<number>): Steps<number> {
    try {
      return (yield* run()) & 255;
    } catch (error) {
      if (error instanceof Leave) return error.code;
      throw error;
    } finally {
      closeAll(inner);
    }
  }

  function* script(state: State, body: Script): Steps<number> {
    let code = 0;
    for (const andOr of body) code = yield* list(state, andOr);
    state.status = code;
    return code;
  }

  function* list(state: State, andOr: AndOr): Steps<number> {
    if (andOr.background) return background(state, andOr);
    let code = 0;
    for (const [i, { after, pipeline: next }] of andOr.pipelines.entries()) {
      if ((after === '&&' && code !== 0) || (after === '||' && code === 0)) continue;
      const last = i === andOr.pipelines.length - 1;
      if (!last || next.negated) state.tested++;
      try {
        code = yield* pipeline(state, next);
      } finally {
        if (!last || next.negated) state.tested--;
      }
      state.status = code;
      if (last && code !== 0 && !next.negated && state.exitOnError && state.tested === 0)
        throw new Leave('shell', code);
    }
    return code;
  }

  const background = (state: State, andOr: AndOr): number => {
    const args = [...state.process.args.slice(0, 1), ...(state.flavour === 'dash' ? ['-c'] : []), andOr.source];
    const process = processes.spawn({ args, environ: environ(state), group: state.process.group });
    process.service = state.process.service && !state.process.foreground;
    const inner = fork(state, process);
    deeper(inner);
    inner.descriptors.get(0)?.close();
    inner.descriptors.set(0, nullDevice());
    state.lastBackground = process.pid;
    process.start(subshell(inner, () => detachedBody(inner, andOr)));
    return 0;
  };

  /** A single command is the process itself, so its redirections are the process's own. */
  function* detachedBody(state: State, { pipelines }: AndOr): Steps<number> {
    const [only] = pipelines;
    const [command] = only?.pipeline.commands ?? [];
    if (pipelines.length === 1 && only && command && only.pipeline.commands.length === 1 && !only.pipeline.negated) {
      if (!(yield* redirectForGood(state, command.redirections))) return 2;
      const bare = { ...command, redirections: [] };
      return bare.kind === 'simple' ? yield* simple(state, bare, true) : yield* compound(state, bare);
    }
    return yield* list(state, { pipelines, background: false, source: '' });
  }

  function* pipeline(state: State, { commands, negated }: Pipeline): Steps<number> {
    let code = 0;
    const [first] = commands;
    if (commands.length === 1 && first) code = yield* command(state, first);
    else {
      let input: Description | undefined;
      for (const [i, next] of commands.entries()) {
        const inner = fork(state, state.process);
        deeper(inner);
        if (input) {
          inner.descriptors.get(0)?.close();
          inner.descriptors.set(0, input);
        }
        const output = fileNode();
        if (i < commands.length - 1) {
          inner.descriptors.get(1)?.close();
          inner.descriptors.set(1, describe(output, 'append'));
        }
        code = yield* subshell(inner, () => command(inner, next));
        input = textSource(output.content as string);
      }
    }
    return negated ? (code === 0 ? 1 : 0) : code;
  }

  function* command(state: State, next: Command): Steps<number> {
    state.line = next.line;
    tick(state);
    if (next.kind === 'simple') return yield* simple(state, next, false);
    return yield* redirected(state, next.redirections, () => compound(state, next));
  }

  function* compound(state: State, next: Exclude<Command, { kind: 'simple' }>): Steps<number> {
    switch (next.kind) {
      case 'group':
        return yield* script(state, next.body);
      case 'subshell': {
        const inner = fork(state, state.process);
        deeper(inner);
        return yield* subshell(inner, () => script(inner, next.body));
      }
      case 'if':
        for (const { when, body } of next.branches)
          if ((yield* condition(state, when)) === 0) return yield* script(state, body);
        return yield* script(state, next.otherwise);
      case 'for': {
        const words = next.words ? yield* fieldsOf(state, next.words) : state.parameters;
        return yield* loop(state, words.values(), function* (word) {
          set(state, next.name, word);
          return yield* script(state, next.body);
        });
      }
      case 'while':
        return yield* loop(state, forever, function* () {
          if (((yield* condition(state, next.when)) === 0) === next.until) return undefined;
          return yield* script(state, next.body);
        });
      case 'case': {
        const subject = yield* textOf(state, next.subject);
        for (const { patterns, body } of next.items) {
          for (const word of patterns) {
            const pattern = patternOf(yield* piecesOf(state, word));
            if (pattern.length > LONGEST_PATTERN && subject.length > LONGEST_PATTERN)
              throw fatal(state, 'a pattern is too long for this device');
            if (matches(pattern, subject)) return yield* script(state, body);
          }
        }
        return 0;
      }
      case 'function':
        state.functions.set(next.name, next.body);
        return 0;
    }
  }

  function* condition(state: State, when: Script): Steps<number> {
    state.tested++;
    try {
      return yield* script(state, when);
    } finally {
      state.tested--;
    }
  }

  /** Rounds until the items end or a round says undefined; `break` and `continue` come from within. */
  function* loop<T>(state: State, items: Iterable<T>, round: (item: T) => Steps<number | undefined>): Steps<number> {
    let code = 0;
    state.loops++;
    try {
      for (const item of items) {
        tick(state);
        try {
          const result = yield* round(item);
          if (result === undefined) break;
          code = result;
        } catch (error) {
          if (!(error instanceof Leave) || (error.from !== 'loop' && error.from !== 'round')) throw error;
          if (--error.levels > 0) throw error;
          code = 0;
          if (error.from === 'loop') break;
        }
      }
    } finally {
      state.loops--;
    }
    return code;
  }

  function* simple(state: State, next: Command & { kind: 'simple' }, inPlace: boolean): Steps<number> {
    state.substituted = 0;
    const argv = yield* fieldsOf(state, next.words);
    const [name] = argv;
    if (name === undefined) {
      return yield* redirected(state, next.redirections, function* () {
        for (const [variable, value] of yield* assignedBy(state, next)) set(state, variable, value);
        return state.substituted;
      });
    }
    if (name === 'exec') return yield* exec(state, argv.slice(1), next);
    const body = state.functions.get(name);
    if (SPECIAL.has(name) && !body) {
      let done = false;
      const code = yield* redirected(state, next.redirections, function* () {
        for (const [variable, value] of yield* assignedBy(state, next)) set(state, variable, value);
        done = true;
        return yield* special(state, argv);
      });
      if (!done && state.flavour === 'dash') throw new Leave('shell', code);
      return code;
    }
    return yield* redirected(state, next.redirections, function* () {
      const assigned = yield* assignedBy(state, next);
      if (body) return yield* call(state, body, argv, assigned);
      return BUILT_IN.has(name)
        ? yield* builtInWith(state, assigned, argv)
        : yield* launch(state, argv, new Map([...environ(state), ...assigned]), inPlace);
    });
  }

  /** The assignments before a built-in last as long as it does. */
  function* builtInWith(state: State, assigned: readonly [string, string][], argv: readonly string[]): Steps<number> {
    const before = assigned.map(([variable]) => [variable, state.variables.get(variable)] as const);
    for (const [variable, value] of assigned) state.variables.set(variable, { value, exported: true });
    try {
      return yield* launch(state, argv, environ(state), false);
    } finally {
      for (const [variable, old] of before)
        if (old) state.variables.set(variable, old);
        else state.variables.delete(variable);
    }
  }

  function* assignedBy(
    state: State,
    { assignments }: Command & { kind: 'simple' },
  ): Steps<readonly [string, string][]> {
    const assigned: [string, string][] = [];
    for (const { name, value } of assignments) assigned.push([name, yield* textOf(state, value)]);
    return assigned;
  }

  function* exec(state: State, argv: readonly string[], next: Command & { kind: 'simple' }): Steps<number> {
    if (!(yield* redirectForGood(state, next.redirections))) throw new Leave('shell', state.flavour === 'bash' ? 1 : 2);
    for (const [variable, value] of yield* assignedBy(state, next)) set(state, variable, value);
    if (argv.length === 0) return 0;
    state.within = 'exec: ';
    const environment = new Map([
      ...environ(state),
      ...next.assignments.map(({ name }) => [name, get(state, name) ?? ''] as const),
    ]);
    throw new Leave('shell', yield* launch(state, argv, environment, state.main));
  }

  function* call(
    state: State,
    body: Command,
    argv: readonly string[],
    assigned: readonly [string, string][],
  ): Steps<number> {
    const { parameters, loops } = state;
    const hidden = new Map<string, Variable | undefined>();
    state.parameters = argv.slice(1);
    state.depth++;
    state.loops = 0;
    state.locals.push(hidden);
    deeper(state);
    for (const [variable, value] of assigned) set(state, variable, value);
    try {
      return yield* command(state, body);
    } catch (error) {
      if (error instanceof Leave && error.from === 'function') return error.code;
      throw error;
    } finally {
      state.parameters = parameters;
      state.loops = loops;
      state.depth--;
      state.locals.pop();
      for (const [name, variable] of hidden)
        if (variable) state.variables.set(name, variable);
        else state.variables.delete(name);
    }
  }

  /** A program, with what may stand before one. `inPlace`: the process becomes it. */
  function* launch(
    state: State,
    words: readonly string[],
    environment: ReadonlyMap<string, string>,
    inPlace: boolean,
  ): Steps<number> {
    const prefixed = prefixes(words, environment);
    const { argv } = prefixed;
    let { environ: given } = prefixed;
    const [first] = argv;
    if (first === undefined) {
      if (words[0] === 'env') emit(state, 1, [...given].map(([name, value]) => `${name}=${value}\n`).join(''));
      return 0;
    }
    const name = first.replace(/^(?:\/usr)?(?:\/local)?\/s?bin\//, '');
    if (inPlace) {
      given = new Map(given);
      state.process.args = argv;
      state.process.environ = given;
      if (prefixed.session) state.process.group = state.process.pid;
      if (prefixed.ignoresHangUp) state.process.ignoresHangUp = true;
    }
    if (BUILT_IN.has(name)) return yield* builtIn(state, [name, ...argv.slice(1)]);
    if (SHELLS.has(name)) return yield* nested(state, argv, given, inPlace);
    if (Object.hasOwn(programs, name)) return yield* program(state, programs[name] as Program, argv, given, inPlace);
    if (first.includes('/') && files.kind(absolute(first, state.folder)) !== undefined) {
      complain(state, `${first}: Permission denied`);
      return 126;
    }
    const absent = first.includes('/') ? 'No such file or directory' : 'command not found';
    complainWithin(state, `${first}: ${state.flavour === 'bash' ? absent : 'not found'}`);
    return 127;
  }

  function* program(
    state: State,
    run: Program,
    argv: readonly string[],
    environment: ReadonlyMap<string, string>,
    inPlace: boolean,
  ): Steps<number> {
    const { process } = state;
    const path = state.descriptors.get(1)?.path;
    const answer = run({
      argv,
      output: path === '/dev/null' ? undefined : path,
      background: inPlace && !process.foreground,
      process,
      environ: environment,
      stdin: state.descriptors.get(0) ?? nullDevice(),
      folder: state.folder,
      blame: blame(state),
      descriptor: fd => state.descriptors.get(fd),
      run: (inner, changed) => launch(state, inner, changed ?? environment, inPlace),
    });
    if ('running' in answer) {
      process.body = answer;
      // Only a signal ends it, and that ends the whole process.
      yield () => () => {};
      return 0;
    }
    const result = 'next' in answer ? yield* answer : answer;
    if (!emit(state, 1, result.stdout)) {
      complain(state, `${argv[0]}: write error`);
      return 1;
    }
    emit(state, 2, result.stderr);
    if (result.hangUp) throw new HangUp();
    return result.code;
  }

  /** `sh -c SCRIPT [NAME [ARGUMENT…]]`, `sh FILE [ARGUMENT…]`, `sh` with its script on stdin. */
  function* nested(
    state: State,
    argv: readonly string[],
    environment: ReadonlyMap<string, string>,
    inPlace: boolean,
  ): Steps<number> {
    const flavour = argv[0]?.endsWith('bash') === true ? 'bash' : 'dash';
    let at = 1;
    let flags = '';
    for (; /^-[a-z]+$/.test(argv[at] ?? ''); at++) flags += (argv[at] as string).slice(1);
    const fromText = flags.includes('c');
    const [source, ...rest] = argv.slice(at);
    let text: string | undefined;
    if (fromText) text = source;
    else text = source === undefined ? state.descriptors.get(0)?.read() : files.read(absolute(source, state.folder));
    if (text === undefined) {
      const why = fromText ? '-c requires an argument' : `cannot open ${source}: No such file`;
      emit(state, 2, flavour === 'bash' ? `bash: ${source}: No such file or directory\n` : `${argv[0]}: 0: ${why}\n`);
      return flavour === 'bash' ? 127 : 2;
    }
    const name = fromText ? (rest.shift() ?? (argv[0] as string)) : (source ?? (argv[0] as string));
    const descriptors = new Map([...state.descriptors].map(([fd, description]) => [fd, description.share()]));
    const inner: State = {
      ...freshState(state.process, flavour, name, descriptors),
      variables: new Map([...environment].map(([key, value]) => [key, { value, exported: true }])),
      parameters: rest,
      folder: state.folder,
      depth: state.depth + 1,
      main: inPlace,
      exitOnError: flags.includes('e'),
      refuseUnset: flags.includes('u'),
    };
    deeper(inner);
    return yield* subshell(inner, () => source_(inner, text));
  }

  /** Reads and runs a text line by line. */
  function* source_(state: State, text: string): Steps<number> {
    const parser = new ShellParser(text);
    try {
      for (let line = parser.next(); line; line = parser.next()) yield* script(state, line);
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      emit(state, 2, syntaxText(state, error));
      return WRONG_SYNTAX;
    }
    return state.status;
  }

  /** A text that this very shell runs: a mistake in its syntax ends the shell. */
  function* within(state: State, words: string, text: string): Steps<number> {
    const outer = state.within;
    state.within = words;
    state.status = 0;
    try {
      const code = yield* source_(state, text);
      if (code === WRONG_SYNTAX) throw new Leave('shell', 2);
      return code;
    } finally {
      state.within = outer;
    }
  }

  // ---- what is built in ----

  function* special(state: State, argv: readonly string[]): Steps<number> {
    const [name, first] = argv;
    switch (name) {
      case ':':
        return 0;
      case 'exit':
      case 'return': {
        if (first !== undefined && !/^\d{1,9}$/.test(first)) throw fatal(state, `${name}: Illegal number: ${first}`);
        throw new Leave(
          name === 'exit' || state.locals.length === 0 ? 'shell' : 'function',
          Number(first ?? state.status) & 255,
        );
      }
      case 'break':
      case 'continue': {
        const levels = first === undefined ? 1 : Number(first);
        if (!Number.isInteger(levels) || levels < 1) throw fatal(state, `${name}: Illegal number: ${first}`);
        if (state.loops === 0) return 0;
        throw new Leave(name === 'break' ? 'loop' : 'round', 0, Math.min(levels, state.loops));
      }
      case 'eval':
        return yield* within(state, 'eval: ', argv.slice(1).join(' '));
      case '.': {
        const text = first === undefined ? '' : files.read(absolute(first, state.folder));
        if (text === undefined) throw fatal(state, `.: cannot open ${first}: No such file`);
        return yield* within(state, '.: ', text);
      }
      case 'shift': {
        const count = first === undefined ? 1 : Number(first);
        if (!Number.isInteger(count) || count < 0) throw fatal(state, `shift: Illegal number: ${first}`);
        if (count > state.parameters.length) {
          if (state.flavour === 'dash') throw fatal(state, "shift: can't shift that many");
          return 1;
        }
        state.parameters = state.parameters.slice(count);
        return 0;
      }
      case 'set':
        return setOptions(state, argv.slice(1));
      case 'unset':
        for (const word of argv.slice(1)) {
          if (word === '-v' || word === '-f') continue;
          if (first === '-f') state.functions.delete(word);
          else state.variables.delete(word);
        }
        return 0;
      default:
        return assign(state, argv);
    }
  }

  /** `export`, `readonly` and `local`. */
  const assign = (state: State, [verb, ...words]: readonly string[]): number => {
    const hidden = verb === 'local' ? state.locals.at(-1) : undefined;
    if (verb === 'local' && !hidden) throw fatal(state, 'local: not in a function');
    for (const word of words) {
      const cut = word.indexOf('=');
      const name = cut < 0 ? word : word.slice(0, cut);
      if (!/^[A-Za-z_]\w*$/.test(name)) {
        if (word.startsWith('-')) continue;
        throw fatal(state, `${verb}: ${name}: bad variable name`);
      }
      const old = state.variables.get(name);
      if (hidden && !hidden.has(name)) {
        hidden.set(name, old);
        if (old) state.variables.set(name, { ...old });
      }
      if (cut >= 0) set(state, name, word.slice(cut + 1));
      if (verb !== 'export') continue;
      state.variables.set(name, { value: state.variables.get(name)?.value, exported: true });
    }
    return 0;
  };

  const setOptions = (state: State, words: readonly string[]): number => {
    let at = 0;
    for (; at < words.length; at++) {
      const word = words[at] as string;
      if (word === '--') {
        state.parameters = words.slice(at + 1);
        return 0;
      }
      if (!/^[-+][a-z]+$/.test(word)) break;
      for (const letter of word.slice(1)) {
        if (letter === 'e') state.exitOnError = word.startsWith('-');
        else if (letter === 'u') state.refuseUnset = word.startsWith('-');
        else if (letter === 'o') at++;
      }
    }
    if (at < words.length) state.parameters = words.slice(at);
    return 0;
  };

  function* builtIn(state: State, argv: readonly string[]): Steps<number> {
    const [name, ...words] = argv;
    switch (name) {
      case 'true':
        return 0;
      case 'false':
        return 1;
      case 'echo':
        return write(state, 'echo', echoText(words, state.flavour === 'dash'));
      case 'printf': {
        if (words[0] === undefined) {
          complain(state, 'printf: usage: printf format [arg ...]');
          return 2;
        }
        const { text, wrong } = printfText(words[0], words.slice(1));
        const code = write(state, 'printf', text);
        if (wrong !== undefined) complain(state, `printf: ${wrong}`);
        return wrong === undefined ? code : 1;
      }
      case 'pwd':
        return write(state, 'pwd', `${state.folder}\n`);
      case 'cd':
        return changeFolder(
          state,
          words.find(word => !/^-[LP-]$/.test(word)),
        );
      case 'umask':
        return 0;
      case 'read':
        return read(state, words);
      case 'wait':
        return yield* wait(state, words);
      case 'command':
      case 'type':
        return lookUp(
          state,
          words.filter(word => !word.startsWith('-')),
        );
      default:
        return test(state, argv);
    }
  }

  const write = (state: State, name: string, text: string): number => {
    if (emit(state, 1, text)) return 0;
    complain(state, `${name}: I/O error`);
    return 1;
  };

  const test = (state: State, [name = 'test', ...words]: readonly string[]): number => {
    if (name === '[' && words.pop() !== ']') {
      complain(state, `[: ${state.flavour === 'bash' ? "missing `]'" : 'missing ]'}`);
      return 2;
    }
    const answer = shellTest(words, {
      kind: path => files.kind(absolute(path, state.folder)),
      size: path => files.read(absolute(path, state.folder))?.length ?? 0,
    });
    if (typeof answer === 'boolean') return answer ? 0 : 1;
    complain(state, `${name}: ${answer}`);
    return 2;
  };

  const changeFolder = (state: State, target: string | undefined): number => {
    const path = absolute(target ?? get(state, 'HOME') ?? '/', state.folder);
    if (files.kind(path) !== 'folder') {
      complain(
        state,
        state.flavour === 'bash' ? `cd: ${target}: No such file or directory` : `cd: can't cd to ${target}`,
      );
      return state.flavour === 'bash' ? 1 : 2;
    }
    state.folder = path;
    set(state, 'PWD', path);
    return 0;
  };

  const read = (state: State, words: readonly string[]): number => {
    const raw = words[0] === '-r';
    const names = raw ? words.slice(1) : words;
    let line = state.descriptors.get(0)?.readLine();
    let text = line?.text ?? '';
    while (!raw && line?.whole && /(?:^|[^\\])(?:\\\\)*\\$/.test(text)) {
      line = state.descriptors.get(0)?.readLine();
      text = text.slice(0, -1) + (line?.text ?? '');
    }
    const values = readFields(text, names.length, get(state, 'IFS') ?? ' \t\n', raw);
    for (const [i, name] of names.entries()) set(state, name, values[i] ?? '');
    return line?.whole ? 0 : 1;
  };

  function* wait(state: State, words: readonly string[]): Steps<number> {
    let code = 0;
    const waited =
      words.length > 0 ? words.map(Number) : state.lastBackground === undefined ? [] : [state.lastBackground];
    for (const pid of waited) {
      const process = processes.get(pid);
      if (!process || process.foreground) code = 127;
      else {
        while (process.running()) yield resume => process.onEnd(resume);
        code = process.exitCode ?? 0;
      }
    }
    return words.length > 0 ? code : 0;
  }

  const lookUp = (state: State, names: readonly string[]): number => {
    let code = 0;
    for (const name of names) {
      const own = BUILT_IN.has(name) || SPECIAL.has(name) || name === 'exec' || state.functions.has(name);
      const base = name.replace(/^(?:\/usr)?(?:\/local)?\/s?bin\//, '');
      if (own) emit(state, 1, `${name}\n`);
      else if (Object.hasOwn(programs, base) || SHELLS.has(base) || PREFIXES.has(base))
        emit(state, 1, `/usr/bin/${base}\n`);
      else code = state.flavour === 'bash' ? 1 : 127;
    }
    return code;
  };

  // ---- from outside ----

  return {
    run(line, done) {
      const process = processes.spawn({ args: ['bash', '-c', line], environ: LOGIN, foreground: true });
      const [stdout, stderr] = [fileNode(), fileNode()];
      const state = freshState(
        process,
        'bash',
        'bash',
        new Map([
          [0, nullDevice()],
          [1, describe(stdout, 'append')],
          [2, describe(stderr, 'append')],
        ]),
      );
      let hangUp = false;
      function* session(): Steps<number> {
        if (line.length > LONGEST) {
          emit(state, 2, 'bash: Argument list too long\n');
          return 126;
        }
        try {
          return yield* source_(state, line);
        } catch (error) {
          if (!(error instanceof HangUp)) throw error;
          hangUp = true;
          return 0;
        }
      }
      process.start(subshell(state, session), code =>
        done({
          stdout: stdout.content as string,
          stderr: stderr.content as string,
          code,
          ...(hangUp && { hangUp }),
        }),
      );
      return process;
    },
    spawn(argv, environment) {
      const process = processes.spawn({ args: argv, environ: environment });
      process.service = true;
      const descriptors = new Map([0, 1, 2].map(fd => [fd, nullDevice()]));
      const state = freshState(process, 'dash', 'sh', descriptors);
      process.start(subshell(state, () => launch(state, argv, environment, true)));
      return process;
    },
  };
}

function dashText(wrong: ShellSyntaxError['wrong']): string {
  switch (wrong.kind) {
    case 'quote':
      return wrong.mark === '`' ? 'EOF in backquote substitution' : 'Unterminated quoted string';
    case 'other':
      return wrong.text;
    default: {
      const found = wrong.kind === 'end' ? 'end of file' : wrong.token === 'newline' ? wrong.token : `"${wrong.token}"`;
      return `${found} unexpected${wrong.expecting === undefined ? '' : ` (expecting "${wrong.expecting}")`}`;
    }
  }
}

/** What is wrong, in the words of the shell. */
function syntaxText(state: Pick<State, 'flavour' | 'name' | 'within'>, { line, wrong }: ShellSyntaxError): string {
  if (state.flavour === 'dash') return `${state.name}: ${line}: ${state.within}Syntax error: ${dashText(wrong)}\n`;
  const text =
    wrong.kind === 'quote'
      ? `unexpected EOF while looking for matching \`${wrong.mark}'`
      : wrong.kind === 'end'
        ? 'syntax error: unexpected end of file'
        : wrong.kind === 'token'
          ? `syntax error near unexpected token \`${wrong.token}'`
          : wrong.text;
  return `bash: -c: line ${line}: ${text}\n`;
}

/** The built-ins that POSIX calls special: assignments before them stay, and their mistakes end the shell. `exec` has its own way. */
const SPECIAL: ReadonlySet<string> = new Set([
  ':',
  'exit',
  'return',
  'break',
  'continue',
  'eval',
  '.',
  'shift',
  'set',
  'unset',
  'export',
  'readonly',
  'local',
]);
const BUILT_IN: ReadonlySet<string> = new Set([
  'true',
  'false',
  'echo',
  'printf',
  'pwd',
  'cd',
  'umask',
  'read',
  'wait',
  'command',
  'type',
  'test',
  '[',
]);
const SHELLS: ReadonlySet<string> = new Set(['sh', 'dash', 'bash']);
const PREFIXES: ReadonlySet<string> = new Set(['sudo', 'setsid', 'nohup', 'env', 'command', 'exec', 'nice']);

/** Takes the words before a program that change how it runs: who (everybody is root here), in what session, with what environment. */
function prefixes(
  words: readonly string[],
  given: ReadonlyMap<string, string>,
): {
  readonly argv: readonly string[];
  readonly environ: ReadonlyMap<string, string>;
  readonly session: boolean;
  readonly ignoresHangUp: boolean;
} {
  let at = 0;
  let environ = given;
  let [session, ignoresHangUp] = [false, false];
  for (; PREFIXES.has(words[at] ?? ''); ) {
    const name = words[at] as string;
    // `command -v` is a question.
    if (name === 'command' && words[at + 1]?.startsWith('-')) break;
    at++;
    if (name === 'setsid') session = true;
    if (name === 'nohup') ignoresHangUp = true;
    for (; at < words.length; at++) {
      const word = words[at] as string;
      const assignment = name === 'env' || name === 'sudo' ? /^([A-Za-z_]\w*)=([^]*)$/.exec(word) : null;
      if (assignment) environ = new Map([...environ, [assignment[1] as string, assignment[2] as string]]);
      else if (word === '-i' && name === 'env') environ = new Map();
      else if ((word === '-u' && name !== 'setsid') || (word === '-n' && name === 'nice')) at++;
      else if (!/^-[A-Za-z-]*$/.test(word)) break;
    }
  }
  return { argv: words.slice(at), environ, session, ignoresHangUp };
}

const forever: Iterable<undefined> = {
  *[Symbol.iterator]() {
    for (;;) yield undefined;
  },
};
