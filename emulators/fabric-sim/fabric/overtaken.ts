import type { Actor } from './data-plane.ts';
import { COUNT, NEXT, NEXT_ARRIVES, PACKET_FLOAT_SHIFT, PACKET_SHIFT, type Packets } from './packets.ts';

export interface OvertakenOptions {
  readonly packets: Packets;
  /** Wakes this at that time; it has one time at most. */
  readonly wakeAt: (atPs: number) => void;
  readonly arrive: (packet: number) => void;
}

/**
 * Packets of one span direction that took a longer way and may be overtaken by those of its link: a second FIFO beside the link, so
 * that there is one pending event for whatever is in flight here too (see `link.ts`). Among themselves they keep their order.
 */
export class Overtaken implements Actor {
  private readonly options: OvertakenOptions;
  private head = -1;
  private tail = -1;
  private lastArrivalPs = 0;

  constructor(options: OvertakenOptions) {
    this.options = options;
  }

  carry(packet: number, arrivesAtPs: number): void {
    const { ints, floats } = this.options.packets;
    const atPs = Math.max(arrivesAtPs, this.lastArrivalPs);
    this.lastArrivalPs = atPs;
    ints[(packet << PACKET_SHIFT) + NEXT] = -1;
    if (this.tail === -1) {
      this.head = packet;
      this.options.wakeAt(atPs);
    } else {
      ints[(this.tail << PACKET_SHIFT) + NEXT] = packet;
      floats[(this.tail << PACKET_FLOAT_SHIFT) + NEXT_ARRIVES] = atPs;
    }
    this.tail = packet;
  }

  wake(): void {
    const packet = this.head;
    // Cut off since it was asked for.
    if (packet === -1) return;
    const { ints, floats } = this.options.packets;
    const next = ints[(packet << PACKET_SHIFT) + NEXT] as number;
    this.head = next;
    if (next === -1) this.tail = -1;
    else this.options.wakeAt(floats[(packet << PACKET_FLOAT_SHIFT) + NEXT_ARRIVES] as number);
    this.options.arrive(packet);
  }

  /** The list of packets under way, linked by NEXT, which are here no more. */
  sever(): number {
    const first = this.head;
    this.head = -1;
    this.tail = -1;
    this.lastArrivalPs = 0;
    return first;
  }

  /** Packets under way, counted one by one. */
  inFlight(): number {
    const { ints } = this.options.packets;
    let packets = 0;
    for (let packet = this.head; packet !== -1; packet = ints[(packet << PACKET_SHIFT) + NEXT] as number)
      packets += ints[(packet << PACKET_SHIFT) + COUNT] as number;
    return packets;
  }
}
