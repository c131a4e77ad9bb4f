import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { performance } from 'node:perf_hooks';
import snmp from 'net-snmp';
import pLimit from 'p-limit';
import type { DeviceError } from '../binding/device-error.ts';
import type { Step } from '../model/record.ts';
import { deviceError, escapeDeviceText, excerpt, label } from './device-text.ts';
import { type AnsweringSession, ownAnswers } from './own-answers.ts';

/** SNMPv3 user (USM). With `auth` absent nothing is authenticated, with `priv` absent nothing is encrypted. */
export interface SnmpUser {
  readonly name: string;
  readonly auth?: { readonly protocol: 'sha' | 'sha224' | 'sha256' | 'sha384' | 'sha512'; readonly key: string };
  /** `aes256b` follows Blumenthal's draft, `aes256r` Reeder's (Cisco and others); they do not understand each other. */
  readonly priv?: { readonly protocol: 'aes128' | 'aes256b' | 'aes256r'; readonly key: string };
}

export interface SnmpOptions {
  readonly device: string;
  /** An IP address. */
  readonly host: string;
  readonly port: number;
  /** A community (v2c) or a user (v3). */
  readonly as: { readonly community: string } | { readonly user: SnmpUser };
  /** Wall time for one operation, all its datagrams and retries together. */
  readonly deadlineMs: number;
  /** Wall time to wait for one datagram before it is sent again, growing by half each time. Default 1000. */
  readonly retryAfterMs?: number;
  readonly signal?: AbortSignal;
  readonly step?: (step: Step) => void;
}

/**
 * INTEGER, Counter32, Gauge32, TimeTicks: number. Counter64: bigint, exact. OCTET STRING, Opaque: bytes.
 * OBJECT IDENTIFIER, IpAddress: string. Null is "the device does not have it" (noSuchObject, noSuchInstance); it is never zero.
 */
export type SnmpValue = number | bigint | Buffer | string | null;

export interface SnmpSession {
  readonly device: string;
  /** One value for each OID asked for, in as many requests as it takes: values of several moments. @throws DeviceError */
  get(oids: readonly string[]): Promise<ReadonlyMap<string, SnmpValue>>;
  /**
   * Each group in one request and one datagram, so that all its values are of one moment of the agent: a counter, and what vouches for it.
   * A group without an answer is null; null is not "the device does not have it".
   *
   * @throws DeviceError when no group was answered; RangeError for a group of more than `OIDS_TOGETHER`
   */
  together(groups: readonly (readonly string[])[]): Promise<readonly (ReadonlyMap<string, SnmpValue> | null)[]>;
  /** Everything under an OID, by GETBULK, in the agent's order. @throws DeviceError also when the agent walks in circles */
  walk(root: string): Promise<ReadonlyMap<string, SnmpValue>>;
  /** Columns of a table: row index (OID text behind the column) to value per column. @throws DeviceError */
  table(entry: string, columns: readonly number[]): Promise<ReadonlyMap<string, Readonly<Record<number, SnmpValue>>>>;
  close(): void;
}

/** Varbinds per GET: 24 x about 40 B stays under the 1472 B of one Ethernet frame, also with USM. */
const OIDS_PER_GET = 24;
/** Varbinds that one datagram of 1472 B holds for sure: an answer's take 35 B at most here (a 64-bit counter 27, a name of 16 letters 35), USM's header about 150. */
export const OIDS_TOGETHER = 36;
/** Rows per GETBULK answer; agents cut the answer to what fits. */
const REPETITIONS = 25;
/** Rows a walk may give before it counts as endless. Full BGP tables are not walked here. */
const MOST_ROWS = 200_000;
/** Share of an operation's deadline after which groups that are not answered are given up. */
const LAST_CALL = 0.95;
/** Requests at the same time per session. Small agents drop more. */
const AT_ONCE = 4;

/** Text of an OCTET STRING, escaped. Null stays null. */
export function snmpText(value: SnmpValue | undefined): string | null {
  if (value === null || value === undefined) return null;
  return label(Buffer.isBuffer(value) ? value.toString('utf8') : String(value));
}

