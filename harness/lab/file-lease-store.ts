import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import Database from 'libsql';
import {
  holds,
  type Lease,
  LeaseLost,
  LeaseRefused,
  type LeaseStore,
  LeaseStoreFailed,
  type StoredLease,
  type TakeLease,
} from './lease-store.ts';
import { lives, type ProcessMark, thisProcess } from './this-process.ts';

export interface FileLeaseStoreOptions {
  /** Folder of the store; made when it is not there. All runners of this machine that share a lab must share it. */
  readonly folder: string;
  /** Seconds of a clock that never steps and runs on while a process is stopped. Default: the machine's, since its boot. */
  readonly monotonicS?: () => number;
  readonly now?: () => Date;
  readonly process?: () => ProcessMark;
}

/** Other processes hold the file for a millisecond; one that is stopped inside a transaction holds it until it goes on. */
const BUSY_MS = 5000;

const TABLES = `
  create table if not exists counter (one integer primary key check (one = 1), token integer not null);
  insert or ignore into counter values (1, 0);
  create table if not exists lease (
    id text primary key, token integer not null, owner text not null, reason text not null, lab text not null, inventory text not null,
    taken_at text not null, ttl_s real not null, renewed_s real not null,
    host text not null, pid integer not null, started text not null, boot text not null);
  create table if not exists given (id text primary key);
  create table if not exists device (key text primary key, lease text not null references lease (id) on delete cascade);
`;

/** No process: `lives` can not tell, so only time or a person ends the lease. */
const NOBODY = { pid: 0, started: '' };

interface Row {
  readonly id: string;
  readonly token: number;
  readonly owner: string;
  readonly reason: string;
  readonly lab: string;
  readonly inventory: string;
  readonly taken_at: string;
  readonly ttl_s: number;
  readonly renewed_s: number;
  readonly host: string;
  readonly pid: number;
  readonly started: string;
  readonly boot: string;
}

/**
 * Leases in one SQLite file, for the runners of one machine: its transactions make a take all or nothing, its locks end with the process
 * that holds them. Time is the machine's monotonic clock, so a stepped wall clock neither ends nor stretches a lease; a lease of an
 * earlier boot has ended, and so has one whose process is gone (by pid, start and boot, never by the pid alone).
 *
 * @throws LeaseStoreFailed
 */
export function fileLeaseStore(options: FileLeaseStoreOptions): LeaseStore {
  const { folder } = options;
  const monotonicS = options.monotonicS ?? ((): number => Number(process.hrtime.bigint() / 1000n) / 1e6);
  const now = options.now ?? ((): Date => new Date());
  const self = options.process ?? thisProcess;
  const file = path.join(folder, 'leases.db');
  const database = guarded(file, () => open(folder, file));

  const all = <T>(sql: string, ...values: readonly unknown[]): readonly T[] =>
    database.prepare(sql).all(...values) as T[];
  const run = (sql: string, ...values: readonly unknown[]): number => database.prepare(sql).run(...values).changes;
  const transaction = <T>(act: () => T): T => guarded(file, () => database.transaction(act).immediate());

  const devicesOf = (id: string): readonly string[] =>
    all<{ key: string }>('select key from device where lease = ? order by key', id).map(({ key }) => key);

  const stored = (row: Row): StoredLease => ({
    id: row.id,
    token: row.token,
    devices: devicesOf(row.id),
    owner: row.owner,
    reason: row.reason,
    lab: row.lab,
    inventory: row.inventory,
    takenAt: row.taken_at,
    ttlS: row.ttl_s,
    alive: lives(row),
    leftS: row.boot === self().boot ? row.renewed_s + row.ttl_s - monotonicS() : 0,
  });
  const found = (id: string): StoredLease | undefined => {
    const [row] = all<Row>('select * from lease where id = ?', id);
    return row && stored(row);
  };

  const take = (wanted: TakeLease): Lease => {
    for (const { lease } of all<{ lease: string }>(
      `select distinct lease from device where key in (${wanted.devices.map(() => '?').join(', ')})`,
      ...wanted.devices,
    )) {
      const holder = found(lease);
      if (holder && holds(holder)) throw new LeaseRefused(refusal(holder));
      run('delete from lease where id = ?', lease);
    }
    const least = all<{ token: number }>('select token from counter')[0]?.token ?? 0;
    run('update counter set token = ?', least + 1);
    const lease: Lease = {
      id: randomBytes(8).toString('hex'),
      token: least + 1,
      devices: wanted.devices.toSorted(),
      owner: wanted.owner,
      reason: wanted.reason,
      lab: wanted.lab,
      inventory: wanted.inventory,
      takenAt: now().toISOString(),
      ttlS: wanted.ttlS,
    };
    const { host, pid, started, boot } = wanted.byHand === true ? { ...self(), ...NOBODY } : self();
    run(
      'insert into lease values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      lease.id,
      lease.token,
      lease.owner,
      lease.reason,
      lease.lab,
      lease.inventory,
      lease.takenAt,
      lease.ttlS,
      monotonicS(),
      host,
      pid,
      started,
      boot,
    );
    run('insert into given values (?)', lease.id);
    for (const key of lease.devices) run('insert into device values (?, ?)', key, lease.id);
    return lease;
  };

  const renew = (lease: Lease): void => {
    const holder = found(lease.id);
    if (!holder || holder.leftS <= 0)
      throw new LeaseLost(
        holder
          ? `The lease of ${lease.lab} ended ${(-holder.leftS).toFixed(1)} s ago without renewal; this process was stopped or too busy.`
          : `The lease of ${lease.lab} was broken or given to another.`,
      );
    run('update lease set renewed_s = ? where id = ?', monotonicS(), lease.id);
  };

  return {
    take: async wanted => transaction(() => take(wanted)),
    renew: async lease => transaction(() => renew(lease)),
    release: async lease => void transaction(() => run('delete from lease where id = ?', lease.id)),
    break: async id => transaction(() => run('delete from lease where id = ?', id)) > 0,
    // Reading takes no lock for writing, so that a full disk still says who holds what.
    knows: async id => guarded(file, () => all('select 1 from given where id = ?', id).length > 0),
    list: async () =>
      guarded(file, () =>
        database.transaction(() => all<Row>('select * from lease order by token').map(stored)).deferred(),
      ),
    close: () => void database.close(),
  };
}

function open(folder: string, file: string): Database.Database {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new Database(file);
  database.pragma(`busy_timeout=${BUSY_MS}`);
  // A lease that was answered must outlive a power cut.
  database.pragma('synchronous=FULL');
  database.pragma('foreign_keys=ON');
  database.exec(TABLES);
  return database;
}

/** Tells what the store decides from what the disk does not do. */
function guarded<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof LeaseRefused || error instanceof LeaseLost) throw error;
    const { message, code } = error as Error & { code?: string };
    const busy = code?.startsWith('SQLITE_BUSY') === true || /database is locked/.test(message);
    throw new LeaseStoreFailed(
      `${file}: ${message}\n  Nobody is given a lease without its store. ` +
        (busy
          ? `Another process has it for longer than ${BUSY_MS / 1000} s: is one stopped?`
          : 'Is the disk full, or the folder read-only?'),
      { busy, cause: error },
    );
  }
}

function refusal({ lab, owner, reason, takenAt, leftS, id }: StoredLease): string {
  return (
    `${lab} is held by ${owner} since ${takenAt} (${reason}), for another ${leftS.toFixed(0)} s unless it is renewed.\n` +
    `  Wait for it, or ask them. If you know that nobody uses it: farspan lease break ${id}`
  );
}
