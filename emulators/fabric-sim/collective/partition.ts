/** Part `index` of `total` bytes cut into `parts` whole-byte parts whose sizes differ by one at most. */
export const part = (total: number, parts: number, index: number): number =>
  Math.floor(((index + 1) * total) / parts) - Math.floor((index * total) / parts);
