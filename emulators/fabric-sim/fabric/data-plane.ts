import type { Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { CallQueue } from '../kernel/call-queue.ts';
import { EventQueue } from '../kernel/event-queue.ts';
import { Random } from '../kernel/random.ts';
import { ecmpChoice, switchSeed } from './ecmp-hash.ts';
import type { PortCount } from './network.ts';
import { BEST_EFFORT_QUEUE, CLASS_OF, CONTROL_QUEUE, LOSSLESS_QUEUE, PacketPool } from './packet-pool.ts';
import { marksOf, markingProbability, type RedLaw } from './red-marking.ts';
import { GAP_BYTES, PAUSE_WIRE_BYTES } from './wire-size.ts';
import type { Wiring } from './wiring.ts';

/** What sits in the hosts: takes packets that arrive and gives the next one to send. */
export interface Endpoints {
  /** A packet has arrived whole. The receiver gives it back to the pool. */
  receive(host: number, packet: number): void;
  /** Next RoCE packet of a host, -1 when none may leave now. Sets `readyAtPs` for the question after. */
  pull(host: number): number;
  /** After `pull`: earliest instant at which another packet may leave; Infinity when none waits. */
  readonly readyAtPs: number;
}

/** Something that wakes itself at times of its choosing. */
export interface Actor {
  wake(): void;
}

const NEVER = Number.POSITIVE_INFINITY;
const QUEUES = 3;
/** PFC messages on their way per link: two thresholds apart, so a few are many. */
const MESSAGES = 16;
/** ECN and PFC thresholds are declared for ports of this rate. */
const REFERENCE_BPS = 100e9;
/** A port is paused at 1/8 of the buffer that is free, resumed 3 KB lower: the HPCC artefact's switch (shift 3, resume offset 3 KB). */
const FREE_SHARE = 1 / 8;
const RESUME_OFFSET_BYTES = 3000;

/**
 * Queues, links and switches in virtual time.
 *
 * - **Link**: serialisation is wire bytes x 8 / rate, rounded to 1 ps per packet; then the propagation delay. FIFO: one pending
 *   event per link whatever is in flight; a shorter delay never lets a later packet overtake.
 * - **Switch**: output-queued, store-and-forward, no processing latency. A packet leaves the shared buffer when its transmission
 *   begins (as the HPCC artefact counts). Three queues a port: priority 6 strict first, then priority 3 and
 *   priority 0 in turn, packet by packet, so probes wait for one RoCE packet (train) at most.
 * - **Buffer**: shared by all ports. With PFC, headroom of 2 x rate x delay + 2 trains + a pause frame per PFC port (at most half
 *   of the buffer) is kept for what is in flight after a pause; packets that PFC does not hold back (priority 0 and 6, whatever
 *   came over a span) may not use it.
 * - **ECN**: RED law on the egress lossless queue that a departing packet leaves behind, as the HPCC artefact marks
 *   (switch-node.cc, SwitchNotifyDequeue: off the queue first, then ShouldSendCN); marking at enqueue would delay the news by the
 *   whole queue, 32 us at Kmin.
 * - **Thresholds** of ECN and PFC are declared for 100 Gb/s and scaled with the port's rate, as the HPCC artefact does with
 *   Kmin and Kmax (Kmin 400/1600/6400 KB at 100/400/1600 Gb/s).
 * - **PFC**: per ingress port, priority 3: xoff when the bytes that came in by it exceed min(xoff, free buffer / 8), xon when they
 *   are back at min(xon, free buffer / 8 - 3 KB). The frame takes 672 bit times and the link's delay and does not wait for the
 *   one being sent. One frame per change: pause quanta are not refreshed. None towards a span: headroom for 80 km at
 *   400 Gb/s would be 39.5 MB (SONiC's formula), more than a switch has.
 * - **Trains**: n packets move as one unit with the sum of their bytes. A switch may forward a train when its first packet is in
 *   and the rest can follow without a gap, so a train does not pay n-fold store-and-forward; a host takes it when the last
 *   packet is in. It is not preempted, so others wait for up to n packets.
 */
export class DataPlane {
  nowPs = 0;
  hops = 0;
  /** Packets that have entered, left at a host, or been lost: for the conservation law. */
  injected = 0;
  delivered = 0;
  dropped = 0;

  readonly wiring: Wiring;
  readonly pool = new PacketPool();
  readonly calls = new CallQueue();
  private readonly events = new EventQueue();
  private readonly actors: Actor[] = [];
  private endpoints: Endpoints | undefined;
  private stopping = false;

  private readonly ports: number;
  private readonly overheadBytes: number;
  private readonly head: Int32Array;
  private readonly tail: Int32Array;
  private readonly depthBytes: Float64Array;
  /** Units waiting in all queues of the port. */
  private readonly waiting: Int32Array;
  private readonly busyUntilPs: Float64Array;
  /** When the port's service event is due; Infinity when none is. */
  private readonly serviceAtPs: Float64Array;
  private readonly turn: Uint8Array;
  private readonly linkHead: Int32Array;
  private readonly linkTail: Int32Array;
  private readonly linkLastPs: Float64Array;
  /** Time per byte that a train may arrive early at the far end: that of its fastest port; 0 at hosts. */
  private readonly earlyPsPerByte: Float64Array;
  private readonly forwarding: Uint8Array;

  private readonly bufferBytes: number;
  private readonly reserveBytes: Float64Array;
  private readonly usedBytes: Float64Array;
  private readonly red: (RedLaw | undefined)[];
  private readonly marker: Random;

  private readonly holdsBack: Uint8Array;
  private readonly xoffBytes: Float64Array;
  private readonly xonBytes: Float64Array;
  private readonly ingressBytes: Float64Array;
  private readonly holding: Uint8Array;
  private readonly paused: Uint8Array;
  private readonly pausedSincePs: Float64Array;
  private readonly messageAtPs: Float64Array;
  private readonly messageOff: Uint8Array;
  private readonly messageFirst: Uint8Array;
  private readonly messages: Uint8Array;

  private readonly routeTable: Int32Array;
  private readonly groups: Int32Array[] = [];
  private readonly groupIds = new Map<string, number>();
  private readonly seeds: Int32Array;

  readonly spanPassing: Uint8Array;
  readonly spanLight: Uint8Array;
  readonly spanLoss: Float64Array;
  readonly spanCarried: Float64Array;
  readonly spanLost: Float64Array;
  private readonly lossRun: Float64Array;
  private readonly lossDice: Random[];

  readonly rxBytes: Float64Array;
  readonly txBytes: Float64Array;
  readonly rxPackets: Float64Array;
  readonly txPackets: Float64Array;
  readonly drops: Float64Array;
  readonly queuePackets: Float64Array;
  readonly ecnMarked: Float64Array;
  readonly pfcRx: Float64Array;
  readonly pfcTx: Float64Array;
  readonly pausedPs: Float64Array;
  readonly peakBytes: Float64Array;

  constructor(options: {
    readonly topology: Topology;
    readonly wiring: Wiring;
    readonly seed: number;
    readonly trainBytes: number;
    readonly overheadBytes: number;
  }) {
    const { wiring, seed, trainBytes } = options;
    const { bufferPerSwitch, ecn, pfc } = options.topology.settings;
    this.wiring = wiring;
    this.overheadBytes = options.overheadBytes;
    const ports = wiring.node.length;
    const nodes = wiring.nodes.length;
    this.ports = ports;
    const floats = (length = ports) => new Float64Array(length);

    this.head = new Int32Array(ports * QUEUES).fill(-1);
    this.tail = new Int32Array(ports * QUEUES).fill(-1);
    this.depthBytes = floats(ports * QUEUES);
    this.waiting = new Int32Array(ports);
    this.busyUntilPs = floats();
    this.serviceAtPs = floats().fill(NEVER);
    this.turn = new Uint8Array(ports);
    this.linkHead = new Int32Array(ports).fill(-1);
    this.linkTail = new Int32Array(ports).fill(-1);
    this.linkLastPs = floats();
    this.forwarding = new Uint8Array(ports).fill(1);
    this.earlyPsPerByte = floats();
    for (let port = 0; port < ports; port++) {
      const far = wiring.node[wiring.peer[port] as number] as number;
      if (far < wiring.hosts) continue;
      this.earlyPsPerByte[port] = Math.min(
        ...(wiring.portsOf[far] as readonly number[]).map(p => wiring.psPerByte[p] as number),
      );
    }

    const scale = (port: number) => (wiring.rateBps[port] as number) / REFERENCE_BPS;
    this.marker = new Random(seed, 1);
    this.red = Array.from({ length: ports }, (_, port) =>
      ecn === null || (wiring.node[port] as number) < wiring.hosts
        ? undefined
        : {
            minBytes: magnitude(ecn.min) * scale(port),
            maxBytes: magnitude(ecn.max) * scale(port),
            probability: ecn.probability,
          },
    );

    this.bufferBytes = magnitude(bufferPerSwitch);
    this.usedBytes = floats(nodes);
    this.reserveBytes = floats(nodes);
    this.holdsBack = new Uint8Array(ports);
    this.xoffBytes = floats();
    this.xonBytes = floats();
    this.ingressBytes = floats();
    this.holding = new Uint8Array(ports);
    this.paused = new Uint8Array(ports);
    this.pausedSincePs = floats();
    this.messageAtPs = floats(ports * MESSAGES);
    this.messageOff = new Uint8Array(ports * MESSAGES);
    this.messageFirst = new Uint8Array(ports);
    this.messages = new Uint8Array(ports);
    for (let port = 0; port < ports && pfc !== null; port++) {
      const node = wiring.node[port] as number;
      if (node < wiring.hosts || (wiring.spanDirection[port] as number) >= 0) continue;
      this.holdsBack[port] = 1;
      this.xoffBytes[port] = magnitude(pfc.xoff) * scale(port);
      this.xonBytes[port] = magnitude(pfc.xon) * scale(port);
      const inFlight = (2 * (wiring.delayPs[port] as number)) / (wiring.psPerByte[port] as number);
      this.reserveBytes[node] = Math.min(
        this.bufferBytes / 2,
        (this.reserveBytes[node] as number) + inFlight + 2 * trainBytes + PAUSE_WIRE_BYTES,
      );
    }

    this.routeTable = new Int32Array(nodes * wiring.hosts).fill(-1);
    for (let host = 0; host < wiring.hosts; host++) {
      this.routeTable.fill(wiring.portsOf[host]?.[0] as number, host * wiring.hosts, (host + 1) * wiring.hosts);
    }
    this.seeds = Int32Array.from({ length: nodes }, (_, node) => switchSeed(seed, node));

    const directions = wiring.spans.length * 2;
    this.spanPassing = new Uint8Array(directions).fill(1);
    this.spanLight = new Uint8Array(directions).fill(1);
    this.spanLoss = floats(directions);
    this.spanCarried = floats(directions);
    this.spanLost = floats(directions);
    this.lossRun = floats(directions).fill(NEVER);
    this.lossDice = Array.from({ length: directions }, (_, i) => new Random(seed, 1000 + i));

    this.rxBytes = floats();
    this.txBytes = floats();
    this.rxPackets = floats();
    this.txPackets = floats();
    this.drops = floats();
    this.queuePackets = floats();
    this.ecnMarked = floats();
    this.pfcRx = floats();
    this.pfcTx = floats();
    this.pausedPs = floats();
    this.peakBytes = floats();
  }

  attach(endpoints: Endpoints): void {
    this.endpoints = endpoints;
  }

  /** Registers something that wakes; the number is for `wakeAt`. */
  enrol(actor: Actor): number {
    return 3 * this.ports + this.actors.push(actor) - 1;
  }

  wakeAt(atPs: number, actor: number): void {
    this.events.push(atPs, actor);
  }

  stop(): void {
    this.stopping = true;
  }

  /** @throws RangeError when the time lies in the past or beyond 2^53 ps */
  advance(untilPs: number): void {
    if (!Number.isSafeInteger(untilPs) || untilPs < this.nowPs)
      throw new RangeError(`Cannot advance from ${this.nowPs} ps to ${untilPs} ps.`);
    const { events, calls, ports } = this;
    this.stopping = false;
    while (!this.stopping) {
      const eventAt = events.peek();
      const callAt = calls.peek();
      if (callAt <= eventAt) {
        if (callAt > untilPs) break;
        this.nowPs = callAt;
        calls.take()();
        continue;
      }
      if (eventAt > untilPs) break;
      this.nowPs = eventAt;
      const source = events.take();
      if (source < ports) this.arrive(source);
      else if (source < 2 * ports) this.serviceDue(source - ports);
      else if (source < 3 * ports) this.messageDue(source - 2 * ports);
      else (this.actors[source - 3 * ports] as Actor).wake();
    }
    if (!this.stopping) this.nowPs = untilPs;
    this.stopping = false;
  }

  // ---- sending -----------------------------------------------------------------------------------------------------

  /** A host's own ACK, CNP or datagram: into its NIC's queue. */
  sendFromHost(host: number, packet: number): void {
    this.injected += this.pool.count[packet] as number;
    const port = this.portOfHost(host);
    if (this.forwarding[port] === 0) this.discard(port, packet);
    else this.enqueue(port, packet, CLASS_OF[this.pool.kind[packet] as number] as number);
  }

  /** A flow of the host may have something to send from now on. */
  kick(host: number): void {
    const port = this.portOfHost(host);
    if (this.paused[port] === 0) this.arm(port, Math.max(this.nowPs, this.busyUntilPs[port] as number));
  }

  private portOfHost(host: number): number {
    return this.wiring.portsOf[host]?.[0] as number;
  }

  private arm(port: number, atPs: number): void {
    if (atPs >= (this.serviceAtPs[port] as number)) return;
    this.serviceAtPs[port] = atPs;
    this.events.push(atPs, this.ports + port);
  }

  private enqueue(port: number, packet: number, queue: number): void {
    const held = queue === LOSSLESS_QUEUE && this.paused[port] === 1;
    if (this.waiting[port] === 0 && !held && (this.busyUntilPs[port] as number) <= this.nowPs) {
      this.transmit(port, packet, queue);
      return;
    }
    const pool = this.pool;
    const bytes = pool.wireBytes[packet] as number;
    const slot = port * QUEUES + queue;
    const node = this.wiring.node[port] as number;
    pool.next[packet] = -1;
    if (this.head[slot] === -1) this.head[slot] = packet;
    else pool.next[this.tail[slot] as number] = packet;
    this.tail[slot] = packet;
    this.waiting[port] = (this.waiting[port] as number) + 1;
    const depth = (this.depthBytes[slot] as number) + bytes;
    this.depthBytes[slot] = depth;
    if (queue === LOSSLESS_QUEUE && depth > (this.peakBytes[port] as number)) this.peakBytes[port] = depth;
    this.usedBytes[node] = (this.usedBytes[node] as number) + bytes;
    const ingress = pool.ingress[packet] as number;
    if (ingress >= 0) this.account(ingress, node, bytes);
    if (!held) this.arm(port, Math.max(this.nowPs, this.busyUntilPs[port] as number));
  }

  private unqueue(port: number, queue: number): number {
    const pool = this.pool;
    const slot = port * QUEUES + queue;
    const packet = this.head[slot] as number;
    const next = pool.next[packet] as number;
    this.head[slot] = next;
    if (next === -1) this.tail[slot] = -1;
    this.waiting[port] = (this.waiting[port] as number) - 1;
    const bytes = pool.wireBytes[packet] as number;
    const node = this.wiring.node[port] as number;
    this.depthBytes[slot] = (this.depthBytes[slot] as number) - bytes;
    this.usedBytes[node] = (this.usedBytes[node] as number) - bytes;
    const ingress = pool.ingress[packet] as number;
    if (ingress >= 0) this.release(ingress, node, bytes);
    return packet;
  }

  private serviceDue(port: number): void {
    if (this.serviceAtPs[port] !== this.nowPs) return; // overtaken by an earlier one
    this.serviceAtPs[port] = NEVER;
    const busyUntil = this.busyUntilPs[port] as number;
    if (busyUntil > this.nowPs) {
      this.arm(port, busyUntil);
      return;
    }
    const base = port * QUEUES;
    const open = this.paused[port] === 0;
    const isHost = (this.wiring.node[port] as number) < this.wiring.hosts;
    let readyAt = NEVER;
    if (this.head[base + CONTROL_QUEUE] !== -1) {
      this.transmit(port, this.unqueue(port, CONTROL_QUEUE), CONTROL_QUEUE);
      if (isHost && open) readyAt = this.nowPs;
    } else if (
      this.head[base + BEST_EFFORT_QUEUE] !== -1 &&
      (this.turn[port] === 1 || !open || (!isHost && this.head[base + LOSSLESS_QUEUE] === -1))
    ) {
      this.turn[port] = 0;
      this.transmit(port, this.unqueue(port, BEST_EFFORT_QUEUE), BEST_EFFORT_QUEUE);
      if (isHost && open) readyAt = this.nowPs;
    } else if (open && this.head[base + LOSSLESS_QUEUE] !== -1) {
      this.turn[port] = 1;
      this.transmit(port, this.unqueue(port, LOSSLESS_QUEUE), LOSSLESS_QUEUE);
    } else if (open && isHost) {
      const endpoints = this.endpoints as Endpoints;
      const packet = endpoints.pull(this.wiring.node[port] as number);
      readyAt = endpoints.readyAtPs;
      this.turn[port] = 1;
      if (packet >= 0) {
        this.injected += this.pool.count[packet] as number;
        if (this.forwarding[port] === 1) this.transmit(port, packet, LOSSLESS_QUEUE);
        else {
          // A NIC without light sends into the void at its rate.
          this.busyUntilPs[port] =
            this.nowPs + Math.round((this.pool.wireBytes[packet] as number) * (this.wiring.psPerByte[port] as number));
          this.discard(port, packet);
        }
      } else if (this.head[base + BEST_EFFORT_QUEUE] !== -1) {
        this.turn[port] = 0;
        this.transmit(port, this.unqueue(port, BEST_EFFORT_QUEUE), BEST_EFFORT_QUEUE);
      }
    }
    const more = this.waiting[port] as number;
    if (more > 0 && (open || this.head[base + CONTROL_QUEUE] !== -1 || this.head[base + BEST_EFFORT_QUEUE] !== -1))
      readyAt = this.nowPs;
    if (readyAt !== NEVER) this.arm(port, Math.max(readyAt, this.busyUntilPs[port] as number));
  }

  /** Puts the packet on the wire now. */
  private transmit(port: number, packet: number, queue: number): void {
    const { pool, wiring } = this;
    const wire = pool.wireBytes[packet] as number;
    let count = pool.count[packet] as number;
    const psPerByte = wiring.psPerByte[port] as number;
    const sentAt = this.nowPs + Math.round(wire * psPerByte);
    this.busyUntilPs[port] = sentAt;
    this.txBytes[port] = (this.txBytes[port] as number) + wire - count * GAP_BYTES;
    this.txPackets[port] = (this.txPackets[port] as number) + count;
    if (queue === LOSSLESS_QUEUE) {
      this.queuePackets[port] = (this.queuePackets[port] as number) + count;
      const law = this.red[port];
      if (law !== undefined && (this.depthBytes[port * QUEUES + LOSSLESS_QUEUE] as number) > law.minBytes)
        this.mark(port, packet, count, law);
    }
    const span = wiring.spanDirection[port] as number;
    if (span >= 0) {
      this.spanCarried[span] = (this.spanCarried[span] as number) + count;
      count = this.survivors(span, packet, count);
      if (count === 0) return;
    }
    const early = Math.floor(
      ((pool.wireBytes[packet] as number) - (pool.firstBytes[packet] as number)) *
        (this.earlyPsPerByte[port] as number),
    );
    const arrivesAt = Math.max(this.linkLastPs[port] as number, sentAt - early + (wiring.delayPs[port] as number));
    this.linkLastPs[port] = arrivesAt;
    pool.arrivesPs[packet] = arrivesAt;
    pool.next[packet] = -1;
    if (this.linkHead[port] === -1) {
      this.linkHead[port] = packet;
      this.events.push(arrivesAt, port);
    } else {
      pool.next[this.linkTail[port] as number] = packet;
    }
    this.linkTail[port] = packet;
  }

  /** Notes congestion in a packet that leaves while the queue behind it is long. */
  private mark(port: number, packet: number, count: number, law: RedLaw): void {
    const depth = this.depthBytes[port * QUEUES + LOSSLESS_QUEUE] as number;
    const marked = marksOf(count, markingProbability(law, depth), this.marker);
    if (marked === 0) return;
    this.pool.marked[packet] = marked;
    this.ecnMarked[port] = (this.ecnMarked[port] as number) + marked;
  }

  /**
   * Cut and random loss of a span. Losses are independent per packet: the run until the next one is drawn geometrically.
   * A train is cut off at its first lost packet; go-back-N throws the rest of it away anyhow. Gives the packets that pass.
   */
  private survivors(span: number, packet: number, count: number): number {
    const pool = this.pool;
    let pass = this.spanPassing[span] === 1 ? count : 0;
    const run = this.lossRun[span] as number;
    if (pass > 0 && run < count) {
      pass = run;
      this.lossRun[span] = (this.lossDice[span] as Random).runLength(this.spanLoss[span] as number);
    } else if (pass > 0) {
      this.lossRun[span] = run - count;
    }
    if (pass === count) return count;
    this.spanLost[span] = (this.spanLost[span] as number) + count - pass;
    this.dropped += count - pass;
    if (pass === 0) {
      pool.give(packet);
      return 0;
    }
    const first = pool.firstBytes[packet] as number;
    // All packets but a message's last are full, and the last one is never among the survivors of a cut train.
    pool.count[packet] = pass;
    pool.wireBytes[packet] = first * pass;
    pool.payloadBytes[packet] = (first - this.overheadBytes) * pass;
    return pass;
  }

  // ---- arriving ----------------------------------------------------------------------------------------------------

  private arrive(link: number): void {
    const { pool, wiring } = this;
    const packet = this.linkHead[link] as number;
    // A cut empties the link and leaves its event behind.
    if (packet === -1 || (pool.arrivesPs[packet] as number) > this.nowPs) return;
    const next = pool.next[packet] as number;
    this.linkHead[link] = next;
    if (next === -1) this.linkTail[link] = -1;
    else this.events.push(pool.arrivesPs[next] as number, link);

    const port = wiring.peer[link] as number;
    const count = pool.count[packet] as number;
    this.hops += count;
    if (this.forwarding[port] === 0) {
      this.discard(port, packet);
      return;
    }
    this.rxBytes[port] = (this.rxBytes[port] as number) + (pool.wireBytes[packet] as number) - count * GAP_BYTES;
    this.rxPackets[port] = (this.rxPackets[port] as number) + count;
    const node = wiring.node[port] as number;
    if (node < wiring.hosts) {
      this.delivered += count;
      (this.endpoints as Endpoints).receive(node, packet);
    } else {
      this.forward(node, port, packet);
    }
  }

  private forward(node: number, from: number, packet: number): void {
    const pool = this.pool;
    const port = this.egress(node, pool.target[packet] as number, pool.hash[packet] as number);
    if (port < 0) {
      this.discard(from, packet);
      return;
    }
    if (this.forwarding[port] === 0) {
      this.discard(port, packet);
      return;
    }
    const queue = CLASS_OF[pool.kind[packet] as number] as number;
    const heldBack = queue === LOSSLESS_QUEUE && this.holdsBack[from] === 1;
    const limit = heldBack ? this.bufferBytes : this.bufferBytes - (this.reserveBytes[node] as number);
    if ((this.usedBytes[node] as number) + (pool.wireBytes[packet] as number) > limit && !this.idle(port)) {
      this.discard(port, packet);
      return;
    }
    if (queue === LOSSLESS_QUEUE) {
      pool.ingress[packet] = heldBack ? from : -1;
    }
    this.enqueue(port, packet, queue);
  }

  private idle(port: number): boolean {
    return this.waiting[port] === 0 && this.paused[port] === 0 && (this.busyUntilPs[port] as number) <= this.nowPs;
  }

  /** Port by which a switch sends a packet on; -1 when it has no route. */
  egress(node: number, target: number, hash: number): number {
    const entry = this.routeTable[node * this.wiring.hosts + target] as number;
    if (entry >= -1) return entry;
    const group = this.groups[-entry - 2] as Int32Array;
    return group[ecmpChoice(hash, this.seeds[node] as number, group.length)] as number;
  }

  private discard(port: number, packet: number): void {
    const count = this.pool.count[packet] as number;
    this.drops[port] = (this.drops[port] as number) + count;
    this.dropped += count;
    this.pool.give(packet);
  }

  // ---- PFC ---------------------------------------------------------------------------------------------------------

  private account(ingress: number, node: number, bytes: number): void {
    const held = (this.ingressBytes[ingress] as number) + bytes;
    this.ingressBytes[ingress] = held;
    if (this.holding[ingress] === 1) return;
    if (held > (this.xoffBytes[ingress] as number) || held > this.freeBytes(node) * FREE_SHARE) {
      this.holding[ingress] = 1;
      this.tell(ingress, 1);
    }
  }

  private release(ingress: number, node: number, bytes: number): void {
    const held = (this.ingressBytes[ingress] as number) - bytes;
    this.ingressBytes[ingress] = held;
    if (this.holding[ingress] === 0) return;
    if (
      held <= 0 ||
      (held <= (this.xonBytes[ingress] as number) && held <= this.freeBytes(node) * FREE_SHARE - RESUME_OFFSET_BYTES)
    ) {
      this.holding[ingress] = 0;
      this.tell(ingress, 0);
    }
  }

  private freeBytes(node: number): number {
    return this.bufferBytes - (this.reserveBytes[node] as number) - (this.usedBytes[node] as number);
  }

  /** A pause (1) or resume (0) frame from `ingress` to the port that feeds it. */
  private tell(ingress: number, off: number): void {
    const { wiring } = this;
    const port = wiring.peer[ingress] as number;
    const at =
      this.nowPs +
      Math.round(PAUSE_WIRE_BYTES * (wiring.psPerByte[ingress] as number)) +
      (wiring.delayPs[ingress] as number);
    this.pfcTx[ingress] = (this.pfcTx[ingress] as number) + 1;
    let count = this.messages[port] as number;
    if (count === MESSAGES)
      count--; // only the last word counts once the pipe is this full
    else this.messages[port] = count + 1;
    const slot = port * MESSAGES + (((this.messageFirst[port] as number) + count) % MESSAGES);
    this.messageAtPs[slot] = at;
    this.messageOff[slot] = off;
    if (count === 0) this.events.push(at, 2 * this.ports + port);
  }

  private messageDue(port: number): void {
    const first = this.messageFirst[port] as number;
    const slot = port * MESSAGES + first;
    if (this.messages[port] === 0 || (this.messageAtPs[slot] as number) > this.nowPs) {
      if ((this.messages[port] as number) > 0)
        this.events.push(this.messageAtPs[slot] as number, 2 * this.ports + port);
      return;
    }
    this.messageFirst[port] = (first + 1) % MESSAGES;
    this.messages[port] = (this.messages[port] as number) - 1;
    if ((this.messages[port] as number) > 0) {
      this.events.push(this.messageAtPs[port * MESSAGES + ((first + 1) % MESSAGES)] as number, 2 * this.ports + port);
    }
    if (this.forwarding[port] === 0) return;
    this.pfcRx[port] = (this.pfcRx[port] as number) + 1;
    if (this.messageOff[slot] === 1) this.pause(port);
    else this.resume(port);
  }

  private pause(port: number): void {
    if (this.paused[port] === 1) return;
    this.paused[port] = 1;
    this.pausedSincePs[port] = this.nowPs;
  }

  private resume(port: number): void {
    if (this.paused[port] === 0) return;
    this.paused[port] = 0;
    this.pausedPs[port] = (this.pausedPs[port] as number) + this.nowPs - (this.pausedSincePs[port] as number);
    this.arm(port, Math.max(this.nowPs, this.busyUntilPs[port] as number));
  }

  private pausedUntilNowPs(port: number): number {
    const ongoing = this.paused[port] === 1 ? this.nowPs - (this.pausedSincePs[port] as number) : 0;
    return (this.pausedPs[port] as number) + ongoing;
  }

  // ---- from outside ------------------------------------------------------------------------------------------------

  setRoute(node: number, target: number, ports: readonly number[]): void {
    const at = node * this.wiring.hosts + target;
    if (ports.length === 0) this.routeTable[at] = -1;
    else if (ports.length === 1) this.routeTable[at] = ports[0] as number;
    else {
      const key = ports.join();
      let group = this.groupIds.get(key);
      if (group === undefined) {
        group = this.groups.push(Int32Array.from(ports)) - 1;
        this.groupIds.set(key, group);
      }
      this.routeTable[at] = -2 - group;
    }
  }

  route(node: number, target: number): readonly number[] {
    const entry = this.routeTable[node * this.wiring.hosts + target] as number;
    if (entry === -1) return [];
    return entry >= 0 ? [entry] : [...(this.groups[-entry - 2] as Int32Array)];
  }

  isForwarding(port: number): boolean {
    return this.forwarding[port] === 1;
  }

  setForwarding(port: number, on: boolean): void {
    if (this.isForwarding(port) === on) return;
    this.forwarding[port] = on ? 1 : 0;
    if (!on) {
      this.flush(port, true);
      this.resume(port); // a port without a link partner obeys no pause
    } else {
      if (this.holding[this.wiring.peer[port] as number] === 1) this.pause(port);
      this.arm(port, Math.max(this.nowPs, this.busyUntilPs[port] as number));
    }
  }

  private flush(port: number, counted: boolean): void {
    for (let queue = 0; queue < QUEUES; queue++) {
      while (this.head[port * QUEUES + queue] !== -1) {
        const packet = this.unqueue(port, queue);
        if (counted) this.discard(port, packet);
        else {
          this.dropped += this.pool.count[packet] as number;
          this.pool.give(packet);
        }
      }
    }
  }

  /** Empties the node's queues (which resumes whom it had paused) and sets its counters to 0. */
  reset(node: number): void {
    const ports = this.wiring.portsOf[node] as readonly number[];
    for (const port of ports) this.flush(port, false);
    const counters = [this.rxBytes, this.txBytes, this.rxPackets, this.txPackets, this.drops, this.queuePackets];
    counters.push(this.ecnMarked, this.pfcRx, this.pfcTx, this.pausedPs, this.peakBytes);
    for (const port of ports) {
      for (const counter of counters) counter[port] = 0;
      this.pausedSincePs[port] = this.nowPs;
    }
  }

  setSpanPassing(span: number, passing: boolean): void {
    this.spanPassing[span] = passing ? 1 : 0;
    if (passing) return;
    const port = this.portOfSpan(span);
    let packet = this.linkHead[port] as number;
    while (packet !== -1) {
      const next = this.pool.next[packet] as number;
      const count = this.pool.count[packet] as number;
      this.spanLost[span] = (this.spanLost[span] as number) + count;
      this.dropped += count;
      this.pool.give(packet);
      packet = next;
    }
    this.linkHead[port] = -1;
    this.linkTail[port] = -1;
    this.linkLastPs[port] = 0; // nothing left to overtake
  }

  setSpanLoss(span: number, loss: number): void {
    this.spanLoss[span] = loss;
    this.lossRun[span] = (this.lossDice[span] as Random).runLength(loss);
  }

  /** The port that sends into a span direction. */
  portOfSpan(span: number): number {
    return this.wiring.spanDirection.indexOf(span);
  }

  count(port: number): PortCount {
    let queueBytes = 0;
    for (let queue = 0; queue < QUEUES; queue++) queueBytes += this.depthBytes[port * QUEUES + queue] as number;
    return {
      rxBytes: this.rxBytes[port] as number,
      txBytes: this.txBytes[port] as number,
      rxPackets: this.rxPackets[port] as number,
      txPackets: this.txPackets[port] as number,
      drops: this.drops[port] as number,
      queuePackets: this.queuePackets[port] as number,
      ecnMarked: this.ecnMarked[port] as number,
      pfcRx: this.pfcRx[port] as number,
      pfcTx: this.pfcTx[port] as number,
      pausedPs: this.pausedUntilNowPs(port),
      queueBytes,
      queuePeakBytes: this.peakBytes[port] as number,
    };
  }

  takePeak(port: number): number {
    const peak = this.peakBytes[port] as number;
    this.peakBytes[port] = this.depthBytes[port * QUEUES + LOSSLESS_QUEUE] as number;
    return peak;
  }

  /** Packets in queues and on links now, counted one by one. */
  inFlight(): number {
    let packets = 0;
    const add = (first: number) => {
      for (let packet = first; packet !== -1; packet = this.pool.next[packet] as number)
        packets += this.pool.count[packet] as number;
    };
    this.linkHead.forEach(add);
    this.head.forEach(add);
    return packets;
  }
}
