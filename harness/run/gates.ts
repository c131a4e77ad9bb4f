import { KPIS } from '../checks/kpis.ts';
import { lacksRounds, type RunView } from '../checks/run-view.ts';
import { faultRulesOf } from '../faults/fault-rules.ts';
import { goodputRoofline, hasRounds, roofline } from '../loads/roofline.ts';
import type { CountersLine, FaultLine, RecordLine, RoundLine, RunLine } from '../model/record.ts';
import { magnitude, print } from '../model/units.ts';
import type { CheckVerdict, GateVerdict } from '../model/verdict.ts';
import { LEAST_COVERAGE } from './limits.ts';
import { faultsOf } from './run-view.ts';
import { disagreements } from './two-witnesses.ts';

interface Evidence {
  readonly run: RunLine;
  readonly lines: readonly RecordLine[];
  readonly view: RunView;
}

/** Everything that must hold before a verdict on the product is worth anything. Pure, from the record. */
export function gatesOf(evidence: Evidence, checks: readonly CheckVerdict[]): readonly GateVerdict[] {
  return [
    loadGate(evidence),
    ...backgroundGates(evidence),
    ...faultGates(evidence),
    ...deadlineGates(evidence),
    coverageGate(evidence, checks),
    ...witnessGates(evidence, checks),
  ];
}

const OFFERED = '95 %';

/** No fabric is this much faster than its roofline. Wide, to catch wrong units and nonsense only, not a roofline that is a little low. */
const BEYOND_PHYSICS = 2;

/**
 * Was the load real? Judged on what precedes the first fault only: after it a dead rank or a stalled round is what the product did.
 * Wrong results are no matter of before or after: data was corrupted, and that fails.
 */
function loadGate({ run, lines, view }: Evidence): GateVerdict {
  const title = 'the load was real';
  const gate = (outcome: GateVerdict['outcome'], reason: string): GateVerdict => ({
    gate: 'load',
    outcome,
    title,
    reason,
  });
  const faults = lines.filter(line => line.kind === 'fault');
  const untilNs = faults.reduce((first, { injectedNs }) => Math.min(first, injectedNs), Number.POSITIVE_INFINITY);
  const until = faults.length > 0 ? 'before the first fault' : 'in the run';
  const rounds = lines.filter(line => line.kind === 'round');

  const wrong = rounds.find(round => (round.wrong ?? 0) > 0);
  if (wrong) return gate('fail', `round ${wrong.round} had ${wrong.wrong} wrong results: data was corrupted`);
  const throttled = lines.find(
    line => line.kind === 'event' && line.atNs <= untilNs && line.what.startsWith('throttled'),
  );
  if (throttled?.kind === 'event') return gate('invalid', `${throttled.node} ${throttled.what} ${until}`);

  const offered = magnitude(run.plan.offered ?? OFFERED);
  const poor = probesBefore(view, untilNs).find(
    ({ packetsPerSecond, beginNs, endNs, sent, undecided = 0 }) =>
      sent + undecided < offered * packetsPerSecond * ((endNs - beginNs) / 1e9) - 1,
  );
  if (poor) {
    const planned = Math.round(poor.packetsPerSecond * ((poor.endNs - poor.beginNs) / 1e9));
    return gate(
      'invalid',
      `the probe over ${poor.span} ${poor.direction} sent ${poor.sent} of ${planned} packets ${until}, less than ${print(offered, 'share')}`,
    );
  }
  if (!hasRounds(run.plan.load)) {
    const flowing = lines.filter(
      line => line.kind === 'flow' && !line.background && line.atNs <= untilNs && line.rateBps > 0,
    );
    return flowing.length > 0
      ? gate('pass', `flows delivered data ${until}`)
      : gate('invalid', `no flow delivered anything ${until}`);
  }
  const roof = roofline(run.plan.load, run.plan.topology, []);
  const absurd = roof === undefined ? undefined : rounds.find(({ busbwBps }) => busbwBps > BEYOND_PHYSICS * roof);
  if (absurd && roof !== undefined) {
    const said = `round ${absurd.round} is said to have had ${print(absurd.busbwBps, 'rate')}`;
    return gate(
      'invalid',
      `${said}, where the topology allows ${print(roof, 'rate')}: the reading is wrong, or the lab is another`,
    );
  }
  const finished = rounds.filter(round => round.endNs <= untilNs && round.busbwBps > 0);
  if (finished.length === 0) return gate('invalid', `no round of the load finished ${until}`);
  return gate(
    'pass',
    `${finished.length} ${finished.length === 1 ? 'round' : 'rounds'} finished ${until}, ${checkedWords(rounds)}`,
  );
}

