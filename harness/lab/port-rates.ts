import type { PortRef, Topology } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';

const known = new WeakMap<Topology, ReadonlyMap<string, number>>();

/** The rate of every port of a topology, bit/s, by `node port`: that of the link or span at it. Walked once per topology. */
function portRates(topology: Topology): ReadonlyMap<string, number> {
  let rates = known.get(topology);
  if (!rates) {
    const wires = [...topology.links, ...Object.values(topology.spans)];
    rates = new Map(
      wires.flatMap(({ ends, rate }) => ends.map(({ node, port }) => [`${node} ${port}`, magnitude(rate)] as const)),
    );
    known.set(topology, rates);
  }
  return rates;
}

/** Rate of a port, bit/s; undefined when nothing is plugged in there. */
export const rateOf = (topology: Topology, { node, port }: PortRef): number | undefined =>
  portRates(topology).get(`${node} ${port}`);
