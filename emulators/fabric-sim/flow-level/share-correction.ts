import { flowShareIsMeasured } from '../../../harness/model/flow-level.ts';
import type { FabricSettings } from '../../../harness/model/topology.ts';

/** Round trips of the columns, us; flows at the bottleneck, of the rows; message sizes, of the tables, B. */
const RTT_US = [2, 98, 980, 9795] as const;
const FLOWS = [1, 2, 4, 8, 16] as const;
const BYTES = [0.25e6, 1e6, 4e6, 16e6, 64e6, Number.POSITIVE_INFINITY] as const;

/**
 * What flows at one full link make of their max-min fair share: DCQCN and marking as the HPCC artefact sets them, 100 Gb/s. For messages the
 * rounds of flows that begin together, until the slowest has arrived, so what unequal rates cost is in it; for endless flows the goodput
 * of all of them. Packet engine, trains of 8.
 *
 *     npx tsx bench/flow-correction.ts        (2026-11-22)
 */
// biome-ignore format: a table is read by its columns
const DCQCN_SHARE: readonly (readonly (readonly number[])[])[] = [
  [[0.984, 0.984, 0.984, 0.984], [0.984, 0.984, 0.984, 0.984], [0.992, 0.992, 0.992, 0.992], [0.923, 0.910, 0.969, 0.969], [0.926, 0.926, 0.998, 0.998]],
  [[0.918, 0.908, 0.926, 0.951], [0.909, 0.901, 0.915, 0.928], [0.998, 0.998, 0.998, 0.998], [0.860, 0.814, 0.809, 0.999], [0.738, 0.715, 0.893, 0.999]],
  [[0.959, 0.930, 0.849, 0.999], [0.983, 0.957, 0.819, 0.999], [0.914, 0.833, 0.721, 0.999], [0.879, 0.806, 0.655, 1.000], [0.792, 0.755, 0.678, 0.744]],
  [[0.988, 0.935, 0.750, 0.861], [0.972, 0.896, 0.675, 0.861], [0.954, 0.916, 0.565, 0.603], [0.905, 0.873, 0.633, 0.711], [0.914, 0.819, 0.660, 0.654]],
  [[0.997, 0.933, 0.629, 0.711], [0.984, 0.885, 0.646, 0.643], [0.954, 0.920, 0.590, 0.624], [0.958, 0.920, 0.601, 0.609], [0.959, 0.850, 0.653, 0.621]],
  [[0.996, 0.936, 0.638, 0.497], [0.998, 0.933, 0.665, 0.499], [0.999, 0.949, 0.588, 0.499], [0.998, 0.961, 0.604, 0.575], [1.000, 0.867, 0.647, 0.612]],
];

interface AtBottleneck {
  /** Flows that the link holds back. */
  readonly flows: number;
  readonly rttPs: number;
  /** Of the message under way; Infinity for an endless one. */
  readonly bytes: number;
}

/** What a transport makes of its fair share of a link that is full, as a fraction. */
export type ShareCorrection = (at: AtBottleneck) => number;

/**
 * The correction for a fabric's transport. Between the table's points it is linear in the logarithms of bytes, flows and round trip; outside
 * it is that of the nearest point. Without congestion control senders are held back by PFC alone and links are full: 1. For other settings
 * than the table's nothing was measured: 1 as well, with an error that is not known.
 */
export function shareCorrection(settings: FabricSettings): ShareCorrection {
  if (settings.transport !== undefined || settings.dcqcn === null || !flowShareIsMeasured(settings)) return () => 1;
  return ({ flows, rttPs, bytes }) => {
    const [size, row, column] = [place(BYTES, bytes), place(FLOWS, flows), place(RTT_US, rttPs / 1e6)];
    return between(size, s => between(row, r => between(column, c => DCQCN_SHARE[s]?.[r]?.[c] ?? 1)));
  };
}

interface Place {
  readonly low: number;
  readonly high: number;
  /** How far from the one to the other, 0 to 1. */
  readonly share: number;
}

function between({ low, high, share }: Place, at: (index: number) => number): number {
  return share === 0 ? at(low) : at(low) * (1 - share) + at(high) * share;
}

function place(points: readonly number[], value: number): Place {
  const last = points.length - 1;
  if (!(value > (points[0] as number))) return { low: 0, high: 0, share: 0 };
  if (value >= (points[last] as number)) return { low: last, high: last, share: 0 };
  const high = points.findIndex(point => point > value);
  const [a, b] = [points[high - 1] as number, points[high] as number];
  return { low: high - 1, high, share: b === Number.POSITIVE_INFINITY ? 0 : Math.log(value / a) / Math.log(b / a) };
}
