import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t from 'tap';
import simBinding from '../../emulators/fabric-sim/binding.ts';
import type { Binding } from '../../harness/binding/binding.ts';
import { unsealed } from '../../harness/binding/seal.ts';
import { judgeAgain, reportAgain } from '../../harness/cli/judge.ts';
import { cut } from '../../harness/faults/span-cut.ts';
import type { Plan } from '../../harness/model/plan.ts';
import type { RecordLine } from '../../harness/model/record.ts';
import { uniform } from '../../harness/model/seeded.ts';
import { play } from '../../harness/run/play.ts';
import { EvidenceError, readRecord, RunFolder } from '../../harness/run/run-folder.ts';
import { VERSION } from '../../harness/run/version.ts';
import { failingDisk, type FailingDisk } from './failing-disk.ts';
import { PAIR } from './lab/survival/pair.ts';

/** Bytes of a record that are flipped; 262,144 for every byte of 256 KiB (FARSPAN_FLIPS), a stride of it in CI. */
const FLIPS = Number(process.env['FARSPAN_FLIPS'] ?? 500);
const RECORD_BYTES = 256 * 1024;
/** Calls of the disk that are failed, each once and for ever: the first and last ones, and so many of those between (FARSPAN_DISK_CALLS). */
const CALLS = Number(process.env['FARSPAN_DISK_CALLS'] ?? 10);
const EDGE = 12;

t.setTimeout(3_600_000);
const scratch = mkdtempSync(path.join(os.tmpdir(), 'farspan-evidence-'));
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

const plan: Plan = {
  why: 'To be written to a disk that fails.',
  topology: PAIR,
  load: { kind: 'all-reduce', bytes: '64 KiB', algorithm: 'ring' },
  phases: { steady: { for: '1 round' }, broken: { for: '20 us', faults: [cut(PAIR.spans.north, { light: 'kept' })] } },
  expect: [],
};

/** The sim world, with its faults counted. */
function counted(): { readonly binding: Binding; open(): number } {
  let open = 0;
  return {
    open: () => open,
    binding: {
      reserve: async (wanted, options) => {
        const testbed = await simBinding.reserve(wanted, options);
        const inject = testbed.inject.bind(testbed);
        testbed.inject = async (fault, id) => {
          const injected = await inject(fault, id);
          open++;
          const heal = injected.heal.bind(injected);
          let healed = false;
          return {
            ...injected,
            witness: () => injected.witness(),
            heal: async () => {
              if (!healed) open--;
              healed = true;
              return heal();
            },
          };
        };
        return testbed;
      },
    },
  };
}

interface Ended {
  readonly disk: FailingDisk;
  readonly open: number;
  readonly outcome: string;
}

let runs = 0;
async function playOn(disk: FailingDisk): Promise<Ended> {
  const { binding, open } = counted();
  const end = (outcome: string): Ended => ({ disk, open: open(), outcome });
  const title = `run ${runs++}`;
  try {
    const folder = new RunFolder({
      root: path.join(scratch, 'runs'),
      at: new Date(0),
      title,
      world: 'sim',
      seed: 1,
      disk,
    });
    const { verdict } = await play({
      binding,
      plan,
      header: {
        version: VERSION,
        scenario: { title, file: 'x', line: 1, tags: [] },
        world: 'sim',
        seed: 1,
        trainPackets: 1,
        options: {},
        profile: null,
      },
      worldOptions: {},
      folder,
      replay: '',
    });
    return end(verdict.outcome);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    return end('EvidenceError');
  }
}

t.test(
  'whichever call of the disk fails, once or from then on, no run passes in silence and every fault is healed',
  async t => {
    const whole = await playOn(failingDisk({ at: 0, sticky: false }));
    t.equal(whole.outcome, 'inconclusive', 'nothing was expected, so nothing is judged; nothing broke');
    const calls = whole.disk.calls.length;
    t.ok(calls > 30, `${calls} calls`);
    const trouble: string[] = [];
    const step = Math.max(1, Math.floor((calls - 2 * EDGE) / CALLS));
    const failing = Array.from({ length: calls }, (_, i) => i + 1).filter(
      at => at <= EDGE || at > calls - EDGE || at % step === 0,
    );
    for (const at of failing) {
      for (const sticky of [false, true]) {
        const { disk, open, outcome } = await playOn(failingDisk({ at, sticky }));
        const what = `call ${at} (${disk.calls[at - 1]})${sticky ? ' and all after it' : ''}: ${outcome}`;
        if (disk.failed === 0) trouble.push(`${what}: it never came to that call`);
        if (outcome !== 'EvidenceError' && outcome !== 'error') trouble.push(what);
        if (open !== 0) trouble.push(`${what}: ${open} faults stayed`);
      }
    }
    t.same(trouble, []);
    t.comment(`${failing.length} of ${calls} calls, each failed once and for ever`);
  },
);

