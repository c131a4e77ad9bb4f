import type { FabricSettings } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { Actor, DataPlane } from '../fabric/data-plane.ts';
import { endpointsHash, entropyHash } from '../fabric/ecmp-hash.ts';
import type { Flow, FlowRequest, NicCount } from '../fabric/network.ts';
import {
  ACK,
  AGAIN,
  ASKS,
  CNP,
  COUNT,
  DATA,
  ECN_CAPABLE,
  ENTROPY_SHIFT,
  HASH,
  INGRESS,
  KIND_MASK,
  MARKED,
  META,
  NAK,
  OWNER,
  PACKET_FLOAT_SHIFT,
  PACKET_SHIFT,
  PAYLOAD_BYTES,
  PRIORITY_SHIFT,
  SEQUENCE,
  TARGET,
  TRIMMABLE,
  TRIMMED,
  TRIMMED_LAST,
  WIRE_BYTES,
} from '../fabric/packets.ts';
import { ACK_WIRE_BYTES, CNP_WIRE_BYTES } from '../fabric/wire-size.ts';
import { Random } from '../kernel/random.ts';
import type { CongestionControl, Feedback } from './congestion-control.ts';
import type { ConnectionsOptions } from './connection.ts';
import { pathFacts } from './path-facts.ts';
import {
  createSpreading,
  PATH_GOOD,
  PATH_MARKED,
  PATH_TIMED_OUT,
  PATH_TRIMMED,
  type Spreading,
  type SpreadingName,
} from './spreading.ts';
import { Telemetries } from './telemetry.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** RFC 9002, section 6.1.1: kPacketThreshold. */
const REORDER = 3;
/** What RoCE NICs coalesce; see `connection.ts`. */
const ACK_EVERY_PACKETS = 16;
const ACK_TIMEOUT_SHARE = 1 / 8;
const DEFAULT_PATHS = 64;
/** An acknowledgement names so many packets beyond the cumulative one, as Ultra Ethernet's does. */
const BITMAP = 64;

/*
 * What both ends know of a packet number: a record of 32 bytes in a ring that is indexed by the number: six whole numbers, then a
 * float64. Record n begins at whole number n << 3 and at float n << 2.
 */
const SLOT_SHIFT = 3;
const SLOT_FLOAT_SHIFT = 2;
const SIZE = 0;
/** Which transmission of the flow this was, from 1 on. */
const ORDER = 1;
/** Numbers before and after it among those in flight, by transmission; -1 for none. */
const BEFORE = 2;
const AFTER = 3;
/** Receiver: payload bytes when it is here, else 0. */
const HERE = 4;
/** Bits 0..1 state, 2..9 transmissions (at most 255), 16..31 entropy. */
const INFO = 5;
/** As float: when it was sent last, ps. */
const SENT_AT = 3;

const STATE_MASK = 3;
const IN_FLIGHT = 1;
const LOST = 2;
const ACKNOWLEDGED = 3;
const TIMES_SHIFT = 2;
const TIMES_MASK = 255;

/* An acknowledgement: SEQUENCE is the number expected, PAYLOAD_BYTES the one that drew it, the place of STAMP the bitmap. */
const BITS_LOW = 14;
const BITS_HIGH = 15;
/* And beside the packet: bytes and packets received so far (each counted once), first number of the bitmap. */
const SAID_SHIFT = 2;
const SAID_BYTES = 0;
const SAID_PACKETS = 1;
const SAID_BASE = 2;

type Callbacks = Pick<FlowRequest, 'onAcknowledged' | 'onDelivered'>;

interface Message extends Callbacks {
  readonly endByte: number;
}

/** A flow: what its sender and its receiver know. Neither reads the other's part. */
class SelectiveFlow implements Actor {
  readonly id: number;
  readonly source: number;
  readonly target: number;
  readonly entropy: number;
  /** Hash of the end points, to be mixed with each packet's entropy. */
  readonly forth: number;
  readonly back: number;
  readonly lineBps: number;
  readonly owner: SelectiveConnections;
  law: CongestionControl | undefined;
  spreading: Spreading | undefined;
  timer = 0;
  timerSet = false;
  stopped = false;
  next: SelectiveFlow | undefined;
  previous: SelectiveFlow | undefined;

  ints = new Int32Array(0);
  floats = new Float64Array(0);
  mask = -1;

  // Sender. Bytes are payload.
  nextNumber = 0;
  firstNumber = 0;
  oldest = -1;
  newest = -1;
  transmissions = 0;
  /** Latest transmission that is known to have arrived. */
  arrived = 0;
  inFlightBytes = 0;
  lostCount = 0;
  lostLow = 0;
  endByte = 0;
  sentByte = 0;
  ackedByte = 0;
  sendingEnd = 0;
  ackEnd = NEVER;
  knownBytes = 0;
  knownPackets = 0;
  nextAtPs = 0;
  lastSentAtPs = 0;
  lastWire = 0;
  /** A packet that asks for an acknowledgement at once is under way. */
  asking = false;

