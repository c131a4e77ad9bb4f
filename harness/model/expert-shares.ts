import { uniform } from './seeded.ts';

/**
 * Share of all tokens that each of `ranks` ranks' experts get: Zipf's law over an order of popularity that the seed shuffles.
 * The r-th most popular gets r^-skew / sum(k^-skew); skew 0 gives everybody 1/ranks. Sums to 1.
 * The imbalance of mixture-of-experts routing is skewed this way before balancing losses act (Fedus, Zoph, Shazeer, "Switch Transformers",
 * JMLR 23, 2022, section 2.2, which bounds it by a capacity factor); the exponent is the user's.
 */
export function expertShares({
  ranks,
  skew,
  seed,
}: {
  readonly ranks: number;
  readonly skew: number;
  readonly seed: number;
}): readonly number[] {
  const order = Array.from({ length: ranks }, (_, rank) => rank);
  // Fisher and Yates' shuffle.
  for (let i = ranks - 1; i > 0; i--) {
    const j = Math.floor(uniform(seed, i) * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  const weights = order.map(place => (place + 1) ** -skew);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map(weight => weight / sum);
}

/** Bytes that a rank sends to each rank, itself included: whole bytes that add up to `bytes`. */
export function expertBytes(bytes: number, shares: readonly number[]): readonly number[] {
  const total = shares.reduce((sum, share) => sum + share, 0);
  let before = 0;
  let given = 0;
  return shares.map((share, i) => {
    before += share;
    const upTo = i === shares.length - 1 ? bytes : Math.round((before / total) * bytes);
    const part = upTo - given;
    given = upTo;
    return part;
  });
}
