import type { Actor, DataPlane } from '../fabric/data-plane.ts';
import { flowHash } from '../fabric/ecmp-hash.ts';
import type { DatagramStream } from '../fabric/network.ts';
import { DATAGRAM, PACKET_SHIFT, PAYLOAD_BYTES, PRIORITY_SHIFT, WIRE_BYTES } from '../fabric/packets.ts';
import { datagramWireBytes } from '../fabric/wire-size.ts';

export interface DatagramRequest {
  readonly sourceHost: number;
  readonly targetHost: number;
  readonly entropy: number;
  /** UDP payload. */
  readonly bytes: number;
  readonly packetsPerSecond: number;
}

/** Constant-rate UDP in the best effort class: datagram k leaves at start + k x 10^12 / rate, rounded to 1 ps; never sent again. */
export class Datagrams implements DatagramStream, Actor {
  private readonly plane: DataPlane;
  private readonly request: DatagramRequest;
  private readonly id: number;
  private readonly hash: number;
  private readonly actor: number;
  private readonly startPs: number;
  private readonly wireBytes: number;
  private sentCount = 0;
  private receivedCount = 0;
  private stopped = false;

  /** @throws RangeError when rate or size is not positive */
  constructor(plane: DataPlane, id: number, request: DatagramRequest) {
    if (!(request.packetsPerSecond > 0 && request.packetsPerSecond <= 1e12))
      throw new RangeError(`${request.packetsPerSecond} datagrams per second can not be sent.`);
    if (!(request.bytes > 0 && Number.isInteger(request.bytes)))
      throw new RangeError(`A datagram can not have ${request.bytes} bytes.`);
    this.plane = plane;
    this.request = request;
    this.id = id;
    this.hash = flowHash(request.sourceHost, request.targetHost, request.entropy);
    this.actor = plane.enrol(this);
    this.startPs = plane.nowPs;
    this.wireBytes = datagramWireBytes(request.bytes);
    plane.wakeAt(this.startPs, this.actor);
  }

  sent(): number {
    return this.sentCount;
  }

  received(): number {
    return this.receivedCount;
  }

  stop(): void {
    this.stopped = true;
  }

  wake(): void {
    if (this.stopped) return;
    const { packets, datagramPriority } = this.plane;
    const meta = DATAGRAM | (datagramPriority << PRIORITY_SHIFT);
    const packet = packets.take(meta, this.id, this.request.targetHost, this.hash);
    packets.ints[(packet << PACKET_SHIFT) + WIRE_BYTES] = this.wireBytes;
    packets.ints[(packet << PACKET_SHIFT) + PAYLOAD_BYTES] = this.request.bytes;
    this.sentCount++;
    this.plane.sendFromHost(this.request.sourceHost, packet);
    this.plane.wakeAt(this.startPs + Math.round((this.sentCount * 1e12) / this.request.packetsPerSecond), this.actor);
  }

  arrived(packet: number): void {
    this.plane.packets.give(packet);
    this.receivedCount++;
  }
}
