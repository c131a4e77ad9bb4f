import { SaxesParser } from 'saxes';
import t from 'tap';
import { Parser } from 'tap-parser';
import type { RecordLine } from '../../harness/model/record.ts';
import type { CheckVerdict, Outcome, RunVerdict } from '../../harness/model/verdict.ts';
import { comparisonOf, limitText, marginText, wallTime } from '../../reports/check-words.ts';
import { downsample } from '../../reports/downsample.ts';
import { renderHtml, renderJson, renderJunit, renderSummary, renderTap, sanitize } from '../../reports/index.ts';
import type { FinishedRun } from '../../reports/index.ts';
import { plotData } from '../../reports/plots.ts';
import { portWindows } from '../../reports/port-rates.ts';
import { relativeLink } from '../../reports/render-index.ts';
import { sampleRun } from './sample-run.ts';

const ESC = '\u001b';
const HOSTILE = '\u001b[2J\u009b31m\u202eevil\u2028<b>&"\'`]]>\u0000\ud800\r\nnot ok 9 # SKIP \\ 1..0';
/** Code points that a terminal, a line reader or a bidi renderer could obey, from, to; a line feed is looked at by itself. */
const OBEYED: readonly (readonly [number, number])[] = [
  [0x00, 0x09],
  [0x0b, 0x1f],
  [0x7f, 0x9f],
  [0x61c, 0x61c],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xe0000, 0xe007f],
];
const unsafeIn = (text: string): readonly string[] =>
  Array.from(text).filter(character => {
    const code = character.codePointAt(0) ?? 0;
    return OBEYED.some(([from, to]) => code >= from && code <= to);
  });

const check = (outcome: Outcome, more: Partial<CheckVerdict> = {}): CheckVerdict => ({
  outcome,
  title: `convergence during northCut at most 50 ms`,
  kpi: 'convergence',
  phase: 'northCut',
  dimension: 'duration',
  kind: 'mandatory',
  limit: 50e6,
  value: outcome === 'pass' ? 20e6 : 210.4e6,
  statistic: 'worst',
  samples: 4,
  uncertainty: 5e4,
  method: 'loss-derived',
  reason: `it came out ${outcome}`,
  where: { file: '/home/someone/lab/scenarios/cut.scenario.ts', line: 31, column: 5 },
  ...more,
});

const verdictOf = (outcome: Outcome, more: Partial<RunVerdict> = {}): RunVerdict => ({
  outcome,
  reason: `the run came out ${outcome}`,
  gates: [],
  checks: [],
  cleanliness: { injected: 1, healed: 1, verified: 1, dirty: [] },
  seed: 7,
  replay: 'farspan run scenarios/cut.scenario.ts --seed 7',
  ...more,
});

const runOf = (title: string, verdict: RunVerdict, more: Partial<FinishedRun> = {}): FinishedRun => ({
  title,
  file: 'scenarios/cut.scenario.ts',
  verdict,
  durationS: 12.34,
  ...more,
});

const DIRTY = {
  injected: 2,
  healed: 1,
  verified: 1,
  dirty: ['north shaper: still cut; by hand: tc qdisc del dev eth1 root'],
};

/** One of everything. Cases, counted by hand: 2 + 3 + 2 + 2 + 2 + 3 + 2 = 16. */
const RUNS: readonly FinishedRun[] = [
  runOf('passes', verdictOf('pass', { checks: [check('pass')] })), // check, testbed
  runOf('fails', verdictOf('fail', { checks: [check('pass'), check('fail')] })), // 2 checks, testbed: 1 failure
  runOf('is inconclusive', verdictOf('inconclusive', { checks: [check('inconclusive')] })), // 1 error
  runOf(
    'is invalid',
    verdictOf('invalid', {
      gates: [{ gate: 'load', outcome: 'invalid', title: 'the load was real', reason: 'offered 40 %' }],
    }),
  ), // 1 error
  runOf('was not run', verdictOf('not run')), // the run as a whole skipped, testbed
  runOf('is dirty', verdictOf('error', { checks: [check('pass')], cleanliness: DIRTY })), // check, the run as a whole: error, testbed: error
  runOf('misses a limit that does not decide', verdictOf('pass', { checks: [check('fail', { kind: 'informative' })] })),
];

interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly path: string;
  text: string;
}

