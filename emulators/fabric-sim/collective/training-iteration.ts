import { uniform } from '../../../harness/model/seeded.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { hierarchicalReduction, refusesSites } from './hierarchical-all-reduce.ts';
import { part } from './partition.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';
import { tooFewFor } from './reduction.ts';
import { ringReduction } from './ring-all-reduce.ts';
import { treeReduction } from './tree-all-reduce.ts';

type Training = LoadOf<'training-iteration'>;

const REDUCTIONS = { ring: ringReduction, hierarchical: hierarchicalReduction, tree: treeReduction } as const;

/** When work that began at `beginPs` and takes `workPs` at full speed is done, if it runs `slowdown` times slower from `fromPs` on. */
export function throttledPs(options: {
  readonly beginPs: number;
  readonly workPs: number;
  readonly fromPs: number;
  readonly slowdown: number;
}): number {
  const { beginPs, workPs, fromPs, slowdown } = options;
  const atFullSpeed = Math.min(workPs, Math.max(0, fromPs - beginPs));
  return Math.round(beginPs + atFullSpeed + (workPs - atFullSpeed) * slowdown);
}

/**
 * Data-parallel training: every rank computes, and enters the all-reduce of a bucket when the bucket is ready on it and the one before is
 * reduced on it: one communication stream a rank, as in PyTorch's DistributedDataParallel (Li et al., VLDB 2020). The iteration ends when every rank
 * holds every bucket. Without stragglers T = C + max(t, K t - (K-1) o C/K) with t the time of one bucket's all-reduce, that is:
 * exposed = max(t, T_comm - T_overlap) (methods-and-numbers, section 7, for many buckets).
 */
export const trainingIteration: PatternKind<Training> = {
  refuses(load, topology) {
    const ranks = topology.hosts.length;
    const { buckets, stragglers, throttle } = load;
    if (!(Number.isInteger(buckets) && buckets >= 1 && buckets <= 10_000))
      return `Gradients come in 1 to 10000 buckets, not ${buckets}.`;
    if (!(magnitude(load.compute) > 0)) return 'The compute of an iteration takes longer than 0 ns.';
    if (!(magnitude(load.overlap) >= 0 && magnitude(load.overlap) <= 1))
      return `The overlap is a share from 0 % to 100 %, not ${load.overlap}.`;
    if (stragglers && !(magnitude(stragglers.spread) >= 0 && Number.isSafeInteger(stragglers.seed)))
      return 'Stragglers need a spread of 0 % or more and a whole seed.';
    if (throttle && !(Number.isInteger(throttle.rank) && throttle.rank >= 0 && throttle.rank < ranks))
      return `Rank ${throttle.rank} can not be throttled, there are ranks 0 to ${ranks - 1}.`;
    if (throttle && !(throttle.slowdown >= 1 && Number.isFinite(throttle.slowdown)))
      return `Throttled compute takes 1 time or more as long, not ${throttle.slowdown}.`;
    const sites = load.algorithm === 'hierarchical' ? refusesSites(topology) : undefined;
    return sites ?? tooFewFor(Math.floor(magnitude(load.bytes) / buckets), ranks);
  },
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const ranks = topology.hosts.length;
    const reduction = REDUCTIONS[load.algorithm]({ topology, connect });
    const overlap = magnitude(load.overlap);
    const throttleFromPs = time.nowPs() + Math.round(magnitude(load.throttle?.after ?? '0 ns') * 1e3);
    let iteration = 0;

    const workPs = (rank: number): number => {
      const { stragglers } = load;
      const longer = stragglers ? magnitude(stragglers.spread) * uniform(stragglers.seed, iteration, rank) : 0;
      return magnitude(load.compute) * 1e3 * (1 + longer);
    };
    const doneAtPs = (rank: number, beginPs: number, ps: number): number =>
      load.throttle?.rank === rank
        ? throttledPs({ beginPs, workPs: ps, fromPs: throttleFromPs, slowdown: load.throttle.slowdown })
        : beginPs + Math.round(ps);

    return {
      ...(!load.stragglers && !load.throttle && { steady: true as const }),
      round(done) {
        const beginPs = time.nowPs();
        const states = Array.from({ length: ranks }, () => ({ ready: 0, entered: 0, left: 0 }));
        let leaving = ranks;
        const rankComputeNs: number[] = [];
        const goOn = (rank: number): void => {
          const state = states[rank] as (typeof states)[number];
          if (state.entered >= state.ready || state.entered > state.left) return;
          state.entered += 1;
          operations[state.entered - 1]?.enter(rank);
        };
        const onLeft = (rank: number): void => {
          const state = states[rank] as (typeof states)[number];
          state.left += 1;
          if (state.left < load.buckets) goOn(rank);
          else if (--leaving === 0) {
            const busbwBps = (bitRate(bytes, time.nowPs() - beginPs) * 2 * (ranks - 1)) / ranks;
            done({ busbwBps, computeNs: Math.max(...rankComputeNs), rankComputeNs });
          }
        };
        const operations = Array.from({ length: load.buckets }, (_, k) =>
          reduction.operation(part(bytes, load.buckets, k), onLeft),
        );
        for (let rank = 0; rank < ranks; rank++) {
          const work = workPs(rank);
          rankComputeNs[rank] = (doneAtPs(rank, beginPs, work) - beginPs) / 1e3;
          for (let k = 1; k <= load.buckets; k++) {
            const share = 1 - overlap + (overlap * k) / load.buckets;
            time.at(doneAtPs(rank, beginPs, work * share), () => {
              (states[rank] as (typeof states)[number]).ready += 1;
              goOn(rank);
            });
          }
        }
        iteration += 1;
      },
    };
  },
};