  // Receiver.
  expected = 0;
  highest = -1;
  outOfOrder = 0;
  deliveredBytes = 0;
  receivedBytes = 0;
  receivedPackets = 0;
  sinceAck = 0;
  sinceMarked = 0;
  unackedSincePs = 0;
  asked = false;
  lastCnpPs = Number.NEGATIVE_INFINITY;
  deliveryEnd = NEVER;

  messages: Message[] = [];
  sending = 0;
  acknowledging = 0;
  delivering = 0;

  constructor(
    owner: SelectiveConnections,
    end: {
      readonly id: number;
      readonly source: number;
      readonly target: number;
      readonly entropy: number;
      readonly lineBps: number;
    },
  ) {
    this.owner = owner;
    this.id = end.id;
    this.source = end.source;
    this.target = end.target;
    this.entropy = end.entropy;
    this.lineBps = end.lineBps;
    this.forth = endpointsHash(end.source, end.target);
    this.back = endpointsHash(end.target, end.source);
    this.grow(32);
  }

  wake(): void {
    this.owner.timeout(this);
  }

  /** Twice the room, every number in its new place. */
  grow(slots: number): void {
    const memory = new ArrayBuffer(slots << 5);
    const ints = new Int32Array(memory);
    const mask = slots - 1;
    for (let number = this.firstNumber; number < this.nextNumber; number++) {
      const from = (number & this.mask) << SLOT_SHIFT;
      ints.set(this.ints.subarray(from, from + (1 << SLOT_SHIFT)), (number & mask) << SLOT_SHIFT);
    }
    this.ints = ints;
    this.floats = new Float64Array(memory);
    this.mask = mask;
  }
}

/**
 * Reliable flows that repeat only what was lost; the other kind is go-back-N (`connection.ts`). One packet at a time, no trains.
 *
 * - Packets are numbered. The receiver takes them in any order, delivers in order, and acknowledges cumulatively with a bitmap of 64
 *   packets beyond; the acknowledgement also tells how many bytes have come in all, so a lost one leaves no trace in the account of
 *   what is in flight. It goes back on the path of the packet that drew it.
 * - Lost is what was sent at least `reorder` transmissions before something that has arrived (RFC 9002, section 6.1.1: numbered by
 *   transmission, so retransmissions are judged like all others), what a NAK names (its payload was trimmed), and what the time-out
 *   gives up: it runs from the transmission of the oldest packet in flight.
 * - Lost packets go before new ones, the lowest number first. A packet may go while what is in flight and it fit the window, or when
 *   nothing is in flight.
 * - A round trip is taken from a packet that was sent once, or sent twice and acknowledged as the repetition.
 *
 * Order of events within an acknowledgement, what asks for one, and the choice of the next packet follow uet-htsim (`uec.cpp`).
 */
export class SelectiveConnections {
  readonly nics: NicCount[];
  /** After `pull`: when the host's next packet may leave. */
  readonly ready = new Float64Array(1);
  private readonly plane: DataPlane;
  private readonly flows: SelectiveFlow[] = [];
  private readonly rings: (SelectiveFlow | undefined)[];
  private readonly mtuBytes: number;
  private readonly overheadBytes: number;
  private readonly timeoutPs: number;
  private readonly windowBytes: number;
  private readonly ackEvery: number;
  private readonly ackBytes: number;
  private readonly cnpIntervalPs: number;
  private readonly reorder: number;
  private readonly timesOutAll: boolean;
  private readonly asks: boolean;
  private readonly spreads: SpreadingName;
  private readonly paths: number;
  private readonly random: Random;
  private readonly control: ConnectionsOptions['control'];
  private readonly answersCe: boolean;
  private readonly repaces: boolean;
  private readonly dataMeta: number;
  private readonly answerMeta: number;
  private readonly telemetries: Telemetries | undefined;
  private readonly feedback: Feedback;
  /** See {@link SAID_BYTES}; indexed by packet. */
  private said = new Float64Array(0);