/** Every element of a well-formed document; throws on the first error. */
function elementsOf(xml: string): readonly Node[] {
  const nodes: Node[] = [];
  const open: Node[] = [];
  const parser = new SaxesParser();
  parser.on('error', error => {
    throw error;
  });
  parser.on('opentag', tag => {
    const node = {
      name: tag.name,
      attributes: tag.attributes as Record<string, string>,
      path: [...open.map(({ name }) => name), tag.name].join('/'),
      text: '',
    };
    nodes.push(node);
    open.push(node);
  });
  parser.on('text', text => {
    const node = open.at(-1);
    if (node) node.text += text;
  });
  parser.on('closetag', () => open.pop());
  parser.write(xml).close();
  return nodes;
}

t.test('sanitize leaves nothing that a terminal or an eye obeys', async t => {
  t.equal(sanitize('\u001b[31mred\u0007'), '\\x1b[31mred\\x07');
  t.equal(sanitize('a\u202eb\u2028c\u009b'), 'a\\u{202e}b\\u{2028}c\\x9b');
  t.equal(sanitize('a\nb\tc'), 'a\\x0ab\\x09c');
  t.equal(sanitize('a\nb\tc\r', { lines: true }), 'a\nb\tc\\x0d');
  t.equal(sanitize('\ud800x'), '\\u{d800}x');
  t.equal(sanitize('12345', { most: 3 }), '123 … (2 more characters not shown)');
  t.equal(sanitize('Grüße, 800 µs → 日本 🙂'), 'Grüße, 800 µs → 日本 🙂', 'text of all languages stays');
  const everything =
    Array.from({ length: 0x11_0000 / 16 }, (_, i) => String.fromCodePoint(i * 16 + (i % 16))).join('') +
    Array.from({ length: 0x3000 }, (_, i) => String.fromCharCode(i)).join('');
  t.same(unsafeIn(sanitize(everything, { most: everything.length })), []);
  const begin = performance.now();
  sanitize('\u001b'.repeat(1_000_000), { most: 1_000_000 });
  t.ok(performance.now() - begin < 1000, 'one line of 1 MB in under a second');
});

t.test('the summary says verdict, thresholds, testbed, why, report and replay', async t => {
  const text = renderSummary(
    [
      runOf(
        'an all-reduce survives',
        verdictOf('fail', { checks: [check('pass'), check('fail')], reason: 'convergence: 210.4 ms, limit 50 ms.' }),
        { report: 'runs/1/report.html' },
      ),
      runOf('incast stays lossless', verdictOf('pass', { checks: [check('pass')] }), { durationS: 62 }),
    ],
    { color: false, width: 200, notes: ['1 reading missing: north shaper'] },
  );
  t.equal(
    text,
    [
      ' ✗ FAIL         [ 12.3 s]  an all-reduce survives',
      ' ✓ PASS         [  1m02s]  incast stays lossless',
      '─'.repeat(100),
      ' FAIL         2 scenarios: 1 fail · 1 pass   1m14s',
      ' THRESHOLDS   2 of 3 met',
      '              ✗ an all-reduce survives: convergence during northCut at most 50 ms: 210.4 ms > 50 ms (± 50 us) at scenarios/cut.scenario.ts:31',
      ' TESTBED      CLEAN — 2 injected, 2 healed, 2 verified by read-back',
      '              1 reading missing: north shaper',
      ' WHY          convergence: 210.4 ms, limit 50 ms.',
      ' REPORT       runs/1/report.html',
      ' REPLAY       farspan run scenarios/cut.scenario.ts --seed 7',
      '',
    ].join('\n'),
  );
});

t.test('a dirty testbed is said with its lines and manual commands, whatever the verdict', async t => {
  const text = renderSummary([runOf('dirty', verdictOf('pass', { checks: [check('pass')], cleanliness: DIRTY }))], {
    color: false,
  });
  t.match(text, 'TESTBED      DIRTY — 2 injected, 1 healed, 1 verified by read-back');
  t.match(text, '! north shaper: still cut; by hand: tc qdisc del dev eth1 root');
  t.match(renderSummary([], { color: false }), /NOT RUN +0 scenarios/, 'nothing at all is not a pass');
});

t.test('no text of others reaches the terminal as a command', async t => {
  const hostile = sampleRun(() => HOSTILE, { everyMs: 600 }).verdict;
  const runs = [
    runOf(HOSTILE, { ...hostile, cleanliness: { ...DIRTY, dirty: [HOSTILE] } }, { file: HOSTILE, report: HOSTILE }),
  ];
  const plain = renderSummary(runs, { color: false, notes: [HOSTILE], width: 60 });
  t.same(unsafeIn(plain), []);
  t.match(plain, '\\x1b[2J');
  const colored = renderSummary(runs, { color: true, notes: [HOSTILE], width: 60 });
  t.match(colored, '\u001b[1;31m');
  t.equal(colored.replaceAll(new RegExp(`${ESC}\\[[0-9;]+m`, 'g'), ''), plain, 'colour adds only its own sequences');
});

