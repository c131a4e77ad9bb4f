import type { PortBuffer } from '../../model/device-configuration.ts';
import { ParseError } from '../parse-error.ts';
import { smallCountCell } from './cell.ts';
import type { ConfigTable } from './config-table.ts';

/** `BUFFER_PG`, `BUFFER_PROFILE`, `CABLE_LENGTH` and `PORT_QOS_MAP` of CONFIG_DB. */
export interface BufferTables {
  readonly groups: ConfigTable;
  readonly profiles: ConfigTable;
  readonly cables: ConfigTable;
  readonly qos: ConfigTable;
}

const POOL = 'ingress_lossless_pool';

/** `3-4` and `3` hold 3. */
function holds(range: string, priority: number): boolean {
  const [from, to = from] = range.split('-').map(Number);
  return from !== undefined && to !== undefined && priority >= from && priority <= to;
}

/** `pg_lossless_400000_300m_profile`; older releases write `[BUFFER_PROFILE|…]`. `NULL`: the switch computes it (dynamic model). */
const profileName = (text: string): string => text.replace(/^\[BUFFER_PROFILE\|(.*)\]$/, '$1');

/** `300m` in metres. @throws ParseError */
function metres(text: string): number {
  const found = /^(\d{1,9}(?:\.\d{1,3})?)m$/.exec(text)?.[1];
  if (found === undefined) throw new ParseError('a cable length such as 300m', text);
  return Number(found);
}

/** What a switch reserves for `priority` of each port that has a cable length or a priority group. @throws ParseError */
export function portBuffers(
  { groups, profiles, cables, qos }: BufferTables,
  priority: number,
): ReadonlyMap<string, PortBuffer> {
  const cableOf = new Map([...cables.values()].flatMap(ports => [...ports]));
  const groupOf = new Map(
    [...groups].flatMap(([key, fields]) => {
      const [port = '', range = ''] = key.split('|');
      return holds(range, priority) ? [[port, profileName(fields.get('profile') ?? '')] as const] : [];
    }),
  );
  const ports = new Set([...cableOf.keys(), ...groupOf.keys(), ...[...qos.keys()].filter(key => key !== 'global')]);
  return new Map(
    [...ports].map(port => {
      const profile = groupOf.get(port) ?? '';
      const cable = cableOf.get(port);
      const paused = (qos.get(port)?.get('pfc_enable') ?? '').split(',');
      return [
        port,
        {
          pfc: paused.includes(String(priority)),
          cableMetres: cable === undefined ? null : metres(cable),
          headroomBytes: smallCountCell(profiles.get(profile)?.get('xoff')),
          profile,
        },
      ];
    }),
  );
}

/** Size of the pool that lossless ports share, bytes; null without one. @throws ParseError */
export function losslessPoolBytes(pools: ConfigTable): number | null {
  return smallCountCell(pools.get(POOL)?.get('size'));
}
