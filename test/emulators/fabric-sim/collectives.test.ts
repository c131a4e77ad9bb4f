import t from 'tap';
import { oneForwardOneBackward } from '../../../emulators/fabric-sim/collective/pipeline.ts';
import { throttledPs } from '../../../emulators/fabric-sim/collective/training-iteration.ts';
import simWorld from '../../../emulators/fabric-sim/binding.ts';
import { createFabricSim, type FabricSim } from '../../../emulators/fabric-sim/index.ts';
import { exposedCommunication } from '../../../harness/checks/exposed-communication.ts';
import { jct } from '../../../harness/checks/jct.ts';
import { powerBand } from '../../../harness/checks/power-band.ts';
import { powerRamp } from '../../../harness/checks/power-ramp.ts';
import { scalingEfficiency } from '../../../harness/checks/scaling-efficiency.ts';
import { bandShare, sitePowers, steepest } from '../../../harness/checks/site-power-series.ts';
import { sitePower } from '../../../harness/checks/site-power.ts';
import { bestRoundNs, busbwBps, roundBytes } from '../../../harness/loads/roofline.ts';
import { doubleTree } from '../../../harness/model/double-tree.ts';
import { expertBytes, expertShares } from '../../../harness/model/expert-shares.ts';
import type { Load } from '../../../harness/model/load.ts';
import type { Plan } from '../../../harness/model/plan.ts';
import type { RecordLine, RoundLine, RunLine } from '../../../harness/model/record.ts';
import type { Span, Topology } from '../../../harness/model/topology.ts';
import { conduct } from '../../../harness/run/conduct.ts';
import { cost } from '../../../harness/run/cost.ts';
import { judge } from '../../../harness/run/judge.ts';
import { line, pair, rack } from './hand-made.ts';

const MIB = 2 ** 20;
/** Payload rate of a 100 Gb/s port at MTU 4096: 4096/4178 (methods-and-numbers, section 1). */
const GOODPUT_BPS = (100e9 * 4096) / 4178;
/** Time of `bytes` at that rate, ns. */
const wireNs = (bytes: number) => (8e9 * bytes) / GOODPUT_BPS;
/** 100 km at group index 1.4682: 489.74 us. */
const OWD_100_KM_NS = 489_740;

function play(topology: Topology, load: Load, rounds = 2): { sim: FabricSim; rounds: readonly RoundLine[] } {
  const sim = createFabricSim({ topology, seed: 1, trainPackets: 8 });
  const job = sim.startJob(load);
  sim.advance(2e12, { job, rounds });
  if (job.rounds.length < rounds) throw new Error(`${load.kind} played ${job.rounds.length} of ${rounds} rounds`);
  return { sim, rounds: job.rounds };
}
const took = ({ beginNs, endNs }: RoundLine) => endNs - beginNs;
const last = (rounds: readonly RoundLine[]): RoundLine => rounds.at(-1) as RoundLine;

/** Sites in a ring: the line's, and one span more between the last and the first. */
function siteRing(sites: number, ranksPerSite: number): Topology {
  const open = line({ sites, ranksPerSite });
  const closing: Span = {
    ...(open.spans['span1'] as Span),
    name: `span${sites}`,
    ends: [
      { node: `s${sites}-leaf`, port: 'east' },
      { node: 's1-leaf', port: 'west' },
    ],
  };
  return { ...open, spans: { ...open.spans, [closing.name]: closing } };
}

