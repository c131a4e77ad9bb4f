import { flatRingS, hierarchicalS, scalingEfficiency } from '../../emulators/fabric-sim/theory/collective-times.ts';
import { createFabricSim, type SimJob } from '../../emulators/fabric-sim/index.ts';
import { wireEfficiency } from '../../harness/loads/standing.ts';
import type { Load } from '../../harness/model/load.ts';
import type { Topology } from '../../harness/model/topology.ts';
import { magnitude, type Rate } from '../../harness/model/units.ts';
import { twoSites } from '../../scenarios/topologies/two-sites.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const RANKS_PER_SITE = 8;
const BYTES = 32 * 2 ** 20;
/** Of the training iterations, in which every packet is by itself: each bucket pays the latency of a step, which trains lengthen. */
const TRAINING_BYTES = 8 * 2 ** 20;
/** Packets a train, of the collectives. */
const TRAIN = 8;
const RATES = { host: '400 Gb/s', wide: '3.2 Tb/s', narrow: '1.6 Tb/s' } as const satisfies Record<string, Rate>;
/** One step inside a site: 196 ns of cable and one full packet's time on the second of two cables at 400 Gb/s. */
const ALPHA_S = 280e-9;
const GROUP_INDEX = 1.4682;

const rttS = (km: number): number => (2 * km * 1e3 * GROUP_INDEX) / 299_792_458;
const payload = (rate: Rate): number => magnitude(rate) * wireEfficiency(4096);
const site = { bytes: BYTES, ranks: RANKS_PER_SITE, nicBps: payload(RATES.host), alphaS: ALPHA_S };

/** Two sites without a choice of paths, so that no hash decides; PFC alone keeps the ports full. */
const fabric = (km: number, span: Rate): Topology =>
  twoSites({
    ranksPerSite: RANKS_PER_SITE,
    hostsPerLeaf: RANKS_PER_SITE,
    hosts: RATES.host,
    uplinks: RATES.wide,
    spans: { only: { length: `${km} km`, rate: span } },
    settings: { dcqcn: null },
  });

/** The second round: the first opens the queue pairs. */
function run(load: Load, topology: Topology, trainPackets: number): { readonly seconds: number; readonly job: SimJob } {
  const sim = createFabricSim({ topology, seed: 1, trainPackets });
  const job = sim.startJob(load);
  sim.advance(10e12, { job, rounds: 2 });
  const round = job.rounds[1];
  if (!round) throw new Error(`${load.kind} did not finish two rounds`);
  return { seconds: (round.endNs - round.beginNs) / 1e9, job };
}

const reduce = (algorithm: 'ring' | 'tree' | 'hierarchical'): Load => ({
  kind: 'all-reduce',
  bytes: `${BYTES} B`,
  algorithm,
});

function* distanceRows(km: number): Generator<ComparisonRow> {
  const far = fabric(km, RATES.wide);
  const row = (what: string, published: number, ours: number, relative: number, note: string): ComparisonRow => ({
    what: `${km} km, ${what}`,
    unit: 'ms',
    published: 1e3 * published,
    ours: 1e3 * ours,
    allowed: { relative },
    note,
  });
  for (const span of [RATES.wide, RATES.narrow] as const) {
    const egressBps = payload(span);
    const formula = hierarchicalS(site, { sites: 2, egressBps, rttS: rttS(km) });
    const ours = run(reduce('hierarchical'), fabric(km, span), TRAIN).seconds;
    yield row(`hierarchical, ${span} between sites`, formula, ours, 0.03, 'T = 2[(n-1)a + S(n-1)/(nB)] + RTT + S/X');
  }
  const ring = run(reduce('ring'), far, TRAIN);
  const flat = { ...site, ranks: 2 * RANKS_PER_SITE };
  const note = 'T = 2(N-1)(a + S/(NB)) + 4 OWD';
  yield row('flat ring of 16', flatRingS(flat, { rttS: rttS(km) }), ring.seconds, 0.03, note);
  const names = ring.job.flows().map(({ name }) => name.split('->'));
  yield {
    what: `${km} km, flat ring of 16, connections that cross the sites`,
    unit: 'connections',
    published: 2,
    ours: names.filter(([from = '', to = '']) => from[0] !== to[0]).length,
    allowed: { absolute: 0 },
    note: 'NCCL: a ring crosses data centers exactly 2 (nDC - 1) times',
  };
  const wireS = (8 * BYTES) / payload(RATES.host);
  yield {
    ...row(
      'tree of 16',
      Math.max(2 * wireS, 2 * rttS(km) + wireS),
      run(reduce('tree'), far, TRAIN).seconds,
      0,
      'at least 2S/B through an inner rank’s port; and 4 OWD until an inner rank has a first result, and S/B to hand it on',
    ),
    allowed: { bound: 'at-least' },
  };
}

