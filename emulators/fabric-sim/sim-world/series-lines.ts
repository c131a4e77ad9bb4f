import type { Series } from '../fabric/series.ts';

const UNITS: Readonly<Record<string, string>> = {
  rate: 'bit/s',
  pausedNs: 'ns',
  drops: 'packets',
  ecnMarked: 'packets',
};
const PS_PER_NS = 1e3;

/**
 * A series as lines of JSON: first when it began and how long a slot is, then one line per flow, queue or port and quantity. Times are ns of
 * testbed time. Value i belongs to the slot that ends at `beginNs` + (i + 1) x `intervalNs`; null was not seen.
 */
export function seriesLines(series: Series): readonly string[] {
  const { beginPs, intervalPs, length, flowsLeftOut } = series;
  const head = {
    kind: 'series',
    beginNs: beginPs / PS_PER_NS,
    intervalNs: intervalPs / PS_PER_NS,
    slots: length,
    ...(flowsLeftOut > 0 && { flowsLeftOut }),
  };
  return [
    JSON.stringify(head),
    ...series.columns.map(({ of, name, quantity, merges, values }) => {
      const times = quantity === 'pausedPs';
      const told = times ? 'pausedNs' : quantity;
      return JSON.stringify({
        kind: 'column',
        of,
        name,
        quantity: told,
        unit: UNITS[told] ?? 'B',
        merges,
        values: Array.from(values, value => (Number.isNaN(value) ? null : times ? value / PS_PER_NS : value)),
      });
    }),
  ];
}
