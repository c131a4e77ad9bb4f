import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import simBinding from '../../emulators/fabric-sim/binding.ts';
import type { Binding } from '../../harness/binding/binding.ts';
import { type Disk, realDisk } from '../../harness/binding/disk.ts';
import type { Plan } from '../../harness/model/plan.ts';
import { reservable } from '../../harness/playwright/reservable.ts';
import { judge } from '../../harness/run/judge.ts';
import { readRecord } from '../../harness/run/run-folder.ts';
import { runInFolder } from '../../harness/run/run-in-folder.ts';
import { type Failure, type FailingDisk, failingDisk, slowDisk } from './failing-disk.ts';
import { PAIR } from './lab/survival/pair.ts';

/** Of the calls that write a line, how many are made to fail, spread over the run; every other call fails in turn anyway. */
const LINES = Number(process.env['FARSPAN_FAILED_LINES'] ?? 12);

t.setTimeout(120_000 + Math.min(LINES, 5000) * 2000);
const scratch = await mkdtemp(path.join(os.tmpdir(), 'farspan-evidence-'));
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

const { north } = PAIR.spans;
const where = { file: 'evidence.test.ts', line: 1, column: 1 };

/** Passes where nothing fails, so that a pass that is silent would show. */
const plan: Plan = {
  why: 'To be written to a disk that fails.',
  topology: PAIR,
  load: { kind: 'all-reduce', bytes: '64 KiB', algorithm: 'ring' },
  phases: {
    steady: { for: '1 round' },
    dark: { for: '20 us', faults: [{ kind: 'span-cut', span: north, direction: 'both', light: 'lost' }] },
    silent: { for: '20 us', faults: [{ kind: 'span-cut', span: north, direction: 'a-to-b', light: 'kept' }] },
  },
  expect: [{ kpi: 'busbw', phase: 'steady', comparison: 'at least', bound: '1 Mb/s', where }],
};

/** The sim world as a lab is: each fault and heal is a command that goes to the steps first, and to the device after. Counts what stays. */
function counted(): { readonly binding: Binding; readonly seen: { injected: number; open: number } } {
  const seen = { injected: 0, open: 0 };
  return {
    seen,
    binding: {
      reserve: async (wanted, options) => {
        const testbed = await simBinding.reserve(wanted, options);
        const send = (tried: string): void =>
          options.step({ at: '', tookMs: 0, device: 'a-leaf-1', protocol: 'ssh', tried, answer: '' });
        const inject = testbed.inject.bind(testbed);
        testbed.inject = async (fault, id) => {
          send(`inject ${id}`);
          const injected = await inject(fault, id);
          seen.injected++;
          seen.open++;
          let healing: ReturnType<typeof injected.heal> | undefined;
          const heal = async (): ReturnType<typeof injected.heal> => {
            send(`heal ${id}`);
            const healed = await injected.heal();
            seen.open--;
            return healed;
          };
          return { ...injected, witness: () => injected.witness(), heal: () => (healing ??= heal()) };
        };
        return testbed;
      },
    },
  };
}

let runs = 0;

/** One whole run on this disk: how it ended, what is in its folder, and how many faults stayed. */
async function runOn(disk: Disk) {
  const { binding, seen } = counted();
  const runsDir = path.join(scratch, `${++runs}`);
  const outcome = await runInFolder({
    binding,
    plan,
    set: {},
    scenario: { title: 'A disk that fails', file: 'evidence.test.ts', line: 1, tags: [] },
    world: 'sim',
    seed: 1,
    trainPackets: 1,
    worldOptions: {},
    profile: null,
    named: {},
    root: process.cwd(),
    runsDir,
    disk,
    now: () => new Date(0),
  }).then(
    ({ verdict }) => verdict.outcome,
    (error: Error) => error.name,
  );
  const [made] = existsSync(runsDir) ? readdirSync(runsDir) : [];
  return { outcome, seen, record: made === undefined ? undefined : path.join(runsDir, made, 'record.ndjson') };
}

/** What is said later of what such a run left on the disk. */
function judgedLater(record: string | undefined): string {
  if (record === undefined) return 'there is no folder';
  try {
    const { lines, truncated } = readRecord(path.dirname(record));
    return truncated === undefined ? judge(lines, { replay: '' }).outcome : 'the record is not whole';
  } catch (error) {
    return (error as Error).name;
  }
}

const nowhere = { call: 0, error: 'EIO', sticky: false } as const;

