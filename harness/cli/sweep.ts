import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { sanitize, tally } from '../../reports/index.ts';
import type { Profile } from '../model/check.ts';
import type { SweepCell, SweepHead, SweepParameter } from '../model/sweep.ts';
import { OUTCOMES } from '../model/verdict.ts';
import type { Sweepable } from '../run/describe-plan.ts';
import { readProfile } from '../run/profile.ts';
import { shellWord } from '../run/replay-line.ts';
import { hostFacts } from '../run/host-facts.ts';
import { readHost, slug } from '../run/run-folder.ts';
import { simulated } from '../run/run-in-folder.ts';
import { matrix } from '../run/sweep-matrix.ts';
import type { Cell, SweptScenario } from '../run/sweep-matrix.ts';
import { VERSION } from '../run/version.ts';
import { EXIT, exitCode } from './exit-code.ts';
import type { Ended } from './exit-code.ts';
import { playwrightRun } from './playwright-run.ts';
import { shownPath } from './run-reports.ts';
import { worldAt } from './sweep-cell.ts';
import type { CellResult, SweepSetting } from './sweep-cell.ts';
import { isWhole, readSweep, SWEEP_FILE, SweepFolder } from './sweep-folder.ts';
import type { ReadSweep } from './sweep-folder.ts';
import { playOnThreads } from './sweep-pool.ts';
import { sweepProgress } from './sweep-progress.ts';
import { UsageError } from './usage-error.ts';
import { settingsOf } from './world-settings.ts';
import type { WorldSettings } from './world-settings.ts';
import type { Binding } from '../binding/binding.ts';

export interface SweepCommand extends WorldSettings {
  readonly files: readonly string[];
  readonly grep?: string;
  readonly parameters: readonly SweepParameter[];
  readonly seeds: readonly number[];
  readonly workers?: number;
  readonly out?: string;
  readonly resume: boolean;
}

interface Matrix {
  readonly setting: SweepSetting;
  readonly head: SweepHead;
  readonly cells: readonly Cell[];
}

/** Plays a matrix of scenario x parameter x seed on threads; resolves with the exit code. */
export async function sweep(command: SweepCommand): Promise<number> {
  const out = command.out === undefined ? undefined : path.resolve(command.out);
  const before = earlier(out, command);
  const planned = await planOf(command);
  const folderPath = out ?? freshFolder(command, planned.head);
  const known = new Map(before?.cells.map(cell => [cell.id, cell]));
  const kept = planned.cells.flatMap(({ id }) => {
    const cell = known.get(id);
    return cell && isWhole(folderPath, cell, VERSION) ? [cell] : [];
  });
  const done = new Map(kept.map(cell => [cell.id, cell]));
  // The dearest first: then no thread is left alone with a long one at the end.
  const waiting = planned.cells.filter(({ id }) => !done.has(id)).toSorted((a, b) => b.packetHops - a.packetHops);
  const folder = new SweepFolder(folderPath, before && { wholeBytes: before.wholeBytes });
  if (JSON.stringify(before?.head) !== JSON.stringify(planned.head)) folder.append(planned.head);

  const workers = Math.min(command.workers ?? os.availableParallelism(), Math.max(1, waiting.length));
  const progress = sweepProgress({
    cells: planned.cells.length,
    kept: kept.length,
    packetHops: waiting.reduce((sum, cell) => sum + cell.packetHops, 0),
    workers,
    nowMs: () => performance.now(),
    terminal: process.stdout.isTTY === true,
    width: process.stdout.columns ?? 100,
    write: text => void process.stdout.write(text),
  });
  progress.begin(shownPath(folderPath, process.cwd()));
  const troubles = new Map<string, CellResult['trouble']>();
  const stop = interrupts(progress.note);
  try {
    await playOnThreads({
      setting: planned.setting,
      cells: waiting,
      workers,
      signal: stop.signal,
      orderOf: ({ id, source, set, seed }) => ({ source, set, seed, runsDir: folder.cell(id) }),
      onDone: (cell, result) => {
        const line = lineOf(cell, result, { planned, folder: folder.path });
        folder.append(line);
        done.set(cell.id, line);
        if (result.trouble) troubles.set(cell.id, result.trouble);
        progress.cell(line);
      },
    });
  } finally {
    stop.end();
    folder.close();
    progress.end();
  }
  const finished = planned.cells.flatMap(({ id }) => done.get(id) ?? []);
  const interrupted = stop.signal.aborted;
  process.stdout.write(
    `${summary(finished, { command, planned, folder: folderPath, kept, interrupted }).join('\n')}\n`,
  );
  return exitCode(
    finished.map(({ id, outcome, dirty }): Ended => {
      const trouble = troubles.get(id);
      return { outcome, dirty, ...(trouble && { trouble }) };
    }),
    { interrupted },
  );
}

