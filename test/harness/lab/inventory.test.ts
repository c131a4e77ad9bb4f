import t from 'tap';
import { resolveCredential } from '../../../harness/lab/credentials.ts';
import { InventoryError, inventorySchema, readInventory } from '../../../harness/lab/inventory.ts';
import { requireLabRole } from '../../../harness/lab/require-lab-role.ts';
import { solve } from '../../../harness/lab/solver.ts';
import { TestbedUnavailable } from '../../../harness/binding/binding.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import type { Host, Link, Span, SwitchNode, Topology } from '../../../harness/model/topology.ts';

const LAB = `farspan: 1
name: lab1
credentials:
  ssh: { kind: ssh, user: admin, keyFile: id_ed25519 }
  snmp: { kind: snmp-v2c, communityEnv: LAB_COMMUNITY }
devices:
  a-leaf-1:
    driver: sonic
    role: lab
    site: a
    part: leaf
    ssh: { host: 127.0.0.1, port: 2201, credentials: ssh }
    snmp: { host: 127.0.0.1, port: 1161, credentials: snmp }
    serial: S1
  a-host-1:
    driver: gpu-node
    role: lab
    site: a
    part: host
    ssh: { host: 127.0.0.1, port: 2202, credentials: ssh }
    serial: S2
links:
  - { ends: ['a-host-1 eth0', 'a-leaf-1 Ethernet0'], rate: 100 Gb/s, length: 20 m }
`;

/** The message of the error that reading this text throws. */
function complaint(text: string): string {
  try {
    readInventory(text, 'lab.yaml');
  } catch (error) {
    if (!(error instanceof InventoryError)) throw error;
    return error.message;
  }
  return 'no complaint';
}

const change = (from: string, to: string): string => {
  if (!LAB.includes(from)) throw new Error(`the test's inventory has no ${from}`);
  return complaint(LAB.replace(from, to));
};

void t.test('a right inventory is read as written and every value can be found again', async t => {
  const inventory = readInventory(LAB, 'lab.yaml');
  t.equal(inventory.name, 'lab1');
  t.equal(inventory.clock, undefined, 'no clock means wall time');
  t.same(inventory.spans, []);
  t.equal(inventory.devices['a-leaf-1']?.ssh.port, 2201);
  t.equal(inventory.where(['devices', 'a-leaf-1', 'ssh', 'port']), 'lab.yaml:12:35');
  t.equal(inventory.where(['devices', 'a-leaf-1']), 'lab.yaml:7:3');
});

void t.test('each mistake is one message with line, column, key path, what was expected and what is known', async t => {
  t.equal(
    change('driver: sonic', 'drivr: sonic'),
    'lab.yaml:8:5: devices.a-leaf-1.drivr: unknown key. Did you mean "driver"? Known keys: driver, role, site, part, address, ssh, snmp, serial, baseMac, powerCycle.',
    'a misspelt key is not also reported as missing',
  );
  t.equal(
    change('driver: sonic', 'driver: sonik'),
    'lab.yaml:8:13: devices.a-leaf-1.driver: found "sonik". Did you mean "sonic"? Known values: sonic, gpu-node, netem-span.',
  );
  t.equal(
    change("'a-host-1 eth0'", "'a-hots-1 eth0'"),
    'lab.yaml:23:14: links[0].ends[0]: unknown device "a-hots-1". Did you mean "a-host-1"? Known devices: a-leaf-1, a-host-1.',
  );
  t.equal(
    change('port: 2201, credentials: ssh', 'port: 2201, credentials: shh'),
    'lab.yaml:12:54: devices.a-leaf-1.ssh.credentials: unknown credential "shh". Did you mean "ssh"? Known ssh credentials: ssh.',
  );
  t.equal(
    change('port: 1161, credentials: snmp', 'port: 1161, credentials: ssh'),
    'lab.yaml:13:55: devices.a-leaf-1.snmp.credentials: credential "ssh" is of kind ssh, not for snmp. Known snmp credentials: snmp.',
  );
  t.equal(
    change('  a-host-1:\n', '  a-leaf-1:\n'),
    'lab.yaml:15:3: not valid YAML: this key is already there; every name occurs once.',
  );
  t.equal(
    change('port: 2201', 'port: 65536'),
    'lab.yaml:12:35: devices.a-leaf-1.ssh.port: expected at most 65535, found "65536".',
  );
  t.equal(
    change('100 Gb/s', '100 Gbps'),
    'lab.yaml:23:60: links[0].rate: expected a rate such as "100 Gb/s", found "100 Gbps".',
  );
  t.equal(
    change('20 m ', '20 Gb/s '),
    'lab.yaml:23:78: links[0].length: expected a length such as "80 km", found "20 Gb/s".',
  );
  t.equal(
    change('    role: lab\n', ''),
    'lab.yaml:7:3: devices.a-leaf-1.role: missing. Expected one of: lab, production.',
  );
  t.equal(
    change('part: leaf', 'part: host'),
    'lab.yaml:11:11: devices.a-leaf-1.part: driver sonic can be leaf or spine, found "host".',
  );
  t.equal(
    change('serial: S2', 'serial: S1'),
    'lab.yaml:21:13: devices.a-host-1.serial: "S1" is already the serial of a-leaf-1.',
  );
  t.equal(complaint(''), 'lab.yaml:1:1: inventory: expected a map, found null.');
  t.equal(
    change("['a-host-1 eth0'", "['a-host-1 eth0"),
    'lab.yaml:23:31: not valid YAML: Missing , or : between flow sequence items.',
  );
});

