import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import ssh2 from 'ssh2';
import t from 'tap';
import { type EmulatedLab, type EmulatedLabOptions, startEmulatedLab } from '../../../emulators/device/emulated-lab.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import { cable, type Topology } from '../../../harness/model/topology.ts';

const topology: Topology = {
  name: 'box',
  sites: ['a', 'b'],
  hosts: ['a-host-1', 'b-host-1'].map(name => ({ kind: 'host', name, site: name.slice(0, 1) })),
  switches: ['a', 'b'].map(site => ({ kind: 'switch', name: `${site}-spine-1`, site, role: 'spine' })),
  links: ['a', 'b'].map(site =>
    cable({ node: `${site}-host-1`, port: 'eth0' }, { node: `${site}-spine-1`, port: 'host-1' }, '100 Gb/s', '20 m'),
  ),
  spans: {
    north: {
      kind: 'span',
      name: 'north',
      ends: [
        { node: 'a-spine-1', port: 'span' },
        { node: 'b-spine-1', port: 'span' },
      ],
      rate: '400 Gb/s',
      length: '80 km',
    },
  },
  settings: DEFAULT_FABRIC,
};

const scratch = mkdtempSync(path.join(tmpdir(), 'farspan-box-'));
const open: EmulatedLab[] = [];
t.teardown(async () => {
  for (const lab of open) await lab.close();
  rmSync(scratch, { recursive: true, force: true });
});
async function start(options: Partial<EmulatedLabOptions> = {}): Promise<EmulatedLab> {
  const directory = path.join(scratch, String(open.length));
  const lab = await startEmulatedLab({ topology, seed: 1, directory, bootPs: 10e9, ...options });
  open.push(lab);
  return lab;
}

interface Answer {
  readonly stdout: string;
  readonly stderr: string;
  /** Undefined when the device closed the connection instead. */
  readonly code: number | undefined;
}

/** One command in a session of its own. */
function run(lab: EmulatedLab, device: string, command: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    let [stdout, stderr] = ['', ''];
    let code: number | undefined;
    client.on('error', reject);
    client.on('close', () => resolve({ stdout, stderr, code }));
    client.on('ready', () =>
      client.exec(command, (error, channel) => {
        if (error) return void client.end();
        channel.on('data', (bytes: Buffer) => void (stdout += String(bytes)));
        channel.stderr.on('data', (bytes: Buffer) => void (stderr += String(bytes)));
        channel.on('exit', (status: number) => void (code = status));
        channel.on('close', () => client.end());
      }),
    );
    client.connect({
      host: '127.0.0.1',
      port: lab.devices.find(({ name }) => name === device)?.sshPort ?? 0,
      username: lab.secrets.user,
      privateKey: readFileSync(lab.secrets.keyFile),
      readyTimeout: 20_000,
    });
  });
}
async function elapse(lab: EmulatedLab, forNs: number): Promise<void> {
  const response = await fetch(`${lab.clockUrl}/elapse`, { method: 'POST', body: JSON.stringify({ forNs }) });
  if (response.status !== 200) throw new Error(await response.text());
}

/** `sudo sh -c SCRIPT` with an undo that a timer will run. */
const armed = (undo: string, seconds: number, systemd: boolean): string =>
  systemd
    ? `sudo sh -c 'mkdir -p /run/farspan/undo; echo "${undo}" > /run/farspan/undo/f; systemd-run --quiet --collect --unit=farspan-f-1 --on-active=${seconds}s --timer-property=AccuracySec=100ms sh /run/farspan/undo/f'`
    : `sh -c 'mkdir -p /run/farspan/undo; echo "${undo}" > /run/farspan/undo/f; setsid nohup sh -c "sleep ${seconds}; sh /run/farspan/undo/f" > /dev/null 2>&1 < /dev/null & echo $! > /run/farspan/f.pid'`;

