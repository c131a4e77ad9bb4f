import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Testbed } from '../../../../harness/binding/testbed.ts';
import { labBinding } from '../../../../harness/lab/lab-binding.ts';
import { recover } from '../../../../harness/lab/recover.ts';
import { type KeptLab, keptLab } from './kept-lab.ts';
import { LASTING, PAIR } from './pair.ts';
import { type Victim, victim } from './run-victim.ts';

/** Holders that are stopped and wake up when their lease is another's: 100 in a night (FARSPAN_STOPPED). */
const STOPPED = Number(process.env['FARSPAN_STOPPED'] ?? 6);
const LABS = Number(process.env['FARSPAN_STOPPED_LABS'] ?? 3);
const TTL_S = 3;
/** A machine that is too busy may keep a holder from coming to where it is to be stopped. */
const TRIES = 3;

/** Between a check of the lease and what is sent after it, and wherever else a process may be stopped while it holds. */
const BOUNDARIES = [
  'armed',
  'armed on the devices',
  'intended',
  'healing',
  'undone',
  'before the intent',
  'injected on the devices',
  'read back',
  'journal begun',
  'renewed',
  'leased on every device',
  'disarmed',
  'injected',
  'effect seen',
  'leased in the store',
  'closed',
] as const;

const NEW_FAULTS = LASTING.filter(({ kind }) => kind === 'span-cut' || kind === 'link-down');

interface Woken {
  readonly boundary: string;
  readonly trouble: readonly string[];
  readonly samples: number;
}

/** What of a lab the old holder must not change: its truth, whose lease lies there, which undos are armed, which have fired. */
function seen({ lab, left }: KeptLab): string {
  const files = lab.devices.flatMap(({ name }) =>
    [...lab.device(name).files()]
      .filter(([file]) => file === 'lease' || file === 'fired' || file.startsWith('undo/'))
      .map(([file, text]) => `${name} ${file}: ${text.trim()}`),
  );
  return [...left(), ...files].join('\n');
}

async function reserve({ inventory, state }: KeptLab): Promise<Testbed> {
  // The one that is stopped still has the port where traps come.
  const deaf = `${inventory}.deaf.yaml`;
  await writeFile(deaf, (await readFile(inventory, 'utf8')).replace(/^traps:\n(?: .*\n)+/m, ''));
  const options = { inventory: deaf, state };
  return labBinding().reserve(PAIR, { seed: 1, options, record: () => {}, step: () => {} });
}

/** A holder that stands at the boundary. */
async function stopped(kept: KeptLab, boundary: string, seed: number): Promise<Victim> {
  for (let tries = 1; ; tries++) {
    const old = await victim(kept, { seed, rounds: 3, stop: true, dieAt: { boundary, nth: 1 } });
    old.go();
    await old.until('at ');
    if (old.said.some(line => line.startsWith('at '))) return old;
    if (tries === TRIES) throw new Error(`it did not come there: ${old.said.at(-1)} ${old.stderr()}`);
    await recover({ inventory: kept.inventory, state: kept.state, say: () => {} });
  }
}

async function wake(kept: KeptLab, old: Victim, boundary: string, seed: number): Promise<Woken> {
  const trouble: string[] = [];
  let samples = 0;
  await sleep(TTL_S * 1000 + 200);
  const { clean, left } = await recover({ inventory: kept.inventory, state: kept.state, say: () => {} });
  if (!clean) trouble.push(...left);
  const testbed = await reserve(kept);
  // Now there is something that the old holder could undo, and something that it could do.
  const fault = NEW_FAULTS[seed % NEW_FAULTS.length];
  if (!fault) throw new Error('the pair has such faults');
  const injected = await testbed.inject(fault, '1-new');
  const before = seen(kept);
  const look = (): void => {
    samples++;
    const now = seen(kept);
    if (now !== before && trouble.length < 3) trouble.push(`it was\n${before}\nand became\n${now}`);
  };
  const sampling = setInterval(look, 5);
  old.child.kill('SIGCONT');
  await Promise.race([old.ended, sleep(60_000, undefined, { ref: false })]);
  look();
  clearInterval(sampling);
  if (old.child.exitCode === null) {
    trouble.push('it goes on');
    old.child.kill('SIGKILL');
    await old.ended;
  }
  if (old.child.exitCode === 0) trouble.push(`it ended as if nothing were: ${old.said.at(-1)}`);
  if (!/lease/i.test(old.stderr())) trouble.push(`its error names no lease: ${old.stderr()}`);
  await injected.heal();
  const { dirty } = await testbed.release();
  trouble.push(...dirty, ...kept.left(), ...kept.kept());
  return { boundary, trouble, samples };
}

t.test(`${STOPPED} holders are stopped, lose their lease and wake up`, { timeout: 3_600_000 }, async t => {
  const waiting = Array.from({ length: STOPPED }, (_, seed) => seed);
  const woken: Woken[] = [];
  await Promise.all(
    Array.from({ length: LABS }, async () => {
      const kept = await keptLab(`${TTL_S} s`);
      try {
        for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
          const boundary = BOUNDARIES[seed % BOUNDARIES.length] ?? 'armed';
          let old: Victim | undefined;
          try {
            old = await stopped(kept, boundary, seed);
            woken.push(await wake(kept, old, boundary, seed));
          } catch (error) {
            woken.push({ boundary, trouble: [(error as Error).message], samples: 0 });
          } finally {
            old?.child.kill('SIGKILL');
          }
        }
      } finally {
        await kept.close();
      }
    }),
  );
  const samples = woken.reduce((sum, one) => sum + one.samples, 0);
  t.comment(
    `${woken.length} woke up at ${new Set(woken.map(({ boundary }) => boundary)).size} boundaries; looked ${samples} times`,
  );
  t.equal(woken.length, STOPPED);
  t.same(
    woken.flatMap(({ boundary, trouble }) => trouble.map(words => `${boundary}: ${words}`)),
    [],
    'from the instant the new lease began the old holder has no effect, and ends with an error that names the lease',
  );
});
