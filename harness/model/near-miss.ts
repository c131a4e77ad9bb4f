/** Longest word that is compared; longer ones come from hostile or broken files and have no near miss. */
const LONGEST = 64;

/** Levenshtein distance, O(a x b) on words of at most `LONGEST` characters. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swap));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known word that was probably meant: at most a third of its letters differ. Undefined when none is that near. */
export function nearMiss(word: string, known: readonly string[]): string | undefined {
  if (word.length > LONGEST) return undefined;
  const ranked = known
    .filter(name => name.length <= LONGEST)
    .map(name => ({ name, away: distance(word.toLowerCase(), name.toLowerCase()) }))
    .toSorted((a, b) => a.away - b.away);
  const best = ranked[0];
  return best && best.away <= Math.max(1, Math.floor(best.name.length / 3)) ? best.name : undefined;
}

/** `Did you mean "driver"? Known keys: driver, role.`; a long list is cut and says so. */
export function suggest(options: { word: string; known: readonly string[]; what: string }): string {
  const near = nearMiss(options.word, options.known);
  const shown = options.known.slice(0, 24);
  const more = options.known.length - shown.length;
  const list = `Known ${options.what}: ${shown.join(', ') || 'none'}${more > 0 ? ` and ${more} more` : ''}.`;
  return near === undefined ? list : `Did you mean "${near}"? ${list}`;
}
