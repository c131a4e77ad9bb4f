import type { Change, Fingerprint } from '../../binding/fingerprint.ts';
import { type DeviceGuard, quoted } from '../device-guard.ts';
import { isRecord, ParseError, parseJson } from '../parse-error.ts';
import { type Reading, readFingerprint, type Values } from '../read-fingerprint.ts';
import type { Shell } from '../ssh.ts';

type Json = Readonly<Record<string, unknown>>;

/** The objects of a JSON array that iproute2 prints; it prints empty ones for what it filtered. @throws ParseError */
function objectsOf(text: string, expected: string): readonly Json[] {
  // Some releases print nothing at all instead of an empty list.
  if (text.trim() === '') return [];
  const all = parseJson(text, expected);
  if (!Array.isArray(all)) throw new ParseError(`${expected}: a list`, text);
  return (all as readonly unknown[]).filter(isRecord).filter(one => Object.keys(one).length > 0);
}

const wordOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

function nameOf(of: Json, key: string, expected: string): string {
  const name = of[key];
  if (typeof name !== 'string' || name === '') throw new ParseError(`${expected}: a ${key}`, JSON.stringify(of));
  return name;
}

/** What somebody sets on an interface. Operational state is apart: it follows the far end. */
const LINK_FIELDS = [
  'mtu',
  'txqlen',
  'address',
  'link',
  'master',
  'group',
  'ifalias',
  'promiscuity',
  'allmulti',
  'xdp',
];
/** What an interface that nobody touched has there. */
const UNTOUCHED: ReadonlySet<unknown> = new Set([undefined, 0, 'default']);
const SET_FLAGS: ReadonlySet<string> = new Set(['NOARP', 'PROMISC', 'ALLMULTI', 'MASTER', 'SLAVE', 'DYNAMIC']);

/** `ip -j -d link show`: `interfaces` as they are set, `links` as they are. @throws ParseError */
export function parseLinks(text: string): Readonly<Record<'interfaces' | 'links', Values>> {
  const expected = 'ip -j -d link show';
  const interfaces: [string, string][] = [];
  const links: [string, string][] = [];
  for (const link of objectsOf(text, expected)) {
    const name = nameOf(link, 'ifname', expected);
    const flags = Array.isArray(link['flags']) ? (link['flags'] as readonly unknown[]).map(String) : [];
    interfaces.push([`${name} admin`, flags.includes('UP') ? 'up' : 'down']);
    const set = flags.filter(flag => SET_FLAGS.has(flag)).toSorted();
    if (set.length > 0) interfaces.push([`${name} flags`, set.join(' ')]);
    for (const field of LINK_FIELDS)
      if (!UNTOUCHED.has(link[field])) interfaces.push([`${name} ${field}`, wordOf(link[field])]);
    const info = isRecord(link['linkinfo']) ? link['linkinfo']['info_kind'] : undefined;
    if (info !== undefined) interfaces.push([`${name} kind`, wordOf(info)]);
    links.push([`${name} oper`, wordOf(link['operstate'] ?? 'UNKNOWN')]);
  }
  return { interfaces, links };
}

/** `ip -j addr show`. Link-local and temporary addresses of IPv6 come and go by themselves. @throws ParseError */
export function parseAddresses(text: string): Values {
  const expected = 'ip -j addr show';
  return objectsOf(text, expected).flatMap(link => {
    const name = nameOf(link, 'ifname', expected);
    const found = Array.isArray(link['addr_info']) ? (link['addr_info'] as readonly unknown[]).filter(isRecord) : [];
    return found
      .filter(({ family, scope, temporary }) => family !== 'inet6' || (scope !== 'link' && temporary !== true))
      .map(one => {
        const { local, prefixlen, scope, peer } = one as Json;
        const far = peer === undefined ? '' : ` peer ${wordOf(peer)}`;
        return [`${name} ${wordOf(local)}/${wordOf(prefixlen)}`, `scope ${wordOf(scope)}${far}`] as const;
      });
  });
}

/** Who puts routes in by himself, as things change elsewhere. */
const MOVING: ReadonlySet<unknown> = new Set(['kernel', 'ra', 'bgp', 'ospf', 'isis', 'zebra', 'babel', 'rip']);

/** `ip -j route show`: those that somebody has set. @throws ParseError */
export function parseRoutes(text: string): Values {
  const expected = 'ip -j route show';
  return objectsOf(text, expected)
    .filter(({ protocol }) => !MOVING.has(protocol))
    .map(route => {
      const { type, dev, gateway, metric, nexthops } = route;
      const to = nameOf(route, 'dst', expected);
      const kind = type === undefined ? '' : wordOf(type);
      const key = [kind, to, metric === undefined ? '' : `metric ${wordOf(metric)}`].filter(Boolean).join(' ');
      const ways = [
        ...(gateway === undefined ? [] : [`via ${wordOf(gateway)}`]),
        ...(dev === undefined ? [] : [`dev ${wordOf(dev)}`]),
        ...(nexthops === undefined ? [] : [JSON.stringify(sorted(nexthops))]),
      ];
      return [key, ways.join(' ') || 'set'] as const;
    });
}

