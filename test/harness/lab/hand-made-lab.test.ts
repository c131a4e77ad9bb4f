import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import type { Host } from '../../../harness/binding/host.ts';
import type { SpanShaper } from '../../../harness/binding/span-shaper.ts';
import type { RawPortCounters, Switch } from '../../../harness/binding/switch.ts';
import { pfcPauseKpi } from '../../../harness/checks/pfc-pause.ts';
import { queuePeakKpi } from '../../../harness/checks/queue-peak.ts';
import { linkDown } from '../../../harness/faults/link-down.ts';
import { flap } from '../../../harness/faults/span-flap.ts';
import { endProcess } from '../../../harness/drivers/linux/detached-job.ts';
import { MaybeApplied, type Shell } from '../../../harness/drivers/ssh.ts';
import type { Baseline } from '../../../harness/lab/baseline.ts';
import { CounterHistory } from '../../../harness/lab/counter-history.ts';
import { inject } from '../../../harness/lab/inject.ts';
import { labTestbed } from '../../../harness/lab/lab-testbed.ts';
import { listenForTraps } from '../../../harness/lab/listen-for-traps.ts';
import { observeAll, sampleSwitches } from '../../../harness/lab/observe.ts';
import type { OpenLab } from '../../../harness/lab/open-lab.ts';
import { type ProbeRoute, runProbes } from '../../../harness/lab/run-probes.ts';
import type { PortCounters, RecordLine, RunLine } from '../../../harness/model/record.ts';
import { linkBetween } from '../../../harness/model/topology.ts';
import { runView } from '../../../harness/run/run-view.ts';
import { openGuard } from '../drivers/open-guard.ts';
import { fabric, handMadeRun } from '../hand-made-run.ts';
import { openKeep } from './open-keep.ts';

/** A lab of which only what a test hands in is there. Its clock stands at 60 ms. */
function labOf(parts: Partial<OpenLab>): { readonly lab: OpenLab; readonly lines: RecordLine[] } {
  const lines: RecordLine[] = [];
  const topology = fabric();
  const lab = {
    topology,
    epochNs: 0,
    clock: { kind: 'virtual', now: async () => 60e6, elapse: async () => true, truth: async () => [] },
    switches: new Map(),
    hosts: new Map(),
    shapers: new Map(),
    solution: {
      devices: new Map(),
      switches: new Set(topology.switches.map(({ name }) => name)),
      spans: new Map([['north', { device: 'box-1', reversed: false }]]),
      port: ({ node, port }) => ({ device: node, port }),
      portsOf: () => [{ name: 'up1', port: 'Ethernet0' }],
    },
    record: line => void lines.push(line),
    ...parts,
  } as OpenLab;
  return { lab, lines };
}

void t.test(
  'a switch that can not be read has null for every counter it showed, so no limit passes without it',
  async t => {
    let answers = true;
    const readings: RawPortCounters = { rxBytes: 100n, pausedNs: 5000n, queuePeakBytes: 4096n, operUp: true };
    const read = async (): Promise<ReadonlyMap<string, RawPortCounters>> => {
      if (!answers) throw new Error('no answer');
      return new Map([['Ethernet0', readings]]);
    };
    const { lab, lines } = labOf({
      switches: new Map([['a-leaf-1', { counters: read, sample: read } as unknown as Switch]]),
    });
    const options = { lab, history: new CounterHistory(), quiet: new Map<string, number>() };
    await observeAll(options);
    options.history.baselineTaken();
    answers = false;
    await observeAll(options);
    await sampleSwitches(options);
    t.same(
      lines.map(line => line.kind === 'counters' && line.ports['up1']),
      [
        { rxBytes: 0, pausedNs: 0, queuePeakAtMostBytes: 4096, operUp: true },
        { rxBytes: null, pausedNs: null, queuePeakBytes: null, operUp: null },
        { rxBytes: null, operUp: null },
      ],
      'a sample is silent about what it never brings, and about what the port does not have',
    );

    // Readings of a switch that never answered during the cut, beside one that did.
    const run = handMadeRun({ expect: [] });
    const at = run.findIndex(line => line.kind === 'fault');
    const unread = lines[1] as RecordLine;
    const fine = (pausedNs: number, atNs: number): RecordLine => ({
      kind: 'counters',
      atNs,
      node: 'b-leaf-1',
      ports: { up1: { pausedNs } },
    });
    const seen = [
      ...run.slice(0, at),
      { ...unread, atNs: 50e6 } as RecordLine,
      fine(0, 50e6),
      ...run.slice(at, at + 1),
      { ...unread, atNs: 99e6 } as RecordLine,
      fine(0, 99e6),
      ...run.slice(at + 1),
    ];
    t.match(pfcPauseKpi.measure(runView(run[0] as RunLine, seen), 'northCut'), { samples: [0], expected: 2 });
  },
);

