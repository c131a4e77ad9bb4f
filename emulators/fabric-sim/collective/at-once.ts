import { bitRate } from './pattern.ts';
import type { Time } from './pattern.ts';
import type { Connection } from './queue-pair.ts';

/** Every pair sends `bytes` at once. Calls back when all have arrived, with each flow's goodput over its own time. */
export function atOnce(
  pairs: readonly Connection[],
  options: { readonly bytes: number; readonly time: Time; readonly done: (flowsBps: number[]) => void },
): void {
  const { bytes, time, done } = options;
  const beginPs = time.nowPs();
  const flowsBps = pairs.map(() => 0);
  let left = pairs.length;
  for (const [i, pair] of pairs.entries()) {
    pair.send(bytes, {
      delivered: () => {
        flowsBps[i] = bitRate(bytes, time.nowPs() - beginPs);
        left -= 1;
        if (left === 0) done(flowsBps);
      },
    });
  }
}
