import type { Direction, Fault } from '../model/fault.ts';
import type { Span } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';
import { type FaultRules, operStates, unknown, witnessed } from './evidence.ts';
import { recoveryBudgetNs } from './recovery-budget.ts';

type SpanDegrade = Extract<Fault, { kind: 'span-degrade' }>;

/**
 * A fibre that goes bad without going dark: it loses a share of its packets (`loss: '0.1 %'`), or has bit errors after FEC (`ber: 1e-9`), so
 * that a frame is lost with 1 - (1 - BER)^(8 bytes). Default: both directions.
 *
 * @throws RangeError when nothing or everything would be lost: the latter is a silent cut
 */
export function degrade(
  span: Span,
  { direction = 'both', ...amount }: SpanDegrade['amount'] & { readonly direction?: Direction },
): SpanDegrade {
  const share = 'loss' in amount ? magnitude(amount.loss) : amount.ber;
  if (!(share > 0 && share < 1))
    throw new RangeError(
      `A span degrades by more than nothing and less than everything, got ${JSON.stringify(amount)}.`,
    );
  return { kind: 'span-degrade', span, direction, amount };
}

/** `loss of 0.1 %` */
export const amountWords = ({ amount }: SpanDegrade): string =>
  'loss' in amount ? `loss of ${amount.loss}` : `bit errors of ${amount.ber}`;

export const spanDegradeRules: FaultRules<SpanDegrade> = {
  blast: 'link',
  settles: () => [],
  describe: fault =>
    `${amountWords(fault)} on span ${fault.span.name}${fault.direction === 'both' ? '' : ` from ${fault.direction}`}`,

  /** The witnesses, unless a port went down; else lost packets of the probes pinned on the span in every direction that was degraded. */
  evidence(fault, { effects, probes, counters }) {
    const word = witnessed(effects);
    if (word) return word;
    if (fault.span.ends.some(end => operStates(counters, end).includes(false)))
      return { real: false, reason: `a port of span ${fault.span.name} went down: it was not degraded but dark` };
    const ways = (['a-to-b', 'b-to-a'] as const).filter(way => fault.direction === 'both' || fault.direction === way);
    const lost = ways.map(way =>
      probes
        .filter(probe => probe.span === fault.span.name && probe.direction === way)
        .reduce((sum, { sent, received }) => sum + sent - received, 0),
    );
    if (lost.every(packets => packets > 0))
      return { real: true, reason: `the probes pinned on span ${fault.span.name} lost ${lost.join(' and ')} packets` };
    // So few may have been sent that none was to be lost.
    return unknown(effects, `that span ${fault.span.name} lost packets`);
  },

  /** A transport that sends much again needs its time: as long again as the work. */
  budgetNs: (_fault, { settings, workNs }) => workNs + recoveryBudgetNs(settings),
};
