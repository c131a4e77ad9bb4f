import type { Profile } from '../model/check.ts';
import type { DecisionRule } from '../model/plan.ts';
import type { EndLine, RecordLine } from '../model/record.ts';
import {
  type CheckVerdict,
  type Cleanliness,
  type GateVerdict,
  type Outcome,
  type RunVerdict,
  worse,
} from '../model/verdict.ts';
import { cleanlinessOf } from './cleanliness.ts';
import { gatesOf } from './gates.ts';
import { judgeCheck } from './judge-check.ts';
import { runView } from './run-view.ts';

export interface JudgeOptions {
  /** The one line that plays the run again. */
  readonly replay: string;
  /** Judge by this rule instead of the one that was in force. */
  readonly decision?: DecisionRule;
  /** Judge by these limits instead of the profile that was in force; null for none. */
  readonly profile?: Profile | null;
  /** What else the testbed could not restore, beyond what the record says. */
  readonly cleanliness?: Pick<Cleanliness, 'dirty'>;
}

/**
 * The verdict on a run, from its record alone: no hardware, no clock, no randomness. A verdict only worsens: the run is as bad as the
 * worst of its gates and of its limits that decide. Mandatory and conditional limits decide; optional and informative ones are judged
 * and shown, and change nothing. A run in which nothing decided is inconclusive, never a pass.
 */
export function judge(lines: readonly RecordLine[], options: JudgeOptions): RunVerdict {
  const run = lines.find(line => line.kind === 'run');
  const end = lines.findLast(line => line.kind === 'end');
  const seen = cleanlinessOf(lines);
  const cleanliness = { ...seen, dirty: [...seen.dirty, ...(options.cleanliness?.dirty ?? [])] };
  const verdict = (
    outcome: Outcome,
    reason: string,
    judged: Partial<Pick<RunVerdict, 'gates' | 'checks'>> = {},
  ): RunVerdict => ({
    outcome,
    reason,
    gates: judged.gates ?? [],
    checks: judged.checks ?? [],
    cleanliness,
    seed: run?.seed ?? 0,
    replay: options.replay,
  });
  if (!run) return verdict('error', 'the record has no run line: nothing is known about this run');

  const view = runView(run, lines);
  const judgement = {
    view,
    rule: options.decision ?? run.decision,
    profile: options.profile === undefined ? run.profile : options.profile,
  };
  const checks = run.plan.expect.map(check => judgeCheck(check, judgement));
  if (end?.reason === 'not run') {
    const reason = end.detail ?? 'this world can not do what the plan asks for';
    return verdict('not run', reason, { checks: checks.map(check => notRun(check, reason)) });
  }
  const gates = gatesOf({ run, lines, view }, checks);
  const broken = breakage(end);
  if (broken !== undefined) return verdict('error', broken, { gates, checks });
  const { outcome, reason } = worstOf(gates, checks);
  return verdict(outcome, reason, { gates, checks });
}

/** Why the run itself is not to be believed; undefined when it was played to its end. */
function breakage(end: EndLine | undefined): string | undefined {
  if (!end) return 'the record has no end: the run was killed or the harness broke';
  return end.reason === 'error' ? (end.detail ?? 'the harness or the lab broke') : undefined;
}

const decides = ({ kind }: CheckVerdict): boolean => kind === 'mandatory' || kind === 'conditional';

function worstOf(
  gates: readonly GateVerdict[],
  checks: readonly CheckVerdict[],
): { readonly outcome: Outcome; readonly reason: string } {
  const deciding = checks.filter(decides);
  // Gates stand first: where a gate and a limit are equally bad, the gate explains the limit.
  const all = [...gates, ...deciding];
  const outcome = all.reduce<Outcome>((worst, next) => worse(worst, next.outcome), 'pass');
  if (outcome !== 'pass') {
    const cause = all.find(next => next.outcome === outcome);
    return { outcome, reason: cause ? `${cause.title}: ${cause.reason}` : outcome };
  }
  if (deciding.length === 0) return { outcome: 'inconclusive', reason: 'nothing was judged: no expectation decides' };
  return { outcome, reason: `${deciding.length} of ${deciding.length} expectations met` };
}

/** Nothing was played, so nothing is said about it but what was asked. */
const notRun = (check: CheckVerdict, reason: string): CheckVerdict => ({
  ...check,
  outcome: 'not run',
  reason: `not run: ${reason}`,
});
