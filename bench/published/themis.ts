import { readFileSync } from 'node:fs';
import path from 'node:path';
import { replayTrace } from '../../emulators/fabric-sim/traces/replay-trace.ts';
import { slowdownByClass } from '../../emulators/fabric-sim/traces/slowdown.ts';
import { type Trace, traceOfHpcc, withDelay } from '../../emulators/fabric-sim/traces/trace.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

export type ThemisLoad = 30 | 50 | 70;

const ARTEFACT = path.resolve(import.meta.dirname, '../../../shared/reference/themis');

/** Last flow of the 30 ms starts within them, and a straggler may take as long again behind the 500 us link. */
const DEADLINE_PS = 1e12;

/** The long link, DCI to DCI, and its length when the sites are one campus. */
const LONG_LINK = { a: 's48', b: 's49' } as const;
const SHORT_DELAY_PS = 1e6;

type Slowdowns = readonly [intra: number, inter: number];

interface Outcome {
  readonly intra: number;
  readonly inter: number;
  readonly note: string;
}

/** Normalised mean completion times inside sites and between them: the bars of the paper's figure (`average.py`). */
const FIGURE: Readonly<Record<string, Readonly<Record<ThemisLoad, Slowdowns>>>> = {
  DCQCN: { 30: [5.21, 1.15], 50: [14.02, 1.46], 70: [23.58, 1.83] },
  'DCQCN, 1 us between the sites': { 30: [2.94, 2.75], 50: [5.41, 4.76], 70: [9.93, 8.66] },
  Themis: { 30: [2.9, 1.2], 50: [5.16, 1.7], 70: [7.96, 3.47] },
  Annulus: { 30: [3.96, 1.13], 50: [7.49, 1.29], 70: [13.52, 1.5] },
  BiCC: { 30: [3.67, 5.93], 50: [6.57, 7.1], 70: [11.05, 6.08] },
};

/** DCQCN again, as another script of the artefact has it (`moti/fct.py`): not the figure's values, and no output file backs either. */
const MOTIVATION: Readonly<Record<ThemisLoad, Slowdowns>> = { 30: [3.79, 1.15], 50: [7.14, 1.27], 70: [13.66, 1.5] };

export interface ThemisOptions {
  readonly load: ThemisLoad;
  /** The artefact's folders `load-30`, `load-50`, `load-70`. */
  readonly folder?: string;
  readonly seed?: number;
  /** Packets carried as one; 1, exact, when absent. */
  readonly trainPackets?: number;
}

/**
 * THEMIS (ICNP 2025): two sites of 16 hosts, 1.6 Tb/s and 500 us between them, WebSearch flows for 30 ms.
 *
 * Packet by packet it moves 38 M packet-hops at 30 % load, 66 M at 50 % and 95 M at 70 %, twice (long and short).
 */
