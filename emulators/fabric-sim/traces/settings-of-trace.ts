import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import type { DcqcnSettings, EcnSettings, FabricSettings, PfcSettings } from '../../../harness/model/topology.ts';
import type { FabricGraph } from './fabric-graph.ts';
import type { Trace } from './trace.ts';
import type { TraceFabric, TraceTransport } from './trace-fabric.ts';

/** ECN thresholds of a fabric are declared for ports of this rate (`SwitchingSettings.scaleThresholds`). */
const DECLARED_AT_BPS = 100e9;

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
  const ecn = ecnOf(fabric, graph, differences);
  const pfc = pfcOf(fabric);
  const { transport, window } = fabric;
  if (window?.bytes === 'bdp-of-pair')
    differences.push('each pair of hosts has its own window there (GLOBAL_T 0); here flows have none');
  if (window?.scalesWithRate === true)
    differences.push('the window there shrinks with the rate (VAR_WIN 1); here it stays');
  const windowBytes = window === null || window.bytes === 'bdp-of-pair' ? undefined : window.bytes;
  return {
    overheadBytes: fabric.headerBytes,
    differences,
    settings: {
      ...DEFAULT_FABRIC,
      bufferPerSwitch: fabric.bufferBytes === null ? ENDLESS_BUFFER : `${fabric.bufferBytes} B`,
      ecn: ecn.settings,
      pfc,
      dcqcn: transport.name === 'dcqcn' ? dcqcnOf(transport, differences) : null,
      roce: {
        mtu: `${fabric.mtuBytes} B`,
        retransmitTimeout: RETRANSMIT_TIMEOUT,
        ...(windowBytes !== undefined && { window: `${windowBytes} B` as const }),
      },
      switching: {
        scaleThresholds: ecn.scaled,
        ...(!fabric.ackHighPriority && { priorities: { control: 3, data: 3, datagrams: 0 } }),
      },
      transport: {
        control: controlOf(transport),
        ...parametersOf(transport),
        acknowledgementBytes: `${fabric.ackBytes} B`,
        acknowledgeEvery: fabric.ackEveryPackets,
      },
    },
  };
}

/**
 * Thresholds by rate become one pair that scales with the rate when they are proportional to it; one pair as it is when one rate
 * carries them; else those of the slowest rate, the hosts', scaled, and a difference is told.
 */
function ecnOf(
  { ecn }: TraceFabric,
  graph: FabricGraph,
  differences: string[],
): { readonly settings: EcnSettings | null; readonly scaled: boolean } {
  if (ecn === null) return { settings: null, scaled: false };
  const rates = new Set(graph.links.map(({ rateBps }) => rateBps));
  const used = ecn.byRate.filter(({ rateBps }) => rates.has(rateBps)).toSorted((a, b) => a.rateBps - b.rateBps);
  const first = used[0];
  if (first === undefined) return { settings: null, scaled: false };
  const scaled = used.length > 1;
  const scale = scaled ? DECLARED_AT_BPS / first.rateBps : 1;
  const proportional = used.every(
    at =>
      at.minBytes * first.rateBps === first.minBytes * at.rateBps &&
      at.maxBytes * first.rateBps === first.maxBytes * at.rateBps &&
      at.probability === first.probability,
  );
  if (!proportional) {
    const told = used
      .map(at => `${at.minBytes / 1000}/${at.maxBytes / 1000} KB at ${at.rateBps / 1e9} Gb/s`)
      .join(', ');
    differences.push(
      `ECN thresholds there are ${told}; here those of ${first.rateBps / 1e9} Gb/s grow in proportion to the rate`,
    );
  }
  return {
    scaled,
    settings: {
      min: `${first.minBytes * scale} B`,
      max: `${first.maxBytes * scale} B`,
      probability: first.probability,
      at: ecn.at,
    },
  };
}

function pfcOf({ pfc, bufferBytes }: TraceFabric): PfcSettings | null {
  if (pfc === null) return null;
  if (pfc.law === 'static')
    return { xoff: `${pfc.xoffBytes} B`, xon: `${pfc.xonBytes} B`, freeShare: null, overSpans: true };
  const most = bufferBytes ?? Number.MAX_SAFE_INTEGER;
  return {
    xoff: `${most} B`,
    xon: `${most - pfc.resumeOffsetBytes} B`,
    freeShare: 2 ** -pfc.shift,
    overSpans: true,
  };
}

function dcqcnOf(law: Extract<TraceTransport, { name: 'dcqcn' }>, differences: string[]): DcqcnSettings {
  if (law.clampTargetRate) differences.push('CLAMP_TARGET_RATE 1 is not simulated');
  return {
    alphaTimer: `${law.alphaTimerPs / 1e6} us`,
    rateReducePeriod: `${law.rateReducePeriodPs / 1e6} us`,
    increaseTimer: `${law.increaseTimerPs / 1e6} us`,
    // The NIC form of this family has no byte counter.
    byteCounter: '1000000 GB',
    g: law.g,
    additiveIncrease: `${law.additiveBps} b/s`,
    hyperIncrease: `${law.hyperBps} b/s`,
    fastRecoveryRounds: law.fastRecoveryRounds,
    minRate: `${law.minBps} b/s`,
    // Every marked packet's ACK carries the notification there; the sender acts on it once a decrease interval.
    cnpInterval: `${law.rateReducePeriodPs / 1e6} us`,
  };
}

function controlOf(transport: TraceTransport): string {
  if (transport.name === 'unknown')
    throw new RangeError(
      `CC_MODE ${transport.ccMode} is not here; 1 (DCQCN), 3 (HPCC), 7 (TIMELY) and 8 (DCTCP) are. A fork's own scheme can not be replayed.`,
    );
  return transport.name;
}

/** Parameters of laws other than DCQCN, which has settings of its own, by the names in `transport/laws.ts`. */
function parametersOf(transport: TraceTransport): { readonly parameters?: Readonly<Record<string, number>> } {
  switch (transport.name) {
    case 'hpcc':
      return {
        parameters: {
          eta: transport.eta,
          maxStage: transport.maxStage,
          additiveBps: transport.additiveBps,
          minBps: transport.minBps,
          ...(transport.baseRttPs !== 'of-pair' && { baseRttPs: transport.baseRttPs }),
        },
      };
    case 'timely':
      return {
        parameters: {
          ewma: transport.ewma,
          beta: transport.beta,
          lowPs: transport.lowPs,
          highPs: transport.highPs,
          minRttPs: transport.minRttPs,
          additiveBps: transport.additiveBps,
          hyperBps: transport.hyperBps,
          minBps: transport.minBps,
        },
      };
    case 'dctcp':
      return { parameters: { g: transport.g, additiveBps: transport.additiveBps, minBps: transport.minBps } };
    default:
      return {};
  }
}
