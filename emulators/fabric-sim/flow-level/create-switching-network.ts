import { type Granularity, trainOf } from '../../../harness/model/granularity.ts';
import { createNetwork } from '../fabric/create-network.ts';
import {
  COUNTED,
  type DatagramStream,
  type Flow,
  type FlowRequest,
  type Network,
  type NetworkOptions,
  type NicCount,
  type PortCount,
  type QueueCount,
  type Repeats,
  type RoundMark,
  type SpanState,
} from '../fabric/network.ts';
import type { TapListener } from '../fabric/tapped-packet.ts';
import { wire } from '../fabric/wiring.ts';
import { createFlowLevelNetwork } from './create-flow-level-network.ts';

export interface SwitchingNetwork extends Network {
  readonly granularity: Granularity;
  /**
   * Goes on with another engine from this instant. Not while `advance` runs.
   *
   * @throws RangeError when the other engine can not carry what runs; nothing has changed then
   */
  switchTo(granularity: Granularity): void;
}

/** At flow level there are no queues to read; see `observes`. */
const UNSEEN_QUEUE: QueueCount = {
  bytes: Number.NaN,
  sent: Number.NaN,
  drops: Number.NaN,
  peakBytes: Number.NaN,
};

interface Tap {
  readonly node: string;
  readonly port: string;
  readonly listener: TapListener;
  /** Ends it at the engine that runs now. */
  end: () => void;
}

type Callbacks = Pick<FlowRequest, 'onAcknowledged' | 'onDelivered'>;
type Direction = 'a-to-b' | 'b-to-a';

/** Beyond the fibres, queues drain within this, ps. 32 MB at 100 Gb/s take 2.6 ms. */
const DRAIN_GRACE_PS = 3e9;
const DIRECTIONS = ['a-to-b', 'b-to-a'] as const;

/**
 * A network that changes its engine between phases. Handles, callbacks, calls, tables, ports, spans, streams and counters go on.
 *
 * What a change costs: what is on the way is sent again (at most one round trip of delivery, twice on the counters), and congestion control
 * starts afresh, at the line rate. The engine that is left runs dry first, apart from everything, so that what it carried is counted and
 * datagrams on their way are received (at most their delay too early).
 */
export function createSwitchingNetwork(
  options: Omit<NetworkOptions, 'trainPackets'> & { readonly granularity: Granularity },
): SwitchingNetwork {
  return new Switching(options);
}

class Switching implements SwitchingNetwork {
  granularity: Granularity;
  private readonly options: Omit<NetworkOptions, 'trainPackets'>;
  private engine: Network;
  private engineRepeats: Repeats | undefined;
  private readonly calls = new Map<number, { readonly atPs: number; readonly run: () => void }>();
  private callCount = 0;
  private readonly carried: CarriedFlow[] = [];
  private readonly streams: CarriedStream[] = [];
  private readonly dark = new Set<string>();
  private readonly drainPs: number;
  private readonly past = new Map<string, Record<(typeof COUNTED)[number], number>>();
  private readonly pastNics = new Map<string, NicCount>();
  private readonly pastSpans = new Map<string, { packets: number; lost: number }>();
  private pastHops = 0;
  private pastEvents = 0;
  private pastAccount = { injected: 0, delivered: 0, dropped: 0 };
  private readonly delayOfPort: ReadonlyMap<string, number>;
  private readonly taps = new Set<Tap>();
  private advancing = false;

  constructor(options: Omit<NetworkOptions, 'trainPackets'> & { readonly granularity: Granularity }) {
    const { granularity, ...rest } = options;
    this.options = rest;
    this.granularity = granularity;
    this.engine = engineOf(granularity, rest);
    this.engineRepeats = this.repeatsOf(this.engine);
    const wiring = wire(rest.topology);
    const fibresPs = Array.from(wiring.spanDirection, (span, port) =>
      span >= 0 ? (wiring.delayPs[port] as number) : 0,
    );
    this.drainPs = Math.ceil(fibresPs.reduce((sum, ps) => sum + ps, 0)) + DRAIN_GRACE_PS;
    this.delayOfPort = new Map(
      wiring.portNames.map((port, i) => [
        `${wiring.nodes[wiring.node[i] as number]} ${port}`,
        wiring.delayPs[i] as number,
      ]),
    );
  }

