import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import ssh2 from 'ssh2';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { ed25519Key } from '../../../emulators/device/ed25519-key.ts';
import { connectSsh, fetchHostKey } from '../../../harness/drivers/ssh.ts';
import { GPU_NODE_WRITES } from '../../../harness/drivers/gpu-node.ts';
import { SPAN_WRITES } from '../../../harness/drivers/netem-span.ts';
import { SONIC_WRITES } from '../../../harness/drivers/sonic-switch.ts';
import { labBinding } from '../../../harness/lab/lab-binding.ts';
import { recover } from '../../../harness/lab/recover.ts';
import type { Fault } from '../../../harness/model/fault.ts';
import { uniform } from '../../../harness/model/seeded.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import { movableAddress, sshGateway, type SshGateway } from './ssh-gateway.ts';
import { type KeptLab, keptLab } from './survival/kept-lab.ts';
import { PAIR } from './survival/pair.ts';

/** Plans that lead to a wrong box or hold more than names: 10,000 in a night (FARSPAN_WRONG_BOX). */
const PLANS = Number(process.env['FARSPAN_WRONG_BOX'] ?? 300);
/** Addresses that are another box's in the middle of a run, in each of three ways (FARSPAN_RECYCLED). */
const RECYCLED = Number(process.env['FARSPAN_RECYCLED'] ?? 1);

interface Device {
  role: string;
  driver: string;
  address?: string;
  serial?: string;
  baseMac?: string;
  ssh: { host: string; port: number; hostKey: string };
  snmp?: { host: string; port: number };
}

interface Draft {
  blast?: string;
  devices: Record<string, Device>;
  links: { ends: string[] }[];
  spans: { name: string; device: string; ends: string[] }[];
}

const pick = <T>(of: readonly T[], seed: number, place: number): T =>
  of[Math.floor(uniform(seed, place) * of.length)] as T;

/** What a name may hold besides a name. Whoever runs it leaves a file. */
const EVIL = [
  'Ethernet0;touch /tmp/pwned',
  'Ethernet0\ntouch /tmp/pwned',
  '$(touch /tmp/pwned)',
  '`touch /tmp/pwned`',
  "Ethernet0'; touch /tmp/pwned; '",
  'Ethernet0" && touch /tmp/pwned "',
  '-h',
  '--help',
  'Ethernet0|reboot',
  '\u0415thernet0',
  'Ethernet0\u202e',
  'Ethernet\uff10',
  'Ethernet0\u0000',
  '../../etc/passwd',
  'Ethernet0 && reboot',
  '__proto__',
];

const twoOf = (draft: Draft, seed: number): readonly [string, string] => {
  const names = Object.keys(draft.devices);
  const first = pick(names, seed, 1);
  return [
    first,
    pick(
      names.filter(name => name !== first),
      seed,
      2,
    ),
  ];
};

const deviceOf = (draft: Draft, name: string): Device => draft.devices[name] as Device;

/** Each makes one plan wrong. */
const SPOILS: readonly (readonly [what: string, share: number, spoil: (draft: Draft, seed: number) => void])[] = [
  [
    'the addresses of two devices exchanged, with the keys that are pinned',
    8,
    (draft, seed) => {
      const [a, b] = twoOf(draft, seed).map(name => deviceOf(draft, name)) as [Device, Device];
      [a.ssh, b.ssh] = [b.ssh, a.ssh];
      if (uniform(seed, 3) < 0.5 && a.snmp && b.snmp) [a.snmp, b.snmp] = [b.snmp, a.snmp];
    },
  ],
  [
    'the addresses exchanged, and the keys as they were',
    2,
    (draft, seed) => {
      const [a, b] = twoOf(draft, seed).map(name => deviceOf(draft, name)) as [Device, Device];
      [a.ssh.port, b.ssh.port] = [b.ssh.port, a.ssh.port];
    },
  ],
  [
    'one address for two devices',
    2,
    (draft, seed) => {
      const [a, b] = twoOf(draft, seed).map(name => deviceOf(draft, name)) as [Device, Device];
      a.ssh = { ...b.ssh };
    },
  ],
  [
    'nothing to tell the box by',
    1,
    (draft, seed) => {
      const one = deviceOf(draft, twoOf(draft, seed)[0]);
      delete one.serial;
      delete one.baseMac;
    },
  ],
  ['a device in production', 10, (draft, seed) => void (deviceOf(draft, twoOf(draft, seed)[0]).role = 'production')],
  ['no such role', 5, (draft, seed) => void (deviceOf(draft, twoOf(draft, seed)[0]).role = pick(EVIL, seed, 3))],
  [
    'a port that is more than a name',
    30,
    (draft, seed) => {
      const cable = pick([...draft.links, ...draft.spans], seed, 1);
      const end = uniform(seed, 2) < 0.5 ? 0 : 1;
      cable.ends[end] = `${cable.ends[end]?.split(' ')[0]} ${pick(EVIL, seed, 3)}`;
    },
  ],
  [
    'a device whose name is more than a name',
    20,
    (draft, seed) => {
      const [old] = twoOf(draft, seed);
      const evil = pick(EVIL, seed, 3);
      draft.devices = Object.fromEntries(
        Object.entries(draft.devices).map(([name, device]) => [name === old ? evil : name, device]),
      );
      for (const cable of [...draft.links, ...draft.spans])
        cable.ends = cable.ends.map(end => (end.split(' ')[0] === old ? `${evil} ${end.split(' ')[1]}` : end));
      for (const span of draft.spans) if (span.device === old) span.device = evil;
    },
  ],
  [
    'a driver that is none',
    5,
    (draft, seed) => void (deviceOf(draft, twoOf(draft, seed)[0]).driver = pick(EVIL, seed, 3)),
  ],
  [
    'a host that is none',
    2,
    (draft, seed) => void (deviceOf(draft, twoOf(draft, seed)[0]).ssh.host = pick(EVIL, seed, 3)),
  ],
];