void t.test('a secret in the file is refused with advice, whatever it is called', async t => {
  t.equal(
    change('keyFile: id_ed25519', 'password: hunter2'),
    'lab.yaml:4:34: credentials.ssh.password: a secret never stands in an inventory. Write passwordEnv: NAME, passwordFile: path, keyFile: path or agent: true, and change the secret if this file was ever shared.',
  );
  t.equal(
    change('communityEnv: LAB_COMMUNITY', 'community: public'),
    'lab.yaml:5:27: credentials.snmp.community: a secret never stands in an inventory. Write communityEnv: NAME or communityFile: path, and change the secret if this file was ever shared.',
  );
  t.notMatch(change('keyFile: id_ed25519', 'password: hunter2'), /hunter2/, 'the message does not repeat it');
  t.equal(
    change('keyFile: id_ed25519', 'keyFile: a, agent: true'),
    'lab.yaml:4:3: credentials.ssh: expected exactly one of keyFile, passwordEnv, passwordFile, agent; found keyFile and agent.',
  );
});

void t.test('all faults of a file are told at once, and a flood of them is cut', async t => {
  const two = complaint(LAB.replace('driver: sonic', 'driver: sonik').replace('100 Gb/s', '100'));
  t.same(
    two.split('\n').map(line => line.split(':')[1]),
    ['8', '23'],
  );
  const many = complaint(
    LAB.replace('links:\n', `links:\n${"  - { ends: ['a b', 'c d'], rate: x, length: 1 m }\n".repeat(50)}`),
  );
  t.equal(many.split('\n').length, 21);
  t.equal(many.split('\n').at(-1), 'and 30 more faults');
});

void t.test('hostile inventories are refused in bounded time', async t => {
  for (const port of ['Ethernet0;reboot', '$(id)', 'a\\nb', '`id`', '-x y'])
    t.match(change('a-leaf-1 Ethernet0', `a-leaf-1 ${port}`.replace('\\n', '\n')), /lab\.yaml:\d+:\d+: /, port);
  t.match(
    complaint(
      `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n`,
    ),
    /lab\.yaml/,
    'an alias bomb',
  );
  t.match(complaint('x'.repeat(8 * 2 ** 20 + 1)), /larger than/);
  t.match(complaint(`farspan: 1\n__proto__: { polluted: true }\n`), /unknown key|not valid/);
  t.equal(({} as { polluted?: boolean }).polluted, undefined);
});

void t.test('the JSON Schema for editors names the drivers and forbids unknown keys', async t => {
  const schema = inventorySchema() as {
    properties: {
      devices: { additionalProperties: { properties: { driver: { enum: string[] } }; additionalProperties: boolean } };
    };
  };
  t.same(schema.properties.devices.additionalProperties.properties.driver.enum, ['sonic', 'gpu-node', 'netem-span']);
  t.equal(schema.properties.devices.additionalProperties.additionalProperties, false);
});

