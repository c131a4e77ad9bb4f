import type { FabricSim, SimJob } from '../fabric-sim/index.ts';

export interface Wait {
  /** Virtual time at which it ends at the latest, ps. */
  readonly untilPs: number;
  /** Ends earlier, at the very event, when the job has finished this many rounds. */
  readonly until?: { readonly job: SimJob; readonly rounds: number };
  readonly signal?: AbortSignal;
}

/** The only one who moves virtual time. */
export interface DataPlaneClock {
  readonly nowPs: number;
  /** Resolves when the wait is over, with whether its rounds were reached (`true` for a plain time). */
  wait(wait: Wait): Promise<boolean>;
  close(): void;
}

export interface DataPlaneClockOptions {
  readonly sim: FabricSim;
  /** Virtual seconds per wall second; absent: time stands still unless somebody waits, and then runs as fast as it can. */
  readonly pace?: number;
  /** Monotonic wall time, ms. */
  readonly wallMs: () => number;
}

/** Wall time of one slice of simulation: what a device's answer may have to wait for. */
const SLICE_MS = 20;
const FIRST_SLICE_PS = 1e8;

/** Lets I/O in. */
const breathe = (): Promise<void> => new Promise(resolve => void setImmediate(resolve));

/** Moves virtual time in slices of about 20 ms of wall time, so that SSH, SNMP and HTTP are answered meanwhile. */
export function dataPlaneClock({ sim, pace, wallMs }: DataPlaneClockOptions): DataPlaneClock {
  let slicePs = FIRST_SLICE_PS;
  let closed = false;
  const slice = (untilPs: number, until?: Wait['until']): void => {
    const fromPs = sim.nowPs;
    const target = Math.min(untilPs, fromPs + slicePs);
    const began = wallMs();
    sim.advance(target, until);
    const tookMs = Math.max(0.01, wallMs() - began);
    // Grows slowly and shrinks fast: traffic may start at any moment. Only from what was simulated: a slice that its target cut
    // short says nothing of a longer one, and idle paced time would double it without end.
    const fitsPs = Math.max(1e3, Math.round((target - fromPs) * Math.min(2, Math.max(0.05, SLICE_MS / tookMs))));
    slicePs = tookMs > SLICE_MS ? fitsPs : Math.max(slicePs, fitsPs);
  };
  const met = ({ until }: Wait): boolean => until === undefined || until.job.rounds.length >= until.rounds;
  const over = (wait: Wait): boolean =>
    closed || wait.signal?.aborted === true || sim.nowPs >= wait.untilPs || (wait.until !== undefined && met(wait));

  if (pace !== undefined) {
    const startWall = wallMs();
    const startPs = sim.nowPs;
    const timer = setInterval(() => {
      const target = Math.floor(startPs + (wallMs() - startWall) * 1e9 * pace);
      if (target > sim.nowPs) slice(target);
    }, SLICE_MS);
    return {
      get nowPs() {
        return sim.nowPs;
      },
      async wait(wait) {
        while (!over(wait)) await new Promise(resolve => void setTimeout(resolve, SLICE_MS / 2));
        return met(wait);
      },
      close() {
        closed = true;
        clearInterval(timer);
      },
    };
  }

  // One wait at a time: two would each see more time pass than they asked for.
  let queue: Promise<unknown> = Promise.resolve();
  const play = async (wait: Wait): Promise<boolean> => {
    while (!over(wait)) {
      slice(wait.untilPs, wait.until);
      await breathe();
    }
    return met(wait);
  };
  return {
    get nowPs() {
      return sim.nowPs;
    },
    wait(wait) {
      const turn = queue.then(() => play(wait));
      queue = turn.catch(() => {});
      return turn;
    },
    close() {
      closed = true;
    },
  };
}
