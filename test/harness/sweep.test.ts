import { spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { chromium } from '@playwright/test';
import t from 'tap';
import { plot } from '../../harness/cli/plot.ts';
import type { PlotCommand } from '../../harness/cli/plot.ts';
import { readSweep } from '../../harness/cli/sweep-folder.ts';
import { sweepProgress } from '../../harness/cli/sweep-progress.ts';
import { DEFAULT_FABRIC } from '../../harness/model/fabric-settings.ts';
import type { Plan } from '../../harness/model/plan.ts';
import type { SweepCell, SweepHead, SweptKpi } from '../../harness/model/sweep.ts';
import { cable } from '../../harness/model/topology.ts';
import type { Span } from '../../harness/model/topology.ts';
import { matrix } from '../../harness/run/sweep-matrix.ts';
import { vary } from '../../harness/run/vary.ts';
import { renderSweep, renderSweepCsv, sweepFigures } from '../../reports/index.ts';
import { meanOf } from '../../reports/sweep-mean.ts';
import { farspanProcess, ROOT, type Said } from './farspan-process.ts';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const noChromium = existsSync(CHROMIUM) ? false : `no Chromium at ${CHROMIUM}; set CHROMIUM to run it`;
const scratch = mkdtempSync(path.join(os.tmpdir(), 'farspan-sweep-'));
// Every case with a process starts Playwright and threads: slow on a busy machine.
t.setTimeout(480_000);
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

const span = (name: string, i: number): Span => ({
  kind: 'span',
  name,
  ends: [
    { node: 'a-leaf', port: `span${i}` },
    { node: 'b-leaf', port: `span${i}` },
  ],
  rate: '100 Gb/s',
  length: '80 km',
});
const north = span('north', 1);
const PLAN: Plan = {
  why: 'A plan to be varied.',
  topology: {
    name: 'two ends',
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
    spans: { north, south: span('south', 2) },
    settings: { ...DEFAULT_FABRIC, dcqcn: null },
  },
  load: { kind: 'all-reduce', bytes: '1 MiB', algorithm: 'ring' },
  phases: {
    steady: { for: '2 rounds' },
    cut: { for: '2 rounds', faults: [{ kind: 'span-cut', span: north, direction: 'both', light: 'lost' }] },
  },
  expect: [],
};

t.test('a variation replaces what its path names, in the unit that stands there, and faults follow', async t => {
  const varied = vary(PLAN, { 'topology.spans.*.length': '10 km', 'topology.settings.ecn.probability': '0.5' });
  t.same(
    Object.values(varied.topology.spans).map(({ length }) => length),
    ['10 km', '10 km'],
  );
  t.match(varied.phases['cut']?.faults, [{ span: { length: '10 km' } }], 'the cut span is the one of the topology');
  t.equal(varied.topology.settings.ecn?.probability, 0.5);
  t.equal(PLAN.topology.spans['north']?.length, '80 km', 'the declared plan is as it was');

  const narrow = vary(PLAN, { 'topology.spans.north.length': '1 km', 'topology.spans.*.length': '10 km' });
  t.same(
    Object.values(narrow.topology.spans).map(({ length }) => length),
    ['1 km', '10 km'],
    'what is said of one place stands, whatever the order',
  );
  t.same(
    vary(PLAN, { 'topology.links.a-*.rate': '40 Gb/s' }).topology.links.map(({ rate }) => rate),
    ['40 Gb/s', '100 Gb/s'],
    'things in a list go by their names',
  );
  t.equal(vary(PLAN, { 'topology.links.1.rate': '40 Gb/s' }).topology.links[1]?.rate, '40 Gb/s', 'or their numbers');
  t.match(vary(PLAN, { 'load.algorithm': 'hierarchical' }).load, { algorithm: 'hierarchical' });
  t.match(vary(PLAN, { 'load.queuePairs': '4' }).load, { queuePairs: 4 }, 'what the plan leaves unsaid');
  t.match(vary(PLAN, { 'probes.packetsPerSecond': '5000' }), { probes: { packetsPerSecond: 5000 } });
  const { settings } = vary(PLAN, {
    'topology.settings.transport.control': 'hpcc',
    'topology.settings.transport.recovery': 'selective-repeat',
    'topology.settings.switching.loadBalancing': 'adaptive',
  }).topology;
  t.same(settings.transport, { control: 'hpcc', recovery: 'selective-repeat' }, 'a law that the plan does not name');
  t.same(settings.switching, { loadBalancing: 'adaptive' });
  t.same(vary(PLAN, { 'topology.settings.transport.control': 'declared' }), PLAN);
  t.throws(() => vary(PLAN, { 'topology.settings.switching.loadBalancing': 'adaptiv' }), /adaptive/);
  t.throws(() => vary(PLAN, { 'topology.settings.transport.control': '1 km' }), /name of a congestion control law/);
  t.equal(vary(PLAN, { 'topology.settings.pfc': 'null' }).topology.settings.pfc, null, 'a mechanism can be off');
  t.equal(vary(PLAN, { 'phases.*.for': '20 ms' }).phases['cut']?.for, '20 ms', 'work or time');
  t.same(vary(PLAN, { 'load.bytes': 'declared', 'probes.packetsPerSecond': 'declared' }), PLAN);
});

t.test('a path that names nothing and a value that can not stand there are refused with what could', async t => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['topology.spans.*.lenght', '1 km', /topology\.spans\.\* has no "lenght"\. Did you mean "length"\?/],
    ['toplogy.spans', '1 km', /the plan has no "toplogy"\. Did you mean "topology"\?/],
    ['topology.spans.nroth.length', '1 km', /has no "nroth"\. .*Known there: north, south/],
    ['topology.settings.dcqcn.g', '0.1', /topology\.settings\.dcqcn is off \(null\) and has no "g"/],
    ['topology.settings.dcqcn', '0.1', /it is off in this scenario/],
    ['topology.spans.*.length', '1 ms', /a distance stands here, such as 80 km; this is a duration/],
    ['topology.spans.*.length', '1 kn', /this is no quantity\. Did you mean "km"\? Units: m, km/],
    ['topology.spans.*.length', '10', /this is no quantity/],
    ['topology.spans.*.length', '-1 km', /can not be below 0/],
    ['topology.settings.ecn.probability', '10 %', /a bare number stands here, such as 0\.2/],
    ['topology.settings.ecn.probability', '0x10', /a bare number stands here/],
    [
      'topology.settings.ecn',
      'off',
      /only null \(off\) can stand here\. Vary one of them, such as topology\.settings\.ecn\.min/,
    ],
    ['load.algorithm', 'rign', /Known choices: ring, hierarchical/],
    ['topology.name', 'x', /is a name or a sentence/],
    ['topology.sites.length', '3', /names nothing/],
    ['__proto__.polluted', '1', /names nothing/],
    ['constructor.prototype.polluted', '1', /names nothing/],
    ['', '1', /is no path/],
    ['topology..name', '1', /is no path/],
  ];
  for (const [at, value, words] of cases)
    t.throws(() => vary(PLAN, { [at]: value }), { name: 'VariationError', message: words }, `${at}=${value}`);
  t.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

const swept = (plan: Plan) => ({
  scenario: { title: 'x', file: 'x.scenario.ts', line: 1, tags: [] },
  sweepable: {
    plan,
    root: '/',
    binding: '/world.ts',
    provider: '',
    world: 'sim',
    worldOptions: {},
    profileFile: '',
    trainPackets: 1,
  },
});

t.test('the matrix is checked whole before anything is played, and its ids are its content', async t => {
  const lengths = { path: 'topology.spans.*.length', values: ['10 km', '100 km'] };
  const of = (plan = PLAN, seeds = [1, 2], parameters = [lengths]) =>
    matrix({ scenarios: [swept(plan)], parameters, seeds, profile: null });
  const cells = of();
  t.equal(cells.length, 4);
  t.equal(new Set(cells.map(({ id }) => id)).size, 4, 'each has an id of its own');
  t.same(of(), cells, 'the same every time');
  t.same(
    of(PLAN, [2, 3])
      .map(({ id }) => id)
      .filter(id => cells.some(cell => cell.id === id)).length,
    2,
    'another seed list keeps the cells that it shares',
  );
  const edited = of({ ...PLAN, load: { kind: 'all-reduce', bytes: '2 MiB', algorithm: 'ring' } });
  t.notOk(
    edited.some(({ id }) => cells.some(cell => cell.id === id)),
    'an edited scenario is other cells',
  );
  // 1 MiB ring of two: each rank sends 2 chunks of 512 KiB, 128 packets of 4096 B, over 3 cables, ACKs double it, 2 ranks x 2 phases x
  // 2 rounds: 2 x 128 x 3 x 2 x 2 x 4 = 12288. Probes add less than one for each span and direction: rounds last about 0.1 ms.
  t.ok((cells[0]?.packetHops ?? 0) >= 12_288 && (cells[0]?.packetHops ?? 0) < 12_800, `${cells[0]?.packetHops}`);

  const wrong = (parameters: (typeof lengths)[], words: RegExp) =>
    t.throws(() => of(PLAN, [1], parameters), { name: 'VariationError', message: words });
  wrong([lengths, { path: 'load.bites', values: ['1 MiB'] }], /has no "bites".*Did you mean "bytes"/);
  wrong(
    [{ path: 'load.bytes', values: ['1 MiB', '3 ms', '4 Gb/s'] }],
    /3 ms: a size stands.*\n.*4 Gb\/s: a size stands/,
  );
  wrong([{ path: 'load.bytes', values: ['1 MiB', '1024 KiB'] }], /1 MiB and 1024 KiB are the same/);
  wrong([{ path: 'phases.steady.for', values: ['1 round', '0 rounds'] }], /not a positive time or number of rounds/);
  wrong([{ path: 'load.bytes', values: Array.from({ length: 100_001 }, (_, i) => `${i + 1} B`) }], /more than 100000/);
});

t.test('the mean over seeds has the spread of the seeds and the U of a value in its U', async t => {
  // s = 1, n = 3: t(2) s / sqrt 3 = 4.30 / 1.7321 = 2.4826; with U 0.5: sqrt(2.4826^2 + 0.25) = 2.5324.
  const near = (a: number | undefined, b: number) => t.ok(Math.abs((a ?? Number.NaN) - b) < 1e-3, `${a} is ${b}`);
  const spread = meanOf([{ value: 1 }, { value: 2 }, { value: 3 }]);
  t.match(spread, { mean: 2, spreadOnly: true });
  near(spread.uncertainty, 2.4826);
  const both = meanOf([1, 2, 3].map(value => ({ value, uncertainty: 0.5 })));
  near(both.uncertainty, 2.5324);
  t.equal(both.spreadOnly, undefined);
  t.same(meanOf([{ value: 7, uncertainty: 0.25 }]), { mean: 7, uncertainty: 0.25 });
  t.same(meanOf([{ value: 7 }]), { mean: 7 }, 'one value without U has none');
  t.same(meanOf([]), {}, 'no values have no mean');
});

t.test('what is left is foreseen from packet-hops, and a log has a line for each cell', async t => {
  let nowMs = 0;
  const written: string[] = [];
  const cell: SweepCell = cellAt({ x: '1 km', seed: 1 });
  const of = (terminal: boolean) =>
    sweepProgress({
      cells: 3,
      kept: 1,
      packetHops: 4000,
      workers: 2,
      nowMs: () => nowMs,
      terminal,
      width: 200,
      write: text => written.push(text),
    });
  const log = of(false);
  log.begin('runs/x');
  log.cell({ ...cell, outcome: 'fail', reason: 'too\u001b[2Jslow', parameters: { p: '\u001b]0;evil\u0007' } });
  t.same(written[0], '3 cells, 1 of them kept; 4,000 packet-hops to play on 2 threads; in runs/x\n');
  t.equal(written[1], '[2/3] FAIL         p=\\x1b]0;evil\\x07 · seed 1: too\\x1b[2Jslow\n');
  const bar = of(true);
  nowMs = 10_000;
  bar.cell({ ...cell, packetHops: 1000 });
  // 1000 of 4000 hops took 10 s: 3000 take 30 s.
  t.match(written.at(-1), 'about 30.0 s left');
});

const CONFIG = ['--config', 'test/harness/cli-scenarios/playwright.config.ts'];
const at = (name: string): string => path.join(scratch, name);
const sweep = (name: string, args: readonly string[], onStart?: (child: ChildProcess) => void): Promise<Said> =>
  farspanProcess(['sweep', ...CONFIG, '--workers', '2', '--out', at(name), ...args], { ...(onStart && { onStart }) });
const LENGTHS = ['--vary', 'topology.spans.*.length=10 km,100 km'];
const cellsOf = (name: string): readonly SweepCell[] => readSweep(at(name)).cells;

t.test('a sweep on two threads makes run folders with the same bytes as the single runs', async t => {
  const { code, out, err } = await sweep('matrix', ['-g', '@good|@bad', ...LENGTHS, '--seeds', '1..2']);
  t.equal(code, 1, `@bad misses its limits: ${err}`);
  t.match(out, /8 of 8 cells: 4 fail · 4 pass/);
  t.match(out, /FAIL +topology\.spans\.\*\.length=10 km · seed 1: .*at least 900 Gb\/s/, 'a miss is named');
  const cells = cellsOf('matrix');
  t.equal(cells.length, 8);
  const one = cells.find(
    ({ scenario, parameters, seed }) =>
      scenario.startsWith('it misses') && parameters['topology.spans.*.length'] === '100 km' && seed === 2,
  );
  t.match(one, {
    outcome: 'fail',
    kpis: [
      { kpi: 'busbw', phase: 'steady', statistic: 'median', dimension: 'rate', outcome: 'pass', limit: 1e6 },
      { kpi: 'busbw', outcome: 'fail', limit: 900e9 },
      { kpi: 'jct', outcome: 'fail', comparison: 'at most' },
    ],
  });
  t.ok((one?.kpis[0]?.value ?? 0) > 1e9, 'the value is there');
  t.equal(one?.kpis[0]?.uncertainty, 0, 'and its U: exact, packet by packet');
  const folder = path.join(at('matrix'), one?.folder ?? '');
  const read = (file: string) => readFileSync(path.join(folder, file), 'utf8');
  t.match(JSON.parse(read('record.ndjson').split('\n')[0] ?? ''), {
    set: { 'topology.spans.*.length': '100 km' },
    plan: { topology: { spans: { north: { length: '100 km' } } } },
  });
  t.ok(existsSync(path.join(folder, 'report.html')), 'with reports');

  const { replay } = JSON.parse(read('verdict.json')) as { replay: string };
  t.match(replay, /--set "topology\.spans\.\*\.length=100 km"/);
  // Typed into a shell, as a user would.
  const single = spawnSync(
    '/bin/sh',
    ['-c', `${replay.replace(/^npx farspan/, '"$NODE" bin/farspan.js')} --runs '${at('single')}'`],
    {
      cwd: ROOT,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NODE: process.execPath },
    },
  );
  t.equal(single.status, 1, single.stdout + single.stderr);
  const [alone = ''] = readdirSync(at('single')).filter(name => name.endsWith('-sim-s2'));
  for (const file of ['record.ndjson', 'verdict.json'])
    t.ok(readFileSync(path.join(at('single'), alone, file), 'utf8') === read(file), `${file} is the same bytes`);

  const before = read('verdict.json');
  t.equal((await farspanProcess(['judge', folder])).code, 1, 'judge works on it');
  t.equal(read('verdict.json'), before, 'and concludes the same');

  const plotted = await farspanProcess([
    'plot',
    at('matrix'),
    '--kpi',
    'busbw',
    '--against',
    'topology.spans.*.length',
  ]);
  t.equal(plotted.code, 0, plotted.err);
  t.match(plotted.out, /^8 cells in /);
  t.match(readFileSync(at('matrix/plot-busbw-topology-spans-length.html'), 'utf8'), '</html>');
  const length = 'topology.spans.*.length';
  const wrong: readonly (readonly [Pick<PlotCommand, 'kpi' | 'against'> & Partial<PlotCommand>, RegExp])[] = [
    [{ kpi: 'busbv', against: length }, /no cell judged busbv\. Did you mean "busbw"\?/],
    [{ kpi: 'busbw', against: 'topology.span.*.length' }, /Did you mean "topology\.spans\.\*\.length"\?/],
    [{ kpi: 'busbw', against: 'scenario', by: ['scenario'] }, /length vary too, and one mean over them/],
    [{ kpi: 'busbw', against: 'scenario', phase: 'sturdy' }, /Did you mean "steady"\?/],
    [
      { kpi: 'busbw', against: 'scenario', where: { [length]: '10 m' } },
      /no cell has .*=10 m\. Did you mean "10 km"\?/,
    ],
  ];
  const record = at('matrix/sweep.ndjson');
  t.throws(
    () => plot({ folder: at('matrix'), kpi: 'busbw', against: length, where: {}, csv: true, by: [], out: record }),
    { name: 'UsageError', message: /is the sweep's own record/ },
  );
  for (const [{ by = [], where = {}, ...asked }, message] of wrong)
    t.throws(() => plot({ folder: at('matrix'), where, csv: false, by, ...asked }), { name: 'UsageError', message });
});

t.test(
  'a sweep that is killed goes on where it was: finished cells stay, half-written ones are played again',
  async t => {
    const args = ['-g', '@bad', '--option', 'trouble=slow', ...LENGTHS, '--seeds', '1..3'];
    const file = at('killed/sweep.ndjson');
    const lines = (): readonly string[] =>
      existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(1, -1) : [];
    const killed = await sweep('killed', args, child => {
      const end = Date.now() + 120_000;
      const watch = async (): Promise<void> => {
        while (lines().length < 2 && Date.now() < end) await sleep(10);
        child.kill('SIGKILL');
      };
      void watch();
    });
    t.equal(killed.signal, 'SIGKILL');
    const kept = readSweep(at('killed')).cells;
    t.ok(kept.length >= 2 && kept.length < 6, `${kept.length} of 6 cells were finished`);
    const half = readdirSync(at('killed/cells')).filter(id => !kept.some(cell => cell.id === id));
    t.ok(half.length > 0, 'some were half-written');
    // What a kill can leave: a line that was cut off. And what a disk can: a record that is not whole.
    appendFileSync(file, '{"kind":"cell","id":"cut o');
    const [damaged, intact] = kept;
    truncateSync(path.join(at('killed'), damaged?.folder ?? '', 'record.ndjson'), 2000);

    const refused = await sweep('killed', args);
    t.equal(refused.code, 5);
    t.match(refused.err, /holds a sweep already\. Add --resume/);

    // The killed one's number is nobody's now; that of a process at work is respected.
    const numberOf = Number(readFileSync(at('killed/sweep.pid'), 'utf8'));
    t.ok(numberOf > 0);
    writeFileSync(at('killed/sweep.pid'), `${process.pid}\n`);
    const second = await sweep('killed', [...args, '--resume']);
    t.equal(second.code, 7);
    t.match(second.err, new RegExp(`process ${process.pid}, is at work in this folder`));
    writeFileSync(at('killed/sweep.pid'), `${numberOf}\n`);

    const resumed = await sweep('killed', [...args, '--resume']);
    t.equal(resumed.code, 1, resumed.err);
    t.match(resumed.out, new RegExp(`6 of 6 cells: 6 fail \\(${kept.length - 1} kept from before\\)`));
    const after = cellsOf('killed');
    t.equal(after.length, 6);
    t.equal(after.find(({ id }) => id === intact?.id)?.folder, intact?.folder, 'what was whole was not played again');
    for (const { id, folder } of after) {
      t.same(readdirSync(at(`killed/cells/${id}`)), [path.basename(folder ?? '')], 'one run folder a cell');
      const record = readFileSync(path.join(at('killed'), folder ?? '', 'record.ndjson'), 'utf8');
      t.match(record.trimEnd().split('\n').at(-1), /^\{"kind":"end".*"reason":"complete"/);
    }

    const wider = await sweep('killed', [...args.slice(0, -1), '1..4', '--resume']);
    t.match(wider.out, /8 of 8 cells: 8 fail \(6 kept from before\)/, 'a wider matrix plays what is new');
  },
);

t.test('Ctrl-C ends with what is there, exit 130 and how to go on', async t => {
  const file = at('stopped/sweep.ndjson');
  const { code, out } = await sweep(
    'stopped',
    ['-g', '@bad', '--option', 'trouble=slow', ...LENGTHS, '--seeds', '1..4'],
    child => {
      const end = Date.now() + 120_000;
      const watch = async (): Promise<void> => {
        const begun = (): boolean => existsSync(file) && readFileSync(file, 'utf8').split('\n').length > 2;
        while (!begun() && Date.now() < end) await sleep(10);
        child.kill('SIGINT');
      };
      void watch();
    },
  );
  t.equal(code, 130);
  t.match(out, /Stopping: finished cells are kept/);
  const [, done] = /INTERRUPTED +(\d+) of 8 cells: \1 fail/.exec(out) ?? [];
  t.ok(Number(done) >= 1, out);
  t.match(out, /RESUME .*--out .*stopped --resume/);
  t.equal(cellsOf('stopped').length, Number(done), 'cells that were stopped are in no line');
});

t.test('a record that was edited is told with its line, not drawn', t => {
  const lines = readFileSync(at('matrix/sweep.ndjson'), 'utf8').split('\n');
  const head = JSON.parse(lines[0] as string) as SweepHead;
  const cell = JSON.parse(lines[1] as string) as SweepCell;
  const folder = t.testdir();
  for (const [one, line] of [
    [{ ...head, parameters: [null] }, 1],
    [{ ...cell, parameters: null }, 2],
    [{ ...cell, kpis: [null] }, 2],
    [{ ...cell, kpis: [{ ...cell.kpis[0], value: '5' }] }, 2],
  ] as const) {
    const text = line === 1 ? [one] : [head, one];
    writeFileSync(path.join(folder, 'sweep.ndjson'), text.map(each => `${JSON.stringify(each)}\n`).join(''));
    t.throws(() => readSweep(folder), { name: 'EvidenceError', message: new RegExp(`ndjson:${line}: .* damaged`) });
  }
  t.end();
});

t.test('a thread that dies and a world that throws cost their cell; the others are played', async t => {
  const { code, out } = await sweep('broken', ['-g', '@good', '--option', 'trouble=third-seed', '--seeds', '1..5']);
  t.equal(code, 3);
  t.match(out, /5 of 5 cells: 2 error · 3 pass/);
  t.match(out, /ERROR +seed 3: the thread ended by itself with code 9/);
  t.match(out, /ERROR +seed 4: this rack has no power/);
  const dead = cellsOf('broken').find(({ seed }) => seed === 3);
  t.match(dead, { outcome: 'error', kpis: [], folder: null });

  const idle = await sweep('idle', ['-g', '@good', '--option', 'trouble=refuses', '--seeds', '1..2']);
  t.equal(idle.code, 2, 'nothing was judged');
  t.match(idle.out, /2 of 2 cells: 2 not run/);
  t.match(idle.out, /NOT RUN +seed 1: this rack can not do/);
});

t.test('what can not be swept is refused before the first run', async t => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['-g', '@body', ...LENGTHS], /can not be swept: it is an ordinary body, not a plan/],
    [['-g', '@good', '--vary', 'topology.spans.*.length=10 km,20 ms'], /20 ms: a distance stands here/],
    [['-g', '@good', '--option', 'trouble=none', '--option', 'tarin=3'], /has no option "tarin"/],
    [['-g', '@good', '--vary', 'load.bytes'], /Write 'PATH=VALUE,VALUE'/],
    [['-g', '@good', '--seeds', '5..1'], /Give whole numbers/],
    [['-g', '@good', '--world', 'lab'], /Allowed choices are sim, emulated/],
  ];
  for (const [args, why] of cases) {
    const { code, err } = await sweep('refused', args);
    t.equal(code, 5, args.join(' '));
    t.match(err, why);
    t.notMatch(err, /\n {4}at /, 'no stack');
  }
  t.notOk(existsSync(at('refused')), 'no folder was made');
});

