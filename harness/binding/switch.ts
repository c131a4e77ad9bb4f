import type { PortCounters } from '../model/record.ts';
import type { DeviceFacts } from './device-facts.ts';
import type { Fingerprinted } from './fingerprint.ts';

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
export interface Switch extends Fingerprinted {
  readonly name: string;
  facts(): Promise<DeviceFacts>;
  setPort(port: string, state: 'up' | 'down'): Promise<void>;
  ports(): Promise<ReadonlyMap<string, PortStatus>>;
  /** Every counter this device has for the given ports, since boot, exact. */
  counters(ports: readonly string[]): Promise<ReadonlyMap<string, RawPortCounters>>;
  /** How wide its octet counters are. Absent: it has none that an SNMP agent cuts to 32 bits. */
  widths?(ports: readonly string[]): Promise<ReadonlyMap<string, OctetWidth>>;
  /** The few counters that one SNMP request per switch brings: for samples within a phase. Absent: the device has no SNMP. */
  sample?(ports: readonly string[]): Promise<ReadonlyMap<string, RawPortCounters>>;
  lldp(): Promise<readonly LldpNeighbor[]>;
  bgp(): Promise<readonly BgpNeighbor[]>;
  /** ns since boot on the device's own clock; a smaller value than before means it rebooted. */
  uptimeNs(): Promise<number>;
  /** Starts a reboot; resolves when the device has accepted it. */
  reboot(): Promise<void>;
  /**
   * The device's own way back to a configuration, for when an undo does not help. Absent: it has none.
   */
  readonly checkpoint?: {
    make(name: string): Promise<void>;
    back(name: string): Promise<void>;
    drop(name: string): Promise<void>;
  };
  close(): Promise<void>;
}

/** How wide the octet counters of a port are, and what the device says of its rate, bit/s; null when it does not. */
export interface OctetWidth {
  readonly bits: 32 | 64;
  readonly rateBps: number | null;
}

/** What a reading of one port stands on, of the same moment of the device as the counters that it vouches for. Null: the device does not tell. */
export interface Vouched {
  /** sysUpTime, hundredths of a second since the agent started. 32 bits: it wraps after 497 days. */
  readonly upTicks: number;
  /** snmpEngineBoots: how often the agent has started. */
  readonly boots: number | null;
  /** ifCounterDiscontinuityTime: the sysUpTime at which a counter of the port last lost its count. */
  readonly discontinuityTicks: number | null;
  readonly ifIndex: number;
  /** ifHighSpeed, bit/s. */
  readonly rateBps: number | null;
}

/** As `PortCounters`, since boot: 64-bit counters stay exact as bigint. */
export type RawPortCounters = { readonly [K in keyof PortCounters]: bigint | boolean | null } & {
  /** Absent where nothing vouches: a reboot then shows only when a counter goes backwards. */
  readonly vouched?: Vouched;
  /** Counters of 32 bits; they wrap. */
  readonly narrow?: readonly (keyof PortCounters)[];
};
