import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { GUARD_FOLDER, guardScript } from '../../../harness/drivers/device-guard.ts';
import type { Shell } from '../../../harness/drivers/ssh.ts';

/** What a program of the guard came to. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The guard of a device that is a folder of this machine, under a real shell. */
export interface GuardUnderShell {
  readonly folder: string;
  /** Runs a verb: `verb('arm', 17, 'k3f9', 1, 'f', 'true')`. */
  verb(...words: readonly (string | number)[]): Promise<Ended>;
  /** Runs a verb by a shell that kills itself before a line of the program (`linesOf`). */
  dying(line: number, ...words: readonly (string | number)[]): Promise<Ended>;
  /** Starts a verb in a process group of its own, to be killed. */
  start(...words: readonly (string | number)[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> };
  /** What the harness sends to a device, run here with the guard's folder in place of the device's. */
  readonly shell: Shell;
  /** Text of a file, without its last newline; undefined when there is none. */
  read(file: string): string | undefined;
  list(folder: string): readonly string[];
  close(): void;
}

const SHELLS: Readonly<Record<string, readonly string[]>> = {
  dash: ['/bin/dash', '/usr/bin/dash'],
  bash: ['/bin/bash', '/usr/bin/bash'],
  busybox: ['/bin/busybox', '/usr/bin/busybox'],
};

/** Shells of this machine that devices have too, by name. */
export const shellsHere = (): readonly (readonly [name: string, file: string])[] =>
  Object.entries(SHELLS).flatMap(([name, files]) => {
    const file = files.find(existsSync);
    return file === undefined ? [] : [[name, file] as const];
  });

/** Lines of the program before which a shell that plays the verb can die: those of its functions and of the verb itself. */
export function linesOf(verb: string): readonly number[] {
  const lines = guardScript().split('\n');
  let inside = false;
  return lines.flatMap((line, i) => {
    if (/^\w+\(\) \{$/.test(line) || line === `  ${verb})`) inside = true;
    else if (line === '}' || /^ {4};;$/.test(line)) inside = false;
    else if (inside && !/^\s*(?:else|fi|done|;;)$/.test(line)) return [i];
    return [];
  });
}

/** @param file the shell that stands as `sh` for the guard and everything that it starts */
export function guardUnderShell(file: string): GuardUnderShell {
  const base = mkdtempSync(path.join(tmpdir(), 'farspan-guard-'));
  const folder = path.join(base, 'device');
  mkdirSync(path.join(base, 'bin'));
  mkdirSync(folder);
  symlinkSync(file, path.join(base, 'bin/sh'));
  // On a machine with systemd the timers would be units of the machine: its name is hidden, so that they are processes.
  const here = (text: string): string =>
    text.replaceAll(GUARD_FOLDER, folder).replaceAll('/run/systemd/system', path.join(base, 'none'));
  writeFileSync(path.join(folder, 'guard'), here(guardScript()));
  const env = { ...process.env, PATH: `${path.join(base, 'bin')}:${process.env['PATH']}` };

  const begin = (words: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } => {
    const child = spawn('sh', words, { env, cwd: base, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text));
    const ended = new Promise<Ended>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', code => resolve({ code, ...said }));
    });
    return { child, ended };
  };
  const start: GuardUnderShell['start'] = (...words) => begin([path.join(folder, 'guard'), ...words.map(String)]);
  const dying: GuardUnderShell['dying'] = (line, ...words) => {
    const lines = here(guardScript()).split('\n');
    const program = path.join(base, `dying-${line}`);
    writeFileSync(program, lines.toSpliced(line, 0, 'kill -KILL $$').join('\n'));
    return begin([program, ...words.map(String)]).ended;
  };
  const read: GuardUnderShell['read'] = name => {
    try {
      return readFileSync(path.join(folder, name), 'utf8').replace(/\n$/, '');
    } catch {
      return undefined;
    }
  };
  return {
    folder,
    start,
    dying,
    verb: (...words) => start(...words).ended,
    shell: {
      device: 'folder',
      run: async command => {
        const { code, stdout, stderr } = await begin(['-c', here(command)]).ended;
        return { exitCode: code, stdout, stderr, truncated: false, wholeLineBytes: stdout.lastIndexOf('\n') + 1 };
      },
      close: async () => {},
    },
    read,
    list: name => {
      try {
        return readdirSync(path.join(folder, name)).toSorted();
      } catch {
        return [];
      }
    },
    close: () => rmSync(base, { recursive: true, force: true }),
  };
}
