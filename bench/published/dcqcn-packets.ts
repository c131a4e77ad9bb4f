import type { Network } from '../../emulators/fabric-sim/fabric/network.ts';
import { Random } from '../../emulators/fabric-sim/kernel/random.ts';
import {
  DCQCN_PAPER,
  dcqcnFixedPoint,
  OSCILLATION_SHARE,
  oscillates,
  runDcqcnFluid,
} from '../../emulators/fabric-sim/theory/dcqcn-fluid.ts';
import { lawNamed, lawParameters } from '../../emulators/fabric-sim/transport/laws.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';
import { fanIn, MICROSECOND_OF_CABLE } from './small-fabric.ts';

interface Case {
  readonly flows: number;
  /** From a mark until what it changes reaches the queue: four cables, of which the fluid's tau* is the whole. */
  readonly delayUs: number;
  readonly beyondMax: 'all' | 'extended';
}

interface Outcome {
  readonly queueMeanKb: number;
  readonly queueStdKb: number;
  readonly utilisation: number;
  /** Of what the flows delivered; 1 when all the same. */
  readonly jain: number;
  /** Least time between two CNPs of one flow, us, and how many each flow got, per second. */
  readonly leastCnpGapUs: number;
  readonly cnpsPerSecond: number;
}

const FROM_PS = 60e9;
const UNTIL_PS = 200e9;
/** The queue is looked at every microsecond; 50 looks, one CNP interval, are averaged before anything else is made of them. */
const STEP_PS = 1e6;
const AVERAGED = 50;

function play({ flows, delayUs, beyondMax }: Case): Outcome {
  const network = fanIn(flows, {
    rate: '40 Gb/s',
    length: `${(delayUs / 4) * MICROSECOND_OF_CABLE} m`,
    overheadBytes: 0,
    settings: {
      bufferPerSwitch: '64 MB',
      roce: { mtu: `${DCQCN_PAPER.packetBytes} B`, retransmitTimeout: '16 ms' },
      switching: { scaleThresholds: false },
      ecn: {
        min: `${DCQCN_PAPER.kminBytes} B`,
        max: `${DCQCN_PAPER.kmaxBytes} B`,
        probability: DCQCN_PAPER.pMax,
        beyondMax,
      },
      transport: { control: 'dcqcn-paper' },
    },
  });
  const cnps = watchCnps(network);
  const all = Array.from({ length: flows }, (_, i) =>
    network.flow({ source: `h${i}`, target: 't', bytes: Number.POSITIVE_INFINITY, entropy: i }),
  );
  network.advance(FROM_PS);
  const before = all.map(flow => flow.delivered());
  let [sum, squares, windows] = [0, 0, 0];
  while (network.nowPs < UNTIL_PS) {
    let mean = 0;
    for (let i = 0; i < AVERAGED; i++) {
      network.advance(network.nowPs + STEP_PS);
      mean += network.count('s', 't').queueBytes / AVERAGED;
    }
    sum += mean;
    squares += mean * mean;
    windows++;
  }
  const got = all.map((flow, i) => flow.delivered() - (before[i] as number));
  const total = got.reduce((a, b) => a + b, 0);
  const mean = sum / windows;
  const seconds = (UNTIL_PS - FROM_PS) / 1e12;
  return {
    queueMeanKb: mean / 1e3,
    queueStdKb: Math.sqrt(squares / windows - mean * mean) / 1e3,
    utilisation: (8 * total) / DCQCN_PAPER.rateBps / seconds,
    jain: total ** 2 / (flows * got.reduce((a, b) => a + b * b, 0)),
    leastCnpGapUs: cnps.leastGapPs / 1e6,
    cnpsPerSecond: cnps.count / flows / (UNTIL_PS / 1e12),
  };
}

function watchCnps(network: Network): { leastGapPs: number; count: number } {
  const seen = { leastGapPs: Number.POSITIVE_INFINITY, count: 0 };
  const last = new Map<string, number>();
  if (network.tap === undefined) throw new Error('The network has no taps.');
  network.tap('t', 's', ({ kind, target, atPs }) => {
    if (kind !== 'cnp') return;
    const before = last.get(target);
    if (before !== undefined) seen.leastGapPs = Math.min(seen.leastGapPs, atPs - before);
    last.set(target, atPs);
    seen.count++;
  });
  return seen;
}

