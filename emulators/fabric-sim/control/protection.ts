import type { Span, Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { Network, SpanState } from '../fabric/network.ts';
import { checkedSpanChange } from '../fabric/span-change.ts';
import { FEC_THRESHOLDS } from '../theory/optics.ts';

type Way = 'a-to-b' | 'b-to-a';
const WAYS: readonly Way[] = ['a-to-b', 'b-to-a'];

export interface ProtectionOptions {
  /** What the protection path takes longer than the working one, ps: each way, or the same both ways. */
  readonly detourPs: number | Readonly<Record<Way, number>>;
  /** From the failure to its detection, ps; 10 ms when absent (G.841: what comes before the 50 ms begin). */
  readonly detectionPs?: number;
  /** From detection until traffic flows again, ps; 50 ms when absent, the most that G.841 and G.8031 allow on up to 1200 km. */
  readonly switchPs?: number;
  /**
   * Revertive: traffic goes back when the working path has been good for so long, ps (G.841, wait to restore: 5 to 12 min). When absent it
   * stays on the protection path. Going back takes no time: both copies are there (1+1) and the selector moves between two frames.
   */
  readonly waitToRestorePs?: number;
  /** Bit errors before FEC from which on the signal counts as degraded; 400ZR's limit, 1.25e-2, when absent. */
  readonly degradeBer?: number;
}

export type ProtectionState = 'working' | 'detecting' | 'switching' | 'protecting' | 'restoring';

interface Protected {
  readonly options: Required<Omit<ProtectionOptions, 'detourPs' | 'waitToRestorePs'>> &
    Pick<ProtectionOptions, 'waitToRestorePs'>;
  readonly detourPs: Readonly<Record<Way, number>>;
  readonly metres: number;
  readonly working: Record<Way, SpanState>;
  state: ProtectionState;
  /** Counts changes of `state`, so that a timer knows whether it is out of date. */
  turn: number;
}

const DETECTION_PS = 10e9;
const SWITCH_PS = 50e9;
const CLEAN = {
  loss: 0,
  lossEvery: 0,
  jitterPs: 0,
  reorderShare: 0,
  reorderPs: 0,
  attenuationDb: 0,
  preFecBer: 0,
  ber: 0,
};

/**
 * Protection switching of spans (ITU-T G.841 1+1, both directions together): loss of light or a degraded signal in one direction of the working
 * path moves both to a longer path that is taken as good.
 *
 * Once a span is protected, what is set on it is its working path. The line terminals keep their light towards the switches meanwhile (a
 * hold-off), so that only BFD and frames tell of the gap: a session whose BFD is faster than detection and switching goes down all the same. A
 * silent failure, light kept and frames lost, is none that the optical layer sees.
 */
export class Protection {
  readonly #network: Pick<Network, 'nowPs' | 'at' | 'span' | 'setSpan'>;
  readonly #changed: (span: string) => void;
  readonly #spans = new Map<string, Protected>();

  readonly #topology: Topology;

  constructor(options: {
    readonly topology: Topology;
    readonly network: Pick<Network, 'nowPs' | 'at' | 'span' | 'setSpan'>;
    /** The state that the fabric sees is another. */
    readonly onChange: (span: string) => void;
  }) {
    this.#topology = options.topology;
    this.#network = options.network;
    this.#changed = options.onChange;
  }

  /** @throws RangeError for times below 0, or a span that is protected already */
  protect(name: string, options: ProtectionOptions): void {
    const { detourPs, detectionPs = DETECTION_PS, switchPs = SWITCH_PS, waitToRestorePs } = options;
    const detours = typeof detourPs === 'number' ? { 'a-to-b': detourPs, 'b-to-a': detourPs } : detourPs;
    const degradeBer = options.degradeBer ?? FEC_THRESHOLDS.cfec.preFec;
    for (const ps of [...Object.values(detours), detectionPs, switchPs, waitToRestorePs ?? 0])
      if (!(Number.isSafeInteger(ps) && ps >= 0))
        throw new RangeError(`${ps} ps: a whole number of 0 or more is needed.`);
    if (!(degradeBer > 0)) throw new RangeError(`A signal is not degraded from ${degradeBer} bit errors on.`);
    const span = Object.values<Span>(this.#topology.spans).find(one => one.name === name);
    if (!span) throw new RangeError(`${this.#topology.name} has no span ${name}.`);
    const metres = magnitude(span.length);
    if (this.#spans.has(name)) throw new RangeError(`Span ${name} is protected already.`);
    const working = {
      'a-to-b': { ...this.#network.span(name, 'a-to-b') },
      'b-to-a': { ...this.#network.span(name, 'b-to-a') },
    };
    this.#spans.set(name, {
      options: { detectionPs, switchPs, degradeBer, ...(waitToRestorePs !== undefined && { waitToRestorePs }) },
      detourPs: detours,
      metres,
      working,
      state: 'working',
      turn: 0,
    });
    this.#consider(name);
  }

  /** Undefined for spans that are not protected. */
  state(name: string): ProtectionState | undefined {
    return this.#spans.get(name)?.state;
  }

  /** The working path of a protected span; the span itself otherwise. */
  span(name: string, way: Way): SpanState {
    return { ...(this.#spans.get(name)?.working[way] ?? this.#network.span(name, way)) };
  }

  /** Changes the working path of a protected span; the span itself otherwise. */
  setSpan(name: string, way: Way, change: Partial<SpanState>): void {
    const found = this.#spans.get(name);
    if (!found) {
      this.#network.setSpan(name, way, change);
      return;
    }
    const wanted = checkedSpanChange(change, found.metres);
    const before = wanted.ber === undefined ? {} : { attenuationDb: 0, preFecBer: 0 };
    Object.assign(found.working[way], before, wanted);
    this.#consider(name);
    this.#apply(name);
  }

  #consider(name: string): void {
    const found = this.#spans.get(name) as Protected;
    const { detectionPs, switchPs, waitToRestorePs, degradeBer } = found.options;
    const failed = WAYS.some(way => !found.working[way].light || (found.working[way].preFecBer ?? 0) >= degradeBer);
    const to = (state: ProtectionState, afterPs?: number, then?: () => void) => {
      found.state = state;
      found.turn += 1;
      const { turn } = found;
      if (then && afterPs !== undefined)
        this.#network.at(this.#network.nowPs + afterPs, () => {
          if (found.turn === turn) then();
        });
      this.#apply(name);
    };
    if (failed && found.state === 'working')
      to('detecting', detectionPs, () =>
        to('switching', switchPs, () => {
          to('protecting');
          this.#consider(name);
        }),
      );
    else if (failed && found.state === 'restoring') to('protecting');
    else if (!failed && found.state === 'detecting') to('working');
    else if (!failed && found.state === 'protecting' && waitToRestorePs !== undefined)
      to('restoring', waitToRestorePs, () => to('working'));
  }

  #apply(name: string): void {
    const { state, working, detourPs } = this.#spans.get(name) as Protected;
    for (const way of WAYS) {
      const path = working[way];
      const wanted: SpanState =
        state === 'protecting' || state === 'restoring'
          ? { ...CLEAN, passing: true, light: true, delayPs: path.delayPs + detourPs[way] }
          : { ...path, passing: path.passing && path.light, light: true };
      this.#network.setSpan(name, way, wanted);
    }
    this.#changed(name);
  }
}
