import fc from 'fast-check';
import t from 'tap';
import { Random } from '../../../emulators/fabric-sim/kernel/random.ts';
import {
  exposedS,
  flatRingBarrierS,
  flatRingS,
  hierarchicalS,
  scalingEfficiency,
  siteStagesS,
} from '../../../emulators/fabric-sim/theory/collective-times.ts';
import {
  DCQCN_PAPER,
  dcqcnFixedPoint,
  fluidMarking,
  runDcqcnFluid,
} from '../../../emulators/fabric-sim/theory/dcqcn-fluid.ts';
import { erfc } from '../../../emulators/fabric-sim/theory/erfc.ts';
import {
  dctcpGainLimit,
  dctcpLeastThresholdPackets,
  dctcpSawtooth,
  hpccFixedPoint,
  patchedTimelyRttS,
  swiftFixedPoint,
  swiftTargetS,
  timelyQueueRangeBytes,
} from '../../../emulators/fabric-sim/theory/fixed-points.ts';
import {
  binaryBer,
  coherentFrameLoss,
  FEC_THRESHOLDS,
  frameLoss,
  receivedDbm,
  requiredOsnrDb,
  ZR_400,
} from '../../../emulators/fabric-sim/theory/optics.ts';
import { ciscoHeadroomBytes, framesAfterXoff } from '../../../emulators/fabric-sim/theory/pfc-headroom.ts';
import { maxMinShares, md1Wait, mm1Wait } from '../../../emulators/fabric-sim/theory/queueing.ts';
import {
  blockFailure,
  injectionNs,
  sampleErasureCoded,
  sampleRingAllReduce,
  sampleSelectiveRepeat,
  selectiveRepeat,
} from '../../../emulators/fabric-sim/theory/sdr-rdma.ts';
import {
  cubicPeriodS,
  CUBIC,
  cubicWindow,
  windowLimitedBps,
} from '../../../emulators/fabric-sim/theory/tcp-response.ts';
import { allReduce } from '../../../harness/loads/all-reduce.ts';
import { bestRoundNs } from '../../../harness/loads/roofline.ts';
import { propagationNs, wireEfficiency } from '../../../harness/loads/standing.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import { goBackNEfficiency, selectiveRepeatEfficiency } from '../../../harness/model/loss-recovery.ts';
import { peerResponseBytes, sonicXoffBytes } from '../../../harness/model/pfc-headroom.ts';
import { cable, type Host, type Topology } from '../../../harness/model/topology.ts';

const near = (value: number, expected: number, share: number): boolean =>
  Math.abs(value - expected) <= share * Math.abs(expected);
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

void t.test(
  'the exact distribution of selective repeat equals the product over the chunks, point by point',
  async t => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 12 }),
          fc.double({ min: 0.01, max: 0.5, noNaN: true }),
          fc.integer({ min: 1, max: 30 }),
          (chunks, loss, timeout) => {
            // 1 ns a chunk: 1 B at 8 Gb/s.
            const channel = { rateBps: 8e9, rttNs: 10, chunkBytes: 1, loss };
            const penalty = timeout + 1;
            // By the definition: P(X_i <= q) = 1 - P^(floor((q - i)/penalty) + 1), on the integers, where everything happens.
            const within = (q: number): number => {
              let product = 1;
              for (let i = 1; i <= chunks; i++) product *= q < i ? 0 : 1 - loss ** (Math.floor((q - i) / penalty) + 1);
              return product;
            };
            let expected = 0;
            let median = Number.NaN;
            for (let q = 0; q < 60 * penalty + chunks; q++) {
              expected += 1 - within(q);
              if (Number.isNaN(median) && within(q) >= 0.5) median = q;
            }
            const { meanNs, quantilesNs } = selectiveRepeat(channel, { chunks, timeoutNs: timeout, quantiles: [0.5] });
            return near(meanNs, expected + 10, 1e-9) && Math.abs((quantilesNs[0] as number) - median - 10) < 1e-6;
          },
        ),
        { numRuns: 60, seed: 1 },
      ),
    );
  },
);

