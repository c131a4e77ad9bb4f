import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { judge, type JudgeOptions } from '../run/judge.ts';
import type { RunVerdict } from '../model/verdict.ts';
import type { DecisionRule } from '../model/plan.ts';
import { readProfile } from '../run/profile.ts';
import { replayLine } from '../run/replay-line.ts';
import { EvidenceError } from '../run/evidence-error.ts';
import { slug, writeVerdict } from '../run/run-folder.ts';
import { EXIT, exitCode } from './exit-code.ts';
import { finished, readRun, writeReports } from './run-reports.ts';
import type { StoredRun } from './run-reports.ts';
import { printSummary } from './summary.ts';
import { UsageError } from './usage-error.ts';

export interface JudgeCommand {
  readonly folder: string;
  readonly profile?: string;
  readonly decision?: DecisionRule;
}

/**
 * Judges a stored run again, without any testbed. By its own rules: the new verdict and reports replace the old. By another profile or
 * decision rule: they go to a folder of their own inside the run's, and what was judged by the run's own rules stays. Gives the exit code.
 */
export function judgeAgain({ folder, profile, decision }: JudgeCommand): number {
  const limits = profile === undefined ? undefined : readProfile(textOf(profile), profile);
  const { run, verdict } = legible(folder, () => {
    const run = readRun(folder, { verdict: 'anew' });
    const judged = judgedAsFound(run, {
      replay: run.verdict?.replay ?? replayOf(run),
      ...(limits !== undefined && { profile: limits }),
      ...(decision !== undefined && { decision }),
    });
    const rules = [limits && `profile-${slug(limits.name)}`, decision].filter(rule => rule !== undefined);
    const into = rules.length === 0 ? folder : path.join(folder, `judged-${rules.join('-')}`);
    mkdirSync(into, { recursive: true });
    writeReports(run, judged, into);
    writeVerdict(into, { verdict: judged, record: run.sum });
    const notes =
      rules.length === 0 ? [] : [`The run's own verdict stays ${run.verdict?.outcome.toUpperCase() ?? 'unwritten'}.`];
    printSummary([finished({ ...run, folder: into }, judged, process.cwd())], { notes: [...run.notes, ...notes] });
    return { run, verdict: judged };
  });
  const dirty = verdict.cleanliness.dirty.length > 0;
  return exitCode([{ outcome: verdict.outcome, dirty, ...(run.damaged !== undefined && { trouble: 'evidence' }) }], {
    interrupted: false,
  });
}

/**
 * Writes the reports of a stored run again, by the verdict it has; a record that is not whole has none any more, and is judged as far as it
 * goes. Gives the exit code: that of the writing, not of the verdict.
 */
export function reportAgain({ folder }: Pick<JudgeCommand, 'folder'>): number {
  const { damaged } = legible(folder, () => {
    const run = readRun(folder);
    const verdict = run.verdict ?? judgedAsFound(run, { replay: replayOf(run) });
    writeReports(run, verdict);
    printSummary([finished(run, verdict, process.cwd())], { notes: run.notes });
    return run;
  });
  return damaged === undefined ? EXIT.pass : EXIT.evidence;
}

/** A record that is not whole says what it says up to there, and is never a pass. */
function judgedAsFound({ lines, damaged }: StoredRun, options: JudgeOptions): RunVerdict {
  const judged = judge(lines, options);
  return damaged === undefined
    ? judged
    : { ...judged, outcome: 'error', reason: `the record is not whole: ${damaged}` };
}

/** The lines of a run are believed to be as this version wrote them; whatever breaks on them is a damaged file, and no verdict. */
function legible<T>(folder: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof EvidenceError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new EvidenceError(`${folder}: the record or the verdict is damaged, or another version wrote it: ${why}`, {
      cause: error,
    });
  }
}

function replayOf({ lines: [head] }: StoredRun): string {
  if (head?.kind !== 'run') return '';
  const { world, seed, trainPackets, granularity, options, scenario, set } = head;
  return replayLine({
    world,
    seed,
    trainPackets,
    ...(granularity && { granularity }),
    options,
    title: scenario.title,
    ...(set && { set }),
  });
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} could not be read: ${(error as Error).message}`, { cause: error });
  }
}