export function themis({ load, folder = ARTEFACT, seed = 7, trainPackets = 1 }: ThemisOptions): Comparison {
  return {
    title: `THEMIS at ${load} % load: DCQCN between two sites${trainPackets > 1 ? `, in trains of ${trainPackets}` : ', packet by packet'}`,
    source:
      'Themis artefact (Networked-System-and-Security-Group/Themis, 2025-12-30), ICNP 2025: topology, flows, configuration; average.py, moti/fct.py',
    method: `Its files replayed with DCQCN as its configuration says, the long link as given (500 us) and at 1 us; ECN thresholds by rate as its maps have them. Slowdown: completion over standalone time, mean by class. Its printed values contradict each other and its own per-flow files, so only the orderings are judged. Its switches at the long link hold any amount of bytes, because their headroom underflows, and never drop; ours have the 32 MB of the configuration.`,
    needs: folder,
    rows: () => {
      const given = traceOf(path.join(folder, `load-${load}`));
      const long = slowdowns(given, { seed, trainPackets });
      const short = slowdowns(withDelay(given, { ...LONG_LINK, delayPs: SHORT_DELAY_PS }), {
        seed,
        trainPackets,
      });
      const [figureIntra, figureInter] = figure('DCQCN', load);
      const [figureShortIntra, figureShortInter] = figure('DCQCN, 1 us between the sites', load);
      const [scriptIntra, scriptInter] = MOTIVATION[load];
      const contradicted = 'the figure and a script of the artefact differ; no per-flow file backs either';
      return [
        row('longest base RTT', 'ns', 1_012_365, given.pairs.maxRttNs, { absolute: 0 }),
        row('largest BDP', 'B', 12_654_562, given.pairs.maxBdpBytes, { absolute: 0 }),
        row(
          'slowdown inside sites, 500 us, as moti/fct.py has it',
          'times',
          scriptIntra,
          long.intra,
          {
            quoted: contradicted,
          },
          long.note,
        ),
        row(
          'slowdown between sites, 500 us, as moti/fct.py has it',
          'times',
          scriptInter,
          long.inter,
          {
            quoted: contradicted,
          },
          long.note,
        ),
        row(
          'slowdown inside sites, 500 us, as the figure has it',
          'times',
          figureIntra,
          long.intra,
          {
            quoted: contradicted,
          },
          long.note,
        ),
        row(
          'slowdown between sites, 500 us, as the figure has it',
          'times',
          figureInter,
          long.inter,
          {
            quoted: contradicted,
          },
          long.note,
        ),
        row(
          'slowdown inside sites, 1 us',
          'times',
          figureShortIntra,
          short.intra,
          { quoted: contradicted },
          short.note,
        ),
        row(
          'slowdown between sites, 1 us',
          'times',
          figureShortInter,
          short.inter,
          { quoted: contradicted },
          short.note,
        ),
        // Published: 5.21 against 2.94, 1.15 against 2.75, 5.21 against 1.15 at 30 %, and alike at the others.
        row('long haul is worse inside sites: ratio of 500 us to 1 us', 'times', 1, long.intra / short.intra, {
          bound: 'at-least',
        }),
        row('long haul is better between sites: ratio of 500 us to 1 us', 'times', 1, long.inter / short.inter, {
          bound: 'at-most',
        }),
        row('long haul: inside sites over between sites', 'times', 1, long.intra / long.inter, { bound: 'at-least' }),
        ...['Themis', 'Annulus', 'BiCC'].flatMap(scheme => {
          const [intra, inter] = figure(scheme, load);
          const quoted = 'not built here';
          return [
            row(`${scheme}, slowdown inside sites`, 'times', intra, Number.NaN, { quoted }),
            row(`${scheme}, slowdown between sites`, 'times', inter, Number.NaN, { quoted }),
          ];
        }),
      ];
    },
  };
}

function row(
  what: string,
  unit: string,
  published: number,
  ours: number,
  allowed: ComparisonRow['allowed'],
  note?: string,
): ComparisonRow {
  return { what, unit, published, ours, allowed, ...(note !== undefined && { note }) };
}

function figure(scheme: string, load: ThemisLoad): Slowdowns {
  return (FIGURE[scheme] as Readonly<Record<ThemisLoad, Slowdowns>>)[load];
}

function traceOf(folder: string): Trace {
  const file = (name: string) => ({ name, text: readFileSync(path.join(folder, name), 'utf8') });
  return traceOfHpcc({ config: file('config.txt'), topology: file('topology.txt'), flows: file('flow.txt') });
}

function slowdowns(
  trace: Trace,
  { seed, trainPackets }: { readonly seed: number; readonly trainPackets: number },
): Outcome {
  const { rows, network } = replayTrace({ trace, seed, trainPackets, stopAfterPs: DEADLINE_PS });
  if (rows.length !== trace.flows.length)
    throw new Error(`${trace.flows.length - rows.length} of ${trace.flows.length} flows did not finish.`);
  const { intra, inter } = slowdownByClass(rows, node => trace.sites[node]);
  if (intra === undefined || inter === undefined) throw new Error('The files have no flows of one class.');
  return { intra: intra.mean, inter: inter.mean, note: `${network.account.dropped} packets dropped here` };
}
