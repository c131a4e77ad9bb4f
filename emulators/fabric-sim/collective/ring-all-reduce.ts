import { magnitude } from '../../../harness/model/units.ts';
import type { LoadOf, PatternKind } from './pattern.ts';
import { type ReductionKind, reductionRounds, tooFewFor } from './reduction.ts';
import { ringPass } from './ring-pass.ts';

/** Flat ring over all hosts in the topology's order: n - 1 steps of reduce-scatter and n - 1 of all-gather, of S/n each, in one pass. */
export const ringReduction: ReductionKind = ({ topology, connect }) => {
  const hosts = topology.hosts.map(({ name }) => name);
  const n = hosts.length;
  const pairs = hosts.map((host, i) => connect(host, hosts[(i + 1) % n] as string));
  return {
    operation(bytes, onLeft) {
      const pass = ringPass({ pairs, bytes, steps: 2 * (n - 1), firstChunk: 0, onDone: onLeft });
      return { enter: rank => pass.start(rank) };
    },
  };
};

/**
 * Flat ring all-reduce without a barrier between its passes (Patarasuk & Yuan 2009). With two cross-site edges and pipelining
 * T = 2(n-1)(a + S/(nB)) + 4 OWD. busbw = S/T x 2(n-1)/n (nccl-tests, doc/PERFORMANCE.md).
 */
export const ringAllReduce: PatternKind<LoadOf<'all-reduce'>> = {
  refuses: (load, { hosts }) => tooFewFor(magnitude(load.bytes), hosts.length),
  create: (load, { topology, connect, time }) =>
    reductionRounds(ringReduction({ topology, connect }), {
      bytes: magnitude(load.bytes),
      ranks: topology.hosts.length,
      time,
    }),
};
