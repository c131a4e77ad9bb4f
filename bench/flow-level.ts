import { createFabricSim } from '../emulators/fabric-sim/create-fabric-sim.ts';
import type { Granularity } from '../harness/model/granularity.ts';
import type { Load } from '../harness/model/load.ts';
import { twoSites } from '../scenarios/topologies/two-sites.ts';

/*
 * What flow level saves: virtual seconds per CPU second of a training job over two sites, packet by packet, in trains of 8 and at flow level,
 * for one steady hour; and how far its iteration time is from the packets'. The hour is played whole at flow level; of the packets, as many
 * iterations as a few seconds allow.
 *
 *   npx tsx bench/flow-level.ts
 */

const topology = twoSites({
  ranksPerSite: 8,
  hosts: '400 Gb/s',
  uplinks: '400 Gb/s',
  spans: { north: { length: '80 km', rate: '1600 Gb/s' }, south: { length: '120 km', rate: '1600 Gb/s' } },
});
const JOBS: readonly { readonly name: string; readonly load: Load; readonly iterations: number }[] = [
  {
    name: 'training, 1 s of compute',
    load: {
      kind: 'training-iteration',
      algorithm: 'hierarchical',
      bytes: '64 MiB',
      buckets: 4,
      compute: '1 s',
      overlap: '50 %',
    },
    iterations: 3,
  },
  {
    name: 'all-reduce without a pause',
    load: { kind: 'all-reduce', algorithm: 'hierarchical', bytes: '64 MiB' },
    iterations: 6,
  },
];
const HOUR_PS = 3600e12;

interface Played {
  readonly virtualS: number;
  readonly cpuS: number;
  readonly roundMs: number;
  readonly events: number;
}

function play(
  load: Load,
  granularity: Granularity,
  until: { readonly rounds: number } | { readonly ps: number },
): Played {
  const sim = createFabricSim({ topology, seed: 7, trainPackets: 1, granularity });
  const before = process.cpuUsage();
  const job = sim.startJob(load);
  if ('rounds' in until) sim.advance(HOUR_PS, { job, rounds: until.rounds });
  else sim.advance(until.ps);
  const { user, system } = process.cpuUsage(before);
  const times = job.rounds.map(({ beginNs, endNs }) => (endNs - beginNs) / 1e6);
  return {
    virtualS: sim.nowPs / 1e12,
    cpuS: (user + system) / 1e6,
    roundMs: times.reduce((sum, ms) => sum + ms, 0) / times.length,
    events: job.rounds.length,
  };
}

console.log(
  '| job | granularity | iterations | iteration ms | to packet | virtual s | CPU s | virtual s / CPU s | times packet |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
);
for (const { name, load, iterations } of JOBS) {
  let packetSpeed = 0;
  let packetMs = 0;
  for (const granularity of ['packet', 'train:8', 'flow'] as const) {
    const { virtualS, cpuS, roundMs, events } = play(
      load,
      granularity,
      granularity === 'flow' ? { ps: HOUR_PS } : { rounds: iterations },
    );
    const speed = virtualS / cpuS;
    if (granularity === 'packet') {
      packetSpeed = speed;
      packetMs = roundMs;
    }
    console.log(
      `| ${[
        name,
        granularity,
        events,
        roundMs.toFixed(3),
        `${((roundMs / packetMs - 1) * 100).toFixed(2)} %`,
        virtualS.toFixed(2),
        cpuS.toFixed(2),
        speed.toPrecision(3),
        (speed / packetSpeed).toPrecision(3),
      ].join(' | ')} |`,
    );
  }
}
