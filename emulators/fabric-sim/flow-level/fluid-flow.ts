import type { Flow, FlowRequest } from '../fabric/network.ts';
import type { Departing } from './departures.ts';
import type { Sharer } from './fair-shares.ts';
import type { Way } from './forwarding.ts';

/** Totals of what a flow was given to send. */
export interface Sent {
  readonly bytes: number;
  readonly packets: number;
  readonly wire: number;
}

type Callbacks = Pick<FlowRequest, 'onAcknowledged' | 'onDelivered'>;

/** One `send`. Positions count from the flow's first byte: payload bytes, and wire bytes of the packets that carry them. */
interface Message extends Callbacks {
  readonly startByte: number;
  readonly endByte: number;
  readonly startWire: number;
  readonly endWire: number;
  readonly startPacket: number;
  readonly packets: number;
  readonly lastPacketWire: number;
  /** Rises when an arrival that was planned will not take place. */
  plan: number;
}

/** What the engine does for a flow. */
export interface FlowHost {
  readonly nowPs: number;
  readonly mtuBytes: number;
  readonly overheadBytes: number;
  readonly timeoutPs: number;
  after(delayPs: number, run: () => void): void;
  /** Brings routes and rates up to the present. */
  refresh(): void;
  /** The flow loads the links of its way from now on. */
  join(flow: FluidFlow): void;
  leave(flow: FluidFlow): void;
  ways(flow: FluidFlow): { readonly way: Way; readonly back: Way };
  /** Share of its sending rate that arrives as new bytes, at this rate on the wire. */
  efficiency(flow: FluidFlow, wireBps: number): number;
  lagPs(before: Way, after: Way): number;
  /** Counts what a flow has put on its way: whole packets, their wire bytes, ACKs for them; `useless` are void or sent again. */
  carried(
    flow: FluidFlow,
    sent: { readonly packets: number; readonly wire: number; readonly acks: number; readonly useless: boolean },
  ): void;
  timedOut(flow: FluidFlow): void;
  retransmits(flow: FluidFlow, packets: number): void;
  /** Seeded choice: was the last packet of what was sent lost, so that only the timer tells. */
  tailLost(flow: FluidFlow): boolean;
}

const ACK_EVERY_PACKETS = 16;
const ACK_WIRE_EXTRA = 4;
const NEVER = Number.POSITIVE_INFINITY;

/**
 * A queue pair as a fluid. What the sender has put on the wire rises at the flow's rate; what the receiver has in order follows one latency
 * later. A message ends when its last packet, at the rate of each link it is stored and forwarded by, has come in.
 *
 * While either way is broken, what was not past the break is sent again after go-back-N's rules: the sender goes on into the void until it
 * has nothing left; a way that comes back in that time is noticed one round trip later (NAK), else by the retransmission timer.
 * Taken together where the packet engine tells apart: data whose ACKs alone are lost counts as lost.
 */
export class FluidFlow implements Flow, Sharer, Departing {
  readonly id: number;
  readonly source: number;
  readonly target: number;
  readonly hash: number;
  readonly backHash: number;
  readonly lineBps: number;

  links: readonly number[] = [];
  capBps = NEVER;
  shareBps = 0;
  limitedBy = -1;
  sharers = 0;
  departPs = NEVER;
  slot = -1;

  way: Way | undefined;
  back: Way | undefined;
  wayEpoch = -1;
  /** Wire rate on the links. */
  wireBps = 0;
  joined = false;

