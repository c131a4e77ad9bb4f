import fc from 'fast-check';
import t from 'tap';
import { busbw, busbwKpi } from '../../harness/checks/busbw.ts';
import { ccConvergenceKpi } from '../../harness/checks/cc-convergence.ts';
import { convergence, convergenceKpi } from '../../harness/checks/convergence.ts';
import { ecnMarksKpi } from '../../harness/checks/ecn-marks.ts';
import { fairnessKpi, jainIndex } from '../../harness/checks/fairness.ts';
import { expectedWindows, smoothed } from '../../harness/checks/flow-windows.ts';
import { goodputKpi } from '../../harness/checks/goodput.ts';
import { jctKpi } from '../../harness/checks/jct.ts';
import { jobRecoveryKpi } from '../../harness/checks/job-recovery.ts';
import { KPIS } from '../../harness/checks/kpis.ts';
import type { Kpi } from '../../harness/checks/kpi.ts';
import { lossKpi } from '../../harness/checks/loss.ts';
import { pfcPause, pfcPauseKpi } from '../../harness/checks/pfc-pause.ts';
import { probeLossKpi } from '../../harness/checks/probe-loss.ts';
import { queuePeak, queuePeakKpi } from '../../harness/checks/queue-peak.ts';
import { spec } from '../../harness/checks/spec.ts';
import { statisticOf } from '../../harness/checks/statistic.ts';
import { faultRulesOf } from '../../harness/faults/fault-rules.ts';
import { linkDown } from '../../harness/faults/link-down.ts';
import { cut } from '../../harness/faults/span-cut.ts';
import { flap } from '../../harness/faults/span-flap.ts';
import { reboot } from '../../harness/faults/switch-reboot.ts';
import { allReduce } from '../../harness/loads/all-reduce.ts';
import { allToAll } from '../../harness/loads/all-to-all.ts';
import { flowDoubling } from '../../harness/loads/flow-doubling.ts';
import { incast } from '../../harness/loads/incast.ts';
import { maxFlow } from '../../harness/loads/max-flow.ts';
import { permutation } from '../../harness/loads/permutation.ts';
import { bestRoundNs, busbwBps, goodputRoofline, roofline, roundBytes } from '../../harness/loads/roofline.ts';
import { propagationNs, standing, wireEfficiency } from '../../harness/loads/standing.ts';
import type { Check } from '../../harness/model/check.ts';
import type {
  CountersLine,
  EffectLine,
  PortCounters,
  ProbeLine,
  RecordLine,
  RunLine,
} from '../../harness/model/record.ts';
import { linkBetween, switchNamed } from '../../harness/model/topology.ts';
import { cost } from '../../harness/run/cost.ts';
import { phaseDeadlineNs } from '../../harness/run/deadline.ts';
import { judgeCheck } from '../../harness/run/judge-check.ts';
import { runView } from '../../harness/run/run-view.ts';
import { fabric, handMadeRun, type HandMadeRun } from './hand-made-run.ts';

const two = fabric();
const MS = 1e6;
const close = (
  t: Pick<typeof import('tap').default, 'ok'>,
  found: number | undefined,
  wanted: number,
  message: string,
): void => {
  t.ok(found !== undefined && Math.abs(found - wanted) <= 1e-9 * Math.abs(wanted), `${message}: ${found} is ${wanted}`);
};

const view = (lines: readonly RecordLine[]) => runView(lines.find(line => line.kind === 'run') as RunLine, lines);
const measured = (kpi: Kpi, phase: string, options: Partial<HandMadeRun> = {}) =>
  kpi.measure(view(handMadeRun({ expect: [], ...options })), phase);

void t.test('an expectation is data that points at its own line', async t => {
  const check = busbw.p5.during('steady').atLeast('90 Gb/s');
  const here = new Error('here').stack?.split('\n')[1] ?? '';
  const line = Number(/:(\d+):\d+\)?$/.exec(here)?.[1]);
  t.same(JSON.parse(JSON.stringify(check)), { ...check, where: { ...check.where } }, 'it survives JSON');
  t.match(check, { kpi: 'busbw', phase: 'steady', statistic: 'p5', comparison: 'at least', bound: '90 Gb/s' });
  t.equal(check.where.line, line - 1, 'atLeast');
  t.match(check.where.file, /checks\.test\.ts$/);
  const others = [
    convergence.during('northCut').atMost('50 ms'),
    pfcPause.during('northCut').within('0 %', '5 %'),
    pfcPause.worst.during('northCut').within(spec('pause')),
  ];
  t.same(
    others.map(({ where }) => where.line - line),
    [7, 8, 9],
    'atMost and within',
  );
  t.match(others[2], { bound: { spec: 'pause' } });
  t.notOk('statistic' in (others[0] as Check), 'no statistic is written when the author names none');
});

