import { getEventListeners } from 'node:events';
import net from 'node:net';
import { performance } from 'node:perf_hooks';
import pLimit from 'p-limit';
import ssh2 from 'ssh2';
import t from 'tap';
import { fingerprintOf } from '../../../emulators/device/ssh-server.ts';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import { connectSsh, maybeApplied, type Shell, type SshOptions } from '../../../harness/drivers/ssh.ts';
import { uniform } from '../../../harness/model/seeded.ts';
import { BEFORE_LOGIN, Path, STAGES, type Stage, stallingDevice } from './stalling-device.ts';

const RUNS = Number(process.env['FARSPAN_STALL_RUNS'] ?? 144);
const SEED = Number(process.env['FARSPAN_STALL_SEED'] ?? 1);
const AT_ONCE = 24;
/** Issue 4: abort p99 at most this after the deadline. */
const LATE_MS = 250;
/** A run that is not over so long after its deadline hangs. */
const HANGS_MS = 10_000;
/** Issue 4 and A1 row 6: a dead peer is found within 5 s. */
const DEAD_WITHIN_MS = 5000;

const onRun = new Map<string, () => void>();
const device = await stallingDevice(id => onRun.get(id)?.());
t.teardown(() => device.close());

const settings = (path: Path, more: Partial<SshOptions> = {}): SshOptions => ({
  device: 'leaf-1',
  host: '127.0.0.1',
  port: path.port,
  user: 'admin',
  password: 'secret',
  hostKey: device.hostKey,
  deadlineMs: 20_000,
  ...more,
});

interface Aborted {
  readonly error: unknown;
  /** From the deadline to the error, ms. */
  readonly lateMs: number;
  /** The same of a bare timer that was started with it: what the machine and the event loop add, ms. */
  readonly machineMs: number;
}

/** Waits for the failure of something that has a deadline. */
async function abortOf(deadlineMs: number, act: () => Promise<unknown>): Promise<Aborted> {
  const began = performance.now();
  let machineMs = 0;
  const control = new Promise<void>(resolve => {
    setTimeout(() => {
      machineMs = performance.now() - began - deadlineMs;
      resolve();
    }, deadlineMs);
  });
  let error: unknown;
  let hangs: NodeJS.Timeout | undefined;
  try {
    await Promise.race([
      act(),
      new Promise((_resolve, reject) => {
        hangs = setTimeout(() => reject(new Error('hangs')), deadlineMs + HANGS_MS);
      }),
    ]);
    error = new Error('it did not fail');
  } catch (failure) {
    error = failure;
  }
  clearTimeout(hangs);
  const lateMs = performance.now() - began - deadlineMs;
  await control;
  return { error, lateMs, machineMs };
}

interface Outcome extends Aborted {
  readonly stage: Stage;
  readonly id: string;
  readonly wrong: readonly string[];
}

/** What the driver must say of a command, against what the device counted. */
function wrongAbout(stage: Stage, id: string, { error }: Aborted): readonly string[] {
  const ran = device.ran.get(id) ?? 0;
  const wrong: string[] = [];
  if (!(error instanceof DeviceError)) return [`${stage}: ${String(error)}`];
  if (ran > 1) wrong.push(`${stage}: run ${ran} times`);
  if (ran > 0 && !maybeApplied(error))
    wrong.push(`${stage}: it was run, and the error says it was not: ${error.answer}`);
  if (BEFORE_LOGIN.has(stage) && maybeApplied(error)) wrong.push(`${stage}: nothing can have been sent`);
  const shown = /bytes came/.test(error.answer);
  if (stage === 'pager' && shown && !/terminal length 0/.test(error.advice)) wrong.push(`${stage}: ${error.advice}`);
  return wrong;
}

