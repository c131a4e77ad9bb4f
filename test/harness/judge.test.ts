import fc from 'fast-check';
import t from 'tap';
import { busbw } from '../../harness/checks/busbw.ts';
import { convergence } from '../../harness/checks/convergence.ts';
import { jct } from '../../harness/checks/jct.ts';
import { jobRecovery } from '../../harness/checks/job-recovery.ts';
import { loss } from '../../harness/checks/loss.ts';
import { probeLoss } from '../../harness/checks/probe-loss.ts';
import { queuePeak } from '../../harness/checks/queue-peak.ts';
import { spec } from '../../harness/checks/spec.ts';
import type { Check, Profile } from '../../harness/model/check.ts';
import type { RecordLine, RunLine } from '../../harness/model/record.ts';
import { OUTCOMES, type Outcome } from '../../harness/model/verdict.ts';
import { decide } from '../../harness/run/decision.ts';
import { judge } from '../../harness/run/judge.ts';
import { ProfileError, readProfile } from '../../harness/run/profile.ts';
import { handMadeRun, type HandMadeRun } from './hand-made-run.ts';

const replay = 'npx farspan run --seed 7';
const judged = (expect: readonly Check[], run: Omit<HandMadeRun, 'expect'> = {}) =>
  judge(handMadeRun({ ...run, expect }), { replay });
const one = (check: Check, run: Omit<HandMadeRun, 'expect'> = {}) => judged([check], run).checks[0];
const without = (lines: readonly RecordLine[], drop: (line: RecordLine) => boolean) =>
  lines.filter(line => !drop(line));
const MS = 1e6;

const GOOD = [
  busbw.during('steady').atLeast('90 % of roofline'),
  convergence.during('northCut').atMost('50 ms'),
  jobRecovery.during('northCut').atMost('20 ms'),
  busbw.during('restored').atLeast('99 % of steady'),
];
// A ring of four on 100 Gb/s NICs: 9.392 ms a round, 85.7 Gb/s (see checks.test.ts); 80 of them are 93 %.
const BUSY = { steady: [80, 80, 80, 80, 80], northCut: [80, 80, 80, 80, 80], restored: [80, 80, 80, 80, 80] };

void t.test('a run that meets its limits passes, with everything a reader needs', async t => {
  const verdict = judged(GOOD, BUSY);
  t.equal(verdict.outcome, 'pass', verdict.reason);
  t.equal(verdict.reason, '4 of 4 expectations met');
  t.same(verdict.cleanliness, { injected: 1, healed: 1, verified: 1, dirty: [] });
  t.match(verdict, { seed: 7, replay });
  t.same(
    verdict.gates.map(({ gate, outcome }) => [gate, outcome]),
    [
      ['load', 'pass'],
      ['fault', 'pass'],
      ['deadline', 'pass'],
      ['coverage', 'pass'],
    ],
  );
  t.match(verdict.checks[0], {
    title: 'busbw during steady at least 90 % of roofline',
    comparison: 'at least',
    reason: /^expected at least 77\.\d+ Gb\/s \(90 % of roofline 85\.\d+ Gb\/s\), median of 5 samples was 80 Gb\/s$/,
    statistic: 'median',
    samples: 5,
    expectedSamples: 5,
    value: 80e9,
    uncertainty: 0,
    kind: 'mandatory',
  });
  t.match(verdict.checks[3], { limit: 79.2e9, reason: /79\.2 Gb\/s \(99 % of steady, which reached 80 Gb\/s\)/ });
  t.same(judged(GOOD, BUSY), verdict, 'the same record gives the same verdict');
  t.same(JSON.parse(JSON.stringify(verdict)), verdict, 'the verdict survives JSON');
});

