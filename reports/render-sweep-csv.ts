import type { SweepCell, SweepHead } from '../harness/model/sweep.ts';
import { LADDERS } from '../harness/model/units.ts';
import { sanitize } from './sanitize.ts';

type Field = string | number | undefined;

/** RFC 4180. Text that a spreadsheet would take for a formula begins with an apostrophe; a number stays a number. */
function field(value: Field): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const safe = sanitize(value);
  const shown = /^[=+\-@]/.test(safe) ? `'${safe}` : safe;
  return /[",\n\r]/.test(shown) ? `"${shown.replaceAll('"', '""')}"` : shown;
}

/**
 * One line for each cell and each limit on the KPI, in base units (ns, bit/s, byte, a fraction of 1, packets). A value that is missing
 * is empty. A cell without the KPI has one line, with its outcome.
 */
export function renderSweepCsv(
  { parameters }: SweepHead,
  cells: readonly SweepCell[],
  { kpi, phase }: { readonly kpi: string; readonly phase?: string },
): string {
  const head = ['scenario', ...parameters.map(({ path }) => path), 'seed', 'outcome', 'kpi', 'phase', 'statistic'];
  const rest = ['kpi outcome', 'value', 'uncertainty', 'limit', 'upper limit', 'unit', 'packet-hops', 'folder'];
  const rows = cells.flatMap(({ scenario, parameters: at, seed, outcome, kpis, packetHops, folder }) => {
    const place: readonly Field[] = [scenario, ...parameters.map(({ path }) => at[path]), seed, outcome];
    const end: readonly Field[] = [packetHops, folder ?? undefined];
    const own = kpis.filter(one => one.kpi === kpi && (phase ?? one.phase) === one.phase);
    if (own.length === 0) return [[...place, kpi, ...Array<Field>(8).fill(undefined), ...end]];
    return own.map((one): readonly Field[] => [
      ...place,
      one.kpi,
      one.phase,
      one.statistic,
      one.outcome,
      outcome === 'error' ? undefined : one.value,
      one.uncertainty,
      one.limit,
      one.upperLimit,
      baseUnit(one.dimension),
      ...end,
    ]);
  });
  return [[...head, ...rest], ...rows].map(row => `${row.map(field).join(',')}\r\n`).join('');
}

const baseUnit = (dimension: keyof typeof LADDERS): string =>
  dimension === 'share' ? '1' : (LADDERS[dimension].at(-1)?.[1] ?? '');
