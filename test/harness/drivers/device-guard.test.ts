import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { deviceGuard, Fenced, type DeviceGuard } from '../../../harness/drivers/device-guard.ts';
import { connectSsh, type Shell } from '../../../harness/drivers/ssh.ts';
import { uniform } from '../../../harness/model/seeded.ts';
import { type GuardUnderShell, guardUnderShell, linesOf, shellsHere } from './guard-under-shell.ts';
import { openSshd } from './open-sshd.ts';

/** Guards that are killed at any instant of arming, renewing or taking, beside one at every line: 2,000 in a night. */
const KILLS = Number(process.env['FARSPAN_GUARD_KILLS'] ?? 40);
const TTL_S = 2;
/** A timer is late by what the machine is busy. */
const LATE_S = 10;

const [OLD, NEW] = [
  [17, 'k3f9'],
  [18, 'm7x2'],
] as const;

async function until(what: string, met: () => boolean | Promise<boolean>, withinS: number): Promise<void> {
  const end = performance.now() + withinS * 1000;
  while (!(await met())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${withinS} s`);
    await sleep(20);
  }
}

const opened = (t: Test, file: string): GuardUnderShell => {
  const guard = guardUnderShell(file);
  t.teardown(() => guard.close());
  return guard;
};

/** A fault that can be seen: a file that its undo takes away, and counts. */
const undoOf = (guard: GuardUnderShell, fault: string): string =>
  `rm -f ${guard.folder}/${fault}.on; echo done >> ${guard.folder}/${fault}.undone`;
const injectOf = (guard: GuardUnderShell, fault: string): string => `touch ${guard.folder}/${fault}.on`;
const isOn = (guard: GuardUnderShell, fault: string): boolean => existsSync(path.join(guard.folder, `${fault}.on`));

// They wait for timers most of the time.
t.jobs = 8;

for (const [name, file] of shellsHere()) {
  void t.test(`${name}: each verb, with its exit code`, async t => {
    const guard = opened(t, file);
    const { verb, read } = guard;
    t.match(await verb('write', ...OLD, 'true'), { code: 73, stderr: 'farspan: fenced by \n' }, 'no lease, no write');
    t.match(await verb('take', ...OLD, '5 other', 60, '60 me'), { code: 73 }, 'another lease was expected');
    t.match(await verb('take', ...OLD, '', 60, '60 me\\nyou "x" $(id) `id`'), { code: 0, stderr: '' });
    t.equal(read('lease'), '17 k3f9');
    t.equal(read('holder'), '60 me\\nyou "x" $(id) `id`', 'text stays text, on one line');
    t.equal(read('beat'), '0');
    t.match(await verb('renew', ...OLD, 60), { code: 0, stdout: '', stderr: '' });
    t.equal(read('beat'), '1');
    t.match(await verb('write', ...OLD, 'echo out; echo err >&2; exit 5'), {
      code: 5,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    for (const words of [
      ['write', ...NEW, 'touch never'],
      ['arm', ...NEW, 60, 'f', 'touch never'],
      ['job', ...NEW, 60, 'f', 'touch never', 'true'],
      ['undo', ...NEW, 'f'],
      ['disarm', ...NEW, 'f'],
      ['renew', ...NEW, 60],
      ['release', ...NEW],
      ['take', ...NEW, '', 60, '60 you'],
    ] as const)
      t.match(await verb(...words), { code: 73, stderr: 'farspan: fenced by 17 k3f9\n' }, `fenced: ${words[0]}`);
    t.match(await verb('arm', ...OLD, 60, 'f', undoOf(guard, 'f'), 'true'), { code: 0 });
    t.equal(read('undo/f'), `${undoOf(guard, 'f')}\ntrue`);
    t.equal(read('gen/f'), 'k3f9 1');
    t.match(await verb('release', ...OLD), { code: 76, stderr: 'farspan: still armed: f\n' });
    t.match(await verb('undo', ...OLD, 'f'), { code: 0 });
    t.equal(read('f.undone'), 'done');
    t.match(await verb('undo', ...OLD, 'f'), { code: 0 }, 'one that was run is gone');
    t.equal(read('f.undone'), 'done');
    await verb('arm', ...OLD, 60, 'g', 'exit 3');
    t.match(await verb('undo', ...OLD, 'g'), { code: 3 });
    t.same(guard.list('undo'), ['g'], 'an undo that failed stays');
    t.match(await verb('disarm', ...OLD, 'g'), { code: 0 });
    t.same([...guard.list('undo'), ...guard.list('gen'), ...guard.list('timer')], []);
    t.match(await verb('nothing', ...OLD), { code: 64, stderr: 'farspan: the guard knows no verb nothing\n' });
    t.match(await verb('release', ...OLD), { code: 0, stderr: '' });
    t.same(
      guard.list('.').filter(left => !left.endsWith('.undone')),
      ['lock'],
      'nothing but the lock is left',
    );
  });

  void t.test(`${name}: an undo fires when nobody renews, and only then`, async t => {
    const guard = opened(t, file);
    const { verb, read } = guard;
    await verb('take', ...OLD, '', TTL_S, '2 me');
    await verb('arm', ...OLD, TTL_S, 'f', undoOf(guard, 'f'));
    await verb('arm', ...OLD, TTL_S, 'bad', 'exit 9');
    await verb('write', ...OLD, injectOf(guard, 'f'));
    const began = performance.now();
    let renewedMs = began;
    let longestMs = 0;
    while (performance.now() - began < 1.5 * TTL_S * 1000) {
      await verb('renew', ...OLD, TTL_S);
      longestMs = Math.max(longestMs, performance.now() - renewedMs);
      renewedMs = performance.now();
      await sleep(TTL_S * 250);
    }
    // A machine that is too busy to renew in time has shown the other half already.
    if (longestMs < TTL_S * 900) t.ok(isOn(guard, 'f'), `renewed for longer than its time-to-live: still on`);
    await until('both timers', () => read('fired')?.split('\n').length === 2, TTL_S + LATE_S);
    t.notOk(isOn(guard, 'f'));
    t.match(read('fired'), /^k3f9 f \d+ 0$/m);
    t.match(read('fired'), /^k3f9 bad \d+ 9$/m, 'its exit code is told');
    t.equal(read('f.undone'), 'done', 'once');
    t.same(guard.list('undo'), ['bad'], 'what failed stays for people and recover');
    t.match((await verb('renew', ...OLD, TTL_S)).stdout, /^k3f9 f \d+ 0$/m, 'and the holder learns of it');
  });

  void t.test(`${name}: a take-over keeps the undos armed, under the new lease`, async t => {
    const guard = opened(t, file);
    const { verb, read } = guard;
    await verb('take', ...OLD, '', TTL_S, '2 me');
    await verb('arm', ...OLD, TTL_S, 'f', undoOf(guard, 'f'));
    await verb('write', ...OLD, injectOf(guard, 'f'));
    t.match(await verb('take', ...NEW, '17 k3f9', TTL_S, '2 you'), { code: 0 });
    t.match(read('gen/f'), /^m7x2 \d+$/);
    t.match(await verb('renew', ...OLD, TTL_S), { code: 73 }, 'the old one can not put it off');
    await until('the undo', () => !isOn(guard, 'f'), TTL_S + LATE_S);
    await until('its line', () => read('fired') !== undefined, LATE_S);
    await sleep(TTL_S * 500);
    t.equal(read('f.undone'), 'done', 'fired once, by the new timer');
    t.match(read('fired'), /^m7x2 f \d+ 0$/);
    t.match(await verb('release', ...NEW), { code: 0 });
  });

  void t.test(`${name}: whoever is refused leaves the holder's program alone`, async t => {
    const guard = opened(t, file);
    const [mine, other] = [0, 1].map(() => deviceGuard({ shell: guard.shell, allowed: [/^true$/], ttlS: 60 })) as [
      DeviceGuard,
      DeviceGuard,
    ];
    await mine.take({ marker: { token: 1, lease: 'a' }, expected: undefined, holder: 'me' });
    writeFileSync(path.join(guard.folder, 'guard'), `${guard.read('guard')}\n# mine\n`);
    await t.rejects(other.take({ marker: { token: 2, lease: 'b' }, expected: undefined, holder: 'x' }), Fenced);
    t.match(guard.read('guard'), /# mine$/);
    t.same(
      guard.list('.').filter(left => left.startsWith('guard.')),
      [],
      'nor anything of its own',
    );
    await mine.release();
    await t.rejects(mine.write('true'), Fenced, 'and after a release nothing is written');
  });

  void t.test(`${name}: two that write at once come one after the other, and a job holds no lock`, async t => {
    const guard = opened(t, file);
    const { verb, read, folder } = guard;
    await verb('take', ...OLD, '', 60, '60 me');
    writeFileSync(path.join(folder, 'n'), '0\n');
    const add = `n=$(cat ${folder}/n); sleep 0.01; echo $((n + 1)) > ${folder}/n`;
    const writes = 24;
    const codes = (await Promise.all(Array.from({ length: writes }, () => verb('write', ...OLD, add)))).map(
      ({ code }) => code,
    );
    t.same(new Set(codes), new Set([0]));
    t.equal(read('n'), String(writes));
    const job = `setsid nohup sleep 60 > /dev/null 2>&1 < /dev/null & echo $! > ${folder}/jobs/j; cat ${folder}/jobs/j`;
    const started = await verb('job', ...OLD, 60, 'j', job, `kill -TERM -$(cat ${folder}/jobs/j)`);
    const pid = Number(started.stdout);
    t.match(started, { code: 0, stdout: /^\d+\n$/ });
    t.equal(spawnSync('flock', ['-n', path.join(folder, 'lock'), 'true']).status, 0, 'the lock is free while it runs');
    t.match(await verb('undo', ...OLD, 'j'), { code: 0 });
    await until('the end of the job', () => !existsSync(`/proc/${pid}/cmdline`) || isZombie(pid), 5);
  });

  void t.test(`${name}: a command that comes behind a take-over has no effect`, async t => {
    const wrong: string[] = [];
    let late = 0;
    for (let i = 0; i < 20; i++) {
      const guard = guardUnderShell(file);
      const { verb, folder } = guard;
      await verb('take', ...OLD, '', 60, '60 me');
      // Both wait for the lock; who gets it first is left to the kernel.
      const hold = await holdLock(path.join(folder, 'lock'));
      const inOrder = [
        () => verb('write', ...OLD, `cp ${folder}/lease ${folder}/seen`),
        () => verb('take', ...NEW, '17 k3f9', 60, '60 you'),
      ] as const;
      const [first, second] =
        i % 2 === 0 ? inOrder : (inOrder.toReversed() as [(typeof inOrder)[0], (typeof inOrder)[1]]);
      const begun = [first(), (await sleep(30), second())] as const;
      const [write, take] = i % 2 === 0 ? begun : [begun[1], begun[0]];
      await sleep(30);
      await hold.release();
      const [{ code }, taken] = await Promise.all([write, take]);
      const seen = guard.read('seen');
      if (taken.code !== 0) wrong.push(`take: ${taken.code} ${taken.stderr}`);
      if (code === 0 ? seen !== '17 k3f9' : code !== 73 || seen !== undefined) wrong.push(`write ${code} saw ${seen}`);
      if (code === 73) late++;
      guard.close();
    }
    t.comment(`${late} of 20 came late`);
    t.same(wrong, []);
  });
}

