import { firstLine } from '../binding/first-line.ts';
import type { ReadBack } from './read-back.ts';

/** One way to put a device back, milder ones first. */
export interface Rung {
  readonly name: 'undo' | 'config rollback' | 'power cycle';
  readonly run: () => Promise<void>;
  /** How often it is tried. */
  readonly tries: number;
}

export interface Climbed extends ReadBack {
  /** The rung after which the device was read back as found; the last one when none helped. */
  readonly by: Rung['name'];
  /** What each try came to, in order. */
  readonly tried: readonly string[];
}

/**
 * Climbs until the device reads back as it was found. A rung counts for nothing by its exit code: only the read-back after it says that
 * it helped. A rung that throws is followed by a read-back all the same, for its command may have been applied.
 */
export async function climb(rungs: readonly Rung[], readBack: () => Promise<ReadBack>): Promise<Climbed> {
  const tried: string[] = [];
  let last: ReadBack = { expected: 'as it was found', observed: 'not known', verified: false };
  let by: Rung['name'] = 'undo';
  for (const rung of rungs) {
    for (let attempt = 1; attempt <= rung.tries; attempt++) {
      by = rung.name;
      const failed = await rung.run().then(
        () => undefined,
        (error: unknown) => firstLine(error),
      );
      try {
        last = await readBack();
      } catch (error) {
        last = { ...last, observed: `not known: ${firstLine(error)}`, verified: false };
      }
      tried.push(`${rung.name} ${attempt}: ${last.verified ? 'as found' : (failed ?? `found ${last.observed}`)}`);
      if (last.verified) return { ...last, by, tried };
    }
  }
  return { ...last, by, tried };
}
