import { type Granularity, granularityText } from '../model/granularity.ts';

export interface ReplayOptions {
  readonly world: string;
  readonly seed: number;
  readonly title: string;
  readonly trainPackets: number | null;
  /** Of each phase; absent: trains of `trainPackets`. */
  readonly granularity?: Readonly<Record<string, Granularity>>;
  /** Options of the world as the user gave them. */
  readonly options: Readonly<Record<string, string>>;
  /** Where the plan is other than declared. */
  readonly set?: Readonly<Record<string, string>>;
  /** As the user would name it; absent for the default one. */
  readonly profileFile?: string;
  /** Absent for Farspan's own. */
  readonly configFile?: string;
}

/**
 * The title as a regular expression that matches it and little else: `-g` takes one. What a terminal would not show as it is (line
 * breaks, control bytes, bidirectional marks) is named by its code.
 */
const asPattern = (title: string): string =>
  title.replaceAll(/[*+?^${}()|[\]\\/]/g, String.raw`\$&`).replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, found =>
    found
      .split('')
      .map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );

/** A word for a POSIX shell; bare when it can be. */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  return /["$`\\!]/.test(word) ? `'${word.replaceAll("'", String.raw`'\''`)}'` : `"${word}"`;
}

/** `--train` says it where it can. */
function grain(trainPackets: number | null, granularity: ReplayOptions['granularity'] = {}): readonly string[] {
  const phases = Object.values(granularity);
  if (phases.includes('flow') || new Set(phases).size > 1) return ['--granularity', granularityText(granularity)];
  return trainPackets === null ? [] : ['--train', String(trainPackets)];
}

/** The one line that plays a run again: `npx farspan run --world sim --seed 7 -g "title"`. */
export function replayLine({
  world,
  seed,
  title,
  trainPackets,
  granularity,
  options,
  set = {},
  profileFile,
  configFile,
}: ReplayOptions): string {
  const flags = Object.entries(options).flatMap(([name, value]) =>
    name === 'defect' || name === 'inventory' || name === 'granularity'
      ? [`--${name}`, value]
      : ['--option', `${name}=${value}`],
  );
  const words = [
    'npx',
    'farspan',
    'run',
    '--world',
    world,
    '--seed',
    String(seed),
    ...grain(trainPackets, granularity),
    ...flags,
    ...Object.entries(set).flatMap(([path, value]) => ['--set', `${path}=${value}`]),
    ...(configFile === undefined ? [] : ['--config', configFile]),
    ...(profileFile === undefined ? [] : ['--profile', profileFile]),
  ].map(shellWord);
  return [...words, '-g', shellWord(asPattern(title))].join(' ');
}