/** Was what the plan puts beside the load there? Any of it before the first fault is enough: how much a congested fabric delivers is the product's. */
function backgroundGates({ run, lines }: Evidence): readonly GateVerdict[] {
  const loads = run.plan.background ?? [];
  if (loads.length === 0) return [];
  const untilNs = lines.reduce(
    (first, line) => (line.kind === 'fault' ? Math.min(first, line.injectedNs) : first),
    Number.POSITIVE_INFINITY,
  );
  const windows = new Map<number, { ns: number; bits: number }>();
  for (const line of lines) {
    if (line.kind !== 'flow' || !line.background || line.atNs > untilNs) continue;
    const window = windows.get(line.atNs) ?? { ns: line.windowNs, bits: 0 };
    window.bits += (line.rateBps * line.windowNs) / 1e9;
    windows.set(line.atNs, window);
  }
  const total = [...windows.values()].reduce((sum, { ns, bits }) => ({ ns: sum.ns + ns, bits: sum.bits + bits }), {
    ns: 0,
    bits: 0,
  });
  const title = 'the background load was real';
  if (!(total.bits > 0))
    return [
      { gate: 'load', outcome: 'invalid', title, reason: 'no flow of it delivered anything before the first fault' },
    ];
  const most = loads.reduce((sum, load) => sum + (goodputRoofline(load, run.plan.topology) ?? Number.NaN), 0);
  const offered = Number.isFinite(most) ? `, of at most ${print(most, 'rate')}` : '';
  return [
    {
      gate: 'load',
      outcome: 'pass',
      title,
      reason: `its flows delivered ${print((total.bits * 1e9) / total.ns, 'rate')} before the first fault${offered}`,
    },
  ];
}

/** What is known of the results: a tool that did not check has not found them right. */
function checkedWords(rounds: readonly RoundLine[]): string {
  const unchecked = rounds.filter(({ wrong }) => wrong === null).length;
  if (unchecked === 0) return 'none with wrong results';
  return unchecked === rounds.length
    ? 'their results were not checked'
    : `none with wrong results, ${unchecked} of ${rounds.length} not checked`;
}

const probesBefore = (view: RunView, untilNs: number) =>
  Object.keys(view.plan.phases).flatMap(name => view.phase(name)?.probes.filter(probe => probe.endNs <= untilNs) ?? []);

/** Was each fault real? One gate for each that was injected, and one for each that was planned in a phase and never injected. */
function faultGates(evidence: Evidence): readonly GateVerdict[] {
  const { run, lines, view } = evidence;
  const injected = lines.filter(line => line.kind === 'fault');
  const planned = new Map(
    Object.keys(run.plan.phases).flatMap(name =>
      view.phase(name) ? faultsOf(run, name).map(fault => [JSON.stringify(fault), fault] as const) : [],
    ),
  );
  for (const { fault } of injected) planned.delete(JSON.stringify(fault));
  const never = [...planned.values()].map((fault): GateVerdict => {
    const title = `${faultRulesOf(fault).describe(fault)} was real`;
    return { gate: 'fault', outcome: 'invalid', title, reason: 'it was planned and never injected' };
  });
  return [...injected.map(line => faultGate(line, evidence)), ...never];
}

function faultGate(line: FaultLine, { run, lines, view }: Evidence): GateVerdict {
  const rules = faultRulesOf(line.fault);
  const key = JSON.stringify(line.fault);
  const from = lines.indexOf(line);
  const healed = lines.findIndex((other, i) => i > from && other.kind === 'heal' && other.fault === line.id);
  const during = healed < 0 ? lines.slice(from) : lines.slice(from, healed);
  const baseline = new Map<string, CountersLine>();
  for (const other of lines.slice(0, from)) if (other.kind === 'counters') baseline.set(other.node, other);
  const phases = Object.keys(run.plan.phases).filter(name =>
    faultsOf(run, name).some(fault => JSON.stringify(fault) === key),
  );
  const { real, reason } = rules.evidence(line.fault, {
    effects: lines.filter(other => other.kind === 'effect').filter(effect => effect.fault === line.id),
    probes: phases.flatMap(name => view.phase(name)?.probes ?? []),
    counters: during.filter(other => other.kind === 'counters'),
    baseline: [...baseline.values()],
  });
  return {
    gate: 'fault',
    outcome: real === true ? 'pass' : 'invalid',
    title: `${rules.describe(line.fault)} was real`,
    reason,
  };
}

