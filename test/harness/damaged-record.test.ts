import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { type Disk, realDisk } from '../../harness/binding/disk.ts';
import { sealer } from '../../harness/binding/seal.ts';
import { judgeAgain, reportAgain } from '../../harness/cli/judge.ts';
import type { RecordLine, Step } from '../../harness/model/record.ts';
import { uniform } from '../../harness/model/seeded.ts';
import { EvidenceError } from '../../harness/run/evidence-error.ts';
import { judge } from '../../harness/run/judge.ts';
import { readHost, readRecord, readSteps, readVerdict, RunFolder } from '../../harness/run/run-folder.ts';
import { handMadeRun } from './hand-made-run.ts';

/** Size of the record that is damaged, B, and of its bytes every so many: 1 for all. */
const BYTES = Number(process.env['FARSPAN_DAMAGED_BYTES'] ?? 12 * 1024);
const STRIDE = Number(process.env['FARSPAN_DAMAGED_STRIDE'] ?? 3);
/** So many of its valid prefixes are judged and reported, spread over all of them; 0 for every one. */
const PREFIXES = Number(process.env['FARSPAN_DAMAGED_PREFIXES'] ?? 8);

t.setTimeout(120_000 + BYTES * 40);
const scratch = mkdtempSync(path.join(os.tmpdir(), 'farspan-damaged-'));
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

const where = { file: 'damaged-record.test.ts', line: 1, column: 1 };
const step: Step = {
  at: '',
  tookMs: 1,
  device: 'a-leaf-1',
  protocol: 'ssh',
  tried: 'show version',
  answer: 'SONiC é �',
};
const host = { begun: 'x', ended: null, tookMs: null, node: 'v20', platform: 'linux', cpus: 2, commit: null };

/** A run that passes, with its record filled up to so many bytes by what devices said, in one to four bytes a character. */
function storedRun(title: string, bytes: number) {
  const run = handMadeRun({
    expect: [{ kpi: 'busbw', phase: 'steady', comparison: 'at least', bound: '1 Gb/s', where }],
  });
  const end = run.pop();
  if (end?.kind !== 'end') throw new Error('A record by hand ends with its end line.');
  const said = (n: number): RecordLine => ({
    kind: 'event',
    atNs: 150e6,
    node: 'a-leaf-1',
    what: `${n} é€😀� ${'linkDown '.repeat((n % 12) * 12)}`,
  });
  const folder = new RunFolder({ root: scratch, at: new Date(0), title, world: 'sim', seed: 1 });
  const lines: RecordLine[] = [];
  const { seal } = sealer();
  let size = 0;
  const write = (line: RecordLine): void => {
    size += Buffer.byteLength(seal(line));
    lines.push(line);
    folder.record(line);
  };
  run.forEach(write);
  for (let n = 0; size < bytes - 200; n++) write(said(n));
  write(end);
  folder.step(step);
  folder.step(step);
  folder.host(host);
  folder.close();
  folder.verdict(judge(lines, { replay: 'none' }));
  return { folder: folder.path, file: folder.file('record'), lines };
}

const run = storedRun('damaged', BYTES);
const neighbour = storedRun('neighbour', 0);
const whole = readFileSync(run.file);
/** Where each line ends, and what it was sealed with. */
const ends = [...whole.entries()].flatMap(([i, byte]) => (byte === 10 ? [i] : []));
const chain = sealer();
const sums = ['00000000', ...run.lines.map(line => (chain.seal(line), chain.sum))];

/** The disk as it is, but for what this file holds. */
const holding = (bytes: Buffer): Disk => ({ ...realDisk, read: () => bytes });

/** What is wrong with how a damaged record is read: nothing when exactly the lines before line `broken` are given, and why no more. */
function misread(bytes: Buffer, broken: number, why: RegExp): string | undefined {
  try {
    const { lines, sum, truncated } = readRecord(run.folder, holding(bytes));
    if (truncated === undefined) return 'it passes as whole';
    if (lines.length !== broken - 1 || sum !== sums[broken - 1]) return `${lines.length} lines were read`;
    return why.test(truncated) ? undefined : truncated;
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    return broken === 1 && /line 1 |holds no line/.test(error.message) ? undefined : error.message;
  }
}

