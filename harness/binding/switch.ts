import type { PortCounters } from '../model/record.ts';
import type { DeviceFacts } from './device-facts.ts';

export interface PortStatus {
  readonly adminUp: boolean;
  readonly operUp: boolean;
  /** Device time of the last change of operational state, ns since boot. */
  readonly lastChangeNs?: number;
}

export interface BgpNeighbor {
  readonly address: string;
  readonly asn: number;
  /** `Established`, or the state in the device's own word. */
  readonly state: string;
  readonly prefixes: number | undefined;
}

export interface LldpNeighbor {
  readonly port: string;
  readonly device: string;
  readonly remotePort: string;
}

/** A switch we may steer and read. Everything vendor-specific stays behind this. Ports carry the device's own names. */
export interface Switch {
  readonly name: string;
  facts(): Promise<DeviceFacts>;
  setPort(port: string, state: 'up' | 'down'): Promise<void>;
  ports(): Promise<ReadonlyMap<string, PortStatus>>;
  /** Every counter this device has for the given ports, since boot, exact. */
  counters(ports: readonly string[]): Promise<ReadonlyMap<string, RawPortCounters>>;
  /** The few counters that one SNMP request per switch brings: for samples within a phase. Absent: the device has no SNMP. */
  sample?(ports: readonly string[]): Promise<ReadonlyMap<string, RawPortCounters>>;
  lldp(): Promise<readonly LldpNeighbor[]>;
  bgp(): Promise<readonly BgpNeighbor[]>;
  /** ns since boot on the device's own clock; a smaller value than before means it rebooted. */
  uptimeNs(): Promise<number>;
  /** Starts a reboot; resolves when the device has accepted it. */
  reboot(): Promise<void>;
  /**
   * The device's own way back to a configuration, for when an undo does not help. Absent: it has none. `make` keeps the first of a name, as
   * only the first capture is a baseline; `drop` takes away what `make` made.
   */
  readonly checkpoint?: {
    make(name: string): Promise<void>;
    back(name: string): Promise<void>;
    drop(name: string): Promise<void>;
  };
  close(): Promise<void>;
}

/** As `PortCounters`, since boot: 64-bit counters stay exact as bigint. */
export type RawPortCounters = { readonly [K in keyof PortCounters]: bigint | boolean | null };
