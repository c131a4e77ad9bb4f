import type { Duration, Size } from './units.ts';

/** Offered traffic, as data. One round is one operation of the load; rounds follow each other without a pause. */
export type Load =
  /**
   * `bytes` is the buffer on each rank (nccl-tests "size"). `queuePairs`: flows that each connection is split across
   * (NCCL_IB_QPS_PER_CONNECTION with NCCL_IB_SPLIT_DATA_ON_QPS=1), so that ECMP has more than one flow to spread; 1 when absent.
   */
  | {
      readonly kind: 'all-reduce';
      readonly bytes: Size;
      readonly algorithm: 'ring' | 'hierarchical';
      readonly queuePairs?: number;
    }
  /** `bytes` is the whole send buffer of each rank; each peer gets an equal part of it. */
  | { readonly kind: 'all-to-all'; readonly bytes: Size }
  /** `senders` hosts send `bytes` each to the first host at once. */
  | { readonly kind: 'incast'; readonly bytes: Size; readonly senders: number }
  /** Every host sends `bytes` to the host `shift` places further; a permutation without fixed points. */
  | { readonly kind: 'permutation'; readonly bytes: Size; readonly shift: number }
  /** `flows` endless flows to one host; as many again join after `join`. No rounds: time phases only. */
  | { readonly kind: 'flow-doubling'; readonly flows: number; readonly join: Duration };

export type LoadKind = Load['kind'];
