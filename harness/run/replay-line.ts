export interface ReplayOptions {
  readonly world: string;
  readonly seed: number;
  readonly title: string;
  readonly trainPackets: number | null;
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

/** The one line that plays a run again: `npx farspan run --world sim --seed 7 -g "title"`. */
export function replayLine({
  world,
  seed,
  title,
  trainPackets,
  options,
  set = {},
  profileFile,
  configFile,
}: ReplayOptions): string {
  const flags = Object.entries(options).flatMap(([name, value]) =>
    name === 'defect' || name === 'inventory' ? [`--${name}`, value] : ['--option', `${name}=${value}`],
  );
  const words = [
    'npx',
    'farspan',
    'run',
    '--world',
    world,
    '--seed',
    String(seed),
    ...(trainPackets === null ? [] : ['--train', String(trainPackets)]),
    ...flags,
    ...Object.entries(set).flatMap(([path, value]) => ['--set', `${path}=${value}`]),
    ...(configFile === undefined ? [] : ['--config', configFile]),
    ...(profileFile === undefined ? [] : ['--profile', profileFile]),
  ].map(shellWord);
  return [...words, '-g', shellWord(asPattern(title))].join(' ');
}