const TICKETS = SPOILS.flatMap(([, share], i) => Array.from({ length: share }, () => i));

const silent = { record: () => {}, step: () => {} };

/** Files that Farspan or an injected command would leave on the devices; a guard leaves its lock for good. */
const traces = ({ lab }: KeptLab): readonly string[] =>
  lab.devices.flatMap(({ name }) =>
    ['/run/farspan', '/tmp', '/root', '/home', '/etc/sonic/checkpoints'].flatMap(folder =>
      [...lab.device(name).files(folder).keys()].map(file => `${name} ${folder}/${file}`),
    ),
  );

const inventoryOf = (kept: KeptLab): Draft => parse(readFileSync(kept.inventory, 'utf8')) as Draft;

void t.test(`${PLANS} plans that lead to a wrong box, or hold more than names`, { timeout: 3_600_000 }, async t => {
  const kept = await keptLab('20 s');
  t.teardown(() => kept.close());
  const before = traces(kept);
  const file = path.join(path.dirname(kept.inventory), 'spoiled.yaml');
  const wrong: string[] = [];
  const counts = new Map<string, number>();
  for (let seed = 0; seed < PLANS; seed++) {
    const spoiled = SPOILS[TICKETS[Math.floor(uniform(seed, 0) * TICKETS.length)] ?? 0];
    if (!spoiled) continue;
    const [what, , spoil] = spoiled;
    const draft = inventoryOf(kept);
    spoil(draft, seed);
    writeFileSync(file, stringify(draft));
    counts.set(what, (counts.get(what) ?? 0) + 1);
    const sent: string[] = [];
    try {
      const testbed = await labBinding().reserve(PAIR, {
        ...silent,
        seed,
        options: { inventory: file, state: kept.state },
        step: ({ tried }) => void sent.push(tried),
      });
      await testbed.release();
      wrong.push(`${seed} ${what}: it was reserved`);
    } catch (error) {
      const { name, message } = error as Error;
      if (!['TestbedUnavailable', 'InventoryError', 'Error'].includes(name))
        wrong.push(`${seed} ${what}: ${name} ${message}`);
    }
    const writes = sent.filter(command => /guard|pwned|reboot|config |replace|link set|kill/.test(command));
    if (writes.length > 0) wrong.push(`${seed} ${what}: sent ${writes[0]}`);
  }
  for (const [what, count] of counts) t.comment(`${String(count).padStart(5)}  ${what}`);
  t.same(wrong.slice(0, 20), []);
  t.same([...traces(kept).filter(trace => !before.includes(trace)), ...kept.left()], [], 'no device was written to');
});

