import type { Load } from '../model/load.ts';
import { magnitude, type Size } from '../model/units.ts';
import { concurrentRateBps } from './concurrent-rate.ts';
import type { LoadRules } from './flow.ts';

type Permutation = Extract<Load, { kind: 'permutation' }>;

/** Every host sends `bytes` to the host `shift` places further in the topology's order. */
export const permutation = ({ bytes, shift = 1 }: { readonly bytes: Size; readonly shift?: number }): Permutation => ({
  kind: 'permutation',
  bytes,
  shift,
});

export const permutationRules: LoadRules<Permutation> = {
  hasRounds: true,
  /** @throws RangeError when a host would send to itself */
  flows(load, { name, hosts }) {
    const shift = ((load.shift % hosts.length) + hosts.length) % hosts.length;
    if (!Number.isInteger(shift) || shift === 0) {
      throw new RangeError(`A shift of ${load.shift} makes the ${hosts.length} hosts of ${name} send to themselves.`);
    }
    return hosts.map((source, i) => ({
      source: source.name,
      target: hosts[(i + shift) % hosts.length]?.name ?? '',
      bytes: magnitude(load.bytes),
    }));
  },
  /** T = bytes / min(NIC, the flows' equal share of each leaf's uplinks and of the span bundle) + the longest OWD. */
  bestRoundNs(load, on) {
    const flows = permutationRules.flows(load, on.topology);
    const rateBps = concurrentRateBps(
      on,
      flows.map(({ source, target }) => ({ source, target, weight: 1 })),
    );
    if (rateBps === undefined) return undefined;
    const tailNs = Math.max(...flows.map(({ source, target }) => on.delayNs(source, target) ?? Number.NaN));
    return (8e9 * magnitude(load.bytes)) / rateBps + tailNs;
  },
  /** The goodput of the slowest flow: its bytes over the time of the round; sendrecv_perf's busbw (nccl-tests src/sendrecv.cu, factor 1). */
  busBytes: load => magnitude(load.bytes),
};
