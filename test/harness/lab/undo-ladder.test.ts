import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import { exitCode } from '../../../harness/cli/exit-code.ts';
import { allReduce, busbw, linkDown } from '../../../harness/index.ts';
import { connectDevice, type Opened } from '../../../harness/lab/connect.ts';
import { fileHealthStore } from '../../../harness/lab/health.ts';
import { labBinding } from '../../../harness/lab/lab-binding.ts';
import { recover } from '../../../harness/lab/recover.ts';
import { climb, type Rung } from '../../../harness/lab/undo-ladder.ts';
import type { Fault } from '../../../harness/model/fault.ts';
import { uniform } from '../../../harness/model/seeded.ts';
import { play } from '../../../harness/run/play.ts';
import { RunFolder } from '../../../harness/run/run-folder.ts';
import { type KeptLab, keptLab } from './survival/kept-lab.ts';
import { PAIR } from './survival/pair.ts';

/** Ladders that are climbed with rungs that fail at random. */
const CLIMBS = Number(process.env['FARSPAN_CLIMBS'] ?? 300);

void t.test(
  `${CLIMBS} ladders: only a device that reads back as found is healed, by the first rung that did it`,
  async t => {
    const wrong: string[] = [];
    for (let seed = 0; seed < CLIMBS; seed++) {
      let put = false;
      let [runs, place] = [0, 0];
      const helpedBy: string[] = [];
      const rung = (name: Rung['name'], tries: number): Rung => ({
        name,
        tries,
        run: async () => {
          runs++;
          // It works or not, and says so or not: all four are possible.
          const [works, says] = [uniform(seed, ++place) < 0.2, uniform(seed, ++place) < 0.5];
          if (works) {
            put = true;
            helpedBy.push(name);
          }
          if (!says) throw new Error('exit code 1');
        },
      });
      const rungs = [rung('undo', 3), rung('config rollback', 1), rung('power cycle', 1)].slice(0, 1 + (seed % 3));
      const climbed = await climb(rungs, async () => {
        if (uniform(seed, ++place) < 0.1) throw new Error('it does not answer');
        return { expected: 'up', observed: put ? 'up' : 'down', verified: put };
      });
      const most = rungs.reduce((sum, { tries }) => sum + tries, 0);
      if (climbed.verified !== (put && climbed.observed === 'up')) wrong.push(`${seed}: verified ${climbed.verified}`);
      if (climbed.tried.length !== runs) wrong.push(`${seed}: ${climbed.tried.length} told of ${runs}`);
      if (!climbed.verified && runs !== most) wrong.push(`${seed}: gave up after ${runs} of ${most}`);
      if (climbed.verified && !helpedBy.includes(climbed.by) && !put) wrong.push(`${seed}: by ${climbed.by}`);
    }
    t.same(wrong, []);
  },
);

type Rungs = Partial<Record<'undo' | 'rollback' | 'boot', 'fails' | 'does nothing' | 'fails once'>>;

/** A device whose rungs do not what they should. `fails` refuses; `does nothing` says that all is well. */
function sabotaged(opened: Opened, rungs: Rungs): Opened {
  const failed = new Set<string>();
  const spoiled = <A extends readonly unknown[]>(rung: keyof Rungs, act: (...words: A) => Promise<void>) => {
    return async (...words: A): Promise<void> => {
      const how = rungs[rung];
      const refuses = how === 'fails' || (how === 'fails once' && !failed.has(rung));
      failed.add(rung);
      if (refuses) throw new DeviceError('xl', rung, 'exit code 1', 'A test spoiled it.');
      if (how !== 'does nothing') await act(...words);
    };
  };
  const guard = { ...opened.guard, runLines: spoiled('undo', opened.guard.runLines) };
  if (opened.kind !== 'switch') return { ...opened, guard } as Opened;
  const { driver } = opened;
  const checkpoint = driver.checkpoint && {
    ...driver.checkpoint,
    back: spoiled('rollback', driver.checkpoint.back),
  };
  return {
    ...opened,
    guard,
    driver: { ...driver, ...(checkpoint && { checkpoint }), reboot: spoiled('boot', () => driver.reboot()) },
  };
}

const [LINK] = PAIR.links;
if (!LINK) throw new Error('the pair has links');

const FAULTS = {
  xl: linkDown(LINK),
  'span-north': { kind: 'span-cut', span: PAIR.spans.north, direction: 'both', light: 'lost' },
} as const satisfies Record<string, Fault>;

interface Played {
  readonly outcome: string;
  readonly dirty: readonly string[];
  readonly code: number;
  /** What the heal line says. */
  readonly by: string | undefined;
  readonly verified: boolean | undefined;
}

