import type { Disk } from '../../harness/binding/disk.ts';

export interface FailingDisk extends Disk {
  /** Calls that can fail so far, by name and file, in order. */
  readonly calls: readonly string[];
  /** How many of them failed. */
  readonly failed: number;
}

export interface Failure {
  /** Which of the calls that can fail does so, from 1. With 0, none. */
  readonly call: number;
  readonly error: 'ENOSPC' | 'EIO';
  /** Every call after it fails as well. */
  readonly sticky: boolean;
  /** A write that fails has taken half of its bytes: it fails when it comes back for the rest. */
  readonly half?: boolean;
}

const CAN_FAIL = ['open', 'write', 'fsync', 'close', 'rename', 'mkdir', 'unlink'] as const;

const WORDS = { ENOSPC: 'no space left on device', EIO: 'i/o error' };

/**
 * A disk whose n-th call fails, once or from then on: the way SQLite is tested. A call that fails does nothing, but a close closes, as the
 * kernel does.
 */
export function failingDisk(real: Disk, { call, error, sticky, half = false }: Failure): FailingDisk {
  const calls: string[] = [];
  const files = new Map<number, string>();
  let failed = 0;
  let owed = false;
  /** Whether the call that comes now fails. */
  const fails = (name: string, file: unknown): boolean => {
    calls.push(`${name} ${typeof file === 'number' ? (files.get(file) ?? '?') : String(file).split('/').at(-1)}`);
    const due = call > 0 && (sticky ? calls.length >= call : calls.length === call);
    if (due) failed++;
    return due;
  };
  const fail = (name: string): never => {
    throw Object.assign(new Error(`${error}: ${WORDS[error]}, ${name}`), { code: error });
  };
  const failing = Object.fromEntries(
    CAN_FAIL.map(name => {
      const act = real[name] as (...args: unknown[]) => unknown;
      const guarded = (...args: unknown[]): unknown => {
        if (owed && name === 'write') {
          owed = false;
          fail(name);
        }
        if (fails(name, args[0])) {
          if (name === 'close') act(...args);
          if (!half || name !== 'write') fail(name);
          owed = true;
          const [descriptor, bytes, ...rest] = args as [number, Uint8Array];
          return act(descriptor, bytes.subarray(0, Math.ceil(bytes.byteLength / 2)), ...rest);
        }
        const result = act(...args);
        if (name === 'open') files.set(result as number, String(args[0]).split('/').at(-1) ?? '');
        return result;
      };
      return [name, guarded];
    }),
  ) as Pick<Disk, (typeof CAN_FAIL)[number]>;
  return Object.defineProperty({ ...real, ...failing, calls, failed: 0 }, 'failed', { get: () => failed });
}

/** A disk that takes every write in pieces of at most so many bytes. */
export const slowDisk = (real: Disk, most: number): Disk => ({
  ...real,
  write: (descriptor, bytes, position) => real.write(descriptor, bytes.subarray(0, most), position),
});