/** Another value for the byte at `at`: with one bit changed, and any. */
const others = (bytes: Buffer, at: number): readonly number[] => {
  const byte = bytes[at] as number;
  return [byte ^ (1 << Math.floor(uniform(1, at) * 8)), (byte + 1 + Math.floor(uniform(2, at) * 255)) & 255];
};

/** Calls `look` with these bytes, of which the one at `at` is another, and puts it back. */
function withByte<T>(bytes: Buffer, at: number, value: number, look: () => T): T {
  const byte = bytes[at] as number;
  bytes[at] = value;
  try {
    return look();
  } finally {
    bytes[at] = byte;
  }
}

t.test('every changed byte and every truncation is found, and what stands before it is read', async t => {
  t.same(readRecord(run.folder), { lines: run.lines, sum: sums.at(-1) }, 'whole');
  const trouble: string[] = [];
  let line = 1;
  let looked = 0;
  for (let at = 0; at < whole.length; at += STRIDE) {
    while (at > (ends[line - 1] as number)) line++;
    looked++;
    for (const value of others(whole, at)) {
      const found = withByte(whole, at, value, () => misread(whole, line, new RegExp(`^line ${line} `)));
      if (found !== undefined) trouble.push(`byte ${at} became ${value}: ${found}`);
    }
    const between = at === 0 || whole[at - 1] === 10;
    const why = between ? `^it stops after line ${line - 1} without` : `^line ${line} was cut off`;
    const found = misread(whole.subarray(0, at), line, new RegExp(why));
    if (found !== undefined) trouble.push(`cut to ${at} bytes: ${found}`);
  }
  t.same(trouble.slice(0, 10), []);
  t.comment(`${whole.length} B in ${run.lines.length} lines: ${2 * looked} changed bytes, ${looked} cuts`);
});

t.test('a line that is missing, doubled or moved is found where it stands', async t => {
  const lines = ends.map((end, i) => whole.subarray(i === 0 ? 0 : (ends[i - 1] as number) + 1, end + 1));
  const trouble: string[] = [];
  const look = (
    what: string,
    broken: number,
    changed: readonly Buffer[],
    why = new RegExp(`^line ${broken} `),
  ): void => {
    const found = misread(Buffer.concat(changed), broken, why);
    if (found !== undefined) trouble.push(`${what}: ${found}`);
  };
  for (const [i, line] of lines.entries()) {
    const last = i === lines.length - 1;
    look(`line ${i + 1} missing`, i + 1, lines.toSpliced(i, 1), last ? /^it stops after/ : undefined);
    look(`line ${i + 1} doubled`, i + 2, lines.toSpliced(i, 0, line));
    const next = lines[i + 1];
    if (next) look(`lines ${i + 1} and ${i + 2} swapped`, i + 1, lines.toSpliced(i, 2, next, line));
  }
  t.same(trouble.slice(0, 10), []);
});

/** What a command of farspan says and returns; 7 for an evidence error, as its main does. */
function said(act: () => number): { readonly code: number; readonly text: string } {
  let text = '';
  const { write } = process.stdout;
  process.stdout.write = ((chunk: string) => (text += chunk) !== '') as typeof write;
  try {
    return { code: act(), text };
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    return { code: 7, text: text + error.message };
  } finally {
    process.stdout.write = write;
  }
}

const COMMANDS = { judge: judgeAgain, report: reportAgain } as const;
const beside = (name: string): string => path.join(run.folder, name);

