import { CallQueue } from '../kernel/call-queue.ts';
import type { Span } from '../../../harness/model/topology.ts';
import { flowLevelRefusal } from '../../../harness/model/flow-level.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { flowHash, seenEntropy } from '../fabric/ecmp-hash.ts';
import type {
  Flow,
  FlowRequest,
  Network,
  NetworkOptions,
  NicCount,
  Observable,
  PortCount,
  Repeats,
  RoundMark,
  SpanState,
} from '../fabric/network.ts';
import { checkedSpanChange } from '../fabric/span-change.ts';
import { packetLoss } from '../fabric/span-optics.ts';
import { datagramWireBytes, GAP_BYTES, ROCE_OVERHEAD_BYTES } from '../fabric/wire-size.ts';
import { type Wiring, wire } from '../fabric/wiring.ts';
import { Random } from '../kernel/random.ts';
import { Departures } from './departures.ts';
import { FairShares } from './fair-shares.ts';
import { FluidFlow, type FlowHost, type Sent } from './fluid-flow.ts';
import { Forwarding, type Way } from './forwarding.ts';
import { shareCorrection, type ShareCorrection } from './share-correction.ts';
import { SteadyDatagrams } from './steady-datagrams.ts';

const ACK_EXTRA_BYTES = 4;

/**
 * The data plane as fluids: flows have rates, not packets. Same tables, hash, spans and handles as the packet engine; an event is an arrival,
 * a departure or a change, whatever the number of bytes.
 *
 * - **Rates** are max-min fair shares ({@link FairShares}) of what links carry, in wire bytes; a flow that a link other than its own NIC
 *   holds back gets the measured fraction of its share that the transport reaches there ({@link shareCorrection}). A window is a cap of
 *   window / RTT.
 * - **Random loss** takes (1 - p) / (1 - p + p W) of a rate, W the packets in flight: go-back-N throws away what follows a loss
 *   (methods and numbers, section 6). The last packet of what a sender has is lost with p, and found by the timer.
 * - **Latency** is propagation and the store-and-forward of the last packet; there are no queues. ACKs take no bandwidth (0.13 % of a link
 *   that is full both ways), and are counted.
 * - Not there at all: queues and their peaks, ECN marks, PFC pauses, CNPs, packets out of order, retransmissions but the void's; see `observes`.
 *
 * @throws RangeError when the topology or its settings can not be simulated, or not at flow level ({@link flowLevelRefusal})
 */
export function createFlowLevelNetwork(options: NetworkOptions): Network {
  return new FlowLevel(options);
}

/** What a flow was given between two marks. */
interface Taken {
  readonly flows: readonly { readonly flow: FluidFlow; readonly sent: Sent }[];
}

class FlowLevel implements Network, FlowHost, Repeats {
  nowPs = 0;
  hops = 0;
  events = 0;
  /** Rises with every route, port and span that changes, every probe that starts or ends, and every flow that is made or stopped. */
  private changes = 0;
  readonly mtuBytes: number;
  readonly overheadBytes: number;
  readonly timeoutPs: number;
  readonly observes: ReadonlySet<Observable> = new Set();
  readonly repeats: Repeats = this;
  private readonly wiring: Wiring;
  private readonly tables: Forwarding;
  private readonly shares: FairShares<FluidFlow>;
  private readonly correction: ShareCorrection;
  private readonly windowBytes: number;
  /** Asked for from outside; and what flows have under way. At equal times the former come first, as in the packet engine. */
  private readonly calls = new CallQueue(Number.POSITIVE_INFINITY);
  private readonly arrivals = new CallQueue(Number.POSITIVE_INFINITY);
  /** Rounds that were counted and not yet added up. */
  private counted: { readonly flows: Taken['flows']; times: number } = { flows: [], times: 0 };
  /** End of the `advance` in progress, -1 when none is. */
  private untilPs = -1;
  private readonly departures = new Departures<FluidFlow>();
  private readonly flows: FluidFlow[] = [];
  /** Flows that may have something under way: those at rest are not asked at every change. */
  private readonly live = new Set<FluidFlow>();
  private readonly streams: SteadyDatagrams[] = [];
  private readonly dice: Random;
  private readonly dirty = new Set<number>();
  private readonly seen: (entropy: number) => number;
  private readonly spanMetres: readonly number[];
  /** Of span directions that were changed; of these, only what loses packets has an effect here. */
  private readonly impairments = new Map<number, Impairments>();
  private readonly taken: Float64Array;
  private reroutedEpoch = 0;
  private stopping = false;
  private refreshing = false;

