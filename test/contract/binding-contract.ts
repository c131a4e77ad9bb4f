import type { Test } from 'tap';
import type { Binding } from '../../harness/binding/binding.ts';
import type { Testbed } from '../../harness/binding/testbed.ts';
import type { Fault } from '../../harness/model/fault.ts';
import type { Load } from '../../harness/model/load.ts';
import type { RecordLine } from '../../harness/model/record.ts';
import type { Topology } from '../../harness/model/topology.ts';

export interface BindingContractOptions {
  readonly topology: Topology;
  /** A load with rounds. */
  readonly load: Load;
  /** Longest that three rounds of it may take, also just after a fault was healed; ns of testbed time. */
  readonly roundsWithinNs: number;
  /** How long a fault is left in force: beyond detection and failover; ns of testbed time. */
  readonly faultForNs: number;
  /** How long after a heal everything has settled; ns of testbed time. */
  readonly settleNs: number;
  /** Injected, witnessed and healed one after the other. */
  readonly faults: readonly Fault[];
  /** Options of the world that a good reservation needs. */
  readonly options?: Readonly<Record<string, string>>;
  /** How much a round may differ from another on a healthy fabric; fraction of 1. Default 5 %. */
  readonly tolerance?: number;
  /** Whether calls other than `elapse` take no testbed time at all: true where time is virtual. */
  readonly virtual: boolean;
}

interface Reserved {
  readonly testbed: Testbed;
  readonly lines: RecordLine[];
  readonly of: <K extends RecordLine['kind']>(kind: K) => Extract<RecordLine, { kind: K }>[];
}