void t.test('statistics are the textbook ones', async t => {
  const samples = [5, 1, 4, 2];
  const of = (statistic: Parameters<typeof statisticOf>[1], better: 'high' | 'low' = 'high') =>
    statisticOf(samples, statistic, better);
  t.equal(of('median'), 3);
  t.equal(of('mean'), 3);
  t.equal(of('total'), 12);
  t.equal(of('worst'), 1, 'the worst rate is the least');
  t.equal(of('worst', 'low'), 5, 'the worst time is the longest');
  t.equal(of('best'), 5);
  t.equal(of('best', 'low'), 1);
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  t.same(
    (['p1', 'p5', 'p95', 'p99'] as const).map(p => statisticOf(hundred, p, 'high')),
    [1, 5, 95, 99],
    'nearest rank',
  );
  t.equal(statisticOf([7], 'p99', 'low'), 7);
  t.equal(statisticOf([], 'total', 'low'), undefined, 'the total of nothing is not zero');
});

void t.test('the greatest flow through a network is the published one', async t => {
  const arc = (from: string, to: string, capacity: number) => ({ from, to, capacity });
  // Cormen, Leiserson, Rivest, Stein, "Introduction to Algorithms", figure 26.1 and 26.6: 23.
  const figure = [
    arc('s', '1', 16),
    arc('s', '2', 13),
    arc('1', '3', 12),
    arc('2', '1', 4),
    arc('3', '2', 9),
    arc('2', '4', 14),
    arc('4', '3', 7),
    arc('3', 't', 20),
    arc('4', 't', 4),
  ];
  t.equal(maxFlow(figure, { source: 's', target: 't' }), 23);
  t.equal(maxFlow([arc('s', 't', 3), arc('s', 't', 4)], { source: 's', target: 't' }), 7, 'parallel arcs add up');
  t.equal(maxFlow([arc('s', 'x', 3)], { source: 's', target: 't' }), 0);
});

