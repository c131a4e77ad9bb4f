import { magnitude } from '../../../harness/model/units.ts';
import { part } from './partition.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';
import type { QueuePair } from './queue-pair.ts';

/** Exchanges of one rank under way at once, so that a round trip between sites does not empty its port. */
const UNDER_WAY = 4;

/**
 * All-to-all by n - 1 shifted exchanges: in exchange s rank i sends S/n to rank i + s, so that every port sends to one and receives from
 * one. A rank has up to four exchanges under way and begins the next when one is acknowledged; its own part stays where it is.
 * busbw = S/T x (n-1)/n with S the whole buffer of a rank (nccl-tests, doc/PERFORMANCE.md).
 */
export const allToAll: PatternKind<LoadOf<'all-to-all'>> = {
  refuses(load, { hosts }) {
    if (hosts.length < 2) return `An all-to-all needs two hosts, there are ${hosts.length}.`;
    if (magnitude(load.bytes) < hosts.length)
      return `${load.bytes} is too small to give each of ${hosts.length} hosts a byte.`;
    return undefined;
  },
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const hosts = topology.hosts.map(({ name }) => name);
    const n = hosts.length;
    const pairs = hosts.map((host, i) =>
      Array.from({ length: n - 1 }, (_, s) => connect(host, hosts[(i + s + 1) % n] as string)),
    );
    return {
      steady: true,
      round(done) {
        const beginPs = time.nowPs();
        let left = n * (n - 1);
        const delivered = () => {
          left -= 1;
          if (left === 0) done({ busbwBps: (bitRate(bytes, time.nowPs() - beginPs) * (n - 1)) / n });
        };
        const exchange = (rank: number, shift: number): void => {
          if (shift > n - 1) return;
          const pair = (pairs[rank] as QueuePair[])[shift - 1] as QueuePair;
          pair.send(part(bytes, n, (rank + shift) % n), {
            delivered,
            acknowledged: () => exchange(rank, shift + UNDER_WAY),
          });
        };
        for (let rank = 0; rank < n; rank++) for (let shift = 1; shift <= UNDER_WAY; shift++) exchange(rank, shift);
      },
    };
  },
};
