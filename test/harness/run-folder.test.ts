import {
  appendFileSync,
  chmodSync,
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
import t from 'tap';
import { sealed } from '../../harness/binding/seal.ts';
import type { RecordLine } from '../../harness/model/record.ts';
import type { RunVerdict } from '../../harness/model/verdict.ts';
import { EvidenceError } from '../../harness/run/evidence-error.ts';
import { readHost, readRecord, readSteps, readVerdict, RunFolder, slug } from '../../harness/run/run-folder.ts';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'farspan-folder-'));
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

const options = (root: string) => ({
  root: path.join(scratch, root),
  at: new Date('2026-11-22T16:59:23.456Z'),
  title: 'An all-reduce survives the cut of 1 of 2 spans',
  world: 'sim',
  seed: 7,
});

const head = { kind: 'run', format: 2, seed: 7 } as unknown as RecordLine;
const phase = (name: string): RecordLine => ({ kind: 'phase', name, beginNs: 0, endNs: 1, ended: 'time' });

t.test('a folder is named by time, title, world and seed, and two runs of one second do not meet', async t => {
  const one = new RunFolder(options('named'));
  const two = new RunFolder(options('named'));
  t.equal(path.basename(one.path), '20261122T165923Z-an-all-reduce-survives-the-cut-of-1-of-2-spans-sim-s7');
  t.equal(path.basename(two.path), '20261122T165923Z-an-all-reduce-survives-the-cut-of-1-of-2-spans-sim-s7-2');
  for (const folder of [one, two]) folder.close();
});

t.test('a slug is safe as a file name whatever the title', async t => {
  t.equal(slug('../../etc/passwd'), 'etc-passwd');
  t.equal(slug('Zürich → Genève: 80 km!'), 'zu-rich-gene-ve-80-km');
  t.equal(slug('\u202e\u0000…'), 'untitled');
  t.ok(slug('x'.repeat(500)).length <= 60);
});

t.test('a line is on disk as soon as it is recorded', async t => {
  const folder = new RunFolder(options('at-once'));
  folder.record(head);
  folder.record({ kind: 'event', atNs: 5, node: 'a-leaf-1', what: 'linkDown' });
  t.equal(
    readFileSync(folder.file('record'), 'utf8'),
    `{"kind":"run","format":2,"seed":7,"sum":"fe9be931"}\n{"kind":"event","atNs":5,"node":"a-leaf-1","what":"linkDown","sum":"2d9d2cd5"}\n`,
  );
  folder.close();
  t.throws(() => folder.record(phase('late')), EvidenceError);
});

t.test('what is written is read back: record, steps, host, verdict', async t => {
  const folder = new RunFolder(options('round-trip'));
  const step = {
    at: '2026-11-22T17:00:00.000Z',
    tookMs: 3,
    device: 'a-leaf-1',
    protocol: 'ssh',
    tried: 'show version',
    answer: 'a\nb \u2028',
  } as const;
  const host = { begun: 'x', ended: null, tookMs: null, node: 'v20', platform: 'linux', cpus: 2, commit: null };
  folder.record(head);
  folder.record(phase('steady'));
  folder.step(step);
  folder.host(host);
  folder.verdict({ outcome: 'pass' } as RunVerdict);
  folder.verdict({ outcome: 'fail' } as RunVerdict);
  folder.close();
  folder.close();
  const { sum, lines } = readRecord(folder.path);
  t.same(lines, [head, phase('steady')]);
  t.same(readSteps(folder.path).lines, [step]);
  t.same(readHost(folder.path), host);
  t.same(readVerdict(folder.path), { verdict: { outcome: 'fail' }, record: sum });
  t.same(
    readdirSync(folder.path).toSorted(),
    ['host.json', 'record.ndjson', 'steps.ndjson', 'verdict.json'],
    'no draft is left',
  );
});

t.test('a record cut off anywhere in its last line gives every line before it, and says so', async t => {
  const folder = new RunFolder(options('cut'));
  for (const line of [head, phase('steady'), phase('cut')]) folder.record(line);
  folder.close();
  const file = folder.file('record');
  const whole = readFileSync(file);
  const lastLine = whole.lastIndexOf('\n', whole.length - 2) + 1;
  const read = new Set<string>();
  for (let length = whole.length - 1; length > lastLine; length--) {
    truncateSync(file, length);
    const { lines, truncated } = readRecord(folder.path);
    read.add(JSON.stringify({ lines, truncated }));
  }
  t.same(
    [...read].map(one => JSON.parse(one) as unknown),
    [{ lines: [head, phase('steady')], truncated: 'line 3 was cut off; 2 lines before it were read' }],
  );
  truncateSync(file, lastLine);
  t.match(
    readRecord(folder.path),
    { lines: [head, phase('steady')], truncated: 'it stops after line 2 without the line that ends a run' },
    'a cut between two lines',
  );
});

t.test('a line that nobody sealed ends the reading', async t => {
  const folder = new RunFolder(options('garbage'));
  folder.record(head);
  folder.close();
  appendFileSync(folder.file('record'), '[1]\n{"kind":"end"}\n');
  const { lines, truncated } = readRecord(folder.path);
  t.same(lines, [head]);
  t.equal(truncated, 'line 2 has no checksum; 1 line before it was read');
});

t.test('a record of another format, without its run line, or that is not there, is an evidence error', async t => {
  const folder = new RunFolder(options('wrong'));
  folder.close();
  t.throws(() => readRecord(folder.path), { name: 'EvidenceError', message: /holds no line/ });
  for (const [format, text] of [
    [1, '{"kind":"run","format":1}\n'],
    [3, sealed([{ kind: 'run', format: 3 }])],
  ] as const) {
    writeFileSync(folder.file('record'), text);
    t.throws(() => readRecord(folder.path), {
      name: 'EvidenceError',
      message: `has format ${format}; this Farspan reads format 2`,
    });
  }
  writeFileSync(folder.file('record'), sealed([{ kind: 'end' }]));
  t.throws(() => readRecord(folder.path), { name: 'EvidenceError', message: /begins with a end line/ });
  t.throws(() => readRecord(path.join(scratch, 'nowhere')), { name: 'EvidenceError', message: /read failed/ });
  t.equal(readVerdict(path.join(scratch, 'nowhere')), undefined);
});

t.test(
  'a record with two runs, with lines after its end, or with lines of no known kind is an evidence error',
  async t => {
    const end = { kind: 'end', atNs: 9, reason: 'complete' };
    for (const [name, lines, message] of [
      ['twice', [head, end, head, end], /record\.ndjson:3 is a second run line/],
      ['after', [head, end, phase('late')], /record\.ndjson:3 comes after the end/],
      ['unknown', [head, { kind: -1 }, end], /record\.ndjson:2 is of no known kind/],
    ] as const) {
      const folder = path.join(scratch, name);
      mkdirSync(folder);
      writeFileSync(path.join(folder, 'record.ndjson'), sealed(lines));
      t.throws(() => readRecord(folder), { name: 'EvidenceError', message });
    }
  },
);

t.test('a folder that can not be made is an evidence error', async t => {
  const file = path.join(scratch, 'a-file');
  writeFileSync(file, '');
  chmodSync(file, 0o400);
  t.throws(() => new RunFolder(options('a-file')), { name: 'EvidenceError' });
});
