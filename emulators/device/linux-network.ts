import { fail, type Program, type ShellResult, succeed } from './small-shell.ts';

/** An interface that the box itself has. */
export interface OwnLink {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  up(): boolean;
  /** Whether the far end is there. */
  carrier(): boolean;
  /** Absent: it can not be set. */
  readonly setUp?: (up: boolean) => void;
  /** What queues at its egress as `tc -j` prints it, when that is not the kernel's default. */
  readonly qdisc?: () => { readonly kind: string; readonly handle: string; readonly options: object } | undefined;
}

interface Extra {
  /** `root`, or the parent of `clsact` and `ingress`. */
  readonly at: string;
  readonly kind: string;
}

interface Link {
  readonly own: OwnLink | undefined;
  readonly kind: string | undefined;
  readonly mac: string;
  mtu: number;
  up: boolean;
  txqlen: number;
  alias: string | undefined;
  readonly addresses: Map<string, string>;
  readonly qdiscs: Map<string, Extra>;
}

/** The network stack of an emulated Linux box as far as its data plane does not have it: it is kept and shown, and moves no packet. */
export interface LinuxNetwork {
  /** Undefined: not one of its forms; the box has others. */
  ip(words: readonly string[]): ShellResult | undefined;
  tc(words: readonly string[]): ShellResult | undefined;
  readonly programs: Readonly<Record<'ip' | 'tc' | 'sysctl', Program>>;
  mtu(link: string): number;
  /** As after a boot: what was set is gone. */
  reset(): void;
}

/** A kernel's own values (Documentation/networking/ip-sysctl.rst, net/core). */
const SYSCTLS: Readonly<Record<string, string>> = {
  'net.core.default_qdisc': 'fq_codel',
  'net.core.netdev_max_backlog': '1000',
  'net.core.rmem_max': '212992',
  'net.core.wmem_max': '212992',
  'net.ipv4.conf.all.arp_ignore': '0',
  'net.ipv4.conf.all.rp_filter': '2',
  'net.ipv4.ip_forward': '0',
  'net.ipv4.tcp_congestion_control': 'cubic',
  'net.ipv4.tcp_ecn': '2',
  'net.ipv4.tcp_mtu_probing': '0',
  'net.ipv4.tcp_rmem': '4096\t131072\t6291456',
  'net.ipv4.tcp_wmem': '4096\t16384\t4194304',
};

/** Queueing without an effect on packets here; netem is the span box's own. */
const HARMLESS: ReadonlySet<string> = new Set(['fq', 'fq_codel', 'pfifo', 'pfifo_fast', 'noqueue']);
const CLASSIFIERS: ReadonlySet<string> = new Set(['clsact', 'ingress']);
const MOST = 100;
const NAME = /^[A-Za-z][\w.-]{0,14}$/;
const ADDRESS = /^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/;

