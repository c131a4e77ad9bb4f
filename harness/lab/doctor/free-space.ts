import { existsSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { ParseError } from '../../drivers/parse-error.ts';
import { print } from '../../model/units.ts';
import type { Finding } from './doctor-line.ts';
import { ask, type OpenDevice } from './open-device.ts';

/** A night's record and steps of one scenario take some 100 MiB. Our choice. */
export const LEAST_FREE_BYTES = 2 ** 30;

const COMMAND = 'df -P /';

/** Free bytes from `df -P` (POSIX): the fourth column of its second line, in units of 1024 B or 512 B. @throws ParseError */
export function parseDf(text: string): number {
  const [head = '', ...lines] = text.trim().split('\n');
  const unit = /\b(1024|512)-blocks\b/.exec(head)?.[1];
  const free = /^\S.*?\s+\d+\s+\d+\s+(\d{1,15})\s+\d+%\s+\/\S*$/.exec(lines.at(-1)?.trim() ?? '')?.[1];
  if (unit === undefined || free === undefined) throw new ParseError(`${COMMAND}: a line of sizes`, text);
  return Number(unit) * Number(free);
}

/** Free space on the root of a device. Loads and probes write their output there. */
export async function checkDisk(device: OpenDevice, leastBytes: number): Promise<readonly Finding[]> {
  const free = await ask(device, COMMAND, parseDf);
  const detail = `${print(free, 'size')} free on /`;
  if (free >= leastBytes) return [{ check: 'disk', ok: true, detail }];
  const fix = `Make room for ${print(leastBytes, 'size')}: du -xh / | sort -h | tail; on SONiC: sonic-installer cleanup, and old files in /var/dump and /var/core.`;
  return [{ check: 'disk', ok: false, detail, fix }];
}

/** The nearest folder that is there. */
function existing(folder: string): string {
  const parent = path.dirname(folder);
  return existsSync(folder) || parent === folder ? folder : existing(parent);
}

/** Free bytes where a folder is, or will be made. */
export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(existing(path.resolve(folder)));
  return bavail * bsize;
}

/** Free space for what this machine keeps, by what it keeps there. */
export function checkRunner(
  folders: Readonly<Record<string, string>>,
  { leastBytes, free = freeBytes }: { readonly leastBytes: number; readonly free?: (folder: string) => number },
): readonly Finding[] {
  return Object.entries(folders).map(([what, folder]) => {
    let bytes: number;
    try {
      bytes = free(folder);
    } catch (error) {
      const detail = `the free space for ${what} in ${folder} can not be read: ${(error as Error).message}`;
      return { check: 'runner', ok: 'unknown', detail, fix: `Look yourself: df -P ${folder}` };
    }
    const detail = `${print(bytes, 'size')} free for ${what} in ${folder}`;
    if (bytes >= leastBytes) return { check: 'runner', ok: true, detail };
    const fix = `Make room for ${print(leastBytes, 'size')}, or say another place. Evidence that can not be written ends a run.`;
    return { check: 'runner', ok: false, detail, fix };
  });
}