function* trainingRows(): Generator<ComparisonRow> {
  const near = fabric(1, RATES.wide);
  for (const [computeMs, buckets] of [
    [2, 1],
    [2, 8],
    [0.5, 8],
  ] as const) {
    const overlapS = (computeMs / 1e3) * 0.6 * ((buckets - 1) / buckets);
    const commS = flatRingS({ ...site, ranks: 2 * RANKS_PER_SITE, bytes: TRAINING_BYTES }, { rttS: rttS(1) });
    // With K buckets each pays its own latency; the last is never hidden.
    const bucketS = flatRingS(
      { ...site, ranks: 2 * RANKS_PER_SITE, bytes: TRAINING_BYTES / buckets },
      { rttS: rttS(1) },
    );
    const exposed = Math.max(bucketS, buckets * bucketS - overlapS);
    const { seconds } = run(
      {
        kind: 'training-iteration',
        bytes: `${TRAINING_BYTES} B`,
        algorithm: 'ring',
        compute: `${computeMs} ms`,
        overlap: '60 %',
        buckets,
      },
      near,
      1,
    );
    const what = `training, ${computeMs} ms of compute, 60 % overlap, ${buckets} bucket${buckets === 1 ? '' : 's'}`;
    yield {
      what: `${what}: iteration`,
      unit: 'ms',
      published: computeMs + 1e3 * exposed,
      ours: 1e3 * seconds,
      allowed: { relative: 0.02 },
      note:
        buckets === 1
          ? 'BMWG training draft, synthetic JCT: C + S x algo_factor / rate, and propagation'
          : `C + max(t, T_comm - T_overlap); T_comm alone ${(1e3 * commS).toFixed(3)} ms in one piece`,
    };
    yield {
      what: `${what}: scaling efficiency`,
      unit: '%',
      published: 100 * scalingEfficiency(computeMs / 1e3, exposed),
      ours: (100 * computeMs) / 1e3 / seconds,
      allowed: { relative: 0.02 },
    };
  }
  for (const [stages, microbatches] of [
    [2, 8],
    [8, 8],
    [16, 64],
  ] as const) {
    const { job } = run(
      { kind: 'pipeline', bytes: '4 KiB', stages, microbatches, forward: '5 ms', backward: '10 ms' },
      near,
      1,
    );
    const round = job.rounds[1];
    const ours = round ? 1 - (round.computeNs ?? Number.NaN) / (round.endNs - round.beginNs) : Number.NaN;
    yield {
      what: `pipeline of ${stages} stages, ${microbatches} microbatches: bubble`,
      unit: '%',
      published: (100 * (stages - 1)) / (microbatches + stages - 1),
      ours: 100 * ours,
      allowed: { absolute: 0.1 },
      note: '(p-1)/(m+p-1): Huang et al., GPipe, 2019; 1F1B has the same (Narayanan et al., SC 2021)',
    };
  }
}

export const collectiveRuns: Comparison = {
  title: 'Collectives and training iterations, packet by packet against their formulas',
  source:
    'NCCL cross-data-center notes (NVIDIA blog 2025-07-14), Thakur et al. 2005, Patarasuk and Yuan 2009, Sanders et al. 2009, ' +
    'BMWG AI fabric training draft (its values are no pass/fail limits), GPipe 2019',
  method:
    'Scaled down to run in seconds: two sites of 8 ranks at 400 Gb/s, 32 MiB in trains of 8 packets (training: 8 MiB, packet by packet), PFC on, ' +
    'congestion control off, one path. ' +
    'Formulas at payload rates (4096/4178) and light at 4.897 us/km.',
  rows: () => [...[10, 100, 1331].flatMap(km => [...distanceRows(km)]), ...trainingRows()],
};