void t.test('a limit that is not met fails with expected, measured and statistic', async t => {
  t.match(judged([busbw.during('steady').atLeast('90 Gb/s')], { steady: [96, 71, 71.3, 60, 96] }), {
    outcome: 'fail',
    reason: 'busbw during steady at least 90 Gb/s: expected at least 90 Gb/s, median of 5 samples was 71.3 Gb/s',
  });
  t.match(one(busbw.worst.during('steady').atLeast('70 Gb/s'), { steady: [96, 71, 71.3, 60, 96] }), {
    outcome: 'fail',
    title: 'worst busbw during steady at least 70 Gb/s',
    value: 60e9,
  });
  t.match(one(convergence.during('northCut').atMost('11 ms'), { lost: [240, 0, 0, 0] }), {
    outcome: 'fail',
    value: 12 * MS,
    limit: 11 * MS,
  });
  t.match(one(busbw.during('steady').within('95 Gb/s', '97 Gb/s')), { outcome: 'pass', limit: 95e9, upperLimit: 97e9 });
  t.match(one(busbw.during('steady').within('90 Gb/s', '95 Gb/s')), {
    outcome: 'fail',
    reason: /at least 90 Gb\/s and at most 95 Gb\/s/,
  });
  t.match(one(busbw.during('steady').atLeast('96 Gb/s')), { outcome: 'pass' }, 'the limit itself is met');
  t.match(one(jct.during('northCut').atMost('100 % of steady')), { outcome: 'pass', limit: 10 * MS });
});

void t.test('results that no tool checked are not said to be right', async t => {
  const lines = handMadeRun({ ...BUSY, expect: GOOD });
  const unchecked = lines.map(line => (line.kind === 'round' ? { ...line, wrong: null } : line));
  const loadOf = (of: readonly RecordLine[]) => judge(of, { replay }).gates.find(({ gate }) => gate === 'load')?.reason;
  t.match(loadOf(lines), /none with wrong results$/);
  t.match(loadOf(unchecked), /their results were not checked$/);
});

void t.test('one probe flow that stays out fails, however well the others converged', async t => {
  const limit = convergence.during('northCut').atMost('20 ms');
  t.match(one(limit, { lost: [1000, 220, 0, 0] }), {
    outcome: 'fail',
    value: 50 * MS,
    reason: /^expected at most 20 ms, took longer than 50 ms: nothing came through .*: north a-to-b$/,
  });
  t.match(
    one(convergence.during('northCut').atMost('60 ms'), { lost: [1000, 220, 0, 0] }),
    { outcome: 'inconclusive' },
    'a limit beyond what was waited for is not decided',
  );
  // 600 of 1,000 are known to be lost (30 ms), 400 were on the fibre at the end: 40 ms may be met or not.
  const long = handMadeRun({ expect: [convergence.during('northCut').atMost('40 ms')], lost: [600, 220, 0, 0] });
  const undecided = long.map(line =>
    line.kind === 'probe' && line.phase === 'northCut' ? { ...line, undecided: 400 } : line,
  );
  t.match(judge(undecided, { replay }).checks[0], { outcome: 'inconclusive' }, 'what is not decided is not lost');
});

void t.test('a job that does not come back fails, and says where it stalled', async t => {
  const verdict = judged(GOOD, { ...BUSY, northCut: [1, 1] });
  t.equal(verdict.outcome, 'fail');
  t.match(
    verdict.reason,
    /^every round finished in time: job stalled in round 3 of 5 of phase northCut: not done at its deadline after 1 s$/,
  );
  t.match(verdict.checks[2], {
    outcome: 'fail',
    reason: /^expected at most 20 ms, took longer than 50 ms: no round of northCut was back/,
    value: 50 * MS,
    samples: 0,
  });
  t.match(
    one(busbw.during('northCut').atLeast('1 Gb/s'), { northCut: [96, 96] }),
    { outcome: 'fail', value: 0 },
    'unfinished rounds are 0 b/s',
  );
  t.match(
    one(jobRecovery.during('northCut').atMost('60 ms'), { northCut: [1, 1, 1, 1, 1] }),
    { outcome: 'inconclusive', reason: /longer than 50 ms/ },
    'the limit is further off than what was seen',
  );
  // The conductor ends a run that stalled: later phases were not played.
  const cutShort = without(
    handMadeRun({ expect: GOOD, ...BUSY, northCut: [] }),
    line => (line.kind === 'phase' && line.name === 'restored') || (line.kind === 'round' && line.round >= 10),
  );
  const stalled = judge(cutShort, { replay });
  t.match(stalled, { outcome: 'fail', reason: /stalled in round 1 of 5 of phase northCut/ });
  t.match(stalled.gates.at(-1), { outcome: 'inconclusive', reason: 'not played: restored' });
  t.match(stalled.checks[3], { outcome: 'inconclusive', reason: /phase restored was not played/ });
});