  private readonly host: FlowHost;
  private state: 'good' | 'void' | 'stopped' = 'good';
  private goodBps = 0;
  /**
   * Position, as it was when the rate last changed. What is in between is computed, never added up, so that neither the questions of an
   * observer nor the time of day change a result.
   */
  private anchorPs = 0;
  /** Of the message under way, wire bytes. */
  private anchorOffset = 0;
  /** Next byte of the void; when it has reached the end nothing is sent any more. */
  private anchorVoid = 0;
  private anchorUseless = 0;
  /** What was past the break. */
  private keptWire = 0;
  private stall = 0;
  private messages: Message[] = [];
  private sending = 0;
  private arriving = 0;
  private acknowledging = 0;
  private endByte = 0;
  private endWire = 0;
  private endPacket = 0;
  private arrivedWire = 0;
  private arrivedByte = 0;
  private lastArrivalPs = 0;
  // Sent so far, as a line with corners: the receiver sees it a latency later.
  private cornerPs: number[] = [0];
  private cornerWire: number[] = [0];
  private countedPackets = 0;
  private countedWire = 0;
  private countedAcks = 0;
  private uselessPackets = 0;
  /** In order at the receiver, of the packets counted as carried. */
  packetsIn = 0;

  constructor(host: FlowHost, facts: Pick<FluidFlow, 'id' | 'source' | 'target' | 'hash' | 'backHash' | 'lineBps'>) {
    this.host = host;
    this.id = facts.id;
    this.source = facts.source;
    this.target = facts.target;
    this.hash = facts.hash;
    this.backHash = facts.backHash;
    this.lineBps = facts.lineBps;
    this.anchorPs = host.nowPs;
    this.cornerPs = [host.nowPs];
  }

  // ---- the face ----

  delivered(): number {
    this.host.refresh();
    this.settle();
    return Math.floor(this.byteAt(this.deliveredWire()));
  }

  /** Wire rate that the sender is held to now: 0 when it has nothing to send. */
  rateBps(): number {
    this.host.refresh();
    return this.joined ? this.wireBps : 0;
  }

  send(bytes: number, callbacks: Callbacks = {}): void {
    if (!(bytes > 0) || (bytes !== NEVER && !Number.isInteger(bytes)))
      throw new RangeError(`A flow can not send ${bytes} bytes.`);
    if (this.state === 'stopped') throw new RangeError(`Flow ${this.id} is stopped.`);
    const { mtuBytes, overheadBytes } = this.host;
    const packets = Math.ceil(bytes / mtuBytes);
    const wire = bytes + packets * overheadBytes;
    const last = bytes === NEVER ? mtuBytes : bytes - (packets - 1) * mtuBytes;
    const { onAcknowledged, onDelivered } = callbacks;
    this.settle();
    this.messages.push({
      startByte: this.endByte,
      endByte: this.endByte + bytes,
      startWire: this.endWire,
      endWire: this.endWire + wire,
      startPacket: this.endPacket,
      packets,
      lastPacketWire: last + overheadBytes,
      plan: 0,
      ...(onAcknowledged && { onAcknowledged }),
      ...(onDelivered && { onDelivered }),
    });
    this.endByte += bytes;
    this.endWire += wire;
    this.endPacket += packets;
    if (this.joined) this.plan();
    else this.start();
  }

  stop(): void {
    this.settle();
    if (this.joined) this.host.leave(this);
    this.arrivedByte = Math.floor(this.byteAt(this.deliveredWire()));
    this.arrivedWire = this.deliveredWire();
    this.packetsIn = this.countedPackets;
    this.state = 'stopped';
    this.stall++;
    for (const message of this.messages) message.plan++;
    this.messages = [];
    this.sending = this.arriving = this.acknowledging = 0;
  }

  // ---- for the engine ----

  /** Nothing is under way in either direction, so the flow's future depends on nothing that it has done. */
  get atRest(): boolean {
    return this.state === 'stopped' || this.messages.length === this.acknowledging;
  }

  get stopped(): boolean {
    return this.state === 'stopped';
  }

  get stalled(): boolean {
    return this.state === 'void';
  }

  /** Payload bytes of the message under way: how long the present load will last at least. */
  get messageWire(): number {
    const message = this.messages[this.sending];
    return message === undefined ? 0 : message.endWire - message.startWire;
  }

  get wireLeftPackets(): number {
    return (this.endWire - this.sentWire) / (this.host.mtuBytes + this.host.overheadBytes);
  }