  constructor(options: Omit<ConnectionsOptions, 'trainPackets'> & { readonly seed: number }) {
    const { plane, settings, control } = options;
    const { mtu, retransmitTimeout, window } = settings.roce;
    const { transport = { control: 'none' }, switching = {} } = settings;
    const { selectiveRepeat = {}, spreading = 'flow', acknowledgeEvery, acknowledgementBytes } = transport;
    this.plane = plane;
    this.control = control;
    this.overheadBytes = options.overheadBytes;
    this.cnpIntervalPs = options.cnpIntervalPs;
    this.mtuBytes = magnitude(mtu);
    this.timeoutPs = Math.round(magnitude(retransmitTimeout) * 1000);
    this.windowBytes = window === undefined ? NEVER : magnitude(window);
    if (!(this.mtuBytes >= 256 && Number.isInteger(this.mtuBytes)))
      throw new RangeError(`MTU ${mtu}: a whole number of bytes from 256 on is needed.`);
    if (!(this.timeoutPs > 0)) throw new RangeError(`Retransmission timeout ${retransmitTimeout} must be more than 0.`);
    if (this.windowBytes < this.mtuBytes) throw new RangeError(`Window ${window} holds no packet of ${mtu}.`);
    const wanted = acknowledgeEvery ?? (control?.kind.acknowledgements === 'each' ? 1 : ACK_EVERY_PACKETS);
    if (!(Number.isInteger(wanted) && wanted >= 1))
      throw new RangeError(`An acknowledgement for every ${wanted} packets.`);
    this.ackEvery = Math.max(1, Math.min(wanted, Math.floor(this.windowBytes / this.mtuBytes / 2)));
    this.ackBytes = acknowledgementBytes === undefined ? ACK_WIRE_BYTES : magnitude(acknowledgementBytes);
    const onePath = spreading === 'flow' && (switching.loadBalancing ?? 'ecmp') === 'ecmp';
    const reorder = selectiveRepeat.reorder === undefined ? (onePath ? REORDER : null) : selectiveRepeat.reorder;
    if (reorder !== null && !(Number.isInteger(reorder) && reorder >= 1))
      throw new RangeError(`A packet lost after ${reorder} later ones: a whole number from 1 on is needed.`);
    this.reorder = reorder ?? NEVER;
    this.timesOutAll = (selectiveRepeat.timeout ?? 'all') === 'all';
    this.asks = selectiveRepeat.acknowledge === 'asked';
    this.spreads = spreading;
    this.paths = transport.paths ?? DEFAULT_PATHS;
    this.random = new Random(options.seed, 4);
    this.answersCe = control?.kind.cnp === true;
    this.repaces = control?.kind.repaces === true;
    // RoCE marks its packets ECN-capable whether anybody listens or not.
    const ecn = control?.kind.ecn === false ? 0 : ECN_CAPABLE;
    this.dataMeta = DATA | (plane.dataPriority << PRIORITY_SHIFT) | ecn | TRIMMABLE;
    this.answerMeta = plane.controlPriority << PRIORITY_SHIFT;
    this.rings = Array.from({ length: plane.wiring.hosts }, () => undefined);
    this.nics = Array.from({ length: plane.wiring.hosts }, () => ({
      cnpSent: 0,
      cnpHandled: 0,
      outOfSequence: 0,
      timeouts: 0,
      retransmittedPackets: 0,
    }));
    if (control?.kind.telemetry === true) {
      this.telemetries = new Telemetries(plane);
      plane.stampWith(this.telemetries);
    }
    this.feedback = {
      nowPs: 0,
      bytes: 0,
      packets: 0,
      marked: 0,
      rttPs: Number.NaN,
      inFlightBytes: 0,
      acknowledgedByte: 0,
      nextByte: 0,
      telemetry: undefined,
      applicationLimited: false,
    };
  }

  open(request: FlowRequest & { readonly sourceHost: number; readonly targetHost: number }): Flow {
    const { plane } = this;
    const { wiring } = plane;
    const { sourceHost: source, targetHost: target, entropy } = request;
    const lineBps = wiring.rateBps[wiring.portsOf[source]?.[0] as number] as number;
    const flow = new SelectiveFlow(this, { id: this.flows.length, source, target, entropy, lineBps });
    this.flows.push(flow);
    flow.timer = plane.enrol(flow);
    flow.spreading = createSpreading(this.spreads, { paths: this.paths, random: this.random });
    if (this.control !== undefined && request.deaf !== true) {
      const { mtuBytes, overheadBytes, ackBytes } = this;
      const facts = pathFacts(plane, { source, target, entropy, mtuBytes, overheadBytes, ackBytes });
      flow.law = this.control.kind.create(facts, this.control.parameters);
    }
    this.send(flow, request.bytes, request);
    return {
      id: flow.id,
      delivered: () => flow.deliveredBytes,
      rateBps: () => {
        flow.law?.settle?.(plane.nowPs);
        return Math.min(flow.lineBps, flow.law?.rateBps ?? NEVER);
      },
      send: (bytes, callbacks) => this.send(flow, bytes, callbacks ?? {}),
      stop: () => this.stop(flow),
    };
  }

  // ---- the NIC: whose turn is it -----------------------------------------------------------------------------------

  /** Next packet of a host in round robin; see `Endpoints.pull`. */
  pull(host: number): number {
    const first = this.rings[host];
    this.ready[0] = NEVER;
    if (first === undefined) return -1;
    const now = this.plane.nowPs;
    let flow = first;
    do {
      if (flow.nextAtPs <= now) {
        this.rings[host] = flow.next as SelectiveFlow;
        const packet = this.emit(flow, now);
        const rest = this.rings[host];
        if (rest !== undefined) this.ready[0] = rest.next === rest ? rest.nextAtPs : now;
        return packet;
      }
      if (flow.nextAtPs < (this.ready[0] as number)) this.ready[0] = flow.nextAtPs;
      flow = flow.next as SelectiveFlow;
    } while (flow !== first);
    return -1;
  }

