import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../..');

export interface Said {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
  /** Both outputs as they came. */
  readonly text: string;
}

export interface ProcessOptions {
  /** Beside PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onStart?: (child: ChildProcess) => void;
}

/** A program in the project's folder, without the hooks that the test runner loads into its children. */
export function programProcess(
  program: string,
  args: readonly string[],
  { env = {}, onStart = () => {} }: ProcessOptions = {},
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    onStart(child);
    let [out, err, text] = ['', '', ''];
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      out += more;
      text += more;
    });
    child.stderr.setEncoding('utf8').on('data', (more: string) => {
      err += more;
      text += more;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, out, err, text }));
  });
}

/** A whole farspan process. */
export const farspanProcess = (args: readonly string[], { env = {}, ...options }: ProcessOptions = {}): Promise<Said> =>
  programProcess(process.execPath, [path.join(ROOT, 'bin/farspan.js'), ...args], {
    ...options,
    env: { NO_COLOR: '1', ...env },
  });