void t.test('the double binary tree is that of NCCL’s drawing, and no rank is inner in both trees', async t => {
  // src/graph/trees.cc draws 14 ranks: 0-8; 8: 4, 12; 4: 2, 6; 12: 10, 13; 2: 1, 3; 6: 5, 7; 10: 9, 11.
  const drawn = [null, 2, 4, 2, 8, 6, 4, 6, 0, 10, 12, 10, 8, 12];
  t.strictSame(doubleTree(14)[0], drawn);
  t.strictSame(
    doubleTree(14)[1],
    drawn.map(parent => (parent === null ? null : 13 - parent)).toReversed(),
    'the second is the mirror of the first',
  );
  t.strictSame(doubleTree(5), [
    [null, 2, 4, 2, 0],
    // Shifted by one rank: rank r of the first is rank r + 1 of the second.
    [1, null, 3, 0, 3],
  ]);
  for (const ranks of [2, 3, 4, 7, 8, 16, 33, 64]) {
    for (const tree of doubleTree(ranks)) {
      t.equal(tree.filter(parent => parent === null).length, 1, `${ranks} ranks have one root`);
      for (let rank = 0; rank < ranks; rank++) {
        let at: number | null = rank;
        for (let step = 0; at !== null && step <= ranks; step++) at = tree[at] ?? null;
        t.equal(at, null, `rank ${rank} of ${ranks} hangs under the root`);
      }
    }
    const [first, second] = doubleTree(ranks).map(tree => new Set(tree.filter(parent => parent !== null)));
    if (ranks % 2 === 0)
      t.notOk(
        [...(first ?? [])].some(rank => second?.has(rank)),
        `${ranks} ranks`,
      );
  }
});

void t.test('each collective takes its formula on one switch, and busbw is nccl-tests’', async t => {
  const eight = rack({ hosts: 8 });
  const S = 32 * MIB;
  for (const [load, formulaNs, busFactor, within] of [
    // Within: headers of a hop, and the fill of the slices.
    [{ kind: 'reduce-scatter', bytes: '32 MiB' }, (7 / 8) * wireNs(S), 7 / 8, 0.005],
    [{ kind: 'all-gather', bytes: '32 MiB' }, (7 / 8) * wireNs(S), 7 / 8, 0.005],
    // n - 2 = 6 slices of 512 KiB behind the first.
    [{ kind: 'broadcast', bytes: '32 MiB' }, wireNs(S) + 6 * wireNs(0.5 * MIB), 1, 0.005],
    [{ kind: 'all-reduce', bytes: '32 MiB', algorithm: 'ring' }, (14 / 8) * wireNs(S), 14 / 8, 0.005],
    // 2S through every inner rank's port; the depth of the tree costs some slices, and three senders to one port some marks.
    [{ kind: 'all-reduce', bytes: '32 MiB', algorithm: 'tree' }, 2 * wireNs(S), 14 / 8, 0.2],
  ] as const) {
    const round = last(play(eight, load).rounds);
    const name = `${load.kind} ${'algorithm' in load ? load.algorithm : ''}`;
    t.ok(took(round) >= formulaNs * 0.9999, `${name}: ${took(round)} ns is not under ${formulaNs} ns`);
    t.ok(took(round) < (1 + within) * formulaNs, `${name}: ${took(round)} ns is near ${formulaNs} ns`);
    t.ok(Math.abs(round.busbwBps / ((8e9 * S * busFactor) / took(round)) - 1) < 1e-9, name);
    t.ok(Math.abs(round.busbwBps / busbwBps(load, { ranks: 8, roundNs: took(round) }) - 1) < 1e-9, `${name} rules`);
    t.equal(round.wrong, 0, 'every byte arrived once');
  }
});

