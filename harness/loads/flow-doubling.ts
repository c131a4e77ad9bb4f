import type { Load } from '../model/load.ts';
import type { Duration } from '../model/units.ts';
import type { LoadRules } from './flow.ts';

type FlowDoubling = Extract<Load, { kind: 'flow-doubling' }>;

/**
 * `flows` endless flows to the first host; as many again join after `join` (BMWG AI fabric training draft, "CC convergence").
 * Senders are the other hosts in the topology's order, over again when there are fewer of them than flows.
 */
export const flowDoubling = ({ flows, join }: { readonly flows: number; readonly join: Duration }): FlowDoubling => ({
  kind: 'flow-doubling',
  flows,
  join,
});

export const flowDoublingRules: LoadRules<FlowDoubling> = {
  hasRounds: false,
  /** All flows, those that join later as well. @throws RangeError when there is nobody to send */
  flows(load, { name, hosts }) {
    const [target, ...senders] = hosts;
    if (!target || senders.length === 0)
      throw new RangeError(`Flows to one host need two hosts or more, ${name} has ${hosts.length}.`);
    return Array.from({ length: 2 * load.flows }, (_, i) => ({
      source: senders[i % senders.length]?.name ?? '',
      target: target.name,
      bytes: Number.POSITIVE_INFINITY,
    }));
  },
  bestRoundNs: () => undefined,
  busBytes: () => Number.NaN,
};
