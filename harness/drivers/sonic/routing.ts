import type { BgpNeighbor, LldpNeighbor } from '../../binding/switch.ts';
import { ParseError } from '../parse-error.ts';
import { nameCell, smallCountCell, textCell } from './cell.ts';
import { readTables, readTablesWith, refuseCliError } from './table.ts';

const BGP_NOTES: readonly RegExp[] = [
  /^IPv[46] Unicast Summary.*:$/,
  /^(\S+: )?BGP router identifier /,
  /^BGP table version \d+$/,
  /^RIB entries \d+/,
  /^Peers \d+/,
  /^Peer groups \d+/,
];

export interface BgpSummaryRow extends BgpNeighbor {
  readonly version: number | null;
  readonly messagesReceived: number | null;
  readonly messagesSent: number | null;
  readonly upDown: string;
  readonly name: string | null;
}

/** `show ip bgp summary` and `show ipv6 bgp summary`. The header says `Neighbhor` (sic); newer releases may spell it right. @throws ParseError */
export function parseBgpSummary(text: string): readonly BgpSummaryRow[] {
  const expected = 'show ip bgp summary';
  return readTables(text, expected, BGP_NOTES).flatMap(({ columns, rows }) => {
    const neighbor = ['Neighbhor', 'Neighbor'].find(column => columns.includes(column));
    if (neighbor === undefined || !columns.includes('State/PfxRcd'))
      throw new ParseError(`${expected}: columns Neighbhor and State/PfxRcd`, columns.join('  '));
    return rows.map(row => {
      const state = nameCell(row['State/PfxRcd']);
      const prefixes = /^\d{1,15}$/.test(state) ? Number(state) : undefined;
      return {
        address: nameCell(row[neighbor]),
        asn: smallCountCell(row['AS']) ?? refuse(expected, 'an AS number', row['AS']),
        state: prefixes === undefined ? state : 'Established',
        prefixes,
        version: smallCountCell(row['V']),
        messagesReceived: smallCountCell(row['MsgRcvd']),
        messagesSent: smallCountCell(row['MsgSent']),
        upDown: row['Up/Down'] ?? '',
        name: textCell(row['NeighborName']),
      };
    });
  });
}

function refuse(expected: string, what: string, found: string | undefined): never {
  throw new ParseError(`${expected}: ${what}`, found ?? '');
}

/** `show lldp table`. @throws ParseError */
export function parseLldpTable(text: string): readonly LldpNeighbor[] {
  return readTablesWith(text, 'show lldp table', ['LocalPort', 'RemoteDevice', 'RemotePortID']).flatMap(({ rows }) =>
    rows.map(row => ({
      port: nameCell(row['LocalPort']),
      device: row['RemoteDevice'] ?? '',
      remotePort: row['RemotePortID'] ?? '',
    })),
  );
}

/** `ecnconfig -l`: profile to its settings. @throws ParseError */
export function parseEcnConfig(text: string): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const expected = 'ecnconfig -l';
  refuseCliError(text, expected);
  const profiles = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed === '' || /^-+ +-+$/.test(trimmed)) continue;
    const profile = /^Profile: (\S.*)$/.exec(trimmed);
    if (profile) {
      current = new Map();
      profiles.set(profile[1] ?? '', current);
      continue;
    }
    const pair = /^(\S+) +(\S+)$/.exec(trimmed);
    if (!pair || current === undefined)
      throw new ParseError(`${expected}: "Profile: name", then a setting and its value`, line);
    current.set(pair[1] ?? '', pair[2] ?? '');
  }
  if (profiles.size === 0) throw new ParseError(expected, text);
  return profiles;
}