t.test('JUnit has every case, counted right, and hides nothing as skipped', async t => {
  const nodes = elementsOf(renderJunit(RUNS));
  const root = nodes[0];
  t.match(root, { name: 'testsuites', attributes: { tests: '16', failures: '1', errors: '4', skipped: '1' } });
  const of = (name: string) => nodes.filter(node => node.name === name);
  t.equal(of('testcase').length, 16);
  t.equal(of('testsuite').length, 7);
  t.equal(of('failure').length, 1);
  t.same(
    of('error').map(({ attributes }) => attributes['type']),
    ['inconclusive', 'invalid', 'error', 'dirty'],
  );
  t.same(
    of('skipped').map(({ attributes }) => attributes['message']),
    ['the run came out not run'],
  );
  t.match(of('system-out')[0]?.text, 'informative limit, does not decide. fail: it came out fail');
  t.match(of('failure')[0]?.text, 'measured: 210.4 ms > 50 ms');
  t.match(of('error').at(-1)?.attributes['message'], 'by hand: tc qdisc del dev eth1 root');
  t.equal(nodes.filter(({ path }) => path === 'testsuites/testsuite/testcase').length, 16);
});

t.test('JUnit stays well-formed whatever a device says', async t => {
  const texts = [
    HOSTILE,
    '\ufffe\uffff',
    ']]>',
    '<![CDATA[x',
    '&#0;',
    String.fromCharCode(...Array.from({ length: 160 }, (_, i) => i)),
  ];
  for (const text of texts) {
    const hostile = sampleRun(() => text, { everyMs: 600 }).verdict;
    const nodes = elementsOf(renderJunit([runOf(text, hostile, { file: text, report: text })]));
    // 3 gates, 4 checks, 1 testbed.
    t.equal(nodes.filter(({ name }) => name === 'testcase').length, 8);
  }
});

t.test('TAP parses, with one subtest a run and the same counts', async t => {
  let subtests = 0;
  const counts = { ok: 0, notOk: 0, skip: 0 };
  const parser = new Parser({ strict: true });
  parser.on('child', (child: Parser) => {
    subtests++;
    child.on(
      'assert',
      (result: { readonly ok: boolean; readonly skip?: unknown; readonly diag?: Record<string, unknown> }) => {
        if (result.skip) counts.skip++;
        else if (result.ok) counts.ok++;
        else counts.notOk++;
        if (!result.skip) t.type(result.diag?.['outcome'], 'string');
      },
    );
  });
  parser.end(renderTap(RUNS));
  t.same(
    parser.failures.filter(({ tapError }) => tapError),
    [],
    'no protocol error',
  );
  t.equal(subtests, 7);
  t.same(counts, { ok: 10, notOk: 5, skip: 1 });
  // fails, inconclusive, invalid, dirty are not ok; the one not run is ok # SKIP.
  t.match(parser, { count: 7, pass: 3, fail: 4, skip: 1, ok: false });
});

t.test('TAP keeps its plan whatever a device says', async t => {
  const hostile = sampleRun(() => HOSTILE, { everyMs: 600 }).verdict;
  const text = renderTap([
    runOf(HOSTILE, hostile, { file: HOSTILE }),
    runOf(`ok 1 - x # TODO ${HOSTILE}`, verdictOf('not run', { reason: HOSTILE })),
  ]);
  t.same(unsafeIn(text), []);
  const results = Parser.parse(text, { strict: true });
  const top = results.filter(([event]) => event === 'assert') as unknown as readonly (readonly [
    string,
    { readonly ok: boolean; readonly todo?: unknown; readonly skip?: unknown },
  ])[];
  t.equal(top.length, 2);
  t.equal(top[0]?.[1].ok, false);
  t.notOk(top[0]?.[1].skip, 'a `# SKIP` in a name is not a directive');
  t.notOk(top[1]?.[1].todo);
  t.ok(top[1]?.[1].skip);
  t.same(
    results.filter(([event]) => event === 'extra'),
    [],
    'no line fell out of the protocol',
  );
});

t.test('JSON gives the exact values back and no raw control', async t => {
  const runs = [runOf(HOSTILE, verdictOf('fail', { checks: [check('fail', { reason: HOSTILE })] }))];
  const text = renderJson(runs);
  t.same(unsafeIn(text), []);
  t.same(JSON.parse(text), {
    format: 1,
    outcome: 'fail',
    cleanliness: { injected: 1, healed: 1, verified: 1, dirty: [] },
    runs,
  });
});