const isZombie = (pid: number): boolean => {
  try {
    return /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return true;
  }
};

async function holdLock(lock: string): Promise<{ release(): Promise<void> }> {
  const child = spawn('flock', [lock, 'sh', '-c', 'echo held; read x'], { stdio: ['pipe', 'pipe', 'ignore'] });
  await new Promise(resolve => child.stdout.once('data', resolve));
  return {
    release: () =>
      new Promise(resolve => {
        child.once('close', () => resolve());
        child.stdin.end('\n');
      }),
  };
}

const VERBS = ['arm', 'renew', 'take'] as const;

interface Life {
  readonly seed: number;
  readonly verb: (typeof VERBS)[number];
  readonly file: string;
  /** Before which line its guard dies; absent: at an instant of the seed. */
  readonly line?: number;
}

/** Kills the shell of a verb: by itself at a line, or from outside, alone or with what it has started and not yet sent off. */
async function killed(guard: GuardUnderShell, life: Life, words: readonly (string | number)[]): Promise<number | null> {
  if (life.line !== undefined) return (await guard.dying(life.line, ...words)).code;
  const { child, ended } = guard.start(...words);
  await sleep(uniform(life.seed, 1) * 25);
  try {
    process.kill(life.seed % 2 === 0 ? -(child.pid ?? 0) : (child.pid ?? 0), 'SIGKILL');
  } catch {
    // It had ended.
  }
  return (await ended).code;
}