void t.test('no load is faster than its bound, on any shape and at any size', async t => {
  const shapes: Readonly<Record<string, Topology>> = {
    'two hosts': rack({ hosts: 2 }),
    'five hosts': rack({ hosts: 5 }),
    'two sites, 100 km': pair({ ranksPerSite: 4, north: '100 km', south: '100 km' }),
    'two sites, unequal spans': pair({ ranksPerSite: 3, north: '1 km', south: '300 km' }),
    'two sites, narrow uplinks': pair({ ranksPerSite: 4, uplinks: '100 Gb/s' }),
    'four sites in a line': line({ sites: 4, ranksPerSite: 2 }),
    'three sites in a ring': siteRing(3, 2),
  };
  let played = 0;
  for (const [shape, topology] of Object.entries(shapes)) {
    for (const bytes of ['64 KiB', '1 MiB', '9 MiB'] as const) {
      const loads: readonly Load[] = [
        ...(['ring', 'tree', 'hierarchical'] as const).flatMap((algorithm): Load[] => [
          { kind: 'all-reduce', bytes, algorithm },
          { kind: 'training-iteration', bytes, algorithm, compute: '1 ms', overlap: '60 %', buckets: 3 },
        ]),
        { kind: 'reduce-scatter', bytes },
        { kind: 'all-gather', bytes },
        { kind: 'broadcast', bytes },
        { kind: 'expert-all-to-all', bytes, skew: 1, seed: 3 },
        { kind: 'expert-all-to-all', bytes, skew: 0, seed: 3 },
        { kind: 'pipeline', bytes, stages: 2, microbatches: 3, forward: '0.1 ms', backward: '0.2 ms' },
      ];
      for (const load of loads) {
        if (createFabricSim({ topology, seed: 1, trainPackets: 8 }).refuses(load) !== undefined) continue;
        played += 1;
        const best = bestRoundNs(load, topology) as number;
        for (const round of play(topology, load).rounds)
          if (!(took(round) >= best) || round.wrong !== 0)
            t.fail(`${load.kind} of ${bytes} on ${shape}: ${took(round)} ns, bound ${best} ns, ${round.wrong} wrong`);
      }
    }
  }
  t.ok(played > 200, `${played} loads were played`);
});

void t.test('a hierarchical all-reduce over four sites in a ring pays every distance once', async t => {
  // K = 4 sites of n = 2: 2 x 1/2 S/B inside, 2 x 3/4 x (S/2)/B between, 6 times 10 km (48.97 us).
  const S = 8 * MIB;
  const ring = siteRing(4, 2);
  const round = last(play(ring, { kind: 'all-reduce', bytes: '8 MiB', algorithm: 'hierarchical' }).rounds);
  const formulaNs = wireNs(S) + 0.75 * wireNs(S) + 6 * 48_974;
  t.ok(took(round) >= formulaNs && took(round) < 1.03 * formulaNs, `${took(round)} ns against ${formulaNs} ns`);
  t.equal(round.wrong, 0);
});

void t.test('tree and ring over 100 km: two crossings up and two down cost as much as the ring’s four', async t => {
  const far = pair({ ranksPerSite: 4, north: '100 km', south: '100 km' });
  const near = pair({ ranksPerSite: 4, north: '0.1 km', south: '0.1 km' });
  for (const algorithm of ['ring', 'tree'] as const) {
    const load: Load = { kind: 'all-reduce', bytes: '64 KiB', algorithm };
    const more = took(last(play(far, load).rounds)) - took(last(play(near, load).rounds));
    // Ranks 0 to 3 and 4 to 7: edges 0-4 and 4-2 of the first tree cross; a leaf under 2 goes 2-4-0 and back: 4 crossings.
    t.ok(Math.abs(more / (4 * (OWD_100_KM_NS - 490)) - 1) < 0.02, `${algorithm}: ${more} ns more`);
  }
});

void t.test(
  'popular experts: shares follow Zipf’s law, their rank’s port is the limit, and every byte is accounted for',
  async t => {
    t.strictSame(
      expertShares({ ranks: 3, skew: 1, seed: 7 })
        .map(share => Math.round(share * 11))
        .toSorted((a, b) => b - a),
      [6, 3, 2],
      '1 : 1/2 : 1/3 is 6 : 3 : 2',
    );
    t.strictSame(expertShares({ ranks: 4, skew: 0, seed: 7 }), [0.25, 0.25, 0.25, 0.25]);
    t.not(
      expertShares({ ranks: 16, skew: 1, seed: 1 }).join(),
      expertShares({ ranks: 16, skew: 1, seed: 2 }).join(),
      'the seed says who is popular',
    );
    t.strictSame(expertBytes(100, [0.5, 0.3, 0.2]), [50, 30, 20]);
    t.equal(
      expertBytes(1001, expertShares({ ranks: 7, skew: 1.5, seed: 1 })).reduce((sum, part) => sum + part, 0),
      1001,
    );
    const eight = rack({ hosts: 8, settings: { dcqcn: null } });
    const load: Load = { kind: 'expert-all-to-all', bytes: '8 MiB', skew: 1, seed: 3 };
    const { sim, rounds } = play(eight, load, 1);
    // Harmonic number H8 = 2.717857: the most popular of eight gets 1/H8 of each of seven others' 8 MiB.
    const hottestNs = wireNs((7 * 8 * MIB) / 2.717857);
    const [round] = rounds;
    t.ok(
      round && took(round) >= hottestNs && took(round) < 1.15 * hottestNs,
      `${round && took(round)} against ${hottestNs}`,
    );
    t.equal(round?.flowsBps?.length, 7, 'one goodput for each that sends to the most popular');
    const received = eight.hosts.map(({ name }) => sim.count(name, 'eth0').rxBytes);
    t.ok(Math.max(...received) > 6 * Math.min(...received), 'the last of eight gets an eighth of the first');
    t.ok(roundBytes(load, eight) < 64 * MIB, 'what stays on its rank is not sent');
  },
);