  private readonly rxBytes: Float64Array;
  private readonly txBytes: Float64Array;
  private readonly rxPackets: Float64Array;
  private readonly txPackets: Float64Array;
  private readonly drops: Float64Array;
  private readonly spanCarried: Float64Array;
  private readonly spanLost: Float64Array;
  private readonly nics: NicCount[];
  private injected = 0;
  private dropped = 0;
  private readonly lossDebt = new Map<FluidFlow, number>();

  constructor({ topology, seed, overheadBytes = ROCE_OVERHEAD_BYTES }: NetworkOptions) {
    if (!Number.isSafeInteger(seed) || seed < 0)
      throw new RangeError(`Seed ${seed} is not a whole number from 0 to 2^53.`);
    const { roce } = topology.settings;
    const refusal = flowLevelRefusal(topology.settings);
    if (refusal !== undefined) throw new RangeError(refusal);
    const wiring = wire(topology);
    this.wiring = wiring;
    this.overheadBytes = overheadBytes;
    this.mtuBytes = magnitude(roce.mtu);
    this.timeoutPs = Math.round(magnitude(roce.retransmitTimeout) * 1000);
    this.windowBytes = roce.window === undefined ? Number.POSITIVE_INFINITY : magnitude(roce.window);
    if (!(this.mtuBytes >= 256 && Number.isInteger(this.mtuBytes)))
      throw new RangeError(`RoCE MTU ${roce.mtu}: a whole number of bytes from 256 on is needed.`);
    if (!(this.timeoutPs > 0))
      throw new RangeError(`RoCE retransmission timeout ${roce.retransmitTimeout} must be more than 0.`);
    if (this.windowBytes < this.mtuBytes)
      throw new RangeError(`RoCE window ${roce.window} holds no packet of ${roce.mtu}.`);
    this.seen = seenEntropy(topology.settings);
    this.spanMetres = Object.values<Span>(topology.spans).map(({ length }) => magnitude(length));
    this.tables = new Forwarding(wiring, seed);
    const ports = wiring.node.length;
    this.shares = new FairShares<FluidFlow>({
      capacityBps: wiring.rateBps,
      isHost: Uint8Array.from(wiring.node, node => (node < wiring.hosts ? 1 : 0)),
    });
    this.correction = shareCorrection(topology.settings);
    this.dice = new Random(seed, 2);
    this.taken = new Float64Array(ports);
    const floats = () => new Float64Array(ports);
    [this.rxBytes, this.txBytes, this.rxPackets, this.txPackets, this.drops] = [
      floats(),
      floats(),
      floats(),
      floats(),
      floats(),
    ];
    this.spanCarried = new Float64Array(2 * wiring.spans.length);
    this.spanLost = new Float64Array(2 * wiring.spans.length);
    this.nics = Array.from({ length: wiring.hosts }, () => ({
      cnpSent: 0,
      cnpHandled: 0,
      outOfSequence: 0,
      timeouts: 0,
      retransmittedPackets: 0,
    }));
  }

  // ---- time ----

  advance(untilPs: number): void {
    if (!Number.isInteger(untilPs) || untilPs < this.nowPs)
      throw new RangeError(`Cannot advance from ${this.nowPs} ps to ${untilPs} ps.`);
    this.stopping = false;
    this.untilPs = untilPs;
    const { calls, arrivals } = this;
    while (!this.stopping) {
      this.refresh();
      const departsPs = this.departures.peekPs();
      const arrivesPs = arrivals.nextPs;
      const callPs = calls.nextPs;
      const nextPs = Math.min(departsPs, arrivesPs, callPs);
      if (nextPs > untilPs) break;
      this.events++;
      this.nowPs = Math.max(this.nowPs, nextPs);
      if (callPs === nextPs) calls.take()();
      else if (arrivesPs === nextPs) arrivals.take()();
      else {
        const flow = this.departures.first();
        this.departures.set(flow, Number.POSITIVE_INFINITY);
        flow.depart();
      }
    }
    this.untilPs = -1;
    if (!this.stopping) this.nowPs = untilPs;
    this.stopping = false;
  }

