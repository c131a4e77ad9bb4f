/** An AS path, newest AS first. Immutable, tails are shared. `null` is the empty path: a route of the switch's own. */
export interface AsPath {
  readonly asn: number;
  readonly tail: AsPath | null;
  readonly length: number;
}

export const prepend = (asn: number, tail: AsPath | null): AsPath => ({ asn, tail, length: (tail?.length ?? 0) + 1 });

export function contains(path: AsPath | null, asn: number): boolean {
  for (let at = path; at; at = at.tail) if (at.asn === asn) return true;
  return false;
}

export function samePath(a: AsPath | null, b: AsPath | null): boolean {
  let [left, right] = [a, b];
  while (left !== right) {
    if (!left || !right || left.asn !== right.asn) return false;
    [left, right] = [left.tail, right.tail];
  }
  return true;
}