/** The same JSON with its keys in one order, whatever release printed it. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return (value as readonly unknown[]).map(sorted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map(key => [key, sorted(value[key])]),
  );
}

/** `tc -j qdisc show`, without handles and seeds: the kernel draws new ones for what is put back. @throws ParseError */
export function parseQdiscs(text: string): Values {
  const expected = 'tc -j qdisc show';
  return objectsOf(text, expected).map(qdisc => {
    const at = qdisc['root'] === true ? 'root' : `parent ${wordOf(qdisc['parent'] ?? 'unknown')}`;
    const { seed: _seed, ...options } = isRecord(qdisc['options']) ? qdisc['options'] : {};
    const set = Object.keys(options).length === 0 ? '' : ` ${JSON.stringify(sorted(options))}`;
    return [`${nameOf(qdisc, 'dev', expected)} ${at}`, `${nameOf(qdisc, 'kind', expected)}${set}`] as const;
  });
}

/** `sysctl KEY...`: `key = value`. What a kernel does not have is not there. @throws ParseError */
export function parseSysctls(text: string): Values {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => {
      const [, key, value] = /^([\w.\-/]{1,200}) ?= ?(.*)$/.exec(line) ?? [];
      if (key === undefined || value === undefined) throw new ParseError('sysctl: "key = value"', line);
      return [key, value.trim().replaceAll(/\s+/g, ' ')] as const;
    });
}

/** What tuning guides of NICs, RoCE and TCP change. */
const SYSCTLS = [
  'net.core.default_qdisc',
  'net.core.netdev_max_backlog',
  'net.core.rmem_max',
  'net.core.wmem_max',
  'net.ipv4.conf.all.arp_ignore',
  'net.ipv4.conf.all.rp_filter',
  'net.ipv4.ip_forward',
  'net.ipv4.tcp_congestion_control',
  'net.ipv4.tcp_ecn',
  'net.ipv4.tcp_mtu_probing',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
];

/** By these words a process is known as the reading itself. */
const OWN = 'farspan fingerprint';

/** Programs that load or watch a fabric, or that go on changing it: none of them belongs to a node that nobody uses. */
const TOOL =
  /^(\S*\/)?(iperf3?|mpirun|orterun|orted|prterun|prted|\w+_perf|ib_(write|read|send|atomic)_(bw|lat)|tcpdump|tcpreplay|stress(-ng)?|ping|traceroute|netserver|netperf|(ip|tc|bridge) (.* )?(monitor|-b|-batch))(\s|$)/;
const SHELL = /^(\S*\/)?(ba|da|z|k)?sh -c /;
const LOOP = /\b(while|until|for)\b|;\s*sleep\b|\bsleep [\d.]+\s*;/;

/**
 * Whether a process is one that a run may have left: it carries `FARSPAN_JOB`, is a tool that loads, watches or changes a fabric, or a shell
 * that loops by itself. Not the reading itself, the guard's own commands (what they leave lies in `undos`), nor the sleeps of a loop.
 */
export function isOfInterest(args: string, job: boolean): boolean {
  if (args.includes(OWN) || args.includes('/run/farspan') || /^(\S*\/)?sleep /.test(args)) return false;
  return job || TOOL.test(args) || (SHELL.test(args) && LOOP.test(args));
}

/** All processes, and then which of them carry the mark of a job: one grep over all, as there may be thousands. */
const PROCESSES = [
  `: ${OWN}`,
  'ps -e -o pid= -o args=',
  'echo "== jobs"',
  'set --',
  'for p in $(ps -e -o pid=); do set -- "$@" /proc/$p/environ; done',
  'grep -lsz \'^FARSPAN_JOB=\' "$@"',
  'true',
].join('; ');

/** Processes of interest by their command line, and how many there are of each. @throws ParseError */
export function parseProcesses(text: string): Values {
  const lines = text.split('\n');
  const cut = lines.indexOf('== jobs');
  if (cut < 0) throw new ParseError('processes, then "== jobs"', text);
  const jobs = new Set(lines.slice(cut + 1).map(line => /^\/proc\/(\d{1,10})\/environ$/.exec(line)?.[1]));
  const counts = new Map<string, number>();
  for (const line of lines.slice(0, cut)) {
    const [, pid, args = ''] = /^\s*(\d{1,10}) (.*)$/.exec(line) ?? [];
    if (pid !== undefined && isOfInterest(args, jobs.has(pid))) counts.set(args, (counts.get(args) ?? 0) + 1);
  }
  return [...counts].map(([args, count]) => [args, `${count} running`] as const);
}

const named = (text: string): Values =>
  text
    .split('\n')
    .filter(line => line !== '')
    .map(line => [line, 'there'] as const);

/** Files that match, one a line; none is no failure. */
const filesReading = (patterns: readonly string[]): Reading => ({
  sections: ['files'],
  command: `for f in ${patterns.join(' ')}; do [ -e "$f" ] && echo "$f"; done; true`,
  parse: text => ({ files: named(text) }),
});