/** The pair with names that are more than names wherever a topology has one. */
function evilPair(seed: number): Topology<'north'> {
  const evil = (text: string): string => `${text}${EVIL[(seed + text.length) % EVIL.length]}`;
  const end = <E extends { readonly node: string; readonly port: string }>({ node, port }: E): E =>
    ({ node: evil(node), port: evil(port) }) as E;
  const both = <C extends { readonly ends: readonly [{ node: string; port: string }, { node: string; port: string }] }>(
    cable: C,
  ): C => ({ ...cable, ends: [end(cable.ends[0]), end(cable.ends[1])] });
  return {
    ...PAIR,
    name: evil('pair'),
    hosts: PAIR.hosts.map(host => ({ ...host, name: evil(host.name) })),
    switches: PAIR.switches.map(one => ({ ...one, name: evil(one.name) })),
    links: PAIR.links.map(link => ({ ...both(link), name: evil(link.name) })),
    spans: { north: both(PAIR.spans.north) },
  } as Topology<'north'>;
}

void t.test('names of a topology are words for people: they reach no command', { timeout: 600_000 }, async t => {
  const kept = await keptLab('20 s');
  t.teardown(() => kept.close());
  const wrong: string[] = [];
  for (let seed = 0; seed < Math.max(2, PLANS / 150); seed++) {
    const topology = evilPair(seed);
    const [link] = topology.links;
    try {
      const testbed = await labBinding().reserve(topology, {
        ...silent,
        seed,
        options: { inventory: kept.inventory, state: kept.state },
        reason: EVIL[seed % EVIL.length] ?? '',
      });
      for (const fault of [
        link && { kind: 'link-down', link },
        { kind: 'span-cut', span: topology.spans.north, direction: 'both', light: 'lost' },
      ] as readonly Fault[])
        await (await testbed.inject(fault, '1-x')).heal();
      const { dirty } = await testbed.release();
      wrong.push(...dirty);
    } catch (error) {
      wrong.push(`${seed}: ${(error as Error).message}`);
    }
    wrong.push(...traces(kept).filter(trace => /pwned/.test(trace)), ...kept.left());
  }
  t.same(wrong, []);
});

const [XL_LINK] = PAIR.links;
if (!XL_LINK) throw new Error('the pair has links');
const XL_DOWN: Fault = { kind: 'link-down', link: XL_LINK };

interface Recycling {
  readonly kept: KeptLab;
  /** Inventory in which xl is reached through an address that can be moved. */
  readonly inventory: string;
  /** `clone`: to another leased switch with the same host key. `other`: the same, with its own key. */
  move(to: 'xl' | 'clone' | 'other'): void;
  readonly clone: SshGateway;
}

/** Two switches behind gateways with one host key, as cloned images have it. */
async function recyclable(t: Test): Promise<Recycling> {
  const kept = await keptLab('3 s');
  t.teardown(() => kept.close());
  const { user, keyFile } = kept.lab.secrets;
  const key = readFileSync(keyFile);
  const parsed = ssh2.utils.parseKey(key);
  if (parsed instanceof Error) throw parsed;
  const authorizedKey = `${parsed.type} ${parsed.getPublicSSH().toString('base64')}`;
  const { private: hostKey } = ed25519Key('a cloned image');
  const draft = inventoryOf(kept);
  const gateways = await Promise.all(
    (['xl', 'yl'] as const).map(async name => {
      const { ssh } = deviceOf(draft, name);
      const to = await connectSsh({ device: name, ...ssh, user, key, deadlineMs: 10_000 });
      t.teardown(() => to.close());
      const gateway = await sshGateway({ to, user, hostKey, authorizedKey });
      t.teardown(() => gateway.close());
      return gateway;
    }),
  );
  const [xl, clone] = gateways as [SshGateway, SshGateway];
  const address = await movableAddress(xl.port);
  t.teardown(() => address.close());
  const shown = await fetchHostKey('127.0.0.1', xl.port, 5000);
  const { ssh } = deviceOf(draft, 'xl');
  Object.assign(ssh, { port: address.port, hostKey: shown });
  const inventory = path.join(path.dirname(kept.inventory), 'recycled.yaml');
  writeFileSync(inventory, stringify(draft));
  const ports = { xl: xl.port, clone: clone.port, other: deviceOf(draft, 'yl').ssh.port };
  return { kept, inventory, clone, move: to => address.move(ports[to]) };
}

