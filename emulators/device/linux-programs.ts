import type { LinuxBox } from './linux-process.ts';
import { type Program, fail, type ShellResult, succeed } from './small-shell.ts';

export interface LinuxOptions {
  readonly box: LinuxBox;
  readonly hostname: string;
  /** Files of /proc and /sys, read when asked for. */
  readonly system: Readonly<Record<string, () => string>>;
}

const missing = (program: string, file: string): ShellResult =>
  fail(1, `${program}: ${program === 'tail' ? `cannot open '${file}' for reading` : file}: No such file or directory`);

/** Programs that every emulated Linux box has: cat, tail -c, rm, kill, hostname. */
export function linuxPrograms({ box, hostname, system }: LinuxOptions): Readonly<Record<string, Program>> {
  const read = (file: string): string | undefined =>
    Object.hasOwn(system, file) ? (system[file] as () => string)() : box.read(file);
  return {
    hostname: () => succeed(`${hostname}\n`),
    cat({ argv }) {
      let text = '';
      for (const file of argv.slice(1)) {
        const content = read(file);
        if (content === undefined) return missing('cat', file);
        text += content;
      }
      return succeed(text);
    },
    tail({ argv: [, option, count, file] }) {
      if (option !== '-c' || count === undefined || file === undefined || !/^\+?\d{1,15}$/.test(count))
        return fail(1, 'tail: only -c [+]N FILE is part of this device');
      const content = read(file);
      if (content === undefined) return missing('tail', file);
      const n = Number(count);
      // `+N` starts at byte N, 1-based; +0 is the same as +1.
      return succeed(count.startsWith('+') ? content.slice(Math.max(0, n - 1)) : n === 0 ? '' : content.slice(-n));
    },
    rm({ argv }) {
      const force = argv[1] === '-f';
      for (const file of argv.slice(force ? 2 : 1))
        if (!box.remove(file) && !force) return fail(1, `rm: cannot remove '${file}': No such file or directory`);
      return succeed();
    },
    kill({ argv }) {
      const signal = argv[1]?.startsWith('-') ? argv[1] : '-TERM';
      for (const word of argv.slice(argv[1]?.startsWith('-') ? 2 : 1)) {
        if (!/^\d{1,9}$/.test(word))
          return fail(1, `bash: line 1: kill: ${word}: arguments must be process or job IDs`);
        const process = box.process(Number(word));
        if (!process?.running()) return fail(1, `bash: line 1: kill: (${word}) - No such process`);
        if (signal !== '-0') process.signal();
      }
      return succeed();
    },
  };
}