  get nowPs(): number {
    return this.engine.nowPs;
  }

  get observes(): Network['observes'] {
    return this.engine.observes;
  }

  get repeats(): Repeats | undefined {
    return this.engineRepeats;
  }

  /** The engine's, and what it counts is counted for the handles too. */
  private repeatsOf({ repeats }: Network): Repeats | undefined {
    if (!repeats) return undefined;
    interface Both {
      readonly engine: RoundMark;
      readonly given: readonly number[];
    }
    return {
      state: () => repeats.state(),
      mark: since => {
        const before = since?.taken as Both | undefined;
        const given = this.carried.map((flow, i) => flow.given - (before?.given[i] ?? 0));
        return { taken: { engine: repeats.mark(before?.engine), given } satisfies Both };
      },
      repeat: ({ given, lastsPs, done }) => {
        const both = given.taken as Both;
        return repeats.repeat({
          given: both.engine,
          lastsPs,
          done: () => {
            for (const [i, bytes] of both.given.entries()) if (bytes > 0) this.carried[i]?.counted(bytes);
            done();
          },
        });
      },
    };
  }

  advance(untilPs: number): void {
    this.advancing = true;
    try {
      this.engine.advance(untilPs);
    } finally {
      this.advancing = false;
    }
  }

  stop(): void {
    this.engine.stop();
  }

  at(atPs: number, run: () => void): void {
    const id = this.callCount;
    this.schedule(id, atPs, run);
    this.callCount += 1;
  }

  private schedule(id: number, atPs: number, run: () => void): void {
    const { engine } = this;
    engine.at(atPs, () => {
      if (this.engine !== engine) return;
      this.calls.delete(id);
      run();
    });
    this.calls.set(id, { atPs, run });
  }

  // ---- the change ----

  switchTo(granularity: Granularity): void {
    if (granularity === this.granularity) return;
    if (this.advancing) throw new Error('The engine changes between phases, not while time passes.');
    if (granularity === 'flow' && this.carried.some(flow => flow.isDeaf && !flow.isStopped))
      throw new RangeError('Flow level knows no sender that ignores congestion.');
    const before = this.engine;
    const next = engineOf(granularity, this.options);
    next.advance(before.nowPs);
    for (const { name } of this.options.topology.switches)
      for (const { name: host } of this.options.topology.hosts) {
        const ports = before.routes(name, host);
        if (ports.length > 0) next.setRoute(name, host, ports);
      }
    for (const key of this.dark) {
      const [node, port] = key.split('\n') as [string, string];
      next.setForwarding(node, port, false);
    }
    for (const name of Object.keys(this.options.topology.spans))
      for (const direction of DIRECTIONS) next.setSpan(name, direction, before.span(name, direction));

    for (const flow of this.carried) flow.takeOut();
    for (const stream of this.streams) stream.takeOut();
    this.granularity = granularity;
    this.engine = next;
    this.engineRepeats = this.repeatsOf(next);
    for (const tap of this.taps) {
      tap.end();
      tap.end = next.tap?.(tap.node, tap.port, tap.listener) ?? (() => {});
    }
    // In the order of asking, so that ties stay ties.
    const waiting = [...this.calls];
    this.calls.clear();
    for (const [id, { atPs, run }] of waiting) this.schedule(id, atPs, run);
    before.advance(before.nowPs + this.drainPs);
    for (const stream of this.streams) stream.drained();
    this.keepCounters(before);
    for (const flow of this.carried) flow.putIn();
    for (const stream of this.streams) stream.putIn();
  }