void t.test('the 1F1B schedule is Megatron’s, and its bubble is (p-1)/(m+p-1)', async t => {
  const words = (stage: number) =>
    oneForwardOneBackward({ stage, stages: 4, microbatches: 5 })
      .map(({ way, microbatch }) => `${way[0]}${microbatch}`)
      .join(' ');
  // Narayanan et al. 2021, figure 4 (top), with p = 4: the first device does four forward passes before its first backward.
  t.equal(words(0), 'f0 f1 f2 f3 b0 f4 b1 b2 b3 b4');
  t.equal(words(3), 'f0 b0 f1 b1 f2 b2 f3 b3 f4 b4');

  for (const [stages, microbatches] of [
    [2, 1],
    [4, 4],
    [8, 24],
  ] as const) {
    const round = last(
      play(rack({ hosts: 8 }), {
        kind: 'pipeline',
        bytes: '64 B',
        stages,
        microbatches,
        forward: '1 ms',
        backward: '2 ms',
      }).rounds,
    );
    const bubble = 1 - (round.computeNs ?? Number.NaN) / took(round);
    const formula = (stages - 1) / (microbatches + stages - 1);
    // 64 B over one switch are 1 us of 3 ms.
    t.ok(Math.abs(bubble - formula) < 0.002, `p = ${stages}, m = ${microbatches}: ${bubble} against ${formula}`);
  }

  // By hand, p = 2, m = 3, f = b = 1 ms, c a hop: the first stage waits for the first gradient until 3 + 2c, and again: 8 ms + 4c in all.
  const far = pair({ ranksPerSite: 4, north: '100 km', south: '100 km' });
  const round = last(
    play(far, { kind: 'pipeline', bytes: '1 MiB', stages: 2, microbatches: 3, forward: '1 ms', backward: '1 ms' })
      .rounds,
  );
  const hopNs = OWD_100_KM_NS + wireNs(MIB);
  t.ok(Math.abs(took(round) - 8e6 - 4 * hopNs) < 0.03 * 4 * hopNs, `${took(round)} ns against ${8e6 + 4 * hopNs}`);
});