/** What every world keeps to, whatever it is made of. */
export function bindingContract(t: Test, name: string, binding: Binding, options: BindingContractOptions): void {
  const { topology, load, roundsWithinNs, faultForNs, settleNs, faults, virtual, tolerance = 0.05 } = options;

  async function reserve(extra: Readonly<Record<string, string>> = {}): Promise<Reserved> {
    const lines: RecordLine[] = [];
    const testbed = await binding.reserve(topology, {
      seed: 1,
      record: line => lines.push(line),
      step: () => {},
      options: { ...options.options, ...extra },
    });
    return {
      testbed,
      lines,
      of: <K extends RecordLine['kind']>(kind: K) =>
        lines.filter((line): line is Extract<RecordLine, { kind: K }> => line.kind === kind),
    };
  }

  const spans = Object.keys(topology.spans);

  void t.test(`${name}: an unknown option is refused by name, with the known ones`, async t => {
    await t.rejects(reserve({ 'no-such-option': '1' }), { message: /no-such-option.*[Kk]nown/s });
  });

  void t.test(`${name}: the reservation says which device plays which node`, async t => {
    const { testbed, of } = await reserve();
    t.teardown(() => testbed.release());
    const [line, ...more] = of('testbed');
    t.same(more, [], 'once');
    const nodes = [...topology.hosts, ...topology.switches].map(node => node.name).sort();
    const seen = (line?.devices ?? []).map(({ node }) => node);
    t.same(
      nodes.filter(node => !seen.includes(node)),
      [],
      'every node has its device',
    );
    t.equal(testbed.name, line?.name);
  });

  void t.test(`${name}: time passes only when asked, and rounds are written`, async t => {
    const { testbed, of } = await reserve();
    t.teardown(() => testbed.release());
    const first = await testbed.now();
    t.ok(first >= 0);
    const running = await testbed.start(load);
    await testbed.observe();
    if (virtual) t.equal(await testbed.now(), first, 'starting and observing take no time');
    t.equal(await testbed.elapse({ round: 3, withinNs: roundsWithinNs }), true);
    t.ok((await running.rounds()) >= 3);
    const rounds = of('round');
    t.ok(rounds.length >= 3, 'each is in the record');
    t.same(
      rounds.map(({ round }) => round),
      rounds.map((_, i) => i),
      'numbered from 0 without a gap',
    );
    t.ok(rounds.every(({ beginNs, endNs, busbwBps }) => endNs > beginNs && busbwBps > 0));
    t.ok(rounds.every(({ wrong }) => wrong === 0 || wrong === null));
    const before = await testbed.now();
    t.equal(await testbed.elapse({ round: 1, withinNs: roundsWithinNs }), true, 'what has happened is not waited for');
    if (virtual) t.equal(await testbed.now(), before);
    t.equal(await testbed.elapse({ forNs: 1e6 }), true);
    t.ok((await testbed.now()) >= before + 1e6);
    t.equal(await testbed.elapse({ round: 1e6, withinNs: 1e6 }), false, 'a round that is far off is given up in time');
    const nodes = new Set(of('counters').map(({ node }) => node));
    for (const { name: node } of topology.switches) t.ok(nodes.has(node), `${node} was observed`);
    await running.stop();
    await running.stop();
  });

  void t.test(`${name}: probes of a healthy fabric lose nothing`, async t => {
    const { testbed, of } = await reserve();
    t.teardown(() => testbed.release());
    const probes = await testbed.probe({ phase: 'calm', packetsPerSecond: 1000 });
    await testbed.elapse({ forNs: Math.max(20e6, settleNs / 10) });
    await probes.stop();
    await probes.stop();
    const lines = of('probe');
    t.equal(lines.length, spans.length === 0 ? 2 : 2 * spans.length, 'one flow per span and direction, written once');
    for (const { span, direction, sent, received, phase } of lines) {
      t.ok(sent > 0, `${span} ${direction} sent ${sent}`);
      t.equal(received, sent, `${span} ${direction}`);
      t.equal(phase, 'calm');
    }
  });

  for (const fault of faults) {
    void t.test(`${name}: ${fault.kind} is real, healed, verified, and leaves the fabric as it was`, async t => {
      const { testbed, of } = await reserve();
      t.teardown(() => testbed.release());
      t.equal(testbed.refuses(fault), undefined);
      const running = await testbed.start(load);
      await testbed.elapse({ round: 2, withinNs: roundsWithinNs });
      const injected = await testbed.inject(fault, 'f1');
      await testbed.elapse({ forNs: faultForNs });
      await injected.witness();
      const effects = of('effect');
      t.ok(effects.length > 0, 'somebody looked');
      t.ok(
        effects.every(effect => effect.fault === 'f1' && effect.real !== false),
        JSON.stringify(effects),
      );
      t.ok(
        effects.some(({ real }) => real === true),
        'and saw it',
      );
      const healed = await injected.heal();
      t.equal(healed.verified, true, `expected ${healed.expected}, observed ${healed.observed}`);
      t.same(await injected.heal(), healed, 'healing twice is healing once');
      await testbed.elapse({ forNs: settleNs });
      const done = await running.rounds();
      t.equal(await testbed.elapse({ round: done + 3, withinNs: roundsWithinNs }), true, 'the job goes on');
      const rates = of('round').map(({ busbwBps }) => busbwBps);
      const [before, after] = [rates[1] ?? Number.NaN, rates[done + 2] ?? Number.NaN];
      t.ok(Math.abs(after - before) <= tolerance * before, `${after} b/s is as before, ${before} b/s`);
      await running.stop();
      t.same(await testbed.release(), { dirty: [] });
    });
  }

  void t.test(`${name}: release heals what is left, and may be called twice`, async t => {
    const { testbed } = await reserve();
    const [fault] = faults;
    if (fault) await testbed.inject(fault, 'left');
    const released = await testbed.release();
    t.same(released, { dirty: [] });
    t.same(await testbed.release(), released);
  });

  void t.test(`${name}: what the topology does not have is refused in words`, async t => {
    const { testbed } = await reserve();
    t.teardown(() => testbed.release());
    const [a, b] = topology.switches;
    if (!a || !b) return;
    const stranger: Fault = { kind: 'switch-reboot', switch: { ...a, name: 'no-such-switch' }, takes: '1 s' };
    t.match(testbed.refuses(stranger), /no-such-switch/);
    t.equal(testbed.refuses(load), undefined);
  });
}
