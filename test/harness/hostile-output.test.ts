import { spawn } from 'node:child_process';
import path from 'node:path';
import t from 'tap';
import { floodingDevice } from './drivers/flooding-device.ts';

const BYTES = Number(process.env['FARSPAN_HOSTILE_BYTES'] ?? 256 * 2 ** 20);
/** Issue 4. */
const MOST_RSS_MIB = 256;

interface Floods {
  readonly commands: number;
  readonly received: number;
  readonly wrong: number;
  /** Commands that were lost because an earlier one's flood cost the session. */
  readonly lost: number;
  readonly after: string;
  readonly peakMiB: number;
  readonly slowestMs: number;
}

async function readFloods(port: number, hostKey: string, how: string, bytes: number): Promise<Floods> {
  const program = path.join(import.meta.dirname, 'drivers', 'read-floods.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program, String(port), hostKey, how, String(bytes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await new Promise(resolve => child.once('close', resolve));
  return JSON.parse(said) as Floods;
}

void t.test(
  `a device that never stops, ${BYTES / 2 ** 20} MiB of it`,
  { timeout: 60_000 + BYTES / 2 ** 16 },
  async t => {
    const device = await floodingDevice();
    t.teardown(() => device.close());
    for (const [how, bytes] of [
      ['stdout', BYTES],
      ['stderr', BYTES / 8],
      ['both', BYTES / 8],
      ['ignores close', BYTES / 8],
      ['ignores all', BYTES / 8],
    ] as const) {
      const sentBefore = device.sent();
      const began = performance.now();
      const seen = await readFloods(device.port, device.hostKey, how, bytes);
      const sent = device.sent() - sentBefore;
      const took = (performance.now() - began) / 1000;
      t.comment(
        `${how}: ${seen.commands} commands cut at 8 MiB, ${Math.round(seen.received / 2 ** 20)} MiB kept of ${Math.round(sent / 2 ** 20)} MiB sent in ${took.toFixed(1)} s, ${seen.lost} lost with their session; slowest cut ${seen.slowestMs} ms; peak RSS ${seen.peakMiB} MiB`,
      );
      t.same(
        [seen.wrong, seen.after],
        [0, 'done\n'],
        `${how}: every one is cut and marked, and the device is still usable`,
      );
      t.ok(seen.peakMiB < MOST_RSS_MIB, `${how}: peak RSS ${seen.peakMiB} MiB`);
      // What is on its way in sockets and windows when the session is ended, beside what is allowed after a close.
      t.ok(sent < seen.commands * 256 * 2 ** 20, `${how}: the device is stopped soon after the cut`);
    }
  },
);
