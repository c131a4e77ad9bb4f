import t from 'tap';
import { Random } from '../../emulators/fabric-sim/kernel/random.ts';
import { busbw } from '../../harness/checks/busbw.ts';
import { ecnMarks } from '../../harness/checks/ecn-marks.ts';
import { loss } from '../../harness/checks/loss.ts';
import { pfcPause } from '../../harness/checks/pfc-pause.ts';
import { queuePeak } from '../../harness/checks/queue-peak.ts';
import { allReduce } from '../../harness/loads/all-reduce.ts';
import type { Check } from '../../harness/model/check.ts';
import type { CountersLine, PortCounters, RecordLine, RunLine } from '../../harness/model/record.ts';
import { judge } from '../../harness/run/judge.ts';
import { fabric } from './hand-made-run.ts';

const CASES = Number(process.env['FARSPAN_COVERAGE_CASES'] ?? 5000);

t.setTimeout(Math.max(60_000, CASES * 10));

const MS = 1e6;
const FLOOR = 0.95;
const ROUNDS = 20;
const PHASE_MS = 1000;
/** Every 50 ms from the beginning of a phase to its end. */
const READINGS = 21;
const PORTS = ['up1'];
const NODES = ['a-leaf-1', 'b-leaf-1'];

const FROM_COUNTERS = {
  loss: 'drops',
  pfcPause: 'pausedNs',
  ecnMarks: 'ecnMarked',
  queuePeak: 'queuePeakAtMostBytes',
} as const satisfies Readonly<Record<string, keyof PortCounters>>;

/** Every one of them passes when all is read. */
const EXPECT: readonly Check[] = [
  busbw.during('measured').atLeast('1 Gb/s'),
  loss.during('measured').atMost('0 packets'),
  pfcPause.during('measured').atMost('5 %'),
  ecnMarks.during('measured').atMost('50 %'),
  queuePeak.during('measured').atMost('1 MB'),
];

const counted = (tick: number): PortCounters => ({
  txPackets: tick * 10,
  drops: 0,
  queuePackets: tick * 10,
  ecnMarked: tick,
  pausedNs: tick * 1000,
  queuePeakAtMostBytes: 5000,
});

const HEAD: RunLine = {
  kind: 'run',
  format: 2,
  version: '0.0.0',
  scenario: { title: 'thinned', file: 'thinned.ts', line: 1, tags: [] },
  world: 'sim',
  seed: 1,
  trainPackets: 1,
  options: {},
  plan: {
    why: 'a record with holes',
    topology: fabric(),
    load: allReduce({ bytes: '64 MiB' }),
    phases: { before: { for: `${ROUNDS} rounds` }, measured: { for: `${ROUNDS} rounds` } },
    expect: EXPECT,
  },
  decision: 'simple',
  profile: null,
};

interface Thinned {
  readonly lines: readonly RecordLine[];
  /** Share of the ports of which readings that hold 95 % of the phase are left, by counter. */
  readonly covered: ReadonlyMap<keyof PortCounters, number>;
  readonly rounds: number;
}

/** Two phases; the second loses a share of its rounds, of its readings, and of the values in them. */
function thinnedRun(random: Random): Thinned {
  const [lines, values, rounds] = [random.fraction(), random.fraction() ** 2, random.fraction()].map(share =>
    random.word() % 4 === 0 ? 0 : share,
  ) as [number, number, number];
  const left = new Map<string, number[]>();
  let roundsLeft = 0;
  const phase = (name: string, index: number, isThinned: boolean): RecordLine[] => {
    const beginNs = index * PHASE_MS * MS;
    const seen: RecordLine[] = [];
    for (let i = 0; i < READINGS; i++) {
      for (const node of NODES) {
        if (isThinned && random.fraction() < lines) continue;
        const share = i / (READINGS - 1);
        const ports = Object.fromEntries(
          PORTS.map(port => {
            const full = Object.entries(counted(index * READINGS + i)) as [keyof PortCounters, number][];
            const kept = full.map(([key, value]) => {
              // A watermark's first reading belongs to what was before: the next one bounds the peak since before the phase.
              const isLost = isThinned && random.fraction() < values;
              const isFirst = !left.has(`${node} ${port} ${key}`);
              if (isLost && !(key === 'queuePeakAtMostBytes' && isFirst)) return [key, null] as const;
              if (isThinned) left.set(`${node} ${port} ${key}`, [...(left.get(`${node} ${port} ${key}`) ?? []), share]);
              return [key, value] as const;
            });
            return [port, Object.fromEntries(kept) as PortCounters];
          }),
        );
        seen.push({ kind: 'counters', atNs: beginNs + share * PHASE_MS * MS, node, ports } satisfies CountersLine);
      }
    }
    for (let i = 0; i < ROUNDS; i++) {
      if (isThinned && random.fraction() < rounds) continue;
      if (isThinned) roundsLeft++;
      const roundNs = (PHASE_MS * MS) / ROUNDS;
      const begunNs = beginNs + i * roundNs;
      seen.push({
        kind: 'round',
        round: index * ROUNDS + i,
        beginNs: begunNs,
        endNs: begunNs + roundNs,
        busbwBps: 90e9,
        wrong: 0,
      });
    }
    return [
      ...seen,
      {
        kind: 'phase',
        name,
        beginNs,
        endNs: beginNs + PHASE_MS * MS,
        ended: 'work',
        rounds: { asked: ROUNDS, done: ROUNDS, first: index * ROUNDS },
        readNs: [beginNs, beginNs + PHASE_MS * MS],
      },
    ];
  };
  const record: RecordLine[] = [
    HEAD,
    ...phase('before', 0, false),
    ...phase('measured', 1, true),
    { kind: 'end', atNs: 2 * PHASE_MS * MS, reason: 'complete' },
  ];
  const covered = new Map(
    Object.values(FROM_COUNTERS).map(key => {
      const known = NODES.flatMap(node => PORTS.map(port => left.get(`${node} ${port} ${key}`) ?? [])).filter(
        shares => Math.max(...shares) - Math.min(...shares) >= FLOOR,
      );
      return [key, known.length / (NODES.length * PORTS.length)] as const;
    }),
  );
  return { lines: record, covered, rounds: roundsLeft };
}

