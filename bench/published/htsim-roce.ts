import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createNetwork } from '../../emulators/fabric-sim/fabric/create-network.ts';
import type { NetworkOptions } from '../../emulators/fabric-sim/fabric/network.ts';
import { replayTrace } from '../../emulators/fabric-sim/traces/replay-trace.ts';
import { type Trace, traceOfHtsim } from '../../emulators/fabric-sim/traces/trace.ts';
import { type HtsimSettings, HTSIM_ROCE } from '../../emulators/fabric-sim/traces/trace-fabric.ts';
import { rocePacketHops } from '../canonical-workloads.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const WORKLOADS = path.resolve(import.meta.dirname, '../../../shared/reference/sim-workloads');

/** htsim chooses paths by a hash that it seeds with the time of day; the published values are means over such runs, and so are ours. */
const HASH_SEEDS = 24;
const FIRST_SEED = 1;

interface Workload {
  readonly matrix: string;
  readonly topology: string;
  readonly pfcPackets: HtsimSettings['pfcPackets'];
}

const INCAST: Workload = { matrix: 'incast63_20MB', topology: 'ls128_100g', pfcPackets: HTSIM_ROCE.pfcPackets };
const DUMBBELL: Workload = {
  matrix: 'dumb8_400MB',
  topology: 'dumb16_100g_5ms',
  pfcPackets: { low: 20_000, high: 30_000 },
};
const PERMUTATION: Workload = { matrix: 'perm128_2MB', topology: 'ft128_100g', pfcPackets: HTSIM_ROCE.pfcPackets };

/** `none` as htsim has it; `link` with the time that a frame takes. */
type PauseFrames = 'none' | 'link';

interface Outcome {
  readonly minUs: number;
  readonly meanUs: number;
  readonly maxUs: number;
  readonly hops: number;
  readonly dropped: number;
}

/**
 * RoCE of csg-htsim on the canonical workloads, from the same files: line-rate senders, PFC, ECMP by flow.
 *
 * What its printed digits hang on, found by reading its source (roce.cpp, queue_lossless_*.cpp, eventlist.cpp) and by trying each:
 * a packet counts at its ingress until its last bit has left; pause frames are there at once when the topology comes from a file; and
 * events of one instant run in the order in which they were scheduled. All data packets are of one size on one grid, so events coincide
 * all the time, and PFC carries each tie on: the first of the dumbbell's flows ends at 269423 us when ties go by port instead.
 */
export function htsimRoce({ folder = WORKLOADS }: { readonly folder?: string } = {}): Comparison {
  return {
    title: 'RoCE of csg-htsim: completion times under PFC',
    source:
      'csg-htsim 841d9e7 (upstream flags) on the workloads of the study, simulators.md sections 2 and 3: six printed digits; the permutation is its mean over 12 hash seeds, and over 53 further ones run for this comparison with the same binary, with the standard error',
    method:
      'The same connection matrices and topologies, packet by packet: 4096 + 64 B, an ACK of 64 B a packet, pause above 15 and resume below 12 packets of 4096 B (dumbbell 30000 and 20000), bytes released when the last bit has left, ties in the order of scheduling. htsim charges nothing for a pause frame; ours with 672 bit times and the cable’s 1 us stands beside it.',
    needs: folder,
    rows: () => {
      const incast = run(traceOf(folder, INCAST), { pauseFrames: 'none', seed: FIRST_SEED });
      const paused = run(traceOf(folder, INCAST), { pauseFrames: 'link', seed: FIRST_SEED });
      const dumbbell = run(traceOf(folder, DUMBBELL), { pauseFrames: 'link', seed: FIRST_SEED });
      const trace = traceOf(folder, PERMUTATION);
      const draws = Array.from({ length: HASH_SEEDS }, (_, i) =>
        run(trace, { pauseFrames: 'none', seed: FIRST_SEED + i }),
      );
      const means = statistics(draws.map(({ meanUs }) => meanUs));
      const maxima = statistics(draws.map(({ maxUs }) => maxUs));
      const digit = { absolute: 0.5 };
      const physics = 'htsim takes no time for a pause frame; ours takes 1 us of cable and 672 bit times';
      return [
        row('dumbbell, 8 pairs, 400 MB, 5 ms: first completion', 269_496, dumbbell.minUs, digit),
        // The study prints the mean of the printed times, which are rounded to 1 us.
        row('dumbbell: mean completion', 269_815.5, dumbbell.meanUs, digit),
        row('dumbbell: last completion', 270_007, dumbbell.maxUs, digit),
        hops('dumbbell', 6_250_048, dumbbell),
        row('incast 63 to 1, 20 MB, pause frames at once: first completion', 102_267, incast.minUs, { absolute: 1 }),
        row('incast 63 to 1, pause frames at once: mean completion', 102_328, incast.meanUs, { absolute: 1 }),
        row('incast 63 to 1, pause frames at once: last completion', 102_383, incast.maxUs, digit),
        hops('incast 63 to 1', 1_230_516, incast),
        row('incast 63 to 1, pause frames take their time: first completion', 102_267, paused.minUs, {
          quoted: physics,
        }),
        row('incast 63 to 1, pause frames take their time: mean completion', 102_328, paused.meanUs, {
          quoted: physics,
        }),
        row('incast 63 to 1, pause frames take their time: last completion', 102_383, paused.maxUs, digit),
        hops('incast 63 to 1, pause frames take their time', 1_230_516, paused),
        drawn('mean completion', { published: 460.1, theirError: 5.9, theirSeeds: 12, ours: means }),
        drawn('last completion', { published: 868.7, theirError: 31, theirSeeds: 12, ours: maxima }),
        drawn('mean completion', { published: 451.2, theirError: 2.9, theirSeeds: 53, ours: means }),
        drawn('last completion', { published: 846.8, theirError: 15.8, theirSeeds: 53, ours: maxima }),
        ...draws.slice(0, 1).map(draw => hops('permutation of 128, 2 MB', permutationHops(trace), draw)),
        {
          what: 'packets dropped in all these runs',
          unit: 'packets',
          published: 0,
          ours: [incast, paused, dumbbell, ...draws].reduce((sum, { dropped }) => sum + dropped, 0),
          allowed: { absolute: 0 },
        },
      ];
    },
  };
}

