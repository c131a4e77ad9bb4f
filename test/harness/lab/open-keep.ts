import type { Opened } from '../../../harness/lab/connect.ts';
import type { OpenLab } from '../../../harness/lab/open-lab.ts';
import type { FaultState } from '../../../harness/lab/journal.ts';
import type { Safekeeping } from '../../../harness/lab/safekeeping.ts';
import type { Shell } from '../../../harness/drivers/ssh.ts';
import { openGuard } from '../drivers/open-guard.ts';

/** What is kept of a fault in a lab that is made by hand: nothing is leased, the journal is a list, undo lines go to `undo`. */
export function openKeep(
  lab: OpenLab,
  options: {
    readonly devices: Readonly<Record<string, Pick<Opened, 'kind' | 'driver'>>>;
    readonly undo?: (device: string, line: string) => Promise<void>;
  },
): Safekeeping & { readonly states: string[]; readonly quarantined: string[] } {
  const states: string[] = [];
  const quarantined: string[] = [];
  const shellOf = (device: string): Shell => ({
    device,
    run: async command => {
      await options.undo?.(device, command);
      return { exitCode: 0, stdout: '', stderr: '', truncated: false, wholeLineBytes: 0 };
    },
    close: async () => {},
  });
  const names = Object.keys(options.devices);
  return {
    states,
    quarantined,
    lease: {
      lease: {
        id: 'l1',
        token: 1,
        devices: [],
        owner: '',
        reason: '',
        lab: '',
        inventory: '',
        takenAt: '',
        ttlS: 60,
      },
      marker: { token: 1, lease: 'l1' },
      surveys: new Map(),
      check: () => {},
      renew: async () => {},
      detach: () => {},
      restore: async () => {},
      release: async () => [],
    },
    journal: {
      file: 'none',
      intent: ({ fault }) => void states.push(`${fault} intended`),
      state: (fault: string, state: FaultState) => void states.push(`${fault} ${state}`),
      unclosed: () => [],
      close: () => {},
      leave: () => {},
    },
    guards: new Map(names.map(name => [name, openGuard(shellOf(name))])),
    devices: new Map(Object.entries(options.devices).map(([name, opened]) => [name, opened as Opened])),
    clock: lab.clock,
    checkpoints: new Set(),
    mayPowerCycle: () => false,
    quarantine: async device => void quarantined.push(device),
    boundary: () => {},
  };
}
