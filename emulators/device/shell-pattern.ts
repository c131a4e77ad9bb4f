/** A piece of a pattern; what was quoted stands for itself. */
export interface Piece {
  readonly text: string;
  readonly quoted: boolean;
}

type Element =
  | { readonly kind: 'character'; readonly character: string }
  | { readonly kind: 'any' | 'star' }
  | { readonly kind: 'set'; readonly matches: (character: string) => boolean };

export type Pattern = readonly Element[];

const CLASSES: Readonly<Record<string, RegExp>> = {
  alpha: /[A-Za-z]/,
  digit: /[0-9]/,
  alnum: /[A-Za-z0-9]/,
  upper: /[A-Z]/,
  lower: /[a-z]/,
  space: /\s/,
  blank: /[ \t]/,
  punct: /[!-/:-@[-`{-~]/,
  xdigit: /[0-9A-Fa-f]/,
};

/** Whether the pieces hold a pattern at all, so that a word without one is never looked up. */
export const isPattern = (pieces: readonly Piece[]): boolean =>
  pieces.some(({ text, quoted }) => !quoted && /[*?[]/.test(text));

/** The pattern of sh: `*`, `?`, `[a-z]`, `[!x]`, `[[:digit:]]`. */
export function patternOf(pieces: readonly Piece[]): Pattern {
  const characters = pieces.flatMap(({ text, quoted }) => Array.from(text, character => ({ character, quoted })));
  const elements: Element[] = [];
  // A `[` that nothing closes stands for itself; to look for the end once only keeps this linear.
  const lastClose = characters.findLastIndex(({ character, quoted }) => character === ']' && !quoted);
  for (let i = 0; i < characters.length; i++) {
    const { character, quoted } = characters[i] as (typeof characters)[number];
    if (!quoted && character === '*') {
      if (elements.at(-1)?.kind !== 'star') elements.push({ kind: 'star' });
    } else if (!quoted && character === '?') elements.push({ kind: 'any' });
    else if (!quoted && character === '[' && i < lastClose) {
      const set = setAt(characters, i);
      elements.push(set ? { kind: 'set', matches: set.matches } : { kind: 'character', character });
      if (set) i = set.end;
    } else elements.push({ kind: 'character', character });
  }
  return elements;
}

function setAt(
  characters: readonly { readonly character: string; readonly quoted: boolean }[],
  start: number,
): { readonly matches: (character: string) => boolean; readonly end: number } | undefined {
  let i = start + 1;
  const at = (index: number): string | undefined => characters[index]?.character;
  const negated = !characters[i]?.quoted && (at(i) === '!' || at(i) === '^');
  if (negated) i++;
  const singles = new Set<string>();
  const ranges: [string, string][] = [];
  const classes: RegExp[] = [];
  for (const first = i; ; i++) {
    const entry = characters[i];
    if (!entry) return undefined;
    if (entry.character === ']' && !entry.quoted && i > first) break;
    if (entry.character === '[' && !entry.quoted && at(i + 1) === ':') {
      const end = characters.findIndex(({ character }, j) => j > i + 1 && character === ':' && at(j + 1) === ']');
      const name = characters
        .slice(i + 2, Math.max(i + 2, end))
        .map(({ character }) => character)
        .join('');
      if (end > 0 && Object.hasOwn(CLASSES, name)) {
        classes.push(CLASSES[name] as RegExp);
        i = end + 1;
        continue;
      }
    }
    const high = characters[i + 2];
    if (at(i + 1) === '-' && !characters[i + 1]?.quoted && high && (high.character !== ']' || high.quoted)) {
      ranges.push([entry.character, high.character]);
      i += 2;
    } else singles.add(entry.character);
  }
  const inside = (character: string): boolean =>
    singles.has(character) ||
    ranges.some(([low, high]) => low <= character && character <= high) ||
    classes.some(expression => expression.test(character));
  return { matches: character => inside(character) !== negated, end: i };
}

/** Whether the whole text matches. Goes back to the last star only, which is enough and keeps it at length times length. */
export function matches(pattern: Pattern, text: string): boolean {
  const characters = Array.from(text);
  let [p, c] = [0, 0];
  let star = -1;
  let resume = 0;
  while (c < characters.length) {
    const element = pattern[p];
    if (element?.kind === 'star') {
      star = p++;
      resume = c;
    } else if (element && fits(element, characters[c] as string)) {
      p++;
      c++;
    } else if (star >= 0) {
      p = star + 1;
      c = ++resume;
    } else return false;
  }
  while (pattern[p]?.kind === 'star') p++;
  return p === pattern.length;
}

const fits = (element: Element, character: string): boolean =>
  element.kind === 'any' ||
  (element.kind === 'set' && element.matches(character)) ||
  (element.kind === 'character' && element.character === character);
