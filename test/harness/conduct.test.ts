import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import simWorld from '../../emulators/fabric-sim/binding.ts';
import type { Binding } from '../../harness/binding/binding.ts';
import type { Until } from '../../harness/binding/clock.ts';
import type { Testbed } from '../../harness/binding/testbed.ts';
import type { CallSite } from '../../harness/model/call-site.ts';
import type { Fault } from '../../harness/model/fault.ts';
import { DEFAULT_FABRIC, HPCC_DCQCN_100G } from '../../harness/model/fabric-settings.ts';
import type { Phase, Plan } from '../../harness/model/plan.ts';
import type { RecordLine } from '../../harness/model/record.ts';
import { cable } from '../../harness/model/topology.ts';
import type {
  EcnSettings,
  FabricSettings,
  PfcSettings,
  Span,
  SwitchingSettings,
  Topology,
  TransportSettings,
} from '../../harness/model/topology.ts';
import type { Duration } from '../../harness/model/units.ts';
import { checkPlan, PlanError } from '../../harness/run/check-plan.ts';
import { conduct } from '../../harness/run/conduct.ts';
import type { Progress } from '../../harness/run/conduct.ts';
import { play } from '../../harness/run/play.ts';
import { replayLine } from '../../harness/run/replay-line.ts';
import { RunFolder } from '../../harness/run/run-folder.ts';

const where: CallSite = { file: 'scenarios/x.scenario.ts', line: 1, column: 1 };

const spanOf = (name: string, index: number): Span => ({
  kind: 'span',
  name,
  ends: [
    { node: 'a-leaf', port: `span${index}` },
    { node: 'b-leaf', port: `span${index}` },
  ],
  rate: '100 Gb/s',
  length: '80 km',
});
const north = spanOf('north', 1);
const south = spanOf('south', 2);

/** One host and one leaf at each end of two spans. */
const topology: Topology<'north' | 'south'> = {
  name: 'two-ends',
  sites: ['a', 'b'],
  hosts: [
    { kind: 'host', name: 'a-host', site: 'a' },
    { kind: 'host', name: 'b-host', site: 'b' },
  ],
  switches: [
    { kind: 'switch', name: 'a-leaf', site: 'a', role: 'leaf' },
    { kind: 'switch', name: 'b-leaf', site: 'b', role: 'leaf' },
  ],
  links: ['a', 'b'].map(site =>
    cable({ node: `${site}-host`, port: 'eth0' }, { node: `${site}-leaf`, port: 'host1' }, '100 Gb/s', '20 m'),
  ),
  spans: { north, south },
  settings: DEFAULT_FABRIC,
};

const northCut: Fault = { kind: 'span-cut', span: north, direction: 'both', light: 'lost' };
const southCut: Fault = { kind: 'span-cut', span: south, direction: 'both', light: 'lost' };

const planOf = (phases: Readonly<Record<string, Phase>>, more: Partial<Plan> = {}): Plan => ({
  why: 'a test',
  topology,
  load: { kind: 'all-reduce', bytes: '1 MiB', algorithm: 'ring' },
  phases,
  expect: [],
  ...more,
});

const ROUND_NS = 1e6;

interface Script {
  /** Rounds stop coming at this time. */
  readonly stallsAtNs?: number;
  readonly healFails?: string;
  readonly unverified?: string;
  readonly injectFails?: string;
  /** Time that passes while a fault is commanded, as on devices of real time. */
  readonly injectTakesNs?: number;
  /** Of that, how long the commands themselves take: the fault is acknowledged then, and looked at afterwards. */
  readonly acknowledgedAfterNs?: number;
  readonly refuses?: string;
  readonly dirty?: readonly string[];
}

