import type { Fingerprinted } from './fingerprint.ts';

/** One direction of a span as the shaper is set: everything needed to put it back exactly. */
export interface ShaperState {
  /** Operationally able to pass light; false is a cut that both ends see. */
  readonly light: boolean;
  /** One-way delay, ns. */
  readonly delayNs: number;
  /** Random loss, fraction of 1; 1 is a silent cut. */
  readonly loss: number;
  /** What queues at this egress (`netem`, `noqueue`, …) and how many packets it holds; null where it does not say. */
  readonly queue: { readonly kind: string; readonly limitPackets: number | null };
  /** The device's own words for it, for the record. */
  readonly raw: string;
}

export interface ShaperCounters {
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly dropped: bigint;
}

/** A box that emulates fibre: delay and loss per direction. */
export interface SpanShaper extends Fingerprinted {
  readonly name: string;
  read(direction: 'a-to-b' | 'b-to-a'): Promise<ShaperState>;
  counters(direction: 'a-to-b' | 'b-to-a'): Promise<ShaperCounters>;
  setLight(direction: 'a-to-b' | 'b-to-a', state: 'on' | 'off'): Promise<void>;
  /** Changes delay and loss in one command, leaving nothing else as a side effect. */
  setImpairment(
    direction: 'a-to-b' | 'b-to-a',
    impairment: { readonly delayNs: number; readonly loss: number },
  ): Promise<void>;
  /** Starts a paced flap that the box runs by itself on its own clock, as the job of that name; its fault's undo ends it. */
  flap(options: {
    readonly everyNs: number;
    readonly downNs: number;
    readonly light: 'lost' | 'kept';
    readonly job: string;
  }): Promise<void>;
  close(): Promise<void>;
}
