import { Random } from '../../emulators/fabric-sim/kernel/random.ts';
import { type UecRun, runUec } from './uec-run.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const BYTES = 2_000_000;

/** `perm_16n_16c_2MB.cm`. */
const PERMUTATION = [
  [13, 6],
  [1, 4],
  [6, 0],
  [2, 13],
  [10, 5],
  [15, 1],
  [8, 14],
  [14, 2],
  [5, 15],
  [4, 12],
  [12, 11],
  [0, 8],
  [9, 7],
  [7, 9],
  [3, 10],
  [11, 3],
] as const;

/** `outcast_incast.cm`: 1, 2 and 3 to 0; 2 to 4 to 12 and 3 to 13 to 21 as well. */
const OUTCAST: readonly (readonly [number, number])[] = [
  [1, 0],
  [2, 0],
  ...Array.from({ length: 9 }, (_, i) => [2, 4 + i] as const),
  [3, 0],
  ...Array.from({ length: 9 }, (_, i) => [3, 13 + i] as const),
];

const flowsOf = (pairs: readonly (readonly [number, number])[]): UecRun['flows'] =>
  pairs.map(([source, target]) => ({ source, target, bytes: BYTES }));

const incast = (hosts: number, target: number): UecRun['flows'] =>
  flowsOf(Array.from({ length: hosts }, (_, source) => [source, target] as const).filter(([s]) => s !== target));

