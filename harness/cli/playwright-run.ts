import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import type { Results } from '../playwright/results.ts';

/** The folder that holds playwright.config.ts. */
export const ROOT = path.resolve(import.meta.dirname, '../..');

export interface PlaywrightRun {
  readonly files: readonly string[];
  readonly worlds: readonly string[];
  readonly grep?: string | undefined;
  /** Another configuration than Farspan's own: a team's scenarios and worlds. */
  readonly config?: string | undefined;
  readonly workers?: number | undefined;
  /** Added to the environment of Playwright: seed, options, profile, folder of runs. */
  readonly env: Readonly<Record<string, string>>;
  /** What Playwright prints is not shown. */
  readonly quiet?: boolean;
}

export interface PlaywrightEnded extends Results {
  /** Killed on the user's wish, with faults perhaps in effect. */
  readonly abandoned: boolean;
  /** What Playwright said when it wrote no results. */
  readonly said: string;
}

/** A second Ctrl-C must follow the warning within this time to leave at once. */
const LEAVE_WITHIN_MS = 5000;
const SAID_KEPT = 16_384;

/**
 * Runs the Playwright CLI with our reporter. It gets a process group of its own, because a second SIGINT would make
 * Playwright leave without healing: this process passes on the first one only, and says what a second one would cost.
 */
export async function playwrightRun({
  files,
  worlds,
  grep,
  config,
  workers,
  env,
  quiet = false,
}: PlaywrightRun): Promise<PlaywrightEnded> {
  const cli = createRequire(import.meta.url).resolve('@playwright/test/cli');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'farspan-'));
  const resultsFile = path.join(folder, 'results.json');
  const args = [
    cli,
    'test',
    `--config=${config === undefined ? path.join(ROOT, 'playwright.config.ts') : path.resolve(config)}`,
    // One word each: Playwright's --project takes every word after it, and the files would become projects.
    ...worlds.map(world => `--project=${world}`),
    ...(grep === undefined ? [] : ['--grep', grep]),
    ...(workers === undefined ? [] : ['--workers', String(workers)]),
    ...files,
  ];
  try {
    const child = spawn(process.execPath, args, {
      env: {
        ...process.env,
        ...env,
        FARSPAN_RESULTS: resultsFile,
        ...(config !== undefined && { FARSPAN_CONFIG: path.resolve(config) }),
      },
      stdio: ['ignore', quiet ? 'ignore' : 'inherit', 'pipe'],
      detached: true,
    });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-SAID_KEPT);
    });
    const interrupts = forwardInterrupts(child.pid);
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const { interrupted, abandoned } = interrupts.end();
    const results = readResults(resultsFile) ?? { format: 1, results: [], errors: [], interrupted: false };
    return {
      ...results,
      interrupted: results.interrupted || interrupted || status === 130,
      abandoned,
      said: said.trim(),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readResults(file: string): Results | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Results;
  } catch {
    return undefined;
  }
}

const say = (text: string): void => void process.stderr.write(`\n ${text}\n`);

function forwardInterrupts(pid: number | undefined): {
  end(): { readonly interrupted: boolean; readonly abandoned: boolean };
} {
  let presses = 0;
  let warnedAt = 0;
  let abandoned = false;
  const onSignal = (): void => {
    if (pid === undefined) return;
    presses += 1;
    if (presses === 1) {
      say('Stopping: faults are healed, loads stopped and the testbed given back first.');
      process.kill(pid, 'SIGINT');
    } else if (warnedAt === 0 || performance.now() - warnedAt > LEAVE_WITHIN_MS) {
      warnedAt = performance.now();
      say(
        `Still healing. Leaving now may leave faults in effect; press again within ${LEAVE_WITHIN_MS / 1000} s to leave all the same.`,
      );
    } else {
      abandoned = true;
      process.kill(-pid, 'SIGKILL');
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return {
    end() {
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, onSignal);
      return { interrupted: presses > 0, abandoned };
    },
  };
}
