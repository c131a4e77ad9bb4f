import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { type Disk, realDisk } from '../../../harness/binding/disk.ts';
import { sealer } from '../../../harness/binding/seal.ts';
import type { Testbed } from '../../../harness/binding/testbed.ts';
import { type Journal, openJournal, openJournals, readJournal } from '../../../harness/lab/journal.ts';
import { labBinding } from '../../../harness/lab/lab-binding.ts';
import { recover } from '../../../harness/lab/recover.ts';
import { thisProcess } from '../../../harness/lab/this-process.ts';
import { uniform } from '../../../harness/model/seeded.ts';
import { failingDisk } from '../failing-disk.ts';
import { type KeptLab, keptLab } from './survival/kept-lab.ts';
import { LASTING, PAIR } from './survival/pair.ts';
import { victim } from './survival/run-victim.ts';

/** Of the calls of the disk in a run every so many-th fails, once and for good in turn; 1 in a night: every one, in both ways. */
const STRIDE = Number(process.env['FARSPAN_DISK_STRIDE'] ?? 5);
/** Runs whose journal is damaged after their death, 40 in a night (FARSPAN_DAMAGED). */
const DAMAGED = Number(process.env['FARSPAN_DAMAGED'] ?? 4);
const TTL_S = 10;

const stateFolder = (t: Test): string => {
  const made = mkdtempSync(path.join(os.tmpdir(), 'farspan-journal-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
};

const header = (lease = 'l1') => ({
  lease,
  token: 7,
  ttlS: 5,
  lab: 'lab \u202e',
  inventory: '/lab.yaml',
  devices: { xl: 'SHA256:x' },
  process: thisProcess(),
  begunAt: '2026-11-27T12:00:00.000Z',
});

const [CUT] = LASTING;
if (!CUT) throw new Error('the pair has lasting faults');

const intentOf = (fault: string, declared = CUT): Parameters<Journal['intent']>[0] => ({
  fault,
  what: 'cut of span north',
  declared,
  changes: [
    {
      device: 'xl',
      blast: 'link',
      commands: ['ip link set dev eth1 down'],
      undo: ['ip link set dev eth1 up'],
      readBack: [],
      found: [],
    },
  ],
  unarmed: [],
});

/** A journal in which one fault is closed and one is not. */
function written(state: string, disk: Disk = realDisk): Journal {
  const journal = openJournal({ state, header: header(), disk, now: () => new Date(0) });
  journal.intent(intentOf('1-cut'));
  journal.state('1-cut', 'armed');
  journal.state('1-cut', 'injected');
  journal.state('1-cut', 'closed');
  journal.intent(intentOf('2-cut'));
  journal.state('2-cut', 'armed', 'zürich \u{1f600}');
  return journal;
}

const STATES = ['armed', 'injected', 'seen', 'healing', 'closed'] as const;

const statesIn = (file: string, disk?: Pick<Disk, 'read'>): readonly string[] =>
  readJournal(file, disk).faults.map(({ fault, state }) => `${fault} ${state}`);

void t.test('what is written is read again, and a closed journal refuses nobody', async t => {
  const state = stateFolder(t);
  const journal = written(state);
  t.same(statesIn(journal.file), ['1-cut closed', '2-cut armed']);
  t.same(journal.unclosed(), ['2-cut']);
  t.match(openJournals(state), [{ header: { lease: 'l1', token: 7 }, ended: false }]);
  t.notOk('damaged' in readJournal(journal.file));
  journal.state('2-cut', 'closed');
  journal.close();
  t.same(openJournals(state), []);
});

void t.test('every byte flipped and every truncation is told, and what stands before it is given', async t => {
  const state = stateFolder(t);
  const { file } = written(state);
  const whole = readFileSync(file);
  const used = whole.indexOf(0);
  const all = readJournal(file);
  const wrong: string[] = [];
  const judge = (what: string, bytes: Buffer, at: number): void => {
    const before = whole.subarray(0, at).toString('latin1').split('\n').length - 1;
    try {
      const read = readJournal(file, { read: () => bytes });
      if (read.damaged === undefined) wrong.push(`${what} at ${at}: not told`);
      if (before < 1) wrong.push(`${what} at ${at}: a header that is damaged was read`);
      const expected = statesIn(file, { read: () => Buffer.from(firstLines(whole, before)) });
      const got = read.faults.map(({ fault, state: became }) => `${fault} ${became}`);
      if (JSON.stringify(got) !== JSON.stringify(expected)) wrong.push(`${what} at ${at}: ${got.join()}`);
    } catch (error) {
      if (before >= 1 || (error as Error).name !== 'EvidenceError') wrong.push(`${what} at ${at}: ${String(error)}`);
    }
  };
  let flips = 0;
  for (let at = 0; at < whole.length; at += at < used + 64 ? 1 : 997) {
    for (const mask of [1, 0x80, whole[at] ?? 0]) {
      if (mask === 0) continue;
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ mask;
      judge(`flip ${mask}`, bytes, Math.min(at, used));
      flips++;
    }
  }
  const ends = new Set([...whole.subarray(0, used)].flatMap((byte, i) => (byte === 10 ? [i + 1] : [])));
  // Cut off between two lines it is as it was when the later one was not yet written.
  for (let at = 0; at < used; at++) if (!ends.has(at)) judge('cut', whole.subarray(0, at), at);
  t.comment(`${flips} flips and ${used - ends.size} cuts of a journal of ${used} B`);
  t.equal(all.faults.length, 2);
  t.same(wrong.slice(0, 20), []);
});

const firstLines = (bytes: Buffer, lines: number): Buffer => {
  let end = 0;
  for (let i = 0; i < lines; i++) end = bytes.indexOf(10, end) + 1;
  return bytes.subarray(0, end);
};

void t.test('another format and foreign bytes are no journal, and are told by name', async t => {
  const state = stateFolder(t);
  const { file } = written(state);
  for (const bytes of [
    Buffer.from(sealer().seal({ kind: 'journal', ...header(), format: 2 })),
    Buffer.from(sealer().seal({ kind: 'run' })),
    Buffer.from('{"kind":"journal"}\n'),
    Buffer.from([0x1f, 0x8b, 8, 0, 255, 254, 10, 10]),
    Buffer.alloc(0),
    Buffer.alloc(4096),
  ]) {
    writeFileSync(file, bytes);
    t.throws(() => readJournal(file), { name: 'EvidenceError', message: new RegExp(path.basename(file)) });
    t.match(openJournals(state), [{ file, unreadable: /no journal of this Farspan/ }]);
  }
});

void t.test(
  'every call of the disk failed once: what was acknowledged is there, and what comes after it, too',
  async t => {
    const wrong: string[] = [];
    let calls = 0;
    for (let at = 1; at < 100; at++) {
      const state = stateFolder(t);
      const disk = failingDisk(realDisk, { call: at, error: 'EIO', sticky: false, half: at % 2 === 0 });
      const acknowledged: string[] = [];
      let journal: Journal | undefined;
      const attempt = (words: string, act: () => void): void => {
        try {
          act();
          acknowledged.push(words);
        } catch (error) {
          if ((error as Error).name !== 'EvidenceError') wrong.push(`${at}: ${String(error)}`);
        }
      };
      attempt('opened', () => {
        journal = openJournal({ state, header: header(), disk });
      });
      for (const became of STATES) {
        if (became === 'armed') attempt('intended', () => journal?.intent(intentOf('1-cut')));
        attempt(became, () => journal?.state('1-cut', became));
      }
      calls = disk.calls.length;
      if (disk.failed === 0) break;
      const [open] = openJournals(state);
      if (journal === undefined) continue;
      if (!open || 'unreadable' in open) wrong.push(`${at}: unreadable after ${acknowledged.join()}`);
      else {
        if (open.damaged !== undefined) wrong.push(`${at}: ${open.damaged}`);
        // A line that was written and not forced to the disk may be there or not.
        const reached = ['opened', 'intended', ...STATES].indexOf(acknowledged.at(-1) ?? 'opened');
        const read = ['intended', ...STATES].indexOf(open.faults[0]?.state ?? 'none') + 1;
        if (read < reached) wrong.push(`${at}: ${acknowledged.at(-1)} acknowledged, ${open.faults[0]?.state} read`);
      }
    }
    t.comment(`${calls} calls`);
    t.ok(calls > 15);
    t.same(wrong, []);
  },
);

interface Fallen {
  readonly at: number;
  readonly sticky: boolean;
  readonly failed: number;
  readonly trouble: readonly string[];
}

/** Whether a journal that was closed says everything. */
function isWhole(file: string): boolean {
  const { ended, damaged, faults } = readJournal(file.replace('.open.', '.closed.'));
  return ended && damaged === undefined && faults.length === 1 && faults.every(({ state }) => state === 'closed');
}

/** One whole run, in this process, whose journal lies on a disk of which a call fails. */
async function fall(kept: KeptLab, at: number, sticky: boolean): Promise<Fallen> {
  const trouble: string[] = [];
  const disk = failingDisk(realDisk, { call: at, error: at % 2 === 0 ? 'ENOSPC' : 'EIO', sticky, half: sticky });
  const { inventory, state } = kept;
  const boundary = (name: string): void => {
    if (name !== 'injected on the devices') return;
    // What the simulator shows, the disk must have known before.
    const known = openJournals(state).some(one => 'faults' in one && one.faults.some(fault => fault.state === 'armed'));
    if (!known) trouble.push('injected, and no intent is on the disk');
  };
  let broke = false;
  let journal = '';
  let testbed: Testbed | undefined;
  try {
    testbed = await labBinding({ disk, boundary }).reserve(PAIR, {
      seed: 1,
      options: { inventory, state },
      record: () => {},
      step: () => {},
      onJournal: file => void (journal = file),
    });
    const fault = LASTING[at % LASTING.length];
    const injected = fault && (await testbed.inject(fault, '1-fault'));
    await injected?.heal();
  } catch (error) {
    broke = true;
    if (!/ENOSPC|EIO/.test((error as Error).message)) trouble.push((error as Error).message);
  }
  const { dirty } = (await testbed?.release()) ?? { dirty: [] };
  broke ||= dirty.length > 0;
  // What failed once and was made good by the next line has cost nothing: the journal is whole.
  if (disk.failed > 0 && !broke && !isWhole(journal)) trouble.push(`nothing was told: ${disk.calls[at - 1]}`);
  if (kept.left().length > 0) trouble.push(...kept.left());
  // Whatever the journal says now, one command makes the lab usable again.
  const recovered = await recover({ inventory, state, say: () => {} });
  if (!recovered.clean) trouble.push(...recovered.left);
  trouble.push(...kept.left(), ...kept.kept());
  if (openJournals(state).length > 0) trouble.push('a journal is open after the recovery');
  return {
    at,
    sticky,
    failed: disk.failed,
    trouble: trouble.map(words => `call ${at}${sticky ? ' on' : ''}: ${words}`),
  };
}

void t.test(
  'every call of the disk failed in a whole run: told, healed, and one command puts all right',
  { timeout: 3_600_000 },
  async t => {
    const kept = await keptLab(`${TTL_S} s`);
    t.teardown(() => kept.close());
    const fallen: Fallen[] = [];
    for (let at = 1, over = false; !over; at += STRIDE) {
      for (const sticky of STRIDE === 1 ? [false, true] : [(at - 1) % (2 * STRIDE) !== 0]) {
        const one = await fall(kept, at, sticky);
        fallen.push(one);
        over ||= one.failed === 0;
      }
    }
    t.comment(`${fallen.length} runs, ${fallen.reduce((sum, { failed }) => sum + failed, 0)} failed calls`);
    t.ok(fallen.length > 20 / STRIDE);
    t.same(
      fallen.flatMap(({ trouble }) => trouble),
      [],
    );
  },
);

/** Kills a run in which a fault is in effect, and gives its journal. */
async function dead(kept: KeptLab, seed: number): Promise<string> {
  const one = await victim(kept, { seed, rounds: 3, dieAt: { boundary: 'effect seen', nth: 1 } });
  one.go();
  await one.ended;
  const [open] = openJournals(kept.state);
  if (!open || kept.left().length === 0) throw new Error(`nothing is left: ${one.said.at(-1)} ${one.stderr()}`);
  return open.file;
}

const refused = (kept: KeptLab): Promise<string> =>
  labBinding()
    .reserve(PAIR, {
      seed: 1,
      options: { inventory: kept.inventory, state: kept.state },
      record: () => {},
      step: () => {},
    })
    .then(
      () => 'not refused',
      (error: Error) => error.name,
    );

void t.test(
  `${DAMAGED} journals are damaged: no run goes on, and a recovery heals all the same`,
  { timeout: 3_600_000 },
  async t => {
    const kept = await keptLab('60 s');
    t.teardown(() => kept.close());
    const wrong: string[] = [];
    for (let seed = 0; seed < DAMAGED; seed++) {
      const file = await dead(kept, seed);
      const bytes = readFileSync(file);
      const used = bytes.indexOf(0);
      const lines = bytes.subarray(0, used).toString('latin1').split('\n');
      // The header, the intent, any place, and half of it gone.
      const begin = [0, lines[0]?.length ?? 0, 0, 0][seed % 4] ?? 0;
      const at = begin + Math.floor(uniform(seed, 1) * (seed % 4 < 2 ? 40 : used));
      if (seed % 4 === 3) writeFileSync(file, bytes.subarray(0, at));
      else writeFileSync(file, bytes.fill((bytes[at] ?? 0) ^ 0x20, at, at + 1));
      const told = await refused(kept);
      if (told !== 'LabDirty') wrong.push(`${seed}: a new run: ${told}`);
      const { clean, left } = await recover({ inventory: kept.inventory, state: kept.state, say: () => {} });
      if (!clean) wrong.push(`${seed}: ${left.join('; ')}`);
      wrong.push(...[...kept.left(), ...kept.kept()].map(words => `${seed}: ${words}`));
      if (openJournals(kept.state).length > 0) wrong.push(`${seed}: the journal is still open`);
    }
    t.same(wrong, []);
  },
);

void t.test(
  'a journal of which nobody knows whose it was keeps the lab, and is told',
  { timeout: 120_000 },
  async t => {
    const kept = await keptLab('20 s');
    t.teardown(() => kept.close());
    const folder = path.join(kept.state, 'journals');
    const file = path.join(folder, 'deadbeef-1-abcdef.open.ndjson');
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, 'nobody knows\n');
    t.equal(await refused(kept), 'LabDirty');
    const { clean, left } = await recover({ inventory: kept.inventory, state: kept.state, say: () => {} });
    t.notOk(clean);
    t.match(left, [/deadbeef-1-abcdef\.open\.ndjson.*whose it was is not known/]);
    t.same([...kept.left(), ...kept.kept()], []);
    rmSync(file);
  },
);

void t.test(
  'a disk that takes nothing any more: the recovery goes on under the lease of the run that is gone',
  { timeout: 240_000 },
  async t => {
    const kept = await keptLab('60 s');
    t.teardown(() => kept.close());
    const file = await dead(kept, 1);
    // Nothing can be written into the store: a folder stands where SQLite makes its journal.
    const store = path.join(kept.state, 'leases.db');
    const blocked = `${store}-journal`;
    mkdirSync(blocked);
    const said: string[] = [];
    const { clean, left } = await recover({
      inventory: kept.inventory,
      state: kept.state,
      say: ({ words }) => void said.push(words),
    });
    t.ok(clean, left.join('; '));
    t.match(said.join('\n'), /going on under the lease of the run that is gone/);
    t.same([...kept.left(), ...kept.kept()], []);
    t.same(openJournals(kept.state), [], path.basename(file));
    rmSync(blocked, { recursive: true });
    t.same(readdirSync(kept.state).includes('leases.db'), true);
    t.match(await recover({ inventory: kept.inventory, state: kept.state, say: () => {} }), { clean: true, healed: 0 });
  },
);
