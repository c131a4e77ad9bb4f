/** A value as a device showed it, or why it was not read. Not read is never a default. */
export type Read<T> = { readonly value: T } | { readonly unread: string };

/** One egress of a span box: what it does to packets of one way. */
export interface ShaperConfiguration {
  readonly interface: string;
  /** `netem`, or what else queues there. */
  readonly queue: string;
  readonly delayNs: number;
  /** Fraction of 1. */
  readonly loss: number;
  /** Null where it does not say. */
  readonly limitPackets: number | null;
  /** What else is set there, by iproute2's names: jitter, reorder, rate. */
  readonly others: readonly string[];
  readonly mtuBytes: number | null;
}

/** A box that plays a span, by its own sense of direction: `a-to-b` leaves towards its second interface. */
export interface SpanBoxConfiguration {
  readonly kind: 'span-box';
  readonly device: string;
  readonly ways: Readonly<Record<'a-to-b' | 'b-to-a', Read<ShaperConfiguration>>>;
}

export interface EcnProfile {
  readonly name: string;
  /** Whether it marks green packets, bytes and fraction of 1. Null: the device does not say. */
  readonly marks: boolean;
  readonly minBytes: number | null;
  readonly maxBytes: number | null;
  readonly probability: number | null;
}

export interface BfdSession {
  readonly peer: string;
  /** Intervals in whole ms: SONiC shows no finer. */
  readonly txMs: number;
  readonly rxMs: number;
  readonly multiplier: number;
}

/** What a switch reserves for the lossless priority of a port. */
export interface PortBuffer {
  /** Whether PFC is on for the priority. */
  readonly pfc: boolean;
  /** The cable that the switch counts with, metres; null: none is configured. */
  readonly cableMetres: number | null;
  /** Room above xoff, bytes; null: no lossless profile, or one that the switch computes by itself. */
  readonly headroomBytes: number | null;
  /** Its buffer profile, in the device's words; empty for none. */
  readonly profile: string;
}

export interface SwitchConfiguration {
  readonly kind: 'switch';
  readonly device: string;
  readonly ecn: Read<readonly EcnProfile[]>;
  readonly bfd: Read<readonly BfdSession[]>;
  /** MTU by port, bytes; null where the device has no value. */
  readonly mtuBytes: Read<ReadonlyMap<string, number | null>>;
  readonly buffers: Read<ReadonlyMap<string, PortBuffer>>;
  /** Shared lossless pool, bytes; null: the device has none of that name. */
  readonly poolBytes: Read<number | null>;
}

export interface HostConfiguration {
  readonly kind: 'host';
  readonly device: string;
  /** Of the NIC that carries the fabric's traffic. */
  readonly mtuBytes: Read<number>;
}

/** What a device is configured as, read and never written. */
export type DeviceConfiguration = SpanBoxConfiguration | SwitchConfiguration | HostConfiguration;
