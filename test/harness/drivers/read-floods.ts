/**
 * A program of its own, so that its memory is only what the driver takes: runs commands against a flooding device until it has received
 * so many bytes, and prints what it saw as one line of JSON.
 *
 * Arguments: port, host key, how the device floods, bytes.
 */
import { readFileSync } from 'node:fs';
import { connectSsh, maybeApplied } from '../../../harness/drivers/ssh.ts';

const [port = '', hostKey = '', how = '', bytes = ''] = process.argv.slice(2);
const CAP = 8 * 2 ** 20;

const shell = await connectSsh({
  device: 'flooder',
  host: '127.0.0.1',
  port: Number(port),
  user: 'admin',
  password: 'secret',
  hostKey,
  deadlineMs: 120_000,
  step: step => {
    if (step.answer.length > 4000) throw new Error(`a step of ${step.answer.length} characters`);
  },
});
let received = 0;
let commands = 0;
const tookMs: number[] = [];
let wrong = 0;
let lost = 0;
while (received < Number(bytes)) {
  const began = performance.now();
  try {
    const { stdout, stderr, truncated } = await shell.run(how, { maxBytes: CAP });
    if (!truncated || stdout.length + stderr.length < 64 * 1024) wrong++;
    received += CAP;
  } catch (error) {
    if (!maybeApplied(error)) throw error;
    lost++;
  }
  tookMs.push(performance.now() - began);
  commands++;
}
const after = await shell.run('fine', { deadlineMs: 30_000 }).catch(() => shell.run('fine'));
const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
await shell.close();
process.stdout.write(
  `${JSON.stringify({
    commands,
    received,
    wrong,
    lost,
    after: after.stdout,
    peakMiB: Math.round(Number(peak) / 1024),
    slowestMs: Math.round(Math.max(...tookMs)),
  })}\n`,
);
