import type { DataPlane } from './data-plane.ts';
import {
  COUNT,
  ECN_CAPABLE,
  ENTROPY_SHIFT,
  KIND_MASK,
  MARKED,
  META,
  OWNER,
  PACKET_FLOAT_SHIFT,
  PACKET_SHIFT,
  PAYLOAD_BYTES,
  PRIORITY_SHIFT,
  SEQUENCE,
  TARGET,
  TRIMMED,
  WIRE_BYTES,
} from './packets.ts';
import { EARLY_PS_PER_BYTE, PORT_FLOAT_SHIFT } from './ports.ts';
import type { TapListener, TappedPacket } from './tapped-packet.ts';

/** By a packet's kind: see `packets.ts`. */
const KINDS = ['data', 'ack', 'nak', 'cnp', 'datagram'] as const;

/** Who sends what a packet belongs to; packets themselves know only where they go. */
export interface Owners {
  /** Indices of the hosts at both ends of a flow, and its UDP source port. */
  readonly flow: (id: number) => { readonly source: number; readonly target: number; readonly entropy: number };
  readonly stream: (id: number) => { readonly source: number; readonly entropy: number };
}

export interface TapOptions {
  readonly plane: DataPlane;
  readonly owners: Owners;
  /** Each packet has an entropy of its own. */
  readonly spreads: boolean;
  /** Bytes that one step of a packet's SEQUENCE stands for: 1 where bytes are counted, the MTU where packets are. */
  readonly sequenceBytes: number;
}

/**
 * Shows packets of one port to a listener, in words.
 *
 * What a train looks like: one packet of all its bytes. Where it arrives at a switch early (see `DataPlane`), it is shown early, but
 * `atPs` is when its last bit is in. A packet that a span loses has been sent, so it is shown at the port that sent it. Where ECN marks at the end
 * of transmission, the mark shows at the far end only.
 */
export function tapPort(
  { plane, owners, spreads, sequenceBytes }: TapOptions,
  port: number,
  listener: TapListener,
): () => void {
  const { wiring, packets, ports, fullWireBytes } = plane;
  const { ints, floats } = packets;
  const earlyPsPerByte = ports.floats[
    ((wiring.peer[port] as number) << PORT_FLOAT_SHIFT) + EARLY_PS_PER_BYTE
  ] as number;
  const view: { -readonly [K in keyof TappedPacket]: TappedPacket[K] } = {
    atPs: 0,
    kind: 'data',
    source: '',
    target: '',
    entropy: 0,
    sequence: 0,
    payloadBytes: 0,
    wireBytes: 0,
    ecn: 'not-ect',
    priority: 0,
    direction: 'out',
  };
  return plane.watch(port, (packet, direction) => {
    const at = packet << PACKET_SHIFT;
    const meta = ints[at + META] as number;
    const kind = KINDS[meta & KIND_MASK] as (typeof KINDS)[number];
    const owner = ints[at + OWNER] as number;
    const wireBytes = ints[at + WIRE_BYTES] as number;
    const early = direction === 'in' && (ints[at + COUNT] as number) > 1 ? wireBytes - fullWireBytes : 0;
    view.atPs = plane.nowPs + Math.floor(early * earlyPsPerByte);
    view.kind = kind;
    view.target = wiring.nodes[ints[at + TARGET] as number] as string;
    view.sequence = 0;
    view.payloadBytes = 0;
    if (kind === 'datagram') {
      const { source, entropy } = owners.stream(owner);
      view.source = wiring.nodes[source] as string;
      view.entropy = entropy;
      view.payloadBytes = ints[at + PAYLOAD_BYTES] as number;
    } else {
      const { source, target, entropy } = owners.flow(owner);
      view.source = wiring.nodes[kind === 'data' ? source : target] as string;
      view.entropy = spreads ? meta >>> ENTROPY_SHIFT : entropy;
      if (kind !== 'cnp') view.sequence = (floats[(packet << PACKET_FLOAT_SHIFT) + SEQUENCE] as number) * sequenceBytes;
      if (kind === 'data' && (meta & TRIMMED) === 0) view.payloadBytes = ints[at + PAYLOAD_BYTES] as number;
    }
    view.wireBytes = wireBytes;
    // An acknowledgement keeps in MARKED how many of the answered packets were marked.
    const marked = kind === 'data' && (ints[at + MARKED] as number) > 0;
    view.ecn = marked ? 'ce' : (meta & ECN_CAPABLE) === 0 ? 'not-ect' : 'ect';
    view.priority = (meta >> PRIORITY_SHIFT) & 7;
    view.direction = direction;
    listener(view);
  });
}
