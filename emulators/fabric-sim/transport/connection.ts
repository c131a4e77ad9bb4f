import type { FabricSettings } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { DataPlane } from '../fabric/data-plane.ts';
import * as eventQueue from '../kernel/event-queue.ts';
import { flowHash } from '../fabric/ecmp-hash.ts';
import type { Flow, FlowRequest, NicCount } from '../fabric/network.ts';
import * as packetLayout from '../fabric/packets.ts';
import { ACK_WIRE_BYTES, CNP_WIRE_BYTES } from '../fabric/wire-size.ts';
import type { CongestionControl, CongestionControlKind, Feedback } from './congestion-control.ts';
import { Flows } from './flows.ts';
import * as flowLayout from './flows.ts';
import { pathFacts } from './path-facts.ts';
import { Telemetries } from './telemetry.ts';

// Copies: V8 folds a module's own constants into its code, imported ones are read at each use.
const { NOW } = eventQueue;
const {
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
  STAMP,
  TARGET,
  WIRE_BYTES,
} = packetLayout;
const {
  ACK_EVERY,
  ACKED_BYTE,
  ANSWER_META,
  ANSWERS_CE,
  ASKED,
  BACK_HASH,
  CONTROLLED,
  DATA_META,
  DEADLINE,
  DELIVERY_END,
  DESTINATION,
  END_BYTE,
  EXPECTED,
  FLOW_SHIFT,
  FORTH_HASH,
  HEARS_ACKS,
  HIGHEST_BYTE,
  ACK_END,
  LAST_CNP,
  LAST_DATA,
  LAST_SENT_AT,
  LAST_WIRE,
  LINE_BPS,
  NAK_SENT,
  NEXT_AT,
  NEXT_BYTE,
  RING_NEXT,
  RING_PREVIOUS,
  SENDING_END,
  SINCE_ACK,
  SINCE_MARKED,
  SOURCE,
  STATE,
  STOPPED,
  TIMER,
  TIMER_SET,
  UNACKED_SINCE,
  WINDOW,
} = flowLayout;

/**
 * The responder acknowledges every 16th packet in order, the end of each message, and at once what it has seen before.
 * A slow flow is acknowledged at the first packet that comes 1/8 of the retransmission timeout after the oldest
 * unacknowledged one: 16 packets at 40 Mb/s take 13 ms, and the requester must not take that for loss.
 */
const ACK_EVERY_PACKETS = 16;
const ACK_TIMEOUT_SHARE = 1 / 8;

/** A slow flow's trains are shorter: none holds more than 8 us of its pace, or its law would hear of congestion too seldom. */
const TRAIN_PACE_PS = 8e6;

const NEVER = Number.POSITIVE_INFINITY;

type Callbacks = Pick<FlowRequest, 'onAcknowledged' | 'onDelivered'>;

interface Message extends Callbacks {
  readonly endByte: number;
}

/** Messages of one flow that are not over yet, with the index of the one being sent, acknowledged, delivered. */
interface Messages {
  list: Message[];
  sending: number;
  acknowledging: number;
  delivering: number;
}

export interface ConnectionsOptions {
  readonly plane: DataPlane;
  readonly settings: FabricSettings;
  readonly trainPackets: number;
  readonly overheadBytes: number;
  /** How flows are controlled; undefined for line rate. */
  readonly control:
    | { readonly kind: CongestionControlKind; readonly parameters: Readonly<Record<string, number>> }
    | undefined;
  /** Least time between two CNPs for one flow, ps. */
  readonly cnpIntervalPs: number;
}

