/**
 * How finely the simulator plays a phase: packet by packet (exact), in trains of n packets that move as one, or as flows that have rates and
 * no packets. Only simulated packets have it.
 */
export type Granularity = 'packet' | `train:${number}` | 'flow';

/** Longest train that can be simulated. */
export const LONGEST_TRAIN = 64;

/** A granularity as a word names it; undefined when it names none. Trains have 2 to 64 packets; `train:1` is `packet`. */
export function granularityOf(word: string): Granularity | undefined {
  if (word === 'packet' || word === 'flow') return word;
  const packets = /^train:(\d{1,2})$/.exec(word)?.[1];
  if (packets === undefined || Number(packets) < 1 || Number(packets) > LONGEST_TRAIN) return undefined;
  return Number(packets) === 1 ? 'packet' : `train:${Number(packets)}`;
}

/** Packets that move as one; undefined where there are none. */
export function trainOf(granularity: Granularity): number | undefined {
  if (granularity === 'flow') return undefined;
  return granularity === 'packet' ? 1 : Number(granularity.slice('train:'.length));
}

/** For people: `packet by packet`, `trains of 8 packets`, `flow level`. */
export function granularityWords(granularity: Granularity): string {
  if (granularity === 'flow') return 'flow level';
  return granularity === 'packet' ? 'packet by packet' : `trains of ${trainOf(granularity)} packets`;
}

/** One for all phases, or one for each by its name. */
export type PhaseGranularity = Granularity | Readonly<Record<string, Granularity>>;

export const GRANULARITY_WORDS = 'packet, train:N (1 to 64) or flow, or PHASE=… for each phase, with commas between';

/** `flow`, or `steady=flow,cut=train:8`; undefined when it is neither. A name may hold anything but a comma and `=`. */
export function phaseGranularity(text: string): PhaseGranularity | undefined {
  const one = granularityOf(text);
  if (one !== undefined) return one;
  const phases: Record<string, Granularity> = {};
  for (const part of text.split(',')) {
    const at = part.lastIndexOf('=');
    const granularity = granularityOf(part.slice(at + 1));
    if (at < 1 || granularity === undefined) return undefined;
    phases[part.slice(0, at)] = granularity;
  }
  return phases;
}

/** As {@link phaseGranularity} reads it: one word when all phases have the same. */
export function granularityText(phases: Readonly<Record<string, Granularity>>): string {
  const [first, ...others] = Object.values(phases);
  if (first !== undefined && others.every(other => other === first)) return first;
  return Object.entries(phases)
    .map(([phase, granularity]) => `${phase}=${granularity}`)
    .join(',');
}