void t.test('one chunk takes its lost tries in closed form, and nothing else than whole chunks is taken', async t => {
  const channel = { rateBps: 400e9, rttNs: 25e6, chunkBytes: 4096, loss: 0.2 };
  const step = injectionNs(channel);
  t.equal(step, 81.92);
  const { meanNs } = selectiveRepeat(channel, { chunks: 1, timeoutNs: 75e6 });
  t.ok(near(meanNs, step + 25e6 + 0.25 * (75e6 + step), 1e-9), 'P/(1-P) = 1/4 timeouts');
  t.throws(() => selectiveRepeat(channel, { chunks: 1.5, timeoutNs: 1 }), RangeError);
  t.throws(() => selectiveRepeat({ ...channel, loss: 1 }, { chunks: 1, timeoutNs: 1 }), RangeError);
});

void t.test('erasure codes: MDS fails less than XOR, a coded message never waits when no block fails', async t => {
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 0.3, noNaN: true }), loss => {
      const [mds, xor] = (['mds', 'xor'] as const).map(kind => blockFailure({ kind, data: 32, parity: 8 }, loss)) as [
        number,
        number,
      ];
      return mds <= xor && xor <= 1 && mds >= 0;
    }),
    { seed: 2 },
  );
  // One parity chunk: both codes are the same.
  const one = (kind: 'mds' | 'xor') => blockFailure({ kind, data: 4, parity: 1 }, 0.1);
  t.ok(near(one('mds'), 1 - 0.9 ** 5 - 5 * 0.1 * 0.9 ** 4, 1e-12));
  t.ok(near(one('xor'), one('mds'), 1e-12));
  const channel = { rateBps: 400e9, rttNs: 25e6, chunkBytes: 4096, loss: 0 };
  const options = { chunks: 320, code: { kind: 'mds', data: 32, parity: 8 } as const, timeoutNs: 75e6 };
  t.ok(near(sampleErasureCoded(channel, options, new Random(1)), 400 * injectionNs(channel) + 25e6, 1e-12));
  // All blocks fail when nothing arrives in the first pass: base + NACK + fallback; at 60 % nearly every block does.
  const lossy = { ...channel, loss: 0.6 };
  t.ok(sampleErasureCoded(lossy, options, new Random(1)) > 400 * injectionNs(channel) + 3 * 25e6);
});

void t.test('a ring of sites takes 2N - 2 stages, and with random stages more than 2N - 2 mean ones', async t => {
  t.equal(
    sampleRingAllReduce(4, () => 10),
    60,
  );
  t.equal(siteStagesS({ sites: 4, stageS: 8, reliabilityS: 2 }), 60);
  const channel = { rateBps: 400e9, rttNs: 25e6, chunkBytes: 4096, loss: 1e-4 };
  const options = { chunks: 8192, timeoutNs: 75e6 };
  const random = new Random(3);
  const runs = Array.from({ length: 300 }, () =>
    sampleRingAllReduce(4, () => sampleSelectiveRepeat(channel, options, random)),
  );
  t.ok(mean(runs) > 6 * selectiveRepeat(channel, options).meanNs);
});

void t.test(
  'max-min shares are feasible, and every flow is stopped by its demand or by a full link where nobody has more',
  async t => {
    const links = ['a', 'b', 'c', 'd'];
    fc.assert(
      fc.property(
        fc.tuple(...links.map(() => fc.integer({ min: 1, max: 100 }))),
        fc.array(
          fc.record({
            links: fc.subarray(links, { minLength: 1 }),
            demand: fc.option(fc.integer({ min: 1, max: 60 }), { nil: Number.POSITIVE_INFINITY }),
          }),
          { minLength: 1, maxLength: 12 },
        ),
        (sizes, flows) => {
          const capacities = new Map(links.map((link, i) => [link, sizes[i] as number]));
          const rates = maxMinShares(capacities, flows);
          const used = (link: string): number =>
            flows.reduce((sum, flow, i) => sum + (flow.links.includes(link) ? (rates[i] as number) : 0), 0);
          const feasible = links.every(link => used(link) <= (capacities.get(link) as number) + 1e-9);
          return (
            feasible &&
            flows.every((flow, i) => {
              const rate = rates[i] as number;
              if (near(rate, flow.demand, 1e-9)) return true;
              // Its bottleneck: full, and to grow there would take from flows that have no more than this one.
              return flow.links.some(
                link =>
                  near(used(link), capacities.get(link) as number, 1e-9) &&
                  flows.every((other, j) => !other.links.includes(link) || (rates[j] as number) <= rate * (1 + 1e-9)),
              );
            })
          );
        },
      ),
      { seed: 3 },
    );
    // Bertsekas and Gallager's kind of line: the long flow gets its half of the narrow link, the others what is left.
    t.same(
      maxMinShares(
        new Map([
          ['narrow', 10],
          ['wide', 40],
        ]),
        [{ links: ['narrow', 'wide'] }, { links: ['narrow'] }, { links: ['wide'] }],
      ),
      [5, 5, 35],
    );
    t.same(maxMinShares(new Map(), [{ links: [] }]), [Number.POSITIVE_INFINITY], 'nothing limits it');
    t.throws(() => maxMinShares(new Map(), [{ links: ['x'] }]), RangeError);
  },
);