/** A whole run in which the undo of one device is spoiled. */
async function run(kept: KeptLab, device: keyof typeof FAULTS, rungs: Rungs): Promise<Played> {
  const connect: typeof connectDevice = async (name, options) => {
    const opened = await connectDevice(name, options);
    return name === device ? sabotaged(opened, rungs) : opened;
  };
  const folder = new RunFolder({ root: kept.runs, at: new Date(), title: 'a ladder', world: 'lab', seed: 1 });
  const worldOptions = { inventory: kept.inventory, state: kept.state };
  const { verdict } = await play({
    binding: labBinding({ connect }),
    plan: {
      why: 'To see how a lab is put back.',
      topology: PAIR,
      load: allReduce({ bytes: '64 KiB' }),
      phases: { broken: { for: '100 us', faults: [FAULTS[device]] }, after: { for: '100 us' } },
      expect: [busbw.during('after').atLeast('1 b/s')],
    },
    header: {
      version: '0.0.0',
      scenario: { title: 'a ladder', file: 'x', line: 1, tags: [] },
      world: 'lab',
      seed: 1,
      trainPackets: 1,
      options: {},
      profile: null,
    },
    worldOptions,
    folder,
    replay: 'npx farspan run',
  });
  const lines = readFileSync(folder.file('record'), 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as { readonly kind: string; readonly by?: string; readonly verified?: boolean });
  const heal = lines.find(({ kind }) => kind === 'heal');
  const { dirty } = verdict.cleanliness;
  return {
    outcome: verdict.outcome,
    dirty,
    code: exitCode([{ outcome: verdict.outcome, dirty: dirty.length > 0 }], { interrupted: false }),
    by: heal?.by ?? (heal && 'undo'),
    verified: heal?.verified,
  };
}

async function lab(t: Test, options: { readonly powerCycle?: boolean } = {}): Promise<KeptLab> {
  // Longer than a ladder is climbed: what heals is the ladder, not the timer.
  const kept = await keptLab('20 s');
  t.teardown(() => kept.close());
  if (options.powerCycle === true) {
    const text = readFileSync(kept.inventory, 'utf8');
    await writeFile(
      kept.inventory,
      text.replace(/^ {2}xl:\n/m, line => `${line}    powerCycle: true\n`),
    );
  }
  return kept;
}

const healthOf = (kept: KeptLab): readonly string[] =>
  fileHealthStore({ folder: kept.state })
    .list()
    .filter(({ health }) => health === 'quarantined')
    .map(({ device }) => device);

const HEALS = [
  { what: 'the undo fails once', rungs: { undo: 'fails once' }, by: 'undo' },
  { what: 'the undo fails: configuration rollback', rungs: { undo: 'fails' }, by: 'config rollback' },
  { what: 'the undo says that it worked and did nothing', rungs: { undo: 'does nothing' }, by: 'config rollback' },
  {
    what: 'rollback fails too: a permitted boot',
    rungs: { undo: 'fails', rollback: 'fails' },
    by: 'power cycle',
    powerCycle: true,
  },
] as const;

for (const { what, rungs, by, ...more } of HEALS)
  void t.test(`healed: ${what}`, { timeout: 600_000 }, async t => {
    const kept = await lab(t, more);
    const played = await run(kept, 'xl', rungs);
    t.match(played, { verified: true, by, dirty: [] }, `${what}: ${JSON.stringify(played)}`);
    t.same([...kept.left(), ...kept.kept(), ...healthOf(kept)], [], 'and the simulator agrees');
  });

const DOES_NOT = [
  { what: 'nothing helps', device: 'xl', rungs: { undo: 'fails', rollback: 'fails' } },
  { what: 'all say that they worked', device: 'xl', rungs: { undo: 'does nothing', rollback: 'does nothing' } },
  {
    what: 'not even a boot helps',
    device: 'xl',
    rungs: { undo: 'fails', rollback: 'fails', boot: 'fails' },
    powerCycle: true,
  },
  { what: 'a box without a second way', device: 'span-north', rungs: { undo: 'does nothing' } },
] as const;

const MANUAL = {
  xl: /on xl: sudo config interface startup Ethernet\d+/,
  'span-north': /on span-north: ip link set dev eth2 up; on span-north: ip link set dev eth1 up/,
};

// The run is dirty, the device quarantined, and it says what to type.
for (const { what, device, rungs, ...more } of DOES_NOT)
  void t.test(`not healed: ${what}`, { timeout: 600_000 }, async t => {
    const kept = await lab(t, more);
    const played = await run(kept, device, rungs);
    t.not(played.outcome, 'pass', what);
    t.match(played, { verified: false, code: 4 }, `${what}: ${JSON.stringify(played)}`);
    t.match(played.dirty.join('\n'), MANUAL[device]);
    t.same(healthOf(kept), [device]);
    t.not(kept.left().length, 0, 'the simulator says that it is still in effect');
    await t.rejects(
      labBinding().reserve(PAIR, {
        seed: 1,
        options: { inventory: kept.inventory, state: kept.state },
        record: () => {},
        step: () => {},
      }),
      { name: 'LabDirty', message: new RegExp(`farspan recover --inventory .*${path.basename(kept.inventory)}`) },
    );
    t.match(await recover({ inventory: kept.inventory, state: kept.state, say: () => {} }), { clean: true });
    t.same([...kept.left(), ...kept.kept(), ...healthOf(kept)], [], 'a recovery whose commands work ends it');
  });

void t.test(
  'the timer of the device tries again when no rung helped and nobody comes',
  { timeout: 120_000 },
  async t => {
    const kept = await keptLab('3 s');
    t.teardown(() => kept.close());
    const { code } = await run(kept, 'span-north', { undo: 'fails' });
    t.equal(code, 4);
    const end = performance.now() + 20_000;
    while (kept.left().length > 0 && performance.now() < end) await sleep(50);
    t.same(kept.left(), []);
    t.same(healthOf(kept), ['span-north'], 'which ends no quarantine: nobody has seen it');
  },
);
