import type { Network } from '../../emulators/fabric-sim/fabric/network.ts';
import { maxMinShares, md1Wait, mm1Wait, type SharedFlow } from '../../emulators/fabric-sim/theory/queueing.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';
import { type Edge, fanIn, smallFabric } from './small-fabric.ts';

/** 1184 B of payload: 1250 B on the wire, 1 us at 10 Gb/s. */
const PAYLOAD_BYTES = 1184;
const SERVICE_US = 1;

/** How far a mean over so many waits may lie from its limit: standard errors. */
const ERRORS = 3;

/**
 * Standard error of the mean of `packets` successive waits, in service times: sqrt(v / packets). v is exact for M/M/1, rho (2 + 5 rho -
 * 4 rho^2 + rho^3) / (1 - rho)^4 (Daley, J. Austral. Math. Soc. 8, 1968; Whitt, Management Science 35(11), 1989, equation 24), and
 * for M/D/1 an eighth of it, its limit in heavy traffic: Whitt's equation for the workload, rho (c_a^2 + c_s^2)^3 / (2 (1 - rho)^4).
 */
function standardError(kind: 'M/D/1' | 'M/M/1', load: number, packets: number): number {
  const exponential = (load * (2 + 5 * load - 4 * load ** 2 + load ** 3)) / (1 - load) ** 4;
  return Math.sqrt((kind === 'M/M/1' ? exponential : exponential / 8) / packets);
}

/**
 * Mean wait at a switch port, us. A Poisson stream comes over a cable 10,000 times as fast as the port, so that it is still one at the
 * switch. Arrivals and departures keep their order, so waits need no names: the sum of departures less the sum of arrivals.
 */
function meanWaitUs({ kind, load, packets }: { kind: 'M/D/1' | 'M/M/1'; load: number; packets: number }): number {
  const network = fanIn(1, {
    rate: '100 Tb/s',
    length: '0 m',
    last: { rate: '10 Gb/s', length: '0 m' },
    settings: { bufferPerSwitch: '1 GB' },
  });
  let [arrived, left, sum] = [0, 0, 0];
  tap(network, 's', 'h0', 'in', () => {
    if (arrived++ < packets) sum -= network.nowPs;
  });
  tap(network, 's', 't', 'out', () => {
    if (left++ < packets) sum += network.nowPs;
    if (left === packets) network.stop();
  });
  network.datagrams({
    source: 'h0',
    target: 't',
    entropy: 1,
    bytes: PAYLOAD_BYTES,
    packetsPerSecond: (load * 1e6) / SERVICE_US,
    gaps: 'exponential',
    ...(kind === 'M/M/1' && { sizes: 'exponential' }),
  });
  network.advance(2e6 * Math.ceil(packets / load));
  if (left < packets) throw new Error(`${left} of ${packets} packets have left.`);
  return sum / packets / 1e6;
}

function tap(network: Network, node: string, port: string, direction: 'in' | 'out', seen: () => void): void {
  if (network.tap === undefined) throw new Error('The network has no taps.');
  network.tap(node, port, packet => {
    if (packet.direction === direction) seen();
  });
}

/** Loads and how many packets make their means good to about 1.5 %. */
const LOADS = [
  [0.5, 100_000],
  [0.7, 200_000],
  [0.9, 1_000_000],
] as const;

const waits = (): readonly ComparisonRow[] =>
  (['M/D/1', 'M/M/1'] as const).flatMap(kind =>
    LOADS.map(([load, packets]): ComparisonRow => {
      const wait = kind === 'M/D/1' ? md1Wait : mm1Wait;
      const error = standardError(kind, load, packets);
      return {
        what: `${kind} at load ${load}: mean wait`,
        unit: 'us',
        published: wait({ load, service: SERVICE_US }),
        ours: meanWaitUs({ kind, load, packets }),
        allowed: { absolute: ERRORS * error },
        note: `${packets} packets; standard error ${error.toPrecision(2)} us, ${ERRORS} of them allowed`,
      };
    }),
  );

