import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type {
  FullConfig,
  FullResult,
  Reporter,
  Suite,
  TestCase,
  TestError,
  TestResult,
  TestStep,
} from '@playwright/test/reporter';
import type { Cleanliness, Outcome, RunVerdict } from '../model/verdict.ts';
import type { PlanDescription } from '../run/describe-plan.ts';
import { besidePlan } from '../run/beside-plan.ts';
import { readVerdict, writeVerdict } from '../run/run-folder.ts';
import type { StoredVerdict } from '../run/run-folder.ts';
import { sanitize } from '../../reports/sanitize.ts';
import { ANNOTATION } from './annotations.ts';
import type { Trouble } from './annotations.ts';
import type { Results, ScenarioResult } from './results.ts';

const WORD: Readonly<Record<Outcome, string>> = {
  pass: 'PASS',
  'not run': 'SKIP',
  inconclusive: 'INCO',
  invalid: 'INVA',
  fail: 'FAIL',
  error: 'ERR ',
};
const COLOR: Readonly<Record<Outcome, number>> = {
  pass: 32,
  'not run': 90,
  inconclusive: 33,
  invalid: 35,
  fail: 31,
  error: 31,
};

const HEARTBEAT_MS = 30_000;
const REDRAW_MS = 200;
const BAR = 20;

interface Running {
  readonly title: string;
  readonly since: number;
  phase: string;
}

/**
 * What people see while scenarios run: one line for each that ended, a bar on a terminal, a heartbeat line elsewhere.
 * Writes `Results` to the file named by FARSPAN_RESULTS, for `farspan run`, which prints the summary and owns the exit code.
 */
export default class FarspanReporter implements Reporter {
  readonly #out = process.stdout;
  readonly #quiet = process.env['FARSPAN_DRY'] !== undefined;
  readonly #terminal = process.stdout.isTTY === true && process.env['TERM'] !== 'dumb';
  readonly #color = process.stdout.isTTY === true && !process.env['NO_COLOR'];
  readonly #running = new Map<string, Running>();
  readonly #results: ScenarioResult[] = [];
  readonly #errors: string[] = [];
  readonly #begun = performance.now();
  #root = process.cwd();
  #total = 0;
  #drawn = false;
  #tick: NodeJS.Timeout | undefined;

  printsToStdio(): boolean {
    return true;
  }

  onBegin(config: FullConfig, suite: Suite): void {
    this.#root = config.configFile === undefined ? config.rootDir : path.dirname(config.configFile);
    this.#total = suite.allTests().length;
    if (this.#quiet) return;
    const act = this.#terminal ? () => this.#draw() : () => this.#heartbeat();
    this.#tick = setInterval(act, this.#terminal ? REDRAW_MS : HEARTBEAT_MS);
    this.#tick.unref();
  }

  onTestBegin(test: TestCase): void {
    this.#running.set(test.id, { title: titleOf(test), since: performance.now(), phase: 'reserving' });
  }

  onStepBegin(test: TestCase, _result: TestResult, step: TestStep): void {
    const running = this.#running.get(test.id);
    if (running && step.category === 'test.step' && step.parent === undefined) running.phase = step.title;
  }

  onStdOut(chunk: string | Buffer): void {
    this.#print(sanitize(String(chunk), { lines: true }).trimEnd());
  }

  onStdErr(chunk: string | Buffer): void {
    this.#print(sanitize(String(chunk), { lines: true }).trimEnd());
  }

  onTestEnd(test: TestCase, result: TestResult): void {
    this.#running.delete(test.id);
    // Retries are refused; their second refusal is no news.
    if (result.retry > 0) return;
    const one = this.#resultOf(test, result);
    this.#results.push(one);
    const word =
      one.cleanliness.dirty.length > 0 ? this.#paint(31, 'DIRT') : this.#paint(COLOR[one.outcome], WORD[one.outcome]);
    const took = seconds(result.duration).padStart(7);
    const reason = one.skipped === undefined ? '' : `  ${sanitize(one.skipped)}`;
    this.#print(` ${word} [${took}] ${one.world.padEnd(8)} ${sanitize(one.title)}${reason}`);
    for (const error of one.outcome === 'not run' ? [] : one.errors) this.#print(indent(error));
  }

  onError(error: TestError): void {
    const text = textOf(error);
    this.#errors.push(text);
    // `farspan run` says it in its own words, and what to do.
    if (process.env['FARSPAN_RESULTS'] !== undefined && text.includes('No tests found')) return;
    this.#print(indent(text));
  }

  onEnd(result: FullResult): void {
    clearInterval(this.#tick);
    this.#wipe();
    const file = process.env['FARSPAN_RESULTS'];
    if (file !== undefined) {
      const results: Results = {
        format: 1,
        results: this.#results,
        errors: this.#errors,
        interrupted: result.status === 'interrupted',
      };
      writeFileSync(file, JSON.stringify(results));
      return;
    }
    const counts = Object.keys(WORD).flatMap(outcome => {
      const count = this.#results.filter(one => one.outcome === outcome).length;
      return count === 0 ? [] : [`${count} ${outcome}`];
    });
    this.#print(
      ` ${this.#results.length} scenarios: ${counts.join(' · ') || 'none'}. Exit codes and reports: use farspan run.`,
    );
  }

  #resultOf(test: TestCase, result: TestResult): ScenarioResult {
    const note = (type: string): string | undefined =>
      result.annotations.find(annotation => annotation.type === type)?.description;
    const folder = note(ANNOTATION.run);
    const trouble = note(ANNOTATION.trouble) as Trouble | undefined;
    const plan = note(ANNOTATION.plan);
    const skipped = result.status === 'skipped' ? (note('skip') ?? 'skipped in its file') : undefined;
    const errors = result.errors.map(textOf);
    const beside = { outcome: outcomeOf(result, trouble), errors, cleanliness: imperative(result) };
    const verdict = this.#verdictIn(folder, beside);
    return {
      title: titleOf(test),
      file: path.relative(this.#root, test.location.file),
      line: test.location.line,
      world: test.parent.project()?.name ?? '',
      outcome: verdict?.outcome ?? outcomeOf(result, trouble),
      durationMs: result.duration,
      ...(folder !== undefined && { folder }),
      ...(plan !== undefined && { plan: JSON.parse(plan) as PlanDescription }),
      ...(trouble !== undefined && { trouble }),
      cleanliness: verdict?.cleanliness ?? together(beside.cleanliness),
      errors,
      ...(skipped !== undefined && { skipped }),
    };
  }

  /** The verdict of a run, written again when there is more to it than its plan: the folder is what stays. */
  #verdictIn(
    folder: string | undefined,
    beside: {
      readonly outcome: Outcome;
      readonly errors: readonly string[];
      readonly cleanliness: readonly Cleanliness[];
    },
  ): RunVerdict | undefined {
    const found = verdictIn(folder);
    if (folder === undefined || found === undefined) return undefined;
    const { verdict: stored, record } = found;
    const whole =
      beside.cleanliness.length === 0
        ? stored
        : { ...stored, cleanliness: together([stored.cleanliness, ...beside.cleanliness]) };
    const verdict = besidePlan(whole, beside);
    if (verdict === stored) return stored;
    try {
      writeVerdict(folder, { verdict, record });
    } catch (error) {
      this.#errors.push(error instanceof Error ? error.message : String(error));
    }
    return verdict;
  }