  /** Whether `pull` would answer a packet now. */
  waits(host: number): boolean {
    const first = this.rings[host];
    if (first === undefined) return false;
    const now = this.plane.nowPs;
    let flow = first;
    do {
      if (flow.nextAtPs <= now) return true;
      flow = flow.next as SelectiveFlow;
    } while (flow !== first);
    return false;
  }

  private join(flow: SelectiveFlow): void {
    if (flow.next !== undefined) return;
    const ring = this.rings[flow.source];
    if (ring === undefined) {
      flow.next = flow;
      flow.previous = flow;
      this.rings[flow.source] = flow;
    } else {
      const last = ring.previous as SelectiveFlow;
      last.next = flow;
      flow.previous = last;
      flow.next = ring;
      ring.previous = flow;
    }
    this.plane.kick(flow.source);
  }

  private leave(flow: SelectiveFlow): void {
    const { next, previous } = flow;
    if (next === undefined || previous === undefined) return;
    if (next === flow) this.rings[flow.source] = undefined;
    else {
      previous.next = next;
      next.previous = previous;
      if (this.rings[flow.source] === flow) this.rings[flow.source] = next;
    }
    flow.next = undefined;
    flow.previous = undefined;
  }

  // ---- sender ------------------------------------------------------------------------------------------------------

  private send(flow: SelectiveFlow, bytes: number, { onAcknowledged, onDelivered }: Callbacks): void {
    if (!(bytes > 0) || (bytes !== NEVER && !Number.isInteger(bytes)))
      throw new RangeError(`A flow can not send ${bytes} bytes.`);
    if (flow.stopped) throw new RangeError(`Flow ${flow.id} is stopped.`);
    flow.endByte += bytes;
    flow.messages.push({
      endByte: flow.endByte,
      ...(onAcknowledged && { onAcknowledged }),
      ...(onDelivered && { onDelivered }),
    });
    if (flow.messages.length - flow.acknowledging === 1) flow.ackEnd = flow.endByte;
    if (flow.messages.length - flow.delivering === 1) flow.deliveryEnd = flow.endByte;
    this.resume(flow);
  }

  private stop(flow: SelectiveFlow): void {
    flow.stopped = true;
    flow.messages = [];
    this.leave(flow);
  }

  private resume(flow: SelectiveFlow): void {
    if (this.maySend(flow)) this.join(flow);
    else this.leave(flow);
  }

  private windowOf(flow: SelectiveFlow): number {
    const own = flow.law?.windowBytes ?? NEVER;
    return own < this.windowBytes ? own : this.windowBytes;
  }

  private maySend(flow: SelectiveFlow): boolean {
    if (flow.stopped) return false;
    let bytes = this.mtuBytes;
    if (flow.lostCount > 0) bytes = flow.ints[((this.lowestLost(flow) & flow.mask) << SLOT_SHIFT) + SIZE] as number;
    else {
      if (flow.sentByte >= flow.endByte) return false;
      const left = (flow.sentByte < flow.sendingEnd ? flow.sendingEnd : flow.endByte) - flow.sentByte;
      if (left < bytes) bytes = left;
    }
    // Half a byte for the rounding of laws that keep other units.
    if (flow.inFlightBytes <= 0 || flow.inFlightBytes + bytes <= this.windowOf(flow) + 0.5) return true;
    // The window has shrunk below what waits to be acknowledged together: one more packet goes, and asks.
    return this.ackEvery > 1 && !this.asks && !flow.asking && (flow.law?.windowBytes ?? NEVER) < this.windowBytes;
  }

  private lowestLost(flow: SelectiveFlow): number {
    const { ints, mask } = flow;
    let number = flow.lostLow < flow.firstNumber ? flow.firstNumber : flow.lostLow;
    while (((ints[((number & mask) << SLOT_SHIFT) + INFO] as number) & STATE_MASK) !== LOST) number++;
    flow.lostLow = number;
    return number;
  }

