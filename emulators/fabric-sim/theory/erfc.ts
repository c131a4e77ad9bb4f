/**
 * Complementary error function for x >= 0, to about 14 digits also in the far tail. Below 2 by Maclaurin's series of erf,
 * above by the continued fraction of Abramowitz and Stegun 7.1.14, from its 60th term back.
 */
export function erfc(x: number): number {
  if (x < 2) {
    let [sum, term] = [x, x];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
      if (n > 100) break;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = x;
  for (let n = 60; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
}
