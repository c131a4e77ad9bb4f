import { magnitude } from '../../../harness/model/units.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';
import { ringPass } from './ring-pass.ts';

/**
 * Flat ring all-reduce over all hosts in the topology's order: n - 1 steps of reduce-scatter and n - 1 of all-gather, of S/n each, in one
 * pass without a barrier between (Patarasuk & Yuan 2009). With two cross-site edges and pipelining T = 2(n-1)(a + S/(nB)) + 4 OWD.
 * busbw = S/T x 2(n-1)/n (nccl-tests, doc/PERFORMANCE.md).
 */
export const ringAllReduce: PatternKind<LoadOf<'all-reduce'>> = {
  refuses(load, { hosts }) {
    if (hosts.length < 2) return `An all-reduce needs two hosts, there are ${hosts.length}.`;
    if (magnitude(load.bytes) < hosts.length * 8)
      return `${load.bytes} is too small to be cut into ${hosts.length} chunks of 8 B.`;
    return undefined;
  },
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const hosts = topology.hosts.map(({ name }) => name);
    const n = hosts.length;
    const pairs = hosts.map((host, i) => connect(host, hosts[(i + 1) % n] as string));
    return {
      round(done) {
        const beginPs = time.nowPs();
        let left = n;
        const pass = ringPass({
          pairs,
          bytes,
          steps: 2 * (n - 1),
          firstChunk: 0,
          onDone: () => {
            left -= 1;
            if (left === 0) done({ busbwBps: (bitRate(bytes, time.nowPs() - beginPs) * 2 * (n - 1)) / n });
          },
        });
        for (const member of hosts.keys()) pass.start(member);
      },
    };
  },
};