/** Where the path or the user must be told before the login. */
function prepare(path: Path, stage: Stage, draw: (n: number) => number): Partial<SshOptions> {
  if (stage === 'no banner') path.mode = { kind: 'mute' };
  // The banner of ssh2 has 25 bytes, the key exchange about 1 KB after it.
  if (stage === 'mid key exchange') path.mode = { kind: 'first', bytes: Math.floor(5 + draw(10) * 900) };
  if (stage === 'slow loris' && draw(11) < 0.5) path.mode = { kind: 'drip' };
  if (stage === 'auth never answers') return { user: 'silent' };
  if (stage === 'password again' && draw(12) < 0.5) return { user: 'asked' };
  return {};
}

const loginStalls = (path: Path, more: Partial<SshOptions>): boolean =>
  path.mode.kind !== 'pass' || more.user !== undefined;

/** Tells the path what to do once the command is on its way. */
async function spoil(path: Path, shell: Shell, stage: Stage, id: string, draw: (n: number) => number): Promise<void> {
  if (stage === 'channel open never calls back') await shell.run(`${id} next channel stalls`);
  if (stage === 'slow loris') path.mode = { kind: 'drip' };
  if (stage === 'half-open TCP') {
    if (draw(20) < 0.5) path.swallow();
    else onRun.set(id, () => path.swallow());
  }
  if (stage === 'reset after the command was sent') onRun.set(id, () => path.reset());
}

/** The words after the id, by which the device knows where to stall. */
function wordsFor(stage: Stage, draw: (n: number) => number): string {
  return stage === 'no exit status' && draw(21) < 0.5 ? 'no exit status, closed' : stage;
}

async function stalled(run: number): Promise<Outcome> {
  const draw = (n: number): number => uniform(SEED, run, n);
  const stage = STAGES[run % STAGES.length] as Stage;
  const id = `w${run}`;
  const path = await Path.to(device.port);
  const abort = new AbortController();
  const deadlineMs = Math.round(200 + draw(1) * 400);
  let shell: Shell | undefined;
  try {
    const more = prepare(path, stage, draw);
    if (loginStalls(path, more)) {
      const aborted = await abortOf(deadlineMs, () =>
        connectSsh(settings(path, { ...more, deadlineMs, signal: abort.signal })),
      );
      return { ...aborted, stage, id, wrong: [...wrongAbout(stage, id, aborted), ...(await left(path, stage, abort))] };
    }
    shell = await connectSsh(settings(path, { signal: abort.signal }));
    const open = shell;
    await spoil(path, open, stage, id, draw);
    const stdin = stage === 'window 0' ? { stdin: 'x'.repeat(3 * 2 ** 20) } : {};
    const aborted = await abortOf(deadlineMs, () =>
      open.run(`${id} ${wordsFor(stage, draw)}`, { deadlineMs, ...stdin }),
    );
    // A busy device may run the command only now; what it does then is not for the next session.
    onRun.delete(id);
    const wrong = [...wrongAbout(stage, id, aborted), ...(await goesOn(path, open, stage, `${id}-next`))];
    await open.close();
    return { ...aborted, stage, id, wrong: [...wrong, ...(await left(path, stage, abort))] };
  } finally {
    onRun.delete(id);
    await shell?.close();
    await path.close();
  }
}

/** The session, or a new one, carries the next command; where the peer is dead, once that was found. */
async function goesOn(path: Path, shell: Shell, stage: Stage, id: string): Promise<readonly string[]> {
  path.mode = { kind: 'pass' };
  const began = performance.now();
  try {
    await shell.run(`${id} fine`, { deadlineMs: HANGS_MS });
  } catch (error) {
    if (stage !== 'half-open TCP' && stage !== 'slow loris')
      return [`${stage}: the next command failed: ${String(error)}`];
    const tookMs = performance.now() - began;
    if (tookMs > DEAD_WITHIN_MS) return [`${stage}: the dead peer was found after ${Math.round(tookMs)} ms`];
    const again = await shell.run(`${id}-again fine`, { deadlineMs: HANGS_MS }).catch(String);
    if (typeof again === 'string') return [`${stage}: no new session: ${again}`];
  }
  return (device.ran.get(id) ?? 0) > 1 ? [`${stage}: the next command was run twice`] : [];
}

