import type { Fault } from '../model/fault.ts';
import type { Load } from '../model/load.ts';
import type { Topology } from '../model/topology.ts';
import { rulesOf } from './load-rules.ts';
import { standing } from './standing.ts';

/** Busbw of a round that took `roundNs`, bit/s, as nccl-tests defines it for the load's kind. */
export function busbwBps(load: Load, { ranks, roundNs }: { readonly ranks: number; readonly roundNs: number }): number {
  return (8e9 * rulesOf(load).busBytes(load, ranks)) / roundNs;
}

/** Whether the load consists of rounds. A work phase needs them. */
export const hasRounds = (load: Load): boolean => rulesOf(load).hasRounds;

/** Payload of one round over all flows, B; infinite for a load without rounds. */
export const roundBytes = (load: Load, topology: Topology): number =>
  rulesOf(load)
    .flows(load, topology)
    .reduce((sum, flow) => sum + flow.bytes, 0);

/** Least time of one round that the topology allows while `faults` are true, ns. Undefined without a path, or without rounds. */
export const bestRoundNs = (load: Load, topology: Topology, faults: readonly Fault[] = []): number | undefined =>
  rulesOf(load).bestRoundNs(load, standing(topology, faults));

/**
 * The best busbw that the topology allows as it stands while `faults` are true, bit/s of payload: busbw of `bestRoundNs`, whose
 * formula and source stand at each load. For a load without rounds: what all its flows together can deliver.
 * Undefined when the topology is disconnected: then there is no such limit.
 */
export function roofline(load: Load, topology: Topology, faults: readonly Fault[] = []): number | undefined {
  if (!hasRounds(load)) return goodputRoofline(load, topology, faults);
  const roundNs = bestRoundNs(load, topology, faults);
  return roundNs === undefined ? undefined : busbwBps(load, { ranks: topology.hosts.length, roundNs });
}

/** The most payload that all flows of the load together can deliver, bit/s: a best round's bytes over its time. */
export function goodputRoofline(load: Load, topology: Topology, faults: readonly Fault[] = []): number | undefined {
  const on = standing(topology, faults);
  const flows = rulesOf(load).flows(load, topology);
  if (hasRounds(load)) {
    const roundNs = rulesOf(load).bestRoundNs(load, on);
    return roundNs === undefined ? undefined : (8e9 * flows.reduce((sum, flow) => sum + flow.bytes, 0)) / roundNs;
  }
  if (flows.some(({ source, target }) => on.delayNs(source, target) === undefined)) return undefined;
  const sources = [...new Set(flows.map(flow => flow.source))];
  const targets = [...new Set(flows.map(flow => flow.target))];
  const offeredBps = rulesOf(load).offeredBps?.(load, topology) ?? Number.POSITIVE_INFINITY;
  return Math.min(offeredBps, on.capacityBps(sources, targets) * on.efficiency);
}
