import { pipelineStages } from '../../../harness/model/pipeline-stages.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';

/** One pass of one microbatch through one stage. */
interface Pass {
  readonly way: 'forward' | 'backward';
  readonly microbatch: number;
}

/**
 * Order of a stage's work in the 1F1B schedule with flushes: first as many forward passes as stages follow, then one forward and one backward
 * in turn, then the backward passes that are left.
 *
 * @see Narayanan et al., "Efficient large-scale language model training on GPU clusters using Megatron-LM", SC 2021, section 2.2.1
 */
export function oneForwardOneBackward(options: {
  readonly stage: number;
  readonly stages: number;
  readonly microbatches: number;
}): readonly Pass[] {
  const { stage, stages, microbatches } = options;
  const ahead = Math.min(stages - 1 - stage, microbatches);
  const forward = Array.from({ length: microbatches }, (_, microbatch): Pass => ({ way: 'forward', microbatch }));
  const backward = forward.map(({ microbatch }): Pass => ({ way: 'backward', microbatch }));
  return [
    ...forward.slice(0, ahead),
    ...forward.slice(ahead).flatMap((pass, i) => [pass, backward[i] as Pass]),
    ...backward.slice(microbatches - ahead),
  ];
}

/**
 * Pipeline parallelism over blocks of hosts. A stage works on one microbatch at a time; what it has computed is sent while it computes the next.
 * Without communication a round takes (m + p - 1)(f + b), of which (p-1)/(m+p-1) is bubble; distance adds its delay once per hop and way,
 * and once per microbatch where the schedule waits for a gradient. busbw: bytes of all microbatches between two stages, over the round.
 */
export const pipeline: PatternKind<LoadOf<'pipeline'>> = {
  refuses(load, topology) {
    if (!pipelineStages(load.stages, topology))
      return `A pipeline of ${load.stages} stages needs two or more, and a multiple of them of hosts; there are ${topology.hosts.length}.`;
    if (!(Number.isInteger(load.microbatches) && load.microbatches >= 1 && load.microbatches <= 10_000))
      return `A pipeline has 1 to 10000 microbatches, not ${load.microbatches}.`;
    const times = [load.forward, load.backward].map(time => magnitude(time));
    return times.every(ns => ns > 0) ? undefined : 'A pass through a stage takes longer than 0 ns.';
  },
  create(load, { topology, connect, time }) {
    const stages = pipelineStages(load.stages, topology) ?? [];
    const bytes = magnitude(load.bytes);
    const takesPs = {
      forward: Math.round(magnitude(load.forward) * 1e3),
      backward: Math.round(magnitude(load.backward) * 1e3),
    };
    const { microbatches } = load;
    const replicas = (stages[0] ?? []).map((_host, replica) =>
      stages.map((hosts, stage) => {
        const to = (other: number) => {
          const target = stages[other]?.[replica];
          return target === undefined ? undefined : connect(hosts[replica] as string, target);
        };
        return {
          passes: oneForwardOneBackward({ stage, stages: stages.length, microbatches }),
          forward: to(stage + 1),
          backward: to(stage - 1),
        };
      }),
    );
    return {
      round(done) {
        const beginPs = time.nowPs();
        let left = replicas.length * stages.length;
        const finished = (): void => {
          left -= 1;
          if (left > 0) return;
          const computePs = microbatches * (takesPs.forward + takesPs.backward);
          done({ busbwBps: bitRate(microbatches * bytes, time.nowPs() - beginPs), computeNs: computePs / 1e3 });
        };
        for (const replica of replicas) {
          const last = replica.length - 1;
          // What a stage may begin: inputs that have arrived. The first stage's inputs and the last stage's gradients are its own.
          const ready = replica.map((_stage, k) => ({
            forward: k === 0 ? microbatches : 0,
            backward: k === last ? microbatches : 0,
          }));
          const next = replica.map(() => 0);
          const busy = replica.map(() => false);
          const work = (k: number): void => {
            const stage = replica[k];
            const pass = stage?.passes[next[k] as number];
            const inputs = ready[k] as (typeof ready)[number];
            if (!stage || !pass || busy[k] || inputs[pass.way] <= pass.microbatch) return;
            busy[k] = true;
            time.at(time.nowPs() + takesPs[pass.way], () => {
              busy[k] = false;
              next[k] = (next[k] as number) + 1;
              const far = pass.way === 'forward' ? k + 1 : k - 1;
              stage[pass.way]?.send(bytes, {
                delivered: () => {
                  (ready[far] as (typeof ready)[number])[pass.way] += 1;
                  work(far);
                },
              });
              if (next[k] === stage.passes.length) finished();
              else work(k);
            });
          };
          for (const k of replica.keys()) work(k);
        }
      },
    };
  },
};
