import type { FabricSettings } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { Actor, DataPlane } from '../fabric/data-plane.ts';
import { flowHash } from '../fabric/ecmp-hash.ts';
import type { Flow, FlowRequest, NicCount } from '../fabric/network.ts';
import { ACK, CNP, DATA, NAK, type PacketPool } from '../fabric/packet-pool.ts';
import { ACK_WIRE_BYTES, CNP_WIRE_BYTES } from '../fabric/wire-size.ts';
import { Dcqcn, dcqcnParameters, type DcqcnParameters } from './dcqcn.ts';

/**
 * The responder acknowledges every 16th packet in order, the end of each message, and at once what it has seen before.
 * A slow flow is acknowledged at the first packet that comes 1/8 of the retransmission timeout after the oldest
 * unacknowledged one: 16 packets at 40 Mb/s take 13 ms, and the requester must not take that for loss.
 */
const ACK_EVERY_PACKETS = 16;
const ACK_TIMEOUT_SHARE = 1 / 8;

/** A slow flow's trains are shorter: none holds more than 16 us of its pace, or DCQCN would hear of congestion too seldom. */
const TRAIN_PACE_PS = 16e6;

type Callbacks = Pick<FlowRequest, 'onAcknowledged' | 'onDelivered'>;

interface Message extends Callbacks {
  readonly endByte: number;
}

export interface RoceOptions {
  readonly plane: DataPlane;
  readonly settings: FabricSettings;
  readonly trainPackets: number;
  readonly overheadBytes: number;
}

/**
 * RoCEv2 reliable connections with go-back-N (InfiniBand Architecture Specification volume 1, section 9.7), and the NICs that carry them.
 *
 * - The NIC serves its flows in turn, a packet (train) each, each no faster than its DCQCN rate; a flow's next packet may start
 *   wire bytes x 8 / rate after the start of its last.
 * - The responder takes packets in order only. The first packet out of order since the last one in order is answered by a NAK
 *   with the byte it expects; the requester goes back there. Without progress for the retransmission timeout it goes back to the
 *   first byte not acknowledged, for ever: a job on a dead path hangs until routes come back.
 * - A packet with CE makes the responder send a CNP, at most one per flow and CNP interval (Zhu et al. 2015, section 3.1).
 * - The window, when there is one, limits sent minus acknowledged bytes.
 */
export class Roce {
  readonly flows: RoceFlow[] = [];
  readonly nics: NicCount[];
  readonly plane: DataPlane;
  readonly mtuBytes: number;
  readonly overheadBytes: number;
  readonly trainPackets: number;
  readonly timeoutPs: number;
  readonly windowBytes: number;
  readonly ackEvery: number;
  readonly dcqcn: DcqcnParameters | undefined;
  /** After `pull`: when the host's next packet may leave. */
  readyAtPs = Number.POSITIVE_INFINITY;
  /** Flow of each host to be asked first: its flows with something to send form a ring. */
  private readonly rings: (RoceFlow | undefined)[];

  constructor({ plane, settings, trainPackets, overheadBytes }: RoceOptions) {
    const { mtu, retransmitTimeout, window } = settings.roce;
    this.plane = plane;
    this.overheadBytes = overheadBytes;
    this.trainPackets = trainPackets;
    this.mtuBytes = magnitude(mtu);
    this.timeoutPs = Math.round(magnitude(retransmitTimeout) * 1000);
    this.windowBytes = window === undefined ? Number.POSITIVE_INFINITY : magnitude(window);
    if (!(this.mtuBytes >= 256 && Number.isInteger(this.mtuBytes)))
      throw new RangeError(`RoCE MTU ${mtu}: a whole number of bytes from 256 on is needed.`);
    if (!(this.timeoutPs > 0))
      throw new RangeError(`RoCE retransmission timeout ${retransmitTimeout} must be more than 0.`);
    if (this.windowBytes < this.mtuBytes) throw new RangeError(`RoCE window ${window} holds no packet of ${mtu}.`);
    // Half a window at most, or the sender would wait for an ACK that waits for the sender.
    this.ackEvery = Math.max(1, Math.min(ACK_EVERY_PACKETS, Math.floor(this.windowBytes / this.mtuBytes / 2)));
    this.dcqcn = settings.dcqcn === null ? undefined : dcqcnParameters(settings.dcqcn);
    this.rings = plane.wiring.portsOf.slice(0, plane.wiring.hosts).map(() => undefined);
    this.nics = this.rings.map(() => ({
      cnpSent: 0,
      cnpHandled: 0,
      outOfSequence: 0,
      timeouts: 0,
      retransmittedPackets: 0,
    }));
  }

