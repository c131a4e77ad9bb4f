import path from 'node:path';
import type { RunVerdict } from '../model/verdict.ts';
import type { ScenarioResult } from '../playwright/results.ts';
import { besidePlan } from '../run/beside-plan.ts';
import { replayLine } from '../run/replay-line.ts';
import { EvidenceError } from '../run/evidence-error.ts';
import { renderIndex, renderJson, renderJunit, renderTap } from '../../reports/index.ts';
import type { FinishedRun } from '../../reports/index.ts';
import { EXIT, exitCode } from './exit-code.ts';
import type { Ended } from './exit-code.ts';
import { playwrightRun } from './playwright-run.ts';
import { finished, readRun, shownPath, write, writeReports } from './run-reports.ts';
import { printSummary } from './summary.ts';
import { printable } from './say.ts';
import { UsageError } from './usage-error.ts';
import { settingsOf } from './world-settings.ts';
import type { WorldSettings } from './world-settings.ts';

export interface RunCommand extends WorldSettings {
  readonly files: readonly string[];
  readonly worlds: readonly string[];
  readonly grep?: string;
  readonly workers?: number;
  /** One file for all runs, beside those in each run's folder. */
  readonly junit?: string;
  readonly tap?: string;
  readonly json?: string;
}

/** Plays scenarios, prints the summary, writes all reports; resolves with the exit code. */
export async function run(command: RunCommand): Promise<number> {
  const settings = settingsOf(command);
  const { files, worlds, grep, workers, config } = command;
  const ended = await playwrightRun({
    files,
    worlds,
    env: settings.env,
    grep,
    workers,
    config,
  });

  if (ended.results.length === 0) return nothingRan(ended, command);
  const codes: Ended[] = [];
  const runs: FinishedRun[] = [];
  for (const result of ended.results) {
    const { verdict, one } = reported(result, command);
    runs.push(worlds.length > 1 ? { ...one, title: `${one.title} (${result.world})` } : one);
    codes.push({
      outcome: verdict.outcome,
      dirty: verdict.cleanliness.dirty.length > 0,
      ...(result.trouble && { trouble: result.trouble }),
    });
  }
  const lists = writeLists(runs, { ...command, runsDir: settings.runsDir });
  printSummary(runs, {
    notes: ended.errors,
    ...(lists.index && { report: lists.index }),
  });
  if (ended.abandoned) return EXIT.dirty;
  const code = exitCode(codes, ended);
  return code === EXIT.pass && ended.errors.length > 0 ? EXIT.error : code;
}

function nothingRan(
  { errors, said, interrupted, abandoned }: Awaited<ReturnType<typeof playwrightRun>>,
  { grep, files }: RunCommand,
): number {
  if (abandoned) return EXIT.dirty;
  if (interrupted) return EXIT.interrupted;
  const unloaded = errors.filter(text => !/No tests found/.test(text));
  if (errors.length > 0 && unloaded.length === 0) {
    const asked = [...files, ...(grep === undefined ? [] : [`-g ${JSON.stringify(grep)}`])].join(' ');
    process.stderr.write(
      `farspan: no scenario matches ${asked || 'this world'}, so nothing was judged. List them with: npx farspan plan\n`,
    );
    return EXIT.undecided;
  }
  if (unloaded.length > 0)
    throw new UsageError(`the scenarios could not be loaded, nothing was run.${said ? `\n${said}` : ''}`);
  throw new Error(`Playwright ended without a result.${said ? `\n${said}` : ''}`);
}

/** A result with its verdict and its reports; what has no folder gets a verdict from what the reporter saw. */
function reported(
  result: ScenarioResult,
  command: RunCommand,
): { readonly verdict: RunVerdict; readonly one: FinishedRun } {
  if (result.folder !== undefined) {
    try {
      const stored = readRun(result.folder);
      // The reporter wrote it so; this holds when the disk did not take it.
      const verdict = besidePlan(stored.verdict ?? unjudged(bareVerdict(result, command)), result);
      writeReports(stored, verdict);
      return { verdict, one: { ...finished(stored, verdict, process.cwd()), durationS: result.durationMs / 1000 } };
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      process.stderr.write(`farspan: ${printable(error.message)}\n`);
      const verdict = { ...bareVerdict(result, command), outcome: 'error' as const, reason: error.message };
      return { verdict, one: bare(result, verdict) };
    }
  }
  const verdict = bareVerdict(result, command);
  return { verdict, one: bare(result, verdict) };
}

/** A plan that was played and of which no verdict is left has passed nothing. */
const unjudged = (verdict: RunVerdict): RunVerdict =>
  verdict.outcome === 'pass' ? { ...verdict, outcome: 'error', reason: 'the run left no verdict' } : verdict;

const bare = ({ title, file, durationMs }: ScenarioResult, verdict: RunVerdict): FinishedRun => ({
  title,
  file,
  verdict,
  durationS: durationMs / 1000,
});

function bareVerdict(
  { outcome, errors, skipped, cleanliness, title, world }: ScenarioResult,
  { seed, train, granularity, defect, inventory, option, set, config, profile }: RunCommand,
): RunVerdict {
  return {
    outcome,
    reason: skipped ?? errors[0]?.split('\n')[0] ?? outcome,
    gates: [],
    checks: [],
    cleanliness,
    seed,
    replay: replayLine({
      world,
      seed,
      title,
      trainPackets: world === 'lab' ? null : (train ?? null),
      options: {
        ...option,
        ...(granularity !== undefined && { granularity }),
        ...(defect !== undefined && { defect }),
        ...(inventory !== undefined && { inventory }),
      },
      ...(set !== undefined && { set }),
      ...(config !== undefined && { configFile: config }),
      ...(profile !== undefined && { profileFile: profile }),
    }),
  };
}

function writeLists(
  runs: readonly FinishedRun[],
  { junit, tap, json, runsDir }: RunCommand & { readonly runsDir: string },
): { readonly index?: string } {
  if (junit !== undefined) write(junit, renderJunit(runs));
  if (tap !== undefined) write(tap, renderTap(runs));
  if (json !== undefined) write(json, renderJson(runs));
  const stored = runs.filter(({ report }) => report !== undefined);
  if (runs.length < 2 || stored.length === 0) return {};
  const index = path.join(runsDir, 'index.html');
  write(
    index,
    renderIndex(
      runs.map(one =>
        one.report === undefined ? one : { ...one, report: path.relative(runsDir, path.resolve(one.report)) },
      ),
    ),
  );
  return { index: shownPath(index, process.cwd()) };
}
