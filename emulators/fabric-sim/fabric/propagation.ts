import type { Span } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';

/** One way over a cable in a site, ps: 5 ns/m, as the PFC cable delay of Cisco's and IEEE 802.1Qbb's headroom formulas takes it. */
export function cableDelayPs(metres: number): number {
  return Math.round(metres * 5000);
}

/**
 * What the way from a span's first end to its second takes longer than the way back, ps.
 *
 * @throws RangeError when that is negative
 */
export function spanAsymmetryPs({ name, asymmetry }: Pick<Span, 'name' | 'asymmetry'>): number {
  const ps = asymmetry === undefined ? 0 : Math.round(magnitude(asymmetry) * 1e3);
  if (!(ps >= 0))
    throw new RangeError(`Span ${name} has asymmetry ${asymmetry}: 0 or more is needed, so swap its ends.`);
  return ps;
}