t.test('limits, margins and times read as a person writes them', async t => {
  t.equal(limitText(check('fail')), '≤ 50 ms');
  // (50 - 210.4) / 50 = -3.208
  t.equal(marginText(check('fail')), '−321 %');
  const rate = check('pass', {
    title: 'busbw during steady at least 80 Gb/s',
    dimension: 'rate',
    limit: 80e9,
    value: 100e9,
  });
  t.equal(limitText(rate), '≥ 80 Gb/s');
  t.equal(marginText(rate), '+25 %');
  const within = check('pass', {
    title: 'rtt during steady within 4 ms … 6 ms',
    limit: 4e6,
    upperLimit: 6e6,
    value: 5.5e6,
  });
  t.equal(limitText(within), '4 ms … 6 ms');
  t.equal(marginText(within), '+12.5 %');
  const { value: _, ...unmeasured } = check('inconclusive');
  t.equal(marginText(unmeasured), '—', 'missing is never zero');
  t.same([0.85, 12.34, 59.99, 72, 7530].map(wallTime), ['850 ms', '12.3 s', '1m00s', '1m12s', '2h05m']);
  t.equal(relativeLink('javascript:alert(1)'), './javascript%3Aalert(1)');
  t.equal(relativeLink('//evil.example/x'), './//evil.example/x');
});

t.test('downsampling keeps every peak and dip, gaps, and the bound on points', async t => {
  const length = 100_000;
  const x = Array.from({ length }, (_, i) => i);
  const spiky = x.map(i => (i === 61_803 ? 1000 : i === 31_415 ? -1000 : i % 10));
  const holed = x.map(i => (i >= 50_000 && i < 60_000 ? null : 1));
  const small = downsample({
    x,
    series: [
      { name: 'spiky', values: spiky },
      { name: 'holed', values: holed },
    ],
  });
  t.ok(small.x.length <= 2000 && small.x.length > 1900, `${small.x.length} points`);
  t.ok(small.series.every(({ values }) => values.length === small.x.length));
  t.ok(
    small.x.every((at, i) => i === 0 || at >= (small.x[i - 1] as number)),
    'time never goes back',
  );
  const values = small.series[0]?.values ?? [];
  const [peak, dip] = [values.indexOf(1000), values.indexOf(-1000)];
  t.ok(Math.abs((small.x[peak] ?? 0) - 61_803) <= 100);
  t.ok(Math.abs((small.x[dip] ?? 0) - 31_415) <= 100);
  t.equal(small.series[1]?.values.filter(value => value === null).length, 200, 'a tenth of the time is a gap');
  const short = { x: [1, 2], series: [{ name: 'a', values: [3, null] }] };
  t.equal(downsample(short), short);
});

t.test(
  'rates come from growth between readings; a failed reading or a reset is a gap, an absent counter nothing',
  async t => {
    const reading = (ms: number, txBytes: number | null, ecnMarked?: number): RecordLine => ({
      kind: 'counters',
      atNs: ms * 1e6,
      node: 'leaf',
      ports: { up1: { txBytes, queuePackets: ms * 10, ...(ecnMarked !== undefined && { ecnMarked }) } },
    });
    const windows =
      portWindows([
        reading(0, 0),
        reading(1, 125_000, 0),
        reading(2, null, 5),
        reading(3, 375_000),
        reading(4, 10),
      ]).get('leaf:up1') ?? [];
    // 125,000 B in 1 ms = 1 Gb/s.
    t.same(
      windows.map(({ txBps }) => txBps),
      [1e9, null, null, null],
    );
    // 5 of 10 packets.
    t.same(
      windows.map(({ marked }) => marked),
      [undefined, 0.5, undefined, undefined],
    );
    t.same(
      windows.map(({ drops }) => drops),
      [undefined, undefined, undefined, undefined],
    );
  },
);

t.test(
  'a report says how far each KPI is from the truth before it says so of what was read, and whether U covers it',
  async t => {
    const page = renderHtml(sampleRun());
    t.match(
      page,
      /<td>median busbw<\/td><td>steady<\/td>(<td class="number">[^<]+<\/td>){2}<td class="number">30 Mb\/s<\/td><td class="number">40 Mb\/s<\/td><td>✓ yes<\/td>/,
    );
    t.match(page, /<td>worst convergence<\/td>.*?200 us<\/td><td class="number">100 us<\/td><td>✗ no<\/td>/);
    t.match(page, /<td>total loss<\/td><td>[^<]+<\/td><td colspan="5" class="quiet">no readings in it<\/td>/);
    t.ok(page.indexOf('median busbw</td>') < page.indexOf('probe received</td>'));
  },
);

