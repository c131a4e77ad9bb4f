import type { Fault } from '../model/fault.ts';
import type { FaultLine } from '../model/record.ts';
import type { Duration } from '../model/units.ts';
import { type Kpi, kpi } from './kpi.ts';
import { measurement, plausible } from './measurement.ts';
import { lacksRounds, type PhaseView, type RunView } from './run-view.ts';
import { statisticOf } from './statistic.ts';
import { betweenUncertaintyNs } from './uncertainty.ts';

/** A round is back when it reaches this much of what it should: the usual threshold of the field (BMWG draft: busbw 90 % of the NIC rate). */
const BACK_AT = 0.9;

/**
 * From the fault to the end of the first round that is back at its share, ns; one sample per phase in which a fault began.
 *
 * Method: the earliest injection in the phase, to the end of the first round that began at it or later and reached 90 % of the
 * median busbw of the phase before. Where the fault takes capacity away, that median is scaled by what the topology still allows
 * (roofline of this phase / roofline of the phase before), so that a fabric is not asked for bandwidth that was cut. At best it
 * is one round's time. A job that did not come back has no sample, but takes longer than what was seen of it: a limit below that fails.
 * U: the printed round times, 100 ppm of the value, how long the injecting commands took, and how well the clocks of the fault's device
 * and of the first host were known at their instants; 0 in an exact simulation.
 */
export const jobRecoveryKpi: Kpi = {
  name: 'jobRecovery',
  dimension: 'duration',
  better: 'low',
  statistic: 'worst',
  measure: (view, phase) =>
    measurement(
      { ...jobRecoveryKpi, method: `fault to the end of the first round back at ${100 * BACK_AT} % of its share` },
      { view, phase },
      seen => {
        const [fault] = seen.began;
        if (fault === undefined) return { samples: [], missing: `no fault began in ${phase}` };
        const faultNs = fault.injectedNs;
        const uncertaintyNs = (untilNs: number): number | undefined => recoveryUncertaintyNs(view, fault, untilNs);
        const baseline = baselineBps(view, seen);
        if (typeof baseline !== 'number') return { samples: [], expected: 1, missing: baseline.missing };
        if (lacksRounds(seen))
          return { samples: [], expected: 1, missing: `rounds of ${phase} are missing from the record` };
        const back = seen.rounds.find(round => round.beginNs >= faultNs && round.busbwBps >= BACK_AT * baseline);
        if (!back) {
          const exceeds = seen.line.endNs - faultNs;
          return {
            samples: [],
            expected: 1,
            missing: `no round of ${phase} was back at its share`,
            ...(plausible(exceeds) && { exceeds, uncertainty: uncertaintyNs(seen.line.endNs) }),
          };
        }
        const value = back.endNs - faultNs;
        return { samples: [value], expected: 1, uncertainty: uncertaintyNs(back.endNs) };
      },
    ),
};

export const jobRecovery = kpi<Duration>(jobRecoveryKpi);

/** The rounds are those of the tool on the first host. */
function recoveryUncertaintyNs(
  view: RunView,
  { fault, injectedNs, bracketNs }: FaultLine,
  untilNs: number,
): number | undefined {
  const from = { atNs: injectedNs, nodes: nodesOf(fault), bracketNs };
  const hosts = view.plan.topology.hosts.slice(0, 1).map(({ name }) => name);
  return betweenUncertaintyNs(view, from, { atNs: untilNs, nodes: hosts });
}

/** Where a fault is made: a span's box is known by the span's name, and a link is shut at one of its ends. */
function nodesOf(fault: Fault): readonly string[] {
  if ('span' in fault) return [fault.span.name];
  return 'link' in fault ? fault.link.ends.map(({ node }) => node) : [fault.switch.name];
}

/** What a round should reach while the faults of this phase are true, bit/s. */
function baselineBps(view: RunView, { line, before }: PhaseView): number | { readonly missing: string } {
  if (!before) return { missing: 'no phase before the fault shows what the job reached without it' };
  if (lacksRounds(before)) return { missing: `rounds of ${before.line.name} are missing from the record` };
  const median = statisticOf(before.rounds.map(round => round.busbwBps).filter(plausible), 'median', 'high');
  if (median === undefined) return { missing: `${before.line.name} has no rounds to compare with` };
  const [was, is] = [view.busbwRoofline(before.line.name), view.busbwRoofline(line.name)];
  // Where a fault leaves no path for a while (a rebooting leaf), the job is back when it is back at what it reached before.
  return median * (was !== undefined && is !== undefined ? Math.min(1, is / was) : 1);
}