/** A counter or gauge as bigint. Null when the device does not have it or answers something else. */
export function snmpCounter(value: SnmpValue | undefined): bigint | null {
  if (typeof value === 'bigint') return value;
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : null;
}

/** A MAC address of a PhysAddress, `aa:bb:…`. Null when it is not six bytes. */
export function snmpMac(value: SnmpValue | undefined): string | null {
  return Buffer.isBuffer(value) && value.length === 6
    ? [...value].map(byte => byte.toString(16).padStart(2, '0')).join(':')
    : null;
}

function valueOf({ type, value }: snmp.Varbind): SnmpValue {
  if (
    type === snmp.ObjectType.NoSuchObject ||
    type === snmp.ObjectType.NoSuchInstance ||
    type === snmp.ObjectType.EndOfMibView
  )
    return null;
  if (Buffer.isBuffer(value)) {
    if (type !== snmp.ObjectType.Counter64) return value;
    // Leading zero byte or fewer than 8 bytes: BER gives the shortest form.
    return value.length === 0 ? 0n : BigInt.asUintN(64, BigInt(`0x${value.toString('hex')}`));
  }
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return null;
}

/** Whether `next` comes after `before` in OID order. */
export function oidFollows(before: string, next: string): boolean {
  const a = before.split('.');
  const b = next.split('.');
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = Number(b[i]) - Number(a[i]);
    if (difference !== 0) return difference > 0;
  }
  return b.length > a.length;
}

const AUTH = { sha: 'sha', sha224: 'sha224', sha256: 'sha256', sha384: 'sha384', sha512: 'sha512' } as const;
const PRIV = { aes128: 'aes', aes256b: 'aes256b', aes256r: 'aes256r' } as const;

/** A user in net-snmp's words. @throws RangeError when it has encryption without authentication, which USM does not know */
function usm({ name, auth, priv }: SnmpUser): snmp.User {
  if (auth === undefined) {
    if (priv !== undefined)
      throw new RangeError(
        `SNMPv3 user ${name}: USM has no encryption without authentication (RFC 3414). Give auth, too.`,
      );
    return { name, level: snmp.SecurityLevel.noAuthNoPriv };
  }
  const user = { name, authProtocol: snmp.AuthProtocols[AUTH[auth.protocol]], authKey: auth.key };
  if (priv === undefined) return { ...user, level: snmp.SecurityLevel.authNoPriv };
  return {
    ...user,
    level: snmp.SecurityLevel.authPriv,
    privProtocol: snmp.PrivProtocols[PRIV[priv.protocol]],
    privKey: priv.key,
  };
}

/** A session whose socket can neither throw out of a datagram nor end the process, and that takes its own answers only. */
function createSession(options: SnmpOptions, onIgnored: (why: string) => void): snmp.Session {
  const settings = {
    port: options.port,
    transport: options.host.includes(':') ? ('udp6' as const) : ('udp4' as const),
    retries: 3,
    timeout: options.retryAfterMs ?? 1000,
    backoff: 1.5,
    // Both are off by default: a walk could run in circles, and an answer to another question would be taken.
    backwardsGetNexts: false,
    reportOidMismatchErrors: true,
  };
  const session =
    'community' in options.as
      ? snmp.createSession(options.host, options.as.community, { ...settings, version: snmp.Version2c })
      : snmp.createV3Session(options.host, usm(options.as.user), { ...settings, version: snmp.Version3 });
  session.on('error', () => {
    // A malformed datagram. The request it may belong to is sent again and then times out.
  });
  guardSocket((session as unknown as { dgram: DatagramSource }).dgram, () => {});
  ownAnswers(session as unknown as AnsweringSession, { firstId: randomInt(2 ** 31 - 1), onIgnored });
  return session;
}

interface DatagramSource {
  listeners(event: 'message'): ((...args: unknown[]) => void)[];
  removeAllListeners(event: 'message'): unknown;
  on(event: 'message', listener: (...args: unknown[]) => void): unknown;
}

/** Puts a catch around the library's datagram listeners: what they throw would end the process. */
function guardSocket(socket: DatagramSource, onBad: (error: unknown) => void): void {
  const listeners = socket.listeners('message');
  socket.removeAllListeners('message');
  for (const listener of listeners) {
    socket.on('message', (...args) => {
      try {
        listener(...args);
      } catch (error) {
        onBad(error);
      }
    });
  }
}

