import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import t from 'tap';
import provider from '../../../emulators/device/provider.ts';
import type { ReserveOptions } from '../../../harness/binding/binding.ts';
import type { Testbed } from '../../../harness/binding/testbed.ts';
import { openShell } from '../../../harness/lab/connect.ts';
import { discover } from '../../../harness/lab/discover.ts';
import { doctor } from '../../../harness/lab/doctor.ts';
import { listDevices } from '../../../harness/lab/devices.ts';
import { readInventory } from '../../../harness/lab/inventory.ts';
import binding from '../../../harness/lab/lab-binding.ts';
import { trust } from '../../../harness/lab/trust.ts';
import type { RecordLine, Step } from '../../../harness/model/record.ts';
import type { Span, Topology } from '../../../harness/model/topology.ts';
import { cable, linkBetween, switchNamed } from '../../../harness/model/topology.ts';
import { measurementError } from '../../../harness/run/measurement-error.ts';
import { bindingContract } from '../../contract/binding-contract.ts';
import { PAIR } from './survival/pair.ts';

const { north } = PAIR.spans;

const rack = ['x', 'y'].flatMap(site => [
  cable({ node: `${site}1`, port: 'eth0' }, { node: `${site}l`, port: 'host1' }, '100 Gb/s', '20 m'),
  cable({ node: `${site}l`, port: 'up1' }, { node: `${site}s`, port: 'down1' }, '100 Gb/s', '20 m'),
  cable({ node: `${site}l`, port: 'up2' }, { node: `${site}t`, port: 'down1' }, '100 Gb/s', '20 m'),
]);
const spanOf = (name: string, ends: Span['ends']): Span => ({
  kind: 'span',
  name,
  ends,
  rate: '100 Gb/s',
  length: '10 km',
});

/** A leaf and two spines at each site; one span joins the `s` spines, the other the `t` spines: anything may fail once. */
const TWO_SPANS: Topology<'north' | 'south'> = {
  ...PAIR,
  name: 'two-spans',
  switches: ['x', 'y'].flatMap(site => [
    { kind: 'switch' as const, name: `${site}l`, site, role: 'leaf' as const },
    { kind: 'switch' as const, name: `${site}s`, site, role: 'spine' as const },
    { kind: 'switch' as const, name: `${site}t`, site, role: 'spine' as const },
  ]),
  links: rack,
  spans: {
    north: spanOf('north', [
      { node: 'xs', port: 'span' },
      { node: 'ys', port: 'span' },
    ]),
    south: spanOf('south', [
      { node: 'xt', port: 'span' },
      { node: 'yt', port: 'span' },
    ]),
  },
};

const redundant = await provider.provide(TWO_SPANS, { seed: 1, options: { bootTime: '100 ms' } });
t.teardown(() => redundant.stop());
const lab = await provider.provide(PAIR, { seed: 1, options: {} });
t.teardown(() => lab.stop());
const text = await readFile(lab.inventory, 'utf8');
const folder = path.dirname(lab.inventory);

let copies = 0;
/** A changed copy of the inventory, beside the original because its secrets are relative to it. */
async function changed(edit: (text: string) => string): Promise<string> {
  const file = path.join(folder, `changed-${++copies}.yaml`);
  const now = edit(text);
  if (now === text) throw new Error('the edit changed nothing');
  await writeFile(file, now);
  return file;
}

interface Reserved {
  readonly testbed: Testbed;
  readonly lines: RecordLine[];
  readonly steps: Step[];
}

async function reserve(inventory: string, options: Partial<ReserveOptions> = {}): Promise<Reserved> {
  const lines: RecordLine[] = [];
  const steps: Step[] = [];
  const testbed = await binding.reserve(PAIR, {
    seed: 1,
    record: line => lines.push(line),
    step: step => steps.push(step),
    options: { inventory },
    ...options,
  });
  return { testbed, lines, steps };
}

/** What a user reads when the reservation fails. Ports of the emulated lab differ from run to run. */
async function refusal(inventory: string, options: Partial<ReserveOptions> = {}): Promise<string> {
  try {
    const { testbed } = await reserve(inventory, options);
    await testbed.release();
  } catch (error) {
    if (!['TestbedUnavailable', 'LeaseRefused', 'LabDirty'].includes((error as Error).name)) throw error;
    return (error as Error).message.replaceAll(folder, 'LAB').replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT');
  }
  return 'it was reserved';
}

const of = <K extends RecordLine['kind']>(lines: readonly RecordLine[], kind: K) =>
  lines.filter((line): line is Extract<RecordLine, { kind: K }> => line.kind === kind);

