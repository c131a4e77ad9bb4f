import type { Fault } from '../model/fault.ts';
import type { Load } from '../model/load.ts';
import type { HealLine } from '../model/record.ts';
import type { Cleanliness } from '../model/verdict.ts';
import type { Clock } from './clock.ts';

/** A load that runs by itself, detached, until it is stopped. */
export interface RunningLoad {
  /** Rounds finished so far, each already written to the record. */
  rounds(): Promise<number>;
  /** Ends the load and writes what is left to write. Safe to call twice. */
  stop(): Promise<void>;
}

/** Probe flows over every span and direction. Stopping them writes one `probe` line per flow. */
export interface RunningProbes {
  stop(): Promise<void>;
}

/** A fault in effect, with the only function that undoes it. */
export interface InjectedFault {
  /** When the last command was acknowledged, ns of testbed time. Absent: when `inject` resolves. */
  readonly injectedNs?: number;
  /** From the sending of the first command to the acknowledgement of the last, ns of testbed time: how well its instant is known. */
  readonly bracketNs?: number;
  /** Writes one `effect` line per witness: independent evidence that the fault is, or was, real. */
  witness(): Promise<void>;
  /** Undoes the fault and reads the device back. Safe to call twice; never throws for a failed read-back, it says so. */
  heal(): Promise<Omit<HealLine, 'kind' | 'fault'>>;
}

/** A file of lines that a world adds to the run folder. */
export interface Attachment {
  /** `<letters, digits, hyphens>.ndjson`, none of the folder's own files. */
  readonly name: string;
  readonly lines: readonly string[];
}

/**
 * The concrete things a run plays on. Everything it sees goes to the `record` it was given at reservation, as it happens;
 * nothing is concluded here.
 */
export interface Testbed extends Clock {
  readonly name: string;
  /** A driver measures here, so the guarded decision rule is the default. */
  readonly measured: boolean;
  /** Whether loads can run in the background of another; absent: they can not. */
  readonly playsBackground?: boolean;
  /** Why this testbed can not do it, in words; undefined when it can. */
  refuses(what: Fault | Load): string | undefined;
  /** With `background` it runs beside the load that is judged: its rounds are not written, its flows are marked. */
  start(load: Load, options?: { readonly background?: boolean }): Promise<RunningLoad>;
  probe(options: { readonly phase: string; readonly packetsPerSecond: number }): Promise<RunningProbes>;
  /** Resolves once the fault has been commanded and acknowledged. */
  inject(fault: Fault, id: string): Promise<InjectedFault>;
  /** Reads every counter of every device once. */
  observe(): Promise<void>;
  /** Files of lines beside the record that the world was asked for by an option; read after `release`. */
  attachments?(): readonly Attachment[];
  /** Gives everything back and says whether it is as it was found. Safe to call twice. */
  release(): Promise<Pick<Cleanliness, 'dirty'>>;
}
