import type { Load } from '../model/load.ts';
import type { Size } from '../model/units.ts';
import type { LoadRules } from './flow.ts';
import { ringPassRules } from './ring-pass.ts';

type ReduceScatter = Extract<Load, { kind: 'reduce-scatter' }>;

/** Each rank ends with its part of the sum, along a ring. `bytes` is the whole buffer of each rank (nccl-tests "size"). */
export const reduceScatter = ({
  bytes,
  queuePairs = 4,
}: {
  readonly bytes: Size;
  readonly queuePairs?: number;
}): ReduceScatter => ({ kind: 'reduce-scatter', bytes, queuePairs });

export const reduceScatterRules: LoadRules<ReduceScatter> = ringPassRules;
