import { readFileSync } from 'node:fs';
import path from 'node:path';
import { replayTrace } from '../../emulators/fabric-sim/traces/replay-trace.ts';
import { type Trace, traceOfHpcc } from '../../emulators/fabric-sim/traces/trace.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const WORKLOADS = path.resolve(import.meta.dirname, '../../../shared/reference/sim-workloads/hpcc');

/** Only RED rolls dice; HPCC reads queues and this DCTCP marks at a step, so all seeds are one. */
const SEEDS: Readonly<Record<string, number>> = { dcqcn: 20, hpcc: 1, dctcp: 1 };
const FIRST_SEED = 1;

/** The fork's clock ticks in ns: it sends 1048 B in 83 ns, not 83.84, and so is 1 % fast where serialisation is all. */
const CLOCK = "the fork's clock cuts the 83.84 ns of a packet to 83: its times are 1.0 % short";

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
      "The same files replayed packet by packet, with the family's headers (48 B, ACK 60 B, INT 42 B), an ACK for every packet, ECN at dequeue; mean over the flows, and over 20 seeds where chance has a hand in it.",
    rows: () => {
      const golden = JSON.parse(readFileSync(path.join(folder, 'golden_fct.json'), 'utf8')) as Readonly<
        Record<string, readonly Golden[]>
      >;
      return ['dcqcn', 'hpcc', 'dctcp'].flatMap(law =>
        ['one', 'inc2', 'inc8'].map((pattern): ComparisonRow => {
          const theirs = golden[`${pattern}_${law}`];
          if (theirs === undefined || theirs.length === 0)
            throw new Error(`golden_fct.json has no flows of ${pattern}_${law}.`);
          const seeds = pattern === 'one' ? 1 : (SEEDS[law] as number);
          return {
            what: `${law.toUpperCase()}, ${theirs.length} to 1, mean completion time${seeds > 1 ? `, ${seeds} seeds` : ''}`,
            unit: 'us',
            published: meanOf(theirs.map(flow => flow.fct_ns)) / 1000,
            ours: meanFctNs(traceOf(folder, pattern, law), { seeds, flows: theirs.length }) / 1000,
            allowed: { relative: 0.03 },
            note: CLOCK,
          };
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
  });
}

function meanFctNs(trace: Trace, { seeds, flows }: { readonly seeds: number; readonly flows: number }): number {
  const means = Array.from({ length: seeds }, (_, i) => {
    const { rows } = replayTrace({ trace, seed: FIRST_SEED + i });
    if (rows.length !== flows) throw new Error(`${rows.length} of ${flows} flows finished.`);
    return meanOf(rows.map(({ fctNs }) => fctNs));
  });
  return meanOf(means);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
