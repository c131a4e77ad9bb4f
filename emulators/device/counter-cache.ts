import { SNMP, type SnmpRow, type SnmpScalar, SnmpStore } from './snmp-store.ts';

export interface CounterCacheOptions {
  /** How long what was read stays, ns. */
  readonly refreshNs: number;
  readonly nowNs: () => number;
  /** A reboot empties the cache. */
  readonly bootedNs: () => number;
}

/**
 * Counters as an agent with a cache shows them: all of them are read at the first request after the last reading is `refreshNs` old, and
 * stay until the next (net-snmp's `netsnmp_cache`, which holds ifTable; SONiC's agent does the same by a timer, 5 s). States and sysUpTime
 * are always of now, as they are there.
 *
 * @returns makes a store that shows the counters of another so; the cache outlives a store that is replaced
 */
export function counterCache({ refreshNs, nowNs, bootedNs }: CounterCacheOptions): (store: SnmpStore) => SnmpStore {
  let readNs = Number.NEGATIVE_INFINITY;
  let boot = bootedNs();
  let held = new Map<string, SnmpScalar>();
  const isCounter = ({ type }: SnmpRow): boolean => type === SNMP.counter32 || type === SNMP.counter64;
  const now = ({ value }: SnmpRow): SnmpScalar => (typeof value === 'function' ? value() : value);

  return store => {
    const counters = store.rows().filter(isCounter);
    const refresh = (): void => {
      if (nowNs() < readNs + refreshNs && bootedNs() === boot) return;
      [readNs, boot] = [nowNs(), bootedNs()];
      held = new Map(counters.map(row => [row.oid, now(row)]));
    };
    return new SnmpStore(
      store.rows().map(row => {
        if (!isCounter(row)) return row;
        return {
          ...row,
          value: () => {
            refresh();
            return held.get(row.oid) ?? now(row);
          },
        };
      }),
    );
  };
}
