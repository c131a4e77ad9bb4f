import t from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import type { Host } from '../../../harness/binding/host.ts';
import type { SpanShaper } from '../../../harness/binding/span-shaper.ts';
import type { RawPortCounters, Switch } from '../../../harness/binding/switch.ts';
import { pfcPauseKpi } from '../../../harness/checks/pfc-pause.ts';
import { flap } from '../../../harness/faults/span-flap.ts';
import { endProcess } from '../../../harness/drivers/linux/detached-job.ts';
import { MaybeApplied, type Shell } from '../../../harness/drivers/ssh.ts';
import type { Baseline } from '../../../harness/lab/baseline.ts';
import { CounterHistory } from '../../../harness/lab/counter-history.ts';
import { inject } from '../../../harness/lab/inject.ts';
import { labTestbed } from '../../../harness/lab/lab-testbed.ts';
import { observeAll, sampleSwitches } from '../../../harness/lab/observe.ts';
import type { OpenLab } from '../../../harness/lab/open-lab.ts';
import type { RecordLine, RunLine } from '../../../harness/model/record.ts';
import { runView } from '../../../harness/run/run-view.ts';
import { fabric, handMadeRun } from '../hand-made-run.ts';

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
        { rxBytes: 0, pausedNs: 0, queuePeakBytes: 4096, operUp: true },
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

void t.test('a flap whose start was not answered may still run, and is said', async t => {
  const counters = async () => ({ packets: 0n, bytes: 0n, dropped: 0n });
  const state = { light: true, delayNs: 4e5, loss: 0, raw: '' };
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
  const said: string[] = [];
  const baseline: Baseline = { shaper: () => state, adminUp: () => true };
  await t.rejects(
    inject({
      lab,
      baseline,
      fault: flap(lab.topology.spans['north']!, { every: '100 ms', down: '10 ms' }),
      id: '1-span-flap',
      unsure: words => void said.push(words),
    }),
    /the session ended/,
  );
  t.match(said, [/^box-1 may still flap span north: .*the session ended before an answer/]);
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
    const testbed = await labTestbed({ lab, baseline, close: async () => {} });
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
  const end = (shell: Shell): Promise<void> => endProcess(shell, { pid: 77, signal: 'TERM', withinMs: 1 });
  await t.resolves(end(answering(1, 'sh: 1: kill: No such process')));
  await t.rejects(end(answering(1, 'sh: 1: kill: Operation not permitted')), /box-1: kill -0 77 failed/);
  await t.rejects(end(answering(127, 'kill: not found')), /whether process 77 still runs/);
  await t.rejects(end(answering(null, '')), /whether process 77 still runs/);
});
