import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import snmp from 'net-snmp';
import { SNMP, type SnmpRow, type SnmpScalar, type SnmpStore } from './snmp-store.ts';

export interface SnmpUser {
  readonly name: string;
  readonly auth: 'sha' | 'sha256';
  /** At least 8 characters (RFC 3414 section 11.2). */
  readonly authKey: string;
  readonly privacy: 'aes';
  readonly privacyKey: string;
}

export interface SnmpAgentOptions {
  /** 0 for any free port. */
  readonly port: number;
  readonly community: string;
  readonly users?: readonly SnmpUser[];
  /** 5 to 32 bytes (RFC 3411 section 5, SnmpEngineID). */
  readonly engineId: Buffer;
  /** Read at every request, so that a reboot is seen. */
  readonly store: () => SnmpStore;
  /** False while the device is down: requests stay without an answer. */
  readonly isUp?: () => boolean;
  readonly engineBoots?: () => number;
  /** Seconds since the engine started, for the 150 s window of USM (RFC 3414 section 2.2.3): wall time, a transport's matter. */
  readonly engineSeconds?: () => number;
}

export interface SnmpAgent {
  readonly port: number;
  close(): Promise<void>;
}

/** Varbinds of one response stay below this, so that the datagram fits 65,507 B with USM's header. */
const LARGEST_RESPONSE = 60_000;
const MOST_REPETITIONS = 10_000;
const TIME_WINDOW_S = 150;
const USM_NOT_IN_TIME_WINDOWS = 2;
/** SNMPv1 has no Counter64 (RFC 3584 section 4.2.2.1): such rows are not visible to it. */
const V1 = 0;
const V3 = 3;
const NO_SUCH_OBJECT = 128;
const NO_SUCH_INSTANCE = 129;
const END_OF_MIB_VIEW = 130;
const NO_SUCH_NAME = 2;
const NOT_WRITABLE = 17;

interface WireVarbind {
  readonly oid: string;
  readonly type: number;
  readonly value: unknown;
}

interface Pdu {
  readonly nonRepeaters?: number;
  readonly maxRepetitions?: number;
  readonly varbinds: readonly { readonly oid: string }[];
  getResponsePduForRequest(): ResponsePdu;
}

interface ResponsePdu {
  varbinds: readonly WireVarbind[];
  errorStatus?: number;
  errorIndex?: number;
}

interface SecurityParameters {
  msgAuthoritativeEngineID: Buffer;
  msgAuthoritativeEngineBoots: number;
  msgAuthoritativeEngineTime: number;
}

interface WireMessage {
  readonly version: number;
  readonly pdu: Pdu;
  readonly msgSecurityParameters: SecurityParameters;
  readonly msgGlobalData: { msgFlags: number; msgMaxSize: number };
  hasAuthentication(): number | boolean;
  createResponseForRequest(pdu: unknown): WireMessage;
  createReportResponseMessage(engine: unknown, context: string, error: number): WireMessage;
  createV3ResponseFromRequest(pdu: unknown): WireMessage;
}

type Handler = (socket: Socket, message: WireMessage, from: RemoteInfo) => void;

/** The parts of net-snmp's agent (3.29.2) that we build on; its type package does not have them. */
interface CodecAgent {
  readonly engine: { engineBoots: number; engineTime: number };
  readonly listener: { send(message: WireMessage, to: RemoteInfo, socket: Socket): void };
  getAuthorizer(): { addCommunity(community: string): void; addUser(user: object): void };
  getRequest: Handler;
  getNextRequest: Handler;
  getBulkRequest: Handler;
  setRequest: Handler;
  close(): void;
}

const EMPTY = Buffer.alloc(0);

