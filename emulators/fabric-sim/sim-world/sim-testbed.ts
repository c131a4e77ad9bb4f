import { setImmediate } from 'node:timers/promises';
import type { Until } from '../../../harness/binding/clock.ts';
import type {
  Attachment,
  InjectedFault,
  RunningLoad,
  RunningProbes,
  Testbed,
} from '../../../harness/binding/testbed.ts';
import type { Fault } from '../../../harness/model/fault.ts';
import type { Granularity } from '../../../harness/model/granularity.ts';
import type { Load } from '../../../harness/model/load.ts';
import type { RecordLine } from '../../../harness/model/record.ts';
import type { PortRef } from '../../../harness/model/topology.ts';
import type { Cleanliness } from '../../../harness/model/verdict.ts';
import type { FabricSim, SimJob } from '../fabric-sim.ts';
import type { Series } from '../fabric/series.ts';
import { CounterReader } from './counter-reader.ts';
import { type Sampling, sampling } from './sampling.ts';
import { refusesFault, SimFaults } from './sim-faults.ts';
import { seriesLines } from './series-lines.ts';
import { startProbes } from './sim-probes.ts';

export interface SimTestbedOptions {
  readonly name: string;
  readonly sim: FabricSim;
  readonly record: (line: RecordLine) => void;
  /** How finely each phase is simulated; a phase that is not named goes on as it is. */
  readonly granularity?: Readonly<Record<string, Granularity>>;
  /** Ports and queues that are followed, with all flows, into `series.ndjson`. */
  readonly series?: { readonly intervalPs: number; readonly ports: readonly PortRef[] };
  readonly signal?: AbortSignal;
  /** Wall time, ms. Decides only when the event loop gets a turn, never what is simulated. */
  readonly wallMs: () => number;
}

/** The event loop gets a turn about this often, so that timeouts and progress work. */
const TURN_MS = 50;

/** Flow rates of a phase: at most so many windows, and about so many lines. */
const MOST_WINDOWS = 400;
const FEWEST_WINDOWS = 40;
const FLOW_LINES = 4000;
/** Readings of all counters within a phase, besides those that `observe` asks for. */
const READINGS = 40;
/** Longest first window of a phase that lasts a number of rounds, ps: its length is not known. */
const FIRST_WINDOW_PS = 100e6;

/** Begins the names of background flows; no host's name has a space. */
const BESIDE = 'background ';

/** The part of a phase for which samples are evenly spaced; see `sampling`. */
const EVEN = { time: 0.95, work: 0.5 };

interface Phase {
  readonly flows: Sampling;
  readonly counters: Sampling;
  delivered: Map<string, number>;
}

/**
 * The simulator as a testbed. Time passes only in `elapse`, in `stop` of probes (they drain) and in `heal` of a reboot (it waits, bounded, until
 * the switch and its sessions are back). A phase, for sampling, begins with `probe`.
 */
export class SimTestbed implements Testbed {
  readonly name: string;
  readonly measured = false;
  readonly playsBackground = true;
  readonly #sim: FabricSim;
  readonly #record: (line: RecordLine) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #wallMs: () => number;
  readonly #granularity: ReadonlyMap<string, Granularity>;
  readonly #counters: CounterReader;
  readonly #faults: SimFaults;
  readonly #series: Series | undefined;
  readonly #jobs: { readonly job: SimJob; readonly background: boolean; written: number }[] = [];
  readonly #probes: RunningProbes[] = [];
  #phase: Phase | undefined;
  #slicePs = 50e6;
  #passing = false;
  #released: Promise<Pick<Cleanliness, 'dirty'>> | undefined;

