import { busbwKpi } from './busbw.ts';
import { ccConvergenceKpi } from './cc-convergence.ts';
import { convergenceKpi } from './convergence.ts';
import { ecnMarksKpi } from './ecn-marks.ts';
import { fairnessKpi } from './fairness.ts';
import { goodputKpi } from './goodput.ts';
import { jctKpi } from './jct.ts';
import { jobRecoveryKpi } from './job-recovery.ts';
import type { Kpi } from './kpi.ts';
import { lossKpi } from './loss.ts';
import { pfcPauseKpi } from './pfc-pause.ts';
import { probeLossKpi } from './probe-loss.ts';
import { queuePeakKpi } from './queue-peak.ts';

/** Every KPI by its name in a check. */
export const KPIS: ReadonlyMap<string, Kpi> = new Map(
  [
    busbwKpi,
    jctKpi,
    convergenceKpi,
    jobRecoveryKpi,
    lossKpi,
    probeLossKpi,
    pfcPauseKpi,
    ecnMarksKpi,
    queuePeakKpi,
    fairnessKpi,
    ccConvergenceKpi,
    goodputKpi,
  ].map(kpi => [kpi.name, kpi]),
);