  /** The next packet. Only while the flow is in its NIC's ring. */
  private emit(flow: SelectiveFlow, nowPs: number): number {
    const { plane } = this;
    let number: number;
    let payload: number;
    let meta = this.dataMeta;
    let times: number;
    if (flow.lostCount > 0) {
      number = this.lowestLost(flow);
      flow.lostCount--;
      flow.lostLow = number + 1;
      const slot = (number & flow.mask) << SLOT_SHIFT;
      payload = flow.ints[slot + SIZE] as number;
      times = Math.min(TIMES_MASK, 1 + (((flow.ints[slot + INFO] as number) >>> TIMES_SHIFT) & TIMES_MASK));
      meta |= AGAIN | ASKS;
      (this.nics[flow.source] as NicCount).retransmittedPackets++;
    } else {
      if (flow.sentByte >= flow.sendingEnd) {
        while ((flow.messages[flow.sending] as Message).endByte <= flow.sentByte) flow.sending++;
        flow.sendingEnd = (flow.messages[flow.sending] as Message).endByte;
      }
      number = flow.nextNumber;
      if (number - flow.firstNumber > flow.mask) flow.grow((flow.mask + 1) * 2);
      flow.nextNumber = number + 1;
      const left = flow.sendingEnd - flow.sentByte;
      payload = left < this.mtuBytes ? left : this.mtuBytes;
      flow.sentByte += payload;
      times = 1;
      if (flow.sentByte >= flow.endByte || flow.inFlightBytes + 2 * payload >= this.windowOf(flow)) meta |= ASKS;
    }
    if ((meta & ASKS) !== 0) flow.asking = true;
    const { ints, mask } = flow;
    const entropy = flow.spreading === undefined ? flow.entropy : (flow.entropy ^ flow.spreading.next()) & 0xffff;
    const slot = (number & mask) << SLOT_SHIFT;
    ints[slot + SIZE] = payload;
    ints[slot + ORDER] = ++flow.transmissions;
    ints[slot + BEFORE] = flow.newest;
    ints[slot + AFTER] = -1;
    if (times === 1) ints[slot + HERE] = 0;
    ints[slot + INFO] = IN_FLIGHT | (times << TIMES_SHIFT) | (entropy << 16);
    flow.floats[((number & mask) << SLOT_FLOAT_SHIFT) + SENT_AT] = nowPs;
    if (flow.newest === -1) flow.oldest = number;
    else ints[((flow.newest & mask) << SLOT_SHIFT) + AFTER] = number;
    flow.newest = number;
    flow.inFlightBytes += payload;

    const { packets } = plane;
    const wire = payload + this.overheadBytes;
    const packet = packets.take(
      meta | (entropy << ENTROPY_SHIFT),
      flow.id,
      flow.target,
      entropyHash(flow.forth, entropy),
    );
    const p = packet << PACKET_SHIFT;
    packets.ints[p + PAYLOAD_BYTES] = payload;
    packets.ints[p + WIRE_BYTES] = wire;
    packets.floats[(packet << PACKET_FLOAT_SHIFT) + SEQUENCE] = number;
    this.telemetries?.begin(packet);

    if (!flow.timerSet) {
      flow.timerSet = true;
      plane.wakeAt(nowPs + this.timeoutPs, flow.timer);
    }
    const { law } = flow;
    if (law !== undefined) {
      law.sent?.(nowPs, payload, flow.inFlightBytes);
      law.settle?.(nowPs);
      const rate = law.rateBps < flow.lineBps ? law.rateBps : flow.lineBps;
      flow.nextAtPs = nowPs + Math.round((wire * 8e12) / rate);
      flow.lastSentAtPs = nowPs;
      flow.lastWire = wire;
    }
    if (!this.maySend(flow)) this.leave(flow);
    return packet;
  }

  /** Takes a packet off the list of those in flight. */
  private unlink(flow: SelectiveFlow, slot: number): void {
    const { ints, mask } = flow;
    const before = ints[slot + BEFORE] as number;
    const after = ints[slot + AFTER] as number;
    if (before === -1) flow.oldest = after;
    else ints[((before & mask) << SLOT_SHIFT) + AFTER] = after;
    if (after === -1) flow.newest = before;
    else ints[((after & mask) << SLOT_SHIFT) + BEFORE] = before;
  }

  private lose(flow: SelectiveFlow, number: number): void {
    const { ints } = flow;
    const slot = (number & flow.mask) << SLOT_SHIFT;
    this.unlink(flow, slot);
    ints[slot + INFO] = ((ints[slot + INFO] as number) & ~STATE_MASK) | LOST;
    flow.inFlightBytes -= ints[slot + SIZE] as number;
    flow.asking = false;
    if (flow.lostCount === 0 || number < flow.lostLow) flow.lostLow = number;
    flow.lostCount++;
  }

  /** The receiver has it. `sample`: the very transmission that is in flight is what arrived. */
  private settle(flow: SelectiveFlow, number: number, sample: boolean): void {
    const { ints } = flow;
    const slot = (number & flow.mask) << SLOT_SHIFT;
    const info = ints[slot + INFO] as number;
    const state = info & STATE_MASK;
    if (state === ACKNOWLEDGED) return;
    if (state === LOST) {
      flow.lostCount--;
      // Its bytes were taken off when it was given up, and again when the receiver counted them.
      flow.inFlightBytes += ints[slot + SIZE] as number;
    } else {
      this.unlink(flow, slot);
      const order = ints[slot + ORDER] as number;
      const once = ((info >>> TIMES_SHIFT) & TIMES_MASK) === 1;
      if ((once || sample) && order > flow.arrived) flow.arrived = order;
    }
    ints[slot + INFO] = (info & ~STATE_MASK) | ACKNOWLEDGED;
  }