/** What a closed session leaves behind. */
async function left(path: Path, stage: Stage, { signal }: AbortController): Promise<readonly string[]> {
  for (let i = 0; i < 50 && path.open > 0; i++) await new Promise(resolve => setTimeout(resolve, 20));
  const listeners = getEventListeners(signal, 'abort').length;
  return [
    ...(path.open > 0 ? [`${stage}: ${path.open} sockets are still open`] : []),
    ...(listeners > 0 ? [`${stage}: ${listeners} listeners stay on the signal`] : []),
  ];
}

const quantile = (values: readonly number[], q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * q) - 1)] ?? Number.NaN;
const spread = (values: readonly number[]): string =>
  ['p50', 'p90', 'p99', 'max']
    .map((name, i) => `${name} ${quantile(values, [0.5, 0.9, 0.99, 1][i] ?? 1).toFixed(1)}`)
    .join(', ');

const resources = (): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
};

void t.test(`${RUNS} stalls at all ${STAGES.length} stages`, { timeout: 60_000 + RUNS * 200 }, async t => {
  const before = resources();
  const limit = pLimit(AT_ONCE);
  const began = performance.now();
  const outcomes = await Promise.all(Array.from({ length: RUNS }, (_, run) => limit(() => stalled(run))));
  const tookS = (performance.now() - began) / 1000;

  t.same(
    outcomes.flatMap(({ wrong }) => wrong),
    [],
    'no hang, no second sending, no wrong word about what was sent, nothing left open',
  );
  const twice = [...device.ran].filter(([, times]) => times > 1);
  t.same(twice, [], `${device.ran.size} commands were run, none twice`);

  const late = outcomes.map(({ lateMs }) => lateMs);
  const machine = outcomes.map(({ machineMs }) => machineMs);
  const own = outcomes.map(({ lateMs, machineMs }) => lateMs - Math.max(0, machineMs));
  for (const stage of STAGES) {
    const of = outcomes.filter(outcome => outcome.stage === stage);
    const unsure = of.filter(({ error }) => maybeApplied(error)).length;
    t.comment(
      `${stage}: ${of.length} runs, ${unsure} maybe applied; late, ms: ${spread(of.map(({ lateMs }) => lateMs))}`,
    );
  }
  t.comment(`after the deadline, ms: ${spread(late)}`);
  t.comment(`a bare timer beside it, ms: ${spread(machine)}`);
  t.comment(`the driver's own part, ms: ${spread(own)}`);
  t.comment(`${RUNS} runs in ${tookS.toFixed(1)} s, ${AT_ONCE} at once, seed ${SEED}`);
  t.ok(quantile(own, 0.99) <= LATE_MS, `the driver ends at its deadline; p99 is ${quantile(own, 0.99).toFixed(1)} ms`);

  await new Promise(resolve => setTimeout(resolve, 500));
  const after = resources();
  const grown = Object.entries(after).filter(([name, count]) => count > (before[name] ?? 0) + 1);
  t.same(grown, [], `resources of the process: ${JSON.stringify(before)} before, ${JSON.stringify(after)} after`);
});

void t.test('a peer that is gone without a word is found within 5 s, whatever the deadline', async t => {
  const found = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const path = await Path.to(device.port);
      const shell = await connectSsh(settings(path));
      onRun.set(`gone${i}`, () => path.swallow());
      const began = performance.now();
      const failure = await shell
        .run(`gone${i} half-open TCP`, { deadlineMs: 60_000 })
        .catch((error: unknown) => error);
      const tookMs = performance.now() - began;
      await shell.close();
      await path.close();
      return { tookMs, answer: (failure as DeviceError).answer, unsure: maybeApplied(failure) };
    }),
  );
  t.comment(`found after, ms: ${spread(found.map(({ tookMs }) => tookMs))}`);
  t.ok(found.every(({ tookMs }) => tookMs <= DEAD_WITHIN_MS));
  t.ok(
    found.every(({ answer, unsure }) => unsure && answer.includes('no sign of life')),
    found[0]?.answer ?? 'nothing was found',
  );
});

