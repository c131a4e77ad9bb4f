import type { Load } from '../model/load.ts';
import { pipelineStages } from '../model/pipeline-stages.ts';
import type { Topology } from '../model/topology.ts';
import { type Duration, magnitude, type Size } from '../model/units.ts';
import type { LoadRules } from './flow.ts';
import { sharedRateBps } from './ring-travel.ts';

type Pipeline = Extract<Load, { kind: 'pipeline' }>;

/** Pipeline parallelism, 1F1B schedule: `bytes` of activations a microbatch and stage, forward, and as many of gradients back. */
export const pipeline = ({
  bytes,
  stages,
  microbatches,
  forward,
  backward,
}: {
  readonly bytes: Size;
  readonly stages: number;
  readonly microbatches: number;
  readonly forward: Duration;
  readonly backward: Duration;
}): Pipeline => ({ kind: 'pipeline', bytes, stages, microbatches, forward, backward });

/** Pairs of hosts of neighbouring stages, towards the last stage. @throws RangeError when the stages do not divide the hosts */
function forwardPairs(load: Pipeline, topology: Topology): readonly (readonly [string, string])[] {
  const stages = pipelineStages(load.stages, topology);
  if (!stages)
    throw new RangeError(
      `A pipeline of ${load.stages} stages needs two or more, and a multiple of them of hosts; ${topology.name} has ${topology.hosts.length}.`,
    );
  return stages
    .slice(0, -1)
    .flatMap((hosts, stage) => hosts.map((host, i) => [host, stages[stage + 1]?.[i] ?? ''] as const));
}

export const pipelineRules: LoadRules<Pipeline> = {
  hasRounds: true,
  flows(load, topology) {
    const bytes = load.microbatches * magnitude(load.bytes);
    return forwardPairs(load, topology).flatMap(([source, target]) => [
      { source, target, bytes },
      { source: target, target: source, bytes },
    ]);
  },
  /**
   * T = (m + p - 1)(f + b) + sum over the p - 1 hops of both ways' (OWD + bytes/B): the last stage gets its first microbatch after p - 1 forward passes and
   * hops, computes m (f + b), and its last gradients go back the same way. Without communication this is the 1F1B schedule's time, of
   * which (p-1)/(m+p-1) is bubble (Huang et al., GPipe, NeurIPS 2019; Narayanan et al., SC 2021, section 2.2, count it per m).
   * And no link carries m microbatches faster than its rate.
   */
  bestRoundNs(load, on) {
    const pairs = forwardPairs(load, on.topology);
    const both = pairs.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]);
    const rateBps = sharedRateBps(on, both);
    if (rateBps === undefined) return undefined;
    const bits = 8e9 * magnitude(load.bytes);
    const width = on.topology.hosts.length / load.stages;
    const hopNs = both.map(
      ([source, target]) =>
        (on.delayNs(source, target) ?? Number.NaN) + bits / ((on.nic(source)?.rateBps ?? Number.NaN) * on.efficiency),
    );
    // Every replica of the pipeline takes at least its own hops; the slowest replica counts.
    const travelNs = Array.from({ length: width }, (_, replica) =>
      hopNs.filter((_hop, i) => Math.floor(i / 2) % width === replica).reduce((sum, hop) => sum + hop, 0),
    );
    const stepNs = magnitude(load.forward) + magnitude(load.backward);
    return Math.max(
      (load.microbatches + load.stages - 1) * stepNs + Math.max(...travelNs),
      (load.microbatches * bits) / rateBps,
    );
  },
  /** What one stage's host hands to the next in a round: m x bytes. Own definition: nccl-tests has no pipeline. */
  busBytes: load => load.microbatches * magnitude(load.bytes),
};
