import type { Fault } from '../model/fault.ts';
import type { Link } from '../model/topology.ts';
import { type FaultRules, operStates, unknown, witnessed } from './evidence.ts';
import { recoveryBudgetNs } from './recovery-budget.ts';

type LinkDown = Extract<Fault, { kind: 'link-down' }>;

/** A cable inside a site goes down; both ends see it. */
export const linkDown = (link: Link): LinkDown => ({ kind: 'link-down', link });

export const linkDownRules: FaultRules<LinkDown> = {
  blast: 'link',
  settles: ({ link }) => link.ends,
  describe: ({ link }) => `link ${link.name} down`,

  /** The witnesses, else the ports: down in a reading, or up in all of them. */
  evidence({ link }, { effects, counters }) {
    const word = witnessed(effects);
    if (word) return word;
    const states = link.ends.map(end => operStates(counters, end));
    if (states.some(seen => seen.includes(false)))
      return { real: true, reason: `a port of ${link.name} was down in a reading` };
    if (states.some(seen => seen.length > 0))
      return { real: false, reason: `the ports of ${link.name} stayed up in every reading` };
    return unknown(effects, `that ${link.name} went down`);
  },

  budgetNs: (_fault, { settings }) => recoveryBudgetNs(settings),
};