/** Rate of one flow, bit/s, that has each packet marked with probability `p`, alone: no queue, no feedback delay. */
function rateAt(p: number, seconds: number): number {
  const { packetBytes, rateBps } = DCQCN_PAPER;
  const kind = lawNamed('dcqcn-paper');
  const law = kind.create(
    {
      lineBps: rateBps,
      bottleneckBps: rateBps,
      mtuBytes: packetBytes,
      overheadBytes: 0,
      baseRttPs: 4e6,
      hops: 1,
      interSite: false,
    },
    lawParameters(kind),
  );
  const random = new Random(1);
  const startPs = (seconds * 1e12) / 5; // from line rate down to where it stays
  let [nowPs, cnpPs, bytes] = [0, Number.NEGATIVE_INFINITY, 0];
  while (nowPs < seconds * 1e12) {
    law.sent?.(nowPs, packetBytes, 0);
    law.settle?.(nowPs);
    if (nowPs >= startPs) bytes += packetBytes;
    nowPs += Math.round((packetBytes * 8e12) / law.rateBps);
    law.settle?.(nowPs);
    if (random.fraction() < p && nowPs - cnpPs >= DCQCN_PAPER.cnpIntervalS * 1e12) {
      cnpPs = nowPs;
      law.notified?.(nowPs, 1, 0);
    }
  }
  return (bytes * 8e12) / (nowPs - startPs);
}

/** Queue at which RED marks as often as makes such a flow send its share, bytes: between the fluid's and twice that. */
function queueOfLawAlone(flows: number): number {
  const model = { ...DCQCN_PAPER, flows };
  let low = dcqcnFixedPoint(model).p;
  let high = 2 * low;
  for (let i = 0; i < 6; i++) {
    const p = (low + high) / 2;
    if (rateAt(p, 1.5) > model.rateBps / flows) low = p;
    else high = p;
  }
  return model.kminBytes + ((low + high) / 2 / model.pMax) * (model.kmaxBytes - model.kminBytes);
}

/**
 * Packets are not a fluid: p* is 8e-4 to 1e-2, so each flow hears of congestion a few thousand times a second, at random, and each time
 * gives up a twentieth of its rate. The queue never rests, whatever the delay.
 */
const PACKET_NOISE =
  'marks are rare and random (a CNP per flow every 0.3 to 1 ms, a twentieth of its rate each), so the queue of packets swings at any delay';

const FLUID_IS_LOW =
  'above q*, as the law is by itself (next row): after a CNP none can follow for 50 us, so cuts come at 1/(tau + 1/pR), not at the fluid’s ' +
  '(1 - e^-(p R tau))/tau, and more of the pauses between them are long enough for an increase';

/** A packet run oscillates when its queue, in the terms of the mean, swings this much more than at 4 us, where only the draw of marks moves it. */
const OSCILLATION_RATIO = 2;

function aloneRow(flows: number, { queueMeanKb }: Outcome): ComparisonRow {
  return {
    what: `${flows} flows, 4 us: mean queue against that of the law alone`,
    unit: 'KB',
    published: queueOfLawAlone(flows) / 1e3,
    ours: queueMeanKb,
    allowed: { relative: flows === 2 ? 0.4 : 0.15 },
    note: 'not published: the reaction point by itself, marked at random with one p, until it sends C/N; what is left is what the swing of the queue does to the mean',
  };
}

