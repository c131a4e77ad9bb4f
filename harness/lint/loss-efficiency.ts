import { goBackNEfficiency, selectiveRepeatEfficiency } from '../model/loss-recovery.ts';
import { magnitude } from '../model/units.ts';
import { bytes, counted, share } from './amount.ts';
import { atMost, type Judged, undeclared } from './finding.ts';
import type { DeclaredSettings } from './linted-fabric.ts';
import type { LongWay } from './long-way.ts';

/** Share of the span that must be left: BMWG's AI fabric training draft has 90 % of the NIC rate for bus bandwidth. */
const LEAST_EFFICIENCY = 0.9;
const SOURCE = 'Bertsekas and Gallager, Data Networks, 2.4; 90 %: BMWG AI fabric training draft, BusBW (own limit)';

/**
 * What loss on the span leaves of its rate.
 *
 * @param loss share of packets; absent: nobody said
 */
export function lossEfficiency(way: LongWay, { roce, transport }: DeclaredSettings, loss?: number): readonly Judged[] {
  const repeats = transport?.recovery === 'selective-repeat';
  const check = repeats ? 'loss, selective repeat' : 'loss, go-back-N';
  if (roce === undefined)
    return [undeclared(check, 'roce', { needed: null, formula: '(1 - p) / (1 - p + p W)', source: SOURCE })];
  const mtu = magnitude(roce.mtu);
  const inFlight = Math.min(
    way.bdpBytes,
    roce.window === undefined ? Number.POSITIVE_INFINITY : magnitude(roce.window),
  );
  const window = repeats ? 0 : inFlight / mtu;
  const most = (1 - LEAST_EFFICIENCY) / (1 - LEAST_EFFICIENCY + LEAST_EFFICIENCY * window);
  const form = repeats
    ? '1 - p'
    : `(1 - p) / (1 - p + p W), W = ${bytes(inFlight).text} / ${bytes(mtu).text} = ${counted(Math.round(window), 'packets').text}`;
  const needed = atMost(share(most));
  if (loss === undefined)
    return [
      {
        ...undeclared(check, 'the loss', {
          needed,
          formula: `${form}: 90 % of the span at p = ${share(most).text}${repeats ? '' : `, ${share(goBackNEfficiency({ loss: 1e-6, window })).text} at p = 1e-6`}`,
          source: SOURCE,
        }),
        advice: 'Give the loss that the span is expected to have: --loss 1e-6.',
      },
    ];
  const left = repeats ? selectiveRepeatEfficiency(loss) : goBackNEfficiency({ loss, window });
  const enough = left >= LEAST_EFFICIENCY;
  return [
    {
      check,
      severity: enough ? 'ok' : 'warning',
      value: share(loss),
      needed,
      formula: `${form}: ${share(left).text} of the span is left at p = ${share(loss).text}`,
      source: SOURCE,
      advice: enough ? '' : 'Take selective repeat, a smaller window, or find where the packets are lost.',
    },
  ];
}
