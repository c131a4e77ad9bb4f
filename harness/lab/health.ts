import { createHash } from 'node:crypto';
import path from 'node:path';
import { type Disk, realDisk, syncFolder, writeFully } from '../binding/disk.ts';

/**
 * What may be run on a device. `good`: the doctor found nothing. `unknown`: nobody looked, or the file that says is damaged. `suspect`: a
 * check or a run failed there; the next reservation looks first. `quarantined`: a fault could not be undone; no run uses it.
 */
export type Health = 'good' | 'unknown' | 'suspect' | 'quarantined';

/** Something that says how a device is. */
export interface HealthEvent {
  /**
   * `passed` and `failed`: the doctor's checks. `broke`: a run ended on an error of the device. `unhealed`: no rung of the undo put it back.
   * `recovered`: what was left in effect was undone and read back. `released`: a person says that it may be used.
   */
  readonly what: 'passed' | 'failed' | 'broke' | 'unhealed' | 'recovered' | 'released';
  readonly reason: string;
  /** Who says so: a person, or a part of Farspan. */
  readonly by: string;
}

/** A device as the stores know it: its name for people, its key for good. */
export interface HealthSubject {
  readonly device: string;
  /** `deviceKey` of its entry. */
  readonly key: string;
}

export interface DeviceHealth extends HealthSubject {
  readonly health: Health;
  /** ISO 8601; absent when nobody ever said anything. */
  readonly since?: string;
  readonly reason: string;
  readonly by: string;
  /** How old readings of its counters may be, ns, as the doctor measured it. */
  readonly refreshNs?: number;
}

/** Health of devices, for all runners of one machine. */
export interface HealthStore {
  of(subject: HealthSubject): DeviceHealth;
  /** Every device that something is known of. */
  list(): readonly DeviceHealth[];
  /** @returns its health from now on @throws the error of the disk */
  note(subject: HealthSubject, event: HealthEvent): DeviceHealth;
  /** Keeps how often its agent refreshes, ns. */
  measured(subject: HealthSubject, refreshNs: number): void;
}

/** Only a recovery or a person ends a quarantine; only a pass of the doctor makes good. Pure. */
export function healthAfter(before: Health, { what }: Pick<HealthEvent, 'what'>): Health {
  if (what === 'unhealed') return 'quarantined';
  if (before === 'quarantined') return what === 'recovered' || what === 'released' ? 'unknown' : before;
  if (what === 'passed') return 'good';
  if (what === 'failed' || what === 'broke') return 'suspect';
  return what === 'released' ? 'unknown' : before;
}

interface Stored extends DeviceHealth {
  readonly format: 1;
}

const STATE = '.json';
const QUARANTINE = '.quarantine.json';

/**
 * Health in one file per device, so that runners do not overwrite what each other say of other devices, and a quarantine in a file of its
 * own: whoever writes at the same time that a device is well does not end it. Files are replaced whole. A damaged one is unknown; a
 * damaged quarantine is still one.
 */
export function fileHealthStore({
  folder: state,
  disk = realDisk,
  now = () => new Date(),
}: {
  /** The state folder. */
  readonly folder: string;
  readonly disk?: Disk;
  readonly now?: () => Date;
}): HealthStore {
  const folder = path.join(state, 'health');
  const fileOf = (key: string, kind: string): string =>
    path.join(folder, `${createHash('sha256').update(key).digest('hex').slice(0, 20)}${kind}`);

  const read = (file: string): Stored | 'damaged' | undefined => {
    if (!disk.exists(file)) return undefined;
    try {
      const found: unknown = JSON.parse(disk.read(file).toString('utf8'));
      return isStored(found) ? found : 'damaged';
    } catch {
      return 'damaged';
    }
  };

  const replace = (file: string, content: Omit<Stored, 'format'>): void => {
    disk.mkdir(folder, { recursive: true, mode: 0o700 });
    const draft = `${file}.${process.pid}.new`;
    const descriptor = disk.open(draft, 'w', 0o600);
    try {
      writeFully(disk, descriptor, Buffer.from(`${JSON.stringify({ format: 1, ...content })}\n`));
      disk.fsync(descriptor);
    } finally {
      disk.close(descriptor);
    }
    disk.rename(draft, file);
    syncFolder(disk, folder);
  };

  const of: HealthStore['of'] = ({ device, key }) => {
    const kept = read(fileOf(key, STATE));
    const held = read(fileOf(key, QUARANTINE));
    const refresh = typeof kept === 'object' && kept.refreshNs !== undefined ? { refreshNs: kept.refreshNs } : {};
    const damaged = (health: Health): DeviceHealth => ({
      device,
      key,
      health,
      reason: 'the file that says why is damaged',
      by: 'farspan',
      ...refresh,
    });
    if (held !== undefined)
      return held === 'damaged' ? damaged('quarantined') : { ...withoutFormat(held), device, key, ...refresh };
    if (kept === 'damaged') return damaged('unknown');
    return kept === undefined
      ? { device, key, health: 'unknown', reason: 'nobody has looked yet', by: 'farspan' }
      : { ...withoutFormat(kept), device, key };
  };

  return {
    of,
    list() {
      if (!disk.exists(folder)) return [];
      const known = disk.list(folder).flatMap(name => {
        if (!name.endsWith(STATE)) return [];
        const found = read(path.join(folder, name));
        return typeof found === 'object' ? [{ device: found.device, key: found.key }] : [];
      });
      return [...new Map(known.map(subject => [subject.key, subject])).values()].map(of);
    },
    note(subject, event) {
      const before = of(subject);
      const health = healthAfter(before.health, event);
      // It stays as it is, with the reason that it has.
      if (health === before.health && health !== 'suspect' && before.since !== undefined) return before;
      const { refreshNs } = before;
      const after: DeviceHealth = {
        ...subject,
        health,
        since: now().toISOString(),
        reason: event.reason,
        by: event.by,
        ...(refreshNs !== undefined && { refreshNs }),
      };
      if (health === 'quarantined') replace(fileOf(subject.key, QUARANTINE), after);
      else {
        replace(fileOf(subject.key, STATE), after);
        if (before.health === 'quarantined') {
          disk.unlink(fileOf(subject.key, QUARANTINE));
          syncFolder(disk, folder);
        }
      }
      return after;
    },
    measured(subject, refreshNs) {
      const kept = read(fileOf(subject.key, STATE));
      const before: Omit<Stored, 'format'> =
        typeof kept === 'object'
          ? withoutFormat(kept)
          : { ...subject, health: 'unknown', reason: 'nobody has looked yet', by: 'farspan' };
      replace(fileOf(subject.key, STATE), { ...before, ...subject, refreshNs });
    },
  };
}

const withoutFormat = ({ format: _format, ...rest }: Stored): DeviceHealth => rest;

const HEALTHS: ReadonlySet<unknown> = new Set<Health>(['good', 'unknown', 'suspect', 'quarantined']);

function isStored(value: unknown): value is Stored {
  if (typeof value !== 'object' || value === null) return false;
  const { format, device, key, health, since, reason, by, refreshNs } = value as Partial<Record<keyof Stored, unknown>>;
  return (
    format === 1 &&
    HEALTHS.has(health) &&
    [device, key, reason, by].every(text => typeof text === 'string') &&
    (since === undefined || typeof since === 'string') &&
    (refreshNs === undefined || (typeof refreshNs === 'number' && refreshNs >= 0))
  );
}