void t.test('a secret that is not there is named with the line that asks for it', async t => {
  const inventory = readInventory(LAB, 'lab.yaml');
  await t.rejects(resolveCredential('snmp', { inventory, env: {} }), {
    name: 'TestbedUnavailable',
    message:
      'lab.yaml:5:41: credential "snmp" needs the environment variable LAB_COMMUNITY, which is not set.\n  Set it in the shell that runs farspan: export LAB_COMMUNITY=…',
  });
  await t.rejects(resolveCredential('snmp', { inventory, env: { LAB_COMMUNITY: '' } }), /which is empty/);
  t.same(await resolveCredential('snmp', { inventory, env: { LAB_COMMUNITY: 'lab-ro' } }), {
    kind: 'snmp-v2c',
    community: 'lab-ro',
  });
  const dir = t.testdir({ 'lab.yaml': LAB, id_ed25519: 'KEY\n', pass: 's3cret\n' });
  const here = readInventory(LAB, `${dir}/lab.yaml`);
  t.same(
    await resolveCredential('ssh', { inventory: here, env: {} }),
    { kind: 'ssh', user: 'admin', privateKey: 'KEY\n' },
    'paths are relative to the inventory',
  );
  const withPassword = readInventory(LAB.replace('keyFile: id_ed25519', 'passwordFile: pass'), `${dir}/lab.yaml`);
  t.same(
    await resolveCredential('ssh', { inventory: withPassword, env: {} }),
    { kind: 'ssh', user: 'admin', password: 's3cret' },
    'the line end is no part of a password',
  );
  const missing = readInventory(LAB.replace('id_ed25519', 'nowhere'), `${dir}/lab.yaml`);
  await t.rejects(resolveCredential('ssh', { inventory: missing, env: {} }), {
    message: `${dir}/lab.yaml:4:43: credential "ssh" needs the file nowhere: there is no such file.\n  Paths are relative to the inventory.`,
  });
});

void t.test('no device is touched whose role is not lab; others of the inventory may have another', async t => {
  const text = LAB.replace('role: lab', 'role: production');
  const inventory = readInventory(text, 'lab.yaml');
  const [first = '', ...others] = Object.keys(inventory.devices);
  requireLabRole(inventory, others);
  t.throws(() => requireLabRole(inventory, [...others, first]), {
    name: 'TestbedUnavailable',
    message:
      /^lab\.yaml:9:11: a-leaf-1 has role "production"; Farspan touches devices of role "lab" only\.\n {2}Nothing was connected to\./,
  });
});

const host = (name: string, site = 'a'): Host => ({ kind: 'host', name, site });
const leaf = (name: string, site = 'a'): SwitchNode => ({ kind: 'switch', name, site, role: 'leaf' });
const link = (a: [string, string], b: [string, string], rate: Link['rate'] = '100 Gb/s'): Link => ({
  kind: 'link',
  name: `${a.join(':')}--${b.join(':')}`,
  ends: [
    { node: a[0], port: a[1] },
    { node: b[0], port: b[1] },
  ],
  rate,
  length: '20 m',
});
const span = (name: string, a: string, b: string, length: Span['length']): Span => ({
  kind: 'span',
  name,
  ends: [
    { node: a, port: 'span' },
    { node: b, port: 'span' },
  ],
  rate: '400 Gb/s',
  length,
});
/** Two sites `x` and `y`, one leaf with two hosts each, joined by one span. */
const joined = (length: Span['length'] = '80 km'): Topology => ({
  name: 'joined',
  sites: ['x', 'y'],
  hosts: [host('x1', 'x'), host('x2', 'x'), host('y1', 'y'), host('y2', 'y')],
  switches: [leaf('xl', 'x'), leaf('yl', 'y')],
  links: [
    link(['x1', 'eth0'], ['xl', 'h1']),
    link(['x2', 'eth0'], ['xl', 'h2']),
    link(['y1', 'eth0'], ['yl', 'h1']),
    link(['y2', 'eth0'], ['yl', 'h2']),
  ],
  spans: { north: span('north', 'xl', 'yl', length) },
  settings: DEFAULT_FABRIC,
});

/** The same shape in a lab with names and sites of its own; the span's ends are written the other way round. */
function frankfurt(
  options: { readonly hostsAtF?: number; readonly spans?: string; readonly links?: string } = {},
): string {
  const device = (name: string, driver: string, part: string, site: string, port: number): string =>
    `  ${name}: { driver: ${driver}, role: lab, site: ${site}, part: ${part}, ssh: { host: 127.0.0.1, port: ${port}, credentials: ssh } }\n`;
  const hosts = options.hostsAtF ?? 2;
  let text = 'farspan: 1\nname: frankfurt\ncredentials: { ssh: { kind: ssh, user: u, agent: true } }\ndevices:\n';
  text +=
    device('sw-a', 'sonic', 'leaf', 'ams', 1) +
    device('sw-f', 'sonic', 'leaf', 'fra', 2) +
    device('fibre', 'netem-span', 'span', 'fra', 3);
  for (let i = 1; i <= 3; i++) text += device(`gpu-a${i}`, 'gpu-node', 'host', 'ams', 10 + i);
  for (let i = 1; i <= hosts; i++) text += device(`gpu-f${i}`, 'gpu-node', 'host', 'fra', 20 + i);
  text += 'links:\n';
  for (let i = 1; i <= 3; i++)
    text += `  - { ends: ['gpu-a${i} eth0', 'sw-a Ethernet${4 * i}'], rate: 100 Gb/s, length: 3 m }\n`;
  for (let i = 1; i <= hosts; i++)
    text += `  - { ends: ['sw-f Ethernet${4 * i}', 'gpu-f${i} eth0'], rate: 100 Gb/s, length: 5 m }\n`;
  return `${text}${options.links ?? ''}spans:\n${options.spans ?? "  - { name: f1, device: fibre, ends: ['sw-f Ethernet0', 'sw-a Ethernet0'], rate: 400 Gb/s, length: 80.1 km }\n"}`;
}