t.test('a report says what packet trains cost, and nothing of that for single packets', async t => {
  const [page, single, real] = [8, 1, null].map(trainPackets => {
    const sample = sampleRun(undefined, { everyMs: 600 });
    const lines = sample.lines.map(line => (line.kind === 'run' ? { ...line, trainPackets } : line));
    return renderHtml({ ...sample, lines });
  });
  t.match(page, /8 packets move as one\. .*goodput within 1 %, .* 6 % and ECN marks of bursts up to 71 % high/);
  t.match(page, 'Judge ECN counts of bursts at --train 1.');
  for (const exact of [single, real]) t.notMatch(exact, '--train 1.');
});

t.test('a verdict says which side of its limit is good; an old one says it in its title', async t => {
  const title = 'p5 busbw during at most steady at least 1 Gb/s';
  t.equal(comparisonOf({ comparison: 'at least', title }), 'at least');
  t.equal(comparisonOf({ title: 'loss during steady at most 0 packets' }), 'at most');
});

t.test('a report can be made of a record that was cut short, and of nothing', async t => {
  const { verdict } = sampleRun();
  const empty = renderHtml({ lines: [], verdict: verdictOf('error'), steps: [] });
  t.match(empty, 'The record holds no samples over time');
  t.match(empty, 'the run was cut short');
  const lines = sampleRun().lines.filter(({ kind }) => kind !== 'end' && kind !== 'heal' && kind !== 'phase');
  const half = renderHtml({ lines, verdict, steps: [] });
  t.match(half, 'never healed');
  t.match(half, 'the whole run');
  t.equal(plotData(lines, verdict).faults[0]?.end, 1200, 'a fault that was never healed lasts to the end');
});

t.test('a gap is as long as what is missing, also where other series have readings', async t => {
  const at = (ms: number, flow: string, rateBps: number): RecordLine => ({
    kind: 'flow',
    flow,
    atNs: ms * 1e6,
    windowNs: 1e6,
    rateBps,
  });
  const round = (round: number, beginMs: number, endMs: number): RecordLine => ({
    kind: 'round',
    round,
    beginNs: beginMs * 1e6,
    endNs: endMs * 1e6,
    busbwBps: 1e9,
    wrong: 0,
    flowsBps: [1e9],
  });
  const { plots } = plotData(
    [at(1, 'a', 1e9), at(2, 'b', 2e9), at(3, 'a', 3e9), round(0, 0, 10), round(1, 20, 30)],
    verdictOf('pass'),
  );
  t.same(plots.find(({ id }) => id === 'flows')?.series, [
    { name: 'a', values: [1, '', 3] },
    { name: 'b', values: ['', 2, ''] },
  ]);
  const busbw = plots.find(({ id }) => id === 'busbw');
  t.same(
    busbw?.x.map(ms => Math.round(ms)),
    [0, 10, 10, 20, 30, 30],
  );
  t.same(busbw?.series[0]?.values, [1, 1, null, 1, 1, null], 'nothing is drawn between 10 and 20 ms');
  const reading = (ms: number, node: string, txBytes: number | null): RecordLine => ({
    kind: 'counters',
    atNs: ms * 1e6,
    node,
    ports: { up: { txBytes } },
  });
  const links = plotData(
    [
      reading(0, 'x', 0),
      reading(4, 'x', null),
      reading(8, 'x', 0),
      reading(12, 'x', 500),
      ...[0, 1, 2, 3, 5, 6, 7].map(ms => reading(ms, 'y', 0)),
    ],
    verdictOf('pass'),
  ).plots.find(({ id }) => id === 'links');
  const x = links?.series.find(({ name }) => name === 'x:up');
  t.ok(
    x?.values.slice(0, -3).every(value => value === null),
    'x was not readable until 8 ms, whatever y says meanwhile',
  );
});

t.test('many series become least, median and most; a page of a long run stays small', async t => {
  const lines: RecordLine[] = [];
  for (let i = 0; i < 5000; i++) {
    for (let flow = 1; flow <= 21; flow++)
      lines.push({ kind: 'flow', flow: `flow ${flow}`, atNs: i * 1e6, windowNs: 1e6, rateBps: flow * 1e9 });
  }
  const plot = plotData(lines, verdictOf('pass')).plots.find(({ id }) => id === 'flows');
  t.same(
    plot?.series.map(({ name, values }) => [name, values[100]]),
    [
      ['most of 21', 21],
      ['median', 11],
      ['least of 21', 1],
    ],
  );
  t.ok((plot?.x.length ?? 0) <= 2000);
  t.ok(renderHtml({ lines, verdict: verdictOf('pass'), steps: [] }).length < 300_000);
});
