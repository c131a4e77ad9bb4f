import { createHash } from 'node:crypto';
import { type LinuxFiles, linuxFiles } from './linux-files.ts';
import { linuxPrograms } from './linux-programs.ts';
import { type LinuxProcess, type Pause, type ProcessTable, processTable } from './linux-process.ts';
import { type Program, type ShellResult, smallShell } from './small-shell.ts';
import { systemdTimers } from './systemd-timers.ts';
import type { WallClock } from './wall-clock.ts';

/** What a box stands in. */
export interface Surroundings {
  readonly wall: WallClock;
  /** Its data plane: `nowPs` and `at` of a simulator. */
  readonly sim: { readonly nowPs: number; at(atPs: number, act: () => void): void };
  /** Tells this lab from others of the same topology, so that no two boots have one id. */
  readonly instance: string;
}

export interface LinuxBoxOptions extends Surroundings {
  readonly name: string;
  /** Files of /proc and /sys, read when asked for. */
  readonly system: Readonly<Record<string, () => string>>;
  /** Whether systemd is process 1. */
  readonly systemd: boolean;
  /** Programs that are not installed. */
  readonly without?: ReadonlySet<string>;
  /** What the device can do besides. */
  readonly programs: (box: {
    readonly files: LinuxFiles;
    readonly processes: ProcessTable;
  }) => Readonly<Record<string, Program>>;
}

/** Something that will run by itself in wall time. */
export interface ArmedTimer {
  /** A systemd unit, or `pid N` of a process that sleeps. */
  readonly name: string;
  readonly command: string;
  readonly leftMs: number;
}

/** A detached process, as the kernel would list it. */
export interface DetachedProcess {
  readonly pid: number;
  readonly args: string;
  /** `FARSPAN_JOB` of its environment. */
  readonly job: string | undefined;
}

/** A Linux computer: files, processes, timers and a shell. */
export interface LinuxBox {
  readonly name: string;
  readonly files: LinuxFiles;
  readonly processes: ProcessTable;
  /** `done` is called once: before this returns, unless the command has to wait. Never when the box loses power meanwhile. */
  exec(command: string, done: (result: ShellResult) => void): void;
  detached(): readonly DetachedProcess[];
  timers(): readonly ArmedTimer[];
  /** Ends every process and timer and empties what lies in memory, /run and /tmp. It is then as freshly booted. */
  reboot(): void;
  close(): void;
}

/** The folder whose scripts protect the lab: what names it sleeps in wall time. */
const PROTECTS = '/run/farspan';
/** Longest that a session may wait for its command, wall time. */
const LONGEST_COMMAND_MS = 60_000;
/** Shortest sleep in data-plane time: shorter ones in a loop would let no time pass. */
const SHORTEST_SLEEP_PS = 1e6;
const IN_MEMORY = ['/run', '/tmp', '/dev/shm'];
const FOLDERS = [
  '/',
  '/bin',
  '/boot',
  '/etc',
  '/home',
  '/opt',
  '/root',
  '/usr/bin',
  '/var/log',
  '/var/tmp',
  ...IN_MEMORY,
];

