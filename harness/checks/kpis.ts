import { busbwKpi } from './busbw.ts';
import { ccConvergenceKpi } from './cc-convergence.ts';
import { convergenceKpi } from './convergence.ts';
import { ecnMarksKpi } from './ecn-marks.ts';
import { exposedCommunicationKpi } from './exposed-communication.ts';
import { fairnessKpi } from './fairness.ts';
import { goodputKpi } from './goodput.ts';
import { jctKpi } from './jct.ts';
import { jobRecoveryKpi } from './job-recovery.ts';
import type { Kpi } from './kpi.ts';
import { lossKpi } from './loss.ts';
import { pfcPauseKpi } from './pfc-pause.ts';
import { powerBandKpi } from './power-band.ts';
import { powerRampKpi } from './power-ramp.ts';
import { probeLossKpi } from './probe-loss.ts';
import { queuePeakKpi } from './queue-peak.ts';
import { scalingEfficiencyKpi } from './scaling-efficiency.ts';
import { sitePowerKpi } from './site-power.ts';

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
    exposedCommunicationKpi,
    scalingEfficiencyKpi,
    sitePowerKpi,
    powerRampKpi,
    powerBandKpi,
  ].map(kpi => [kpi.name, kpi]),
);
