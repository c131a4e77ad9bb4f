import { firstLine } from '../binding/first-line.ts';
import type { DeviceGuard } from '../drivers/device-guard.ts';
import type { Fault } from '../model/fault.ts';
import { magnitude } from '../model/units.ts';
import { awaitBack } from './await-back.ts';
import type { Opened } from './connect.ts';
import type { DeviceChange } from './device-change.ts';
import type { HeldLease } from './held-lease.ts';
import type { Journal } from './journal.ts';
import type { LabClock } from './lab-clock.ts';
import { readBack } from './read-back.ts';
import { climb, type Climbed, type Rung } from './undo-ladder.ts';

/** What stands between a fault and the lab: lease, journal, the guards of the devices. A run has one, and so has `farspan recover`. */
export interface Safekeeping {
  readonly lease: HeldLease;
  readonly journal: Journal;
  /** By the inventory's names. */
  readonly guards: ReadonlyMap<string, DeviceGuard>;
  readonly devices: ReadonlyMap<string, Opened>;
  readonly clock: LabClock;
  /** Whether the inventory permits to boot a device that can not be put back otherwise. */
  readonly mayPowerCycle: (device: string) => boolean;
  /** Nothing is to be run on a device until it was recovered. */
  readonly quarantine: (device: string, reason: string) => Promise<void>;
  /** Devices with a checkpoint of this lease. Only the first capture of a device is its baseline, so there is one. */
  readonly checkpoints: Set<string>;
  /** Called between two steps, for tests that stop or kill the process there. */
  readonly boundary: (name: string) => void;
}

/** A fault as it is kept: its id in the run, and what it changes where. */
export interface KeptFault {
  readonly id: string;
  readonly what: string;
  readonly declared: Fault;
  readonly changes: readonly DeviceChange[];
  /** Name of the checkpoint that was made before it, when another lease made it. */
  readonly checkpoint?: string;
}

/** A second way to a device's configuration, for the ladder; one checkpoint a lease and device. */
const checkpointName = (keep: Safekeeping): string => `farspan-${keep.lease.lease.id}`;

/** @throws RangeError when the device is not one of the lease */
export const guardOf = (keep: Safekeeping, device: string): DeviceGuard => {
  const guard = keep.guards.get(device);
  if (!guard) throw new RangeError(`${device} is not leased.`);
  return guard;
};

/**
 * Makes a fault undoable before it is made: the intent on the disk, then the undo on each device with its timer running, then that on
 * the disk. Throws when any of it fails; nothing was injected then, and nothing stays armed.
 */
export async function secure(keep: Safekeeping, fault: KeptFault): Promise<void> {
  const { journal, boundary } = keep;
  const { id, what, declared, changes } = fault;
  keep.lease.check();
  const unarmed = changes.filter(({ undo }) => undo.length === 0).map(({ device }) => device);
  const checkpoint = changes.some(({ device }) => switchOf(keep, device)?.checkpoint !== undefined)
    ? checkpointName(keep)
    : undefined;
  boundary('before the intent');
  journal.intent({ fault: id, what, declared, changes, unarmed, ...(checkpoint !== undefined && { checkpoint }) });
  boundary('intended');
  try {
    for (const { device, undo } of changes) {
      const own = switchOf(keep, device)?.checkpoint;
      if (own && !keep.checkpoints.has(device)) await own.make(checkpointName(keep));
      if (own) keep.checkpoints.add(device);
      if (undo.length > 0) await guardOf(keep, device).arm(id, undo);
    }
    boundary('armed on the devices');
    journal.state(id, 'armed');
  } catch (error) {
    await Promise.allSettled(
      changes.map(async ({ device, undo }) => (undo.length > 0 ? guardOf(keep, device).disarm(id) : undefined)),
    );
    journal.state(id, 'closed', 'never injected');
    throw error;
  }
  boundary('armed');
}

/** Takes the checkpoints of this lease away. @returns what could not be, in words */
export async function dropCheckpoints(keep: Safekeeping): Promise<readonly string[]> {
  const results = await Promise.allSettled(
    [...keep.checkpoints].map(async device => switchOf(keep, device)?.checkpoint?.drop(checkpointName(keep))),
  );
  return results.flatMap(result => (result.status === 'rejected' ? [firstLine(result.reason)] : []));
}

export function injected(keep: Safekeeping, id: string): void {
  keep.boundary('injected on the devices');
  keep.journal.state(id, 'injected');
  keep.boundary('injected');
}