for (const when of ['before a fault', 'while a fault is in effect', 'to a box with another key'] as const)
  void t.test(`an address becomes another box's: ${when}`, { timeout: 240_000 }, async t => {
    for (let i = 0; i < RECYCLED; i++) {
      const { kept, inventory, move, clone } = await recyclable(t);
      const other = (): string => JSON.stringify(kept.lab.device('yl').ports());
      const found = other();
      const testbed = await labBinding().reserve(PAIR, {
        ...silent,
        seed: i,
        options: { inventory, state: kept.state },
      });
      const to = when === 'to a box with another key' ? 'other' : 'clone';
      if (when === 'before a fault') {
        move(to);
        await t.rejects(testbed.inject(XL_DOWN, '1-link'), 'it is not injected');
      } else {
        const injected = await testbed.inject(XL_DOWN, '1-link');
        t.not(kept.left().length, 0, 'it is in effect');
        move(to);
        const outcome = await injected.heal().catch((error: Error) => error);
        t.notOk('verified' in outcome && outcome.verified, 'what another box says heals nothing');
      }
      t.equal(other(), found, 'the other box is as it was');
      t.same(
        clone.writes.filter(({ code }) => code === 0),
        [],
        `${clone.writes.length} writes were fenced there`,
      );
      const { dirty } = await testbed.release();
      t.not(dirty.length, 0, 'the run says that it could not give the lab back');
      const end = performance.now() + 20_000;
      while (kept.left().length > 0 && performance.now() < end) await sleep(50);
      t.same(kept.left(), [], 'the right box heals itself');
      move('xl');
      t.match(await recover({ inventory, state: kept.state, say: () => {} }), { clean: true });
      t.same([...kept.left(), ...kept.kept()], []);
    }
  });

void t.test('a fault that reaches further than the inventory permits is refused', { timeout: 60_000 }, async t => {
  const kept = await keptLab('20 s');
  t.teardown(() => kept.close());
  const draft = inventoryOf(kept);
  draft.blast = 'link';
  const inventory = path.join(path.dirname(kept.inventory), 'narrow.yaml');
  writeFileSync(inventory, stringify(draft));
  const testbed = await labBinding().reserve(PAIR, { ...silent, seed: 1, options: { inventory, state: kept.state } });
  const [node] = PAIR.switches;
  if (!node) throw new Error('the pair has switches');
  const reboot: Fault = { kind: 'switch-reboot', switch: node, takes: '100 ms' };
  t.match(testbed.refuses(reboot), /reaches a whole device.*permits faults up to a link/);
  await t.rejects(testbed.inject(reboot, '1-reboot'), /reaches a whole device/);
  t.equal(testbed.refuses(XL_DOWN), undefined);
  t.same((await testbed.release()).dirty, []);
  t.same(kept.left(), []);
});

const DANGEROUS = [
  'reload',
  'sudo config reload -y',
  'sudo config erase',
  'write erase',
  'sudo factory-reset',
  'sudo rm -rf /',
  'rm -f /etc/passwd',
  'rm -f /tmp/farspan-x ; reboot',
  'sudo reboot -f',
  'sudo reboot; sudo reboot',
  'sudo config interface shutdown Ethernet0; reboot',
  'sudo config interface shutdown Ethernet0\nreboot',
  'sudo config interface shutdown -h',
  'sudo config interface shutdown all',
  'sudo config interface ip add Ethernet0 1.1.1.1/8',
  'sudo config rollback another',
  'sudo config rollback farspan-x;reboot',
  'sudo config save -y',
  'sudo sonic-clear counters',
  'dd if=/dev/zero of=/dev/sda',
  'mkfs.ext4 /dev/sda1',
  'shutdown -h now',
  'ip link set dev eth0;reboot down',
  'ip link delete dev eth1',
  'ip link set dev $(reboot) down',
  'tc qdisc del dev eth1 root',
  'tc qdisc replace dev eth1 root netem limit 1 delay 1us; reboot',
  "sh -c 'while :; do reboot; sleep 1; ip link set dev eth1 up; sleep 1; done'",
  'mpirun -np 2 -H a,b;reboot all_reduce_perf -b 1',
  'mpirun -np 2 -H a,b rm_perf -b $(reboot)',
  'iperf3 -s -1 -p 5201 -J; reboot',
  'iperf3 -c a -p 1 --cport 1 -u -b 1 -l 1 -t 0 -J\nreboot',
  'kill -9 -1',
  'kill -TERM 1',
  'nvidia-smi --gpu-reset',
  '',
  ' ',
];

void t.test('no dangerous verb is on a list of what may be written', async t => {
  const let_in = DANGEROUS.flatMap(command =>
    Object.entries({ SONIC_WRITES, SPAN_WRITES, GPU_NODE_WRITES }).flatMap(([list, forms]) =>
      forms.some(form => form.test(command)) ? [`${list}: ${command}`] : [],
    ),
  );
  t.same(let_in, []);
});