/** Did every work phase do its work in time? A job that hangs is the product's failure, wherever it hangs. */
function deadlineGates({ lines }: Evidence): readonly GateVerdict[] {
  const phases = lines.filter(line => line.kind === 'phase');
  const title = 'every round finished in time';
  const stalled = phases.flatMap(({ name, ended, rounds, deadlineNs, beginNs, endNs }): readonly GateVerdict[] => {
    if (ended !== 'deadline') return [];
    const where = rounds ? `round ${rounds.done + 1} of ${rounds.asked}` : 'its work';
    const after = print(deadlineNs ?? endNs - beginNs, 'duration');
    return [
      {
        gate: 'deadline',
        outcome: 'fail',
        title,
        reason: `job stalled in ${where} of phase ${name}: not done at its deadline after ${after}`,
      },
    ];
  });
  if (stalled.length > 0) return stalled;
  const work = phases.filter(({ ended }) => ended === 'work').length;
  return work > 0
    ? [
        {
          gate: 'deadline',
          outcome: 'pass',
          title,
          reason: `${work} work ${work === 1 ? 'phase' : 'phases'} did all rounds before the deadline`,
        },
      ]
    : [];
}

/** Was enough seen? Every planned phase was played, no round is lost, and every limit that decides has 95 % of its samples. */
function coverageGate({ run, view }: Evidence, checks: readonly CheckVerdict[]): GateVerdict {
  const title = 'enough was seen';
  const unplayed = Object.keys(run.plan.phases).filter(name => !view.phase(name));
  if (unplayed.length > 0)
    return { gate: 'coverage', outcome: 'inconclusive', title, reason: `not played: ${unplayed.join(', ')}` };
  const torn = Object.keys(run.plan.phases).filter(name => lacksRounds(view.phase(name)));
  if (torn.length > 0)
    return {
      gate: 'coverage',
      outcome: 'inconclusive',
      title,
      reason: `rounds were done and are not in the record: ${torn.join(', ')}`,
    };
  const thin = checks.filter(
    ({ outcome, kind, samples, expectedSamples }) =>
      outcome === 'inconclusive' &&
      kind === 'mandatory' &&
      expectedSamples !== undefined &&
      samples / expectedSamples < LEAST_COVERAGE,
  );
  if (thin.length === 0)
    return { gate: 'coverage', outcome: 'pass', title, reason: 'every limit has at least 95 % of its samples' };
  const words = thin
    .slice(0, 3)
    .map(({ kpi, phase, samples, expectedSamples }) => `${kpi} during ${phase} ${samples} of ${expectedSamples}`);
  return {
    gate: 'coverage',
    outcome: 'inconclusive',
    title,
    reason: `samples are missing: ${words.join(', ')}${thin.length > 3 ? ' and more' : ''}`,
  };
}

/**
 * Do the counters of both ends of each link agree? A disagreement is told wherever it is; it decides only where an expectation that decides
 * rests on counters of that phase. No gate where no link has two witnesses.
 */
function witnessGates({ run, view }: Evidence, checks: readonly CheckVerdict[]): readonly GateVerdict[] {
  const title = 'both ends of each link count the same';
  const phases = Object.keys(run.plan.phases).map(name => ({ name, ...disagreements(view, name) }));
  const compared = phases.reduce((sum, phase) => sum + phase.compared, 0);
  if (compared === 0) return [];
  const apart = phases.flatMap(({ name, apart: found }) => found.map(words => ({ name, words })));
  if (apart.length === 0)
    return [{ gate: 'witness', outcome: 'pass', title, reason: `${compared} counts were compared, and none is apart` }];
  const resting = new Set(
    checks
      .filter(({ kpi, kind }) => KPIS.get(kpi)?.fromCounters && (kind === 'mandatory' || kind === 'conditional'))
      .map(({ phase }) => phase),
  );
  // The phases that an expectation rests on come first: they decide.
  const ordered = apart.toSorted((a, b) => Number(resting.has(b.name)) - Number(resting.has(a.name)));
  const told = ordered.slice(0, 3).map(({ name, words }) => `${words} in ${name}`);
  const reason = `${told.join('; ')}${apart.length > 3 ? `; and ${apart.length - 3} more` : ''}`;
  return apart.some(({ name }) => resting.has(name))
    ? [{ gate: 'witness', outcome: 'inconclusive', title, reason }]
    : [{ gate: 'witness', outcome: 'pass', title, reason: `${reason}. No expectation that decides rests on them` }];
}
