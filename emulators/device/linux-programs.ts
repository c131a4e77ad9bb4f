import type { LinuxFiles } from './linux-files.ts';
import { dateText } from './programs/date-text.ts';
import { filePrograms } from './programs/file-programs.ts';
import { processPrograms, type ProcessProgramsOptions } from './programs/process-programs.ts';
import { textPrograms } from './programs/text-programs.ts';
import { type Program, succeed } from './small-shell.ts';

export interface LinuxOptions extends ProcessProgramsOptions {
  readonly files: LinuxFiles;
  readonly hostname: string;
}

/** Programs that every emulated Linux box has: files, text, processes, locks, time. Only what scripts on devices use. */
export function linuxPrograms(given: LinuxOptions): Readonly<Record<string, Program>> {
  return {
    ...filePrograms(given.files),
    ...textPrograms(given.files),
    ...processPrograms(given),
    ...systemPrograms(given),
  };
}

function systemPrograms({ hostname, nowPs }: LinuxOptions): Readonly<Record<string, Program>> {
  return {
    hostname: () => succeed(`${hostname}\n`),
    whoami: () => succeed('root\n'),
    id: ({ argv }) =>
      succeed(
        argv[1] === undefined ? 'uid=0(root) gid=0(root) groups=0(root)\n' : argv[1].includes('n') ? 'root\n' : '0\n',
      ),
    uname({ argv }) {
      const parts = ['Linux', hostname, '6.1.0-22-2-amd64', '#1 SMP Debian 6.1.94-1', 'x86_64', 'GNU/Linux'];
      const flags = argv[1]?.slice(1) ?? 's';
      const at: Readonly<Record<string, number>> = { s: 0, n: 1, r: 2, v: 3, m: 4, o: 5 };
      const chosen = flags === 'a' ? parts : parts.filter((_, i) => flags.split('').some(flag => at[flag] === i));
      return succeed(`${chosen.join(' ')}\n`);
    },
    df: () =>
      succeed(
        'Filesystem     1024-blocks    Used Available Capacity Mounted on\n/dev/sda3         16337788 4084447  11401753      27% /\n',
      ),
    date({ argv }) {
      const format = argv.find(word => word.startsWith('+'))?.slice(1) ?? '%a %b %e %H:%M:%S UTC %Y';
      return succeed(`${dateText(format, nowPs())}\n`);
    },
  };
}
