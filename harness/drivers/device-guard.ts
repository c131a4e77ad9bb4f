import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import pLimit from 'p-limit';
import { DeviceError } from '../binding/device-error.ts';
import { deviceError, excerpt, label } from './device-text.ts';
import type { RunOptions, Shell, ShellResult } from './ssh.ts';

/** What stands on a device for the lease that holds it. Both must match for a write to have any effect. */
export interface Marker {
  /** Fencing token of the lease store; grows with each lease. */
  readonly token: number;
  /** Id of the lease, letters and digits. */
  readonly lease: string;
  /** Which box it was laid on, letters and digits; the guard adds it. */
  readonly box?: string;
}

/** An undo that a timer of the device ran, because nobody renewed it. */
export interface Fired {
  readonly lease: string;
  readonly fault: string;
  /** Exit code of the undo: 0 when it is done. */
  readonly code: number;
}

/** What Farspan, this one or another, keeps on a device now. */
export interface DeviceSurvey {
  /** Changes with every boot; undefined where the device does not tell. */
  readonly boot: string | undefined;
  readonly lease: Marker | undefined;
  /** Who wrote the lease, in words, and its time-to-live; undefined when nobody did. */
  readonly holder: string | undefined;
  readonly ttlS: number | undefined;
  /** Grows with every renewal; a holder that lives changes it within its time-to-live. */
  readonly beat: number | undefined;
  /** Faults and jobs whose undo lies on the device. */
  readonly undos: readonly string[];
  readonly fired: readonly Fired[];
  /** Whether a lease can be compared and the write done under one lock (`flock` of util-linux). */
  readonly fences: boolean;
  /** What times an undo: systemd where it is process 1, else a process of its own. */
  readonly timers: 'systemd' | 'watchdog';
}

/** A program that was started detached, with its undo armed. */
export interface DeviceJob {
  readonly id: string;
  readonly pid: number;
}

/** The only way to change a device. Reads need none of it. */
export interface DeviceGuard {
  readonly device: string;
  /** What lies there now. Reads only. @throws DeviceError */
  survey(): Promise<DeviceSurvey>;
  /**
   * Puts our lease on the device in place of the one that is expected there (undefined: none). Undos that lie there stay armed, from now on
   * under this lease.
   *
   * @throws Fenced when another lease is there
   */
  take(options: {
    readonly marker: Marker;
    readonly expected: Marker | undefined;
    readonly holder: string;
    /** How long the lease lasts without renewal, when that is not the time-to-live of the undos. */
    readonly leaseS?: number;
  }): Promise<void>;
  /** Puts every timer of the device off by the time-to-live. @returns what has fired since the lease was taken @throws Fenced */
  renew(): Promise<readonly Fired[]>;
  /** Runs one command under the lease. A non-zero exit of the command is a result. @throws Fenced, DeviceError */
  write(command: string, options?: RunOptions): Promise<ShellResult>;
  /** Runs the lines of an undo under the lease, each whether or not the one before failed. @throws Fenced; DeviceError when a line fails */
  runLines(lines: readonly string[]): Promise<void>;
  /** Lays the undo of a fault on the device and starts its timer. @throws Fenced, DeviceError */
  arm(fault: string, undo: readonly string[]): Promise<void>;
  /** Takes timer and undo of a fault away. @throws Fenced, DeviceError */
  disarm(fault: string): Promise<void>;
  /** Runs the undo that lies on the device for a fault, and takes it away when it exits with 0. @throws Fenced, DeviceError */
  runUndo(fault: string): Promise<void>;
  /**
   * Starts a program that outlives the session, its output in `file`; with the undo that ends it armed in the same command. With `fault` it
   * belongs to a fault whose armed undo ends it (`endJobLines` of that id).
   *
   * @throws Fenced, DeviceError
   */
  startJob(program: string, file: string, options?: { readonly fault?: string }): Promise<DeviceJob>;
  /** Ends every other login of our user there: for devices that can not compare a lease, before it is taken over. @throws DeviceError */
  endOtherSessions(): Promise<void>;
  /** Takes the lease off the device. @throws Fenced; DeviceError while undos are still armed */
  release(): Promise<void>;
}

export interface DeviceGuardOptions {
  readonly shell: Shell;
  /** Put before each command where the login is not root: `sudo `. */
  readonly prefix?: string;
  /** What may be sent: each command of a write or an undo must match one of these whole. */
  readonly allowed: readonly RegExp[];
  /** How long an undo's timer runs without renewal. */
  readonly ttlS: number;
  /**
   * Tells this box from every other of the same lease, letters and digits: where an address leads to another box in the middle of a run,
   * the marker that lies there is not the one that a command carries.
   */
  readonly box?: string;
  /** A new id of a job. Default: random. */
  readonly newId?: () => string;
}

