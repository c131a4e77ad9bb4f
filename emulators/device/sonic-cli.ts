import { magnitude } from '../../harness/model/units.ts';
import type { FabricSim, SimPort } from '../fabric-sim/index.ts';
import type { LabShape, PortShape } from './lab-shape.ts';
import { type LinuxBox, linuxBox, type Surroundings } from './linux-box.ts';
import { type Program, type ShellResult, fail, succeed } from './small-shell.ts';
import { sonicConfigTables } from './sonic-config-tables.ts';
import { tabulate } from './tabulate.ts';

export interface SonicOptions extends Surroundings {
  readonly sim: FabricSim;
  readonly shape: LabShape;
  readonly node: string;
  /** How long `sudo reboot` takes in data-plane time, ps. */
  readonly bootPs: number;
  /** Programs that are not installed. */
  readonly without?: ReadonlySet<string>;
}

const VERSION = '202405.1-farspan';
const PRIORITIES = [0, 1, 2, 3, 4, 5, 6, 7] as const;
/** The one lossless queue and its PFC priority. */
const LOSSLESS = 3;
const UNICAST_QUEUES = 10;
const MULTICAST_QUEUES = 10;

/** Where `config checkpoint` writes, on disk: it outlives a reboot. */
const CHECKPOINT_FOLDER = '/etc/sonic/checkpoints';
/** The part of CONFIG_DB that this switch has. */
interface Configuration {
  readonly PORT?: Readonly<Record<string, { readonly admin_status?: string }>>;
}
type Checkpointing = (words: readonly string[]) => ShellResult;

const RIGHT = { text: 'right' } as const;
const LEFT = { text: 'left' } as const;

const commas = (value: number): string => Math.floor(value).toLocaleString('en-US');

/** `25G`, `400G`, `100M`, as portconfig prints a speed. */
export const speedOf = (rateBps: number): string => (rateBps % 1e9 === 0 ? `${rateBps / 1e9}G` : `${rateBps / 1e6}M`);

/** `1d02h03m`, `02:03:04`, `1w2d03h`, as FRR prints the age of a session (`frrtime_to_interval`, lib/frr). */
export function frrAge(seconds: number): string {
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  if (seconds < 86_400) return `${two(seconds / 3600)}:${two((seconds % 3600) / 60)}:${two(seconds % 60)}`;
  const days = Math.floor(seconds / 86_400);
  const hours = two((seconds % 86_400) / 3600);
  return days < 7 ? `${days}d${hours}h${two((seconds % 3600) / 60)}m` : `${Math.floor(days / 7)}w${days % 7}d${hours}h`;
}

/** SAI object id of a port, as COUNTERS_PORT_NAME_MAP holds it. */
const portOid = ({ ifIndex }: PortShape): string => `oid:0x1${(ifIndex + 1).toString(16).padStart(12, '0')}`;

/** The text of a Python dict of strings, as sonic-db-cli prints a HGETALL. */
const pythonDict = (entries: readonly (readonly [string, string])[]): string =>
  `{${entries.map(([key, value]) => `'${key}': '${value}'`).join(', ')}}\n`;