void t.test('rooflines are those of the formulas in their docstrings', async t => {
  const rate = (100e9 * 4096) / 4178; // 98.04 Gb/s of payload
  const bytes = 2 ** 26;
  close(t, wireEfficiency(4096), 0.980373384394447, '4096 of 4178 bytes');
  close(t, propagationNs(1000), 4897.3880457, 'a kilometre of fibre is 4.897 us');
  const inside = propagationNs(40);
  const north = propagationNs(80_080);
  const south = propagationNs(120_080);

  await t.test('ring', async t => {
    const load = allReduce({ bytes: '64 MiB' });
    // Four ranks: 6 steps of S/4 at the NIC's rate; the chunk that goes farthest passes 6 edges, three of them the span.
    const time = (6 * 8e9 * (bytes / 4)) / rate + 3 * inside + 3 * north;
    close(t, bestRoundNs(load, two), time, 'two ranks per site');
    close(t, roofline(load, two), (1.5 * 8e9 * bytes) / time, 'busbw = 2(N-1)/N S/T');
    close(
      t,
      roofline(load, two, [cut(two.spans.north)]),
      (1.5 * 8e9 * bytes) / (time + 3 * (south - north)),
      'the longer span is left',
    );
    // Three per site: two crossings are passed twice, methods-and-numbers section 7: 2(N-1)(alpha + S/(NB)) + 4 OWD.
    close(
      t,
      bestRoundNs(load, fabric(3)),
      (10 * 8e9 * (bytes / 6)) / rate + 4 * north + 6 * inside,
      'three ranks per site',
    );
    t.equal(roofline(load, two, [cut(two.spans.north), cut(two.spans.south)]), undefined, 'no path, no roofline');
    t.equal(
      roofline(load, two, [linkDown(linkBetween(two, 'a-host-1', 'a-leaf-1'))]),
      undefined,
      'a rank without a link',
    );
    t.equal(
      roofline(load, two, [reboot(switchNamed(two, 'a-leaf-1'), { takes: '1 s' })]),
      undefined,
      'a leaf that is gone',
    );
    const crossed = [
      linkDown(linkBetween(two, 'a-leaf-1', 'a-spine-1')),
      linkDown(linkBetween(two, 'b-leaf-1', 'b-spine-2')),
    ];
    t.equal(roofline(load, two, crossed), undefined, 'each span has lost one of its ends');
  });

  await t.test('the pipelined ring formula equals the recursion it comes from', async () => {
    // t(i, k): when rank i holds chunk k-1 steps on: it sends after it has sent and after it has received.
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 2, maxLength: 9 }),
        fc.integer({ min: 1, max: 100 }),
        (delays, chunk) => {
          const n = delays.length;
          let sent = delays.map(() => 0);
          let received = delays.map(() => 0);
          for (let step = 0; step < 2 * (n - 1); step++) {
            const done = delays.map((_, i) => Math.max(sent[i] as number, received[i] as number) + chunk);
            received = delays.map((_, i) => (done[(i + n - 1) % n] as number) + (delays[(i + n - 1) % n] as number));
            sent = done;
          }
          const sum = delays.reduce((a, b) => a + b, 0);
          const formula =
            2 * (n - 1) * chunk + 2 * sum - Math.min(...delays.map((d, i) => d + (delays[(i + 1) % n] as number)));
          return Math.max(...received) === formula;
        },
      ),
    );
  });

  await t.test('hierarchical', async t => {
    const load = allReduce({ bytes: '64 MiB', algorithm: 'hierarchical' });
    // Inside: a ring of two. Between: RTT + S/X, X = the two uplinks = 2 x NIC (section 7, K = 2).
    const within = (2 * 8e9 * (bytes / 2)) / rate + 2 * inside;
    close(t, bestRoundNs(load, two), within + 2 * north + (8e9 * bytes) / (2 * rate), 'both spans');
    close(
      t,
      bestRoundNs(load, two, [cut(two.spans.north)]),
      within + 2 * south + (8e9 * bytes) / rate,
      'one uplink is left',
    );
    t.equal(roundBytes(load, two), 4 * bytes + 4 * (bytes / 2), 'each rank: S(n-1)/n twice inside, its shard between');
  });

  await t.test('all-to-all, incast, permutation', async t => {
    const a2a = allToAll({ bytes: '64 MiB' });
    close(t, bestRoundNs(a2a, two), (8e9 * (bytes / 4) * 3) / rate + north, 'a NIC sends 3/4 of its buffer');
    close(
      t,
      bestRoundNs(a2a, two, [cut(two.spans.north)]),
      (8e9 * (bytes / 4) * 4) / rate + south,
      'S n_a n_b / n = S over one uplink',
    );
    const in3 = incast({ bytes: '64 MiB', senders: 3 });
    close(t, bestRoundNs(in3, two), (3 * 8e9 * bytes) / rate + inside, 'the receiver takes three flows');
    close(t, busbwBps(in3, { ranks: 4, roundNs: 1e9 }), 3 * 8 * bytes, 'its busbw is what the receiver gets');
    t.throws(() => bestRoundNs(incast({ bytes: '1 MiB', senders: 4 }), two), /needs 5 hosts, hand-made has 4/);
    const across = permutation({ bytes: '64 MiB', shift: 2 });
    close(t, bestRoundNs(across, two), (8e9 * bytes) / rate + north, 'two flows, two uplinks');
    close(
      t,
      bestRoundNs(across, two, [cut(two.spans.north)]),
      (2 * 8e9 * bytes) / rate + south,
      'two flows share one uplink',
    );
    t.throws(() => bestRoundNs(permutation({ bytes: '1 MiB', shift: 4 }), two), /send to themselves/);
    close(
      t,
      goodputRoofline(flowDoubling({ flows: 4, join: '5 ms' }), two),
      rate,
      'endless flows: the receiver takes its rate',
    );
  });

  await t.test('a fault never raises a roofline', async () => {
    const loads = [
      allReduce({ bytes: '1 MiB' }),
      allReduce({ bytes: '1 MiB', algorithm: 'hierarchical' }),
      allToAll({ bytes: '1 MiB' }),
      permutation({ bytes: '1 MiB' }),
    ];
    const faults = [cut(two.spans.north), cut(two.spans.south), linkDown(linkBetween(two, 'a-leaf-1', 'a-spine-2'))];
    fc.assert(
      fc.property(fc.constantFrom(...loads), fc.subarray(faults), fc.constantFrom(...faults), (load, some, more) => {
        const [with1, with2] = [roofline(load, two, some) ?? 0, roofline(load, two, [...some, more]) ?? 0];
        return with2 <= with1 * (1 + 1e-12);
      }),
    );
  });
  const on = standing(two, []);
  t.equal(on.hops('a-host-1', 'b-host-1'), 5, 'host, leaf, spine, span, spine, leaf, host');
  t.equal(on.hops('a-host-1', 'a-host-2'), 2);
  t.equal(on.capacityBps(['a-host-1', 'a-host-2'], ['b-host-1', 'b-host-2']), 200e9);
});

void t.test('cost counts data and ACK packets once per cable, and probes', async t => {
  const plan = {
    why: '',
    topology: two,
    load: permutation({ bytes: '4096 B', shift: 1 }),
    phases: { a: { for: '3 rounds' as const } },
    expect: [],
    probes: { packetsPerSecond: 0 },
  };
  // Shift 1: a1-a2 (2 cables), a2-b1 (5), b1-b2 (2), b2-a1 (5): 14 data and 14 ACK hops a round.
  t.equal(cost(plan), 3 * 28);
  // One second of probes at 1,000/s over two spans, two directions, five cables each.
  const timed = {
    ...plan,
    load: flowDoubling({ flows: 1, join: '1 ms' as const }),
    phases: { a: { for: '1 s' as const } },
  };
  t.equal(cost({ ...timed, probes: { packetsPerSecond: 1000 } }) - cost(timed), 20_000);
});

