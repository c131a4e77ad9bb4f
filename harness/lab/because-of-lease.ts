import type { HeldLease } from './held-lease.ts';
import { LeaseLost } from './lease-store.ts';

/**
 * What to tell of an error: once the lease is lost, that is why things fail, whatever was the first to show it (a session that died while
 * the process was stopped, a command that was fenced). The error itself while the lease is ours, and before one was taken.
 */
export function becauseOfLease(error: unknown, lease: Pick<HeldLease, 'check'> | undefined): unknown {
  try {
    lease?.check();
    return error;
  } catch (lost) {
    if (lost === error || error instanceof LeaseLost) return error;
    const words = (error as Error).message ?? String(error);
    return new LeaseLost(`${(lost as Error).message}\n  What failed then: ${words}`, { cause: error });
  }
}
