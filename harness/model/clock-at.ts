import type { ClockLine } from './record.ts';

/**
 * Most that a clock runs fast or slow against the runner's while nobody sets it: 500 ppm, the most that a kernel is told to correct by
 * (adjtimex(2), RFC 5905's MAXFREQ), and 100 ppm of the crystal itself. Faster corrections (chrony slews by up to 8 %) end at the next
 * reading and lie between the two, as a step does.
 */
export const MOST_DRIFT = 600e-6;

/** What is known of a device's clock at an instant: the true offset is within `boundNs` of `offsetNs`. */
export type ClockKnown = Pick<ClockLine, 'offsetNs' | 'boundNs'>;

/**
 * The offset of one device's clock at an instant between two readings of it.
 *
 * Between them it drifts by at most `MOST_DRIFT`, and may have been set once, at an instant that nobody knows: it is what the first reading
 * says, drifted until then, or what the second says, drifted back. The bound holds both. Two steps that cancel out are not seen.
 *
 * @param lines readings of one device, in the order of their instants
 * @returns undefined before the first reading and after the last: nothing excludes a step there
 */
export function clockAt(lines: readonly ClockLine[], atNs: number): ClockKnown | undefined {
  const after = lines.findIndex(line => line.atNs >= atNs);
  const [earlier, later] = [lines[after - 1], lines[after]];
  if (!later) return undefined;
  if (later.atNs === atNs) return { offsetNs: later.offsetNs, boundNs: later.boundNs };
  if (!earlier) return undefined;
  const [low, high] = [earlier, later].reduce(
    ([least, most], { atNs: readNs, offsetNs, boundNs }) => {
      const around = boundNs + MOST_DRIFT * Math.abs(atNs - readNs);
      return [Math.min(least, offsetNs - around), Math.max(most, offsetNs + around)];
    },
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] as [number, number],
  );
  return { offsetNs: (low + high) / 2, boundNs: (high - low) / 2 };
}