void t.test('a load that was not real makes the run invalid, but only before the first fault', async t => {
  const load = (
    change: (lines: RecordLine[]) => RecordLine[],
    expect: readonly Check[] = [convergence.during('northCut').atMost('50 ms')],
  ) => {
    const verdict = judge(change(handMadeRun({ expect })), { replay });
    return { outcome: verdict.outcome, reason: verdict.gates[0]?.reason ?? '', gate: verdict.gates[0]?.outcome };
  };
  const event = (atNs: number): RecordLine => ({
    kind: 'event',
    atNs,
    node: 'a-host-1',
    what: 'throttled: HW Thermal Slowdown',
  });
  t.match(
    load(lines => [...lines.slice(0, 1), event(10 * MS), ...lines.slice(1)]),
    { outcome: 'invalid', reason: 'a-host-1 throttled: HW Thermal Slowdown before the first fault' },
  );
  t.match(
    load(lines => [...lines, event(60 * MS)]),
    { gate: 'pass' },
    'throttled after the fault',
  );
  const dead = (lines: RecordLine[]) =>
    lines.map(line => (line.kind === 'round' && line.round < 5 ? { ...line, busbwBps: 0 } : line));
  t.match(load(dead), { outcome: 'invalid', reason: 'no round of the load finished before the first fault' });
  const wrong = (at: number) => (lines: RecordLine[]) =>
    lines.map(line => (line.kind === 'round' && line.round === at ? { ...line, wrong: 3 } : line));
  t.match(load(wrong(2)), { outcome: 'fail', reason: 'round 2 had 3 wrong results: data was corrupted' });
  t.match(load(wrong(12)), { outcome: 'fail' }, 'corrupted data fails after the fault as well');
  const unchecked = (lines: RecordLine[]) =>
    lines.map(line => (line.kind === 'round' ? { ...line, wrong: null } : line));
  t.match(load(unchecked), { outcome: 'pass' }, 'a tool that does not check is not wrong');
  const thin = (phase: string) => (lines: RecordLine[]) =>
    lines.map(line => (line.kind === 'probe' && line.phase === phase ? { ...line, sent: 900, received: 900 } : line));
  t.match(load(thin('steady')), {
    outcome: 'invalid',
    reason: 'the probe over north a-to-b sent 900 of 1000 packets before the first fault, less than 95 %',
  });
  t.match(load(thin('northCut')), { outcome: 'inconclusive', gate: 'pass' }, 'what was not sent could not be lost');
  const huge = (lines: RecordLine[]) =>
    lines.map(line => (line.kind === 'round' && line.round === 3 ? { ...line, busbwBps: 8 * 96e9 } : line));
  t.match(load(huge), { outcome: 'invalid', reason: /^round 3 .* 768 Gb\/s, where the topology allows 85\.\d+ Gb\/s/ });
});

