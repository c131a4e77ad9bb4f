// A process that races others for leases of one store, as often as it is told.
import { fileLeaseStore } from '../../../../harness/lab/file-lease-store.ts';
import { LeaseRefused } from '../../../../harness/lab/lease-store.ts';

/** Taken at that instant of the machine's monotonic clock, ns, held for a while, given back. */
export interface Race {
  readonly devices: readonly string[];
  readonly atNs: number;
  readonly holdMs: number;
  /** What the process sends itself inside the transaction of the take. */
  readonly ends?: 'SIGKILL' | 'SIGSTOP';
}

/** What came of it. The interval lies inside of what the store says: it begins after the answer and ends before the release. */
export type Raced =
  | { readonly devices: readonly string[]; readonly token: number; readonly beginNs: number; readonly endNs: number }
  | { readonly devices: readonly string[]; readonly refused: string }
  | { readonly devices: readonly string[]; readonly failed: string };

const nowNs = (): number => Number(process.hrtime.bigint());
let ends: Race['ends'];
const store = fileLeaseStore({
  folder: process.argv[2] ?? '',
  // Asked for in the middle of the transaction.
  now() {
    if (ends) process.kill(process.pid, ends);
    return new Date(0);
  },
});

const spin = (untilNs: number): void => {
  while (nowNs() < untilNs);
};

async function run(race: Race): Promise<Raced> {
  const { devices } = race;
  ({ ends } = race);
  spin(race.atNs);
  try {
    const lease = await store.take({
      devices,
      owner: `racer ${process.pid}`,
      reason: 'a race',
      lab: 'l',
      inventory: 'l.yaml',
      ttlS: 60,
    });
    const beginNs = nowNs();
    spin(beginNs + race.holdMs * 1e6);
    const endNs = nowNs();
    await store.release(lease);
    return { devices, token: lease.token, beginNs, endNs };
  } catch (error) {
    const { message } = error as Error;
    return error instanceof LeaseRefused ? { devices, refused: message } : { devices, failed: message };
  }
}

process.on('message', (race: Race) => void run(race).then(raced => process.send?.(raced)));
process.on('disconnect', () => process.exit());
process.send?.('ready');
