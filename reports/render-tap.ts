import type { FinishedRun } from './finished-run.ts';
import { sanitize } from './sanitize.ts';
import { testCases } from './test-cases.ts';
import type { TestCase } from './test-cases.ts';

/** `#` starts a directive and `\` an escape in a TAP description (TAP 14, "Escaping"). */
const description = (text: string): string => sanitize(text).replaceAll('\\', '\\\\').replaceAll('#', '\\#');

/** A JSON string of printable characters is a YAML flow scalar, whatever it says. */
const yaml = (indent: string, facts: Readonly<Record<string, string | number>>): readonly string[] => [
  `${indent}---`,
  ...Object.entries(facts).map(
    ([name, value]) => `${indent}${name}: ${typeof value === 'number' ? value : JSON.stringify(sanitize(value))}`,
  ),
  `${indent}...`,
];

const isOk = ({ outcome }: TestCase): boolean => outcome === 'pass' || outcome === 'not run';

function point(one: TestCase, number: number): readonly string[] {
  const skip = one.outcome === 'not run' ? ` # SKIP ${description(one.reason)}` : '';
  const head = `    ${isOk(one) ? 'ok' : 'not ok'} ${number} - ${description(one.title)}${skip}`;
  const facts = { outcome: one.outcome, reason: one.reason, ...(one.remark && { remark: one.remark }), ...one.facts };
  return skip ? [head] : [head, ...yaml('      ', facts)];
}

function subtest(run: FinishedRun, number: number): readonly string[] {
  const { title, file, verdict, durationS } = run;
  const cases = testCases(run);
  const skipped = verdict.outcome === 'not run' && cases.every(isOk) ? ` # SKIP ${description(verdict.reason)}` : '';
  const head = `${cases.every(isOk) ? 'ok' : 'not ok'} ${number} - ${description(title)}${skipped}`;
  return [
    `# Subtest: ${description(title)}`,
    ...cases.flatMap((one, i) => point(one, i + 1)),
    `    1..${cases.length}`,
    head,
    ...yaml('  ', {
      outcome: verdict.outcome,
      reason: verdict.reason,
      file,
      seed: verdict.seed,
      replay: verdict.replay,
      duration_ms: Math.round(durationS * 1e3),
    }),
  ];
}

/**
 * TAP 14, one subtest a run, YAML diagnostics on every point. Whatever is not a pass is `not ok`; only what was not run is `ok # SKIP`.
 *
 * @see https://testanything.org/tap-version-14-specification.html
 */
export const renderTap = (runs: readonly FinishedRun[]): string =>
  `${['TAP version 14', ...runs.flatMap((run, i) => subtest(run, i + 1)), `1..${runs.length}${runs.length === 0 ? ' # SKIP nothing was run' : ''}`].join('\n')}\n`;