void t.test('a job that falls silent in a time phase passes nothing by its first rounds', async t => {
  // The fault lasts 500 ms, and the job ends one round of 10 ms in it: 49 more would have had time.
  const lines = handMadeRun({
    expect: [busbw.during('northCut').atLeast('50 % of roofline')],
    ...BUSY,
    northCut: [80],
  });
  const silent = lines.flatMap((line): RecordLine[] => {
    if (line.kind === 'run') {
      const northCut = { ...line.plan.phases['northCut'], for: '500 ms' as const };
      const { restored: _, ...phases } = line.plan.phases;
      return [{ ...line, plan: { ...line.plan, phases: { ...phases, northCut } } }];
    }
    if (line.kind === 'round' && line.round > 5) return [];
    if (line.kind !== 'phase' || line.name === 'steady')
      return line.kind === 'phase' && line.name === 'restored' ? [] : [line];
    const { rounds: _, deadlineNs: __, ...phase } = line;
    return line.name === 'restored' ? [] : [{ ...phase, endNs: 550 * MS, ended: 'time' }];
  });
  const verdict = judge(silent, { replay });
  t.equal(verdict.outcome, 'inconclusive', verdict.reason);
  t.match(verdict.checks[0], { samples: 1, expectedSamples: 50, outcome: 'inconclusive' });
});

void t.test('a fault that was not real makes the run invalid', async t => {
  t.match(judged(GOOD, { ...BUSY, real: false }), {
    outcome: 'invalid',
    reason: 'cut of span north was real: ports of both ends saw: down, down',
  });
  t.match(judged(GOOD, { ...BUSY, real: null }), {
    outcome: 'invalid',
    reason: /nothing shows that span north lost its light; ports of both ends: down, down/,
  });
  const never = without(
    handMadeRun({ expect: [busbw.during('steady').atLeast('1 Gb/s')] }),
    line => line.kind === 'fault' || line.kind === 'heal' || line.kind === 'effect',
  );
  t.match(judge(never, { replay }), { outcome: 'invalid', reason: /planned and never injected/ });
});

void t.test('the decision rule is data: simple, or guarded after ILAC-G8', async t => {
  const guarded = (margin: number, uncertainty: number | undefined = 5) =>
    decide(margin, { rule: 'guarded', uncertainty });
  t.same(
    [5, 4, 0, -1, -5, -6].map(margin => guarded(margin).band),
    ['pass', 'conditional pass', 'conditional pass', 'conditional fail', 'conditional fail', 'fail'],
  );
  t.same(
    [5, 4, -5, -6].map(margin => guarded(margin).outcome),
    ['pass', 'inconclusive', 'inconclusive', 'fail'],
  );
  t.same(decide(1, { rule: 'guarded', uncertainty: undefined }), { outcome: 'inconclusive' });
  t.same(
    [0, -1].map(margin => decide(margin, { rule: 'simple', uncertainty: undefined }).outcome),
    ['pass', 'fail'],
  );
  t.same(
    [0, -1].map(margin => guarded(margin, 0).outcome),
    ['pass', 'fail'],
    'nothing to guard when U is 0',
  );

  // Emulated devices print 0.01 GB/s: U = 0.04 Gb/s.
  const measuredBy = { world: 'emulated', trainPackets: 8, decision: 'guarded' as const };
  t.match(one(busbw.during('steady').atLeast('95.97 Gb/s'), measuredBy), {
    outcome: 'inconclusive',
    band: 'conditional pass',
    reason: /96 Gb\/s ± 40 Mb\/s: conditional pass, closer to the limit than U = 40 Mb\/s/,
  });
  t.match(one(busbw.during('steady').atLeast('95.9 Gb/s'), measuredBy), { outcome: 'pass', band: 'pass' });
  t.match(one(busbw.during('steady').atLeast('96.1 Gb/s'), measuredBy), { outcome: 'fail', band: 'fail' });
  t.match(one(busbw.during('steady').atLeast('95.9 Gb/s'), { decision: 'guarded', trainPackets: 8 }), {
    outcome: 'inconclusive',
    reason: /uncertainty is not known, so the guarded rule can not decide/,
  });
  // Real devices: what had not happened after 50 ms is known to 5 ms of each of two clocks, and some us.
  const unread = { world: 'lab', trainPackets: null, decision: 'guarded' as const, northCut: [10, 10, 10, 10, 10] };
  t.match(
    one(jobRecovery.during('northCut').atMost('39 ms'), unread),
    { outcome: 'inconclusive', reason: /\(U not known\)/ },
    'nobody read the clocks',
  );
  const never = { ...unread, clockBoundNs: 5e6 };
  t.match(one(jobRecovery.during('northCut').atMost('49 ms'), never), {
    outcome: 'inconclusive',
    reason: /took longer than 50 ms \(U = 10\.0\d+ ms\), which does not tell/,
  });
  t.match(one(jobRecovery.during('northCut').atMost('39 ms'), never), { outcome: 'fail', value: 50e6 });
  t.match(one(jobRecovery.during('northCut').atMost('49 ms'), { ...never, decision: 'simple' }), { outcome: 'fail' });
  // 99 % of steady is itself known to 0.0396 Gb/s only: U = 0.0796 Gb/s, and 95.1 is 0.06 above 95.04.
  t.match(
    one(busbw.during('restored').atLeast('99 % of steady'), {
      ...measuredBy,
      restored: [95.1, 95.1, 95.1, 95.1, 95.1],
    }),
    { band: 'conditional pass' },
  );
  t.equal(
    judge(handMadeRun({ ...measuredBy, expect: [busbw.during('steady').atLeast('95.97 Gb/s')] }), {
      replay,
      decision: 'simple',
    }).outcome,
    'pass',
    'a stored run can be judged by another rule',
  );
});

