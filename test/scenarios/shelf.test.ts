import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import type { RecordLine, RunLine } from '../../harness/model/record.ts';
import type { RunVerdict } from '../../harness/model/verdict.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

interface Played {
  readonly title: string;
  readonly catches: string | undefined;
  readonly verdict: RunVerdict;
}

/** Plays the shelf, or the scenarios whose titles are given, through the command that users type. */
async function play(options: {
  readonly titles?: readonly string[];
  readonly defect?: string;
}): Promise<readonly Played[]> {
  const runs = mkdtempSync(path.join(tmpdir(), 'farspan-shelf-'));
  const pattern = options.titles?.map(title => title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  const args = ['run', '--world', 'sim', '--runs', runs];
  if (pattern !== undefined) args.push('-g', pattern);
  if (options.defect !== undefined) args.push('--defect', options.defect);
  const child = spawn(process.execPath, [path.join(ROOT, 'bin/farspan.js'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await new Promise(resolve => child.on('close', resolve));
  const folders = readdirSync(runs, { withFileTypes: true }).filter(entry => entry.isDirectory());
  if (folders.length === 0) throw new Error(`farspan ${args.join(' ')} wrote no run:\n${said}`);
  return folders.map(({ name }) => {
    const run = JSON.parse(
      readFileSync(path.join(runs, name, 'record.ndjson'), 'utf8').split('\n')[0] as string,
    ) as RecordLine as RunLine;
    const verdict = JSON.parse(readFileSync(path.join(runs, name, 'verdict.json'), 'utf8')) as RunVerdict;
    return { title: run.scenario.title, catches: run.plan.catches, verdict };
  });
}

const words = ({ verdict }: Played) =>
  [verdict.reason, ...verdict.gates.map(gate => gate.reason), ...verdict.checks.map(check => check.reason)].join('\n');

const healthy = await play({});

t.test('a healthy fabric passes every scenario of the shelf', async t => {
  t.ok(healthy.length >= 12, `${healthy.length} scenarios`);
  for (const played of healthy) t.equal(played.verdict.outcome, 'pass', played.title, { why: words(played) });
});

t.test('every scenario names the planted defect that it is there to catch', async t => {
  for (const { title, catches } of healthy) t.ok(catches, title);
});

const defects = [...new Set(healthy.flatMap(({ catches }) => catches ?? []))].toSorted();
for (const defect of defects) {
  const titles = healthy.filter(({ catches }) => catches === defect).map(({ title }) => title);
  t.test(`with ${defect}, what should catch it fails`, async t => {
    const broken = await play({ titles, defect });
    t.equal(broken.length, titles.length);
    for (const played of broken) {
      t.equal(played.verdict.outcome, 'fail', played.title, { why: words(played) });
      t.same(played.verdict.cleanliness.dirty, [], `${played.title} leaves the testbed clean`);
    }
  });
}
