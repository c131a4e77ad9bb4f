import type { RecordLine, Step } from '../model/record.ts';
import type { Topology } from '../model/topology.ts';
import type { Testbed } from './testbed.ts';

export interface ReserveOptions {
  /** The one number from which every random choice comes. */
  readonly seed: number;
  readonly record: (line: RecordLine) => void;
  readonly step: (step: Step) => void;
  /** Options of the world, such as `defect` or `inventory`. An unknown one is refused with the list of known ones. */
  readonly options: Readonly<Record<string, string>>;
  /** Why the testbed is taken, for people who find it taken: the scenario's title. */
  readonly reason?: string;
  /** Told where the journal of the reservation is: what is injected and not yet healed can be read there. Not called by worlds without. */
  readonly onJournal?: (file: string) => void;
  /** Ends the reservation early: the run was interrupted. */
  readonly signal?: AbortSignal;
}

/**
 * Where a scenario meets a world: real racks, namespaces, or the simulator.
 * Implementations live outside `harness/run` and are named by module path in `playwright.config.ts`.
 */
export interface Binding {
  /** Finds hardware (or builds a model) that matches `topology`. Rejects with `TestbedUnavailable` when none does. */
  reserve(topology: Topology, options: ReserveOptions): Promise<Testbed>;
}

/** No testbed matches, and why. The harness or the lab is at fault, never the product. */
export class TestbedUnavailable extends Error {
  override readonly name = 'TestbedUnavailable';
}

/** An earlier run left the testbed with faults that nobody has seen healed. Nothing is run there before it was recovered. */
export class LabDirty extends Error {
  override readonly name = 'LabDirty';
}

/** An option that the world does not know, or a value out of its range; the message lists what is known. The user is to change it. */
export class OptionRefused extends RangeError {
  override readonly name = 'OptionRefused';
}
