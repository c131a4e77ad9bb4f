import type { Load } from '../model/load.ts';
import type { PortCounters } from '../model/record.ts';
import type { DeviceFacts } from './device-facts.ts';
import type { Fingerprinted } from './fingerprint.ts';
import type { RawPortCounters } from './switch.ts';

export interface CollectiveRow {
  readonly round: number;
  readonly timeUs: number;
  readonly busbwBps: number;
  /** Null when the tool did not check. */
  readonly wrong: number | null;
}

export interface ProbeCount {
  readonly sent: number;
  readonly received: number;
}

/** A GPU node. One rank, one NIC. */
export interface Host extends Fingerprinted {
  readonly name: string;
  facts(): Promise<DeviceFacts>;
  /** GPUs that are throttled now, with the reason in the driver's words; empty when none is. */
  throttled(): Promise<readonly string[]>;
  /** Every counter of its NIC, since the driver was loaded, exact. */
  counters(): Promise<{ readonly [K in keyof PortCounters]: bigint | null } & Pick<RawPortCounters, 'narrow'>>;
  /** Starts a collective over `ranks` (this host is rank 0) detached; it runs until stopped. */
  startCollective(load: Load, ranks: readonly string[]): Promise<CollectiveJob>;
  /** Listens for one probe flow; call it on the target before `startProbe` on the source. */
  receiveProbe(options: { readonly port: number }): Promise<ProbeReceiver>;
  /** Sends constant-rate UDP to `target` from `sourcePort` (the port picks the ECMP path) until stopped. */
  startProbe(options: {
    readonly target: string;
    readonly sourcePort: number;
    readonly packetsPerSecond: number;
    readonly receiver: ProbeReceiver;
  }): Promise<ProbeJob>;
  /** Addresses of the hops that a UDP flow with these ports takes. */
  path(options: {
    readonly target: string;
    readonly sourcePort: number;
    readonly targetPort: number;
  }): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface CollectiveJob {
  /** Process id on the host: a clock service waits for its rows by it. */
  readonly pid: number;
  /** Rows from `from` (0-based) on that the tool has printed. */
  rows(from: number): Promise<readonly CollectiveRow[]>;
  stop(): Promise<void>;
}

/** The far end of a probe flow. */
export interface ProbeReceiver {
  readonly port: number;
  /** Packets that arrived; resolves once the sender has stopped. Bounded: rejects when it never hears the end. */
  received(): Promise<number>;
  /** Ends it whether or not a sender ever came. Safe to call twice. */
  stop(): Promise<void>;
}

export interface ProbeJob {
  /** Stops the sender, then asks the receiver. */
  stop(): Promise<ProbeCount>;
}
