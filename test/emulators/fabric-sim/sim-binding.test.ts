import t from 'tap';
import sim from '../../../emulators/fabric-sim/binding.ts';
import type { Testbed } from '../../../harness/binding/testbed.ts';
import type { Fault } from '../../../harness/model/fault.ts';
import type { Load } from '../../../harness/model/load.ts';
import type { RecordLine } from '../../../harness/model/record.ts';
import { linkBetween, switchNamed, type Topology } from '../../../harness/model/topology.ts';
import { bindingContract } from '../../contract/binding-contract.ts';
import { pair, rack } from './hand-made.ts';

const MS = 1e6;
const fabric = pair({ ranksPerSite: 2, north: '10 km', south: '10 km' });
const ring: Load = { kind: 'all-reduce', bytes: '8 MiB', algorithm: 'ring' };
const { north } = fabric.spans;

const cut = (change: Partial<Extract<Fault, { kind: 'span-cut' }>> = {}): Fault => ({
  kind: 'span-cut',
  span: north,
  direction: 'both',
  light: 'lost',
  ...change,
});
const FAULTS: readonly Fault[] = [
  cut(),
  cut({ light: 'kept' }),
  cut({ direction: 'b-to-a' }),
  cut({ direction: 'a-to-b', light: 'kept' }),
  { kind: 'span-flap', span: north, every: '40 ms', down: '15 ms', light: 'lost' },
  { kind: 'span-flap', span: north, every: '30 ms', down: '5 ms', light: 'kept' },
  { kind: 'span-degrade', span: north, direction: 'a-to-b', amount: { loss: '1 %' } },
  { kind: 'span-degrade', span: north, direction: 'both', amount: { ber: 1e-7 } },
  { kind: 'protection-switch', span: north, outage: '20 ms', detour: '50 km' },
  { kind: 'link-down', link: linkBetween(fabric, 'a-leaf', 'a-spine-1') },
  { kind: 'switch-reboot', switch: switchNamed(fabric, 'b-spine-2'), takes: '30 ms' },
];

bindingContract(t, 'sim', sim, {
  topology: fabric,
  load: ring,
  roundsWithinNs: 100 * MS,
  faultForNs: 50 * MS,
  settleNs: 60 * MS,
  faults: FAULTS,
  virtual: true,
});

async function reserve(
  topology: Topology,
  options: Readonly<Record<string, string>> = {},
  seed = 1,
  signal?: AbortSignal,
) {
  const lines: RecordLine[] = [];
  const testbed = await sim.reserve(topology, {
    seed,
    record: line => lines.push(line),
    step: () => {},
    options,
    ...(signal && { signal }),
  });
  const of = <K extends RecordLine['kind']>(kind: K) =>
    lines.filter((line): line is Extract<RecordLine, { kind: K }> => line.kind === kind);
  return { testbed, lines, of };
}

/** A small run of everything: probes, a load, a cut, samples. */
async function run(testbed: Testbed): Promise<void> {
  const running = await testbed.start({ kind: 'incast', bytes: '1 MiB', senders: 3 });
  const probes = await testbed.probe({ phase: 'one', packetsPerSecond: 20_000 });
  await testbed.observe();
  const injected = await testbed.inject(cut(), 'f1');
  await testbed.elapse({ forNs: 30 * MS });
  await injected.witness();
  await probes.stop();
  await injected.heal();
  await testbed.elapse({ round: (await running.rounds()) + 5, withinNs: 50 * MS });
  await running.stop();
}

void t.test('one seed is one record, byte for byte; another seed is another', async t => {
  const records: string[] = [];
  for (const seed of [7, 7, 8]) {
    const { testbed, lines } = await reserve(fabric, {}, seed);
    await run(testbed);
    await testbed.release();
    records.push(lines.map(line => JSON.stringify(line)).join('\n'));
  }
  t.ok((records[0]?.length ?? 0) > 10_000);
  t.ok(records[0] === records[1], 'the same bytes');
  t.not(records[0], records[2]);
});

void t.test('options are checked', async t => {
  await t.rejects(reserve(fabric, { defect: 'no-such' }), /no defect "no-such". Known: ecn-off/);
  for (const words of ['0', '1.5', '65', '-1', 'many', '1e1', ''])
    await t.rejects(reserve(fabric, { trainPackets: words }), /from 1 to 64/);
  const { testbed } = await reserve(fabric, { trainPackets: '1', defect: 'ecn-off' });
  t.equal(testbed.measured, false);
  await t.rejects(testbed.elapse({ round: 1, withinNs: 1 }), /No load runs/);
  await t.rejects(testbed.elapse({ forNs: -1 }), RangeError);
  await testbed.release();
  await t.rejects(testbed.start(ring), /given back/);
});