  /** Packets on their way to the receiver. */
  get packetsUnderWay(): number {
    this.settle();
    return this.state === 'stopped' ? 0 : this.countedPackets - this.packetsIn;
  }

  /** Ways have changed, or are looked up for the first time. */
  reroute(): void {
    const { way: before } = this;
    const usedToPass = this.passes;
    const { way, back } = this.host.ways(this);
    if (before !== undefined && this.back !== undefined && same(before, way) && same(this.back, back)) {
      this.way = way;
      this.back = back;
      this.retime();
      return;
    }
    this.settle();
    const wasJoined = this.joined;
    if (wasJoined) this.host.leave(this);
    this.way = way;
    this.back = back;
    this.links = way.links;
    const passes = way.whole && back.whole;
    if (before !== undefined && this.state !== 'stopped') {
      if (usedToPass && !passes) this.breakOff(before, wasJoined);
      else if (!usedToPass && passes && this.state === 'void' && this.voidWire < this.endWire) this.expectNak();
    }
    this.begin();
  }

  /** Loads the way, if there is something to send: into the void when the way ends. */
  private begin(): void {
    if (this.state === 'good' && !this.passes && this.sending < this.messages.length)
      this.enterVoid(this.sentWire, this.host.nowPs + this.host.timeoutPs);
    if (this.shouldLoad()) this.host.join(this);
  }

  /** The engine has a new share: takes effect now. */
  setRate(wireBps: number): void {
    const goodBps = this.state === 'good' ? wireBps * this.host.efficiency(this, wireBps) : 0;
    if (wireBps === this.wireBps && goodBps === this.goodBps) {
      if (this.slot < 0) this.plan();
      return;
    }
    this.anchor();
    if (goodBps !== this.goodBps) this.corner();
    this.wireBps = wireBps;
    this.goodBps = goodBps;
    this.plan();
  }

  /** The sender's pointer has come to the end of a message, or of the void. */
  depart(): void {
    if (this.state === 'void') {
      this.host.leave(this);
      this.anchorVoid = this.endWire;
      return;
    }
    const message = this.messages[this.sending] as Message;
    this.anchor();
    this.corner(message.endWire);
    this.sending++;
    this.anchorOffset = 0;
    const last = this.sending === this.messages.length;
    if (last) this.host.leave(this);
    this.settle();
    this.expect(message, last && this.host.tailLost(this) ? this.host.timeoutPs : 0);
    if (!last) this.plan();
  }

  /** The engine has taken it off its links. */
  left(): void {
    this.anchor();
    if (this.goodBps !== 0) this.corner();
    this.wireBps = 0;
    this.goodBps = 0;
  }

  /** Brings the counters to the present. */
  settle(): void {
    if (this.way !== undefined) this.count();
  }

  /** The same so many times more, all of it delivered. Only while nothing is under way. */
  repeat({ bytes, packets, wire }: Sent, times: number): void {
    if (bytes === 0 || this.state === 'stopped') return;
    this.endByte += bytes * times;
    this.endPacket += packets * times;
    this.endWire += wire * times;
    this.arrivedByte = this.endByte;
    this.arrivedWire = this.endWire;
    this.cornerPs = [this.host.nowPs];
    this.cornerWire = [this.endWire];
    this.settle();
  }

  get sentTotal(): Sent {
    return { bytes: this.endByte, packets: this.endPacket, wire: this.endWire };
  }

  /** All that was given to it has arrived. */
  get allArrived(): boolean {
    return this.state === 'stopped' || (this.state === 'good' && this.arriving === this.messages.length);
  }

  // ---- positions ----

  private get offset(): number {
    if (!this.joined || this.state !== 'good') return this.anchorOffset;
    const message = this.messages[this.sending];
    if (message === undefined) return this.anchorOffset;
    return Math.min(
      message.endWire - message.startWire,
      this.anchorOffset + (this.goodBps * (this.host.nowPs - this.anchorPs)) / 8e12,
    );
  }

