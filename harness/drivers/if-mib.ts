import type { OctetWidth, PortStatus, RawPortCounters, Vouched } from '../binding/switch.ts';
import { deviceError } from './device-text.ts';
import { OIDS_TOGETHER, snmpCounter, type SnmpSession, type SnmpValue } from './snmp.ts';

export interface IfMibOptions {
  readonly session: SnmpSession;
  /** What the names of the ports look like; other interfaces are left alone. */
  readonly isPort: (name: string) => boolean;
  /** ifIndex of a port. Default: read from ifName and ifDescr, and checked at every reading. */
  readonly ifIndex?: (port: string) => number;
}

/** The interfaces of a device as IF-MIB (RFC 2863) has them. Ports carry the device's own names. */
export interface IfMib {
  /**
   * Octets, packets, drops and operational state since boot, with what vouches for them from the same answer: one moment of the agent
   * per port. A port that was not answered, or whose index is another's by now and can not be found again, is absent.
   *
   * @throws DeviceError when nothing was answered
   */
  read(ports: readonly string[]): Promise<ReadonlyMap<string, RawPortCounters>>;
  /** How wide the octet counters are. @throws DeviceError */
  widths(ports: readonly string[]): Promise<ReadonlyMap<string, OctetWidth>>;
  /** Of every port that the device has. @throws DeviceError */
  statuses(): Promise<ReadonlyMap<string, PortStatus>>;
  /** After a reboot indexes may be numbered anew. */
  forget(): void;
}

const IF_ENTRY = '1.3.6.1.2.1.2.2.1';
const IFX_ENTRY = '1.3.6.1.2.1.31.1.1.1';
const SYS_UPTIME = '1.3.6.1.2.1.1.3.0';
const ENGINE_BOOTS = '1.3.6.1.6.3.10.2.1.2.0';

const COLUMNS = {
  descr: `${IF_ENTRY}.2`,
  speed: `${IF_ENTRY}.5`,
  adminStatus: `${IF_ENTRY}.7`,
  operStatus: `${IF_ENTRY}.8`,
  lastChange: `${IF_ENTRY}.9`,
  inOctets: `${IF_ENTRY}.10`,
  inUnicast: `${IF_ENTRY}.11`,
  inDiscards: `${IF_ENTRY}.13`,
  outOctets: `${IF_ENTRY}.16`,
  outUnicast: `${IF_ENTRY}.17`,
  outDiscards: `${IF_ENTRY}.19`,
  name: `${IFX_ENTRY}.1`,
  hcInOctets: `${IFX_ENTRY}.6`,
  hcInUnicast: `${IFX_ENTRY}.7`,
  hcInMulticast: `${IFX_ENTRY}.8`,
  hcInBroadcast: `${IFX_ENTRY}.9`,
  hcOutOctets: `${IFX_ENTRY}.10`,
  hcOutUnicast: `${IFX_ENTRY}.11`,
  hcOutMulticast: `${IFX_ENTRY}.12`,
  hcOutBroadcast: `${IFX_ENTRY}.13`,
  highSpeed: `${IFX_ENTRY}.15`,
  discontinuity: `${IFX_ENTRY}.19`,
} as const;

type Column = keyof typeof COLUMNS;

const STATE = ['operStatus', 'inDiscards', 'outDiscards'] as const satisfies readonly Column[];
const WIDE = {
  rxBytes: ['hcInOctets'],
  txBytes: ['hcOutOctets'],
  rxPackets: ['hcInUnicast', 'hcInMulticast', 'hcInBroadcast'],
  txPackets: ['hcOutUnicast', 'hcOutMulticast', 'hcOutBroadcast'],
} as const satisfies Record<string, readonly Column[]>;
/** ifInNUcastPkts and ifOutNUcastPkts are deprecated, and few agents without ifXTable have them. */
const NARROW = {
  rxBytes: ['inOctets'],
  txBytes: ['outOctets'],
  rxPackets: ['inUnicast'],
  txPackets: ['outUnicast'],
} as const satisfies Record<string, readonly Column[]>;

/** TimeTicks are hundredths of a second. */
const TICK_NS = 10_000_000;

interface Place {
  readonly index: number;
  /** The column that holds the port's name; undefined where the index was given and nothing can be checked. */
  readonly named: Column | undefined;
}

