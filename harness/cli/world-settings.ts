import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { GRANULARITY_WORDS, phaseGranularity } from '../model/granularity.ts';
import { readProfile } from '../run/profile.ts';
import { UsageError } from './usage-error.ts';

/** What the command line says about the world of a run. */
export interface WorldSettings {
  readonly worlds: readonly string[];
  readonly seed: number;
  /** Packets simulated as one, in all phases. */
  readonly train?: number;
  /** `auto`, or as `PhaseGranularity` is written; default `auto` unless `train` says it. */
  readonly granularity?: string;
  readonly defect?: string;
  readonly inventory?: string;
  /** Other options of the world. */
  readonly option: Readonly<Record<string, string>>;
  /** What is other in every plan than declared. */
  readonly set?: Readonly<Record<string, string>>;
  readonly profile?: string;
  readonly runs: string;
  /** Another Playwright configuration than Farspan's own. */
  readonly config?: string;
}

/**
 * As environment for playwright.config.ts.
 *
 * @throws UsageError when the options contradict each other or a file is not there
 * @throws ProfileError with the line of each mistake in the profile
 */
export function settingsOf({
  worlds,
  seed,
  train,
  granularity,
  defect,
  inventory,
  option,
  set = {},
  profile,
  runs,
  config,
}: WorldSettings): {
  readonly env: Readonly<Record<string, string>>;
  readonly runsDir: string;
} {
  if (worlds.includes('lab') && inventory === undefined) throw new UsageError('--world lab needs --inventory FILE.');
  if (!worlds.includes('lab') && inventory !== undefined)
    throw new UsageError(`--inventory is for --world lab; ${worlds.join(' and ')} makes its own.`);
  if (worlds.includes('lab') && defect !== undefined)
    throw new UsageError('--defect plants a defect in a simulated fabric; a lab has its own.');
  for (const file of [inventory, profile, config])
    if (file !== undefined && !existsSync(file)) throw new UsageError(`${file} is not there.`);
  // Before Playwright starts: a typo is told once, not once a scenario.
  if (profile !== undefined) readProfile(readFileSync(profile, 'utf8'), profile);
  if (train !== undefined && granularity !== undefined)
    throw new UsageError('--train N is --granularity train:N: give one of them.');
  if (granularity !== undefined && granularity !== 'auto' && phaseGranularity(granularity) === undefined)
    throw new UsageError(`--granularity is auto, ${GRANULARITY_WORDS}; got "${granularity}".`);
  const options = {
    ...option,
    ...(train === undefined && { granularity: granularity ?? 'auto' }),
    ...(defect !== undefined && { defect }),
    ...(inventory !== undefined && { inventory: path.resolve(inventory) }),
  };
  const runsDir = path.resolve(runs);
  return {
    runsDir,
    env: {
      FARSPAN_SEED: String(seed),
      FARSPAN_OPTIONS: JSON.stringify(options),
      FARSPAN_RUNS: runsDir,
      ...(train !== undefined && { FARSPAN_TRAIN: String(train) }),
      FARSPAN_SET: JSON.stringify(set),
      ...(profile !== undefined && { FARSPAN_PROFILE: path.resolve(profile) }),
    },
  };
}