  stop(): void {
    this.stopping = true;
  }

  at(atPs: number, run: () => void): void {
    if (atPs < this.nowPs) throw new RangeError(`${atPs} ps has passed; it is ${this.nowPs} ps.`);
    this.calls.push(atPs, run);
  }

  after(delayPs: number, run: () => void): void {
    this.arrivals.push(this.nowPs + delayPs, run);
  }

  // ---- the same round again ----

  /**
   * Flows have no memory but what they still have to deliver, so when all have delivered all, the future depends on tables, ports, spans
   * and probes only, and `changes` counts every change of those.
   */
  state(): number | undefined {
    if (this.tables.spanLoss.some(loss => loss > 0)) return undefined;
    for (const flow of this.live) if (!flow.allArrived) return undefined;
    return this.changes;
  }

  mark(since?: RoundMark): RoundMark {
    this.flush();
    const before = new Map((since?.taken as Taken | undefined)?.flows.map(({ flow, sent }) => [flow, sent]));
    const flows = this.flows
      .filter(flow => !flow.stopped)
      .map(flow => {
        const { bytes, packets, wire } = flow.sentTotal;
        const past = before.get(flow) ?? { bytes: 0, packets: 0, wire: 0 };
        return { flow, sent: { bytes: bytes - past.bytes, packets: packets - past.packets, wire: wire - past.wire } };
      })
      .filter(({ sent }) => since === undefined || sent.bytes > 0);
    return { taken: { flows } satisfies Taken };
  }

  repeat({
    given,
    lastsPs,
    done,
  }: {
    readonly given: RoundMark;
    readonly lastsPs: number;
    readonly done: () => void;
  }): boolean {
    const endPs = this.nowPs + lastsPs;
    if (this.stopping || endPs > this.untilPs || this.calls.nextPs <= endPs) return false;
    const { flows } = given.taken as Taken;
    this.arrivals.push(endPs, () => {
      if (this.counted.flows !== flows) {
        this.flush();
        this.counted = { flows, times: 0 };
      }
      this.counted.times++;
      done();
    });
    return true;
  }

  /** Adds up the rounds that were counted. Before anyone looks at a flow or gives it something. */
  private flush(): void {
    const { flows, times } = this.counted;
    if (times === 0) return;
    this.counted = { flows: [], times: 0 };
    for (const { flow, sent } of flows) flow.repeat(sent, times);
  }

  // ---- routes and rates ----

  refresh(): void {
    if (this.refreshing) return;
    this.refreshing = true;
    if (this.reroutedEpoch !== this.tables.epoch) {
      this.flush();
      this.reroutedEpoch = this.tables.epoch;
      for (const flow of this.live) {
        if (flow.atRest) this.live.delete(flow);
        else flow.reroute();
      }
      for (const stream of this.streams) if (!stream.stopped) this.route(stream);
    }
    if (this.dirty.size > 0) {
      const links = [...this.dirty];
      this.dirty.clear();
      for (const flow of this.shares.solve(links, this.taken)) flow.setRate(flow.shareBps * this.reached(flow));
    }
    this.refreshing = false;
  }

  private reached(flow: FluidFlow): number {
    const { limitedBy: link, sharers } = flow;
    if (link < 0 || link === flow.links[0] || flow.stalled) return 1;
    // A link that its senders' NICs can not fill builds no queue.
    if (this.lineBpsInto(link) <= (this.wiring.rateBps[link] as number) * 1.0001) return 1;
    return this.correction({ flows: sharers, rttPs: flow.rttPs(), bytes: flow.messageWire });
  }