t.test('judge and report say so, and nothing passes', async t => {
  t.match(
    said(() => reportAgain(run)),
    { code: 0, text: /PASS/ },
    'whole, it passes',
  );
  const verdict = readFileSync(beside('verdict.json'));
  t.teardown(() => writeFileSync(run.file, whole));
  const step = PREFIXES === 0 ? 1 : Math.max(1, (run.lines.length - 1) / PREFIXES);
  const trouble: string[] = [];
  let looked = 0;
  for (let prefix = 0; prefix < run.lines.length; prefix += step) {
    const broken = Math.floor(prefix) + 1;
    const begin = broken === 1 ? 0 : (ends[broken - 2] as number) + 1;
    const at = Math.floor((begin + (ends[broken - 1] as number)) / 2);
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] as number) ^ 1;
    for (const [how, bytes] of [
      ['changed', changed],
      ['cut off', whole.subarray(0, at)],
      ['cut between lines', whole.subarray(0, begin)],
    ] as const) {
      for (const [name, command] of Object.entries(COMMANDS)) {
        writeFileSync(run.file, bytes);
        writeFileSync(beside('verdict.json'), verdict);
        const { code, text } = said(() => command(run));
        looked++;
        const what = `${name}, ${how} in line ${broken}: exit ${code}, ${text.slice(0, 200)}`;
        // What was in effect at that line may be in effect still, as far as the record goes: dirty is graver than damaged.
        if (code !== 7 && !(name === 'judge' && code === 4)) trouble.push(what);
        if (/PASS/.test(text)) trouble.push(what);
        const why = broken === 1 ? /holds no line/ : /the record is not whole: (line \d+ |it stops after line \d+ )/;
        if (!why.test(text)) trouble.push(what);
        if (broken === 1) continue;
        const { outcome } = JSON.parse(readFileSync(beside('report.json'), 'utf8')) as { outcome: string };
        const page = readFileSync(beside('report.html'), 'utf8');
        if (outcome !== 'error' || !page.includes('the record is not whole'))
          trouble.push(`${what}: ${outcome} is reported`);
        if (name === 'judge' && readVerdict(run.folder)?.verdict.outcome !== 'error')
          trouble.push(`${what}: stored otherwise`);
      }
    }
  }
  writeFileSync(run.file, whole);
  writeFileSync(beside('verdict.json'), verdict);
  t.same(trouble.slice(0, 5), []);
  t.comment(`${looked} damaged runs judged or reported`);
});

t.test('every changed byte and every truncation of verdict, host and steps is found', async t => {
  const trouble: string[] = [];
  const refused = (read: () => unknown): boolean => {
    try {
      read();
      return false;
    } catch (error) {
      return error instanceof EvidenceError;
    }
  };
  for (const [name, found] of [
    ['verdict.json', (disk: Disk) => refused(() => readVerdict(run.folder, disk))],
    ['host.json', (disk: Disk) => refused(() => readHost(run.folder, disk))],
    ['steps.ndjson', (disk: Disk) => readSteps(run.folder, disk).truncated !== undefined],
  ] as const) {
    const bytes = readFileSync(beside(name));
    const lineEnds = new Set(name === 'steps.ndjson' ? [0, bytes.indexOf(10) + 1] : []);
    for (let at = 0; at < bytes.length; at++) {
      for (const value of others(bytes, at))
        if (!withByte(bytes, at, value, () => found(holding(bytes))))
          trouble.push(`${name}: byte ${at} became ${value}`);
      if (!lineEnds.has(at) && !found(holding(bytes.subarray(0, at)))) trouble.push(`${name}: cut to ${at}`);
    }
  }
  t.same(trouble.slice(0, 10), []);
});

t.test('a damaged verdict, or one on another record, is not reported; judging makes a new one', async t => {
  const verdict = readFileSync(beside('verdict.json'), 'utf8');
  for (const [text, why] of [
    [verdict.replace('"outcome": "pass"', '"outcome": "fail"'), /checksum does not fit/],
    [readFileSync(path.join(neighbour.folder, 'verdict.json'), 'utf8'), /is the verdict on another record/],
  ] as const) {
    writeFileSync(beside('verdict.json'), text);
    t.match(
      said(() => reportAgain(run)),
      { code: 7, text: why },
    );
    t.match(
      said(() => judgeAgain(run)),
      { code: 0, text: /PASS/ },
    );
    t.match(
      said(() => reportAgain(run)),
      { code: 0, text: /PASS/ },
    );
  }
});

t.test('what is beside the record is left out when it is damaged, and that is said', async t => {
  for (const [name, why] of [
    ['host.json', /host\.json: what it says of the machine is left out;[^]*checksum does not fit/],
    ['steps.ndjson', /steps\.ndjson: line 2 does not fit its checksum/],
  ] as const) {
    const text = readFileSync(beside(name), 'utf8');
    const at = text.lastIndexOf('o');
    writeFileSync(beside(name), `${text.slice(0, at)}0${text.slice(at + 1)}`);
    t.match(
      said(() => reportAgain(run)),
      { code: 0, text: why },
    );
    if (name === 'steps.ndjson')
      t.match(readFileSync(beside('report.html'), 'utf8'), /Not all steps can be read: line 2 does not fit/);
    writeFileSync(beside(name), text);
  }
  t.match(
    said(() => reportAgain(neighbour)),
    { code: 0, text: /PASS/ },
    'another run is as it was',
  );
});
