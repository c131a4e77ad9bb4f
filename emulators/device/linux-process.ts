/** Arranges that `resume` is called once what a process waits for has come. The returned function takes that back. */
export type Pause = (resume: () => void) => () => void;

/** A program that goes on by itself until it is signalled, as a collective does. */
export interface Running {
  running(): boolean;
  signal(name: string): void;
}

export interface ProcessOptions {
  readonly args: readonly string[];
  readonly environ: ReadonlyMap<string, string>;
  /** Process group; absent: its own. */
  readonly group?: number;
  /** Part of what a session waits for; absent: it goes on by itself. */
  readonly foreground?: boolean;
}

/** A process of an emulated Linux box. What it runs is a generator, which yields when it has to wait. */
export interface LinuxProcess {
  readonly pid: number;
  readonly foreground: boolean;
  /** Data-plane time at which it started, ps. */
  readonly startedPs: number;
  group: number;
  args: readonly string[];
  environ: ReadonlyMap<string, string>;
  /** Its sleeps tick in wall time, whatever they run in. */
  service: boolean;
  ignoresHangUp: boolean;
  /** What it has become, when that is a program that goes on by itself. */
  body: Running | undefined;
  /** Steps that it may still take before it waits for something. */
  budget: number;
  /** The signal that ended it while it ran. */
  readonly signalled: string | undefined;
  /** Undefined while it runs. */
  readonly exitCode: number | undefined;
  running(): boolean;
  signal(name: string): void;
  /** Runs it until it first waits. `ended` is told its exit code. */
  start(body: Generator<Pause, number>, ended?: (code: number) => void): void;
  onEnd(listener: () => void): () => void;
}

export interface ProcessTable {
  spawn(options: ProcessOptions): LinuxProcess;
  get(pid: number): LinuxProcess | undefined;
  /** Those that run, in the order of their start. */
  all(): readonly LinuxProcess[];
  /** Ends all of them at once, as a loss of power does. */
  endAll(): void;
}

/** Steps that a process may take without waiting: no loop of a device may hold up the others. */
export const MOST_STEPS = 50_000;
/** Ended processes that are still known, so that a late question finds out how they ended. */
const MOST_ENDED = 1000;

export const SIGNALS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  TERM: 15,
};

/** Thrown inside a process that was ended by a signal while it ran. */
export class Signalled extends Error {}

export function processTable(nowPs: () => number): ProcessTable {
  const processes = new Map<number, LinuxProcess>();
  let lastPid = 1000;
  const forget = (): void => {
    if (processes.size < MOST_ENDED) return;
    for (const [pid, process] of processes) if (!process.running()) processes.delete(pid);
  };
  return {
    spawn(options) {
      forget();
      const process = linuxProcess(++lastPid, nowPs(), options);
      processes.set(process.pid, process);
      return process;
    },
    get: pid => processes.get(pid),
    all: () => [...processes.values()].filter(process => process.running()),
    endAll() {
      for (const process of processes.values()) process.signal('KILL');
    },
  };
}

function linuxProcess(pid: number, startedPs: number, options: ProcessOptions): LinuxProcess {
  const listeners = new Set<() => void>();
  let body: Generator<Pause, number> | undefined;
  let ended: (code: number) => void = () => {};
  let cancel: () => void = () => {};
  let active = false;
  let exitCode: number | undefined;
  let signalled: string | undefined;
  const finish = (code: number): void => {
    if (exitCode !== undefined) return;
    exitCode = code;
    ended(code);
    // Whoever is told may start or forget others.
    for (const listener of Array.from(listeners)) listener();
  };
  const codeOf = (name: string): number => 128 + (SIGNALS[name] ?? 15);
  /** A pause that has more than one way to end must end once: a late one would wake the process from its next pause. */
  const wait = (pause: Pause): void => {
    let over = false;
    const forget = pause(() => {
      if (over) return;
      cancel();
      step();
    });
    cancel = () => {
      over = true;
      forget();
    };
  };
  const step = (): void => {
    if (exitCode !== undefined || active || !body) return;
    process.budget = MOST_STEPS;
    active = true;
    try {
      const { done, value } = body.next();
      if (done) finish(value);
      else wait(value);
    } catch (error) {
      finish(codeOf(signalled ?? 'KILL'));
      if (!(error instanceof Signalled)) throw error;
    } finally {
      active = false;
    }
  };
  const process: LinuxProcess = {
    pid,
    startedPs,
    foreground: options.foreground ?? false,
    group: options.group ?? pid,
    args: options.args,
    environ: options.environ,
    service: false,
    ignoresHangUp: false,
    body: undefined,
    budget: MOST_STEPS,
    get signalled() {
      return signalled;
    },
    get exitCode() {
      return exitCode;
    },
    running: () => exitCode === undefined && (process.body?.running() ?? true),
    signal(name) {
      if (!process.running() || (name === 'HUP' && process.ignoresHangUp)) return;
      if (process.body) {
        process.body.signal(name);
        if (process.body.running()) return;
      }
      // One that runs right now ends at its next step.
      if (active) return void (signalled ??= name);
      cancel();
      body?.return(0);
      finish(codeOf(name));
    },
    start(generator, told) {
      body = generator;
      if (told) ended = told;
      step();
    },
    onEnd(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  return process;
}
