import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { measureChild } from './peers.ts';
import type { Simulated } from './simulate.ts';

/*
 * Guest instructions for one packet-hop, counted by valgrind's lackey: the difference between two sizes of one workload, so that start-up,
 * parsing and most of the compilation fall away. Unlike seconds they do not depend on who else uses the machine; unlike hardware counters they
 * can be had in a virtual machine. Cache misses are not in them.
 *
 *   npx tsx bench/instructions.ts --workloads DIR [--workload NAME --small 0.5 --large 1]
 *
 * Prints a row for `bench/instructions.md`; append it by hand. Some minutes: lackey is about 100 times slower.
 */

const { values } = parseArgs({
  options: {
    workloads: { type: 'string' },
    workload: { type: 'string' },
    small: { type: 'string' },
    large: { type: 'string' },
  },
});

interface Case {
  readonly workload: string;
  /** Fractions of each message. The smaller one is long enough that V8 has compiled what is hot. */
  readonly small: number;
  readonly large: number;
}

const CASES: readonly Case[] = [
  { workload: 'incast 63 to 1, 20 MB, 100G', small: 0.3, large: 0.6 },
  { workload: 'permutation of 128, 20 MB, 100G', small: 0.05, large: 0.1 },
  { workload: 'two sites, 8 pairs, 5 ms one way, 400 MB, 100G', small: 0.05, large: 0.1 },
  { workload: 'UEC permutation of 128, 20 MB, 100G', small: 0.05, large: 0.1 },
];
const DEADLINE_MS = 1_200_000;

/** One file of everything, so that no TypeScript is compiled under valgrind. By the esbuild that tsx brings. */
function bundled(folder: string): string {
  const tsx = createRequire(import.meta.url).resolve('tsx');
  const outfile = path.join(folder, 'simulate.mjs');
  const { status, stderr, error } = spawnSync(
    createRequire(tsx).resolve('esbuild/bin/esbuild'),
    [
      path.resolve(import.meta.dirname, 'simulate.ts'),
      '--bundle',
      '--platform=node',
      '--format=esm',
      '--target=node20',
      '--log-level=error',
      `--outfile=${outfile}`,
    ],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`esbuild: ${error?.message ?? stderr}`);
  return outfile;
}

async function count(
  bundle: string,
  one: Case,
  part: number,
): Promise<{ readonly hops: number; readonly instructions: number }> {
  let simulated: Simulated | undefined;
  let instructions = Number.NaN;
  const log = `${bundle}.log`;
  await measureChild({
    command: 'bash',
    // lackey reports on standard error, of which a child's beginning alone is kept: send it to standard output.
    args: [
      '-c',
      'exec "$0" "$@" 2>&1',
      'valgrind',
      '--tool=lackey',
      '--basic-counts=yes',
      // V8 writes code and runs it.
      '--smc-check=all-non-file',
      process.execPath,
      // All compilation in the one thread, at the same points of the program each time.
      '--single-threaded',
      bundle,
      '--workloads',
      path.resolve(values.workloads as string),
      '--workload',
      one.workload,
      '--part',
      String(part),
    ],
    folder: path.dirname(log),
    deadlineMs: DEADLINE_MS,
    onLine(line) {
      if (line.startsWith('{')) simulated = JSON.parse(line) as Simulated;
      const counted = /guest instrs:\s+([\d,]+)/.exec(line)?.[1];
      if (counted !== undefined) instructions = Number(counted.replaceAll(',', ''));
    },
  });
  if (simulated === undefined || Number.isNaN(instructions))
    throw new Error(`${one.workload}: valgrind counted nothing.`);
  return { hops: simulated.hops, instructions };
}

async function main(): Promise<void> {
  if (values.workloads === undefined) throw new RangeError('Name the folder of the workloads: --workloads DIR');
  if (spawnSync('valgrind', ['--version']).status !== 0) {
    console.log('skipped: there is no valgrind');
    return;
  }
  const { stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', cwd: import.meta.dirname });
  const commit = stdout?.trim() || 'unknown';
  const date = new Date().toISOString().slice(0, 10);
  const folder = mkdtempSync(path.join(tmpdir(), 'farspan-instructions-'));
  try {
    const bundle = bundled(folder);
    const cases: readonly Case[] =
      values.workload === undefined
        ? CASES
        : [{ workload: values.workload, small: Number(values.small ?? 0.5), large: Number(values.large ?? 1) }];
    for (const one of cases) {
      const small = await count(bundle, one, one.small);
      const large = await count(bundle, one, one.large);
      const perHop = (large.instructions - small.instructions) / (large.hops - small.hops);
      console.log(
        `| ${date} | ${commit} | ${one.workload} | ${one.small} to ${one.large} | ${((large.hops - small.hops) / 1e6).toFixed(2)} | ${perHop.toFixed(0)} |`,
      );
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await main();
