import pLimit from 'p-limit';
import type { PortStatus, RawPortCounters, Switch } from '../binding/switch.ts';
import type { DeviceGuard } from './device-guard.ts';
import { deviceError, label } from './device-text.ts';
import { ParseError, parsed } from './parse-error.ts';
import { snmpCounter, type SnmpSession, type SnmpValue } from './snmp.ts';
import { parsePythonDict, parseShowVersion } from './sonic/database.ts';
import { parsePfcCounters } from './sonic/pfc.ts';
import { parseQueueCounters } from './sonic/queues.ts';
import { parseBgpSummary, parseLldpTable } from './sonic/routing.ts';
import { parseWatermarks } from './sonic/watermarks.ts';
import { maybeApplied, output, type Shell, succeeded } from './ssh.ts';

export interface SonicSwitchOptions {
  readonly name: string;
  readonly shell: Shell;
  /** Every write goes through it. */
  readonly guard: DeviceGuard;
  /** Absent: the device has no SNMP; then there are no octets, packets, drops or states. */
  readonly snmp?: SnmpSession;
  /** ifIndex of a port. Default: read once from ifName and ifDescr. */
  readonly ifIndex?: (port: string) => number;
  /** The lossless priority and its unicast queue. Default 3. */
  readonly priority?: number;
}

const PORT = /^Ethernet[0-9]{1,4}$/;

/** IF-MIB (RFC 2863): columns of ifEntry and ifXEntry. */
const IF_ENTRY = '1.3.6.1.2.1.2.2.1';
const IFX_ENTRY = '1.3.6.1.2.1.31.1.1.1';
const SYS_UPTIME = '1.3.6.1.2.1.1.3.0';
const OID = {
  descr: `${IF_ENTRY}.2`,
  adminStatus: `${IF_ENTRY}.7`,
  operStatus: `${IF_ENTRY}.8`,
  lastChange: `${IF_ENTRY}.9`,
  inDiscards: `${IF_ENTRY}.13`,
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
} as const;
/** TimeTicks are hundredths of a second. */
const TICK_NS = 10_000_000;
/** Commands at the same time for one reading; every one is a Python start on a real switch. */
const COMMANDS_AT_ONCE = 4;

/** The port, when it may enter a command. @throws RangeError */
export function safePort(port: string): string {
  if (!PORT.test(port)) throw new RangeError(`"${port}" is no port of a SONiC switch such as Ethernet0.`);
  return port;
}

/** What steers a port. */
export function setPortCommand(port: string, state: 'up' | 'down'): string {
  return `sudo config interface ${state === 'up' ? 'startup' : 'shutdown'} ${safePort(port)}`;
}

/** What reboots the switch. There is no undo: it comes back by itself. */
export const REBOOT_COMMAND = 'sudo reboot';

/** Everything that this driver may write. */
export const SONIC_WRITES: readonly RegExp[] = [
  /^sudo config interface (startup|shutdown) Ethernet\d{1,4}$/,
  /^sudo reboot$/,
  /^sudo config (checkpoint|rollback|delete-checkpoint) farspan-[A-Za-z0-9]{1,40}$/,
];

/**
 * A SONiC switch: IF-MIB over SNMP for octets, packets, drops and states (64-bit, exact), CLI tables for PFC, queues, ECN and
 * watermarks, COUNTERS_DB for the time paused. CLI counters have a per-user baseline (`sonic-clear`): nothing here ever clears.
 */
