import { parentPort, workerData } from 'node:worker_threads';
import { troubleOf } from '../playwright/annotations.ts';
import { asError } from '../run/conduct.ts';
import { playCell } from './sweep-cell.ts';
import type { CellOrder, CellResult, SweepSetting } from './sweep-cell.ts';

/** To a thread: play this, or stop what is played. One cell at a time. */
export type ToWorker = { readonly kind: 'play'; readonly order: CellOrder } | { readonly kind: 'stop' };

/** From a thread. `alive` is said while a cell makes progress, so that a watchdog can tell slow from stuck. */
export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'alive' }
  | { readonly kind: 'done'; readonly result: CellResult };

/** Progress is said at most this often. */
const ALIVE_EVERY_MS = 1000;

const port = parentPort;
if (!port) throw new Error('This module runs in a thread of farspan sweep only.');
const setting = workerData as SweepSetting;
const say = (message: FromWorker): void => port.postMessage(message);
let abort = new AbortController();

async function play(order: CellOrder): Promise<void> {
  abort = new AbortController();
  let saidMs = Number.NEGATIVE_INFINITY;
  const progress = (): void => {
    if (performance.now() - saidMs < ALIVE_EVERY_MS) return;
    saidMs = performance.now();
    say({ kind: 'alive' });
  };
  try {
    say({ kind: 'done', result: await playCell(setting, order, { progress, signal: abort.signal }) });
  } catch (thrown) {
    const error = asError(thrown);
    const reason = error.message;
    say({
      kind: 'done',
      result: { outcome: 'error', reason, folder: null, dirty: false, kpis: [], trouble: troubleOf(error) },
    });
  }
}

port.on('message', (message: ToWorker) => {
  if (message.kind === 'play') void play(message.order);
  else abort.abort(new Error('the sweep was interrupted'));
});
say({ kind: 'ready' });