function explain(options: SnmpOptions, tried: string, error: unknown): DeviceError {
  const { device, host, port, deadlineMs, as } = options;
  const said: unknown = error instanceof Error ? error.message : error;
  // The library's message is a number when the agent answers an error status that no standard knows.
  const message = typeof said === 'string' ? said : 'the agent answered an error status that no standard knows';
  const name = error instanceof Error ? error.name : '';
  if (name === 'RequestTimedOutError' || name === 'Deadline') {
    return deviceError({
      device,
      tried,
      answer: `no answer from ${host}:${port} over UDP within ${deadlineMs} ms`,
      advice:
        'community' in as
          ? 'Agents drop a wrong community silently: check it first. Then address, port, the agent’s access list, and that snmpd runs.'
          : 'Check address, port, the agent’s access list, and that snmpd runs and knows the user.',
      cause: error,
    });
  }
  if (/Wrong Digest|authentication|Unknown User|decrypt|Unsupported Security Level/i.test(message)) {
    return deviceError({
      device,
      tried,
      answer: message,
      advice:
        'SNMPv3 user, protocols or keys differ from what the agent has. AES-256 comes in two kinds: try aes256r for aes256b or the other way.',
      cause: error,
    });
  }
  return deviceError({
    device,
    tried,
    answer: message,
    advice: `Try the same with net-snmp's snmpget or snmpbulkwalk against ${host}:${port}.`,
    cause: error,
  });
}

class Deadline extends Error {
  override readonly name = 'Deadline';
}

