import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import sim from '../../emulators/fabric-sim/binding.ts';
import { createFlowLevelNetwork } from '../../emulators/fabric-sim/flow-level/create-flow-level-network.ts';
import { allReduce, busbw, ecnMarks, loss, queuePeak, cut, spec } from '../../harness/index.ts';
import { granularityOf, granularityText, phaseGranularity, trainOf } from '../../harness/model/granularity.ts';
import type { Check, Profile } from '../../harness/model/check.ts';
import type { Plan } from '../../harness/model/plan.ts';
import type { RecordLine } from '../../harness/model/record.ts';
import type { FabricSettings } from '../../harness/model/topology.ts';
import { chooseGranularity, granularityOfPhases } from '../../harness/run/choose-granularity.ts';
import { cost } from '../../harness/run/cost.ts';
import { judge } from '../../harness/run/judge.ts';
import { replayLine } from '../../harness/run/replay-line.ts';
import { runInFolder } from '../../harness/run/run-in-folder.ts';
import { twoSites } from '../../scenarios/topologies/two-sites.ts';

const topology = twoSites({
  ranksPerSite: 2,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '10 km', rate: '100 Gb/s' }, south: { length: '10 km', rate: '100 Gb/s' } },
});

const plan = (phases: Plan['phases'], expect: readonly Check[] = []): Plan => ({
  why: 'a test',
  topology,
  load: allReduce({ bytes: '4 MiB' }),
  phases,
  expect,
});

t.test('a granularity is a word, and words read back as they were written', async t => {
  for (const word of ['packet', 'flow', 'train:2', 'train:64'] as const) t.equal(granularityOf(word), word);
  t.equal(granularityOf('train:1'), 'packet', 'a train of one is a packet');
  for (const word of ['', 'train', 'train:0', 'train:65', 'train:1e1', 'flows', 'Packet'])
    t.equal(granularityOf(word), undefined, `"${word}"`);
  t.equal(trainOf('packet'), 1);
  t.equal(trainOf('train:8'), 8);
  t.equal(trainOf('flow'), undefined);
  const mixed = { steady: 'flow', northCut: 'train:8' } as const;
  t.equal(granularityText(mixed), 'steady=flow,northCut=train:8');
  t.strictSame(phaseGranularity(granularityText(mixed)), mixed);
  t.equal(granularityText({ steady: 'flow', cut: 'flow' }), 'flow');
  for (const word of ['steady=', '=flow', 'steady=flow,', 'steady'])
    t.equal(phaseGranularity(word), undefined, `"${word}"`);
});

t.test("how finely a phase is simulated follows from its plan's packet-hops, and from what is asked of it", async t => {
  const short = plan({ steady: { for: '5 rounds' } });
  t.ok(cost(short) <= 5e6);
  t.strictSame(chooseGranularity(short), { steady: 'packet' });

  const long = plan({ steady: { for: '1 s' }, brief: { for: '2 rounds' } });
  t.ok(cost(long) > 5e6 && cost(long) <= 2e9);
  t.strictSame(chooseGranularity(long), { steady: 'train:8', brief: 'train:8' }, 'one size for the whole plan');

  const phases = { day: { for: '1 h' }, brief: { for: '2 rounds' } } as const;
  t.strictSame(chooseGranularity(plan(phases)), { day: 'flow', brief: 'train:8' }, 'flow level by phase');
  t.strictSame(chooseGranularity(plan(phases, [busbw.during('day').atLeast('1 Gb/s')])), {
    day: 'flow',
    brief: 'train:8',
  });
  t.strictSame(chooseGranularity(plan(phases, [queuePeak.during('brief').atMost('1 MB')])), {
    day: 'flow',
    brief: 'train:8',
  });
  for (const check of [
    queuePeak.during('day').atMost('1 MB'),
    ecnMarks.during('day').atMost('1 %'),
    loss.during('day').atMost('0 packets'),
    ecnMarks.during('brief').atMost('100 % of day'),
  ])
    t.strictSame(
      chooseGranularity(plan(phases, [check])),
      { day: 'train:8', brief: 'train:8' },
      `${check.kpi} during ${check.phase}: ${JSON.stringify(check.bound)}`,
    );
  // A limit of a profile can refer to a phase as well, which the plan alone does not show.
  const named = plan(phases, [ecnMarks.during('brief').atMost(spec('our.marks'))]);
  const ours: Profile = {
    name: 'ours',
    limits: { 'our.marks': { bound: '100 % of day', kind: 'mandatory', source: 'a test' } },
  };
  t.strictSame(chooseGranularity(named).day, 'flow');
  t.strictSame(chooseGranularity(named, { profile: ours }), { day: 'train:8', brief: 'train:8' });
  t.strictSame(
    chooseGranularity(plan(phases), { defect: 'ecn-off' }).day,
    'train:8',
    'a planted defect may be one of packets',
  );
  t.strictSame(chooseGranularity(plan(phases), { flowLevel: false }).day, 'train:8');
  t.throws(() => granularityOfPhases(short, { stedy: 'flow' }), /No phase stedy. Known: steady/);
  t.throws(() => granularityOfPhases(plan(phases), { day: 'flow' }), /brief/);
});