/** A testbed that only counts: a round each millisecond of its own clock. It writes down what it is told to do. */
function countingTestbed({ stallsAtNs = Number.POSITIVE_INFINITY, ...script }: Script = {}) {
  let now = 0;
  const told: string[] = [];
  const rounds = (): number => Math.floor(Math.min(now, stallsAtNs) / ROUND_NS);
  const testbed: Testbed = {
    name: 'counting',
    measured: false,
    refuses: what => (what.kind === script.refuses ? `counting can not do ${what.kind}` : undefined),
    now: async () => now,
    async elapse(until: Until) {
      if ('forNs' in until) {
        now += until.forNs;
        return true;
      }
      const needed = until.round * ROUND_NS;
      const met = needed <= stallsAtNs && needed <= now + until.withinNs;
      now = met ? Math.max(now, needed) : now + until.withinNs;
      return met;
    },
    async start() {
      told.push('start');
      return { rounds: async () => rounds(), stop: async () => void told.push('stop load') };
    },
    async probe({ phase, packetsPerSecond }) {
      told.push(`probe ${phase} ${packetsPerSecond}`);
      return { stop: async () => void told.push(`stop probe ${phase}`) };
    },
    async inject(fault, id) {
      if (id === script.injectFails) throw new Error('the shaper does not answer');
      told.push(`inject ${id}`);
      const { acknowledgedAfterNs } = script;
      const sentNs = now;
      now += script.injectTakesNs ?? 0;
      return {
        ...(acknowledgedAfterNs !== undefined && {
          injectedNs: sentNs + acknowledgedAfterNs,
          bracketNs: acknowledgedAfterNs,
        }),
        witness: async () => void told.push(`witness ${id}`),
        async heal() {
          told.push(`heal ${id}`);
          if (id === script.healFails) throw new Error('the shaper does not answer');
          return {
            healedNs: now,
            verified: id !== script.unverified,
            expected: 'lit',
            observed: id === script.unverified ? 'dark' : 'lit',
          };
        },
      };
    },
    async observe() {
      told.push('observe');
    },
    async release() {
      told.push('release');
      return { dirty: script.dirty ?? [] };
    },
  };
  return { testbed, told };
}

async function conducted(plan: Plan, script: Script = {}, signal?: AbortSignal) {
  const { testbed, told } = countingTestbed(script);
  const lines: RecordLine[] = [];
  const progress: Progress[] = [];
  const titles: string[] = [];
  const result = await conduct(plan, testbed, {
    record: line => void lines.push(line),
    deadlineNs: () => 20 * ROUND_NS,
    progress: one => void progress.push(one),
    narrate: (title, body) => {
      titles.push(title);
      return body();
    },
    ...(signal && { signal }),
  });
  return { ...result, lines, told, progress, titles };
}

t.test('each phase is probed, read, changed, waited for, witnessed, read again', async t => {
  const { told, lines, titles, error, notReached } = await conducted(
    planOf(
      { steady: { for: '2 rounds' }, cut: { for: '3 rounds', faults: [northCut] } },
      { probes: { packetsPerSecond: 12_000 } },
    ),
  );
  const expected = `start
    | probe steady 12000 | observe | observe | stop probe steady
    | probe cut 12000 | observe | inject 1-span-cut | witness 1-span-cut | observe | stop probe cut
    | heal 1-span-cut | stop load`;
  t.same(told, expected.split(/\s*\|\s*/));
  t.same(lines, [
    {
      kind: 'phase',
      name: 'steady',
      beginNs: 0,
      endNs: 2e6,
      ended: 'work',
      rounds: { asked: 2, done: 2, first: 0 },
      deadlineNs: 20e6,
      readNs: [0, 2e6],
    },
    { kind: 'fault', id: '1-span-cut', fault: northCut, injectedNs: 2e6 },
    {
      kind: 'phase',
      name: 'cut',
      beginNs: 2e6,
      endNs: 5e6,
      ended: 'work',
      rounds: { asked: 3, done: 3, first: 2 },
      deadlineNs: 20e6,
      readNs: [2e6, 5e6],
    },
    { kind: 'heal', fault: '1-span-cut', healedNs: 5e6, verified: true, expected: 'lit', observed: 'lit' },
  ]);
  t.same(titles, ['steady: 2 rounds', 'cut: 3 rounds, span-cut']);
  t.equal(error, undefined);
  t.same(notReached, []);
});