/**
 * RoCEv2 reliable connections with go-back-N (InfiniBand Architecture Specification volume 1, section 9.7), and the NICs that carry them.
 *
 * - The NIC serves its flows in turn, a packet (train) each, each within its law's window and rate; a flow's next packet may start
 *   wire bytes x 8 / rate after the start of its last.
 * - The responder takes packets in order only. The first packet out of order since the last one in order is answered by a NAK
 *   with the byte it expects; the requester goes back there. Without progress for the retransmission timeout it goes back to the
 *   first byte not acknowledged, for ever: a job on a dead path hangs until routes come back.
 * - A packet with CE makes the responder send a CNP, at most one per flow and CNP interval (Zhu et al. 2015, section 3.1).
 * - The window limits sent minus acknowledged bytes: a packet goes when there is room for it, or when nothing is in flight.
 * - Where one acknowledgement answers several packets, the one that fills its law's window asks for an acknowledgement at once (AckReq
 *   of the base transport header); one more may go when the window has shrunk and nothing under way asks. A sender never waits for
 *   an acknowledgement that waits for the sender.
 *
 * What a flow knows is a flat record ({@link Flows}); an acknowledgement for every packet is the packet itself, turned round.
 */
export interface Connections {
  readonly nics: readonly NicCount[];
  open(request: FlowRequest & { readonly sourceHost: number; readonly targetHost: number }): Flow;
  /** Next packet of a host in round robin; see `Endpoints.pull`. */
  pull(host: number): number;
  /** See `Endpoints.ready`. */
  readonly ready: Float64Array;
  receive(packet: number): void;
}

