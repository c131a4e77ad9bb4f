import type { Network } from '../../emulators/fabric-sim/fabric/network.ts';
import {
  dctcpSawtooth,
  hpccFixedPoint,
  timelyQueueRangeBytes,
} from '../../emulators/fabric-sim/theory/fixed-points.ts';
import { GAP_BYTES } from '../../emulators/fabric-sim/fabric/wire-size.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';
import { fanIn } from './small-fabric.ts';

/** Endless flows, the i-th `everyPs` after the one before. */
function startFlows(network: Network, { flows, everyPs = 0 }: { flows: number; everyPs?: number }): void {
  for (let i = 0; i < flows; i++)
    network.at(i * everyPs, () => {
      network.flow({ source: `h${i}`, target: 't', bytes: Number.POSITIVE_INFINITY, entropy: i });
    });
}

interface Queue {
  readonly meanBytes: number;
  readonly leastBytes: number;
  readonly mostBytes: number;
  /** Share of the bottleneck's time, preamble and gap included. */
  readonly utilisation: number;
}

/** The bottleneck's queue between two times, looked at every `stepPs`, without the packet that is being sent. */
function watchQueue(
  network: Network,
  {
    fromPs,
    untilPs,
    stepPs,
    rateBps,
    gapBytes = GAP_BYTES,
  }: {
    fromPs: number;
    untilPs: number;
    stepPs: number;
    rateBps: number;
    /** Bytes of a packet's time that byte counters leave out: none where the fabric has `overheadBytes` of its own. */
    gapBytes?: number;
  },
): Queue {
  network.advance(fromPs);
  network.takeQueuePeak('s', 't');
  const bytes = (): number => {
    const { txBytes, txPackets } = network.count('s', 't');
    return txBytes + gapBytes * txPackets;
  };
  const before = bytes();
  let [sum, looks, leastBytes] = [0, 0, Number.POSITIVE_INFINITY];
  while (network.nowPs < untilPs) {
    network.advance(Math.min(untilPs, network.nowPs + stepPs));
    const { queueBytes } = network.count('s', 't');
    sum += queueBytes;
    looks++;
    leastBytes = Math.min(leastBytes, queueBytes);
  }
  return {
    meanBytes: sum / looks,
    leastBytes,
    mostBytes: network.takeQueuePeak('s', 't'),
    utilisation: ((bytes() - before) * 8e12) / rateBps / (untilPs - fromPs),
  };
}

// ---- DCTCP ----

const DCTCP = { rateBps: 10e9, rttS: 100e-6, packetBytes: 1500 };
const K_PACKETS = 40;

function* dctcpRows(): Generator<ComparisonRow> {
  for (const flows of [2, 10, 40]) {
    const network = fanIn(flows, {
      rate: '10 Gb/s',
      // Four of them and the packets' own times make 100 us.
      length: '4860 m',
      overheadBytes: 0,
      settings: {
        bufferPerSwitch: '64 MB',
        roce: { mtu: `${DCTCP.packetBytes} B`, retransmitTimeout: '16 ms' },
        switching: { scaleThresholds: false },
        ecn: {
          min: `${K_PACKETS * DCTCP.packetBytes} B`,
          max: `${K_PACKETS * DCTCP.packetBytes} B`,
          probability: 1,
          at: 'enqueue',
        },
        transport: { control: 'dctcp' },
      },
    });
    startFlows(network, { flows });
    const ours = watchQueue(network, {
      gapBytes: 0,
      fromPs: 50e9,
      untilPs: 150e9,
      stepPs: 5e6,
      rateBps: DCTCP.rateBps,
    });
    const theory = dctcpSawtooth({ ...DCTCP, flows }, { thresholdPackets: K_PACKETS });
    const row = (
      what: string,
      published: number,
      bytes: number,
      allowed: ComparisonRow['allowed'],
      note: string,
    ): ComparisonRow => ({
      what: `DCTCP, ${flows} flows, K = 40: ${what}`,
      unit: 'packets',
      published,
      ours: bytes / DCTCP.packetBytes,
      allowed,
      note,
    });
    // One packet per flow, the step that windows go by.
    const inStep = flows < 40;
    const apart: ComparisonRow['allowed'] = {
      quoted:
        'packets disagree with the model: with windows of 4 packets the flows no longer rise and cut in step, which it takes for granted',
    };
    yield row(
      'largest queue',
      theory.queueMostPackets,
      ours.mostBytes,
      inStep ? { absolute: 1 } : { bound: 'at-most' },
      inStep ? 'K + N' : 'at most K + N: all rise at once',
    );
    yield row(
      'least queue',
      theory.queueLeastPackets,
      ours.leastBytes,
      inStep ? { absolute: flows } : apart,
      'K + N - N (W* + 1) alpha/2, all flows cut in the same round trip; within the one packet per flow that windows go by',
    );
    yield row(
      'mean queue',
      (theory.queueMostPackets + theory.queueLeastPackets) / 2,
      ours.meanBytes,
      inStep ? { relative: 0.05 } : apart,
      'middle of the sawtooth',
    );
    yield {
      ...row('share of the link used', 1, 0, { absolute: 0.001 }, 'the queue never runs empty'),
      unit: '',
      ours: ours.utilisation,
    };
  }
}

