import type { Load, LoadKind } from '../../../harness/model/load.ts';
import type { RoundLine } from '../../../harness/model/record.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { SimJob } from '../fabric-sim.ts';
import type { Network, Repeats, RoundMark } from '../fabric/network.ts';
import { allToAll } from './all-to-all.ts';
import { broadcast } from './broadcast.ts';
import { expertAllToAll } from './expert-all-to-all.ts';
import { flowDoubling } from './flow-doubling.ts';
import { hierarchicalAllReduce } from './hierarchical-all-reduce.ts';
import { incast } from './incast.ts';
import type { LoadOf, PatternKind, RoundResult } from './pattern.ts';
import { permutation } from './permutation.ts';
import { pipeline } from './pipeline.ts';
import { type QueuePair, queuePair, sourcePort, striped } from './queue-pair.ts';
import { ringAllReduce } from './ring-all-reduce.ts';
import { allGather, reduceScatter } from './ring-half-pass.ts';
import { storage } from './storage.ts';
import { trainingIteration } from './training-iteration.ts';
import { treeAllReduce } from './tree-all-reduce.ts';

const ALL_REDUCES = { ring: ringAllReduce, hierarchical: hierarchicalAllReduce, tree: treeAllReduce } as const;

type KindOf = { readonly [K in Exclude<LoadKind, 'all-reduce'>]: PatternKind<LoadOf<K>> };
const KINDS: KindOf = {
  'reduce-scatter': reduceScatter,
  'all-gather': allGather,
  broadcast,
  'all-to-all': allToAll,
  'expert-all-to-all': expertAllToAll,
  pipeline,
  'training-iteration': trainingIteration,
  storage,
  incast,
  permutation,
  'flow-doubling': flowDoubling,
};

function kindOf(load: Load): PatternKind<Load> | undefined {
  const kind =
    load.kind === 'all-reduce'
      ? Object.hasOwn(ALL_REDUCES, load.algorithm) && ALL_REDUCES[load.algorithm]
      : Object.hasOwn(KINDS, load.kind) && KINDS[load.kind];
  // The tables map each kind to the pattern of that kind; the compiler can not follow the index.
  return kind ? (kind as unknown as PatternKind<Load>) : undefined;
}

/** Why the load can not be simulated on this topology; undefined when it can. */
export function refusesLoad(load: Load, topology: Topology): string | undefined {
  const kind = kindOf(load);
  if (!kind) return `The simulator knows no load "${load.kind}"${'algorithm' in load ? ` by ${load.algorithm}` : ''}.`;
  if ('bytes' in load && !(magnitude(load.bytes) >= 1 && Number.isInteger(magnitude(load.bytes)))) {
    return `${load.bytes} is not a whole number of bytes.`;
  }
  if (
    'queuePairs' in load &&
    load.queuePairs !== undefined &&
    !(Number.isInteger(load.queuePairs) && load.queuePairs >= 1 && load.queuePairs <= 128)
  ) {
    return `A connection has 1 to 128 queue pairs, not ${load.queuePairs}.`;
  }
  return kind.refuses(load, topology);
}

export interface JobOptions {
  readonly load: Load;
  readonly topology: Topology;
  readonly network: Pick<Network, 'nowPs' | 'at' | 'flow' | 'repeats'>;
  /** From which the source port of every queue pair comes. */
  readonly seed: number;
  /** A planted defect: what of this job ignores CNPs. */
  readonly deaf?: 'first flow' | 'first sender';
  readonly onRound: (job: SimJob) => void;
}

/** A round that was played, and what it depended on. */
interface PlayedRound {
  readonly by: Repeats;
  readonly state: number;
  readonly result: RoundResult;
  readonly lastsPs: number;
  readonly given: RoundMark;
  /** That each queue pair was given. */
  readonly bytes: readonly number[];
}

/**
 * Starts a load at the present instant. Rounds follow back to back: the next begins, on all ranks, at the instant the last rank has finished,
 * which costs nothing (nccl-tests' own barrier is not modelled). Every round checks that each queue pair delivered exactly the bytes it was given.
 *
 * @throws RangeError for a load that is refused
 */
export function startJob(options: JobOptions): SimJob {
  const { load, topology, network, seed, onRound } = options;
  const refusal = refusesLoad(load, topology);
  if (refusal) throw new RangeError(refusal);

  const pairs: QueuePair[] = [];
  let firstSender: string | undefined;
  const rounds: RoundLine[] = [];
  let stopped = false;

  const pattern = (kindOf(load) as PatternKind<Load>).create(load, {
    topology,
    connect(source, target) {
      firstSender ??= source;
      const stripes = ('queuePairs' in load && load.queuePairs) || 1;
      const own = Array.from({ length: stripes }, (_, i) => {
        const deaf =
          options.deaf === 'first flow'
            ? pairs.length === 0
            : options.deaf === 'first sender' && source === firstSender;
        const entropy = sourcePort(seed, pairs.length);
        const pair = queuePair(network, { source, target, entropy, deaf, ...(stripes > 1 && { stripe: i + 1 }) });
        pairs.push(pair);
        return pair;
      });
      return striped(own);
    },
    time: {
      nowPs: () => network.nowPs,
      at: (atPs, run) => network.at(atPs, () => (stopped ? undefined : run())),
    },
  });

  const job: SimJob = {
    load,
    rounds,
    flows: () => pairs.map(pair => ({ name: pair.name, delivered: pair.delivered() })),
    stop() {
      stopped = true;
      for (const pair of pairs) pair.stop();
    },
  };

  let known: PlayedRound | undefined;

  /** Counts the round that begins now, when one like it is known and nothing has changed since. */
  function repeated(beginPs: number): boolean {
    const { repeats } = network;
    if (!known || !repeats || repeats !== known.by || repeats.state() !== known.state) return false;
    const { result, lastsPs, given, bytes } = known;
    return repeats.repeat({
      given,
      lastsPs,
      done() {
        if (stopped) return;
        for (const [i, pair] of pairs.entries()) pair.counted(bytes[i] ?? 0);
        finish(beginPs, result, 0);
      },
    });
  }

  function finish(beginPs: number, result: RoundResult, wrong: number): void {
    rounds.push({
      kind: 'round',
      round: rounds.length,
      beginNs: beginPs / 1e3,
      endNs: network.nowPs / 1e3,
      ...result,
      wrong,
    });
    play();
    onRound(job);
  }

  function play(): void {
    const beginPs = network.nowPs;
    if (repeated(beginPs)) return;
    const repeats = pattern.steady ? network.repeats : undefined;
    const state = repeats?.state();
    const before = state === undefined ? undefined : repeats?.mark();
    const asked = pairs.map(pair => pair.expected());
    pattern.round?.(result => {
      if (stopped) return;
      const wrong = pairs.filter(pair => pair.delivered() !== pair.expected()).length;
      known =
        repeats && before && wrong === 0 && repeats === network.repeats && repeats.state() === state
          ? {
              by: repeats,
              state: state as number,
              result,
              lastsPs: network.nowPs - beginPs,
              given: repeats.mark(before),
              bytes: pairs.map((pair, i) => pair.expected() - (asked[i] ?? 0)),
            }
          : undefined;
      finish(beginPs, result, wrong);
    });
  }

  if (pattern.round) play();
  pattern.begin?.();
  return job;
}
