import { callSite } from '../model/call-site.ts';
import type { Bound, Check, SpecRef, Statistic } from '../model/check.ts';
import type { Measurement } from '../model/record.ts';
import type { Dimension, Quantity } from '../model/units.ts';
import type { RunView } from './run-view.ts';

/** A measured quantity: what it is, and how it is read from a run. */
export interface Kpi {
  readonly name: string;
  readonly dimension: Dimension;
  /** Which way is good; `worst` and `best` follow it. */
  readonly better: 'high' | 'low';
  /** The statistic that is judged when the author names none. */
  readonly statistic: Statistic;
  /** Which physical limit `'… of roofline'` means; absent for KPIs that are no rates. */
  readonly roofline?: 'busbw' | 'goodput';
  /** Its samples are growth of ports' counters: it rests on what the witnesses at both ends of a link say. */
  readonly fromCounters?: true;
  /** What flow level lacks for it, in words; then it is *not run* in a phase that was played so. */
  readonly unseenAtFlowLevel?: string;
  /** Pure. A phase that was not played, or that lacks the readings, gives no samples and says why. */
  measure(view: RunView, phase: string): Measurement;
}

/** Statistics that a KPI can be asked for by word: `busbw.p5.during(…)`. */
const WORDS = ['median', 'mean', 'worst', 'best', 'p1', 'p5', 'p95', 'p99'] as const satisfies readonly Statistic[];
type Word = (typeof WORDS)[number];

/** `Named` are words that may stand after "% of" beside phase names: `roofline` for rates, none for others. */
export interface Comparisons<Q extends Quantity, Named extends string, Phase extends string> {
  atLeast<const Other extends string = never>(
    bound: Q | SpecRef | `${number} % of ${Other}`,
  ): Check<Phase | Exclude<Other, Named>>;
  atMost<const Other extends string = never>(
    bound: Q | SpecRef | `${number} % of ${Other}`,
  ): Check<Phase | Exclude<Other, Named>>;
  /** Both bounds belong to the range. With `spec('…')` the profile gives the upper one as well. */
  within<const Lower extends string = never, const Upper extends string = never>(
    lower: Q | `${number} % of ${Lower}`,
    upper: Q | `${number} % of ${Upper}`,
  ): Check<Phase | Exclude<Lower | Upper, Named>>;
  within(range: SpecRef): Check<Phase>;
}

export interface During<Q extends Quantity, Named extends string> {
  during<const Phase extends string>(phase: Phase): Comparisons<Q, Named, Phase>;
}

export type KpiWords<Q extends Quantity, Named extends string = never> = During<Q, Named> &
  Readonly<Record<Word, During<Q, Named>>>;

/** The words of a KPI for scenarios: `busbw.during('steady').atLeast('340 Gb/s')`. A rate may also be compared with the roofline. */
export function kpi<Q extends Quantity, Named extends string = never>({ name }: Kpi): KpiWords<Q, Named> {
  const words = Object.fromEntries(WORDS.map(word => [word, during<Q, Named>(name, word)])) as Record<
    Word,
    During<Q, Named>
  >;
  return { ...during<Q, Named>(name), ...words };
}

function during<Q extends Quantity, Named extends string>(name: string, statistic?: Statistic): During<Q, Named> {
  return {
    during<const Phase extends string>(phase: Phase): Comparisons<Q, Named, Phase> {
      const subject = { kpi: name, phase, ...(statistic && { statistic }) };
      // Each comparison calls `callSite` itself: it looks up a fixed number of frames, to the line in the scenario.
      // The phases named in bounds live in the type only, hence the casts.
      return {
        atLeast: bound =>
          ({ ...subject, comparison: 'at least', bound: bound as Bound, where: callSite() }) as Check<never>,
        atMost: bound =>
          ({ ...subject, comparison: 'at most', bound: bound as Bound, where: callSite() }) as Check<never>,
        within: (bound: Bound, upper?: Bound) =>
          ({
            ...subject,
            comparison: 'within',
            bound,
            ...(upper !== undefined && { upper }),
            where: callSite(),
          }) as unknown as Check<never>,
      };
    },
  };
}