void t.test(
  'a training iteration exposes max(t, T_comm - T_overlap), and without overlap takes C + S x factor / rate',
  async t => {
    const eight = rack({ hosts: 8 });
    const S = 32 * MIB;
    const training = (compute: `${number} ms`, buckets: number, overlap: `${number} %`): Load => ({
      kind: 'training-iteration',
      bytes: '32 MiB',
      algorithm: 'ring',
      compute,
      overlap,
      buckets,
    });
    const commNs = (14 / 8) * wireNs(S);
    for (const [computeMs, buckets, overlap] of [
      [5, 1, 0],
      [5, 4, 60],
      [5, 16, 60],
      // More compute than communication: only the last bucket is exposed.
      [20, 4, 100],
      [20, 16, 50],
    ] as const) {
      const { rounds } = play(eight, training(`${computeMs} ms`, buckets, `${overlap} %`), 3);
      const overlapNs = computeMs * 1e6 * (overlap / 100) * ((buckets - 1) / buckets);
      const exposedNs = Math.max(commNs / buckets, commNs - overlapNs);
      for (const round of rounds) {
        t.equal(round.computeNs, computeMs * 1e6);
        const measured = took(round) - computeMs * 1e6;
        // Each bucket adds 14 hops of a switch, about 1 us each.
        t.ok(
          measured >= exposedNs * 0.9999 && measured < exposedNs + buckets * 20e3,
          `C = ${computeMs} ms, ${buckets} buckets, ${overlap} %: ${measured} against ${exposedNs}`,
        );
      }
    }
    // BMWG AI fabric training draft, synthetic JCT: 10 iterations of C = 10 ms and S = 32 MiB, factor 2(n-1)/n, NIC rate less headers.
    const ten = play(eight, training('10 ms', 1, '0 %'), 10).rounds;
    const jctNs = last(ten).endNs - (ten[0]?.beginNs ?? 0);
    const draftNs = 10 * (10e6 + commNs);
    t.ok(jctNs >= draftNs && jctNs <= 1.05 * draftNs, `JCT ratio ${jctNs / draftNs} is at most 1.05`);
  },
);

void t.test('stragglers and throttling lengthen an iteration by what they add to the slowest rank', async t => {
  const base = { kind: 'training-iteration', bytes: '64 KiB', algorithm: 'ring', overlap: '0 %', buckets: 1 } as const;
  const eight = rack({ hosts: 8 });
  const even = play(eight, { ...base, compute: '5 ms' }).rounds;
  const commNs = took(last(even)) - 5e6;
  const spread: Load = { ...base, compute: '5 ms', stragglers: { spread: '20 %', seed: 3 } };
  const { rounds } = play(eight, spread, 40);
  const longest = rounds.map(round => (round.computeNs ?? Number.NaN) / 5e6 - 1);
  t.ok(longest.every(share => share > 0 && share <= 0.2));
  // The greatest of eight uniform numbers has the mean 8/9 and the deviation 0.1: 40 of them are within 0.05 of it.
  const mean = longest.reduce((sum, share) => sum + share, 0) / longest.length / 0.2;
  t.ok(Math.abs(mean - 8 / 9) < 0.05, `mean of the greatest is ${mean}`);
  t.ok(
    rounds.every(round => Math.abs((took(round) - (round.computeNs ?? 0)) / commNs - 1) < 0.1),
    'the last rank’s chunk still goes round the whole ring twice',
  );
  t.strictSame(play(eight, spread, 40).rounds, rounds, 'the same seed straggles the same way');
  t.notSame(play(eight, { ...spread, stragglers: { spread: '20 %', seed: 4 } } as Load, 40).rounds, rounds);

  t.equal(throttledPs({ beginPs: 0, workPs: 100, fromPs: 200, slowdown: 3 }), 100, 'not yet');
  t.equal(throttledPs({ beginPs: 0, workPs: 100, fromPs: 40, slowdown: 3 }), 220, '40 + 3 x 60');
  t.equal(throttledPs({ beginPs: 50, workPs: 100, fromPs: 40, slowdown: 3 }), 350);
  const throttled = play(
    eight,
    { ...base, compute: '5 ms', throttle: { rank: 5, after: '7.5 ms', slowdown: 2 } },
    3,
  ).rounds.map(round => Math.round((round.computeNs ?? 0) / 1e4) / 100);
  // The second iteration begins after 5 ms and the communication of some 20 us: 2.48 ms at full speed and 2.52 ms at half.
  t.equal(throttled[0], 5);
  t.ok(Math.abs((throttled[1] ?? 0) - 7.5) < 0.05, `${throttled[1]} ms`);
  t.equal(throttled[2], 10);
});