// ---- the page ----

const RUN = 'window.__xss=1';
const EVIL = `</script><script>${RUN}</script><img src=x onerror=${RUN}>"'\u202e`;

function cellAt({
  x,
  by = EVIL,
  seed,
  outcome = 'pass',
  kpi = {},
}: {
  readonly x: string;
  readonly by?: string;
  readonly seed: number;
  readonly outcome?: SweepCell['outcome'];
  readonly kpi?: Partial<SweptKpi> | null;
}): SweepCell {
  const judged: SweptKpi = {
    outcome: outcome === 'invalid' ? 'pass' : outcome,
    kpi: 'convergence',
    phase: 'northCut',
    statistic: 'worst',
    dimension: 'duration',
    kind: 'mandatory',
    comparison: 'at most',
    limit: 50e6,
    ...kpi,
  };
  return {
    kind: 'cell',
    id: `${x}${by.length}${seed}`,
    scenario: EVIL,
    parameters: { 'topology.spans.*.length': x, [EVIL]: by },
    seed,
    outcome,
    reason: EVIL,
    packetHops: 1,
    folder: outcome === 'error' ? null : `cells/x/${EVIL}`,
    dirty: false,
    kpis: kpi === null ? [] : [judged],
  };
}

const XS = ['1 km', '100 km', '1000 km', '2000 km', '4000 km'];
const CELLS: readonly SweepCell[] = [
  cellAt({ x: '1 km', seed: 1, kpi: { value: 10e6, uncertainty: 1e6 } }),
  cellAt({ x: '1 km', seed: 2, kpi: { value: 30e6, uncertainty: 1e6 } }),
  cellAt({ x: '100 km', seed: 1, outcome: 'fail', kpi: { value: 80e6, uncertainty: 1e6 } }),
  // Not back when the phase ended: a fail without a value.
  cellAt({ x: '100 km', seed: 2, outcome: 'fail' }),
  cellAt({ x: '1000 km', seed: 1, outcome: 'error', kpi: null }),
  cellAt({ x: '1000 km', seed: 2, outcome: 'not run' }),
  cellAt({ x: '2000 km', seed: 1, outcome: 'invalid', kpi: { value: 20e6 } }),
  cellAt({ x: '4000 km', seed: 1, kpi: { value: 0, uncertainty: 0 } }),
];
const HEAD: SweepHead = {
  kind: 'sweep',
  format: 1,
  version: EVIL,
  world: EVIL,
  trainPackets: 1,
  options: {},
  scenarios: [EVIL],
  parameters: [
    { path: 'topology.spans.*.length', values: XS },
    { path: EVIL, values: [EVIL, 'tame'] },
  ],
  seeds: [1, 2],
  profile: null,
  cells: CELLS.map(({ id }) => id),
};
const REQUEST = { kpi: 'convergence', against: 'topology.spans.*.length', by: [EVIL] };

