import type { Flow, Network } from '../fabric/network.ts';
import { mix } from '../kernel/mix.ts';
import { part } from './partition.ts';

/** One RoCEv2 flow between two hosts, made once and used by every round. Knows what it should have delivered. */
export interface QueuePair {
  readonly name: string;
  /** Sends; `delivered` is called when the last byte has arrived in order, `acknowledged` when the sender knows. */
  send(bytes: number, callbacks: { readonly delivered?: () => void; readonly acknowledged?: () => void }): void;
  delivered(): number;
  /** Bytes handed to `send` so far; equal to `delivered()` when nothing is under way and nothing was lost or made up. */
  expected(): number;
  /** The network has counted so many bytes as given, sent and delivered once more. */
  counted(bytes: number): void;
  stop(): void;
}

/** Where a job's queue pairs come from; tells it of every one. */
export type Connect = (source: string, target: string) => Connection;

/** What a pattern sends over: one queue pair, or several that share every message. */
export type Connection = Pick<QueuePair, 'send' | 'delivered'>;

/** Splits every message over `pairs` in equal parts; it has arrived when all parts have (NCCL_IB_SPLIT_DATA_ON_QPS). */
export function striped(pairs: readonly QueuePair[]): Connection {
  if (pairs.length === 1) return pairs[0] as QueuePair;
  return {
    send(bytes, { delivered, acknowledged }) {
      const parts = pairs
        .map((pair, i) => ({ pair, bytes: part(bytes, pairs.length, i) }))
        .filter(({ bytes }) => bytes > 0);
      const whenAll = (call: (() => void) | undefined): (() => void) | undefined => {
        let left = parts.length;
        return call && (() => --left === 0 && call());
      };
      const callbacks = { delivered: whenAll(delivered), acknowledged: whenAll(acknowledged) };
      for (const { pair, bytes } of parts) {
        pair.send(bytes, {
          ...(callbacks.delivered && { delivered: callbacks.delivered }),
          ...(callbacks.acknowledged && { acknowledged: callbacks.acknowledged }),
        });
      }
    },
    delivered: () => pairs.reduce((sum, pair) => sum + pair.delivered(), 0),
  };
}

/** First and count of RoCEv2 UDP source ports: 0xC000 to 0xFFFF (InfiniBand Annex A17, section 17.9.3.1). */
const FIRST_PORT = 0xc000;
const PORTS = 0x4000;

/** The UDP source port of the `index`-th queue pair under this seed. */
export const sourcePort = (seed: number, index: number): number =>
  FIRST_PORT + ((mix(mix(seed) ^ (index + 1)) >>> 0) % PORTS);

export function queuePair(
  network: Pick<Network, 'flow'>,
  pair: {
    readonly source: string;
    readonly target: string;
    readonly entropy: number;
    readonly deaf: boolean;
    readonly stripe?: number;
  },
): QueuePair {
  let flow: Flow | undefined;
  let expected = 0;
  return {
    name: `${pair.source}->${pair.target}${pair.stripe === undefined ? '' : `#${pair.stripe}`}`,
    send(bytes, { delivered, acknowledged }) {
      expected += bytes;
      const callbacks = {
        ...(delivered && { onDelivered: delivered }),
        ...(acknowledged && { onAcknowledged: acknowledged }),
      };
      if (flow) flow.send(bytes, callbacks);
      else {
        const { source, target, entropy } = pair;
        flow = network.flow({ source, target, bytes, entropy, ...(pair.deaf && { deaf: true }), ...callbacks });
      }
    },
    delivered: () => flow?.delivered() ?? 0,
    expected: () => expected,
    counted(bytes) {
      expected += bytes;
    },
    stop: () => flow?.stop(),
  };
}
