import { magnitude } from '../../../harness/model/units.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';
import { tooFewFor } from './reduction.ts';
import { ringPass } from './ring-pass.ts';

/**
 * One pass round the ring of all hosts: n - 1 steps of S/n (Patarasuk & Yuan 2009). T = (n-1)(a + S/(nB)) + the propagation of n - 1 edges.
 * A reduce-scatter and an all-gather move the same bytes; they differ in which chunk goes first and in the sum, which costs nothing here.
 * busbw = S/T x (n-1)/n, S the whole buffer (nccl-tests, doc/PERFORMANCE.md).
 */
const ringHalf = <L extends LoadOf<'reduce-scatter' | 'all-gather'>>(firstChunk: 0 | 1): PatternKind<L> => ({
  refuses: (load, { hosts }) => tooFewFor(magnitude(load.bytes), hosts.length),
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const hosts = topology.hosts.map(({ name }) => name);
    const n = hosts.length;
    const pairs = hosts.map((host, i) => connect(host, hosts[(i + 1) % n] as string));
    return {
      steady: true,
      round(done) {
        const beginPs = time.nowPs();
        let left = n;
        const onDone = () => {
          left -= 1;
          if (left === 0) done({ busbwBps: (bitRate(bytes, time.nowPs() - beginPs) * (n - 1)) / n });
        };
        const pass = ringPass({ pairs, bytes, steps: n - 1, firstChunk, onDone });
        for (const member of hosts.keys()) pass.start(member);
      },
    };
  },
});

export const reduceScatter = ringHalf<LoadOf<'reduce-scatter'>>(0);
export const allGather = ringHalf<LoadOf<'all-gather'>>(1);
