import { magnitude } from '../../harness/model/units.ts';
import type { FabricSim, SimPort } from '../fabric-sim/index.ts';
import type { LabShape, PortShape } from './lab-shape.ts';
import { type LinuxBox, linuxBox, type Surroundings } from './linux-box.ts';
import { type Program, type ShellResult, fail, succeed } from './small-shell.ts';
import { type ConfigTables, sonicConfigDb } from './sonic-config-db.ts';
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
  const config = sonicConfigDb({
    shape,
    node,
    asn: name => sim.asn(name),
    adminUp: port => state(port)?.adminUp !== false,
    setAdmin: (port, up) => sim.setAdmin(node, port.port, up),
  });
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
      const set = config.row('PORT', port.devicePort) ?? {};
      const word = (up: boolean | undefined): string => (up === undefined ? 'N/A' : up ? 'up' : 'down');
      return [
        port.devicePort,
        set['lanes'] ?? 'N/A',
        speedOf(port.rateBps),
        set['mtu'] ?? 'N/A',
        set['fec'] ?? 'N/A',
        set['alias'] ?? 'N/A',
        'routed',
        word(now?.operUp),
        word(now?.adminUp),
        'QSFP28 or later',
        set['pfc_asym'] ?? 'N/A',
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
    const profiles = Object.entries(config.tables()['WRED_PROFILE'] ?? {});
    return profiles
      .map(([name, settings]) => {
        const rows = Object.entries(settings);
        const [left, right] = [0, 1].map(column => Math.max(0, ...rows.map(row => (row[column] as string).length))) as [
          number,
          number,
        ];
        const rule = `${'-'.repeat(left)}  ${'-'.repeat(right)}`;
        return `Profile: ${name}\n${rule}\n${rows.map(([key, value]) => `${key.padEnd(left)}  ${value}`).join('\n')}\n${rule}\n\n`;
      })
      .join('');
  };

  const presence = (): string =>
    tabulate(
      ['Port', 'Presence'],
      ports.map(({ devicePort }) => [devicePort, 'Present']),
      LEFT,
    );

  const pfcwdConfig = (): string => {
    const watched = Object.entries(config.tables()['PFC_WD'] ?? {});
    const rows = watched.map(([port, { action = 'drop', detection_time: detect = '200', restoration_time: back }]) => [
      port,
      action,
      detect,
      back ?? '0',
      'disable',
    ]);
    return tabulate(['PORT', 'ACTION', 'DETECTION TIME', 'RESTORATION TIME', 'HISTORY'], rows, RIGHT);
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
    'interfaces transceiver presence': presence,
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
  /** What a boot loads. */
  let saved = config.tables();
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
      if (!box.files.write(checkpointFile(name), `${JSON.stringify(config.tables(), null, 4)}\n`))
        return fail(1, `Failed to create config checkpoint`);
      return succeed('Config checkpoint created successfully.\n');
    }),
    rollback: named('rollback', name => {
      const text = box.files.read(checkpointFile(name));
      if (text === undefined) return absent('rollback config', name);
      let found: ConfigTables;
      try {
        found = JSON.parse(text) as ConfigTables;
      } catch {
        return fail(1, `Failed to rollback config\nError: Checkpoint '${name}' holds no JSON`);
      }
      config.replace(found);
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

  /** Values as the tools of sonic-utilities take them; what CONFIG_DB then holds is all that they change here. */
  const put = (table: string, key: string, fields: Readonly<Record<string, string>>): ShellResult =>
    config.set(table, key, fields) ? succeed() : fail(1, 'Error: no room left in CONFIG_DB');
  const whole = (text: string | undefined): text is string => /^\d{1,9}$/.test(text ?? '');
  const noPort = (name: string): ShellResult =>
    fail(2, `Error: Interface name ${name} is invalid. Please enter a valid interface name!!`);

  /** `config interface mtu|fec|pfc asymmetric|ip` and `config vlan`. Undefined: none of these. */
  const configSet = ([subject, verb, ...words]: readonly string[]): ShellResult | undefined => {
    if (subject === 'vlan' && (verb === 'add' || verb === 'del') && whole(words[0])) {
      const name = `Vlan${words[0]}`;
      if (verb === 'add') return put('VLAN', name, { vlanid: words[0] });
      return config.remove('VLAN', name) ? succeed() : fail(2, `Error: ${name} does not exist`);
    }
    if (subject !== 'interface' || verb === undefined || !['mtu', 'fec', 'pfc', 'ip'].includes(verb)) return undefined;
    const [action, name = '', value = ''] = verb === 'pfc' || verb === 'ip' ? words : ['', ...words];
    if (!shape.portNamed(node, name)) return noPort(name);
    if (verb === 'mtu' && whole(value)) return put('PORT', name, { mtu: value });
    if (verb === 'fec' && ['rs', 'fc', 'none', 'auto'].includes(value)) return put('PORT', name, { fec: value });
    if (verb === 'pfc' && action === 'asymmetric' && (value === 'on' || value === 'off'))
      return put('PORT', name, { pfc_asym: value });
    if (verb === 'ip' && /^[\d.]{7,15}\/\d{1,2}$/.test(value)) {
      if (action === 'add') return put('INTERFACE', `${name}|${value}`, {});
      if (action === 'remove')
        return config.remove('INTERFACE', `${name}|${value}`) ? succeed() : fail(2, 'Error: no such address');
    }
    return usage('config', ['interface', verb, ...words].join(' '));
  };

  const ECN_FLAGS: Readonly<Record<string, string>> = {
    '-gmin': 'green_min_threshold',
    '-gmax': 'green_max_threshold',
    '-gdrop': 'green_drop_probability',
  };
  const ecnSet = (words: readonly string[]): ShellResult => {
    const [flag, name = '', ...settings] = words;
    const fields: Record<string, string> = {};
    for (let i = 0; i < settings.length; i += 2) {
      const [field, value] = [ECN_FLAGS[settings[i] as string], settings[i + 1]];
      if (field === undefined || !whole(value))
        return fail(2, `ecnconfig: error: unrecognized arguments: ${settings.join(' ')}`);
      fields[field] = value;
    }
    if (flag !== '-p' || settings.length === 0)
      return fail(2, 'usage: ecnconfig [-h] [-l] [-p PROFILE] [-gmin N] [-gmax N] [-gdrop N]');
    if (!config.row('WRED_PROFILE', name))
      return fail(1, `Exception caught: Error: Profile ${name.slice(0, 100)} does not exist`);
    return put('WRED_PROFILE', name, fields);
  };

  /** `pfcwd show config|start|stop`: kept and shown; no storm is looked for. */
  const pfcwd = ([verb, ...words]: readonly string[]): ShellResult => {
    if (verb === 'show' && words[0] === 'config') return succeed(pfcwdConfig());
    const at = (word: string): string | undefined =>
      words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
    if (verb === 'stop') {
      for (const name of words.length > 0 ? words : ports.map(({ devicePort }) => devicePort))
        config.remove('PFC_WD', name);
      return succeed();
    }
    const [action, name, detect, back] = ['--action', 'ports', 'detection-time', '--restoration-time'].map(at);
    if (verb !== 'start' || name === undefined || !whole(detect)) return usage('pfcwd', [verb, ...words].join(' '));
    if (!shape.portNamed(node, name)) return noPort(name);
    return put('PFC_WD', name, { action: action ?? 'drop', detection_time: detect, restoration_time: back ?? detect });
  };

  /** `sonic-db-cli CONFIG_DB HSET|HDEL|DEL|HGETALL TABLE|KEY …`, Redis' own verbs and answers. */
  const configRow = (verb: string, key: string, words: readonly string[]): ShellResult => {
    const cut = key.indexOf('|');
    const [table, row] = [key.slice(0, Math.max(cut, 0)), key.slice(cut + 1)];
    const [field, value] = words;
    if (verb === 'HGETALL') return succeed(pythonDict(Object.entries(config.tables()[table]?.[row] ?? {})));
    if (verb === 'DEL') return succeed(config.remove(table, row) ? '1\n' : '0\n');
    if (verb === 'HDEL' && field !== undefined) return succeed(config.remove(table, row, field) ? '1\n' : '0\n');
    if (verb !== 'HSET' || field === undefined || value === undefined)
      return fail(1, 'Invalid database name or command.');
    // A row without fields is one with the field NULL in Redis; nothing shows that.
    return config.set(table, row, field === 'NULL' ? {} : { [field]: value })
      ? succeed('1\n')
      : fail(1, 'OOM command not allowed');
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
        const tables = config.tables();
        // As the real one: of a table that is not there nothing is printed.
        return succeed(Object.hasOwn(tables, table) ? `${JSON.stringify(tables[table], null, 4)}\n` : '');
      }
      if (argv.slice(1).join(' ') === '-d --print-data')
        return succeed(`${JSON.stringify(config.tables(), null, 4)}\n`);
      if (argv.slice(1).join(' ') !== '-d -v DEVICE_METADATA.localhost.mac')
        return fail(1, 'sonic-cfggen: error: not part of this device');
      return succeed(`${identity.baseMac}\n`);
    },
    'sonic-db-cli'({ argv: [, database, verb, key, ...more] }) {
      if (database === 'CONFIG_DB' && key !== undefined) return configRow(verb?.toUpperCase() ?? '', key, more);
      if (database !== 'COUNTERS_DB' || verb?.toUpperCase() !== 'HGETALL' || key === undefined)
        return fail(1, 'Invalid database name or command.');
      if (key === 'COUNTERS_PORT_NAME_MAP')
        return succeed(pythonDict(ports.map(port => [port.devicePort, portOid(port)])));
      return succeed(key.startsWith('COUNTERS:') ? countersOf(key.slice('COUNTERS:'.length)) : '{}\n');
    },
    ecnconfig: ({ argv }) => (argv[1] === '-l' ? succeed(ecnConfig()) : ecnSet(argv.slice(1))),
    pfcwd: ({ argv }) => pfcwd(argv.slice(1)),
    config({ argv }) {
      const [, subject, verb, name] = argv;
      if (Object.hasOwn(CHECKPOINTS, subject ?? ''))
        return (CHECKPOINTS[subject as string] as Checkpointing)(argv.slice(2));
      if (subject === 'save') {
        saved = config.tables();
        return succeed('Running command: /usr/local/bin/sonic-cfggen -d --print-data > /etc/sonic/config_db.json\n');
      }
      const set = configSet(argv.slice(1));
      if (set) return set;
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
    if (event.kind === 'booted') config.replace(saved);
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
