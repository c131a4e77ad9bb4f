import type { Fault, Light } from '../model/fault.ts';
import type { Span } from '../model/topology.ts';
import { type Duration, magnitude } from '../model/units.ts';
import { type FaultRules, operStates, unknown, witnessed } from './evidence.ts';
import { recoveryBudgetNs } from './recovery-budget.ts';

type SpanFlap = Extract<Fault, { kind: 'span-flap' }>;

/**
 * A fibre that fails for `down` in every `every`, both directions, again and again while the fault is true. Light lost by default.
 *
 * @throws RangeError when it would be down all the time, or never
 */
export function flap(
  span: Span,
  pace: { readonly every: Duration; readonly down: Duration; readonly light?: Light },
): SpanFlap {
  const { every, down, light = 'lost' } = pace;
  if (!(magnitude(down) > 0 && magnitude(down) < magnitude(every))) {
    throw new RangeError(
      `A flap is down for less than its period and more than nothing, got ${down} in every ${every}.`,
    );
  }
  return { kind: 'span-flap', span, every, down, light };
}

export const spanFlapRules: FaultRules<SpanFlap> = {
  blast: 'link',
  settles: ({ span, light }) => (light === 'lost' ? span.ends : []),
  describe: ({ span, every, down, light }) =>
    `${light === 'kept' ? 'silent ' : ''}flap of span ${span.name}, down ${down} in every ${every}`,

  /** The witnesses, else a reading that caught a port down (light lost), else lost packets of the probes pinned on the span. */
  evidence(fault, { effects, probes, counters }) {
    const word = witnessed(effects);
    if (word) return word;
    if (fault.light === 'lost' && fault.span.ends.some(end => operStates(counters, end).includes(false))) {
      return { real: true, reason: `a port of span ${fault.span.name} was down in a reading` };
    }
    const flows = probes.filter(probe => probe.span === fault.span.name);
    const lost = flows.reduce((sum, { sent, received }) => sum + Math.max(0, sent - received), 0);
    if (lost > 0) return { real: true, reason: `the probes pinned on span ${fault.span.name} lost ${lost} packets` };
    // Readings may fall between the flaps, and a fabric may protect its probes: their silence proves nothing.
    return unknown(effects, `that span ${fault.span.name} flapped`);
  },

  /** One outage and one recovery for each period that begins within the work's time, and one more. */
  budgetNs({ every, down }, { settings, workNs }) {
    const flaps = Math.ceil(workNs / magnitude(every)) + 1;
    return flaps * magnitude(down) + recoveryBudgetNs(settings);
  },
};
