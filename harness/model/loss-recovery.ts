/**
 * Share of the link that go-back-N delivers when it keeps `window` packets in flight and each is lost with `loss`:
 * (1 - p)/(1 - p + p W): every loss throws away a window (Bertsekas and Gallager, Data Networks, 2.4.1).
 */
export const goBackNEfficiency = ({ loss, window }: { readonly loss: number; readonly window: number }): number =>
  (1 - loss) / (1 - loss + loss * window);

/** Share of the link that selective repeat delivers: 1 - p, every loss costs itself (Bertsekas and Gallager, 2.4.2). */
export const selectiveRepeatEfficiency = (loss: number): number => 1 - loss;
