import type { Until } from '../binding/clock.ts';
import type { InjectedFault, RunningLoad, RunningProbes, Testbed } from '../binding/testbed.ts';
import { firstLine } from '../binding/first-line.ts';
import type { Fired } from '../drivers/device-guard.ts';
import { maybeApplied } from '../drivers/ssh.ts';
import { faultRulesOf } from '../faults/fault-rules.ts';
import { beyond, type Fault } from '../model/fault.ts';
import type { Load } from '../model/load.ts';
import type { RecordLine } from '../model/record.ts';
import type { Topology } from '../model/topology.ts';
import type { Baseline } from './baseline.ts';
import { CounterHistory } from './counter-history.ts';
import { changesOf } from './device-change.ts';
import { inject } from './inject.ts';
import type { LeftoverAudit } from './leftover-audit.ts';
import { suggest } from './near-miss.ts';
import { dropCheckpoints, type Safekeeping } from './safekeeping.ts';
import { type ObserveOptions, observeAll, sampleSwitches } from './observe.ts';
import { deviceOf, nowOf, type OpenLab } from './open-lab.ts';
import { type LabLoad, refusesLoad, runLoad } from './run-load.ts';
import { findRoutes, type ProbeRoute, runProbes } from './run-probes.ts';
import { StaleSamples } from './stale-samples.ts';

/** The conductor waits in at least 20 slices per phase; each is halved here, so a time phase has about 40 samples. */
const SAMPLES_PER_ELAPSE = 2;

/** Wall clock only: how often the tool's output is looked at while a round is awaited, ns. */
const POLL_NS = 200e6;

export interface LabTestbedOptions {
  readonly lab: OpenLab;
  readonly keep: Safekeeping;
  readonly baseline: Baseline;
  /** How every device was found, and whose doing it is when it is not so any more. */
  readonly audit: LeftoverAudit;
  /** Gives the lease back, closes journal, sessions and trap receiver; called once. Resolves with what could not be given back. */
  readonly close: () => Promise<readonly string[]>;
}

/** Everything a scenario can do to devices that are reached over the wire. */
export class LabTestbed implements Testbed {
  readonly name: string;
  readonly measured = true;
  readonly #lab: OpenLab;
  readonly #keep: Safekeeping;
  readonly #baseline: Baseline;
  readonly #audit: LeftoverAudit;
  readonly #close: LabTestbedOptions['close'];
  readonly #history = new CounterHistory();
  readonly #quiet = new Map<string, number>();
  readonly #stale: StaleSamples;
  readonly #loads: LabLoad[] = [];
  readonly #probes: RunningProbes[] = [];
  readonly #injected: { readonly id: string; readonly fault: InjectedFault }[] = [];
  readonly #unsure: string[] = [];
  /** Why nothing may go on: the lease was lost, or a load was ended by its own timer. */
  #broken: Error | undefined;
  #routes: Promise<readonly ProbeRoute[]> | undefined;
  #released: ReturnType<Testbed['release']> | undefined;

  constructor({ lab, keep, baseline, audit, close }: LabTestbedOptions) {
    this.name = lab.inventory.name;
    this.#lab = lab;
    // Virtual time stands still while it is read, and an emulated agent that caches says so by its measured period.
    const unmeasured = lab.clock.kind === 'virtual' ? 0 : undefined;
    this.#stale = new StaleSamples(node => lab.refreshNs?.get(node) ?? unmeasured);
    this.#keep = keep;
    this.#baseline = baseline;
    this.#audit = audit;
    this.#close = close;
  }

