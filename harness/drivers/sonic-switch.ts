import pLimit from 'p-limit';
import type { PortStatus, RawPortCounters, Switch } from '../binding/switch.ts';
import type { DeviceGuard } from './device-guard.ts';
import { deviceError, label } from './device-text.ts';
import { ifMib } from './if-mib.ts';
import { ParseError, parsed } from './parse-error.ts';
import type { SnmpSession } from './snmp.ts';
import { parsePythonDict, parseShowVersion } from './sonic/database.ts';
import { sonicFingerprint, sonicPutBack } from './sonic/fingerprint.ts';
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

const SYS_UPTIME = '1.3.6.1.2.1.1.3.0';
/** TimeTicks are hundredths of a second. */
const TICK_NS = 10_000_000;
/** Commands at the same time for one reading; every one is a Python start on a real switch. */
const COMMANDS_AT_ONCE = 4;

/** What SNMP brings, when it did not. */
const UNANSWERED: RawPortCounters = {
  rxBytes: null,
  txBytes: null,
  rxPackets: null,
  txPackets: null,
  drops: null,
  operUp: null,
};

/** What COUNTERS_DB has of a port; what it lacks is absent. */
type StoredCounters = { readonly [K in 'pfcRx' | 'pfcTx' | 'pausedNs' | 'drops']?: bigint | undefined };

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
 * A SONiC switch: IF-MIB over SNMP for octets, packets and states (64-bit, exact), COUNTERS_DB for drops, PFC frames and the time paused
 * (64-bit, and no clear touches them), CLI tables for queues, ECN and watermarks, and for what COUNTERS_DB lacks. CLI counters have a
 * baseline per user (`sonic-clear`): nothing here ever clears, and another's clear shows as a counter that went backwards.
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

  const session = (): SnmpSession => {
    if (snmp) return snmp;
    throw deviceError({
      device: name,
      tried: 'SNMP',
      answer: 'the inventory gives this switch no SNMP access',
      advice: 'Add its community or SNMPv3 user.',
    });
  };

  const interfaces =
    snmp &&
    ifMib({
      session: snmp,
      isPort: text => PORT.test(text),
      ...(options.ifIndex === undefined ? {} : { ifIndex: options.ifIndex }),
    });

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

  /** What COUNTERS_DB counts of a port, 64 bits wide. No `sonic-clear` touches it: that only moves what the CLI shows its user. */
  const stored = async (port: string): Promise<StoredCounters> => {
    const oid = await objectOf(port);
    if (oid === undefined) return {};
    if (!/^oid:0x[0-9a-fA-F]{1,16}$/.test(oid))
      throw deviceError({
        device: name,
        tried: `finding the counters of ${port}`,
        answer: oid,
        advice: 'COUNTERS_PORT_NAME_MAP holds something else than object ids.',
      });
    const counts = await ask(`sonic-db-cli COUNTERS_DB HGETALL COUNTERS:${oid}`, parsePythonDict);
    const count = (key: string): bigint | undefined => {
      const text = counts.get(`SAI_PORT_STAT_${key}`);
      return text !== undefined && /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
    };
    const [dropsIn, dropsOut] = [count('IF_IN_DISCARDS'), count('IF_OUT_DISCARDS')];
    const pausedUs = count(`PFC_${priority}_RX_PAUSE_DURATION_US`);
    return {
      pfcRx: count(`PFC_${priority}_RX_PKTS`),
      pfcTx: count(`PFC_${priority}_TX_PKTS`),
      pausedNs: pausedUs === undefined ? undefined : pausedUs * 1000n,
      drops: dropsIn === undefined || dropsOut === undefined ? undefined : dropsIn + dropsOut,
    };
  };

  /** Where each counter of a port was first read. The same count from elsewhere is another series: it lags, or starts at a clear. */
  const sources = new Map<string, 'stored' | 'shown'>();
  const fromOneSource = (
    at: string,
    { stored: kept, shown }: { readonly stored: bigint | undefined; readonly shown: RawPortCounters['drops'] },
  ): bigint | null => {
    const first = kept !== undefined ? 'stored' : typeof shown === 'bigint' ? 'shown' : undefined;
    const source = sources.get(at) ?? first;
    if (source !== undefined) sources.set(at, source);
    const value = source === 'stored' ? kept : shown;
    return typeof value === 'bigint' ? value : null;
  };
  const storesDrops = (port: string): boolean => sources.get(`${port} drops`) === 'stored';

  const withoutDrops = ({ drops: _drops, narrow = [], ...others }: RawPortCounters): RawPortCounters => ({
    ...others,
    narrow: narrow.filter(key => key !== 'drops'),
  });

  const sample: Required<Switch>['sample'] = async ports => {
    ports.forEach(safePort);
    const found = interfaces ? await interfaces.read(ports) : (session(), new Map<string, RawPortCounters>());
    return new Map([...found].map(([port, of]) => [port, storesDrops(port) ? withoutDrops(of) : of] as const));
  };

  /** Octets, packets, drops and state of a full reading. Not answered is null; without SNMP only COUNTERS_DB has any of them. */
  const basicOf = (port: string, answered: RawPortCounters | undefined, stored: StoredCounters): RawPortCounters => {
    const basic = interfaces ? (answered ?? UNANSWERED) : {};
    const drops = fromOneSource(`${port} drops`, { stored: stored.drops, shown: basic.drops });
    if (storesDrops(port)) return { ...withoutDrops(basic), drops };
    return interfaces ? { ...basic, drops } : basic;
  };

  const counters: Switch['counters'] = async ports => {
    ports.forEach(safePort);
    const [basic, pfc, queues, wred, peaks, database] = await Promise.all([
      interfaces ? interfaces.read(ports) : new Map<string, RawPortCounters>(),
      ask('show pfc counters', parsePfcCounters),
      ask('show queue counters', parseQueueCounters),
      ask('show queue wredcounters', parseQueueCounters),
      ask('show queue watermark unicast', parseWatermarks),
      Promise.all(ports.map(async port => [port, await stored(port)] as const)).then(pairs => new Map(pairs)),
    ]);
    // `show queue counters` prints a port's queues together; a map keeps this linear for 512 ports.
    const keyed = (rows: ReturnType<typeof parseQueueCounters>) =>
      new Map(rows.filter(row => row.queue === queue).map(row => [row.port, row.counts]));
    const [packets, marks] = [keyed(queues), keyed(wred)];
    const peak = new Map(peaks.map(({ of, bytes }) => [of, bytes[queue]]));
    return new Map(
      ports.map(port => {
        const inDatabase = database.get(port) ?? {};
        const reading: RawPortCounters = {
          ...basicOf(port, basic.get(port), inDatabase),
          queuePackets: packets.get(port)?.packets ?? null,
          ecnMarked: marks.get(port)?.ecnMarkedPackets ?? null,
          pfcRx: fromOneSource(`${port} pfcRx`, { stored: inDatabase.pfcRx, shown: pfc.get(port)?.rx[priority] }),
          pfcTx: fromOneSource(`${port} pfcTx`, { stored: inDatabase.pfcTx, shown: pfc.get(port)?.tx[priority] }),
          pausedNs: inDatabase.pausedNs ?? null,
          queuePeakBytes: peak.get(port) ?? null,
        };
        return [port, reading];
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
    fingerprint: () => sonicFingerprint({ shell, guard }),
    putBack: sonicPutBack,
    ports: async () => (interfaces ? interfaces.statuses() : (session(), new Map<string, PortStatus>())),
    counters,
    sample,
    ...(interfaces && { widths: interfaces.widths }),
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
        if (
          !(
            maybeApplied(error) &&
            error instanceof Error &&
            /the connection was lost|closed the channel without an exit status/.test(error.message)
          )
        )
          throw error;
      }
      // ifIndex and object ids may be numbered anew.
      interfaces?.forget();
      objects = undefined;
    },
    close: async () => {
      snmp?.close();
      await shell.close();
    },
  };
}