void t.test('a timer undoes a fault in wall time, with nobody connected and the data plane at rest', async t => {
  const lab = await start();
  const [span, port] = [lab.device('span-north'), lab.device('a-spine-1')];
  t.match(span.span(), { name: 'north', 'a-to-b': { passing: true, light: true, loss: 0 }, 'b-to-a': { light: true } });
  const delayPs = span.span()?.['a-to-b'].delayPs;
  t.match(await run(lab, 'span-north', armed('ip link set dev eth1 up', 1.5, false)), { code: 0, stderr: '' });
  t.match(await run(lab, 'span-north', 'ip link set dev eth1 down'), { code: 0 });
  t.match(await run(lab, 'a-spine-1', armed('config interface startup Ethernet0', 1.5, true)), { code: 0, stderr: '' });
  t.match(await run(lab, 'a-spine-1', 'sudo config interface shutdown Ethernet0'), { code: 0 });
  t.match(span.span(), {
    'a-to-b': { passing: false, light: true, delayPs },
    'b-to-a': { passing: false, light: false },
  });
  t.match(port.ports(), [
    { name: 'Ethernet0', adminUp: false },
    { name: 'Ethernet4', adminUp: true },
  ]);
  t.match(
    [...span.files()],
    [
      ['undo/f', 'ip link set dev eth1 up\n'],
      ['f.pid', /^\d+\n$/],
    ],
  );
  t.match(
    [...span.timers(), ...port.timers()],
    [
      { name: /^pid \d+$/, command: 'sh -c sleep 1.5; sh /run/farspan/undo/f' },
      { name: 'farspan-f-1.timer', command: 'sh /run/farspan/undo/f' },
    ],
  );
  t.match(span.processes(), [{ args: 'sh -c sleep 1.5; sh /run/farspan/undo/f', job: undefined }]);
  const began = performance.now();
  const healed = (): boolean => span.span()?.['b-to-a'].light === true && port.ports().every(({ adminUp }) => adminUp);
  while (!healed() && performance.now() - began < 10_000) await sleep(5);
  t.ok(healed(), `healed ${(performance.now() - began).toFixed(0)} ms after the fault`);
  t.equal(lab.sim.nowPs, 0, 'no time of the data plane has passed');
  t.same([span.timers(), port.timers(), span.processes()], [[], [], []]);
  t.throws(() => lab.device('nobody'), /has no device nobody/);
  t.match(lab.inventoryText, /span-north:/);
});

void t.test('a reboot takes a box off the network and everything with it that was not saved', async t => {
  const lab = await start();
  const boots = new Map<string, string>();
  const boot = async (device: string): Promise<string> =>
    (await run(lab, device, 'cat /proc/sys/kernel/random/boot_id')).stdout;
  for (const device of ['span-north', 'a-host-1', 'b-spine-1']) boots.set(device, await boot(device));
  t.equal(new Set(boots.values()).size, 3);
  const asMade = lab.device('span-north').span();
  await run(lab, 'span-north', 'ip link set dev eth2 down; tc qdisc replace dev eth1 root netem delay 5ms loss 10%');
  await run(lab, 'span-north', armed('true', 100, false));
  await run(
    lab,
    'a-host-1',
    `FARSPAN_JOB=job-7 setsid nohup sh -c 'while :; do sleep 1; done' > /tmp/x 2>&1 < /dev/null &`,
  );
  await run(lab, 'b-spine-1', `${armed('true', 100, true)}; sudo config interface shutdown Ethernet0`);
  t.match(lab.device('a-host-1').processes(), [{ job: 'job-7' }]);
  for (const device of boots.keys()) t.equal((await run(lab, device, 'sudo reboot')).code, undefined, device);
  t.match(lab.device('span-north').span(), { 'a-to-b': { light: false }, 'b-to-a': { light: false } });
  await elapse(lab, 1_000_000);
  await t.rejects(run(lab, 'span-north', 'true'), /ECONNREFUSED/);
  await elapse(lab, 20_000_000);
  for (const device of boots.keys()) {
    t.not(await boot(device), boots.get(device), device);
    const now = lab.device(device);
    t.same([now.timers(), now.processes(), [...now.files('/run')], [...now.files('/tmp')]], [[], [], [], []], device);
    t.match((await run(lab, device, 'cat /proc/uptime')).stdout, /^0\.0[012] /);
  }
  t.same(lab.device('span-north').span(), asMade);
  t.ok(
    lab
      .device('b-spine-1')
      .ports()
      .every(({ adminUp }) => adminUp),
    'the shut port was not saved',
  );
});