void t.test(
  'a topology is bound to a lab with other names, other sites and a span written the other way round',
  async t => {
    // Site x has two hosts like y; ams has three and fra two: both may play either.
    const solution = solve(joined(), readInventory(frankfurt(), 'fra.yaml'));
    const xl = solution.devices.get('xl');
    t.ok(xl === 'sw-a' || xl === 'sw-f');
    t.not(solution.devices.get('yl'), xl);
    t.equal(new Set(solution.devices.values()).size, 6, 'every node has a device of its own');
    const atX = xl === 'sw-a' ? /^gpu-a/ : /^gpu-f/;
    t.match(solution.devices.get('x1'), atX, 'a host hangs on the leaf that plays its leaf');
    t.match(solution.devices.get('x2'), atX);
    t.same(solution.port({ node: 'xl', port: 'span' }), { device: xl, port: 'Ethernet0' });
    t.same(solution.spans.get('north'), { device: 'fibre', reversed: xl === 'sw-a' });
    const x1 = solution.devices.get('x1') ?? '';
    t.same(
      solution.port({ node: 'xl', port: 'h1' }),
      { device: xl, port: `Ethernet${4 * Number(x1.at(-1))}` },
      'both ends of a cable belong together',
    );
    t.throws(() => solution.port({ node: 'xl', port: 'h9' }), /joined has no cable at xl h9/);
  },
);

void t.test('devices that carry the names of the topology play themselves', async t => {
  const text = frankfurt()
    .replaceAll('sw-a', 'yl')
    .replaceAll('sw-f', 'xl')
    .replaceAll('gpu-f', 'x')
    .replaceAll('gpu-a', 'y');
  const solution = solve(joined(), readInventory(text, 'fra.yaml'));
  t.same(Object.fromEntries(solution.devices), { xl: 'xl', yl: 'yl', x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2' });
  t.same(solution.spans.get('north'), { device: 'fibre', reversed: false });
});

void t.test('a scenario that asks for what the lab lacks is told in words what is missing', async t => {
  const why = (topology: Topology, text: string): string => {
    try {
      solve(topology, readInventory(text, 'fra.yaml'));
    } catch (error) {
      if (error instanceof TestbedUnavailable) return error.message;
      throw error;
    }
    return 'it fits';
  };
  t.equal(
    why(joined('120 km'), frankfurt()),
    'joined needs a span of 400 Gb/s and 120 km for "north"; frankfurt (fra.yaml) has f1 (400 Gb/s, 80.1 km).',
  );
  const { north } = joined().spans;
  t.equal(
    why({ ...joined(), spans: { north: { ...(north as Span), asymmetry: '3 us' } } }, frankfurt()),
    'joined needs "north" to take 3 us longer one way than the other; an inventory does not say that of a span, so frankfurt (fra.yaml) may not have it.',
  );
  const more: Topology = { ...joined(), hosts: [...joined().hosts, host('x3', 'x'), host('y3', 'y')] };
  t.equal(why(more, frankfurt()), 'joined needs 6 hosts; frankfurt (fra.yaml) has 5.');
  t.equal(
    why(joined(), frankfurt({ hostsAtF: 1 })),
    'joined needs 2 leaves with 2 links to hosts of 100 Gb/s, 1 span of 400 Gb/s and 80 km each; in frankfurt (fra.yaml) 1 fits: sw-f has only 1 link to a host of 100 Gb/s.',
  );
  const faster: Topology = { ...joined(), links: joined().links.map(cable => ({ ...cable, rate: '400 Gb/s' })) };
  t.match(
    why(faster, frankfurt()),
    /sw-a has no link to a host of 400 Gb\/s/,
    'a slower cable does not do, nor a faster one',
  );
  const extra = frankfurt({
    links: "  - { ends: ['sw-a Ethernet40', 'sw-f Ethernet40'], rate: 400 Gb/s, length: 9 m }\n",
  });
  t.match(why(joined(), extra), /1 more cable to other switches, which would carry traffic/);
  const third: Topology = {
    ...joined(),
    sites: ['x', 'y', 'z'],
    hosts: joined().hosts.map((node, i) => (i === 0 ? { ...node, site: 'z' } : node)),
  };
  t.equal(why(third, frankfurt()), 'joined needs 3 sites; frankfurt (fra.yaml) has 2: ams, fra.');
});
