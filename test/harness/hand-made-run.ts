import { allReduce } from '../../harness/loads/all-reduce.ts';
import { cut } from '../../harness/faults/span-cut.ts';
import { DEFAULT_FABRIC } from '../../harness/model/fabric-settings.ts';
import type { Check } from '../../harness/model/check.ts';
import type { Load } from '../../harness/model/load.ts';
import type { Plan } from '../../harness/model/plan.ts';
import type { PortCounters, RecordLine, RunLine } from '../../harness/model/record.ts';
import { cable, type Link, type Span, type Topology } from '../../harness/model/topology.ts';

const span = (name: string, index: number, length: Span['length']): Span => ({
  kind: 'span',
  name,
  ends: [
    { node: `a-spine-${index}`, port: 'span' },
    { node: `b-spine-${index}`, port: 'span' },
  ],
  rate: '400 Gb/s',
  length,
});

/**
 * Sites a and b: `ranks` hosts on one leaf, 100 Gb/s everywhere, one uplink to each of two spines; span north (80 km) joins the first
 * spines, south (120 km) the second. So two ranks' worth of traffic can leave a site, and one when a span is cut.
 */
export function fabric(ranks = 2): Topology<'north' | 'south'> {
  const sites = ['a', 'b'];
  const hosts = sites.flatMap(site =>
    Array.from({ length: ranks }, (_, i) => ({ kind: 'host' as const, name: `${site}-host-${i + 1}`, site })),
  );
  const links = sites.flatMap((site): Link[] => [
    ...Array.from({ length: ranks }, (_, i) =>
      cable(
        { node: `${site}-host-${i + 1}`, port: 'eth0' },
        { node: `${site}-leaf-1`, port: `host${i + 1}` },
        '100 Gb/s',
        '20 m',
      ),
    ),
    ...[1, 2].map(n =>
      cable(
        { node: `${site}-leaf-1`, port: `up${n}` },
        { node: `${site}-spine-${n}`, port: 'down' },
        '100 Gb/s',
        '20 m',
      ),
    ),
  ]);
  return {
    name: 'hand-made',
    sites,
    hosts,
    switches: sites.flatMap(site => [
      { kind: 'switch' as const, name: `${site}-leaf-1`, site, role: 'leaf' as const },
      { kind: 'switch' as const, name: `${site}-spine-1`, site, role: 'spine' as const },
      { kind: 'switch' as const, name: `${site}-spine-2`, site, role: 'spine' as const },
    ]),
    links,
    spans: { north: span('north', 1, '80 km'), south: span('south', 2, '120 km') },
    settings: DEFAULT_FABRIC,
  };
}

const MS = 1e6;

export interface HandMadeRun {
  readonly expect: readonly Check[];
  readonly load?: Load;
  readonly decision?: RunLine['decision'];
  readonly world?: string;
  readonly trainPackets?: number | null;
  readonly profile?: RunLine['profile'];
  /** Busbw of the rounds of each phase, Gb/s; each round takes 10 ms. Fewer than five: the phase ended at its deadline. */
  readonly steady?: readonly number[];
  readonly northCut?: readonly number[];
  readonly restored?: readonly number[];
  /** Packets lost by the probes during the cut, north a-to-b, north b-to-a, south a-to-b, south b-to-a; of 1,000 sent each at 20,000/s. */
  readonly lost?: readonly number[];
  /** What the witnesses of the cut said. */
  readonly real?: boolean | null;
  /** Counters of port `a-leaf-1 up1` at the beginning and at the end of the cut. */
  readonly counters?: readonly [PortCounters, PortCounters];
  /** How well the clocks of the fault's box and of the first host were read at each round's edge, ns. Absent: nobody read them. */
  readonly clockBoundNs?: number;
}

/**
 * A run of three phases of five rounds: steady from 0 to 50 ms, northCut to 100 ms, restored to 150 ms, in the order in which the
 * conductor writes. The cut is injected at 50 ms, at the beginning of round 5.
 */