  /** Next byte to be sent for good. */
  private get sentWire(): number {
    if (this.state === 'void') return this.keptWire;
    const message = this.messages[this.sending];
    return message === undefined ? this.endWire : message.startWire + this.offset;
  }

  private get voidWire(): number {
    if (!this.joined || this.state !== 'void') return this.anchorVoid;
    return Math.min(this.endWire, this.anchorVoid + (this.wireBps * (this.host.nowPs - this.anchorPs)) / 8e12);
  }

  private get uselessWire(): number {
    if (!this.joined) return this.anchorUseless;
    if (this.state === 'void') return this.anchorUseless + this.voidWire - this.anchorVoid;
    return this.anchorUseless + ((this.wireBps - this.goodBps) * (this.host.nowPs - this.anchorPs)) / 8e12;
  }

  private anchor(): void {
    const { offset, voidWire, uselessWire } = this;
    this.anchorOffset = offset;
    this.anchorVoid = voidWire;
    this.anchorUseless = uselessWire;
    this.anchorPs = this.host.nowPs;
  }

  private get passes(): boolean {
    return this.way?.whole === true && this.back?.whole === true;
  }

  private get packetWire(): number {
    return this.host.mtuBytes + this.host.overheadBytes;
  }

  private latencyPs(packetWire: number): number {
    const way = this.way as Way;
    return Math.round(way.delayPs + way.forwardPsPerByte * packetWire);
  }

  private backPs(): number {
    const back = this.back as Way;
    const ack = this.host.overheadBytes + ACK_WIRE_EXTRA;
    return Math.round(back.delayPs + back.forwardPsPerByte * ack + (8e12 * ack) / this.lineBps);
  }

  /** Base round trip of a full packet, ps. */
  rttPs(): number {
    return this.latencyPs(this.packetWire) + this.backPs() + (8e12 * this.packetWire) / this.lineBps;
  }

  private sentAt(atPs: number): number {
    const { cornerPs, cornerWire } = this;
    let i = cornerPs.length - 1;
    if (atPs >= this.host.nowPs) return this.sentWire;
    while (i > 0 && (cornerPs[i] as number) > atPs) i--;
    const [t0, w0] = [cornerPs[i] as number, cornerWire[i] as number];
    const [t1, w1] =
      i + 1 < cornerPs.length
        ? [cornerPs[i + 1] as number, cornerWire[i + 1] as number]
        : [this.host.nowPs, this.sentWire];
    return atPs <= t0 || t1 <= t0 ? w0 : w0 + ((w1 - w0) * (atPs - t0)) / (t1 - t0);
  }

  private corner(wire = this.sentWire): void {
    const { cornerPs, cornerWire } = this;
    const { nowPs } = this.host;
    if (this.way !== undefined) {
      const seenPs = nowPs - this.latencyPs(this.packetWire);
      let old = 0;
      while (old + 1 < cornerPs.length && (cornerPs[old + 1] as number) <= seenPs) old++;
      if (old > 16) {
        cornerPs.splice(0, old);
        cornerWire.splice(0, old);
      }
    }
    cornerPs.push(nowPs);
    cornerWire.push(wire);
  }

  private deliveredWire(): number {
    if (this.way === undefined || this.state === 'stopped') return this.arrivedWire;
    const seen = this.sentAt(this.host.nowPs - this.latencyPs(this.packetWire));
    // A message's last packet may be smaller and so earlier; but none arrives whole before its event has come.
    const waits = this.messages[this.arriving];
    return Math.max(
      this.arrivedWire,
      Math.min(seen, waits === undefined ? seen : Math.max(waits.startWire, waits.endWire - 1)),
    );
  }

  private messageAt(wire: number): Message | undefined {
    for (let i = Math.min(this.arriving, this.acknowledging); i < this.messages.length; i++) {
      const message = this.messages[i] as Message;
      if (wire < message.endWire) return message;
    }
    return undefined;
  }