t.test('a fault named in two adjacent phases is injected once; what is no longer wanted is healed first', async t => {
  const { told } = await conducted(
    planOf({
      one: { for: '1 round', faults: [northCut] },
      both: { for: '1 round', faults: [northCut, southCut] },
      other: { for: '1 round', faults: [southCut] },
      again: { for: '1 round', faults: [northCut] },
    }),
  );
  t.same(
    told.filter(word => /inject|heal/.test(word)),
    [
      'inject 1-span-cut',
      'inject 2-span-cut',
      'heal 1-span-cut',
      'heal 2-span-cut',
      'inject 3-span-cut',
      'heal 3-span-cut',
    ],
  );
});

t.test('rounds that finish before the fault is in effect are no evidence of it, and cost no deadline', async t => {
  const { lines } = await conducted(
    planOf({ steady: { for: '2 rounds' }, northCut: { for: '3 rounds', faults: [northCut] } }),
    { injectTakesNs: 7 * ROUND_NS },
  );
  t.match(
    lines.find(line => line.kind === 'phase' && line.name === 'northCut'),
    {
      ended: 'work',
      beginNs: 2 * ROUND_NS,
      endNs: 12 * ROUND_NS,
      rounds: { asked: 3, done: 3, first: 9 },
    },
  );
});

t.test('a fault began when its last command was acknowledged, however long it was looked at afterwards', async t => {
  const plan = planOf({ steady: { for: '2 rounds' }, northCut: { for: '3 rounds', faults: [northCut] } });
  const faultOf = async (script: Script) => (await conducted(plan, script)).lines.find(({ kind }) => kind === 'fault');
  t.match(await faultOf({ injectTakesNs: 7e6, acknowledgedAfterNs: 3e6 }), { injectedNs: 5e6, bracketNs: 3e6 });
  t.match(await faultOf({ injectTakesNs: 7e6 }), { injectedNs: 9e6, bracketNs: undefined });
});

t.test('a time phase lasts exactly its time, in slices that show progress', async t => {
  const { lines, progress } = await conducted(planOf({ steady: { for: '1.000007 ms' } }));
  t.match(lines, [{ kind: 'phase', beginNs: 0, endNs: 1_000_007, ended: 'time' }]);
  t.equal(progress.length, 20);
  t.equal(progress.at(-1)?.share, 1);
});

t.test('a stalled job ends the run at the deadline, is healed, and no later phase is played', async t => {
  const { told, lines, stalled, notReached, error } = await conducted(
    planOf({
      steady: { for: '2 rounds' },
      cut: { for: '5 rounds', faults: [northCut] },
      restored: { for: '5 rounds' },
    }),
    { stallsAtNs: 4.5 * ROUND_NS },
  );
  t.same(stalled, { phase: 'cut', asked: 5, done: 2, first: 2 });
  t.same(notReached, ['restored']);
  t.equal(error, undefined);
  t.match(
    lines.find(line => line.kind === 'phase' && line.name === 'cut'),
    { ended: 'deadline', beginNs: 2e6, endNs: 22e6, rounds: { asked: 5, done: 2, first: 2 } },
  );
  t.same(told.slice(-4), ['observe', 'stop probe cut', 'heal 1-span-cut', 'stop load']);
});

t.test('a heal that throws blocks no other heal, and both errors are kept', async t => {
  const { told, lines, error, cleanupErrors } = await conducted(
    planOf({
      cuts: { for: '1 round', faults: [northCut, southCut] },
      third: { for: '1 round', faults: [northCut, southCut, { ...northCut, light: 'kept' }] },
    }),
    { healFails: '2-span-cut', injectFails: '3-span-cut' },
  );
  t.match(error?.message, /the shaper does not answer/);
  t.match(
    cleanupErrors.map(({ message }) => message),
    ['Healing 2-span-cut failed: the shaper does not answer'],
  );
  t.same(
    told.slice(-4),
    ['stop probe third', 'heal 2-span-cut', 'heal 1-span-cut', 'stop load'].toSorted(
      (a, b) => told.lastIndexOf(a) - told.lastIndexOf(b),
    ),
  );
  t.match(
    lines.filter(line => line.kind === 'heal'),
    [
      { fault: '2-span-cut', verified: false },
      { fault: '1-span-cut', verified: true },
    ],
  );
});

