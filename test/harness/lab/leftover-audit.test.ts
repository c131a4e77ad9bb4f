import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { startEmulatedLab } from '../../../emulators/device/emulated-lab.ts';
import type { Change, Fingerprint, Fingerprinted } from '../../../harness/binding/fingerprint.ts';
import { connectDevice, openShell } from '../../../harness/lab/connect.ts';
import { readInventory } from '../../../harness/lab/inventory.ts';
import { labBinding } from '../../../harness/lab/lab-binding.ts';
import { virtualClock } from '../../../harness/lab/lab-clock.ts';
import {
  blame,
  differences,
  type Leftover,
  type LeftoverAudit,
  SETTLE,
  SETTLING,
  startAudit,
  type TimedStep,
} from '../../../harness/lab/leftover-audit.ts';
import type { Read } from '../../../harness/model/device-configuration.ts';
import type { Fault } from '../../../harness/model/fault.ts';
import type { Link, SwitchNode } from '../../../harness/model/topology.ts';
import { PAIR } from './survival/pair.ts';

/** Fingerprints that are changed at one place each. */
const CHANGES = Number(process.env['FARSPAN_AUDIT_CHANGES'] ?? 1000);

type Sections = Readonly<Record<string, Readonly<Record<string, string | null>> | string>>;

/** A fingerprint by hand; a section that is a text could not be read, and this says why. */
const fingerprint = (sections: Sections): Fingerprint =>
  new Map(
    Object.entries(sections).map(([name, values]): [string, Read<ReadonlyMap<string, string | null>>] => [
      name,
      typeof values === 'string' ? { unread: values } : { value: new Map(Object.entries(values)) },
    ]),
  );

const short = ({ section, key, was, is }: Change): string =>
  `${section} ${key ?? '*'}: ${was ?? String(was)} > ${is ?? String(is)}`;

type Made = readonly (readonly [string, readonly (readonly [string, string | null])[]])[];

const unique = <T>(one: fc.Arbitrary<readonly [string, T]>, most: number) =>
  fc.uniqueArray(one, { selector: ([name]) => name, minLength: 1, maxLength: most });
const name = fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('__proto__', 'constructor', 'toString'));
const made: fc.Arbitrary<Made> = unique(fc.tuple(name, unique(fc.tuple(name, fc.string({ maxLength: 8 })), 8)), 5);

const built = (sections: Made): Fingerprint =>
  new Map(sections.map(([section, values]) => [section, { value: new Map(values) }]));
/** The same, read in another order. */
const turned = (sections: Made, by: number): Made => {
  const turn = <T>(list: readonly T[]): readonly T[] => [
    ...list.slice(by % list.length),
    ...list.slice(0, by % list.length),
  ];
  return turn(sections).map(([section, values]) => [section, values.length === 0 ? [] : turn(values)]);
};

const KINDS = ['value', 'gone', 'new', 'unknown', 'section gone', 'section new', 'section unread'] as const;