t.test('a figure counts what says something, and never takes missing for zero', async t => {
  const [figure, ...others] = sweepFigures({ head: HEAD, cells: CELLS }, REQUEST);
  t.equal(others.length, 0);
  t.match(figure, { unit: 'ms', axis: { kind: 'log', unit: 'km' }, comparison: 'at most' });
  const stops = figure?.lines[0]?.stops ?? [];
  t.same(
    stops.map(({ x, mean, counted }) => [x, mean, counted]),
    [
      [1, 20e6, 2],
      [100, 80e6, 1],
      [1000, undefined, 0],
      [2000, undefined, 0],
      [4000, 0, 1],
    ],
    'an error, a run that was not and one that was not sound make no mean; a measured zero does',
  );
  // s = 14.142 ms, n = 2: 12.71 x 14.142 / sqrt 2 = 127.1 ms, with U 1 ms: 127.104.
  t.ok(Math.abs((stops[0]?.uncertainty ?? 0) - 127.104e6) < 1e4, `${stops[0]?.uncertainty}`);
  t.same(
    stops.flatMap(({ points }) => points.map(({ outcome }) => outcome)),
    ['pass', 'pass', 'fail', 'fail', 'error', 'not run', 'invalid', 'pass'],
  );
  const rows = renderSweepCsv(HEAD, CELLS, { kpi: 'convergence' }).split('\r\n');
  t.equal(rows.length, CELLS.length + 2, 'a head, a line each, and the end');
  t.match(rows[4], /,2,fail,convergence,northCut,worst,fail,,,50000000,,ns,1,/, 'no value is empty');
  const [first] = CELLS;
  const [check] = first?.kpis ?? [];
  const twice = first && check && { ...first, kpis: [check, { ...check, limit: 5e6, outcome: 'fail' as const }] };
  const [both] = sweepFigures({ head: HEAD, cells: twice ? [twice] : [] }, REQUEST);
  t.match(both?.lines[0]?.stops[0], { limit: 5e6, points: [{ outcome: 'fail' }] }, 'of two limits the harder stands');
  const formula = renderSweepCsv(HEAD, [{ ...(CELLS[0] as SweepCell), scenario: '=HYPERLINK("x")' }], {
    kpi: 'convergence',
  });
  t.match(formula, `"'=HYPERLINK(""x"")"`, 'no spreadsheet takes it for a formula');
});

