import type { Topology } from './topology.ts';

/** Hosts of each stage of a pipeline, in the topology's order: equal blocks. Undefined when the stages do not divide the hosts, or there is only one. */
export function pipelineStages(
  stages: number,
  { hosts }: Pick<Topology, 'hosts'>,
): readonly (readonly string[])[] | undefined {
  const width = hosts.length / stages;
  if (!Number.isInteger(stages) || stages < 2 || !Number.isInteger(width) || width < 1) return undefined;
  return Array.from({ length: stages }, (_, stage) =>
    hosts.slice(stage * width, (stage + 1) * width).map(host => host.name),
  );
}
