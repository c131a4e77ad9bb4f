import type { DataPlane, PacketStamp } from '../fabric/data-plane.ts';
import { DATA, KIND_MASK, META, PACKET_SHIFT } from '../fabric/packets.ts';
import { PORT_FLOAT_SHIFT, TX_BYTES } from '../fabric/ports.ts';
import type { Telemetry } from './congestion-control.ts';

/** HPCC's INT header holds five hops; longer paths lose the rest (SIGCOMM 2019, section 4.1). Here eight, for two sites. */
const HOPS = 8;
const FIELDS = 4;

/**
 * In-band network telemetry: what each switch egress writes into a data packet as it leaves: queue left behind, bytes sent before it,
 * time, rate. Stands beside the packets, indexed like them, and exists only when a law asks for it.
 */
export class Telemetries implements PacketStamp {
  private readonly plane: DataPlane;
  private hops = new Uint8Array(0);
  private values = new Float64Array(0);
  private readonly view: Telemetry = {
    hops: 0,
    queueBytes: new Float64Array(HOPS),
    txBytes: new Float64Array(HOPS),
    atPs: new Float64Array(HOPS),
    rateBps: new Float64Array(HOPS),
  };

  constructor(plane: DataPlane) {
    this.plane = plane;
  }

  /** The packet starts empty. */
  begin(packet: number): void {
    if (packet >= this.hops.length) this.grow(packet);
    this.hops[packet] = 0;
  }

  stamp(packet: number, port: number, queueBytes: number, nowPs: number): void {
    const { plane } = this;
    if (((plane.packets.ints[(packet << PACKET_SHIFT) + META] as number) & KIND_MASK) !== DATA) return;
    const hop = this.hops[packet] as number;
    if (hop === HOPS) return;
    this.hops[packet] = hop + 1;
    const at = (packet * HOPS + hop) * FIELDS;
    this.values[at] = queueBytes;
    this.values[at + 1] = plane.ports.floats[(port << PORT_FLOAT_SHIFT) + TX_BYTES] as number;
    this.values[at + 2] = nowPs;
    this.values[at + 3] = plane.wiring.rateBps[port] as number;
  }

  /** What the packet has brought. One view for all: valid until the next call. */
  read(packet: number): Telemetry {
    const { view, values } = this;
    view.hops = this.hops[packet] as number;
    for (let hop = 0; hop < view.hops; hop++) {
      const at = (packet * HOPS + hop) * FIELDS;
      view.queueBytes[hop] = values[at] as number;
      view.txBytes[hop] = values[at + 1] as number;
      view.atPs[hop] = values[at + 2] as number;
      view.rateBps[hop] = values[at + 3] as number;
    }
    return view;
  }

  private grow(packet: number): void {
    const length = Math.max(4096, 2 * packet);
    const hops = new Uint8Array(length);
    hops.set(this.hops);
    this.hops = hops;
    const values = new Float64Array(length * HOPS * FIELDS);
    values.set(this.values);
    this.values = values;
  }
}