void t.test('a work phase has a deadline: three times its best, and a budget for its faults', async t => {
  const load = allReduce({ bytes: '64 MiB' });
  const northCut = { for: '5 rounds' as const, faults: [cut(two.spans.north)] };
  const plan = {
    why: '',
    topology: two,
    load,
    phases: {
      steady: { for: '5 rounds' as const },
      northCut,
      gone: { for: '2 rounds' as const, faults: [cut(two.spans.north), cut(two.spans.south)] },
      timed: { for: '7 ms' as const },
      own: { for: '5 rounds' as const, deadline: '3 s' as const },
    },
    expect: [],
  };
  close(t, phaseDeadlineNs(plan, 'steady'), 15 * (bestRoundNs(load, two) ?? 0), 'no fault, no budget');
  // 10 ms loss of light, 4 x (2 + 5) ms of routing, 4 x 16.8 ms of timeouts, 1 s of grace.
  close(
    t,
    phaseDeadlineNs(plan, 'northCut'),
    15 * (bestRoundNs(load, two, northCut.faults) ?? 0) + 1105.2 * MS,
    'one cut',
  );
  close(
    t,
    phaseDeadlineNs(plan, 'gone'),
    6 * (bestRoundNs(load, two) ?? 0) + 2 * 1105.2 * MS,
    'finite where no path is left',
  );
  t.equal(phaseDeadlineNs(plan, 'timed'), 7 * MS);
  t.equal(phaseDeadlineNs(plan, 'own'), 3e9);
  t.throws(() => phaseDeadlineNs(plan, 'nope'), /no phase nope. Known: steady/);
  const slow = flap(two.spans.north, { every: '100 ms', down: '40 ms' });
  t.equal(
    faultRulesOf(slow).budgetNs(slow, { settings: two.settings, workNs: 250 * MS }),
    4 * 40 * MS + 1105.2 * MS,
    'three periods begin, and one more',
  );
  t.throws(() => flap(two.spans.north, { every: '40 ms', down: '40 ms' }), /down for less than its period/);
});

void t.test('a fault is real when its own effect was seen', async t => {
  const effect = (real: boolean | null, seen = 'x'): EffectLine => ({
    kind: 'effect',
    fault: '1',
    atNs: 1,
    witness: 'w',
    seen,
    real,
  });
  const reading = (node: string, port: string, counters: PortCounters, atNs = 1): CountersLine => ({
    kind: 'counters',
    atNs,
    node,
    ports: { [port]: counters },
  });
  const probe = (direction: ProbeLine['direction'], received: number, span = 'north'): ProbeLine => ({
    kind: 'probe',
    phase: 'p',
    span,
    direction,
    source: 's',
    target: 't',
    packetsPerSecond: 1000,
    beginNs: 0,
    endNs: 1e9,
    sent: 1000,
    received,
  });
  const nothing = { effects: [], probes: [], counters: [], baseline: [] };
  const real = (fault: Parameters<typeof faultRulesOf>[0], seen: Partial<typeof nothing> | object) =>
    faultRulesOf(fault).evidence(fault, { ...nothing, ...seen }).real;

  const light = cut(two.spans.north);
  t.same(light, { kind: 'span-cut', span: two.spans.north, direction: 'both', light: 'lost' });
  t.equal(real(light, {}), null, 'nothing was seen');
  t.equal(real(light, { effects: [effect(true), effect(null)] }), true);
  t.equal(real(light, { effects: [effect(true), effect(false)] }), false, 'half a cut is not the declared one');
  t.equal(real(light, { effects: [effect(null)] }), null);
  const [aUp, bUp, aDown, bDown] = [true, false].flatMap(operUp =>
    ['a', 'b'].map(site => reading(`${site}-spine-1`, 'span', { operUp })),
  );
  t.equal(real(light, { counters: [aUp, bUp, aDown, bDown] }), true, 'both ends went down');
  t.equal(real(light, { counters: [aDown, bUp] }), false, 'one end stayed up');
  t.equal(
    real(cut(two.spans.north, { direction: 'b-to-a' }), { counters: [aDown, bUp] }),
    true,
    'light from b is missed at a',
  );
  t.equal(
    real(light, { counters: [reading('a-spine-1', 'span', { operUp: null })] }),
    null,
    'a port that could not be read',
  );

  const silent = cut(two.spans.north, { light: 'kept' });
  const bothLost = [probe('a-to-b', 900), probe('b-to-a', 999)];
  t.equal(real(silent, { probes: bothLost, counters: [aUp, bUp] }), true, 'frames vanish, ports stay up');
  t.equal(real(silent, { probes: bothLost, counters: [aDown] }), false, 'a port went down: not silent');
  t.equal(
    real(silent, { probes: [probe('a-to-b', 900), probe('b-to-a', 1000)] }),
    false,
    'one direction passed everything',
  );
  t.equal(
    real(cut(two.spans.north, { light: 'kept', direction: 'a-to-b' }), {
      probes: [probe('a-to-b', 900), probe('b-to-a', 1000)],
    }),
    true,
  );
  t.equal(
    real(silent, { probes: [probe('a-to-b', 900, 'south'), probe('b-to-a', 900, 'south')] }),
    null,
    'another span tells nothing',
  );
  t.equal(real(silent, { effects: [effect(true)] }), true);

  const paced = flap(two.spans.north, { every: '10 ms', down: '2 ms' });
  t.equal(real(paced, { counters: [aUp, aDown] }), true);
  t.equal(real(paced, { probes: [probe('a-to-b', 999)] }), true);
  t.equal(real(paced, { probes: [probe('a-to-b', 1000)], counters: [aUp] }), null, 'readings may fall between flaps');

  const link = linkDown(linkBetween(two, 'a-leaf-1', 'a-spine-1'));
  t.equal(real(link, { counters: [reading('a-leaf-1', 'up1', { operUp: false })] }), true);
  t.equal(real(link, { counters: [reading('a-leaf-1', 'up1', { operUp: true })] }), false);
  t.equal(real(link, {}), null);

  const gone = reboot(switchNamed(two, 'a-spine-1'), { takes: '1 s' });
  const counted = (txPackets: number) => reading('a-spine-1', 'span', { txPackets });
  t.equal(real(gone, { baseline: [counted(10)], counters: [counted(3)] }), true, 'its counters started again');
  t.equal(real(gone, { baseline: [counted(10)], counters: [counted(12)] }), null);
  t.match(
    faultRulesOf(gone).evidence(gone, { ...nothing, effects: [effect(null, 'no answer')] }).reason,
    /nothing shows that a-spine-1 rebooted; w: no answer/,
  );
});

