import { type Binding, LabDirty, type ReserveOptions } from '../binding/binding.ts';
import type { Testbed } from '../binding/testbed.ts';
import type { Plan } from '../model/plan.ts';
import type { EndLine, RecordLine, RunLine } from '../model/record.ts';
import type { RunVerdict } from '../model/verdict.ts';
import { asError, conduct } from './conduct.ts';
import type { Conducted, ConductOptions } from './conduct.ts';
import { phaseDeadlineNs } from './deadline.ts';
import { judge } from './judge.ts';
import { RECORD_FORMAT } from './run-folder.ts';
import type { RunFolder } from './run-folder.ts';

export interface PlayOptions extends Pick<ConductOptions, 'narrate' | 'progress' | 'signal'> {
  readonly binding: Binding;
  readonly plan: Plan;
  /** The run line but for what the testbed decides. */
  readonly header: Omit<RunLine, 'kind' | 'format' | 'plan' | 'decision'>;
  /** Options for the binding. They may hold paths of this machine, which the record must not; the header's may not. */
  readonly worldOptions: Readonly<Record<string, string>>;
  readonly folder: RunFolder;
  /** Told where the journal of the reservation is, in worlds that keep one. */
  readonly onJournal?: ReserveOptions['onJournal'];
  /** The one line that plays it again. */
  readonly replay: string;
}

export interface Played {
  readonly verdict: RunVerdict;
  /** What broke, first the run, then the cleaning up. Empty for a run that was played to its end. */
  readonly errors: readonly Error[];
}

/**
 * One whole run: reserve, conduct, release, judge. Everything seen goes to `folder` as it happens, and the verdict after it.
 * Resolves with a verdict whatever broke; rejects only when the evidence itself can not be written (`EvidenceError`).
 *
 * What can not be written ends the run, and is an error whatever came of it. It does so between two steps, never inside one: nobody who
 * heals is stopped by a full disk.
 */
export async function play(options: PlayOptions): Promise<Played> {
  const { binding, plan, header, folder, replay } = options;
  const lines: RecordLine[] = [];
  const early: RecordLine[] = [];
  let headed = false;
  const lost = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, lost.signal]) : lost.signal;
  const keep = (act: () => void): void => {
    try {
      act();
    } catch (thrown) {
      lost.abort(asError(thrown));
    }
  };
  const write = (line: RecordLine): void => {
    lines.push(line);
    keep(() => folder.record(line));
  };
  const record = (line: RecordLine): void => (headed ? write(line) : void early.push(line));
  const head = (decision: RunLine['decision']): void => {
    headed = true;
    write({ kind: 'run', format: RECORD_FORMAT, ...header, plan: storable(plan), decision });
    for (const line of early) write(line);
  };

  const errors: Error[] = [];
  let testbed: Testbed | undefined;
  let end: Omit<EndLine, 'kind' | 'atNs'>;
  let atNs = 0;
  try {
    testbed = await binding.reserve(plan.topology, {
      seed: header.seed,
      record,
      step: step => keep(() => folder.step(step)),
      options: options.worldOptions,
      reason: header.scenario.title,
      ...(options.onJournal && { onJournal: options.onJournal }),
      signal,
    });
    head(plan.decision ?? (testbed.measured ? 'guarded' : 'simple'));
    const refusal = refusalOf(plan, testbed);
    if (refusal === undefined) {
      const conducted = await conduct(plan, testbed, {
        ...options,
        signal,
        record,
        deadlineNs: phase => phaseDeadlineNs(plan, phase),
      });
      errors.push(...(conducted.error ? [conducted.error] : []), ...conducted.cleanupErrors);
      end = endOf(conducted);
    } else end = { reason: 'not run', detail: refusal };
  } catch (thrown) {
    if (!headed) head(plan.decision ?? 'simple');
    errors.push(asError(thrown));
    const detail = asError(thrown).message.replaceAll(/\n\s*/g, ' ');
    end = { reason: 'error', detail, ...(thrown instanceof LabDirty && { dirty: [detail] }) };
  }
  if (testbed) {
    atNs = await testbed.now().catch(() => 0);
    const dirty = await releaseOf(testbed, errors);
    const attachments = testbed.attachments?.() ?? [];
    keep(() => {
      for (const { name, lines: attached } of attachments) folder.attach(name, attached);
    });
    if (dirty.length > 0) end = { ...end, dirty };
  }
  if (lost.signal.aborted && !errors.includes(lost.signal.reason as Error)) errors.unshift(asError(lost.signal.reason));
  if (errors.length > 0 && end.reason !== 'error')
    end = { ...end, reason: 'error', detail: errors.map(error => error.message).join('; ') };
  const last: EndLine = { kind: 'end', atNs, ...end };
  lines.push(last);
  folder.record(last);
  folder.close();
  const verdict = judge(lines, { replay });
  folder.verdict(verdict);
  return { verdict, errors };
}

/** Why this testbed can not play the plan; asked before anything is sent. */
function refusalOf(plan: Plan, testbed: Testbed): string | undefined {
  const background = plan.background ?? [];
  if (background.length > 0 && !testbed.playsBackground)
    return `${testbed.name} plays one load at a time; ${background.map(({ kind }) => kind).join(', ')} can not run beside ${plan.load.kind}.`;
  for (const what of [plan.load, ...background, ...Object.values(plan.phases).flatMap(({ faults }) => faults ?? [])]) {
    const refusal = testbed.refuses(what);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function endOf({ stalled, notReached, error, cleanupErrors }: Conducted): Omit<EndLine, 'kind' | 'atNs'> {
  const missing = notReached.length > 0 ? `; not reached: ${notReached.join(', ')}` : '';
  const failures = [...(error ? [error] : []), ...cleanupErrors].map(({ message }) => message);
  if (failures.length > 0) return { reason: 'error', detail: `${failures.join('; ')}${missing}` };
  if (!stalled) return { reason: 'complete' };
  return {
    reason: 'complete',
    detail: `${stalled.phase} ended at its deadline, ${stalled.done} of ${stalled.asked} rounds done${missing}`,
  };
}

async function releaseOf(testbed: Testbed, errors: Error[]): Promise<readonly string[]> {
  try {
    return (await testbed.release()).dirty;
  } catch (thrown) {
    const error = new Error(`Giving back ${testbed.name} failed: ${asError(thrown).message}`, { cause: thrown });
    errors.push(error);
    return [error.message];
  }
}

/** The plan as JSON keeps it. What JSON can not hold must not be judged from memory and lost from the record. */
const storable = (plan: Plan): Plan => JSON.parse(JSON.stringify(plan)) as Plan;