/** The CLI of an emulated SONiC switch: its tables have the look of sonic-utilities, its numbers are the simulator's. */
export function sonicCli(options: SonicOptions): LinuxBox {
  const { sim, shape, node, bootPs } = options;
  const { topology } = shape;
  const identity = shape.identity(node);
  const ports = shape.ports(node);
  const state = (port: PortShape): SimPort | undefined => sim.ports(node).find(({ name }) => name === port.port);
  const uptimeS = (): number => (sim.nowPs - sim.bootedAtPs(node)) / 1e12;
  /** Highest depth since the last clear; the simulator's own peak starts again at every reading. */
  const watermarks = new Map<string, number>();
  let watermarkBootPs = sim.bootedAtPs(node);
  const watermark = (port: PortShape): number => {
    if (sim.bootedAtPs(node) !== watermarkBootPs) watermarks.clear();
    watermarkBootPs = sim.bootedAtPs(node);
    const peak = Math.max(watermarks.get(port.port) ?? 0, sim.takeQueuePeak(node, port.port));
    watermarks.set(port.port, peak);
    return peak;
  };

  const showVersion = (): string => {
    const up = Math.floor(uptimeS());
    const clock = new Date(up * 1000).toISOString().slice(11, 19);
    return [
      '',
      `SONiC Software Version: SONiC.${VERSION}`,
      'SONiC OS Version: 12',
      'Distribution: Debian 12.5',
      'Kernel: 6.1.0-22-2-amd64',
      'Build commit: 000000000',
      'Build date: Thu Jan  1 00:00:00 UTC 1970',
      'Built by: farspan@emulators',
      '',
      'Platform: x86_64-farspan_emulated-r0',
      'HwSKU: Farspan-Emulated',
      'ASIC: farspan',
      'ASIC Count: 1',
      `Serial Number: ${identity.serial}`,
      'Model Number: FS-EMU',
      'Hardware Revision: A1',
      `Uptime: ${clock} up ${Math.floor(up / 60)} min,  1 user,  load average: 0.00, 0.00, 0.00`,
      `Date: ${new Date(Math.floor(sim.nowPs / 1e9)).toUTCString()}`,
      '',
      '',
    ].join('\n');
  };

  const interfacesStatus = (): string => {
    const headers = ['Interface', 'Lanes', 'Speed', 'MTU', 'FEC', 'Alias', 'Vlan', 'Oper', 'Admin', 'Type', 'Asym PFC'];
    const rows = ports.map(port => {
      const now = state(port);
      const lane = (port.ifIndex - 1) * 4;
      const word = (up: boolean | undefined): string => (up === undefined ? 'N/A' : up ? 'up' : 'down');
      return [
        port.devicePort,
        [0, 1, 2, 3].map(i => lane + i).join(','),
        speedOf(port.rateBps),
        '9100',
        'rs',
        `etp${port.ifIndex}`,
        'routed',
        word(now?.operUp),
        word(now?.adminUp),
        'QSFP28 or later',
        'off',
      ];
    });
    return tabulate(headers, rows, RIGHT);
  };

  const interfacesCounters = (): string => {
    const headers = [
      'IFACE',
      'STATE',
      'RX_OK',
      'RX_BPS',
      'RX_UTIL',
      'RX_ERR',
      'RX_DRP',
      'RX_OVR',
      'TX_OK',
      'TX_BPS',
      'TX_UTIL',
      'TX_ERR',
      'TX_DRP',
      'TX_OVR',
    ];
    const rows = ports.map(port => {
      const count = sim.count(node, port.port);
      const now = state(port);
      const letter = !now ? 'N/A' : !now.adminUp ? 'X' : now.operUp ? 'U' : 'D';
      return [
        port.devicePort,
        letter,
        commas(count.rxPackets),
        'N/A',
        'N/A',
        '0',
        '0',
        'N/A',
        commas(count.txPackets),
        'N/A',
        'N/A',
        '0',
        commas(count.drops),
        'N/A',
      ];
    });
    return tabulate(headers, rows, RIGHT);
  };

  /** What `sonic-clear` took as zero. It moves what the CLI shows, and never COUNTERS_DB or the agent. */
  type Count = ReturnType<FabricSim['count']>;
  const cleared = new Map<string, Pick<Count, 'pfcRx' | 'pfcTx' | 'queuePackets'>>();
  let clearedBootPs = sim.bootedAtPs(node);
  const sinceClear = (port: PortShape, key: 'pfcRx' | 'pfcTx' | 'queuePackets'): number => {
    if (sim.bootedAtPs(node) !== clearedBootPs) cleared.clear();
    clearedBootPs = sim.bootedAtPs(node);
    return sim.count(node, port.port)[key] - (cleared.get(port.port)?.[key] ?? 0);
  };
  const clear = (keys: readonly ('pfcRx' | 'pfcTx' | 'queuePackets')[]): ShellResult => {
    for (const port of ports) {
      const before = cleared.get(port.port) ?? { pfcRx: 0, pfcTx: 0, queuePackets: 0 };
      const now = sim.count(node, port.port);
      cleared.set(port.port, { ...before, ...Object.fromEntries(keys.map(key => [key, now[key]])) });
    }
    return succeed();
  };

  const pfcCounters = (): string => {
    const table = (title: string, read: (port: PortShape) => number): string =>
      tabulate(
        [title, ...PRIORITIES.map(priority => `PFC${priority}`)],
        ports.map(port => [
          port.devicePort,
          ...PRIORITIES.map(priority => (priority === LOSSLESS ? commas(read(port)) : '0')),
        ]),
        RIGHT,
      );
    return `${table('Port Rx', port => sinceClear(port, 'pfcRx'))}\n${table('Port Tx', port => sinceClear(port, 'pfcTx'))}`;
  };

  const queues = (): readonly { readonly name: string; readonly lossless: boolean; readonly multicast: boolean }[] => [
    ...Array.from({ length: UNICAST_QUEUES }, (_, i) => ({
      name: `UC${i}`,
      lossless: i === LOSSLESS,
      multicast: false,
    })),
    ...Array.from({ length: MULTICAST_QUEUES }, (_, i) => ({
      name: `MC${i + UNICAST_QUEUES}`,
      lossless: false,
      multicast: true,
    })),
  ];

  /** The simulator counts packets of the lossless queue; what it does not count per queue is N/A, multicast does not exist. */
  const queueCounters = (): string =>
    ports
      .map(port => {
        const packets = sinceClear(port, 'queuePackets');
        const rows = queues().map(({ name, lossless, multicast }) => {
          if (multicast) return [port.devicePort, name, '0', '0', '0', '0'];
          return [port.devicePort, name, lossless ? commas(packets) : 'N/A', 'N/A', 'N/A', 'N/A'];
        });
        return `For namespace :\n${tabulate(['Port', 'TxQ', 'Counter/pkts', 'Counter/bytes', 'Drop/pkts', 'Drop/bytes'], rows, RIGHT)}`;
      })
      .join('\n');

  const wredCounters = (): string =>
    ports
      .map(port => {
        const { ecnMarked } = sim.count(node, port.port);
        const rows = queues().map(({ name, lossless }) => [
          port.devicePort,
          name,
          '0',
          '0',
          lossless ? commas(ecnMarked) : '0',
          lossless ? 'N/A' : '0',
        ]);
        return tabulate(
          ['Port', 'TxQ', 'WredDrp/pkts', 'WredDrp/bytes', 'EcnMarked/pkts', 'EcnMarked/bytes'],
          rows,
          RIGHT,
        );
      })
      .join('\n');

  const queueWatermark = (): string => {
    const rows = ports.map(port => [
      port.devicePort,
      ...Array.from({ length: UNICAST_QUEUES }, (_, i) => (i === LOSSLESS ? String(watermark(port)) : 'N/A')),
    ]);
    return `Egress shared pool occupancy per unicast queue:\n${tabulate(['Port', ...Array.from({ length: UNICAST_QUEUES }, (_, i) => `UC${i}`)], rows, RIGHT)}`;
  };

  const pfcwdStats = (): string =>
    // The watchdog is not modelled, so no queue is under watch.
    tabulate(
      ['QUEUE', 'STATUS', 'STORM DETECTED/RESTORED', 'TX OK/DROP', 'RX OK/DROP', 'TX LAST OK/DROP', 'RX LAST OK/DROP'],
      [],
      RIGHT,
    );

  const lldpTable = (): string => {
    const up = ports.filter(port => state(port)?.operUp);
    const rows = up.map(({ devicePort, far }) => [
      devicePort,
      far.node,
      far.devicePort,
      topology.hosts.some(({ name }) => name === far.node) ? 'O' : 'BR',
      far.devicePort,
    ]);
    const table = tabulate(['LocalPort', 'RemoteDevice', 'RemotePortID', 'Capability', 'RemotePortDescr'], rows, LEFT);
    return `Capability codes: (R) Router, (B) Bridge, (O) Other\n${table}${'-'.repeat(50)}\nTotal entries displayed:  ${rows.length}\n`;
  };

  const bgpSummary = (): string => {
    const sessions = sim.bgp(node);
    const rows = sessions.map(session => {
      const port = ports.find(({ port }) => port === session.port);
      const age = session.established ? frrAge((sim.nowPs - session.sincePs) / 1e12) : 'never';
      const messages = session.established ? Math.floor((sim.nowPs - session.sincePs) / 60e12) + 2 : 0;
      return [
        port?.farAddress ?? 'N/A',
        '4',
        session.neighborAsn,
        messages,
        messages,
        0,
        0,
        0,
        age,
        session.established ? String(session.prefixes) : 'Active',
        session.neighbor,
      ];
    });
    const headers = [
      'Neighbhor',
      'V',
      'AS',
      'MsgRcvd',
      'MsgSent',
      'TblVer',
      'InQ',
      'OutQ',
      'Up/Down',
      'State/PfxRcd',
      'NeighborName',
    ];
    return [
      '',
      'IPv4 Unicast Summary:',
      `BGP router identifier ${shape.address(node)}, local AS number ${sim.asn(node)} vrf-id 0`,
      'BGP table version 1',
      `RIB entries ${topology.hosts.length}, using ${topology.hosts.length * 184} bytes of memory`,
      `Peers ${sessions.length}, using ${sessions.length * 21} KiB of memory`,
      'Peer groups 0, using 0 bytes of memory',
      '',
      '',
      `${bgpTable(headers, rows)}`,
      `Total number of neighbors ${sessions.length}`,
      '',
    ].join('\n');
  };

  /** Offloaded sessions as STATE_DB has them: one to each neighbouring switch, intervals in whole ms. */
  const bfdSummary = (): string => {
    const { bfdInterval, bfdMultiplier } = topology.settings.controlPlane;
    const interval = String(Math.round(magnitude(bfdInterval) / 1e6));
    const peers = ports.filter(({ far }) => topology.switches.some(({ name }) => name === far.node));
    const rows = peers.map((port, i) => [
      port.farAddress,
      'default',
      'default',
      state(port)?.operUp === true ? 'Up' : 'Down',
      'async_active',
      port.address,
      interval,
      interval,
      String(bfdMultiplier),
      'false',
      String(i + 1),
    ]);
    const headers = [
      'Peer Addr',
      'Interface',
      'Vrf',
      'State',
      'Type',
      'Local Addr',
      'TX Interval',
      'RX Interval',
      'Multiplier',
      'Multihop',
      'Local Discriminator',
    ];
    return `Total number of BFD sessions: ${rows.length}\n${tabulate(headers, rows, LEFT)}`;
  };

  const ecnConfig = (): string => {
    const { ecn } = topology.settings;
    if (!ecn) return '';
    const percent = String(Math.round(ecn.probability * 100));
    const [low, high] = [String(magnitude(ecn.min)), String(magnitude(ecn.max))];
    const rows = [
      ['green_max_threshold', high],
      ['green_min_threshold', low],
      ['green_drop_probability', percent],
      ['wred_green_enable', 'true'],
      ['ecn', 'ecn_all'],
    ] as const;
    const [left, right] = [0, 1].map(column => Math.max(...rows.map(row => (row[column] as string).length))) as [
      number,
      number,
    ];
    const rule = `${'-'.repeat(left)}  ${'-'.repeat(right)}`;
    return `Profile: AZURE_LOSSLESS\n${rule}\n${rows.map(([key, value]) => `${key.padEnd(left)}  ${value}`).join('\n')}\n${rule}\n\n`;
  };

  const countersOf = (oid: string): string => {
    const port = ports.find(port => portOid(port) === oid);
    if (!port) return '{}\n';
    const count = sim.count(node, port.port);
    return pythonDict(
      Object.entries({
        SAI_PORT_STAT_IF_IN_OCTETS: count.rxBytes,
        SAI_PORT_STAT_IF_IN_UCAST_PKTS: count.rxPackets,
        SAI_PORT_STAT_IF_OUT_OCTETS: count.txBytes,
        SAI_PORT_STAT_IF_OUT_UCAST_PKTS: count.txPackets,
        SAI_PORT_STAT_IF_IN_DISCARDS: 0,
        SAI_PORT_STAT_IF_OUT_DISCARDS: count.drops,
        SAI_PORT_STAT_ECN_MARKED_PACKETS: count.ecnMarked,
        SAI_PORT_STAT_PFC_3_RX_PKTS: count.pfcRx,
        SAI_PORT_STAT_PFC_3_TX_PKTS: count.pfcTx,
        SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US: count.pausedPs / 1e6,
      }).map(([key, value]) => [key, String(Math.floor(value))] as const),
    );
  };

  const SHOWS: Readonly<Record<string, () => string>> = {
    version: showVersion,
    'interfaces status': interfacesStatus,
    'interfaces counters': interfacesCounters,
    'pfc counters': pfcCounters,
    'queue counters': queueCounters,
    'queue wredcounters': wredCounters,
    'queue watermark unicast': queueWatermark,
    'pfcwd stats': pfcwdStats,
    'lldp table': lldpTable,
    'ip bgp summary': bgpSummary,
    'bfd summary': bfdSummary,
  };

  const usage = (command: string, wrong: string): ShellResult =>
    fail(
      2,
      `Usage: ${command} [OPTIONS] COMMAND [ARGS]...\nTry "${command} -h" for help.\n\nError: No such command "${wrong}".`,
    );

  const checkpointFile = (name: string): string => `${CHECKPOINT_FOLDER}/${name}.cp.json`;
  const configuration = (): Configuration => ({
    PORT: Object.fromEntries(
      ports.map(port => [port.devicePort, { admin_status: state(port)?.adminUp === false ? 'down' : 'up' }]),
    ),
  });
  const restore = ({ PORT = {} }: Configuration): void => {
    for (const port of ports) {
      const wanted = Object.hasOwn(PORT, port.devicePort) ? PORT[port.devicePort] : undefined;
      const up = wanted?.admin_status !== 'down';
      if (wanted && state(port)?.adminUp !== up) sim.setAdmin(node, port.port, up);
    }
  };
  /** What a boot loads. */
  let saved = configuration();
  const named =
    (command: string, act: (name: string) => ShellResult): Checkpointing =>
    words => {
      const [name] = words.filter(word => !word.startsWith('-'));
      if (name !== undefined && /^[\w.-]{1,100}$/.test(name)) return act(name);
      return fail(
        2,
        `Usage: config ${command} [OPTIONS] CHECKPOINT_NAME\nTry "config ${command} -h" for help.\n\nError: Missing argument "CHECKPOINT_NAME".`,
      );
    };
  const absent = (command: string, name: string): ShellResult =>
    fail(1, `Failed to ${command}\nError: Checkpoint '${name}' does not exist`);
  /** `config/main.py` and `generic_config_updater` of sonic-utilities: its words, and only the ports are restored, as only they can change. */
  const CHECKPOINTS: Readonly<Record<string, Checkpointing>> = {
    checkpoint: named('checkpoint', name => {
      if (!box.files.write(checkpointFile(name), `${JSON.stringify(configuration(), null, 4)}\n`))
        return fail(1, `Failed to create config checkpoint`);
      return succeed('Config checkpoint created successfully.\n');
    }),
    rollback: named('rollback', name => {
      const text = box.files.read(checkpointFile(name));
      if (text === undefined) return absent('rollback config', name);
      let found: Configuration;
      try {
        found = JSON.parse(text) as Configuration;
      } catch {
        return fail(1, `Failed to rollback config\nError: Checkpoint '${name}' holds no JSON`);
      }
      restore(found);
      return succeed('Config rolled back successfully.\n');
    }),
    'delete-checkpoint': named('delete-checkpoint', name =>
      box.files.remove(checkpointFile(name))
        ? succeed('Checkpoint deleted successfully.\n')
        : absent('delete config checkpoint', name),
    ),
    'list-checkpoints': () =>
      succeed(
        `${JSON.stringify(
          (box.files.list(CHECKPOINT_FOLDER) ?? []).map(file => file.replace(/\.cp\.json$/, '')),
          null,
          4,
        )}\n`,
      ),
  };

  const programs: Readonly<Record<string, Program>> = {
    show({ argv }) {
      const key = argv.slice(1).join(' ');
      return Object.hasOwn(SHOWS, key)
        ? succeed((SHOWS[key] as () => string)())
        : usage('show', argv.slice(1).join(' '));
    },
    'sonic-clear'({ argv }) {
      if (argv.slice(1).join(' ') === 'pfccounters') return clear(['pfcRx', 'pfcTx']);
      if (argv.slice(1).join(' ') === 'queuecounters') return clear(['queuePackets']);
      if (argv.slice(1).join(' ') !== 'queue watermark unicast') return usage('sonic-clear', argv.slice(1).join(' '));
      for (const port of ports) {
        sim.takeQueuePeak(node, port.port);
        watermarks.set(port.port, 0);
      }
      return succeed();
    },
    'sonic-cfggen'({ argv }) {
      const [data, json, table = ''] = argv.slice(1);
      if (data === '-d' && json === '--var-json' && argv.length === 4) {
        const tables = sonicConfigTables(shape, node);
        // As the real one: of a table that is not there nothing is printed.
        return succeed(Object.hasOwn(tables, table) ? `${JSON.stringify(tables[table], null, 4)}\n` : '');
      }
      if (argv.slice(1).join(' ') !== '-d -v DEVICE_METADATA.localhost.mac')
        return fail(1, 'sonic-cfggen: error: not part of this device');
      return succeed(`${identity.baseMac}\n`);
    },
    'sonic-db-cli'({ argv: [, database, verb, key] }) {
      if (database !== 'COUNTERS_DB' || verb?.toUpperCase() !== 'HGETALL' || key === undefined)
        return fail(1, 'Invalid database name or command.');
      if (key === 'COUNTERS_PORT_NAME_MAP')
        return succeed(pythonDict(ports.map(port => [port.devicePort, portOid(port)])));
      return succeed(key.startsWith('COUNTERS:') ? countersOf(key.slice('COUNTERS:'.length)) : '{}\n');
    },
    ecnconfig: ({ argv }) => (argv[1] === '-l' ? succeed(ecnConfig()) : fail(2, 'usage: ecnconfig [-h] [-l]')),
    config({ argv }) {
      const [, subject, verb, name] = argv;
      if (Object.hasOwn(CHECKPOINTS, subject ?? ''))
        return (CHECKPOINTS[subject as string] as Checkpointing)(argv.slice(2));
      if (subject === 'save') {
        saved = configuration();
        return succeed('Running command: /usr/local/bin/sonic-cfggen -d --print-data > /etc/sonic/config_db.json\n');
      }
      if (subject !== 'interface' || (verb !== 'shutdown' && verb !== 'startup') || name === undefined)
        return usage('config', argv.slice(1).join(' '));
      const port = shape.portNamed(node, name);
      if (!port)
        return fail(
          2,
          `Usage: config interface ${verb} [OPTIONS] <interface_name>\nTry "config interface ${verb} -h" for help.\n\nError: Interface name ${name} is invalid. Please enter a valid interface name!!`,
        );
      sim.setAdmin(node, port.port, verb === 'startup');
      return succeed();
    },
    reboot() {
      sim.reboot(node, bootPs);
      return { stdout: '', stderr: '', code: 0, hangUp: true };
    },
  };
  const box = linuxBox({
    ...options,
    name: node,
    systemd: true,
    system: { '/proc/uptime': () => `${uptimeS().toFixed(2)} ${uptimeS().toFixed(2)}\n` },
    programs: () => programs,
  });
  box.files.makeFolder(CHECKPOINT_FOLDER, true);
  sim.onEvent(event => {
    if (event.node !== node) return;
    if (event.kind === 'booting') box.reboot();
    // What was not saved is lost, as on a switch.
    if (event.kind === 'booted') restore(saved);
  });
  return box;
}

/** As `show ip bgp summary`: text on the left, numbers on the right, `Up/Down` and what follows on the left whatever it is. */
function bgpTable(headers: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const leftFrom = headers.indexOf('Up/Down');
  const widths = headers.map((header, i) => Math.max(header.length + 2, ...rows.map(row => String(row[i]).length)));
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, i) =>
        i === 0 || i >= leftFrom
          ? String(cell).padEnd(widths[i] as number)
          : String(cell).padStart(widths[i] as number),
      )
      .join('  ')
      .trimEnd();
  return `${[line(headers), widths.map(width => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n')}\n`;
}
