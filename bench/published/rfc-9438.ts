import { cubicResponse, renoWindow } from '../../emulators/fabric-sim/theory/tcp-response.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

/** p, Reno, CUBIC with C = 0.4, as printed. Below a p of 1e-7 table 2 has Reno's values in both columns. */
const TABLES = [
  {
    table: 'table 1',
    rttS: 0.1,
    windows: [
      [1e-4, 120, 187],
      [1e-5, 379, 1054],
      [1e-6, 1200, 5926],
      [1e-7, 3795, 33325],
      [1e-8, 12000, 187400],
    ],
  },
  {
    table: 'table 2',
    rttS: 0.01,
    windows: [
      [1e-4, 120, 120],
      [1e-5, 379, 379],
      [1e-6, 1200, 1200],
      [1e-7, 3795, 5926],
      [1e-8, 12000, 33325],
    ],
  },
] as const;

export const rfc9438: Comparison = {
  title: 'RFC 9438: average windows of Reno and CUBIC under deterministic loss',
  source: 'RFC 9438 section 5.1, tables 1 and 2 (columns Reno and CUBIC with C = 0.4)',
  method: 'Closed forms, segments; half of the last printed digit is allowed.',
  rows: () =>
    TABLES.flatMap(({ table, rttS, windows }) =>
      windows.flatMap(([loss, reno, cubic]): ComparisonRow[] => [
        {
          what: `${table}, RTT ${rttS} s, p = ${loss.toExponential(0)}, Reno`,
          unit: 'segments',
          published: reno,
          ours: renoWindow({ loss }),
          allowed: { absolute: 0.5 },
        },
        {
          what: `${table}, RTT ${rttS} s, p = ${loss.toExponential(0)}, CUBIC`,
          unit: 'segments',
          published: cubic,
          ours: cubicResponse({ loss, rttS }),
          allowed: { absolute: 0.5 },
        },
      ]),
    ),
};