interface Spread {
  readonly min: number;
  readonly mean: number;
  readonly max: number;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Shortest, mean and longest completion, each as the mean over `rounds`. */
function spreadOf(rounds: number, run: Omit<UecRun, 'seed' | 'rounds'>): Spread {
  const all = runUec({ ...run, seed: 1, rounds }).rounds;
  return {
    min: mean(all.map(fctUs => Math.min(...fctUs))),
    mean: mean(all.map(mean)),
    max: mean(all.map(fctUs => Math.max(...fctUs))),
  };
}

/** A permutation without fixed points: hosts stand in a ring in a drawn order, each sends to the next. */
function drawnRing(hosts: number): (readonly [number, number])[] {
  const random = new Random(1024);
  const order = Array.from({ length: hosts }, (_, host) => host);
  for (let i = hosts - 1; i > 0; i--) {
    const j = random.word() % (i + 1);
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order.map((source, i) => [source, order[(i + 1) % hosts] as number] as const);
}

interface Permutation {
  readonly what: string;
  readonly run: Omit<UecRun, 'seed' | 'hosts' | 'flows'>;
  /** Of uet-htsim, each the mean over its seeds, and the standard deviation between seeds in the note. */
  readonly peer: Spread;
  readonly note: string;
}

const PERMUTATIONS: readonly Permutation[] = [
  {
    what: '128 paths',
    run: { paths: 128 },
    peer: { min: 187.2, mean: 191.32, max: 195.75 },
    note: 'uet-htsim, 60 seeds: standard deviation of the mean 1.17, of the max 2.06',
  },
  {
    what: '128 paths, one way from a core switch at 25 Gb/s',
    run: { paths: 128, slowCore: true },
    peer: { min: 187.21, mean: 200.87, max: 235.44 },
    note: 'uet-htsim, 60 seeds: standard deviation of the mean 1.33, of the max 4.24',
  },
  {
    what: '128 paths, oblivious',
    run: { paths: 128, spreading: 'oblivious' },
    peer: { min: 187.46, mean: 195.61, max: 205.17 },
    note: 'uet-htsim, 40 seeds: standard deviation of the mean 2.45, of the max 6.22',
  },
  {
    what: '128 paths, bitmap',
    run: { paths: 128, spreading: 'bitmap' },
    peer: { min: 186.28, mean: 190.95, max: 195.82 },
    note: 'uet-htsim, 40 seeds: standard deviation of the mean 1.12, of the max 2.35',
  },
  {
    what: '128 paths, REPS',
    run: { paths: 128, spreading: 'reps' },
    peer: { min: 188.99, mean: 194.48, max: 201.83 },
    note: 'uet-htsim, 40 seeds: standard deviation of the mean 1.62, of the max 4.05',
  },
];

/** 8192 hosts, leaf-spine, 1 MB permutation: tails in us, with 32, 64 and 128 paths. */
const LARGE = [
  ['400 Gb/s', [38.71, 36.18, 35.39]],
  ['400 Gb/s, one uplink failed', [41.97, 44.61, 45.39]],
  ['800 Gb/s', [25.3, 22.9, 22.14]],
] as const;

const SEEDED = 'mean over seeds of uet-htsim, run for this comparison; ours is the mean of several rounds';

export const uec: Comparison = {
  title: 'Ultra Ethernet: NSCC, trimming and spraying against uet-htsim',
  source:
    'uet-htsim 40ccb05, htsim/sim/datacenter/validate_outputs (stored runs, seed 13) and the limits of its commit check; means over seeds ' +
    'from the same program, Release build, `-sender_cc_only`',
  method:
    'Three-tier fat tree of 16, 128 or 1024 hosts, 100 Gb/s, 1 us a link, flows of 2,000,000 B that all start at 0, MTU 4150 B on the wire, completion at the ' +
    'sender. Paths, marks and trims are drawn at random, by another generator here: what depends on the draw is compared as a mean over seeds there and over rounds here (all flows anew on the fabric at rest).',
  rows: () => {
    const rows: ComparisonRow[] = [];
    const add = (what: string, published: number, ours: number, allowed: ComparisonRow['allowed'], note?: string) =>
      rows.push({ what, unit: 'us', published, ours, allowed, ...(note !== undefined && { note }) });

    const one = spreadOf(1, { hosts: 16, flows: flowsOf([[0, 13]]) });
    add('one flow', 176.2, one.max, { relative: 0.001 });
    const both = flowsOf([
      [0, 13],
      [13, 0],
    ]);
    add('two flows, opposite ways', 176.804, spreadOf(1, { hosts: 16, flows: both }).max, {
      relative: 0.001,
    });

    const small = spreadOf(6, { hosts: 16, flows: incast(16, 15) });
    add('incast 15 to 1, longest, stored run', 2478.53, small.max, { relative: 0.03 });
    add('incast 15 to 1, longest', 2468.53, small.max, { relative: 0.03 }, SEEDED);
    add('incast 15 to 1, mean', 2175.66, small.mean, { relative: 0.03 }, SEEDED);
    add('incast 15 to 1, longest: limit of the commit check', 2550, small.max, { bound: 'at-most' });
    add('incast 15 to 1, shortest, stored run', 1273.56, small.min, {
      quoted: 'a lottery: 1121 to 1983 over 20 seeds of uet-htsim',
    });

    const large = spreadOf(1, { hosts: 128, flows: incast(128, 33) });
    add('incast 127 to 1, longest, stored run', 21029.3, large.max, { relative: 0.03 });
    add('incast 127 to 1, mean', 20147.6, large.mean, { relative: 0.03 }, SEEDED);
    add('incast 127 to 1, longest: limit of the commit check', 23000, large.max, { bound: 'at-most' });

    const outcast = spreadOf(1, { hosts: 128, flows: flowsOf(OUTCAST) });
    add('outcast and incast, shortest, stored run', 208.019, outcast.min, { relative: 0.03 });
    add('outcast and incast, longest, stored run', 1638.08, outcast.max, { relative: 0.03 });
    add('outcast and incast, mean', 1565.63, outcast.mean, { relative: 0.03 }, SEEDED);

    for (const { what, run, peer, note } of PERMUTATIONS) {
      const ours = spreadOf(15, { hosts: 16, flows: flowsOf(PERMUTATION), ...run });
      for (const [name, key] of [
        ['shortest', 'min'],
        ['mean', 'mean'],
        ['longest', 'max'],
      ] as const)
        add(`permutation of 16, ${what}: ${name}`, peer[key], ours[key], { relative: 0.03 }, `${SEEDED}; ${note}`);
      if (what === '128 paths') {
        add('permutation of 16, 128 paths: longest, stored run', 194.022, ours.max, { relative: 0.03 });
        add('permutation of 16, 128 paths: longest, limit of the commit check', 210, ours.max, { bound: 'at-most' });
      }
      if (run.slowCore === true)
        add(`permutation of 16, ${what}: longest, stored run`, 238.218, ours.max, { relative: 0.03 });
    }
    const alone = spreadOf(30, { hosts: 16, flows: flowsOf(PERMUTATION), paths: 1 });
    const luck =
      'who collides is drawn: standard deviation between 100 seeds of uet-htsim 32 of the mean, 82 of the max';
    add('permutation of 16, one path: mean', 345.58, alone.mean, { relative: 0.06 }, `${SEEDED}; ${luck}`);
    add('permutation of 16, one path: longest', 540.3, alone.max, { relative: 0.1 }, `${SEEDED}; ${luck}`);
    add('permutation of 16, one path: longest, stored run', 527.755, alone.max, { quoted: 'one draw' }, luck);

    const thousand = spreadOf(1, { hosts: 1024, flows: flowsOf(drawnRing(1024)), paths: 128 });
    const others = 'three seeds there, one round here: another permutation, as far for nearly all flows';
    add('permutation of 1024, 128 paths: mean', 193.55, thousand.mean, { relative: 0.03 }, others);
    add('permutation of 1024, 128 paths: longest', 201.62, thousand.max, { relative: 0.05 }, others);
    add('permutation of 1024, 128 paths: longest, stored run', 200.507, thousand.max, { relative: 0.05 }, others);

    for (const [what, tails] of LARGE)
      for (const [i, published] of tails.entries())
        add(`permutation of 8192, 1 MB, ${what}, ${32 << i} paths: tail`, published, Number.NaN, {
          quoted: 'not run: 8192 hosts take minutes; the same law and paths as above',
        });
    return rows;
  },
};