  private byteAt(wire: number): number {
    if (wire <= this.arrivedWire) return this.arrivedByte;
    const message = this.messageAt(wire);
    if (message === undefined) return this.endByte;
    const { mtuBytes, overheadBytes } = this.host;
    if (message.endByte === NEVER)
      return message.startByte + ((wire - message.startWire) * mtuBytes) / (mtuBytes + overheadBytes);
    const share = (wire - message.startWire) / (message.endWire - message.startWire);
    return message.startByte + share * (message.endByte - message.startByte);
  }

  private packetAt(wire: number): number {
    const message = this.messageAt(wire);
    if (message === undefined) return this.endPacket;
    return message.startPacket + Math.floor((wire - message.startWire) / this.packetWire);
  }

  private acksAt(packet: number): number {
    return Math.floor(packet / ACK_EVERY_PACKETS);
  }

  private count(): void {
    if (this.way === undefined) return;
    const packet = this.packetAt(this.sentWire);
    const message = this.messages[this.sending];
    const wire =
      message === undefined
        ? this.sentWire
        : Math.min(this.sentWire, message.startWire + (packet - message.startPacket) * this.packetWire);
    const acks = this.acksAt(packet);
    if (packet > this.countedPackets) {
      this.host.carried(this, {
        packets: packet - this.countedPackets,
        wire: wire - this.countedWire,
        acks: Math.max(0, acks - this.countedAcks),
        useless: false,
      });
      this.countedPackets = packet;
      this.countedWire = wire;
      this.countedAcks = acks;
    }
    const useless = Math.floor(this.uselessWire / this.packetWire) - this.uselessPackets;
    if (useless > 0) {
      this.host.carried(this, { packets: useless, wire: useless * this.packetWire, acks: 0, useless: true });
      this.uselessPackets += useless;
    }
    this.packetsIn = Math.max(this.packetsIn, Math.min(this.countedPackets, this.packetAt(this.deliveredWire())));
  }

  // ---- sending ----

  private shouldLoad(): boolean {
    if (this.state === 'stopped') return false;
    return this.state === 'good' ? this.sending < this.messages.length : this.voidWire < this.endWire;
  }

  private start(): void {
    this.reroute();
    if (this.joined) return;
    if (this.state === 'void' && this.passes) this.expectNak();
    this.begin();
  }

  private plan(): void {
    const inVoid = this.state === 'void';
    const message = this.messages[this.sending];
    const whole = message === undefined ? 0 : message.endWire - message.startWire;
    const left = inVoid ? this.endWire - this.anchorVoid : whole - this.anchorOffset;
    const rate = inVoid ? this.wireBps : this.goodBps;
    // From the anchor, and rounded before the time is added: the same at any time of the day.
    if (left > 0) this.onPlan(rate > 0 ? this.anchorPs + Math.ceil((left * 8e12) / rate) : NEVER);
    else this.onPlan(this.host.nowPs);
  }

  /** Set by the engine: when the flow departs. */
  onPlan: (departPs: number) => void = () => undefined;

  // ---- arriving ----

  private expect(message: Message, laterPs = 0): void {
    const plan = ++message.plan;
    const { nowPs } = this.host;
    const delayPs = Math.max(this.lastArrivalPs - nowPs, this.latencyPs(message.lastPacketWire) + laterPs);
    this.lastArrivalPs = nowPs + delayPs;
    this.host.after(delayPs, () => {
      if (message.plan !== plan) return;
      this.settle();
      this.arrivedWire = message.endWire;
      this.arrivedByte = message.endByte;
      this.arriving++;
      this.settle();
      this.host.after(this.backPs(), () => {
        if (message.plan !== plan) return;
        this.acknowledging++;
        this.forget();
        message.onAcknowledged?.();
      });
      message.onDelivered?.();
    });
  }

  private forget(): void {
    const done = Math.min(this.acknowledging, this.arriving, this.sending);
    if (done < 64 && done < this.messages.length) return;
    this.messages.splice(0, done);
    this.sending -= done;
    this.arriving -= done;
    this.acknowledging -= done;
  }