void t.test('a lab without an inventory, with a wrong option or without a clock says what to do', async t => {
  t.equal(
    await refusal('', { options: {} }),
    'The lab world needs an inventory: say which with --inventory FILE. `farspan doctor --discover` drafts one.',
  );
  t.equal(
    await refusal('', { options: { inventroy: 'x' } }),
    'Unknown option "inventroy" of the lab. Did you mean "inventory"? Known options: inventory, state, lease, defect, trainPackets, bootTime, pace.',
  );
  t.equal(await refusal(`${folder}/no.yaml`), 'The inventory LAB/no.yaml can not be read: there is no such file.');
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  const file = await changed(text => text.replace(/^clock: .*$/m, `clock: http://127.0.0.1:${port}`));
  t.equal(
    await refusal(file),
    'clock: GET /now failed: ECONNREFUSED\n  Is the emulated lab still running? It serves its clock at http://127.0.0.1:PORT.',
  );
});

void t.test('wrong credentials are told as such, and nothing else was sent', async t => {
  const file = await changed(text =>
    text.replace('user: admin', 'user: nobody').replace(/(kind: ssh\n\s+user: ).*/, '$1nobody'),
  );
  const steps: Step[] = [];
  const message = await refusal(file, { step: step => steps.push(step) });
  t.same(
    steps.filter(({ protocol }) => protocol === 'ssh'),
    [],
    'no command went out',
  );
  t.match(message, /^(xl|yl|x1|y1|span-north): SSH to 127\.0\.0\.1:PORT failed: nobody was not let in: /);
  t.match(
    message,
    /\n {2}Wrong or missing credentials\. Check user, key, password or agent that the inventory refers to; log in by hand with the same\./,
  );
});

void t.test('a host key that changed is refused with both fingerprints before any credential is sent', async t => {
  const other = `SHA256:${'A'.repeat(43)}`;
  const shown = readInventory(text, lab.inventory).devices['xl']?.ssh.hostKey;
  const file = await changed(text => text.replace(String(shown), other));
  t.equal(
    await refusal(file),
    `xl: checking the host key of 127.0.0.1:PORT failed: the key has changed\n  pinned: ${other}\n  shown:  ${shown}\n` +
      '  No credential was sent. Either the device was reinstalled or this is another machine. If the new key is right, run: farspan trust xl',
  );
});

void t.test('an agent that can not be reached over SNMP is named with the address that was tried', async t => {
  const port = readInventory(text, lab.inventory).devices['xl']?.snmp?.port;
  const file = await changed(text => text.replace(`port: ${port}`, 'port: 9'));
  const message = await refusal(file);
  t.match(message, /^xl: SNMP \w+ [\d.]+.* failed: no answer from 127\.0\.0\.1:PORT over UDP within 1500 ms/);
});

void t.test('a box with another serial is the wrong box and is not written to', async t => {
  const serial = readInventory(text, lab.inventory).devices['yl']?.serial;
  const steps: Step[] = [];
  const file = await changed(text => text.replace(`serial: ${serial}`, 'serial: FSE0'));
  const message = await refusal(file, { step: step => steps.push(step) });
  t.match(
    message,
    new RegExp(
      `^LAB/changed-\\d+\\.yaml:\\d+:3: yl is the wrong box: the inventory says serial FSE0, the device says ${serial}\\.\\n  Nothing was written to it\\.`,
    ),
  );
  t.same(
    steps.filter(({ tried }) => /\b(config|reboot|replace|set)\b/.test(tried)),
    [],
  );
  const unknown = await changed(text => text.replace(/^ +serial: .*\n/gm, '').replace(/^ +baseMac: .*\n/gm, ''));
  t.match(await refusal(unknown), /has neither serial nor baseMac, so nobody can tell whether it is the right box\./);
});