export function linuxNetwork(links: readonly OwnLink[]): LinuxNetwork {
  const all = new Map<string, Link>();
  const routes = new Map<string, Readonly<Record<string, unknown>>>();
  const sysctls = new Map<string, string>();
  const made = (own: OwnLink | undefined, kind: string | undefined): Link => ({
    own,
    kind,
    mac: own?.mac ?? `02:fb:00:00:00:${(all.size & 255).toString(16).padStart(2, '0')}`,
    mtu: own?.mtu ?? 1500,
    up: false,
    txqlen: 1000,
    alias: undefined,
    addresses: new Map(),
    qdiscs: new Map(),
  });
  const reset = (): void => {
    all.clear();
    routes.clear();
    sysctls.clear();
    for (const own of links) all.set(own.name, made(own, undefined));
    for (const [key, value] of Object.entries(SYSCTLS)) sysctls.set(key, value);
  };
  reset();

  const isUp = ({ own, up }: Link): boolean => own?.up() ?? up;
  const qdiscOf = (link: Link): { readonly kind: string; readonly handle: string; readonly options: object } => {
    const own = link.own?.qdisc?.();
    if (own) return own;
    return { kind: link.qdiscs.get('root')?.kind ?? 'noqueue', handle: '0:', options: {} };
  };
  const common = (name: string, link: Link): object => {
    const carrier = isUp(link) && (link.own?.carrier() ?? true);
    const up = isUp(link);
    return {
      ifindex: [...all.keys()].indexOf(name) + 2,
      ifname: name,
      flags: [
        ...(up && !carrier ? ['NO-CARRIER'] : []),
        'BROADCAST',
        'MULTICAST',
        ...(up ? ['UP'] : []),
        ...(carrier ? ['LOWER_UP'] : []),
      ],
      mtu: link.mtu,
      qdisc: qdiscOf(link).kind,
      operstate: carrier ? 'UP' : 'DOWN',
      group: 'default',
      txqlen: link.txqlen,
      link_type: 'ether',
      address: link.mac,
      broadcast: 'ff:ff:ff:ff:ff:ff',
      ...(link.alias !== undefined && { ifalias: link.alias }),
    };
  };
  const json = (value: unknown): ShellResult => succeed(`${JSON.stringify(value)}\n`);
  const missing = (name: string | undefined): ShellResult => fail(1, `Cannot find device "${name ?? ''}"`);

  const linkSet = (words: readonly string[]): ShellResult | undefined => {
    const [name, setting = '', value = ''] = words[0] === 'dev' ? words.slice(1) : words;
    const link = all.get(name ?? '');
    if (!link) return missing(name);
    const number = /^\d{1,9}$/.test(value) ? Number(value) : undefined;
    if (setting === 'mtu' && number !== undefined && number >= 68 && number <= 65_535) link.mtu = number;
    else if (setting === 'mtu') return fail(2, 'Error: mtu greater than device maximum.');
    else if (setting === 'txqueuelen' && number !== undefined) link.txqlen = number;
    else if (setting === 'alias') link.alias = value;
    else if (setting === 'up' || setting === 'down') {
      if (link.own && !link.own.setUp) return fail(2, 'RTNETLINK answers: Operation not supported');
      link.own?.setUp?.(setting === 'up');
      link.up = setting === 'up';
    } else return undefined;
    return succeed();
  };

  const linkVerb = ([verb, ...words]: readonly string[]): ShellResult | undefined => {
    if (verb === 'set') return linkSet(words);
    const [name = '', type, kind = ''] = words.filter(word => word !== 'dev' && word !== 'name');
    if (verb === 'add' && type === 'type') {
      if (all.has(name)) return fail(2, 'RTNETLINK answers: File exists');
      if (!NAME.test(name) || !['dummy', 'bridge', 'ifb'].includes(kind) || all.size >= MOST)
        return fail(2, 'Error: Unknown device type.');
      all.set(name, made(undefined, kind));
      return succeed();
    }
    if (verb !== 'del' && verb !== 'delete') return undefined;
    const link = all.get(name);
    if (!link) return missing(name);
    if (link.own) return fail(2, 'RTNETLINK answers: Operation not supported');
    all.delete(name);
    return succeed();
  };

  const addressVerb = ([verb, address = '', keyword, name]: readonly string[]): ShellResult | undefined => {
    if (verb !== 'add' && verb !== 'del') return undefined;
    const link = all.get(name ?? '');
    if (keyword !== 'dev' || !link) return missing(name);
    if (!ADDRESS.test(address) || link.addresses.size >= MOST)
      return fail(1, `Error: any valid prefix is expected rather than "${address.slice(0, 100)}".`);
    if (verb === 'add') {
      if (link.addresses.has(address)) return fail(2, 'RTNETLINK answers: File exists');
      link.addresses.set(address, 'global');
      return succeed();
    }
    return link.addresses.delete(address) ? succeed() : fail(2, 'RTNETLINK answers: Cannot assign requested address');
  };

  const routeVerb = ([verb, ...words]: readonly string[]): ShellResult | undefined => {
    if (verb !== 'add' && verb !== 'del' && verb !== 'replace') return undefined;
    const blackhole = words[0] === 'blackhole';
    const [dst = '', ...more] = blackhole ? words.slice(1) : words;
    if (!ADDRESS.test(dst) || routes.size >= MOST)
      return fail(1, `Error: any valid prefix is expected rather than "${dst.slice(0, 100)}".`);
    if (verb === 'del') return routes.delete(dst) ? succeed() : fail(2, 'RTNETLINK answers: No such process');
    if (verb === 'add' && routes.has(dst)) return fail(2, 'RTNETLINK answers: File exists');
    const at = (word: string): string | undefined => (more.includes(word) ? more[more.indexOf(word) + 1] : undefined);
    const [dev, gateway] = [at('dev'), at('via')];
    if (!blackhole && (dev === undefined || !all.has(dev))) return missing(dev);
    routes.set(dst, {
      ...(blackhole && { type: 'blackhole' }),
      dst,
      ...(gateway && { gateway }),
      ...(dev && { dev }),
      flags: [],
    });
    return succeed();
  };

  const ip = (words: readonly string[]): ShellResult | undefined => {
    const named = [...all];
    switch (words.join(' ')) {
      case '-j -d link show':
        return json(
          named.map(([name, link]) => ({
            ...common(name, link),
            promiscuity: 0,
            allmulti: 0,
            ...(link.kind !== undefined && { linkinfo: { info_kind: link.kind } }),
          })),
        );
      case '-j addr show':
        return json(
          named.map(([name, link]) => ({
            ...common(name, link),
            addr_info: [...link.addresses].map(([address, scope]) => {
              const [local, length] = address.split('/');
              return {
                family: 'inet',
                local,
                prefixlen: Number(length),
                scope,
                label: name,
                valid_life_time: 4_294_967_295,
              };
            }),
          })),
        );
      case '-j route show':
        return json([...routes.values()]);
      default:
    }
    const [object, ...rest] = words;
    if (object === 'link') return linkVerb(rest);
    if (object === 'addr' || object === 'address') return addressVerb(rest);
    return object === 'route' ? routeVerb(rest) : undefined;
  };

  const tc = (words: readonly string[]): ShellResult | undefined => {
    if (words.join(' ') === '-j qdisc show') {
      return json(
        [...all].flatMap(([dev, link]) => [
          { ...qdiscOf(link), dev, root: true, refcnt: 2 },
          ...[...link.qdiscs.values()]
            .filter(({ at }) => at !== 'root')
            .map(({ at, kind }) => ({ kind, handle: 'ffff:', dev, parent: at, options: {} })),
        ]),
      );
    }
    const [qdisc, verb = '', keyword, name, ...rest] = words;
    if (qdisc !== 'qdisc' || keyword !== 'dev' || !['add', 'replace', 'del'].includes(verb)) return undefined;
    const link = all.get(name ?? '');
    if (!link) return missing(name);
    const classifier = CLASSIFIERS.has(rest[0] ?? '');
    const at = classifier ? 'ffff:fff1' : 'root';
    if (!classifier && rest[0] !== 'root') return undefined;
    if (verb === 'del') {
      if (!classifier && link.own?.qdisc?.()) return undefined;
      return link.qdiscs.delete(at) ? succeed() : fail(2, 'Error: Cannot delete qdisc with handle of zero.');
    }
    const kind = classifier ? (rest[0] as string) : (rest[1] ?? '');
    if (!classifier && (link.own?.qdisc || !HARMLESS.has(kind))) return undefined;
    if (verb === 'add' && link.qdiscs.has(at)) return fail(2, 'Error: Exclusivity flag on, cannot modify.');
    link.qdiscs.set(at, { at, kind });
    return succeed();
  };

  const sysctl: Program = ({ argv }) => {
    const words = argv.slice(1).filter(word => word !== '-w');
    const lines: string[] = [];
    let stderr = '';
    for (const word of words) {
      const [key = '', value] = word.split('=', 2);
      if (!sysctls.has(key)) {
        stderr += `sysctl: cannot stat /proc/sys/${key.slice(0, 200).replaceAll('.', '/')}: No such file or directory\n`;
        continue;
      }
      if (value !== undefined) sysctls.set(key, value.slice(0, 200));
      lines.push(`${key} = ${sysctls.get(key) ?? ''}\n`);
    }
    return { stdout: lines.join(''), stderr, code: stderr === '' ? 0 : 1 };
  };

  const unknown = (tool: string, words: readonly string[]): ShellResult =>
    fail(255, `Object "${words[0]?.slice(0, 100) ?? ''}" is unknown, try "${tool} help".`);
  return {
    ip,
    tc,
    programs: {
      ip: ({ argv }) => ip(argv.slice(1)) ?? unknown('ip', argv.slice(1)),
      tc: ({ argv }) => {
        const words = argv.slice(1);
        const answered = tc(words);
        if (answered || words[0] !== 'qdisc') return answered ?? unknown('tc', words);
        return fail(
          1,
          `Unknown qdisc "${words[5]?.slice(0, 100) ?? ''}", hence option "${words[6]?.slice(0, 100) ?? ''}" is unparsable`,
        );
      },
      sysctl,
    },
    mtu: name => all.get(name)?.mtu ?? 0,
    reset,
  };
}
