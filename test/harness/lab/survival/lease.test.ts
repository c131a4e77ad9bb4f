import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { fileLeaseStore } from '../../../../harness/lab/file-lease-store.ts';
import { labBinding } from '../../../../harness/lab/lab-binding.ts';
import { LeaseLost, LeaseRefused, type TakeLease } from '../../../../harness/lab/lease-store.ts';
import { recover } from '../../../../harness/lab/recover.ts';
import { thisProcess } from '../../../../harness/lab/this-process.ts';
import { uniform } from '../../../../harness/model/seeded.ts';
import { keptLab } from './kept-lab.ts';
import type { Race, Raced } from './lease-racer.ts';
import { PAIR } from './pair.ts';
import { victim } from './run-victim.ts';

/** Two-way races, and a tenth as many of all racers: 1,000 and 100 in a night (FARSPAN_RACES), with 100 racers (FARSPAN_RACERS). */
const RACES = Number(process.env['FARSPAN_RACES'] ?? 40);
const RACERS = Number(process.env['FARSPAN_RACERS'] ?? 5);
const DEVICES = ['a', 'b', 'c', 'd', 'e'];

const folder = (t: Test): string => {
  const made = mkdtempSync(path.join(os.tmpdir(), 'farspan-lease-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
};

const wanted = (devices: readonly string[], more: Partial<TakeLease> = {}): TakeLease => ({
  devices,
  owner: 'ada@bench',
  reason: 'a test',
  lab: 'l',
  inventory: 'l.yaml',
  ttlS: 10,
  ...more,
});

const LOADER = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const RACER = fileURLToPath(new URL('lease-racer.ts', import.meta.url));

interface Racer {
  race(race: Race): Promise<Raced>;
  readonly child: ChildProcess;
}

async function racer(t: Test, store: string): Promise<Racer> {
  const child = fork(RACER, [store], {
    execArgv: ['--import', LOADER],
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child, 'message');
  return {
    child,
    async race(race) {
      const answer = once(child, 'message') as Promise<[Raced]>;
      child.send(race);
      return (await answer)[0];
    },
  };
}

/** Letter of a process's state, as proc(5) has it. */
const stateOf = ({ pid }: ChildProcess): string | undefined =>
  /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];

async function until(met: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await met())) {
    if (performance.now() > end) throw new Error('not within 20 s');
    await sleep(10);
  }
}

/** Lets the racers run at one instant. */
const start = (racers: readonly Racer[], races: readonly Omit<Race, 'atNs'>[]): Promise<readonly Raced[]> => {
  const atNs = Number(process.hrtime.bigint()) + 2e6;
  return Promise.all(racers.map((one, i) => one.race({ ...(races[i] as Omit<Race, 'atNs'>), atNs })));
};

const shares = (a: readonly string[], b: readonly string[]): boolean => a.some(device => b.includes(device));

type Won = Extract<Raced, { readonly token: number }>;
const isWon = (raced: Raced): raced is Won => 'token' in raced;

/** Two that held one device at one time, and leases whose tokens do not grow with time. */
function wrongOf(races: readonly Raced[]): { readonly double: number; readonly disorder: number } {
  const won = races.filter(isWon).toSorted((a, b) => a.beginNs - b.beginNs);
  let [double, disorder] = [0, 0];
  for (const [i, first] of won.entries())
    for (const second of won.slice(i + 1)) {
      if (!shares(first.devices, second.devices)) continue;
      if (second.beginNs < first.endNs) double++;
      if (second.token <= first.token) disorder++;
    }
  return { double, disorder };
}

const subset = (seed: number, place: number): readonly string[] => {
  const some = DEVICES.filter((_, i) => uniform(seed, place * 10 + i) < 0.5);
  return some.length > 0 ? some : ['a'];
};

