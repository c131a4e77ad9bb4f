import path from 'node:path';
import { renderSweep, renderSweepCsv, SCENARIO } from '../../reports/index.ts';
import { suggest } from '../model/near-miss.ts';
import type { SweepCell, SweepHead } from '../model/sweep.ts';
import { slug } from '../run/run-folder.ts';
import { EXIT } from './exit-code.ts';
import { shownPath, write } from './run-reports.ts';
import { readSweep, SWEEP_FILE } from './sweep-folder.ts';
import { UsageError } from './usage-error.ts';

export interface PlotCommand {
  readonly folder: string;
  readonly kpi: string;
  readonly against: string;
  readonly by: readonly string[];
  /** Path to value: only these cells. */
  readonly where: Readonly<Record<string, string>>;
  readonly phase?: string;
  readonly out?: string;
  readonly csv: boolean;
}

/** Writes a page, or a table, of a KPI against a parameter of a sweep. @throws UsageError, EvidenceError */
export function plot({ folder, kpi, against, by: asked, where, phase, out, csv }: PlotCommand): number {
  const { head, cells: all } = readSweep(folder);
  const known = parametersOf(head);
  for (const parameter of [against, ...asked, ...Object.keys(where)])
    if (!known.includes(parameter))
      throw new UsageError(
        `this sweep did not vary ${parameter}. ${suggest({ word: parameter, known, what: 'parameters' })}`,
      );
  for (const [parameter, value] of Object.entries(where)) {
    const values =
      parameter === SCENARIO
        ? head.scenarios
        : (head.parameters.find(({ path: at }) => at === parameter)?.values ?? []);
    if (!values.includes(value))
      throw new UsageError(
        `no cell has ${parameter}=${value}. ${suggest({ word: value, known: values, what: 'values' })}`,
      );
  }
  const held = Object.keys(where);
  const others = varied(head).filter(one => one !== against && !held.includes(one));
  const by = asked.length > 0 ? asked : others;
  const mixed = others.filter(one => !by.includes(one));
  if (mixed.length > 0)
    throw new UsageError(
      `${mixed.join(' and ')} vary too, and one mean over them says nothing. Add --by ${mixed[0]}, or hold it with --where '${mixed[0]}=…'.`,
    );
  const cells = all.filter(cell => Object.entries(where).every(([at, value]) => valueAt(cell, at) === value));
  const judged = new Set(cells.flatMap(({ kpis }) => kpis.map(one => one.kpi)));
  if (cells.length === 0) throw new UsageError(`${folder} has no finished cell to plot.`);
  if (!judged.has(kpi)) {
    if (judged.size > 0)
      throw new UsageError(
        `no cell judged ${kpi}. ${suggest({ word: kpi, known: [...judged], what: 'KPIs of this sweep' })}`,
      );
    throw new UsageError(`no cell got as far as judging anything. See the reasons in ${folder}/sweep.ndjson.`);
  }
  const phases = new Set(cells.flatMap(({ kpis }) => kpis.filter(one => one.kpi === kpi).map(one => one.phase)));
  if (phase !== undefined && !phases.has(phase))
    throw new UsageError(
      `${kpi} is not judged during ${phase}. ${suggest({ word: phase, known: [...phases], what: 'phases' })}`,
    );

  const file = path.resolve(out ?? path.join(folder, `plot-${slug(kpi)}-${slug(against)}.${csv ? 'csv' : 'html'}`));
  if (file === path.resolve(folder, SWEEP_FILE))
    throw new UsageError(`${file} is the sweep's own record. Name another file.`);
  const during = phase !== undefined && { phase };
  const toSweep = path.relative(path.dirname(file), path.resolve(folder)).replaceAll(path.sep, '/');
  write(
    file,
    csv
      ? renderSweepCsv(head, cells, { kpi, ...during })
      : renderSweep({ head, cells, request: { kpi, against, by, ...during }, where, toSweep }),
  );
  const unfinished = head.cells.length - all.length;
  process.stdout.write(
    `${cells.length} cells in ${shownPath(file, process.cwd())}${unfinished > 0 ? `; ${unfinished} of the sweep are not finished` : ''}\n`,
  );
  return EXIT.pass;
}

const parametersOf = ({ parameters, scenarios }: SweepHead): readonly string[] => [
  ...parameters.map(({ path: at }) => at),
  ...(scenarios.length > 1 ? [SCENARIO] : []),
];

/** Those that have more than one value. */
const varied = (head: SweepHead): readonly string[] =>
  parametersOf(head).filter(
    at => at === SCENARIO || (head.parameters.find(({ path: one }) => one === at)?.values.length ?? 0) > 1,
  );

const valueAt = (cell: SweepCell, at: string): string | undefined =>
  at === SCENARIO ? cell.scenario : cell.parameters[at];
