import type { Topology } from '../../../harness/model/topology.ts';

/** First private-use ASN of four octets (RFC 6996 section 5); there are 94,967,295 of them. */
const FIRST_PRIVATE_ASN = 4_200_000_000;

/**
 * An AS number per switch.
 *
 * `shared`: the spines of a site, or of a `group` in it, share one, as RFC 7938 section 5.2.1 has it for the switches of a tier. A leaf's route back up
 * is then a loop to every spine of its site, so traffic never takes a valley through a leaf and a withdrawal hunts no paths.
 * `unique`: every switch its own, for graphs in which a valley is the only way.
 */
export function autonomousSystems(topology: Topology, kind: 'shared' | 'unique'): ReadonlyMap<string, number> {
  const groups = new Map<string, number>();
  return new Map(
    topology.switches.map(({ name, site, role, group }) => {
      const key = kind === 'shared' && role === 'spine' ? JSON.stringify([site, group ?? null]) : `switch ${name}`;
      const asn = groups.get(key) ?? FIRST_PRIVATE_ASN + groups.size;
      groups.set(key, asn);
      return [name, asn];
    }),
  );
}