void t.test('mean waits: M/D/1 is half of M/M/1, and both are what a queue of a million packets shows', async t => {
  t.equal(md1Wait({ load: 0.5, service: 2 }), 1);
  t.equal(mm1Wait({ load: 0.5, service: 2 }), 2);
  t.throws(() => md1Wait({ load: 1, service: 1 }), RangeError);
  const random = new Random(4);
  const exponential = (by: number): number => -Math.log(random.fraction()) * by;
  for (const [service, expected] of [
    [() => 1, md1Wait({ load: 0.7, service: 1 })],
    [() => exponential(1), mm1Wait({ load: 0.7, service: 1 })],
  ] as const) {
    // Lindley: the next packet waits for what is left of this one's wait and service.
    let [wait, sum] = [0, 0];
    for (let i = 0; i < 1e6; i++) {
      sum += wait;
      wait = Math.max(0, wait + service() - exponential(1 / 0.7));
    }
    t.ok(near(sum / 1e6, expected, 0.03), `${sum / 1e6} against ${expected}`);
  }
});

void t.test('go-back-N never beats selective repeat, and equals it with one packet in flight', async t => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 0.9, noNaN: true }), fc.integer({ min: 1, max: 1e6 }), (loss, window) => {
      const [gbn, more, sr] = [
        goBackNEfficiency({ loss, window }),
        goBackNEfficiency({ loss, window: window + 1 }),
        selectiveRepeatEfficiency(loss),
      ];
      return gbn <= sr * (1 + 1e-12) && more <= gbn && gbn > 0;
    }),
    { seed: 4 },
  );
  t.equal(goBackNEfficiency({ loss: 0.25, window: 1 }), selectiveRepeatEfficiency(0.25));
});

void t.test('CUBIC: the window of its response function is the mean over one epoch of its own cubic', async t => {
  for (const wMax of [100, 1e4, 1e6]) {
    const rttS = 0.1;
    const period = cubicPeriodS(wMax);
    // Integral of C (t - K)^3 + W_max from 0 to K, over the RTT: packets sent between two losses.
    const packets = (wMax * period - (CUBIC.c * period ** 4) / 4) / rttS;
    t.ok(near(cubicWindow({ loss: 1 / packets, rttS }), (packets * rttS) / period, 1e-9), `W_max ${wMax}`);
  }
  t.equal(
    windowLimitedBps({ windowBytes: 65535, rttS: 0.025 }),
    20_971_200,
    'RFC 6349 section 3.3.1: 64 KB over 25 ms, 20.9 Mb/s',
  );
});

void t.test(
  'the DCQCN fluid settles at its fixed point where it is stable, and has none above a hard step',
  async t => {
    const model = { ...DCQCN_PAPER, flows: 10 };
    const { queueMeanBytes, utilisation } = runDcqcnFluid(model, { feedbackDelayS: 4e-6, durationS: 0.1, stepS: 1e-6 });
    t.ok(near(queueMeanBytes, dcqcnFixedPoint(model).queueBytes as number, 0.001));
    t.ok(near(utilisation, 1, 1e-6));
    t.equal(dcqcnFixedPoint({ ...model, flows: 16, red: 'step' }).queueBytes, undefined);
    t.ok((dcqcnFixedPoint({ ...model, flows: 16 }).queueBytes as number) > model.kmaxBytes);
    t.equal(fluidMarking({ ...model, red: 'step' }, 201e3), 1);
    t.ok(near(fluidMarking(model, 395e3), 0.02, 1e-12), 'twice Kmax less Kmin: twice Pmax');
    t.throws(() => runDcqcnFluid(model, { feedbackDelayS: 1e-7, durationS: 0.1, stepS: 1e-6 }), RangeError);
    t.throws(() => runDcqcnFluid(model, { feedbackDelayS: 0.1, durationS: 0.1, stepS: 1e-6 }), RangeError);
  },
);