// ---- Swift ----

/** Flows, mean queue in packets with the one being sent, and how far ours may be. */
const SWIFT = [
  [
    4,
    3.7,
    'ours is a fifth longer: with windows of about five packets the bursts of flows that start together stay together',
  ],
  [10, 6.6, 0.06],
  [
    16,
    11.2,
    'ours locks into one rhythm, of a packet per flow and round trip, from any start; the same law in a queue of its own, outside this simulator, has 11.9 (test/emulators/fabric-sim/laws.test.ts)',
  ],
  [20, 14.4, 0.03],
] as const;

function* swiftRows(): Generator<ComparisonRow> {
  for (const [flows, published, within] of SWIFT) {
    const rateBps = 10e9;
    const network = fanIn(flows, {
      rate: '10 Gb/s',
      length: '750 m',
      overheadBytes: 0,
      settings: {
        bufferPerSwitch: '64 MB',
        roce: { mtu: '9000 B', retransmitTimeout: '16 ms' },
        transport: {
          control: 'swift',
          acknowledgementBytes: '64 B',
          parameters: {
            baseTargetPs: 20e6,
            hopTargetPs: Math.round((2 * 20e6) / 6.55),
            scalingWholePackets: 1,
            mostWindowPackets: 1000,
          },
        },
      },
    });
    startFlows(network, { flows, everyPs: 5e9 });
    const { meanBytes, utilisation } = watchQueue(network, {
      gapBytes: 0,
      fromPs: (flows - 1) * 5e9 + 1e9,
      untilPs: flows * 5e9,
      stepPs: 5e5,
      rateBps,
    });
    yield {
      what: `Swift, ${flows} flows: mean queue`,
      unit: 'packets',
      published,
      ours: meanBytes / 9000 + utilisation,
      allowed: typeof within === 'number' ? { relative: within } : { quoted: `disagrees: ${within}` },
      note: flows === 20 ? 'csg-htsim: 14.1 to 14.7' : 'csg-htsim',
    };
    if (flows < 10) continue;
    yield {
      what: `Swift, ${flows} flows: rate of all`,
      unit: 'Gb/s',
      published: 9.94,
      ours: 10 * utilisation,
      allowed: { bound: 'at-least' },
      note: 'csg-htsim: 9.94 to 10.0',
    };
  }
}

// ---- HPCC ----

/** Telemetry counts frames without preamble and gap. */
const HPCC_COUNTED = 1062 / 1082;

function* hpccRows(): Generator<ComparisonRow> {
  const rateBps = 100e9;
  const additiveBps = 40e6;
  /** What the law takes for the round trip: four cables of 1 us, data and acknowledgement on two links each. */
  const rttS = 4e-6 + (2 * 8 * (1082 + 86)) / rateBps;
  for (const flows of [1, 4, 16]) {
    const network = fanIn(flows, {
      rate: '100 Gb/s',
      length: '200 m',
      settings: {
        bufferPerSwitch: '64 MB',
        roce: { mtu: '1000 B', retransmitTimeout: '16 ms' },
        transport: { control: 'hpcc', parameters: { additiveIncreaseBps: additiveBps } },
      },
    });
    startFlows(network, { flows });
    const ours = watchQueue(network, { fromPs: 10e9, untilPs: 14e9, stepPs: 1e5, rateBps });
    const theory = hpccFixedPoint(
      { flows, rateBps, rttS, packetBytes: 1082 },
      { eta: 0.95, additiveBytes: (additiveBps * rttS) / 8 },
    );
    yield {
      what: `HPCC, eta 0.95, ${flows} flow${flows === 1 ? '' : 's'}: share of the link used`,
      unit: '',
      published: theory.utilisation,
      ours: ours.utilisation * HPCC_COUNTED,
      allowed: { absolute: flows === 1 ? 0.0005 : 0.02 },
      note:
        flows === 1
          ? 'eta + N W_AI / (C T)'
          : 'less than it: packets of several flows that meet make a queue for a moment, which U counts as load',
    };
    yield {
      what: `HPCC, eta 0.95, ${flows} flow${flows === 1 ? '' : 's'}: largest queue against a packet of each flow`,
      unit: 'packets',
      published: flows,
      ours: ours.mostBytes / 1082,
      allowed: { bound: 'at-most' },
      note: `the fluid’s is ${theory.queueBytes}; mean ${(ours.meanBytes / 1082).toFixed(2)} packets`,
    };
  }
}