/** Opens a v2c or v3 session. UDP: nothing is sent before the first question. */
export function connectSnmp(options: SnmpOptions): SnmpSession {
  let ignored = 0;
  let lastIgnored = '';
  const session = createSession(options, why => {
    ignored++;
    lastIgnored = why;
  });
  const limit = pLimit(AT_ONCE);
  let closed = false;

  /** Runs one operation under its deadline and reports it as a step. */
  const operate = async <T>(
    tried: string,
    count: (result: T) => number,
    work: (stopped: () => boolean) => Promise<T>,
  ): Promise<T> => {
    const at = new Date().toISOString();
    const began = performance.now();
    const ignoredBefore = ignored;
    let stopped = false;
    const report = (answer: string): void =>
      options.step?.({
        at,
        tookMs: Math.round((performance.now() - began) * 1000) / 1000,
        device: options.device,
        protocol: 'snmp',
        tried: excerpt(tried, 2000),
        answer: excerpt(
          ignored === ignoredBefore ? answer : `${answer}; ${ignored - ignoredBefore} ignored: ${lastIgnored}`,
          2000,
        ),
      });
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    try {
      if (closed) throw new Error('the session is closed');
      const result = await Promise.race([
        work(() => stopped || closed),
        new Promise<never>((_resolve, reject) => {
          timer = setTimeout(() => reject(new Deadline('deadline')), options.deadlineMs);
          abort = () => reject(new Error('interrupted'));
          if (options.signal?.aborted) abort();
          options.signal?.addEventListener('abort', abort, { once: true });
        }),
      ]);
      report(`${count(result)} values`);
      return result;
    } catch (error) {
      const explained = explain(options, tried, error);
      report(explained.answer);
      throw explained;
    } finally {
      stopped = true;
      clearTimeout(timer);
      if (abort) options.signal?.removeEventListener('abort', abort);
    }
  };

  const getChunk = (oids: readonly string[]): Promise<readonly snmp.Varbind[]> =>
    new Promise((resolve, reject) => {
      session.get([...oids], (error, varbinds) => (error ? reject(error) : resolve(varbinds ?? [])));
    });

  const bulk = (oids: readonly string[]): Promise<readonly (readonly snmp.Varbind[])[]> =>
    new Promise((resolve, reject) => {
      session.getBulk([...oids], 0, REPETITIONS, (error, varbinds) =>
        error ? reject(error) : resolve((varbinds ?? []).map(found => (Array.isArray(found) ? found : [found]))),
      );
    });

  const get = (oids: readonly string[]) =>
    operate(
      `SNMP get ${oids.length === 1 ? oids[0] : `${oids.length} OIDs from ${oids[0]}`}`,
      (found: ReadonlyMap<string, SnmpValue>) => found.size,
      async stopped => {
        const chunks = Array.from({ length: Math.ceil(oids.length / OIDS_PER_GET) }, (_, i) =>
          oids.slice(i * OIDS_PER_GET, (i + 1) * OIDS_PER_GET),
        );
        const answers = await Promise.all(chunks.map(chunk => limit(() => (stopped() ? [] : getChunk(chunk)))));
        const found = new Map<string, SnmpValue>(oids.map(oid => [oid, null]));
        for (const varbind of answers.flat()) if (found.has(varbind.oid)) found.set(varbind.oid, valueOf(varbind));
        return found;
      },
    );

  const together: SnmpSession['together'] = async groups => {
    const large = groups.find(group => group.length > OIDS_TOGETHER);
    if (large) throw new RangeError(`${large.length} OIDs do not fit one SNMP request; ${OIDS_TOGETHER} do.`);
    return operate(
      `SNMP get ${groups.length} groups of OIDs from ${groups[0]?.[0] ?? 'none'}`,
      (found: readonly (ReadonlyMap<string, SnmpValue> | null)[]) =>
        found.reduce((sum, of) => sum + (of?.size ?? 0), 0),
      async stopped => {
        let failure: unknown = new Deadline('deadline');
        let late = false;
        let timer: NodeJS.Timeout | undefined;
        // A little before the operation's deadline, so that what came by then is kept.
        const tooLate = new Promise<null>(resolve => {
          timer = setTimeout(() => {
            late = true;
            resolve(null);
          }, options.deadlineMs * LAST_CALL);
        });
        const ask = async (group: readonly string[]): Promise<ReadonlyMap<string, SnmpValue> | null> => {
          if (late || stopped()) return null;
          try {
            return new Map((await getChunk(group)).map(varbind => [varbind.oid, valueOf(varbind)]));
          } catch (error) {
            failure = error;
            return null;
          }
        };
        try {
          const found = await Promise.all(
            groups.map(group => limit(() => Promise.race([ask(group), ...(late ? [] : [tooLate])]))),
          );
          if (found.length > 0 && found.every(answer => answer === null)) throw failure;
          return found;
        } finally {
          clearTimeout(timer);
        }
      },
    );
  };

  const walkUnder = async (root: string, stopped: () => boolean): Promise<Map<string, SnmpValue>> => {
    const found = new Map<string, SnmpValue>();
    let last = root;
    for (;;) {
      if (stopped()) return found;
      const [column = []] = await limit(() => bulk([last]));
      if (column.length === 0) return found;
      for (const varbind of column) {
        if (varbind.type === snmp.ObjectType.EndOfMibView) return found;
        if (!oidFollows(last, varbind.oid))
          throw new Error(`the agent walks in circles: ${varbind.oid} came after ${last}`);
        if (!varbind.oid.startsWith(`${root}.`)) return found;
        if (found.size >= MOST_ROWS) throw new Error(`more than ${MOST_ROWS} rows under ${root}`);
        found.set(varbind.oid, valueOf(varbind));
        last = varbind.oid;
      }
    }
  };

  return {
    device: options.device,
    get,
    together,
    walk: root =>
      operate(
        `SNMP walk ${root}`,
        found => found.size,
        stopped => walkUnder(root, stopped),
      ),
    table: (entry, columns) =>
      operate(
        `SNMP table ${entry} columns ${columns.join(', ')}`,
        rows => rows.size,
        async stopped => {
          const walked = await Promise.all(columns.map(column => walkUnder(`${entry}.${column}`, stopped)));
          const rows = new Map<string, Record<number, SnmpValue>>();
          for (const [i, column] of columns.entries()) {
            const prefix = `${entry}.${column}.`.length;
            for (const [oid, value] of walked[i] ?? []) {
              const index = oid.slice(prefix);
              const row = rows.get(index) ?? {};
              row[column] = value;
              rows.set(index, row);
            }
          }
          return rows;
        },
      ),
    close: () => {
      if (closed) return;
      closed = true;
      session.close();
    },
  };
}