void t.test('a profile holds no limit below zero and no number that is not decimal', async t => {
  for (const bound of ['-50 ms', '-1 % of roofline', '0x10 ms', '1e400 s', '']) {
    const text = `name: p\nlimits:\n  x: { bound: '${bound}', kind: mandatory, source: s }\n`;
    t.throws(() => readProfile(text, 'p.yaml'), { name: 'ProfileError', message: /p\.yaml:3/ }, bound);
  }
});

void t.test('limits by name come from a profile, with kind and source', async t => {
  const profile = (
    kind: Profile['limits'][string]['kind'],
    bound: Profile['limits'][string]['bound'] = '99 Gb/s',
  ): Profile => ({ name: 'ours', limits: { 'steady.busbw': { bound, kind, source: 'us, 2026' } } });
  const expect = [busbw.during('steady').atLeast(spec('steady.busbw')), busbw.during('steady').atLeast('1 Gb/s')];
  t.match(judged(expect, { profile: profile('mandatory') }), {
    outcome: 'fail',
    reason: /^busbw during steady at least spec steady.busbw: expected at least 99 Gb\/s/,
  });
  t.match(judged(expect, { profile: profile('mandatory') }).checks[0], { source: 'us, 2026', kind: 'mandatory' });
  for (const kind of ['optional', 'informative'] as const) {
    const verdict = judged(expect, { profile: profile(kind) });
    t.match(verdict, { outcome: 'pass', reason: '1 of 1 expectations met' }, `${kind} limits change nothing`);
    t.match(verdict.checks[0], { outcome: 'fail', kind }, 'but are shown');
  }
  t.match(judged([expect[0] as Check], { profile: profile('optional', '1 Gb/s') }), {
    outcome: 'inconclusive',
    reason: 'nothing was judged: no expectation decides',
  });
  t.equal(
    judged(expect, { profile: profile('conditional') }).outcome,
    'fail',
    'a conditional limit decides where it can be measured',
  );
  const drops = [loss.during('steady').atMost(spec('drops'))];
  const where = (kind: 'mandatory' | 'conditional'): Profile => ({
    name: 'ours',
    limits: { drops: { bound: '0 packets', kind, source: 'us' } },
  });
  t.equal(judged(drops, { profile: where('conditional') }).outcome, 'not run', 'and where it can not, was not run');
  t.equal(judged(drops, { profile: where('mandatory') }).outcome, 'inconclusive');
  t.match(judged(expect), {
    outcome: 'inconclusive',
    reason: /limit steady.busbw is not known: no profile is in force/,
  });
  t.match(judged([busbw.during('steady').atLeast(spec('toString'))], { profile: profile('mandatory') }), {
    outcome: 'inconclusive',
    reason: /profile ours has steady.busbw/,
  });
  t.match(judged(expect, { profile: profile('mandatory', '5 ms') }), {
    outcome: 'inconclusive',
    reason: /"5 ms" is not a rate, which busbw is/,
  });
  t.equal(
    judge(handMadeRun({ expect, profile: profile('mandatory') }), { replay, profile: profile('mandatory', '90 Gb/s') })
      .outcome,
    'pass',
    'judged again by another profile',
  );
});

