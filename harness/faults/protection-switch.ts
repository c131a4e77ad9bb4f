import type { Fault } from '../model/fault.ts';
import type { Span } from '../model/topology.ts';
import { type Distance, type Duration, magnitude } from '../model/units.ts';
import { type FaultRules, unknown, witnessed } from './evidence.ts';
import { recoveryBudgetNs } from './recovery-budget.ts';

type ProtectionSwitch = Extract<Fault, { kind: 'protection-switch' }>;

/**
 * The carrier moves a span to its protection path, which is longer by `detour`: nothing passes for `outage`, light stays, then traffic takes longer,
 * both ways. Healing goes back at once. 50 ms is what ITU-T G.841 and G.8031 allow for the switch, after up to 10 ms of detection.
 *
 * @throws RangeError when nothing would change
 */
export function protectionSwitch(
  span: Span,
  { outage = '50 ms', detour }: { readonly outage?: Duration; readonly detour: Distance },
): ProtectionSwitch {
  if (!(magnitude(outage) >= 0 && magnitude(detour) > 0))
    throw new RangeError(
      `A protection path is longer than the working one, got ${detour} after an outage of ${outage}.`,
    );
  return { kind: 'protection-switch', span, outage, detour };
}

export const protectionSwitchRules: FaultRules<ProtectionSwitch> = {
  blast: 'link',
  settles: () => [],
  describe: ({ span, detour }) => `protection switch of span ${span.name} to a path longer by ${detour}`,

  /** The witnesses, who read the delay; else nothing can tell: probes are counted, not timed, and lose packets in any outage. */
  evidence({ span }, { effects }) {
    return witnessed(effects) ?? unknown(effects, `that span ${span.name} took a longer path`);
  },

  budgetNs: ({ outage }, { settings }) => magnitude(outage) + recoveryBudgetNs(settings),
};
