import { readFileSync } from 'node:fs';
import { judge } from '../run/judge.ts';
import type { DecisionRule } from '../model/plan.ts';
import { readProfile } from '../run/profile.ts';
import { replayLine } from '../run/replay-line.ts';
import { writeVerdict } from '../run/run-folder.ts';
import { exitCode } from './exit-code.ts';
import { finished, readRun, writeReports } from './run-reports.ts';
import type { StoredRun } from './run-reports.ts';
import { printSummary } from './summary.ts';
import { UsageError } from './usage-error.ts';

export interface JudgeCommand {
  readonly folder: string;
  readonly profile?: string;
  readonly decision?: DecisionRule;
}

/** Judges a stored run again, without any testbed; the new verdict and reports replace the old. Resolves with the exit code. */
export function judgeAgain({ folder, profile, decision }: JudgeCommand): number {
  const run = readRun(folder);
  const verdict = judge(run.lines, {
    replay: run.verdict?.replay ?? replayOf(run),
    ...(profile !== undefined && { profile: readProfile(textOf(profile), profile) }),
    ...(decision !== undefined && { decision }),
  });
  writeVerdict(folder, verdict);
  writeReports(run, verdict);
  printSummary([finished(run, verdict, process.cwd())], { notes: run.truncated });
  return exitCode([{ outcome: verdict.outcome, dirty: verdict.cleanliness.dirty.length > 0 }], { interrupted: false });
}

/** Writes the reports of a stored run again, by the verdict it has. */
export function reportAgain({ folder }: Pick<JudgeCommand, 'folder'>): number {
  const run = readRun(folder);
  const verdict = run.verdict ?? judge(run.lines, { replay: replayOf(run) });
  writeReports(run, verdict);
  printSummary([finished(run, verdict, process.cwd())], { notes: run.truncated });
  return 0;
}

function replayOf({ lines: [head] }: StoredRun): string {
  if (head?.kind !== 'run') return '';
  const { world, seed, trainPackets, options, scenario } = head;
  return replayLine({ world, seed, trainPackets, options, title: scenario.title });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} could not be read: ${(error as Error).message}`, { cause: error });
  }
}
