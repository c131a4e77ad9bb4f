import { createHash } from 'node:crypto';
import net from 'node:net';
import fc from 'fast-check';
import ssh2 from 'ssh2';
import t, { type Test } from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import { escapeDeviceText, excerpt } from '../../../harness/drivers/device-text.ts';
import {
  connectSsh,
  fetchHostKey,
  maybeApplied,
  output,
  type Shell,
  type SshOptions,
} from '../../../harness/drivers/ssh.ts';
import type { Step } from '../../../harness/model/record.ts';

const KEYS = ssh2.utils.generateKeyPairSync('ed25519');
const OTHER = ssh2.utils.generateKeyPairSync('ed25519');
const fingerprintOf = (publicKey: string): string =>
  `SHA256:${createHash('sha256')
    .update(Buffer.from(publicKey.split(' ')[1] ?? '', 'base64'))
    .digest('base64')
    .replaceAll('=', '')}`;

const listen = (server: net.Server | ssh2.Server): Promise<number> =>
  new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port));
  });

type Handler = (
  command: string,
  channel: ssh2.ServerChannel,
  connection: ssh2.Connection,
  socketEnd: () => void,
) => void;

/** A device: password `secret` for `admin`; what each command does is up to the test. */
async function device(
  t: Test,
  handler: Handler,
  options: { readonly silentAuth?: boolean; readonly neverOpens?: boolean } = {},
) {
  const attempts: string[] = [];
  const live = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [KEYS.private] }, connection => {
    live.add(connection);
    connection.on('error', () => {});
    connection.on('authentication', context => {
      attempts.push(context.method);
      if (options.silentAuth) return;
      if (context.method === 'password' && context.username === 'admin' && context.password === 'secret')
        context.accept();
      else context.reject(['password']);
    });
    connection.on('session', accept => {
      if (options.neverOpens) return;
      accept().on('exec', (acceptExec, _reject, { command }) =>
        handler(command, acceptExec(), connection, () => connection.end()),
      );
    });
  });
  const port = await listen(server);
  t.teardown(() => {
    for (const connection of live) connection.end();
    server.close();
  });
  return { port, attempts, live };
}

const SETTINGS = {
  device: 'leaf-1',
  host: '127.0.0.1',
  user: 'admin',
  password: 'secret',
  hostKey: fingerprintOf(KEYS.public),
  deadlineMs: 3000,
};
const connect = async (t: Test, port: number, more: Partial<SshOptions> = {}): Promise<Shell> => {
  const shell = await connectSsh({ ...SETTINGS, port, ...more });
  t.teardown(() => shell.close());
  return shell;
};
const failure = async (work: Promise<unknown>): Promise<DeviceError> => {
  try {
    await work;
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
  throw new Error('it did not fail');
};

void t.test('a command gives its output, error output and exit code, and a step for the record', async t => {
  const steps: Step[] = [];
  const { port } = await device(t, (command, channel) => {
    channel.stderr.write('careful\n');
    channel.write(`ran ${command}\n`);
    channel.exit(3);
    channel.end();
  });
  const shell = await connect(t, port, { step: step => void steps.push(step) });
  t.match(await shell.run('show version'), {
    exitCode: 3,
    stdout: 'ran show version\n',
    stderr: 'careful\n',
    truncated: false,
  });
  t.match(steps, [
    { device: 'leaf-1', protocol: 'ssh', tried: 'show version', exitCode: 3, answer: /ran show version/ },
  ]);
  const error = await failure(output(shell, 'show version'));
  t.match(error.message, /leaf-1: show version failed: exit code 3: careful/);
  t.notOk(maybeApplied(error), 'an exit code is a known fate');
  t.equal(
    (await Promise.all(Array.from({ length: 30 }, (_, i) => shell.run(`c${i}`)))).length,
    30,
    '30 commands at the same time',
  );
});

void t.test('an unknown or changed host key is refused before any credential is sent', async t => {
  const { port, attempts } = await device(t, () => {});
  const changed = await failure(connectSsh({ ...SETTINGS, port, hostKey: fingerprintOf(OTHER.public) }));
  t.match(changed.message, fingerprintOf(OTHER.public), 'the pinned one');
  t.match(changed.message, fingerprintOf(KEYS.public), 'the one shown');
  t.match(changed.advice, /farspan trust leaf-1/);
  const unknown = await failure(connectSsh({ ...SETTINGS, port, hostKey: undefined }));
  t.match(unknown.message, /not known/);
  t.match(unknown.advice, /farspan trust leaf-1/);
  t.strictSame(attempts, [], 'the device saw no authentication at all');
  t.equal(await fetchHostKey('127.0.0.1', port, 3000), fingerprintOf(KEYS.public));
  t.strictSame(attempts, [], 'reading the key sends no credential either');
});

void t.test('wrong credentials are told apart from an unreachable device', async t => {
  const { port } = await device(t, () => {});
  const wrong = await failure(connectSsh({ ...SETTINGS, port, password: 'no' }));
  t.match(wrong.answer, /admin was not let in/);
  t.match(wrong.advice, /credentials/);
  t.notMatch(wrong.message, /\bno\b.*password=/, 'no secret in the message');
  const unreadable = await failure(connectSsh({ ...SETTINGS, port, key: 'not a key' }));
  t.match(unreadable.message, /reading the private key/);
  const closed = net.createServer();
  const free = await listen(closed);
  await new Promise(resolve => closed.close(resolve));
  const refused = await failure(connectSsh({ ...SETTINGS, port: free }));
  t.match(refused.answer, /connection refused/);
  await t.rejects(fetchHostKey('127.0.0.1', free, 1000), { message: /connection refused/ });
});

void t.test('a device that stalls is given up at its deadline, naming the stage', async t => {
  const sockets = new Set<net.Socket>();
  const mute = net.createServer(socket => sockets.add(socket));
  const half = net.createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.write('SSH-2.0-slow\r\n');
  });
  const drip = net.createServer(socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(timer));
  });
  const slams = net.createServer(socket => socket.destroy());
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    for (const server of [mute, half, drip, slams]) server.close();
  });
  const silent = await device(t, () => {}, { silentAuth: true });
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ['no banner', await listen(mute), /within 300 ms, waiting for: SSH banner/],
    ['kex never ends', await listen(half), /within 300 ms, waiting for: key exchange/],
    ['slow loris', await listen(drip), /within 300 ms/],
    ['login never answers', silent.port, /within 300 ms, waiting for: authentication/],
  ];
  for (const [name, port, answer] of cases) {
    const began = performance.now();
    const error = await failure(connectSsh({ ...SETTINGS, port, deadlineMs: 300 }));
    t.match(error.answer, answer, name);
    t.ok(performance.now() - began < 1500, `${name}: not much later than its deadline`);
  }
  t.match((await failure(connectSsh({ ...SETTINGS, port: await listen(slams) }))).message, /SSH banner|connection/);
  const aborted = await failure(connectSsh({ ...SETTINGS, port: silent.port, signal: AbortSignal.timeout(100) }));
  t.match(aborted.answer, /interrupted/);
});

