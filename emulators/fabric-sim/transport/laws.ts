import { bbr } from './bbr.ts';
import type { CongestionControlKind } from './congestion-control.ts';
import { cubic } from './cubic.ts';
import { dcqcn, dcqcnPaper } from './dcqcn.ts';
import { dctcp, dctcpRate } from './dctcp.ts';
import { distanceAware } from './distance-aware.ts';
import { hpcc } from './hpcc.ts';
import { nscc } from './nscc.ts';
import { reno } from './reno.ts';
import { swift } from './swift.ts';
import { timely } from './timely.ts';

/** Every congestion control law that a flow can have, by name. A new one is its file and a line here. */
export const LAWS: Readonly<Record<string, CongestionControlKind>> = {
  [bbr.name]: bbr,
  [cubic.name]: cubic,
  [dcqcn.name]: dcqcn,
  [dcqcnPaper.name]: dcqcnPaper,
  [dctcp.name]: dctcp,
  [dctcpRate.name]: dctcpRate,
  [distanceAware.name]: distanceAware,
  [hpcc.name]: hpcc,
  [nscc.name]: nscc,
  [reno.name]: reno,
  [swift.name]: swift,
  [timely.name]: timely,
};

/** @throws RangeError naming the laws there are */
export function lawNamed(name: string): CongestionControlKind {
  const kind = Object.hasOwn(LAWS, name) ? LAWS[name] : undefined;
  if (kind === undefined)
    throw new RangeError(`There is no congestion control law ${name}. Known: ${Object.keys(LAWS).sort().join(', ')}.`);
  return kind;
}

/** Any path will do to try parameters on: only their ranges are looked at. */
const SOME_PATH = {
  lineBps: 100e9,
  bottleneckBps: 100e9,
  mtuBytes: 4096,
  overheadBytes: 82,
  baseRttPs: 10e6,
  hops: 1,
  interSite: false,
};

/**
 * A law's parameters: its defaults, and `overrides` in their place.
 *
 * @throws RangeError naming law and parameter: for an override that the law does not know, and for a value out of range
 */
export function lawParameters(
  kind: CongestionControlKind,
  overrides: Readonly<Record<string, number>> = {},
): Readonly<Record<string, number>> {
  for (const name of Object.keys(overrides)) {
    if (!Object.hasOwn(kind.parameters, name))
      throw new RangeError(
        `Law ${kind.name} has no parameter ${name}. It has: ${Object.keys(kind.parameters).join(', ')}.`,
      );
  }
  const parameters = { ...kind.parameters, ...overrides };
  kind.create(SOME_PATH, parameters);
  return parameters;
}
