import { print } from '../model/units.ts';
import type { LabClock } from './lab-clock.ts';

/** Longest wait for a device to come back, ns of testbed time: ten times what was declared and this. */
const GRACE_NS = { virtual: 1e9, wall: 600e9 };

/**
 * Waits until a device that boots is there again. Half of what was declared first, then in growing steps: asking a device that boots
 * costs a deadline of wall time.
 *
 * @throws Error when it did not come back in time
 */
export async function awaitBack(options: {
  readonly name: string;
  readonly clock: LabClock;
  readonly takesNs: number;
  /** Whether it has booted and answers. */
  readonly back: () => Promise<boolean>;
}): Promise<void> {
  const { name, clock, takesNs, back } = options;
  const begunNs = await clock.now();
  const mostNs = 10 * takesNs + GRACE_NS[clock.kind];
  let stepNs = Math.max(1e6, takesNs / 2);
  while (!(await back())) {
    const left = begunNs + mostNs - (await clock.now());
    if (left <= 0) throw new Error(`${name} did not come back within ${print(mostNs, 'duration')}`);
    await clock.elapse({ forNs: Math.min(stepNs, left) });
    stepNs *= 1.5;
  }
}
