import type { Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { part } from './partition.ts';
import type { LoadOf, PatternKind } from './pattern.ts';
import { type ReductionKind, reductionRounds, tooFewFor } from './reduction.ts';
import { ringPass } from './ring-pass.ts';

/** Why no hierarchical all-reduce fits this topology; undefined when one does. */
export function refusesSites(topology: Topology): string | undefined {
  const sites = topology.sites.map(site => topology.hosts.filter(host => host.site === site).length);
  const n = sites[0] ?? 0;
  if (sites.length < 2) return `A hierarchical all-reduce needs two sites, there is ${sites.length}.`;
  if (sites.some(size => size !== n))
    return `A hierarchical all-reduce needs sites of equal size, these have ${sites.join(', ')} hosts.`;
  return n < 2 ? `A hierarchical all-reduce needs two hosts in each site, there is ${n}.` : undefined;
}

/**
 * Over K sites of n hosts: reduce-scatter round each site (n - 1 steps of S/n), all-reduce of each shard round the K hosts of the same index
 * (2(K - 1) steps of S/(nK)), all-gather round each site (n - 1 steps of S/n). A rank goes on as soon as it has what it needs; there is no barrier.
 */
export const hierarchicalReduction: ReductionKind = ({ topology, connect }) => {
  const sites = topology.sites.map(site => topology.hosts.filter(host => host.site === site).map(({ name }) => name));
  const n = (sites[0] as string[]).length;
  const rankOf = new Map(topology.hosts.map(({ name }, rank) => [name, rank]));
  const placeOf = new Map(
    sites.flatMap((hosts, site) => hosts.map((host, i) => [rankOf.get(host) as number, { site, i }])),
  );
  const inside = sites.map(hosts => hosts.map((host, i) => connect(host, hosts[(i + 1) % n] as string)));
  const across = Array.from({ length: n }, (_, i) =>
    sites.map((hosts, k) => connect(hosts[i] as string, (sites[(k + 1) % sites.length] as string[])[i] as string)),
  );
  return {
    operation(bytes, onLeft) {
      const gather = inside.map((pairs, site) =>
        ringPass({
          pairs,
          bytes,
          steps: n - 1,
          firstChunk: 1,
          onDone: i => onLeft(rankOf.get((sites[site] as string[])[i] as string) as number),
        }),
      );
      const exchange = across.map((pairs, i) =>
        ringPass({
          pairs,
          // After the reduce-scatter member i holds chunk i + 1, which is what it sends first in the all-gather.
          bytes: part(bytes, n, (i + 1) % n),
          steps: 2 * (sites.length - 1),
          firstChunk: 0,
          onDone: site => (gather[site] as (typeof gather)[number]).start(i),
        }),
      );
      const scatter = inside.map((pairs, site) =>
        ringPass({
          pairs,
          bytes,
          steps: n - 1,
          firstChunk: 0,
          onDone: i => (exchange[i] as (typeof exchange)[number]).start(site),
        }),
      );
      return {
        enter(rank) {
          const { site, i } = placeOf.get(rank) as { site: number; i: number };
          (scatter[site] as (typeof scatter)[number]).start(i);
        },
      };
    },
  };
};

/** T = 2[(n-1)a + S(n-1)/(nB)] + 2(K-1) RTT/2 + 2(K-1)/K S/X with site egress X. busbw as for any all-reduce, over all nK ranks. */
export const hierarchicalAllReduce: PatternKind<LoadOf<'all-reduce'>> = {
  refuses: (load, topology) => refusesSites(topology) ?? tooFewFor(magnitude(load.bytes), topology.hosts.length),
  create: (load, { topology, connect, time }) =>
    reductionRounds(hierarchicalReduction({ topology, connect }), {
      bytes: magnitude(load.bytes),
      ranks: topology.hosts.length,
      time,
    }),
};
