import type { EventQueue } from '../kernel/event-queue.ts';
import { ARRIVES_AT, NEXT, PACKET_FLOAT_SHIFT, PACKET_SHIFT, type Packets } from './packets.ts';
import { DELAY, LAST_ARRIVAL, LINK_HEAD, LINK_TAIL, PORT_FLOAT_SHIFT, PORT_SHIFT, type Ports } from './ports.ts';

/**
 * The links: each is a FIFO of packets on their way, with one pending event (source number = port number) for the oldest, whatever
 * is in flight: 5 ms of fibre at 400 Gb/s hold 60,000 packets and one event. A delay that has become shorter never lets a later
 * packet overtake.
 */
export class Links {
  private readonly ports: Ports;
  private readonly packets: Packets;
  private readonly events: EventQueue;

  constructor(ports: Ports, packets: Packets, events: EventQueue) {
    this.ports = ports;
    this.packets = packets;
    this.events = events;
  }

  /** Takes a packet whose last bit leaves the port at `sentAtPs`; the far end has it one delay later. */
  carry(port: number, packet: number, sentAtPs: number): void {
    const { ints, floats } = this.ports;
    const i = port << PORT_SHIFT;
    const f = port << PORT_FLOAT_SHIFT;
    let arrivesAt = sentAtPs + (floats[f + DELAY] as number);
    const last = floats[f + LAST_ARRIVAL] as number;
    if (arrivesAt < last) arrivesAt = last;
    floats[f + LAST_ARRIVAL] = arrivesAt;
    const packets = this.packets;
    packets.floats[(packet << PACKET_FLOAT_SHIFT) + ARRIVES_AT] = arrivesAt;
    packets.ints[(packet << PACKET_SHIFT) + NEXT] = -1;
    if (ints[i + LINK_HEAD] === -1) {
      ints[i + LINK_HEAD] = packet;
      ints[i + LINK_TAIL] = packet;
      this.events.push(arrivesAt, port);
    } else {
      packets.ints[((ints[i + LINK_TAIL] as number) << PACKET_SHIFT) + NEXT] = packet;
      ints[i + LINK_TAIL] = packet;
    }
  }

  /** The packet that arrives now; the link's event has just come. */
  take(port: number): number {
    const { ints } = this.ports;
    const i = port << PORT_SHIFT;
    const packet = ints[i + LINK_HEAD] as number;
    const next = this.packets.ints[(packet << PACKET_SHIFT) + NEXT] as number;
    ints[i + LINK_HEAD] = next;
    if (next === -1) ints[i + LINK_TAIL] = -1;
    else this.events.push(this.packets.floats[(next << PACKET_FLOAT_SHIFT) + ARRIVES_AT] as number, port);
    return packet;
  }

  /** Cuts the link: answers the list of packets that were on it, linked by NEXT. */
  sever(port: number): number {
    const { ints, floats } = this.ports;
    const i = port << PORT_SHIFT;
    const first = ints[i + LINK_HEAD] as number;
    ints[i + LINK_HEAD] = -1;
    ints[i + LINK_TAIL] = -1;
    floats[(port << PORT_FLOAT_SHIFT) + LAST_ARRIVAL] = 0; // nothing left to overtake
    this.events.remove(port);
    return first;
  }
}