void t.test('busbw and jct take the rounds of the phase', async t => {
  t.same(measured(busbwKpi, 'northCut', { northCut: [0, 50, 60, 70, 80] }).samples, [0, 50e9, 60e9, 70e9, 80e9]);
  t.match(measured(busbwKpi, 'steady'), { expected: 5, uncertainty: 0 });
  t.equal(
    measured(busbwKpi, 'steady', { trainPackets: 8 }).uncertainty,
    undefined,
    'the error of packet trains is not known',
  );
  t.equal(
    measured(busbwKpi, 'steady', { world: 'emulated', trainPackets: 8 }).uncertainty,
    0.04e9,
    'half of 0.01 GB/s',
  );
  const stalled = { restored: [96, 96] };
  t.same(
    measured(busbwKpi, 'restored', stalled).samples,
    [96e9, 96e9, 0, 0, 0],
    'rounds that the deadline cut off are 0 b/s',
  );
  t.match(measured(jctKpi, 'restored', stalled), {
    samples: [10 * MS, 10 * MS],
    expected: 5,
    missing: '2 of 5 rounds have a usable reading',
  });
  t.match(measured(jctKpi, 'steady', { world: 'lab', trainPackets: null }), {
    samples: [10, 10, 10, 10, 10].map(ms => ms * MS),
    uncertainty: 1000,
  });
  const torn = handMadeRun({ expect: [] }).filter(line => line.kind !== 'round' || line.round !== 6);
  t.match(busbwKpi.measure(view(torn), 'northCut'), { expected: 5, missing: '4 of 5 rounds have a usable reading' });
  t.equal(busbwKpi.measure(view(torn), 'northCut').samples.length, 4, 'a lost line is missing, not zero');
  t.match(measured(busbwKpi, 'nowhere'), { samples: [], missing: 'phase nowhere was not played' });
  t.equal(
    measured(busbwKpi, 'steady', { steady: [96, 96, Number.NaN, 96, -1] }).samples.length,
    3,
    'impossible readings are missing',
  );
});

void t.test('convergence is packets lost over packets per second', async t => {
  const lost = { lost: [240, 220, 0, 0] };
  // RFC 6412: 240 packets at 20,000/s are 12 ms. U = 50 us + 100 ppm of 12 ms.
  t.match(measured(convergenceKpi, 'northCut', lost), {
    samples: [12 * MS, 11 * MS, 0, 0],
    expected: 4,
    uncertainty: 51_200,
  });
  t.match(measured(convergenceKpi, 'steady', lost), { samples: [], missing: 'no fault began in steady' });
  t.match(measured(convergenceKpi, 'northCut', { lost: [240] }), {
    expected: 4,
    missing: '1 of 4 probe flows were counted',
  });
  t.equal(
    measured(convergenceKpi, 'northCut', { lost: [-1, 0, 0, 0] }).samples.length,
    3,
    'more received than sent is no reading',
  );
  t.match(
    measured(convergenceKpi, 'northCut', { lost: [1000, 220, 0, 0] }),
    { samples: [11 * MS, 0, 0], expected: 4, exceeds: 50 * MS, uncertainty: 50_000 + 1e-4 * 50 * MS },
    'a flow that is still out at the end has not converged in 50 ms, it takes longer',
  );
  const late = handMadeRun({ expect: [], ...lost }).map(line =>
    line.kind === 'probe' && line.phase === 'northCut' ? { ...line, undecided: 10 } : line,
  );
  t.match(
    convergenceKpi.measure(view(late), 'northCut'),
    { samples: [12 * MS, 11 * MS, 0, 0], uncertainty: 11 * 50_000 + 1200 },
    'packets whose fate is not known widen U by 10 intervals of 50 us',
  );
  const unsent = handMadeRun({ expect: [] }).map(line =>
    line.kind === 'probe' && line.phase === 'northCut' && line.span === 'north'
      ? { ...line, sent: 10, received: 10 }
      : line,
  );
  for (const kpi of [convergenceKpi, probeLossKpi])
    t.match(
      kpi.measure(view(unsent), 'northCut'),
      { samples: [0, 0], expected: 4 },
      `${kpi.name}: a probe that stopped sending at the fault lost nothing and shows nothing`,
    );
  const doubled = handMadeRun({ expect: [] }).map(line =>
    line.kind === 'probe' && line.span === 'south' ? { ...line, span: 'north' } : line,
  );
  t.match(
    convergenceKpi.measure(view(doubled), 'northCut'),
    { expected: 6 },
    'two flows of one span are not two spans',
  );
  t.match(measured(probeLossKpi, 'northCut', lost), { samples: [0.24, 0.22, 0, 0], uncertainty: 0.001 });
  t.match(measured(probeLossKpi, 'steady'), { samples: [0, 0, 0, 0] });
});

