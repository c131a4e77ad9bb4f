import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import type { EcnSettings, FabricSettings, PfcSettings } from '../../../harness/model/topology.ts';
import { type FabricGraph, isSpan } from './fabric-graph.ts';
import type { Trace } from './trace.ts';
import type { TraceFabric } from './trace-fabric.ts';

/** For switches of which the files say that nothing shares a buffer: more than any workload can fill. */
const ENDLESS_BUFFER = '1000000 MB';

/** The families recover from loss by NAK only; a timeout that no pause outlasts stands for none. */
const RETRANSMIT_TIMEOUT = '100 ms';

/** How the simulator is told of a trace's fabric, and what of it it can not be told. */
export interface TraceSettings {
  readonly settings: FabricSettings;
  /** What a full packet adds to its payload (`NetworkOptions.overheadBytes`). */
  readonly overheadBytes: number;
  /** In what the run differs from what the files ask for, in sentences. Empty: in nothing that the files say. */
  readonly differences: readonly string[];
}

/** @throws RangeError when the files ask for a congestion control that is not here */
export function settingsOfTrace({ graph, fabric }: Pick<Trace, 'graph' | 'fabric'>): TraceSettings {
  const differences: string[] = [];
  const pfc = pfcOf(fabric, graph, differences);
  const { window } = fabric;
  // A window that scales with the rate is the law's own; one that does not is the connection's.
  const fixed =
    window !== null && !window.scalesWithRate && fabric.transport.name !== 'hpcc' ? window.bytes : undefined;
  if (fixed === 'bdp-of-pair')
    differences.push(
      'each pair of hosts has a fixed window of its own there (GLOBAL_T 0, VAR_WIN 0); here flows have none',
    );
  return {
    overheadBytes: fabric.headerBytes,
    differences,
    settings: {
      ...DEFAULT_FABRIC,
      bufferPerSwitch: fabric.bufferBytes === null ? ENDLESS_BUFFER : `${fabric.bufferBytes} B`,
      ecn: ecnOf(fabric, graph),
      pfc,
      dcqcn: null,
      roce: {
        mtu: `${fabric.mtuBytes} B`,
        retransmitTimeout: RETRANSMIT_TIMEOUT,
        ...(typeof fixed === 'number' && { window: `${fixed} B` as const }),
      },
      switching: {
        scaleThresholds: false,
        releaseAt: fabric.releaseAt,
        ...(!fabric.ackHighPriority && { priorities: { control: 3, data: 3, datagrams: 0 } }),
      },
      transport: {
        ...lawOf(fabric, differences),
        acknowledgementBytes: `${fabric.ackBytes} B`,
        acknowledgeEvery: fabric.ackEveryPackets,
      },
    },
  };
}

/** The thresholds of every rate that a link has, as the files give them. */
function ecnOf({ ecn }: TraceFabric, graph: FabricGraph): EcnSettings | null {
  if (ecn === null) return null;
  const rates = new Set(graph.links.map(({ rateBps }) => rateBps));
  const [first, ...others] = ecn.byRate
    .filter(({ rateBps }) => rates.has(rateBps))
    .map(({ rateBps, minBytes, maxBytes, probability }) => ({
      rate: `${rateBps} b/s` as const,
      min: `${minBytes} B` as const,
      max: `${maxBytes} B` as const,
      probability,
    }));
  if (first === undefined) return null;
  const { min, max, probability } = first;
  return { min, max, probability, at: ecn.at, ...(others.length > 0 && { perRate: [first, ...others] }) };
}