/** The sweep that is to go on; undefined for a new one. @throws UsageError */
function earlier(out: string | undefined, { resume }: SweepCommand): ReadSweep | undefined {
  if (out === undefined) {
    if (resume) throw new UsageError('--resume needs --out DIR, the folder of the sweep that is to go on.');
    return undefined;
  }
  if (!existsSync(path.join(out, SWEEP_FILE))) return undefined;
  if (!resume)
    throw new UsageError(`${out} holds a sweep already. Add --resume to go on with it, or name another folder.`);
  return readSweep(out);
}

const freshFolder = ({ runs }: SweepCommand, { scenarios }: SweepHead): string => {
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return path.resolve(
    runs,
    `sweep-${stamp}-${slug(scenarios.length === 1 ? (scenarios[0] ?? '') : `${scenarios.length} scenarios`)}`,
  );
};

/** The whole matrix, checked: every plan is made, and the world is asked whether it takes the options. @throws UsageError, VariationError */
async function planOf(command: SweepCommand): Promise<Matrix> {
  const { parameters, seeds, config, profile: profileFile } = command;
  const scenarios = await sweptScenarios(command);
  const file = scenarios[0]?.sweepable.profileFile ?? '';
  const profile: Profile | null = file === '' ? null : readProfile(readFileSync(file, 'utf8'), file);
  const cells = matrix({ scenarios, parameters, seeds, profile });
  for (const { sweepable } of scenarios) await refuseOptions(sweepable, seeds[0] ?? 0);
  const [first] = scenarios;
  if (!first) throw new UsageError('there is nothing to sweep.');
  const { world, worldOptions, trainPackets } = first.sweepable;
  return {
    setting: {
      scenarios,
      profile,
      named: {
        ...(config !== undefined && { configFile: shownPath(path.resolve(config), process.cwd()) }),
        ...(profileFile !== undefined && { profileFile: shownPath(path.resolve(profileFile), process.cwd()) }),
      },
    },
    cells,
    head: {
      kind: 'sweep',
      format: 1,
      version: VERSION,
      world,
      trainPackets,
      options: worldOptions,
      scenarios: scenarios.map(({ scenario }) => scenario.title),
      parameters,
      seeds,
      profile: profile?.name ?? null,
      cells: cells.map(({ id }) => id),
    },
  };
}

/** The scenarios that match, as data. @throws UsageError for one that has no plan, and when none matches */
async function sweptScenarios(command: SweepCommand): Promise<readonly SweptScenario[]> {
  const { files, grep, worlds, config } = command;
  const env = { ...settingsOf(command).env, FARSPAN_DRY: 'sweep' };
  const { results, errors, said, interrupted } = await playwrightRun({ files, worlds, env, quiet: true, grep, config });
  if (interrupted) throw new UsageError('interrupted before anything was played.');
  if (errors.some(error => !error.includes('No tests found')))
    throw new UsageError(`the scenarios could not be loaded.\n${errors.join('\n')}\n${said}`.trim());
  if (results.length === 0) {
    const asked = [...files, ...(grep === undefined ? [] : [`-g ${JSON.stringify(grep)}`])].join(' ');
    throw new UsageError(`no scenario matches ${asked || 'this world'}. List them with: npx farspan plan`);
  }
  const refused: string[] = [];
  const swept = results.flatMap(({ plan, file, line, title, errors: broken, skipped }): readonly SweptScenario[] => {
    if (plan?.sweepable) {
      const { sweepable, tags } = plan;
      return [{ scenario: { title: plan.title, file: plan.file, line: plan.line, tags }, sweepable }];
    }
    const why =
      broken[0] ??
      skipped ??
      'it is an ordinary body, not a plan: what it does is not data, so no value of it can be varied. Write it with plan({ … }).';
    refused.push(`${file}:${line} "${title}" can not be swept: ${why.split('\n')[0]}`);
    return [];
  });
  if (refused.length > 0) throw new UsageError(refused.join('\n'));
  return swept;
}

/** A wrong option of the world is told once, before the first run, and not once a cell. */
async function refuseOptions({ plan, binding, worldOptions, trainPackets, provider }: Sweepable, seed: number) {
  // Another process answers for a provided lab, with wall time and ports of its own: its first cell will tell.
  if (provider !== '') return;
  const world = await worldAt<Binding>(binding);
  const options = simulated(worldOptions, trainPackets);
  const testbed = await world.reserve(plan.topology, { seed, options, record: () => {}, step: () => {} });
  await testbed.release();
}

function lineOf(
  { id, source, set, seed, packetHops }: Cell,
  { outcome, reason, folder, dirty, granularity, kpis }: CellResult,
  { planned, folder: root }: { readonly planned: Matrix; readonly folder: string },
): SweepCell {
  return {
    kind: 'cell',
    id,
    scenario: planned.setting.scenarios[source]?.scenario.title ?? '',
    parameters: set,
    seed,
    outcome,
    reason,
    ...(granularity !== undefined && { granularity }),
    packetHops,
    folder: folder === null ? null : path.relative(root, folder).replaceAll(path.sep, '/'),
    dirty,
    kpis,
  };
}

/** A second Ctrl-C within this time leaves at once; no device is touched, so nothing stays behind. */
const LEAVE_WITHIN_MS = 5000;