void t.test('what can not be compared is inconclusive, in words', async t => {
  t.match(one(busbw.during('steady').atLeast('90 % of nowhere' as '90 % of steady')), {
    outcome: 'inconclusive',
    reason: /nowhere has no busbw to compare with: phase nowhere was not played/,
  });
  t.match(one({ ...queuePeak.during('steady').atMost('1 B'), bound: '90 % of roofline' }), {
    reason: /queuePeak has no roofline/,
  });
  t.match(one({ ...busbw.during('steady').atLeast('1 b/s'), kpi: 'busbandwidth' }), {
    outcome: 'error',
    reason: /knows no KPI busbandwidth/,
  });
  const lines = handMadeRun({ expect: [busbw.during('steady').atLeast('90 % of roofline')] });
  const [run, ...rest] = lines as [RunLine, ...RecordLine[]];
  const islands: RunLine = { ...run, plan: { ...run.plan, topology: { ...run.plan.topology, spans: {} } } };
  t.match(judge([islands, ...rest], { replay }).checks[0], {
    outcome: 'inconclusive',
    reason:
      /^no path: during steady the topology is disconnected and the roofline does not exist; median of 5 samples was 96 Gb\/s$/,
  });
});

void t.test('a broken run is an error, a refused one not run, a dirty lab is said whatever the verdict', async t => {
  const lines = handMadeRun({ expect: GOOD, ...BUSY });
  const end = (change: Partial<Extract<RecordLine, { kind: 'end' }>>) =>
    judge(
      lines.map(line => (line.kind === 'end' ? { ...line, ...change } : line)),
      { replay },
    );
  t.match(judge([], { replay }), { outcome: 'error', reason: /no run line/ });
  t.match(judge(lines.slice(0, -1), { replay }), {
    outcome: 'error',
    reason: 'the record has no end: the run was killed or the harness broke',
  });
  t.match(end({ reason: 'error', detail: 'leaf-3: no route to host' }), {
    outcome: 'error',
    reason: 'leaf-3: no route to host',
  });
  const notRun = judge(
    [lines[0] as RecordLine, { kind: 'end', atNs: 0, reason: 'not run', detail: 'no span can be cut here' }],
    { replay },
  );
  t.match(notRun, { outcome: 'not run', reason: 'no span can be cut here', gates: [] });
  t.same(new Set(notRun.checks.map(({ outcome }) => outcome)), new Set(['not run']));

  t.match(end({ dirty: ['span-1: netem still there'] }), {
    outcome: 'pass',
    cleanliness: { dirty: ['span-1: netem still there'] },
  });
  const unhealed = without(lines, line => line.kind === 'heal');
  t.match(judge(unhealed, { replay }).cleanliness, {
    injected: 1,
    healed: 0,
    verified: 0,
    dirty: ['1-span-cut was never healed'],
  });
  const unverified = lines.map(line =>
    line.kind === 'heal'
      ? { ...line, verified: false, observed: 'light off', manual: 'ip link set dev eth1 up' }
      : line,
  );
  t.match(judge(unverified, { replay, cleanliness: { dirty: ['leaf-1'] } }).cleanliness, {
    healed: 1,
    verified: 0,
    dirty: ['1-span-cut: expected light on, found light off. Type: ip link set dev eth1 up', 'leaf-1'],
  });
});