void t.test(
  'faults are injected, witnessed, healed and read back; rounds, probes and counters are recorded',
  async t => {
    const { testbed, lines, steps } = await reserve(lab.inventory);
    t.equal(testbed.measured, true);
    t.match(
      testbed.refuses({ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'hierarchical' }),
      /nccl-tests has no program/,
    );
    t.match(
      testbed.refuses({ kind: 'protection-switch', span: north, outage: '50 ms', detour: '10 km' }),
      /outage and a longer path/,
    );
    t.match(
      testbed.refuses({ kind: 'span-degrade', span: north, direction: 'both', amount: { ber: 1e-9 } }),
      /say the loss/,
    );
    t.match(testbed.refuses({ kind: 'flow-doubling', flows: 2, join: '1 ms' }), /RDMA flow generator/);
    t.match(testbed.refuses({ kind: 'expert-all-to-all', bytes: '1 MiB', skew: 1, seed: 1 }), /unequal parts/);
    t.equal(testbed.refuses({ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'tree' }), undefined);
    t.equal(testbed.refuses({ kind: 'broadcast', bytes: '1 MiB' }), undefined);
    t.equal(testbed.refuses({ kind: 'permutation', bytes: '1 MiB', shift: 1 }), undefined);

    const load = await testbed.start({ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'ring' });
    const probes = await testbed.probe({ phase: 'steady', packetsPerSecond: 20_000 });
    t.equal(await testbed.elapse({ round: 3, withinNs: 1e9 }), true);
    t.ok((await load.rounds()) >= 3);
    await probes.stop();
    const steadyNs = await testbed.now();
    lines.push({ kind: 'phase', name: 'steady', beginNs: 0, endNs: steadyNs, ended: 'work' });

    const cut = await testbed.inject({ kind: 'span-cut', span: north, direction: 'both', light: 'lost' }, '1-span-cut');
    t.equal(
      await testbed.elapse({ round: 1_000_000, withinNs: 50e6 }),
      false,
      'a round that does not come ends at its deadline',
    );
    await cut.witness();
    const healed = await cut.heal();
    t.match(healed, { verified: true, expected: healed.observed });
    t.equal(healed.manual, undefined);
    t.equal(await cut.heal(), healed, 'healing twice heals once');
    t.ok(
      of(lines, 'effect').length >= 4 && of(lines, 'effect').every(({ real }) => real === true),
      'the box and both ends saw it',
    );

    const silent = await testbed.inject(
      { kind: 'span-cut', span: north, direction: 'a-to-b', light: 'kept' },
      '2-span-cut',
    );
    await silent.witness();
    t.match(
      of(lines, 'effect').filter(({ fault }) => fault === '2-span-cut')[0]?.seen,
      /north a-to-b: light on, delay 48\.97 us, loss 100 %/,
      '10 km x 1.4682 / c',
    );
    t.equal((await silent.heal()).verified, true);
    t.notOk(
      of(lines, 'effect').some(({ fault, real }) => fault === '2-span-cut' && real === false),
      'the ports stayed up',
    );

    await testbed.elapse({ forNs: 60e6 });
    await load.stop();
    await load.stop();
    await testbed.observe();
    t.same(await testbed.release(), { dirty: [] });
    t.same(await testbed.release(), { dirty: [] }, 'releasing twice is safe');

    const rounds = of(lines, 'round');
    t.same(
      rounds.map(({ round }) => round),
      rounds.map((_, i) => i),
      'each round once, in order',
    );
    t.same(
      rounds.map(({ beginNs }) => beginNs),
      [0, ...rounds.map(({ endNs }) => endNs)].slice(0, -1),
      'each round begins where the one before ended',
    );
    // 2 ranks: busbw = 2(n-1)/n x bytes / time = 2^20 x 8 bits / time; the time is an exact difference to about 1e-9.
    t.ok(
      rounds.every(
        ({ busbwBps, beginNs, endNs }) => Math.abs((busbwBps * (endNs - beginNs)) / (2 ** 20 * 8e9) - 1) < 1e-6,
      ),
    );
    const flows = of(lines, 'probe');
    t.same(
      flows.map(({ span, direction, source, target }) => [span, direction, source, target]),
      [
        ['north', 'a-to-b', 'x1', 'y1'],
        ['north', 'b-to-a', 'y1', 'x1'],
      ],
    );
    t.ok(
      flows.every(({ sent, received }) => sent > 0 && sent === received),
      'a healthy span loses nothing',
    );
    const counters = of(lines, 'counters');
    t.same(
      Object.keys(counters.find(({ node }) => node === 'xl')?.ports ?? {}).toSorted(),
      ['host1', 'span'],
      'ports under the names of the topology',
    );
    t.ok(
      counters.some(({ node, ports }) => node === 'xl' && ports['span']?.operUp === false),
      'a sample saw the span port down',
    );
    t.ok(
      of(lines, 'event').some(({ node, what }) => node === 'xl' && what.startsWith('linkDown Ethernet')),
      'a trap told of it',
    );
    t.ok(
      steps.some(({ protocol }) => protocol === 'snmp') &&
        steps.some(({ protocol }) => protocol === 'ssh') &&
        steps.some(({ protocol }) => protocol === 'http'),
    );

    const errors = measurementError(lines);
    const busbw = errors.find(({ quantity }) => quantity === 'busbw');
    t.ok(busbw && busbw.samples >= 3 && (busbw.relative ?? 1) < 0.001, `busbw is off by ${busbw?.relative}`);
    // 20,000 packets/s x 49 us: one packet is on the fibre when the sender stops; it counts as not sent.
    t.ok((errors.find(({ quantity }) => quantity === 'probe sent')?.absolute ?? 9) <= 1);
    t.ok((errors.find(({ quantity }) => quantity === 'probe received')?.absolute ?? 9) <= 1);
  },
);

