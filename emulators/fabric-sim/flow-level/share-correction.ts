import type { FabricSettings } from '../../../harness/model/topology.ts';
import { HPCC_DCQCN_100G, HPCC_ECN_100G } from '../../../harness/model/fabric-settings.ts';
import { magnitude } from '../../../harness/model/units.ts';

/** Round trips of the columns, us, and flows at the bottleneck of the rows. */
const RTT_US = [2, 98, 980, 9795] as const;
const FLOWS = [1, 2, 4, 8, 16] as const;

/**
 * Goodput of settled flows at one full link, as a fraction of their max-min fair share: DCQCN as the HPCC artefact sets it, 100 Gb/s, its
 * marking. Packet engine, trains of 8, mean of the 200 ms after the first 200 ms.
 *
 *     npx tsx bench/flow-correction.ts
 */
const DCQCN_SHARE: readonly (readonly number[])[] = [
  [0.996, 0.936, 0.638, 0.497],
  [0.998, 0.933, 0.665, 0.499],
  [0.999, 0.949, 0.588, 0.499],
  [0.998, 0.961, 0.604, 0.575],
  [1.0, 0.867, 0.647, 0.612],
];

/** What a transport makes of its fair share of a link that is full. */
export interface ShareCorrection {
  /** Fraction of the fair share. */
  (at: { readonly flows: number; readonly rttPs: number }): number;
  /** It was measured for these settings; without this the share is taken whole, and its error is not known. */
  readonly measured: boolean;
}

const sameSettings = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * The correction for a fabric's transport. Between the table's points it is linear in the logarithms of flows and of round trip; outside it
 * is that of the nearest point. Without congestion control senders are held back by PFC alone and links are full: 1.
 */
export function shareCorrection({ dcqcn, ecn, roce }: FabricSettings): ShareCorrection {
  if (dcqcn === null || ecn === null) return Object.assign(() => 1, { measured: dcqcn === null });
  const measured =
    sameSettings(dcqcn, HPCC_DCQCN_100G) && sameSettings(ecn, HPCC_ECN_100G) && magnitude(roce.mtu) === 4096;
  if (!measured) return Object.assign(() => 1, { measured });
  return Object.assign(
    ({ flows, rttPs }: { readonly flows: number; readonly rttPs: number }) => {
      const column = place(RTT_US, rttPs / 1e6);
      const row = place(FLOWS, flows);
      const at = (r: number, c: number) => (DCQCN_SHARE[r] as readonly number[])[c] as number;
      const along = (r: number) => at(r, column.low) * (1 - column.share) + at(r, column.high) * column.share;
      return along(row.low) * (1 - row.share) + along(row.high) * row.share;
    },
    { measured },
  );
}

function place(
  points: readonly number[],
  value: number,
): { readonly low: number; readonly high: number; readonly share: number } {
  const last = points.length - 1;
  if (!(value > (points[0] as number))) return { low: 0, high: 0, share: 0 };
  if (value >= (points[last] as number)) return { low: last, high: last, share: 0 };
  const high = points.findIndex(point => point > value);
  const [a, b] = [points[high - 1] as number, points[high] as number];
  return { low: high - 1, high, share: Math.log(value / a) / Math.log(b / a) };
}
