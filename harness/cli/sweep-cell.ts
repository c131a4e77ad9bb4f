import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { comparisonOf } from '../../reports/index.ts';
import type { Binding } from '../binding/binding.ts';
import type { LabProvider } from '../binding/lab-provider.ts';
import type { Profile } from '../model/check.ts';
import { granularityText } from '../model/granularity.ts';
import type { SweptKpi } from '../model/sweep.ts';
import type { CheckVerdict, Outcome, RunVerdict } from '../model/verdict.ts';
import { troubleOf } from '../playwright/annotations.ts';
import type { Trouble } from '../playwright/annotations.ts';
import { runInFolder } from '../run/run-in-folder.ts';
import type { SweptScenario } from '../run/sweep-matrix.ts';
import { vary } from '../run/vary.ts';
import type { Settings } from '../run/vary.ts';
import { readRun, writeReports } from './run-reports.ts';

/** What all cells of a sweep share; handed to each thread once. */
export interface SweepSetting {
  readonly scenarios: readonly SweptScenario[];
  readonly profile: Profile | null;
  readonly named: { readonly configFile?: string; readonly profileFile?: string };
}

export interface CellOrder {
  readonly source: number;
  readonly set: Settings;
  readonly seed: number;
  /** A folder for this cell alone; its run folder is made in it. */
  readonly runsDir: string;
}

/** What came of a cell, before it is written into the sweep's record. */
export interface CellResult {
  readonly outcome: Outcome;
  readonly reason: string;
  /** Absolute; null when there is none. */
  readonly folder: string | null;
  readonly dirty: boolean;
  readonly granularity?: string;
  readonly kpis: readonly SweptKpi[];
  readonly trouble?: Trouble;
}

/** Plays one cell as `farspan run` plays a scenario: same folder, same judge, same reports. */
export async function playCell(
  { scenarios, profile, named }: SweepSetting,
  { source, set, seed, runsDir }: CellOrder,
  { progress, signal }: { readonly progress: () => void; readonly signal: AbortSignal },
): Promise<CellResult> {
  const swept = scenarios[source];
  if (!swept) throw new RangeError(`This sweep has no scenario ${source}.`);
  const { plan, root, binding, provider, world, worldOptions, trainPackets } = swept.sweepable;
  let at: string | null = null;
  const { verdict, errors, folder } = await runInFolder({
    binding: await worldAt<Binding>(binding),
    ...(provider !== '' && {
      provider: { provide: async (topology, given) => (await worldAt<LabProvider>(provider)).provide(topology, given) },
    }),
    plan: vary(plan, set),
    set,
    scenario: swept.scenario,
    world,
    seed,
    trainPackets,
    worldOptions,
    profile,
    named,
    root,
    runsDir,
    now: () => new Date(),
    onFolder: made => {
      at = made;
    },
    progress,
    signal,
  });
  const [trouble] = errors;
  const stored = readRun(folder);
  const [head] = stored.lines;
  const granularity = head?.kind === 'run' ? head.granularity : undefined;
  if (!signal.aborted) writeReports(stored, verdict);
  return {
    ...resultOf(verdict),
    folder: at,
    ...(granularity && { granularity: granularityText(granularity) }),
    ...(trouble && { trouble: troubleOf(trouble) }),
  };
}

export const resultOf = ({
  outcome,
  reason,
  cleanliness,
  checks,
}: RunVerdict): Omit<CellResult, 'folder' | 'trouble' | 'granularity'> => ({
  outcome,
  reason,
  dirty: cleanliness.dirty.length > 0,
  kpis: checks.map(kpiOf),
});

function kpiOf(check: CheckVerdict): SweptKpi {
  const { outcome, kpi, phase, statistic, dimension, kind, limit, upperLimit, value, uncertainty } = check;
  return {
    outcome,
    kpi,
    phase,
    statistic,
    dimension,
    kind,
    comparison: comparisonOf(check),
    ...(limit !== undefined && { limit }),
    ...(upperLimit !== undefined && { upperLimit }),
    ...(value !== undefined && { value }),
    ...(uncertainty !== undefined && { uncertainty }),
  };
}

/** The default export of a module that is named by path. */
export async function worldAt<T>(module: string): Promise<T> {
  const loaded = (await import(pathToFileURL(path.resolve(module)).href)) as { default: T };
  return loaded.default;
}
