import { DEFAULT_FABRIC } from '../../harness/model/fabric-settings.ts';
import type { CountersLine, PortCounters, RecordLine, RunLine, Step } from '../../harness/model/record.ts';
import { cable } from '../../harness/model/topology.ts';
import type { Host, Link, Span, SwitchNode, Topology } from '../../harness/model/topology.ts';
import type { CheckVerdict, RunVerdict } from '../../harness/model/verdict.ts';
import type { ReportedRun } from '../../reports/index.ts';

/** Puts something else in the place of a text that a scenario or a device controls; `where` names the place. */
export type Rewrite = (plain: string, where: string) => string;

const asIs: Rewrite = plain => plain;

const MS = 1e6;
const ROUND_NS = 40 * MS;

/** Two sites with two spans, written out by hand: 4 hosts, 1 leaf and 2 spines a site. */
function fabric(text: Rewrite): Topology {
  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  const links: Link[] = [];
  const leafOf = (site: string) => text(`${site}-leaf-1`, 'switch name');
  for (const site of ['a', 'b']) {
    switches.push({ kind: 'switch', name: leafOf(site), site, role: 'leaf' });
    for (const n of [1, 2]) {
      switches.push({ kind: 'switch', name: `${site}-spine-${n}`, site, role: 'spine' });
      links.push(
        cable(
          { node: leafOf(site), port: `up${n}` },
          { node: `${site}-spine-${n}`, port: 'down1' },
          '400 Gb/s',
          '20 m',
        ),
      );
    }
    for (const n of [1, 2, 3, 4]) {
      const name = text(`${site}-host-${n}`, 'host name');
      hosts.push({ kind: 'host', name, site });
      links.push(cable({ node: name, port: 'eth0' }, { node: leafOf(site), port: `host${n}` }, '100 Gb/s', '20 m'));
    }
  }
  const span = (name: string, n: number, length: Span['length']): Span => ({
    kind: 'span',
    name: text(name, 'span name'),
    ends: [
      { node: `a-spine-${n}`, port: 'span' },
      { node: `b-spine-${n}`, port: 'span' },
    ],
    rate: '400 Gb/s',
    length,
  });
  return {
    name: 'two-sites',
    sites: ['a', 'b'],
    hosts,
    switches,
    links,
    spans: { north: span('north', 1, '80 km'), south: span('south', 2, '120 km') },
    settings: DEFAULT_FABRIC,
  };
}

/** Busbw of a round, Gb/s: steady near 92, stalled once at the cut, then the other span alone, then whole again. */
const busbwOf = (round: number): number =>
  round < 10 ? 91 + (round % 3) * 0.6 : round === 10 ? 12 : round < 20 ? 84 + (round % 2) : 91.5;

/** Counters each `everyMs` ms: both spans at 180 Gb/s; north is dark from 400 ms to 800 ms, south then carries all. */
function counters(text: Rewrite, everyMs: number): readonly CountersLine[] {
  const lines: CountersLine[] = [];
  const octets = { north: 0, south: 0, host: 0 };
  let [pausedNs, marked, queuePackets] = [0, 0, 0];
  for (let ms = 0; ms <= 1200; ms++) {
    const cut = ms > 400 && ms <= 800;
    const settling = ms > 400 && ms <= 430;
    octets.north += ms === 0 || cut ? 0 : 180e9 / 8e3;
    octets.south += ms === 0 ? 0 : (settling ? 40e9 : cut ? 330e9 + (ms % 7) * 3e9 : 180e9) / 8e3;
    octets.host += ms === 0 ? 0 : (settling ? 12e9 : 88e9 + (ms % 5) * 1e9) / 8e3;
    pausedNs += cut && !settling ? 0.04 * MS : 0;
    marked += cut ? 300 : 5;
    queuePackets += 11_000;
    const port = (bytes: number, more: PortCounters = {}): PortCounters => ({
      txBytes: bytes,
      rxBytes: bytes,
      drops: 0,
      ...more,
    });
    if (ms % everyMs !== 0) continue;
    const atNs = ms * MS;
    const unreadable = ms >= 600 && ms < 606;
    for (const site of ['a', 'b']) {
      lines.push({
        kind: 'counters',
        atNs,
        node: `${site}-spine-1`,
        ports: { span: port(octets.north, { operUp: !cut }), down1: port(octets.north) },
      });
      lines.push({
        kind: 'counters',
        atNs,
        node: `${site}-spine-2`,
        ports: {
          span: {
            ...port(octets.south, {
              pausedNs,
              ecnMarked: marked,
              queuePackets,
              queuePeakBytes: cut ? 900_000 + (ms % 11) * 20_000 : 120_000,
            }),
            ...(unreadable && { txBytes: null }),
          },
          down1: port(octets.south),
        },
      });
      for (const n of [1, 2, 3, 4])
        lines.push({
          kind: 'counters',
          atNs,
          node: text(`${site}-host-${n}`, 'host name'),
          ports: { eth0: port(octets.host * (1 + n / 100)) },
        });
    }
  }
  return lines;
}