/** `type` set and `value` present: the codec writes anything else as Null. */
function encode({ type, value }: SnmpRow): WireVarbind['value'] {
  const now: SnmpScalar = typeof value === 'function' ? value() : value;
  if (type === SNMP.octets || type === SNMP.opaque)
    return Buffer.isBuffer(now) ? now : Buffer.from(String(now), 'utf8');
  if (type === SNMP.counter64) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(now as bigint)));
    // BER integers have no superfluous leading octets (X.690 section 8.3.2); a set top bit needs a zero octet before it.
    let start = 0;
    while (start < 7 && bytes[start] === 0 && ((bytes[start + 1] as number) & 0x80) === 0) start++;
    return start === 0 && ((bytes[0] as number) & 0x80) !== 0
      ? Buffer.concat([Buffer.of(0), bytes])
      : bytes.subarray(start);
  }
  if (type === SNMP.integer) return Number(now) | 0;
  if (type === SNMP.counter32 || type === SNMP.gauge32 || type === SNMP.timeTicks)
    return Number(BigInt.asUintN(32, BigInt(Math.floor(Number(now)))));
  return now;
}

/** An upper estimate of a varbind's size on the wire, B. */
const sizeOf = ({ oid, value }: WireVarbind): number =>
  oid.length + 16 + (Buffer.isBuffer(value) ? value.length : typeof value === 'string' ? value.length : 9);

/**
 * A real SNMP agent on loopback: v1, v2c and v3 (USM with SHA or SHA-256 and AES-128). Message format, USM and BER are
 * net-snmp's; the request handlers and the store are ours.
 */
