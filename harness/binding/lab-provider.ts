import type { Topology } from '../model/topology.ts';

/** A lab that exists only for a run: its inventory file, and how to end it. */
export interface ProvidedLab {
  readonly inventory: string;
  /** Folder for its leases and journal: they end with it. */
  readonly state: string;
  stop(): Promise<void>;
}

/** Builds a lab for one topology, reachable over the wire only. Implemented by the emulators; found by module path. */
export interface LabProvider {
  provide(
    topology: Topology,
    options: { readonly seed: number; readonly options: Readonly<Record<string, string>> },
  ): Promise<ProvidedLab>;
}