export function handMadeRun(options: HandMadeRun): RecordLine[] {
  const topology = fabric();
  const fault = cut(topology.spans.north);
  const plan: Plan = {
    why: 'a record by hand',
    topology,
    load: options.load ?? allReduce({ bytes: '64 MiB' }),
    phases: {
      steady: { for: '5 rounds' },
      northCut: { for: '5 rounds', faults: [fault] },
      restored: { for: '5 rounds' },
    },
    expect: options.expect,
  };
  const five = [96, 96, 96, 96, 96];
  const rounds = (from: number, rates: readonly number[]): RecordLine[] =>
    rates.map((rate, i) => ({
      kind: 'round',
      round: from + i,
      beginNs: (from + i) * 10 * MS,
      endNs: (from + i + 1) * 10 * MS,
      busbwBps: rate * 1e9,
      wrong: 0,
    }));
  const probes = (phase: string, beginNs: number, lost: readonly number[]): RecordLine[] =>
    lost.map((packets, i) => ({
      kind: 'probe',
      phase,
      span: i < 2 ? 'north' : 'south',
      direction: i % 2 === 0 ? 'a-to-b' : 'b-to-a',
      source: 'a-host-1',
      target: 'b-host-1',
      packetsPerSecond: 20_000,
      beginNs,
      endNs: beginNs + 50 * MS,
      sent: 1000,
      received: 1000 - packets,
    }));
  const phase = (name: string, index: number, done: number): RecordLine => ({
    kind: 'phase',
    name,
    beginNs: index * 50 * MS,
    endNs: (index + 1) * 50 * MS,
    ended: done < 5 ? 'deadline' : 'work',
    rounds: { asked: 5, done, first: index * 5 },
    deadlineNs: 1000 * MS,
  });
  const reading = (atNs: number, counters: PortCounters | undefined): RecordLine[] =>
    counters ? [{ kind: 'counters', atNs, node: 'a-leaf-1', ports: { up1: counters } }] : [];
  const { clockBoundNs } = options;
  const clocks = clockBoundNs === undefined ? [] : Array.from({ length: 16 }, (_, i) => i * 10 * MS);
  const none = [0, 0, 0, 0];
  const { steady = five, northCut = five, restored = five } = options;
  return [
    {
      kind: 'run',
      format: 2,
      version: '0.1.0',
      scenario: { title: 'by hand', file: 'by-hand.ts', line: 1, tags: [] },
      world: options.world ?? 'sim',
      seed: 7,
      trainPackets: options.trainPackets === undefined ? 1 : options.trainPackets,
      options: {},
      plan,
      decision: options.decision ?? 'simple',
      profile: options.profile ?? null,
    },
    ...rounds(0, steady),
    ...probes('steady', 0, none),
    phase('steady', 0, steady.length),
    ...reading(50 * MS, options.counters?.[0]),
    { kind: 'fault', id: '1-span-cut', fault, injectedNs: 50 * MS },
    ...rounds(5, northCut),
    {
      kind: 'effect',
      fault: '1-span-cut',
      atNs: 100 * MS,
      witness: 'ports of both ends',
      seen: 'down, down',
      real: options.real === undefined ? true : options.real,
    },
    ...reading(100 * MS, options.counters?.[1]),
    ...probes('northCut', 50 * MS, options.lost ?? none),
    phase('northCut', 1, northCut.length),
    {
      kind: 'heal',
      fault: '1-span-cut',
      healedNs: 100 * MS,
      verified: true,
      expected: 'light on',
      observed: 'light on',
    },
    ...rounds(10, restored),
    ...probes('restored', 100 * MS, none),
    phase('restored', 2, restored.length),
    ...clocks.flatMap(atNs =>
      ['north', 'a-host-1'].map(
        (device): RecordLine => ({ kind: 'clock', device, atNs, offsetNs: 0, boundNs: clockBoundNs ?? 0 }),
      ),
    ),
    { kind: 'end', atNs: 150 * MS, reason: 'complete' },
  ];
}