void t.test('frames after xoff are those that begin before the pause has arrived', async t => {
  const at = { rateBps: 400e9, frameWireBytes: 4178, pauseWireBytes: 84 };
  t.equal(framesAfterXoff({ ...at, delayPs: 0 }), 1, 'the frame that the peer has just begun');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5e6 }), delayPs => {
      // 400 Gb/s: 20 ps a byte. Back to back; the frame with its last bit at 0 crosses xoff, the pause lands 84 B and a delay later.
      const framePs = 4178 * 20;
      const pausedPs = 84 * 20 + delayPs;
      let frames = 0;
      while (frames * framePs - delayPs <= pausedPs) frames++;
      return framesAfterXoff({ ...at, delayPs }) === frames;
    }),
    { seed: 5 },
  );
});

void t.test('headroom formulas by hand', async t => {
  // 9216 + 84 + 2 x 100 m x 5 ns/m x 12.5 B/ns + 394 x 64 + 9216
  t.equal(
    ciscoHeadroomBytes({ rateBps: 100e9, metres: 100, maxFrameBytes: 9216, noDropFrameBytes: 9216 }),
    9216 + 84 + 12_500 + 25_216 + 9216,
  );
  // Cells of 144 B, small packets only: each byte may take 2.25: 1024 + 2.25 (1500 + 25216) = 61135 -> 60 KiB
  t.equal(
    sonicXoffBytes({
      rateBps: 100e9,
      metres: 0,
      portMtuBytes: 1500,
      losslessMtuBytes: 1024,
      macPhyBytes: 0,
      smallPacketPercent: 100,
      cellBytes: 144,
    }),
    60 * 1024,
  );
  t.throws(() => peerResponseBytes(1.6e12), RangeError);
});

void t.test(
  'optics: erfc, Q and power by known values; a link is clean above its threshold and lost below',
  async t => {
    for (const [x, expected] of [
      [0, 1],
      [1, 0.15729920705028513],
      [3, 2.209049699858544e-5],
      [5, 1.5374597944280349e-12],
    ] as const)
      t.ok(near(erfc(x), expected, 1e-12), `erfc(${x})`);
    t.ok(near(binaryBer(6), 9.866e-10, 1e-3), 'Q = 6: 1e-9');
    t.ok(near(binaryBer(7.034), 1e-12, 0.01), 'Q = 7.03: 1e-12');
    t.ok(
      near(receivedDbm({ launchDbm: -6, metres: 80e3, attenuationDbPerKm: 0.25, lumpedDb: 1 }), -27, 1e-12),
      '-6 - 20 - 1',
    );
    const mode = { baud: ZR_400.baud, fec: FEC_THRESHOLDS.cfec, penaltyDb: 3 };
    const needed = requiredOsnrDb({ preFec: mode.fec.preFec, baud: mode.baud }) + mode.penaltyDb;
    t.equal(coherentFrameLoss(mode, { osnrDb: needed + 0.01, frameBytes: 4178 }), frameLoss(1e-15, 4178));
    t.ok(coherentFrameLoss(mode, { osnrDb: needed - 0.01, frameBytes: 4178 }) > 0.999);
  },
);