/** Payload rates of endless flows, Gb/s on the wire, from `fromPs` to `untilPs`. */
function wireRates(
  network: Network,
  { pairs, fromPs, untilPs }: { pairs: readonly (readonly [string, string])[]; fromPs: number; untilPs: number },
): readonly number[] {
  const flows = pairs.map(([source, target], i) =>
    network.flow({ source, target, bytes: Number.POSITIVE_INFINITY, entropy: 1 + i }),
  );
  network.advance(fromPs);
  const before = flows.map(flow => flow.delivered());
  network.advance(untilPs);
  const { dropped } = network.account;
  if (dropped > 0) throw new Error(`${dropped} packets were lost.`);
  return flows.map((flow, i) => ((flow.delivered() - (before[i] as number)) * 8e3 * WIRE_SHARE) / (untilPs - fromPs));
}

const MTU_BYTES = 1000;
const WIRE_SHARE = 1082 / MTU_BYTES;
const LINE_GBPS = 100;
const LINK = { rate: '100 Gb/s', length: '200 m' } as const;
const ROCE = { mtu: `${MTU_BYTES} B`, retransmitTimeout: '10 ms' } as const;
const PFC = { pfc: { xoff: '50 KB', xon: '40 KB', freeShare: null }, switching: { scaleThresholds: false } } as const;

/** One packet of those that a port sends between two pauses: from xon to xoff, and what a round trip of 2 us holds. */
const PFC_PACKET = 1082 / (10e3 + 25e3);

/** Two links in a row: `a0` to `c0` crosses both, `a1` to `b` the first, `b0` and `b1` the second. */
const LOT = {
  hosts: ['a0', 'a1', 'b', 'b0', 'b1', 'c0', 'c1', 'c2'],
  edges: (
    [
      ['a0', 'x'],
      ['a1', 'x'],
      ['b', 'y'],
      ['b0', 'y'],
      ['b1', 'y'],
      ['c0', 'z'],
      ['c1', 'z'],
      ['c2', 'z'],
      ['x', 'y'],
      ['y', 'z'],
    ] as const
  ).map((between): Edge => ({ between, ...LINK })),
};
const LOT_PAIRS = [
  ['a0', 'c0'],
  ['a1', 'b'],
  ['b0', 'c1'],
  ['b1', 'c2'],
] as const;
const LOT_FLOWS: readonly SharedFlow[] = [
  { links: ['xy', 'yz'] },
  { links: ['xy'] },
  { links: ['yz'] },
  { links: ['yz'] },
];
const LOT_NAMES = ['both links', 'first link', 'second link', 'second link, too'] as const;

const ETA = 0.8;
const ADDITIVE_GBPS = 4;
/** HPCC's telemetry counts frames without preamble and gap: 1062 B of 1082. */
const COUNTED = 1062 / 1082;

/**
 * Max-min shares of what HPCC leaves of each link. At rest a flow has R = A / (1 - eta / U), U that of its most used link: the
 * same rate for all that share this link, the least over the links of a path: max-min. The second link: 3 R = eta C + 3 A. The first:
 * R + R' = U C with R' (1 - eta / U) = A.
 */
function hpccShares(): readonly number[] {
  const share = (ETA * LINE_GBPS + 3 * ADDITIVE_GBPS) / 3;
  const half = (ETA * LINE_GBPS + ADDITIVE_GBPS - share) / 2;
  const alone = half + Math.sqrt(half ** 2 + ADDITIVE_GBPS * share);
  const capacities = new Map([
    ['xy', share + alone],
    ['yz', 3 * share],
  ]);
  return maxMinShares(capacities, LOT_FLOWS).map(rate => rate / COUNTED);
}

