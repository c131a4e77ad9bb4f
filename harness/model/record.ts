import type { Profile, Statistic } from './check.ts';
import type { Fault } from './fault.ts';
import type { Granularity } from './granularity.ts';
import type { DecisionRule, Plan } from './plan.ts';
import type { Dimension } from './units.ts';

/**
 * The run record: one JSON object a line, append-only, everything that was seen and nothing that was concluded. In the file each line ends
 * with a checksum over it and all lines before it, `"sum"`, which readers take off.
 * Times are ns since the reservation on the testbed's clock. In `sim` the whole file is the same bytes for the same seed
 * and version; wall times, host facts and raw commands therefore go to the sidecars (`steps.ndjson`, `host.json`).
 */
export type RecordLine =
  | RunLine
  | TestbedLine
  | PhaseLine
  | FaultLine
  | EffectLine
  | HealLine
  | RoundLine
  | ProbeLine
  | FlowLine
  | CountersLine
  | ClockLine
  | EventLine
  | TruthLine
  | EndLine;

export interface RunLine {
  readonly kind: 'run';
  readonly format: 2;
  /** Farspan's version. */
  readonly version: string;
  readonly scenario: {
    readonly title: string;
    readonly file: string;
    readonly line: number;
    readonly tags: readonly string[];
  };
  readonly world: string;
  readonly seed: number;
  /** Packets simulated as one unit; 1 is exact. Null where packets are real. */
  readonly trainPackets: number | null;
  /** How finely each phase is simulated. Absent where packets are real, and in records of versions that had trains only. */
  readonly granularity?: Readonly<Record<string, Granularity>>;
  /** Options of the world that change the fabric, such as a planted defect. */
  readonly options: Readonly<Record<string, string>>;
  readonly plan: Plan;
  /** Where the plan is other than the scenario declares it, path by path as it was asked for; absent when nowhere. */
  readonly set?: Readonly<Record<string, string>>;
  /** The rule in force: the plan's, or the world's default. */
  readonly decision: DecisionRule;
  /** The profile in force, whole, so that the run can be judged again without the file. */
  readonly profile: Profile | null;
}

export interface TestbedLine {
  readonly kind: 'testbed';
  readonly name: string;
  /** Which device plays which node of the topology. */
  readonly devices: readonly {
    readonly node: string;
    readonly device: string;
    readonly driver: string;
    readonly software: string;
  }[];
}

/** Written when the phase has ended. */
export interface PhaseLine {
  readonly kind: 'phase';
  readonly name: string;
  readonly beginNs: number;
  readonly endNs: number;
  /** `work`: the rounds were done. `time`: it lasted its time. `deadline`: the work was not done in time. */
  readonly ended: 'work' | 'time' | 'deadline';
  /** After the first reading of all counters, and before the last, ns. What lies between them is what counters tell of the phase. */
  readonly readNs?: readonly [number, number];
  readonly rounds?: { readonly asked: number; readonly done: number; readonly first: number };
  readonly deadlineNs?: number;
}

export interface FaultLine {
  readonly kind: 'fault';
  readonly id: string;
  readonly fault: Fault;
  readonly injectedNs: number;
  /** From the sending of the first command to the acknowledgement of the last, ns; absent where injecting takes no time. */
  readonly bracketNs?: number;
}

/** Independent evidence that a fault was, or was not, in effect. `real` is null when the witness could not tell. */
export interface EffectLine {
  readonly kind: 'effect';
  readonly fault: string;
  readonly atNs: number;
  readonly witness: string;
  readonly seen: string;
  readonly real: boolean | null;
}

export interface HealLine {
  readonly kind: 'heal';
  readonly fault: string;
  readonly healedNs: number;
  /** True only when the device was read back and is as it was found. */
  readonly verified: boolean;
  readonly expected: string;
  readonly observed: string;
  /** What put it back when the undo did not, such as `config rollback`. */
  readonly by?: string;
  /** What a person would type to finish the heal; present when not verified. */
  readonly manual?: string;
}

/** One operation of the load, on all ranks. */
export interface RoundLine {
  readonly kind: 'round';
  readonly round: number;
  readonly beginNs: number;
  readonly endNs: number;
  /** nccl-tests' busbw, or the goodput of the slowest flow for loads without one; bit/s. */
  readonly busbwBps: number;
  /** Results that were checked and wrong; null when the tool did not check. */
  readonly wrong: number | null;
  /** Compute within the round of the rank that computed longest, ns, for loads that compute (training, pipeline); the rest of the round is exposed communication. */
  readonly computeNs?: number;
  /** The same of every rank, in the topology's order, for loads in which a rank computes without a gap from the round's beginning. */
  readonly rankComputeNs?: readonly number[];
  /** Per-flow goodput, bit/s, for loads that have flows of their own (incast, permutation). */
  readonly flowsBps?: readonly number[];
}

/** One constant-rate UDP probe flow, counted over one phase. */
export interface ProbeLine {
  readonly kind: 'probe';
  readonly phase: string;
  readonly span: string;
  readonly direction: 'a-to-b' | 'b-to-a';
  readonly source: string;
  readonly target: string;
  readonly packetsPerSecond: number;
  readonly beginNs: number;
  readonly endNs: number;
  readonly sent: number;
  readonly received: number;
  /** Packets that were sent so late that they may be lost or on the fibre still; not in `sent`. They widen U. */
  readonly undecided?: number;
}

/** Goodput of one flow over the window that ends at `atNs`. */
export interface FlowLine {
  readonly kind: 'flow';
  readonly flow: string;
  /** Of a load in the background: not the load's, and no KPI's. */
  readonly background?: true;
  readonly atNs: number;
  readonly windowNs: number;
  readonly rateBps: number;
}

