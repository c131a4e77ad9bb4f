/*
 * A flow is a record of 16 whole numbers and 16 float64: what its sender and its receiver know. Flow n begins at n << 4 in both.
 * Bytes are counted from the flow's start; selective repeat counts packets in the same fields.
 */
export const FLOW_SHIFT = 4;

export const SOURCE = 0;
export const DESTINATION = 1;
/** What its packets, and those that answer them, carry into ECMP hashes. */
export const FORTH_HASH = 2;
export const BACK_HASH = 3;
/** Its NIC's ring of flows that have something to send; -1 while it is not in it. */
export const RING_NEXT = 4;
export const RING_PREVIOUS = 5;
/** Bits below. */
export const STATE = 6;
/** Receiver: packets, and marked ones, since the last acknowledgement. */
export const SINCE_ACK = 7;
export const SINCE_MARKED = 8;
/** META of its data packets and of its answers. */
export const DATA_META = 9;
export const ANSWER_META = 10;
/** Source of its timer events. */
export const TIMER = 11;
/** Most packets that one acknowledgement answers. */
export const ACK_EVERY = 13;
/** Wire bytes of the packet sent last. */
export const LAST_WIRE = 14;

export const STOPPED = 1;
export const TIMER_SET = 2;
/** Receiver: has asked for the missing packet. */
export const NAK_SENT = 4;
/** Has a congestion control law. */
export const CONTROLLED = 8;
/** The law reads acknowledgements. */
export const HEARS_ACKS = 16;
/** Sender: a packet that asks for an acknowledgement at once is under way. */
export const ASKED = 32;
export const ANSWERS_CE = 64;

/** Sender. */
export const NEXT_BYTE = 0;
export const ACKED_BYTE = 1;
export const HIGHEST_BYTE = 2;
/** Bytes given to the flow so far. */
export const END_BYTE = 3;
/** When its pace lets the next packet go, ps. */
export const NEXT_AT = 4;
export const DEADLINE = 5;
export const LINE_BPS = 6;
/** End of the message being sent. */
export const SENDING_END = 7;
/** Receiver. */
export const EXPECTED = 8;
/** End of the message being delivered; Infinity while there is none. */
export const DELIVERY_END = 9;
export const LAST_CNP = 10;
export const LAST_DATA = 11;
/** When the oldest packet came that is not acknowledged yet, ps. */
export const UNACKED_SINCE = 12;
/** Most bytes in flight that the settings allow. */
export const WINDOW = 13;
/** End of the message whose acknowledgement is awaited; Infinity while there is none. */
export const ACK_END = 14;

/** When the last packet left, ps. */
export const LAST_SENT_AT = 15;

/** Flow records that grow as flows are opened. Arrays are replaced then: read them anew after a call that may open one. */
export class Flows {
  ints = new Int32Array(64 << FLOW_SHIFT);
  floats = new Float64Array(64 << FLOW_SHIFT);
  count = 0;

  add(): number {
    if ((this.count + 1) << FLOW_SHIFT > this.ints.length) {
      const ints = new Int32Array(this.ints.length * 2);
      ints.set(this.ints);
      this.ints = ints;
      const floats = new Float64Array(this.floats.length * 2);
      floats.set(this.floats);
      this.floats = floats;
    }
    return this.count++;
  }
}