void t.test('a command waits for its turn and for a new session no longer than its own deadline', async t => {
  const path = await Path.to(device.port);
  t.teardown(() => path.close());
  const shell = await connectSsh(settings(path));
  t.teardown(() => shell.close());
  const slow = Array.from({ length: 8 }, (_, i) => shell.run(`busy${i} silence`, { deadlineMs: 1500 }).catch(String));
  const queued = await abortOf(200, () => shell.run('queued fine', { deadlineMs: 200 }));
  t.match((queued.error as Error).message, /not sent within 200 ms: earlier commands/);
  t.notOk(maybeApplied(queued.error));
  t.ok(queued.lateMs < 1000, `${Math.round(queued.lateMs)} ms after its deadline`);
  await Promise.all(slow);
  t.notOk(device.ran.has('queued'));

  path.mode = { kind: 'mute' };
  path.reset();
  await new Promise(resolve => setTimeout(resolve, 50));
  const patient = shell.run('patient fine', { deadlineMs: 15_000 });
  const hasty = await abortOf(200, () => shell.run('hasty fine', { deadlineMs: 200 }));
  t.match((hasty.error as Error).message, /no session within 200 ms, waiting for: SSH banner/);
  t.ok(hasty.lateMs < 1000, `${Math.round(hasty.lateMs)} ms after its deadline`);
  const closing = shell.close();
  await t.rejects(patient, { message: /interrupted/ }, 'a session that is being opened ends with its shell');
  await closing;
});

/** CVE-2023-48795: what a peer without strict key exchange must not be given. */
const vulnerable = (cipher: string, mac: string): boolean =>
  cipher.startsWith('chacha20-poly1305') || (cipher.endsWith('-cbc') && mac.includes('-etm@'));

void t.test('no peer gets a suite that the Terrapin attack breaks', async t => {
  const CIPHERS = ['aes128-gcm@openssh.com', 'aes256-ctr', 'chacha20-poly1305@openssh.com', 'aes128-cbc', 'aes256-cbc'];
  const MACS = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha1'];
  const keys = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 });
  const agreed: string[] = [];
  const bad: string[] = [];
  for (const cipher of CIPHERS) {
    for (const mac of MACS) {
      const server = new ssh2.Server(
        {
          hostKeys: [keys.private],
          algorithms: { cipher: [cipher] as ssh2.CipherAlgorithm[], hmac: [mac] as ssh2.MacAlgorithm[] },
        },
        connection => {
          connection.on('error', () => {});
          connection.on('authentication', context => context.accept());
        },
      );
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as net.AddressInfo;
      const blob = Buffer.from(keys.public.split(' ')[1] ?? '', 'base64');
      const hostKey = fingerprintOf(blob);
      try {
        const shell = await connectSsh({
          device: 'peer',
          host: '127.0.0.1',
          port,
          user: 'admin',
          password: 'secret',
          hostKey,
          deadlineMs: 5000,
        });
        agreed.push(`${cipher} ${mac}`);
        if (vulnerable(cipher, mac)) bad.push(`${cipher} ${mac}`);
        await shell.close();
      } catch (error) {
        if (!(error instanceof DeviceError) || !/no matching/.test(error.answer))
          bad.push(`${cipher} ${mac}: ${String(error)}`);
      }
      await new Promise<void>(resolve => void server.close(() => resolve()));
    }
  }
  t.same(bad, []);
  t.ok(
    agreed.length >= 7,
    `of ${CIPHERS.length * MACS.length} peers ${agreed.length} found a safe suite: ${agreed.join('; ')}`,
  );
});
