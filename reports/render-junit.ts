import { cleanlinessText } from './cleanliness-words.ts';
import { escapeXml } from './escape-xml.ts';
import type { FinishedRun } from './finished-run.ts';
import { testCases } from './test-cases.ts';
import type { TestCase } from './test-cases.ts';

type Element = 'failure' | 'error' | 'skipped' | undefined;

/**
 * The element under a test case. `fail` is a failure. `inconclusive`, `invalid`, `error` and `dirty` are errors with that word as
 * type, because a tool that shows a skip in grey would hide them. Only what was not run is skipped, with its reason.
 */
function elementOf({ outcome }: TestCase): Element {
  switch (outcome) {
    case 'pass':
      return undefined;
    case 'fail':
      return 'failure';
    case 'not run':
      return 'skipped';
    case 'inconclusive':
    case 'invalid':
    case 'error':
    case 'dirty':
      return 'error';
  }
}

const attributes = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeXml(String(value))}"`)
    .join('');

const lines = (facts: TestCase['facts']): string =>
  Object.entries(facts)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n');

function body(one: TestCase): string {
  const element = elementOf(one);
  const facts = escapeXml(lines(one.facts), { lines: true });
  if (element === 'skipped') return `<skipped${attributes({ message: one.reason })}/>`;
  if (element) return `<${element}${attributes({ type: one.outcome, message: one.reason })}>${facts}</${element}>`;
  return one.remark ? `<system-out>${escapeXml(one.remark)}\n${facts}</system-out>` : '';
}

function counts(cases: readonly TestCase[]) {
  const of = (element: Element) => cases.filter(one => elementOf(one) === element).length;
  return { tests: cases.length, failures: of('failure'), errors: of('error'), skipped: of('skipped') };
}

function suite(run: FinishedRun): string {
  const cases = testCases(run);
  const { title, file, durationS, verdict } = run;
  const properties = {
    outcome: verdict.outcome,
    reason: verdict.reason,
    seed: verdict.seed,
    replay: verdict.replay,
    testbed: cleanlinessText(verdict.cleanliness),
    ...(run.report && { report: run.report }),
  };
  return [
    `  <testsuite${attributes({ name: title, file, ...counts(cases), time: durationS.toFixed(3) })}>`,
    '    <properties>',
    ...Object.entries(properties).map(([name, value]) => `      <property${attributes({ name, value })}/>`),
    '    </properties>',
    ...cases.map(one => {
      // The wall time belongs to the run; no check has one of its own.
      const head = `    <testcase${attributes({ name: one.title, classname: title, file, time: '0' })}`;
      const inner = body(one);
      return inner ? `${head}>${inner}</testcase>` : `${head}/>`;
    }),
    '  </testsuite>',
  ].join('\n');
}

/** JUnit XML, in the form that Jenkins, GitLab and GitHub actions read: one suite a run, one case a gate, a check and the testbed. */
export function renderJunit(runs: readonly FinishedRun[]): string {
  const total = counts(runs.flatMap(testCases));
  const time = runs.reduce((sum, { durationS }) => sum + durationS, 0).toFixed(3);
  return `${['<?xml version="1.0" encoding="UTF-8"?>', `<testsuites${attributes({ name: 'farspan', ...total, time })}>`, ...runs.map(suite), '</testsuites>'].join('\n')}\n`;
}