export function linuxBox(options: LinuxBoxOptions): LinuxBox {
  const { name, wall, sim, without = new Set() } = options;
  const nowPs = (): number => sim.nowPs;
  let boots = 1;
  let bootedPs = nowPs();
  const processes = processTable(nowPs);
  const asleep = new Map<LinuxProcess, number>();

  const bootId = (): string => {
    const digest = createHash('sha256').update(`${options.instance}/${name}/${boots}`).digest('hex');
    return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-4${digest.slice(13, 16)}-8${digest.slice(17, 20)}-${digest.slice(20, 32)}\n`;
  };
  const uptime = (): string => ((nowPs() - bootedPs) / 1e12).toFixed(2);
  const system: Readonly<Record<string, () => string>> = {
    '/proc/uptime': () => `${uptime()} ${uptime()}\n`,
    '/proc/sys/kernel/random/boot_id': bootId,
    ...options.system,
  };
  const systemFolders = new Set(['/dev', '/proc', '/sys', ...Object.keys(system).flatMap(above)]);
  const files = linuxFiles(path => {
    if (Object.hasOwn(system, path)) return system[path] as () => string;
    if (systemFolders.has(path)) return 'folder';
    const [, pid, file] = /^\/proc\/(\d{1,9})(?:\/(\w+))?$/.exec(path) ?? [];
    const process = pid === undefined ? undefined : processes.get(Number(pid));
    if (process?.running() !== true) return undefined;
    if (file === undefined) return 'folder';
    if (file === 'cmdline') return () => process.args.map(word => `${word}\0`).join('');
    if (file === 'environ') return () => [...process.environ].map(([key, value]) => `${key}=${value}\0`).join('');
    const comm = (process.args[0] ?? '').replace(/^.*\//, '').slice(0, 15);
    if (file === 'comm') return () => `${comm}\n`;
    // proc(5), up to the session; a group here is always a session.
    return file === 'stat' ? () => `${pid} (${comm}) S 1 ${process.group} ${process.group}\n` : undefined;
  });

  /** What guards the lab, and what a session waits for, can not wait for a data plane that stands still. */
  const inWallTime = (process: LinuxProcess): boolean =>
    process.foreground || process.service || process.args.some(word => word.includes(PROTECTS));
  const sleep =
    (process: LinuxProcess, seconds: number): Pause =>
    resume => {
      if (!inWallTime(process)) {
        let stands = true;
        sim.at(nowPs() + Math.max(SHORTEST_SLEEP_PS, Math.round(seconds * 1e12)), () => void (stands && resume()));
        return () => void (stands = false);
      }
      asleep.set(process, wall.nowMs() + seconds * 1000);
      const cancel = wall.after(seconds * 1000, () => {
        asleep.delete(process);
        resume();
      });
      return () => {
        asleep.delete(process);
        cancel();
      };
    };

  const hasSystemd = options.systemd && !without.has('systemd');
  const systemd = systemdTimers({ wall, spawn: (argv, environ) => shell.spawn(argv, environ) });
  const installed = {
    ...linuxPrograms({ files, processes, hostname: name, wall, nowPs, sleep }),
    ...(hasSystemd && systemd.programs),
    ...options.programs({ files, processes }),
  };
  const programs = Object.fromEntries(Object.entries(installed).filter(([program]) => !without.has(program)));
  const shell = smallShell({ programs, files, processes });

  const furnish = (): void => {
    for (const folder of FOLDERS) files.makeFolder(folder, true);
    if (hasSystemd) files.makeFolder('/run/systemd/system', true);
  };
  furnish();

  const halt = (): void => {
    systemd.clear();
    processes.endAll();
    asleep.clear();
  };
  return {
    name,
    files,
    processes,
    exec(command, done) {
      let stop = (): void => {};
      let over = false;
      const process = shell.run(command, result => {
        over = true;
        stop();
        done(result);
      });
      if (!over) stop = wall.after(LONGEST_COMMAND_MS, () => process.signal('KILL'));
    },
    detached: () =>
      processes
        .all()
        .filter(process => !process.foreground)
        .map(({ pid, args, environ }) => ({ pid, args: args.join(' '), job: environ.get('FARSPAN_JOB') })),
    timers: () => [
      ...systemd.armed().map(({ unit, command, dueMs }) => ({
        name: `${unit}.timer`,
        command: command.join(' '),
        leftMs: dueMs - wall.nowMs(),
      })),
      ...[...asleep]
        .filter(([process]) => !process.foreground)
        .map(([process, dueMs]) => ({
          name: `pid ${process.pid}`,
          command: process.args.join(' '),
          leftMs: dueMs - wall.nowMs(),
        })),
    ],
    reboot() {
      halt();
      for (const folder of IN_MEMORY) files.remove(folder);
      furnish();
      boots++;
      bootedPs = nowPs();
    },
    close: halt,
  };
}

/** `/a` and `/a/b` of `/a/b/c`. */
function above(path: string): readonly string[] {
  const parts = path.split('/').slice(1, -1);
  return parts.map((_, i) => `/${parts.slice(0, i + 1).join('/')}`);
}