function interrupts(note: (text: string) => void): { readonly signal: AbortSignal; end(): void } {
  const abort = new AbortController();
  let atMs = 0;
  const onSignal = (): void => {
    if (abort.signal.aborted && performance.now() - atMs < LEAVE_WITHIN_MS) process.exit(EXIT.interrupted);
    atMs = performance.now();
    if (abort.signal.aborted) return;
    note('Stopping: finished cells are kept, running ones are played again with --resume.');
    abort.abort(new Error('the sweep was interrupted'));
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    signal: abort.signal,
    end() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

/** Named one by one at most; the record has them all. */
const MOST_NAMED = 12;

function summary(
  finished: readonly SweepCell[],
  {
    command,
    planned,
    folder,
    kept,
    interrupted,
  }: {
    readonly command: SweepCommand;
    readonly planned: Matrix;
    readonly folder: string;
    readonly kept: readonly SweepCell[];
    readonly interrupted: boolean;
  },
): readonly string[] {
  const worst = finished
    .filter(({ outcome }) => outcome !== 'pass')
    .toSorted((a, b) => OUTCOMES.indexOf(b.outcome) - OUTCOMES.indexOf(a.outcome));
  const missing = planned.cells.length - finished.length;
  const at = shownPath(folder, process.cwd());
  const [parameter] = planned.head.parameters;
  const [kpi] = finished.flatMap(({ kpis }) => kpis);
  const resume = resumeLine(command, planned.head, at);
  const rows: readonly (readonly [string, string])[] = [
    [
      interrupted ? 'INTERRUPTED' : 'SWEEP',
      `${finished.length} of ${planned.cells.length} cells: ${tally(finished.map(({ outcome }) => outcome)) || 'none finished'}${kept.length > 0 ? ` (${kept.length} kept from before)` : ''}`,
    ],
    ...worst
      .slice(0, MOST_NAMED)
      .map(cell => [cell.outcome.toUpperCase(), `${cellWords(cell)}: ${cell.reason}`] as const),
    ...(worst.length > MOST_NAMED ? [['', `and ${worst.length - MOST_NAMED} more`] as const] : []),
    ...staleness(kept, folder, planned),
    ['RECORD', path.join(at, SWEEP_FILE)],
    ...(missing > 0 ? [['RESUME', resume] as const] : []),
    ...(parameter && kpi
      ? [['PLOT', `npx farspan plot ${shellWord(at)} --kpi ${kpi.kpi} --against ${shellWord(parameter.path)}`] as const]
      : []),
  ];
  return ['', ...rows.map(([label, text]) => ` ${label.padEnd(13)}${sanitize(text)}`)];
}

/** The whole command again, with what makes it go on. */
function resumeLine(
  { files, grep, worlds, train, granularity, option, defect, profile, config }: SweepCommand,
  { parameters, seeds }: SweepHead,
  out: string,
): string {
  const flag = (name: string, value: string | number | undefined): readonly string[] =>
    value === undefined ? [] : [name, shellWord(String(value))];
  return [
    'npx farspan sweep',
    ...files.map(shellWord),
    ...flag('-g', grep),
    ...flag('--world', worlds[0] === 'sim' ? undefined : worlds[0]),
    ...parameters.flatMap(({ path: to, values }) => flag('--vary', `${to}=${values.join(',')}`)),
    ...flag('--seeds', seedWords(seeds)),
    ...flag('--train', train),
    ...flag('--granularity', granularity),
    ...flag('--defect', defect),
    ...Object.entries(option).flatMap(([name, value]) => flag('--option', `${name}=${value}`)),
    ...flag('--profile', profile),
    ...flag('--config', config),
    ...flag('--out', out),
    '--resume',
  ].join(' ');
}

/** `1..5` where they follow each other. */
function seedWords(seeds: readonly number[]): string {
  const [first = 0] = seeds;
  const isRun = seeds.length > 2 && seeds.every((seed, i) => seed === first + i);
  return isRun ? `${first}..${seeds.at(-1)}` : seeds.join(',');
}

/** The same version can be another commit: then cells of before and of now are not quite of one kind, and the reader is told. */
function staleness(
  kept: readonly SweepCell[],
  folder: string,
  { setting }: Matrix,
): readonly (readonly [string, string])[] {
  const root = setting.scenarios[0]?.sweepable.root ?? folder;
  const now = hostFacts({ root, begun: new Date() }).commit;
  const others = kept.filter(({ folder: at }) => {
    if (at === null) return false;
    const commit = readHost(path.join(folder, at))?.commit ?? null;
    return commit !== now;
  });
  return others.length === 0
    ? []
    : [
        [
          'NOTE',
          `${others.length} of the kept cells were played by another commit than ${now ?? 'this'}: look before you compare.`,
        ],
      ];
}

export const cellWords = ({ parameters, seed, scenario }: SweepCell): string =>
  [...Object.entries(parameters).map(([to, value]) => `${to}=${value}`), `seed ${seed}`].join(' · ') || scenario;
