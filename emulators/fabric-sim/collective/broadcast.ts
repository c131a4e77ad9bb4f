import { magnitude } from '../../../harness/model/units.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';
import { slices } from './slices.ts';

/**
 * The first host's data goes along the ring of all hosts, slice after slice, and stops before it is back (NCCL's only algorithm for it: ring).
 * T = S/B + (n - 2) slice/B + the propagation of n - 1 edges. busbw = S/T (nccl-tests, doc/PERFORMANCE.md).
 */
export const broadcast: PatternKind<LoadOf<'broadcast'>> = {
  refuses: (_load, { hosts }) =>
    hosts.length < 2 ? `A broadcast needs two hosts, there is ${hosts.length}.` : undefined,
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const hosts = topology.hosts.map(({ name }) => name);
    const pairs = hosts.slice(0, -1).map((host, i) => connect(host, hosts[i + 1] as string));
    return {
      steady: true,
      round(done) {
        const beginPs = time.nowPs();
        const sizes = slices(bytes);
        let left = sizes.length;
        const hand = (slice: number, from: number): void => {
          const pair = pairs[from];
          if (pair) pair.send(sizes[slice] as number, { delivered: () => hand(slice, from + 1) });
          else if (--left === 0) done({ busbwBps: bitRate(bytes, time.nowPs() - beginPs) });
        };
        for (const slice of sizes.keys()) hand(slice, 0);
      },
    };
  },
};
