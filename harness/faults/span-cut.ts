import type { Direction, Fault, Light } from '../model/fault.ts';
import type { Span } from '../model/topology.ts';
import { type FaultRules, operStates, unknown, witnessed } from './evidence.ts';
import { recoveryBudgetNs } from './recovery-budget.ts';

type SpanCut = Extract<Fault, { kind: 'span-cut' }>;

/** Cuts a fibre. Default: both directions, and both ends see the light go. `light: 'kept'` is a silent cut. */
export const cut = (
  span: Span,
  { direction = 'both', light = 'lost' }: { readonly direction?: Direction; readonly light?: Light } = {},
): SpanCut => ({
  kind: 'span-cut',
  span,
  direction,
  light,
});

export const spanCutRules: FaultRules<SpanCut> = {
  blast: 'link',
  settles: ({ span, light }) => (light === 'lost' ? span.ends : []),
  describe: ({ span, direction, light }) =>
    `${light === 'kept' ? 'silent ' : ''}cut of span ${span.name}${direction === 'both' ? '' : ` from ${direction}`}`,

  /**
   * Light lost: the witnesses, else the ports: both ends down for a cut in both directions, the far end at least for one.
   * Light kept: the ports stay up and frames vanish: the witnesses, else the probes pinned on the span lost packets in every
   * direction that was cut.
   */
  evidence(fault, { effects, probes, counters }) {
    const word = witnessed(effects);
    const [a, b] = fault.span.ends.map(end => operStates(counters, end));
    if (fault.light === 'lost') {
      if (word) return word;
      const deaf = fault.direction === 'both' ? [a, b] : [fault.direction === 'a-to-b' ? b : a];
      if (deaf.every(states => states?.includes(false)))
        return { real: true, reason: `the ports of span ${fault.span.name} went down` };
      if (deaf.some(states => states?.length && !states.includes(false))) {
        return { real: false, reason: `a port of span ${fault.span.name} stayed up in every reading` };
      }
      return unknown(effects, `that span ${fault.span.name} lost its light`);
    }
    if (word?.real) return word;
    if ([a, b].some(states => states?.includes(false))) {
      return { real: false, reason: `a port of span ${fault.span.name} went down: the cut was not silent` };
    }
    const ways = (['a-to-b', 'b-to-a'] as const).filter(way => fault.direction === 'both' || fault.direction === way);
    const lost = ways.map(way =>
      probes
        .filter(probe => probe.span === fault.span.name && probe.direction === way)
        .map(({ sent, received }) => sent - received),
    );
    if (lost.every(flows => flows.some(packets => packets > 0))) {
      return {
        real: true,
        reason: `the probes pinned on span ${fault.span.name} lost ${lost.flat().join(' and ')} packets while its ports stayed up`,
      };
    }
    if (word) return word;
    if (lost.some(flows => flows.length > 0 && flows.every(packets => packets <= 0))) {
      return { real: false, reason: `the probes pinned on span ${fault.span.name} lost no packet` };
    }
    return unknown(effects, `that frames vanished on span ${fault.span.name}`);
  },

  budgetNs: (_fault, { settings }) => recoveryBudgetNs(settings),
};