t.test('after a heal that could not be verified no further phase is played', async t => {
  const { lines, error, notReached } = await conducted(
    planOf({ cut: { for: '1 round', faults: [northCut] }, restored: { for: '1 round' }, more: { for: '1 round' } }),
    { unverified: '1-span-cut' },
  );
  t.match(error?.message, /1-span-cut could not be verified as healed/);
  t.same(notReached, ['more']);
  t.match(
    lines.filter(line => line.kind === 'heal'),
    [{ verified: false, observed: 'dark' }],
  );
});

t.test('an interrupted run is healed and stopped', async t => {
  const abort = new AbortController();
  const plan = planOf({ cut: { for: '20 rounds', faults: [northCut] } });
  const { testbed, told } = countingTestbed();
  const { error } = await conduct(plan, testbed, {
    record: () => {},
    deadlineNs: () => 100 * ROUND_NS,
    progress: ({ share }) => {
      if (share >= 0.5) abort.abort(new Error('the run was interrupted'));
    },
    signal: abort.signal,
  });
  t.equal(error?.message, 'the run was interrupted');
  t.same(told.slice(-3), ['heal 1-span-cut', 'stop probe cut', 'stop load']);
});

t.test('a testbed that hangs in the middle of a wait is healed all the same when the run is ended', async t => {
  const abort = new AbortController();
  const { testbed, told } = countingTestbed();
  const hanging = {
    ...testbed,
    elapse: () => new Promise<boolean>(() => void setImmediate(() => abort.abort(new Error('no progress')))),
  };
  const { error } = await conduct(planOf({ cut: { for: '5 rounds', faults: [northCut] } }), hanging, {
    record: () => {},
    deadlineNs: () => 1e9,
    signal: abort.signal,
  });
  t.equal(error?.message, 'no progress');
  t.same(told.slice(-3), ['heal 1-span-cut', 'stop probe cut', 'stop load']);
});

t.test('a clock that stands still is an error, not an endless run', async t => {
  const { testbed } = countingTestbed();
  const { error } = await conduct(
    planOf({ steady: { for: '1 round' } }),
    { ...testbed, elapse: async () => false },
    { record: () => {}, deadlineNs: () => 1e9 },
  );
  t.match(error?.message, /clock of counting stood still/);
  const timed = await conduct(
    planOf({ steady: { for: '20 ms' } }),
    { ...testbed, elapse: async () => true },
    { record: () => {}, deadlineNs: () => 1e9 },
  );
  t.match(timed.error?.message, /clock of counting stood still in phase steady: 0 ns passed of 20 ms/);
});

t.test('a plan that can not be played as written is refused with each mistake in words', async t => {
  const mistakes = (phases: Readonly<Record<string, Phase>>, more: Partial<Plan> = {}): string => {
    try {
      checkPlan(planOf(phases, more));
    } catch (error) {
      t.ok(error instanceof PlanError);
      return (error as Error).message;
    }
    return '';
  };
  t.equal(mistakes({ steady: { for: '5 rounds' } }), '');
  t.match(mistakes({ 1: { for: '5 rounds' } }), /Phase "1" looks like an integer.*Call it "phase1"/);
  t.match(
    mistakes({ steady: { for: '5 rounds' } }, { load: { kind: 'flow-doubling', flows: 4, join: '1 ms' } }),
    /flow-doubling has no rounds/,
  );
  t.match(mistakes({ steady: { for: '1.5 rounds' } }), /rounds are whole/);
  t.match(mistakes({ steady: { for: '-5 ms' } }), /not a positive time/);
  t.match(mistakes({}), /no phase/);
  t.match(mistakes({ roofline: { for: '1 ms' } }), /names the physical limit/);
  t.match(
    mistakes({ cut: { for: '1 ms', faults: [{ ...northCut, span: { ...north, name: 'west' } }] } }),
    /span-cut on west, which two-ends does not have/,
  );
  t.match(mistakes({ cut: { for: '1 ms', faults: [northCut, northCut] } }), /twice/);
  t.match(
    mistakes(
      { steady: { for: '1 ms' } },
      { expect: [{ kpi: 'busbw', phase: 'stedy', comparison: 'at least', bound: '1 Gb/s', where }] },
    ),
    /busbw is expected during "stedy".*Known: steady/,
  );
  const flap = {
    kind: 'span-flap' as const,
    span: north,
    every: '10 ms' as const,
    down: '1 ms' as const,
    light: 'lost' as const,
  };
  t.match(mistakes({ cut: { for: '1 ms', faults: [northCut, flap] } }), /two faults on span north/);
  const steady = { steady: { for: '1 ms' as const } };
  for (const packetsPerSecond of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e12])
    t.match(mistakes(steady, { probes: { packetsPerSecond } }), /can not be sent/);
  for (const offered of ['0 %', '-5 %', '101 %', '1 packets', 'x'] as const)
    t.match(mistakes(steady, { offered: offered as '0 %' }), /no share of what was planned/);
  const bounded = (comparison: 'at least' | 'at most' | 'within', bound: string): string =>
    mistakes(steady, { expect: [{ kpi: 'busbw', phase: 'steady', comparison, bound: bound as '1 Gb/s', where }] });
  for (const bound of ['0 Gb/s', '-5 Gb/s', '0 % of roofline', '-1 % of steady'])
    t.match(bounded('at least', bound), /everything is at least that/);
  t.match(bounded('within', '5 Gb/s'), /is expected within one bound/);
  for (const bound of ['1e400 Gb/s', 'NaN % of roofline', 'x', '5'])
    t.match(bounded('at most', bound), /no number and unit/);
  t.match(bounded('at least', '5 ms'), /not a rate, which busbw is/);
  t.match(bounded('at least', '90 % of stedy'), /"stedy" is no phase/);
  t.equal(bounded('at least', '90 % of roofline'), '');
});

