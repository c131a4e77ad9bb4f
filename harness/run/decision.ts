import type { DecisionRule } from '../model/plan.ts';
import type { CheckVerdict } from '../model/verdict.ts';

export type Band = NonNullable<CheckVerdict['band']>;

export interface Decision {
  readonly outcome: 'pass' | 'fail' | 'inconclusive';
  readonly band?: Band;
}

/** How far a value is on the good side of its limit, same unit; negative when it is on the other side. */
export function margin({
  value,
  least,
  most,
}: {
  readonly value: number;
  readonly least?: number | undefined;
  readonly most?: number | undefined;
}): number {
  return Math.min(
    least === undefined ? Number.POSITIVE_INFINITY : value - least,
    most === undefined ? Number.POSITIVE_INFINITY : most - value,
  );
}

/**
 * The verdict on one value (ILAC-G8:09/2019, section 4.2).
 * `simple` (w = 0): the good side passes, the limit itself included. `guarded` (w = U): a pass must be U or more on the good side and a
 * fail more than U on the other; between the two it is a conditional pass or fail, by name, and decides nothing.
 *
 * @param uncertainty U of value and limit together; when it is not known, `guarded` can not decide
 */
export function decide(
  marginValue: number,
  { rule, uncertainty }: { readonly rule: DecisionRule; readonly uncertainty: number | undefined },
): Decision {
  if (Number.isNaN(marginValue)) return { outcome: 'inconclusive' };
  if (rule === 'simple') return { outcome: marginValue >= 0 ? 'pass' : 'fail' };
  if (uncertainty === undefined || !(uncertainty >= 0)) return { outcome: 'inconclusive' };
  if (marginValue >= uncertainty) return { outcome: 'pass', band: 'pass' };
  if (marginValue < -uncertainty) return { outcome: 'fail', band: 'fail' };
  return { outcome: 'inconclusive', band: marginValue >= 0 ? 'conditional pass' : 'conditional fail' };
}