  open(request: FlowRequest & { readonly sourceHost: number; readonly targetHost: number }): RoceFlow {
    const flow = new RoceFlow(this, this.flows.length, request);
    this.flows.push(flow);
    flow.send(request.bytes, request);
    return flow;
  }

  /** Next packet of a host in round robin; see `Endpoints.pull`. */
  pull(host: number): number {
    const first = this.rings[host];
    this.readyAtPs = Number.POSITIVE_INFINITY;
    if (first === undefined) return -1;
    const now = this.plane.nowPs;
    let flow = first;
    do {
      if (flow.nextAtPs <= now) {
        this.rings[host] = flow.next as RoceFlow;
        const packet = flow.emit(now);
        const rest = this.rings[host];
        // One flow left: its own pace says when. More: ask again when the port is free.
        if (rest !== undefined) this.readyAtPs = rest.next === rest ? rest.nextAtPs : now;
        return packet;
      }
      if (flow.nextAtPs < this.readyAtPs) this.readyAtPs = flow.nextAtPs;
      flow = flow.next as RoceFlow;
    } while (flow !== first);
    return -1;
  }

  join(flow: RoceFlow): void {
    if (flow.next !== undefined) return;
    const ring = this.rings[flow.source];
    if (ring === undefined) {
      flow.next = flow;
      flow.previous = flow;
      this.rings[flow.source] = flow;
    } else {
      const last = ring.previous as RoceFlow;
      last.next = flow;
      flow.previous = last;
      flow.next = ring;
      ring.previous = flow;
    }
    this.plane.kick(flow.source);
  }

  leave(flow: RoceFlow): void {
    if (flow.next === undefined) return;
    if (flow.next === flow) this.rings[flow.source] = undefined;
    else {
      (flow.previous as RoceFlow).next = flow.next;
      flow.next.previous = flow.previous;
      if (this.rings[flow.source] === flow) this.rings[flow.source] = flow.next;
    }
    flow.next = undefined;
    flow.previous = undefined;
  }

  receive(packet: number): void {
    const { pool } = this.plane;
    const flow = this.flows[pool.owner[packet] as number] as RoceFlow;
    const kind = pool.kind[packet] as number;
    if (kind === DATA) flow.takeData(packet, pool);
    else {
      const sequence = pool.sequence[packet] as number;
      const count = pool.count[packet] as number;
      pool.give(packet);
      if (kind === CNP) flow.takeCnp(count);
      else flow.takeAck(sequence, kind === NAK);
    }
  }
}

/** Both ends of one queue pair: what the requester and the responder know. */
export class RoceFlow implements Flow, Actor {
  readonly id: number;
  readonly source: number;
  readonly target: number;
  next: RoceFlow | undefined = undefined;
  previous: RoceFlow | undefined = undefined;
  /** Earliest start of the next packet, ps. */
  nextAtPs = 0;

  private readonly roce: Roce;
  private readonly hash: number;
  private readonly backHash: number;
  private readonly actor: number;
  private readonly lineBps: number;
  private readonly dcqcn: Dcqcn | undefined;
  private stopped = false;

  // Requester.
  private nextByte = 0;
  private highestByte = 0;
  private acknowledgedByte = 0;
  private endByte = 0;
  private deadlinePs = 0;
  private timerSet = false;
  /** Messages not yet acknowledged and delivered; the three indices are of the one being sent, acknowledged, delivered. */
  private messages: Message[] = [];
  private sending = 0;
  private acknowledging = 0;
  private delivering = 0;

  // Responder.
  private expectedByte = 0;
  private sinceAck = 0;
  /** When the oldest packet came that is not acknowledged yet. */
  private unacknowledgedPs = 0;
  private nakSent = false;
  private lastCnpPs = Number.NEGATIVE_INFINITY;
  private lastDataPs = 0;

  constructor(
    roce: Roce,
    id: number,
    request: {
      readonly sourceHost: number;
      readonly targetHost: number;
      readonly entropy: number;
      readonly deaf?: boolean;
    },
  ) {
    this.roce = roce;
    this.id = id;
    this.source = request.sourceHost;
    this.target = request.targetHost;
    this.hash = flowHash(this.source, this.target, request.entropy);
    this.backHash = flowHash(this.target, this.source, request.entropy);
    this.actor = roce.plane.enrol(this);
    const { wiring } = roce.plane;
    this.lineBps = wiring.rateBps[wiring.portsOf[this.source]?.[0] as number] as number;
    this.dcqcn = roce.dcqcn && !request.deaf ? new Dcqcn(roce.dcqcn, this.lineBps) : undefined;
  }

  delivered(): number {
    return this.expectedByte;
  }