function row(what: string, published: number, ours: number, allowed: ComparisonRow['allowed']): ComparisonRow {
  return { what, unit: 'us', published, ours, allowed };
}

function hops(what: string, published: number, outcome: Outcome): ComparisonRow {
  return { what: `${what}: packet-hops`, unit: 'hops', published, ours: outcome.hops, allowed: { absolute: 0 } };
}

/** Two means over draws agree within twice their combined standard error (95 %). */
function drawn(
  what: string,
  {
    published,
    theirError,
    theirSeeds,
    ours,
  }: { published: number; theirError: number; theirSeeds: number; ours: Statistics },
): ComparisonRow {
  return {
    what: `permutation of 128, 2 MB, over hash seeds, beside htsim's ${theirSeeds}: ${what}`,
    unit: 'us',
    published,
    ours: ours.mean,
    allowed: { absolute: 2 * Math.hypot(theirError, ours.error) },
    note: `standard error of the mean: theirs ${theirError} us over ${theirSeeds} hash seeds, ours ${ours.error.toFixed(1)} us over ${HASH_SEEDS}`,
  };
}

/** Data packets and their acknowledgements over the links of each pair: 4 hosts below a ToR, 16 in a pod. */
function permutationHops({ flows }: Trace): number {
  return rocePacketHops({ hostsPerTor: 4, hostsPerPod: 16 }, flows);
}

function traceOf(folder: string, { matrix, topology, pfcPackets }: Workload): Trace {
  const file = (name: string) => ({ name, text: readFileSync(path.join(folder, name), 'utf8') });
  const trace = traceOfHtsim({
    matrix: file(`tm/${matrix}.cm`),
    topology: file(`topo/${topology}.topo`),
    settings: { ...HTSIM_ROCE, pfcPackets },
  });
  // htsim sends whole packets only.
  const { mtuBytes } = trace.fabric;
  return {
    ...trace,
    flows: trace.flows.map(flow => ({ ...flow, bytes: Math.ceil(flow.bytes / mtuBytes) * mtuBytes })),
  };
}

function run(trace: Trace, { pauseFrames, seed }: { pauseFrames: PauseFrames; seed: number }): Outcome {
  const create = (options: NetworkOptions) => {
    const { settings } = options.topology;
    const pfc = settings.pfc && { ...settings.pfc, frameDelay: pauseFrames };
    return createNetwork({
      ...options,
      ties: 'as-scheduled',
      topology: { ...options.topology, settings: { ...settings, pfc } },
    });
  };
  const { outcomes, hops: count, network } = replayTrace({ trace, seed, create });
  const times = outcomes.map(({ fctPs }) => (fctPs ?? Number.NaN) / 1e6);
  return {
    minUs: Math.min(...times),
    meanUs: times.reduce((sum, time) => sum + time, 0) / times.length,
    maxUs: Math.max(...times),
    hops: count,
    dropped: network.account.dropped,
  };
}

interface Statistics {
  readonly mean: number;
  /** Standard error of the mean. */
  readonly error: number;
}

function statistics(values: readonly number[]): Statistics {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, error: Math.sqrt(variance / values.length) };
}
