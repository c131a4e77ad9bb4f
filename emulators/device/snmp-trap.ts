import type { SnmpScalar, SnmpType } from './snmp-store.ts';
import { SNMP } from './snmp-store.ts';

export interface TrapVarbind {
  readonly oid: string;
  readonly type: SnmpType;
  readonly value: SnmpScalar;
}

export interface Trap {
  readonly community: string;
  readonly requestId: number;
  /** Centiseconds since the device booted. */
  readonly upTime: number;
  readonly trapOid: string;
  readonly varbinds: readonly TrapVarbind[];
}

const SEQUENCE = 0x30;
const TRAP_V2 = 0xa7;
const VERSION_2C = 1;

function tagged(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), content]);
}

function integer(tag: number, value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.unshift(Number(rest & 255n));
    rest >>= 8n;
  } while (rest !== 0n && rest !== -1n);
  const top = (bytes[0] as number) & 0x80;
  if (value >= 0n && top !== 0) bytes.unshift(0);
  if (value < 0n && top === 0) bytes.unshift(255);
  return tagged(tag, Buffer.from(bytes));
}

function oidOf(oid: string): Buffer {
  const [first = 0, second = 0, ...rest] = oid.split('.').map(Number);
  const bytes: number[] = [];
  for (const arc of [40 * first + second, ...rest]) {
    const groups = [arc % 128];
    for (let more = Math.floor(arc / 128); more > 0; more = Math.floor(more / 128)) groups.unshift((more % 128) + 128);
    bytes.push(...groups);
  }
  return tagged(SNMP.oid, Buffer.from(bytes));
}

function valueOf({ type, value }: Omit<TrapVarbind, 'oid'>): Buffer {
  if (type === SNMP.oid) return oidOf(String(value));
  if (type === SNMP.ipAddress) return tagged(type, Buffer.from(String(value).split('.').map(Number)));
  if (type === SNMP.octets || type === SNMP.opaque)
    return tagged(type, Buffer.isBuffer(value) ? value : Buffer.from(String(value)));
  if (type === SNMP.null) return tagged(type, Buffer.alloc(0));
  return integer(type, BigInt(value as number | bigint));
}

/**
 * An SNMPv2-Trap datagram (RFC 3416 section 4.2.6). Written here because net-snmp's session replaces a sysUpTime of 0
 * by the uptime of this process, and virtual runs begin at 0.
 */
export function encodeTrap({ community, requestId, upTime, trapOid, varbinds }: Trap): Buffer {
  const all: readonly TrapVarbind[] = [
    { oid: '1.3.6.1.2.1.1.3.0', type: SNMP.timeTicks, value: BigInt.asUintN(32, BigInt(upTime)) },
    { oid: '1.3.6.1.6.3.1.1.4.1.0', type: SNMP.oid, value: trapOid },
    ...varbinds,
  ];
  const list = tagged(
    SEQUENCE,
    Buffer.concat(all.map(varbind => tagged(SEQUENCE, Buffer.concat([oidOf(varbind.oid), valueOf(varbind)])))),
  );
  const pdu = tagged(
    TRAP_V2,
    Buffer.concat([
      integer(SNMP.integer, BigInt(requestId)),
      integer(SNMP.integer, 0n),
      integer(SNMP.integer, 0n),
      list,
    ]),
  );
  return tagged(
    SEQUENCE,
    Buffer.concat([integer(SNMP.integer, BigInt(VERSION_2C)), tagged(SNMP.octets, Buffer.from(community)), pdu]),
  );
}