  rateBps(): number {
    if (this.dcqcn === undefined) return this.lineBps;
    this.dcqcn.settle(this.roce.plane.nowPs);
    return this.dcqcn.rateBps;
  }

  send(bytes: number, callbacks: Callbacks = {}): void {
    if (!(bytes > 0) || (bytes !== Number.POSITIVE_INFINITY && !Number.isInteger(bytes)))
      throw new RangeError(`A flow can not send ${bytes} bytes.`);
    if (this.stopped) throw new RangeError(`Flow ${this.id} is stopped.`);
    this.endByte += bytes;
    const { onAcknowledged, onDelivered } = callbacks;
    this.messages.push({
      endByte: this.endByte,
      ...(onAcknowledged && { onAcknowledged }),
      ...(onDelivered && { onDelivered }),
    });
    this.resume();
  }

  stop(): void {
    this.stopped = true;
    this.messages = [];
    this.sending = this.acknowledging = this.delivering = 0;
    this.roce.leave(this);
  }

  // ---- requester ---------------------------------------------------------------------------------------------------

  private maySend(): boolean {
    return (
      !this.stopped && this.nextByte < this.endByte && this.nextByte - this.acknowledgedByte < this.roce.windowBytes
    );
  }

  private resume(): void {
    if (this.maySend()) this.roce.join(this);
    // A late ACK may have covered all that go-back-N had queued again.
    else this.roce.leave(this);
  }

  /** The next packet (train). Only while the flow is in its NIC's ring. */
  emit(nowPs: number): number {
    const { roce } = this;
    const { pool } = roce.plane;
    const mtu = roce.mtuBytes;
    while ((this.messages[this.sending] as Message).endByte <= this.nextByte) this.sending++;
    const left = (this.messages[this.sending] as Message).endByte - this.nextByte;
    const open = roce.windowBytes - (this.nextByte - this.acknowledgedByte);
    // A window cuts a train at whole packets, the first of which always goes.
    const most = Math.min(roce.trainPackets, Math.max(1, Math.floor(open / mtu)), this.paceLimit());
    const payload = Math.min(left, most * mtu);
    const count = Math.ceil(payload / mtu);
    const wire = payload + count * roce.overheadBytes;
    const packet = pool.take(DATA, this.id, this.target, this.hash);
    pool.count[packet] = count;
    pool.payloadBytes[packet] = payload;
    pool.wireBytes[packet] = wire;
    pool.firstBytes[packet] = Math.min(payload, mtu) + roce.overheadBytes;
    pool.sequence[packet] = this.nextByte;

    if (this.nextByte === this.acknowledgedByte) this.deadlinePs = nowPs + roce.timeoutPs;
    if (!this.timerSet) {
      this.timerSet = true;
      roce.plane.wakeAt(this.deadlinePs, this.actor);
    }
    if (this.nextByte < this.highestByte) this.nic(this.source).retransmittedPackets += count;
    this.nextByte += payload;
    if (this.nextByte > this.highestByte) this.highestByte = this.nextByte;
    let rate = this.lineBps;
    if (this.dcqcn !== undefined) {
      this.dcqcn.sent(payload);
      this.dcqcn.settle(nowPs);
      rate = this.dcqcn.rateBps;
    }
    // The gap is fixed here (HPCC artefact, rdma-hw.cc, PktSent; its DCQCN changes the rate only): a later cut or increase counts
    // from the next packet on.
    this.nextAtPs = nowPs + Math.round((wire * 8e12) / rate);
    if (!this.maySend()) roce.leave(this);
    return packet;
  }

  /** Packets that the flow sends within {@link TRAIN_PACE_PS} at its present rate, at least one. */
  private paceLimit(): number {
    if (this.dcqcn === undefined || this.roce.trainPackets === 1) return this.roce.trainPackets;
    const bits = (this.dcqcn.rateBps / 1e12) * TRAIN_PACE_PS;
    return Math.max(1, Math.floor(bits / (8 * (this.roce.mtuBytes + this.roce.overheadBytes))));
  }

  takeAck(expected: number, isNak: boolean): void {
    if (this.stopped) return;
    const { plane } = this.roce;
    if (expected > this.acknowledgedByte) {
      this.acknowledgedByte = expected;
      this.deadlinePs = plane.nowPs + this.roce.timeoutPs;
      // A late ACK may cover what go-back-N was about to send again.
      if (this.nextByte < expected) this.nextByte = expected;
    }
    if (isNak && expected === this.acknowledgedByte) this.goBack();
    this.resume();
    while (
      this.acknowledging < this.messages.length &&
      (this.messages[this.acknowledging] as Message).endByte <= this.acknowledgedByte
    ) {
      (this.messages[this.acknowledging++] as Message).onAcknowledged?.();
    }
    this.forget();
  }