  /** Delay or loss of a way has changed: what is sent from now on arrives by the new one. */
  private retime(): void {
    if (this.joined) this.setRate(this.wireBps);
  }

  // ---- the void ----

  private breakOff(before: Way, wasSending: boolean): void {
    const way = this.way as Way;
    const { nowPs } = this.host;
    const lag = way.whole ? 0 : this.host.lagPs(before, way);
    const latency = Math.round(before.delayPs + before.forwardPsPerByte * this.packetWire);
    const kept = Math.max(this.arrivedWire, this.sentAt(nowPs - (way.whole ? latency : lag)));
    if (kept >= this.sentWire && !wasSending) return;
    this.enterVoid(kept, nowPs - lag + latency + this.backPs() + this.host.timeoutPs);
  }

  private enterVoid(keptWire: number, deadlinePs: number): void {
    const { host } = this;
    const sentWire = this.sentWire;
    this.anchor();
    this.state = 'void';
    this.goodBps = 0;
    this.keptWire = keptWire;
    this.anchorVoid = sentWire;
    // What had not passed does not arrive.
    for (let i = this.arriving; i < this.sending; i++) {
      const message = this.messages[i] as Message;
      if (message.endWire > keptWire) message.plan++;
    }
    while (this.cornerPs.length > 1 && (this.cornerWire.at(-1) as number) > keptWire) {
      this.cornerPs.pop();
      this.cornerWire.pop();
    }
    this.corner();
    this.cornerWire[this.cornerWire.length - 1] = keptWire;
    this.rewind();
    this.await(Math.max(host.nowPs, Math.round(deadlinePs)));
  }

  private rewind(): void {
    while (this.sending > 0 && (this.messages[this.sending - 1] as Message).endWire > this.keptWire) this.sending--;
    const packet = this.packetAt(this.keptWire);
    const again = this.countedPackets - packet;
    if (again > 0) {
      this.host.retransmits(this, again);
      this.countedPackets = packet;
      this.countedWire = Math.min(this.countedWire, this.keptWire);
      const message = this.messages[this.sending];
      if (message) this.countedWire = message.startWire + (packet - message.startPacket) * this.packetWire;
      this.countedAcks = this.acksAt(packet);
    }
    this.packetsIn = Math.min(this.packetsIn, this.countedPackets);
  }

  private await(deadlinePs: number): void {
    const stall = ++this.stall;
    this.host.after(deadlinePs - this.host.nowPs, () => {
      if (this.stall !== stall || this.state !== 'void') return;
      this.settle();
      this.host.timedOut(this);
      if (this.passes) this.resume();
      else {
        this.anchor();
        this.anchorVoid = this.keptWire;
        this.await(this.host.nowPs + this.host.timeoutPs);
        if (this.joined) this.plan();
        else this.host.join(this);
      }
    });
  }

  private expectNak(): void {
    const { stall } = this;
    this.host.after(Math.round(this.rttPs()), () => {
      if (this.stall === stall && this.state === 'void' && this.passes) this.resume();
    });
  }

  private resume(): void {
    this.settle();
    this.stall++;
    if (this.joined) this.host.leave(this);
    const message = this.messages[this.sending];
    this.state = 'good';
    this.anchorOffset = message === undefined ? 0 : this.keptWire - message.startWire;
    this.anchorPs = this.host.nowPs;
    this.lastArrivalPs = Math.max(this.lastArrivalPs, this.host.nowPs);
    this.cornerPs = [this.host.nowPs];
    this.cornerWire = [this.sentWire];
    if (this.shouldLoad()) this.host.join(this);
  }
}

const same = (a: Way, b: Way): boolean =>
  a.whole === b.whole &&
  a.dropPort === b.dropPort &&
  a.lostSpan === b.lostSpan &&
  a.links.length === b.links.length &&
  a.links.every((link, i) => link === b.links[i]);
