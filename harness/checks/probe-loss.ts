import type { Share } from '../model/units.ts';
import { expectedFlows, isOffered } from './convergence.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement } from './measurement.ts';

/**
 * Share of a probe flow's packets that did not arrive, one sample per flow.
 *
 * Method: (sent - received) / sent over the phase (RFC 2544 section 26.3). Statistic: the worst flow. U: one packet of those sent,
 * and those whose fate the end of the phase left undecided.
 */
export const probeLossKpi: Kpi = {
  name: 'probeLoss',
  dimension: 'share',
  better: 'low',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement({ ...probeLossKpi, method: '(sent - received) / sent of each probe flow' }, { view, phase }, seen => {
      const usable = seen.probes.filter(isOffered);
      const samples = usable.map(({ sent, received }) => (sent - received) / sent);
      const uncertainty =
        samples.length === 0 ? undefined : Math.max(...usable.map(({ sent, undecided = 0 }) => (1 + undecided) / sent));
      return { samples, ...expectedFlows(view, seen, samples.length), uncertainty };
    }),
};

export const probeLoss = kpi<Share>(probeLossKpi);