  private takeAck(flow: SelectiveFlow, packet: number): void {
    const { plane, feedback, said } = this;
    const { packets, nowPs } = plane;
    const p = packet << PACKET_SHIFT;
    const s = packet << SAID_SHIFT;
    const meta = packets.ints[p + META] as number;
    const expected = packets.floats[(packet << PACKET_FLOAT_SHIFT) + SEQUENCE] as number;
    const drawnBy = packets.ints[p + PAYLOAD_BYTES] as number;
    const marked = packets.ints[p + MARKED] as number;
    if ((meta & ASKS) !== 0) flow.asking = false;
    const { ints, mask } = flow;
    const bytes = Math.max(0, (said[s + SAID_BYTES] as number) - flow.knownBytes);
    const answered = Math.max(0, (said[s + SAID_PACKETS] as number) - flow.knownPackets);
    flow.knownBytes += bytes;
    flow.knownPackets += answered;
    flow.inFlightBytes -= bytes;

    let rttPs = Number.NaN;
    let sample = false;
    if (drawnBy >= flow.firstNumber) {
      const info = ints[((drawnBy & mask) << SLOT_SHIFT) + INFO] as number;
      const times = (info >>> TIMES_SHIFT) & TIMES_MASK;
      sample = (info & STATE_MASK) === IN_FLIGHT && times === ((meta & AGAIN) === 0 ? 1 : 2);
      if (sample) rttPs = nowPs - (flow.floats[((drawnBy & mask) << SLOT_FLOAT_SHIFT) + SENT_AT] as number);
    }
    while (flow.firstNumber < expected) {
      const number = flow.firstNumber++;
      this.settle(flow, number, sample && number === drawnBy);
      flow.ackedByte += ints[((number & mask) << SLOT_SHIFT) + SIZE] as number;
    }
    const base = said[s + SAID_BASE] as number;
    this.settleBits(flow, packets.ints[p + BITS_LOW] as number, base, sample ? drawnBy : -1);
    this.settleBits(flow, packets.ints[p + BITS_HIGH] as number, base + 32, sample ? drawnBy : -1);
    flow.spreading?.heard?.(flow.entropy ^ (meta >>> ENTROPY_SHIFT), marked > 0 ? PATH_MARKED : PATH_GOOD);

    const { law } = flow;
    if (law !== undefined) {
      feedback.nowPs = nowPs;
      feedback.bytes = bytes;
      feedback.packets = answered;
      feedback.marked = marked;
      feedback.rttPs = rttPs;
      feedback.acknowledgedByte = flow.ackedByte;
      feedback.nextByte = flow.sentByte;
      feedback.inFlightBytes = flow.inFlightBytes;
      feedback.applicationLimited = flow.lostCount === 0 && flow.sentByte >= flow.endByte;
      feedback.telemetry = this.telemetries?.read(packet);
      law.settle?.(nowPs);
      law.acknowledged?.(feedback);
      if (this.repaces && flow.nextAtPs > nowPs) {
        flow.nextAtPs = flow.lastSentAtPs + Math.round((flow.lastWire * 8e12) / Math.min(law.rateBps, flow.lineBps));
        plane.kick(flow.source);
      }
    }
    packets.give(packet);
    this.inferLosses(flow, nowPs);
    this.resume(flow);
    if (flow.ackEnd <= flow.ackedByte) this.acknowledgeMessages(flow);
  }

  private settleBits(flow: SelectiveFlow, bits: number, base: number, sampled: number): void {
    for (let rest = bits; rest !== 0; rest &= rest - 1) {
      const number = base + 31 - Math.clz32(rest & -rest);
      if (number >= flow.firstNumber) this.settle(flow, number, number === sampled);
    }
  }

  /** Gives up what was sent `reorder` transmissions before something that arrived. */
  private inferLosses(flow: SelectiveFlow, nowPs: number): void {
    const { ints, mask } = flow;
    const upTo = flow.arrived - this.reorder;
    const before = flow.inFlightBytes;
    let some = false;
    while (flow.oldest !== -1 && (ints[((flow.oldest & mask) << SLOT_SHIFT) + ORDER] as number) <= upTo) {
      this.lose(flow, flow.oldest);
      some = true;
    }
    if (some) flow.law?.lost?.(nowPs, 'out-of-order', before);
  }

  /** The receiver got the header of a packet without its payload. */
  private takeNak(flow: SelectiveFlow, packet: number): void {
    const { packets, nowPs } = this.plane;
    const p = packet << PACKET_SHIFT;
    const meta = packets.ints[p + META] as number;
    const number = packets.ints[p + PAYLOAD_BYTES] as number;
    const marked = packets.ints[p + MARKED] as number;
    packets.give(packet);
    if (number < flow.firstNumber) return;
    const { ints, mask } = flow;
    if (((ints[((number & mask) << SLOT_SHIFT) + INFO] as number) & STATE_MASK) !== IN_FLIGHT) return;
    const sentAt = flow.floats[((number & mask) << SLOT_FLOAT_SHIFT) + SENT_AT] as number;
    flow.law?.lost?.(nowPs, 'trimmed', flow.inFlightBytes, nowPs - sentAt);
    this.lose(flow, number);
    // Trimmed at the last hop: all paths end there.
    const sign = (meta & TRIMMED_LAST) === 0 ? PATH_TRIMMED : marked > 0 ? PATH_MARKED : PATH_GOOD;
    flow.spreading?.heard?.(flow.entropy ^ (meta >>> ENTROPY_SHIFT), sign);
    this.resume(flow);
  }

