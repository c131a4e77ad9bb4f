/** P(X > most), X binomial(trials, share): summed from its largest term of a rare tail on, so that tiny values keep their digits. */
export function binomialTail(
  trials: number,
  { most, share }: { readonly most: number; readonly share: number },
): number {
  if (share <= 0) return 0;
  let term = 1;
  for (let i = 1; i <= most + 1; i++) term *= ((trials - i + 1) / i) * share;
  term *= (1 - share) ** (trials - most - 1);
  let sum = 0;
  for (let i = most + 1; i <= trials; i++) {
    sum += term;
    term *= ((trials - i) / (i + 1)) * (share / (1 - share));
  }
  return sum;
}