t.test('the replay line survives a shell and a regular expression', async t => {
  const line = (title: string): string =>
    replayLine({ world: 'sim', seed: 7, title, trainPackets: 8, options: { defect: 'no-failover' } });
  t.equal(line('an incast'), 'npx farspan run --world sim --seed 7 --train 8 --defect no-failover -g "an incast"');
  t.equal(
    line('3 % (of $5)'),
    String.raw`npx farspan run --world sim --seed 7 --train 8 --defect no-failover -g '3 % \(of \$5\)'`,
  );
  t.ok(new RegExp(String.raw`3 % \(of \$5\)`).test('3 % (of $5)'));
  const hostile = 'a\n$(touch x) `id` "q" \'s\' !! \u001b[2J \u202e';
  const [, pattern = ''] = / -g (.*)$/s.exec(line(hostile)) ?? [];
  t.notMatch(line(hostile), /[\p{Cc}\p{Cf}]/u, 'one line of what a terminal shows as it is');
  const shell = spawnSync('/bin/sh', ['-c', `printf %s ${pattern}`], { encoding: 'utf8' });
  t.ok(new RegExp(`^${shell.stdout}$`).test(hostile), shell.stdout);
});

const scratch = mkdtempSync(path.join(os.tmpdir(), 'farspan-conduct-'));
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

async function played(
  binding: Binding,
  plan: Plan,
  { root = scratch, options = {} }: { root?: string; options?: Readonly<Record<string, string>> } = {},
) {
  const folder = new RunFolder({ root, at: new Date('2026-11-22T10:00:00Z'), title: 'a test', world: 'sim', seed: 7 });
  const result = await play({
    binding,
    plan,
    header: {
      version: '0.0.0',
      scenario: { title: 'a test', file: 'x', line: 1, tags: [] },
      world: 'sim',
      seed: 7,
      trainPackets: 1,
      options,
      profile: null,
    },
    worldOptions: options,
    folder,
    replay: 'npx farspan run',
  });
  const lines = readFileSync(folder.file('record'), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as RecordLine);
  return { ...result, lines, folder };
}

const world = (script: Script): Binding => ({
  async reserve(_topology, { record }) {
    record({ kind: 'testbed', name: 'counting', devices: [] });
    return countingTestbed(script).testbed;
  },
});

t.test('what a testbed can not do is not run, with its words, and nothing is started', async t => {
  const { verdict, lines } = await played(
    world({ refuses: 'span-cut' }),
    planOf({ cut: { for: '1 round', faults: [northCut] } }),
  );
  t.equal(verdict.outcome, 'not run');
  t.match(verdict.reason, /counting can not do span-cut/);
  t.same(
    lines.map(({ kind }) => kind),
    ['run', 'testbed', 'end'],
  );
});