void t.test('storage traffic offers the rate that it declares, in both directions, without rounds', async t => {
  const sim = createFabricSim({ topology: rack({ hosts: 4 }), seed: 1, trainPackets: 8 });
  const job = sim.startJob({
    kind: 'storage',
    rate: '20 Gb/s',
    smallest: '16 KiB',
    largest: '1 MiB',
    reads: '70 %',
    seed: 5,
  });
  sim.advance(100e9);
  const flows = job.flows();
  const delivered = flows.reduce((sum, flow) => sum + flow.delivered, 0);
  // 4 x 20 Gb/s x 100 ms = 1 GB, about 4050 transfers of 247 KB; the sum of a log-uniform sample is within 4 % of it (3 deviations: 5.5 %).
  t.ok(Math.abs(delivered / 1e9 - 1) < 0.055, `${delivered} B`);
  t.equal(flows.length, 8, 'one queue pair each way for four hosts');
  // Queue pairs come in twos, writes before reads.
  const reads = flows.filter((_flow, i) => i % 2 === 1).reduce((sum, flow) => sum + flow.delivered, 0);
  t.ok(Math.abs(reads / delivered - 0.7) < 0.05, `${reads / delivered} of it is read`);
  t.strictSame(job.rounds, []);
});

void t.test('loads that make no sense are refused in words', async t => {
  const sim = createFabricSim({ topology: rack({ hosts: 4 }), seed: 1, trainPackets: 8 });
  const training = {
    kind: 'training-iteration',
    bytes: '1 MiB',
    algorithm: 'ring',
    compute: '1 ms',
    overlap: '50 %',
    buckets: 2,
  } as const;
  const pipe = {
    kind: 'pipeline',
    bytes: '1 KiB',
    stages: 2,
    microbatches: 2,
    forward: '1 ms',
    backward: '1 ms',
  } as const;
  const store = {
    kind: 'storage',
    rate: '1 Gb/s',
    smallest: '1 KiB',
    largest: '1 MiB',
    reads: '50 %',
    seed: 1,
  } as const;
  for (const [load, words] of [
    [{ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'butterfly' }, /knows no load "all-reduce" by butterfly/],
    [{ kind: 'all-reduce', bytes: '8 B', algorithm: 'tree' }, /too small/],
    [{ kind: 'reduce-scatter', bytes: '1 MiB', queuePairs: 0 }, /1 to 128 queue pairs/],
    [{ kind: 'expert-all-to-all', bytes: '1 MiB', skew: -1, seed: 1 }, /from 0 to 10/],
    [{ kind: 'expert-all-to-all', bytes: '1 MiB', skew: 1, seed: 0.5 }, /whole number/],
    [{ ...pipe, stages: 3 }, /multiple of them of hosts; there are 4/],
    [{ ...pipe, microbatches: 0 }, /1 to 10000 microbatches/],
    [{ ...pipe, forward: '0 ms' }, /longer than 0 ns/],
    [{ ...training, buckets: 0 }, /1 to 10000 buckets/],
    [{ ...training, overlap: '101 %' }, /from 0 % to 100 %/],
    [{ ...training, bytes: '32 B' }, /too small/],
    [{ ...training, algorithm: 'hierarchical' }, /two sites/],
    [{ ...training, throttle: { rank: 4, after: '1 ms', slowdown: 2 } }, /ranks 0 to 3/],
    [{ ...training, throttle: { rank: 0, after: '1 ms', slowdown: 0.5 } }, /1 time or more/],
    [{ ...store, rate: '0 Gb/s' }, /rate above 0/],
    [{ ...store, smallest: '2 MiB' }, /not below the smallest/],
    [{ ...store, reads: '120 %' }, /from 0 % to 100 %/],
  ] as [Load, RegExp][]) {
    t.match(sim.refuses(load), words);
    t.throws(() => sim.startJob(load), words);
  }
  t.equal(sim.refuses({ ...training, stragglers: { spread: '10 %', seed: 1 } }), undefined);
});

/** A plan played in the sim world, with every packet by itself, and judged. */
async function judged(plan: Plan) {
  const run: RunLine = {
    kind: 'run',
    format: 2,
    version: '0',
    scenario: { title: 'x', file: 'x.ts', line: 1, tags: [] },
    world: 'sim',
    seed: 1,
    trainPackets: 1,
    options: {},
    plan,
    decision: 'simple',
    profile: null,
  };
  const lines: RecordLine[] = [run];
  const record = (written: RecordLine): void => void lines.push(written);
  const options = { trainPackets: '1' };
  const testbed = await simWorld.reserve(plan.topology, { seed: 1, record, step: () => {}, options });
  const conducted = await conduct(plan, testbed, { record, deadlineNs: () => 60e9 });
  if (conducted.error) throw conducted.error;
  await testbed.release();
  record({ kind: 'end', atNs: await testbed.now(), reason: 'complete' });
  return { lines, verdict: judge(lines, { replay: 'none' }) };
}