const TIMERS: Reading = {
  sections: ['timers'],
  command: 'systemctl list-timers --all --no-legend',
  // Everything but the unit's name is an age.
  parse: text => ({
    timers: text.split('\n').flatMap(line => {
      const unit = /(?:^|\s)(\S+\.timer)(?:\s|$)/.exec(line)?.[1];
      return unit === undefined ? [] : [[unit, 'armed'] as const];
    }),
  }),
};

/** What every computer has that runs programs: files of ours, timers, processes. */
export const computerReadings = ({
  prefix = '',
  files = [],
}: {
  readonly prefix?: string;
  readonly files?: readonly string[];
} = {}): readonly Reading[] => [
  filesReading(['/tmp/farspan-*', ...files]),
  TIMERS,
  {
    sections: ['processes'],
    command: prefix === '' ? PROCESSES : `${prefix}sh -c ${quoted(PROCESSES)}`,
    parse: text => ({ processes: parseProcesses(text) }),
  },
];

/** What a Linux box has whose own network stack is used: interfaces, addresses, routes, queueing, kernel settings. */
export const LINUX_NETWORK_READINGS: readonly Reading[] = [
  { sections: ['interfaces', 'links'], command: 'ip -j -d link show', parse: parseLinks },
  { sections: ['addresses'], command: 'ip -j addr show', parse: text => ({ addresses: parseAddresses(text) }) },
  { sections: ['routes'], command: 'ip -j route show', parse: text => ({ routes: parseRoutes(text) }) },
  { sections: ['qdiscs'], command: 'tc -j qdisc show', parse: text => ({ qdiscs: parseQdiscs(text) }) },
  {
    sections: ['sysctls'],
    command: `sysctl ${SYSCTLS.join(' ')}`,
    parse: text => ({ sysctls: parseSysctls(text) }),
    // It answers for the keys that there are and counts the others as failures.
    whole: ({ stderr }) => stderr.split('\n').every(line => line === '' || line.endsWith('No such file or directory')),
  },
];

/** Readings, and the undos that lie armed there. @throws DeviceError */
export async function fingerprintOf(
  { shell, guard }: { readonly shell: Shell; readonly guard: Pick<DeviceGuard, 'survey'> },
  readings: readonly Reading[],
): Promise<Fingerprint> {
  const found = await readFingerprint(shell, readings);
  const { undos } = await guard.survey();
  return new Map([...found, ['undos', { value: new Map(undos.map(name => [name, 'armed'])) }]]);
}

/** Puts one value of a Linux box back. @see Fingerprinted.putBack */
export function linuxPutBack({ section, key, was, is }: Change): string | undefined {
  if (key === undefined || was === null) return undefined;
  const [name = '', what = ''] = key.split(' ');
  const dev = quoted(name);
  switch (section) {
    case 'interfaces':
      if (what === 'admin' && was === undefined) return `ip link del dev ${dev}`;
      if (what === 'admin') return `ip link set dev ${dev} ${was === 'up' ? 'up' : 'down'}`;
      if (was === undefined || !LINK_SETTERS.has(what)) return undefined;
      return `ip link set dev ${dev} ${LINK_SETTERS.get(what)} ${quoted(was)}`;
    case 'addresses':
      return `ip addr ${was === undefined ? 'del' : 'add'} ${quoted(what)} dev ${dev}`;
    case 'routes':
      if (was === undefined) return `ip route del ${key.split(' ').map(quoted).join(' ')}`;
      return `ip route replace ${[...key.split(' '), ...(was === 'set' ? [] : was.split(' '))].map(quoted).join(' ')}`;
    case 'qdiscs': {
      const at = what === 'root' ? 'root' : /^(clsact|ingress)/.exec(is ?? '')?.[1];
      // The kernel's own default comes back when what somebody put there is deleted.
      const ownDefault = was === undefined || DEFAULT_QDISC.test(was);
      return at !== undefined && typeof is === 'string' && ownDefault ? `tc qdisc del dev ${dev} ${at}` : undefined;
    }
    case 'sysctls':
      return was === undefined ? undefined : `sysctl -w ${quoted(`${key}=${was}`)}`;
    case 'files':
      return was === undefined ? `rm -f ${quoted(key)}` : undefined;
    case 'timers':
      return was === undefined ? `systemctl stop ${quoted(key)}` : undefined;
    case 'processes':
      return is === undefined ? undefined : `ps -e -o pid= -o args= | grep -F -e ${quoted(key)}; kill PID`;
    case 'undos':
      return was === undefined
        ? `farspan recover (from the runner's host), or: sh /run/farspan/undo/${quoted(key)}`
        : undefined;
    default:
      return undefined;
  }
}

const LINK_SETTERS: ReadonlyMap<string, string> = new Map([
  ['mtu', 'mtu'],
  ['txqlen', 'txqueuelen'],
  ['address', 'address'],
  ['master', 'master'],
  ['group', 'group'],
  ['ifalias', 'alias'],
]);

const DEFAULT_QDISC = /^(noqueue|pfifo_fast|fq_codel|mq|fq|noop)( |$)/;
