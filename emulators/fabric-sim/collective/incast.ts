import { magnitude } from '../../../harness/model/units.ts';
import { atOnce } from './at-once.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';

/** The hosts after the first send to the first, all at once. busbw is the goodput into the receiver over the round: senders x bytes / T. */
export const incast: PatternKind<LoadOf<'incast'>> = {
  refuses(load, { hosts }) {
    if (!Number.isInteger(load.senders) || load.senders < 1)
      return `An incast needs a whole number of senders, got ${load.senders}.`;
    if (load.senders > hosts.length - 1)
      return `An incast of ${load.senders} senders needs ${load.senders + 1} hosts, there are ${hosts.length}.`;
    return undefined;
  },
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const [receiver, ...others] = topology.hosts.map(({ name }) => name) as [string, ...string[]];
    const pairs = others.slice(0, load.senders).map(sender => connect(sender, receiver));
    return {
      steady: true,
      round(done) {
        const beginPs = time.nowPs();
        atOnce(pairs, {
          bytes,
          time,
          done: flowsBps => done({ busbwBps: bitRate(bytes * pairs.length, time.nowPs() - beginPs), flowsBps }),
        });
      },
    };
  },
};
