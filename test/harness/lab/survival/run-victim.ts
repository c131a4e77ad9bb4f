import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { KeptLab } from './kept-lab.ts';

const LOADER = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const VICTIM = fileURLToPath(new URL('victim.ts', import.meta.url));

/** A runner of its own process that is loaded and waits for `go`. */
export interface Victim {
  readonly child: ChildProcess;
  /** Everything that it said, line by line. */
  readonly said: string[];
  readonly stderr: () => string;
  go(): void;
  /** Resolves once it has said a line that begins so, or has ended. */
  until(begin: string): Promise<void>;
  readonly ended: Promise<void>;
}

export async function victim(
  { inventory, state, runs }: KeptLab,
  orders: {
    readonly seed: number;
    readonly rounds: number;
    readonly dieAt?: { readonly boundary: string; readonly nth: number };
    readonly stop?: boolean;
  },
): Promise<Victim> {
  const child = spawn(
    process.execPath,
    ['--import', LOADER, VICTIM, JSON.stringify({ inventory, state, runs, ...orders })],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      // NODE_OPTIONS of a test runner would load its hooks into the victim.
      env: { ...process.env, NODE_OPTIONS: '' },
    },
  );
  const said: string[] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  let stderr = '';
  child.stdin.on('error', () => {});
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    said.push(...lines);
    for (const look of waiting) look();
  });
  let over = false;
  const ended = once(child, 'close').then(() => {
    over = true;
    for (const look of waiting) look();
  });
  const until = (begin: string): Promise<void> =>
    new Promise(resolve => {
      const look = (): void => {
        if (!over && !said.some(line => line.startsWith(begin))) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  await until('ready');
  return { child, said, stderr: () => stderr, go: () => void child.stdin.write('go\n'), until, ended };
}