  private lineBpsInto(link: number): number {
    const lines = new Map<number, number>();
    for (const flow of this.shares.flowsOn[link] as Set<FluidFlow>) lines.set(flow.source, flow.lineBps);
    return [...lines.values()].reduce((sum, rate) => sum + rate, 0);
  }

  private route(stream: SteadyDatagrams): void {
    const before = stream.way;
    const way = this.tables.way(stream.source, stream.target, stream.hash);
    if (before !== undefined && sameFate(before, way)) return;
    this.charge(before, -stream.rateBps);
    this.charge(way, stream.rateBps);
    const lag = before === undefined ? 0 : this.tables.lagPs(before, way, stream.wireBytes);
    stream.reroute(way, lag);
  }

  private charge(way: Way | undefined, rateBps: number): void {
    for (const link of way?.links ?? []) {
      this.taken[link] = Math.max(0, (this.taken[link] as number) + rateBps);
      this.dirty.add(link);
    }
  }

  // ---- what flows ask for ----

  join(flow: FluidFlow): void {
    flow.joined = true;
    flow.capBps = Math.min(
      flow.lineBps,
      this.windowBytes === Number.POSITIVE_INFINITY ? Number.POSITIVE_INFINITY : this.windowBps(flow),
    );
    if (flow.links.length === 0) {
      // A NIC without light sends into the void at its rate.
      flow.setRate(flow.lineBps);
      return;
    }
    this.shares.add(flow);
    this.soil(flow);
  }

  leave(flow: FluidFlow): void {
    flow.left();
    flow.joined = false;
    this.departures.set(flow, Number.POSITIVE_INFINITY);
    this.shares.remove(flow);
    this.soil(flow);
  }

  private soil(flow: FluidFlow): void {
    for (const link of flow.links) this.dirty.add(link);
  }

  private windowBps(flow: FluidFlow): number {
    const packet = this.mtuBytes + this.overheadBytes;
    return ((this.windowBytes / this.mtuBytes) * packet * 8e12) / flow.rttPs();
  }

  ways(flow: FluidFlow): { readonly way: Way; readonly back: Way } {
    if (flow.wayEpoch === this.tables.epoch) return { way: flow.way as Way, back: flow.back as Way };
    flow.wayEpoch = this.tables.epoch;
    return {
      way: this.tables.way(flow.source, flow.target, flow.hash),
      back: this.tables.way(flow.target, flow.source, flow.backHash),
    };
  }

  efficiency(flow: FluidFlow, wireBps: number): number {
    const loss = flow.way?.loss ?? 0;
    if (loss <= 0 || wireBps <= 0) return 1;
    const inFlight = (wireBps * flow.rttPs()) / 8e12 / (this.mtuBytes + this.overheadBytes);
    const thrown = Math.max(1, Math.min(inFlight, flow.wireLeftPackets));
    return (1 - loss) / (1 - loss + loss * thrown);
  }

  tailLost(flow: FluidFlow): boolean {
    const loss = flow.way?.loss ?? 0;
    return loss > 0 && this.dice.fraction() < loss;
  }

  lagPs(before: Way, after: Way): number {
    return this.tables.lagPs(before, after, this.mtuBytes + this.overheadBytes);
  }

  timedOut(flow: FluidFlow): void {
    (this.nics[flow.source] as NicCount).timeouts++;
  }

  retransmits(flow: FluidFlow, packets: number): void {
    (this.nics[flow.source] as NicCount).retransmittedPackets += packets;
    this.dropped += packets;
    const way = flow.way as Way;
    if (way.lostSpan >= 0) this.spanLost[way.lostSpan] = (this.spanLost[way.lostSpan] as number) + packets;
    else if (way.dropPort >= 0) this.drops[way.dropPort] = (this.drops[way.dropPort] as number) + packets;
  }

