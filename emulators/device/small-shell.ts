/** What a command answered. */
export interface ShellResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  /** The device ends the connection itself, as a rebooting one does. */
  readonly hangUp?: boolean;
}

/** A program that was started with `&` and goes on by itself. */
export interface BackgroundProcess {
  readonly pid: number;
}

export interface Invocation {
  readonly argv: readonly string[];
  /** File that stdout goes to; `/dev/null` and no redirection are both undefined. */
  readonly output: string | undefined;
  readonly background: boolean;
}

/** A program of the shell. In the background it answers with its process id. */
export type Program = (invocation: Invocation) => ShellResult | BackgroundProcess;

export interface ShellOptions {
  readonly programs: Readonly<Record<string, Program>>;
  /** Writes what a foreground program printed into a file. */
  readonly write?: (file: string, text: string) => void;
}

/** Longest command line that is read, characters. */
const LONGEST = 64 * 1024;

export const succeed = (stdout = ''): ShellResult => ({ stdout, stderr: '', code: 0 });
export const fail = (code: number, stderr: string): ShellResult => ({ stdout: '', stderr: `${stderr}\n`, code });

type Operator = ';' | '&' | '&&' | '||' | '>' | '<' | '2>&1' | '2>' | '|';

type Token = { readonly kind: 'word'; readonly text: string } | { readonly kind: 'operator'; readonly text: Operator };

const OPERATOR = /2>&1|2>|&&|\|\||[;&|<>]/y;

/** Splits a command line into words and operators: quotes, backslashes, `$!` and `$?` stay text. One pass. */
function tokenize(line: string): Token[] | string {
  const tokens: Token[] = [];
  let word: string | undefined;
  const end = (): void => {
    if (word !== undefined) tokens.push({ kind: 'word', text: word });
    word = undefined;
  };
  for (let i = 0; i < line.length; ) {
    const c = line[i] as string;
    if (c === ' ' || c === '\t' || c === '\n') {
      end();
      if (c === '\n') tokens.push({ kind: 'operator', text: ';' });
      i++;
    } else if (c === "'" || c === '"') {
      const close = line.indexOf(c, i + 1);
      if (close < 0) return `unexpected EOF while looking for matching \`${c}'`;
      word = (word ?? '') + line.slice(i + 1, close);
      i = close + 1;
    } else if (c === '\\' && i + 1 < line.length) {
      word = (word ?? '') + (line[i + 1] as string);
      i += 2;
    } else {
      OPERATOR.lastIndex = i;
      const operator = (c === '2' && word !== undefined ? undefined : OPERATOR.exec(line)?.[0]) as Operator | undefined;
      if (operator !== undefined) {
        end();
        tokens.push({ kind: 'operator', text: operator });
        i += operator.length;
      } else {
        word = (word ?? '') + c;
        i++;
      }
    }
  }
  end();
  return tokens;
}

/** Words before the program that change nothing here: everything runs as root and survives its session when asked to. */
const PREFIXES: ReadonlySet<string> = new Set(['sudo', 'setsid', 'nohup', 'exec', 'command']);

/**
 * A small POSIX shell for devices: words, quotes, `;`, `&&`, `||`, `&`, `>`, `<`, `2>&1`, `$!`, `$?`. Everything else is refused
 * in bash's words. It answers what `bash -c` answers to an SSH exec.
 */
export function runShell(line: string, { programs, write = () => {} }: ShellOptions): ShellResult {
  if (line.length > LONGEST) return fail(126, 'bash: Argument list too long');
  const tokens = tokenize(line);
  if (typeof tokens === 'string') return fail(2, `bash: -c: line 1: ${tokens}`);
  let stdout = '';
  let stderr = '';
  let code = 0;
  let lastPid: number | undefined;
  let hangUp = false;

  const execute = (
    words: readonly string[],
    output: string | undefined,
    merged: boolean,
    background: boolean,
  ): void => {
    const argv = words.map(word =>
      word.replaceAll('$!', () => (lastPid === undefined ? '' : String(lastPid))).replaceAll('$?', () => String(code)),
    );
    while (argv[0] !== undefined && PREFIXES.has(argv[0])) argv.shift();
    const [name] = argv;
    if (name === undefined) return;
    let result: ShellResult | BackgroundProcess;
    if (name === 'echo') result = succeed(`${argv.slice(1).join(' ')}\n`);
    else if (name === 'true' || name === 'false') result = { stdout: '', stderr: '', code: name === 'true' ? 0 : 1 };
    else if (Object.hasOwn(programs, name)) {
      result = (programs[name] as Program)({ argv, output: output === '/dev/null' ? undefined : output, background });
    } else result = fail(127, `bash: line 1: ${name}: command not found`);
    if ('pid' in result) {
      lastPid = result.pid;
      code = 0;
      return;
    }
    code = background ? 0 : result.code;
    hangUp ||= result.hangUp ?? false;
    if (output !== undefined) {
      if (output !== '/dev/null') write(output, result.stdout + (merged ? result.stderr : ''));
      if (!merged) stderr += result.stderr;
    } else {
      stdout += result.stdout + (merged ? result.stderr : '');
      if (!merged) stderr += result.stderr;
    }
  };

  let words: string[] = [];
  let output: string | undefined;
  let merged = false;
  let skip = false;
  for (let i = 0; i <= tokens.length; i++) {
    const token = tokens[i] ?? { kind: 'operator' as const, text: ';' as const };
    if (token.kind === 'word') {
      words.push(token.text);
      continue;
    }
    if (token.text === '2>&1') {
      merged = true;
      continue;
    }
    if (token.text === '>' || token.text === '<' || token.text === '2>') {
      const file = tokens[++i];
      if (file?.kind !== 'word')
        return {
          stdout,
          stderr: `${stderr}bash: -c: line 1: syntax error near unexpected token \`newline'\n`,
          code: 2,
        };
      if (token.text === '>') output = file.text;
      continue;
    }
    if (token.text === '|')
      return { stdout, stderr: `${stderr}bash: -c: line 1: pipes are not part of this device\n`, code: 2 };
    if (words.length > 0 && !skip) execute(words, output, merged, token.text === '&');
    words = [];
    output = undefined;
    merged = false;
    skip = (token.text === '&&' && code !== 0) || (token.text === '||' && code === 0);
    if (hangUp) break;
  }
  return { stdout, stderr, code, ...(hangUp ? { hangUp } : {}) };
}
