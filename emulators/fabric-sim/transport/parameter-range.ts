/**
 * Where a law's parameter may lie. `positive`: more than 0; `not-negative`: 0 too; `share`: in (0, 1]; `count`: a whole number from 0
 * on; `flag`: 0 or 1. All are finite.
 */
export type ParameterRange = 'positive' | 'not-negative' | 'share' | 'count' | 'flag';

const RULES: Readonly<Record<ParameterRange, { readonly says: string; holds(value: number): boolean }>> = {
  positive: { says: 'more than 0', holds: value => value > 0 },
  'not-negative': { says: '0 or more', holds: value => value >= 0 },
  share: { says: 'in (0, 1]', holds: value => value > 0 && value <= 1 },
  count: { says: 'a whole number from 0 on', holds: value => Number.isInteger(value) && value >= 0 },
  flag: { says: '0 or 1', holds: value => value === 0 || value === 1 },
};

/**
 * The parameters of `law`, each known to be there and in its range.
 *
 * @throws RangeError naming law and parameter: for one that is missing, and for one out of range
 */
export function parametersInRange<Name extends string>(
  law: string,
  parameters: Readonly<Record<string, number>>,
  ranges: Readonly<Record<Name, ParameterRange>>,
): Readonly<Record<Name, number>> {
  for (const name in ranges) {
    const value = parameters[name];
    if (value === undefined) throw new RangeError(`Law ${law} lacks its parameter ${name}.`);
    const rule = RULES[ranges[name]];
    if (!Number.isFinite(value) || !rule.holds(value))
      throw new RangeError(`Law ${law}: ${name} is ${value}; it must be ${rule.says}.`);
  }
  return parameters as Readonly<Record<Name, number>>;
}