  carried(
    flow: FluidFlow,
    {
      packets,
      wire,
      acks,
      useless,
    }: { readonly packets: number; readonly wire: number; readonly acks: number; readonly useless: boolean },
  ): void {
    const way = flow.way as Way;
    let lost = 0;
    if (way.loss > 0) {
      let debt = (this.lossDebt.get(flow) ?? 0) + packets * way.loss;
      if (useless) {
        lost = Math.min(packets, Math.floor(debt));
        debt -= lost;
      }
      this.lossDebt.set(flow, debt);
    }
    this.injected += packets;
    if (useless) {
      if (!way.whole) lost = packets;
      this.dropped += lost;
      if (way.whole) (this.nics[flow.source] as NicCount).retransmittedPackets += packets;
    }
    this.load(way, { packets, bytes: wire - packets * GAP_BYTES, lost });
    if (acks > 0) {
      this.injected += acks;
      const back = flow.back as Way;
      this.load(back, {
        packets: acks,
        bytes: acks * (this.overheadBytes + ACK_EXTRA_BYTES - GAP_BYTES),
        lost: back.whole ? 0 : acks,
      });
      if (!back.whole) this.dropped += acks;
    }
  }

  /** Counts packets along a way. `lost` of them end where the way ends, or in its first span with random loss. */
  private load(
    way: Way,
    { packets, bytes, lost }: { readonly packets: number; readonly bytes: number; readonly lost: number },
  ): void {
    const { wiring } = this;
    let left = packets;
    const perPacket = bytes / packets;
    for (const [i, link] of way.links.entries()) {
      const sent = left * perPacket;
      this.txBytes[link] = (this.txBytes[link] as number) + sent;
      this.txPackets[link] = (this.txPackets[link] as number) + left;
      const span = wiring.spanDirection[link] as number;
      if (span >= 0) {
        this.spanCarried[span] = (this.spanCarried[span] as number) + left;
        const here = span === way.lostSpan ? left : way.whole && span === way.lossySpan ? lost : 0;
        this.spanLost[span] = (this.spanLost[span] as number) + here;
        left -= here;
      }
      this.hops += left;
      const far = wiring.peer[link] as number;
      if (i === way.links.length - 1 && far === way.dropPort && this.tables.forwarding[far] === 0) break;
      this.rxBytes[far] = (this.rxBytes[far] as number) + left * perPacket;
      this.rxPackets[far] = (this.rxPackets[far] as number) + left;
    }
    if (way.dropPort >= 0) this.drops[way.dropPort] = (this.drops[way.dropPort] as number) + left;
  }

  // ---- the face ----

  flow(request: FlowRequest): Flow {
    if (request.deaf === true)
      throw new RangeError('Flow level knows no sender that ignores congestion: play it by packets.');
    const { source, target } = this.ends(request);
    const nic = this.wiring.portsOf[source]?.[0] as number;
    const flow = new FluidFlow(this, {
      id: this.flows.length,
      source,
      target,
      hash: flowHash(source, target, this.seen(request.entropy)),
      backHash: flowHash(target, source, this.seen(request.entropy)),
      lineBps: this.wiring.rateBps[nic] as number,
    });
    flow.onPlan = departPs => this.departures.set(flow, departPs);
    this.flows.push(flow);
    this.changes++;
    const handle: Flow = {
      id: flow.id,
      delivered: () => {
        this.flush();
        return flow.delivered();
      },
      rateBps: () => flow.rateBps(),
      send: (bytes, callbacks) => {
        this.flush();
        this.live.add(flow);
        flow.send(bytes, callbacks);
      },
      stop: () => {
        this.changes++;
        this.flush();
        flow.stop();
      },
    };
    handle.send(request.bytes, request);
    return handle;
  }