  now(): Promise<number> {
    return nowOf(this.#lab);
  }

  refuses(what: Fault | Load): string | undefined {
    if (!isFault(what)) return refusesLoad(what);
    const { topology, inventory } = this.#lab;
    const { blast } = faultRulesOf(what);
    if (beyond(blast, inventory.blast ?? 'device'))
      return `${what.kind} reaches a whole ${blast}; ${inventory.file} permits faults up to a ${inventory.blast}.`;
    return refusesFault(topology, what);
  }

  /** Nothing goes on from here; what is injected is still healed. */
  break(error: Error): void {
    this.#broken ??= error;
  }

  /** The undo of a fault or job of this run ran on a device by itself: what was measured since is not what was declared. */
  async timerFired(device: string, { fault, code }: Fired): Promise<void> {
    const atNs = await this.now().catch(() => 0);
    const words = `its undo ran by itself on ${device} (exit code ${code}) because it was not renewed in time; seen at ${new Date().toISOString()}`;
    this.#lab.record({ kind: 'event', atNs, node: device, what: `${fault}: ${words}` });
    if (this.#injected.some(({ id }) => id === fault))
      this.#lab.record({ kind: 'effect', fault, atNs, witness: device, seen: words, real: false });
    else this.break(new Error(`${fault}: ${words}`));
  }

  /** Reads every counter once, so that all later ones are since the reservation. */
  async takeBaseline(): Promise<void> {
    await this.observe();
    this.#history.baselineTaken();
  }

  async start(load: Load): Promise<RunningLoad> {
    const why = refusesLoad(load);
    if (why !== undefined) throw new RangeError(why);
    this.#goOn();
    const { hosts, record } = this.#lab;
    const throttled = await Promise.all(
      [...hosts].map(async ([node, host]) => ({ node, reasons: await host.throttled() })),
    );
    const atNs = await this.now();
    for (const { node, reasons } of throttled) {
      for (const reason of reasons) record({ kind: 'event', atNs, node, what: `throttled: ${reason}` });
    }
    // Paths are looked for before the load fills the queues, and outside of any phase.
    await this.#findRoutes();
    const ended = this.#audit.begin({ what: `load ${load.kind}`, devices: this.#hosts() });
    const running = await runLoad(this.#lab, load).catch((error: unknown) => {
      if (maybeApplied(error))
        this.#unsure.push(`the load may have started and still run: ${(error as Error).message}`);
      throw error;
    });
    this.#loads.push(running);
    return { ...running, stop: () => running.stop().finally(ended) };
  }

  async probe(options: { readonly phase: string; readonly packetsPerSecond: number }): Promise<RunningProbes> {
    this.#goOn();
    const { spans } = this.#lab.topology;
    const delayNs = ({ span, direction }: ProbeRoute): number =>
      Object.hasOwn(spans, span) ? this.#baseline.shaper(span, direction).delayNs : 0;
    const unsure = (words: string): void => void this.#unsure.push(words);
    const ended = this.#audit.begin({ what: `probes of ${options.phase}`, devices: this.#hosts() });
    const probes = await runProbes(this.#lab, { ...options, delayNs, unsure, routes: await this.#findRoutes() });
    this.#probes.push(probes);
    return { stop: () => probes.stop().finally(ended) };
  }

  async inject(fault: Fault, id: string): Promise<InjectedFault> {
    const why = this.refuses(fault);
    if (why !== undefined) throw new RangeError(why);
    this.#goOn();
    // The instant of a fault is what intervals are counted from.
    await this.#lab.clocks?.edge();
    const injected = await this.#inject(fault, id);
    // Before anything else can fail: what is injected is healed.
    this.#injected.push({ id, fault: injected });
    await this.#lab.clocks?.edge();
    return injected;
  }

  async observe(): Promise<void> {
    await this.#lab.clocks?.due();
    await observeAll(this.#observing());
  }

  /**
   * Lets time pass in pieces and samples the switches after each. A round is awaited on the clock service where there is one,
   * which stops at the instant its row is printed; on wall time the tool's output is polled.
   */
  async elapse(until: Until): Promise<boolean> {
    this.#goOn();
    const { clock } = this.#lab;
    if ('forNs' in until) {
      const pieces = Math.max(1, Math.min(SAMPLES_PER_ELAPSE, Math.floor(until.forNs)));
      for (let piece = 0; piece < pieces; piece++) {
        const edge = (i: number): number => Math.floor((until.forNs / pieces) * i);
        await clock.elapse({ forNs: (piece + 1 === pieces ? until.forNs : edge(piece + 1)) - edge(piece) });
        await this.#look();
      }
      return true;
    }
    const load = this.#loads.at(-1);
    if (!load?.running()) throw new Error('No load runs, so no round can be awaited.');
    const end = (await this.now()) + until.withinNs;
    let done = await load.rounds();
    while (done < until.round) {
      const before = await this.now();
      const left = end - before;
      if (left < 1) break;
      const virtual = clock.kind === 'virtual';
      const row = { host: load.host, pid: load.pid, rounds: until.round };
      const met = await clock.elapse(virtual ? { forNs: left, row } : { forNs: Math.min(left, POLL_NS) });
      done = await load.rounds();
      // The clock says the row is there and the host does not show it: waiting again would not move time.
      if (virtual && met) break;
      if (virtual && (await this.now()) <= before) {
        throw new Error(`The clock of ${this.name} stands at ${before} ns: it was asked to move on and did not.`);
      }
    }
    await this.#look();
    return done >= until.round;
  }

  release(): ReturnType<Testbed['release']> {
    this.#released ??= this.#giveBack();
    return this.#released;
  }

  /** @throws what broke the run */
  #goOn(): void {
    if (this.#broken) throw this.#broken;
    this.#keep.lease.check();
  }

  #observing(): ObserveOptions {
    return { lab: this.#lab, history: this.#history, quiet: this.#quiet, stale: this.#stale };
  }

  async #inject(fault: Fault, id: string): Promise<InjectedFault> {
    const devices = changesOf(fault, this.#lab.solution).map(({ device }) => device);
    const around = faultRulesOf(fault)
      .settles(fault, this.#lab.topology)
      .map(({ node }) => deviceOf(this.#lab, node));
    const ended = this.#audit.begin({ what: `fault ${id}`, devices: [...new Set([...devices, ...around])] });
    const kept = await inject({
      lab: this.#lab,
      keep: this.#keep,
      baseline: this.#baseline,
      fault,
      id,
    });
    const heal = async (): ReturnType<InjectedFault['heal']> => {
      const outcome = await kept.heal();
      ended();
      // Now rather than at the end: what differs here is this fault's doing.
      for (const device of devices) await this.#audit.check(device);
      return outcome;
    };
    let healing: ReturnType<InjectedFault['heal']> | undefined;
    const injected: InjectedFault = { ...kept, heal: () => (healing ??= heal()) };
    if (fault.kind !== 'switch-reboot') return injected;
    const { name } = fault.switch;
    this.#history.breakNode(name);
    const what = 'counter reset: a reboot was commanded; its counters begin anew';
    this.#lab.record({ kind: 'event', atNs: await this.now(), node: name, what });
    return {
      ...injected,
      heal: async () => {
        const outcome = await injected.heal();
        this.#quiet.delete(name);
        return outcome;
      },
    };
  }

  /** Inventory names of the hosts. */
  #hosts(): readonly string[] {
    return [...this.#lab.hosts.keys()].map(node => deviceOf(this.#lab, node));
  }

  #findRoutes(): Promise<readonly ProbeRoute[]> {
    this.#routes ??= findRoutes(this.#lab).catch((error: unknown) => {
      this.#routes = undefined;
      throw error;
    });
    return this.#routes;
  }

  async #look(): Promise<void> {
    await Promise.all([
      this.#lab.clocks?.due(),
      sampleSwitches(this.#observing()),
      ...this.#loads.filter(load => load.running()).map(load => load.rounds()),
    ]);
  }

  async #giveBack(): Promise<{ readonly dirty: readonly string[] }> {
    const dirty: string[] = [];
    const failed = (what: string) => (error: unknown) => {
      dirty.push(`${what}: ${firstLine(error)}`);
    };
    // A heal that was done already answers again without a command; the latest fault first.
    for (const { id, fault } of this.#injected.toReversed()) {
      const { verified, observed, manual = 'see the run record' } = await fault.heal();
      if (!verified) dirty.push(`${id} could not be healed, found: ${observed}. By hand: ${manual}`);
    }
    await Promise.all(this.#probes.map(probes => probes.stop().catch(failed('a probe may still run'))));
    await Promise.all(this.#loads.map(load => load.stop().catch(failed(`the load on ${load.host} may still run`))));
    await this.#lab.clocks?.read();
    dirty.push(...this.#unsure);
    // The second way back is given up only when the first one did: and before it would count as a leftover itself.
    if (this.#keep.journal.unclosed().length === 0) dirty.push(...(await dropCheckpoints(this.#keep)));
    dirty.push(...(await this.#audit.end()).map(({ words }) => words));
    await this.#writeTruth();
    dirty.push(...(await this.#close()));
    return { dirty };
  }

  /** Only a simulator knows the truth; that it can not be had is no fault of the lab. */
  async #writeTruth(): Promise<void> {
    const { clock, epochNs, record } = this.#lab;
    if (clock.kind !== 'virtual') return;
    try {
      for (const line of await clock.truth()) record({ kind: 'truth', line: sinceReservation(line, epochNs) });
    } catch (error) {
      record({
        kind: 'event',
        atNs: await this.now().catch(() => 0),
        node: 'clock',
        what: `no truth: ${firstLine(error)}`,
      });
    }
  }
}

const FAULTS: ReadonlySet<string> = new Set<Fault['kind']>([
  'span-cut',
  'span-flap',
  'span-degrade',
  'protection-switch',
  'link-down',
  'switch-reboot',
]);

/** Why a fault can not be injected here; undefined when it can. */
function refusesFault(topology: Topology, fault: Fault): string | undefined {
  const lacks = (kind: 'link' | 'switch' | 'span', name: string, known: readonly string[]): string | undefined => {
    if (known.includes(name)) return undefined;
    const what = kind === 'switch' ? 'switches' : `${kind}s`;
    return `${topology.name} has no ${kind} ${name}. ${suggest({ word: name, known, what })}`;
  };
  if (fault.kind === 'link-down') {
    const links = topology.links.map(({ name }) => name);
    return lacks('link', fault.link.name, links);
  }
  if (fault.kind === 'switch-reboot') {
    const switches = topology.switches.map(({ name }) => name);
    return lacks('switch', fault.switch.name, switches);
  }
  if (fault.kind === 'protection-switch')
    return 'A span box can not yet play an outage and a longer path one after the other; the sim world can.';
  if (fault.kind === 'span-degrade' && !('loss' in fault.amount))
    return 'A span box loses a share of packets whatever their length: say the loss, not bit errors.';
  return lacks('span', fault.span.name, Object.keys(topology.spans));
}

const isFault = (what: Fault | Load): what is Fault => FAULTS.has(what.kind);

/** The lab's clock begins before the reservation: shifts the instants of a line to the run's own zero. */
export function sinceReservation(line: RecordLine, epochNs: number): RecordLine {
  const shifted: Record<string, unknown> = { ...line };
  for (const key of ['beginNs', 'endNs', 'atNs'])
    if (typeof shifted[key] === 'number') shifted[key] = shifted[key] - epochNs;
  return shifted as unknown as RecordLine;
}

/** A testbed over an open lab, with the counters' baseline taken. */
export async function labTestbed(options: LabTestbedOptions): Promise<LabTestbed> {
  const testbed = new LabTestbed(options);
  await testbed.takeBaseline();
  return testbed;
}