void t.test('an iteration is judged by its JCT, its exposed communication and its power', async t => {
  const plan: Plan = {
    why: 'KPIs of a load that computes',
    topology: pair({ ranksPerSite: 2, north: '10 km', south: '10 km' }),
    load: {
      kind: 'training-iteration',
      bytes: '1 MiB',
      algorithm: 'ring',
      compute: '3 ms',
      overlap: '0 %',
      buckets: 1,
    },
    phases: { steady: { for: '5 rounds' } },
    expect: [
      // 3 ms and 1.5 S/B = 128 us, 4 x 49 us of way: 0.32 ms, of which the fabric may lose a tenth.
      jct.during('steady').atMost('3.36 ms'),
      exposedCommunication.during('steady').atMost('360 us'),
      scalingEfficiency.during('steady').atLeast('89 %'),
      // Two GPUs a site.
      sitePower.during('steady').atMost('1400 W'),
      sitePower.best.during('steady').atMost('1200 W'),
      // Less than one window of 1 ms lies in the gap: 0.32 ms of it at a tenth of the power.
      powerRamp.during('steady').atMost('500 kW/s'),
    ],
  };
  const { verdict, lines } = await judged(plan);
  t.same(
    verdict.checks.filter(({ outcome }) => outcome !== 'pass').map(({ title, reason }) => `${title}: ${reason}`),
    [],
  );
  const rounds = lines.filter(written => written.kind === 'round');
  t.strictSame(rounds[0]?.rankComputeNs, [3e6, 3e6, 3e6, 3e6]);
  t.equal(
    verdict.checks.find(({ kpi }) => kpi === 'sitePower')?.value,
    1400,
    'the peak is that of windows in which all compute',
  );
  const strict = await judged({
    ...plan,
    expect: [
      sitePower.during('steady').atMost('1300 W'),
      powerRamp.during('steady').atMost('100 kW/s'),
      powerBand.during('steady').atMost('20 %'),
    ],
  });
  t.same(
    strict.verdict.checks.map(({ outcome }) => outcome),
    ['fail', 'fail', 'inconclusive'],
    '16 ms of rounds have no spectrum from 0.1 Hz on',
  );
});

