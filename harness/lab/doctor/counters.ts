import { setTimeout as sleep } from 'node:timers/promises';
import type { OctetWidth } from '../../binding/switch.ts';
import type { SnmpSession } from '../../drivers/snmp.ts';
import { print } from '../../model/units.ts';
import { measureRefresh, octetsOf, type Refresh } from '../measure-refresh.ts';
import type { Finding } from './doctor-line.ts';

/** A counter of 32 bits wraps within a minute above this rate; RFC 2863 section 3.1.6 asks for 64 bits above it. */
const NARROW_UP_TO_BPS = 650e6;

/** Whether octets are counted in 64 bits where 32 would wrap too fast. Pure. */
export function judgeWidths(cabled: readonly string[], widths: ReadonlyMap<string, OctetWidth>): readonly Finding[] {
  const check = 'counters';
  const narrow = cabled.filter(port => {
    const width = widths.get(port);
    return width?.bits === 32 && (width.rateBps === null || width.rateBps > NARROW_UP_TO_BPS);
  });
  const unread = cabled.filter(port => !widths.has(port));
  if (narrow.length > 0)
    return [
      {
        check,
        ok: false,
        detail: `${narrow.length} of ${cabled.length} ports count octets in 32 bits: ${narrow.slice(0, 4).join(', ')}`,
        fix: 'Let the SNMP user see ifXTable (1.3.6.1.2.1.31.1.1); SNMPv1 has no 64-bit counters.',
      },
    ];
  if (unread.length > 0)
    return [
      {
        check,
        ok: 'unknown',
        detail: `no counters of ${unread.length} cabled ports: ${unread.slice(0, 4).join(', ')}`,
        fix: 'Does the port have that name on the device? show interfaces status',
      },
    ];
  return [{ check, ok: true, detail: `64-bit octets on ${cabled.length} ports` }];
}

/** Measures how often the agent refreshes what it hands out, on wall time. */
export async function checkRefresh(
  snmp: SnmpSession,
  withinMs: number,
): Promise<{ readonly finding: Finding; readonly refresh: Refresh }> {
  const refresh = await measureRefresh({
    read: () => octetsOf(snmp),
    now: async () => Number(process.hrtime.bigint()),
    wait: ns => sleep(ns / 1e6),
    withinNs: withinMs * 1e6,
  });
  return { finding: judgeRefresh(refresh), refresh };
}

/** Pure. */
export function judgeRefresh(refresh: Refresh): Finding {
  const check = 'refresh';
  if (refresh.missing !== undefined)
    return {
      check,
      ok: 'unknown',
      detail: `how old its counters are is not known: ${refresh.missing}`,
      fix: 'Run the doctor while traffic flows. Until then, readings of this agent may be as old as anything.',
    };
  const { periodNs, mostNs } = refresh;
  const detail =
    periodNs === 0 ? 'counters are of the moment' : `counters are refreshed every ${print(periodNs, 'duration')}`;
  return { check, ok: true, detail: `${detail}, at most ${print(mostNs, 'duration')} old` };
}
