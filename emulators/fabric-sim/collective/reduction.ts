import type { Topology } from '../../../harness/model/topology.ts';
import { bitRate, type Pattern, type Time } from './pattern.ts';
import type { Connect } from './queue-pair.ts';

/** An all-reduce over all hosts, connected once. Its ranks, by their place in the topology's order, may enter one by one. */
export interface Reduction {
  /**
   * Prepares one operation on `bytes`. `onLeft` is called for every rank once, when it holds the whole result. What is sent to a rank that
   * has not entered waits there. A rank enters the next operation only after it has left the one before.
   */
  operation(bytes: number, onLeft: (rank: number) => void): { enter(rank: number): void };
}

/** One way to reduce: what connects its ranks. */
export type ReductionKind = (world: { readonly topology: Topology; readonly connect: Connect }) => Reduction;

/** Rounds of an all-reduce that all ranks enter at once. busbw = S/T x 2(n-1)/n (nccl-tests, doc/PERFORMANCE.md). */
export function reductionRounds(
  reduction: Reduction,
  { bytes, ranks, time }: { readonly bytes: number; readonly ranks: number; readonly time: Time },
): Pattern {
  return {
    steady: true,
    round(done) {
      const beginPs = time.nowPs();
      let left = ranks;
      const operation = reduction.operation(bytes, () => {
        left -= 1;
        if (left === 0) done({ busbwBps: (bitRate(bytes, time.nowPs() - beginPs) * 2 * (ranks - 1)) / ranks });
      });
      for (let rank = 0; rank < ranks; rank++) operation.enter(rank);
    },
  };
}

/** Why `bytes` can not be all-reduced over this many hosts; undefined when they can. */
export function tooFewFor(bytes: number, hosts: number): string | undefined {
  if (hosts < 2) return `An all-reduce needs two hosts, there are ${hosts}.`;
  return bytes < hosts * 8 ? `${bytes} B is too small to be cut into ${hosts} chunks of 8 B.` : undefined;
}
