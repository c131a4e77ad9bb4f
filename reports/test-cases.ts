import { OUTCOMES } from '../harness/model/verdict.ts';
import type { CheckVerdict, GateVerdict, Outcome } from '../harness/model/verdict.ts';
import { againstLimit, uncertaintyText, whereText } from './check-words.ts';
import { cleanlinessText, isDirty } from './cleanliness-words.ts';
import type { FinishedRun } from './finished-run.ts';
import { decides } from './outcome-words.ts';

/** One line of a test report that other tools read. */
export interface TestCase {
  readonly title: string;
  /** `dirty`: the testbed was left changed. It is an error for other tools. */
  readonly outcome: Outcome | 'dirty';
  readonly reason: string;
  /** Set when the limit does not decide: what was missed, for information. */
  readonly remark?: string;
  readonly facts: Readonly<Record<string, string | number>>;
}

const ofGate = ({ gate, outcome, title, reason }: GateVerdict): TestCase => ({
  title: `gate ${gate}: ${title}`,
  outcome,
  reason,
  facts: { gate },
});

function ofCheck(check: CheckVerdict, file: string): TestCase {
  const facts = {
    kpi: check.kpi,
    phase: check.phase,
    measured: againstLimit(check),
    uncertainty: uncertaintyText(check),
    statistic: check.statistic,
    samples: check.samples,
    kind: check.kind,
    ...(check.band && { band: check.band }),
    at: whereText(check, file),
  };
  const { title, reason, outcome } = check;
  if (decides(check) || outcome === 'pass') return { title, outcome, reason, facts };
  return {
    title,
    outcome: 'pass',
    reason,
    remark: `${check.kind} limit, does not decide. ${outcome}: ${reason}`,
    facts,
  };
}

const rank = (outcome: TestCase['outcome']): number => (outcome === 'dirty' ? -1 : OUTCOMES.indexOf(outcome));

/**
 * A run as test cases: its gates, its checks, and whether the testbed is as it was found. When the run came out worse than all of
 * these (a driver broke, nothing was judged), one more case says so: a run that did not pass never looks green.
 */
export function testCases({ verdict, file }: FinishedRun): readonly TestCase[] {
  const cases = [...verdict.gates.map(ofGate), ...verdict.checks.map(check => ofCheck(check, file))];
  const worst = Math.max(0, ...cases.map(({ outcome }) => rank(outcome)));
  const { cleanliness } = verdict;
  return [
    ...cases,
    ...(cases.length === 0 || rank(verdict.outcome) > worst
      ? [{ title: 'the run as a whole', outcome: verdict.outcome, reason: verdict.reason, facts: {} }]
      : []),
    {
      title: 'the testbed is as it was found',
      outcome: isDirty(cleanliness) ? 'dirty' : 'pass',
      reason: [cleanlinessText(cleanliness), ...cleanliness.dirty].join(' | '),
      facts: { injected: cleanliness.injected, healed: cleanliness.healed, verified: cleanliness.verified },
    },
  ];
}