  private keepCounters(before: Network): void {
    const { topology } = this.options;
    for (const { name: node } of [...topology.hosts, ...topology.switches])
      for (const port of before.ports(node)) {
        const count = before.count(node, port);
        const key = `${node}\n${port}`;
        const past = this.past.get(key);
        this.past.set(
          key,
          Object.fromEntries(COUNTED.map(name => [name, (past?.[name] ?? 0) + count[name]])) as Record<
            (typeof COUNTED)[number],
            number
          >,
        );
      }
    for (const { name } of topology.hosts) this.pastNics.set(name, plus(this.pastNics.get(name), before.nic(name)));
    for (const name of Object.keys(topology.spans))
      for (const direction of DIRECTIONS) {
        const { packets, lost } = before.spanCount(name, direction);
        const past = this.pastSpans.get(`${name}\n${direction}`);
        this.pastSpans.set(`${name}\n${direction}`, {
          packets: (past?.packets ?? 0) + packets,
          lost: (past?.lost ?? 0) + lost,
        });
      }
    this.pastHops += before.hops;
    this.pastEvents += before.events;
    const { injected, delivered, dropped, inFlight } = before.account;
    const past = this.pastAccount;
    this.pastAccount = {
      // Nothing is left on the way but what a pause holds for ever: that was not sent.
      injected: past.injected + injected - inFlight,
      delivered: past.delivered + delivered,
      dropped: past.dropped + dropped,
    };
  }

  // ---- flows and streams ----

  flow(request: FlowRequest): Flow {
    const flow = new CarriedFlow({
      id: this.carried.length,
      request,
      network: () => this.engine,
      later: (delayPs, run) => this.at(this.nowPs + delayPs, run),
      backPs: () =>
        this.engine
          .path(request.target, request.source, request.entropy)
          .reduce((sum, { node, port }) => sum + (this.delayOfPort.get(`${node} ${port}`) ?? 0), 0),
    });
    this.carried.push(flow);
    flow.send(request.bytes, request);
    return flow;
  }

  datagrams(request: Parameters<Network['datagrams']>[0]): DatagramStream {
    const stream = new CarriedStream({
      request,
      network: () => this.engine,
      at: (atPs, run) => this.at(atPs, run),
    });
    this.streams.push(stream);
    return stream;
  }

  // ---- what the engine does ----

  setRoute(node: string, target: string, ports: readonly string[]): void {
    this.engine.setRoute(node, target, ports);
  }

  routes(node: string, target: string): readonly string[] {
    return this.engine.routes(node, target);
  }

  setForwarding(node: string, port: string, on: boolean): void {
    this.engine.setForwarding(node, port, on);
    if (on) this.dark.delete(`${node}\n${port}`);
    else this.dark.add(`${node}\n${port}`);
  }

  span(name: string, direction: Direction): SpanState {
    return this.engine.span(name, direction);
  }

  setSpan(name: string, direction: Direction, change: Partial<SpanState>): void {
    this.engine.setSpan(name, direction, change);
  }

  spanCount(name: string, direction: Direction): { readonly packets: number; readonly lost: number } {
    const { packets, lost } = this.engine.spanCount(name, direction);
    const past = this.pastSpans.get(`${name}\n${direction}`);
    return { packets: packets + (past?.packets ?? 0), lost: lost + (past?.lost ?? 0) };
  }

  reset(node: string): void {
    this.engine.reset(node);
    for (const port of this.engine.ports(node)) this.past.delete(`${node}\n${port}`);
  }

  ports(node: string): readonly string[] {
    return this.engine.ports(node);
  }

  count(node: string, port: string): Readonly<PortCount> {
    const count = this.engine.count(node, port);
    const past = this.past.get(`${node}\n${port}`);
    if (past === undefined) return count;
    return { ...count, ...Object.fromEntries(COUNTED.map(name => [name, count[name] + past[name]])) };
  }

  takeQueuePeak(node: string, port: string): number {
    return this.engine.takeQueuePeak(node, port);
  }