void t.test(
  'a command that stalls, or loses its session, says that it may have been applied and is not sent twice',
  async t => {
    const seen: string[] = [];
    const { port } = await device(t, (command, channel, _connection, hangUp) => {
      seen.push(command);
      if (command === 'half') channel.write('some');
      if (command === 'no exit') channel.end();
      if (command === 'die') hangUp();
      if (command === 'closes') channel.close();
      if (command === 'fine') {
        channel.exit(0);
        channel.end();
      }
    });
    const shell = await connect(t, port);
    for (const [command, answer] of [
      ['silence', /within 200 ms, waiting for: output/],
      ['half', /waiting for: output \(4 bytes came so far\)/],
      ['no exit', /closed the channel without an exit status/],
      ['closes', /closed the channel without an exit status/],
      ['die', /connection was lost/],
    ] as const) {
      const error = await failure(shell.run(command, { deadlineMs: 200 }));
      t.match(error.answer, answer, command);
      t.match(error.advice, /may have been applied/, command);
      t.ok(maybeApplied(error), command);
    }
    t.equal((await shell.run('fine')).exitCode, 0, 'the next command opens a new session');
    t.strictSame(seen, ['silence', 'half', 'no exit', 'closes', 'die', 'fine'], 'nothing was sent twice');
    await shell.close();
    await shell.close();
    t.match((await failure(shell.run('late'))).answer, /closed/);
  },
);

void t.test('a server that never opens the channel is given up at the deadline of the command', async t => {
  const { port } = await device(t, () => {}, { neverOpens: true });
  const shell = await connect(t, port);
  t.match((await failure(shell.run('x', { deadlineMs: 200 }))).answer, /within 200 ms, waiting for: channel open/);
});

void t.test('endless output is cut and never parsed; control bytes never come through', async t => {
  const { port } = await device(t, (command, channel) => {
    channel.on('error', () => {});
    if (command === 'flood') {
      const chunk = Buffer.alloc(64 * 1024, 'y');
      const pump = (): void => {
        while (!channel.destroyed && channel.writable && channel.write(chunk));
        if (!channel.destroyed) channel.once('drain', pump);
      };
      pump();
      return;
    }
    if (command === 'line') channel.write('z'.repeat(1_000_000));
    if (command === 'escape')
      channel.write(
        Buffer.concat([Buffer.from('\u001b[31mred\u0007 \u202eevil\u2028x\r\n'), Buffer.from([0xe2, 0x82])]),
      );
    if (command === 'lines') channel.write('a\u001b\nb\nhalf');
    channel.exit(0);
    channel.end();
  });
  const shell = await connect(t, port);
  const flood = await shell.run('flood', { maxBytes: 100_000 });
  t.equal(flood.truncated, true);
  t.equal(flood.stdout.length, 65_536, 'only the beginning is kept');
  t.match((await failure(output(shell, 'flood', { maxBytes: 100_000 }))).answer, /more output than 100000 bytes/);
  t.equal((await shell.run('line')).stdout.length, 1_000_000, 'one line of 1 MB');
  t.equal(
    (await shell.run('escape')).stdout,
    '\\x1b[31mred\\x07 \\u202eevil\\u2028x\n\ufffd',
    'half a rune is one replacement character',
  );
  t.match(await shell.run('lines'), { stdout: 'a\\x1b\nb\nhalf', wholeLineBytes: 5 }, 'bytes as sent, not as escaped');
  t.equal((await shell.run('anything')).stdout, '', 'the session lives on');
});

void t.test('no text keeps a control byte, a bidirectional override or a lone surrogate', async t => {
  // oxlint-disable-next-line no-control-regex
  const bad = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), text => {
      const safe = escapeDeviceText(text);
      return !bad.test(safe) && Buffer.from(safe).toString() === safe && excerpt(text, 20).length < 20 + 60;
    }),
    { numRuns: 2000, seed: 1 },
  );
  t.equal(
    escapeDeviceText('plain ünïcödé 中 \u{1f600}\n\t'),
    'plain ünïcödé 中 \u{1f600}\n\t',
    'what people write stays',
  );
  t.equal(escapeDeviceText('\ud800'), '\\ud800');
});