void t.test('a probe crosses its own span and converges when that is cut', async t => {
  const { testbed, of } = await reserve(fabric);
  const probes = await testbed.probe({ phase: 'northCut', packetsPerSecond: 20_000 });
  const injected = await testbed.inject(cut(), 'f1');
  await testbed.elapse({ forNs: 60 * MS });
  const stopNs = await testbed.now();
  await probes.stop();
  const lost = Object.fromEntries(
    of('probe').map(({ span, direction, sent, received }) => [`${span} ${direction}`, sent - received]),
  );
  // BFD at 9.9 ms is faster than loss of light; + 2 ms + 5 ms: 16.9 ms at 20 packets a millisecond, and what was in 10 km of fibre (49 us).
  for (const way of ['a-to-b', 'b-to-a'])
    t.ok(Math.abs((lost[`north ${way}`] ?? Number.NaN) - 339) <= 2, `north ${way} lost ${lost[`north ${way}`]}`);
  t.equal(lost['south a-to-b'], 0);
  t.equal(lost['south b-to-a'], 0);
  t.ok(
    of('probe').every(({ endNs }) => endNs === stopNs),
    'the flow ends when it is stopped, not when it is drained',
  );
  t.ok(of('event').some(({ node, what }) => node === 'a-spine-1' && what === 'link-down span'));

  const again = await testbed.probe({ phase: 'still', packetsPerSecond: 1000 });
  await again.stop();
  t.equal(of('probe').filter(({ phase }) => phase === 'still').length, 2, 'a span that carries nothing has no probe');
  t.equal(
    of('event').filter(({ what }) => what.startsWith('no probe over span north')).length,
    2,
    'and the record says so',
  );
  await injected.heal();
  t.same(await testbed.release(), { dirty: [] });
});

void t.test('without spans the first and the last host probe each other', async t => {
  const { testbed, of } = await reserve(rack({ hosts: 3 }));
  const probes = await testbed.probe({ phase: 'one', packetsPerSecond: 10_000 });
  await testbed.elapse({ forNs: 10 * MS });
  await probes.stop();
  t.same(
    of('probe').map(({ source, target, sent, received }) => [source, target, sent, received]),
    [
      ['h1', 'h3', 101, 101],
      ['h3', 'h1', 101, 101],
    ],
  );
  await testbed.release();
});

void t.test('a job without failover stalls, and the deadline says so', async t => {
  const { testbed, of } = await reserve(fabric, { defect: 'no-failover' });
  const running = await testbed.start(ring);
  t.equal(await testbed.elapse({ round: 2, withinNs: 50 * MS }), true);
  for (const span of Object.values(fabric.spans)) await testbed.inject(cut({ span }), `f-${span.name}`);
  const before = await testbed.now();
  const done = await running.rounds();
  t.equal(await testbed.elapse({ round: done + 2, withinNs: 200 * MS }), false);
  t.equal((await testbed.now()) - before, 200 * MS, 'at its deadline, not later');
  t.ok(
    of('flow')
      .filter(({ atNs }) => atNs > before + 50 * MS)
      .every(({ rateBps }) => rateBps === 0),
  );
  t.same(await testbed.release(), { dirty: [] }, 'release heals both');
});

void t.test('samples of a phase are bounded, however long it is', async t => {
  const { testbed, of } = await reserve(rack({ hosts: 3 }));
  await testbed.start({ kind: 'flow-doubling', flows: 1, join: '2 ms' });
  const play = async (slices: number, forNs: number) => {
    const probes = await testbed.probe({ phase: 'p', packetsPerSecond: 1000 });
    const from = of('flow').length;
    const readings = of('counters').length;
    for (let slice = 0; slice < slices; slice++) await testbed.elapse({ forNs });
    await probes.stop();
    const flows = of('flow').slice(from);
    return {
      windows: new Set(flows.map(({ atNs }) => atNs)).size,
      readings: (of('counters').length - readings) / 4,
      flows,
    };
  };
  const usual = await play(20, 0.5 * MS);
  t.ok(usual.windows >= 350 && usual.windows <= 400, `${usual.windows} windows in a phase of 20 slices`);
  t.ok(usual.readings >= 30 && usual.readings <= 40, `${usual.readings} readings`);
  t.same(new Set(usual.flows.map(({ flow }) => flow)), new Set(['h2->h1', 'h3->h1']));
  const delivered = usual.flows.reduce((sum, { rateBps, windowNs }) => sum + (rateBps * windowNs) / 8e9, 0);
  t.ok(
    delivered > 0.8 * 12.25e6 * 10 && delivered <= 12.26e6 * 10,
    `${delivered} B in 10 ms at 98.04 Gb/s, no gap and no overlap`,
  );
  const long = await play(200, 0.05 * MS);
  t.ok(
    long.windows <= 400 && long.windows > 100,
    `${long.windows} windows in a phase ten times as long as its first slice promised`,
  );
  await testbed.release();
});