/** Values of one port out of one answer. */
type Row = (column: Column) => SnmpValue;

const textOf = (value: SnmpValue): string => (Buffer.isBuffer(value) ? value.toString('utf8') : String(value));
const numberOf = (value: SnmpValue | undefined): number | null => (typeof value === 'number' ? value : null);

/** ifHighSpeed counts 10^6 bit/s; ifSpeed counts bit/s and stops at 2^32 - 1. */
function rateOf(row: Row): number | null {
  const [high, low] = [numberOf(row('highSpeed')), numberOf(row('speed'))];
  return high !== null && high > 0 ? high * 1e6 : low !== null && low > 0 ? low : null;
}

export function ifMib({ session, isPort, ifIndex }: IfMibOptions): IfMib {
  let places: Promise<ReadonlyMap<string, Place>> | undefined;
  /** How wide the octet counters of a port are; known once it was answered. */
  const bits = new Map<string, OctetWidth['bits']>();
  /** Columns that each sum of a port was first made of: one that comes or goes later would move the sum by all it ever counted. */
  const summed = new Map<string, readonly Column[]>();

  const allPlaces = (): Promise<ReadonlyMap<string, Place>> => {
    places ??= (async () => {
      const found = new Map<string, Place>();
      for (const named of ['descr', 'name'] as const) {
        for (const [oid, value] of await session.walk(COLUMNS[named])) {
          const text = textOf(value);
          if (isPort(text)) found.set(text, { index: Number(oid.slice(oid.lastIndexOf('.') + 1)), named });
        }
      }
      return found;
    })().catch((error: unknown) => {
      places = undefined;
      throw error;
    });
    return places;
  };

  const placeOf = async (port: string): Promise<Place> => {
    const place = ifIndex ? { index: ifIndex(port), named: undefined } : (await allPlaces()).get(port);
    if (place === undefined || !Number.isInteger(place.index)) {
      throw deviceError({
        device: session.device,
        tried: `finding ${port} in IF-MIB`,
        answer: 'no interface of that name',
        advice: 'Compare with: show interfaces status',
      });
    }
    return place;
  };

  /** As many ports in a request as fit whole, each beside the time since boot; a port whose request was not answered is absent. */
  const rows = async (
    ports: readonly string[],
    wanted: (port: string) => readonly Column[],
  ): Promise<
    ReadonlyMap<string, { readonly row: Row; readonly place: Place; readonly system: ReadonlyMap<string, SnmpValue> }>
  > => {
    const asked = await Promise.all(
      ports.map(async port => {
        const place = await placeOf(port);
        const columns = [...(place.named === undefined ? [] : [place.named]), ...wanted(port)];
        return { port, place, oids: columns.map(column => `${COLUMNS[column]}.${place.index}`) };
      }),
    );
    const groups: { readonly oids: string[]; readonly members: (typeof asked)[number][] }[] = [];
    for (const one of asked) {
      const last = groups.at(-1);
      if (last && last.oids.length + one.oids.length <= OIDS_TOGETHER) {
        last.oids.push(...one.oids);
        last.members.push(one);
      } else groups.push({ oids: [SYS_UPTIME, ENGINE_BOOTS, ...one.oids], members: [one] });
    }
    const answers = await session.together(groups.map(({ oids }) => oids));
    return new Map(
      groups.flatMap(({ members }, i) => {
        const system = answers[i];
        if (!system) return [];
        return members.map(({ port, place }) => {
          const row: Row = column => system.get(`${COLUMNS[column]}.${place.index}`) ?? null;
          return [port, { row, place, system }] as const;
        });
      }),
    );
  };

  const widths: IfMib['widths'] = async ports => {
    const found = await rows(ports, () => ['hcInOctets', 'hcOutOctets', 'highSpeed', 'speed']);
    const told = new Map(
      [...found].map(([port, { row }]) => {
        const wide = [row('hcInOctets'), row('hcOutOctets')].every(value => snmpCounter(value) !== null);
        return [port, { bits: wide ? 64 : 32, rateBps: rateOf(row) } satisfies OctetWidth] as const;
      }),
    );
    for (const [port, width] of told) bits.set(port, width.bits);
    return told;
  };

  const countersOf = (
    port: string,
    row: Row,
  ): Pick<RawPortCounters, 'drops' | 'narrow' | 'operUp' | keyof typeof WIDE> => {
    const counts = (names: readonly Column[]): bigint | null => {
      const [first] = names;
      if (first === undefined || snmpCounter(row(first)) === null) return null;
      // The first column must be there; of the others those that the device had at its first reading.
      const key = `${port} ${first}`;
      const parts = summed.get(key) ?? names.filter(column => snmpCounter(row(column)) !== null);
      summed.set(key, parts);
      return parts.reduce<bigint | null>((sum, column) => {
        const count = snmpCounter(row(column));
        return sum === null || count === null ? null : sum + count;
      }, 0n);
    };
    const isNarrow = bits.get(port) === 32;
    const from = isNarrow ? NARROW : WIDE;
    const state = row('operStatus');
    return {
      rxBytes: counts(from.rxBytes),
      txBytes: counts(from.txBytes),
      rxPackets: counts(from.rxPackets),
      txPackets: counts(from.txPackets),
      drops: snmpCounter(row('outDiscards')) === null ? null : counts(['inDiscards', 'outDiscards']),
      operUp: typeof state === 'number' ? state === 1 : null,
      narrow: ['drops', ...(isNarrow ? (['rxBytes', 'txBytes', 'rxPackets', 'txPackets'] as const) : [])],
    };
  };

  const read: IfMib['read'] = async ports => {
    const unknown = ports.filter(port => !bits.has(port));
    if (unknown.length > 0) await widths(unknown);
    const wanted = (port: string): readonly Column[] => [
      'highSpeed',
      'speed',
      'discontinuity',
      ...STATE,
      ...Object.values(bits.get(port) === 32 ? NARROW : WIDE).flat(),
    ];
    const result = new Map<string, RawPortCounters>();
    /** Puts what is believed into the result. @returns the ports whose index bears another name by now */
    const take = async (of: readonly string[]): Promise<readonly string[]> => {
      const found = await rows(of, wanted);
      const strangers: string[] = [];
      for (const [port, { row, place, system }] of found) {
        if (place.named !== undefined && textOf(row(place.named)) !== port) strangers.push(port);
        else result.set(port, { ...countersOf(port, row), ...vouchedBy(row, place, system) });
      }
      return strangers;
    };
    const renumbered = await take(ports.filter(port => bits.has(port)));
    if (renumbered.length > 0 && !ifIndex) {
      places = undefined;
      const known = await allPlaces();
      await take(renumbered.filter(port => known.has(port)));
    }
    return result;
  };

  const statuses: IfMib['statuses'] = async () => {
    const known = [...(await allPlaces()).keys()];
    const found = await rows(known, () => ['adminStatus', 'operStatus', 'lastChange']);
    const silent = known.filter(port => !found.has(port));
    if (silent.length > 0) {
      throw deviceError({
        device: session.device,
        tried: `reading the states of ${known.length} ports`,
        answer: `no answer for ${silent.length} of them, ${silent[0]} first`,
        advice: 'The management network loses datagrams, or the agent is overloaded. Try again.',
      });
    }
    return new Map(
      [...found].flatMap(([port, { row }]): [string, PortStatus][] => {
        const [admin, oper, last] = [row('adminStatus'), row('operStatus'), row('lastChange')];
        if (typeof admin !== 'number' || typeof oper !== 'number') return [];
        const lastChange = typeof last === 'number' ? { lastChangeNs: last * TICK_NS } : {};
        return [[port, { adminUp: admin === 1, operUp: oper === 1, ...lastChange }]];
      }),
    );
  };

  return {
    read,
    widths,
    statuses,
    forget: () => {
      places = undefined;
      bits.clear();
      summed.clear();
    },
  };
}

/** Without the time since boot nothing vouches, and the reading can not tell a reboot. */
function vouchedBy(row: Row, { index }: Place, system: ReadonlyMap<string, SnmpValue>): { readonly vouched?: Vouched } {
  const upTicks = numberOf(system.get(SYS_UPTIME));
  if (upTicks === null) return {};
  return {
    vouched: {
      upTicks,
      boots: numberOf(system.get(ENGINE_BOOTS)),
      discontinuityTicks: numberOf(row('discontinuity')),
      ifIndex: index,
      rateBps: rateOf(row),
    },
  };
}
