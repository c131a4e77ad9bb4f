import { magnitude } from '../../../harness/model/units.ts';
import { part } from './partition.ts';
import { bitRate, type LoadOf, type PatternKind } from './pattern.ts';
import { ringPass } from './ring-pass.ts';

/**
 * Hierarchical all-reduce over K sites of n hosts: reduce-scatter round each site (n - 1 steps of S/n), all-reduce of each shard among the
 * K hosts of the same index (2(K - 1) steps of S/(nK)), all-gather round each site (n - 1 steps of S/n). A rank goes on as soon as it has what it
 * needs; there is no barrier.
 *
 * T = 2[(n-1)a + S(n-1)/(nB)] + 2(K-1) RTT/2 + 2(K-1)/K S/X with site egress X. busbw as for any all-reduce, over all nK ranks.
 */
export const hierarchicalAllReduce: PatternKind<LoadOf<'all-reduce'>> = {
  refuses(load, topology) {
    const sites = topology.sites.map(site => topology.hosts.filter(host => host.site === site).length);
    const n = sites[0] ?? 0;
    if (sites.length < 2) return `A hierarchical all-reduce needs two sites, there is ${sites.length}.`;
    if (sites.some(size => size !== n))
      return `A hierarchical all-reduce needs sites of equal size, these have ${sites.join(', ')} hosts.`;
    if (n < 2) return `A hierarchical all-reduce needs two hosts in each site, there is ${n}.`;
    if (magnitude(load.bytes) < topology.hosts.length * 8)
      return `${load.bytes} is too small to be cut into ${topology.hosts.length} chunks of 8 B.`;
    return undefined;
  },
  create(load, { topology, connect, time }) {
    const bytes = magnitude(load.bytes);
    const sites = topology.sites.map(site => topology.hosts.filter(host => host.site === site).map(({ name }) => name));
    const n = (sites[0] as string[]).length;
    const ranks = topology.hosts.length;
    const inside = sites.map(hosts => hosts.map((host, i) => connect(host, hosts[(i + 1) % n] as string)));
    const across = Array.from({ length: n }, (_, i) =>
      sites.map((hosts, k) => connect(hosts[i] as string, (sites[(k + 1) % sites.length] as string[])[i] as string)),
    );
    return {
      round(done) {
        const beginPs = time.nowPs();
        let left = ranks;
        const gather = inside.map(pairs =>
          ringPass({
            pairs,
            bytes,
            steps: n - 1,
            firstChunk: 1,
            onDone: () => {
              left -= 1;
              if (left === 0) done({ busbwBps: (bitRate(bytes, time.nowPs() - beginPs) * 2 * (ranks - 1)) / ranks });
            },
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
        for (const pass of scatter) for (let i = 0; i < n; i++) pass.start(i);
      },
    };
  },
};