void t.test('a verdict only worsens, and missing is never a pass', async t => {
  const rank = (outcome: Outcome) => OUTCOMES.indexOf(outcome);
  const rates = fc.array(fc.integer({ min: 0, max: 98 }), { minLength: 5, maxLength: 5 });
  const limit = fc.integer({ min: 1, max: 98 });
  const checks = fc
    .tuple(
      limit,
      limit,
      limit,
      fc.integer({ min: 1, max: 60 }),
      fc.constantFrom('median', 'mean', 'worst', 'best', 'p5', 'p95'),
    )
    .map(([a, b, c, d, statistic]): readonly Check[] => [
      { ...busbw.during('steady').atLeast(`${a} Gb/s`), statistic } as Check,
      busbw.during('restored').atLeast(`${b} % of steady`),
      busbw.during('northCut').within('0 b/s', `${c} Gb/s`),
      jobRecovery.during('northCut').atMost(`${d} ms`),
      convergence.during('northCut').atMost(`${d} ms`),
      probeLoss.during('northCut').atMost(`${d} %`),
      queuePeak.during('northCut').atMost(`${d} KiB`),
    ]);
  const runs = fc.record({
    expect: fc
      .tuple(checks, fc.subarray([0, 1, 2, 3, 4, 5, 6], { minLength: 1 }))
      .map(([all, some]) => some.map(i => all[i] as Check)),
    steady: rates,
    northCut: rates,
    restored: rates,
    lost: fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 4, maxLength: 4 }),
    real: fc.constantFrom(true, true, true, false, null),
    decision: fc.constantFrom('simple' as const, 'guarded' as const),
    world: fc.constantFrom('sim', 'emulated'),
    counters: fc
      .integer({ min: 0, max: 60 })
      .map(kib => [{ queuePeakBytes: 0 }, { queuePeakBytes: kib * 1024 }] as const),
  });
  let passes = 0;
  fc.assert(
    fc.property(runs, fc.nat(), (run, at) => {
      const before = judge(handMadeRun(run), { replay });
      if (before.outcome === 'pass') passes++;
      const impossible = busbw.during('steady').atLeast('1 Tb/s');
      const more = judge(
        handMadeRun({ ...run, expect: run.expect.toSpliced(at % (run.expect.length + 1), 0, impossible) }),
        { replay },
      );
      return rank(more.outcome) >= rank('fail') && rank(more.outcome) >= rank(before.outcome);
    }),
    { numRuns: 300 },
  );
  t.ok(passes > 10, `${passes} of the runs passed before`);

  let changed = 0;
  fc.assert(
    fc.property(runs, fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), (run, at) => {
      const lines = handMadeRun(run);
      const samples = lines.flatMap((line, i) =>
        line.kind === 'round' || line.kind === 'probe' || line.kind === 'counters' ? [i] : [],
      );
      const gone = new Set(at.map(n => samples[n % samples.length]));
      const [before, after] = [
        judge(lines, { replay }),
        judge(
          lines.filter((_, i) => !gone.has(i)),
          { replay },
        ),
      ];
      if (after.outcome !== before.outcome) changed++;
      return before.outcome === 'pass' || after.outcome !== 'pass';
    }),
    { numRuns: 500 },
  );
  t.ok(changed > 10, `${changed} verdicts changed when samples were taken away`);
});

