import { expertBytes, expertShares } from '../model/expert-shares.ts';
import type { Load } from '../model/load.ts';
import { magnitude, type Size } from '../model/units.ts';
import { concurrentRateBps } from './concurrent-rate.ts';
import type { LoadRules } from './flow.ts';

type ExpertAllToAll = Extract<Load, { kind: 'expert-all-to-all' }>;

/** Mixture-of-experts dispatch with popular experts: Zipf's law with exponent `skew`, popularity shuffled by `seed`. */
export const expertAllToAll = ({
  bytes,
  skew = 1,
  seed = 1,
}: {
  readonly bytes: Size;
  readonly skew?: number;
  readonly seed?: number;
}): ExpertAllToAll => ({ kind: 'expert-all-to-all', bytes, skew, seed });

export const expertAllToAllRules: LoadRules<ExpertAllToAll> = {
  hasRounds: true,
  flows(load, { hosts }) {
    const parts = expertBytes(magnitude(load.bytes), expertShares({ ...load, ranks: hosts.length }));
    return hosts.flatMap(source =>
      hosts.flatMap((target, j) =>
        target === source ? [] : [{ source: source.name, target: target.name, bytes: parts[j] as number }],
      ),
    );
  },
  /**
   * Two bounds, whichever is later: the worst cut, what must cross it over what carries it (max-flow min-cut); and for every NIC, out and in,
   * and every distance d: d + bytes to or from ranks at least that far / B_NIC, as these bytes need d on top of their turn on the NIC.
   */
  bestRoundNs(load, on) {
    const flows = expertAllToAllRules.flows(load, on.topology);
    if (flows.length === 0) return undefined;
    const perByteBps = concurrentRateBps(
      on,
      flows.map(({ source, target, bytes }) => ({ source, target, weight: bytes })),
    );
    if (perByteBps === undefined) return undefined;
    const ends = new Map<string, { readonly nicBps: number; readonly far: { delayNs: number; bytes: number }[] }>();
    for (const { source, target, bytes } of flows) {
      for (const [host, way] of [
        [source, 'out'],
        [target, 'in'],
      ] as const) {
        const end = ends.get(`${host} ${way}`) ?? {
          nicBps: (on.nic(host)?.rateBps ?? Number.NaN) * on.efficiency,
          far: [],
        };
        end.far.push({ delayNs: on.delayNs(source, target) ?? Number.NaN, bytes });
        ends.set(`${host} ${way}`, end);
      }
    }
    const perNic = [...ends.values()].map(({ nicBps, far }) => {
      let bits = 0;
      return far
        .toSorted((a, b) => b.delayNs - a.delayNs)
        .reduce((latest, { delayNs, bytes }) => {
          bits += 8e9 * bytes;
          return Math.max(latest, delayNs + bits / nicBps);
        }, 0);
    });
    return Math.max(8e9 / perByteBps, ...perNic);
  },
  /**
   * What the busiest port carries, in or out: with equal shares (n-1)/n x S, nccl-tests' "AlltoAll". nccl-tests has no program with
   * unequal shares, so this extends its definition.
   */
  busBytes(load, ranks) {
    const parts = expertBytes(magnitude(load.bytes), expertShares({ ...load, ranks }));
    return Math.max(...parts.map(part => Math.max((ranks - 1) * part, magnitude(load.bytes) - part)));
  },
};
