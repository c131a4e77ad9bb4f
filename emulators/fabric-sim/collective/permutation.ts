import { magnitude } from '../../../harness/model/units.ts';
import { atOnce } from './at-once.ts';
import type { LoadOf, PatternKind } from './pattern.ts';

/** Every host sends to the host `shift` places further, all at once. busbw is the goodput of the slowest flow. */
export const permutation: PatternKind<LoadOf<'permutation'>> = {
  refuses(load, { hosts }) {
    if (hosts.length < 2) return `A permutation needs two hosts, there are ${hosts.length}.`;
    if (!Number.isInteger(load.shift)) return `A permutation shifts by a whole number of hosts, got ${load.shift}.`;
    if (load.shift % hosts.length === 0)
      return `A shift of ${load.shift} among ${hosts.length} hosts sends everything to its sender.`;
    return undefined;
  },
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const hosts = topology.hosts.map(({ name }) => name);
    const n = hosts.length;
    const shift = ((load.shift % n) + n) % n;
    const pairs = hosts.map((host, i) => connect(host, hosts[(i + shift) % n] as string));
    return {
      steady: true,
      round(done) {
        atOnce(pairs, { bytes, time, done: flowsBps => done({ busbwBps: Math.min(...flowsBps), flowsBps }) });
      },
    };
  },
};
