import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import { EXIT, exitCode } from '../../harness/cli/exit-code.ts';
import type { Ended } from '../../harness/cli/exit-code.ts';
import { farspanProcess, type Said } from './farspan-process.ts';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'farspan-cli-'));
// Every case is a process that starts another: slow on a busy machine.
t.setTimeout(480_000);
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

const CONFIG = ['--config', 'test/harness/cli-scenarios/playwright.config.ts'];
const play = (runs: string, ...args: string[]): Promise<Said> =>
  farspanProcess(['run', ...CONFIG, '--runs', path.join(scratch, runs), ...args]);
const foldersIn = (runs: string): readonly string[] =>
  readdirSync(path.join(scratch, runs), { withFileTypes: true })
    .filter(entry => entry.isDirectory() && entry.name !== 'playwright')
    .map(({ name }) => path.join(scratch, runs, name));

t.test('the worst decides the exit code: dirty, interrupted, evidence, lease, lab, usage, fail, undecided', async t => {
  const pass: Ended = { outcome: 'pass', dirty: false };
  const of = (...ended: readonly Partial<Ended>[]): number =>
    exitCode(
      ended.map(one => ({ ...pass, ...one })),
      { interrupted: false },
    );
  t.equal(of({}), 0);
  t.equal(of({}, { outcome: 'fail' }, { outcome: 'inconclusive' }), 1);
  t.equal(of({}, { outcome: 'inconclusive' }), 2);
  t.equal(of({}, { outcome: 'invalid' }), 2);
  t.equal(of(), 2, 'nothing was judged');
  t.equal(of({ outcome: 'not run' }), 2, 'nothing was judged');
  t.equal(of({}, { outcome: 'not run' }), 0, 'what can not be run changes nothing');
  t.equal(of({ outcome: 'fail' }, { outcome: 'error' }), 3);
  t.equal(of({ outcome: 'error', trouble: 'usage' }, { outcome: 'fail' }), 5);
  t.equal(of({ outcome: 'error', trouble: 'lab' }, { outcome: 'error', trouble: 'lease' }), 6);
  t.equal(of({ outcome: 'error', trouble: 'lease' }, { outcome: 'error', trouble: 'evidence' }), 7);
  t.equal(of({ dirty: true }, { outcome: 'error', trouble: 'evidence' }), 4);
  t.equal(exitCode([{ outcome: 'error', dirty: false }], { interrupted: true }), 130);
  t.equal(exitCode([{ outcome: 'error', dirty: true }], { interrupted: true }), EXIT.dirty);
});

t.test('what is typed wrong is exit 5 and one clear line', async t => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['frobnicate'], /^farspan: unknown command 'frobnicate'/],
    [['run', '--sede', '3'], /^farspan: unknown option '--sede'\n\(Did you mean --seed\?\)/],
    [['run', '--seed', 'x'], /Give a whole number from 0 to 4294967295/],
    [['run', '--world', 'mars'], /Allowed choices are sim, emulated, lab/],
    [['run', '--world', 'lab'], /^farspan: --world lab needs --inventory FILE/],
    [['devices', '--inventory', 'no-such.yaml'], /^farspan: no-such.yaml could not be read/],
  ];
  const said = await Promise.all(cases.map(([args]) => farspanProcess(args)));
  for (const [i, [args, words]] of cases.entries()) {
    t.equal(said[i]?.code, 5, args.join(' '));
    t.match(said[i]?.err, words);
    t.notMatch(said[i]?.err, /\n {4}at /, 'no stack');
  }
});

t.test('what fails beside a plan is no pass', async t => {
  const { code, out } = await play('beside', '-g', '@beside');
  t.equal(code, 1);
  t.match(out, /✗ FAIL .*beside it meets its limits and fails beside them/);
  const [folder = ''] = foldersIn('beside');
  t.match(
    JSON.parse(readFileSync(path.join(folder, 'verdict.json'), 'utf8')),
    { outcome: 'fail', reason: /^beside the plan: .*toBe/, checks: [{ outcome: 'pass' }] },
    'the folder says so too',
  );
});