// ---- TIMELY ----

const TIMELY = { lowS: 50e-6, highS: 500e-6 };

function* timelyRows(): Generator<ComparisonRow> {
  const rateBps = 100e9;
  const wireBytes = 4178;
  const rttS = 12e-6 + (2 * 8 * (wireBytes + 86)) / rateBps;
  const range = timelyQueueRangeBytes({ flows: 2, rateBps, rttS, packetBytes: wireBytes }, TIMELY);
  const play = (parameters: Readonly<Record<string, number>>, everyPs: number): Network => {
    const network = fanIn(2, {
      rate: '100 Gb/s',
      length: '600 m',
      settings: {
        bufferPerSwitch: '64 MB',
        roce: { mtu: '4096 B', retransmitTimeout: '16 ms' },
        transport: {
          control: 'timely',
          parameters: { additiveIncreaseBps: 100e6, hyperIncreaseBps: 100e6, ...parameters },
        },
      },
    });
    startFlows(network, { flows: 2, everyPs });
    return network;
  };
  const ends: number[] = [];
  for (const everyMs of [0, 3, 9]) {
    const network = play({ decreaseShare: 0.08 }, everyMs * 1e9);
    const early = watchQueue(network, { fromPs: 20e9, untilPs: 40e9, stepPs: 5e6, rateBps });
    const late = watchQueue(network, { fromPs: 80e9, untilPs: 120e9, stepPs: 5e6, rateBps });
    ends.push(early.meanBytes);
    const name = `TIMELY, beta 0.08, second flow ${everyMs} ms later`;
    for (const [bound, published] of [
      ['at-least', range[0]],
      ['at-most', range[1]],
    ] as const)
      yield {
        what: `${name}: mean queue, ${bound === 'at-least' ? 'above T_low' : 'below T_high'}`,
        unit: 'KB',
        published: published / 1e3,
        ours: late.meanBytes / 1e3,
        allowed: { bound },
        note: 'where only the gradient counts',
      };
    yield {
      what: `${name}: mean queue after 80 to 120 ms over that after 20 to 40 ms`,
      unit: 'times',
      published: 1.3,
      ours: late.meanBytes / early.meanBytes,
      allowed: { bound: 'at-least' },
      note: 'no queue is a resting place: it goes on moving while rates and round trips are steady',
    };
  }
  yield {
    what: 'TIMELY, beta 0.08: largest over least of the three starts’ mean queues after 20 to 40 ms',
    unit: 'times',
    published: 1.1,
    ours: Math.max(...ends) / Math.min(...ends),
    allowed: { bound: 'at-least' },
    note: 'one law, one link, three starts, three outcomes (CoNEXT 2016, section 4); a law with a fixed point has 1',
  };
  const usual = watchQueue(play({}, 0), { fromPs: 30e9, untilPs: 60e9, stepPs: 5e6, rateBps });
  yield {
    what: 'TIMELY, beta 0.8 as published: mean queue, above T_low',
    unit: 'KB',
    published: range[0] / 1e3,
    ours: usual.meanBytes / 1e3,
    allowed: {
      quoted:
        'packets disagree with the fluid: a packet is 1.6 % of minRtt, which beta 0.8 makes a cut of 1.3 %, thirteen steps of additive increase: the law saws at T_low and the queue runs empty',
    },
  };
}

export const lawFixedPoints: Comparison = {
  title: 'Where DCTCP, Swift, HPCC and TIMELY settle, packet by packet',
  source:
    'DCTCP: Alizadeh et al., SIGCOMM 2010, section 3.3 (10 Gb/s, 100 us, K = 40, N = 2, 10, 40 as there). Swift: csg-htsim, ' +
    'sim/tests/htsim-tests/dumbell_swift. HPCC: Li et al., SIGCOMM 2019, section 3. TIMELY: Zhu et al., CoNEXT 2016, section 4. DCQCN stands by itself',
  method:
    'Flows without end into one port of one switch, with the real connections. Swift: 10 Gb/s, 9000 B, 15 us of propagation, a flow more every 5 ms, the ' +
    'queue in the 4 ms before the next; HPCC: 100 Gb/s, 1000 B, W_AI 40 Mb/s; TIMELY: two flows at 100 Gb/s, 4096 B, T_low 50, T_high 500, minRtt 20 us, delta 100 Mb/s.',
  rows: () => [...dctcpRows(), ...swiftRows(), ...hpccRows(), ...timelyRows()],
};