  private goBack(): void {
    this.nextByte = this.acknowledgedByte;
    while (this.sending > 0 && (this.messages[this.sending - 1] as Message).endByte > this.nextByte) this.sending--;
  }

  /** The retransmission timer. It is set once and moved on lazily: one event per timeout, not per packet. */
  wake(): void {
    this.timerSet = false;
    if (this.stopped || this.nextByte === this.acknowledgedByte) return;
    const { plane, timeoutPs } = this.roce;
    if (this.deadlinePs <= plane.nowPs) {
      this.nic(this.source).timeouts++;
      this.goBack();
      this.deadlinePs = plane.nowPs + timeoutPs;
      this.resume();
    }
    this.timerSet = true;
    plane.wakeAt(this.deadlinePs, this.actor);
  }

  takeCnp(count: number): void {
    if (this.stopped || this.dcqcn === undefined || this.roce.dcqcn === undefined) return;
    this.nic(this.source).cnpHandled += count;
    this.dcqcn.notify(this.roce.plane.nowPs, count, count * this.roce.dcqcn.cnpIntervalPs);
  }

  // ---- responder ---------------------------------------------------------------------------------------------------

  takeData(packet: number, pool: PacketPool): void {
    const { roce } = this;
    const now = roce.plane.nowPs;
    const sequence = pool.sequence[packet] as number;
    const end = sequence + (pool.payloadBytes[packet] as number);
    const count = pool.count[packet] as number;
    const marked = pool.marked[packet] as number;
    pool.give(packet);
    if (this.stopped) return;
    if (marked > 0 && roce.dcqcn !== undefined) this.notice(now, marked, roce.dcqcn.cnpIntervalPs);
    this.lastDataPs = now;
    if (sequence > this.expectedByte) {
      this.nic(this.target).outOfSequence += count;
      if (this.nakSent) return;
      this.nakSent = true;
      this.answer(NAK, ACK_WIRE_BYTES);
      return;
    }
    if (end <= this.expectedByte) {
      this.answer(ACK, ACK_WIRE_BYTES);
      return;
    }
    this.expectedByte = end;
    this.nakSent = false;
    if (this.sinceAck === 0) this.unacknowledgedPs = now;
    this.sinceAck += count;
    const atEnd = this.delivering < this.messages.length && (this.messages[this.delivering] as Message).endByte <= end;
    if (atEnd || this.sinceAck >= roce.ackEvery || now - this.unacknowledgedPs >= roce.timeoutPs * ACK_TIMEOUT_SHARE) {
      this.sinceAck = 0;
      this.answer(ACK, ACK_WIRE_BYTES);
    }
    if (!atEnd) return;
    while (this.delivering < this.messages.length && (this.messages[this.delivering] as Message).endByte <= end) {
      (this.messages[this.delivering++] as Message).onDelivered?.();
    }
    this.forget();
  }

  /**
   * One CNP, unless the last was too recent. For a train: as many as its packets would have drawn one by one, at the interval,
   * over the time since the train before; they travel as one unit and are played in that rhythm at the sender.
   */
  private notice(nowPs: number, marked: number, intervalPs: number): void {
    if (nowPs - this.lastCnpPs < intervalPs) return;
    const since = nowPs - Math.max(this.lastDataPs, this.lastCnpPs);
    const count =
      marked === 1
        ? 1
        : Math.max(1, Math.min(marked, Math.floor(Math.min(since, TRAIN_PACE_PS) / Math.max(intervalPs, 1))));
    this.lastCnpPs = nowPs + (count - 1) * intervalPs;
    this.nic(this.target).cnpSent += count;
    this.answer(CNP, CNP_WIRE_BYTES * count, count);
  }

  private answer(kind: number, wireBytes: number, count = 1): void {
    const { plane } = this.roce;
    const { pool } = plane;
    const packet = pool.take(kind, this.id, this.source, this.backHash);
    pool.sequence[packet] = this.expectedByte;
    pool.count[packet] = count;
    pool.wireBytes[packet] = wireBytes;
    pool.firstBytes[packet] = wireBytes / count;
    plane.sendFromHost(this.target, packet);
  }

  /** Drops messages that both ends are done with. */
  private forget(): void {
    const done = Math.min(this.acknowledging, this.delivering, this.sending);
    if (done === 0) return;
    if (done < 64 && done < this.messages.length - 1) return;
    this.messages.splice(0, done);
    this.sending -= done;
    this.acknowledging -= done;
    this.delivering -= done;
  }

  private nic(host: number): NicCount {
    return this.roce.nics[host] as NicCount;
  }
}
