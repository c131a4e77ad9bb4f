import type { Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { CallQueue } from '../kernel/call-queue.ts';
import { EventQueue } from '../kernel/event-queue.ts';
import { Random } from '../kernel/random.ts';
import { Forwarding } from './forwarding.ts';
import { Links } from './link.ts';
import { marksOf, markingProbability, type RedLaw } from './red-marking.ts';
import type { PortCount } from './network.ts';
import {
  COUNT,
  ECN_CAPABLE,
  HASH,
  INGRESS,
  MARKED,
  META,
  NEXT,
  PACKET_SHIFT,
  Packets,
  PRIORITY_SHIFT,
  TARGET,
  TRIMMABLE,
  TRIMMED,
  TRIMMED_LAST,
  WIRE_BYTES,
} from './packets.ts';
import { Pfc } from './pfc.ts';
import {
  BUSY_UNTIL,
  createPorts,
  DELAY,
  DEPTH_BYTES,
  DROPS,
  EARLY_PS_PER_BYTE,
  FAR_NODE,
  FAR_PORT,
  FORWARDING,
  HEAD,
  HOLDING,
  LINK_HEAD,
  MARKS_FROM,
  NODE,
  PAUSED,
  PAUSES,
  PEAK_BYTES,
  PORT_FLOAT_SHIFT,
  PORT_SHIFT,
  type Ports,
  PRIORITIES,
  PS_PER_BYTE,
  QUEUE_FLOAT_SHIFT,
  QUEUE_INT_SHIFT,
  QUEUE_SHIFT,
  RX_BYTES,
  RX_PACKETS,
  SENT,
  SPAN,
  TURN,
  TX_BYTES,
  WAITING,
} from './ports.ts';
import { Queues } from './queue.ts';
import { SharedBuffer } from './shared-buffer.ts';
import { Spans } from './span.ts';
import { GAP_BYTES, PAUSE_WIRE_BYTES } from './wire-size.ts';
import type { Wiring } from './wiring.ts';

/** What sits in the hosts: takes packets that arrive and gives the next one to send. */
export interface Endpoints {
  /** A packet has arrived whole. The receiver gives it back to the pool. */
  receive(host: number, packet: number): void;
  /** Next packet of a host in the data priority, -1 when none may leave now. Sets `readyAtPs` for the question after. */
  pull(host: number): number;
  /** Whether a data packet of the host could leave now. Asked only where a NIC mixes control and data in turns. */
  waits?(host: number): boolean;
  /** After `pull`: earliest instant at which another packet may leave; Infinity when none waits. */
  readonly readyAtPs: number;
}

/** Something that wakes itself at times of its choosing; it has one time at most. */
export interface Actor {
  wake(): void;
}

/** Sees every packet that a port sends or that arrives at it, before anything else happens to it. */
export type PacketWatch = (packet: number, direction: 'out' | 'in') => void;

/** Writes into a packet that leaves a switch, as INT does. */
export interface PacketStamp {
  stamp(packet: number, port: number, queueBytes: number, nowPs: number): void;
}

const NEVER = Number.POSITIVE_INFINITY;
/** ECN and PFC thresholds are declared for ports of this rate. */
const REFERENCE_BPS = 100e9;
const CONTROL = 6;
const DATA_PRIORITY = 3;
const BEST_EFFORT = 0;
/** Priorities that are served before all others. */
const STRICT = 0b1100_0000;

export interface DataPlaneOptions {
  readonly topology: Topology;
  readonly wiring: Wiring;
  readonly seed: number;
  /** Wire bytes of a full packet, and packets that a train holds at most. */
  readonly fullWireBytes: number;
  readonly trainPackets: number;
}

/**
 * Queues, links and switches in virtual time. The parts: {@link EventQueue}, {@link Links}, {@link Queues}, {@link SharedBuffer},
 * {@link Pfc}, {@link Forwarding}, {@link Spans}; here they are put together.
 *
 * - **Link**: serialisation is wire bytes x 8 / rate, rounded to 1 ps per packet; then the propagation delay. FIFO.
 * - **Switch**: output-queued, store-and-forward, no processing latency. Eight queues a port: 7 and 6 strict first, the others in
 *   turn, packet by packet, so probes wait for one RoCE packet (train) at most.
 * - **Events**: one per packet and hop while the port is idle: a packet that finds its port free is sent on by the very event that
 *   brought it. A busy port adds one service event per packet.
 * - **ECN**: RED law on the egress queue that a departing packet leaves behind, as the HPCC artefact marks (switch-node.cc,
 *   SwitchNotifyDequeue: off the queue first, then ShouldSendCN), or on the queue that it joins.
 * - **Thresholds** of ECN and PFC are declared for 100 Gb/s and scaled with the port's rate, as the HPCC artefact does with
 *   Kmin and Kmax (Kmin 400/1600/6400 KB at 100/400/1600 Gb/s), unless `scaleThresholds` is off.
 * - **PFC** is not spoken over spans unless declared: headroom for 80 km at 400 Gb/s would be 39.5 MB (SONiC's formula).
 * - **Trains**: n packets move as one unit with the sum of their bytes. A switch may forward a train when its first packet is in
 *   and the rest can follow without a gap, so a train does not pay n-fold store-and-forward; a host takes it when the last
 *   packet is in. It is not preempted, so others wait for up to n packets.
 */
export class DataPlane {
  nowPs = 0;
  hops = 0;
  /** Events handled, for the account of cost. */
  eventCount = 0;
  /** Packets that have entered, left at a host, or been lost: for the conservation law. */
  injected = 0;
  delivered = 0;
  dropped = 0;

  readonly wiring: Wiring;
  readonly packets = new Packets();
  readonly calls = new CallQueue();
  readonly ports: Ports;
  readonly forwarding: Forwarding;
  readonly spans: Spans;
  readonly pfc: Pfc;
  /** Priorities of control packets, data and datagrams. */
  readonly controlPriority: number;
  readonly dataPriority: number;
  readonly datagramPriority: number;
  /** Set by who wants INT. */
  stamp: PacketStamp | undefined;
  /** Bytes of a packet of which a train has several. */
  readonly fullWireBytes: number;

  private readonly events: EventQueue;
  private readonly links: Links;
  private readonly queues: Queues;
  private readonly buffer: SharedBuffer;
  private readonly hosts: number;
  private readonly portCount: number;
  private readonly actors: Actor[] = [];
  private endpoints: Endpoints | undefined;
  private stopping = false;
  private readonly watches: (PacketWatch[] | undefined)[] = [];
  private watching = false;

  private readonly laws: (RedLaw | undefined)[];
  private readonly marker: Random;
  private readonly marksOnEntry: boolean;
  private readonly marksAtEnd: boolean;
  private readonly trimToBytes: number;
  private readonly trimsEither: boolean;
  private readonly trimmer: Random;
  /** Per queue (port x 8 + priority). */
  private readonly queueLimits: Float64Array;
  /** Control packets that a NIC sends in a row while data waits; 0 for all. */
  private readonly controlRun: number;
  private readonly controlTurn: Int32Array;
  private readonly releasesAtEnd: boolean;
  /** Of ports that still owe the buffer a release at the end of their transmission: account, bytes, priority, and the packet itself (-1: lost). */
  private readonly owedIngress: Int32Array;
  private readonly owedBytes: Int32Array;
  private readonly owedPriority: Uint8Array;
  private readonly owedPacket: Int32Array;
  private readonly ecnMarked: Float64Array;
  private readonly queueDrops: Float64Array;
  private readonly trimmedPackets: Float64Array;

  constructor(options: DataPlaneOptions) {
    const { topology, wiring, seed } = options;
    const { bufferPerSwitch, ecn, pfc, switching = {} } = topology.settings;
    this.wiring = wiring;
    this.hosts = wiring.hosts;
    this.fullWireBytes = options.fullWireBytes;
    const ports = createPorts(wiring);
    this.ports = ports;
    this.portCount = ports.count;
    this.events = new EventQueue(bucketWidth(wiring, options.fullWireBytes));
    this.links = new Links(ports, this.packets, this.events);
    this.queues = new Queues(ports, this.packets);
    this.spans = new Spans({ ports, packets: this.packets, wiring, seed, fullWireBytes: options.fullWireBytes });

    const priorities = switching.priorities ?? { control: CONTROL, data: DATA_PRIORITY, datagrams: BEST_EFFORT };
    for (const [use, priority] of Object.entries(priorities)) {
      if (!(Number.isInteger(priority) && priority >= 0 && priority < PRIORITIES))
        throw new RangeError(`Priority ${priority} for ${use}: 0 to 7 exist.`);
    }
    this.controlPriority = priorities.control;
    this.dataPriority = priorities.data;
    this.datagramPriority = priorities.datagrams;

    const scaled = switching.scaleThresholds ?? true;
    const scale = (port: number) => (scaled ? (wiring.rateBps[port] as number) / REFERENCE_BPS : 1);
    this.marker = new Random(seed, 1);
    this.marksOnEntry = ecn?.at === 'enqueue';
    this.marksAtEnd = ecn?.at === 'end';
    if (this.marksAtEnd && switching.releaseAt !== 'end')
      throw new RangeError(
        'ECN marks at the end of a transmission only where buffers are released then: set releaseAt.',
      );
    this.laws = Array.from({ length: ports.count }, (_, port) => {
      if (ecn === null || (wiring.node[port] as number) < wiring.hosts) return undefined;
      const law: RedLaw = {
        minBytes: magnitude(ecn.min) * scale(port),
        maxBytes: magnitude(ecn.max) * scale(port),
        probability: ecn.probability,
        extended: ecn.beyondMax === 'extended',
      };
      ports.floats[(port << PORT_FLOAT_SHIFT) + MARKS_FROM] = law.minBytes;
      return law;
    });

    const floats = (length = ports.count) => new Float64Array(length);
    this.ecnMarked = floats();
    this.queueDrops = floats(ports.count * PRIORITIES);
    this.trimmedPackets = floats();
    this.releasesAtEnd = switching.releaseAt === 'end';
    this.owedIngress = new Int32Array(ports.count).fill(-1);
    this.owedBytes = new Int32Array(ports.count);
    this.owedPriority = new Uint8Array(ports.count);
    this.owedPacket = new Int32Array(ports.count).fill(-1);
    this.trimToBytes = switching.trimTo === undefined ? 0 : magnitude(switching.trimTo);
    this.trimsEither = switching.trimVictim === 'either';
    this.trimmer = new Random(seed, 3);
    this.controlTurn = new Int32Array(wiring.hosts);
    this.controlRun = switching.nicControlRun ?? 0;
    if (!(Number.isInteger(this.controlRun) && this.controlRun >= 0))
      throw new RangeError(`A NIC that sends ${this.controlRun} control packets in a row.`);
    this.queueLimits = floats(ports.count * PRIORITIES).fill(NEVER);
    for (let port = 0; port < ports.count; port++) {
      const share = switching.scaleQueueLimit === true ? (wiring.rateBps[port] as number) / REFERENCE_BPS : 1;
      for (let priority = 0; priority < PRIORITIES; priority++) {
        const limit =
          priority === this.controlPriority
            ? (switching.controlQueueLimit ?? switching.queueLimit)
            : switching.queueLimit;
        if (limit !== undefined) this.queueLimits[(port << QUEUE_SHIFT) + priority] = magnitude(limit) * share;
      }
    }

    this.pfc = new Pfc({
      ports,
      events: this.events,
      quanta: pfc?.quanta ?? 65535,
      watchdog: pfc?.watchdog && {
        detectionPs: Math.round(magnitude(pfc.watchdog.detection) * 1000),
        restorationPs: Math.round(magnitude(pfc.watchdog.restoration) * 1000),
      },
      onResume: port => this.arm(port, Math.max(this.nowPs, this.busyUntil(port))),
      onStorm: (port, priority) => this.flushQueue(port, priority, true),
    });
    const bufferBytes = magnitude(bufferPerSwitch);
    const reserveBytes = floats(wiring.nodes.length);
    const xoffBytes = floats();
    const xonBytes = floats();
    const headroomBytes = floats();
    for (let port = 0; port < ports.count && pfc !== null; port++) {
      const node = wiring.node[port] as number;
      const overSpan = (wiring.spanDirection[port] as number) >= 0;
      if (node < wiring.hosts || (overSpan && pfc.overSpans !== true)) continue;
      ports.ints[(port << PORT_SHIFT) + PAUSES] = 1 << this.dataPriority;
      xoffBytes[port] = magnitude(pfc.xoff) * scale(port);
      xonBytes[port] = magnitude(pfc.xon) * scale(port);
      // Still coming after xoff: what a round trip holds, the pause frame's own time, and the unit (train) that the far end has begun.
      const inFlight = (2 * (wiring.delayPs[port] as number)) / (wiring.psPerByte[port] as number);
      headroomBytes[port] =
        pfc.headroom === undefined
          ? inFlight + 2 * options.trainPackets * options.fullWireBytes + PAUSE_WIRE_BYTES
          : magnitude(pfc.headroom);
      reserveBytes[node] = Math.min(bufferBytes / 2, (reserveBytes[node] as number) + (headroomBytes[port] as number));
    }
    this.buffer = new SharedBuffer({
      ports,
      nodes: wiring.nodes.length,
      bufferBytes,
      pfc: this.pfc,
      reserveBytes,
      xoffBytes,
      xonBytes,
      headroomBytes,
      freeShare: pfc?.freeShare === null ? NEVER : (pfc?.freeShare ?? 1 / 8),
      lossyShare: switching.lossyShare ?? NEVER,
    });
    this.forwarding = new Forwarding({
      wiring,
      ports,
      law: switching.loadBalancing ?? 'ecmp',
      seed: switching.ecmpSeed ?? seed,
      random: new Random(seed, 2),
    });
  }

  attach(endpoints: Endpoints): void {
    this.endpoints = endpoints;
  }

  /** Registers something that wakes; the number is for `wakeAt`. */
  enrol(actor: Actor): number {
    return 4 * this.portCount + this.actors.push(actor) - 1;
  }

  /** Wakes the actor at this time instead of any that it had asked for before. */
  wakeAt(atPs: number, actor: number): void {
    this.events.remove(actor);
    this.events.push(atPs, actor);
  }

  stop(): void {
    this.stopping = true;
  }

  /** @throws RangeError when the time lies in the past or beyond 2^53 ps */
  advance(untilPs: number): void {
    if (!Number.isSafeInteger(untilPs) || untilPs < this.nowPs)
      throw new RangeError(`Cannot advance from ${this.nowPs} ps to ${untilPs} ps.`);
    const { events, calls, portCount } = this;
    this.stopping = false;
    while (!this.stopping) {
      // Calls come before events of the same picosecond; times are whole numbers.
      const callAt = calls.nextPs;
      const source = events.next(callAt <= untilPs ? callAt - 1 : untilPs);
      if (source >= 0) {
        this.nowPs = events.timePs;
        this.eventCount++;
        if (source < portCount) this.arrive(source);
        else if (source < 2 * portCount) this.service(source - portCount);
        else if (source < 3 * portCount) this.pfc.frameDue(source - 2 * portCount, this.nowPs);
        else if (source < 4 * portCount) this.pfc.timerDue(source - 3 * portCount, this.nowPs);
        else (this.actors[source - 4 * portCount] as Actor).wake();
      } else if (callAt <= untilPs) {
        this.nowPs = callAt;
        calls.take()();
      } else break;
    }
    if (!this.stopping) this.nowPs = untilPs;
    this.stopping = false;
  }

  // ---- sending -----------------------------------------------------------------------------------------------------

  /** A host's own ACK, CNP or datagram: into its NIC's queue. */
  sendFromHost(host: number, packet: number): void {
    const { ints } = this.packets;
    const at = packet << PACKET_SHIFT;
    this.injected += ints[at + COUNT] as number;
    const port = this.wiring.portsOf[host]?.[0] as number;
    if (this.ports.ints[(port << PORT_SHIFT) + FORWARDING] === 0) this.discard(port, packet);
    else this.enqueue(port, packet, ((ints[at + META] as number) >> PRIORITY_SHIFT) & 7);
  }

  /** A flow of the host may have something to send from now on. */
  kick(host: number): void {
    const port = this.wiring.portsOf[host]?.[0] as number;
    if (((this.ports.ints[(port << PORT_SHIFT) + PAUSED] as number) & (1 << this.dataPriority)) === 0)
      this.arm(port, Math.max(this.nowPs, this.busyUntil(port)));
  }

  private busyUntil(port: number): number {
    return this.ports.floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number;
  }

  private arm(port: number, atPs: number): void {
    this.events.pushEarlier(atPs, this.portCount + port);
  }

  private enqueue(port: number, packet: number, priority: number): void {
    const { ints, floats } = this.ports;
    const i = port << PORT_SHIFT;
    const busyUntil = floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number;
    const open = ((ints[i + PAUSED] as number) & (1 << priority)) === 0;
    if (open && ints[i + WAITING] === 0 && busyUntil <= this.nowPs && !this.owes(port)) {
      if (!this.releasesAtEnd || (ints[i + NODE] as number) < this.hosts) {
        this.transmit(port, packet, priority);
        return;
      }
      const record = packet << PACKET_SHIFT;
      this.buffer.add(
        ints[i + NODE] as number,
        this.packets.ints[record + INGRESS] as number,
        this.packets.ints[record + WIRE_BYTES] as number,
        this.nowPs,
      );
      this.owe(port, packet, priority);
      this.transmit(port, packet, priority);
      this.arm(port, floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number);
      return;
    }
    const depth = this.queues.put(port, priority, packet);
    const packetInts = this.packets.ints;
    const at = packet << PACKET_SHIFT;
    if (this.marksOnEntry && depth > (floats[(port << PORT_FLOAT_SHIFT) + MARKS_FROM] as number))
      this.mark(port, packet, depth);
    this.buffer.add(
      ints[i + NODE] as number,
      packetInts[at + INGRESS] as number,
      packetInts[at + WIRE_BYTES] as number,
      this.nowPs,
    );
    // A port that is busy and has other packets waiting has its service event already.
    if (open) this.arm(port, busyUntil > this.nowPs ? busyUntil : this.nowPs);
  }

  private owes(port: number): boolean {
    return this.releasesAtEnd && (this.owedBytes[port] as number) > 0;
  }

  /** What is put on the wire now stays in the buffer until its last bit has left. */
  private owe(port: number, packet: number, priority: number): void {
    const { ints } = this.packets;
    const at = packet << PACKET_SHIFT;
    this.owedIngress[port] = ints[at + INGRESS] as number;
    this.owedBytes[port] = ints[at + WIRE_BYTES] as number;
    this.owedPriority[port] = priority;
    this.owedPacket[port] = packet;
  }

  private unqueue(port: number, priority: number): number {
    const packet = this.queues.take(port, priority);
    const packetInts = this.packets.ints;
    const at = packet << PACKET_SHIFT;
    const node = this.ports.ints[(port << PORT_SHIFT) + NODE] as number;
    const ingress = packetInts[at + INGRESS] as number;
    const bytes = packetInts[at + WIRE_BYTES] as number;
    if (this.releasesAtEnd && node >= this.hosts) this.owe(port, packet, priority);
    else this.buffer.remove(node, ingress, bytes, this.nowPs);
    return packet;
  }

  private service(port: number): void {
    const { ints, floats } = this.ports;
    const i = port << PORT_SHIFT;
    const busyUntil = floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number;
    if (busyUntil > this.nowPs) {
      this.arm(port, busyUntil);
      return;
    }
    const node = ints[i + NODE] as number;
    if (this.owes(port)) {
      const bytes = this.owedBytes[port] as number;
      this.owedBytes[port] = 0;
      this.buffer.remove(node, this.owedIngress[port] as number, bytes, this.nowPs);
      if (this.marksAtEnd) this.markSent(port);
    }
    if (node < this.hosts) {
      this.serveHost(port, node);
      return;
    }
    const eligible = (ints[i + WAITING] as number) & ~(ints[i + PAUSED] as number);
    if (eligible === 0) return;
    const priority = this.queues.choose(port, eligible);
    if ((STRICT & (1 << priority)) === 0) ints[i + TURN] = priority;
    this.transmit(port, this.unqueue(port, priority), priority);
    if (((ints[i + WAITING] as number) & ~(ints[i + PAUSED] as number)) !== 0 || this.owes(port))
      this.events.push(this.busyUntil(port), this.portCount + port);
  }

  /** As a switch port's, but the data priority's queue is the flows themselves: they are asked for a packet when it is their turn. */
  private serveHost(port: number, host: number): void {
    const { ints } = this.ports;
    const i = port << PORT_SHIFT;
    const dataBit = 1 << this.dataPriority;
    const open = ~(ints[i + PAUSED] as number);
    let eligible = (ints[i + WAITING] as number) & open;
    const endpoints = this.endpoints as Endpoints;
    let readyAt = NEVER;
    let pulled = false;
    let dataFirst = false;
    if (this.controlRun > 0 && (eligible & STRICT) !== 0 && endpoints.waits?.(host) === true) {
      const turn = (this.controlTurn[host] as number) + 1;
      dataFirst = turn > this.controlRun;
      this.controlTurn[host] = dataFirst ? 0 : turn;
    }
    if ((dataFirst || (eligible & STRICT) === 0) && (open & dataBit) !== 0) {
      const priority = dataFirst || eligible === 0 ? this.dataPriority : this.queues.choose(port, eligible | dataBit);
      if (priority === this.dataPriority && (eligible & dataBit) === 0) {
        const packet = endpoints.pull(host);
        readyAt = endpoints.readyAtPs;
        if (packet >= 0) {
          pulled = true;
          ints[i + TURN] = this.dataPriority;
          this.injected += this.packets.ints[(packet << PACKET_SHIFT) + COUNT] as number;
          if (ints[i + FORWARDING] === 1) this.transmit(port, packet, this.dataPriority);
          else {
            // A NIC without light sends into the void at its rate.
            const f = port << PORT_FLOAT_SHIFT;
            const wire = this.packets.ints[(packet << PACKET_SHIFT) + WIRE_BYTES] as number;
            this.ports.floats[f + BUSY_UNTIL] =
              this.nowPs + Math.round(wire * (this.ports.floats[f + PS_PER_BYTE] as number));
            this.discard(port, packet);
          }
        }
      } else readyAt = this.nowPs;
    } else if ((open & dataBit) !== 0) readyAt = this.nowPs;
    if (!pulled && eligible !== 0) {
      const priority = this.queues.choose(port, eligible);
      if ((STRICT & (1 << priority)) === 0) ints[i + TURN] = priority;
      this.transmit(port, this.unqueue(port, priority), priority);
    }
    eligible = (ints[i + WAITING] as number) & open;
    if (eligible !== 0) readyAt = this.nowPs;
    if (readyAt !== NEVER) this.arm(port, Math.max(readyAt, this.busyUntil(port)));
  }

  /** Puts the packet on the wire now. */
  private transmit(port: number, packet: number, priority: number): void {
    const { ints, floats, queueFloats } = this.ports;
    const packetInts = this.packets.ints;
    const i = port << PORT_SHIFT;
    const f = port << PORT_FLOAT_SHIFT;
    const at = packet << PACKET_SHIFT;
    const wire = packetInts[at + WIRE_BYTES] as number;
    let count = packetInts[at + COUNT] as number;
    let sentAt = this.nowPs + Math.round(wire * (floats[f + PS_PER_BYTE] as number));
    floats[f + BUSY_UNTIL] = sentAt;
    floats[f + TX_BYTES] = (floats[f + TX_BYTES] as number) + wire - count * GAP_BYTES;
    const q = ((port << QUEUE_SHIFT) + priority) << QUEUE_FLOAT_SHIFT;
    queueFloats[q + SENT] = (queueFloats[q + SENT] as number) + count;
    const depth = queueFloats[q + DEPTH_BYTES] as number;
    if (depth > (floats[f + MARKS_FROM] as number) && !this.marksOnEntry && !this.marksAtEnd)
      this.mark(port, packet, depth);
    if (this.stamp !== undefined && (ints[i + NODE] as number) >= this.hosts)
      this.stamp.stamp(packet, port, depth, this.nowPs);
    if (this.watching) this.show(port, packet, 'out');
    const span = ints[i + SPAN] as number;
    if (span >= 0) {
      const passing = this.spans.pass(span, packet);
      if (passing < count) {
        this.dropped += count - passing;
        if (passing === 0) {
          this.owedPacket[port] = -1;
          this.packets.give(packet);
          return;
        }
        count = passing;
      }
      sentAt += this.spans.jitter(span);
    }
    if (count > 1) {
      const rest = (packetInts[at + WIRE_BYTES] as number) - this.fullWireBytes;
      sentAt -= Math.floor(rest * (floats[f + EARLY_PS_PER_BYTE] as number));
    }
    this.links.carry(port, packet, sentAt);
  }

  /** Notes congestion in a packet whose queue is long. */
  private mark(port: number, packet: number, depth: number): void {
    const { ints } = this.packets;
    const at = packet << PACKET_SHIFT;
    if (((ints[at + META] as number) & ECN_CAPABLE) === 0) return;
    const law = this.laws[port] as RedLaw;
    const marked = marksOf(ints[at + COUNT] as number, markingProbability(law, depth), this.marker);
    if (marked === 0) return;
    if (marked > (ints[at + MARKED] as number)) ints[at + MARKED] = marked;
    this.ecnMarked[port] = (this.ecnMarked[port] as number) + marked;
  }

  /** Marks the packet whose last bit has just left, by the queue that it leaves behind now. It is still on the link, unless that has no length. */
  private markSent(port: number): void {
    const packet = this.owedPacket[port] as number;
    const f = port << PORT_FLOAT_SHIFT;
    const { floats, queueFloats } = this.ports;
    if (packet < 0 || floats[f + DELAY] === 0) return;
    const queue = (port << QUEUE_SHIFT) + (this.owedPriority[port] as number);
    const depth = queueFloats[(queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES] as number;
    if (depth > (floats[f + MARKS_FROM] as number)) this.mark(port, packet, depth);
  }

  // ---- arriving ----------------------------------------------------------------------------------------------------

  private arrive(link: number): void {
    const { ints, floats } = this.ports;
    const packet = this.links.take(link);
    const packetInts = this.packets.ints;
    const at = packet << PACKET_SHIFT;
    const i = link << PORT_SHIFT;
    const port = ints[i + FAR_PORT] as number;
    const count = packetInts[at + COUNT] as number;
    this.hops += count;
    if (ints[(port << PORT_SHIFT) + FORWARDING] === 0) {
      this.discard(port, packet);
      return;
    }
    const f = port << PORT_FLOAT_SHIFT;
    floats[f + RX_BYTES] =
      (floats[f + RX_BYTES] as number) + (packetInts[at + WIRE_BYTES] as number) - count * GAP_BYTES;
    floats[f + RX_PACKETS] = (floats[f + RX_PACKETS] as number) + count;
    if (this.watching) this.show(port, packet, 'in');
    const node = ints[i + FAR_NODE] as number;
    if (node < this.hosts) {
      this.delivered += count;
      (this.endpoints as Endpoints).receive(node, packet);
    } else this.forward(node, port, packet);
  }

  private forward(node: number, from: number, packet: number): void {
    const packetInts = this.packets.ints;
    const at = packet << PACKET_SHIFT;
    const port = this.forwarding.egress(
      node,
      packetInts[at + TARGET] as number,
      packetInts[at + HASH] as number,
      this.nowPs,
    );
    if (port < 0) {
      this.discard(from, packet);
      return;
    }
    const { ints, floats, queueFloats } = this.ports;
    const i = port << PORT_SHIFT;
    if (ints[i + FORWARDING] === 0) {
      this.discard(port, packet);
      return;
    }
    const priority = ((packetInts[at + META] as number) >> PRIORITY_SHIFT) & 7;
    const bit = 1 << priority;
    const lossless = ((ints[(from << PORT_SHIFT) + PAUSES] as number) & bit) !== 0;
    const ingress = lossless ? (from << QUEUE_SHIFT) + priority : -1;
    packetInts[at + INGRESS] = ingress;
    if (
      ints[i + WAITING] === 0 &&
      (floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number) <= this.nowPs &&
      ((ints[i + PAUSED] as number) & bit) === 0 &&
      !this.releasesAtEnd
    ) {
      // The port is free: nothing is stored, so no account is touched and no event is spent.
      this.transmit(port, packet, priority);
      return;
    }
    if (((this.pfc.storming[port] as number) & bit) !== 0) {
      this.discard(port, packet, priority);
      return;
    }
    const queue = (port << QUEUE_SHIFT) + priority;
    let depth = queueFloats[(queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES] as number;
    if (this.releasesAtEnd && (this.owedBytes[port] as number) > 0 && this.owedPriority[port] === priority)
      depth += this.owedBytes[port] as number;
    const bytes = packetInts[at + WIRE_BYTES] as number;
    if (this.buffer.admits(node, ingress, bytes, depth, this.queueLimits[queue] as number)) {
      this.enqueue(port, packet, priority);
      return;
    }
    if (this.trimToBytes === 0 || ((packetInts[at + META] as number) & TRIMMABLE) === 0) {
      this.discard(port, packet, priority);
      return;
    }
    const tail = this.trimsEither && (this.trimmer.word() & 1) !== 0 ? this.queues.tail(port, priority) : -1;
    const { ints: tailInts } = this.packets;
    if (tail >= 0 && ((tailInts[(tail << PACKET_SHIFT) + META] as number) & TRIMMABLE) !== 0) {
      this.queues.takeTail(port, priority);
      const account = tailInts[(tail << PACKET_SHIFT) + INGRESS] as number;
      this.buffer.remove(node, account, tailInts[(tail << PACKET_SHIFT) + WIRE_BYTES] as number, this.nowPs);
      this.enqueue(port, packet, priority);
      this.trim(node, port, tail);
    } else this.trim(node, port, packet);
  }

  /** Cuts the payload off; the header goes on in the control priority, or is lost when that is full too. */
  private trim(node: number, port: number, packet: number): void {
    const { ints } = this.packets;
    const at = packet << PACKET_SHIFT;
    const meta = ints[at + META] as number;
    if ((meta & TRIMMED) !== 0) {
      this.discard(port, packet);
      return;
    }
    const last = (this.ports.ints[(port << PORT_SHIFT) + FAR_NODE] as number) < this.hosts ? TRIMMED_LAST : 0;
    const kept = meta & ~(7 << PRIORITY_SHIFT) & ~ECN_CAPABLE;
    ints[at + META] = kept | (this.controlPriority << PRIORITY_SHIFT) | TRIMMED | last;
    ints[at + WIRE_BYTES] = this.trimToBytes;
    ints[at + INGRESS] = -1;
    this.trimmedPackets[port] = (this.trimmedPackets[port] as number) + (ints[at + COUNT] as number);
    const queue = (port << QUEUE_SHIFT) + this.controlPriority;
    const depth = this.ports.queueFloats[(queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES] as number;
    if (this.buffer.admits(node, -1, this.trimToBytes, depth, this.queueLimits[queue] as number))
      this.enqueue(port, packet, this.controlPriority);
    else this.discard(port, packet, this.controlPriority);
  }

  private discard(port: number, packet: number, priority?: number): void {
    const count = this.packets.ints[(packet << PACKET_SHIFT) + COUNT] as number;
    const f = (port << PORT_FLOAT_SHIFT) + DROPS;
    this.ports.floats[f] = (this.ports.floats[f] as number) + count;
    if (priority !== undefined) {
      const queue = (port << QUEUE_SHIFT) + priority;
      this.queueDrops[queue] = (this.queueDrops[queue] as number) + count;
    }
    this.dropped += count;
    this.packets.give(packet);
  }

  // ---- from outside ------------------------------------------------------------------------------------------------

  isForwarding(port: number): boolean {
    return this.ports.ints[(port << PORT_SHIFT) + FORWARDING] === 1;
  }

  setForwarding(port: number, on: boolean): void {
    if (this.isForwarding(port) === on) return;
    const { ints } = this.ports;
    const i = port << PORT_SHIFT;
    ints[i + FORWARDING] = on ? 1 : 0;
    if (!on) {
      for (let priority = 0; priority < PRIORITIES; priority++) this.flushQueue(port, priority, true);
      this.pfc.resume(port, 0xff, this.nowPs); // a port without a link partner obeys no pause
    } else {
      const held = ints[((ints[i + FAR_PORT] as number) << PORT_SHIFT) + HOLDING] as number;
      if (held !== 0) this.pfc.pause(port, held, this.nowPs);
      this.arm(port, Math.max(this.nowPs, this.busyUntil(port)));
    }
  }

  private flushQueue(port: number, priority: number, counted: boolean): void {
    const head = (((port << QUEUE_SHIFT) + priority) << QUEUE_INT_SHIFT) + HEAD;
    while (this.ports.queueInts[head] !== -1) {
      const packet = this.queues.take(port, priority);
      const { ints } = this.packets;
      const at = packet << PACKET_SHIFT;
      const node = this.ports.ints[(port << PORT_SHIFT) + NODE] as number;
      this.buffer.remove(node, ints[at + INGRESS] as number, ints[at + WIRE_BYTES] as number, this.nowPs);
      if (counted) this.discard(port, packet, priority);
      else {
        this.dropped += ints[at + COUNT] as number;
        this.packets.give(packet);
      }
    }
  }

  /** Empties the node's queues (which resumes whom it had paused) and sets its counters to 0. */
  reset(node: number): void {
    const { floats, queueFloats } = this.ports;
    for (const port of this.wiring.portsOf[node] as readonly number[]) {
      for (let priority = 0; priority < PRIORITIES; priority++) {
        this.flushQueue(port, priority, false);
        const queue = (port << QUEUE_SHIFT) + priority;
        queueFloats[(queue << QUEUE_FLOAT_SHIFT) + SENT] = 0;
        queueFloats[(queue << QUEUE_FLOAT_SHIFT) + PEAK_BYTES] = 0;
        this.queueDrops[queue] = 0;
      }
      const f = port << PORT_FLOAT_SHIFT;
      for (const field of [TX_BYTES, RX_BYTES, RX_PACKETS, DROPS]) floats[f + field] = 0;
      this.ecnMarked[port] = 0;
      this.trimmedPackets[port] = 0;
      this.pfc.resetCounters(port, this.nowPs);
    }
  }

  /** Frames pass through a span direction or are lost, those on the fibre too. */
  setSpanPassing(span: number, passing: boolean): void {
    this.spans.passing[span] = passing ? 1 : 0;
    if (passing) return;
    this.owedPacket[this.portOfSpan(span)] = -1;
    let packet = this.links.sever(this.portOfSpan(span));
    const { ints } = this.packets;
    while (packet !== -1) {
      const at = packet << PACKET_SHIFT;
      const next = ints[at + NEXT] as number;
      const count = ints[at + COUNT] as number;
      this.spans.lost[span] = (this.spans.lost[span] as number) + count;
      this.dropped += count;
      this.packets.give(packet);
      packet = next;
    }
  }

  setDelay(port: number, delayPs: number): void {
    this.ports.floats[(port << PORT_FLOAT_SHIFT) + DELAY] = delayPs;
  }

  delayOf(port: number): number {
    return this.ports.floats[(port << PORT_FLOAT_SHIFT) + DELAY] as number;
  }

  /** The port that sends into a span direction. */
  portOfSpan(span: number): number {
    return this.wiring.spanDirection.indexOf(span);
  }

  count(port: number): PortCount {
    const { floats, queueFloats } = this.ports;
    const f = port << PORT_FLOAT_SHIFT;
    let queueBytes = 0;
    let txPackets = 0;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      const q = ((port << QUEUE_SHIFT) + priority) << QUEUE_FLOAT_SHIFT;
      queueBytes += queueFloats[q + DEPTH_BYTES] as number;
      txPackets += queueFloats[q + SENT] as number;
    }
    const data = ((port << QUEUE_SHIFT) + this.dataPriority) << QUEUE_FLOAT_SHIFT;
    return {
      rxBytes: floats[f + RX_BYTES] as number,
      txBytes: floats[f + TX_BYTES] as number,
      rxPackets: floats[f + RX_PACKETS] as number,
      txPackets,
      drops: floats[f + DROPS] as number,
      queuePackets: queueFloats[data + SENT] as number,
      ecnMarked: this.ecnMarked[port] as number,
      pfcRx: this.pfc.framesIn[port] as number,
      pfcTx: this.pfc.framesOut[port] as number,
      pausedPs: this.pfc.pausedTotalPs(port, this.nowPs),
      queueBytes,
      queuePeakBytes: queueFloats[data + PEAK_BYTES] as number,
      trimmed: this.trimmedPackets[port] as number,
    };
  }

  /** One queue of a port: bytes now, packets sent and dropped since the start, peak since it was last taken. */
  queueCount(port: number, priority: number): QueueCount {
    const queue = (port << QUEUE_SHIFT) + priority;
    const q = queue << QUEUE_FLOAT_SHIFT;
    const { queueFloats } = this.ports;
    return {
      bytes: queueFloats[q + DEPTH_BYTES] as number,
      sent: queueFloats[q + SENT] as number,
      drops: this.queueDrops[queue] as number,
      peakBytes: queueFloats[q + PEAK_BYTES] as number,
    };
  }

  takePeak(port: number): number {
    const { queueFloats } = this.ports;
    const q = ((port << QUEUE_SHIFT) + this.dataPriority) << QUEUE_FLOAT_SHIFT;
    const peak = queueFloats[q + PEAK_BYTES] as number;
    queueFloats[q + PEAK_BYTES] = queueFloats[q + DEPTH_BYTES] as number;
    return peak;
  }

  /** Shows what the port sends and what arrives at it to `watch`; the answer ends that. */
  watch(port: number, watch: PacketWatch): () => void {
    const list = (this.watches[port] ??= []);
    list.push(watch);
    this.watching = true;
    return () => {
      const at = list.indexOf(watch);
      if (at >= 0) list.splice(at, 1);
      this.watching = this.watches.some(others => (others?.length ?? 0) > 0);
    };
  }

  private show(port: number, packet: number, direction: 'out' | 'in'): void {
    for (const watch of this.watches[port] ?? []) watch(packet, direction);
  }

  /** Packets in queues and on links now, counted one by one. */
  inFlight(): number {
    const { ints } = this.packets;
    let packets = 0;
    const add = (first: number) => {
      for (let packet = first; packet !== -1; packet = ints[(packet << PACKET_SHIFT) + NEXT] as number)
        packets += ints[(packet << PACKET_SHIFT) + COUNT] as number;
    };
    for (let port = 0; port < this.portCount; port++) {
      add(this.ports.ints[(port << PORT_SHIFT) + LINK_HEAD] as number);
      for (let queue = port << QUEUE_SHIFT; queue < (port + 1) << QUEUE_SHIFT; queue++)
        add(this.ports.queueInts[(queue << QUEUE_INT_SHIFT) + HEAD] as number);
    }
    return packets;
  }
}

export interface QueueCount {
  readonly bytes: number;
  readonly sent: number;
  readonly drops: number;
  readonly peakBytes: number;
}

/** Buckets about as wide as the mean time between events when half of the links are busy with full packets, so few events share one. */
function bucketWidth(wiring: Wiring, fullWireBytes: number): number {
  let perPs = 0;
  for (let port = 0; port < wiring.node.length; port++)
    perPs += 1 / (fullWireBytes * (wiring.psPerByte[port] as number));
  const meanPs = 2 / Math.max(perPs, 1e-12);
  return 2 ** Math.min(20, Math.max(4, Math.round(Math.log2(meanPs))));
}