void t.test('a fault that nobody healed is healed at the release', async t => {
  const { testbed } = await reserve(lab.inventory);
  await testbed.inject({ kind: 'span-cut', span: north, direction: 'both', light: 'lost' }, 'lost');
  t.same(await testbed.release(), { dirty: [] });
  const next = await reserve(lab.inventory);
  t.same(await next.testbed.release(), { dirty: [] }, 'the next run finds the lab whole');
});

void t.test('what somebody left behind makes the lab dirty, with the command that puts it right', async t => {
  const { testbed } = await reserve(lab.inventory);
  t.match(
    await refusal(lab.inventory),
    /^emulated-pair is held by \S+@\S+ since .* \(pair\), for another \d+ s unless it is renewed\.\n.*farspan lease break [0-9a-f]{16}$/,
  );
  const somebody = async (device: string, command: string): Promise<void> => {
    const inventory = readInventory(text, lab.inventory);
    const shell = await openShell(device, inventory.devices[device]!, { inventory, env: {} });
    t.equal((await shell.run(command)).exitCode, 0, command);
    await shell.close();
  };
  await somebody('xl', 'sudo config interface shutdown Ethernet0');
  await somebody('span-north', 'ip link set dev eth1 down');
  const { dirty } = await testbed.release();
  t.match(
    dirty.join('\n'),
    /^span-north interfaces, eth1 .*: found .*up.*, left .*down.*\. No step of this run touched span-north.*By hand on span-north: ip link set dev eth1 up$/im,
  );
  t.match(
    dirty.join('\n'),
    /^xl interfaces, Ethernet0 .*: found up, left down\. No step of this run touched xl.*By hand on xl: sudo config interface startup Ethernet0$/im,
  );
  t.match(await refusal(lab.inventory), /passes nothing|is shut/, 'the next run refuses a lab that is not whole');
  await somebody('xl', 'sudo config interface startup Ethernet0');
  await somebody('span-north', 'ip link set dev eth1 up');
  const whole = await reserve(lab.inventory);
  t.same(await whole.testbed.release(), { dirty: [] });
});

void t.test('a heal that can not reach its device says so and what to type', async t => {
  const short = await provider.provide(PAIR, { seed: 2, options: {} });
  const { testbed } = await reserve(short.inventory);
  const shut = await testbed.inject(
    { kind: 'link-down', link: PAIR.links[0] ?? cable(north.ends[0], north.ends[1], '1 Gb/s', '1 m') },
    'shut',
  );
  await short.stop();
  t.match(await shut.heal(), { verified: false, manual: 'on xl: sudo config interface startup Ethernet0' });
  const { dirty } = await testbed.release();
  t.match(
    dirty.join('\n'),
    /shut could not be healed, found: .*By hand: on xl: sudo config interface startup Ethernet0/,
  );
});

void t.test('doctor says of each device what is right, and of what is wrong how to put it right', async t => {
  const well = await doctor(lab.inventory);
  t.same(
    well.lines.filter(({ ok }) => ok !== true),
    [],
  );
  t.equal(well.exitCode, 0);
  t.same(
    well.lines.filter(({ subject }) => subject === 'xl').map(({ check }) => check),
    'reach,host key,login,identity,snmp,time,disk,undo,fence,left behind,cabling,optics,counters'.split(','),
  );
  const shown = readInventory(text, lab.inventory).devices['x1']?.ssh.hostKey ?? '';
  const sick = await doctor(
    await changed(text => text.replace(new RegExp(`^ +hostKey: ${shown.replaceAll(/[+/]/g, '.')}\\n`, 'm'), '')),
    { only: ['x1'] },
  );
  t.equal(sick.exitCode, 3);
  const wrong = sick.lines.filter(({ ok }) => ok !== true);
  t.same(wrong, [
    {
      subject: 'x1',
      check: 'host key',
      ok: false,
      detail: `not pinned; it shows ${shown}`,
      fix: "Compare it on the device's console, then run: farspan trust x1",
    },
  ]);
  const broken = await doctor(await changed(text => text.replace('driver: sonic', 'driver: sonik')));
  t.equal(broken.exitCode, 3);
  t.match(broken.lines[0]?.detail, /driver: found "sonik"\. Did you mean "sonic"\?/);
});

