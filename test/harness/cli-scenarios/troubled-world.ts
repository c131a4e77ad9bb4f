import { setTimeout as sleep } from 'node:timers/promises';
import sim from '../../../emulators/fabric-sim/binding.ts';
import type { Binding } from '../../../harness/binding/binding.ts';

/** A queue that says no. */
class LeaseRefused extends Error {
  override readonly name = 'LeaseRefused';
}

/** The simulator, which `--option trouble=…` makes refuse, be slow, or be left dirty. */
const binding: Binding = {
  async reserve(topology, reservation) {
    const { trouble, ...options } = reservation.options;
    if (trouble === 'lease') throw new LeaseRefused('two-ends is leased to night-run until 05:10');
    // In a thread of a sweep this ends the thread alone.
    if (trouble === 'third-seed' && reservation.seed === 3) process.exit(9);
    if (trouble === 'third-seed' && reservation.seed === 4) throw new Error('this rack has no power');
    const testbed = await sim.reserve(topology, { ...reservation, options });
    const release = testbed.release.bind(testbed);
    const elapse = testbed.elapse.bind(testbed);
    const now = testbed.now.bind(testbed);
    const bent: Partial<typeof testbed> = {
      ...(trouble === 'refuses' && { refuses: what => `this rack can not do ${what.kind}` }),
      ...(trouble === 'dirty' && {
        release: async () => ({
          dirty: [...(await release()).dirty, 'span-north: still dark; type: ip link set dev eth2 up'],
        }),
      }),
      ...(trouble === 'slow' && {
        elapse: async until => {
          await sleep(20);
          return elapse(
            'forNs' in until ? { forNs: until.forNs } : { ...until, withinNs: Math.min(until.withinNs, 50_000) },
          );
        },
      }),
      now,
    };
    return Object.assign(testbed, bent);
  },
};

export default binding;
