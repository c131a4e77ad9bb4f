import type { Duration, Rate, Share, Size } from './units.ts';

/** How an all-reduce is played. `tree`: NCCL's double binary tree. `hierarchical`: inside each site, between sites, inside again. */
export type AllReduceAlgorithm = 'ring' | 'hierarchical' | 'tree';

/** Offered traffic, as data. One round is one operation of the load; rounds follow each other without a pause. */
export type Load =
  /**
   * `bytes` is the buffer on each rank (nccl-tests "size"). `queuePairs`: flows that each connection is split across
   * (NCCL_IB_QPS_PER_CONNECTION with NCCL_IB_SPLIT_DATA_ON_QPS=1), so that ECMP has more than one flow to spread; 1 when absent.
   */
  | {
      readonly kind: 'all-reduce';
      readonly bytes: Size;
      readonly algorithm: AllReduceAlgorithm;
      readonly queuePairs?: number;
    }
  /** Each rank ends with its n-th part of the sum. `bytes` is the whole buffer of each rank, n parts (nccl-tests "size"). */
  | { readonly kind: 'reduce-scatter'; readonly bytes: Size; readonly queuePairs?: number }
  /** Each rank ends with all ranks' parts. `bytes` is the whole result, n parts (nccl-tests "size"). */
  | { readonly kind: 'all-gather'; readonly bytes: Size; readonly queuePairs?: number }
  /** The first host's `bytes` reach all others, along a ring in chunks (NCCL's only algorithm for it). */
  | { readonly kind: 'broadcast'; readonly bytes: Size; readonly queuePairs?: number }
  /** `bytes` is the whole send buffer of each rank; each peer gets an equal part of it. */
  | { readonly kind: 'all-to-all'; readonly bytes: Size }
  /**
   * Mixture of experts: every rank sends `bytes`, and some ranks' experts are more popular than others' (`expert-shares.ts`).
   * `skew` is the exponent of Zipf's law: 0 is an all-to-all, 1 makes the n-th most popular get 1/n of the first. `seed` says who is popular.
   */
  | { readonly kind: 'expert-all-to-all'; readonly bytes: Size; readonly skew: number; readonly seed: number }
  /**
   * Pipeline parallelism: the hosts, in the topology's order, in `stages` equal blocks; host i of a block passes `bytes` of activations
   * to host i of the next for each of `microbatches`, and as many of gradients come back. One round is one flush of the 1F1B schedule.
   */
  | {
      readonly kind: 'pipeline';
      readonly bytes: Size;
      readonly stages: number;
      readonly microbatches: number;
      /** Compute of one stage for one microbatch. */
      readonly forward: Duration;
      readonly backward: Duration;
    }
  /**
   * One iteration of data-parallel training: every rank computes, and all-reduces its gradients of `bytes` in equal `buckets`.
   * Of `compute` the last share `overlap` is backward pass, in which the buckets get ready one after the other, evenly; a bucket's
   * all-reduce begins on a rank when it is ready there and the bucket before is reduced there. One round is one iteration.
   */
  | {
      readonly kind: 'training-iteration';
      readonly bytes: Size;
      readonly algorithm: AllReduceAlgorithm;
      readonly compute: Duration;
      /** Share of `compute` over which buckets get ready; `'0 %'`: all of them at its end. */
      readonly overlap: Share;
      readonly buckets: number;
      readonly queuePairs?: number;
      /** Each rank and iteration computes longer by a seeded part, uniform from 0 to this share of `compute`. */
      readonly stragglers?: { readonly spread: Share; readonly seed: number };
      /** One rank (its index in the topology's order) computes `slowdown` times as long from an instant after the start on. */
      readonly throttle?: { readonly rank: number; readonly after: Duration; readonly slowdown: number };
    }
  /**
   * Endless storage traffic: host i writes to, and reads from, the host half the fabric further, each at `rate` on average: transfers with
   * sizes uniform on a logarithmic scale from `smallest` to `largest` begin at seeded, exponentially spread instants. No rounds.
   */
  | {
      readonly kind: 'storage';
      readonly rate: Rate;
      readonly smallest: Size;
      readonly largest: Size;
      /** Share of the transfers that are reads: they come towards the host that asked. */
      readonly reads: Share;
      readonly seed: number;
    }
  /** `senders` hosts send `bytes` each to the first host at once. */
  | { readonly kind: 'incast'; readonly bytes: Size; readonly senders: number }
  /** Every host sends `bytes` to the host `shift` places further; a permutation without fixed points. */
  | { readonly kind: 'permutation'; readonly bytes: Size; readonly shift: number }
  /** `flows` endless flows to one host; as many again join after `join`. No rounds: time phases only. */
  | { readonly kind: 'flow-doubling'; readonly flows: number; readonly join: Duration };

export type LoadKind = Load['kind'];