/** A notification that a device sent by itself. */
export interface Trap {
  /** Address it came from. Anybody can write any address into a v2c datagram. */
  readonly from: string;
  /** Its snmpTrapOID; for v1 as RFC 3584 section 3.1 translates it. */
  readonly oid: string;
  readonly values: ReadonlyMap<string, SnmpValue>;
  readonly version: '1' | '2c' | '3';
  /** True when the sender waits for an acknowledgement; it was given. */
  readonly inform: boolean;
}

export interface TrapReceiver {
  readonly port: number;
  close(): Promise<void>;
}

const SNMP_TRAP_OID = '1.3.6.1.6.3.1.1.4.1.0';
/** Bursts of 15,000 traps/s lose nothing with this receive buffer (measured; 22 of 5000 with the default). */
const RECEIVE_BUFFER_BYTES = 8 * 2 ** 20;

interface Notification {
  readonly pdu: {
    readonly type: number;
    readonly varbinds?: readonly snmp.Varbind[];
    readonly enterprise?: string;
    readonly generic?: number;
    readonly specific?: number;
    readonly user?: string;
  };
  readonly rinfo: { readonly address: string };
}

function trapOf({ pdu, rinfo }: Notification): Trap {
  const values = new Map<string, SnmpValue>();
  for (const varbind of pdu.varbinds ?? []) values.set(varbind.oid, valueOf(varbind));
  const named = values.get(SNMP_TRAP_OID);
  const v1 = pdu.type === snmp.PduType.Trap;
  const translated =
    pdu.generic === 6 ? `${pdu.enterprise}.0.${pdu.specific}` : `1.3.6.1.6.3.1.1.5.${(pdu.generic ?? 0) + 1}`;
  return {
    from: rinfo.address,
    oid: v1 ? translated : typeof named === 'string' ? named : '',
    values,
    version: v1 ? '1' : pdu.user === undefined ? '2c' : '3',
    inform: pdu.type === snmp.PduType.InformRequest,
  };
}

/**
 * Listens for traps and informs, v1, v2c and v3; informs are acknowledged. A datagram that is malformed or not authorised goes to
 * `onBad` and never ends the process.
 */
export function receiveTraps(options: {
  /** 0 takes a free port. */
  readonly port: number;
  readonly address?: string;
  readonly communities?: readonly string[];
  readonly v3users?: readonly SnmpUser[];
  readonly onTrap: (trap: Trap) => void;
  readonly onBad: (why: string) => void;
}): Promise<TrapReceiver> {
  const { onBad, onTrap } = options;
  const bad = (error: unknown): void =>
    onBad(escapeDeviceText(error instanceof Error ? error.message : String(error)).slice(0, 500));
  const socket = dgram.createSocket('udp4');
  const bind = socket.bind.bind(socket);
  const receiver = snmp.createReceiver(
    {
      // net-snmp takes 161 for port 0 and keeps the socket to itself; this gives it ours and binds as we are told.
      dgramModule: { createSocket: () => Object.assign(socket, { bind: () => socket }) },
      disableAuthorization: false,
      includeAuthentication: true,
    },
    (error: Error | null, notification: Notification) => {
      if (error) {
        bad(error);
        return;
      }
      try {
        onTrap(trapOf(notification));
      } catch (failure) {
        bad(failure);
      }
    },
  ) as { getAuthorizer(): { addCommunity(community: string): void; addUser(user: snmp.User): void } };
  const authorizer = receiver.getAuthorizer();
  for (const community of options.communities ?? []) authorizer.addCommunity(community);
  for (const user of options.v3users ?? []) authorizer.addUser(usm(user));
  guardSocket(socket as unknown as DatagramSource, bad);
  return new Promise((resolve, reject) => {
    socket.on('error', error => {
      bad(error);
      reject(error);
    });
    bind({ port: options.port, address: options.address ?? '127.0.0.1' }, () => {
      try {
        socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
      } catch {
        // The kernel's limit is lower; its default serves small labs.
      }
      resolve({
        port: socket.address().port,
        close: () => new Promise(done => void socket.close(() => done())),
      });
    });
  });
}