  private acknowledgeMessages(flow: SelectiveFlow): void {
    while (flow.acknowledging < flow.messages.length) {
      const message = flow.messages[flow.acknowledging] as Message;
      if (message.endByte > flow.ackedByte) break;
      flow.acknowledging++;
      flow.ackEnd = flow.messages[flow.acknowledging]?.endByte ?? NEVER;
      message.onAcknowledged?.();
    }
    forget(flow);
  }

  /** The retransmission timer. It is set once and moved on lazily: one event per time-out, not per packet. */
  timeout(flow: SelectiveFlow): void {
    const { plane, timeoutPs } = this;
    flow.timerSet = false;
    if (flow.stopped || flow.oldest === -1) return;
    if (this.oldestSentAt(flow) + timeoutPs <= plane.nowPs) {
      (this.nics[flow.source] as NicCount).timeouts++;
      flow.law?.lost?.(plane.nowPs, 'timeout', flow.inFlightBytes);
      const info = flow.ints[((flow.oldest & flow.mask) << SLOT_SHIFT) + INFO] as number;
      flow.spreading?.heard?.(flow.entropy ^ (info >>> 16), PATH_TIMED_OUT);
      do this.lose(flow, flow.oldest);
      while (this.timesOutAll && flow.oldest !== -1);
      this.resume(flow);
    }
    if (flow.oldest === -1) return; // what goes out next sets the timer
    flow.timerSet = true;
    plane.wakeAt(Math.max(plane.nowPs, this.oldestSentAt(flow) + timeoutPs), flow.timer);
  }

  private oldestSentAt(flow: SelectiveFlow): number {
    return flow.floats[((flow.oldest & flow.mask) << SLOT_FLOAT_SHIFT) + SENT_AT] as number;
  }

  private takeCnp(flow: SelectiveFlow, packet: number): void {
    const { plane } = this;
    plane.packets.give(packet);
    if (flow.law === undefined) return;
    (this.nics[flow.source] as NicCount).cnpHandled++;
    flow.law.notified?.(plane.nowPs, 1, this.cnpIntervalPs);
  }

  // ---- receiver ----------------------------------------------------------------------------------------------------

  receive(packet: number): void {
    const { packets } = this.plane;
    const p = packet << PACKET_SHIFT;
    const flow = this.flows[packets.ints[p + OWNER] as number] as SelectiveFlow;
    const kind = (packets.ints[p + META] as number) & KIND_MASK;
    if (flow.stopped) packets.give(packet);
    else if (kind === DATA) this.takeData(flow, packet);
    else if (kind === ACK) this.takeAck(flow, packet);
    else if (kind === NAK) this.takeNak(flow, packet);
    else this.takeCnp(flow, packet);
  }

  private takeData(flow: SelectiveFlow, packet: number): void {
    const { packets, nowPs } = this.plane;
    const { ints, mask } = flow;
    const p = packet << PACKET_SHIFT;
    const meta = packets.ints[p + META] as number;
    const number = packets.floats[(packet << PACKET_FLOAT_SHIFT) + SEQUENCE] as number;
    const slot = (number & mask) << SLOT_SHIFT;
    const known = number < flow.expected || ints[slot + HERE] !== 0;
    if ((meta & TRIMMED) !== 0) {
      if (known) this.acknowledge(flow, packet, number, false);
      else this.turnRound(flow, packet, NAK, number);
      return;
    }
    const marked = packets.ints[p + MARKED] as number;
    if (marked > 0 && this.answersCe) this.notice(flow, nowPs);
    flow.sinceMarked += marked;
    if (known) {
      this.acknowledge(flow, packet, number, marked > 0);
      return;
    }
    const payload = packets.ints[p + PAYLOAD_BYTES] as number;
    const first = flow.receivedPackets === 0;
    const late = flow.outOfOrder > 0;
    flow.receivedBytes += payload;
    flow.receivedPackets++;
    if (number > flow.highest) flow.highest = number;
    if (++flow.sinceAck === 1) flow.unackedSincePs = nowPs;
    const asks = (meta & ASKS) !== 0;
    if (asks) flow.asked = true;
    if (number === flow.expected) this.advance(flow, payload);
    else {
      ints[slot + HERE] = payload;
      flow.outOfOrder++;
      (this.nics[flow.target] as NicCount).outOfSequence++;
    }
    const closed = flow.outOfOrder === 0 && number < flow.expected;
    const atEnd = flow.deliveryEnd <= flow.deliveredBytes;
    let due = flow.sinceAck >= this.ackEvery;
    if (this.asks) {
      due ||= marked > 0 || first || asks || (closed && flow.asked);
      if (closed) flow.asked = false;
    } else {
      const waitedPs = nowPs - flow.unackedSincePs;
      due ||= asks || late || flow.outOfOrder > 0 || atEnd || waitedPs >= this.timeoutPs * ACK_TIMEOUT_SHARE;
    }
    if (due) this.acknowledge(flow, packet, number, this.asks && (marked > 0 || asks));
    else packets.give(packet);
    if (atEnd) this.deliverMessages(flow);
  }