t.test('a lab that can not be reserved is an error, with a record that says so', async t => {
  const { verdict, lines, errors } = await played(
    { reserve: async () => Promise.reject(new Error('no such rack')) },
    planOf({ steady: { for: '1 round' } }),
  );
  t.equal(verdict.outcome, 'error');
  t.match(verdict.reason, /no such rack/);
  t.equal(errors.length, 1);
  t.match(lines, [
    { kind: 'run', decision: 'simple' },
    { kind: 'end', reason: 'error', detail: 'no such rack' },
  ]);
});

t.test('what release could not restore is in the record, so a later judgement is dirty too', async t => {
  const { verdict, lines } = await played(
    world({ dirty: ['span-north: still dark'] }),
    planOf({ steady: { for: '1 round' } }),
  );
  t.same(verdict.cleanliness.dirty, ['span-north: still dark']);
  t.match(lines.at(-1), { kind: 'end', reason: 'complete', dirty: ['span-north: still dark'] });
});

const SIM_PLAN = planOf(
  { steady: { for: '2 rounds' }, cut: { for: '6 rounds', faults: [northCut] }, restored: { for: '2 rounds' } },
  {
    load: { kind: 'all-reduce', bytes: '4 MiB', algorithm: 'ring' },
    expect: [{ kpi: 'busbw', phase: 'steady', comparison: 'at least', bound: '1 Gb/s', where }],
  },
);

t.test('in sim, the same seed and version give the same bytes of the record', async t => {
  const [first, second] = [
    await played(simWorld, SIM_PLAN, { root: path.join(scratch, 'one') }),
    await played(simWorld, SIM_PLAN, { root: path.join(scratch, 'two') }),
  ];
  t.equal(first.verdict.outcome, 'pass', first.verdict.reason);
  const [a, b] = [first, second].map(({ folder }) => readFileSync(folder.file('record')));
  t.ok(a && b && a.equals(b), 'byte for byte');
  t.ok((a?.length ?? 0) > 2000, 'and it holds something');
  t.notMatch(a?.toString() ?? '', /20\d\d-\d\d-\d\dT/, 'no wall time');
});

t.test('in sim, a job that hangs for good is a fail: stalled, with the round', async t => {
  const { verdict, lines } = await played(simWorld, SIM_PLAN, { options: { defect: 'no-failover' } });
  t.equal(verdict.outcome, 'fail');
  t.match(verdict.reason, /job stalled in round \d of 6 of phase cut/);
  t.match(
    verdict.gates.find(({ gate }) => gate === 'deadline'),
    { outcome: 'fail' },
  );
  t.match(lines.at(-1), {
    kind: 'end',
    reason: 'complete',
    detail: /cut ended at its deadline, .*not reached: restored/,
  });
  t.same(verdict.cleanliness, { injected: 1, healed: 1, verified: 1, dirty: [] });
});

