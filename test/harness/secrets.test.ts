import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import provider from '../../emulators/device/provider.ts';
import { DeviceError } from '../../harness/binding/device-error.ts';
import { redactKnown, resolveCredential, secretsOf } from '../../harness/lab/credentials.ts';
import { readInventory } from '../../harness/lab/inventory.ts';
import { Secrets } from '../../harness/lab/secrets.ts';
import { withoutSecrets } from '../../harness/lab/without-secrets.ts';
import { twoEnds } from './cli-scenarios/two-ends.ts';
import { type Answered, alteredLab } from './lab/altered-lab.ts';
import { leaked } from './leaked.ts';
import { farspanProcess, type Said } from './farspan-process.ts';

const RUNS = Number(process.env['FARSPAN_SECRET_RUNS'] ?? 500);

/** Looked up through the inventory: they are known, and must leave in no form. */
const KNOWN = {
  'SSH password of a variable': 'Tr0ub4dor&3/<fibre>',
  'SSH password of a file': 'correct horse+battery "staple"',
  'SSH password with letters of the world': 'pässwörd-Ωmega%41',
  'SNMP community of a variable': 'c0mmunity-zürich',
  'SNMP v3 auth key': 'auth?key=one&two',
  'SNMP v3 privacy key': "priv'key\\with;quotes",
} as const;

/** Secrets that a device holds and shows: nobody told us, so only how they stand there gives them away. */
const SHOWN: Readonly<Record<string, readonly [secret: string, line: string]>> = {
  'NCCL environment': ['nccl-t0ken-81723', 'NCCL_NET_PLUGIN_TOKEN=nccl-t0ken-81723 NCCL_DEBUG=INFO'],
  'cloud environment': ['wJalrXUtnFEMIK7MDENG', 'AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENG'],
  'URL with a password': ['url-pa55word', 'fetching https://mirror:url-pa55word@10.0.0.1/images'],
  'running-config community': ['rc-community-77', 'snmp-server community rc-community-77 ro'],
  'snmpd.conf community': ['snmpd-comm-31', 'rocommunity snmpd-comm-31 10.0.0.0/8'],
  'CONFIG_DB community': ['cfgdb-comm-12', 'SNMP_COMMUNITY|cfgdb-comm-12'],
  'TACACS key': ['070C285F4D06', 'tacacs-server key 7 070C285F4D06'],
  'BGP password': ['bgp-md5-secret', 'neighbor 10.0.0.9 password bgp-md5-secret'],
  'enable secret': ['mERr$hx5rVt7rPNoS4wqbXKX7m0', 'enable secret 5 $1$mERr$hx5rVt7rPNoS4wqbXKX7m0'],
  'password hash': ['rounds=5000$abcdefgh$K8Jq0vbnm', 'admin:$6$rounds=5000$abcdefgh$K8Jq0vbnm:19000:0:99999'],
  'JSON of CONFIG_DB': ['json-pa55key', '{"TACPLUS": {"global": {"passkey": "json-pa55key", "timeout": "5"}}}'],
  'HTTP header': ['eyJhbGciOiJIUzI1NiJ9', 'Authorization: Bearer eyJhbGciOiJIUzI1NiJ9'],
  'private key of the device': [
    'MC4CAQAwBQYDK2VwBCIEIDevicePrivateKeyBody',
    '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDevicePrivateKeyBody\n-----END PRIVATE KEY-----',
  ],
};

/** In the environment of the process; nothing asks for it. */
const BYSTANDER = { 'a variable that nothing asks for': 'bystander-5ecret-value' };

const secrets = new Secrets();
for (const [name, value] of Object.entries(KNOWN)) secrets.add(name, value);

