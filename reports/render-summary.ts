import type { CheckVerdict, Outcome } from '../harness/model/verdict.ts';
import { againstLimit, uncertaintyText, wallTime, whereText } from './check-words.ts';
import { cleanlinessText, isDirty, sumOf } from './cleanliness-words.ts';
import type { FinishedRun } from './finished-run.ts';
import { decides, SIGN, tally, worstOf } from './outcome-words.ts';
import { sanitize } from './sanitize.ts';

export interface SummaryOptions {
  /** Whether to use colour; the caller reads NO_COLOR and whether this is a terminal. */
  readonly color: boolean;
  /** Columns of the terminal; lines are wrapped to it. Default 100, at least 40. */
  readonly width?: number;
  /** Said under TESTBED, such as what the lab can not promise. */
  readonly notes?: readonly string[];
  /** Where the list of all runs was written. Default: each run's own report. */
  readonly report?: string;
}

const RED = '31';
const STYLE: Readonly<Record<Outcome, string>> = {
  pass: '32',
  'not run': '90',
  inconclusive: '33',
  invalid: '35',
  fail: RED,
  error: RED,
};

/** As wide as the longest outcome, and a space. */
const LABEL = 13;

/** Words onto lines of at most `width`; a word that is longer than a line (a path, a command) stays whole, so it can be copied. */
function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** What must be shown first of several runs: the worst, and of equals the first. */
const worstRun = (runs: readonly FinishedRun[]): FinishedRun | undefined =>
  runs.find(({ verdict }) => verdict.outcome === worstOf(runs));

/** The end of a run on a terminal: verdict, thresholds, testbed, why, report, replay. All text of others is made harmless here. */
export function renderSummary(
  runs: readonly FinishedRun[],
  { color, width = 100, notes = [], report }: SummaryOptions,
): string {
  const columns = Math.max(40, width);
  const paint = (style: string, text: string) => (color ? `\x1b[${style}m${text}\x1b[0m` : text);

  const block = (label: string, text: string, style = ''): readonly string[] =>
    wrap(sanitize(text), columns - LABEL - 1).map((line, i) => {
      const head = ` ${(i === 0 ? label : '').padEnd(LABEL)}`;
      return `${i === 0 && label ? paint('1', head) : head}${style ? paint(style, line) : line}`.trimEnd();
    });
  const copyable = (label: string, text: string): readonly string[] => [
    ` ${paint('1', label.padEnd(LABEL))}${sanitize(text)}`,
  ];

  const verdictLines = runs.map(({ title, verdict, durationS }) => {
    const word = `${SIGN[verdict.outcome]} ${verdict.outcome.toUpperCase()}`.padEnd(15);
    return ` ${paint(`1;${STYLE[verdict.outcome]}`, word)}[${wallTime(durationS).padStart(7)}]  ${sanitize(title)}`;
  });

  const outcome = worstOf(runs);
  const total = runs.reduce((sum, { durationS }) => sum + durationS, 0);
  const bold = `1;${STYLE[outcome]}`;
  const headline = ` ${paint(bold, outcome.toUpperCase().padEnd(LABEL))}${runs.length} ${runs.length === 1 ? 'scenario' : 'scenarios'}: ${tally(runs.map(run => run.verdict.outcome)) || 'none'}   ${wallTime(total)}`;

  const judged = runs.flatMap(({ title, file, verdict }) =>
    verdict.outcome === 'not run' ? [] : verdict.checks.filter(decides).map(check => ({ title, file, check })),
  );
  const notRun = runs.filter(({ verdict }) => verdict.outcome === 'not run');
  const missed = judged.filter(({ check }) => check.outcome !== 'pass' && check.outcome !== 'not run');
  const missedLine = ({
    title,
    file,
    check,
  }: {
    readonly title: string;
    readonly file: string;
    readonly check: CheckVerdict;
  }) =>
    `${SIGN[check.outcome]} ${runs.length > 1 ? `${title}: ` : ''}${check.title}: ${againstLimit(check)} (${check.outcome === 'fail' ? '' : `${check.outcome}, `}${uncertaintyText(check)}) at ${whereText(check, file)}`;

  const lab = sumOf(runs.map(({ verdict }) => verdict.cleanliness));
  const worst = outcome === 'pass' ? undefined : worstRun(runs);
  const dirtyRun = runs.find(({ verdict }) => isDirty(verdict.cleanliness));
  const reports = report === undefined ? runs.flatMap(run => (run.report === undefined ? [] : [run.report])) : [report];

  return `${[
    ...verdictLines,
    '─'.repeat(Math.min(columns, 100)),
    headline,
    ...(judged.length === 0
      ? block('THRESHOLDS', 'none was judged')
      : block('THRESHOLDS', `${judged.length - missed.length} of ${judged.length} met`)),
    ...missed.flatMap(one => block('', missedLine(one), STYLE[one.check.outcome])),
    ...notRun.flatMap(({ title, verdict }, i) => block(i === 0 ? 'NOT RUN' : '', `${title}: ${verdict.reason}`)),
    ...block('TESTBED', cleanlinessText(lab), isDirty(lab) ? `1;${RED}` : ''),
    ...lab.dirty.flatMap(line => block('', `! ${line}`, RED)),
    ...notes.flatMap(note => block('', note, '33')),
    ...(worst ? block('WHY', worst.verdict.reason) : []),
    ...reports.flatMap((path, i) => copyable(i === 0 ? 'REPORT' : '', path)),
    ...((worst ?? dirtyRun ?? runs[0]) ? copyable('REPLAY', (worst ?? dirtyRun ?? runs[0])?.verdict.replay ?? '') : []),
  ].join('\n')}\n`;
}
