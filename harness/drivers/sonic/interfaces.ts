import { isRecord, ParseError, parseJson } from '../parse-error.ts';
import {
  byteRateCell,
  countCell,
  nameCell,
  numberCell,
  packetRateCell,
  percentCell,
  smallCountCell,
  speedCell,
  textCell,
  upCell,
} from './cell.ts';
import { readTablesWith, refuseCliError } from './table.ts';
import { escapeDeviceText } from '../device-text.ts';

export interface InterfaceStatus {
  readonly port: string;
  readonly lanes: readonly number[] | null;
  readonly speedBps: number | null;
  readonly mtuBytes: number | null;
  readonly fec: string | null;
  readonly alias: string | null;
  readonly vlan: string | null;
  readonly operUp: boolean | null;
  readonly adminUp: boolean | null;
  readonly type: string | null;
  readonly asymPfc: string | null;
}

/** `show interfaces status`. @throws ParseError */
export function parseInterfaceStatus(text: string): readonly InterfaceStatus[] {
  return readTablesWith(text, 'show interfaces status', ['Interface', 'Oper', 'Admin']).flatMap(({ rows }) =>
    rows.map(row => {
      const lanes = textCell(row['Lanes']);
      return {
        port: nameCell(row['Interface']),
        lanes: lanes === null ? null : lanes.split(',').map(lane => smallCountCell(lane) ?? fail(lanes)),
        speedBps: speedCell(row['Speed']),
        mtuBytes: smallCountCell(row['MTU']),
        fec: textCell(row['FEC']),
        alias: textCell(row['Alias']),
        vlan: textCell(row['Vlan']),
        operUp: upCell(row['Oper']),
        adminUp: upCell(row['Admin']),
        type: textCell(row['Type']),
        asymPfc: textCell(row['Asym PFC']),
      };
    }),
  );
}

function fail(lanes: string): never {
  throw new ParseError('lanes', lanes);
}

export interface InterfaceDescription {
  readonly port: string;
  readonly operUp: boolean | null;
  readonly adminUp: boolean | null;
  readonly alias: string | null;
  readonly description: string | null;
}

/** `show interfaces description`. @throws ParseError */
export function parseInterfaceDescription(text: string): readonly InterfaceDescription[] {
  return readTablesWith(text, 'show interfaces description', ['Interface', 'Description']).flatMap(({ rows }) =>
    rows.map(row => ({
      port: nameCell(row['Interface']),
      operUp: upCell(row['Oper']),
      adminUp: upCell(row['Admin']),
      alias: textCell(row['Alias']),
      description: textCell(row['Description']),
    })),
  );
}

export interface LinkTraining {
  readonly port: string;
  /** `trained`, `not trained`, `off`, or null when the port has none. */
  readonly state: string | null;
  readonly configured: string | null;
  readonly operUp: boolean | null;
  readonly adminUp: boolean | null;
}

/** `show interfaces link-training status`. @throws ParseError */
export function parseLinkTraining(text: string): readonly LinkTraining[] {
  return readTablesWith(text, 'show interfaces link-training status', ['Interface', 'LT Oper', 'LT Admin']).flatMap(
    ({ rows }) =>
      rows.map(row => ({
        port: nameCell(row['Interface']),
        state: textCell(row['LT Oper']),
        configured: textCell(row['LT Admin']),
        operUp: upCell(row['Oper']),
        adminUp: upCell(row['Admin']),
      })),
  );
}

/** Counters and rates of one port. Absent columns are undefined, cells without a value null. */
export interface InterfaceCounters {
  readonly port: string;
  readonly operUp: boolean | null;
  readonly rxPackets: bigint | null;
  readonly rxRateBps: number | null;
  readonly rxPacketsPerSecond: number | null;
  /** Fraction of 1. */
  readonly rxUtilization: number | null;
  readonly rxErrors: bigint | null;
  readonly rxDrops: bigint | null;
  readonly rxOverruns: bigint | null;
  readonly txPackets: bigint | null;
  readonly txRateBps: number | null;
  readonly txPacketsPerSecond: number | null;
  readonly txUtilization: number | null;
  readonly txErrors: bigint | null;
  readonly txDrops: bigint | null;
  readonly txOverruns: bigint | null;
  readonly trimmed: bigint | null;
  readonly trimmedSent: bigint | null;
  readonly trimmedDropped: bigint | null;
}

/** `show interfaces counters`, `… rates`, with and without a period, `-d all`, of a line card or a supervisor. @throws ParseError */
export function parseInterfaceCounters(text: string): readonly InterfaceCounters[] {
  return readTablesWith(text, 'show interfaces counters', ['IFACE', 'STATE', 'RX_OK', 'TX_OK']).flatMap(({ rows }) =>
    rows.map(row => ({
      port: nameCell(row['IFACE']),
      operUp: upCell(row['STATE']),
      rxPackets: countCell(row['RX_OK']),
      rxRateBps: byteRateCell(row['RX_BPS']),
      rxPacketsPerSecond: packetRateCell(row['RX_PPS']),
      rxUtilization: percentCell(row['RX_UTIL']),
      rxErrors: countCell(row['RX_ERR']),
      rxDrops: countCell(row['RX_DRP']),
      rxOverruns: countCell(row['RX_OVR']),
      txPackets: countCell(row['TX_OK']),
      txRateBps: byteRateCell(row['TX_BPS']),
      txPacketsPerSecond: packetRateCell(row['TX_PPS']),
      txUtilization: percentCell(row['TX_UTIL']),
      txErrors: countCell(row['TX_ERR']),
      txDrops: countCell(row['TX_DRP']),
      txOverruns: countCell(row['TX_OVR']),
      trimmed: countCell(row['TRIM']),
      trimmedSent: countCell(row['TRIM_TX']),
      trimmedDropped: countCell(row['TRIM_DRP']),
    })),
  );
}

