import type { Span } from '../../harness/model/topology.ts';
import type { FabricSim } from '../fabric-sim/index.ts';
import type { LabShape } from './lab-shape.ts';
import { portMac } from './lab-shape.ts';
import { type LinuxBox, linuxBox, type Surroundings } from './linux-box.ts';
import { linuxNetwork } from './linux-network.ts';
import { fail, type Program, type ShellResult, succeed } from './small-shell.ts';

export interface LinuxSpanOptions extends Surroundings {
  readonly sim: FabricSim;
  readonly shape: LabShape;
  readonly span: Span;
  /** How long `reboot` takes in data-plane time, ps. */
  readonly bootPs: number;
  /** Programs that are not installed. */
  readonly without?: ReadonlySet<string>;
  /** Told when the box goes down and when it is up again. */
  readonly onPower?: (power: 'off' | 'on') => void;
}

type Direction = 'a-to-b' | 'b-to-a';
type Interface = 'eth1' | 'eth2';

/** netem's default queue, packets (tc-netem(8)). */
const DEFAULT_LIMIT = 1000;
/** netem stores a probability in 32 bits (UINT32_MAX is certain). */
const LOSS_STEPS = 2 ** 32 - 1;

interface Netem {
  limit: number;
  delayS: number;
  loss: number;
}

interface Wire {
  up: boolean;
  netem: Netem | undefined;
  handle: number;
}

/** Seconds of a tc time: `5ms`, `400us`, `1s`, a bare number in us. */
function tcSeconds(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(s|sec|ms|msec|us|usec|ns|nsec)?$/.exec(text);
  if (!match) return Number.NaN;
  const unit = (match[2] ?? 'us').replace('sec', 's').replace(/^ss$/, 's');
  return Number(match[1]) * ({ s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 }[unit] ?? Number.NaN);
}

/**
 * The box that plays one span: Linux with two interfaces, `eth1` to the span's first end and `eth2` to its second, netem on
 * their egress. An interface that is down sends no light and takes no frames.
 */