function pfcOf({ pfc, bufferBytes }: TraceFabric, graph: FabricGraph, differences: string[]): PfcSettings | null {
  if (pfc === null) return null;
  if (pfc.law === 'static')
    return { xoff: `${pfc.xoffBytes} B`, xon: `${pfc.xonBytes} B`, freeShare: null, overSpans: true };
  const most = bufferBytes ?? Number.MAX_SAFE_INTEGER;
  const headroom = Math.max(
    0,
    ...graph.links.filter(isSpan).map(({ rateBps, delayPs }) => (rateBps * delayPs * pfc.headroomFactor) / 8e12),
  );
  const covered = headroom <= most / 2;
  if (!covered)
    differences.push(
      `headroom of a long link is ${Math.round(headroom / 1e6)} MB there, of a buffer of ${Math.round(most / 1e6)} MB: that underflows, and its switch never pauses anybody; here PFC is not spoken over long links and is as usual on the others`,
    );
  if (graph.links.some(({ rateBps }) => rateBps > pfc.nicRateBps))
    differences.push(
      'ports faster than the hosts pause at a larger share of the free buffer there; here all at the same',
    );
  return {
    xoff: `${most} B`,
    xon: `${most - pfc.resumeOffsetBytes} B`,
    freeShare: 2 ** -pfc.shift,
    overSpans: covered,
  };
}

interface Law {
  readonly control: string;
  readonly parameters?: Readonly<Record<string, number>>;
}

/** The law of `transport/laws.ts` and its parameters by their names there. */
function lawOf({ transport, window }: TraceFabric, differences: string[]): Law {
  const windowed = {
    varyingWindow: window?.scalesWithRate === true ? 1 : 0,
    // 0: the bandwidth-delay product of the flow's own path.
    fullWindowBytes: typeof window?.bytes === 'number' ? window.bytes : 0,
  };
  switch (transport.name) {
    case 'dcqcn':
      if (transport.clampTargetRate) differences.push('CLAMP_TARGET_RATE 1 is not simulated');
      return {
        control: 'dcqcn',
        parameters: {
          alphaTimerPs: transport.alphaTimerPs,
          rateReducePeriodPs: transport.rateReducePeriodPs,
          increaseTimerPs: transport.increaseTimerPs,
          g: transport.g,
          fastRecoveryRounds: transport.fastRecoveryRounds,
          additiveIncreaseBps: transport.additiveBps,
          hyperIncreaseBps: transport.hyperBps,
          minRateBps: transport.minBps,
          // Each marked packet's acknowledgement carries the notification there; this NIC form has no byte counter.
          cnpIntervalPs: 0,
          byteCounterBytes: 0,
          ...windowed,
        },
      };
    case 'hpcc':
      if (window === null) differences.push('HPCC has no window there (HAS_WIN 0); here it has one');
      if (transport.multiRate) differences.push('MULTI_RATE 1, a rate for each hop, is not simulated');
      if (transport.sampleFeedback) differences.push('SAMPLE_FEEDBACK 1 is not simulated');
      return {
        control: 'hpcc',
        parameters: {
          targetUtilisation: transport.eta,
          maxStage: transport.maxStage,
          additiveIncreaseBps: transport.additiveBps,
          minRateBps: transport.minBps,
          fastReact: transport.fastReact ? 1 : 0,
          fullWindowBytes: windowed.fullWindowBytes,
          baseRttPs: transport.baseRttPs === 'of-pair' ? 0 : transport.baseRttPs,
        },
      };
    case 'timely':
      return {
        control: 'timely',
        parameters: {
          ewmaShare: transport.ewma,
          decreaseShare: transport.beta,
          lowRttPs: transport.lowPs,
          highRttPs: transport.highPs,
          minRttPs: transport.minRttPs,
          additiveIncreaseBps: transport.additiveBps,
          hyperIncreaseBps: transport.hyperBps,
          minRateBps: transport.minBps,
          ...windowed,
        },
      };
    case 'dctcp':
      return {
        control: 'dctcp-rate',
        parameters: {
          g: transport.g,
          additiveIncreaseBps: transport.additiveBps,
          minRateBps: transport.minBps,
          ...windowed,
        },
      };
    case 'unknown':
      throw new RangeError(
        `CC_MODE ${transport.ccMode} is not here; 1 (DCQCN), 3 (HPCC), 7 (TIMELY) and 8 (DCTCP) are. A fork's own scheme can not be replayed.`,
      );
    case 'none':
      return { control: transport.name };
  }
}
