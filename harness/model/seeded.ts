/**
 * Uniform numbers in [0, 1) that depend on a seed and a place only, whatever was drawn before: loads that roofline and simulator
 * must agree on are drawn with it. The finaliser of MurmurHash3 (Appleby, public domain), applied after each number.
 */
export function uniform(seed: number, ...place: readonly number[]): number {
  let state = finalise(seed | 0);
  for (const part of place) state = finalise(state ^ Math.imul(part + 1, 0x9e3779b1));
  return (state >>> 0) / 2 ** 32;
}

function finalise(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