function* rowsOf(): Generator<ComparisonRow> {
  for (const flows of [2, 10]) {
    const near = play({ flows, delayUs: 4, beyondMax: 'all' });
    const far = play({ flows, delayUs: 85, beyondMax: 'all' });
    const swing = ({ queueMeanKb, queueStdKb }: Outcome): number => queueStdKb / queueMeanKb;
    const { queueBytes } = dcqcnFixedPoint({ ...DCQCN_PAPER, flows });
    yield {
      what: `${flows} flows, 4 us: mean queue against q*`,
      unit: 'KB',
      published: (queueBytes as number) / 1e3,
      ours: near.queueMeanKb,
      allowed:
        flows === 10
          ? { relative: 0.3 }
          : {
              quoted:
                'packets do not rest at it: the swing is as large as the mean, an empty queue cuts it off below, and means over 50 ms lie between 23 and 36 KB',
            },
      note: flows === 10 ? FLUID_IS_LOW : `standard deviation ${near.queueStdKb.toFixed(1)} KB`,
    };
    yield aloneRow(flows, near);
    yield {
      what: `${flows} flows, 4 us: share of the link used`,
      unit: '',
      published: flows === 10 ? 0.999 : 0.98,
      ours: near.utilisation,
      allowed: { bound: 'at-least' },
      note: flows === 10 ? 'the fluid’s is 1' : 'the fluid’s is 1; the queue of two flows runs empty at times',
    };
    yield {
      what: `${flows} flows, 4 us: fairness (Jain) of what they delivered in ${(UNTIL_PS - FROM_PS) / 1e9} ms`,
      unit: '',
      published: 1,
      ours: near.jain,
      allowed: { absolute: 0.02 },
      note: 'the fixed point is the same for all flows (CoNEXT 2016, theorem 1)',
    };
    for (const [name, { leastCnpGapUs, cnpsPerSecond }] of [
      ['4 us', near],
      ['85 us', far],
    ] as const)
      yield {
        what: `${flows} flows, ${name}: least time between two CNPs of a flow`,
        unit: 'us',
        published: 50,
        ours: leastCnpGapUs,
        allowed: { bound: 'at-least' },
        note: `SIGCOMM 2015, section 3.1; ${cnpsPerSecond.toFixed(0)} per flow and second`,
      };
    for (const [delayUs, outcome] of [
      [4, near],
      [85, far],
    ] as const) {
      const fluid = runDcqcnFluid(
        { ...DCQCN_PAPER, flows },
        { feedbackDelayS: delayUs * 1e-6, durationS: 0.2, stepS: 1e-6 },
      );
      yield {
        what: `${flows} flows, ${delayUs} us: standard deviation of the queue over its mean`,
        unit: '',
        published: fluid.queueStdBytes / fluid.queueMeanBytes,
        ours: swing(outcome),
        allowed: { quoted: `packets disagree with the fluid: ${PACKET_NOISE}` },
        note: `the fluid ${oscillates(fluid) ? 'oscillates' : 'is stable'}: more than ${OSCILLATION_SHARE} is an oscillation there`,
      };
    }
    yield {
      what: `${flows} flows: that swing at 85 us over the one at 4 us`,
      unit: 'times',
      published: OSCILLATION_RATIO,
      ours: swing(far) / swing(near),
      allowed: { bound: flows === 10 ? 'at-least' : 'at-most' },
      note:
        flows === 10
          ? 'CoNEXT 2016: 10 flows oscillate at 85 us'
          : 'CoNEXT 2016: 2 flows are stable at 85 us: delay adds nothing to what the draw of marks does',
    };
  }
  const { queueBytes } = dcqcnFixedPoint({ ...DCQCN_PAPER, flows: 16 });
  const extended = play({ flows: 16, delayUs: 4, beyondMax: 'extended' });
  const step = play({ flows: 16, delayUs: 4, beyondMax: 'all' });
  yield {
    what: '16 flows, 4 us, RED extended above Kmax: mean queue against q*',
    unit: 'KB',
    published: (queueBytes as number) / 1e3,
    ours: extended.queueMeanKb,
    allowed: {
      quoted: `packets settle ${FLUID_IS_LOW}; standard deviation ${extended.queueStdKb.toFixed(0)} KB`,
    },
  };
  yield aloneRow(16, extended);
  yield {
    what: '16 flows, 4 us, RED extended above Kmax: mean queue is above Kmax',
    unit: 'KB',
    published: DCQCN_PAPER.kmaxBytes / 1e3,
    ours: extended.queueMeanKb,
    allowed: { bound: 'at-least' },
    note: 'q* is 217 KB: the step has no fixed point there, the extended slope has',
  };
  yield {
    what: '16 flows, 4 us, RED that marks everything above Kmax: mean queue stays below Kmax',
    unit: 'KB',
    published: DCQCN_PAPER.kmaxBytes / 1e3,
    ours: step.queueMeanKb,
    allowed: { bound: 'at-most' },
  };
}

export const dcqcnPackets: Comparison = {
  title: 'DCQCN, packet by packet against its fluid model',
  source:
    'Zhu et al., SIGCOMM 2015, sections 3.1 and 5; Zhu et al., "ECN or Delay", CoNEXT 2016, section 3; q* from `theory/dcqcn-fluid.ts`',
  method:
    '40 Gb/s, packets of 1000 B on the wire, Kmin 5 KB, Kmax 200 KB, Pmax 1 %, the paper’s reaction point, no PFC, one switch; the feedback delay is four ' +
    `equal cables (mark to receiver, CNP back over two, the new rate to the queue). ${UNTIL_PS / 1e9} ms, of which the last ${(UNTIL_PS - FROM_PS) / 1e9} count; ` +
    'the queue every microsecond, averaged over one CNP interval. The fluid’s criterion (standard deviation over 10 % of the mean) can not be met by packets: ' +
    `${PACKET_NOISE}. So a packet run is said to oscillate when this ratio is more than ${OSCILLATION_RATIO} times that of the same flows at 4 us.`,
  rows: () => [...rowsOf()],
};
