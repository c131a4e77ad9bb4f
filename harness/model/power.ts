import type { Duration, Power } from './units.ts';

/** What one GPU node (one rank) draws in each state, and the window in which a meter averages it. */
export interface PowerModel {
  /** Without a job. */
  readonly idle: Power;
  readonly compute: Power;
  /** All GPUs wait for the fabric. */
  readonly communication: Power;
  readonly window: Duration;
}

/**
 * One GPU: 700 W is the greatest TDP of H100 and H200 SXM (NVIDIA data sheets); idle a tenth of it, a round number of ours, to be replaced by what
 * `nvidia-smi` shows. While all wait for the fabric power falls "near idle" (Choukse et al., "Power stabilization for AI training datacenters",
 * arXiv 2508.14318): idle, which makes the deepest swing. Not the node's fans, CPUs and switches, which do not swing. Window: 1 ms.
 */
export const H200_POWER: PowerModel = { idle: '70 W', compute: '700 W', communication: '70 W', window: '1 ms' };
