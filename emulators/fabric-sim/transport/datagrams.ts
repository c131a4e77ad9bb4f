import type { Actor, DataPlane } from '../fabric/data-plane.ts';
import { flowHash } from '../fabric/ecmp-hash.ts';
import type { DatagramStream } from '../fabric/network.ts';
import { DATAGRAM, PACKET_SHIFT, PAYLOAD_BYTES, PRIORITY_SHIFT, WIRE_BYTES } from '../fabric/packets.ts';
import { datagramWireBytes } from '../fabric/wire-size.ts';
import { Random } from '../kernel/random.ts';

export interface DatagramRequest {
  readonly sourceHost: number;
  readonly targetHost: number;
  readonly entropy: number;
  /** UDP payload. */
  readonly bytes: number;
  readonly packetsPerSecond: number;
  readonly gaps?: 'even' | 'exponential';
  readonly sizes?: 'fixed' | 'exponential';
  /** Of the network; each stream draws numbers of its own. */
  readonly seed: number;
}

/** Streams of random numbers from here on belong to datagrams. */
const FIRST_STREAM = 1 << 20;

/**
 * UDP in the best effort class, never sent again. Datagram k is handed to the NIC at start + k x 10^12 / rate, rounded to 1 ps; with
 * exponential gaps at the points of a Poisson process of that rate, the first one gap after the start. With exponential sizes the
 * bytes on the wire are exponential around those of `bytes`, whole, and no less than the smallest frame: packets without an MTU, for
 * queueing theory.
 */
export class Datagrams implements DatagramStream, Actor {
  private readonly plane: DataPlane;
  private readonly request: DatagramRequest;
  private readonly id: number;
  private readonly hash: number;
  private readonly actor: number;
  private readonly startPs: number;
  private readonly wireBytes: number;
  private readonly random: Random;
  /** Of the next datagram, ps; not rounded, so that rounding does not add up. */
  private nextPs: number;
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
    this.random = new Random(request.seed, FIRST_STREAM + id);
    this.nextPs = this.startPs;
    if (request.gaps === 'exponential') this.nextPs += this.gapPs();
    plane.wakeAt(Math.round(this.nextPs), this.actor);
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
    const { packetsPerSecond, gaps, sizes, bytes } = this.request;
    const meta = DATAGRAM | (datagramPriority << PRIORITY_SHIFT);
    const packet = packets.take(meta, this.id, this.request.targetHost, this.hash);
    let wireBytes = this.wireBytes;
    if (sizes === 'exponential')
      wireBytes = Math.max(datagramWireBytes(1), Math.round(-Math.log(this.random.fraction()) * this.wireBytes));
    packets.ints[(packet << PACKET_SHIFT) + WIRE_BYTES] = wireBytes;
    packets.ints[(packet << PACKET_SHIFT) + PAYLOAD_BYTES] = Math.max(1, wireBytes - this.wireBytes + bytes);
    this.sentCount++;
    this.plane.sendFromHost(this.request.sourceHost, packet);
    if (gaps === 'exponential') this.nextPs += this.gapPs();
    else this.nextPs = this.startPs + (this.sentCount * 1e12) / packetsPerSecond;
    this.plane.wakeAt(Math.round(this.nextPs), this.actor);
  }

  private gapPs(): number {
    return (-Math.log(this.random.fraction()) * 1e12) / this.request.packetsPerSecond;
  }

  arrived(packet: number): void {
    this.plane.packets.give(packet);
    this.receivedCount++;
  }
}
