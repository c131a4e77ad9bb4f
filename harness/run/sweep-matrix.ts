import { createHash } from 'node:crypto';
import type { Profile } from '../model/check.ts';
import type { RunLine } from '../model/record.ts';
import type { SweepParameter } from '../model/sweep.ts';
import { magnitude } from '../model/units.ts';
import type { Quantity } from '../model/units.ts';
import { checkPlan, PlanError } from './check-plan.ts';
import { cost } from './cost.ts';
import type { Sweepable } from './describe-plan.ts';
import { kindAt, VariationError, vary } from './vary.ts';
import type { Settings } from './vary.ts';
import { VERSION } from './version.ts';

/** A scenario that is to be swept. */
export interface SweptScenario {
  readonly scenario: RunLine['scenario'];
  readonly sweepable: Sweepable;
}

/** One run of the matrix, not yet played. */
export interface Cell {
  readonly id: string;
  /** Index in the list of scenarios. */
  readonly source: number;
  readonly set: Settings;
  readonly seed: number;
  /** By its plan, before packet trains. */
  readonly packetHops: number;
}

/** More cells than a week has seconds; a slip of the hand asks for more. Our choice. */
export const MOST_CELLS = 100_000;

export interface MatrixOptions {
  readonly scenarios: readonly SweptScenario[];
  readonly parameters: readonly SweepParameter[];
  readonly seeds: readonly number[];
  readonly profile: Profile | null;
}

/**
 * Every scenario with every combination of values and every seed. The whole matrix is checked here: each plan is made, judged playable and
 * its cost computed, before anything is played.
 *
 * @throws VariationError with one sentence per mistake
 */
export function matrix({ scenarios, parameters, seeds, profile }: MatrixOptions): readonly Cell[] {
  const size = parameters.reduce((count, { values }) => count * values.length, scenarios.length * seeds.length);
  if (size > MOST_CELLS) throw new VariationError(`${size} cells are more than ${MOST_CELLS}. Vary less at a time.`);
  const mistakes = new Set<string>();
  for (const { sweepable } of scenarios)
    for (const mistake of valueMistakes(sweepable, parameters)) mistakes.add(mistake);
  refuse(mistakes);
  const cells = scenarios.flatMap(({ scenario, sweepable }, source) =>
    combinations(parameters).flatMap(set => {
      const at = Object.entries(set).map(([path, value]) => `${path}=${value}`);
      try {
        const plan = vary(sweepable.plan, set);
        checkPlan(plan);
        const packetHops = cost(plan);
        const { world, worldOptions, trainPackets } = sweepable;
        const decides = { version: VERSION, scenario, plan, set, world, worldOptions, trainPackets, profile };
        const hash = createHash('sha256').update(JSON.stringify(decides)).digest('hex');
        return seeds.map((seed): Cell => ({ id: idOf(hash, seed), source, set, seed, packetHops }));
      } catch (error) {
        const known = error instanceof VariationError || error instanceof PlanError;
        const why = error instanceof Error ? error.message : String(error);
        mistakes.add(known ? why : `${[`"${scenario.title}"`, ...at].join(' ')}: no such plan can be played: ${why}`);
        return [];
      }
    }),
  );
  refuse(mistakes);
  return cells;
}

const idOf = (hash: string, seed: number): string =>
  createHash('sha256').update(`${hash} ${seed}`).digest('hex').slice(0, 16);

/** Each value by itself first: a mistake in it is told once, not once a cell. */
function valueMistakes({ plan }: Sweepable, parameters: readonly SweepParameter[]): readonly string[] {
  return parameters.flatMap(({ path, values }) => {
    const mistakes = new Set(
      values.flatMap(value => {
        try {
          vary(plan, { [path]: value });
          return [];
        } catch (error) {
          if (error instanceof VariationError) return [error.message];
          throw error;
        }
      }),
    );
    if (mistakes.size > 0) return [...mistakes];
    const seen = new Map<string, string>();
    const kind = kindAt(plan, path);
    return values.flatMap(value => {
      const same = sameness(value, kind);
      const before = seen.get(same);
      seen.set(same, value);
      if (before === undefined) return [];
      return [before === value ? `${path} names ${value} twice.` : `${path}: ${before} and ${value} are the same.`];
    });
  });
}

function sameness(value: string, kind: ReturnType<typeof kindAt>): string {
  if (kind === undefined) return value;
  try {
    return String(kind === 'number' ? Number(value) : magnitude(value as Quantity));
  } catch {
    return value;
  }
}

/** First parameter slowest. */
const combinations = (parameters: readonly SweepParameter[]): readonly Settings[] =>
  parameters.reduce<readonly Settings[]>(
    (sets, { path, values }) => sets.flatMap(set => values.map(value => ({ ...set, [path]: value }))),
    [{}],
  );

function refuse(mistakes: ReadonlySet<string>): void {
  if (mistakes.size > 0) throw new VariationError([...mistakes].join('\n'));
}