/** A lab of real devices, whose clocks were read to 5 ms each. */
const REAL = { world: 'lab', trainPackets: null, clockBoundNs: 5 * MS } as const;

void t.test('jobRecovery ends with the first round that is back at its share', async t => {
  // The cut takes no capacity from a ring, only a longer span is left: the share is 90 % of 96 scaled by the rooflines (9.39 ms to 9.98 ms a round): 81.3.
  t.match(measured(jobRecoveryKpi, 'northCut', { northCut: [10, 60, 80, 90, 20] }), {
    samples: [40 * MS],
    expected: 1,
    uncertainty: 0,
  });
  t.match(
    measured(jobRecoveryKpi, 'northCut', { northCut: [95, 10, 10, 10, 10] }),
    { samples: [10 * MS] },
    'the first round back counts',
  );
  t.match(measured(jobRecoveryKpi, 'northCut', { northCut: [10, 10, 10, 10, 10] }), { samples: [], exceeds: 50 * MS });
  t.match(
    measured(jobRecoveryKpi, 'northCut', { northCut: [10, 10, 10, 10, 10], ...REAL }),
    { samples: [], exceeds: 50 * MS, uncertainty: 1000 + 1e-4 * 50 * MS + 10 * MS },
    'what had not happened has its U too',
  );
  t.match(measured(jobRecoveryKpi, 'restored'), { samples: [], missing: 'no fault began in restored' });
  // A permutation over the spans loses half of its capacity: half the rate is all of its share.
  const across = permutation({ bytes: '64 MiB', shift: 2 });
  t.match(measured(jobRecoveryKpi, 'northCut', { load: across, northCut: [10, 45, 48, 48, 48] }), {
    samples: [20 * MS],
  });
  const torn = handMadeRun({ expect: [] }).filter(line => line.kind !== 'round' || line.round !== 2);
  t.match(jobRecoveryKpi.measure(view(torn), 'northCut'), {
    samples: [],
    missing: 'rounds of steady are missing from the record',
  });
  t.match(measured(jobRecoveryKpi, 'northCut', REAL), { uncertainty: 1000 + 1e-4 * 10 * MS + 10 * MS });
  const { clockBoundNs: _unread, ...unread } = REAL;
  t.equal(measured(jobRecoveryKpi, 'northCut', unread).uncertainty, undefined, 'nobody read the clocks');
});