  queueCount(node: string, port: string, priority?: number): QueueCount {
    // What an engine that was left had counted is not kept per queue.
    return this.engine.queueCount?.(node, port, priority) ?? UNSEEN_QUEUE;
  }

  takeSeriesPeak(node: string, port: string, priority?: number): number {
    return this.engine.takeSeriesPeak?.(node, port, priority) ?? Number.NaN;
  }

  nic(host: string): Readonly<NicCount> {
    return plus(this.pastNics.get(host), this.engine.nic(host));
  }

  /** Goes on with every engine that has packets; at flow level there is nothing to see. */
  tap(node: string, port: string, listener: TapListener): () => void {
    if (!this.delayOfPort.has(`${node} ${port}`)) throw new RangeError(`${node} has no port ${port}.`);
    const tap: Tap = { node, port, listener, end: () => {} };
    this.taps.add(tap);
    tap.end = this.engine.tap?.(node, port, listener) ?? tap.end;
    return () => {
      this.taps.delete(tap);
      tap.end();
    };
  }

  path(source: string, target: string, entropy: number): readonly { node: string; port: string }[] {
    return this.engine.path(source, target, entropy);
  }

  get hops(): number {
    return this.pastHops + this.engine.hops;
  }

  get events(): number {
    return this.pastEvents + this.engine.events;
  }

  get account(): Network['account'] {
    const { injected, delivered, dropped, inFlight } = this.engine.account;
    const past = this.pastAccount;
    return {
      injected: past.injected + injected,
      delivered: past.delivered + delivered,
      dropped: past.dropped + dropped,
      inFlight,
    };
  }
}

function engineOf(granularity: Granularity, options: Omit<NetworkOptions, 'trainPackets'>): Network {
  const trainPackets = trainOf(granularity);
  return trainPackets === undefined
    ? createFlowLevelNetwork({ ...options, trainPackets: 1 })
    : createNetwork({ ...options, trainPackets });
}

const plus = (a: Readonly<NicCount> | undefined, b: Readonly<NicCount>): NicCount =>
  Object.fromEntries(
    Object.entries(b).map(([name, value]) => [name, (value as number) + (a?.[name as keyof NicCount] ?? 0)]),
  ) as unknown as NicCount;

interface Waiting extends Callbacks {
  /** Bytes that are not delivered yet; 0: only the acknowledgement is missing. */
  left: number;
}

/** A flow whose handle outlives its engine: it knows what was given to it and what has not arrived. */
class CarriedFlow implements Flow {
  readonly id: number;
  private readonly request: FlowRequest;
  private readonly network: () => Network;
  private readonly later: (delayPs: number, run: () => void) => void;
  private readonly backPs: () => number;
  private inner: Flow | undefined;
  private before = 0;
  private stopped = false;
  private waiting = new Set<Waiting>();
  /** Given to the present engine, and of that what has arrived in messages that are whole. */
  given = 0;
  private whole = 0;

  constructor(options: {
    readonly id: number;
    readonly request: FlowRequest;
    readonly network: () => Network;
    readonly later: (delayPs: number, run: () => void) => void;
    readonly backPs: () => number;
  }) {
    this.id = options.id;
    this.request = options.request;
    this.network = options.network;
    this.later = options.later;
    this.backPs = options.backPs;
  }

  get isDeaf(): boolean {
    return this.request.deaf === true;
  }

  get isStopped(): boolean {
    return this.stopped;
  }

  delivered(): number {
    return this.before + (this.inner?.delivered() ?? 0);
  }

  rateBps(): number {
    return this.inner?.rateBps() ?? 0;
  }

  send(bytes: number, callbacks: Callbacks = {}): void {
    if (this.stopped) throw new RangeError(`Flow ${this.id} is stopped.`);
    const { onAcknowledged, onDelivered } = callbacks;
    const waiting: Waiting = {
      left: bytes,
      ...(onAcknowledged && { onAcknowledged }),
      ...(onDelivered && { onDelivered }),
    };
    this.give(waiting);
    this.waiting.add(waiting);
  }

