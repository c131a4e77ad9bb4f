import { ParseError } from '../parse-error.ts';
import { countCell, nameCell, smallCountCell, textCell } from './cell.ts';
import { readTables, readTablesWith } from './table.ts';

/** PFC frames of one port by priority 0 to 7. Null where the device has no count. */
export interface PfcCounters {
  readonly rx: readonly (bigint | null)[];
  readonly tx: readonly (bigint | null)[];
}

const PRIORITIES = ['PFC0', 'PFC1', 'PFC2', 'PFC3', 'PFC4', 'PFC5', 'PFC6', 'PFC7'] as const;

/** `show pfc counters`: a table `Port Rx` and a table `Port Tx`. @throws ParseError */
export function parsePfcCounters(text: string): ReadonlyMap<string, PfcCounters> {
  const expected = 'show pfc counters';
  const found = new Map<string, { rx: readonly (bigint | null)[]; tx: readonly (bigint | null)[] }>();
  for (const { columns, rows } of readTables(text, expected)) {
    const [first = ''] = columns;
    const way = first === 'Port Rx' ? 'rx' : first === 'Port Tx' ? 'tx' : undefined;
    if (way === undefined) throw new ParseError(`${expected}: a first column "Port Rx" or "Port Tx"`, first);
    for (const row of rows) {
      const port = nameCell(row[first]);
      const known = found.get(port) ?? { rx: PRIORITIES.map(() => null), tx: PRIORITIES.map(() => null) };
      found.set(port, { ...known, [way]: PRIORITIES.map(priority => countCell(row[priority])) });
    }
  }
  return found;
}

export interface PfcHistory {
  readonly port: string;
  readonly priority: number;
  readonly transitions: bigint | null;
  readonly totalPauseUs: bigint | null;
  readonly recentPauseUs: bigint | null;
  /** Time of the last pause in the device's words (`05/18/2033, 03:33:20`, local time without a zone). */
  readonly recentAt: string | null;
}

/** `show pfc counters --history`. @throws ParseError */
export function parsePfcHistory(text: string): readonly PfcHistory[] {
  const expected = 'show pfc counters --history';
  return readTablesWith(text, expected, ['Port', 'Priority', 'RX Pause Transitions', 'Total RX Pause Time US']).flatMap(
    ({ rows }) =>
      rows.map(row => {
        const priority = /^PFC([0-7])$/.exec(row['Priority'] ?? '')?.[1];
        if (priority === undefined) throw new ParseError(`${expected}: a priority PFC0 to PFC7`, row['Priority'] ?? '');
        return {
          port: nameCell(row['Port']),
          priority: Number(priority),
          transitions: countCell(row['RX Pause Transitions']),
          totalPauseUs: countCell(row['Total RX Pause Time US']),
          recentPauseUs: countCell(row['Recent RX Pause Time US']),
          recentAt: textCell(row['Recent RX Pause Timestamp']),
        };
      }),
  );
}

export interface PfcwdConfig {
  /** How often the watchdog looks, by namespace (empty for the only one), ms. */
  readonly pollingMs: ReadonlyMap<string, number>;
  readonly bigRedSwitch: ReadonlyMap<string, string>;
  readonly ports: readonly {
    readonly port: string;
    readonly action: string | null;
    readonly detectionMs: number | null;
    readonly restorationMs: number | null;
    readonly history: string | null;
  }[];
}

/** `pfcwd show config`. @throws ParseError */
export function parsePfcwdConfig(text: string): PfcwdConfig {
  const tables = readTablesWith(text, 'pfcwd show config', ['PORT', 'ACTION', 'DETECTION TIME', 'RESTORATION TIME']);
  const pollingMs = new Map<string, number>();
  const bigRedSwitch = new Map<string, string>();
  for (const line of tables.flatMap(({ before }) => before)) {
    const polling = /^Changed polling interval to (\d{1,9})ms(?: on (\S+))?$/.exec(line);
    if (polling) pollingMs.set(polling[2] ?? '', Number(polling[1]));
    const red = /^BIG_RED_SWITCH status is (\S+)(?: on (\S+))?$/.exec(line);
    if (red) bigRedSwitch.set(red[2] ?? '', red[1] ?? '');
  }
  return {
    pollingMs,
    bigRedSwitch,
    ports: tables.flatMap(({ rows }) =>
      rows.map(row => ({
        port: nameCell(row['PORT']),
        action: textCell(row['ACTION']),
        detectionMs: smallCountCell(row['DETECTION TIME']),
        restorationMs: smallCountCell(row['RESTORATION TIME']),
        history: textCell(row['HISTORY']),
      })),
    ),
  };
}

export interface PfcwdStats {
  readonly port: string;
  readonly queue: number;
  /** `operational`, `stormed`, or null. */
  readonly status: string | null;
  readonly stormsDetected: bigint | null;
  readonly stormsRestored: bigint | null;
  readonly txOk: bigint | null;
  readonly txDropped: bigint | null;
  readonly rxOk: bigint | null;
  readonly rxDropped: bigint | null;
  readonly txLastOk: bigint | null;
  readonly txLastDropped: bigint | null;
  readonly rxLastOk: bigint | null;
  readonly rxLastDropped: bigint | null;
}

/** `show pfcwd stats`. @throws ParseError */
export function parsePfcwdStats(text: string): readonly PfcwdStats[] {
  const expected = 'show pfcwd stats';
  const pair = (cell: string | undefined): readonly [bigint | null, bigint | null] => {
    const parts = (cell ?? '').split('/');
    if (cell === undefined || cell === '' || cell === 'N/A') return [null, null];
    if (parts.length === 4 && cell === 'N/A/N/A') return [null, null];
    if (parts.length !== 2) throw new ParseError(`${expected}: two counts such as 100/300`, cell);
    return [countCell(parts[0]), countCell(parts[1])];
  };
  return readTablesWith(text, expected, ['QUEUE', 'STATUS', 'STORM DETECTED/RESTORED']).flatMap(({ rows }) =>
    rows.map(row => {
      const queue = /^(\S+):(\d{1,3})$/.exec(row['QUEUE'] ?? '');
      if (!queue) throw new ParseError(`${expected}: a queue such as Ethernet0:3`, row['QUEUE'] ?? '');
      const [stormsDetected, stormsRestored] = pair(row['STORM DETECTED/RESTORED']);
      const [txOk, txDropped] = pair(row['TX OK/DROP']);
      const [rxOk, rxDropped] = pair(row['RX OK/DROP']);
      const [txLastOk, txLastDropped] = pair(row['TX LAST OK/DROP']);
      const [rxLastOk, rxLastDropped] = pair(row['RX LAST OK/DROP']);
      return {
        port: queue[1] ?? '',
        queue: Number(queue[2]),
        status: textCell(row['STATUS']),
        stormsDetected,
        stormsRestored,
        txOk,
        txDropped,
        rxOk,
        rxDropped,
        txLastOk,
        txLastDropped,
        rxLastOk,
        rxLastDropped,
      };
    }),
  );
}