/**
 * Undoes a fault, reads every device back, and only then takes its timers away and closes it in the journal. What no rung could put
 * back is quarantined; its timer stays, to try again with nobody connected.
 */
export async function restore(
  keep: Safekeeping,
  fault: KeptFault,
  /** More that must be so for the fault to be healed: its settle predicate. Resolves with what is not. */
  settled: () => Promise<readonly string[]> = async () => [],
): Promise<Climbed> {
  const { journal, boundary } = keep;
  const { id, changes } = fault;
  // A full disk must not keep a lab from being healed; the journal stays open then and `recover` looks again.
  const note = (state: 'healing' | 'closed' | 'unhealed', words?: string): void => {
    try {
      journal.state(id, state, words);
    } catch {
      // Said by whoever closes the journal.
    }
  };
  note('healing');
  boundary('healing');
  const climbed: Climbed[] = [];
  for (const change of changes) climbed.push(await climbOne(keep, fault, change));
  boundary('undone');
  const late = climbed.every(({ verified }) => verified)
    ? await settled().catch((error: unknown) => [(error as Error).message])
    : [];
  const verified = climbed.every(one => one.verified) && late.length === 0;
  const together: Climbed = {
    expected: [...climbed.map(({ expected }) => expected), ...(late.length > 0 ? ['links up again'] : [])].join('; '),
    observed: [...climbed.map(({ observed }) => observed), ...late].join('; '),
    verified,
    by: climbed.find(({ by }) => by !== 'undo')?.by ?? 'undo',
    tried: climbed.flatMap(({ tried }) => tried),
  };
  boundary('read back');
  if (!verified) {
    note('unhealed', together.observed);
    for (const [i, { device }] of changes.entries())
      if (climbed[i]?.verified !== true || late.length > 0)
        await keep.quarantine(device, `${fault.what}: ${together.observed}`);
    return together;
  }
  await Promise.all(
    changes.map(async ({ device, undo }) => (undo.length > 0 ? guardOf(keep, device).disarm(id) : undefined)),
  );
  boundary('disarmed');
  note('closed');
  boundary('closed');
  return together;
}

const switchOf = (keep: Safekeeping, device: string) => {
  const opened = keep.devices.get(device);
  return opened?.kind === 'switch' ? opened.driver : undefined;
};

async function climbOne(keep: Safekeeping, fault: KeptFault, change: DeviceChange): Promise<Climbed> {
  const { device, undo } = change;
  const at = keep.devices.get(device);
  if (!at) throw new RangeError(`${device} is not open.`);
  const guard = guardOf(keep, device);
  const owner = switchOf(keep, device);
  /** Waits for another boot than `before`, until the device answers over all its protocols, and leases it again. */
  const back = async (takesNs: number, before: string | undefined): Promise<void> => {
    const answers = async (): Promise<boolean> => {
      const { boot } = await guard.survey();
      await owner?.uptimeNs();
      return boot === undefined || boot !== before;
    };
    await awaitBack({ name: device, clock: keep.clock, takesNs, back: () => answers().catch(() => false) });
    await keep.lease.restore(device);
  };
  const undoAll = async (): Promise<void> => {
    keep.lease.check();
    const self = change.found.find(one => one.kind === 'device');
    if (self) return back(fault.declared.kind === 'switch-reboot' ? magnitude(fault.declared.takes) : 0, self.boot);
    await guard.runLines(undo);
  };
  const rungs: Rung[] = [{ name: 'undo', run: undoAll, tries: 3 }];
  const { checkpoint } = owner ?? {};
  if (checkpoint)
    rungs.push({
      name: 'config rollback',
      run: () => checkpoint.back(fault.checkpoint ?? checkpointName(keep)),
      tries: 1,
    });
  if (owner && keep.mayPowerCycle(device)) {
    rungs.push({
      name: 'power cycle',
      tries: 1,
      run: async () => {
        const { boot } = await guard.survey();
        await owner.reboot();
        await back(POWER_CYCLE_NS[keep.clock.kind], boot);
        if (undo.length > 0) await guard.runLines(undo);
      },
    });
  }
  return climb(rungs, () => readBack(change, at));
}

/** What a boot is taken to last when nobody declared it. SONiC switches need 2 to 4 minutes. Our choice. */
const POWER_CYCLE_NS = { virtual: 100e6, wall: 120e9 };
