import type { Load } from '../model/load.ts';
import type { Size } from '../model/units.ts';
import type { LoadRules } from './flow.ts';
import { ringPassRules } from './ring-pass.ts';

type AllGather = Extract<Load, { kind: 'all-gather' }>;

/** Each rank ends with all ranks' parts, along a ring. `bytes` is the whole result (nccl-tests "size"). */
export const allGather = ({
  bytes,
  queuePairs = 4,
}: {
  readonly bytes: Size;
  readonly queuePairs?: number;
}): AllGather => ({ kind: 'all-gather', bytes, queuePairs });

export const allGatherRules: LoadRules<AllGather> = ringPassRules;