void t.test('counters are since the reservation, and null while a switch boots', async t => {
  const { testbed, of } = await reserve(fabric);
  await testbed.start(ring);
  await testbed.elapse({ forNs: 5 * MS });
  await testbed.observe();
  const at = (node: string, port: string) =>
    of('counters')
      .filter(line => line.node === node)
      .at(-1)?.ports[port];
  const before = at('b-spine-2', 'span')?.rxBytes ?? 0;
  const injected = await testbed.inject(
    { kind: 'switch-reboot', switch: switchNamed(fabric, 'b-spine-2'), takes: '20 ms' },
    'f1',
  );
  await testbed.elapse({ forNs: 1 * MS });
  await testbed.observe();
  t.same(at('b-spine-2', 'span')?.rxBytes, null);
  t.same(at('b-spine-2', 'span')?.operUp, null);
  t.match(at('a-host-1', 'eth0'), {
    operUp: true,
    rxBytes: Number,
    pausedNs: Number,
    cnpSent: Number,
    cnpHandled: Number,
    outOfSequence: Number,
  });
  t.notOk(Object.hasOwn(at('a-host-1', 'eth0') ?? {}, 'queuePackets'), 'what a NIC does not count is absent');
  const healed = await injected.heal();
  t.ok(healed.verified && healed.healedNs >= 26 * MS, 'heal waits for the switch');
  t.match(healed.observed, /up, 2 ports up, 2 sessions established/);
  await testbed.observe();
  t.ok((at('b-spine-2', 'span')?.rxBytes ?? -1) >= before, 'what was counted before the reboot is not forgotten');
  t.same(await testbed.release(), { dirty: [] });
});

void t.test('faults on one span may overlap and be healed in any order', async t => {
  const { testbed } = await reserve(fabric);
  const silent = await testbed.inject(cut({ light: 'kept' }), 'f1');
  const flap = await testbed.inject(
    { kind: 'span-flap', span: north, every: '4 ms', down: '1 ms', light: 'lost' },
    'f2',
  );
  await t.rejects(testbed.inject(cut(), 'f2'), /in effect already/);
  await testbed.elapse({ forNs: 9 * MS });
  const first = await silent.heal();
  t.ok(first.verified, `${first.expected} / ${first.observed}`);
  await testbed.elapse({ forNs: 9 * MS });
  const second = await flap.heal();
  t.ok(second.verified);
  t.match(second.observed, /a-to-b passing, light on, b-to-a passing, light on/);
  await t.rejects(testbed.inject(cut({ span: { ...north, name: 'west' } }), 'f3'), /no span west/);
  t.same(await testbed.release(), { dirty: [] });
});

void t.test('a witness that looks before detection could act does not deny', async t => {
  const { testbed, of } = await reserve(fabric);
  const injected = await testbed.inject(cut(), 'f1');
  const before = await testbed.now();
  await injected.witness();
  t.equal(await testbed.now(), before);
  t.same(
    of('effect').map(({ witness, real }) => [witness, real]),
    [
      ['span north a-to-b', true],
      ['span north b-to-a', true],
      ['a-spine-1 span operStatus', null],
      ['b-spine-1 span operStatus', null],
    ],
  );
  await testbed.release();
});

void t.test('the event loop gets its turns, and an interruption is heard', async t => {
  const interrupt = new AbortController();
  const { testbed } = await reserve(pair({ ranksPerSite: 4 }), {}, 1, interrupt.signal);
  await testbed.start({ kind: 'all-to-all', bytes: '8 MiB' });
  const timer = setTimeout(() => interrupt.abort(new Error('interrupted by test')), 100);
  t.teardown(() => clearTimeout(timer));
  await t.rejects(testbed.elapse({ forNs: 100e9 }), /interrupted by test/);
  t.same(await testbed.release(), { dirty: [] }, 'and everything is still given back');
});
