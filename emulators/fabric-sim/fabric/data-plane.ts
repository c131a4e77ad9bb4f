import type { Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { CallQueue } from '../kernel/call-queue.ts';
import { createEventQueue } from '../kernel/event-queue.ts';
import * as eventQueue from '../kernel/event-queue.ts';
import { Random } from '../kernel/random.ts';
import { createForwarding, type Forwarding } from './forwarding.ts';
import { createLinks } from './link.ts';
import { Overtaken } from './overtaken.ts';
import { marksOf, markingProbability, type RedLaw } from './red-marking.ts';
import type { NetworkOptions, PortCount, QueueCount } from './network.ts';
import { createPackets, type Packets } from './packets.ts';
import * as packetLayout from './packets.ts';
import { Pfc } from './pfc.ts';
import { createPorts, type Ports } from './ports.ts';
import * as portLayout from './ports.ts';
import { createQueues } from './queue.ts';
import { createSharedBuffer } from './shared-buffer.ts';
import { Spans } from './span.ts';
import { PAUSE_WIRE_BYTES } from './wire-size.ts';
import type { Wiring } from './wiring.ts';

/** What sits in the hosts: takes packets that arrive and gives the next one to send. */
export interface Endpoints {
  /** A packet of a flow has arrived whole at its host. The receiver gives it back to the pool. */
  receive(packet: number): void;
  /** A datagram has arrived. */
  receiveDatagram(packet: number): void;
  /** Next packet of a host in the data priority, -1 when none may leave now. Sets `ready` for the question after. */
  pull(host: number): number;
  /** Whether a data packet of the host could leave now. Asked only where a NIC mixes control and data in turns. */
  waits?(host: number): boolean;
  /** `ready[0]`: after `pull`, the earliest instant at which another packet may leave; Infinity when none waits. */
  readonly ready: Float64Array;
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

const { NOW } = eventQueue;
const {
  COUNT,
  DATAGRAM,
  ECN_CAPABLE,
  HASH,
  INGRESS,
  KIND_MASK,
  MARKED,
  META,
  NEXT,
  PACKET_SHIFT,
  PRIORITY_SHIFT,
  TARGET,
  TRIMMABLE,
  TRIMMED,
  TRIMMED_LAST,
  WIRE_BYTES,
} = packetLayout;
const {
  ARRIVED_BYTES,
  ARRIVED_PACKETS,
  BUSY_UNTIL,
  DELAY,
  DEPTH_BYTES,
  EARLY_PS_PER_BYTE,
  FAR_FORWARDING,
  FAR_NODE,
  FAR_PAUSES,
  FAR_PORT,
  FORWARDING,
  HEAD,
  HOLDING,
  LINK_HEAD,
  LINK_TAIL,
  MARKS_FROM,
  NODE,
  PAUSED,
  PEAK_BYTES,
  PORT_FLOAT_SHIFT,
  PORT_SHIFT,
  PRIORITIES,
  PS_PER_BYTE,
  QUEUE_FLOAT_SHIFT,
  QUEUE_INT_SHIFT,
  QUEUE_SHIFT,
  SENT,
  SPAN,
  STORM_SHIFT,
  TURN,
  TX_BYTES,
  WAITING,
} = portLayout;

const NEVER = Number.POSITIVE_INFINITY;
/** 2000 km of fibre. */
const LONG_DETOUR_PS = 10e9;
/** Event sources: each port's link, service, PFC frames and PFC timers, then the actors. */
const SOURCES_PER_PORT = 4;
/** Places in the totals. */
const HOPS = 0;
const EVENTS = 1;
const INJECTED = 2;
const DELIVERED = 3;
const DROPPED = 4;
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
  readonly ties?: NetworkOptions['ties'];
  /** Of a packet's wire bytes, those that no byte counter counts. */
  readonly gapBytes: number;
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
export interface DataPlane {
  readonly nowPs: number;
  readonly hops: number;
  /** Events handled, for the account of cost. */
  readonly eventCount: number;
  /** Packets that have entered, left at a host, or been lost: for the conservation law. */
  readonly injected: number;
  readonly delivered: number;
  readonly dropped: number;
  /** `clock[NOW]` is the time, ps. */
  readonly clock: Float64Array;
  readonly wiring: Wiring;
  readonly packets: Packets;
  readonly calls: CallQueue;
  readonly ports: Ports;
  readonly forwarding: Forwarding;
  readonly spans: Spans;
  readonly pfc: Pfc;
  /** Priorities of control packets, data and datagrams. */
  readonly controlPriority: number;
  readonly dataPriority: number;
  readonly datagramPriority: number;
  /** Bytes of a packet of which a train has several. */
  readonly fullWireBytes: number;

  attach(endpoints: Endpoints): void;
  /** Switches write into packets from now on. */
  stampWith(stamp: PacketStamp): void;
  /** Registers something that wakes; the number is for `wakeAt`. */
  enrol(actor: Actor): number;
  /** Wakes the actor at this time instead of any that it had asked for before; never when time ends before (2^53 ps). */
  wakeAt(atPs: number, actor: number): void;
  stop(): void;
  /** @throws RangeError when the time lies in the past or beyond 2^53 ps */
  advance(untilPs: number): void;
  /** A host's own ACK, CNP or datagram: into its NIC's queue. */
  sendFromHost(host: number, packet: number): void;
  /** A flow of the host may have something to send from now on. */
  kick(host: number): void;

  isForwarding(port: number): boolean;
  setForwarding(port: number, on: boolean): void;
  /** Empties the node's queues (which resumes whom it had paused) and sets its counters to 0. */
  reset(node: number): void;
  /** Frames pass through a span direction or are lost, those on the fibre too. */
  setSpanPassing(span: number, passing: boolean): void;
  setDelay(port: number, delayPs: number): void;
  delayOf(port: number): number;
  /** The port that sends into a span direction. */
  portOfSpan(span: number): number;
  count(port: number): PortCount;
  /** One queue of a port: bytes now, packets sent and dropped since the start, peak since it was last taken. */
  queueCount(port: number, priority: number): QueueCount;
  takePeak(port: number): number;
  /** Peak of one queue since this was last asked; it leaves `takePeak` its own. */
  takeSeriesPeak(port: number, priority: number): number;
  /** Shows what the port sends and what arrives at it to `watch`; the answer ends that. */
  watch(port: number, watch: PacketWatch): () => void;
  /** Packets in queues and on links now, counted one by one. */
  inFlight(): number;
  /** Bytes that a node's packet memory holds now. */
  storedBytes(node: number): number;
}

/*
 * Nearly all of a simulation's time is spent in the functions below. They are closures over typed arrays that never change: where a
 * process holds one network, V8 compiles addresses, lengths and parameters into their code as constants. The layout's numbers are
 * copied into this module for the same reason: a module's own constants are folded, imported ones are read at each use. Numbers that
 * change often live in typed arrays (see `kernel/event-queue.ts`). Measured: 2.2 times as fast as a class with the same statements.
 */
export function createDataPlane(options: DataPlaneOptions): DataPlane {
  const { topology, wiring, seed } = options;
  const { bufferPerSwitch, ecn, pfc, switching = {} } = topology.settings;
  const hosts = wiring.hosts;
  const { fullWireBytes, gapBytes } = options;
  const ports = createPorts(wiring);
  const portCount = ports.count;
  const { ints, floats, queueInts, queueFloats } = ports;
  const packets = createPackets(mostPackets(options));
  const { ints: packetInts } = packets;
  const calls = new CallQueue();
  const events = createEventQueue({
    ...wheelFor(wiring, fullWireBytes),
    sources: SOURCES_PER_PORT * ports.count + mostActors(hosts),
    ties: options.ties ?? 'by-source',
  });
  const { clock } = events;
  const nicPorts = Int32Array.from({ length: hosts }, (_, host) => wiring.portsOf[host]?.[0] as number);
  const now = (): number => clock[NOW] as number;
  const totals = new Float64Array(5);
  const links = createLinks(ports, packets, events);
  const queues = createQueues(ports, packets);
  const spans = new Spans({ ports, packets: packets, wiring, seed, fullWireBytes: options.fullWireBytes });

  const priorities = switching.priorities ?? { control: CONTROL, data: DATA_PRIORITY, datagrams: BEST_EFFORT };
  for (const [use, priority] of Object.entries(priorities)) {
    if (!(Number.isInteger(priority) && priority >= 0 && priority < PRIORITIES))
      throw new RangeError(`Priority ${priority} for ${use}: 0 to 7 exist.`);
  }
  const controlPriority = priorities.control;
  const dataPriority = priorities.data;
  const datagramPriority = priorities.datagrams;

  const scaled = switching.scaleThresholds ?? true;
  const scale = (port: number) => (scaled ? (wiring.rateBps[port] as number) / REFERENCE_BPS : 1);
  const marker = new Random(seed, 1);
  const marksOnEntry = ecn?.at === 'enqueue';
  const marksAtEnd = ecn?.at === 'end';
  if (marksAtEnd && switching.releaseAt !== 'end')
    throw new RangeError('ECN marks at the end of a transmission only where buffers are released then: set releaseAt.');
  const laws = Array.from({ length: ports.count }, (_, port) => {
    if (ecn === null || (wiring.node[port] as number) < wiring.hosts) return undefined;
    const own = ecn.perRate?.find(({ rate }) => magnitude(rate) === wiring.rateBps[port]);
    const law: RedLaw = {
      minBytes: own ? magnitude(own.min) : magnitude(ecn.min) * scale(port),
      maxBytes: own ? magnitude(own.max) : magnitude(ecn.max) * scale(port),
      probability: (own ?? ecn).probability,
      extended: ecn.beyondMax === 'extended',
    };
    ports.floats[(port << PORT_FLOAT_SHIFT) + MARKS_FROM] = law.minBytes;
    return law;
  });

  const zeros = (length = portCount) => new Float64Array(length);
  const ecnMarked = zeros();
  const portDrops = zeros();
  const queueDrops = zeros(ports.count * PRIORITIES);
  /** Peaks that the other reader has taken: the one watermark of a queue serves two. */
  const peaksKept = zeros(ports.count * PRIORITIES);
  const seriesPeaks = zeros(ports.count * PRIORITIES);
  const trimmedPackets = zeros();
  const releasesAtEnd = switching.releaseAt === 'end';
  const owedIngress = new Int32Array(ports.count).fill(-1);
  const owedBytes = new Int32Array(ports.count);
  const owedPriority = new Uint8Array(ports.count);
  const owedPacket = new Int32Array(ports.count).fill(-1);
  const trimToBytes = switching.trimTo === undefined ? 0 : magnitude(switching.trimTo);
  const trimsEither = switching.trimVictim === 'either';
  const trimmer = new Random(seed, 3);
  const controlTurn = new Int32Array(wiring.hosts);
  const controlRun = switching.nicControlRun ?? 0;
  if (!(Number.isInteger(controlRun) && controlRun >= 0))
    throw new RangeError(`A NIC that sends ${controlRun} control packets in a row.`);
  const queueLimits = zeros(ports.count * PRIORITIES).fill(NEVER);
  for (let port = 0; port < ports.count; port++) {
    const share = switching.scaleQueueLimit === true ? (wiring.rateBps[port] as number) / REFERENCE_BPS : 1;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      const limit =
        priority === controlPriority ? (switching.controlQueueLimit ?? switching.queueLimit) : switching.queueLimit;
      if (limit !== undefined) queueLimits[(port << QUEUE_SHIFT) + priority] = magnitude(limit) * share;
    }
    const limit = queueLimits[(port << QUEUE_SHIFT) + dataPriority] as number;
    if (options.trainPackets > 1 && limit < options.trainPackets * fullWireBytes)
      throw new RangeError(
        `A train of ${options.trainPackets} packets fits no queue of ${limit} B: let trains be shorter.`,
      );
  }

  const flowControl = new Pfc({
    ports,
    events: events,
    quanta: pfc?.quanta ?? 65535,
    frameDelay: pfc?.frameDelay ?? 'link',
    watchdog: pfc?.watchdog && {
      detectionPs: Math.round(magnitude(pfc.watchdog.detection) * 1000),
      restorationPs: Math.round(magnitude(pfc.watchdog.restoration) * 1000),
    },
    isCut: port => {
      const span = ints[(port << PORT_SHIFT) + SPAN] as number;
      return span >= 0 && spans.passing[span] === 0;
    },
    onResume: port => arm(port, Math.max(now(), busyUntil(port))),
    onStorm: (port, priority) => flushQueue(port, priority, true),
  });
  const bufferBytes = magnitude(bufferPerSwitch);
  const reserveBytes = zeros(wiring.nodes.length);
  const xoffBytes = zeros();
  const xonBytes = zeros();
  const headroomBytes = zeros();
  for (let port = 0; port < ports.count && pfc !== null; port++) {
    const node = wiring.node[port] as number;
    const overSpan = (wiring.spanDirection[port] as number) >= 0;
    if (node < wiring.hosts || (overSpan && pfc.overSpans !== true)) continue;
    ints[((wiring.peer[port] as number) << PORT_SHIFT) + FAR_PAUSES] = 1 << dataPriority;
    xoffBytes[port] = magnitude(pfc.xoff) * scale(port);
    xonBytes[port] = magnitude(pfc.xon) * scale(port);
    // Still coming after xoff: what a round trip holds, the pause frame's own time, and the unit (train) that the far end has begun.
    const roundTripPs = (wiring.delayPs[port] as number) + (wiring.delayPs[wiring.peer[port] as number] as number);
    const inFlight = roundTripPs / (wiring.psPerByte[port] as number);
    headroomBytes[port] =
      pfc.headroom === undefined
        ? inFlight + 2 * options.trainPackets * options.fullWireBytes + PAUSE_WIRE_BYTES
        : magnitude(pfc.headroom);
    reserveBytes[node] = Math.min(bufferBytes / 2, (reserveBytes[node] as number) + (headroomBytes[port] as number));
  }
  const buffer = createSharedBuffer({
    ports,
    nodes: wiring.nodes.length,
    bufferBytes,
    pfc: flowControl,
    reserveBytes,
    xoffBytes,
    xonBytes,
    headroomBytes,
    freeShare: pfc?.freeShare === null ? NEVER : (pfc?.freeShare ?? 1 / 8),
    lossyShare: switching.lossyShare ?? NEVER,
  });
  const forwarding = createForwarding({
    wiring,
    ports,
    law: switching.loadBalancing ?? 'ecmp',
    seed: switching.ecmpSeed ?? seed,
    random: new Random(seed, 2),
  });

  const actors: Actor[] = [];
  /** The longer ways of span directions, made when first taken. */
  const overtaken: (Overtaken | undefined)[] = [];
  let endpoints: Endpoints | undefined;
  let stopping = false;
  let stamp: PacketStamp | undefined;
  const watches: (PacketWatch[] | undefined)[] = [];
  let watching = false;

  function attach(served: Endpoints): void {
    endpoints = served;
  }

  function stampWith(writer: PacketStamp): void {
    stamp = writer;
  }

  /** Registers something that wakes; the number is for `wakeAt`. */
  function enrol(actor: Actor): number {
    if (actors.length === mostActors(hosts))
      throw new RangeError(`A network of ${hosts} hosts has ${actors.length} flows at most.`);
    return 4 * portCount + actors.push(actor) - 1;
  }

  /** Wakes the actor at this time instead of any that it had asked for before; never when time ends before. */
  function wakeAt(atPs: number, actor: number): void {
    events.remove(actor);
    if (atPs > eventQueue.MAX_TIME_PS) return;
    events.push(atPs, actor);
  }

  function stop(): void {
    stopping = true;
  }

  /** @throws RangeError when the time lies in the past or beyond 2^53 ps */
  function advance(untilPs: number): void {
    if (!Number.isSafeInteger(untilPs) || untilPs < now())
      throw new RangeError(`Cannot advance from ${now()} ps to ${untilPs} ps.`);
    stopping = false;
    while (!stopping) {
      // Calls come before events of the same picosecond; times are whole numbers.
      const callAt = calls.nextPs;
      const source = events.next(callAt <= untilPs ? callAt - 1 : untilPs);
      if (source >= 0) {
        totals[EVENTS] = (totals[EVENTS] as number) + 1;
        if (source < portCount) arrive(source);
        else if (source < 2 * portCount) service(source - portCount);
        else if (source < 3 * portCount) flowControl.frameDue(source - 2 * portCount, now());
        else if (source < 4 * portCount) flowControl.timerDue(source - 3 * portCount, now());
        else (actors[source - 4 * portCount] as Actor).wake();
      } else if (callAt <= untilPs) {
        clock[NOW] = callAt;
        calls.take()();
      } else break;
    }
    if (!stopping) clock[NOW] = untilPs;
    stopping = false;
  }

  // ---- sending -----------------------------------------------------------------------------------------------------

  /** A host's own ACK, CNP or datagram: into its NIC's queue. */
  function sendFromHost(host: number, packet: number): void {
    const at = packet << PACKET_SHIFT;
    totals[INJECTED] = (totals[INJECTED] as number) + (packetInts[at + COUNT] as number);
    const port = nicPorts[host] as number;
    if (ints[(port << PORT_SHIFT) + FORWARDING] === 0) discard(port, packet);
    else enqueue(port, packet, ((packetInts[at + META] as number) >> PRIORITY_SHIFT) & 7);
  }

  /** A flow of the host may have something to send from now on. */
  function kick(host: number): void {
    const port = nicPorts[host] as number;
    if (((ints[(port << PORT_SHIFT) + PAUSED] as number) & (1 << dataPriority)) === 0)
      arm(port, Math.max(now(), busyUntil(port)));
  }

  function busyUntil(port: number): number {
    return floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number;
  }

  function arm(port: number, atPs: number): void {
    events.pushEarlier(atPs, portCount + port);
  }

  function enqueue(port: number, packet: number, priority: number): void {
    const i = port << PORT_SHIFT;
    const busyUntil = floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number;
    const open = ((ints[i + PAUSED] as number) & (1 << priority)) === 0;
    if (open && ints[i + WAITING] === 0 && busyUntil <= now() && !owes(port)) {
      if (!releasesAtEnd || (ints[i + NODE] as number) < hosts) {
        transmit(port, packet, priority);
        return;
      }
      const record = packet << PACKET_SHIFT;
      buffer.add(
        ints[i + NODE] as number,
        packetInts[record + INGRESS] as number,
        packetInts[record + WIRE_BYTES] as number,
        now(),
      );
      owe(port, packet, priority);
      transmit(port, packet, priority);
      arm(port, floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number);
      return;
    }
    const depth = queues.put(port, priority, packet);
    const at = packet << PACKET_SHIFT;
    if (marksOnEntry && depth > (floats[(port << PORT_FLOAT_SHIFT) + MARKS_FROM] as number)) mark(port, packet, depth);
    buffer.add(
      ints[i + NODE] as number,
      packetInts[at + INGRESS] as number,
      packetInts[at + WIRE_BYTES] as number,
      now(),
    );
    // A port that is busy and has other packets waiting has its service event already.
    if (open) arm(port, busyUntil > now() ? busyUntil : now());
  }

  function owes(port: number): boolean {
    return releasesAtEnd && (owedBytes[port] as number) > 0;
  }

  /** What is put on the wire now stays in the buffer until its last bit has left. */
  function owe(port: number, packet: number, priority: number): void {
    const at = packet << PACKET_SHIFT;
    owedIngress[port] = packetInts[at + INGRESS] as number;
    owedBytes[port] = packetInts[at + WIRE_BYTES] as number;
    owedPriority[port] = priority;
    owedPacket[port] = packet;
  }

  function unqueue(port: number, priority: number): number {
    const packet = queues.take(port, priority);
    const at = packet << PACKET_SHIFT;
    const node = ints[(port << PORT_SHIFT) + NODE] as number;
    const ingress = packetInts[at + INGRESS] as number;
    const bytes = packetInts[at + WIRE_BYTES] as number;
    if (releasesAtEnd && node >= hosts) owe(port, packet, priority);
    else buffer.remove(node, ingress, bytes, now());
    return packet;
  }

  function service(port: number): void {
    const i = port << PORT_SHIFT;
    const freeAt = floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number;
    if (freeAt > now()) {
      arm(port, freeAt);
      return;
    }
    const node = ints[i + NODE] as number;
    if (owes(port)) {
      const bytes = owedBytes[port] as number;
      owedBytes[port] = 0;
      buffer.remove(node, owedIngress[port] as number, bytes, now());
      if (marksAtEnd) markSent(port);
    }
    if (node < hosts) {
      serveHost(port, node);
      return;
    }
    const eligible = (ints[i + WAITING] as number) & ~(ints[i + PAUSED] as number);
    if (eligible === 0) return;
    const priority = queues.choose(port, eligible);
    if ((STRICT & (1 << priority)) === 0) ints[i + TURN] = priority;
    transmit(port, unqueue(port, priority), priority);
    if (((ints[i + WAITING] as number) & ~(ints[i + PAUSED] as number)) !== 0 || owes(port))
      events.push(busyUntil(port), portCount + port);
  }

  /** As a switch port's, but the data priority's queue is the flows themselves: they are asked for a packet when it is their turn. */
  function serveHost(port: number, host: number): void {
    const i = port << PORT_SHIFT;
    const dataBit = 1 << dataPriority;
    const open = ~(ints[i + PAUSED] as number);
    let eligible = (ints[i + WAITING] as number) & open;
    const nic = endpoints as Endpoints;
    let readyAt = NEVER;
    let pulled = false;
    let dataFirst = false;
    if (controlRun > 0 && (eligible & STRICT) !== 0 && nic.waits?.(host) === true) {
      const turn = (controlTurn[host] as number) + 1;
      dataFirst = turn > controlRun;
      controlTurn[host] = dataFirst ? 0 : turn;
    }
    if ((dataFirst || (eligible & STRICT) === 0) && (open & dataBit) !== 0) {
      const priority = dataFirst || eligible === 0 ? dataPriority : queues.choose(port, eligible | dataBit);
      if (priority === dataPriority && (eligible & dataBit) === 0) {
        const packet = nic.pull(host);
        readyAt = nic.ready[0] as number;
        if (packet >= 0) {
          pulled = true;
          ints[i + TURN] = dataPriority;
          totals[INJECTED] = (totals[INJECTED] as number) + (packetInts[(packet << PACKET_SHIFT) + COUNT] as number);
          if (ints[i + FORWARDING] === 1) transmit(port, packet, dataPriority);
          else {
            // A NIC without light sends into the void at its rate.
            const f = port << PORT_FLOAT_SHIFT;
            const wire = packetInts[(packet << PACKET_SHIFT) + WIRE_BYTES] as number;
            floats[f + BUSY_UNTIL] = now() + Math.round(wire * (floats[f + PS_PER_BYTE] as number));
            discard(port, packet);
          }
        }
      } else readyAt = now();
    } else if ((open & dataBit) !== 0) readyAt = now();
    if (!pulled && eligible !== 0) {
      const priority = queues.choose(port, eligible);
      if ((STRICT & (1 << priority)) === 0) ints[i + TURN] = priority;
      transmit(port, unqueue(port, priority), priority);
    }
    eligible = (ints[i + WAITING] as number) & open;
    if (eligible !== 0) readyAt = now();
    if (readyAt !== NEVER) arm(port, Math.max(readyAt, busyUntil(port)));
  }

  /** Puts the packet on the wire now. */
  function transmit(port: number, packet: number, priority: number): void {
    const i = port << PORT_SHIFT;
    const f = port << PORT_FLOAT_SHIFT;
    const at = packet << PACKET_SHIFT;
    const wire = packetInts[at + WIRE_BYTES] as number;
    let count = packetInts[at + COUNT] as number;
    let sentAt = now() + Math.round(wire * (floats[f + PS_PER_BYTE] as number));
    floats[f + BUSY_UNTIL] = sentAt;
    floats[f + TX_BYTES] = (floats[f + TX_BYTES] as number) + wire - count * gapBytes;
    const q = ((port << QUEUE_SHIFT) + priority) << QUEUE_FLOAT_SHIFT;
    queueFloats[q + SENT] = (queueFloats[q + SENT] as number) + count;
    const depth = queueFloats[q + DEPTH_BYTES] as number;
    if (depth > (floats[f + MARKS_FROM] as number) && !marksOnEntry && !marksAtEnd) mark(port, packet, depth);
    if (stamp !== undefined && (ints[i + NODE] as number) >= hosts) stamp.stamp(packet, port, depth, now());
    if (watching) show(port, packet, 'out');
    const span = ints[i + SPAN] as number;
    if (span >= 0) {
      const passing = spans.pass(span, packet);
      if (passing < count) {
        totals[DROPPED] = (totals[DROPPED] as number) + count - passing;
        if (passing === 0) {
          packets.give(packet);
          return;
        }
        count = passing;
      }
      sentAt += spans.jitter(span);
      if (spans.isStray(span)) {
        stray(port, span, packet, sentAt);
        return;
      }
    }
    if (count > 1) {
      const rest = (packetInts[at + WIRE_BYTES] as number) - fullWireBytes;
      sentAt -= Math.floor(rest * (floats[f + EARLY_PS_PER_BYTE] as number));
    }
    links.carry(port, packet, sentAt);
  }

  /** Sends a packet the longer way over a span. */
  function stray(port: number, span: number, packet: number, sentAtPs: number): void {
    const f = port << PORT_FLOAT_SHIFT;
    let way = overtaken[span];
    if (way === undefined) {
      let actor = -1;
      way = new Overtaken({ packets, wakeAt: atPs => wakeAt(atPs, actor), arrive: late => received(port, late) });
      actor = enrol(way);
      overtaken[span] = way;
    }
    // A train may arrive early here as on the link.
    const at = packet << PACKET_SHIFT;
    const rest = (packetInts[at + COUNT] as number) > 1 ? (packetInts[at + WIRE_BYTES] as number) - fullWireBytes : 0;
    const sentAt = sentAtPs - Math.floor(rest * (floats[f + EARLY_PS_PER_BYTE] as number));
    way.carry(packet, sentAt + (floats[f + DELAY] as number) + (spans.strayPs[span] as number));
  }

  /** Notes congestion in a packet whose queue is long. */
  function mark(port: number, packet: number, depth: number): void {
    const at = packet << PACKET_SHIFT;
    if (((packetInts[at + META] as number) & ECN_CAPABLE) === 0) return;
    const law = laws[port] as RedLaw;
    const marked = marksOf(packetInts[at + COUNT] as number, markingProbability(law, depth), marker);
    if (marked === 0) return;
    if (marked > (packetInts[at + MARKED] as number)) packetInts[at + MARKED] = marked;
    ecnMarked[port] = (ecnMarked[port] as number) + marked;
  }

  /**
   * Marks the packet whose last bit has just left, by the queue that it leaves behind now. It is the youngest on the link, unless it is
   * there no more: the link has no length, a train arrived early, a fibre lost it or sent it the longer way. Then it goes unmarked.
   */
  function markSent(port: number): void {
    const packet = owedPacket[port] as number;
    const f = port << PORT_FLOAT_SHIFT;
    if (ints[(port << PORT_SHIFT) + LINK_TAIL] !== packet) return;
    const queue = (port << QUEUE_SHIFT) + (owedPriority[port] as number);
    const depth = queueFloats[(queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES] as number;
    if (depth > (floats[f + MARKS_FROM] as number)) mark(port, packet, depth);
  }

  // ---- arriving ----------------------------------------------------------------------------------------------------

  function arrive(link: number): void {
    received(link, links.take(link));
  }

  function received(link: number, packet: number): void {
    const at = packet << PACKET_SHIFT;
    const i = link << PORT_SHIFT;
    const port = ints[i + FAR_PORT] as number;
    const count = packetInts[at + COUNT] as number;
    totals[HOPS] = (totals[HOPS] as number) + count;
    if (ints[i + FAR_FORWARDING] === 0) {
      discard(port, packet);
      return;
    }
    const f = link << PORT_FLOAT_SHIFT;
    floats[f + ARRIVED_BYTES] =
      (floats[f + ARRIVED_BYTES] as number) + (packetInts[at + WIRE_BYTES] as number) - count * gapBytes;
    floats[f + ARRIVED_PACKETS] = (floats[f + ARRIVED_PACKETS] as number) + count;
    if (watching) show(port, packet, 'in');
    const node = ints[i + FAR_NODE] as number;
    if (node < hosts) {
      totals[DELIVERED] = (totals[DELIVERED] as number) + count;
      if (((packetInts[at + META] as number) & KIND_MASK) === DATAGRAM)
        (endpoints as Endpoints).receiveDatagram(packet);
      else (endpoints as Endpoints).receive(packet);
    } else forward(node, link, packet);
  }

  function forward(node: number, link: number, packet: number): void {
    const at = packet << PACKET_SHIFT;
    const port = forwarding.egress(node, packetInts[at + TARGET] as number, packetInts[at + HASH] as number, now());
    if (port < 0) {
      discard(ints[(link << PORT_SHIFT) + FAR_PORT] as number, packet);
      return;
    }
    const i = port << PORT_SHIFT;
    if (ints[i + FORWARDING] === 0) {
      discard(port, packet);
      return;
    }
    const priority = ((packetInts[at + META] as number) >> PRIORITY_SHIFT) & 7;
    const bit = 1 << priority;
    const lossless = ((ints[(link << PORT_SHIFT) + FAR_PAUSES] as number) & bit) !== 0;
    const ingress = lossless ? ((ints[(link << PORT_SHIFT) + FAR_PORT] as number) << QUEUE_SHIFT) + priority : -1;
    packetInts[at + INGRESS] = ingress;
    if (
      ints[i + WAITING] === 0 &&
      (floats[(port << PORT_FLOAT_SHIFT) + BUSY_UNTIL] as number) <= now() &&
      ((ints[i + PAUSED] as number) & (bit | (bit << STORM_SHIFT))) === 0 &&
      !releasesAtEnd
    ) {
      // The port is free: nothing is stored, so no account is touched and no event is spent.
      transmit(port, packet, priority);
      return;
    }
    if (((flowControl.storming[port] as number) & bit) !== 0) {
      discard(port, packet, priority);
      return;
    }
    const queue = (port << QUEUE_SHIFT) + priority;
    let depth = queueFloats[(queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES] as number;
    if (releasesAtEnd && (owedBytes[port] as number) > 0 && owedPriority[port] === priority)
      depth += owedBytes[port] as number;
    const bytes = packetInts[at + WIRE_BYTES] as number;
    if (buffer.admits(node, ingress, bytes, depth, queueLimits[queue] as number)) {
      enqueue(port, packet, priority);
      return;
    }
    if (trimToBytes === 0 || ((packetInts[at + META] as number) & TRIMMABLE) === 0) {
      discard(port, packet, priority);
      return;
    }
    const tail = trimsEither && (trimmer.word() & 1) !== 0 ? queues.tail(port, priority) : -1;
    if (tail >= 0 && ((packetInts[(tail << PACKET_SHIFT) + META] as number) & TRIMMABLE) !== 0) {
      queues.takeTail(port, priority);
      const account = packetInts[(tail << PACKET_SHIFT) + INGRESS] as number;
      buffer.remove(node, account, packetInts[(tail << PACKET_SHIFT) + WIRE_BYTES] as number, now());
      enqueue(port, packet, priority);
      trim(node, port, tail);
    } else trim(node, port, packet);
  }

  /** Cuts the payload off; the header goes on in the control priority, or is lost when that is full too. */
  function trim(node: number, port: number, packet: number): void {
    const at = packet << PACKET_SHIFT;
    const meta = packetInts[at + META] as number;
    if ((meta & TRIMMED) !== 0) {
      discard(port, packet, controlPriority);
      return;
    }
    const last = (ints[(port << PORT_SHIFT) + FAR_NODE] as number) < hosts ? TRIMMED_LAST : 0;
    const kept = meta & ~(7 << PRIORITY_SHIFT) & ~ECN_CAPABLE;
    packetInts[at + META] = kept | (controlPriority << PRIORITY_SHIFT) | TRIMMED | last;
    packetInts[at + WIRE_BYTES] = trimToBytes;
    packetInts[at + INGRESS] = -1;
    trimmedPackets[port] = (trimmedPackets[port] as number) + (packetInts[at + COUNT] as number);
    const queue = (port << QUEUE_SHIFT) + controlPriority;
    const depth = queueFloats[(queue << QUEUE_FLOAT_SHIFT) + DEPTH_BYTES] as number;
    if (buffer.admits(node, -1, trimToBytes, depth, queueLimits[queue] as number))
      enqueue(port, packet, controlPriority);
    else discard(port, packet, controlPriority);
  }

  function discard(port: number, packet: number, priority?: number): void {
    const count = packetInts[(packet << PACKET_SHIFT) + COUNT] as number;
    portDrops[port] = (portDrops[port] as number) + count;
    if (priority !== undefined) {
      const queue = (port << QUEUE_SHIFT) + priority;
      queueDrops[queue] = (queueDrops[queue] as number) + count;
    }
    totals[DROPPED] = (totals[DROPPED] as number) + count;
    packets.give(packet);
  }

  // ---- from outside ------------------------------------------------------------------------------------------------

  function isForwarding(port: number): boolean {
    return ints[(port << PORT_SHIFT) + FORWARDING] === 1;
  }

  function setForwarding(port: number, on: boolean): void {
    if (isForwarding(port) === on) return;
    const i = port << PORT_SHIFT;
    ints[i + FORWARDING] = on ? 1 : 0;
    ints[((ints[i + FAR_PORT] as number) << PORT_SHIFT) + FAR_FORWARDING] = on ? 1 : 0;
    if (!on) {
      for (let priority = 0; priority < PRIORITIES; priority++) flushQueue(port, priority, true);
      flowControl.resume(port, 0xff, now()); // a port without a link partner obeys no pause
    } else {
      const held = ints[((ints[i + FAR_PORT] as number) << PORT_SHIFT) + HOLDING] as number;
      if (held !== 0) flowControl.pause(port, held, now());
      arm(port, Math.max(now(), busyUntil(port)));
    }
  }

  function flushQueue(port: number, priority: number, counted: boolean): void {
    const head = (((port << QUEUE_SHIFT) + priority) << QUEUE_INT_SHIFT) + HEAD;
    while (queueInts[head] !== -1) {
      const packet = queues.take(port, priority);
      const at = packet << PACKET_SHIFT;
      const node = ints[(port << PORT_SHIFT) + NODE] as number;
      buffer.remove(node, packetInts[at + INGRESS] as number, packetInts[at + WIRE_BYTES] as number, now());
      if (counted) discard(port, packet, priority);
      else {
        totals[DROPPED] = (totals[DROPPED] as number) + (packetInts[at + COUNT] as number);
        packets.give(packet);
      }
    }
  }

  /** Empties the node's queues (which resumes whom it had paused) and sets its counters to 0. */
  function reset(node: number): void {
    for (const port of wiring.portsOf[node] as readonly number[]) {
      for (let priority = 0; priority < PRIORITIES; priority++) {
        flushQueue(port, priority, false);
        const queue = (port << QUEUE_SHIFT) + priority;
        queueFloats[(queue << QUEUE_FLOAT_SHIFT) + SENT] = 0;
        queueFloats[(queue << QUEUE_FLOAT_SHIFT) + PEAK_BYTES] = 0;
        peaksKept[queue] = 0;
        seriesPeaks[queue] = 0;
        queueDrops[queue] = 0;
      }
      const f = port << PORT_FLOAT_SHIFT;
      floats[f + TX_BYTES] = 0;
      const arrivals = (ints[(port << PORT_SHIFT) + FAR_PORT] as number) << PORT_FLOAT_SHIFT;
      floats[arrivals + ARRIVED_BYTES] = 0;
      floats[arrivals + ARRIVED_PACKETS] = 0;
      portDrops[port] = 0;
      ecnMarked[port] = 0;
      trimmedPackets[port] = 0;
      flowControl.resetCounters(port, now());
    }
  }

  /** Frames pass through a span direction or are lost, those on the fibre too. */
  function setSpanPassing(span: number, passing: boolean): void {
    spans.passing[span] = passing ? 1 : 0;
    if (passing) return;
    lose(span, links.sever(portOfSpan(span)));
    lose(span, overtaken[span]?.sever() ?? -1);
  }

  /** Loses a list of packets that were on a span. */
  function lose(span: number, first: number): void {
    let packet = first;
    while (packet !== -1) {
      const at = packet << PACKET_SHIFT;
      const next = packetInts[at + NEXT] as number;
      const count = packetInts[at + COUNT] as number;
      spans.lost[span] = (spans.lost[span] as number) + count;
      totals[DROPPED] = (totals[DROPPED] as number) + count;
      packets.give(packet);
      packet = next;
    }
  }

  function setDelay(port: number, delayPs: number): void {
    floats[(port << PORT_FLOAT_SHIFT) + DELAY] = delayPs;
  }

  function delayOf(port: number): number {
    return floats[(port << PORT_FLOAT_SHIFT) + DELAY] as number;
  }

  /** The port that sends into a span direction. */
  function portOfSpan(span: number): number {
    return wiring.spanDirection.indexOf(span);
  }

  function count(port: number): PortCount {
    const f = port << PORT_FLOAT_SHIFT;
    const arrivals = (ints[(port << PORT_SHIFT) + FAR_PORT] as number) << PORT_FLOAT_SHIFT;
    let queueBytes = 0;
    let txPackets = 0;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      const q = ((port << QUEUE_SHIFT) + priority) << QUEUE_FLOAT_SHIFT;
      queueBytes += queueFloats[q + DEPTH_BYTES] as number;
      txPackets += queueFloats[q + SENT] as number;
    }
    const data = ((port << QUEUE_SHIFT) + dataPriority) << QUEUE_FLOAT_SHIFT;
    return {
      rxBytes: floats[arrivals + ARRIVED_BYTES] as number,
      txBytes: floats[f + TX_BYTES] as number,
      rxPackets: floats[arrivals + ARRIVED_PACKETS] as number,
      txPackets,
      drops: portDrops[port] as number,
      queuePackets: queueFloats[data + SENT] as number,
      ecnMarked: ecnMarked[port] as number,
      pfcRx: flowControl.framesIn[port] as number,
      pfcTx: flowControl.framesOut[port] as number,
      pausedPs: flowControl.pausedTotalPs(port, now()),
      queueBytes,
      queuePeakBytes: peakOf((port << QUEUE_SHIFT) + dataPriority),
      trimmed: trimmedPackets[port] as number,
    };
  }

  /** One queue of a port: bytes now, packets sent and dropped since the start, peak since it was last taken. */
  function queueCount(port: number, priority: number): QueueCount {
    const queue = (port << QUEUE_SHIFT) + priority;
    const q = queue << QUEUE_FLOAT_SHIFT;
    return {
      bytes: queueFloats[q + DEPTH_BYTES] as number,
      sent: queueFloats[q + SENT] as number,
      drops: queueDrops[queue] as number,
      peakBytes: peakOf(queue),
    };
  }

  /** Peak since `takePeak`: of the running one, and of what a series has taken of it meanwhile. */
  function peakOf(queue: number): number {
    return Math.max(queueFloats[(queue << QUEUE_FLOAT_SHIFT) + PEAK_BYTES] as number, peaksKept[queue] as number);
  }

  function takePeak(port: number): number {
    const queue = (port << QUEUE_SHIFT) + dataPriority;
    const peak = peakOf(queue);
    restartPeak(queue, seriesPeaks);
    peaksKept[queue] = 0;
    return peak;
  }

  function takeSeriesPeak(port: number, priority: number): number {
    const queue = (port << QUEUE_SHIFT) + priority;
    const running = queueFloats[(queue << QUEUE_FLOAT_SHIFT) + PEAK_BYTES] as number;
    const peak = Math.max(running, seriesPeaks[queue] as number);
    restartPeak(queue, peaksKept);
    seriesPeaks[queue] = 0;
    return peak;
  }

  /** The running peak begins at the present depth; the other reader is to see what it has been. */
  function restartPeak(queue: number, other: Float64Array): void {
    const q = queue << QUEUE_FLOAT_SHIFT;
    other[queue] = Math.max(other[queue] as number, queueFloats[q + PEAK_BYTES] as number);
    queueFloats[q + PEAK_BYTES] = queueFloats[q + DEPTH_BYTES] as number;
  }

  /** Shows what the port sends and what arrives at it to `watch`; the answer ends that. */
  function watch(port: number, watch: PacketWatch): () => void {
    const list = (watches[port] ??= []);
    list.push(watch);
    watching = true;
    return () => {
      const at = list.indexOf(watch);
      if (at >= 0) list.splice(at, 1);
      watching = watches.some(others => (others?.length ?? 0) > 0);
    };
  }

  function show(port: number, packet: number, direction: 'out' | 'in'): void {
    for (const watch of watches[port] ?? []) watch(packet, direction);
  }

  /** Packets in queues and on links now, counted one by one. */
  function inFlight(): number {
    let packets = 0;
    const add = (first: number) => {
      for (let packet = first; packet !== -1; packet = packetInts[(packet << PACKET_SHIFT) + NEXT] as number)
        packets += packetInts[(packet << PACKET_SHIFT) + COUNT] as number;
    };
    for (let port = 0; port < portCount; port++) {
      add(ints[(port << PORT_SHIFT) + LINK_HEAD] as number);
      for (let queue = port << QUEUE_SHIFT; queue < (port + 1) << QUEUE_SHIFT; queue++)
        add(queueInts[(queue << QUEUE_INT_SHIFT) + HEAD] as number);
    }
    for (const way of overtaken) packets += way?.inFlight() ?? 0;
    return packets;
  }

  return {
    get nowPs() {
      return now();
    },
    get hops() {
      return totals[HOPS] as number;
    },
    get eventCount() {
      return totals[EVENTS] as number;
    },
    get injected() {
      return totals[INJECTED] as number;
    },
    get delivered() {
      return totals[DELIVERED] as number;
    },
    get dropped() {
      return totals[DROPPED] as number;
    },
    clock,
    wiring,
    packets,
    calls,
    ports,
    forwarding,
    spans,
    pfc: flowControl,
    controlPriority,
    dataPriority,
    datagramPriority,
    fullWireBytes,
    attach,
    enrol,
    stampWith,
    wakeAt,
    stop,
    advance,
    sendFromHost,
    kick,
    isForwarding,
    setForwarding,
    reset,
    setSpanPassing,
    setDelay,
    delayOf,
    portOfSpan,
    count,
    queueCount,
    takePeak,
    takeSeriesPeak,
    watch,
    inFlight,
    storedBytes: node => buffer.usedBytes[node] as number,
  };
}

/**
 * A wheel for this network: buckets about as wide as the mean time between events when all links are busy with full packets, so that
 * few events share one, and as many as span four times the longest cable and packet (fibres between sites wait in the far heap).
 */
function wheelFor(wiring: Wiring, fullWireBytes: number): { readonly bucketPs: number; readonly buckets: number } {
  let perPs = 0;
  let longestPs = 0;
  for (let port = 0; port < wiring.node.length; port++) {
    const sendPs = fullWireBytes * (wiring.psPerByte[port] as number);
    perPs += 1 / sendPs;
    if ((wiring.spanDirection[port] as number) < 0)
      longestPs = Math.max(longestPs, sendPs + (wiring.delayPs[port] as number));
  }
  const power = (least: number, value: number, most: number) =>
    2 ** Math.min(most, Math.max(least, Math.ceil(Math.log2(Math.max(1, value)))));
  const bucketPs = power(4, 1 / Math.max(perPs, 1e-12), 20);
  return { bucketPs, buckets: power(10, (4 * longestPs) / bucketPs, 17) };
}

/**
 * Packets that may be under way: four times what all buffers and cables hold in full packets (most are smaller), and once what spans
 * hold when a protection path makes them 10 ms long; at least 2^15, at most 2^22 (17 GB of traffic). Reserved memory is not touched,
 * but V8 collects garbage more often the more a process has reserved.
 */
function mostPackets({ topology, wiring, fullWireBytes }: DataPlaneOptions): number {
  let bytes = 4 * magnitude(topology.settings.bufferPerSwitch) * topology.switches.length;
  for (let port = 0; port < wiring.node.length; port++) {
    const delayPs = wiring.delayPs[port] as number;
    const holdPs = (wiring.spanDirection[port] as number) < 0 ? 4 * delayPs : Math.max(4 * delayPs, LONG_DETOUR_PS);
    bytes += holdPs / (wiring.psPerByte[port] as number) + 4 * fullWireBytes;
  }
  return 2 ** Math.min(22, Math.max(15, Math.ceil(Math.log2(bytes / fullWireBytes))));
}

/** Flows, streams and timers that a network may have: eight for each pair of hosts, at least 2^16, at most 2^22. */
const mostActors = (hosts: number): number => Math.min(1 << 22, Math.max(1 << 16, 8 * hosts * hosts));