const upperPercent = (text: string): string =>
  [...Buffer.from(text)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');

/** How a device might say a secret. */
const SAYINGS: Readonly<Record<string, (secret: string) => string>> = {
  plain: secret => secret,
  base64: secret => Buffer.from(secret).toString('base64'),
  'base64 behind one byte': secret => Buffer.from(`:${secret}`).toString('base64'),
  'base64 as HTTP does': secret => Buffer.from(`ab:${secret}\n`).toString('base64'),
  base64url: secret => Buffer.from(secret).toString('base64url'),
  URL: secret => encodeURIComponent(secret),
  'URL of a form': secret => encodeURIComponent(secret).replaceAll('%20', '+'),
  'URL, every byte': upperPercent,
  hex: secret => Buffer.from(secret).toString('hex'),
  'HEX with colons': secret => (Buffer.from(secret).toString('hex').toUpperCase().match(/../g) ?? []).join(':'),
  JSON: secret => JSON.stringify({ value: secret }),
};

void t.test('the detector finds each secret in each form', t => {
  const missed = Object.entries(KNOWN).flatMap(([name, secret]) =>
    Object.entries(SAYINGS).flatMap(([form, say]) =>
      leaked(`answer ${say(secret)} end`, { [name]: secret }).length === 1 ? [] : [`${name}, ${form}`],
    ),
  );
  t.same(missed, []);
  t.end();
});

void t.test(`no form of a known secret is left, wherever it stands: ${RUNS} texts`, t => {
  const names = Object.keys(KNOWN) as (keyof typeof KNOWN)[];
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom(...names),
          fc.constantFrom(...Object.keys(SAYINGS)),
          fc.string({ unit: 'binary', maxLength: 8 }),
        ),
        {
          minLength: 1,
          maxLength: 5,
        },
      ),
      parts => {
        const text = parts.map(([name, form, beside]) => `${beside} ${SAYINGS[form]?.(KNOWN[name])}`).join(' ');
        const gone = leaked(secrets.redact(text), KNOWN);
        return gone.length === 0;
      },
    ),
    { numRuns: RUNS, seed: 1 },
  );
  t.equal(
    secrets.redact(`echo '${KNOWN['SNMP v3 auth key']}' | sudo -S reboot`),
    "echo '‹secret SNMP v3 auth key›' | sudo -S reboot",
  );
  t.equal(secrets.redact('Ethernet0 up 400G 9100'), 'Ethernet0 up 400G 9100', 'other text stays');
  t.end();
});

void t.test('what looks like a secret of the device itself goes, and the words around it stay', t => {
  const left = Object.entries(SHOWN).filter(
    ([name, [secret, line]]) => leaked(secrets.redact(line), { [name]: secret }).length > 0,
  );
  t.same(left, []);
  t.equal(secrets.redact('snmp-server community rc-community-77 ro'), 'snmp-server community ‹secret› ro');
  const harmless = [
    'Permission denied (publickey,password).',
    'no end within 200 ms, waiting for: authentication',
    'show ip bgp community 65000:100',
    'https://10.0.0.1:8080/v1?x=a@b',
    'Key exchange failed: no matching key type',
    'qos map dscp-to-tc AZURE 3',
  ];
  t.same(
    harmless.map(line => secrets.redact(line)),
    harmless,
  );
  t.end();
});

