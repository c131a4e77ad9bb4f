import type { Load } from '../../../harness/model/load.ts';
import type { RoundLine } from '../../../harness/model/record.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { SimJob } from '../fabric-sim.ts';
import type { Network } from '../fabric/network.ts';
import { allToAll } from './all-to-all.ts';
import { flowDoubling } from './flow-doubling.ts';
import { hierarchicalAllReduce } from './hierarchical-all-reduce.ts';
import { incast } from './incast.ts';
import type { PatternKind } from './pattern.ts';
import { permutation } from './permutation.ts';
import { type QueuePair, queuePair, sourcePort, striped } from './queue-pair.ts';
import { ringAllReduce } from './ring-all-reduce.ts';

function kindOf(load: Load): PatternKind<Load> | undefined {
  switch (load.kind) {
    case 'all-reduce':
      return (load.algorithm === 'hierarchical' ? hierarchicalAllReduce : ringAllReduce) as PatternKind<Load>;
    case 'all-to-all':
      return allToAll as PatternKind<Load>;
    case 'incast':
      return incast as PatternKind<Load>;
    case 'permutation':
      return permutation as PatternKind<Load>;
    case 'flow-doubling':
      return flowDoubling as PatternKind<Load>;
    default:
      return undefined;
  }
}

/** Why the load can not be simulated on this topology; undefined when it can. */
export function refusesLoad(load: Load, topology: Topology): string | undefined {
  const kind = kindOf(load);
  if (!kind) return `The simulator knows no load "${(load as Load).kind}".`;
  if ('bytes' in load && !(magnitude(load.bytes) >= 1 && Number.isInteger(magnitude(load.bytes)))) {
    return `${load.bytes} is not a whole number of bytes.`;
  }
  if (
    'queuePairs' in load &&
    !(Number.isInteger(load.queuePairs) && (load.queuePairs ?? 0) >= 1 && (load.queuePairs ?? 0) <= 128)
  ) {
    return `A connection has 1 to 128 queue pairs, not ${load.queuePairs}.`;
  }
  return kind.refuses(load, topology);
}

export interface JobOptions {
  readonly load: Load;
  readonly topology: Topology;
  readonly network: Pick<Network, 'nowPs' | 'at' | 'flow'>;
  /** From which the source port of every queue pair comes. */
  readonly seed: number;
  /** A planted defect: what of this job ignores CNPs. */
  readonly deaf?: 'first flow' | 'first sender';
  readonly onRound: (job: SimJob) => void;
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

  function play(): void {
    const beginPs = network.nowPs;
    pattern.round?.(result => {
      if (stopped) return;
      const wrong = pairs.filter(pair => pair.delivered() !== pair.expected()).length;
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
    });
  }

  if (pattern.round) play();
  pattern.begin?.();
  return job;
}
