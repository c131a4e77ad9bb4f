/** What `elapse` waits for: a time, or until the load has finished a round, but never longer than `withinNs`. */
export type Until = { readonly forNs: number } | { readonly round: number; readonly withinNs: number };

/** Testbed time. Virtual in the simulator and the emulated lab, monotonic elsewhere. */
export interface Clock {
  /** ns since the reservation. */
  now(): Promise<number>;
  /**
   * Lets testbed time pass. Resolves with whether the condition was met (`true` for a plain time).
   * Never resolves later than `withinNs` of testbed time.
   */
  elapse(until: Until): Promise<boolean>;
}
