import { Worker } from 'node:worker_threads';
import { NO_PROGRESS_MS } from '../run/deadline.ts';
import type { CellOrder, CellResult, SweepSetting } from './sweep-cell.ts';
import type { FromWorker, ToWorker } from './sweep-worker.ts';

export interface PoolOptions<C> {
  readonly setting: SweepSetting;
  /** Handed out in this order. */
  readonly cells: readonly C[];
  readonly workers: number;
  readonly orderOf: (cell: C) => CellOrder;
  /** Called once a cell, as it ends; never for a cell that was stopped. */
  readonly onDone: (cell: C, result: CellResult) => void;
  /** Ends the sweep early: running cells are stopped and told to nobody. */
  readonly signal: AbortSignal;
}

/** A stopped cell gets a turn every 50 ms; one that needs longer than this is stuck and its thread is ended. */
const STOP_WITHIN_MS = 10_000;

const MODULE = new URL('../../bin/sweep-worker.js', import.meta.url);

/**
 * Plays cells on threads, one at a time on each. A thread that dies or makes no progress costs its cell, which is an error; another
 * thread takes its place. Resolves when every cell is done, or all are stopped.
 *
 * @throws what `onDone` throws, after all threads have ended
 */
export async function playOnThreads<C>(options: PoolOptions<C>): Promise<void> {
  const waiting = [...options.cells];
  const lanes = Math.min(options.workers, waiting.length);
  const failed = new AbortController();
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const ended = await Promise.allSettled(
    Array.from({ length: lanes }, async () => {
      try {
        await lane({ ...options, signal }, waiting);
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    }),
  );
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}

/** One lane: a thread after another, as long as there are cells. */
async function lane<C>(options: PoolOptions<C>, waiting: C[]): Promise<void> {
  while (waiting.length > 0 && !options.signal.aborted) {
    const worker = new Worker(MODULE, { workerData: options.setting });
    // An error that nobody waits for belongs to a thread that is being ended.
    worker.on('error', () => {});
    try {
      while (waiting.length > 0 && !options.signal.aborted) {
        const cell = waiting.shift() as C;
        const result = await playOn(worker, options.orderOf(cell), options.signal);
        if (result === 'stopped') return;
        options.onDone(cell, 'lost' in result ? lost(result.lost) : result);
        if ('lost' in result) break;
      }
    } finally {
      await worker.terminate();
    }
  }
}

const lost = (why: string): CellResult => ({
  outcome: 'error',
  reason: why,
  folder: null,
  dirty: false,
  kpis: [],
  trouble: 'lab',
});

/** One cell on one thread: its result, or how the thread was lost. */
function playOn(
  worker: Worker,
  order: CellOrder,
  signal: AbortSignal,
): Promise<CellResult | { readonly lost: string } | 'stopped'> {
  return new Promise(resolve => {
    let timer: NodeJS.Timeout | undefined;
    const end = (result: CellResult | { readonly lost: string } | 'stopped'): void => {
      clearTimeout(timer);
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
      signal.removeEventListener('abort', onAbort);
      resolve(signal.aborted ? 'stopped' : result);
    };
    const within = (ms: number, why: string): void => {
      clearTimeout(timer);
      timer = setTimeout(() => end({ lost: why }), ms);
    };
    const onMessage = (message: FromWorker): void => {
      if (message.kind === 'done') end(message.result);
      else if (!signal.aborted) watch();
    };
    const watch = (): void => within(NO_PROGRESS_MS, `no progress for ${NO_PROGRESS_MS / 1000} s`);
    const onError = (error: Error): void => end({ lost: `the thread crashed: ${error.message}` });
    const onExit = (code: number): void => end({ lost: `the thread ended by itself with code ${code}` });
    const onAbort = (): void => {
      worker.postMessage({ kind: 'stop' } satisfies ToWorker);
      within(STOP_WITHIN_MS, 'stopped');
    };
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    signal.addEventListener('abort', onAbort);
    watch();
    if (signal.aborted) end('stopped');
    else worker.postMessage({ kind: 'play', order } satisfies ToWorker);
  });
}