/** A plausible run of the failover scenario: one limit met, one missed, one inconclusive, one for information. */
export function sampleRun(text: Rewrite = asIs, { everyMs = 1 } = {}): Required<ReportedRun> {
  const topology = fabric(text);
  const { north } = topology.spans as { readonly north: Span };
  const phase = {
    steady: text('steady', 'phase name'),
    cut: text('northCut', 'phase name'),
    restored: text('restored', 'phase name'),
  };
  const file = text('scenarios/failover/span-cut.scenario.ts', 'scenario file');
  const where = (line: number) => ({ file, line, column: 5 });
  const title = text('an all-reduce survives the cut of one of two spans', 'scenario title');
  const cut = { kind: 'span-cut', span: north, direction: 'both', light: 'lost' } as const;

  const run: RunLine = {
    kind: 'run',
    format: 2,
    version: '0.1.0',
    scenario: { title, file, line: 11, tags: [text('@failover', 'tag'), '@span'] },
    world: 'emulated',
    seed: 90211,
    trainPackets: 8,
    options: { defect: text('none', 'option') },
    plan: {
      why: text('Two diverse fibres join the sites. Losing one must cost bandwidth, never the job.', 'why'),
      derivation: text(
        'busbw: the slowest of NIC, leaf uplink and span, times 0.9 for headers and marking.\nconvergence: loss of light 10 ms + BGP hop 2 ms + FIB 5 ms, doubled.',
        'derivation',
      ),
      topology,
      load: { kind: 'all-reduce', bytes: '64 MiB', algorithm: 'hierarchical' },
      phases: {},
      expect: [],
    },
    decision: 'guarded',
    profile: { name: text('acceptance-2026', 'profile'), limits: {} },
  };

  const rounds: RecordLine[] = Array.from({ length: 30 }, (_, round) => ({
    kind: 'round',
    round,
    beginNs: round * ROUND_NS,
    endNs: (round + 1) * ROUND_NS,
    busbwBps: busbwOf(round) * 1e9,
    wrong: 0,
  }));
  const probes: RecordLine[] = [phase.steady, phase.cut, phase.restored].flatMap((name, i) =>
    (['north', 'south'] as const).flatMap(span =>
      (['a-to-b', 'b-to-a'] as const).map((direction): RecordLine => {
        const sent = 8000;
        const received = i !== 1 ? sent : span === 'north' ? 4780 : 7990;
        return {
          kind: 'probe',
          phase: name,
          span: text(span, 'span name'),
          direction,
          source: 'a-host-1',
          target: 'b-host-1',
          packetsPerSecond: 20_000,
          beginNs: i * 400 * MS,
          endNs: (i + 1) * 400 * MS,
          sent,
          received,
        };
      }),
    ),
  );

  const lines: RecordLine[] = [
    run,
    {
      kind: 'testbed',
      name: text('embedded lab', 'testbed name'),
      devices: topology.switches.map(({ name }) => ({
        node: name,
        device: text('EMU-7050', 'device name'),
        driver: 'sonic',
        software: text('SONiC.202405', 'banner'),
      })),
    },
    ...counters(text, everyMs),
    ...rounds,
    ...probes,
    ...Array.from({ length: 241 }, (_, i): RecordLine[] =>
      [1, 2, 3].map(flow => ({
        kind: 'flow',
        flow: text(`flow ${flow}`, 'flow name'),
        atNs: i * 5 * MS,
        windowNs: 5 * MS,
        rateBps: (20 + flow * 6 + ((i * 7) % 5)) * 1e9,
      })),
    ).flat(),
    {
      kind: 'phase',
      name: phase.steady,
      beginNs: 0,
      endNs: 400 * MS,
      ended: 'work',
      rounds: { asked: 10, done: 10, first: 0 },
    },
    { kind: 'fault', id: text('f1', 'fault id'), fault: cut, injectedNs: 401 * MS },
    {
      kind: 'effect',
      fault: text('f1', 'fault id'),
      atNs: 402 * MS,
      witness: text('a-spine-1 ifOperStatus', 'witness'),
      seen: text('down(2)', 'seen'),
      real: true,
    },
    {
      kind: 'effect',
      fault: text('f1', 'fault id'),
      atNs: 403 * MS,
      witness: 'b-spine-1 optics',
      seen: text('Rx power −40.0 dBm', 'seen'),
      real: null,
    },
    {
      kind: 'event',
      atNs: 402.5 * MS,
      node: text('a-spine-1', 'event node'),
      what: text('linkDown ifIndex.54 ifOperStatus down(2)', 'trap'),
    },
    {
      kind: 'phase',
      name: phase.cut,
      beginNs: 400 * MS,
      endNs: 800 * MS,
      ended: 'work',
      rounds: { asked: 10, done: 10, first: 10 },
    },
    {
      kind: 'heal',
      fault: text('f1', 'fault id'),
      healedNs: 801 * MS,
      verified: true,
      expected: text('both ends up, 400G', 'read-back'),
      observed: text('both ends up, 400G', 'read-back'),
    },
    { kind: 'event', atNs: 803 * MS, node: 'a-spine-1', what: 'linkUp ifIndex.54' },
    {
      kind: 'phase',
      name: phase.restored,
      beginNs: 800 * MS,
      endNs: 1200 * MS,
      ended: 'deadline',
      rounds: { asked: 10, done: 10, first: 20 },
      deadlineNs: 1200 * MS,
    },
    { kind: 'end', atNs: 1200 * MS, reason: 'complete' },
  ];

  const check = (
    part: Pick<CheckVerdict, 'outcome' | 'title' | 'kpi' | 'phase' | 'dimension' | 'reason'> & Partial<CheckVerdict>,
  ): CheckVerdict => ({
    kind: 'mandatory',
    statistic: 'median',
    samples: 10,
    expectedSamples: 10,
    method: text('busbw as nccl-tests define it, one sample a round', 'method'),
    where: where(30),
    ...part,
  });
  const checks: readonly CheckVerdict[] = [
    check({
      outcome: 'pass',
      band: 'pass',
      title: `busbw during ${phase.steady} at least 90 % of roofline`,
      kpi: 'busbw',
      phase: phase.steady,
      dimension: 'rate',
      limit: 86.4e9,
      value: 91.6e9,
      uncertainty: 0.2e9,
      reason: 'Expected at least 86.4 Gb/s, measured 91.6 Gb/s.',
      source: text('Acceptance 2026 rev C, 4.2', 'source'),
      where: where(30),
    }),
    check({
      outcome: 'fail',
      band: 'fail',
      title: `convergence during ${phase.cut} at most 50 ms`,
      kpi: 'convergence',
      phase: phase.cut,
      dimension: 'duration',
      limit: 50 * MS,
      value: 161 * MS,
      uncertainty: 0.05 * MS,
      statistic: 'worst',
      samples: 4,
      expectedSamples: 4,
      reason: text(
        'Expected at most 50 ms without service on any path; the worst probe, north a-to-b, was without service for 161 ms.',
        'reason',
      ),
      method: 'loss-derived (RFC 6412): lost probes / probe rate',
      where: where(31),
    }),
    check({
      outcome: 'inconclusive',
      band: 'conditional pass',
      title: `busbw during ${phase.cut} at least 90 % of roofline`,
      kpi: 'busbw',
      phase: phase.cut,
      dimension: 'rate',
      limit: 84.3e9,
      value: 84.5e9,
      uncertainty: 0.4e9,
      samples: 9,
      reason: 'Measured 84.5 Gb/s, which is closer to the limit of 84.3 Gb/s than its uncertainty of 400 Mb/s.',
      where: where(33),
    }),
    check({
      outcome: 'fail',
      kind: 'informative',
      title: `pfcPause during ${phase.cut} at most 2 %`,
      kpi: 'pfcPause',
      phase: phase.cut,
      dimension: 'share',
      limit: 0.02,
      value: 0.037,
      statistic: 'worst',
      samples: 400,
      expectedSamples: 400,
      reason: 'Expected at most 2 %, the worst port was paused 3.7 % of the phase.',
      where: where(34),
    }),
  ];
  const verdict: RunVerdict = {
    outcome: 'fail',
    reason: text('convergence during northCut: 161 ms, limit 50 ms (± 50 us).', 'reason'),
    gates: [
      {
        gate: 'load',
        outcome: 'pass',
        title: 'the load was real',
        reason: text('Offered 99.2 % of plan before the first fault; 8 of 8 ranks alive.', 'gate reason'),
      },
      {
        gate: 'fault',
        outcome: 'pass',
        title: 'the fault was real',
        reason: 'cut north: 1 of 2 witnesses saw it, none denied it.',
      },
      {
        gate: 'coverage',
        outcome: 'pass',
        title: 'the evidence is whole',
        reason: '99.5 % of the readings are there.',
      },
    ],
    checks,
    cleanliness: { injected: 1, healed: 1, verified: 1, dirty: [] },
    seed: 90211,
    replay: text(
      "farspan run scenarios/failover/span-cut.scenario.ts -g 'one of two spans' --world emulated --seed 90211",
      'replay',
    ),
  };

  const steps: Step[] = [
    {
      at: '2026-11-22T02:14:07.120Z',
      tookMs: 48,
      device: text('a-spine-1', 'step device'),
      protocol: 'ssh',
      tried: text('sudo config interface shutdown Ethernet0', 'step command'),
      answer: text('', 'step answer'),
      exitCode: 0,
    },
    {
      at: '2026-11-22T02:14:07.190Z',
      tookMs: 12,
      device: text('a-spine-1', 'step device'),
      protocol: 'snmp',
      tried: 'get 1.3.6.1.2.1.2.2.1.8.54',
      answer: text('INTEGER: down(2)', 'step answer'),
    },
    {
      at: '2026-11-22T02:14:08.020Z',
      tookMs: 1510,
      device: 'b-spine-1',
      protocol: 'ssh',
      tried: 'show interface transceiver status',
      answer: text(
        `Rx power low alarm flag on lane 1: True\n${'Tx loss of signal flag on host lane 8: False\n'.repeat(200)}`,
        'step answer',
      ),
      exitCode: 1,
    },
    {
      at: '2026-11-22T02:14:09.300Z',
      tookMs: 80,
      device: 'north shaper',
      protocol: 'http',
      tried: 'PUT /api/v1/spans/1 {"loss": 0}',
      answer: text('HTTP/1.1 200 OK\n\n{"loss": 0}', 'step answer'),
    },
  ];

  return {
    lines,
    verdict,
    steps,
    stepsMissing: text('line 9 was cut off; 8 lines before it were read', 'why steps are missing'),
    host: {
      node: 'v20.20.0',
      cpu: text('2 cores', 'host fact'),
      started: '2026-11-22T02:14:05Z',
      tools: { iperf3: text('3.18', 'tool version') },
    },
    series: [
      { kind: 'series', beginNs: 0, intervalNs: 1e6, slots: 2 },
      { kind: 'column', of: 'queue', name: text('leaf port', 'series name'), quantity: 'peak', values: [1, null] },
    ],
    kpiErrors: [
      {
        kpi: 'busbw',
        phase: phase.steady,
        statistic: 'median',
        dimension: 'rate',
        measured: 91.6e9,
        truth: 91.57e9,
        absolute: 0.03e9,
        uncertainty: 0.04e9,
      },
      {
        kpi: 'convergence',
        phase: phase.cut,
        statistic: 'worst',
        dimension: 'duration',
        measured: 210.4e6,
        truth: 210.2e6,
        absolute: 0.2e6,
        uncertainty: 0.1e6,
      },
      {
        kpi: 'loss',
        phase: phase.cut,
        statistic: 'total',
        dimension: 'count',
        missing: text('no readings in it', 'why a KPI error is missing'),
      },
    ],
    errors: [
      {
        quantity: 'busbw',
        phase: phase.steady,
        dimension: 'rate',
        samples: 10,
        measured: 91.6e9,
        truth: 91.52e9,
        absolute: 0.08e9,
        relative: 0.08 / 91.52,
      },
      {
        quantity: 'probe received',
        phase: phase.cut,
        dimension: 'count',
        samples: 4,
        measured: 4780,
        truth: 4781,
        absolute: 1,
        relative: 1 / 4781,
      },
    ],
  };
}
