import { uniform } from '../../../harness/model/seeded.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { LoadOf, PatternKind } from './pattern.ts';

type Storage = LoadOf<'storage'>;

/** Mean of a size whose logarithm is uniform between two sizes: (b - a) / ln(b/a). */
export const meanSize = (smallest: number, largest: number): number =>
  largest === smallest ? smallest : (largest - smallest) / Math.log(largest / smallest);

/**
 * Reads and writes of every host to the host half the fabric further, open loop: transfers begin at exponentially spread instants, whatever the
 * fabric has delivered, and queue on one queue pair each way. So the offered rate is the declared one, on average over many transfers.
 */
export const storage: PatternKind<Storage> = {
  refuses(load, { hosts }) {
    const [smallest, largest] = [magnitude(load.smallest), magnitude(load.largest)];
    if (hosts.length < 2) return `Storage traffic needs two hosts, there is ${hosts.length}.`;
    if (!(magnitude(load.rate) > 0)) return `Storage traffic has a rate above 0, not ${load.rate}.`;
    if (!(smallest >= 1 && largest >= smallest))
      return `Transfers are from 1 B on and the largest not below the smallest, not ${load.smallest} to ${load.largest}.`;
    if (!(magnitude(load.reads) >= 0 && magnitude(load.reads) <= 1))
      return `Reads are a share from 0 % to 100 %, not ${load.reads}.`;
    return Number.isSafeInteger(load.seed) ? undefined : `A seed is a whole number, not ${load.seed}.`;
  },
  create(load, { topology, connect, time }) {
    const [smallest, largest] = [magnitude(load.smallest), magnitude(load.largest)];
    const everyPs = (8e12 * meanSize(smallest, largest)) / magnitude(load.rate);
    const hosts = topology.hosts.map(({ name }) => name);
    const half = Math.floor(hosts.length / 2);
    return {
      begin() {
        for (const [i, client] of hosts.entries()) {
          const store = hosts[(i + half) % hosts.length] as string;
          const [writes, reads] = [connect(client, store), connect(store, client)];
          const draw = (transfer: number, what: number): number => uniform(load.seed, i, transfer, what);
          const plan = (transfer: number, fromPs: number): void => {
            const atPs = fromPs + Math.max(1, Math.round(-Math.log(1 - draw(transfer, 0)) * everyPs));
            time.at(atPs, () => {
              const bytes = Math.round(smallest * (largest / smallest) ** draw(transfer, 1));
              (draw(transfer, 2) < magnitude(load.reads) ? reads : writes).send(bytes, {});
              plan(transfer + 1, atPs);
            });
          };
          plan(0, time.nowPs());
        }
      },
    };
  },
};