t.test(
  'a fail says expected, measured, statistic, samples, seed and replay, at the line of the first miss',
  async t => {
    const junit = path.join(scratch, 'all.xml');
    const { code, out } = await play('mixed', '-g', '@good|@bad|@body', '--seed', '11', '--junit', junit);
    t.equal(code, 1);
    t.match(out, /2 of 3 expectations not met in sim, seed 11: fail/);
    t.match(
      out,
      /✘ busbw during steady at least 900 Gb\/s\n +expected {2}at least 900 Gb\/s\n +measured {2}[\d.]+ Gb\/s \(median of 3 of 3 expected samples, U 0 b\/s\)/,
    );
    const source = readFileSync(path.join(import.meta.dirname, 'cli-scenarios/small.scenario.ts'), 'utf8').split('\n');
    const line = source.findIndex(text => text.includes("atLeast('900 Gb/s')")) + 1;
    t.ok(out.includes(`> ${line} |`), 'the arrow');
    t.ok(out.includes(`small.scenario.ts:${line}:`), 'the place');
    const replay = String.raw`-g 'it misses two of three \(100 % & more\)'`;
    t.ok(
      out.includes(
        `npx farspan run --world sim --seed 11 --train 1 --config test/harness/cli-scenarios/playwright.config.ts ${replay}`,
      ),
    );
    t.match(out, / PASS \[.*it meets its limits/);
    t.match(out, / PASS \[.*an ordinary body is healed and given back/);
    t.match(out, /CLEAN — 2 injected, 2 healed, 2 verified/, 'one by the plan, one by the body');
    t.match(readFileSync(junit, 'utf8'), /<failure/);
    for (const folder of foldersIn('mixed')) {
      t.same(readdirSync(folder).toSorted(), [
        'host.json',
        'junit.xml',
        'record.ndjson',
        'report.html',
        'report.json',
        'report.tap',
        'steps.ndjson',
        'verdict.json',
      ]);
    }
  },
);

t.test('a refused world is not run, a lease that is held is exit 6, a dirty testbed is exit 4', async t => {
  const [refused, leased] = await Promise.all([
    play('refused', '-g', '@good', '--option', 'trouble=refuses'),
    play('leased', '-g', '@good', '--option', 'trouble=lease'),
  ]);
  t.equal(refused.code, 2);
  t.match(refused.out, / SKIP .*this rack can not do all-reduce/);
  t.equal(leased.code, 6);
  t.match(leased.out, /two-ends is leased to night-run until 05:10/);
  const dirty = await play('dirty', '-g', '@good', '--option', 'trouble=dirty');
  t.equal(dirty.code, 4);
  t.match(dirty.out, /TESTBED LEFT DIRTY: span-north: still dark; type: ip link set dev eth2 up/);
});

t.test('retries are refused with the reason, and a plan that can not be played points at its own line', async t => {
  const [retries, broken] = await Promise.all([
    play('retries', '-g', '@good', '--option', 'trouble=retries'),
    play('broken', '--option', 'trouble=broken-file'),
  ]);
  t.equal(retries.code, 5);
  t.match(retries.out, /a retry that passes would hide a fail/);
  t.equal(broken.code, 5);
  t.match(broken.out, /PlanError: Phase "1" looks like an integer/);
  t.match(broken.out, />\s+\d+ \|\s+(scenario\(.*)?plan\(\{\n/, 'the arrow');
  t.match(broken.out, /cli-scenarios\/broken\/integer\.scenario\.ts:\d/);
});

t.test('a stored run is judged again by other limits, and its reports are written again', async t => {
  const profile = (name: string, bound: string): string => {
    const file = path.join(scratch, `${name}.yaml`);
    writeFileSync(
      file,
      `name: ${name}\nlimits:\n  test.busbw: { bound: ${bound}, kind: mandatory, source: "this test" }\n`,
    );
    return file;
  };
  const lenient = profile('lenient', '1 Mb/s');
  t.equal((await play('judged', '-g', '@profile', '--profile', lenient)).code, 0);
  const [folder = ''] = foldersIn('judged');
  const strict = await farspanProcess(['judge', folder, '--profile', profile('strict', '900 Gb/s')]);
  t.equal(strict.code, 1, strict.err);
  t.match(JSON.parse(readFileSync(path.join(folder, 'judged-profile-strict/verdict.json'), 'utf8')), {
    outcome: 'fail',
    checks: [{ source: 'this test' }],
  });
  t.ok(existsSync(path.join(folder, 'judged-profile-strict/report.html')));
  t.match(JSON.parse(readFileSync(path.join(folder, 'verdict.json'), 'utf8')), { outcome: 'pass' }, 'its own stays');
  unlinkSync(path.join(folder, 'report.html'));
  const damaged = path.join(scratch, 'damaged');
  mkdirSync(damaged);
  const record = readFileSync(path.join(folder, 'record.ndjson'), 'utf8');
  writeFileSync(path.join(damaged, 'record.ndjson'), record.replace('"links":[', '"links":[null,'));
  writeFileSync(path.join(damaged, 'steps.ndjson'), '');
  const illegible = await farspanProcess(['judge', damaged]);
  t.equal(illegible.code, 7, illegible.err);
  t.match(illegible.err, /holds no line: line 1 does not fit its checksum/);
  t.notOk(existsSync(path.join(damaged, 'verdict.json')), 'no verdict is left behind');
  // Damaged behind its first line: what stands before is judged, and is no pass.
  const middle = record.indexOf('"kind":"round"');
  writeFileSync(
    path.join(damaged, 'record.ndjson'),
    `${record.slice(0, middle)}"kind":"Round"${record.slice(middle + 14)}`,
  );
  for (const command of ['report', 'judge']) {
    const prefix = await farspanProcess([command, damaged]);
    t.equal(prefix.code, 7, prefix.err);
    t.match(prefix.out, /ERROR/);
    t.match(prefix.out, /the record is not whole: line \d+ does not fit its checksum/);
  }
  const verdict = readFileSync(path.join(folder, 'verdict.json'), 'utf8');
  writeFileSync(path.join(folder, 'verdict.json'), verdict.replace('"outcome": "pass"', '"outcome": "fail"'));
  const forged = await farspanProcess(['report', folder]);
  t.equal(forged.code, 7);
  t.match(forged.err, /verdict\.json was changed or damaged: its checksum does not fit/);
  writeFileSync(path.join(folder, 'verdict.json'), verdict);
  const [again, wrong, nowhere] = await Promise.all([
    farspanProcess(['report', folder]),
    farspanProcess(['judge', folder, '--profile', profile('wrong', '900 Gbps')]),
    farspanProcess(['judge', path.join(scratch, 'nowhere')]),
  ]);
  t.equal(again.code, 0);
  t.match(readFileSync(path.join(folder, 'report.html'), 'utf8'), /it asks a profile/);
  t.equal(wrong.code, 5);
  t.match(wrong.err, /wrong\.yaml:3:\d+: /);
  t.equal(nowhere.code, 7);
});

t.test('an interrupted run is healed, gives its testbed back, and is exit 130', async t => {
  let process: ChildProcess | undefined;
  const watch = setInterval(() => {
    const [folder] = foldersIn('interrupted');
    const record = path.join(folder ?? '', 'record.ndjson');
    if (folder === undefined || !existsSync(record) || !readFileSync(record, 'utf8').includes('"kind":"fault"')) return;
    clearInterval(watch);
    process?.kill('SIGINT');
  }, 50);
  mkdirSync(path.join(scratch, 'interrupted'));
  const { code, err } = await farspanProcess(
    ['run', ...CONFIG, '--runs', path.join(scratch, 'interrupted'), '-g', '@good', '--option', 'trouble=slow'],
    {
      onStart: child => {
        process = child;
      },
    },
  );
  clearInterval(watch);
  t.equal(code, 130, err);
  t.match(err, /Stopping: faults are healed/);
  const [folder = ''] = foldersIn('interrupted');
  const lines = readFileSync(path.join(folder, 'record.ndjson'), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as { kind: string });
  t.match(
    lines.filter(({ kind }) => kind === 'fault' || kind === 'heal'),
    [{ kind: 'fault' }, { kind: 'heal', verified: true }],
  );
  t.match(lines.at(-1), { kind: 'end', reason: 'error', detail: /interrupted/ });
});
