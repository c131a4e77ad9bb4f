/** What a packet is; also its place in `CLASS_OF`. */
export const DATA = 0;
export const ACK = 1;
export const NAK = 2;
export const CNP = 3;
export const DATAGRAM = 4;

/** Queues of a port, in strict order: priority 6, then 3 and 0 in turn. */
export const CONTROL_QUEUE = 0;
export const LOSSLESS_QUEUE = 1;
export const BEST_EFFORT_QUEUE = 2;

/** ACKs, NAKs and CNPs travel in priority 6, RoCE data in 3, probes in 0. */
export const CLASS_OF: readonly number[] = [
  LOSSLESS_QUEUE,
  CONTROL_QUEUE,
  CONTROL_QUEUE,
  CONTROL_QUEUE,
  BEST_EFFORT_QUEUE,
];

/** Packets (or trains of packets) in flat typed arrays with a free list. A number names one; -1 is none. */
export class PacketPool {
  next: Int32Array;
  kind: Uint8Array;
  /** Packets of the train that carry CE. */
  marked: Uint8Array;
  /** Packets in the train. */
  count: Int32Array;
  wireBytes: Int32Array;
  /** Wire bytes of the train's first packet. */
  firstBytes: Int32Array;
  payloadBytes: Int32Array;
  /** Byte of the flow that the payload starts at; for ACK and NAK the byte expected next. */
  sequence: Float64Array;
  /** Flow or stream that it belongs to. */
  owner: Int32Array;
  /** Index of the host that it goes to. */
  target: Int32Array;
  hash: Int32Array;
  /** Ingress port whose PFC account holds it; -1 for none. */
  ingress: Int32Array;
  /** When it arrives at the far end of the link it is on, ps. */
  arrivesPs: Float64Array;
  private free = -1;
  private capacity = 0;

  constructor(capacity = 4096) {
    this.next = new Int32Array(0);
    this.kind = new Uint8Array(0);
    this.marked = new Uint8Array(0);
    this.count = new Int32Array(0);
    this.wireBytes = new Int32Array(0);
    this.firstBytes = new Int32Array(0);
    this.payloadBytes = new Int32Array(0);
    this.sequence = new Float64Array(0);
    this.owner = new Int32Array(0);
    this.target = new Int32Array(0);
    this.hash = new Int32Array(0);
    this.ingress = new Int32Array(0);
    this.arrivesPs = new Float64Array(0);
    this.grow(capacity);
  }

  take(kind: number, owner: number, target: number, hash: number): number {
    if (this.free < 0) this.grow(this.capacity * 2);
    const packet = this.free;
    this.free = this.next[packet] as number;
    this.next[packet] = -1;
    this.kind[packet] = kind;
    this.marked[packet] = 0;
    this.count[packet] = 1;
    this.payloadBytes[packet] = 0;
    this.owner[packet] = owner;
    this.target[packet] = target;
    this.hash[packet] = hash;
    this.ingress[packet] = -1;
    return packet;
  }

  give(packet: number): void {
    this.next[packet] = this.free;
    this.free = packet;
  }

  private grow(capacity: number): void {
    const widen = <T extends Int32Array | Uint8Array | Float64Array>(old: T): T => {
      const wider = new (old.constructor as new (length: number) => T)(capacity);
      wider.set(old);
      return wider;
    };
    this.next = widen(this.next);
    this.kind = widen(this.kind);
    this.marked = widen(this.marked);
    this.count = widen(this.count);
    this.wireBytes = widen(this.wireBytes);
    this.firstBytes = widen(this.firstBytes);
    this.payloadBytes = widen(this.payloadBytes);
    this.sequence = widen(this.sequence);
    this.owner = widen(this.owner);
    this.target = widen(this.target);
    this.hash = widen(this.hash);
    this.ingress = widen(this.ingress);
    this.arrivesPs = widen(this.arrivesPs);
    for (let packet = capacity - 1; packet >= this.capacity; packet--) {
      this.next[packet] = this.free;
      this.free = packet;
    }
    this.capacity = capacity;
  }
}
