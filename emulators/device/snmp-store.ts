/** SNMP value types by their BER tag (RFC 2578 section 7.1, RFC 3416 section 3). */
export const SNMP = {
  integer: 2,
  octets: 4,
  null: 5,
  oid: 6,
  ipAddress: 64,
  counter32: 65,
  gauge32: 66,
  timeTicks: 67,
  opaque: 68,
  counter64: 70,
} as const;

export type SnmpType = (typeof SNMP)[keyof typeof SNMP];

/** Integers as number, Counter64 as bigint, strings as bytes, OIDs and addresses as dotted text. */
export type SnmpScalar = number | bigint | string | Buffer;

export interface SnmpRow {
  /** Dotted, without a leading dot. */
  readonly oid: string;
  readonly type: SnmpType;
  /** A function is called at every request. */
  readonly value: SnmpScalar | (() => SnmpScalar);
}

interface Entry {
  readonly arcs: readonly number[];
  readonly row: SnmpRow;
}

const arcsOf = (oid: string): number[] => oid.split('.').map(Number);

/** Lexicographic by arc, the order of RFC 3416 section 4.2.2. */
function compare(a: readonly number[], b: readonly number[]): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/**
 * Rows sorted by OID; lookups are binary searches, so that a walk of n rows costs n log n.
 * (net-snmp's own agent walks its tree from the root for every GETNEXT.)
 */
export class SnmpStore {
  readonly #entries: Entry[];
  readonly #exact: ReadonlyMap<string, SnmpRow>;

  /** Of two rows with one OID the first is kept. @throws RangeError when an OID has a malformed arc */
  constructor(rows: Iterable<SnmpRow>) {
    const exact = new Map<string, SnmpRow>();
    for (const row of rows) {
      if (!/^[0-9]+(\.[0-9]+)+$/.test(row.oid)) throw new RangeError(`"${row.oid}" is not an OID.`);
      if (!exact.has(row.oid)) exact.set(row.oid, row);
    }
    this.#exact = exact;
    this.#entries = [...exact.values()]
      .map(row => ({ arcs: arcsOf(row.oid), row }))
      .sort((a, b) => compare(a.arcs, b.arcs));
  }

  get size(): number {
    return this.#entries.length;
  }

  rows(): readonly SnmpRow[] {
    return this.#entries.map(({ row }) => row);
  }

  get(oid: string): SnmpRow | undefined {
    return this.#exact.get(oid);
  }

  /** True when the store has rows below the object of this instance: then a miss is noSuchInstance, not noSuchObject. */
  hasObject(oid: string): boolean {
    const object = oid.slice(0, oid.lastIndexOf('.'));
    const next = this.#entries[this.#after(arcsOf(object))];
    return next !== undefined && next.row.oid.startsWith(`${object}.`);
  }

  /** The first row after this OID. */
  next(oid: string): SnmpRow | undefined {
    return this.#entries[this.#after(arcsOf(oid))]?.row;
  }

  #after(arcs: readonly number[]): number {
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare((this.#entries[middle] as Entry).arcs, arcs) <= 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const TAGS: ReadonlySet<number> = new Set(Object.values(SNMP));

function replayed(type: SnmpType, text: string, hex: boolean): SnmpScalar {
  const bytes = hex ? Buffer.from(text, 'hex') : Buffer.from(text, 'latin1');
  switch (type) {
    case SNMP.octets:
    case SNMP.opaque:
      return bytes;
    case SNMP.ipAddress:
      return hex ? [...bytes].join('.') : text;
    case SNMP.oid:
      return text.replace(/^\./, '');
    case SNMP.counter64:
      return BigInt.asUintN(64, BigInt(text.trim() || '0'));
    case SNMP.null:
      return 0;
    case SNMP.integer:
      return Number(text) | 0;
    case SNMP.counter32:
    case SNMP.gauge32:
    case SNMP.timeTicks:
      // Recorders write timeticks of long uptimes beyond 32 bits; on the wire they wrap (RFC 2578 section 7.1.8).
      return Number(BigInt.asUintN(32, BigInt(text.trim() || '0')));
    default:
      return type satisfies never;
  }
}

/**
 * The rows of a `.snmprec` recording: one `oid|type|value` a line, the type a BER tag in decimal, followed by `x` when the
 * value is hex. Read the file as latin1: its strings are bytes.
 *
 * @see https://docs.lextudio.com/snmpsim/documentation/simulation-data.html
 * @throws RangeError that names the line which is not such a row
 */
export function snmprecRows(latin1: string): SnmpRow[] {
  const rows: SnmpRow[] = [];
  for (const [i, raw] of latin1.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line === '' || line.startsWith('#')) continue;
    const first = line.indexOf('|');
    const second = line.indexOf('|', first + 1);
    const tag = line.slice(first + 1, second);
    const hex = tag.endsWith('x');
    const type = Number(hex ? tag.slice(0, -1) : tag);
    if (first < 0 || second < 0 || !TAGS.has(type))
      throw new RangeError(`Line ${i + 1} is no snmprec row: ${JSON.stringify(line.slice(0, 80))}`);
    rows.push({
      oid: line.slice(0, first).replace(/^\./, ''),
      type: type as SnmpType,
      value: replayed(type as SnmpType, line.slice(second + 1), hex),
    });
  }
  return rows;
}

/** A store that answers as the recorded device did. */
export const snmprecStore = (latin1: string): SnmpStore => new SnmpStore(snmprecRows(latin1));