/** A run folder whose record has about so many bytes. */
function recordOf(bytes: number): string {
  const folder = new RunFolder({
    root: path.join(scratch, 'records'),
    at: new Date(0),
    title: 'long',
    world: 'sim',
    seed: 1,
  });
  const head: RecordLine = {
    kind: 'run',
    format: 1,
    version: VERSION,
    scenario: { title: 'long', file: 'x', line: 1, tags: [] },
    world: 'sim',
    seed: 1,
    trainPackets: 1,
    options: {},
    plan,
    decision: 'simple',
    profile: null,
  };
  folder.record(head);
  let size = JSON.stringify(head).length;
  for (let round = 0; size < bytes; round++) {
    const line: RecordLine = {
      kind: 'round',
      round,
      beginNs: round * 10,
      endNs: round * 10 + 9,
      busbwBps: 1e9 + round,
      wrong: 0,
    };
    folder.record(line);
    size += JSON.stringify(line).length + 18;
  }
  folder.record({ kind: 'end', atNs: 1e9, reason: 'complete' });
  folder.close();
  return folder.path;
}

t.test('every changed byte and every truncation of a record is found, and what stands before it is read', async t => {
  const folder = recordOf(RECORD_BYTES);
  const file = path.join(folder, 'record.ndjson');
  const bytes = readFileSync(file);
  const { lines } = unsealed<RecordLine>(bytes.toString('utf8'));
  const all = JSON.stringify(lines);
  const ends = [...bytes.entries()].flatMap(([i, byte]) => (byte === 10 ? [i] : []));
  const trouble: string[] = [];
  const look = (what: string, damaged: Buffer, at: number): void => {
    const read = unsealed<RecordLine>(damaged.toString('utf8'));
    const before = ends.filter(end => end < at).length;
    // A cut between two lines leaves whole lines: the missing end of the run tells.
    const cutClean = read.truncated === undefined && read.lines.at(-1)?.kind !== 'end' && damaged.length < bytes.length;
    if (read.truncated === undefined && !cutClean) trouble.push(`${what}: not found`);
    else if (read.lines.length !== before || !all.startsWith(JSON.stringify(read.lines).slice(0, -1)))
      trouble.push(`${what}: ${read.lines.length} lines of ${before}`);
  };
  const stride = Math.max(1, Math.floor(bytes.length / FLIPS));
  let looked = 0;
  for (let at = 0; at < bytes.length; at += stride) {
    const place = Math.min(bytes.length - 1, at + Math.floor(uniform(7, at) * stride));
    const flipped = Buffer.from(bytes);
    const bit = 1 << Math.floor(uniform(8, at) * 8);
    flipped[place] = (flipped[place] as number) ^ bit;
    look(`byte ${place} ^ ${bit}`, flipped, place);
    look(`cut at ${place}`, bytes.subarray(0, place), place);
    looked++;
  }
  t.comment(`${looked} bytes changed, ${looked} cuts, of ${bytes.length} bytes`);
  t.same(trouble.slice(0, 10), []);

  const said: string[] = [];
  const { write } = process.stdout;
  const listen = (act: () => number): number => {
    process.stdout.write = ((text: string) => (said.push(text), true)) as typeof write;
    try {
      return act();
    } finally {
      process.stdout.write = write;
    }
  };
  const passes: string[] = [];
  for (let i = 0; i < 40; i++) {
    const place = Math.floor(uniform(9, i) * bytes.length);
    const damaged = i % 2 === 0 ? bytes.subarray(0, place) : Buffer.from(bytes);
    if (i % 2 === 1) damaged[place] = (damaged[place] as number) ^ 0x20;
    writeFileSync(file, damaged);
    rmSync(path.join(folder, 'verdict.json'), { force: true });
    for (const command of ['judge', 'report'] as const) {
      said.length = 0;
      let code: number;
      try {
        code = listen(() => (command === 'judge' ? judgeAgain({ folder }) : reportAgain({ folder })));
      } catch (error) {
        if (!(error instanceof EvidenceError)) throw error;
        code = 7;
        said.push(error.message);
      }
      const text = said.join('');
      if (command === 'judge' && code === 0) passes.push(`${command} at ${place}: exit 0`);
      if (!/damaged|cut off|no end|has no end|holds no line/.test(text))
        passes.push(`${command} at ${place}: says nothing: ${text.slice(0, 300)}`);
    }
  }
  t.same(passes, [], 'judge and report say so');
  writeFileSync(file, bytes);
  t.equal(readRecord(folder).truncated, undefined);
});