void t.test('config checkpoint, rollback and save of a switch', async t => {
  const lab = await start();
  const admin = (): readonly boolean[] =>
    lab
      .device('a-spine-1')
      .ports()
      .map(({ adminUp }) => adminUp);
  const sonic = (command: string): Promise<Answer> => run(lab, 'a-spine-1', `sudo ${command}`);
  t.match(await sonic('config checkpoint before'), { code: 0, stdout: 'Config checkpoint created successfully.\n' });
  await sonic('config interface shutdown Ethernet4');
  t.match(await sonic('config checkpoint after'), { code: 0 });
  t.match(await sonic('config list-checkpoints'), { stdout: /"after",\n +"before"/ });
  t.match(await sonic('config rollback before'), { code: 0, stdout: 'Config rolled back successfully.\n' });
  t.same(admin(), [true, true]);
  t.match(await sonic('config rollback after'), { code: 0 });
  t.same(admin(), [true, false]);
  t.match(await sonic('config rollback never'), { code: 1, stderr: /Checkpoint 'never' does not exist/ });
  t.match(await sonic('config delete-checkpoint after'), { code: 0, stdout: 'Checkpoint deleted successfully.\n' });
  t.match(await sonic('config delete-checkpoint after'), { code: 1 });
  t.match(await sonic('config checkpoint ../../x'), { code: 2 });
  t.match(await sonic('config save -y'), { code: 0 });
  await sonic('reboot');
  await elapse(lab, 20_000_000);
  t.same(admin(), [true, false], 'what was saved is what it boots with');
  t.match(await sonic('config list-checkpoints'), { stdout: '[\n    "before"\n]\n' });
});

void t.test('a lab may lack programs, and a command that waits answers when it is done', async t => {
  const lab = await start({ without: { 'span-north': ['flock'], 'a-spine-1': ['systemd'] } });
  const other = await start();
  t.match(await run(lab, 'span-north', 'command -v flock'), { code: 1 });
  t.match(await run(lab, 'a-host-1', 'command -v flock'), { code: 0, stdout: '/usr/bin/flock\n' });
  t.match(await run(lab, 'a-spine-1', '[ -d /run/systemd/system ] || systemctl stop x.timer'), { code: 127 });
  t.match(await run(other, 'a-spine-1', '[ -d /run/systemd/system ]'), { code: 0 });
  t.not(
    (await run(lab, 'a-host-1', 'cat /proc/sys/kernel/random/boot_id')).stdout,
    (await run(other, 'a-host-1', 'cat /proc/sys/kernel/random/boot_id')).stdout,
  );
  const began = performance.now();
  const [slow, quick] = await Promise.all([
    run(lab, 'b-host-1', 'sleep 0.3; echo slept'),
    run(lab, 'b-host-1', 'echo quick').then(answer => ({ ...answer, atMs: performance.now() - began })),
  ]);
  t.match(
    [slow, quick],
    [
      { code: 0, stdout: 'slept\n' },
      { code: 0, stdout: 'quick\n' },
    ],
  );
  t.ok(quick.atMs < performance.now() - began, 'one session does not wait for another');
  const client = new ssh2.Client();
  client.on('ready', () => client.exec('sleep 0.2; echo late > /tmp/late', () => client.destroy()));
  client.connect({
    host: '127.0.0.1',
    port: lab.devices.find(({ name }) => name === 'b-host-1')?.sshPort ?? 0,
    username: lab.secrets.user,
    privateKey: readFileSync(lab.secrets.keyFile),
  });
  while (!lab.device('b-host-1').files('/tmp').has('late') && performance.now() - began < 5000) await sleep(10);
  t.match(await run(lab, 'b-host-1', 'cat /tmp/late'), { stdout: 'late\n' }, 'a session that is gone ends no command');
  await t.rejects(start({ without: { nobody: ['flock'] } }), /has no device nobody/);
});
