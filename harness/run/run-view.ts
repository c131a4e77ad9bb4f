import type { PhaseView, RunView } from '../checks/run-view.ts';
import { goodputRoofline, roofline } from '../loads/roofline.ts';
import { clocksOf } from '../model/clocks-of.ts';
import type { Fault } from '../model/fault.ts';
import type {
  CountersLine,
  FaultLine,
  FlowLine,
  PhaseLine,
  ProbeLine,
  RecordLine,
  RoundLine,
  RunLine,
} from '../model/record.ts';
import type { Topology } from '../model/topology.ts';

/**
 * Sorts a record for the KPIs. Rounds belong to a phase by their number, flow windows by their time, probes by their name, and
 * readings and injections by their place in the record: after the end of the phase before and before the end of this one.
 */
export function runView(run: RunLine, lines: readonly RecordLine[]): RunView {
  const rounds = new Map<number, RoundLine>();
  const probes: ProbeLine[] = [];
  const flows: FlowLine[] = [];
  const phases = new Map<string, PhaseView>();
  let counters: CountersLine[] = [];
  let began: FaultLine[] = [];
  let before: PhaseView | undefined;

  for (const line of lines) {
    if (line.kind === 'round' && !rounds.has(line.round)) rounds.set(line.round, line);
    else if (line.kind === 'probe') probes.push(line);
    else if (line.kind === 'flow' && !line.background) flows.push(line);
  }
  const ordered = [...rounds.values()].toSorted((a, b) => a.round - b.round);
  for (const line of lines) {
    if (line.kind === 'counters') counters.push(line);
    else if (line.kind === 'fault') began.push(line);
    else if (line.kind === 'phase' && !phases.has(line.name)) {
      const phase: PhaseView = {
        line,
        faults: faultsOf(run, line.name),
        began: began.toSorted((a, b) => a.injectedNs - b.injectedNs),
        rounds: ordered.filter(round => isOf(round, line)),
        counters,
        probes: probes.filter(probe => probe.phase === line.name),
        flows: flows.filter(({ atNs, windowNs }) => atNs - windowNs >= line.beginNs && atNs <= line.endNs),
        before,
      };
      phases.set(line.name, phase);
      [counters, began, before] = [[], [], phase];
    }
  }
  const reading = run.world === 'sim' ? 'exact' : run.trainPackets === null ? 'real' : 'virtual';
  return {
    plan: run.plan,
    reading,
    clockBoundNs: reading === 'real' ? clockBounds(lines) : () => 0,
    trainPackets: Object.values(run.granularity ?? {}).includes('flow') ? 0 : run.trainPackets,
    granularity: name => (run.granularity && Object.hasOwn(run.granularity, name) ? run.granularity[name] : undefined),
    phase: name => phases.get(name),
    busbwRoofline: remembered(phase => roofline(run.plan.load, run.plan.topology as Topology, faultsOf(run, phase))),
    goodputRoofline: remembered(phase =>
      goodputRoofline(run.plan.load, run.plan.topology as Topology, faultsOf(run, phase)),
    ),
  };
}

/** Bounds of real clocks. A simulator's devices share one virtual clock, which drivers read to the nanosecond. */
function clockBounds(lines: readonly RecordLine[]): RunView['clockBoundNs'] {
  const clocks = clocksOf(lines);
  return (node, atNs) => clocks(node, atNs)?.boundNs;
}

export const faultsOf = ({ plan }: RunLine, phase: string): readonly Fault[] =>
  Object.hasOwn(plan.phases, phase) ? (plan.phases[phase]?.faults ?? []) : [];

/** A work phase has the rounds that it asked for by number; a time phase those that lie in it whole. */
const isOf = ({ round, beginNs, endNs }: RoundLine, { rounds, ...phase }: PhaseLine): boolean =>
  rounds
    ? round >= rounds.first && round < rounds.first + Math.min(rounds.asked, rounds.done)
    : beginNs >= phase.beginNs && endNs <= phase.endNs;

/** A roofline walks the whole topology: each phase's is computed once. */
function remembered(compute: (phase: string) => number | undefined): (phase: string) => number | undefined {
  const known = new Map<string, number | undefined>();
  return phase => {
    if (!known.has(phase)) known.set(phase, compute(phase));
    return known.get(phase);
  };
}
