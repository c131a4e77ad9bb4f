import { type Disk, realDisk } from '../../harness/binding/disk.ts';

export interface FailingDisk extends Disk {
  /** Calls that can fail so far, by name, in order. */
  readonly calls: readonly string[];
  /** How many of them failed. */
  readonly failed: number;
}

const CAN_FAIL = ['open', 'write', 'fsync', 'close', 'rename', 'mkdir'] as const;

/**
 * A disk whose n-th call fails (1-based), once or from then on: the way SQLite is tested. A call that fails does nothing, but a close
 * closes, as the kernel does.
 */
export function failingDisk(options: {
  readonly at: number;
  readonly sticky: boolean;
  readonly code?: string;
}): FailingDisk {
  const { at, sticky, code = 'ENOSPC' } = options;
  const calls: string[] = [];
  let failed = 0;
  const disk: Record<string, unknown> = { ...realDisk };
  for (const name of CAN_FAIL) {
    const act = realDisk[name] as (...args: unknown[]) => unknown;
    disk[name] = (...args: unknown[]): unknown => {
      calls.push(name);
      const due = sticky ? calls.length >= at : calls.length === at;
      if (!due || at < 1) return act(...args);
      failed++;
      if (name === 'close') act(...args);
      throw Object.assign(new Error(`${code}: no space left on device, ${name}`), { code });
    };
  }
  return Object.defineProperty({ ...(disk as unknown as Disk), calls, failed: 0 }, 'failed', { get: () => failed });
}
