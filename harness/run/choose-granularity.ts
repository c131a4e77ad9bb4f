import { KPIS } from '../checks/kpis.ts';
import type { Profile } from '../model/check.ts';
import type { Granularity, PhaseGranularity } from '../model/granularity.ts';
import type { Plan } from '../model/plan.ts';
import { flowLevelRefusal } from '../model/flow-level.ts';
import { cost } from './cost.ts';
import { phasesOf } from './limits.ts';

/**
 * A plan up to this many packet-hops is played packet by packet: some seconds on one core at the 1 to 4 million a second of
 * `bench/packet-rate.ts`. Its numbers then have no error of the simulator's shortcuts.
 */
const PACKETS_UP_TO = 5e6;

/** Above that, packets move in trains of this many; what it costs is in `model/train-error.ts`. */
const TRAIN_PACKETS = 8;

/**
 * A phase above this many packet-hops is played at flow level, where what it is asked allows: 250 million trains would take minutes, longer than
 * a scenario should.
 */
const TRAINS_UP_TO = 2e9;

/**
 * How finely each phase is simulated. A matter of the plan alone, never of the machine: the same plan is played alike everywhere.
 *
 * Packets or trains are chosen for the whole plan, because every change between them would cost its phases a start; flow level phase by
 * phase, and never for a phase whose expectations need what flow level does not see (`Kpi.unseenAtFlowLevel`), nor with a planted defect,
 * which may be one of packets, nor for a fabric that flow level can not play or whose congestion control law it does not know.
 */
export function chooseGranularity(
  plan: Plan,
  {
    defect,
    flowLevel = true,
    profile = null,
  }: {
    readonly defect?: string;
    /** The world can play it. */
    readonly flowLevel?: boolean;
    /** Its limits may refer to phases too. */
    readonly profile?: Profile | null;
  } = {},
): Readonly<Record<string, Granularity>> {
  // Selective repeat has no trains.
  const single = plan.topology.settings.transport?.recovery === 'selective-repeat';
  const whole: Granularity = single || cost(plan) <= PACKETS_UP_TO ? 'packet' : `train:${TRAIN_PACKETS}`;
  return Object.fromEntries(
    Object.entries(plan.phases).map(([name, phase]) => {
      const allowed =
        flowLevel && defect === undefined && playsAsFlows(plan) && !needsPackets(plan, { phase: name, profile });
      const flows = allowed && cost({ ...plan, phases: { [name]: phase } }) > TRAINS_UP_TO;
      return [name, flows ? 'flow' : whole];
    }),
  );
}

/** Flow level can play the fabric, and is not left to guess what another law than DCQCN makes of its fair share. */
function playsAsFlows({ topology: { settings } }: Plan): boolean {
  const { transport } = settings;
  return (transport === undefined || transport.control === 'none') && flowLevelRefusal(settings) === undefined;
}

/**
 * The same for each phase, or what was asked for; the plan's phases in its order.
 *
 * @throws RangeError for a phase that the plan lacks, and for flow level where it can not play the fabric
 */
export function granularityOfPhases(plan: Plan, asked: PhaseGranularity): Readonly<Record<string, Granularity>> {
  const refusal = flowLevelRefusal(plan.topology.settings);
  if (refusal !== undefined && (typeof asked === 'string' ? [asked] : Object.values(asked)).includes('flow'))
    throw new RangeError(`${refusal} Play it by packets or trains.`);
  const names = Object.keys(plan.phases);
  if (typeof asked === 'string') return Object.fromEntries(names.map(name => [name, asked]));
  const unknown = Object.keys(asked).filter(name => !names.includes(name));
  if (unknown.length > 0) throw new RangeError(`No phase ${unknown.join(', ')}. Known: ${names.join(', ')}.`);
  const missing = names.filter(name => !Object.hasOwn(asked, name));
  if (missing.length > 0) throw new RangeError(`Say how finely ${missing.join(', ')} is played too.`);
  return Object.fromEntries(names.map(name => [name, asked[name] as Granularity]));
}

/** Whether some expectation needs, of this phase, what flow level does not see. */
function needsPackets(
  { expect }: Plan,
  { phase, profile }: { readonly phase: string; readonly profile: Profile | null },
): boolean {
  return expect.some(
    check => KPIS.get(check.kpi)?.unseenAtFlowLevel !== undefined && phasesOf(check, profile).includes(phase),
  );
}