  datagrams(request: Parameters<Network['datagrams']>[0]): SteadyDatagrams {
    const { bytes, packetsPerSecond } = request;
    if (!(packetsPerSecond > 0 && packetsPerSecond <= 1e12))
      throw new RangeError(`${packetsPerSecond} datagrams per second can not be sent.`);
    if (!(bytes > 0 && Number.isInteger(bytes))) throw new RangeError(`A datagram can not have ${bytes} bytes.`);
    const { source, target } = this.ends(request);
    const stream = new SteadyDatagrams(
      {
        now: () => this.nowPs,
        refresh: () => this.refresh(),
        carried: (way, { packets, lost }) => {
          this.injected += packets;
          this.dropped += way.whole ? lost : packets;
          const wire = datagramWireBytes(bytes);
          this.load(way, { packets, bytes: packets * (wire - GAP_BYTES), lost: way.whole ? lost : packets });
        },
      },
      {
        source,
        target,
        hash: flowHash(source, target, this.seen(request.entropy)),
        wireBytes: datagramWireBytes(bytes),
        packetsPerSecond,
        firstLinkPsPerByte: this.wiring.psPerByte[this.wiring.portsOf[source]?.[0] as number] as number,
      },
    );
    this.streams.push(stream);
    this.changes++;
    this.route(stream);
    const stop = stream.stop.bind(stream);
    stream.stop = () => {
      if (stream.stopped) return;
      this.charge(stream.way, -stream.rateBps);
      stop();
      this.changes++;
    };
    return stream;
  }

  setRoute(node: string, target: string, ports: readonly string[]): void {
    const { wiring } = this;
    this.settleAll();
    const changed = this.tables.setRoute(
      this.switchNamed(node),
      this.hostNamed(target),
      ports.map(port => wiring.portNamed(node, port)),
    );
    if (changed) this.changes++;
  }

  routes(node: string, target: string): readonly string[] {
    return this.tables
      .route(this.wiring.nodeNamed(node), this.hostNamed(target))
      .map(port => this.wiring.portNames[port] as string);
  }

  setForwarding(node: string, port: string, on: boolean): void {
    const at = this.wiring.portNamed(node, port);
    if ((this.tables.forwarding[at] === 1) === on) return;
    this.settleAll();
    this.tables.forwarding[at] = on ? 1 : 0;
    this.changed();
  }

  span(name: string, direction: 'a-to-b' | 'b-to-a'): SpanState {
    const span = this.directionOf(name, direction);
    const { tables } = this;
    return {
      passing: tables.spanPassing[span] === 1,
      light: tables.spanLight[span] === 1,
      delayPs: this.wiring.delayPs[tables.spanPort[span] as number] as number,
      ...(this.impairments.get(span) ?? unimpaired),
    };
  }

  setSpan(name: string, direction: 'a-to-b' | 'b-to-a', asked: Partial<SpanState>): void {
    const span = this.directionOf(name, direction);
    const change = checkedSpanChange(asked, this.spanMetres[span >> 1] as number);
    this.settleAll();
    const { tables } = this;
    if (change.passing !== undefined) tables.spanPassing[span] = change.passing ? 1 : 0;
    if (change.light !== undefined) tables.spanLight[span] = change.light ? 1 : 0;
    const state = { ...unimpaired, ...this.impairments.get(span), ...change };
    if (change.ber !== undefined) {
      state.attenuationDb = change.attenuationDb ?? 0;
      state.preFecBer = change.preFecBer ?? 0;
    }
    this.impairments.set(span, impairmentsOf(state));
    const errors = packetLoss(state.ber, this.mtuBytes + this.overheadBytes);
    tables.spanLoss[span] = 1 - (1 - state.loss) * (1 - errors);
    if (change.delayPs !== undefined) this.wiring.delayPs[tables.spanPort[span] as number] = change.delayPs;
    this.changed();
  }

  private changed(): void {
    this.tables.epoch++;
    this.changes++;
  }

  spanCount(name: string, direction: 'a-to-b' | 'b-to-a') {
    const span = this.directionOf(name, direction);
    this.settleAll();
    return { packets: this.spanCarried[span] as number, lost: this.spanLost[span] as number };
  }

  reset(node: string): void {
    this.settleAll();
    for (const port of this.wiring.portsOf[this.wiring.nodeNamed(node)] as readonly number[])
      for (const counter of [this.rxBytes, this.txBytes, this.rxPackets, this.txPackets, this.drops]) counter[port] = 0;
  }

  ports(node: string): readonly string[] {
    return (this.wiring.portsOf[this.wiring.nodeNamed(node)] as readonly number[]).map(
      port => this.wiring.portNames[port] as string,
    );
  }

