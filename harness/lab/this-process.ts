import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** Tells this process from every other of this machine, over reboots and reused process ids. */
export interface ProcessMark {
  readonly host: string;
  readonly pid: number;
  /** Clock ticks from boot to its start (proc(5), stat field 22); empty where there is no /proc. */
  readonly started: string;
  /** Id of the boot; empty where there is none. */
  readonly boot: string;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Field 22 of /proc/PID/stat. The second field is the name and may hold anything, so counting begins behind its bracket. */
const startOf = (pid: number): string => {
  const stat = read(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
};

/** A process that has died but was not waited for yet is no holder. */
const isZombie = (pid: number): boolean => {
  const stat = read(`/proc/${pid}/stat`);
  return ['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2)[0] ?? '');
};

const bootId = (): string => read('/proc/sys/kernel/random/boot_id').trim();

export const thisProcess = (): ProcessMark => ({
  host: hostname(),
  pid: process.pid,
  started: startOf(process.pid),
  boot: bootId(),
});

/** Whether that process lives; undefined when it is another machine's, or this one can not tell. */
export function lives(mark: ProcessMark): boolean | undefined {
  const boot = bootId();
  if (mark.host !== hostname() || boot === '' || mark.boot === '') return undefined;
  if (mark.boot !== boot) return false;
  if (mark.pid === 0) return undefined;
  return startOf(mark.pid) === mark.started && mark.started !== '' && !isZombie(mark.pid);
}
