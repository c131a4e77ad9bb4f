import type {
  CongestionControl,
  Feedback,
  Telemetry,
} from '../../../emulators/fabric-sim/transport/congestion-control.ts';
import { lawNamed, lawParameters } from '../../../emulators/fabric-sim/transport/laws.ts';

export interface OneQueueOptions {
  readonly law: string;
  readonly parameters?: Readonly<Record<string, number>>;
  /** One way to and from the switch for each flow's receiver, ps; as many flows. */
  readonly receiverDelaysPs: readonly number[];
  readonly senderDelayPs: number;
  /** Payload bytes per flow; Infinity for endless. */
  readonly bytes: number;
  readonly rateBps: number;
  readonly mtuBytes: number;
  readonly overheadBytes: number;
  readonly ackBytes: number;
  readonly kminBytes: number;
  readonly kmaxBytes: number;
  readonly pmax: number;
  /** Times that are rounded to this, ps: simulators with a clock of whole nanoseconds. */
  readonly clockPs?: number;
  readonly seed?: number;
  readonly untilPs?: number;
  /** Flow i starts at i times this; all at 0 when absent. */
  readonly startEveryPs?: number;
  /** Mean queue and utilisation from here on; from 0 when absent. */
  readonly measureFromPs?: number;
  /** Called after every acknowledgement. */
  readonly onAcknowledged?: (control: CongestionControl, nowPs: number) => void;
}

interface Packet {
  readonly flow: Sender;
  readonly end: number;
  readonly wireBytes: number;
  readonly sentPs: number;
  marked: boolean;
  queueBytes: number;
  txBytes: number;
  servedPs: number;
}

interface Sender {
  readonly control: CongestionControl;
  readonly receiverDelayPs: number;
  nextByte: number;
  acknowledgedByte: number;
  nextAtPs: number;
  wakeAtPs: number;
  lastStartPs: number;
  lastWireBytes: number;
  finishedPs: number;
}

/**
 * Senders on links of their own into one lossless queue: each congestion control law in the smallest network that gives it feedback,
 * written apart from the simulator so that the two can be held against each other. Every packet is acknowledged; marks and
 * telemetry are taken as a packet leaves the queue, of what stays behind; acknowledgements never queue.
 */