t.test('flow level is not chosen, nor played, where it would simulate another fabric', async t => {
  const day = { day: { for: '1 h' } } as const;
  const withSettings = (more: Partial<FabricSettings>): Plan => {
    const { topology: of, ...rest } = plan(day);
    return { ...rest, topology: { ...of, settings: { ...of.settings, ...more } } };
  };
  t.equal(chooseGranularity(withSettings({})).day, 'flow');
  t.equal(chooseGranularity(withSettings({ transport: { control: 'none' } })).day, 'flow', 'nothing to correct');
  for (const [more, words] of [
    [{ switching: { loadBalancing: 'adaptive' } }, /adaptive load balancing is one of packets/],
    [{ switching: { loadBalancing: 'spray' } }, /spray load balancing is one of packets/],
    [{ switching: { trimTo: '64 B' } }, /trims packets/],
    [{ transport: { control: 'nscc', recovery: 'selective-repeat', spreading: 'reps' } }, /reps spreading/],
    [{ transport: { control: 'dcqcn', recovery: 'selective-repeat' } }, /not selective-repeat/],
  ] as const) {
    const one = withSettings(more);
    // Selective repeat has no trains.
    const finest = 'transport' in more ? 'packet' : 'train:8';
    t.equal(chooseGranularity(one).day, finest, JSON.stringify(more));
    t.throws(() => granularityOfPhases(one, 'flow'), words);
    t.throws(() => granularityOfPhases(one, { day: 'flow' }), /Play it by packets or trains/);
    t.strictSame(granularityOfPhases(one, 'packet'), { day: 'packet' });
    t.throws(
      () => createFlowLevelNetwork({ topology: one.topology, seed: 1, trainPackets: 1 }),
      words,
      'nor by itself',
    );
  }
  const hpcc = withSettings({ transport: { control: 'hpcc' } });
  t.equal(chooseGranularity(hpcc).day, 'train:8', 'what HPCC makes of its share was never measured');
  const lines: RecordLine[] = [];
  const options = { granularity: 'flow' };
  const reservation = { seed: 1, record: (line: RecordLine) => void lines.push(line), step: () => undefined };
  await (await sim.reserve(hpcc.topology, { ...reservation, options })).release();
  t.match(JSON.stringify(lines), /shares of full links taken whole: not measured/, 'who asks for it is told');
  lines.length = 0;
  await (await sim.reserve(topology, { ...reservation, options })).release();
  t.notMatch(JSON.stringify(lines), /not measured/);
});

t.test('a replay pins it', async t => {
  const line = (granularity: Parameters<typeof replayLine>[0]['granularity'], trainPackets: number) =>
    replayLine({ world: 'sim', seed: 7, title: 'x', trainPackets, options: {}, ...(granularity && { granularity }) });
  t.equal(line({ steady: 'train:8', cut: 'train:8' }, 8), 'npx farspan run --world sim --seed 7 --train 8 -g x');
  t.equal(line({ steady: 'packet' }, 1), 'npx farspan run --world sim --seed 7 --train 1 -g x');
  t.equal(line({ steady: 'flow' }, 1), 'npx farspan run --world sim --seed 7 --granularity flow -g x');
  t.equal(
    line({ steady: 'flow', cut: 'train:8' }, 8),
    'npx farspan run --world sim --seed 7 --granularity steady=flow,cut=train:8 -g x',
  );
});

