/**
 * What a tap on one port sees of a packet. Numbers are copies: a listener may keep the view only as long as its call lasts,
 * because the simulator uses one object for every packet.
 */
export interface TappedPacket {
  /** First bit sent (`out`), or last bit received (`in`). */
  readonly atPs: number;
  readonly kind: 'data' | 'ack' | 'nak' | 'cnp' | 'datagram';
  /** Host that made the packet: for ack, nak and cnp the receiver of the flow. */
  readonly source: string;
  readonly target: string;
  /** UDP source port of the flow, which its control packets carry too. */
  readonly entropy: number;
  /** Data: byte of the flow that the packet begins at. Ack and nak: the byte that is expected next. Others: 0. */
  readonly sequence: number;
  /** Of a train: of all its packets. */
  readonly payloadBytes: number;
  /** As the link counts it, with everything that `NetworkOptions.overheadBytes` and `wire-size.ts` add; of a train: all its packets. */
  readonly wireBytes: number;
  readonly ecn: 'not-ect' | 'ect' | 'ce';
  /** 0 to 7. */
  readonly priority: number;
  /** Seen by the port's node: sent, or received. */
  readonly direction: 'out' | 'in';
}

export type TapListener = (packet: Readonly<TappedPacket>) => void;

/** A network whose ports can be listened to. Costs nothing on ports without a listener. */
export interface Tappable {
  /** @returns ends the tap @throws RangeError when the node has no such port */
  tap(node: string, port: string, listener: TapListener): () => void;
}