t.test('settings that no world could have are refused with each mistake in words', async t => {
  const steady = { steady: { for: '5 rounds' } } as const;
  const mistakes = (more: Partial<FabricSettings>): string => {
    const { topology, ...rest } = planOf(steady);
    try {
      checkPlan({ ...rest, topology: { ...topology, settings: { ...topology.settings, ...more } } });
    } catch (error) {
      t.ok(error instanceof PlanError);
      return (error as Error).message;
    }
    return '';
  };
  const spread = { control: 'nscc', recovery: 'selective-repeat', spreading: 'reps', paths: 128 } as const;
  t.equal(mistakes({ transport: spread, switching: { trimTo: '64 B', loadBalancing: 'adaptive' } }), '');
  t.equal(mistakes({ transport: { control: 'none' } }), '');

  for (const [transport, words] of [
    [{ control: 'HP CC' }, /transport.control is "HP CC"; name a congestion control law/],
    [{ control: 'hpcc', parameters: { eta: 'much' } }, /parameters.eta is "much"; .* numbers/],
    [{ control: 'none', parameters: { eta: 0.9 } }, /has parameters, but control is 'none'/],
    [{ control: 'dcqcn', recovery: 'go-back-m' }, /recovery is "go-back-m". Known: go-back-n, selective-repeat/],
    [{ ...spread, recovery: 'go-back-n' }, /'reps' reorders every flow/],
    [{ ...spread, paths: 100 }, /paths is 100; it is a power of two/],
    [{ control: 'dcqcn', acknowledgeEvery: 0 }, /acknowledgeEvery is 0; it is a whole number from 1 on/],
    [{ control: 'dcqcn', acknowledgementBytes: '64' }, /acknowledgementBytes is "64", which is no size/],
    [{ control: 'dcqcn', selectiveRepeat: {} }, /recovery is not 'selective-repeat'/],
  ] as const)
    t.match(mistakes({ transport: transport as TransportSettings }), words);

  for (const [switching, words] of [
    [{ loadBalancing: 'rr' }, /loadBalancing is "rr". Known: ecmp, adaptive, spray/],
    [{ trimTo: '64 B' }, /a trimmed packet is sent again alone/],
    [{ queueLimit: '0 B' }, /queueLimit is "0 B", which is no size above 0/],
    [{ priorities: { control: 6, data: 8, datagrams: 0 } }, /priorities.data is 8; priorities are 0 to 7/],
    [{ lossyShare: 0 }, /lossyShare is 0/],
    [{ ecmpSeed: 1.5 }, /ecmpSeed is 1.5; it is a whole number/],
  ] as const)
    t.match(mistakes({ switching: switching as SwitchingSettings }), words);

  const { ecn, pfc } = DEFAULT_FABRIC;
  t.match(mistakes({ ecn: { ...(ecn as EcnSettings), at: 'end' } }), /releaseAt 'end' is needed/);
  t.match(mistakes({ pfc: { ...pfc, frameDelay: 'wire' } as unknown as PfcSettings }), /"wire". Known: link, none/);
  for (const [more, words] of [
    [{ quanta: 0 }, /quanta is 0; a pause frame says 1 to 65535/],
    [{ freeShare: 0 }, /freeShare is 0/],
    [{ watchdog: { detection: '0 ms', restoration: '1 ms' } }, /watchdog.detection is "0 ms"; it is a time above 0/],
  ] as const)
    t.match(mistakes({ pfc: { ...(pfc as PfcSettings), ...more } }), words);
  for (const [more, words] of [
    [{ bufferPerSwitch: '0 B' }, /bufferPerSwitch is "0 B"/],
    [{ roce: { ...DEFAULT_FABRIC.roce, mtu: '0 B' } }, /roce.mtu is "0 B"; it is 256 to 65535 bytes/],
    [{ roce: { ...DEFAULT_FABRIC.roce, mtu: '1 GiB' } }, /roce.mtu is "1 GiB"/],
    [{ roce: { ...DEFAULT_FABRIC.roce, window: '0 B' } }, /window is "0 B", which holds no packet/],
    [{ ecn: { ...(ecn as EcnSettings), probability: 5 } }, /ecn.probability is 5; it is a fraction/],
    [{ ecn: { min: '2 MB', max: '1 MB', probability: 1 } }, /marks from "2 MB" to "1 MB"/],
    [{ pfc: { xoff: '1 KB', xon: '2 KB' } }, /pauses at "1 KB" and resumes at "2 KB"/],
    [{ pfc: { xoff: '0 B', xon: '0 B' } }, /pauses at "0 B"/],
    [{ dcqcn: { ...HPCC_DCQCN_100G, minRate: '0 b/s' } }, /dcqcn.minRate is "0 b\/s"; it is more than 0/],
    [{ dcqcn: { ...HPCC_DCQCN_100G, g: 0 } }, /dcqcn.g is 0/],
  ] as const)
    t.match(mistakes(more as Partial<FabricSettings>), words);
  const both = mistakes({ transport: { ...spread, paths: 3 }, switching: { lossyShare: -1 } });
  t.equal(both.split('\n').length, 2, 'all of them at once');

  const { topology, ...rest } = planOf(steady);
  const spans = Object.fromEntries(
    Object.entries(topology.spans).map(([name, span]) => [name, { ...span, asymmetry: '5 km' as Duration }]),
  );
  t.throws(() => checkPlan({ ...rest, topology: { ...topology, spans } }), {
    message: /asymmetry "5 km"; it is a time/,
  });
});