void t.test('a secret that somebody cut is hidden too, and its pieces by the line', t => {
  const long = new Secrets();
  const body = Array.from({ length: 6 }, (_, i) => `b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMw${i}`);
  long.add('key', ['-----BEGIN OPENSSH PRIVATE KEY-----', ...body, '-----END OPENSSH PRIVATE KEY-----'].join('\n'));
  t.same(
    body.filter(line => long.redact(`line ${line} there`).includes(line)),
    [],
  );
  long.add('password', 'a-long-password-of-a-lab');
  const at = 'x'.repeat(300);
  const cut = Array.from({ length: 20 }, (_, i) => `${at}${'a-long-password-of-a-lab'.slice(0, 4 + i)}`);
  t.same(
    cut.map(text => long.redact(text)).filter(text => text !== `${at}‹secret password›`),
    [],
  );
  t.match(long.redact(`${at}a-long-pass… (9000 characters in all)`), /x‹secret password›… \(9000/);
  t.end();
});

void t.test('a megabyte of anything takes less than a second', t => {
  const lines = [
    'password ',
    '-----BEGIN PRIVATE KEY-----',
    'snmp-server community ',
    'a'.repeat(64),
    'https://a:',
    '$6$aaaaaaaa',
    '"token": "',
    'Authorization: Basic ',
    Buffer.from(KNOWN['SNMP v3 auth key']).toString('base64').slice(0, -4),
    KNOWN['SSH password of a file'].slice(0, -1),
    KNOWN['SSH password of a file'],
  ];
  const slow: string[] = [];
  let slowest = 0;
  for (const line of lines) {
    const text = line.repeat(Math.ceil(2 ** 20 / line.length));
    // CPU time, of the process: another one on this machine is no fault of ours.
    const began = process.cpuUsage();
    secrets.redact(text);
    const { user, system } = process.cpuUsage(began);
    const ms = (user + system) / 1000;
    slowest = Math.max(slowest, ms);
    if (ms > 1000) slow.push(`${line}: ${Math.round(ms)} ms`);
  }
  t.comment(`slowest of ${lines.length}: ${Math.round(slowest)} ms for 1 MiB`);
  t.same(slow, []);
  t.end();
});

void t.test('data, errors and what a testbed gives are clean; what needs no change is the same object', async t => {
  const secret = KNOWN['SSH password of a variable'];
  const line = { kind: 'event', what: `said ${secret}`, list: [secret], ports: { [secret]: 1 } } as const;
  t.same(leaked(JSON.stringify(secrets.data(line)), KNOWN), []);
  t.same(leaked([...secrets.data(new Map([[secret, new Set([secret])]]))].flat().map(String).join(), KNOWN), []);
  const clean = { kind: 'event', what: 'linkDown', list: [1, null, 3n] };
  t.equal(secrets.data(clean), clean);

  const cause = new AggregateError([new Error(secret)], `because ${secret}`);
  const error = secrets.error(
    new DeviceError(`leaf ${secret}`, `echo ${secret}`, `no ${secret}`, `use ${secret}`, cause),
  );
  t.ok(error instanceof DeviceError, 'it is still the same error');
  const words = [
    error.message,
    error.stack,
    error.tried,
    error.answer,
    error.advice,
    error.device,
    cause.message,
    cause.stack,
    String(cause.errors[0]),
  ];
  t.same(leaked(words.join('\n'), KNOWN), []);

  const testbed = withoutSecrets(
    {
      name: 'lab',
      fails: (): Promise<void> => Promise.reject(new Error(secret)),
      throws: (): void => {
        throw new Error(secret);
      },
      inject: () => Promise.resolve({ heal: () => Promise.resolve({ observed: secret }) }),
    },
    secrets,
  );
  await t.rejects(testbed.fails(), { message: '‹secret SSH password of a variable›' });
  t.throws(() => testbed.throws(), { message: '‹secret SSH password of a variable›' });
  t.same(await (await testbed.inject()).heal(), { observed: '‹secret SSH password of a variable›' });
});

void t.test('a credential is known from the moment it was looked up; a short one is named', async t => {
  const inventory = readInventory(
    [
      'farspan: 1',
      'name: lab',
      'credentials:',
      '  v2: { kind: snmp-v2c, communityEnv: COMMUNITY }',
      '  weak: { kind: snmp-v2c, communityEnv: WEAK }',
      'devices: {}',
      'links: []',
    ].join('\n'),
    'lab.yaml',
  );
  const community = 'known-from-now-on';
  t.equal(secretsOf(inventory).redact(community), community);
  await resolveCredential('v2', { inventory, env: { COMMUNITY: community } });
  t.equal(secretsOf(inventory).redact(community), '‹secret v2 community›');
  t.equal(redactKnown(`x ${community}`), 'x ‹secret v2 community›', 'at the terminal too');
  await resolveCredential('weak', { inventory, env: { WEAK: 'ro1' } });
  t.same(secretsOf(inventory).short, ['weak community']);
});

void t.test('an inventory with a secret in it is refused without saying it', t => {
  const text =
    'farspan: 1\nname: lab\ncredentials:\n  a: { kind: ssh, user: x, password: in-the-open-1 }\ndevices: {}\nlinks: []\n';
  t.throws(() => readInventory(text, 'lab.yaml'), { message: /a secret never stands in an inventory/ });
  try {
    readInventory(text, 'lab.yaml');
  } catch (error) {
    t.notMatch((error as Error).message, 'in-the-open-1');
  }
  t.end();
});

/** Every file under a folder. */
function filesIn(folder: string): readonly string[] {
  return readdirSync(folder).flatMap(name => {
    const file = path.join(folder, name);
    return statSync(file).isDirectory() ? filesIn(file) : [file];
  });
}

void t.test(
  'a lab whose devices say every secret, played and looked at by the commands',
  { timeout: 300_000 },
  async t => {
    const lab = await provider.provide(twoEnds, { seed: 1, options: {} });
    t.teardown(() => lab.stop());
    const folder = path.dirname(lab.inventory);
    const scratch = mkdtempSync(path.join(os.tmpdir(), 'farspan-secrets-'));
    t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
    writeFileSync(path.join(folder, 'password'), `${KNOWN['SSH password of a file']}\n`);
    const read = (name: string): string => readFileSync(path.join(folder, name), 'utf8').trim();
    /** What the emulated lab made for itself, too: it is looked up like any other. */
    const made = {
      'community of a file': read('community'),
      'v3 auth key of a file': read('snmp-auth'),
      'v3 privacy key of a file': read('snmp-priv'),
      ...Object.fromEntries(
        read('id_ed25519')
          .split('\n')
          .filter(line => !line.startsWith('-----'))
          .map((line, i) => [`line ${i + 1} of the private key`, line]),
      ),
    };
    const known: Readonly<Record<string, string>> = {
      'SSH password of a variable': KNOWN['SSH password of a variable'],
      'SSH password of a file': KNOWN['SSH password of a file'],
      'SNMP community of a variable': KNOWN['SNMP community of a variable'],
      ...made,
    };
    const everything: Readonly<Record<string, string>> = {
      ...known,
      ...Object.fromEntries(Object.entries(SHOWN).map(([name, [secret]]) => [name, secret])),
      ...BYSTANDER,
    };

    let turn = 0;
    let said = 0;
    const chatter = (): string => {
      const forms = Object.values(SAYINGS);
      const values = Object.values(known);
      const lines = Object.values(SHOWN).map(([, line]) => line);
      const some = Array.from({ length: 8 }, () => {
        turn++;
        return `# ${forms[turn % forms.length]?.(values[turn % values.length] ?? '')}`;
      });
      said += some.length + 3;
      return `${some.join('\n')}\n${[0, 5, 9].map(i => lines[(turn + i) % lines.length]).join('\n')}\n`;
    };
    let refuses = (_answer: Answered): boolean => false;
    /** A table that does not fit its ruler is refused: a run would end dirty by it. */
    let misnamed = false;
    const altered = await alteredLab({
      inventory: lab.inventory,
      passwords: [KNOWN['SSH password of a variable'], KNOWN['SSH password of a file']],
      credentials: {
        variable: { kind: 'ssh', user: 'admin', passwordEnv: 'LAB_PASSWORD' },
        file: { kind: 'ssh', user: 'admin', passwordFile: './password' },
        community: { kind: 'snmp-v2c', communityEnv: 'LAB_COMMUNITY' },
      },
      credentialOf: device => (device.includes('leaf') ? 'variable' : device.includes('host') ? 'file' : 'ssh'),
      alter: answer => {
        if (refuses(answer)) return { ...answer, stdout: '', stderr: `refused: ${chatter()}`, code: 1 };
        // What a device calls itself and its neighbours comes from whoever configured it.
        const stdout =
          answer.command === 'show lldp table' && misnamed
            ? answer.stdout.replaceAll('b-leaf', `b-leaf ${known['SSH password of a variable']}`)
            : answer.stdout;
        return { ...answer, stdout, stderr: `${answer.stderr}${chatter()}` };
      },
    });
    t.teardown(() => altered.close());

    const env = {
      LAB_PASSWORD: KNOWN['SSH password of a variable'],
      LAB_COMMUNITY: KNOWN['SNMP community of a variable'],
      BYSTANDER: BYSTANDER['a variable that nothing asks for'],
      FARSPAN_DEBUG: '1',
      FARSPAN_STATE: path.join(scratch, 'state'),
    };
    const terminal: Record<string, string> = {};
    const play = async (name: string, ...args: readonly string[]): Promise<Said> => {
      const done = await farspanProcess(args, { env });
      terminal[`terminal of ${name}`] = done.text;
      return done;
    };
    const run = (name: string, ...more: readonly string[]): Promise<Said> =>
      play(
        name,
        'run',
        '--config',
        'test/harness/cli-scenarios/lab.config.ts',
        '--world',
        'lab',
        '--inventory',
        altered.inventory,
        '--runs',
        path.join(scratch, name),
        '-g',
        '@good',
        ...['junit', 'tap', 'json'].flatMap(kind => [`--${kind}`, path.join(scratch, `${name}.${kind}`)]),
        ...more,
      );

    const passed = await run('a run');
    t.equal(passed.code, 0, passed.text.slice(-1500));
    refuses = ({ command }) =>
      command.includes('guard write') || command.includes('nccl') || command.includes('all_reduce_perf');
    const broke = await run('a run that breaks');
    t.not(broke.code, 0, 'devices refused what was written');
    refuses = () => true;
    await play('recover on a lab that refuses all', 'recover', '--inventory', altered.inventory);
    refuses = () => false;
    misnamed = true;
    const json = path.join(scratch, 'doctor.json');
    const doctor = await play('doctor', 'doctor', '--inventory', altered.inventory, '--json', json);
    t.match(doctor.text, /a-leaf/);

    const files = filesIn(scratch);
    const sinks: Readonly<Record<string, string>> = {
      ...terminal,
      ...Object.fromEntries(files.map(file => [path.relative(scratch, file), readFileSync(file, 'utf8')])),
    };
    const leaks = Object.entries(sinks).flatMap(([sink, text]) =>
      leaked(text, everything).map(name => `${name} in ${sink}`),
    );
    const kinds = new Set(files.map(file => path.basename(file).replaceAll(/[^a-z.]+/g, '-')));
    t.comment(
      `${Object.keys(everything).length} secrets, said ${said} times by devices; ${Object.keys(sinks).length} sinks: ${[...kinds].join(', ')}`,
    );
    t.same(leaks, []);
    const steps = Object.entries(sinks).filter(([sink]) => sink.endsWith('steps.ndjson'));
    t.ok(
      steps.some(([, text]) => text.includes('‹secret variable password›')),
      'steps say that a secret stood there',
    );
  },
);