/**
 * One life of a device whose guard is killed once in the middle of a verb. A fault is injected only when its arming was answered with
 * success, as the harness does.
 *
 * @returns whether it died, and what was wrong
 */
async function live(life: Life): Promise<{ readonly died: boolean; readonly wrong: readonly string[] }> {
  const guard = guardUnderShell(life.file);
  const { verb, read } = guard;
  const wrong: string[] = [];
  let died = false;
  const play = async (...words: readonly (string | number)[]): Promise<boolean> => {
    if (words[0] !== life.verb) return (await verb(...words)).code === 0;
    const code = await killed(guard, life, words);
    died = code === null;
    return code === 0;
  };
  try {
    await verb('take', ...OLD, '', TTL_S, '2 me');
    const armed = await play('arm', ...OLD, TTL_S, 'f', undoOf(guard, 'f'));
    // A busy machine may have let the timer fire already; then it is not injected either.
    if (armed) await verb('write', ...OLD, `[ ! -f ${guard.folder}/gen/f ] || ${injectOf(guard, 'f')}`);
    else if (life.verb !== 'arm') wrong.push('it was not armed');
    if (life.verb === 'renew') await play('renew', ...OLD, TTL_S);
    if (life.verb === 'take') await play('take', ...NEW, '17 k3f9', TTL_S, '2 you');
    if (isOn(guard, 'f')) await until('the undo', () => !isOn(guard, 'f'), TTL_S + LATE_S);
    // The device is as usable as before.
    const next = [19, 'next'] as const;
    const taken = await verb('take', ...next, read('lease') ?? '', 60, '60 next');
    if (taken.code !== 0) wrong.push(`the next take: ${taken.code} ${taken.stderr}`);
    for (const fault of guard.list('undo')) {
      const { code, stderr } = await verb('undo', ...next, fault);
      if (code !== 0) wrong.push(`the undo that lies there: ${code} ${stderr}`);
    }
    const released = await verb('release', ...next);
    if (released.code !== 0) wrong.push(`release: ${released.code} ${released.stderr}`);
    const left = guard.list('.').filter(name => name !== 'lock' && name !== 'f.undone');
    if (left.length > 0) wrong.push(`left: ${left.join(' ')}`);
  } catch (error) {
    wrong.push((error as Error).message);
  } finally {
    guard.close();
  }
  const where = life.line === undefined ? `seed ${life.seed}` : `line ${life.line}`;
  return { died, wrong: wrong.map(words => `${life.file} ${life.verb} at ${where}: ${words}`) };
}

