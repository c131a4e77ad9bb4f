import type { DeviceGuard } from '../../../harness/drivers/device-guard.ts';
import type { Shell } from '../../../harness/drivers/ssh.ts';

/** A guard that lets everything through, for drivers on shells that are no device: what it would arm it only notes. */
export function openGuard(shell: Shell): DeviceGuard & { readonly undone: string[] } {
  const undone: string[] = [];
  let jobs = 0;
  return {
    device: shell.device,
    undone,
    survey: async () => ({
      boot: 'b',
      lease: undefined,
      holder: undefined,
      ttlS: undefined,
      beat: undefined,
      undos: [],
      fired: [],
      fences: true,
      timers: 'watchdog',
    }),
    take: async () => {},
    renew: async () => [],
    write: (command, options) => shell.run(command, options),
    runLines: async lines => {
      for (const line of lines) await shell.run(line);
    },
    arm: async () => {},
    disarm: async fault => void undone.push(fault),
    runUndo: async fault => void undone.push(fault),
    startJob: async (program, file, { fault } = {}) => {
      const { stdout } = await shell.run(`setsid nohup ${program} > ${file} 2>&1 < /dev/null & echo $!`);
      return { id: fault ?? `job-${++jobs}`, pid: Number(stdout.trim()) };
    },
    endOtherSessions: async () => {},
    release: async () => {},
  };
}