/** Empty again after a boot, as what it undoes is: netem, `ip link`, SONiC's running configuration, processes. */
export const GUARD_FOLDER = '/run/farspan';

/** A write that had no effect: another lease holds the device, or none does. */
export class Fenced extends DeviceError {
  override readonly name = 'Fenced';
}

const SCRIPT = readFileSync(new URL('./guard.sh', import.meta.url), 'utf8')
  .split('\n')
  .filter(line => !/^\s*#/.test(line) && line.trim() !== '')
  .join('\n');

/** The device's program, for a folder other than a test's. */
export const guardScript = (folder: string = GUARD_FOLDER): string => SCRIPT.replaceAll('@FOLDER@', folder);

/** One word of a POSIX shell. */
export const quoted = (text: string): string =>
  /^[A-Za-z0-9._/=@:,+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/;

function safeName(name: string): string {
  if (!NAME.test(name)) throw new RangeError(`"${name}" is no name of a lease or fault that may enter a command.`);
  return name;
}

/** The lease and, behind a dot, the box: the word by which the device knows it. */
const leaseWord = ({ lease, box }: Marker): string => safeName(box === undefined ? lease : `${lease}.${box}`);

export const printMarker = (marker: Marker): string => `${marker.token} ${leaseWord(marker)}`;

function markerOf(text: string | undefined): Marker | undefined {
  const [, token, lease, box] =
    /^(\d{1,15}) ([A-Za-z0-9]{1,40})(?:\.([A-Za-z0-9]{1,40}))?$/.exec(text?.trim() ?? '') ?? [];
  if (token === undefined || lease === undefined) return undefined;
  return { token: Number(token), lease, ...(box !== undefined && { box }) };
}

/** Marks the process, so that a pid which was given to another is never ended. */
const jobVariable = (id: string): string => `FARSPAN_JOB=${id}`;

/** What ends a job, whoever runs it. */
export const endJobLines = (id: string, file: string): readonly string[] => [
  `p=$(cat ${GUARD_FOLDER}/jobs/${id} 2> /dev/null)`,
  `[ -n "$p" ] && grep -qz ${jobVariable(id)} /proc/$p/environ 2> /dev/null && kill -TERM -$p`,
  // What it was about to do must not come behind what undoes it.
  'n=0; while [ -n "$p" ] && kill -0 -$p 2> /dev/null && [ $n -lt 20 ]; do n=$((n + 1)); sleep 0.1; done',
  ...(file === '/dev/null' ? [] : [`rm -f ${file}`]),
  'true',
];

const JOB_LINES = [
  /^p=\$\(cat \/run\/farspan\/jobs\/[A-Za-z0-9._-]+ 2> \/dev\/null\)$/,
  /^\[ -n "\$p" \] && grep -qz FARSPAN_JOB=[A-Za-z0-9._-]+ \/proc\/\$p\/environ 2> \/dev\/null && kill -TERM -\$p$/,
  /^n=0; while \[ -n "\$p" \] && kill -0 -\$p 2> \/dev\/null && \[ \$n -lt 20 \]; do n=\$\(\(n \+ 1\)\); sleep 0\.1; done$/,
  /^true$/,
];

/** A line of `endJobLines`: it fails when the job has ended by itself, which is no failure. */
const isJobLine = (line: string): boolean => JOB_LINES.some(form => form.test(line));

/** As `farspan plan` prints it: what is sent for a command under a lease. */
export const guardedCommand = (prefix: string, marker: string, command: string): string =>
  `${prefix}sh ${GUARD_FOLDER}/guard write ${marker} ${quoted(command)}`;

/** Longest line of a survey that is kept, and most entries. */
const MOST_ENTRIES = 1000;

const SURVEY = [
  `cd ${GUARD_FOLDER} 2> /dev/null && for f in lease holder beat fired undo/* gen/*; do [ -f "$f" ] && echo "== $f" && cat "$f"; done`,
  'echo "== boot"',
  'cat /proc/sys/kernel/random/boot_id 2> /dev/null',
  '[ -d /run/systemd/system ] && echo "== systemd"',
  'command -v flock > /dev/null 2>&1 && echo "== flock"',
  'true',
].join('; ');

/** OpenSSH names each session's process after its user; from 9.8 on it is a program of its own. Ours is an ancestor of this shell. */
const END_OTHER_SESSIONS = [
  "me=$$; mine=' '",
  'while [ "$me" -gt 1 ]; do mine="$mine$me "; me=$(cut -d " " -f 4 /proc/$me/stat); done',
  'for p in $(pgrep -f "^sshd(-session)?: ${SUDO_USER:-$(id -un)}@"); do case "$mine" in *" $p "*) ;; *) kill -TERM $p ;; esac; done',
  'true',
].join('; ');

/** Pure: the survey's answer, section by section. */
export function parseSurvey(text: string): DeviceSurvey {
  const sections = new Map<string, string[]>();
  let at: string[] = [];
  for (const line of text.split('\n').slice(0, 50 * MOST_ENTRIES)) {
    const head = /^== ([A-Za-z0-9._/-]{1,120})$/.exec(line)?.[1];
    if (head === undefined) at.push(line);
    else sections.set(head, (at = []));
  }
  const first = (name: string): string | undefined => sections.get(name)?.[0]?.trim();
  const [, ttl, holder] = /^(\d{1,9}) (.*)$/.exec(first('holder') ?? '') ?? [];
  const beat = first('beat');
  const undos = [...sections.keys()].flatMap(name => (name.startsWith('undo/') ? [name.slice(5)] : []));
  return {
    boot: first('boot') || undefined,
    lease: markerOf(first('lease')),
    holder: holder === undefined ? undefined : label(holder),
    ttlS: ttl === undefined ? undefined : Number(ttl),
    beat: beat !== undefined && /^\d{1,15}$/.test(beat) ? Number(beat) : undefined,
    undos: undos.filter(name => NAME.test(name)).slice(0, MOST_ENTRIES),
    fired: firedOf(sections.get('fired') ?? []),
    fences: sections.has('flock'),
    timers: sections.has('systemd') ? 'systemd' : 'watchdog',
  };
}

function firedOf(lines: readonly string[]): readonly Fired[] {
  return lines.slice(0, MOST_ENTRIES).flatMap(line => {
    const [, lease, fault, code] =
      /^([A-Za-z0-9]{1,40})(?:\.[A-Za-z0-9]{1,40})? ([A-Za-z0-9._-]{1,81}) \d{1,9} (\d{1,3})$/.exec(line.trim()) ?? [];
    return lease === undefined || fault === undefined ? [] : [{ lease, fault, code: Number(code) }];
  });
}

/** The guard of a device that has a POSIX shell. Its program lies in `guard.sh`; this sends its verbs. */
export function deviceGuard(options: DeviceGuardOptions): DeviceGuard {
  const { shell, prefix = '', allowed, ttlS } = options;
  const newId = options.newId ?? ((): string => `job-${randomBytes(5).toString('hex')}`);
  let marker: Marker | undefined;
  let fences = true;
  const inTurn = pLimit(1);
  /** Where the device has no lock, at least our own commands do not cross: a renewal moves files that an arming makes. */
  const run: Shell['run'] = (command, how) =>
    fences ? shell.run(command, how) : inTurn(() => shell.run(command, how));

  const permitted = (command: string): string => {
    if (!allowed.some(form => form.test(command))) {
      throw deviceError({
        device: shell.device,
        tried: command,
        answer: 'not sent: it is no command that this driver may write',
        advice:
          "A name in the inventory or the plan may hold more than a name. If the command is right, it belongs on the driver's list.",
      });
    }
    return command;
  };

  /** One line that fails must not keep the others from being tried, nor be taken for done. */
  const scriptOf = (lines: readonly string[]): string =>
    [...lines.map(line => (isJobLine(line) ? line : `${permitted(line)} || e=1`)), 'exit ${e:-0}'].join('\n');

  const fenced = (tried: string, found: string): Fenced =>
    new Fenced(
      label(shell.device),
      excerpt(tried, 500),
      found === '' ? 'no lease is on the device' : `another lease holds the device: ${label(found)}`,
      'Nothing was done. The lease was taken over, or the device was booted: see who holds it with farspan lease list and farspan doctor.',
    );

  /** Runs a verb of the guard and tells its own refusals from the command's result. */
  const verb = async (words: readonly string[], how: RunOptions = {}): Promise<ShellResult> => {
    const [name = '', ...more] = words;
    const shown = `guard ${words.join(' ')}`;
    if (marker === undefined) throw fenced(shown, '');
    const held = marker;
    const command =
      `${prefix}sh ${GUARD_FOLDER}/guard ${name} ${printMarker(held)} ${more.map(quoted).join(' ')}`.trimEnd();
    const result = await run(command, how);
    const { exitCode, stderr } = result;
    if (exitCode === 73 && stderr.includes('farspan: fenced by')) {
      throw fenced(shown, /farspan: fenced by (.*)/.exec(stderr)?.[1]?.trim() ?? '');
    }
    if ((exitCode === 127 || exitCode === 2) && stderr.includes(`${GUARD_FOLDER}/guard`)) throw fenced(shown, '');
    if (exitCode === 75 && stderr.includes('farspan: busy')) {
      throw deviceError({
        device: shell.device,
        tried: shown,
        answer: 'the lock of the device was not free within 10 s',
        advice: `Nothing was done. Another command hangs while it holds ${GUARD_FOLDER}/lock: ps -ef on the device shows it.`,
      });
    }
    return result;
  };

  /** A verb whose own result must be success. */
  const done = async (words: readonly string[]): Promise<ShellResult> => {
    const result = await verb(words);
    if (result.exitCode === 0 && !result.truncated) return result;
    throw deviceError({
      device: shell.device,
      tried: `guard ${words.join(' ')}`,
      answer: `exit code ${result.exitCode ?? 'none'}: ${result.stderr.trim() || result.stdout.trim() || 'no output'}`,
      advice: `Look at ${GUARD_FOLDER} on the device; farspan doctor lists what lies there.`,
    });
  };

  return {
    device: shell.device,
    async survey() {
      const { exitCode, stdout, stderr, truncated } = await shell.run(`${prefix}sh -c ${quoted(SURVEY)}`);
      if (exitCode !== 0 || truncated) {
        throw deviceError({
          device: shell.device,
          tried: `reading ${GUARD_FOLDER}`,
          answer: stderr || stdout || `exit code ${exitCode ?? 'none'}`,
          advice: 'A POSIX shell is needed, as root or with sudo.',
        });
      }
      const survey = parseSurvey(stdout);
      ({ fences } = survey);
      return survey;
    },
    async take({ marker: asked, expected, holder, leaseS = ttlS }) {
      const wanted: Marker = { ...asked, ...(options.box !== undefined && { box: options.box }) };
      // Put in place by the take itself, under the lock: whoever is refused leaves the holder's program alone.
      const file = `${GUARD_FOLDER}/guard.${leaseWord(wanted)}`;
      const words = [
        printMarker(wanted),
        quoted(expected === undefined ? '' : printMarker(expected)),
        ttlS,
        quoted(`${leaseS} ${label(holder)}`),
      ];
      const lay = `umask 077; mkdir -p ${GUARD_FOLDER} && printf '%s\\n' ${quoted(guardScript())} > ${file}`;
      const script = `${lay} && sh ${file} take ${words.join(' ')}; c=$?; rm -f ${file}; exit $c`;
      const { exitCode, stdout, stderr } = await run(`${prefix}sh -c ${quoted(script)}`);
      if (exitCode === 73) throw fenced('guard take', /farspan: fenced by (.*)/.exec(stderr)?.[1]?.trim() ?? '');
      if (exitCode !== 0) {
        throw deviceError({
          device: shell.device,
          tried: `leasing the device (${GUARD_FOLDER})`,
          answer: `exit code ${exitCode ?? 'none'}: ${stderr.trim() || stdout.trim() || 'no output'}`,
          advice: `Nothing else was sent. Farspan needs a POSIX shell there as root or with sudo, and ${GUARD_FOLDER} to be writable.`,
        });
      }
      marker = wanted;
    },
    async renew() {
      const { stdout } = await done(['renew', String(ttlS)]);
      return firedOf(stdout.split('\n'));
    },
    write: async (command, how) => verb(['write', permitted(command)], how),
    async arm(fault, undo) {
      await done(['arm', String(ttlS), safeName(fault), scriptOf(undo)]);
    },
    disarm: async fault => void (await done(['disarm', safeName(fault)])),
    runUndo: async fault => void (await done(['undo', safeName(fault)])),
    runLines: async lines => void (await done(['write', scriptOf(lines)])),
    async startJob(program, file, { fault } = {}) {
      const id = safeName(fault ?? newId());
      permitted(program);
      const command = `${jobVariable(id)} setsid nohup ${program} > ${file} 2>&1 < /dev/null & echo $! > ${GUARD_FOLDER}/jobs/${id}; cat ${GUARD_FOLDER}/jobs/${id}`;
      const { stdout } = await done(
        fault === undefined ? ['job', String(ttlS), id, command, ...endJobLines(id, file)] : ['write', command],
      );
      const answer = stdout.trim();
      const pid = /^\d{1,10}$/.test(answer) ? Number(answer) : 0;
      if (pid > 1) return { id, pid };
      throw deviceError({
        device: shell.device,
        tried: program,
        answer: answer || 'no process id',
        advice: `The job may be running; its undo is armed and ends it within ${ttlS} s.`,
      });
    },
    async endOtherSessions() {
      const { exitCode, stderr } = await shell.run(`${prefix}sh -c ${quoted(END_OTHER_SESSIONS)}`);
      if (exitCode === 0) return;
      throw deviceError({
        device: shell.device,
        tried: 'ending the other sessions',
        answer: stderr || `exit code ${exitCode ?? 'none'}`,
        advice: 'End them by hand (who, kill), then try again: a command of theirs could come behind ours.',
      });
    },
    async release() {
      await done(['release']);
      marker = undefined;
    },
  };
}
