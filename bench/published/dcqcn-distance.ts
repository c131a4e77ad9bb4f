import { DCQCN_PAPER, runDcqcnFluid } from '../../emulators/fabric-sim/theory/dcqcn-fluid.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

/** Feedback delay us; utilisation with 2 and with 16 flows. */
const EARLIER = [
  [8, 1.0, 1.0],
  [100, 0.96, 0.9],
  [1000, 0.66, 0.58],
  [6500, 0.52, 0.65],
] as const;

const MODEL = {
  ...DCQCN_PAPER,
  red: 'step',
  rateBps: 400e9,
  kminBytes: 0.4e6,
  kmaxBytes: 1.6e6,
  pMax: 0.2,
  additiveBps: 400e6,
} as const;

const run = (flows: number, delayUs: number) =>
  runDcqcnFluid({ ...MODEL, flows }, { feedbackDelayS: delayUs * 1e-6, durationS: 0.8, stepS: 2e-6 });

export const dcqcnDistance: Comparison = {
  title: 'DCQCN: what distance costs a controller that does not know of it',
  source: 'Our own earlier integration of the fluid model (regression targets); nobody has published this sweep',
  method:
    '400 Gb/s, Kmin 0.4 MB, Kmax 1.6 MB, Pmax 20 %, R_AI 400 Mb/s, other parameters as Zhu et al. 2015; 0.8 s with Heun steps of 2 us, the last ' +
    'quarter counts. At 6.5 ms the mean moves between 0.61 and 0.65 with the length of the run, from 0.4 to 3.2 s.',
  rows: () =>
    EARLIER.flatMap(([delayUs, two, sixteen]) =>
      (
        [
          [2, two],
          [16, sixteen],
        ] as const
      ).flatMap(([flows, published]): ComparisonRow[] => {
        const { utilisation, queueMostBytes } = run(flows, delayUs);
        const share: ComparisonRow = {
          what: `${flows} flows, feedback after ${delayUs / 1e3} ms: share of the link used`,
          unit: '',
          published,
          ours: utilisation,
          allowed: { absolute: delayUs > 1000 ? 0.05 : 0.01 },
        };
        if (delayUs !== 6500 || flows !== 16) return [share];
        return [
          share,
          {
            what: `${flows} flows, feedback after ${delayUs / 1e3} ms: largest queue`,
            unit: 'MB',
            published: 344,
            ours: queueMostBytes / 1e6,
            allowed: { relative: 0.05 },
          },
        ];
      }),
    ),
};
