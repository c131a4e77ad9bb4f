type Atom = { readonly matches: (character: string) => boolean; readonly repeated: boolean };

export interface PlainPattern {
  /** Whether the pattern occurs in the line. */
  test(line: string): boolean;
}

/** Longest pattern that is read, characters. */
const LONGEST = 1000;

/**
 * The part of a basic regular expression that shell scripts use on devices: characters, `.`, `[…]`, `*`, `^`, `$`, and backslashes. It is
 * played on all its states at once, so that no pattern takes longer than its length times the line's.
 *
 * @returns undefined when it is more than that
 */
export function plainPattern(
  text: string,
  options: { readonly fixed: boolean; readonly ignoreCase: boolean; readonly wholeLine: boolean },
): PlainPattern | undefined {
  const { fixed, ignoreCase, wholeLine } = options;
  if (text.length > LONGEST) return undefined;
  const fold = (line: string): string => (ignoreCase ? line.toLowerCase() : line);
  if (fixed || !/[.[\]*^$\\]/.test(text)) {
    const wanted = fold(text);
    return { test: line => (wholeLine ? fold(line) === wanted : fold(line).includes(wanted)) };
  }
  const anchoredStart = wholeLine || text.startsWith('^');
  const anchoredEnd = wholeLine || /(?:^|[^\\])(?:\\\\)*\$$/.test(text);
  const inner = text.slice(text.startsWith('^') ? 1 : 0, anchoredEnd && text.endsWith('$') ? -1 : undefined);
  const atoms = atomsOf(fold(inner));
  if (!atoms) return undefined;
  return { test: line => occurs(atoms, fold(line), anchoredStart, anchoredEnd) };
}

function atomsOf(text: string): readonly Atom[] | undefined {
  const atoms: Atom[] = [];
  for (let i = 0; i < text.length; ) {
    const c = text[i] as string;
    let matches: (character: string) => boolean;
    if (c === '[') {
      const close = text.indexOf(']', text[i + 1] === '^' ? i + 3 : i + 2);
      if (close < 0) return undefined;
      const set = text.slice(i + 1, close);
      const negated = set.startsWith('^');
      const ranges = [...set.slice(negated ? 1 : 0).matchAll(/([^])-([^])|([^])/g)].map(
        ([, low, high, one]) => [low ?? (one as string), high ?? (one as string)] as const,
      );
      matches = character => ranges.some(([low, high]) => low <= character && character <= high) !== negated;
      i = close + 1;
    } else if (c === '.') {
      matches = () => true;
      i++;
    } else {
      const escaped = c === '\\';
      const literal = escaped ? text[i + 1] : c;
      if (literal === undefined || (escaped && /[A-Za-z0-9(){}|+?<>]/.test(literal))) return undefined;
      matches = character => character === literal;
      i += escaped ? 2 : 1;
    }
    const repeated = text[i] === '*';
    if (repeated) i++;
    atoms.push({ matches, repeated });
  }
  return atoms;
}

/** Holds, for each atom and the end, whether it may come next. */
function occurs(atoms: readonly Atom[], line: string, anchoredStart: boolean, anchoredEnd: boolean): boolean {
  const end = atoms.length;
  /** An atom that may repeat may also be left out. */
  const add = (states: Uint8Array, from: number): void => {
    for (let state = from; states[state] === 0; state++) {
      states[state] = 1;
      if (!atoms[state]?.repeated) return;
    }
  };
  let states = new Uint8Array(end + 1);
  let next = new Uint8Array(end + 1);
  add(states, 0);
  for (const character of line) {
    if (states[end] === 1 && !anchoredEnd) return true;
    next.fill(0);
    for (let state = 0; state < end; state++) {
      if (states[state] === 0) continue;
      const { matches, repeated } = atoms[state] as Atom;
      if (matches(character)) add(next, repeated ? state : state + 1);
    }
    if (!anchoredStart) add(next, 0);
    [states, next] = [next, states];
  }
  return states[end] === 1;
}
