import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { type Disk, realDisk, syncFolder, writeFully } from '../binding/disk.ts';
import { sealer, unsealed } from '../binding/seal.ts';
import type { Fault } from '../model/fault.ts';
import type { DeviceChange } from './device-change.ts';
import type { ProcessMark } from './this-process.ts';

/** What a journal is of. Enough to recover without the process, the plan or the run folder. */
export interface JournalHeader {
  readonly kind: 'journal';
  readonly format: 1;
  readonly lease: string;
  readonly token: number;
  readonly ttlS: number;
  /** Name of the lab, and its inventory, absolute. */
  readonly lab: string;
  readonly inventory: string;
  /** Inventory name of each leased device and its key in the lease store. */
  readonly devices: Readonly<Record<string, string>>;
  readonly process: ProcessMark;
  readonly begunAt: string;
}

/** How far a fault has come. `closed`: undone, read back, disarmed. `unhealed`: every rung of the ladder failed. */
export type FaultState = 'intended' | 'armed' | 'injected' | 'seen' | 'healing' | 'closed' | 'unhealed';

export interface JournalFault {
  readonly fault: string;
  /** In words: `cut of span north`. */
  readonly what: string;
  readonly declared: Fault;
  readonly changes: readonly DeviceChange[];
  /** Devices whose undo no timer of theirs can run. */
  readonly unarmed: readonly string[];
  /** Name of the configuration checkpoint that was made before it, where the driver has one. */
  readonly checkpoint?: string;
  readonly state: FaultState;
  readonly note?: string;
}

type JournalLine =
  | JournalHeader
  | ({ readonly kind: 'intent'; readonly at: string } & Omit<JournalFault, 'state' | 'note'>)
  | {
      readonly kind: 'state';
      readonly at: string;
      readonly fault: string;
      readonly state: FaultState;
      readonly note?: string;
    }
  | { readonly kind: 'end'; readonly at: string };

/** The write-ahead journal of one lease. Nothing is sent before the line that says so is on the disk. */
export interface Journal {
  readonly file: string;
  intent(fault: Omit<JournalFault, 'state' | 'note'>): void;
  state(fault: string, state: FaultState, note?: string): void;
  /** Faults that are not closed. */
  unclosed(): readonly string[];
  /** All is closed: the journal is kept under another name and refuses nobody any more. */
  close(): void;
  /** Writes no more; the journal stays open, and the next run refuses the lab until it was recovered. */
  leave(): void;
}

/** What a file of a journal says. */
export interface ReadJournal {
  readonly file: string;
  readonly header: JournalHeader;
  readonly faults: readonly JournalFault[];
  readonly ended: boolean;
  /** Why the reading stopped before the end of what was written; what stands before that is given. */
  readonly damaged?: string;
}

/** The journal could not be written or read. No fault may be injected without it. */
export class JournalError extends Error {
  override readonly name = 'EvidenceError';
}

const OPEN = '.open.ndjson';
const CLOSED = '.closed.ndjson';

/**
 * Room that is made before it is needed, B: with it every fault that was begun can be closed on a full disk. A state line is under 1 KiB,
 * and a fault has at most 8 of them.
 */
const BLOCK = 64 * 1024;
const CLOSING = 16 * 1024;

/** Closed journals that are kept for people. */
const KEPT = 50;

export interface JournalOptions {
  /** The state folder. */
  readonly state: string;
  readonly header: Omit<JournalHeader, 'kind' | 'format'>;
  readonly disk?: Disk;
  readonly now?: () => Date;
}

const folderOf = (state: string): string => path.join(state, 'journals');

function attempt<T>(file: string, verb: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new JournalError(
      `${file}: ${verb} failed: ${(error as Error).message}\n  Nothing is injected without a journal. Is the disk full, or the folder read-only?`,
      { cause: error },
    );
  }
}