void t.test('counters are compared between the first and the last reading of the phase', async t => {
  const during = (first: PortCounters, last: PortCounters) => ({ counters: [first, last] as const });
  t.match(measured(lossKpi, 'northCut', during({ drops: 3 }, { drops: 10 })), {
    samples: [7],
    expected: 1,
    uncertainty: 0,
  });
  t.match(
    measured(lossKpi, 'steady', during({ drops: 3 }, { drops: 10 })),
    { samples: [], missing: 'no port reported drops' },
    'readings of another phase',
  );
  t.match(measured(lossKpi, 'northCut', during({ drops: 3 }, { drops: null })), {
    samples: [],
    missing: 'drops of 1 of 1 ports: a-leaf-1 up1: a counter could not be read',
  });
  t.match(
    measured(lossKpi, 'northCut', during({ drops: 3 }, { drops: 2 })),
    { samples: [], missing: /a counter fell back/ },
    'a reset loses what was counted',
  );
  t.match(
    measured(lossKpi, 'northCut', during({}, {})),
    { samples: [], expected: 1, missing: 'no port reported drops' },
    'a device without the counter',
  );
  t.match(measured(lossKpi, 'northCut'), { samples: [], missing: 'no port reported drops' });
  t.match(
    measured(lossKpi, 'northCut', during({ drops: 3, txPackets: 9 }, { drops: 3, txPackets: 9 })),
    { samples: [], missing: 'no port counted a packet while 5 rounds finished' },
    'an agent that answers from a cache has not counted zero drops',
  );
  t.match(measured(lossKpi, 'northCut', during({ drops: 3, txPackets: 9 }, { drops: 3, txPackets: 10 })), {
    samples: [0],
  });
  t.match(
    measured(pfcPauseKpi, 'northCut', during({ pausedNs: 1 * MS }, { pausedNs: 3 * MS })),
    { samples: [0.04] },
    '2 of 50 ms',
  );
  t.equal(
    measured(pfcPauseKpi, 'northCut', { world: 'emulated', ...during({ pausedNs: 0 }, { pausedNs: 0 }) }).uncertainty,
    2e3 / (50 * MS),
  );
  t.match(
    measured(
      ecnMarksKpi,
      'northCut',
      during({ ecnMarked: 5, queuePackets: 100 }, { ecnMarked: 30, queuePackets: 600 }),
    ),
    { samples: [0.05] },
  );
  t.match(
    measured(ecnMarksKpi, 'northCut', during({ ecnMarked: 5, queuePackets: 100 }, { ecnMarked: 5, queuePackets: 100 })),
    { samples: [], missing: 'no port sent a packet from its lossless queue' },
  );
  t.match(
    measured(queuePeakKpi, 'northCut', during({ queuePeakBytes: 9e9 }, { queuePeakBytes: 4096 })),
    { samples: [4096] },
    'the first reading is of what was before',
  );
  t.match(measured(queuePeakKpi, 'northCut', during({ queuePeakBytes: 0 }, { queuePeakBytes: null })), {
    samples: [],
    missing: 'queue watermarks of 1 of 1 ports',
  });

  // A watermark that nobody clears and that did not rise: the peak of the phase was from 0 to it.
  const old = during({ queuePeakBytes: 9000 }, { queuePeakAtMostBytes: 9000 });
  const judged = (check: Check, counters = old) =>
    judgeCheck(check, {
      view: view(handMadeRun({ expect: [], world: 'emulated', ...counters })),
      rule: 'guarded',
      profile: null,
    });
  t.match(judged(queuePeak.during('northCut').atMost('10 KB')), { outcome: 'pass', value: 9000, samples: 0 });
  t.match(judged(queuePeak.during('northCut').atMost('4 KB')), { outcome: 'inconclusive', samples: 0 });
  t.match(judged(queuePeak.during('northCut').atMost('9.2 KB')), { outcome: 'inconclusive' }, 'closer than one cell');
  t.match(judged(queuePeak.during('northCut').atLeast('4 KB')), { outcome: 'inconclusive' });
  t.match(judged(queuePeak.during('northCut').atLeast('10 KB')), { outcome: 'fail' }, 'it can not have been so high');
  const rose = during({ queuePeakAtMostBytes: 300 }, { queuePeakBytes: 9000 });
  t.match(judged(queuePeak.during('northCut').atMost('4 KB'), rose), { outcome: 'fail', value: 9000, samples: 1 });
});

void t.test('counters of packet trains have an error that is not known', async t => {
  const grew: PortCounters = { drops: 1, pausedNs: 1 * MS, ecnMarked: 5, queuePackets: 100, queuePeakBytes: 4096 };
  const none: PortCounters = { drops: 0, pausedNs: 0, ecnMarked: 0, queuePackets: 0, queuePeakBytes: 0 };
  const counters = [none, grew] as const;
  for (const kpi of [lossKpi, pfcPauseKpi, ecnMarksKpi, queuePeakKpi]) {
    const [single, trains] = [1, 8].map(trainPackets => measured(kpi, 'northCut', { counters, trainPackets }));
    t.equal(single?.uncertainty, 0, `${kpi.name}, packet by packet`);
    t.equal(trains?.samples.length, 1, kpi.name);
    t.equal(trains?.uncertainty, undefined, `${kpi.name}, in trains`);
  }
});

void t.test("Jain's index is 1 for equal shares, 1/n for one that takes all, and never outside", async t => {
  t.equal(jainIndex([3, 3, 3]), 1);
  t.equal(jainIndex([0, 0, 0, 5]), 0.25);
  // Jain, Chiu, Hawe 1984: (1 + 2 + 3)^2 / (3 x 14).
  close(t, jainIndex([1, 2, 3]), 36 / 42, '1, 2, 3');
  t.equal(jainIndex([]), undefined);
  t.equal(jainIndex([0, 0]), undefined, 'nobody got anything: there is no sharing to judge');
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e15, noNaN: true }), { minLength: 1, maxLength: 30 }), rates => {
      const index = jainIndex(rates);
      return index === undefined
        ? rates.every(rate => rate === 0)
        : index <= 1 && index >= (1 / rates.length) * (1 - 1e-12);
    }),
  );
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1, max: 1e12, noNaN: true }), { minLength: 1, maxLength: 20 }),
      fc.double({ min: 0.1, max: 1e3, noNaN: true }),
      (rates, scale) => Math.abs((jainIndex(rates) ?? 0) - (jainIndex(rates.map(rate => rate * scale)) ?? 1)) < 1e-9,
    ),
  );
});