export function sonicSwitch(options: SonicSwitchOptions): Switch & Required<Pick<Switch, 'sample'>> {
  const { name, shell, guard, snmp, priority = 3 } = options;
  if (!Number.isInteger(priority) || priority < 0 || priority > 7)
    throw new RangeError(`${priority} is no PFC priority from 0 to 7.`);
  const queue = `UC${priority}`;
  const limit = pLimit(COMMANDS_AT_ONCE);
  const ask = <T>(command: string, parser: (text: string) => T): Promise<T> =>
    limit(async () => parsed({ device: name, tried: command }, parser, await output(shell, command)));

  const send = async (command: string): Promise<void> => void succeeded(name, command, await guard.write(command));

  let indexes: Promise<ReadonlyMap<string, number>> | undefined;
  /** Port names to ifIndex, read once: ifName, or ifDescr where ifName is an alias. */
  const readIndexes = (session: SnmpSession): Promise<ReadonlyMap<string, number>> => {
    indexes ??= (async () => {
      const found = new Map<string, number>();
      for (const column of [OID.descr, OID.name]) {
        for (const [oid, value] of await session.walk(column)) {
          const text = Buffer.isBuffer(value) ? value.toString('utf8') : String(value);
          if (PORT.test(text)) found.set(text, Number(oid.slice(oid.lastIndexOf('.') + 1)));
        }
      }
      return found;
    })().catch((error: unknown) => {
      indexes = undefined;
      throw error;
    });
    return indexes;
  };

  const session = (): SnmpSession => {
    if (snmp) return snmp;
    throw deviceError({
      device: name,
      tried: 'SNMP',
      answer: 'the inventory gives this switch no SNMP access',
      advice: 'Add its community or SNMPv3 user.',
    });
  };

  const indexOf = async (port: string): Promise<number> => {
    safePort(port);
    const index = options.ifIndex ? options.ifIndex(port) : (await readIndexes(session())).get(port);
    if (index === undefined || !Number.isInteger(index)) {
      throw deviceError({
        device: name,
        tried: `finding ${port} in IF-MIB`,
        answer: 'no interface of that name',
        advice: 'Compare with: show interfaces status',
      });
    }
    return index;
  };

  /** The given columns of the given ports in as few requests as it takes. */
  const columns = async (ports: readonly string[], names: readonly (keyof typeof OID)[]) => {
    const found = await Promise.all(ports.map(async port => [port, await indexOf(port)] as const));
    const values = await session().get(found.flatMap(([, index]) => names.map(column => `${OID[column]}.${index}`)));
    return new Map(
      found.map(
        ([port, index]) =>
          [port, (column: keyof typeof OID): SnmpValue => values.get(`${OID[column]}.${index}`) ?? null] as const,
      ),
    );
  };

  /** Columns that each sum of a port was first made of: one that comes or goes later would move the sum by all it ever counted. */
  const summed = new Map<string, readonly (keyof typeof OID)[]>();

  const sample: Required<Switch>['sample'] = async ports => {
    const rows = await columns(ports, [
      'operStatus',
      'inDiscards',
      'outDiscards',
      'hcInOctets',
      'hcInUnicast',
      'hcInMulticast',
      'hcInBroadcast',
      'hcOutOctets',
      'hcOutUnicast',
      'hcOutMulticast',
      'hcOutBroadcast',
    ]);
    return new Map(
      [...rows].map(([port, of]) => {
        const counts = (...names: readonly (keyof typeof OID)[]): bigint | null => {
          const [first = 'hcInUnicast'] = names;
          if (snmpCounter(of(first)) === null) return null;
          // The unicast (or input) count must be there; of the others those that the device had at its first reading.
          const key = `${port} ${first}`;
          const parts = summed.get(key) ?? names.filter(column => snmpCounter(of(column)) !== null);
          summed.set(key, parts);
          return parts.reduce<bigint | null>((sum, column) => {
            const count = snmpCounter(of(column));
            return sum === null || count === null ? null : sum + count;
          }, 0n);
        };
        const state = of('operStatus');
        const counters: RawPortCounters = {
          rxBytes: counts('hcInOctets'),
          txBytes: counts('hcOutOctets'),
          rxPackets: counts('hcInUnicast', 'hcInMulticast', 'hcInBroadcast'),
          txPackets: counts('hcOutUnicast', 'hcOutMulticast', 'hcOutBroadcast'),
          drops: snmpCounter(of('outDiscards')) === null ? null : counts('inDiscards', 'outDiscards'),
          operUp: typeof state === 'number' ? state === 1 : null,
        };
        return [port, counters] as const;
      }),
    );
  };

  let objects: Promise<ReadonlyMap<string, string>> | undefined;
  /** Port name to the oid of its counters. They change with a restart of swss, so a missing one is read again. */
  const objectOf = async (port: string): Promise<string | undefined> => {
    for (const fresh of [false, true]) {
      if (fresh || objects === undefined) {
        objects = ask('sonic-db-cli COUNTERS_DB HGETALL COUNTERS_PORT_NAME_MAP', parsePythonDict).catch(
          (error: unknown) => {
            objects = undefined;
            throw error;
          },
        );
      }
      const oid = (await objects).get(port);
      if (oid !== undefined) return oid;
    }
    return undefined;
  };

  const pausedNs = async (port: string): Promise<bigint | null> => {
    const oid = await objectOf(port);
    if (oid === undefined) return null;
    if (!/^oid:0x[0-9a-fA-F]{1,16}$/.test(oid))
      throw deviceError({
        device: name,
        tried: `finding the counters of ${port}`,
        answer: oid,
        advice: 'COUNTERS_PORT_NAME_MAP holds something else than object ids.',
      });
    const counts = await ask(`sonic-db-cli COUNTERS_DB HGETALL COUNTERS:${oid}`, parsePythonDict);
    const us = counts.get(`SAI_PORT_STAT_PFC_${priority}_RX_PAUSE_DURATION_US`);
    return us !== undefined && /^\d{1,20}$/.test(us) ? BigInt(us) * 1000n : null;
  };

  const counters: Switch['counters'] = async ports => {
    ports.forEach(safePort);
    const [basic, pfc, queues, wred, peaks, paused] = await Promise.all([
      snmp ? sample(ports) : new Map<string, RawPortCounters>(),
      ask('show pfc counters', parsePfcCounters),
      ask('show queue counters', parseQueueCounters),
      ask('show queue wredcounters', parseQueueCounters),
      ask('show queue watermark unicast', parseWatermarks),
      Promise.all(ports.map(async port => [port, await pausedNs(port)] as const)).then(pairs => new Map(pairs)),
    ]);
    // `show queue counters` prints a port's queues together; a map keeps this linear for 512 ports.
    const keyed = (rows: ReturnType<typeof parseQueueCounters>) =>
      new Map(rows.filter(row => row.queue === queue).map(row => [row.port, row.counts]));
    const [packets, marks] = [keyed(queues), keyed(wred)];
    const peak = new Map(peaks.map(({ of, bytes }) => [of, bytes[queue]]));
    return new Map(
      ports.map(port => [
        port,
        {
          ...basic.get(port),
          queuePackets: packets.get(port)?.packets ?? null,
          ecnMarked: marks.get(port)?.ecnMarkedPackets ?? null,
          pfcRx: pfc.get(port)?.rx[priority] ?? null,
          pfcTx: pfc.get(port)?.tx[priority] ?? null,
          pausedNs: paused.get(port) ?? null,
          queuePeakBytes: peak.get(port) ?? null,
        } satisfies RawPortCounters,
      ]),
    );
  };

  const ports: Switch['ports'] = async () => {
    const known = await readIndexes(session());
    const rows = await columns([...known.keys()], ['adminStatus', 'operStatus', 'lastChange']);
    return new Map(
      [...rows].flatMap(([port, of]): [string, PortStatus][] => {
        const [admin, oper, last] = [of('adminStatus'), of('operStatus'), of('lastChange')];
        if (typeof admin !== 'number' || typeof oper !== 'number') return [];
        return [
          [
            port,
            {
              adminUp: admin === 1,
              operUp: oper === 1,
              ...(typeof last === 'number' ? { lastChangeNs: last * TICK_NS } : {}),
            },
          ],
        ];
      }),
    );
  };

  return {
    name,
    facts: async () => {
      const [version, baseMac] = await Promise.all([
        ask('show version', parseShowVersion),
        ask('sonic-cfggen -d -v DEVICE_METADATA.localhost.mac', text => {
          const found = text.trim().toLowerCase();
          if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(found)) throw new ParseError('a MAC address', text);
          return found;
        }),
      ]);
      return { model: label(version.model), software: label(version.software), serial: label(version.serial), baseMac };
    },
    setPort: async (port, state) => {
      await send(setPortCommand(port, state));
    },
    checkpoint: {
      make: checkpoint => send(`sudo config checkpoint ${checkpoint}`),
      back: checkpoint => send(`sudo config rollback ${checkpoint}`),
      drop: checkpoint => send(`sudo config delete-checkpoint ${checkpoint}`),
    },
    ports,
    counters,
    sample,
    lldp: () => ask('show lldp table', parseLldpTable),
    bgp: async () =>
      (await ask('show ip bgp summary', parseBgpSummary)).map(({ address, asn, state, prefixes }) => ({
        address,
        asn,
        state,
        prefixes,
      })),
    uptimeNs: async () => {
      const ticks = (await session().get([SYS_UPTIME])).get(SYS_UPTIME);
      if (typeof ticks !== 'number')
        throw deviceError({
          device: name,
          tried: 'SNMP get sysUpTime',
          answer: 'no value',
          advice: 'The agent hides SNMPv2-MIB from this view.',
        });
      return ticks * TICK_NS;
    },
    reboot: async () => {
      try {
        await send(REBOOT_COMMAND);
      } catch (error) {
        // A switch that reboots closes the session before any exit status: that is its way to say yes. A time-out is none.
        if (!(maybeApplied(error) && error instanceof Error && error.message.includes('the connection was lost')))
          throw error;
      }
      // ifIndex and object ids may be numbered anew.
      indexes = undefined;
      objects = undefined;
      summed.clear();
    },
    close: async () => {
      snmp?.close();
      await shell.close();
    },
  };
}