  /** The packet that was missing first is here, with so many bytes: what waited for it is delivered too. */
  private advance(flow: SelectiveFlow, payload: number): void {
    const { ints, mask } = flow;
    flow.deliveredBytes += payload;
    flow.expected++;
    while (flow.outOfOrder > 0) {
      const slot = (flow.expected & mask) << SLOT_SHIFT;
      const here = ints[slot + HERE] as number;
      if (here === 0) return;
      ints[slot + HERE] = 0;
      flow.deliveredBytes += here;
      flow.expected++;
      flow.outOfOrder--;
    }
  }

  /** Answers with all that is known; the bitmap ends with the packet itself, or begins with it. */
  private acknowledge(flow: SelectiveFlow, packet: number, number: number, fromHere: boolean): void {
    const { packets } = this.plane;
    if (packet << SAID_SHIFT >= this.said.length) this.growSaid(packet);
    const base = fromHere ? number : Math.max(number - (BITMAP - 1), flow.expected + 1);
    const s = packet << SAID_SHIFT;
    this.said[s + SAID_BYTES] = flow.receivedBytes;
    this.said[s + SAID_PACKETS] = flow.receivedPackets;
    this.said[s + SAID_BASE] = base;
    const p = packet << PACKET_SHIFT;
    const some = flow.outOfOrder > 0;
    packets.ints[p + BITS_LOW] = some ? this.bits(flow, base) : 0;
    packets.ints[p + BITS_HIGH] = some ? this.bits(flow, base + 32) : 0;
    packets.ints[p + MARKED] = flow.sinceMarked;
    flow.sinceAck = 0;
    flow.sinceMarked = 0;
    this.turnRound(flow, packet, ACK, number);
  }

  private bits(flow: SelectiveFlow, base: number): number {
    const { ints, mask } = flow;
    const end = Math.min(32, flow.highest + 1 - base);
    let bits = 0;
    for (let i = Math.max(0, flow.expected - base); i < end; i++)
      if (ints[(((base + i) & mask) << SLOT_SHIFT) + HERE] !== 0) bits |= 1 << i;
    return bits;
  }

  private growSaid(packet: number): void {
    const said = new Float64Array(Math.max(4096, 2 * packet) << SAID_SHIFT);
    said.set(this.said);
    this.said = said;
  }

  /** Sends the packet back as the answer to itself, on its own path. */
  private turnRound(flow: SelectiveFlow, packet: number, kind: number, number: number): void {
    const { plane } = this;
    const { packets } = plane;
    const p = packet << PACKET_SHIFT;
    const meta = packets.ints[p + META] as number;
    const entropy = meta >>> ENTROPY_SHIFT;
    packets.ints[p + META] =
      this.answerMeta | kind | (meta & (AGAIN | ASKS | TRIMMED_LAST)) | (entropy << ENTROPY_SHIFT);
    packets.ints[p + TARGET] = flow.source;
    packets.ints[p + HASH] = entropyHash(flow.back, entropy);
    packets.ints[p + WIRE_BYTES] = this.ackBytes;
    packets.ints[p + COUNT] = 1;
    packets.ints[p + INGRESS] = -1;
    packets.ints[p + PAYLOAD_BYTES] = number;
    packets.floats[(packet << PACKET_FLOAT_SHIFT) + SEQUENCE] = flow.expected;
    plane.sendFromHost(flow.target, packet);
  }

  private deliverMessages(flow: SelectiveFlow): void {
    while (flow.delivering < flow.messages.length) {
      const message = flow.messages[flow.delivering] as Message;
      if (message.endByte > flow.deliveredBytes) break;
      flow.delivering++;
      flow.deliveryEnd = flow.messages[flow.delivering]?.endByte ?? NEVER;
      message.onDelivered?.();
    }
    forget(flow);
  }

  /** One CNP, unless the last was too recent. */
  private notice(flow: SelectiveFlow, nowPs: number): void {
    if (nowPs - flow.lastCnpPs < this.cnpIntervalPs) return;
    const { plane } = this;
    flow.lastCnpPs = nowPs;
    (this.nics[flow.target] as NicCount).cnpSent++;
    const meta = this.answerMeta | CNP | (flow.entropy << ENTROPY_SHIFT);
    const packet = plane.packets.take(meta, flow.id, flow.source, entropyHash(flow.back, flow.entropy));
    plane.packets.ints[(packet << PACKET_SHIFT) + WIRE_BYTES] = CNP_WIRE_BYTES;
    plane.sendFromHost(flow.target, packet);
  }
}

/** Whether the settings ask for selective repeat. */
export function repeatsSelectively(settings: FabricSettings): boolean {
  return settings.transport?.recovery === 'selective-repeat';
}

/** Drops messages that both ends are done with. */
function forget(flow: SelectiveFlow): void {
  const done = Math.min(flow.acknowledging, flow.delivering, flow.sending);
  if (done === 0 || (done < 64 && done < flow.messages.length - 1)) return;
  flow.messages.splice(0, done);
  flow.sending -= done;
  flow.acknowledging -= done;
  flow.delivering -= done;
}
