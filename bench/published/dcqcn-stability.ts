import {
  DCQCN_PAPER,
  dcqcnFixedPoint,
  dcqcnFixedPointApproximation,
  OSCILLATION_SHARE,
  oscillates,
  runDcqcnFluid,
} from '../../emulators/fabric-sim/theory/dcqcn-fluid.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

/** Flows, exact p*, approximate p*, q* KB: our own earlier solution of the papers' equations. */
const FIXED_POINTS = [
  [2, 7.77e-4, 9.25e-4, 20.15],
  [4, 1.888e-3, 2.32e-3, 41.8],
  [8, 4.55e-3, 5.83e-3, 93.8],
  [10, 6.03e-3, 7.85e-3, 122.6],
  [16, 1.087e-2, 1.468e-2, 217.0],
] as const;

const FLOWS = [2, 4, 8, 10, 16, 32, 64] as const;

/** S stable, O oscillating, one letter for each of FLOWS. */
const MAP = [
  [4e-6, 'SSSSSSS'],
  [50e-6, 'SSSSSSS'],
  [85e-6, 'SOOOOSS'],
  [100e-6, 'OOOOOSS'],
] as const;

const RUN = { durationS: 0.2, stepS: 1e-6 };
const EARLIER = 'our own earlier solution of the same equations, a regression target';

export const dcqcnStability: Comparison = {
  title: 'DCQCN: fixed points and stability of the fluid model',
  source:
    'Zhu et al., SIGCOMM 2015, section 5 (equations and parameters); Zhu et al., "ECN or Delay", CoNEXT 2016, section 3: 85 us is ' +
    'stable for 2 and 64 flows and oscillates for 10 ("DCQCN exhibits non-monotonic stability"). Other cells of the map are our ' +
    'own earlier integration.',
  method:
    '40 Gb/s, packets of 1000 B, RED with its slope carried on above Kmax as in the papers’ analysis. Fixed points by bisection; the ' +
    'map by integration over 0.2 s with Heun steps of 1 us from line rate and an empty queue. A run oscillates when over its last ' +
    `quarter the standard deviation of q is more than ${100 * OSCILLATION_SHARE} % of its mean. Steps of 0.25 us and runs of 0.4 s give the same ` +
    'map and the same ratios to three digits.',
  rows: () => {
    const points = FIXED_POINTS.flatMap(([flows, exact, approximate, queueKb]): ComparisonRow[] => {
      const model = { ...DCQCN_PAPER, flows };
      const point = dcqcnFixedPoint(model);
      const row = (what: string, unit: string, published: number, ours: number): ComparisonRow => ({
        what: `${flows} flows, ${what}`,
        unit,
        published,
        ours,
        allowed: { relative: 0.002 },
        note: EARLIER,
      });
      return [
        row('p*', '', exact, point.p),
        row('p*, leading order', '', approximate, dcqcnFixedPointApproximation(model)),
        row('q*', 'KB', queueKb, (point.queueBytes ?? Number.NaN) / 1e3),
      ];
    });
    const runs = MAP.flatMap(([feedbackDelayS, letters]) =>
      FLOWS.map((flows, i): ComparisonRow => {
        const outcome = runDcqcnFluid({ ...DCQCN_PAPER, flows }, { ...RUN, feedbackDelayS });
        const printed = feedbackDelayS === 85e-6 && [2, 10, 64].includes(flows);
        return {
          what: `${flows} flows, delay ${feedbackDelayS * 1e6} us: oscillates`,
          unit: '1 = yes',
          published: letters[i] === 'O' ? 1 : 0,
          ours: oscillates(outcome) ? 1 : 0,
          allowed: { absolute: 0 },
          note: `standard deviation of q over its mean ${(outcome.queueStdBytes / outcome.queueMeanBytes).toPrecision(2)}; ${printed ? 'CoNEXT 2016' : EARLIER}`,
        };
      }),
    );
    const steps = MAP.map(([feedbackDelayS]): ComparisonRow => {
      const outcome = runDcqcnFluid({ ...DCQCN_PAPER, flows: 64, red: 'step' }, { ...RUN, feedbackDelayS });
      return {
        what: `64 flows, delay ${feedbackDelayS * 1e6} us, RED that marks everything above Kmax: oscillates`,
        unit: '1 = yes',
        published: 1,
        ours: oscillates(outcome) ? 1 : 0,
        allowed: { absolute: 0 },
        note: `q* lies above Kmax: no fixed point; ${EARLIER}`,
      };
    });
    return [
      ...points,
      ...runs,
      ...steps,
      {
        what: '10 flows, delay 85 us: standard deviation of q',
        unit: 'KB',
        published: 99,
        ours: runDcqcnFluid({ ...DCQCN_PAPER, flows: 10 }, { ...RUN, feedbackDelayS: 85e-6 }).queueStdBytes / 1e3,
        allowed: { relative: 0.03 },
        note: EARLIER,
      },
    ];
  },
};