void t.test('a flap whose start was not answered may run: its undo is sent, and the box read back', async t => {
  const counters = async () => ({ packets: 0n, bytes: 0n, dropped: 0n });
  const state = { light: true, delayNs: 4e5, loss: 0, queue: { kind: 'netem', limitPackets: 1000 }, raw: '' };
  const shaper = {
    counters,
    read: async () => state,
    flap: async () => Promise.reject(new Error('the session ended before an answer')),
  } as unknown as SpanShaper;
  const ports = async () => new Map([['span', { adminUp: true, operUp: true }]]);
  const device = { ports } as unknown as Switch;
  const { lab } = labOf({
    shapers: new Map([['north', shaper]]),
    switches: new Map([
      ['a-spine-1', device],
      ['b-spine-1', device],
    ]),
  });
  const sent: string[] = [];
  const keep = openKeep(lab, {
    devices: { 'box-1': { kind: 'span', driver: shaper } },
    undo: async (on, line) => void sent.push(`${on}: ${line}`),
  });
  const baseline: Baseline = { shaper: () => state, adminUp: () => true };
  await t.rejects(
    inject({
      lab,
      keep,
      baseline,
      fault: flap(lab.topology.spans['north']!, { every: '100 ms', down: '10 ms' }),
      id: '1-span-flap',
    }),
    /the session ended/,
  );
  t.same(keep.states, ['1-span-flap intended', '1-span-flap armed', '1-span-flap healing', '1-span-flap closed']);
  t.match(
    sent[0],
    /^box-1: p=\$\(cat \/run\/farspan\/jobs\/1-span-flap /,
    'the loop is ended by its name, without a process id',
  );
  t.same(sent.slice(-2), ['box-1: ip link set dev eth2 up', 'box-1: ip link set dev eth1 up']);
});

void t.test('a load whose start was sent and not answered may still run: the lab is not clean', async t => {
  for (const cause of [new MaybeApplied('the connection was lost'), undefined]) {
    const host = {
      counters: async () => ({}),
      throttled: async () => [],
      startCollective: async () => Promise.reject(new DeviceError('a-host-1', 'mpirun', 'lost', 'look', cause)),
    } as unknown as Host;
    const { lab } = labOf({
      topology: { ...fabric(1), spans: {} as never },
      hosts: new Map([
        ['a-host-1', host],
        ['b-host-1', host],
      ]),
    });
    const devices = Object.fromEntries(['a-host-1', 'b-host-1'].map(name => [name, { address: '198.18.0.1' }]));
    Object.assign(lab, { inventory: { name: 'hand-made', devices } });
    Object.assign(lab.solution, { devices: new Map(lab.topology.hosts.map(({ name }) => [name, name])) });
    const baseline = {} as Baseline;
    const audit = { unread: [], begin: () => () => {}, check: async () => {}, end: async () => [] };
    const keep = openKeep(lab, { devices: {} });
    const testbed = await labTestbed({ lab, keep, baseline, audit, close: async () => [] });
    await t.rejects(testbed.start({ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'ring' }), /mpirun failed: lost/);
    const { dirty } = await testbed.release();
    if (cause) t.match(dirty, [/^the load may have started and still run: a-host-1: mpirun failed/]);
    else t.same(dirty, [], 'what was never sent is not there');
  }
});

void t.test('a process that may not be signalled has not ended', async t => {
  const answering = (exitCode: number | null, stderr: string): Shell => ({
    device: 'box-1',
    run: async () => ({ exitCode, stdout: '', stderr, truncated: false, wholeLineBytes: 0 }),
    close: async () => {},
  });
  const end = (shell: Shell): Promise<void> =>
    endProcess(shell, openGuard(shell), { pid: 77, signal: 'TERM', withinMs: 1 });
  await t.resolves(end(answering(1, 'sh: 1: kill: No such process')));
  await t.rejects(end(answering(1, 'sh: 1: kill: Operation not permitted')), /box-1: kill -0 77 failed/);
  await t.rejects(end(answering(127, 'kill: not found')), /whether process 77 still runs/);
  await t.rejects(end(answering(null, '')), /whether process 77 still runs/);
});

void t.test('a watermark that nobody clears charges its peak to one phase only', async t => {
  const history = new CounterHistory();
  const at = { node: 'a-leaf-1', port: 'up1', atNs: 0 };
  const read = (bytes: bigint | null) => history.since(at, { queuePeakBytes: bytes });
  const first = read(300n).counters;
  history.baselineTaken();
  t.same(first, { queuePeakAtMostBytes: 300 }, 'nobody knows since when');
  const rose = read(9000n).counters;
  t.same(rose, { queuePeakBytes: 9000 });
  const stayed = read(9000n).counters;
  t.same(stayed, { queuePeakAtMostBytes: 9000 });
  t.same(read(null).counters, { queuePeakBytes: null });
  t.same(read(9500n).counters, { queuePeakAtMostBytes: 9500 }, 'it may have risen before the reading that failed');
  history.missed(at);
  t.same(read(9600n).counters, { queuePeakAtMostBytes: 9600 }, 'nor when the whole switch was silent');
  t.same(
    read(10n),
    { counters: { queuePeakBytes: null }, anew: [], breaks: ['queuePeakBytes went backwards'] },
    'cleared by somebody: what was before the clear is lost',
  );
  t.same(read(20n).counters, { queuePeakBytes: 20 });
  history.missed(at);
  history.breakNode('a-leaf-1');
  t.same(
    read(700n),
    { counters: { queuePeakBytes: null }, anew: [], breaks: [] },
    'what was before the reboot is lost',
  );
  t.same(read(800n).counters, { queuePeakBytes: 800 });
  t.same(new CounterHistory().since(at, { queuePeakBytes: 0n }).counters, { queuePeakBytes: 0 }, 'at most 0 is 0');

  const measure = (counters: readonly [PortCounters, PortCounters]) => {
    const run = handMadeRun({ expect: [], world: 'emulated', counters });
    return queuePeakKpi.measure(runView(run[0] as RunLine, run), 'northCut');
  };
  t.match(measure([first, rose]), { samples: [9000], expected: 1 });
  t.match(measure([rose, stayed]), { samples: [], expected: 1, atMost: 9000 }, 'the peak was in the phase before');
});

void t.test('a link that is put up and stays dark is not healed; one that trains for a while is', async t => {
  for (const [trains, verified] of [
    [300e6, true],
    [Number.POSITIVE_INFINITY, false],
  ] as const) {
    let nowNs = 0;
    let adminUp = true;
    let upAtNs = 0;
    const device = (own: boolean) =>
      ({
        setPort: async (_: string, state: 'up' | 'down') => {
          if (state === 'up' && !adminUp) upAtNs = nowNs + trains;
          adminUp = state === 'up';
        },
        ports: async () =>
          new Map([
            [own ? 'Ethernet16' : 'Ethernet0', { adminUp: own ? adminUp : true, operUp: adminUp && nowNs >= upAtNs }],
          ]),
      }) as unknown as Switch;
    const { lab } = labOf({
      switches: new Map([
        ['a-leaf-1', device(true)],
        ['a-spine-1', device(false)],
      ]),
      clock: {
        kind: 'virtual',
        now: async () => nowNs,
        elapse: async ({ forNs }) => ((nowNs += forNs), true),
        truth: async () => [],
      },
    });
    const port = ({ node }: { readonly node: string }) => ({
      device: node,
      port: node === 'a-leaf-1' ? 'Ethernet16' : 'Ethernet0',
    });
    Object.assign(lab.solution, { port });
    const link = linkBetween(lab.topology, 'a-leaf-1', 'a-spine-1');
    const baseline = { adminUp: () => true } as unknown as Baseline;
    const keep = openKeep(lab, {
      devices: { 'a-leaf-1': { kind: 'switch', driver: device(true) } },
      undo: (_, line) => device(true).setPort('Ethernet16', line.includes('startup') ? 'up' : 'down'),
    });
    const injected = await inject({ lab, keep, baseline, fault: linkDown(link), id: '1-link-down' });
    const healed = await injected.heal();
    t.equal(healed.verified, verified);
    if (verified) t.ok(healed.healedNs >= 300e6 && healed.healedNs < 1e9, `${healed.healedNs} ns`);
    else {
      t.equal(
        healed.observed,
        'a-leaf-1 port Ethernet16 administratively up; a-leaf-1 port Ethernet16 is down; a-spine-1 port Ethernet0 is down',
      );
      t.match(healed.manual, /sudo config interface startup Ethernet16/);
      t.ok(healed.healedNs >= 1e9 && healed.healedNs < 1.1e9, 'it is waited for once');
      t.same(keep.quarantined, ['a-leaf-1']);
    }
  }
});

void t.test('a probe or its receiver whose start was not answered may still run, and is said', async t => {
  const lost = new DeviceError('host', 'iperf3', 'lost', 'look', new MaybeApplied('the connection was lost'));
  const route: ProbeRoute = {
    span: 'north',
    direction: 'a-to-b',
    source: 'a-host-1',
    target: 'b-host-1',
    sourcePort: 49152,
    targetPort: 5201,
  };
  const play = async (parts: { readonly source?: Partial<Host>; readonly target?: Partial<Host> }) => {
    const receiver = { port: 5201, received: async () => 0, stop: async () => {} };
    const { lab } = labOf({
      hosts: new Map([
        ['a-host-1', { startProbe: async () => Promise.reject(new Error('refused')), ...parts.source } as Host],
        ['b-host-1', { receiveProbe: async () => receiver, ...parts.target } as Host],
      ]),
    });
    const devices = Object.fromEntries(['a-host-1', 'b-host-1'].map(name => [name, { address: '198.18.0.1' }]));
    Object.assign(lab, { inventory: { name: 'hand-made', devices } });
    Object.assign(lab.solution, { devices: new Map(lab.topology.hosts.map(({ name }) => [name, name])) });
    const said: string[] = [];
    const unsure = (words: string): void => void said.push(words);
    const options = { routes: [route], phase: 'steady', packetsPerSecond: 1000, delayNs: () => 0, unsure };
    await t.rejects(runProbes(lab, options));
    return said;
  };
  t.same(await play({}), [], 'what was refused does not run');
  t.match(await play({ source: { startProbe: async () => Promise.reject(lost) } }), [
    /^the probe on a-host-1 may have started and still run: .*lost/,
  ]);
  t.match(await play({ target: { receiveProbe: async () => Promise.reject(lost) } }), [
    /^the probe receiver on b-host-1 may have started and still run: .*lost/,
  ]);
  const deaf = { port: 5201, received: async () => 0, stop: async () => Promise.reject(new Error('no answer')) };
  t.match(await play({ target: { receiveProbe: async () => deaf } }), [
    /^the probe receiver on b-host-1 may still run: no answer/,
  ]);
});

void t.test('a flood of traps costs 20 lines a second, and one that says how many more came', async t => {
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const free = createSocket('udp4').bind(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address();
  free.close();
  await once(free, 'close');
  let asked = 0;
  const { lab, lines } = labOf({
    clock: { kind: 'virtual', now: async () => ++asked, elapse: async () => true, truth: async () => [] },
  });
  Object.assign(lab, {
    inventory: { name: 'hand-made', devices: {}, credentials: {}, traps: { host: '127.0.0.1', port } },
  });
  let wallMs = 0;
  const traps = await listenForTraps(lab, { env: {}, wallMs: () => wallMs });
  const send = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++)
      await new Promise<void>(done => {
        socket.send('no trap at all', port, '127.0.0.1', () => done());
      });
    await sleep(100);
  };
  await send(60);
  t.equal(lines.length, 20);
  wallMs = 1000;
  await send(1);
  await traps.close();
  t.same(
    lines.slice(20).map(line => line.kind === 'event' && line.what.replace(/: .*/, '')),
    ['40 more traps, not written', 'refused'],
  );
  t.equal(asked, 22, 'one request to the clock for each line');
});