t.test(
  'the page of a sweep shows hostile text as text, draws in both colour schemes and loads nothing',
  { skip: noChromium },
  async t => {
    const browser = await chromium.launch({
      executablePath: CHROMIUM,
      args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
    });
    t.teardown(() => browser.close());
    mkdirSync(at('page'), { recursive: true });
    const file = at('page/plot.html');
    writeFileSync(
      file,
      renderSweep({ head: HEAD, cells: CELLS, request: REQUEST, where: { [EVIL]: EVIL }, toSweep: '..' }),
    );
    const url = pathToFileURL(file).href;
    for (const colorScheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({ viewport: { width: 1100, height: 900 }, colorScheme });
      const complaints: string[] = [];
      const requests: string[] = [];
      page.on('console', message => complaints.push(message.text()));
      page.on('pageerror', error => complaints.push(error.message));
      page.on('request', request => {
        if (!request.url().startsWith('data:')) requests.push(request.url());
      });
      await page.goto(url);
      await page.waitForSelector('canvas');
      t.equal(await page.evaluate('window.__xss'), undefined, colorScheme);
      t.same(complaints, []);
      t.same(requests, [url]);
      t.equal(await page.locator('canvas').count(), 1);
      t.match(await page.locator('h1').textContent(), 'convergence against topology.spans.*.length');
      t.match(await page.locator('.why').textContent(), '</script><script>', 'the text itself can be read');
      t.match(await page.locator('.compact tbody tr').nth(2).textContent(), 'no value', 'missing is no number');
      t.match(await page.locator('section p.quiet').first().textContent(), '3 cells have no value');
      const links = await page
        .locator('.compact tbody a')
        .evaluateAll(found => found.map(one => one.getAttribute('href') ?? ''));
      t.ok(
        links.length > 0 && links.every(link => /^\.\/\.\.\/cells\/x\/[^<>" ]+\/report\.html$/.test(link)),
        links[0],
      );
      const drawn = `(() => { const c = document.querySelector('canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; const seen = new Set(); for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 250) seen.add(d[i] + ',' + d[i + 1] + ',' + d[i + 2]); return [...seen]; })()`;
      const colours = await page.evaluate<string[]>(drawn);
      const inks = { light: ['11,98,196', '179,32,26'], dark: ['109,179,255', '255,139,128'] }[colorScheme];
      for (const ink of inks) t.ok(colours.includes(ink), `${ink}: the line and the fail are drawn`);
      await page.close();
    }
  },
);
