import type { Load } from '../model/load.ts';
import { magnitude, type Size } from '../model/units.ts';
import { concurrentRateBps } from './concurrent-rate.ts';
import type { LoadRules } from './flow.ts';

type AllToAll = Extract<Load, { kind: 'all-to-all' }>;

/** Every rank sends an equal part of its buffer to every other (MoE dispatch). `bytes` is the whole send buffer of each rank. */
export const allToAll = ({ bytes }: { readonly bytes: Size }): AllToAll => ({ kind: 'all-to-all', bytes });

export const allToAllRules: LoadRules<AllToAll> = {
  hasRounds: true,
  flows: (load, { hosts }) =>
    hosts.flatMap(source =>
      hosts.flatMap(target =>
        target === source
          ? []
          : [{ source: source.name, target: target.name, bytes: magnitude(load.bytes) / hosts.length }],
      ),
    ),
  /**
   * The worst cut: over the spans between sites of n_a and n_b ranks pass S n_a n_b / n, over a leaf's uplinks what its ranks send
   * outside, over a NIC S(n-1)/n; divided by what carries it. Then the last byte travels: one OWD, the longest.
   * Volumes from the definition of all-to-all (nccl-tests doc/PERFORMANCE.md); the bound is max-flow min-cut.
   */
  bestRoundNs(load, on) {
    const flows = allToAllRules.flows(load, on.topology);
    if (flows.length === 0) return undefined;
    const rateBps = concurrentRateBps(
      on,
      flows.map(({ source, target }) => ({ source, target, weight: 1 })),
    );
    if (rateBps === undefined) return undefined;
    const tailNs = flows.reduce((most, { source, target }) => Math.max(most, on.delayNs(source, target) ?? 0), 0);
    return (8e9 * (flows[0]?.bytes ?? Number.NaN)) / rateBps + tailNs;
  },
  /** (n-1)/n x S: nccl-tests doc/PERFORMANCE.md, "AlltoAll". */
  busBytes: (load, ranks) => ((ranks - 1) / ranks) * magnitude(load.bytes),
};
