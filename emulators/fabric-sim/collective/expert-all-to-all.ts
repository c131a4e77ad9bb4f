import { expertBytes, expertShares } from '../../../harness/model/expert-shares.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';

/**
 * Mixture-of-experts dispatch: every rank sends to all others at once, to each what its experts' popularity asks for.
 * busbw: what the busiest port carries, over the round. Flows, for fairness: the equal parts that all others send to the most popular rank, each over
 * the time until it has arrived.
 */
export const expertAllToAll: PatternKind<LoadOf<'expert-all-to-all'>> = {
  refuses(load, { hosts }) {
    if (hosts.length < 2) return `An all-to-all needs two hosts, there are ${hosts.length}.`;
    if (!(load.skew >= 0 && load.skew <= 10)) return `The skew of experts is from 0 to 10, not ${load.skew}.`;
    if (!Number.isSafeInteger(load.seed)) return `A seed is a whole number, not ${load.seed}.`;
    return magnitude(load.bytes) < hosts.length
      ? `${load.bytes} is too small to give each of ${hosts.length} hosts a byte.`
      : undefined;
  },
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const hosts = topology.hosts.map(({ name }) => name);
    const n = hosts.length;
    const parts = expertBytes(bytes, expertShares({ ...load, ranks: n }));
    const busiest = Math.max(...parts.map(share => Math.max((n - 1) * share, bytes - share)));
    const most = parts.indexOf(Math.max(...parts));
    const sends = hosts.flatMap((host, i) =>
      hosts.flatMap((target, j) => {
        const size = parts[j] as number;
        return j === i || size === 0 ? [] : [{ pair: connect(host, target), size, popular: j === most }];
      }),
    );
    return {
      steady: true,
      round(done) {
        const beginPs = time.nowPs();
        const flowsBps: number[] = [];
        let left = sends.length;
        for (const { pair, size, popular } of sends) {
          const delivered = (): void => {
            const ps = time.nowPs() - beginPs;
            if (popular) flowsBps.push(bitRate(size, ps));
            left -= 1;
            if (left === 0) done({ busbwBps: bitRate(busiest, ps), flowsBps });
          };
          pair.send(size, { delivered });
        }
      },
    };
  },
};
