/** The clock of the world outside the data plane, with timers. */
export interface WallClock {
  /** Monotonic, ms. */
  readonly nowMs: () => number;
  /** Runs `act` after `ms`, unless the returned function is called before. Never keeps the process alive. */
  readonly after: (ms: number, act: () => void) => () => void;
}

/** The longest wait that setTimeout knows; a longer one would fire at once. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Real timers. A slice of simulation holds the event loop for 20 ms and more, so what came over the network meanwhile waits in its
 * socket when a timer is due, and the loop runs timers first. A renewal that arrived in time must not lose to that order: a due timer
 * gives the loop two turns, one to read and one to answer, and then looks whether it still stands.
 */
export function wallClock(nowMs: () => number): WallClock {
  return {
    nowMs,
    after(ms, act) {
      let stands = true;
      const timer = setTimeout(
        () => {
          setImmediate(() => void setImmediate(() => void (stands && act())));
        },
        Math.min(LONGEST_MS, Math.max(0, ms)),
      );
      timer.unref();
      return () => {
        stands = false;
        clearTimeout(timer);
      };
    },
  };
}