void t.test('DCTCP: the sawtooth is the one of the algorithm itself', async t => {
  const at = { flows: 4, rateBps: 10e9, rttS: 100e-6, packetBytes: 1500 };
  const thresholdPackets = 40;
  const expected = dctcpSawtooth(at, { thresholdPackets });
  // All flows in step, a round at a time: marked whole when the queue is above K; alpha by RFC 8257.
  const pipe = (at.rateBps * at.rttS) / (8 * at.packetBytes);
  let [window, alpha] = [10, 1];
  const [windows, alphas]: [number[], number[]] = [[], []];
  for (let round = 0; round < 20_000; round++) {
    const marked = at.flows * window - pipe > thresholdPackets;
    // As the analysis has it, the share of marked packets is taken over a period; g small enough to follow its mean.
    alpha += ((marked ? 1 : 0) - alpha) / 512;
    window = marked ? window * (1 - alpha / 2) : window + 1;
    if (round > 10_000) {
      windows.push(window);
      alphas.push(alpha);
    }
  }
  t.ok(near(Math.max(...windows), expected.windowMostPackets, 0.04), 'largest window');
  t.ok(near(mean(windows), expected.windowMeanPackets, 0.04), 'mean window');
  t.ok(near(mean(alphas), expected.alpha, 0.15), `alpha ${mean(alphas)} against ${expected.alpha}`);
  // Leading order: Q from K + N down by sqrt(2 N (C RTT + K))/2.
  const amplitude = expected.queueMostPackets - expected.queueLeastPackets;
  t.equal(expected.queueMostPackets, 44);
  t.ok(near(amplitude, Math.sqrt(2 * at.flows * (pipe + thresholdPackets)) / 2, 0.1));
  t.ok(near(dctcpLeastThresholdPackets(at), 83.33 / 7, 0.001));
  t.ok(near(dctcpGainLimit(at, { thresholdPackets }), 1.386 / Math.sqrt(2 * 123.33), 0.001));
});

void t.test('HPCC: its window update leads to the fixed point from anywhere', async t => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.double({ min: 0.01, max: 3, noNaN: true }), (flows, start) => {
      const at = { flows, rateBps: 100e9, rttS: 13e-6, packetBytes: 1048 };
      const [eta, additiveBytes] = [0.95, 500];
      const bdp = 162_500;
      let window = (start * bdp) / flows;
      for (let round = 0; round < 200; round++) window = window / ((flows * window) / bdp / eta) + additiveBytes;
      const point = hpccFixedPoint(at, { eta, additiveBytes });
      return near(window, point.windowBytes, 1e-9) && near(point.queueBytes, Math.max(0, flows * window - bdp), 1e-6);
    }),
    { seed: 6 },
  );
  const quiet = hpccFixedPoint(
    { flows: 16, rateBps: 100e9, rttS: 13e-6, packetBytes: 1048 },
    { eta: 0.95, additiveBytes: 500 },
  );
  t.equal(quiet.queueBytes, 0, '16 x 500 B are 4.9 % of the BDP: just within 1 - eta');
  t.ok(near(quiet.utilisation, 0.95 + 8000 / 162_500, 1e-12));
});

void t.test(
  'Swift: delay meets target; without flow scaling the queue does not depend on the flows, with it it grows',
  async t => {
    const at = { rateBps: 100e9, rttS: 10e-6, packetBytes: 4096 };
    const flat = { baseS: 25e-6, scalingRangeS: 0, scalingLeastWindow: 0.1, scalingMostWindow: 100 };
    const scaled = { ...flat, scalingRangeS: 100e-6 };
    let before = 0;
    for (const flows of [1, 4, 16, 64, 256]) {
      t.ok(near(swiftFixedPoint({ ...at, flows }, flat).queueBytes as number, 187_500, 1e-9), '15 us at 100 Gb/s');
      const { windowPackets, delayS, queueBytes } = swiftFixedPoint({ ...at, flows }, scaled);
      t.ok(near(flows * windowPackets * 4096 * 8, delayS * 100e9, 1e-9), 'what is in flight fills the delay');
      t.ok((queueBytes as number) >= before);
      before = queueBytes as number;
    }
    t.equal(swiftTargetS(scaled, 100), 25e-6, 'no scaling at the largest window');
    t.ok(near(swiftTargetS(scaled, 0.1), 125e-6, 1e-12), 'all of it at the least');
    t.equal(
      swiftFixedPoint({ ...at, flows: 1, rttS: 1e-3 }, flat).queueBytes,
      undefined,
      'the target lies below the RTT',
    );
  },
);

