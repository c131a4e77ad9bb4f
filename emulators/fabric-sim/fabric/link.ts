import type { EventQueue } from '../kernel/event-queue.ts';
import * as packetLayout from './packets.ts';
import type { Packets } from './packets.ts';
import * as portLayout from './ports.ts';
import type { Ports } from './ports.ts';

// Copies: V8 folds a module's own constants into its code, imported ones are read at each use.
const { NEXT, NEXT_ARRIVES, PACKET_FLOAT_SHIFT, PACKET_SHIFT } = packetLayout;
const { DELAY, LAST_ARRIVAL, LINK_HEAD, LINK_TAIL, PORT_FLOAT_SHIFT, PORT_SHIFT } = portLayout;

/**
 * The links: each is a FIFO of packets on their way, with one pending event (source number = port number) for the oldest, whatever
 * is in flight: 5 ms of fibre at 400 Gb/s hold 60,000 packets and one event. A delay that has become shorter never lets a later
 * packet overtake.
 */
export interface Links {
  /** Takes a packet whose last bit leaves the port at `sentAtPs`; the far end has it one delay later. */
  carry(port: number, packet: number, sentAtPs: number): void;
  /** The packet that arrives now; the link's event has just come. */
  take(port: number): number;
  /** Cuts the link: answers the list of packets that were on it, linked by NEXT. */
  sever(port: number): number;
}

export function createLinks(ports: Ports, packets: Packets, events: EventQueue): Links {
  const { ints, floats } = ports;
  const { ints: packetInts, floats: packetFloats } = packets;

  return {
    carry(port, packet, sentAtPs) {
      const i = port << PORT_SHIFT;
      const f = port << PORT_FLOAT_SHIFT;
      let arrivesAt = sentAtPs + (floats[f + DELAY] as number);
      const last = floats[f + LAST_ARRIVAL] as number;
      if (arrivesAt < last) arrivesAt = last;
      floats[f + LAST_ARRIVAL] = arrivesAt;
      packetInts[(packet << PACKET_SHIFT) + NEXT] = -1;
      const tail = ints[i + LINK_TAIL] as number;
      ints[i + LINK_TAIL] = packet;
      if (tail === -1) {
        ints[i + LINK_HEAD] = packet;
        events.push(arrivesAt, port);
      } else {
        packetInts[(tail << PACKET_SHIFT) + NEXT] = packet;
        packetFloats[(tail << PACKET_FLOAT_SHIFT) + NEXT_ARRIVES] = arrivesAt;
      }
    },

    take(port) {
      const i = port << PORT_SHIFT;
      const packet = ints[i + LINK_HEAD] as number;
      const next = packetInts[(packet << PACKET_SHIFT) + NEXT] as number;
      ints[i + LINK_HEAD] = next;
      if (next === -1) ints[i + LINK_TAIL] = -1;
      else events.push(packetFloats[(packet << PACKET_FLOAT_SHIFT) + NEXT_ARRIVES] as number, port);
      return packet;
    },

    sever(port) {
      const i = port << PORT_SHIFT;
      const first = ints[i + LINK_HEAD] as number;
      ints[i + LINK_HEAD] = -1;
      ints[i + LINK_TAIL] = -1;
      floats[(port << PORT_FLOAT_SHIFT) + LAST_ARRIVAL] = 0; // nothing left to overtake
      events.remove(port);
      return first;
    },
  };
}
