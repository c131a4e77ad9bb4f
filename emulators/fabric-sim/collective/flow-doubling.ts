import { magnitude } from '../../../harness/model/units.ts';
import type { LoadOf, PatternKind } from './pattern.ts';

/** M endless flows into the first host from as many others; M more, from hosts that were silent, `join` later (BMWG draft, CC convergence). */
export const flowDoubling: PatternKind<LoadOf<'flow-doubling'>> = {
  refuses(load, { hosts }) {
    if (!Number.isInteger(load.flows) || load.flows < 1)
      return `Flow doubling needs a whole number of flows, got ${load.flows}.`;
    if (2 * load.flows > hosts.length - 1) {
      return `Doubling ${load.flows} flows into one host needs ${2 * load.flows + 1} hosts, there are ${hosts.length}.`;
    }
    return undefined;
  },
  create(load, { topology, connect, time }) {
    const [receiver, ...senders] = topology.hosts.map(({ name }) => name) as [string, ...string[]];
    const open = (names: readonly string[]) => {
      for (const sender of names) connect(sender, receiver).send(Number.POSITIVE_INFINITY, {});
    };
    return {
      begin() {
        open(senders.slice(0, load.flows));
        time.at(time.nowPs() + Math.round(magnitude(load.join) * 1e3), () =>
          open(senders.slice(load.flows, 2 * load.flows)),
        );
      },
    };
  },
};
