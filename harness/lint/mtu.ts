import type { Read } from '../model/device-configuration.ts';
import { bytes } from './amount.ts';
import { atLeast, exactly, type Judged } from './finding.ts';
import type { DeclaredSettings, LintedCable } from './linted-fabric.ts';
import { mtuBytesOf } from './netem-room.ts';
import { unread } from './unread.ts';

/** What one end of a cable takes. A switch may take more than a host sends, never less; two switches take the same. */
export interface PortMtu {
  readonly isHost: boolean;
  readonly mtu: Read<number>;
}

/** IPv4 20, UDP 8, BTH 12, RETH 16, ICRC 4 B: what a full RoCEv2 packet adds to its payload inside the Ethernet frame. */
const ROCE_HEADERS_BYTES = 60;
const SOURCE = 'RoCEv2 (InfiniBand Annex A17): payload + IPv4 20 + UDP 8 + BTH 12 + RETH 16 + ICRC 4 B';

/** MTU of the ports at both ends of a cable. Ends that nobody reads, such as a span box, are not judged. */
export function mtuOfCable(
  { ends, name }: LintedCable,
  at: (device: string, port: string) => PortMtu | undefined,
  settings: DeclaredSettings,
): readonly Judged[] {
  const check = 'MTU';
  const known = ends.map(({ device, port }) => at(device, port));
  const missing = known.findIndex(end => end !== undefined && 'unread' in end.mtu);
  const bad = known[missing];
  if (bad !== undefined && 'unread' in bad.mtu) return [unread(check, `${ends[missing]?.device}: ${bad.mtu.unread}`)];
  const [a, b] = known;
  if (a === undefined || b === undefined || 'unread' in a.mtu || 'unread' in b.mtu) return [];
  const [mtuA, mtuB] = [a.mtu.value, b.mtu.value];
  const least = Math.min(mtuA, mtuB);
  const places = ends.map(({ device, port }, i) => `${device} ${port} ${i === 0 ? mtuA : mtuB} B`).join(', ');
  const needed = mtuBytesOf(settings) + ROCE_HEADERS_BYTES;
  if (settings.roce !== undefined && least < needed)
    return [
      {
        check,
        severity: 'error',
        value: bytes(least),
        needed: atLeast(bytes(needed)),
        formula: `${places}; ${settings.roce.mtu} payload + ${ROCE_HEADERS_BYTES} B = ${needed} B`,
        source: SOURCE,
        advice: 'Full RoCE packets are dropped there without a word. Raise the MTU of both ports.',
      },
    ];
  const [host, other] = a.isHost ? [mtuA, mtuB] : [mtuB, mtuA];
  const fits = a.isHost || b.isHost ? other >= host : mtuA === mtuB;
  return [
    {
      check,
      severity: fits ? 'ok' : 'error',
      value: bytes(least),
      needed: a.isHost || b.isHost ? atLeast(bytes(host)) : exactly(bytes(Math.max(mtuA, mtuB))),
      formula: places,
      source: 'Ethernet has no fragmentation: a frame that is larger than a port takes is dropped',
      advice: fits ? '' : `Set the same MTU at both ends of ${name}.`,
    },
  ];
}