void t.test(
  `${RACES} two-way and ${RACES / 10} ${RACERS}-way races for overlapping sets of devices`,
  { timeout: 3_600_000 },
  async t => {
    const store = folder(t);
    const mine = fileLeaseStore({ folder: store });
    t.teardown(() => mine.close());
    const racers = await Promise.all(Array.from({ length: RACERS }, () => racer(t, store)));
    const trouble: string[] = [];
    let [double, disorder, refused, held] = [0, 0, 0, 0];
    let last = 0;
    const judge = async (races: readonly Raced[], seed: number): Promise<void> => {
      const wrong = wrongOf(races);
      double += wrong.double;
      disorder += wrong.disorder;
      held += races.filter(isWon).length;
      refused += races.filter(one => 'refused' in one).length;
      for (const one of races) if ('failed' in one) trouble.push(`race ${seed}: ${one.failed}`);
      if (!races.some(isWon)) trouble.push(`race ${seed}: nobody won`);
      // Who shared no device with anybody has no reason to be refused.
      for (const one of races)
        if ('refused' in one && !races.some(other => other !== one && shares(other.devices, one.devices)))
          trouble.push(`race ${seed}: refused ${one.devices.join('')} that nobody else wanted`);
      // All or nothing: whoever was refused holds not even a part.
      const all = await mine.take(wanted(DEVICES)).catch((error: Error) => error);
      if (all instanceof Error) return void trouble.push(`race ${seed}: ${all.message}`);
      if (all.token <= Math.max(last, ...races.filter(isWon).map(({ token }) => token))) disorder++;
      last = all.token;
      await mine.release(all);
    };
    const raceOf = (seed: number, place: number) => ({
      devices: subset(seed, place),
      holdMs: 3 * uniform(seed, place * 10 + 9),
    });
    for (let seed = 0; seed < RACES; seed++) {
      const pair = [racers[seed % RACERS], racers[(seed + 1) % RACERS]].filter(one => one !== undefined);
      await judge(
        await start(
          pair,
          pair.map((_, i) => raceOf(seed, i)),
        ),
        seed,
      );
    }
    for (let seed = RACES; seed < RACES * 1.1; seed++)
      await judge(
        await start(
          racers,
          racers.map((_, i) => raceOf(seed, i)),
        ),
        seed,
      );
    t.comment(`${held} leases were held, ${refused} refused`);
    t.ok(refused > 0 && held > RACES, 'they met');
    t.equal(double, 0, 'no device had two holders');
    t.equal(disorder, 0, 'tokens grow');
    t.same(trouble, []);
    t.same(await mine.list(), [], 'nothing is left');
  },
);

void t.test('a process that is killed inside a take leaves nothing, and its token is not lost to order', async t => {
  const store = folder(t);
  const mine = fileLeaseStore({ folder: store });
  t.teardown(() => mine.close());
  const before = await mine.take(wanted(['z']));
  const dying = await Promise.all(Array.from({ length: 3 }, () => racer(t, store)));
  for (const one of dying) {
    const gone = once(one.child, 'exit');
    one.child.send({ devices: DEVICES, atNs: 0, holdMs: 0, ends: 'SIGKILL' } satisfies Race);
    t.same((await gone)[1], 'SIGKILL');
  }
  t.same(
    (await mine.list()).map(({ id }) => id),
    [before.id],
  );
  const lease = await mine.take(wanted(DEVICES));
  t.ok(lease.token > before.token);
});

void t.test('a holder that died is none, however long its lease had to last', async t => {
  const store = folder(t);
  const mine = fileLeaseStore({ folder: store });
  t.teardown(() => mine.close());
  const one = await racer(t, store);
  one.child.send({ devices: ['a'], atNs: 0, holdMs: 60_000 } satisfies Race);
  await until(async () => (await mine.list()).length > 0);
  await t.rejects(mine.take(wanted(['a', 'b'])), LeaseRefused);
  t.match(await mine.list(), [{ alive: true, devices: ['a'] }]);
  const gone = once(one.child, 'exit');
  one.child.kill('SIGKILL');
  await gone;
  t.match(await mine.list(), [{ alive: false, devices: ['a'] }]);
  await t.resolves(mine.take(wanted(['a', 'b'])));
});

/** A store whose clocks and process are what the test says. */
const settable = (t: Test, at: string) => {
  const set = { s: 100, now: new Date('2026-01-01'), mark: thisProcess() };
  const store = fileLeaseStore({ folder: at, monotonicS: () => set.s, now: () => set.now, process: () => set.mark });
  t.teardown(() => store.close());
  return { set, store };
};

void t.test(
  'a lease lasts its time-to-live on the clock that never steps, and the other clock changes nothing',
  async t => {
    const { set, store } = settable(t, folder(t));
    const lease = await store.take(wanted(['a']));
    t.equal(lease.takenAt, '2026-01-01T00:00:00.000Z');
    for (const year of ['1970', '2019', '2099']) {
      set.now = new Date(`${year}-06-01`);
      t.match(await store.list(), [{ leftS: 10, alive: true }], `the wall clock says ${year}`);
      await t.rejects(store.take(wanted(['a'])), LeaseRefused);
    }
    set.s += 9;
    await store.renew(lease);
    set.s += 9;
    await t.rejects(store.take(wanted(['b', 'a'])), { message: /ada@bench since 2026-01-01.*a test.*another 1 s/s });
    t.same(
      (await store.list()).flatMap(({ devices }) => devices),
      ['a'],
      'b was not taken on the way',
    );
    set.s += 1;
    await t.rejects(store.renew(lease), LeaseLost);
    const next = await store.take(wanted(['a', 'b']));
    t.ok(next.token > lease.token);
    await t.rejects(store.renew(lease), { name: 'LeaseLost', message: /broken or given to another/ });
    await store.release(lease);
    t.match(await store.list(), [{ id: next.id }], 'one that has ended releases nothing');
    t.equal(await store.knows(lease.id), true);
    t.equal(await store.knows('nobody'), false);
  },
);

