import { part } from './partition.ts';

/**
 * Trees and chains hand on data in slices of NCCL's size, 4 MiB of buffer (NCCL_BUFFSIZE) in 8 steps (NCCL_STEPS); small messages in 8 slices,
 * down to 32 KiB each, as NCCL halves its chunks for them (src/enqueue.cc). That NCCL's buffer also limits what is in flight is not modelled.
 */
const SLICE = { most: 512 * 1024, least: 32 * 1024, count: 8 } as const;

/** `bytes` cut into equal slices, at least one. */
export function slices(bytes: number): readonly number[] {
  const wanted = Math.max(SLICE.count, Math.ceil(bytes / SLICE.most));
  const count = Math.max(1, Math.min(wanted, Math.floor(bytes / SLICE.least)));
  return Array.from({ length: count }, (_, i) => part(bytes, count, i));
}
