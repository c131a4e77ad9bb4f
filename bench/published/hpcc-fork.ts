import { readFileSync } from 'node:fs';
import path from 'node:path';
import { replayTrace } from '../../emulators/fabric-sim/traces/replay-trace.ts';
import { type Trace, traceOfHpcc } from '../../emulators/fabric-sim/traces/trace.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const WORKLOADS = path.resolve(import.meta.dirname, '../../../shared/reference/sim-workloads/hpcc');

/** Only RED rolls dice: HPCC reads queues and this DCTCP marks at a step. Two flows are few, so their mean needs more seeds. */
const SEEDS: Readonly<Record<string, number>> = { inc2_dcqcn: 60, inc8_dcqcn: 30 };
/** Seeds that nobody had tried while anything was being fitted. */
const FIRST_SEED = 1001;

/**
 * A golden is one random run. The fork's own spread over 20 runs of its generator (RngRun 1 to 20; the goldens are run 1), measured with
 * the binary that reproduces all nine goldens to the nanosecond; us.
 */
const OWN_RUNS: Readonly<
  Record<string, { readonly mean: number; readonly deviation: number; readonly least: number; readonly most: number }>
> = {
  inc2_dcqcn: { mean: 559.9, deviation: 28.8, least: 477.9, most: 597.0 },
  inc8_dcqcn: { mean: 1973.0, deviation: 34.8, least: 1881, most: 2022 },
};

/** What the fork's clock of whole ns makes of a packet's time at 100 Gb/s: 1036 B, or 1078 B with HPCC's telemetry. */
const CLOCK: Readonly<Record<string, string>> = {
  dcqcn: "the fork's clock makes 83 of the 82.88 ns of a packet: +0.14 %",
  dctcp: "the fork's clock makes 83 of the 82.88 ns of a packet: +0.14 %",
  hpcc: "the fork's clock makes 86 of the 86.24 ns of a packet (-0.28 %), and its telemetry is in units of 320 and 512 B and ns; ours is exact",
};

interface Golden {
  readonly fct_ns: number;
}

/**
 * Golden completion times of the HPCC fork of ns-3, from its own configuration, flow and topology files. Any other such files:
 * `farspan trace --hpcc CONFIG --compare FCT --seeds 20 --within 3%`.
 */
export function hpccFork({ folder = WORKLOADS }: { readonly folder?: string } = {}): Comparison {
  return {
    title: 'The HPCC fork of ns-3: completion times of 2 MB flows into one 100 Gb/s port',
    source:
      'astra-network-ns3 8fd3604 run on star17.topo (100 Gb/s, 1 us; payload 1000 B), golden_fct.json of the study; its DCQCN is seeded once',
    method:
      "The same files replayed packet by packet, with the fork's headers (36 B, ACK 48 B; HPCC's telemetry 42 B more, ACK 76 B), an ACK for every packet, ECN at dequeue. Where marking rolls dice (DCQCN), ours is the mean over fresh seeds, beside the golden, which is one run, and beside the mean of 20 runs of the fork. Its clock ticks in whole ns, which at 100 Gb/s lengthens times by 0.14 % (1036 B); ours is exact.",
    needs: folder,
    rows: () => {
      const golden = JSON.parse(readFileSync(path.join(folder, 'golden_fct.json'), 'utf8')) as Readonly<
        Record<string, readonly Golden[]>
      >;
      return ['dcqcn', 'hpcc', 'dctcp'].flatMap(law =>
        ['one', 'inc2', 'inc8'].flatMap((pattern): readonly ComparisonRow[] => {
          const name = `${pattern}_${law}`;
          const theirs = golden[name];
          if (theirs === undefined || theirs.length === 0) throw new Error(`golden_fct.json has no flows of ${name}.`);
          const seeds = SEEDS[name] ?? 1;
          const ours = fctsNs(traceOf(folder, pattern, law), { seeds, flows: theirs.length });
          const what = `${law.toUpperCase()}, ${theirs.length} to 1${seeds > 1 ? `, ${seeds} seeds` : ''}`;
          const times = theirs.map(flow => flow.fct_ns);
          const note = CLOCK[law] as string;
          const own = OWN_RUNS[name];
          const runs = ours.map(run => meanOf(run) / 1000);
          const mean = meanOf(runs);
          const row = (which: string, published: number, value: number, told = note): ComparisonRow => ({
            what: `${what}: ${which}`,
            unit: 'us',
            published,
            ours: value,
            allowed: { relative: 0.03 },
            note: told,
          });
          const drawn = `ours: standard deviation ${deviationOf(runs).toFixed(1)} over ${seeds} seeds`;
          return [
            row(
              'mean completion',
              meanOf(times) / 1000,
              mean,
              own === undefined ? note : `the golden is one run; ${drawn}`,
            ),
            ...(own === undefined
              ? []
              : [
                  row(
                    "mean completion, beside 20 runs of the fork's",
                    own.mean,
                    mean,
                    `theirs: standard deviation ${own.deviation}, ${own.least} to ${own.most}; ${drawn}; ${note}`,
                  ),
                ]),
            ...(theirs.length > 1
              ? [row('last completion', Math.max(...times) / 1000, meanOf(ours.map(run => Math.max(...run))) / 1000)]
              : []),
          ];
        }),
      );
    },
  };
}

function traceOf(folder: string, pattern: string, law: string): Trace {
  const file = (name: string) => ({ name, text: readFileSync(path.join(folder, name), 'utf8') });
  return traceOfHpcc({
    config: file(`${pattern}_${law}.conf`),
    topology: file('star17.topo'),
    flows: file(`${pattern}.flow`),
    branch: 'astra',
  });
}

/** Completion times of every run. */
function fctsNs(
  trace: Trace,
  { seeds, flows }: { readonly seeds: number; readonly flows: number },
): readonly (readonly number[])[] {
  return Array.from({ length: seeds }, (_, i) => {
    const { rows } = replayTrace({ trace, seed: FIRST_SEED + i });
    if (rows.length !== flows) throw new Error(`${rows.length} of ${flows} flows finished.`);
    return rows.map(({ fctNs }) => fctNs);
  });
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviationOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}