/** Begins the journal of a lease. @throws JournalError when the disk does not take it */
export function openJournal({ state, header, disk = realDisk, now = () => new Date() }: JournalOptions): Journal {
  const folder = folderOf(state);
  const file = path.join(folder, `${header.lease}-${header.process.pid}-${randomBytes(3).toString('hex')}${OPEN}`);
  attempt(file, 'make', () => disk.mkdir(folder, { recursive: true, mode: 0o700 }));
  // It has its name only once its header is on the disk: a journal of which nobody knows whose it is would keep every lab.
  const draft = `${file}.new`;
  const descriptor = attempt(file, 'open', () => disk.open(draft, 'wx', 0o600));
  let end = 0;
  let room = 0;
  const lines = sealer();
  /** Lines that are not known to be on the disk. The next one is chained to them, so they are written again before it. */
  let owed: Buffer = Buffer.alloc(0);

  /** Blocks of zeros: what is written into them later needs no space any more. */
  const reserve = (bytes: number): void => {
    while (room - end < bytes) {
      attempt(file, 'reserve', () => {
        writeFully(disk, descriptor, Buffer.alloc(BLOCK), room);
        disk.fsync(descriptor);
      });
      room += BLOCK;
    }
  };
  const append = (line: JournalLine): void => {
    owed = Buffer.concat([owed, Buffer.from(lines.seal(line))]);
    attempt(file, 'append', () => {
      writeFully(disk, descriptor, owed, end);
      disk.fsync(descriptor);
    });
    end += owed.byteLength;
    owed = Buffer.alloc(0);
  };
  const at = (): string => now().toISOString();
  const unclosed = new Set<string>();

  reserve(CLOSING);
  append({ kind: 'journal', format: 1, ...header });
  attempt(file, 'rename', () => disk.rename(draft, file));
  attempt(file, 'sync', () => syncFolder(disk, folder));
  return {
    file,
    intent(fault) {
      const line = { kind: 'intent', at: at(), ...fault } as const;
      reserve(JSON.stringify(line).length * 4 + CLOSING + owed.byteLength);
      append(line);
      unclosed.add(fault.fault);
    },
    state(fault, became, note) {
      const words = note === undefined ? {} : { note: note.slice(0, 500) };
      append({ kind: 'state', at: at(), fault, state: became, ...words });
      if (became === 'closed') unclosed.delete(fault);
    },
    unclosed: () => [...unclosed],
    leave: () => attempt(file, 'close', () => disk.close(descriptor)),
    close() {
      append({ kind: 'end', at: at() });
      attempt(file, 'close', () => disk.close(descriptor));
      attempt(file, 'rename', () => disk.rename(file, closedName(file)));
      prune(folder, disk);
    },
  };
}

/** The lease that a journal is of, as its name tells. */
export const leaseOfFile = (file: string): string => path.basename(file).split('-')[0] ?? '';

const closedName = (file: string): string => `${file.slice(0, -OPEN.length)}${CLOSED}`;

/** Old closed journals go; a failure to do so is nobody's concern. */
function prune(folder: string, disk: Disk): void {
  try {
    const closed = disk
      .list(folder)
      .filter(name => name.endsWith(CLOSED))
      .map(name => ({ name, begunAt: readJournal(path.join(folder, name), disk).header.begunAt }))
      .toSorted((a, b) => (a.begunAt < b.begunAt ? 1 : -1));
    for (const { name } of closed.slice(KEPT)) disk.unlink(path.join(folder, name));
  } catch {
    // Kept for another time.
  }
}

/** Closes the journal of a run that is gone, after everything in it was healed. @throws JournalError */
export function closeJournal(file: string, disk: Disk = realDisk): void {
  attempt(file, 'rename', () => disk.rename(file, closedName(file)));
}

/** Every journal that was not closed, the oldest first. One that can not be read at all is given with what is wrong. */
export function openJournals(
  state: string,
  disk: Disk = realDisk,
): readonly (ReadJournal | { readonly file: string; readonly unreadable: string })[] {
  const folder = folderOf(state);
  if (!disk.exists(folder)) return [];
  return disk
    .list(folder)
    .filter(name => name.endsWith(OPEN))
    .map(name => {
      const file = path.join(folder, name);
      try {
        return readJournal(file, disk);
      } catch (error) {
        return { file, unreadable: (error as Error).message };
      }
    });
}

/** Reads a journal as far as it is whole. @throws JournalError when not even its header is */
export function readJournal(file: string, disk: Pick<Disk, 'read'> = realDisk): ReadJournal {
  const bytes = attempt(file, 'read', () => disk.read(file));
  const zero = bytes.indexOf(0);
  const end = zero < 0 ? bytes.length : zero;
  const { lines, truncated } = unsealed<JournalLine>(bytes.subarray(0, end));
  // Behind the last line there is only room.
  const behind = bytes.subarray(end).some(byte => byte !== 0) ? 'there is more behind its last line' : undefined;
  const damaged = truncated ?? behind;
  const [header, ...rest] = lines;
  if (header?.kind !== 'journal' || header.format !== 1)
    throw new JournalError(`${file} holds no journal of this Farspan${damaged === undefined ? '' : `: ${damaged}`}.`);
  const faults = new Map<string, JournalFault>();
  for (const line of rest) {
    if (line.kind === 'intent') {
      const { kind: _, at: __, ...fault } = line;
      faults.set(line.fault, { ...fault, state: 'intended' });
    } else if (line.kind === 'state') {
      const fault = faults.get(line.fault);
      if (fault)
        faults.set(line.fault, { ...fault, state: line.state, ...(line.note !== undefined && { note: line.note }) });
    }
  }
  return {
    file,
    header,
    faults: [...faults.values()],
    ended: rest.at(-1)?.kind === 'end',
    ...(damaged !== undefined && { damaged }),
  };
}