void t.test(
  'a guard is killed at every line and at any instant of arming, renewal and take-over',
  { timeout: 3_600_000 },
  async t => {
    const shells = shellsHere().map(([, file]) => file);
    const shell = (i: number): string => shells[i % shells.length] ?? '/bin/sh';
    const waiting: Life[] = VERBS.flatMap(verb =>
      linesOf(verb).map(line => ({ seed: line, verb, file: shell(line), line })),
    );
    for (let seed = 0; seed < KILLS; seed++)
      waiting.push({ seed, verb: VERBS[seed % VERBS.length] ?? 'arm', file: shell(Math.floor(seed / 6)) });
    const lives = waiting.length;
    const wrong: string[] = [];
    let deaths = 0;
    await Promise.all(
      Array.from({ length: 34 }, async () => {
        for (let life = waiting.pop(); life !== undefined; life = waiting.pop()) {
          const one = await live(life);
          deaths += one.died ? 1 : 0;
          wrong.push(...one.wrong);
        }
      }),
    );
    t.comment(`${deaths} of ${lives} died before the end of their verb`);
    t.ok(deaths >= 30, 'lines were reached');
    t.same(wrong, [], 'nothing was injected that did not heal, and every device could be used again');
  },
);

void t.test('no name that is more than a name enters a command', async t => {
  const sent: string[] = [];
  const shell: Shell = {
    device: 'd',
    run: async command => {
      sent.push(command);
      return { exitCode: 0, stdout: '', stderr: '', truncated: false, wholeLineBytes: 0 };
    },
    close: async () => {},
  };
  const guard = deviceGuard({ shell, allowed: [/^true$/], ttlS: 60 });
  await guard.take({ marker: { token: 1, lease: 'a' }, expected: undefined, holder: "o'brien; reboot" });
  sent.length = 0;
  const evil = [
    "f'g",
    'f;reboot',
    'f g',
    '$(reboot)',
    '`reboot`',
    '-h',
    '../f',
    'f/../../x',
    'f\ng',
    '',
    'f\u2044g',
    'x'.repeat(90),
  ];
  const let_in: string[] = [];
  for (const name of evil) {
    for (const [what, act] of [
      ['arm', () => guard.arm(name, ['true'])],
      ['disarm', () => guard.disarm(name)],
      ['undo', () => guard.runUndo(name)],
      ['job', () => guard.startJob('true', '/tmp/x', { fault: name })],
      ['take', () => guard.take({ marker: { token: 2, lease: name }, expected: undefined, holder: 'me' })],
      ['write', () => guard.write(`true${name === '' ? ' ' : name}`)],
      ['undo line', () => guard.arm('f', [`true ${name}`])],
    ] as const) {
      const refused = await act().then(
        () => false,
        () => true,
      );
      if (!refused) let_in.push(`${what} ${JSON.stringify(name)}`);
    }
  }
  t.same(let_in, []);
  t.same(sent, [], 'and nothing was sent');
});