void t.test('every single change of any section or key is named, in whatever order things were read', async t => {
  const kinds = new Map<string, number>();
  fc.assert(
    fc.property(made, fc.nat(1000), fc.constantFrom(...KINDS), fc.nat(20), (before, at, kind, by) => {
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      const [section, values] = before[at % before.length] as Made[number];
      const [key, was] = values[at % values.length] as readonly [string, string];
      const count = `${values.length} values`;
      const withValues = (now: Made[number][1]): Fingerprint =>
        built(
          turned(
            before.map(one => (one[0] === section ? [section, now] : one)),
            by,
          ),
        );
      const others = values.filter(([other]) => other !== key);
      const cases: Readonly<Record<(typeof KINDS)[number], () => readonly [Fingerprint, Change]>> = {
        value: () => [withValues([...others, [key, `${was}!`]]), { section, key, was, is: `${was}!` }],
        gone: () => [withValues(others), { section, key, was, is: undefined }],
        new: () => [
          withValues([...values, ['a new key', was]]),
          { section, key: 'a new key', was: undefined, is: was },
        ],
        unknown: () => [withValues([...others, [key, null]]), { section, key, was, is: null }],
        'section gone': () => [
          built(turned(before, by).filter(([other]) => other !== section)),
          { section, key: undefined, was: count, is: undefined },
        ],
        'section new': () => [
          built([['a new section', values], ...turned(before, by)]),
          { section: 'a new section', key: undefined, was: undefined, is: count },
        ],
        'section unread': () => [
          new Map([...built(turned(before, by)), [section, { unread: 'no answer' }]]),
          { section, key: undefined, was: count, is: null, why: 'no answer' },
        ],
      };
      const [after, expected] = cases[kind]();
      assert.deepEqual(differences('d', built(before), after), [{ device: 'd', ...expected }]);
      assert.deepEqual(differences('d', built(before), built(turned(before, by))), []);
    }),
    { numRuns: CHANGES, seed: 7 },
  );
  t.equal(kinds.size, KINDS.length, [...kinds].map(([kind, count]) => `${kind} ${count}`).join(', '));
  t.comment(`${CHANGES} fingerprints: ${[...kinds].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
});

void t.test('what is not known is equal to nothing, not even to itself', async t => {
  const found = (before: Sections, after: Sections) =>
    differences('d', fingerprint(before), fingerprint(after)).map(short);
  t.same(found({ gpu: { power: null } }, { gpu: { power: null } }), ['gpu power: null > null']);
  t.same(found({ gpu: 'timed out' }, { gpu: 'timed out' }), ['gpu *: null > null']);
  t.same(found({ gpu: 'timed out' }, { gpu: {} }), ['gpu *: null > 0 values']);
  t.same(found({}, {}), [], 'what a device has no program for is the same without it');
  t.same(found({}, { gpu: {} }), ['gpu *: undefined > 0 values'], 'a program that was installed is a difference');
  t.same(found({ a: { __proto__: 'x', toString: 'y' } }, { a: {} }), ['a toString: y > undefined']);
  t.match(differences('d', fingerprint({ gpu: {} }), fingerprint({ gpu: 'timed out' })), [{ why: 'timed out' }]);
});

void t.test('a difference is blamed on steps that had to do with the device while it changed', async t => {
  const steps: readonly TimedStep[] = [
    { what: 'fault early', devices: ['d'], begun: 1, ended: 2 },
    { what: 'fault elsewhere', devices: ['e'], begun: 5, ended: 8 },
    { what: 'fault late', devices: ['d'], begun: 20 },
    { what: 'load', devices: ['d', 'e'], begun: 3 },
    { what: 'phase cut', begun: 5, ended: 6 },
    { what: 'phase calm', begun: 7, ended: 30 },
  ];
  const at = (from: number, to: number) => blame({ device: 'd' }, { from, to }, steps);
  t.same(at(4, 6), { touched: ['load'], active: ['phase cut'] });
  t.same(at(1, 2), { touched: ['fault early'], active: [] });
  t.same(at(9, 40), { touched: ['fault late', 'load'], active: ['phase calm'] });
  t.same(blame({ device: 'x' }, { from: 9, to: 10 }, steps), { touched: [], active: ['phase calm'] });
  t.same(blame({ device: 'x' }, { from: 31, to: 40 }, steps), { touched: [], active: [] });
});

/** A device whose fingerprint is what the test sets. */
function device(sections: Sections): Fingerprinted & { now: Sections | Error } {
  return {
    now: sections,
    async fingerprint() {
      if (this.now instanceof Error) throw this.now;
      return fingerprint(this.now);
    },
    putBack: ({ was }) => (typeof was === 'string' ? `set ${was}` : undefined),
  };
}

async function auditOf(devices: Readonly<Record<string, Fingerprinted>>, elapsed: (ns: number) => void = () => {}) {
  let nowNs = 0;
  return startAudit({
    devices: new Map(Object.entries(devices)),
    now: async () => nowNs,
    elapse: async ns => {
      nowNs += ns;
      elapsed(nowNs);
    },
    settle: { firstNs: 1e6, withinNs: 100e6 },
  });
}

void t.test('readings in between tell which of several steps on one device did it', async t => {
  const box = device({ qdiscs: { eth1: 'netem' }, addresses: {} });
  const audit = await auditOf({ box });
  const step = async (what: string, change: Sections): Promise<void> => {
    const ended = audit.begin({ what, devices: ['box'] });
    box.now = change;
    ended();
    await audit.check('box');
  };
  await step('fault one', { qdiscs: { eth1: 'loss' }, addresses: {} });
  await step('fault two', { qdiscs: { eth1: 'netem' }, addresses: { 'eth1 1.2.3.4/8': 'scope global' } });
  await step('fault three', { qdiscs: { eth1: 'loss' }, addresses: { 'eth1 1.2.3.4/8': 'scope global' } });
  const left = await audit.end();
  t.same(
    left.map(({ difference, touched }) => `${short(difference)} ${touched.join(', ')}`),
    ['addresses eth1 1.2.3.4/8: undefined > scope global fault two', 'qdiscs eth1: netem > loss fault three'],
    'what was there, gone and there again is blamed on the last',
  );
  t.match(
    left[1]?.words,
    /^box qdiscs, eth1: found netem, left loss\. Blamed on fault three .*By hand on box: set netem$/,
  );
});

void t.test('a look that saw nothing proves nothing: it clears no step that ran before it', async t => {
  const fine = { addresses: { 'eth1 1.1.1.1/8': 'scope global' }, sysctls: {} };
  const changed = { addresses: {}, sysctls: {} };
  for (const blind of [new Error('no route'), { ...changed, addresses: 'ip: no answer' }]) {
    const box = device(fine);
    const audit = await auditOf({ box });
    const step = async (what: string, now: Sections | Error): Promise<void> => {
      const ended = audit.begin({ what, devices: ['box'] });
      box.now = now;
      ended();
      await audit.check('box');
    };
    await step('fault harmless', fine);
    await step('fault guilty', blind);
    await step('fault later', changed);
    await step('fault last', changed);
    t.match(await audit.end(), [{ touched: ['fault guilty', 'fault later'] }], 'one of the two that ran unseen');
  }
});

void t.test(
  'what settles is waited for in growing steps until the deadline; what does not is told at once',
  async t => {
    const up = { links: { Ethernet0: 'up' }, interfaces: { 'Ethernet0 mtu': '9100' } };
    const late = { ...up, links: { Ethernet0: 'down' } };
    const box = device(up);
    const slow = await auditOf({ box }, nowNs => {
      if (nowNs > 10e6) box.now = up;
    });
    box.now = late;
    t.same(await slow.end(), [], 'a link that comes back later is no leftover');

    let waitedNs = 0;
    const never = await auditOf({ box }, nowNs => void (waitedNs = nowNs));
    box.now = late;
    t.same(
      (await never.end()).map(({ difference }) => short(difference)),
      ['links Ethernet0: up > down'],
    );
    t.equal(waitedNs, 100e6, 'the whole of the deadline and no more');

    box.now = up;
    let paused = 0;
    const changed = await auditOf({ box }, () => void paused++);
    box.now = { ...up, interfaces: { 'Ethernet0 mtu': '1500' } };
    t.equal((await changed.end()).length, 1);
    t.equal(paused, 0, 'a setting does not come back by waiting');
  },
);

void t.test(
  'a device that does not answer at the end is left unknown; one that does not at the start stops the audit',
  async t => {
    const box = device({ links: {} });
    const audit = await auditOf({ box });
    box.now = new Error('ssh: no route\u001b[31m');
    await audit.check('box');
    const left = await audit.end();
    t.match(left, [{ difference: { section: 'everything', is: null } }]);
    t.match(left[0]?.words, /box everything: found read, left unknown \(ssh: no route\\x1b\[31m\)/);
    await t.rejects(auditOf({ box }), /no route/);
    await t.rejects(audit.check('other'), RangeError);
    const partly = device({ gpu: 'nvidia-smi: no answer', links: {} });
    const second = await auditOf({ partly });
    t.same(second.unread, ['partly gpu: nvidia-smi: no answer']);
    t.match(await second.end(), [{ difference: { section: 'gpu', was: null, is: null } }]);
  },
);

interface Plant {
  readonly device: string;
  readonly command: string;
  /** What it must be named as; more may follow from it. */
  readonly named: string;
  /** Other devices that see it. */
  readonly also?: readonly string[];
}

const DETACHED = '> /dev/null 2>&1 < /dev/null &';
const PLANTS: Readonly<Record<string, Plant>> = {
  address: {
    device: 'span-north',
    command: 'ip addr add 10.9.9.9/24 dev eth1',
    named: 'addresses eth1 10.9.9.9/24: undefined > scope global',
  },
  delay: {
    device: 'span-north',
    command: 'tc qdisc replace dev eth1 root netem limit 1000000 delay 99us loss 0.5%',
    named: 'qdiscs eth1 root: ',
  },
  classifier: {
    device: 'span-north',
    command: 'tc qdisc add dev eth2 clsact',
    named: 'qdiscs eth2 parent ffff:fff1: undefined > clsact',
  },
  'span mtu': {
    device: 'span-north',
    command: 'ip link set dev eth2 mtu 1500',
    named: 'interfaces eth2 mtu: 9100 > 1500',
  },
  'new interface': {
    device: 'span-north',
    command: 'ip link add left0 type dummy',
    named: 'interfaces left0 admin: undefined > down',
  },
  'black hole': {
    device: 'span-north',
    command: 'ip route add blackhole 10.66.0.0/16',
    named: 'routes blackhole 10.66.0.0/16: undefined > set',
  },
  'kernel setting': {
    device: 'span-north',
    command: 'sysctl -w net.ipv4.ip_forward=1',
    named: 'sysctls net.ipv4.ip_forward: 0 > 1',
  },
  'flap loop': {
    device: 'span-north',
    command: `setsid nohup sh -c 'while :; do true; sleep 1; done' ${DETACHED}`,
    named: 'processes sh -c while :; do true; sleep 1; done: undefined > 1 running',
  },
  job: {
    device: 'span-north',
    command: `FARSPAN_JOB=job-1 setsid nohup sh -c 'test 1 && sleep 1000 || true' ${DETACHED}`,
    named: 'processes sh -c test 1 && sleep 1000 || true: undefined > 1 running',
  },
  undo: {
    device: 'span-north',
    command: 'mkdir -p /run/farspan/undo; echo true > /run/farspan/undo/f9',
    named: 'undos f9: undefined > armed',
  },
  'dark span': {
    device: 'span-north',
    command: 'ip link set dev eth2 down',
    named: 'interfaces eth2 admin: up > down',
    also: ['xl', 'yl'],
  },
  'power limit': { device: 'x1', command: 'nvidia-smi -i 0 -pl 400', named: 'gpu 0 power.limit: 700.00 W > 400.00 W' },
  persistence: { device: 'x1', command: 'nvidia-smi -pm 0', named: 'gpu 0 persistence_mode: Enabled > Disabled' },
  'compute mode': {
    device: 'x1',
    command: 'nvidia-smi -c EXCLUSIVE_PROCESS',
    named: 'gpu 0 compute_mode: Default > Exclusive_Process',
  },
  pause: { device: 'x1', command: 'ethtool -A eth0 rx on', named: 'pause eth0 RX: off > on' },
  offload: {
    device: 'x1',
    command: 'ethtool -K eth0 tso off',
    named: 'offloads eth0 tcp-segmentation-offload: on > off',
  },
  'NIC PFC': {
    device: 'x1',
    command: 'mlnx_qos -i eth0 --pfc 0,0,0,0,0,0,0,0',
    named: 'qos eth0 PFC configuration enabled: 0 0 0 1 0 0 0 0 > 0 0 0 0 0 0 0 0',
  },
  'NIC trust': {
    device: 'x1',
    command: 'mlnx_qos -i eth0 --trust pcp',
    named: 'qos eth0 Priority trust state: dscp > pcp',
  },
  DCQCN: {
    device: 'x1',
    command: 'echo 0 > /sys/class/net/eth0/ecn/roce_np/enable/3',
    named: 'dcqcn /sys/class/net/eth0/ecn/roce_np/enable/3: 1 > 0',
  },
  receiver: {
    device: 'x1',
    command: 'setsid nohup iperf3 -s -1 -p 5333 -J > /tmp/farspan-probe-left 2>&1 < /dev/null &',
    named: 'processes iperf3 -s -1 -p 5333 -J: undefined > 1 running',
  },
  'port mtu': {
    device: 'xl',
    command: 'sudo config interface mtu Ethernet0 1500',
    named: 'interfaces Ethernet0 mtu: 9100 > 1500',
  },
  'port fec': {
    device: 'xl',
    command: 'sudo config interface fec Ethernet4 none',
    named: 'interfaces Ethernet4 fec: rs > none',
  },
  'port address': {
    device: 'xl',
    command: 'sudo config interface ip add Ethernet0 10.88.0.1/31',
    named: 'configuration INTERFACE|Ethernet0|10.88.0.1/31: undefined > there',
  },
  'asymmetric PFC': {
    device: 'xl',
    command: 'sudo config interface pfc asymmetric Ethernet0 on',
    named: 'interfaces Ethernet0 asymmetric PFC: off > on',
  },
  vlan: {
    device: 'xl',
    command: 'sudo config vlan add 100',
    named: 'configuration VLAN|Vlan100 vlanid: undefined > 100',
  },
  ECN: {
    device: 'xl',
    command: 'sudo ecnconfig -p AZURE_LOSSLESS -gmin 1 -gdrop 100',
    named: 'ecn AZURE_LOSSLESS green_min_threshold: 400000 > 1',
  },
  watchdog: {
    device: 'xl',
    command: 'sudo pfcwd start --action drop ports Ethernet0 detection-time 200 --restoration-time 400',
    named: 'pfcwd Ethernet0: undefined > drop, detection 200, restoration 400',
  },
  checkpoint: {
    device: 'xl',
    command: 'sudo config checkpoint left',
    named: 'files /etc/sonic/checkpoints/left.cp.json: undefined > there',
  },
  timer: {
    device: 'xl',
    command: 'sudo systemd-run --quiet --unit=left --on-active=3600s true',
    named: 'timers left.timer: undefined > armed',
  },
  'shut port': {
    device: 'yl',
    command: 'sudo config interface shutdown Ethernet0',
    named: 'interfaces Ethernet0 admin: up > down',
    also: ['y1'],
  },
};

void t.test(
  'on an emulated lab each leftover is named, blamed on its own step, and gone after what is said to do by hand',
  async t => {
    const directory = await mkdtemp(path.join(tmpdir(), 'farspan-audit-'));
    const lab = await startEmulatedLab({ topology: PAIR, seed: 1, directory });
    t.teardown(async () => {
      await lab.close();
      await rm(directory, { recursive: true });
    });
    const inventory = readInventory(lab.inventoryText, lab.inventory);
    const names = Object.keys(inventory.devices);
    const opened = new Map(
      await Promise.all(
        names.map(async name => [name, await connectDevice(name, { inventory, env: process.env })] as const),
      ),
    );
    const shells = new Map(
      await Promise.all(
        names.map(async name => {
          const entry = inventory.devices[name];
          if (!entry) throw new Error(name);
          return [name, await openShell(name, entry, { inventory, env: process.env })] as const;
        }),
      ),
    );
    t.teardown(() =>
      Promise.all([
        ...[...opened.values()].map(({ driver }) => driver.close()),
        ...[...shells.values()].map(shell => shell.close()),
      ]),
    );
    const clock = virtualClock({ url: lab.clockUrl, step: () => {} });
    const run = async (device: string, command: string): Promise<void> => {
      const result = await shells.get(device)?.run(command);
      if (result?.exitCode !== 0) throw new Error(`${device}: ${command}: ${result?.exitCode} ${result?.stderr}`);
    };
    const tookMs = new Map<string, number[]>();
    const devices = new Map<string, Fingerprinted>(
      [...opened].map(([name, { driver, kind }]) => [
        name,
        {
          async fingerprint() {
            const begun = performance.now();
            const found = await driver.fingerprint();
            tookMs.set(kind, [...(tookMs.get(kind) ?? []), performance.now() - begun]);
            return found;
          },
          putBack: change => driver.putBack(change),
        },
      ]),
    );
    const begin = (): Promise<LeftoverAudit> =>
      startAudit({
        devices,
        now: () => clock.now(),
        elapse: ns => clock.elapse({ forNs: ns }),
        settle: SETTLE.virtual,
      });

    await t.test('a run that heals what it did leaves nothing, though links and sessions take their time', async t => {
      const audit = await begin();
      t.same(audit.unread, [], 'everything could be read');
      const ended = audit.begin({ what: 'fault cut', devices: ['span-north', 'xl', 'yl'] });
      await run('span-north', 'ip link set dev eth1 down; ip link set dev eth2 down');
      await clock.elapse({ forNs: 50e6 });
      await audit.check('xl');
      await run('span-north', 'ip link set dev eth1 up; ip link set dev eth2 up');
      ended();
      t.same(
        (await audit.end()).map(({ words }) => words),
        [],
      );
    });

    await t.test('a whole run under a lease, with load, probes and six faults, leaves nothing', async t => {
      const audit = await begin();
      const state = path.join(directory, 'state');
      const testbed = await labBinding().reserve(PAIR, {
        seed: 1,
        record: () => {},
        step: () => {},
        options: { inventory: lab.inventory, state },
      });
      const load = await testbed.start({ kind: 'all-reduce', algorithm: 'ring', bytes: '1 MB' });
      const probes = await testbed.probe({ phase: 'all', packetsPerSecond: 1000 });
      const span = PAIR.spans.north;
      const both = { span, direction: 'both' } as const;
      const faults: Readonly<Record<string, Fault>> = {
        flap: { kind: 'span-flap', span, every: '10 ms', down: '2 ms', light: 'lost' },
        cut: { kind: 'span-cut', ...both, light: 'lost' },
        dark: { kind: 'span-cut', ...both, light: 'kept' },
        degrade: { kind: 'span-degrade', ...both, amount: { loss: '1 %' } },
        link: { kind: 'link-down', link: PAIR.links[0] as Link },
        boot: { kind: 'switch-reboot', switch: PAIR.switches[0] as SwitchNode, takes: '50 ms' },
      };
      const unhealed: string[] = [];
      for (const [id, fault] of Object.entries(faults)) {
        const injected = await testbed.inject(fault, id);
        await clock.elapse({ forNs: 5e6 });
        if (!(await injected.heal()).verified) unhealed.push(id);
      }
      t.same(unhealed, []);
      await probes.stop();
      await load.stop();
      t.same(await testbed.release(), { dirty: [] });
      t.same(
        (await audit.end()).map(({ words }) => words),
        [],
      );
    });

    await t.test(`${Object.keys(PLANTS).length} kinds of leftovers`, async t => {
      const audit = await begin();
      for (const [what, { device, command, also = [] }] of Object.entries(PLANTS)) {
        const ended = audit.begin({ what, devices: [device, ...also] });
        await run(device, command);
        await clock.elapse({ forNs: 1e6 });
        ended();
        await Promise.all([device, ...also].map(name => audit.check(name)));
      }
      const left = await audit.end();
      const wrong: string[] = [];
      for (const [what, { device, named }] of Object.entries(PLANTS)) {
        const found = left.find(
          ({ difference }) => difference.device === device && short(difference).startsWith(named),
        );
        if (found?.touched.join() !== what)
          wrong.push(`${what}: ${found ? `blamed on ${found.touched.join()}` : 'not named'}`);
      }
      t.same(wrong, []);
      // What shows late is blamed on whatever touched the device until then; the step that did it is among that.
      const cause = ({ difference: { device, key } }: Leftover): string =>
        device === 'y1' || key === 'Ethernet0 oper' || key === 'Ethernet0' ? 'shut port' : 'dark span';
      const strange = left.filter(leftover => {
        const { difference, touched } = leftover;
        if (!SETTLING.has(difference.section)) return touched.length !== 1;
        return !touched.includes(difference.key?.startsWith('left0') ? 'new interface' : cause(leftover));
      });
      t.same(
        strange.map(({ words }) => words),
        [],
      );
      t.comment(`${left.length} differences of ${Object.keys(PLANTS).length} leftovers`);
      for (const what of ['delay', 'power limit', 'port mtu', 'shut port'])
        t.comment(left.find(({ touched }) => touched[0] === what)?.words ?? what);

      // Who does what is said leaves nothing: only a process id has to be looked up.
      const byHand = ({ words, difference }: Leftover): string | undefined => {
        if (difference.section === 'processes') return `pkill -f -x ${JSON.stringify(difference.key)}`;
        if (difference.section === 'undos') return 'rm -f /run/farspan/undo/f9';
        return words.split(/ By hand on [\w-]+: /)[1];
      };
      const done = new Set<string>();
      for (const leftover of left) {
        const command = byHand(leftover);
        if (command === undefined || done.has(`${leftover.difference.device} ${command}`)) continue;
        done.add(`${leftover.difference.device} ${command}`);
        await shells.get(leftover.difference.device)?.run(command);
      }
      t.same(
        (await audit.end()).map(({ words }) => words),
        [],
      );
    });

    await t.test('what somebody else did is nobody’s of this run', async t => {
      const audit = await begin();
      const phase = audit.begin({ what: 'phase calm' });
      const load = audit.begin({ what: 'load', devices: ['y1'] });
      await run('x1', 'nvidia-smi -pl 300');
      const left = await audit.end();
      phase();
      load();
      t.match(left, [{ touched: [], active: ['phase calm'] }]);
      t.match(
        left[0]?.words,
        /^x1 gpu, 0 power\.limit: found 700\.00 W, left 300\.00 W\. No step of this run touched x1; active was phase calm .*By hand on x1: nvidia-smi -i 0 -pl 700\.00$/,
      );
      await run('x1', 'nvidia-smi -i 0 -pl 700.00');
    });

    for (const [kind, times] of tookMs) {
      const sorted = times.toSorted((a, b) => a - b);
      t.comment(
        `a fingerprint of a ${kind}: median ${sorted[sorted.length >> 1]?.toFixed(0)} ms, slowest ${sorted.at(-1)?.toFixed(0)} ms of ${times.length}`,
      );
    }
  },
);