export function oneQueue(options: OneQueueOptions) {
  const { rateBps, mtuBytes, overheadBytes, kminBytes, kmaxBytes, senderDelayPs } = options;
  const kind = lawNamed(options.law);
  const parameters = lawParameters(kind, options.parameters);
  const clockPs = options.clockPs ?? 1;
  const events = new Agenda();
  const draw = dice(options.seed ?? 1);
  const timeOf = (wireBytes: number, bps: number) => Math.round((wireBytes * 8e12) / bps / clockPs) * clockPs;

  const senders: Sender[] = options.receiverDelaysPs.map(receiverDelayPs => {
    const wire = timeOf(mtuBytes + overheadBytes, rateBps) + timeOf(options.ackBytes, rateBps);
    const path = {
      lineBps: rateBps,
      bottleneckBps: rateBps,
      mtuBytes,
      overheadBytes,
      baseRttPs: 2 * (senderDelayPs + receiverDelayPs + wire),
      hops: 1,
      interSite: receiverDelayPs > 50e6,
    };
    return {
      control: kind.create(path, parameters),
      receiverDelayPs,
      nextByte: 0,
      acknowledgedByte: 0,
      nextAtPs: 0,
      wakeAtPs: -1,
      lastStartPs: 0,
      lastWireBytes: 0,
      finishedPs: Number.NaN,
    };
  });

  const waiting: Packet[] = [];
  let queueBytes = 0;
  let txBytes = 0;
  let busy = false;
  let queueIntegral = 0;
  let queueSincePs = 0;
  const changeQueue = (bytes: number) => {
    queueIntegral += queueBytes * (events.nowPs - queueSincePs);
    queueSincePs = events.nowPs;
    queueBytes += bytes;
  };

  const serve = () => {
    const packet = waiting.shift();
    busy = packet !== undefined;
    if (packet === undefined) return;
    changeQueue(-packet.wireBytes);
    const probability = (options.pmax * (queueBytes - kminBytes)) / (kmaxBytes - kminBytes);
    packet.marked = queueBytes > kmaxBytes || (queueBytes > kminBytes && draw() < probability);
    packet.queueBytes = queueBytes;
    packet.txBytes = txBytes;
    packet.servedPs = events.nowPs;
    txBytes += packet.wireBytes;
    const servicePs = timeOf(packet.wireBytes, rateBps);
    events.in(servicePs, serve);
    const backPs = packet.flow.receiverDelayPs + senderDelayPs + 2 * timeOf(options.ackBytes, rateBps);
    events.in(servicePs + packet.flow.receiverDelayPs + backPs, () => acknowledge(packet));
  };

  const send = (flow: Sender) => {
    const { control } = flow;
    for (;;) {
      const nowPs = events.nowPs;
      const payload = Math.min(mtuBytes, options.bytes - flow.nextByte);
      control.settle?.(nowPs);
      if (payload <= 0 || flow.nextByte - flow.acknowledgedByte + payload > control.windowBytes) return;
      if (flow.nextAtPs > nowPs) {
        const atPs = flow.nextAtPs;
        if (flow.wakeAtPs === atPs) return;
        flow.wakeAtPs = atPs;
        events.in(atPs - nowPs, () => {
          if (flow.wakeAtPs !== atPs) return;
          flow.wakeAtPs = -1;
          send(flow);
        });
        return;
      }
      flow.nextByte += payload;
      const wireBytes = payload + overheadBytes;
      const packet: Packet = {
        flow,
        end: flow.nextByte,
        wireBytes,
        sentPs: nowPs,
        marked: false,
        queueBytes: 0,
        txBytes: 0,
        servedPs: 0,
      };
      control.sent?.(nowPs, payload, flow.nextByte - flow.acknowledgedByte);
      control.settle?.(nowPs);
      flow.lastStartPs = nowPs;
      flow.lastWireBytes = wireBytes;
      flow.nextAtPs = nowPs + timeOf(wireBytes, Math.min(rateBps, control.rateBps));
      events.in(timeOf(wireBytes, rateBps) + senderDelayPs, () => {
        changeQueue(wireBytes);
        waiting.push(packet);
        if (!busy) serve();
      });
    }
  };

  const telemetry: Telemetry = {
    hops: 1,
    queueBytes: new Float64Array(1),
    txBytes: new Float64Array(1),
    atPs: new Float64Array(1),
    rateBps: new Float64Array([rateBps]),
  };
  const feedback: Feedback = {
    nowPs: 0,
    bytes: 0,
    packets: 1,
    marked: 0,
    rttPs: 0,
    inFlightBytes: 0,
    acknowledgedByte: 0,
    nextByte: 0,
    telemetry: kind.telemetry ? telemetry : undefined,
  };
  const acknowledge = (packet: Packet) => {
    const { flow } = packet;
    const { control } = flow;
    feedback.nowPs = events.nowPs;
    feedback.bytes = packet.end - flow.acknowledgedByte;
    flow.acknowledgedByte = packet.end;
    feedback.marked = packet.marked && kind.ecn ? 1 : 0;
    feedback.rttPs = events.nowPs - packet.sentPs;
    feedback.inFlightBytes = flow.nextByte - packet.end;
    feedback.acknowledgedByte = packet.end;
    feedback.nextByte = flow.nextByte;
    feedback.applicationLimited = flow.nextByte >= options.bytes;
    telemetry.queueBytes[0] = packet.queueBytes;
    telemetry.txBytes[0] = packet.txBytes;
    telemetry.atPs[0] = packet.servedPs;
    if (kind.cnp && packet.marked) control.notified?.(events.nowPs, 1, 0);
    control.acknowledged?.(feedback);
    options.onAcknowledged?.(control, events.nowPs);
    if (kind.repaces) flow.nextAtPs = flow.lastStartPs + timeOf(flow.lastWireBytes, Math.min(rateBps, control.rateBps));
    if (packet.end >= options.bytes) flow.finishedPs = events.nowPs;
    send(flow);
  };

  for (const [i, flow] of senders.entries()) events.in(i * (options.startEveryPs ?? 0), () => send(flow));
  const fromPs = options.measureFromPs ?? 0;
  let fromBytes = 0;
  events.in(fromPs, () => {
    changeQueue(0);
    queueIntegral = 0;
    fromBytes = txBytes;
  });
  events.run(options.untilPs ?? Number.POSITIVE_INFINITY);
  changeQueue(0);
  return {
    /** ps; NaN for flows that have not finished. */
    finishedPs: senders.map(({ finishedPs }) => finishedPs),
    acknowledgedBytes: senders.map(({ acknowledgedByte }) => acknowledgedByte),
    /** Without the packet that is being sent. */
    meanQueueBytes: queueIntegral / (events.nowPs - fromPs),
    utilisation: ((txBytes - fromBytes) * 8e12) / rateBps / (events.nowPs - fromPs),
  };
}

/** Binary heap of what is to be done when; ties in the order they were asked for. */
class Agenda {
  nowPs = 0;
  private readonly entries: { readonly atPs: number; readonly turn: number; readonly act: () => void }[] = [];
  private turns = 0;

  in(delayPs: number, act: () => void): void {
    const { entries } = this;
    const entry = { atPs: this.nowPs + delayPs, turn: this.turns++, act };
    let at = entries.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(entry, entries[parent] as typeof entry)) break;
      entries[at] = entries[parent] as typeof entry;
      at = parent;
    }
    entries[at] = entry;
  }

  run(untilPs: number): void {
    const { entries } = this;
    for (let first = entries[0]; first !== undefined && first.atPs <= untilPs; first = entries[0]) {
      const last = entries.pop() as typeof first;
      if (entries.length > 0) {
        let at = 0;
        for (;;) {
          let child = 2 * at + 1;
          if (child >= entries.length) break;
          const other = entries[child + 1];
          if (other !== undefined && this.before(other, entries[child] as typeof last)) child++;
          if (!this.before(entries[child] as typeof last, last)) break;
          entries[at] = entries[child] as typeof last;
          at = child;
        }
        entries[at] = last;
      }
      this.nowPs = first.atPs;
      first.act();
    }
  }

  private before(
    a: { readonly atPs: number; readonly turn: number },
    b: { readonly atPs: number; readonly turn: number },
  ): boolean {
    return a.atPs < b.atPs || (a.atPs === b.atPs && a.turn < b.turn);
  }
}

/** Numbers in 0..1 by a 32-bit generator (mulberry32). */
export function dice(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
