import type { CallSite } from '../model/call-site.ts';
import { print } from '../model/units.ts';
import type { CheckVerdict, RunVerdict } from '../model/verdict.ts';
import { sanitize } from '../../reports/sanitize.ts';

export interface FailureOptions {
  readonly world: string;
  /** What broke, when something did. */
  readonly errors: readonly Error[];
  /** Folder of the run, as the user would name it. */
  readonly evidence: string;
}

/** Limits of these kinds decide the verdict; the others are only reported. */
export const decides = ({ kind }: CheckVerdict): boolean => kind === 'mandatory' || kind === 'conditional';

export const missed = (verdict: RunVerdict): readonly CheckVerdict[] =>
  verdict.checks.filter(check => decides(check) && check.outcome !== 'pass');

/**
 * All that a run has to complain about, in one message: what each missed expectation expected and measured, seed, replay.
 * Of a run that broke, only what is proven is shown; that the rest could not be judged is no news.
 */
export function failureMessage(verdict: RunVerdict, { world, errors, evidence }: FailureOptions): string {
  const broke = verdict.outcome === 'error';
  const misses = missed(verdict).filter(({ outcome }) => !broke || outcome === 'fail');
  const total = verdict.checks.filter(decides).length;
  const gates = verdict.gates.filter(({ outcome }) => (broke ? outcome === 'fail' : outcome !== 'pass'));
  const told = errors.length > 0 ? errors.map(({ message }) => message) : broke ? [verdict.reason] : [];
  const headline =
    misses.length > 0 && !broke
      ? `${misses.length} of ${total} expectations not met in ${world}, seed ${verdict.seed}: ${verdict.outcome}`
      : broke
        ? `the harness or the lab broke in ${world}, seed ${verdict.seed}; the product was not judged`
        : verdict.outcome === 'pass'
          ? `the testbed was left dirty in ${world}, seed ${verdict.seed}; the verdict on the product is pass`
          : `${verdict.outcome} in ${world}, seed ${verdict.seed}: ${sanitize(verdict.reason)}`;
  return [
    headline,
    ...told.map(text => `  ✘ ${withoutFrames(text)}`),
    ...gates.map(
      gate => `  ${gate.outcome === 'fail' ? '✘' : '?'} gate ${gate.gate}, ${gate.outcome}: ${sanitize(gate.reason)}`,
    ),
    ...misses.flatMap(missLines),
    ...verdict.cleanliness.dirty.map(line => `  ! TESTBED LEFT DIRTY: ${sanitize(line)}`),
    `  Play it again: ${verdict.replay}`,
    `  Evidence: ${evidence}`,
  ].join('\n');
}

/** Playwright points its arrow at the first stack frame of a message; a frame quoted from elsewhere must not look like one. */
const withoutFrames = (text: string): string => sanitize(text, { lines: true }).replaceAll(/^\s*at /gm, '      · at ');

function missLines(check: CheckVerdict): readonly string[] {
  const show = (value: number): string => print(value, check.dimension);
  const expected =
    check.limit === undefined
      ? 'a limit that could not be computed'
      : check.upperLimit === undefined
        ? `${/at most/.test(check.title) ? 'at most' : 'at least'} ${show(check.limit)}`
        : `from ${show(check.limit)} to ${show(check.upperLimit)}`;
  const u = check.uncertainty === undefined ? 'U not known' : `U ${show(check.uncertainty)}`;
  const samples = `${check.statistic} of ${check.samples}${check.expectedSamples === undefined ? '' : ` of ${check.expectedSamples} expected`} samples`;
  return [
    `  ${check.outcome === 'fail' ? '✘' : '?'} ${check.title}${check.outcome === 'fail' ? '' : `: ${check.outcome}`}`,
    `      expected  ${expected}`,
    `      measured  ${check.value === undefined ? 'nothing' : show(check.value)} (${samples}, ${u})`,
    `      because   ${sanitize(check.reason)}`,
  ];
}

/** An error whose arrow lands on a line of the scenario. */
export function errorAt({ file, line, column }: CallSite, message: string): Error {
  const error = new Error(message);
  error.stack = `Error: ${message}\n    at ${file}:${line}:${column}`;
  return error;
}