  #print(text: string): void {
    if (this.#quiet || text === '') return;
    this.#wipe();
    this.#out.write(`${text}\n`);
    if (this.#terminal) this.#draw();
  }

  #draw(): void {
    const done = this.#results.length;
    const filled = this.#total === 0 ? 0 : Math.round((BAR * done) / this.#total);
    const [first] = this.#running.values();
    const now = first ? `${first.title} · ${first.phase} · ${seconds(performance.now() - first.since)}` : '';
    const others = this.#running.size > 1 ? ` (+${this.#running.size - 1})` : '';
    const line = ` ${'█'.repeat(filled)}${'░'.repeat(BAR - filled)} ${done}/${this.#total}${others} ${sanitize(now)}`;
    this.#out.write(`\r\x1b[2K${line.slice(0, Math.max(20, (this.#out.columns ?? 80) - 1))}`);
    this.#drawn = true;
  }

  #wipe(): void {
    if (this.#drawn) this.#out.write('\r\x1b[2K');
    this.#drawn = false;
  }

  #heartbeat(): void {
    const running = [...this.#running.values()].map(
      ({ title, phase, since }) => `${title} (${phase}, ${seconds(performance.now() - since)})`,
    );
    this.#print(
      ` …    [${seconds(performance.now() - this.#begun).padStart(7)}] ${this.#results.length} of ${this.#total} done; running: ${sanitize(running.join('; ') || 'none')}`,
    );
  }

  #paint(color: number, text: string): string {
    return this.#color ? `\x1b[1;${color}m${text}\x1b[0m` : text;
  }
}

/** Without the root, the project and the file: what `-g` matches in every world. */
const titleOf = (test: TestCase): string => test.titlePath().slice(3).join(' ');

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

const indent = (text: string): string => text.replaceAll(/^(?=.)/gm, '      ');

/** An error's message, then its line with the arrow; harmless to a terminal. */
function textOf({ message, value, snippet, location }: TestError): string {
  const where = location ? `\n${path.relative(process.cwd(), location.file)}:${location.line}:${location.column}` : '';
  const text = `${message ?? value ?? 'an error without words'}${snippet ? `\n${snippet}` : ''}${where}`;
  return sanitize(stripVTControlCharacters(text), { lines: true, most: 16_384 });
}

function verdictIn(folder: string | undefined): StoredVerdict | undefined {
  if (folder === undefined) return undefined;
  try {
    return readVerdict(folder);
  } catch {
    return undefined;
  }
}

const imperative = ({ annotations }: TestResult): readonly Cleanliness[] =>
  annotations.flatMap(({ type, description }) =>
    type === ANNOTATION.cleanliness && description !== undefined ? [JSON.parse(description) as Cleanliness] : [],
  );

function together(parts: readonly Cleanliness[]): Cleanliness {
  const sum = (count: (one: Cleanliness) => number): number => parts.reduce((total, one) => total + count(one), 0);
  return {
    injected: sum(({ injected }) => injected),
    healed: sum(({ healed }) => healed),
    verified: sum(({ verified }) => verified),
    dirty: parts.flatMap(({ dirty }) => dirty),
  };
}

/** For what has no verdict of ours: a scenario without a plan, or one that broke before it was judged. */
function outcomeOf({ status }: TestResult, trouble: Trouble | undefined): Outcome {
  if (status === 'passed') return 'pass';
  if (status === 'skipped') return 'not run';
  return status === 'failed' && trouble === undefined ? 'fail' : 'error';
}