/**
 * Counters since the reservation, never since boot: 64-bit counters then fit a double. Where a count was lost (reboot, clear, wrap) they
 * begin anew at 0, which the line's `anew` says.
 * A counter that a device does not have is absent; one that could not be read is null. Missing is never zero.
 */
export interface PortCounters {
  readonly rxBytes?: number | null;
  readonly txBytes?: number | null;
  readonly rxPackets?: number | null;
  readonly txPackets?: number | null;
  /** Packets dropped for want of buffer or route, either direction. */
  readonly drops?: number | null;
  /** Packets that left the lossless queue, and those of them that were marked CE. */
  readonly queuePackets?: number | null;
  readonly ecnMarked?: number | null;
  readonly pfcRx?: number | null;
  readonly pfcTx?: number | null;
  /** Time the lossless priority was paused by the far end, ns. */
  readonly pausedNs?: number | null;
  /** Peak of the lossless queue since the last reading, B. Null as well when that reading or this one failed. */
  readonly queuePeakBytes?: number | null;
  /**
   * In place of `queuePeakBytes`: the peak since the last reading is not known, but was not above this, B. So reads a watermark that
   * nobody clears and that did not rise: its value is of before.
   */
  readonly queuePeakAtMostBytes?: number;
  readonly cnpSent?: number | null;
  readonly cnpHandled?: number | null;
  readonly outOfSequence?: number | null;
  readonly operUp?: boolean | null;
}

/** One reading of one device. */
export interface CountersLine {
  readonly kind: 'counters';
  readonly atNs: number;
  /**
   * Each value is of some instant in this time before `atNs`, ns: what the reading took, and what the device's agent caches. Absent where
   * readings take no time.
   */
  readonly bracketNs?: number;
  readonly node: string;
  readonly ports: Readonly<Record<string, PortCounters>>;
  /**
   * By port, counters that began anew with this reading: what they had counted before is lost, and growth from any reading before to this
   * or a later one is not known. The event line beside it says why. Absent when none did.
   */
  readonly anew?: Readonly<Record<string, readonly (keyof PortCounters)[]>>;
}

/**
 * How far the date of a device was ahead of the testbed's clock when it was measured. What the testbed's clock counts from is the same for
 * all devices of a run (the runner's date at the reservation; 1970 on a virtual clock), so that the difference of two offsets is how far
 * two devices are apart. Between two lines: `clockAt`.
 */
export interface ClockLine {
  readonly kind: 'clock';
  /** As the inventory calls it. */
  readonly device: string;
  readonly atNs: number;
  readonly offsetNs: number;
  /** The true offset at that instant is at most this far from `offsetNs`. */
  readonly boundNs: number;
}

/** Something a device said by itself: a trap, a link change. */
export interface EventLine {
  readonly kind: 'event';
  readonly atNs: number;
  readonly node: string;
  readonly what: string;
}

/** What the simulator behind an emulated lab knows, to show the harness's own measurement error. Never judged. */
export interface TruthLine {
  readonly kind: 'truth';
  readonly line: RecordLine;
}

export interface EndLine {
  readonly kind: 'end';
  readonly atNs: number;
  readonly reason: 'complete' | 'not run' | 'error';
  readonly detail?: string;
  /** What the testbed said it could not restore when it was given back, beyond the heal lines; absent when nothing. */
  readonly dirty?: readonly string[];
}

/** One command sent to a device and what it answered: bounded, escaped, wall time. Sidecar `steps.ndjson`. */
export interface Step {
  readonly at: string;
  readonly tookMs: number;
  readonly device: string;
  readonly protocol: 'ssh' | 'snmp' | 'http';
  readonly tried: string;
  readonly answer: string;
  readonly exitCode?: number | null;
}

/** A KPI's value over one phase, before any limit: what the judge and the report read. */
export interface Measurement {
  readonly kpi: string;
  readonly dimension: Dimension;
  readonly samples: readonly number[];
  /** How many samples there should have been; coverage below 95 % is inconclusive. */
  readonly expected?: number;
  /** Measurement uncertainty of the judged value, same unit. Absent when not known. */
  readonly uncertainty?: number;
  readonly method: string;
  /** Why there are no samples, or fewer than expected. */
  readonly missing?: string;
  /**
   * Samples are missing because what is measured had not happened when the phase ended: each of them takes longer than this.
   * Product evidence, unlike a reading that is missing: a limit below it is failed.
   */
  readonly exceeds?: number;
  /** Every sample that is missing is known to be from 0 to this. They can meet or miss a limit only where all of that range does. */
  readonly atMost?: number;
}

/** How far a quantity that drivers measured is from what the simulator behind an emulated lab knows: the pair that is furthest apart. */
export interface MeasurementError {
  /** `busbw`, `probe sent`, `probe received`, `rxBytes`, `txBytes`, `round begin`, `round time`. */
  readonly quantity: string;
  readonly phase: string;
  readonly dimension: Dimension;
  /** Pairs that were compared. */
  readonly samples: number;
  /** Base unit of the dimension. */
  readonly measured: number;
  readonly truth: number;
  readonly absolute: number;
  /** Share of the truth; null where the truth is 0. */
  readonly relative: number | null;
}

/** The same for one KPI of the plan: as it was measured, and as it is by what the simulator knows. */
export type KpiError = {
  readonly kpi: string;
  readonly phase: string;
  readonly statistic: Statistic;
  readonly dimension: Dimension;
} & (
  | {
      readonly measured: number;
      readonly truth: number;
      readonly absolute: number;
      /** U that was given for the measured value; null when it is not known. */
      readonly uncertainty: number | null;
      readonly missing?: never;
    }
  | {
      /** Why there is nothing to compare. */
      readonly missing: string;
    }
);