export interface FecCounters {
  readonly port: string;
  readonly operUp: boolean | null;
  readonly corrected: bigint | null;
  readonly uncorrected: bigint | null;
  readonly symbolErrors: bigint | null;
  readonly preFecBer: number | null;
  readonly postFecBer: number | null;
  readonly preFecBerMax: number | null;
  /** Frame loss ratio as observed, and as predicted with the accuracy of the prediction (fraction of 1). */
  readonly frameLossObserved: number | null;
  readonly frameLossPredicted: number | null;
  readonly predictionAccuracy: number | null;
  /** Most symbol errors seen in one codeword; −1 when there is no histogram. */
  readonly mostSymbolErrors: number | null;
}

/** `show interfaces counters fec-stats`. @throws ParseError */
export function parseFecCounters(text: string): readonly FecCounters[] {
  return readTablesWith(text, 'show interfaces counters fec-stats', ['IFACE', 'FEC_CORR', 'FEC_UNCORR']).flatMap(
    ({ rows }) =>
      rows.map(row => {
        const predicted = /^(\S+)(?: \((\d+(?:\.\d+)?%)\))?$/.exec(row['FLR(P) (Accuracy)'] ?? '');
        return {
          port: nameCell(row['IFACE']),
          operUp: upCell(row['STATE']),
          corrected: countCell(row['FEC_CORR']),
          uncorrected: countCell(row['FEC_UNCORR']),
          symbolErrors: countCell(row['FEC_SYMBOL_ERR']),
          preFecBer: numberCell(row['FEC_PRE_BER']),
          postFecBer: numberCell(row['FEC_POST_BER']),
          preFecBerMax: numberCell(row['FEC_PRE_BER_MAX']),
          frameLossObserved: numberCell(row['FLR(O)']),
          frameLossPredicted: numberCell(predicted?.[1]),
          predictionAccuracy: percentCell(predicted?.[2]),
          mostSymbolErrors: numberCell(row['FEC_MAX_T']),
        };
      }),
  );
}

export interface TrimCounters {
  readonly port: string;
  readonly operUp: boolean | null;
  readonly trimmed: bigint | null;
  readonly trimmedSent: bigint | null;
  readonly trimmedDropped: bigint | null;
}

/** `show interfaces counters trim`, text or JSON. @throws ParseError */
export function parseTrimCounters(text: string): readonly TrimCounters[] {
  const expected = 'show interfaces counters trim';
  const of = (port: string, row: Readonly<Record<string, string | undefined>>): TrimCounters => ({
    port,
    operUp: upCell(row['STATE']),
    trimmed: countCell(row['TRIM_PKTS']),
    trimmedSent: countCell(row['TRIM_TX_PKTS']),
    trimmedDropped: countCell(row['TRIM_DRP_PKTS']),
  });
  if (!text.trimStart().startsWith('{')) {
    return readTablesWith(text, expected, ['IFACE', 'TRIM_PKTS']).flatMap(({ rows }) =>
      rows.map(row => of(nameCell(row['IFACE']), row)),
    );
  }
  const ports = parseJson(text, expected);
  if (!isRecord(ports)) throw new ParseError(expected, text);
  return Object.entries(ports).map(([port, row]) => {
    if (!isRecord(row)) throw new ParseError(`${expected}: an object for ${port}`, text);
    const cell = (name: string): string | undefined => {
      const found = row[name];
      return typeof found === 'string' ? found : found === undefined ? undefined : (JSON.stringify(found) ?? '');
    };
    return of(escapeDeviceText(port), {
      STATE: cell('STATE'),
      TRIM_PKTS: cell('TRIM_PKTS'),
      TRIM_TX_PKTS: cell('TRIM_TX_PKTS'),
      TRIM_DRP_PKTS: cell('TRIM_DRP_PKTS'),
    });
  });
}

/**
 * `show interfaces counters detailed EthernetN`: `Packets Received 64 Octets..................... 0`, as name to count.
 * `Time Since Counters Last Cleared` is not a counter and is left out.
 *
 * @throws ParseError
 */
export function parseDetailedCounters(text: string): ReadonlyMap<string, bigint | null> {
  const expected = 'show interfaces counters detailed';
  refuseCliError(text, expected);
  const found = new Map<string, bigint | null>();
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('Time Since Counters Last Cleared')) continue;
    const dots = line.indexOf('...');
    const name = line.slice(0, dots).trim();
    const rest = dots < 0 ? '' : line.slice(dots).replace(/^\.+/, '').trim();
    if (dots <= 0 || name === '' || rest === '') throw new ParseError(`${expected}: a name, dots and a count`, line);
    found.set(name, countCell(rest));
  }
  if (found.size === 0) throw new ParseError(expected, text);
  return found;
}
