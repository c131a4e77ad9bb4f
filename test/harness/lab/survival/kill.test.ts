import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { recover } from '../../../../harness/lab/recover.ts';
import { uniform } from '../../../../harness/model/seeded.ts';
import { type KeptLab, keptLab } from './kept-lab.ts';
import { type Victim, victim } from './run-victim.ts';

// Processes are started and killed: slow on a busy machine.
t.setTimeout(3_600_000);

/** Runners that are killed. 1,000 in a night (FARSPAN_KILLS), fewer in CI. */
const KILLS = Number(process.env['FARSPAN_KILLS'] ?? 34);
/** Labs at the same time. */
const LABS = Number(process.env['FARSPAN_KILL_LABS'] ?? 4);
const TTL_S = 5;
/** A timer is late by what the machine is busy; the dead man of a device never is by more than this. */
const LATE_S = 3;
/** Longest that `recover` may take: 10 s is promised, on a machine that does nothing else (FARSPAN_RECOVER_S). */
const RECOVER_S = Number(process.env['FARSPAN_RECOVER_S'] ?? 30);

/** Every place between two steps where a runner can die, in the order in which it comes there. */
const BOUNDARIES = [
  'leased in the store',
  'leased on every device',
  'journal begun',
  'before the intent',
  'intended',
  'armed on the devices',
  'armed',
  'injected on the devices',
  'injected',
  'effect seen',
  'renewed',
  'healing',
  'undone',
  'read back',
  'disarmed',
  'closed',
  'given back',
] as const;

/** Half of the kills hit each boundary in turn, half come at any instant. */
const killsOf = (kills: number) =>
  Array.from({ length: kills }, (_, i) => ({
    seed: i,
    boundary: i % 2 === 0 ? BOUNDARIES[(i / 2) % BOUNDARIES.length] : undefined,
    recovers: Math.floor(i / 2) % 2 === 0,
  }));

interface Death {
  readonly where: string;
  readonly recovers: boolean;
  /** From the death to a lab that is as it was, s; undefined when it never was. */
  readonly tookS: number | undefined;
  readonly trouble: readonly string[];
}

const linesIn = async (folder: string): Promise<number> =>
  (await readFile(path.join(folder, 'record.ndjson'), 'utf8')).split('\n').length - 1;

/** Waits until the simulator says that the lab is as it was, with nobody doing anything. */
async function untilWhole(kept: KeptLab, withinS: number): Promise<number | undefined> {
  const began = performance.now();
  for (;;) {
    const tookS = (performance.now() - began) / 1000;
    if (kept.left().length === 0) return tookS;
    if (tookS > withinS) return undefined;
    await sleep(20);
  }
}

async function die(kept: KeptLab, one: Victim, kill: ReturnType<typeof killsOf>[number]): Promise<Death> {
  const trouble: string[] = [];
  one.go();
  if (kill.boundary === undefined) {
    await one.until('folder');
    await sleep(uniform(kill.seed, 1) * 2500);
    one.child.kill('SIGKILL');
  }
  await one.ended;
  const died = one.said.some(line => line.startsWith('at ')) || one.child.signalCode === 'SIGKILL';
  if (!died) trouble.push(`it was not killed: ${one.said.at(-1)} ${one.stderr()}`);
  const began = performance.now();
  const folder = one.said.find(line => line.startsWith('folder '))?.slice(7);
  const acknowledged = Number(one.said.findLast(line => line.startsWith('acknowledged '))?.slice(13) ?? 0);
  if (folder !== undefined && (await linesIn(folder)) < acknowledged)
    trouble.push(`${acknowledged} lines were acknowledged, fewer are there`);
  const { inventory, state } = kept;
  const heal = async (): Promise<void> => {
    const { clean, left } = await recover({ inventory, state, say: () => {} });
    if (!clean) trouble.push(...left);
  };
  let tookS: number | undefined;
  if (kill.recovers) {
    await heal();
    tookS = kept.left().length === 0 ? (performance.now() - began) / 1000 : undefined;
  } else {
    tookS = await untilWhole(kept, TTL_S + LATE_S);
    if (tookS === undefined) trouble.push(...kept.left());
    // Only now: the lab is to be used again.
    await heal();
  }
  if (kept.left().length > 0) trouble.push(...kept.left());
  trouble.push(...kept.kept());
  return { where: kill.boundary ?? 'any instant', recovers: kill.recovers, tookS, trouble };
}

t.test(`${KILLS} runners are killed on ${LABS} labs, and no fault stays`, { timeout: 3_600_000 }, async t => {
  const waiting = killsOf(KILLS);
  const deaths: Death[] = [];
  const order = (kept: KeptLab, kill: (typeof waiting)[number]): Promise<Victim> =>
    victim(kept, {
      seed: kill.seed,
      rounds: 4,
      ...(kill.boundary !== undefined && {
        dieAt: { boundary: kill.boundary, nth: 1 + (kill.seed % (PER_ROUND.has(kill.boundary) ? 3 : 1)) },
      }),
    });
  await Promise.all(
    Array.from({ length: LABS }, async () => {
      const kept = await keptLab(`${TTL_S} s`);
      try {
        let kill = waiting.shift();
        let next = kill && order(kept, kill);
        while (kill && next) {
          const [now, one] = [kill, await next];
          kill = waiting.shift();
          // The next one loads while this one dies and the lab heals.
          next = kill && order(kept, kill);
          deaths.push(
            await die(kept, one, now).catch((error: unknown) => ({
              where: now.boundary ?? 'any instant',
              recovers: now.recovers,
              tookS: undefined,
              trouble: [(error as Error).message],
            })),
          );
        }
      } finally {
        await kept.close();
      }
    }),
  );
  const histogram = new Map<string, number>();
  for (const { where } of deaths) histogram.set(where, (histogram.get(where) ?? 0) + 1);
  for (const [where, count] of histogram) t.comment(`${String(count).padStart(5)}  ${where}`);
  const times = (recovers: boolean): readonly number[] =>
    deaths
      .flatMap(death => (death.recovers === recovers && death.tookS !== undefined ? [death.tookS] : []))
      .toSorted((a, b) => a - b);
  for (const [words, took] of [
    ['with recover', times(true)],
    ['with nobody acting', times(false)],
  ] as const)
    t.comment(
      `${words}: ${took.length} healed, median ${took[took.length >> 1]?.toFixed(2)} s, longest ${took.at(-1)?.toFixed(2)} s`,
    );

  t.equal(deaths.length, KILLS);
  t.same(
    BOUNDARIES.filter(boundary => !histogram.has(boundary)),
    [],
    'every boundary was hit',
  );
  t.same(
    deaths.flatMap(({ where, recovers, trouble }) =>
      trouble.map(words => `${where}, ${recovers ? 'recover' : 'nobody'}: ${words}`),
    ),
    [],
    'the simulator says that nothing is left, no acknowledged line is lost, and nothing is kept on a device',
  );
  t.same(
    deaths.filter(({ tookS }) => tookS === undefined),
    [],
    'all were healed',
  );
  t.ok((times(true).at(-1) ?? 0) <= RECOVER_S, `recover within ${RECOVER_S} s`);
  t.ok((times(false).at(-1) ?? 0) <= TTL_S + LATE_S, 'by themselves within the time-to-live');
});

/** Boundaries that each fault passes. */
const PER_ROUND: ReadonlySet<string> = new Set(BOUNDARIES.slice(3, -1));