/** Every call but the writing of lines, and some of those, 1-based, in order. */
function chosen(calls: readonly string[]): readonly number[] {
  const lines = calls.flatMap((call, i) => (/^write (record|steps)/.test(call) ? [i + 1] : []));
  const step = Math.max(1, lines.length / LINES);
  const some = new Set(lines.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step)));
  return calls.flatMap((call, i) => (/^write (record|steps)/.test(call) && !some.has(i + 1) ? [] : [i + 1]));
}

t.test('whichever call of the disk fails, no run passes in silence and every fault is healed', async t => {
  const disk = failingDisk(realDisk, nowhere);
  const whole = await runOn(disk);
  t.equal(whole.outcome, 'pass', 'a run that nothing disturbs passes');
  t.same(whole.seen, { injected: 2, open: 0 });
  const bytesOf = (file: string | undefined): string => (file === undefined ? '' : readFileSync(file, 'utf8'));
  const record = bytesOf(whole.record);

  const trouble: string[] = [];
  const ends = new Map<string, number>();
  const calls = chosen(disk.calls);
  const failures = calls.flatMap((call): Failure[] => [
    { call, error: 'ENOSPC', sticky: false },
    { call, error: 'EIO', sticky: true },
    ...(disk.calls[call - 1]?.startsWith('write')
      ? [{ call, error: 'ENOSPC', sticky: false, half: true } as const]
      : []),
  ]);
  for (const failure of failures) {
    const { call } = failure;
    const failing: FailingDisk = failingDisk(realDisk, failure);
    const { outcome, seen, record: left } = await runOn(failing);
    const what = `${JSON.stringify(failure)} (${failing.calls[call - 1]}): ${outcome}`;
    if (failing.failed === 0) trouble.push(`${what}: it never came to that call`);
    if (outcome !== 'EvidenceError' && outcome !== 'error') trouble.push(what);
    if (seen.open !== 0) trouble.push(`${what}: ${seen.open} of ${seen.injected} faults stayed`);
    const later = judgedLater(left);
    if (later === 'pass' && bytesOf(left) !== record) trouble.push(`${what}: judged later, it passes`);
    const said = `${outcome}, judged later: ${later}`;
    ends.set(said, (ends.get(said) ?? 0) + 1);
  }
  t.same(trouble, []);
  t.comment(`${calls.length} of ${disk.calls.length} calls failed, ${failures.length} runs`);
  for (const [said, count] of ends) t.comment(`${count} x ${said}`);

  t.ok(bytesOf(whole.record) === record, 'the run before is as it was');
  const after = await runOn(slowDisk(realDisk, 100));
  t.equal(after.outcome, 'pass', 'a disk that takes lines in pieces is a good disk');
  t.ok(bytesOf(after.record) === record, 'and the next has the same bytes');
});

t.test('a scenario without a plan heals on a full disk as well, and is told at its end', async t => {
  const [cut] = plan.phases['dark']?.faults ?? [];
  if (!cut) throw new Error('The plan cuts a span.');
  const playOn = async (disk: Disk) => {
    const { binding, seen } = counted();
    const folder = path.join(scratch, `${++runs}`);
    mkdirSync(folder);
    const reserving = reservable({ record: path.join(folder, 'record'), steps: path.join(folder, 'steps'), disk });
    const testbed = await reserving.reserve(binding, PAIR, { seed: 1, options: {} });
    await testbed.inject(cut, '1-span-cut');
    await testbed.elapse({ forNs: 1000 });
    const { errors, cleanliness } = await reserving.end();
    return { seen, cleanliness, errors: errors.map(({ name }) => name) };
  };
  const disk = failingDisk(realDisk, nowhere);
  const clean = { injected: 1, healed: 1, verified: 1, dirty: [] };
  t.same(await playOn(disk), { seen: { injected: 1, open: 0 }, cleanliness: clean, errors: [] });
  const trouble: string[] = [];
  for (let call = 1; call <= disk.calls.length; call++) {
    for (const sticky of [false, true]) {
      const { seen, errors, cleanliness } = await playOn(failingDisk(realDisk, { call, error: 'ENOSPC', sticky }));
      const healed = seen.open === 0 && seen.injected === 1 && cleanliness.verified === 1;
      if (!healed || errors[0] !== 'EvidenceError') trouble.push(`call ${call}: ${JSON.stringify({ seen, errors })}`);
    }
  }
  t.same(trouble, []);
  t.comment(`${disk.calls.length} calls, each failed once and for ever`);
});