void t.test('samples that are missing, but few, are taken as bad as they can be', async t => {
  // 40 rounds are asked for; one is lost, 97.5 % are there. Were it 0 b/s, the median would still hold and the worst would not.
  const [run] = handMadeRun({ expect: [] }) as [RunLine];
  const lines = (check: Check): RecordLine[] => [
    { ...run, plan: { ...run.plan, phases: { long: { for: '40 rounds' } }, expect: [check] } },
    ...Array.from(
      { length: 40 },
      (_, i): RecordLine => ({
        kind: 'round',
        round: i,
        beginNs: i * MS,
        endNs: (i + 1) * MS,
        busbwBps: i === 7 ? Number.NaN : 90e9,
        wrong: null,
      }),
    ),
    {
      kind: 'phase',
      name: 'long',
      beginNs: 0,
      endNs: 40 * MS,
      ended: 'work',
      rounds: { asked: 40, done: 40, first: 0 },
    },
    { kind: 'end', atNs: 40 * MS, reason: 'complete' },
  ];
  t.match(judge(lines(busbw.during('long').atLeast('80 Gb/s')), { replay }), { outcome: 'pass' });
  t.match(judge(lines(busbw.worst.during('long').atLeast('80 Gb/s')), { replay }), {
    outcome: 'inconclusive',
    reason: /what is missing could change that: 39 of 40 rounds/,
  });
  t.match(
    judge(lines(busbw.worst.during('long').atLeast('95 Gb/s')), { replay }),
    { outcome: 'fail' },
    'what was seen is bad enough',
  );
});

void t.test('a profile is read from YAML, and a mistake is shown with its place', async t => {
  const good = `name: two sites, 2026
limits:
  failover.convergence: { bound: 50 ms, kind: mandatory, source: "G.841" }
  steady.busbw:
    bound: 90 % of roofline
    upper: 100 % of roofline
    kind: informative
    source: BMWG AI fabric training draft, table of KPIs
`;
  t.same(readProfile(good, 'p.yaml'), {
    name: 'two sites, 2026',
    limits: {
      'failover.convergence': { bound: '50 ms', kind: 'mandatory', source: 'G.841' },
      'steady.busbw': {
        bound: '90 % of roofline',
        upper: '100 % of roofline',
        kind: 'informative',
        source: 'BMWG AI fabric training draft, table of KPIs',
      },
    },
  });
  const mistake = (text: string): string => {
    try {
      readProfile(text, 'p.yaml');
      return 'none';
    } catch (error) {
      t.type(error, ProfileError);
      return (error as ProfileError).message;
    }
  };
  t.equal(
    mistake(good.replace('upper:', 'uper:')),
    'p.yaml:6:5: limits.steady.busbw: unknown key uper. Known: bound, upper, kind, source.',
  );
  t.match(
    mistake(good.replace('50 ms', '50 msec')),
    /^p\.yaml:3:34: limits\.failover\.convergence\.bound: is no bound/,
  );
  t.match(
    mistake(good.replace('bound: 50 ms', 'bound: 50')),
    /^p\.yaml:3:34: limits\.failover\.convergence\.bound: write a quantity/,
  );
  t.equal(
    mistake(good.replace('kind: informative', 'kind: nice')),
    'p.yaml:7:11: limits.steady.busbw.kind: one of mandatory, conditional, optional, informative is needed.',
  );
  t.match(
    mistake(good.replace(', source: "G.841"', '')),
    /^p\.yaml:3:25: limits\.failover\.convergence\.source: is required/,
  );
  t.match(mistake(good.replace('name:', 'nam:')), /p\.yaml:1:1: the file: unknown key nam\. Known: name, limits\./);
  t.match(mistake('name: [a\nlimits: {}'), /^p\.yaml:\d+:\d+: /, 'YAML that does not parse');
  t.match(mistake('a: 1\na: 2'), /p\.yaml:2:1: Map keys must be unique/);
  t.match(mistake(''), /^p\.yaml:1:1: the file: /);
});