export async function startSnmpAgent(options: SnmpAgentOptions): Promise<SnmpAgent> {
  const socket = createSocket('udp4');
  socket.bind(options.port, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  // The agent binds its sockets itself; it gets ours, already bound, so that the port is known and a clash is an error.
  const bound = new Proxy(socket, {
    get(target, name) {
      if (name === 'bind') return () => bound;
      // Whatever arrives, the agent lives: a datagram that the codec can not take is dropped.
      if (name === 'on')
        return (event: string, listener: (...args: unknown[]) => void) =>
          target.on(event, (...args: unknown[]) => {
            try {
              listener(...args);
            } catch {
              // Dropped, as a real agent counts and drops it (snmpInASNParseErrs).
            }
          });
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  const agent = snmp.createAgent(
    {
      port,
      address: '127.0.0.1',
      transport: 'udp4',
      engineID: options.engineId.toString('hex'),
      dgramModule: { createSocket: () => bound },
    } as never,
    () => {},
    undefined as never,
  ) as unknown as CodecAgent;

  const authorizer = agent.getAuthorizer();
  authorizer.addCommunity(options.community);
  for (const user of options.users ?? []) {
    authorizer.addUser({
      name: user.name,
      level: snmp.SecurityLevel.authPriv,
      authProtocol: snmp.AuthProtocols[user.auth],
      authKey: user.authKey,
      privProtocol: snmp.PrivProtocols[user.privacy],
      privKey: user.privacyKey,
    });
  }
  const started = performance.now();
  const boots = options.engineBoots ?? (() => 1);
  const seconds = options.engineSeconds ?? (() => Math.floor((performance.now() - started) / 1000));
  Object.defineProperties(agent.engine, { engineBoots: { get: boots }, engineTime: { get: seconds } });

  const stamp = (message: WireMessage): WireMessage => {
    if (message.version === V3) {
      message.msgSecurityParameters.msgAuthoritativeEngineBoots = boots();
      message.msgSecurityParameters.msgAuthoritativeEngineTime = seconds();
    }
    return message;
  };

  /** RFC 3414 section 3.2 step 7a: a message from another time is answered by an authenticated report, not by data. */
  const inTime = (socket: Socket, message: WireMessage, from: RemoteInfo): boolean => {
    if (message.version !== V3 || !message.hasAuthentication()) return true;
    const { msgAuthoritativeEngineBoots, msgAuthoritativeEngineTime } = message.msgSecurityParameters;
    if (msgAuthoritativeEngineBoots === boots() && Math.abs(msgAuthoritativeEngineTime - seconds()) <= TIME_WINDOW_S)
      return true;
    const report = message.createV3ResponseFromRequest(
      message.createReportResponseMessage(agent.engine, '', USM_NOT_IN_TIME_WINDOWS).pdu,
    );
    report.msgGlobalData.msgFlags &= ~2;
    agent.listener.send(stamp(report), from, socket);
    return false;
  };

  const answer = (handle: (message: WireMessage, reply: ResponsePdu) => void): Handler => {
    return (socket, message, from) => {
      if (options.isUp?.() === false || !inTime(socket, message, from)) return;
      const reply = message.pdu.getResponsePduForRequest();
      handle(message, reply);
      agent.listener.send(stamp(message.createResponseForRequest(reply)), from, socket);
    };
  };

  const wire = (row: SnmpRow): WireVarbind => ({ oid: row.oid, type: row.type, value: encode(row) });
  const after = (store: SnmpStore, oid: string, version: number): SnmpRow | undefined => {
    let row = store.next(oid);
    while (version === V1 && row?.type === SNMP.counter64) row = store.next(row.oid);
    return row;
  };
  const noSuchName = (message: WireMessage, reply: ResponsePdu, index: number): void => {
    reply.errorStatus = NO_SUCH_NAME;
    reply.errorIndex = index + 1;
    reply.varbinds = message.pdu.varbinds.map(({ oid }) => ({ oid, type: SNMP.null, value: null }));
  };

  agent.getRequest = answer((message, reply) => {
    const store = options.store();
    const found: WireVarbind[] = [];
    for (const [i, { oid }] of message.pdu.varbinds.entries()) {
      const row = store.get(oid);
      if (row && !(message.version === V1 && row.type === SNMP.counter64)) found.push(wire(row));
      else if (message.version === V1) return noSuchName(message, reply, i);
      else found.push({ oid, type: store.hasObject(oid) ? NO_SUCH_INSTANCE : NO_SUCH_OBJECT, value: EMPTY });
    }
    reply.varbinds = found;
  });
  agent.getNextRequest = answer((message, reply) => {
    const store = options.store();
    const found: WireVarbind[] = [];
    for (const [i, { oid }] of message.pdu.varbinds.entries()) {
      const row = after(store, oid, message.version);
      if (row) found.push(wire(row));
      else if (message.version === V1) return noSuchName(message, reply, i);
      else found.push({ oid, type: END_OF_MIB_VIEW, value: EMPTY });
    }
    reply.varbinds = found;
  });
  agent.getBulkRequest = answer((message, reply) => {
    const store = options.store();
    const { varbinds } = message.pdu;
    const fixed = Math.max(0, Math.min(message.pdu.nonRepeaters ?? 0, varbinds.length));
    const largest =
      message.version === V3
        ? Math.min(LARGEST_RESPONSE, Math.max(484, message.msgGlobalData.msgMaxSize) - 400)
        : LARGEST_RESPONSE;
    const found: WireVarbind[] = [];
    let size = 0;
    const push = (oid: string): string => {
      const row = after(store, oid, message.version);
      const varbind = row ? wire(row) : { oid, type: END_OF_MIB_VIEW, value: EMPTY };
      size += sizeOf(varbind);
      if (size <= largest || found.length === 0) found.push(varbind);
      return varbind.oid;
    };
    for (const { oid } of varbinds.slice(0, fixed)) push(oid);
    let cursor = varbinds.slice(fixed).map(({ oid }) => oid);
    const repetitions = Math.min(message.pdu.maxRepetitions ?? 0, MOST_REPETITIONS);
    for (let i = 0; i < repetitions && size <= largest && cursor.length > 0; i++) {
      const before = cursor;
      cursor = cursor.map(push);
      if (cursor.every((oid, column) => oid === before[column])) break;
    }
    reply.varbinds = found;
  });
  agent.setRequest = answer((message, reply) => {
    reply.errorStatus = message.version === V1 ? NO_SUCH_NAME : NOT_WRITABLE;
    reply.errorIndex = 1;
    reply.varbinds = message.pdu.varbinds.map(({ oid }) => ({ oid, type: SNMP.null, value: null }));
  });

  return {
    port,
    async close() {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}