export function createConnections(options: ConnectionsOptions): Connections {
  const { plane, settings, control, overheadBytes, trainPackets, cnpIntervalPs } = options;
  const { clock, packets } = plane;
  const { ints: packetInts, floats: packetFloats } = packets;
  const now = (): number => clock[NOW] as number;
  const { mtu, retransmitTimeout, window } = settings.roce;
  const mtuBytes = magnitude(mtu);
  const timeoutPs = Math.round(magnitude(retransmitTimeout) * 1000);
  const windowBytes = window === undefined ? NEVER : magnitude(window);
  if (!(mtuBytes >= 256 && Number.isInteger(mtuBytes)))
    throw new RangeError(`RoCE MTU ${mtu}: a whole number of bytes from 256 on is needed.`);
  if (!(timeoutPs > 0)) throw new RangeError(`RoCE retransmission timeout ${retransmitTimeout} must be more than 0.`);
  if (windowBytes < mtuBytes) throw new RangeError(`RoCE window ${window} holds no packet of ${mtu}.`);
  const { acknowledgeEvery, acknowledgementBytes } = settings.transport ?? {};
  const wanted = acknowledgeEvery ?? (control?.kind.acknowledgements === 'each' ? 1 : ACK_EVERY_PACKETS);
  if (!(Number.isInteger(wanted) && wanted >= 1))
    throw new RangeError(`An acknowledgement for every ${wanted} packets.`);
  // Half a window at most, or the sender would wait for an ACK that waits for the sender.
  const ackEvery = Math.max(1, Math.min(wanted, Math.floor(windowBytes / mtuBytes / 2)));
  const ackBytes = acknowledgementBytes === undefined ? ACK_WIRE_BYTES : magnitude(acknowledgementBytes);
  const rings = new Int32Array(plane.wiring.hosts).fill(-1);
  const nics: NicCount[] = Array.from({ length: plane.wiring.hosts }, () => ({
    cnpSent: 0,
    cnpHandled: 0,
    outOfSequence: 0,
    timeouts: 0,
    retransmittedPackets: 0,
  }));
  const telemetries = control?.kind.telemetry === true ? new Telemetries(plane) : undefined;
  if (telemetries !== undefined) plane.stampWith(telemetries);
  const feedback: Feedback = {
    nowPs: 0,
    bytes: 0,
    packets: 0,
    marked: 0,
    rttPs: Number.NaN,
    inFlightBytes: 0,
    acknowledgedByte: 0,
    nextByte: 0,
    telemetry: undefined,
  };

  const flows = new Flows();
  const messagesOf: Messages[] = [];
  const laws: (CongestionControl | undefined)[] = [];
  /** `ready[0]`: after `pull`, when the host's next packet may leave. */
  const ready = new Float64Array(1);

  function open(request: FlowRequest & { readonly sourceHost: number; readonly targetHost: number }): Flow {
    const { wiring } = plane;
    const { sourceHost: source, targetHost: target, entropy } = request;
    const id = flows.add();
    const { ints, floats } = flows;
    const at = id << FLOW_SHIFT;
    ints[at + SOURCE] = source;
    ints[at + DESTINATION] = target;
    ints[at + FORTH_HASH] = flowHash(source, target, entropy);
    ints[at + BACK_HASH] = flowHash(target, source, entropy);
    ints[at + RING_NEXT] = -1;
    ints[at + RING_PREVIOUS] = -1;
    ints[at + TIMER] = plane.enrol({ wake: () => timeout(id) });
    ints[at + ACK_EVERY] = ackEvery;
    const followed = request.deaf === true ? undefined : control;
    // RoCE marks its packets ECN-capable whether anybody listens or not.
    const ecn = control?.kind.ecn === false ? 0 : ECN_CAPABLE;
    ints[at + DATA_META] = DATA | (plane.dataPriority << PRIORITY_SHIFT) | ecn | (entropy << ENTROPY_SHIFT);
    ints[at + ANSWER_META] = ACK | (plane.controlPriority << PRIORITY_SHIFT) | (entropy << ENTROPY_SHIFT);
    floats[at + LINE_BPS] = wiring.rateBps[wiring.portsOf[source]?.[0] as number] as number;
    floats[at + DELIVERY_END] = NEVER;
    floats[at + ACK_END] = NEVER;
    floats[at + LAST_CNP] = Number.NEGATIVE_INFINITY;
    floats[at + WINDOW] = windowBytes;
    let law: CongestionControl | undefined;
    if (followed !== undefined) {
      const facts = pathFacts(plane, {
        source,
        target,
        entropy,
        mtuBytes,
        overheadBytes,
        ackBytes,
      });
      law = followed.kind.create(facts, followed.parameters);
      ints[at + STATE] = CONTROLLED | (law.acknowledged === undefined ? 0 : HEARS_ACKS);
    }
    if (control?.kind.cnp === true) ints[at + STATE] = (ints[at + STATE] as number) | ANSWERS_CE;
    laws.push(law);
    messagesOf.push({ list: [], sending: 0, acknowledging: 0, delivering: 0 });
    const flow: Flow = {
      id,
      delivered: () => flows.floats[at + EXPECTED] as number,
      rateBps: () => rateOf(id),
      send: (bytes, callbacks) => send(id, bytes, callbacks ?? {}),
      stop: () => stop(id),
    };
    send(id, request.bytes, request);
    return flow;
  }

  // ---- the NIC: whose turn is it -----------------------------------------------------------------------------------

  /** Next packet of a host in round robin; see `Endpoints.pull`. */
  function pull(host: number): number {
    const first = rings[host] as number;
    ready[0] = NEVER;
    if (first === -1) return -1;
    const { ints, floats } = flows;
    const nowPs = now();
    let flow = first;
    do {
      const at = flow << FLOW_SHIFT;
      const nextAt = floats[at + NEXT_AT] as number;
      if (nextAt <= nowPs) {
        rings[host] = ints[at + RING_NEXT] as number;
        const packet = emit(flow, nowPs);
        const rest = rings[host] as number;
        // One flow left: its own pace says when. More: ask again when the port is free.
        if (rest !== -1) {
          const alone = ints[(rest << FLOW_SHIFT) + RING_NEXT] === rest;
          ready[0] = alone ? (floats[(rest << FLOW_SHIFT) + NEXT_AT] as number) : nowPs;
        }
        return packet;
      }
      if (nextAt < (ready[0] as number)) ready[0] = nextAt;
      flow = ints[at + RING_NEXT] as number;
    } while (flow !== first);
    return -1;
  }

  function join(flow: number): void {
    const { ints } = flows;
    const at = flow << FLOW_SHIFT;
    if (ints[at + RING_NEXT] !== -1) return;
    const host = ints[at + SOURCE] as number;
    const ring = rings[host] as number;
    if (ring === -1) {
      ints[at + RING_NEXT] = flow;
      ints[at + RING_PREVIOUS] = flow;
      rings[host] = flow;
    } else {
      const ringAt = ring << FLOW_SHIFT;
      const last = ints[ringAt + RING_PREVIOUS] as number;
      ints[(last << FLOW_SHIFT) + RING_NEXT] = flow;
      ints[at + RING_PREVIOUS] = last;
      ints[at + RING_NEXT] = ring;
      ints[ringAt + RING_PREVIOUS] = flow;
    }
    plane.kick(host);
  }

  function leave(flow: number): void {
    const { ints } = flows;
    const at = flow << FLOW_SHIFT;
    const next = ints[at + RING_NEXT] as number;
    if (next === -1) return;
    const host = ints[at + SOURCE] as number;
    if (next === flow) rings[host] = -1;
    else {
      const previous = ints[at + RING_PREVIOUS] as number;
      ints[(previous << FLOW_SHIFT) + RING_NEXT] = next;
      ints[(next << FLOW_SHIFT) + RING_PREVIOUS] = previous;
      if (rings[host] === flow) rings[host] = next;
    }
    ints[at + RING_NEXT] = -1;
    ints[at + RING_PREVIOUS] = -1;
  }

  // ---- requester ---------------------------------------------------------------------------------------------------

  function rateOf(flow: number): number {
    const law = laws[flow];
    const line = flows.floats[(flow << FLOW_SHIFT) + LINE_BPS] as number;
    if (law === undefined) return line;
    law.settle?.(now());
    return Math.min(line, law.rateBps);
  }

  function send(flow: number, bytes: number, { onAcknowledged, onDelivered }: Callbacks): void {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    if (!(bytes > 0) || (bytes !== NEVER && !Number.isInteger(bytes)))
      throw new RangeError(`A flow can not send ${bytes} bytes.`);
    if (((ints[at + STATE] as number) & STOPPED) !== 0) throw new RangeError(`Flow ${flow} is stopped.`);
    const endByte = (floats[at + END_BYTE] as number) + bytes;
    floats[at + END_BYTE] = endByte;
    const messages = messagesOf[flow] as Messages;
    messages.list.push({
      endByte,
      ...(onAcknowledged && { onAcknowledged }),
      ...(onDelivered && { onDelivered }),
    });
    if (messages.list.length - messages.acknowledging === 1) floats[at + ACK_END] = endByte;
    if (messages.list.length - messages.delivering === 1) floats[at + DELIVERY_END] = endByte;
    resume(flow);
  }

  function stop(flow: number): void {
    const { ints } = flows;
    const at = flow << FLOW_SHIFT;
    ints[at + STATE] = (ints[at + STATE] as number) | STOPPED;
    // The same object: a callback that stops its flow ends the round of callbacks it is in.
    Object.assign(messagesOf[flow] as Messages, { list: [], sending: 0, acknowledging: 0, delivering: 0 });
    leave(flow);
  }

  function maySend(flow: number): boolean {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    const state = ints[at + STATE] as number;
    const next = floats[at + NEXT_BYTE] as number;
    if ((state & STOPPED) !== 0 || next >= (floats[at + END_BYTE] as number)) return false;
    let window = floats[at + WINDOW] as number;
    if ((state & CONTROLLED) !== 0) {
      const own = (laws[flow] as CongestionControl).windowBytes;
      if (own < window) window = own;
    }
    const inFlight = next - (floats[at + ACKED_BYTE] as number);
    // Room for a whole packet; a window smaller than that lets one go at a time.
    if (window === NEVER || inFlight === 0) return true;
    const left = (floats[at + END_BYTE] as number) - next;
    if (inFlight + (left < mtuBytes ? left : mtuBytes) <= window) return true;
    return ackEvery > 1 && (state & (CONTROLLED | ASKED)) === CONTROLLED && window < (floats[at + WINDOW] as number);
  }

  /** Lets the packet that leaves its law's window without room for another ask for an acknowledgement. */
  function askAtEnd(flow: number, packet: number): void {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    const own = (laws[flow] as CongestionControl).windowBytes;
    if (own >= (floats[at + WINDOW] as number)) return;
    const next = floats[at + NEXT_BYTE] as number;
    const left = (floats[at + END_BYTE] as number) - next;
    if (next - (floats[at + ACKED_BYTE] as number) + (left < mtuBytes ? left : mtuBytes) <= own) return;
    const p = packet << PACKET_SHIFT;
    packetInts[p + META] = (packetInts[p + META] as number) | ASKS;
    ints[at + STATE] = (ints[at + STATE] as number) | ASKED;
  }

  function resume(flow: number): void {
    if (maySend(flow)) join(flow);
    // A late ACK may have covered all that go-back-N had queued again.
    else leave(flow);
  }

  /** The next packet (train). Only while the flow is in its NIC's ring. */
  function emit(flow: number, nowPs: number): number {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    const state = ints[at + STATE] as number;
    const next = floats[at + NEXT_BYTE] as number;
    if (next >= (floats[at + SENDING_END] as number)) nextMessage(flow);
    const left = (floats[at + SENDING_END] as number) - next;
    let payload = left < mtuBytes ? left : mtuBytes;
    let count = 1;
    if (trainPackets > 1) {
      const law = laws[flow];
      const window = Math.min(floats[at + WINDOW] as number, law?.windowBytes ?? NEVER);
      const open = window - (next - (floats[at + ACKED_BYTE] as number));
      // A window cuts a train at whole packets, the first of which always goes.
      const most = Math.min(trainPackets, Math.max(1, Math.floor(open / mtuBytes)), paceLimit(law));
      payload = Math.min(left, most * mtuBytes);
      count = Math.ceil(payload / mtuBytes);
    }
    const wire = payload + count * overheadBytes;
    let meta = ints[at + DATA_META] as number;
    const again = next < (floats[at + HIGHEST_BYTE] as number);
    if (again) {
      meta |= AGAIN;
      nic(ints[at + SOURCE] as number).retransmittedPackets += count;
    }
    const packet = packets.take(meta, flow, ints[at + DESTINATION] as number, ints[at + FORTH_HASH] as number);
    const p = packet << PACKET_SHIFT;
    const f = packet << PACKET_FLOAT_SHIFT;
    packetInts[p + COUNT] = count;
    packetInts[p + PAYLOAD_BYTES] = payload;
    packetInts[p + WIRE_BYTES] = wire;
    packetFloats[f + SEQUENCE] = next;
    packetFloats[f + STAMP] = nowPs;
    telemetries?.begin(packet);

    const acked = floats[at + ACKED_BYTE] as number;
    if (next === acked) floats[at + DEADLINE] = nowPs + timeoutPs;
    if ((state & TIMER_SET) === 0) {
      ints[at + STATE] = state | TIMER_SET;
      plane.wakeAt(floats[at + DEADLINE] as number, ints[at + TIMER] as number);
    }
    const after = next + payload;
    floats[at + NEXT_BYTE] = after;
    if (!again) floats[at + HIGHEST_BYTE] = after;
    if ((state & CONTROLLED) !== 0) {
      const law = laws[flow] as CongestionControl;
      law.sent?.(nowPs, payload, after - acked);
      law.settle?.(nowPs);
      const line = floats[at + LINE_BPS] as number;
      // Faster than the line is paced by the port itself.
      const rate = law.rateBps < line ? law.rateBps : line;
      floats[at + NEXT_AT] = nowPs + Math.round((wire * 8e12) / rate);
      floats[at + LAST_SENT_AT] = nowPs;
      ints[at + LAST_WIRE] = wire;
      if (ackEvery > 1) askAtEnd(flow, packet);
    }
    if (!maySend(flow)) leave(flow);
    return packet;
  }

  function nextMessage(flow: number): void {
    const { floats } = flows;
    const at = flow << FLOW_SHIFT;
    const messages = messagesOf[flow] as Messages;
    const next = floats[at + NEXT_BYTE] as number;
    while ((messages.list[messages.sending] as Message).endByte <= next) messages.sending++;
    floats[at + SENDING_END] = (messages.list[messages.sending] as Message).endByte;
  }

  /** Packets that the flow sends within {@link TRAIN_PACE_PS} at its present rate, at least one. */
  function paceLimit(law: CongestionControl | undefined): number {
    if (law === undefined || law.rateBps === NEVER) return trainPackets;
    const bits = (law.rateBps / 1e12) * TRAIN_PACE_PS;
    return Math.max(1, Math.floor(bits / (8 * (mtuBytes + overheadBytes))));
  }

  function takeAck(flow: number, packet: number, isNak: boolean): void {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    const state = ints[at + STATE] as number;
    const f = packet << PACKET_FLOAT_SHIFT;
    const expected = packetFloats[f + SEQUENCE] as number;
    if ((state & STOPPED) !== 0) {
      packets.give(packet);
      return;
    }
    if (((packetInts[(packet << PACKET_SHIFT) + META] as number) & ASKS) !== 0) ints[at + STATE] = state & ~ASKED;
    const before = floats[at + ACKED_BYTE] as number;
    if (expected > before) {
      floats[at + ACKED_BYTE] = expected;
      floats[at + DEADLINE] = now() + timeoutPs;
      // A late ACK may cover what go-back-N was about to send again.
      if ((floats[at + NEXT_BYTE] as number) < expected) floats[at + NEXT_BYTE] = expected;
    }
    if ((state & HEARS_ACKS) !== 0) tell(flow, packet, expected - before);
    packets.give(packet);
    if (isNak && expected === floats[at + ACKED_BYTE]) {
      laws[flow]?.lost?.(now(), 'out-of-order', (floats[at + NEXT_BYTE] as number) - expected);
      goBack(flow);
    }
    resume(flow);
    if ((floats[at + ACK_END] as number) <= (floats[at + ACKED_BYTE] as number)) acknowledgeMessages(flow);
  }

  /** Passes an acknowledgement on to the flow's law. */
  function tell(flow: number, packet: number, newBytes: number): void {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    const p = packet << PACKET_SHIFT;
    const nowPs = now();
    const stamp = packetFloats[(packet << PACKET_FLOAT_SHIFT) + STAMP] as number;
    feedback.nowPs = nowPs;
    feedback.bytes = newBytes > 0 ? newBytes : 0;
    feedback.packets = packetInts[p + PAYLOAD_BYTES] as number;
    feedback.marked = packetInts[p + MARKED] as number;
    feedback.rttPs = ((packetInts[p + META] as number) & AGAIN) === 0 ? nowPs - stamp : Number.NaN;
    feedback.acknowledgedByte = floats[at + ACKED_BYTE] as number;
    feedback.nextByte = floats[at + HIGHEST_BYTE] as number;
    feedback.inFlightBytes = (floats[at + NEXT_BYTE] as number) - feedback.acknowledgedByte;
    feedback.telemetry = telemetries?.read(packet);
    const law = laws[flow] as CongestionControl;
    law.settle?.(nowPs);
    law.acknowledged?.(feedback);
    if (control?.kind.repaces === true && (floats[at + NEXT_AT] as number) > nowPs) {
      const rate = Math.min(law.rateBps, floats[at + LINE_BPS] as number);
      const gap = Math.round(((ints[at + LAST_WIRE] as number) * 8e12) / rate);
      floats[at + NEXT_AT] = (floats[at + LAST_SENT_AT] as number) + gap;
      plane.kick(ints[at + SOURCE] as number);
    }
  }

  function acknowledgeMessages(flow: number): void {
    const at = flow << FLOW_SHIFT;
    const messages = messagesOf[flow] as Messages;
    const acked = flows.floats[at + ACKED_BYTE] as number;
    while (messages.acknowledging < messages.list.length) {
      const message = messages.list[messages.acknowledging] as Message;
      if (message.endByte > acked) break;
      messages.acknowledging++;
      flows.floats[at + ACK_END] = messages.list[messages.acknowledging]?.endByte ?? NEVER;
      message.onAcknowledged?.();
    }
    forget(messages);
  }

  function goBack(flow: number): void {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    ints[at + STATE] = (ints[at + STATE] as number) & ~ASKED;
    const messages = messagesOf[flow] as Messages;
    const next = floats[at + ACKED_BYTE] as number;
    floats[at + NEXT_BYTE] = next;
    while (messages.sending > 0 && (messages.list[messages.sending - 1] as Message).endByte > next) messages.sending--;
    floats[at + SENDING_END] = 0;
  }

  /** The retransmission timer. It is set once and moved on lazily: one event per timeout, not per packet. */
  function timeout(flow: number): void {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    const state = (ints[at + STATE] as number) & ~TIMER_SET;
    ints[at + STATE] = state;
    const inFlight = (floats[at + NEXT_BYTE] as number) - (floats[at + ACKED_BYTE] as number);
    if ((state & STOPPED) !== 0 || inFlight === 0) return;
    if ((floats[at + DEADLINE] as number) <= now()) {
      nic(ints[at + SOURCE] as number).timeouts++;
      laws[flow]?.lost?.(now(), 'timeout', inFlight);
      goBack(flow);
      floats[at + DEADLINE] = now() + timeoutPs;
      resume(flow);
    }
    // `resume` may have sent nothing yet: the NIC has its turn later.
    ints[at + STATE] = (ints[at + STATE] as number) | TIMER_SET;
    plane.wakeAt(floats[at + DEADLINE] as number, ints[at + TIMER] as number);
  }

  function takeCnp(flow: number, packet: number): void {
    const { ints } = flows;
    const at = flow << FLOW_SHIFT;
    const count = packetInts[(packet << PACKET_SHIFT) + COUNT] as number;
    packets.give(packet);
    const law = laws[flow];
    if (((ints[at + STATE] as number) & STOPPED) !== 0 || law === undefined) return;
    nic(ints[at + SOURCE] as number).cnpHandled += count;
    law.notified?.(now(), count, count * cnpIntervalPs);
  }

  // ---- responder ---------------------------------------------------------------------------------------------------

  function receive(packet: number): void {
    const p = packet << PACKET_SHIFT;
    const flow = packetInts[p + OWNER] as number;
    const kind = (packetInts[p + META] as number) & KIND_MASK;
    if (kind === DATA) takeData(flow, packet);
    else if (kind === CNP) takeCnp(flow, packet);
    else takeAck(flow, packet, kind === NAK);
  }

  function takeData(flow: number, packet: number): void {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    const p = packet << PACKET_SHIFT;
    const state = ints[at + STATE] as number;
    if ((state & STOPPED) !== 0) {
      packets.give(packet);
      return;
    }
    const nowPs = now();
    const sequence = packetFloats[(packet << PACKET_FLOAT_SHIFT) + SEQUENCE] as number;
    const end = sequence + (packetInts[p + PAYLOAD_BYTES] as number);
    const count = packetInts[p + COUNT] as number;
    const marked = packetInts[p + MARKED] as number;
    if ((state & ANSWERS_CE) !== 0) {
      if (marked > 0) notice(flow, marked);
      floats[at + LAST_DATA] = nowPs;
    }
    const expected = floats[at + EXPECTED] as number;
    if (sequence > expected) {
      nic(ints[at + DESTINATION] as number).outOfSequence += count;
      if ((state & NAK_SENT) !== 0) packets.give(packet);
      else {
        ints[at + STATE] = state | NAK_SENT;
        packetInts[p + PAYLOAD_BYTES] = 0;
        turnRound(flow, packet, NAK, expected);
      }
      return;
    }
    if (end <= expected) {
      packetInts[p + PAYLOAD_BYTES] = 0;
      turnRound(flow, packet, ACK, expected);
      return;
    }
    floats[at + EXPECTED] = end;
    if ((state & NAK_SENT) !== 0) ints[at + STATE] = state & ~NAK_SENT;
    const since = (ints[at + SINCE_ACK] as number) + count;
    const sinceMarked = (ints[at + SINCE_MARKED] as number) + marked;
    if (since === count) floats[at + UNACKED_SINCE] = nowPs;
    const atEnd = (floats[at + DELIVERY_END] as number) <= end;
    if (
      since >= (ints[at + ACK_EVERY] as number) ||
      atEnd ||
      ((packetInts[p + META] as number) & ASKS) !== 0 ||
      nowPs - (floats[at + UNACKED_SINCE] as number) >= timeoutPs * ACK_TIMEOUT_SHARE
    ) {
      ints[at + SINCE_ACK] = 0;
      ints[at + SINCE_MARKED] = 0;
      packetInts[p + PAYLOAD_BYTES] = since;
      packetInts[p + MARKED] = sinceMarked;
      turnRound(flow, packet, ACK, end);
    } else {
      ints[at + SINCE_ACK] = since;
      ints[at + SINCE_MARKED] = sinceMarked;
      packets.give(packet);
    }
    if (atEnd) deliverMessages(flow, end);
  }

  /** Sends the packet back as the answer to itself: no record is taken or given, and its stamp and telemetry come along. */
  function turnRound(flow: number, packet: number, kind: number, expected: number): void {
    const { ints } = flows;
    const at = flow << FLOW_SHIFT;
    const p = packet << PACKET_SHIFT;
    const answer = (ints[at + ANSWER_META] as number) & ~KIND_MASK;
    packetInts[p + META] = answer | kind | ((packetInts[p + META] as number) & (AGAIN | ASKS));
    packetInts[p + TARGET] = ints[at + SOURCE] as number;
    packetInts[p + HASH] = ints[at + BACK_HASH] as number;
    packetInts[p + WIRE_BYTES] = ackBytes;
    packetInts[p + COUNT] = 1;
    packetInts[p + INGRESS] = -1;
    packetFloats[(packet << PACKET_FLOAT_SHIFT) + SEQUENCE] = expected;
    plane.sendFromHost(ints[at + DESTINATION] as number, packet);
  }

  function deliverMessages(flow: number, end: number): void {
    const at = flow << FLOW_SHIFT;
    const messages = messagesOf[flow] as Messages;
    while (messages.delivering < messages.list.length) {
      const message = messages.list[messages.delivering] as Message;
      if (message.endByte > end) break;
      messages.delivering++;
      flows.floats[at + DELIVERY_END] = messages.list[messages.delivering]?.endByte ?? NEVER;
      message.onDelivered?.();
    }
    forget(messages);
  }

  /**
   * One CNP, unless the last was too recent. For a train: as many as its packets would have drawn one by one, at the interval,
   * over the time since the train before; they travel as one unit and are played in that rhythm at the sender.
   */
  function notice(flow: number, marked: number): void {
    const { ints, floats } = flows;
    const at = flow << FLOW_SHIFT;
    const nowPs = now();
    const lastCnp = floats[at + LAST_CNP] as number;
    if (nowPs - lastCnp < cnpIntervalPs) return;
    const since = nowPs - Math.max(floats[at + LAST_DATA] as number, lastCnp);
    const count =
      marked === 1
        ? 1
        : Math.max(1, Math.min(marked, Math.floor(Math.min(since, TRAIN_PACE_PS) / Math.max(cnpIntervalPs, 1))));
    floats[at + LAST_CNP] = nowPs + (count - 1) * cnpIntervalPs;
    const target = ints[at + DESTINATION] as number;
    nic(target).cnpSent += count;
    const meta = ((ints[at + ANSWER_META] as number) & ~KIND_MASK) | CNP;
    const packet = packets.take(meta, flow, ints[at + SOURCE] as number, ints[at + BACK_HASH] as number);
    const p = packet << PACKET_SHIFT;
    packetInts[p + COUNT] = count;
    packetInts[p + WIRE_BYTES] = CNP_WIRE_BYTES * count;
    plane.sendFromHost(target, packet);
  }

  function nic(host: number): NicCount {
    return nics[host] as NicCount;
  }

  return {
    nics,
    open,
    pull,
    ready,
    receive,
  };
}

/** Drops messages that both ends are done with. */
function forget(messages: Messages): void {
  const done = Math.min(messages.acknowledging, messages.delivering, messages.sending);
  if (done === 0) return;
  if (done < 64 && done < messages.list.length - 1) return;
  messages.list.splice(0, done);
  messages.sending -= done;
  messages.acknowledging -= done;
  messages.delivering -= done;
}