void t.test(
  'trust pins the key that the device shows, keeps the comments, and replaces a changed key only when told to',
  async t => {
    const shown = readInventory(text, lab.inventory).devices['yl']?.ssh.hostKey ?? '';
    const line = new RegExp(`^ +hostKey: ${shown.replaceAll(/[+/]/g, '.')}\\n`, 'm');
    const file = await changed(text => `# our lab\n${text.replace(line, '')}# the end\n`);
    const asked: unknown[] = [];
    const answer = (yes: boolean) => async (question: unknown) => {
      asked.push(question);
      return yes;
    };
    t.same(await trust(file, 'yl', { confirm: answer(false) }), { outcome: 'declined', fingerprint: shown });
    t.equal(readInventory(await readFile(file, 'utf8'), file).devices['yl']?.ssh.hostKey, undefined);
    t.same(await trust(file, 'yl', { confirm: answer(true) }), { outcome: 'pinned', fingerprint: shown });
    const after = await readFile(file, 'utf8');
    t.equal(readInventory(after, file).devices['yl']?.ssh.hostKey, shown);
    t.match(after, /^# our lab\n/);
    t.match(after, /# the end\n$/);
    t.same(await trust(file, 'yl', { confirm: answer(true) }), { outcome: 'already pinned', fingerprint: shown });
    t.same(asked, [
      { device: 'yl', shown },
      { device: 'yl', shown },
    ]);

    const old = `SHA256:${'B'.repeat(43)}`;
    await writeFile(file, after.replace(shown, old));
    await t.rejects(
      trust(file, 'yl', { confirm: answer(true) }),
      /the host key of yl has changed\.\n {2}pinned: SHA256:B+\n {2}shown: {2}SHA256:.*\n.*farspan trust yl --replace/,
    );
    t.same(await trust(file, 'yl', { confirm: answer(true), replace: true }), {
      outcome: 'pinned',
      fingerprint: shown,
    });
    t.same(asked.at(-1), { device: 'yl', shown, replaces: old });
    await t.rejects(
      trust(file, 'y11', { confirm: answer(true) }),
      /has no device "y11"\. Did you mean "y1"\? Known devices: xl, yl, x1, y1, span-north\./,
    );
  },
);

bindingContract(t, 'emulated lab', binding, {
  topology: TWO_SPANS,
  load: { kind: 'all-reduce', bytes: '2 MiB', algorithm: 'ring' },
  roundsWithinNs: 300e6,
  faultForNs: 50e6,
  settleNs: 60e6,
  faults: [
    { kind: 'span-cut', span: TWO_SPANS.spans.north, direction: 'both', light: 'lost' },
    { kind: 'span-cut', span: TWO_SPANS.spans.north, direction: 'a-to-b', light: 'kept' },
    { kind: 'span-flap', span: TWO_SPANS.spans.north, every: '40 ms', down: '15 ms', light: 'lost' },
    { kind: 'span-degrade', span: TWO_SPANS.spans.north, direction: 'both', amount: { loss: '1 %' } },
    { kind: 'link-down', link: linkBetween(TWO_SPANS, 'xl', 'xs') },
    { kind: 'switch-reboot', switch: switchNamed(TWO_SPANS, 'xs'), takes: '100 ms' },
  ],
  options: { inventory: redundant.inventory },
  virtual: true,
});

void t.test('discover drafts the cables that LLDP shows and leaves to a person what it does not', async t => {
  const whole = readInventory(text, lab.inventory);
  t.equal(listDevices(whole).find(({ device }) => device === 'xl')?.cables, 2);
  const known = await discover(whole);
  t.same(readInventory(known, 'draft.yaml').links, whole.links, 'what is known already stays as it is');
  const withoutSpan = readInventory(
    await readFile(await changed(text => text.replace(/^spans:[\s\S]*/m, 'spans: []\n')), 'utf8'),
    lab.inventory,
  );
  const draft = await discover(withoutSpan, { seeds: ['xl'] });
  t.match(draft, /^# Drafted from LLDP\. Write what stands as "\?", then run: farspan doctor/);
  t.match(draft, /- xl Ethernet4\n\s+- yl Ethernet4\n\s+rate: "\?"\n\s+length: "\?"/);
  t.throws(
    () => readInventory(draft, 'draft.yaml'),
    /links\[2\]\.rate: expected a rate such as "100 Gb\/s", found "\?"/,
  );
  await t.rejects(discover(whole, { seeds: ['x1'] }), /has no switch "x1"\. Did you mean "xl"\?/);
});
