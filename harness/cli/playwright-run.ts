import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import type { Results } from '../playwright/results.ts';
import { type AppliedFaults, appliedFaults } from './applied-faults.ts';
import { printable } from './say.ts';

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

/** How often the checklist of an interrupted run is brought up to date. */
const CHECKLIST_MS = 100;

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
  const journalsFile = path.join(folder, 'journals');
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
        FARSPAN_JOURNALS: journalsFile,
        ...(config !== undefined && { FARSPAN_CONFIG: path.resolve(config) }),
      },
      stdio: ['ignore', quiet ? 'ignore' : 'inherit', 'pipe'],
      detached: true,
    });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-SAID_KEPT);
    });
    const interrupts = forwardInterrupts(child.pid, appliedFaults(journalsFile));
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

const say = (text: string): void => void process.stderr.write(`\n ${printable(text)}\n`);

function forwardInterrupts(
  pid: number | undefined,
  applied: AppliedFaults,
): {
  end(): { readonly interrupted: boolean; readonly abandoned: boolean };
} {
  let presses = 0;
  let warnedAt = 0;
  let abandoned = false;
  let checklist: NodeJS.Timeout | undefined;
  const tick = (): void => {
    for (const { fault, what, healed } of applied.changed())
      say(healed ? `✔ ${fault}  ${what}: undone and read back` : `✘ ${fault}  ${what}: could not be undone`);
  };
  const onSignal = (): void => {
    if (pid === undefined) return;
    presses += 1;
    if (presses === 1) {
      // What was healed before is no news.
      applied.changed();
      const now = applied.now();
      const count = now.length === 0 ? 'no fault is in effect' : `${now.length} to undo`;
      say(`Stopping: faults are healed, loads stopped and the testbed given back first; ${count}.`);
      for (const { fault, what } of now) say(`☐ ${fault}  ${what}`);
      checklist = setInterval(tick, CHECKLIST_MS);
      process.kill(pid, 'SIGINT');
    } else if (warnedAt === 0 || performance.now() - warnedAt > LEAVE_WITHIN_MS) {
      warnedAt = performance.now();
      const now = applied.now();
      for (const { fault, what, devices, ttlS, armed } of now) {
        const timer = armed
          ? `its timer there undoes it at the latest ${ttlS} s after we are gone`
          : 'no timer of the device undoes it';
        say(`! ${fault}  ${what} on ${devices.join(', ')}: ${timer}`);
      }
      say(
        `${now.length === 0 ? 'No fault is in effect; still giving the testbed back.' : `Still healing: ${now.length} in effect.`} Press again within ${LEAVE_WITHIN_MS / 1000} s to leave all the same; then run farspan recover.`,
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
      clearInterval(checklist);
      if (checklist !== undefined) tick();
      return { interrupted: presses > 0, abandoned };
    },
  };
}