void t.test('TIMELY leaves a range, patched TIMELY one point that its own update keeps', async t => {
  const at = { flows: 2, rateBps: 10e9, rttS: 20e-6, packetBytes: 1000 };
  t.same(timelyQueueRangeBytes(at, { lowS: 50e-6, highS: 500e-6 }).map(Math.round), [37_500, 600_000]);
  const law = { lowS: 50e-6, deltaBps: 10e6, beta: 0.008 };
  const rttS = patchedTimelyRttS(at, law);
  t.ok(near(rttS, 62.5e-6, 1e-12), '50 us x (1 + 2 x 10 Mb/s / 80 Mb/s)');
  const rate = 5e9;
  const next = law.deltaBps * 0.5 + rate * (1 - law.beta * 0.5 * ((rttS - law.lowS) / law.lowS));
  t.ok(near(next, rate, 1e-12));
});

void t.test(
  'a pipelined flat ring takes what the recursion of its sends takes, and never longer than one with barriers',
  async t => {
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.integer({ min: 2, max: 40 }), fc.integer({ min: 1, max: 4000 }), (half, owdUs) => {
          const ranks = 2 * half;
          const ring = { bytes: 1e6 * ranks, ranks, nicBps: 400e9, alphaS: 5e-6 };
          const chunkS = 20e-6;
          const edgeS = (from: number): number => 5e-6 + (from === half - 1 || from === ranks - 1 ? owdUs * 1e-6 : 0);
          let sent = Array.from({ length: ranks }, () => 0);
          let arrived = Array.from({ length: ranks }, () => 0);
          for (let step = 0; step < 2 * (ranks - 1); step++) {
            sent = sent.map((free, i) => Math.max(free, arrived[i] as number) + chunkS);
            arrived = sent.map((_, i) => {
              const from = (i + ranks - 1) % ranks;
              return (sent[from] as number) + edgeS(from);
            });
          }
          const rttS = 2e-6 * owdUs;
          const closed = flatRingS(ring, { rttS });
          // With two ranks a site every run of 2(N-1) edges leaves out one crossing.
          const exact = half < 3 || near(Math.max(...arrived), closed, 1e-9);
          return exact && (owdUs < 10 * ring.alphaS * 1e6 || closed <= flatRingBarrierS(ring, { rttS }));
        }),
        { seed: 7, numRuns: 60 },
      ),
    );
  },
);

void t.test('the hierarchical time without step costs is the roofline that a run is judged by', async t => {
  const site = (name: string): Host[] =>
    Array.from({ length: 8 }, (_, i) => ({ kind: 'host', name: `${name}${i}`, site: name }) as const);
  const hosts = [...site('a'), ...site('b')];
  const topology: Topology = {
    name: 'two sites',
    sites: ['a', 'b'],
    hosts,
    switches: (['a', 'b'] as const).map(name => ({ kind: 'switch', name: `leaf-${name}`, site: name, role: 'leaf' })),
    links: hosts.map(host =>
      cable({ node: host.name, port: 'eth0' }, { node: `leaf-${host.site}`, port: host.name }, '400 Gb/s', '0 m'),
    ),
    spans: {
      long: {
        kind: 'span',
        name: 'long',
        ends: [
          { node: 'leaf-a', port: 'span' },
          { node: 'leaf-b', port: 'span' },
        ],
        rate: '1600 Gb/s',
        length: '100 km',
      },
    },
    settings: DEFAULT_FABRIC,
  };
  const payload = wireEfficiency(4096);
  const expectedS = hierarchicalS(
    { bytes: 2 ** 30, ranks: 8, nicBps: payload * 400e9, alphaS: 0 },
    { sites: 2, egressBps: payload * 1600e9, rttS: (2 * propagationNs(100e3)) / 1e9 },
  );
  const roundNs = bestRoundNs(allReduce({ bytes: '1 GiB', algorithm: 'hierarchical' }), topology);
  t.ok(near((roundNs as number) / 1e9, expectedS, 1e-9), `${roundNs} ns against ${expectedS} s`);
  t.equal(exposedS({ commS: 30, overlapS: 40 }), 0);
  t.equal(scalingEfficiency(96, exposedS({ commS: 30, overlapS: 26 })), 0.96);
});
