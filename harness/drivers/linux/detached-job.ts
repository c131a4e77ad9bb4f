import { setTimeout as sleep } from 'node:timers/promises';
import { deviceError } from '../device-text.ts';
import type { DeviceGuard } from '../device-guard.ts';
import type { Shell } from '../ssh.ts';

/** Host names and IP addresses that may stand in a command line. Never begins with `-`. */
const ADDRESS = /^[0-9A-Za-z:][0-9A-Za-z.:_-]{0,252}$/;
const INTERFACE = /^[A-Za-z][0-9A-Za-z._-]{0,14}$/;
const FILE = /^\/[0-9A-Za-z._/-]{1,200}$/;

/** The address, when it may enter a command. @throws RangeError */
export function safeAddress(address: string): string {
  if (!ADDRESS.test(address)) throw new RangeError(`"${address}" is no host name or address that may enter a command.`);
  return address;
}

/** The interface name, when it may enter a command (15 characters, `IFNAMSIZ` of Linux). @throws RangeError */
export function safeInterface(name: string): string {
  if (!INTERFACE.test(name)) throw new RangeError(`"${name}" is no interface name that may enter a command.`);
  return name;
}

/** The port number, when it is one. @throws RangeError */
export function safeUdpPort(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new RangeError(`${port} is no UDP port.`);
  return port;
}

/** The path, when it may enter a command. @throws RangeError */
export function safeFile(file: string): string {
  if (!FILE.test(file)) throw new RangeError(`"${file}" is no absolute path that may enter a command.`);
  return file;
}

/** Whether the process runs. @throws DeviceError when the answer does not tell: only "no such process" means that it has ended */
export async function isRunning(shell: Shell, pid: number): Promise<boolean> {
  const tried = `kill -0 ${pid}`;
  const { exitCode, stderr } = await shell.run(tried);
  if (exitCode === 0) return true;
  if (exitCode === 1 && !/not permitted/i.test(stderr)) return false;
  throw deviceError({
    device: shell.device,
    tried,
    answer: `exit code ${exitCode ?? 'none'}: ${stderr.trim() || 'no output'}`,
    advice: `Nobody knows whether process ${pid} still runs. Look by hand: ps -o pid,user,cmd -p ${pid}`,
  });
}

/** Waits until the process is gone. Resolves with false when it is still there after `withinMs` of wall time. */
export async function gone(shell: Shell, pid: number, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  for (let pauseMs = 5; ; pauseMs = Math.min(200, pauseMs * 2)) {
    if (!(await isRunning(shell, pid))) return true;
    if (performance.now() >= end) return false;
    await sleep(Math.min(pauseMs, Math.max(1, end - performance.now())));
  }
}

/** What `endProcess` writes. */
export const SIGNALS: readonly RegExp[] = [/^kill (-(INT|KILL) )?\d{1,10}$/];

/**
 * Ends a process: the given signal, and after `withinMs` TERM, then KILL.
 *
 * @throws DeviceError when it is there even after that
 */
export async function endProcess(
  shell: Shell,
  guard: Pick<DeviceGuard, 'write'>,
  options: { readonly pid: number; readonly signal: 'INT' | 'TERM'; readonly withinMs: number },
): Promise<void> {
  const { pid, signal, withinMs } = options;
  for (const [name, patienceMs] of [
    [signal, withinMs],
    ['TERM', 1000],
    ['KILL', 1000],
  ] as const) {
    // Exit 1: it has ended by itself just before, or the signal was refused; `gone` tells which.
    const { exitCode } = await guard.write(name === 'TERM' ? `kill ${pid}` : `kill -${name} ${pid}`);
    if (await gone(shell, pid, exitCode === 0 ? patienceMs : 0)) return;
  }
  throw deviceError({
    device: shell.device,
    tried: `ending process ${pid}`,
    answer: 'it is still there after INT, TERM and KILL',
    advice: `It hangs in the kernel (often a driver). Look at it by hand: ps -o pid,stat,wchan,cmd -p ${pid}`,
  });
}