  stop(): void {
    this.stopped = true;
    this.inner?.stop();
    this.waiting.clear();
  }

  /** The engine has counted so many bytes once more. */
  counted(bytes: number): void {
    this.given += bytes;
    this.whole += bytes;
  }

  private give(waiting: Waiting): void {
    const network = this.network();
    this.given += waiting.left;
    const callbacks: Callbacks = {
      onDelivered: () => {
        if (this.network() !== network) return;
        this.whole += waiting.left;
        waiting.left = 0;
        waiting.onDelivered?.();
      },
      onAcknowledged: () => {
        if (this.network() !== network || this.stopped) return;
        this.waiting.delete(waiting);
        waiting.onAcknowledged?.();
      },
    };
    if (this.inner) this.inner.send(waiting.left, callbacks);
    else {
      const { source, target, entropy, deaf } = this.request;
      this.inner = network.flow({ source, target, entropy, bytes: waiting.left, ...(deaf && { deaf }), ...callbacks });
    }
  }

  /** Leaves its engine: what that has delivered stays delivered. */
  takeOut(): void {
    if (!this.inner || this.stopped) return;
    const arrived = this.inner.delivered();
    this.before += arrived;
    this.inner.stop();
    this.inner = undefined;
    this.given = 0;
    // What has arrived of the messages that are still waiting; those before them have arrived whole.
    let part = arrived - this.whole;
    this.whole = 0;
    for (const waiting of this.waiting) {
      if (waiting.left === 0) continue;
      const taken = Math.min(part, waiting.left);
      waiting.left -= taken;
      part -= taken;
    }
  }

  /** Joins the present engine. */
  putIn(): void {
    if (this.stopped) return;
    for (const waiting of this.waiting) {
      if (waiting.left > 0) this.give(waiting);
      else
        this.later(this.backPs(), () => {
          if (this.stopped || !this.waiting.delete(waiting)) return;
          waiting.onAcknowledged?.();
        });
    }
  }
}

/** A datagram stream whose handle outlives its engine. */
class CarriedStream implements DatagramStream {
  private readonly request: Parameters<Network['datagrams']>[0];
  private readonly network: () => Network;
  private readonly at: (atPs: number, run: () => void) => void;
  private readonly startPs: number;
  private inner: DatagramStream | undefined;
  private leaving: DatagramStream | undefined;
  private sentBefore = 0;
  private receivedBefore = 0;
  private stopped = false;

  constructor(options: {
    readonly request: Parameters<Network['datagrams']>[0];
    readonly network: () => Network;
    readonly at: (atPs: number, run: () => void) => void;
  }) {
    this.request = options.request;
    this.network = options.network;
    this.at = options.at;
    this.startPs = options.network().nowPs;
    this.inner = options.network().datagrams(options.request);
  }

  sent(): number {
    return this.sentBefore + (this.inner?.sent() ?? 0);
  }

  received(): number {
    return this.receivedBefore + (this.inner?.received() ?? 0);
  }

  stop(): void {
    this.stopped = true;
    this.inner?.stop();
  }

  takeOut(): void {
    if (!this.inner) return;
    this.leaving = this.inner;
    this.inner = undefined;
    this.leaving.stop();
    this.sentBefore += this.leaving.sent();
  }

  /** The old engine has run dry: what has not come now is lost. */
  drained(): void {
    this.receivedBefore += this.leaving?.received() ?? 0;
    this.leaving = undefined;
  }

  /** The next datagram leaves when it would have. */
  putIn(): void {
    if (this.stopped || this.inner) return;
    const network = this.network();
    const nextPs = this.startPs + Math.round((this.sentBefore * 1e12) / this.request.packetsPerSecond);
    this.at(Math.max(network.nowPs, nextPs), () => {
      if (!this.stopped && !this.inner) this.inner = this.network().datagrams(this.request);
    });
  }
}