  count(node: string, port: string): PortCount {
    const at = this.wiring.portNamed(node, port);
    this.settleAll();
    return {
      rxBytes: Math.round(this.rxBytes[at] as number),
      txBytes: Math.round(this.txBytes[at] as number),
      rxPackets: this.rxPackets[at] as number,
      txPackets: this.txPackets[at] as number,
      drops: this.drops[at] as number,
      ...UNSEEN,
    };
  }

  takeQueuePeak(node: string, port: string): number {
    this.wiring.portNamed(node, port);
    return 0;
  }

  nic(host: string): Readonly<NicCount> {
    this.settleAll();
    return { ...(this.nics[this.hostNamed(host)] as NicCount) };
  }

  path(source: string, target: string, entropy: number): readonly { node: string; port: string }[] {
    const ends = this.ends({ source, target });
    const { wiring } = this;
    const way = this.tables.way(ends.source, ends.target, flowHash(ends.source, ends.target, this.seen(entropy)));
    return way.links.map(link => ({
      node: wiring.nodes[wiring.node[link] as number] as string,
      port: wiring.portNames[link] as string,
    }));
  }

  get account() {
    this.settleAll();
    let inFlight = 0;
    for (const flow of this.live) inFlight += flow.packetsUnderWay;
    for (const stream of this.streams) inFlight += stream.underWay;
    return {
      injected: this.injected,
      delivered: this.injected - this.dropped - inFlight,
      dropped: this.dropped,
      inFlight,
    };
  }

  private settleAll(): void {
    this.flush();
    this.refresh();
    for (const flow of this.live) flow.settle();
    for (const stream of this.streams) if (!stream.stopped) stream.settle();
  }

  private switchNamed(name: string): number {
    const node = this.wiring.nodeNamed(name);
    if (node < this.wiring.hosts) throw new RangeError(`${name} is a host: it sends everything by its NIC.`);
    return node;
  }

  private hostNamed(name: string): number {
    const host = this.wiring.nodeNamed(name);
    if (host >= this.wiring.hosts) throw new RangeError(`${name} is a switch, not a host.`);
    return host;
  }

  private ends({ source, target }: { readonly source: string; readonly target: string }) {
    if (source === target) throw new RangeError(`${source} can not send to itself over the fabric.`);
    return { source: this.hostNamed(source), target: this.hostNamed(target) };
  }

  private directionOf(name: string, direction: 'a-to-b' | 'b-to-a'): number {
    const span = this.wiring.spans.indexOf(name);
    if (span < 0) throw new RangeError(`There is no span ${name}. Known: ${this.wiring.spans.join(', ') || 'none'}.`);
    return 2 * span + (direction === 'a-to-b' ? 0 : 1);
  }
}

/** What flow level does not see. It has no meaning here and is not to be reported; see `observes`. */
const UNSEEN = {
  queuePackets: 0,
  ecnMarked: 0,
  pfcRx: 0,
  pfcTx: 0,
  pausedPs: 0,
  queueBytes: 0,
  queuePeakBytes: 0,
} as const;

const sameFate = (a: Way, b: Way): boolean =>
  a.whole === b.whole &&
  a.dropPort === b.dropPort &&
  a.lostSpan === b.lostSpan &&
  a.loss === b.loss &&
  a.delayPs === b.delayPs &&
  a.links.length === b.links.length &&
  a.links.every((link, i) => link === b.links[i]);

type Impairments = Required<Omit<SpanState, 'passing' | 'light' | 'delayPs'>>;

const unimpaired: Impairments = {
  loss: 0,
  lossEvery: 0,
  jitterPs: 0,
  reorderShare: 0,
  reorderPs: 0,
  attenuationDb: 0,
  preFecBer: 0,
  ber: 0,
};

function impairmentsOf(state: Impairments): Impairments {
  const { loss, lossEvery, jitterPs, reorderShare, reorderPs, attenuationDb, preFecBer, ber } = state;
  return { loss, lossEvery, jitterPs, reorderShare, reorderPs, attenuationDb, preFecBer, ber };
}