void t.test('flow series give goodput, fairness and congestion control convergence', async t => {
  const load = flowDoubling({ flows: 1, join: '20 ms' });
  const header = handMadeRun({ expect: [], load })[0] as RunLine;
  const run: RunLine = { ...header, plan: { ...header.plan, phases: { all: { for: '100 ms' } } } };
  // Windows of 10 ms; the second flow joins at 20 ms and has its share from the window that ends at 60 ms on.
  const first = [90, 90, 80, 70, 60, 46, 45, 44, 46, 45];
  const second = [undefined, undefined, 10, 20, 30, 44, 45, 46, 44, 45];
  const flows = [first, second].flatMap((rates, flow) =>
    rates.flatMap((rate, i): RecordLine[] =>
      rate === undefined
        ? []
        : [{ kind: 'flow', flow: `f${flow}`, atNs: (i + 1) * 10 * MS, windowNs: 10 * MS, rateBps: rate * 1e9 }],
    ),
  );
  const lines = (some: readonly RecordLine[]): RecordLine[] => [
    run,
    ...some,
    { kind: 'phase', name: 'all', beginNs: 0, endNs: 100 * MS, ended: 'time' },
  ];
  const of = (kpi: Kpi, some: readonly RecordLine[] = flows) => kpi.measure(view(lines(some)), 'all');

  t.same(
    of(goodputKpi).samples,
    [90, 90, 90, 90, 90, 90, 90, 90, 90, 90].map(rate => rate * 1e9),
  );
  t.match(of(goodputKpi), { expected: 9, uncertainty: 0 });
  close(t, of(fairnessKpi).samples[2], 8100 / (2 * (6400 + 100)), '(80 + 10)^2 / (2 (80^2 + 10^2))');
  t.match(of(ccConvergenceKpi), { samples: [40 * MS], uncertainty: 10 * MS }, 'from 20 ms to 60 ms');
  const restless = flows.filter(line => !(line.kind === 'flow' && line.atNs === 100 * MS && line.flow === 'f1'));
  const unfair: RecordLine = { kind: 'flow', flow: 'f1', atNs: 100 * MS, windowNs: 10 * MS, rateBps: 10e9 };
  t.match(
    of(ccConvergenceKpi, [...restless, unfair]),
    { samples: [], exceeds: 80 * MS },
    'what does not last is no convergence',
  );
  const hole = flows.filter(line => !(line.kind === 'flow' && line.atNs === 70 * MS && line.flow === 'f1'));
  t.equal(of(goodputKpi, hole).samples.length, 9, 'a window that lacks a flow is missing');
  t.match(of(ccConvergenceKpi, flows.slice(0, 10)), { samples: [], missing: 'no flow joined the first 1 in all' });
  t.match(of(goodputKpi, []), { samples: [], missing: /0 of/ });
  t.match(measured(ccConvergenceKpi, 'steady'), { samples: [], missing: 'all-reduce has no flows that join' });
});

void t.test('flow windows of different lengths are joined and counted by time', async t => {
  const window = (atNs: number, windowNs: number, x: number, y?: number) => ({
    atNs,
    windowNs,
    rates: new Map(
      y === undefined
        ? [['x', x]]
        : [
            ['x', x],
            ['y', y],
          ],
    ),
  });
  const windows = [window(1, 1, 10), window(2, 1, 20, 6), window(4, 2, 50, 9)];
  // From 1 to 4: (20 x 1 + 50 x 2) / 3 = 40 and (6 x 1 + 9 x 2) / 3 = 8.
  t.same(
    smoothed(windows, 3).map(({ atNs, windowNs, rates }) => [atNs, windowNs, [...rates]]),
    [
      [
        4,
        3,
        [
          ['x', 40],
          ['y', 8],
        ],
      ],
    ],
  );
  t.same(
    smoothed(windows, 4).map(({ rates }) => [...rates.keys()]),
    [['x']],
    'y was not there all the time',
  );
  t.same(smoothed(windows, 5), [], 'nothing is that long');
  t.equal(expectedWindows(windows, 4), 2, 'all of the time is covered; one window is forgiven');
  t.equal(expectedWindows(windows, 16), 11, 'a quarter of the time is covered by three');
  t.equal(expectedWindows([], 16), 1);
});

void t.test('every KPI is known by its name, and has no samples in a record that is empty', async t => {
  t.equal(KPIS.size, 17);
  const empty = view(handMadeRun({ expect: [] }).slice(0, 1));
  for (const [name, kpi] of KPIS) {
    t.equal(kpi.name, name);
    t.match(kpi.measure(empty, 'steady'), { samples: [], kpi: name, missing: 'phase steady was not played' });
  }
});
