import type { Read } from '../model/device-configuration.ts';

/** Values of one section by key, such as `eth1 mtu` → `9000`. Null: the device was asked for this one and could not tell. */
export type Section = ReadonlyMap<string, string | null>;

/**
 * What a run could leave changed on a device, as text that two readings of an untouched device have alike. Nothing that moves by itself is
 * in it: no counters, ages, temperatures. A section for which the device has no program is absent; one that could not be read says why,
 * and is equal to nothing.
 */
export type Fingerprint = ReadonlyMap<string, Read<Section>>;

/** What two fingerprints of one device do not have alike. */
export interface Change {
  readonly section: string;
  /** Undefined: the section as a whole. */
  readonly key: string | undefined;
  /** Undefined: not there. Null: not known. */
  readonly was: string | null | undefined;
  readonly is: string | null | undefined;
  /** Why it is not known, in the device's words. */
  readonly why?: string;
}

/** A device that can be compared with itself. */
export interface Fingerprinted {
  /** Reads only. @throws DeviceError when the device gives no answer at all */
  fingerprint(): Promise<Fingerprint>;
  /** The command by which a person puts a value back; undefined where none is known. Pure: nothing is sent. */
  putBack(change: Change): string | undefined;
}
