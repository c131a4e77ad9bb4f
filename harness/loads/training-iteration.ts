import type { AllReduceAlgorithm, Load } from '../model/load.ts';
import { type Duration, magnitude, type Share, type Size } from '../model/units.ts';
import { allReduceRules } from './all-reduce.ts';
import type { LoadRules } from './flow.ts';

type TrainingIteration = Extract<Load, { kind: 'training-iteration' }>;

/**
 * Data-parallel training: `compute` per iteration, and an all-reduce of `bytes` of gradients in `buckets`, which get ready evenly over the last
 * `overlap` of the compute. Default two thirds: the backward pass costs twice the forward pass (Narayanan et al., SC 2021, appendix).
 * Four queue pairs a connection, as for `allReduce`.
 */
export const trainingIteration = ({
  bytes,
  compute,
  algorithm = 'ring',
  overlap = '66.7 %',
  buckets = 4,
  queuePairs = 4,
  stragglers,
  throttle,
}: {
  readonly bytes: Size;
  readonly compute: Duration;
  readonly algorithm?: AllReduceAlgorithm;
  readonly overlap?: Share;
  readonly buckets?: number;
  readonly queuePairs?: number;
  readonly stragglers?: TrainingIteration['stragglers'];
  readonly throttle?: TrainingIteration['throttle'];
}): TrainingIteration => ({
  kind: 'training-iteration',
  bytes,
  algorithm,
  compute,
  overlap,
  buckets,
  queuePairs,
  ...(stragglers && { stragglers }),
  ...(throttle && { throttle }),
});

const reduced = (load: TrainingIteration, buckets: number) => ({
  kind: 'all-reduce' as const,
  bytes: `${magnitude(load.bytes) / buckets} B` as const,
  algorithm: load.algorithm,
});

export const trainingIterationRules: LoadRules<TrainingIteration> = {
  hasRounds: true,
  flows: (load, topology) => allReduceRules.flows(reduced(load, 1), topology),
  /**
   * T = max(C + t(S/K), C (1 - o) + C o/K + t(S)), t the all-reduce's own best time, C the compute, o its overlapped share, K the buckets:
   * the last bucket comes after all the compute, and all of S after the first bucket is ready. So the exposed communication is
   * max(t(S/K), t(S) - o C (K-1)/K), which is max(0, T_comm - T_overlap) for many buckets; with K = 1 it is the synthetic roofline of the
   * BMWG AI fabric training draft, C + S x algo_factor / rate, and the propagation. Stragglers and throttling only add to it.
   */
  bestRoundNs(load, on) {
    const whole = allReduceRules.bestRoundNs(reduced(load, 1), on);
    const bucket = allReduceRules.bestRoundNs(reduced(load, load.buckets), on);
    if (whole === undefined || bucket === undefined) return undefined;
    const computeNs = magnitude(load.compute);
    const overlapNs = magnitude(load.overlap) * computeNs;
    return Math.max(computeNs + bucket, computeNs - overlapNs + overlapNs / load.buckets + whole);
  },
  /** As for the all-reduce of `bytes`; the time is that of the whole iteration. */
  busBytes: (load, ranks) => allReduceRules.busBytes(reduced(load, 1), ranks),
};