void t.test('site power, its ramp and its spectrum are what a pencil makes of them', async t => {
  const model = { idle: '100 W', compute: '900 W', communication: '300 W', window: '1 ms' } as const;
  const topology = {
    sites: ['a', 'b'],
    hosts: ['a', 'a', 'b'].map((site, i) => ({ kind: 'host' as const, name: `h${i}`, site })),
  };
  const round = (beginMs: number, endMs: number, rankComputeMs: readonly number[]): RoundLine => ({
    kind: 'round',
    round: 0,
    beginNs: beginMs * 1e6,
    endNs: endMs * 1e6,
    busbwBps: 1,
    wrong: 0,
    rankComputeNs: rankComputeMs.map(ms => ms * 1e6),
  });
  const [a, b] = sitePowers([round(1, 4, [1, 2, 1.5]), round(4, 5, [1, 1, 0])], {
    topology,
    model,
    beginNs: 0,
    endNs: 6.5e6,
  });
  // Site a: idle, both compute, one, none, both, idle; the half window at the end is left out.
  t.strictSame(a?.watts, [200, 1800, 1200, 600, 1800, 200]);
  t.strictSame(b?.watts, [100, 900, 600, 300, 300, 100]);
  t.equal(a && steepest(a), 1600e3, '1600 W in a millisecond');
  t.equal(steepest({ site: 'a', windowNs: 1e6, watts: [1] }), undefined);

  // Two sines, 2 Hz of amplitude 3 and 40 Hz of amplitude 4: energies as 9 to 16.
  const series = (parts: readonly (readonly [number, number])[], seconds = 10) => ({
    windowNs: 10e6,
    watts: Array.from(
      { length: seconds * 100 },
      (_, i) => 50 + parts.reduce((sum, [hz, amplitude]) => sum + amplitude * Math.sin(0.02 * Math.PI * hz * i), 0),
    ),
  });
  const band = { lowHz: 0.1, highHz: 20 };
  const two =
    bandShare(
      series([
        [2, 3],
        [40, 4],
      ]),
      band,
    ) ?? Number.NaN;
  t.ok(Math.abs(two - 9 / 25) < 1e-9, `${two} is 9/25`);
  t.ok(Math.abs((bandShare(series([[5, 1]]), band) ?? 0) - 1) < 1e-9);
  t.ok((bandShare(series([[30, 1]]), band) ?? 1) < 1e-9);
  t.equal(bandShare(series([]), band), undefined, 'a level series has no spectrum');
  t.equal(bandShare(series([[2, 3]], 5), band), undefined, '5 s do not resolve 0.1 Hz');
  t.equal(bandShare(series([[2, 3]]), { lowHz: 0.1, highHz: 60 }), undefined, '60 Hz are beyond half of 100 Hz');
  // A square wave of half duty has 8/pi^2 of its swing in the fundamental: 2 Hz with harmonics 6, 10, 14, 18 below 20 Hz.
  const square = { windowNs: 1e6, watts: Array.from({ length: 10_000 }, (_, i) => (i % 500 < 250 ? 700 : 70)) };
  const odd = [1, 3, 5, 7, 9].reduce((sum, k) => sum + 8 / (Math.PI * k) ** 2, 0);
  t.ok(Math.abs((bandShare(square, band) ?? 0) - odd) < 1e-3, `${bandShare(square, band)} is ${odd}`);
});

void t.test(
  'a load in the background slows the one in front, leaves its KPIs alone, and is shown to have been there',
  async t => {
    const front: Plan = {
      why: 'two loads at once',
      topology: rack({ hosts: 4 }),
      load: { kind: 'all-reduce', bytes: '8 MiB', algorithm: 'ring' },
      phases: { steady: { for: '20 rounds' } },
      expect: [],
    };
    const store: Load = {
      kind: 'storage',
      rate: '20 Gb/s',
      smallest: '64 KiB',
      largest: '1 MiB',
      reads: '50 %',
      seed: 1,
    };
    const alone = await judged(front);
    const beside = await judged({ ...front, background: [store] });
    const durations = (of: typeof alone) =>
      of.lines.flatMap(written => (written.kind === 'round' ? [took(written)] : []));
    const mean = (times: readonly number[]) => times.reduce((sum, time) => sum + time, 0) / times.length;
    const slower = mean(durations(beside)) / mean(durations(alone));
    // A fifth of every port is taken; DCQCN does not share to the bit.
    t.ok(slower > 1.1 && slower < 2, `rounds take ${slower} times as long`);
    t.equal(durations(beside).length, 20, 'rounds are those of the load in front');
    const flows = beside.lines.filter(written => written.kind === 'flow');
    t.equal(
      new Set(flows.filter(({ background }) => background).map(({ flow }) => flow)).size,
      4,
      'a host writes where another reads',
    );
    t.equal(new Set(flows.filter(({ background }) => !background).map(({ flow }) => flow)).size, 4);
    const gate = (of: typeof alone) => of.verdict.gates.find(({ title }) => title === 'the background load was real');
    t.equal(gate(alone), undefined);
    t.match(gate(beside), { outcome: 'pass', reason: /delivered .* of at most 80 Gb\/s/ });
    const silent = beside.lines.filter(written => written.kind !== 'flow' || !written.background);
    t.match(
      judge(silent, { replay: 'none' }).gates.find(({ title }) => title.includes('background')),
      {
        outcome: 'invalid',
      },
    );
    t.ok(cost({ ...front, background: [store] }) > 1.1 * cost(front), 'and it costs');
  },
);
