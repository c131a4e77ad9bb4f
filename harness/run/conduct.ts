import type { InjectedFault, RunningLoad, RunningProbes, Testbed } from '../binding/testbed.ts';
import type { Fault } from '../model/fault.ts';
import { DEFAULT_PROBES_PER_SECOND, type Phase, type Plan } from '../model/plan.ts';
import type { PhaseLine, RecordLine } from '../model/record.ts';
import { magnitude } from '../model/units.ts';
import { isWork } from './check-plan.ts';

/** How far a phase is; said after every slice of it, so a watchdog can tell slow from stuck. */
export interface Progress {
  readonly phase: string;
  /** Of this phase, 0 to 1. */
  readonly share: number;
  readonly words: string;
}

export interface ConductOptions {
  readonly record: (line: RecordLine) => void;
  /** Longest that a work phase may last, ns of testbed time. */
  readonly deadlineNs: (phase: string) => number;
  /** Runs `body` under a title that people see; must return or throw what `body` does. */
  readonly narrate?: (title: string, body: () => Promise<void>) => Promise<void>;
  readonly progress?: (progress: Progress) => void;
  /** Ends the run early. Healing is never ended early. */
  readonly signal?: AbortSignal;
}

export interface Conducted {
  /** The work phase that was not done in time, and with it the run: no phase after it was played. */
  readonly stalled?: { readonly phase: string; readonly done: number; readonly asked: number };
  readonly notReached: readonly string[];
  /** What broke the run; absent when it was played to its end. */
  readonly error?: Error;
  /** What broke while healing and stopping. The rest was still healed and stopped. */
  readonly cleanupErrors: readonly Error[];
}

/** A phase is waited for in slices: at least 20, and none longer than this, so that progress shows and a signal is seen. */
const LONGEST_SLICE_NS = 30e9;
const SLICES = 20;

interface ActiveFault {
  readonly id: string;
  readonly key: string;
  readonly injected: InjectedFault;
}

/**
 * Plays the phases in order. A phase states which faults are true; only the difference to the phase before is injected
 * or healed. Everything is healed and stopped at the end, in reverse order, whatever went wrong on the way.
 *
 * A stalled job (a work phase at its deadline) ends the run: what a later phase showed of a hung job would be no evidence.
 */
export async function conduct(plan: Plan, testbed: Testbed, options: ConductOptions): Promise<Conducted> {
  const { record, narrate = (_title, body) => body(), signal } = options;
  const active: ActiveFault[] = [];
  const unhealed: string[] = [];
  const cleanupErrors: Error[] = [];
  const waiting = Object.keys(plan.phases);
  let load: RunningLoad | undefined;
  const background: RunningLoad[] = [];
  let probes: RunningProbes | undefined;
  let injections = 0;
  let stalled: Conducted['stalled'];
  let error: Error | undefined;

  const heal = async (fault: ActiveFault): Promise<void> => {
    active.splice(active.indexOf(fault), 1);
    const outcome = await healed(fault, testbed, cleanupErrors);
    record({ kind: 'heal', fault: fault.id, ...outcome });
    if (!outcome.verified) unhealed.push(fault.id);
  };

  const reach = async (wanted: readonly Fault[]): Promise<void> => {
    const keys = new Set(wanted.map(fault => JSON.stringify(fault)));
    for (const fault of active.toReversed()) if (!keys.has(fault.key)) await heal(fault);
    if (unhealed.length > 0) {
      throw new Error(
        `${unhealed.join(', ')} could not be verified as healed: the fabric is not as the next phase declares it.`,
      );
    }
    for (const fault of wanted) {
      signal?.throwIfAborted();
      const key = JSON.stringify(fault);
      if (active.some(other => other.key === key)) continue;
      const id = `${++injections}-${fault.kind}`;
      const injected = await testbed.inject(fault, id);
      active.push({ id, key, injected });
      const { bracketNs, injectedNs = await testbed.now() } = injected;
      record({
        kind: 'fault',
        id,
        fault,
        injectedNs,
        ...(bracketNs !== undefined && { bracketNs }),
      });
    }
  };

  const play = async (name: string, phase: Phase, running: RunningLoad): Promise<void> => {
    const beginNs = await testbed.now();
    probes = await testbed.probe({
      phase: name,
      packetsPerSecond: plan.probes?.packetsPerSecond ?? DEFAULT_PROBES_PER_SECOND,
    });
    await testbed.observe();
    const readFromNs = await testbed.now();
    await reach(phase.faults ?? []);
    // Where time is real, rounds finish while devices are read and steered: they say nothing about what the phase declares.
    const waited = isWork(phase)
      ? await untilWorkIsDone({ name, phase, running, testbed, options })
      : await untilTimeIsOver({ name, phase, testbed, options });
    for (const fault of active) await witness(fault, testbed, record);
    const readToNs = await testbed.now();
    await testbed.observe();
    const ending = probes;
    probes = undefined;
    await ending.stop();
    record({
      kind: 'phase',
      name,
      beginNs,
      endNs: await testbed.now(),
      ...waited,
      readNs: [readFromNs, readToNs],
    });
    if (waited.ended === 'deadline' && waited.rounds) stalled = { phase: name, ...waited.rounds };
  };

  try {
    signal?.throwIfAborted();
    load = await testbed.start(plan.load);
    for (const beside of plan.background ?? []) background.push(await testbed.start(beside, { background: true }));
    for (const [name, phase] of Object.entries(plan.phases)) {
      waiting.shift();
      const running = load;
      await narrate(`${name}: ${describePhase(phase)}`, () => play(name, phase, running));
      if (stalled) break;
    }
  } catch (thrown) {
    error = asError(thrown);
  } finally {
    const attempt = async (what: string, act: () => Promise<void> | undefined): Promise<void> => {
      try {
        await act();
      } catch (thrown) {
        cleanupErrors.push(new Error(`${what} failed: ${asError(thrown).message}`, { cause: thrown }));
      }
    };
    for (const fault of active.toReversed()) await attempt(`Healing ${fault.id}`, () => heal(fault));
    await attempt('Stopping the probes', () => probes?.stop());
    await attempt('Stopping the load', () => load?.stop());
    for (const beside of background) await attempt('Stopping a background load', () => beside.stop());
  }
  return { ...(stalled && { stalled }), notReached: waiting, ...(error && { error }), cleanupErrors };
}