void t.test('a holder is known by pid, start and boot; another machine only by time', async t => {
  const own = thisProcess();
  const cases = [
    ['the same process', own, false],
    ['another process has its pid now', { ...own, started: `${Number(own.started) - 1}` }, true],
    ['a pid that is not there', { ...own, pid: 4_194_305 }, true],
    ['an earlier boot', { ...own, boot: '00000000-0000-4000-8000-000000000000' }, true],
    ['another machine', { ...own, host: 'elsewhere' }, false],
  ] as const;
  for (const [what, mark, free] of cases) {
    const { set, store } = settable(t, folder(t));
    set.mark = mark;
    const lease = await store.take(wanted(['a']));
    set.mark = own;
    if (free) t.ok((await store.take(wanted(['a']))).token > lease.token, `${what}: free`);
    else await t.rejects(store.take(wanted(['a'])), LeaseRefused, `${what}: held`);
  }
});

void t.test('a person holds a lease without a process, and can break any', async t => {
  const at = folder(t);
  const { set, store } = settable(t, at);
  const lease = await store.take(wanted(['a'], { byHand: true, ttlS: 3600 }));
  t.match(await store.list(), [{ id: lease.id, alive: undefined, leftS: 3600 }]);
  const other = settable(t, at);
  t.match(await other.store.list(), [{ id: lease.id }], 'another process sees it');
  t.equal(await other.store.break('nobody'), false);
  t.equal(await other.store.break(lease.id), true);
  await t.rejects(store.renew(lease), LeaseLost);
  await t.resolves(store.take(wanted(['a'])));
  set.s += 1;
});

void t.test('a store that can not be used is told from a lab that is held', async t => {
  await t.rejects(async () => fileLeaseStore({ folder: '/dev/null/none' }), { name: 'LeaseStoreFailed', busy: false });
  const at = folder(t);
  const mine = fileLeaseStore({ folder: at });
  t.teardown(() => mine.close());
  const one = await racer(t, at);
  one.child.send({ devices: ['a'], atNs: 0, holdMs: 0, ends: 'SIGSTOP' } satisfies Race);
  await until(() => stateOf(one.child) === 'T');
  await t.rejects(mine.take(wanted(['b'])), { name: 'LeaseStoreFailed', busy: true }, 'one is stopped inside a take');
  one.child.kill('SIGKILL');
  await once(one.child, 'exit');
  await t.resolves(mine.take(wanted(['a', 'b'])));
});

void t.test('two machines without a common store collide on the devices', { timeout: 240_000 }, async t => {
  const kept = await keptLab('2 s');
  t.teardown(() => kept.close());
  const elsewhere = path.join(path.dirname(kept.state), 'another machine');
  const first = await victim(kept, { seed: 1, rounds: 1_000_000 });
  t.teardown(() => first.child.kill('SIGKILL'));
  first.go();
  await first.until('round 0');

  const sent: string[] = [];
  await t.rejects(
    labBinding().reserve(PAIR, {
      seed: 1,
      options: { inventory: kept.inventory, state: elsewhere },
      record: () => {},
      step: ({ tried }) => void sent.push(tried),
    }),
    { name: 'LeaseRefused', message: /is held by .*: its lease lies on the device/s },
  );
  t.same(
    sent.filter(command => /guard|config|qdisc (?:replace|del)|link set|kill|mpirun/.test(command)),
    [],
    'the second sends nothing',
  );
  const takeOver = () =>
    recover({ inventory: kept.inventory, state: elsewhere, takeOver: true, longestCommandS: 1, say: () => {} });
  await t.rejects(takeOver(), { name: 'LeaseRefused', message: /it is alive/ });
  const watched = takeOver().catch((error: Error) => error);
  await sleep(500);
  // For less than its time-to-live.
  first.child.kill('SIGSTOP');
  await sleep(1000);
  first.child.kill('SIGCONT');
  t.match(await watched, { name: 'LeaseRefused', message: /it is alive/ }, 'one that was only stopped for a while');

  first.child.kill('SIGKILL');
  await first.ended;
  const began = performance.now();
  const recovered = await takeOver();
  const tookS = (performance.now() - began) / 1000;
  t.match(recovered, { clean: true });
  t.ok(tookS > 3, `it watched for its time-to-live and the longest command: ${tookS.toFixed(1)} s`);
  t.same([...kept.left(), ...kept.kept()], [], 'and the lab is as it was');
});
