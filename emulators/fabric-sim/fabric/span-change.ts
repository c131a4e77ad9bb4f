import type { SpanState } from './network.ts';
import { spanBer, spanPreFecBer } from './span-optics.ts';

/**
 * A change of a span's state with the chain of bit errors worked out: attenuation to errors before FEC to errors after it.
 *
 * @param metres the span's length
 * @throws RangeError for a value out of its range
 */
export function checkedSpanChange(change: Partial<SpanState>, metres: number): Partial<SpanState> {
  const { delayPs, jitterPs, reorderPs, lossEvery, attenuationDb } = change;
  for (const [what, ps] of [
    ['Delay', delayPs],
    ['Mean jitter', jitterPs],
    ['Delay of reordered packets', reorderPs],
  ] as const)
    if (ps !== undefined && !(Number.isSafeInteger(ps) && ps >= 0))
      throw new RangeError(`${what} ${ps} ps: a whole number of 0 or more is needed.`);
  for (const name of ['loss', 'reorderShare', 'ber', 'preFecBer'] as const) {
    const share = change[name];
    if (share !== undefined && !(share >= 0 && share <= 1))
      throw new RangeError(`${name} ${share} is no fraction of 1.`);
  }
  if (lossEvery !== undefined && !(Number.isSafeInteger(lossEvery) && lossEvery >= 0))
    throw new RangeError(`One packet lost of every ${lossEvery}: a whole number, or 0 for none, is needed.`);
  if (attenuationDb !== undefined && !(attenuationDb >= 0 && attenuationDb <= 100))
    throw new RangeError(`Attenuation of ${attenuationDb} dB: 0 to 100 dB can be added.`);
  const preFecBer =
    change.preFecBer ?? (attenuationDb === undefined ? undefined : spanPreFecBer({ metres, attenuationDb }));
  const ber = change.ber ?? (preFecBer === undefined ? undefined : spanBer(preFecBer));
  return { ...change, ...(preFecBer !== undefined && { preFecBer }), ...(ber !== undefined && { ber }) };
}