export function linuxSpan(options: LinuxSpanOptions): LinuxBox {
  const { sim, shape, span } = options;
  const name = shape.spanBox(span.name);
  const identity = shape.identity(name);
  const wires: Record<Interface, Wire> = {
    eth1: { up: true, netem: undefined, handle: 0x8001 },
    eth2: { up: true, netem: undefined, handle: 0x8002 },
  };
  const egress: Readonly<Record<Interface, Direction>> = { eth1: 'b-to-a', eth2: 'a-to-b' };
  const asMade = { eth1: { ...sim.span(span.name, egress.eth1) }, eth2: { ...sim.span(span.name, egress.eth2) } };
  const netemAsMade = (dev: Interface): Netem => {
    const { delayPs, loss } = asMade[dev];
    return { limit: 1_000_000, delayS: Math.round(delayPs / 1e3) / 1e9, loss };
  };
  for (const dev of ['eth1', 'eth2'] as const) wires[dev].netem = netemAsMade(dev);
  const macs: Readonly<Record<Interface, string>> = {
    eth1: portMac(identity.baseMac, 1),
    eth2: portMac(identity.baseMac, 2),
  };

  const apply = (): void => {
    const passing = wires.eth1.up && wires.eth2.up;
    for (const dev of ['eth1', 'eth2'] as const) sim.setSpan(span.name, egress[dev], { passing, light: wires[dev].up });
  };
  const applyNetem = (dev: Interface): void => {
    const { netem } = wires[dev];
    sim.setSpan(span.name, egress[dev], { delayPs: Math.round((netem?.delayS ?? 0) * 1e12), loss: netem?.loss ?? 0 });
  };
  const isInterface = (dev: string | undefined): dev is Interface => dev === 'eth1' || dev === 'eth2';

  /** What the switch at this interface's cable has sent and received, kept through its reboots. */
  const seen = { eth1: meter(), eth2: meter() };
  const traffic = (dev: Interface): { readonly rx: Meter; readonly tx: Meter } => {
    const end = span.ends[dev === 'eth1' ? 0 : 1];
    const count = sim.count(end.node, end.port);
    return seen[dev]({
      rx: { bytes: count.txBytes, packets: count.txPackets },
      tx: { bytes: count.rxBytes, packets: count.rxPackets },
    });
  };

  const hasCarrier = (dev: Interface): boolean => {
    const end = span.ends[dev === 'eth1' ? 0 : 1];
    const far = sim.isUp(end.node) && (sim.ports(end.node).find(port => port.name === end.port)?.adminUp ?? false);
    return wires[dev].up && far;
  };
  const linkShow = (dev: Interface): string => {
    const { up } = wires[dev];
    const carrier = hasCarrier(dev);
    const { rx, tx } = traffic(dev);
    return `${JSON.stringify([
      {
        ifindex: dev === 'eth1' ? 2 : 3,
        ifname: dev,
        flags: up
          ? carrier
            ? ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP']
            : ['NO-CARRIER', 'BROADCAST', 'MULTICAST', 'UP']
          : ['BROADCAST', 'MULTICAST'],
        mtu: network.mtu(dev),
        qdisc: wires[dev].netem ? 'netem' : 'noqueue',
        operstate: carrier ? 'UP' : 'DOWN',
        linkmode: 'DEFAULT',
        group: 'default',
        txqlen: 1000,
        link_type: 'ether',
        address: macs[dev],
        broadcast: 'ff:ff:ff:ff:ff:ff',
        stats64: {
          rx: { bytes: rx.bytes, packets: rx.packets, errors: 0, dropped: 0, over_errors: 0, multicast: 0 },
          tx: { bytes: tx.bytes, packets: tx.packets, errors: 0, dropped: 0, carrier_errors: 0, collisions: 0 },
        },
      },
    ])}\n`;
  };

  const ip: Program = ({ argv }) => {
    const words = argv.slice(1);
    if (words.join(' ').startsWith('-j -s link show dev ')) {
      const dev = words[5];
      return isInterface(dev) && words.length === 6
        ? succeed(linkShow(dev))
        : fail(1, `Device "${words[5] ?? ''}" does not exist.`);
    }
    const [link, set, keyword, dev, state] = words;
    if (link === 'link' && set === 'set' && keyword === 'dev' && (state === 'up' || state === 'down')) {
      if (!isInterface(dev)) return fail(1, `Cannot find device "${dev ?? ''}"`);
      wires[dev].up = state === 'up';
      apply();
      return succeed();
    }
    return network.ip(words) ?? fail(255, `Object "${link ?? ''}" is unknown, try "ip help".`);
  };

  const netemOf = (dev: Interface) => {
    const { netem, handle } = wires[dev];
    if (!netem) return undefined;
    const options = {
      limit: netem.limit,
      ...(netem.delayS > 0 && { delay: { delay: netem.delayS, jitter: 0, correlation: 0 } }),
      ...(netem.loss > 0 && { 'loss-random': { loss: netem.loss, correlation: 0 } }),
      ecn: false,
      gap: 0,
    };
    return { kind: 'netem', handle: `${handle.toString(16)}:`, options };
  };
  const network = linuxNetwork(
    (['eth1', 'eth2'] as const).map(name => ({
      name,
      mac: macs[name],
      mtu: 9100,
      up: () => wires[name].up,
      carrier: () => hasCarrier(name),
      setUp: up => {
        wires[name].up = up;
        apply();
      },
      qdisc: () => netemOf(name),
    })),
  );

  const qdiscShow = (dev: Interface): string => {
    const netem = netemOf(dev);
    const out = traffic(dev).tx;
    const drops = sim.spanCount(span.name, egress[dev]).lost;
    const counted = { bytes: out.bytes, packets: out.packets, drops, overlimits: 0, requeues: 0, backlog: 0, qlen: 0 };
    if (!netem)
      return `${JSON.stringify([{ kind: 'noqueue', handle: '0:', root: true, refcnt: 2, options: {}, ...counted }])}\n`;
    return `${JSON.stringify([{ kind: netem.kind, handle: netem.handle, root: true, refcnt: 2, options: netem.options, ...counted }])}\n`;
  };
  const replace = (dev: Interface, words: readonly string[]): ShellResult => {
    const next: Netem = { limit: DEFAULT_LIMIT, delayS: 0, loss: 0 };
    for (let i = 0; i < words.length; i++) {
      const value = words[i + 1] ?? '';
      switch (words[i]) {
        case 'limit':
          next.limit = Number(value);
          if (!Number.isInteger(next.limit) || next.limit <= 0) return fail(1, `Illegal "limit"`);
          i++;
          break;
        case 'delay':
          // The kernel holds whole ns (linux/net/sched/sch_netem.c).
          next.delayS = Math.round(tcSeconds(value) * 1e9) / 1e9;
          if (!Number.isFinite(next.delayS)) return fail(1, 'Illegal "latency"');
          i++;
          break;
        case 'loss': {
          if (value === 'random') i++;
          const percent = /^(\d+(?:\.\d+)?)%?$/.exec(words[i + 1] ?? '')?.[1];
          if (percent === undefined || Number(percent) > 100) return fail(1, 'Illegal "loss percent"');
          next.loss = Math.round((Number(percent) / 100) * LOSS_STEPS) / LOSS_STEPS;
          i++;
          break;
        }
        default:
          return fail(
            1,
            `What is "${words[i]}"?\nUsage: ... netem [ limit PACKETS ]\n                 [ delay TIME ]\n                 [ loss random PERCENT ]`,
          );
      }
    }
    wires[dev].netem = next;
    wires[dev].handle += 2;
    applyNetem(dev);
    return succeed();
  };

  const tc: Program = ({ argv }) => {
    const words = argv.slice(1);
    if (words.slice(0, 5).join(' ') === '-j -s qdisc show dev') {
      const dev = words[5];
      return isInterface(dev) ? succeed(qdiscShow(dev)) : fail(1, `Cannot find device "${dev ?? ''}"`);
    }
    const answered = network.tc(words);
    if (answered) return answered;
    const [qdisc, verb, keyword, dev, root, kind] = words;
    if (qdisc !== 'qdisc' || keyword !== 'dev' || root !== 'root')
      return fail(255, `Object "${qdisc ?? ''}" is unknown, try "tc help".`);
    if (!isInterface(dev)) return fail(1, `Cannot find device "${dev ?? ''}"`);
    if (verb === 'add' && kind === 'netem' && wires[dev].netem)
      return fail(2, 'Error: Exclusivity flag on, cannot modify.');
    if ((verb === 'replace' || verb === 'add') && kind === 'netem') return replace(dev, words.slice(6));
    if (verb === 'del') {
      if (!wires[dev].netem) return fail(2, 'Error: Cannot delete qdisc with handle of zero.');
      wires[dev].netem = undefined;
      applyNetem(dev);
      return succeed();
    }
    return fail(1, `Unknown qdisc "${kind ?? ''}", hence option "${words[6] ?? ''}" is unparsable`);
  };

  const reboot: Program = () => {
    box.reboot();
    network.reset();
    options.onPower?.('off');
    wires.eth1.up = wires.eth2.up = false;
    apply();
    sim.at(sim.nowPs + options.bootPs, () => {
      for (const dev of ['eth1', 'eth2'] as const) {
        wires[dev] = { ...wires[dev], up: true, netem: netemAsMade(dev) };
        // The fibre itself, of which netem's whole ns are a rounding.
        sim.setSpan(span.name, egress[dev], asMade[dev]);
      }
      apply();
      options.onPower?.('on');
    });
    return { stdout: '', stderr: '', code: 0, hangUp: true };
  };

  const box = linuxBox({
    ...options,
    name,
    systemd: false,
    system: {
      '/sys/class/net/eth1/address': () => `${macs.eth1}\n`,
      '/sys/class/net/eth2/address': () => `${macs.eth2}\n`,
    },
    programs: () => ({ ...network.programs, ip, tc, reboot }),
  });
  return box;
}

interface Meter {
  readonly bytes: number;
  readonly packets: number;
}

interface Reading {
  readonly rx: Meter;
  readonly tx: Meter;
}

/** Adds up counters that start again at zero when the switch they are read from reboots. */
function meter(): (now: Reading) => Reading {
  let base: Reading = { rx: { bytes: 0, packets: 0 }, tx: { bytes: 0, packets: 0 } };
  let last = base;
  const plus = (a: Meter, b: Meter): Meter => ({ bytes: a.bytes + b.bytes, packets: a.packets + b.packets });
  return now => {
    if (now.rx.packets < last.rx.packets || now.tx.packets < last.tx.packets)
      base = { rx: plus(base.rx, last.rx), tx: plus(base.tx, last.tx) };
    last = now;
    return { rx: plus(base.rx, now.rx), tx: plus(base.tx, now.tx) };
  };
}
