import type { Load } from '../model/load.ts';
import { magnitude, type Rate, type Share, type Size } from '../model/units.ts';
import type { LoadRules } from './flow.ts';

type Storage = Extract<Load, { kind: 'storage' }>;

/** Endless reads and writes of each host at `rate` on average, to the host half the fabric further. Mostly the background of another load. */
export const storage = ({
  rate,
  smallest = '64 KiB',
  largest = '16 MiB',
  reads = '70 %',
  seed = 1,
}: {
  readonly rate: Rate;
  readonly smallest?: Size;
  readonly largest?: Size;
  readonly reads?: Share;
  readonly seed?: number;
}): Storage => ({ kind: 'storage', rate, smallest, largest, reads, seed });

export const storageRules: LoadRules<Storage> = {
  hasRounds: false,
  /** One flow each way between a host and its store. @throws RangeError when there is nobody to store at */
  flows(_load, { name, hosts }) {
    if (hosts.length < 2) throw new RangeError(`Storage traffic needs two hosts or more, ${name} has ${hosts.length}.`);
    const half = Math.floor(hosts.length / 2);
    return hosts.flatMap(({ name: client }, i) => {
      const store = hosts[(i + half) % hosts.length]?.name ?? '';
      return [
        { source: client, target: store, bytes: Number.POSITIVE_INFINITY },
        { source: store, target: client, bytes: Number.POSITIVE_INFINITY },
      ];
    });
  },
  bestRoundNs: () => undefined,
  busBytes: () => Number.NaN,
  offeredBps: (load, { hosts }) => hosts.length * magnitude(load.rate),
};