/** A shell whose commands work in a folder of the test in place of /run/farspan. */
const elsewhere = (shell: Shell, folder: string): Shell => ({
  ...shell,
  run: (command, options) => shell.run(command.replaceAll('/run/farspan', folder), options),
});

const skip = openSshd.missing();
if (skip !== false) t.comment(`no sshd: ${skip}`);

void t.test('through OpenSSH: an undo fires with nobody connected', { skip }, async t => {
  const sshd = await openSshd();
  t.teardown(() => sshd.close());
  const folder = mkdtempSync(path.join(os.tmpdir(), 'farspan-wire-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const sockets: net.Socket[] = [];
  const relay = net.createServer(near => {
    const far = net.connect(sshd.port, '127.0.0.1');
    sockets.push(near, far);
    near.on('error', () => {}).pipe(far.on('error', () => {}));
    far.pipe(near);
  });
  await new Promise<void>(resolve => void relay.listen(0, '127.0.0.1', resolve));
  t.teardown(() => relay.close());
  const { port } = relay.address() as net.AddressInfo;
  const { key, hostKey, user } = sshd;
  const shell = await connectSsh({ device: 'debian', host: '127.0.0.1', port, user, key, hostKey, deadlineMs: 10_000 });
  const undone = path.join(folder, 'undone');
  const guard = deviceGuard({
    shell: elsewhere(shell, path.join(folder, 'run')),
    allowed: [/^touch \S+$/],
    ttlS: TTL_S,
  });
  await guard.take({ marker: { token: 1, lease: 'wire' }, expected: undefined, holder: 'the tests' });
  await guard.arm('f', [`touch ${undone}`]);
  for (const socket of sockets) socket.destroy();
  await shell.close();
  t.notOk(existsSync(undone));
  await until('the undo', () => existsSync(undone), TTL_S + LATE_S);
  t.match(readFileSync(path.join(folder, 'run/fired'), 'utf8'), /^wire f 1 0\n$/);
});

void t.test('through OpenSSH: another session of our user is ended, and ours is not', { skip }, async t => {
  // In process ids of its own, so that no session of this machine but the test's can be meant.
  const apart = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;
  if (!apart) return void t.pass('skipped: this machine gives no pid namespace');
  const sshd = await openSshd({ apart: true });
  t.teardown(() => sshd.close());
  const { port, key, hostKey, user } = sshd;
  const login = (): Promise<Shell> =>
    connectSsh({ device: 'debian', host: '127.0.0.1', port, user, key, hostKey, deadlineMs: 10_000 });
  const [ours, other] = [await login(), await login()];
  t.teardown(() => Promise.all([ours.close(), other.close()]));
  const titles = (await ours.run('ps -eo args')).stdout.split('\n').filter(line => line.startsWith('sshd'));
  t.comment(titles.join(' | '));
  const waits = other.run('sleep 60').then(
    () => 'it ended by itself',
    (error: Error) => error.message,
  );
  await sleep(300);
  const guard = deviceGuard({ shell: ours, allowed: [], ttlS: TTL_S });
  await guard.endOtherSessions();
  t.match(await waits, /the connection was lost/);
  t.match(await ours.run('echo here'), { exitCode: 0, stdout: 'here\n' });
  await guard.endOtherSessions();
  t.match(await ours.run('echo again'), { stdout: 'again\n' }, 'and nobody else is there any more');
});