t.test('phases of one run are played by different engines; what flow level does not see is not run there', async t => {
  const played = plan(
    {
      steady: { for: '4 rounds' },
      northCut: { for: '4 rounds', faults: [cut(topology.spans.north)] },
      restored: { for: '4 rounds' },
    },
    [
      busbw.during('steady').atLeast('60 % of roofline'),
      busbw.during('restored').atLeast('60 % of roofline'),
      queuePeak.during('steady').atMost('32 MB'),
      queuePeak.during('northCut').atMost('32 MB'),
      loss.during('restored').atMost('0 packets'),
    ],
  );
  const run = async (worldOptions: Readonly<Record<string, string>>) => {
    const { verdict, errors, folder } = await runInFolder({
      binding: sim,
      plan: played,
      set: {},
      scenario: { title: 'a change of engine', file: 'x.ts', line: 1, tags: [] },
      world: 'sim',
      seed: 7,
      trainPackets: 8,
      worldOptions,
      profile: null,
      named: {},
      root: import.meta.dirname,
      runsDir: t.testdir(),
      now: () => new Date(0),
    });
    const text = readFileSync(path.join(folder, 'record.ndjson'), 'utf8');
    return {
      verdict,
      errors,
      text,
      lines: text
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as RecordLine),
    };
  };
  const granularity = 'steady=flow,northCut=packet,restored=flow';
  const { verdict, errors, text, lines } = await run({ granularity });
  t.strictSame(errors, []);
  t.match(lines[0], {
    kind: 'run',
    trainPackets: 1,
    granularity: { steady: 'flow', northCut: 'packet', restored: 'flow' },
    options: {},
  });
  t.notOk(Object.hasOwn((lines[0] as { options: object }).options, 'granularity'), 'it is no option of the fabric');
  t.match(verdict.replay, `--granularity ${granularity}`);
  t.strictSame(
    verdict.checks.map(({ outcome }) => outcome),
    ['pass', 'pass', 'not run', 'pass', 'not run'],
  );
  t.equal(verdict.checks[2]?.reason, 'not run: steady was played at flow level, which has no queues');
  t.equal(verdict.outcome, 'not run', 'the run as a whole says so too');
  t.equal(verdict.checks[0]?.uncertainty, undefined, 'its error is not known, so U is not');

  // Which counters each phase's readings have, by the place in the record.
  const seen = new Map<string, Set<string>>();
  let readings: RecordLine[] = [];
  for (const line of lines) {
    if (line.kind === 'counters' && line.node === 'a-leaf-1') readings.push(line);
    if (line.kind !== 'phase') continue;
    seen.set(
      line.name,
      new Set(
        readings.flatMap(reading =>
          reading.kind === 'counters' ? Object.values(reading.ports).flatMap(Object.keys) : [],
        ),
      ),
    );
    readings = [];
  }
  for (const name of ['ecnMarked', 'queuePeakBytes', 'pfcRx', 'drops']) {
    t.notOk(seen.get('steady')?.has(name), `steady has no ${name}, not even 0`);
    t.ok(seen.get('northCut')?.has(name), `northCut has ${name}`);
  }
  t.ok(seen.get('steady')?.has('txBytes'));
  t.ok(lines.filter(line => line.kind === 'round').length >= 12, 'the job goes on through every change');
  t.ok(lines.every(line => line.kind !== 'round' || line.wrong === 0));

  const ours: Profile = {
    name: 'ours',
    limits: { 'our.queue': { bound: '200 % of steady', kind: 'mandatory', source: 'a test' } },
  };
  const [head, ...rest] = lines;
  if (head?.kind !== 'run') return t.fail('a run line stands first');
  const asked = { ...head, plan: { ...head.plan, expect: [queuePeak.during('northCut').atMost(spec('our.queue'))] } };
  const again = judge([asked, ...rest], { replay: '', profile: ours });
  t.equal(again.outcome, 'not run');
  t.match(again.checks[0]?.reason, 'not run: steady was played at flow level', "a profile's limit refers to it");

  t.equal((await run({ granularity })).text, text, 'the same bytes again');
  const auto = await run({ granularity: 'auto' });
  t.match(auto.lines[0], {
    granularity: { steady: 'packet', northCut: 'packet', restored: 'packet' },
    trainPackets: 1,
  });
  await t.rejects(run({ granularity: 'stedy=flow' }), /No phase stedy/);
  await t.rejects(run({ granularity: 'coarse' }), /packet, train:N/);
});
