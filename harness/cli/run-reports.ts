import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { RecordLine } from '../model/record.ts';
import type { RunVerdict } from '../model/verdict.ts';
import { EvidenceError } from '../run/evidence-error.ts';
import { kpiErrors } from '../run/kpi-errors.ts';
import { measurementError } from '../run/measurement-error.ts';
import { RUN_FILES, readAttachment, readHost, readRecord, readSteps, readVerdict } from '../run/run-folder.ts';
import type { HostFacts } from '../run/run-folder.ts';
import { renderHtml, renderJson, renderJunit, renderTap } from '../../reports/index.ts';
import type { FinishedRun } from '../../reports/index.ts';

export const REPORT_FILES = {
  html: 'report.html',
  junit: 'junit.xml',
  tap: 'report.tap',
  json: 'report.json',
} as const;

/** A stored run, as far as it was written. */
export interface StoredRun {
  readonly folder: string;
  readonly lines: readonly RecordLine[];
  /** What the last of them was sealed with. */
  readonly sum: string;
  /** Why these are not all lines that the run wrote; absent when they are. */
  readonly damaged?: string;
  readonly host: HostFacts | undefined;
  /** What was concluded from these lines; undefined when nothing was, or not from all of them. */
  readonly verdict: RunVerdict | undefined;
  /** What beside the record was left out, and why, for people. */
  readonly notes: readonly string[];
}

/**
 * @param verdict whether a stored verdict that was damaged is an error (default), or is as good as none because it is judged anew
 * @throws EvidenceError when there is no readable record in the folder, or its verdict is not as it was written or on another record
 */
export function readRun(
  folder: string,
  { verdict = 'stored' }: { readonly verdict?: 'stored' | 'anew' } = {},
): StoredRun {
  if (!existsSync(path.join(folder, RUN_FILES.record)))
    throw new EvidenceError(
      `${folder} is no folder of a run: it holds no ${RUN_FILES.record}. farspan run prints the folder of each run and makes it in runs/.`,
    );
  const { lines, sum, truncated } = readRecord(folder);
  const host = unlessDamaged(() => readHost(folder));
  const { truncated: missingSteps } = readSteps(folder);
  const read = { lines, sum, ...(truncated !== undefined && { damaged: truncated }) };
  return {
    folder,
    ...read,
    host: host.value,
    verdict: verdict === 'anew' ? unlessDamaged(() => readVerdict(folder)).value?.verdict : verdictOn(folder, read),
    notes: [
      ...(missingSteps === undefined ? [] : [`${RUN_FILES.steps}: ${missingSteps}`]),
      ...(host.why === undefined ? [] : [`${RUN_FILES.host}: what it says of the machine is left out; ${host.why}`]),
    ],
  };
}

/** A verdict on more than can be read now, or on something else, is none. */
function verdictOn(folder: string, { sum, damaged }: Pick<StoredRun, 'sum' | 'damaged'>): RunVerdict | undefined {
  if (damaged !== undefined) return undefined;
  const stored = readVerdict(folder);
  if (stored !== undefined && stored.record !== sum)
    throw new EvidenceError(
      `${path.join(folder, RUN_FILES.verdict)} is the verdict on another record.\n  This one is judged anew with: farspan judge ${folder}`,
    );
  return stored?.verdict;
}

function unlessDamaged<T>(read: () => T): { readonly value?: T; readonly why?: string } {
  try {
    return { value: read() };
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    return { why: error.message.split('\n')[0] ?? '' };
  }
}

/** As lists of runs show it. `from` is where the list is read. */
export function finished(run: StoredRun, verdict: RunVerdict, from: string): FinishedRun {
  const [head] = run.lines;
  if (head?.kind !== 'run') throw new EvidenceError(`${run.folder} has no run line.`);
  return {
    title: head.scenario.title,
    file: head.scenario.file,
    verdict,
    durationS: (run.host?.tookMs ?? 0) / 1000,
    report: shownPath(path.join(run.folder, REPORT_FILES.html), from),
  };
}

/** Writes the four reports of one run, beside its record when no other folder is named. @throws EvidenceError */
export function writeReports(run: StoredRun, verdict: RunVerdict, into = run.folder): void {
  const list = [finished({ ...run, folder: into }, verdict, into)];
  const { lines: steps, truncated: stepsMissing } = readSteps(run.folder);
  write(
    path.join(into, REPORT_FILES.html),
    renderHtml({
      lines: run.lines,
      verdict,
      steps,
      ...(stepsMissing !== undefined && { stepsMissing }),
      errors: measurementError(run.lines),
      kpiErrors: kpiErrors(run.lines),
      series: readAttachment(run.folder, 'series.ndjson').lines,
      ...(run.host && { host: { ...run.host } }),
    }),
  );
  write(path.join(into, REPORT_FILES.junit), renderJunit(list));
  write(path.join(into, REPORT_FILES.tap), renderTap(list));
  write(path.join(into, REPORT_FILES.json), renderJson(list));
}

/** @throws EvidenceError */
export function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new EvidenceError(`${file}: write failed: ${(error as Error).message}`, { cause: error });
  }
}

/** As a user would type it: relative where that is shorter. */
export function shownPath(file: string, from: string): string {
  const near = path.relative(from, file);
  return near.startsWith('..') ? path.resolve(file) : near;
}