  constructor({ name, sim, record, granularity = {}, series, signal, wallMs }: SimTestbedOptions) {
    this.#granularity = new Map(Object.entries(granularity));
    this.name = name;
    this.#sim = sim;
    this.#record = record;
    this.#signal = signal;
    this.#wallMs = wallMs;
    this.#counters = new CounterReader(sim);
    this.#series =
      series &&
      sim.series({
        intervalPs: series.intervalPs,
        ports: series.ports,
        queues: series.ports.filter(({ node }) => sim.topology.switches.some(({ name }) => name === node)),
        flows: () => Array.from(this.#rates(), ([name, delivered]) => ({ name, delivered })),
      });
    const settle = (holds: () => boolean, withinPs: number) => this.#settle(holds, withinPs);
    this.#faults = new SimFaults({ sim, write: line => this.#write(line), settle });
    sim.onEvent(event => {
      this.#counters.hear(event);
      this.#faults.hear(event);
      const what = event.port === undefined ? event.kind : `${event.kind} ${event.port}`;
      this.#write({ kind: 'event', atNs: event.atPs / 1e3, node: event.node, what });
    });
  }

  async now(): Promise<number> {
    return this.#sim.nowPs / 1e3;
  }

  async elapse(until: Until): Promise<boolean> {
    const forNs = 'forNs' in until ? until.forNs : until.withinNs;
    if (!(forNs >= 0)) throw new RangeError(`Time passes by 0 ns or more, got ${forNs}.`);
    const untilPs = this.#sim.nowPs + Math.round(forNs * 1e3);
    if ('forNs' in until) {
      this.#phase ??= this.#newPhase(forNs * 1e3 * (1 / 20), EVEN.time);
      await this.#pass(untilPs);
      return true;
    }
    const job = this.#jobs.findLast(({ background }) => !background)?.job;
    if (!job) throw new Error(`No load runs, so round ${until.round} never ends.`);
    if (job.rounds.length >= until.round) return true;
    this.#phase ??= this.#newPhase(Math.min(FIRST_WINDOW_PS, forNs * 1e3 * (1 / 20)), EVEN.work);
    await this.#pass(untilPs, { job, rounds: until.round });
    return job.rounds.length >= until.round;
  }

  refuses(what: Fault | Load): string | undefined {
    switch (what.kind) {
      case 'span-cut':
      case 'span-flap':
      case 'span-degrade':
      case 'protection-switch':
      case 'link-down':
      case 'switch-reboot':
        return refusesFault(what, this.#sim.topology);
      default:
        return this.#sim.refuses(what);
    }
  }

  async start(load: Load, { background = false }: { readonly background?: boolean } = {}): Promise<RunningLoad> {
    this.#alive();
    const job = this.#sim.startJob(load);
    this.#jobs.push({ job, background, written: 0 });
    this.#phase = undefined;
    return {
      rounds: async () => {
        this.#writeRounds();
        return job.rounds.length;
      },
      stop: async () => {
        job.stop();
        this.#writeRounds();
      },
    };
  }

  async probe({
    phase,
    packetsPerSecond,
  }: {
    readonly phase: string;
    readonly packetsPerSecond: number;
  }): Promise<RunningProbes> {
    this.#alive();
    if (!(packetsPerSecond > 0)) throw new RangeError(`Probes need a rate above 0 packets/s, got ${packetsPerSecond}.`);
    this.#phase = undefined;
    // A phase begins with its probes: now is between two phases.
    const granularity = this.#granularity.get(phase);
    if (granularity !== undefined) this.#sim.playAs(granularity);
    const probes = startProbes({
      sim: this.#sim,
      phase,
      packetsPerSecond,
      write: line => this.#write(line),
      settle: (holds, withinPs) => this.#settle(holds, withinPs),
    });
    this.#probes.push(probes);
    return probes;
  }

  async inject(fault: Fault, id: string): Promise<InjectedFault> {
    this.#alive();
    return this.#faults.inject(fault, id);
  }

  async observe(): Promise<void> {
    for (const line of this.#counters.read()) this.#write(line);
  }

  release(): Promise<Pick<Cleanliness, 'dirty'>> {
    return (this.#released ??= this.#giveBack());
  }

  attachments(): readonly Attachment[] {
    return this.#series ? [{ name: 'series.ndjson', lines: seriesLines(this.#series) }] : [];
  }

  async #giveBack(): Promise<Pick<Cleanliness, 'dirty'>> {
    for (const { job } of this.#jobs) job.stop();
    for (const probes of this.#probes) await probes.stop();
    const dirty = await this.#faults.healAll();
    this.#series?.stop();
    this.#writeRounds();
    return { dirty: [...dirty, ...this.#faults.differences()] };
  }

  #alive(): void {
    if (this.#released) throw new Error(`${this.name} has been given back.`);
  }

  /** Rounds first: so the order of lines follows virtual time only, whatever the slices were. */
  #write(line: RecordLine): void {
    this.#writeRounds();
    this.#record(line);
  }

  #writeRounds(): void {
    for (const entry of this.#jobs) {
      if (entry.background) continue;
      for (; entry.written < entry.job.rounds.length; entry.written++) {
        const line = entry.job.rounds[entry.written];
        if (line) this.#record(line);
      }
    }
  }

  /** Passes time in steps until the condition holds, at most `withinPs`. Not ended by the signal: healing must finish. */
  async #settle(holds: () => boolean, withinPs: number): Promise<void> {
    // Windows do not go on over a time that no phase asked for.
    this.#phase = undefined;
    const endPs = this.#sim.nowPs + withinPs;
    const stepPs = Math.max(1, Math.min(Math.ceil(withinPs / 20), 1e9));
    while (!holds() && this.#sim.nowPs < endPs) {
      this.#sim.advance(Math.min(endPs, this.#sim.nowPs + stepPs));
      this.#writeRounds();
      await setImmediate();
    }
  }

  async #pass(untilPs: number, until?: { readonly job: SimJob; readonly rounds: number }): Promise<void> {
    this.#alive();
    if (this.#passing) throw new Error('Time passes already: one elapse at a time.');
    this.#passing = true;
    try {
      let turnMs = this.#wallMs();
      while (this.#sim.nowPs < untilPs && !(until && until.job.rounds.length >= until.rounds)) {
        const beganMs = this.#wallMs();
        if (beganMs - turnMs >= TURN_MS) {
          await setImmediate();
          this.#signal?.throwIfAborted();
          turnMs = this.#wallMs();
        }
        const { flows, counters } = this.#phase as Phase;
        this.#sim.advance(Math.min(untilPs, this.#sim.nowPs + this.#slicePs, flows.nextPs, counters.nextPs), until);
        this.#sample();
        // Half a turn per slice, so that turns come about when they should.
        const tookMs = Math.max(0.1, this.#wallMs() - beganMs);
        this.#slicePs = Math.round(
          Math.min(1e12, Math.max(1e6, this.#slicePs * Math.min(2, Math.max(0.5, TURN_MS / 2 / tookMs)))),
        );
      }
      this.#writeRounds();
    } finally {
      this.#passing = false;
    }
  }

  // ---- samples within a phase ----

  #newPhase(firstPs: number, even: number): Phase {
    const beginPs = this.#sim.nowPs;
    const windowPs = Math.max(1, Math.round(firstPs));
    const names = this.#rates();
    const most = Math.min(MOST_WINDOWS, Math.max(FEWEST_WINDOWS, Math.floor(FLOW_LINES / Math.max(1, names.size))));
    const flowPs = windowPs * Math.max(1, Math.round(MOST_WINDOWS / most));
    return {
      flows: sampling({ beginPs, firstPs: flowPs, even: Math.round(most * even), most }),
      counters: sampling({
        beginPs,
        firstPs: windowPs * (MOST_WINDOWS / READINGS),
        even: Math.round(READINGS * even),
        most: READINGS,
      }),
      delivered: names,
    };
  }

  #rates(): Map<string, number> {
    const delivered = new Map<string, number>();
    for (const { job, background } of this.#jobs) {
      for (const { name, delivered: bytes } of job.flows()) {
        const flow = background ? `${BESIDE}${job.load.kind} ${name}` : name;
        delivered.set(flow, (delivered.get(flow) ?? 0) + bytes);
      }
    }
    return delivered;
  }

  #sample(): void {
    const phase = this.#phase as Phase;
    const { nowPs } = this.#sim;
    if (nowPs >= phase.flows.nextPs) {
      const { windowPs } = phase.flows;
      const delivered = this.#rates();
      for (const [flow, bytes] of delivered) {
        const rateBps = ((bytes - (phase.delivered.get(flow) ?? 0)) * 8e12) / windowPs;
        const background = flow.startsWith(BESIDE) && ({ background: true } as const);
        this.#write({ kind: 'flow', flow, ...background, atNs: nowPs / 1e3, windowNs: windowPs / 1e3, rateBps });
      }
      phase.delivered = delivered;
      phase.flows.taken();
    }
    if (nowPs >= phase.counters.nextPs) {
      for (const line of this.#counters.read()) this.#write(line);
      phase.counters.taken();
    }
  }
}
