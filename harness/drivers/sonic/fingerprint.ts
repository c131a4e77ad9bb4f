import { createHash } from 'node:crypto';
import type { Change, Fingerprint } from '../../binding/fingerprint.ts';
import { type DeviceGuard, quoted } from '../device-guard.ts';
import { computerReadings, fingerprintOf, linuxPutBack } from '../linux/fingerprint.ts';
import { isRecord, ParseError, parseJson } from '../parse-error.ts';
import type { Reading, Values } from '../read-fingerprint.ts';
import type { Shell } from '../ssh.ts';
import { nameCell } from './cell.ts';
import { type InterfaceStatus, parseInterfaceStatus } from './interfaces.ts';
import { parsePfcwdConfig } from './pfc.ts';
import { parseBgpSummary, parseEcnConfig, parseLldpTable } from './routing.ts';
import { readTablesWith, refuseCliError } from './table.ts';

/** Tables whose keys are secrets, and fields that are: of both only a hash is kept. */
const SECRET_KEYS: ReadonlySet<string> = new Set(['SNMP_COMMUNITY', 'SNMP_AGENT_COMMUNITY']);
const SECRET_FIELD = /pass|secret|key$|community|token/i;

const hidden = (text: string): string => `hidden ${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;

/**
 * `sonic-cfggen -d --print-data`: CONFIG_DB as it runs, saved or not, field by field: `PORT|Ethernet4 mtu` → `9100`. A row without fields
 * is there or not.
 *
 * @throws ParseError
 */
export function parseConfiguration(text: string): Values {
  const expected = 'CONFIG_DB';
  refuseCliError(text, expected);
  const tables = parseJson(text, expected);
  if (!isRecord(tables)) throw new ParseError(expected, text);
  const found: [string, string][] = [];
  for (const [table, rows] of Object.entries(tables)) {
    if (!isRecord(rows)) throw new ParseError(`${expected}: rows of ${table}`, JSON.stringify(rows));
    for (const [name, fields] of Object.entries(rows)) {
      const row = `${table}|${SECRET_KEYS.has(table) ? hidden(name) : name}`;
      if (!isRecord(fields) || Object.keys(fields).length === 0) found.push([row, 'there']);
      else {
        for (const [field, value] of Object.entries(fields)) {
          const plain = typeof value === 'string' ? value : JSON.stringify(value);
          found.push([`${row} ${field}`, SECRET_FIELD.test(field) ? hidden(plain) : plain]);
        }
      }
    }
  }
  return found;
}

const word = (up: boolean | null): string => (up === null ? 'N/A' : up ? 'up' : 'down');
const shown = (value: string | number | null): string => (value === null ? 'N/A' : String(value));

/** `show interfaces status`: `interfaces` as set, `links` as they are, and the kind of each module. @throws ParseError */
export function portValues(
  status: readonly InterfaceStatus[],
): Readonly<Record<'interfaces' | 'links' | 'optics', Values>> {
  return {
    interfaces: status.flatMap(({ port, adminUp, speedBps, mtuBytes, fec, asymPfc, vlan }) => [
      [`${port} admin`, word(adminUp)] as const,
      // Mb/s, as `config interface speed` takes it.
      [`${port} speed`, shown(speedBps === null ? null : speedBps / 1e6)] as const,
      [`${port} mtu`, shown(mtuBytes)] as const,
      [`${port} fec`, shown(fec)] as const,
      [`${port} asymmetric PFC`, shown(asymPfc)] as const,
      [`${port} vlan`, shown(vlan)] as const,
    ]),
    links: status.map(({ port, operUp }) => [`${port} oper`, word(operUp)] as const),
    optics: status.map(({ port, type }) => [`${port} type`, shown(type)] as const),
  };
}

/** `show interfaces transceiver presence`. @throws ParseError */
export function parsePresence(text: string): Values {
  return readTablesWith(text, 'show interfaces transceiver presence', ['Port', 'Presence']).flatMap(({ rows }) =>
    rows.map(row => [`${nameCell(row['Port'])} presence`, nameCell(row['Presence'])] as const),
  );
}

/** A switch without WRED profiles prints nothing. @throws ParseError */
const ecnValues = (text: string): Values =>
  text.trim() === ''
    ? []
    : [...parseEcnConfig(text)].flatMap(([profile, settings]) =>
        [...settings].map(([name, value]) => [`${profile} ${name}`, value] as const),
      );

/** `pfcwd show config`. A switch on which no watchdog was started prints nothing, or no rows. @throws ParseError */
function watchdogValues(text: string): Values {
  if (text.trim() === '') return [];
  const { pollingMs, bigRedSwitch, ports } = parsePfcwdConfig(text);
  return [
    ...[...pollingMs].map(([asic, ms]) => [`${asic} polling interval`.trim(), `${ms} ms`] as const),
    ...[...bigRedSwitch].map(([asic, state]) => [`${asic} big red switch`.trim(), state] as const),
    ...ports.map(
      ({ port, action, detectionMs, restorationMs }) =>
        [port, `${shown(action)}, detection ${shown(detectionMs)}, restoration ${shown(restorationMs)}`] as const,
    ),
  ];
}

const READINGS: readonly Reading[] = [
  {
    sections: ['configuration'],
    command: 'sonic-cfggen -d --print-data',
    parse: text => ({ configuration: parseConfiguration(text) }),
  },
  {
    sections: ['interfaces', 'links', 'optics'],
    command: 'show interfaces status',
    parse: text => portValues(parseInterfaceStatus(text)),
  },
  {
    sections: ['optics'],
    command: 'show interfaces transceiver presence',
    parse: text => ({ optics: parsePresence(text) }),
  },
  { sections: ['ecn'], command: 'ecnconfig -l', parse: text => ({ ecn: ecnValues(text) }) },
  { sections: ['pfcwd'], command: 'pfcwd show config', parse: text => ({ pfcwd: watchdogValues(text) }) },
  {
    sections: ['bgp'],
    command: 'show ip bgp summary',
    // Message counts, uptimes and the number of prefixes move by themselves.
    parse: text => ({
      bgp: parseBgpSummary(text).flatMap(({ address, asn, state }) => [
        [`${address} AS`, String(asn)] as const,
        [`${address} state`, state] as const,
      ]),
    }),
  },
  {
    sections: ['lldp'],
    command: 'show lldp table',
    parse: text => ({
      lldp: parseLldpTable(text).map(({ port, device, remotePort }) => [port, `${device} ${remotePort}`] as const),
    }),
  },
  ...computerReadings({ prefix: 'sudo ', files: ['/etc/sonic/checkpoints/*'] }),
];

/** Everything of a SONiC switch that a run could leave changed. @throws DeviceError */
export const sonicFingerprint = (from: {
  readonly shell: Shell;
  readonly guard: Pick<DeviceGuard, 'survey'>;
}): Promise<Fingerprint> => fingerprintOf(from, READINGS);

const ECN_SETTERS: Readonly<Record<string, string>> = {
  green_min_threshold: '-gmin',
  green_max_threshold: '-gmax',
  green_drop_probability: '-gdrop',
  yellow_min_threshold: '-ymin',
  yellow_max_threshold: '-ymax',
  yellow_drop_probability: '-ydrop',
  red_min_threshold: '-rmin',
  red_max_threshold: '-rmax',
  red_drop_probability: '-rdrop',
};

/** Puts one value of a SONiC switch back. @see Fingerprinted.putBack */
export function sonicPutBack(change: Change): string | undefined {
  const { section, key, was, is } = change;
  if (key === undefined || was === null || is === null) return undefined;
  // Fields of CONFIG_DB have no blanks in their names.
  const cut = section === 'configuration' ? key.lastIndexOf(' ') : key.indexOf(' ');
  const [name, what] = cut < 0 ? [key, ''] : [key.slice(0, cut), key.slice(cut + 1)];
  switch (section) {
    case 'configuration':
      if (was?.startsWith('hidden ') || key.includes('|hidden ')) return undefined;
      // The row as a whole: a field of its own that Redis asks for.
      if (what === '')
        return `sudo sonic-db-cli CONFIG_DB ${was === undefined ? `DEL ${quoted(name)}` : `HSET ${quoted(name)} NULL NULL`}`;
      if (was === undefined) return `sudo sonic-db-cli CONFIG_DB HDEL ${quoted(name)} ${quoted(what)}`;
      return `sudo sonic-db-cli CONFIG_DB HSET ${quoted(name)} ${quoted(what)} ${quoted(was)}`;
    case 'interfaces': {
      if (was === undefined || was === 'N/A') return undefined;
      if (what === 'admin') return `sudo config interface ${was === 'up' ? 'startup' : 'shutdown'} ${quoted(name)}`;
      if (what === 'asymmetric PFC') return `sudo config interface pfc asymmetric ${quoted(name)} ${quoted(was)}`;
      if (what === 'vlan') return undefined;
      return `sudo config interface ${quoted(what)} ${quoted(name)} ${quoted(was)}`;
    }
    case 'ecn': {
      const setter = Object.hasOwn(ECN_SETTERS, what) ? ECN_SETTERS[what] : undefined;
      return setter === undefined || was === undefined
        ? undefined
        : `sudo ecnconfig -p ${quoted(name)} ${setter} ${quoted(was)}`;
    }
    case 'pfcwd':
      return was === undefined ? `sudo pfcwd stop ${quoted(name)}` : undefined;
    case 'files': {
      const checkpoint = /^\/etc\/sonic\/checkpoints\/([\w.-]+)\.cp\.json$/.exec(key)?.[1];
      if (checkpoint !== undefined && was === undefined) return `sudo config delete-checkpoint ${quoted(checkpoint)}`;
      return linuxPutBack(change);
    }
    default:
      return linuxPutBack(change);
  }
}