function* hpccRows(): Generator<ComparisonRow> {
  const lot = (parameters: Readonly<Record<string, number>>) =>
    wireRates(smallFabric({ ...LOT, settings: { roce: ROCE, transport: { control: 'hpcc', parameters } } }), {
      pairs: LOT_PAIRS,
      fromPs: 5e9,
      untilPs: 10e9,
    });
  const ours = lot({ targetUtilisation: ETA, additiveIncreaseBps: 1e9 * ADDITIVE_GBPS });
  for (const [i, published] of hpccShares().entries())
    yield {
      what: `HPCC, two links in a row, eta ${ETA}, W_AI of ${ADDITIVE_GBPS} Gb/s: flow of ${LOT_NAMES[i]}`,
      unit: 'Gb/s',
      published,
      ours: ours[i] as number,
      allowed: { relative: 0.01 },
      note: 'max-min of U C of each link, U from HPCC’s own rest: window = window eta/U + W_AI with the largest U of the path',
    };
  const usual = lot({});
  const capacities = new Map([
    ['xy', (0.95 * LINE_GBPS) / COUNTED],
    ['yz', (0.95 * LINE_GBPS) / COUNTED],
  ]);
  for (const [i, published] of maxMinShares(capacities, LOT_FLOWS).entries())
    yield {
      what: `HPCC, two links in a row, its defaults: flow of ${LOT_NAMES[i]}`,
      unit: 'Gb/s',
      published,
      ours: usual[i] as number,
      allowed: {
        quoted:
          'packets do not reach it: with W_AI of 40 Mb/s the links’ U differ by 0.1 %, less than U swings, and the largest of two swinging numbers is too large: the longer path loses',
      },
    };
}

function* pfcRows(): Generator<ComparisonRow> {
  const settings = { roce: ROCE, transport: { control: 'none' }, ...PFC } as const;
  for (const senders of [2, 5, 10]) {
    const pairs = Array.from({ length: senders }, (_, i) => [`h${i}`, 't'] as const);
    const rates = wireRates(fanIn(senders, { ...LINK, settings }), { pairs, fromPs: 1e9, untilPs: 3e9 });
    const [published] = maxMinShares(
      new Map([['st', LINE_GBPS]]),
      pairs.map(() => ({ links: ['st'] })),
    );
    for (const [name, ours] of [
      ['least', Math.min(...rates)],
      ['largest', Math.max(...rates)],
    ] as const)
      yield {
        what: `PFC alone, ${senders} to 1: ${name} share`,
        unit: 'Gb/s',
        published: published as number,
        ours,
        allowed: { relative: PFC_PACKET },
        note: 'one bottleneck, a port for each flow, all alike: equal shares are the max-min ones, within a packet each time a port is paused and resumed',
      };
  }
  const rates = wireRates(smallFabric({ ...LOT, settings }), { pairs: LOT_PAIRS, fromPs: 1e9, untilPs: 5e9 });
  const capacities = new Map([
    ['xy', LINE_GBPS],
    ['yz', LINE_GBPS],
  ]);
  for (const [i, published] of maxMinShares(capacities, LOT_FLOWS).entries())
    yield {
      what: `PFC alone, two links in a row: flow of ${LOT_NAMES[i]}`,
      unit: 'Gb/s',
      published,
      ours: rates[i] as number,
      allowed: {
        quoted:
          'no theory gives PFC max-min shares: a pause of the first link stops both its flows, so the one that crosses it alone is a victim (Zhu et al., SIGCOMM 2015, section 2.2)',
      },
    };
}

export const queueingPackets: Comparison = {
  title: 'Queueing: waits and fair shares, packet by packet',
  source:
    'Pollaczek 1930 and Khinchine 1932 (Kleinrock, Queueing Systems I, 5.6); max-min: Bertsekas and Gallager, Data Networks, 6.5.2; HPCC’s rest: ' +
    'Li et al., SIGCOMM 2019, algorithm 1',
  method:
    'Waits: one Poisson stream of datagrams into one port at 10 Gb/s, 1250 B on the wire, fixed or exponential; from arrival at the switch to the start of ' +
    'transmission. Shares: endless flows, 100 Gb/s, packets of 1000 B, no loss, means over 2 to 5 ms after 1 to 5 ms.',
  rows: () => [...waits(), ...pfcRows(), ...hpccRows()],
};