interface Waited extends Pick<PhaseLine, 'ended' | 'rounds' | 'deadlineNs'> {}

interface WorkWait {
  readonly name: string;
  readonly phase: Phase;
  readonly running: RunningLoad;
  readonly testbed: Testbed;
  readonly options: ConductOptions;
}

/** Rounds and deadline count from here: the faults of the phase are in effect. */
async function untilWorkIsDone({ name, phase, running, testbed, options }: WorkWait): Promise<Waited> {
  const asked = magnitude(phase.for);
  const deadlineNs = Math.ceil(options.deadlineNs(name));
  const first = await running.rounds();
  let now = await testbed.now();
  const endNs = now + deadlineNs;
  const sliceNs = Math.ceil(Math.min(deadlineNs / SLICES, LONGEST_SLICE_NS));
  let done = 0;
  // Less than 1 ns is left over by adding floats, and no clock would move for it.
  while (done < asked && endNs - now >= 1) {
    options.signal?.throwIfAborted();
    const met = await unlessAborted(
      options.signal,
      testbed.elapse({
        round: first + done + 1,
        withinNs: Math.min(sliceNs, endNs - now),
      }),
    );
    const before = { done, now };
    done = (await running.rounds()) - first;
    now = await testbed.now();
    if (done === before.done && (met || now <= before.now)) {
      throw new Error(
        `The clock of ${testbed.name} stood still in phase ${name} at ${now} ns, ${done} of ${asked} rounds done.`,
      );
    }
    options.progress?.({ phase: name, share: Math.min(1, done / asked), words: `${done} of ${asked} rounds` });
    await breathe();
  }
  return { ended: done >= asked ? 'work' : 'deadline', rounds: { asked, done, first }, deadlineNs };
}

interface TimeWait {
  readonly name: string;
  readonly phase: Phase;
  readonly testbed: Testbed;
  readonly options: ConductOptions;
}

async function untilTimeIsOver({ name, phase, testbed, options }: TimeWait): Promise<Waited> {
  const totalNs = Math.max(1, Math.round(magnitude(phase.for)));
  const beginNs = await testbed.now();
  const slices = Math.min(totalNs, Math.max(SLICES, Math.ceil(totalNs / LONGEST_SLICE_NS)));
  const edge = (slice: number): number => Math.floor((totalNs / slices) * slice);
  for (let slice = 1; slice <= slices; slice++) {
    options.signal?.throwIfAborted();
    const forNs = (slice === slices ? totalNs : edge(slice)) - edge(slice - 1);
    await unlessAborted(options.signal, testbed.elapse({ forNs }));
    options.progress?.({
      phase: name,
      share: slice / slices,
      words: `${Math.floor((100 * slice) / slices)} % of ${phase.for}`,
    });
    await breathe();
  }
  const passedNs = (await testbed.now()) - beginNs;
  // A timer may be a little early; half of the phase missing is a clock that does not go, and nothing counted by it would mean anything.
  if (passedNs < totalNs / 2)
    throw new Error(
      `The clock of ${testbed.name} stood still in phase ${name}: ${passedNs} ns passed of ${phase.for}.`,
    );
  return { ended: 'time' };
}

/** Stops waiting, not the work: a testbed that hangs must not keep its faults from being healed. */
async function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (!signal) return work;
  let stop = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(asError(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Lets signals and timers in: a simulated slice may not yield by itself. */
const breathe = (): Promise<void> => new Promise(resolve => void setImmediate(resolve));

async function witness(fault: ActiveFault, testbed: Testbed, record: ConductOptions['record']): Promise<void> {
  try {
    await fault.injected.witness();
  } catch (thrown) {
    const seen = `could not look: ${asError(thrown).message}`;
    record({ kind: 'effect', fault: fault.id, atNs: await testbed.now(), witness: 'conductor', seen, real: null });
  }
}

async function healed(
  { id, injected }: ActiveFault,
  testbed: Testbed,
  errors: Error[],
): ReturnType<InjectedFault['heal']> {
  try {
    return await injected.heal();
  } catch (thrown) {
    const { message } = asError(thrown);
    errors.push(new Error(`Healing ${id} failed: ${message}`, { cause: thrown }));
    const healedNs = await testbed.now().catch(() => Number.NaN);
    return { healedNs, verified: false, expected: 'as it was found', observed: `not known: ${message}` };
  }
}

const describePhase = ({ for: length, faults = [] }: Phase): string =>
  [length, ...faults.map(fault => fault.kind)].join(', ');

export const asError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)));
