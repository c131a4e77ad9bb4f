import type { Flow, Network } from '../fabric/network.ts';
import { mix } from '../kernel/mix.ts';

/** One RoCEv2 flow between two hosts, made once and used by every round. Knows what it should have delivered. */
export interface QueuePair {
  readonly name: string;
  /** Sends; `delivered` is called when the last byte has arrived in order, `acknowledged` when the sender knows. */
  send(bytes: number, callbacks: { readonly delivered?: () => void; readonly acknowledged?: () => void }): void;
  delivered(): number;
  /** Bytes handed to `send` so far; equal to `delivered()` when nothing is under way and nothing was lost or made up. */
  expected(): number;
  stop(): void;
}

/** Where a job's queue pairs come from; tells it of every one. */
export type Connect = (source: string, target: string) => QueuePair;

/** First and count of RoCEv2 UDP source ports: 0xC000 to 0xFFFF (InfiniBand Annex A17, section 17.9.3.1). */
const FIRST_PORT = 0xc000;
const PORTS = 0x4000;

/** The UDP source port of the `index`-th queue pair under this seed. */
export const sourcePort = (seed: number, index: number): number =>
  FIRST_PORT + ((mix(mix(seed) ^ (index + 1)) >>> 0) % PORTS);

export function queuePair(
  network: Pick<Network, 'flow'>,
  pair: { readonly source: string; readonly target: string; readonly entropy: number; readonly deaf: boolean },
): QueuePair {
  let flow: Flow | undefined;
  let expected = 0;
  return {
    name: `${pair.source}->${pair.target}`,
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
    stop: () => flow?.stop(),
  };
}