void t.test('nothing passes of which less than 95 % was seen', async t => {
  const wrong: string[] = [];
  const outcomes = new Map<string, number>();
  let [whole, wholePassed] = [0, 0];
  for (let seed = 0; seed < CASES; seed++) {
    const { lines, covered, rounds } = thinnedRun(new Random(seed));
    const verdict = judge(lines, { replay: '' });
    for (const { kpi, outcome } of verdict.checks) {
      const key = (FROM_COUNTERS as Readonly<Record<string, keyof PortCounters>>)[kpi];
      const seen = key === undefined ? rounds / ROUNDS : (covered.get(key) ?? 0);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (outcome === 'pass' && seen < FLOOR)
        wrong.push(`seed ${seed}: ${kpi} passed with ${Math.floor(seen * 100)} % seen`);
      if (outcome === 'fail') wrong.push(`seed ${seed}: ${kpi} failed, and nothing was wrong`);
    }
    const isThin = verdict.checks.some(({ outcome }) => outcome === 'inconclusive');
    if (verdict.outcome === 'pass' && isThin) wrong.push(`seed ${seed}: the run passed over an inconclusive limit`);
    if ([...covered.values()].every(share => share === 1) && rounds === ROUNDS) {
      whole++;
      if (verdict.outcome === 'pass') wholePassed++;
    }
  }
  t.comment(
    `${CASES} records: ${[...outcomes].map(([outcome, count]) => `${count} ${outcome}`).join(', ')}; ${wholePassed} of ${whole} whole ones pass`,
  );
  t.same(wrong.slice(0, 5), []);
  t.ok(
    (outcomes.get('pass') ?? 0) > CASES / 10 && (outcomes.get('inconclusive') ?? 0) > CASES / 10,
    'both happened often',
  );
  t.ok(whole > 0 && wholePassed > 0, 'whole records pass');
});

void t.test('a phase in which a counter began anew tells nothing of it, and the next one does', async t => {
  const topology = fabric();
  const reading = (atMs: number, drops: number, anew = false): RecordLine => ({
    kind: 'counters',
    atNs: atMs * MS,
    node: 'a-leaf-1',
    ports: { up1: { drops, txPackets: atMs } },
    ...(anew && { anew: { up1: ['drops'] } }),
  });
  const phase = (name: string, index: number): RecordLine => ({
    kind: 'phase',
    name,
    beginNs: index * 100 * MS,
    endNs: (index + 1) * 100 * MS,
    ended: 'time',
    readNs: [index * 100 * MS, (index + 1) * 100 * MS],
  });
  const phases = { whole: { for: '100 ms' }, broken: { for: '100 ms' }, after: { for: '100 ms' } } as const;
  const lines: RecordLine[] = [
    {
      ...HEAD,
      plan: {
        ...HEAD.plan,
        topology,
        phases,
        expect: Object.keys(phases).map(name => loss.during(name).atMost('5 packets')),
      },
    },
    reading(0, 0),
    reading(100, 3),
    phase('whole', 0),
    reading(100, 3),
    // More than before, so that only the mark tells.
    reading(150, 4, true),
    reading(200, 5),
    phase('broken', 1),
    reading(200, 5),
    reading(300, 9),
    phase('after', 2),
    { kind: 'end', atNs: 300 * MS, reason: 'complete' },
  ];
  const { checks } = judge(lines, { replay: '' });
  t.same(
    checks.map(({ outcome, value }) => [outcome, value]),
    [
      ['pass', 3],
      ['inconclusive', undefined],
      ['pass', 4],
    ],
  );
  t.match(checks[1]?.reason, /a-leaf-1 up1: a counter began anew/);
});
