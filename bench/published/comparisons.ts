import type { Comparison } from './comparison.ts';
import { sdrRdma } from './sdr-rdma.ts';

/** Every comparison, in the order of the page. One line each: two people may append at once. */
export const comparisons: readonly Comparison[] = [
  sdrRdma,
  //
];
