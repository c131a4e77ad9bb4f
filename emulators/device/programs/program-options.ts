/** What coreutils say of a file that is not there. */
export const MISSING = 'No such file or directory';

/** Splits `-n 3 -q FILE` into letters and words. A letter in `valued` takes the rest of its word or the next one. */
export function programOptions(
  argv: readonly string[],
  valued: string,
): {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly words: readonly string[];
} {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const words: string[] = [];
  for (let i = 1; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word === '--') {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word);
      continue;
    }
    for (let j = 1; j < word.length; j++) {
      const letter = word[j] as string;
      if (!valued.includes(letter)) flags.add(letter);
      else {
        values.set(letter, word.slice(j + 1) || (argv[++i] ?? ''));
        break;
      }
    }
  }
  return { flags, values, words };
}

/** Lines without their newlines; an empty text has none. */
export const linesOf = (text: string, end = '\n'): readonly string[] => {
  const lines = text.split(end);
  if (lines.at(-1) === '') lines.pop();
  return lines;
};
export const textOf = (lines: readonly string[], end = '\n'): string => lines.map(line => line + end).join('');
