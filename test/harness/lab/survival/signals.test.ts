import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { openJournals } from '../../../../harness/lab/journal.ts';
import { uniform } from '../../../../harness/model/seeded.ts';
import { type KeptLab, keptLab } from './kept-lab.ts';

// Processes are started and killed: slow on a busy machine.
t.setTimeout(3_600_000);

/** Signals that are sent, two to a run: 500 in a night (FARSPAN_SIGNALS). */
const SIGNALS = Number(process.env['FARSPAN_SIGNALS'] ?? 8);
const KINDS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const FAULTS = 3;

const ROOT = path.resolve(import.meta.dirname, '../../../..');

/** How many faults of the run are in a state, by its journal; the last look stands when the journal is closed and gone. */
const countIn = (state: string, wanted: readonly string[]): number =>
  openJournals(state)
    .flatMap(journal => ('faults' in journal ? journal.faults : []))
    .filter(fault => wanted.includes(fault.state)).length;

async function until(what: string, met: () => boolean, ended: () => boolean): Promise<void> {
  const end = performance.now() + 90_000;
  while (!met()) {
    if (ended()) return;
    if (performance.now() > end) throw new Error(`${what} did not come`);
    await sleep(5);
  }
}

interface Interrupted {
  readonly code: number | null;
  readonly out: string;
  readonly sent: number;
}

/** Plays the scenario, interrupts it when all faults are in effect, and again when `index` of them are undone. */
async function interrupt(kept: KeptLab, seed: number): Promise<Interrupted> {
  const args = ['run', '--config', path.join(import.meta.dirname, 'scenarios/playwright.config.ts'), '--world', 'lab'];
  const child = spawn(
    process.execPath,
    [path.join(ROOT, 'bin/farspan.js'), ...args, '--inventory', kept.inventory, '--runs', kept.runs],
    {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1', FARSPAN_STATE: kept.state },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (out += text));
  const closed = once(child, 'close');
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const kind = (place: number) => KINDS[Math.floor(uniform(seed, place) * KINDS.length)] ?? 'SIGINT';
  await until('the faults', () => countIn(kept.state, ['seen']) === FAULTS, ended);
  let sent = 0;
  const send = (place: number): void => {
    if (!ended() && child.kill(kind(place))) sent++;
  };
  send(1);
  // At each undo in turn: before the first, while each is undone, and after the last.
  const index = seed % (FAULTS + 1);
  await until(
    'the rollback',
    () => countIn(kept.state, ['closed']) >= index || countIn(kept.state, ['healing', 'closed']) > index,
    ended,
  );
  send(2);
  await closed;
  return { code: child.exitCode, out, sent };
}

t.test(
  'a run that is interrupted, and again while it rolls back, undoes everything all the same',
  { timeout: 3_600_000 },
  async t => {
    const kept = await keptLab('30 s', { pace: 1 });
    t.teardown(() => kept.close());
    const runs = Math.ceil(SIGNALS / 2);
    const trouble: string[] = [];
    let sent = 0;
    for (let seed = 0; seed < runs; seed++) {
      const { code, out, sent: signals } = await interrupt(kept, seed);
      sent += signals;
      const left = [...kept.left(), ...kept.kept()];
      if (left.length > 0) trouble.push(`run ${seed}: ${left.join(', ')}`);
      if (code !== 130) trouble.push(`run ${seed}: exit code ${code}\n${out.slice(-1500)}`);
      const undone = out.match(/✔ \d-\S+ .*: undone and read back/g) ?? [];
      if (undone.length !== FAULTS)
        trouble.push(`run ${seed}: the checklist shows ${undone.length} of ${FAULTS}\n${out.slice(-1500)}`);
      if (openJournals(kept.state).length > 0) trouble.push(`run ${seed}: a journal is open`);
    }
    t.comment(`${sent} signals in ${runs} runs, ${runs * FAULTS} undos`);
    t.same(trouble, [], 'no undo is skipped, the checklist shows each, and the exit code says interrupted but clean');
    t.ok(sent > runs, 'signals came during the rollback, too');
  },
);
