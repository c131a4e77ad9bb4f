import type { Change } from '../binding/fingerprint.ts';
import type { ShaperState, SpanShaper } from '../binding/span-shaper.ts';
import { deviceError } from './device-text.ts';
import type { DeviceGuard } from './device-guard.ts';
import { safeInterface } from './linux/detached-job.ts';
import { computerReadings, fingerprintOf, LINUX_NETWORK_READINGS, linuxPutBack } from './linux/fingerprint.ts';
import { parseIpLink, parseTcQdisc } from './linux/iproute2.ts';
import { parsed } from './parse-error.ts';
import { output, type Shell, succeeded } from './ssh.ts';

type Way = 'a-to-b' | 'b-to-a';

export interface NetemSpanOptions {
  readonly name: string;
  readonly shell: Shell;
  /** Every write goes through it. */
  readonly guard: DeviceGuard;
  /** Interface towards the span's first end and towards its second. Default `eth1` and `eth2`. */
  readonly interfaces?: { readonly a: string; readonly b: string };
  /** Rate of the span: with the delay it says how many packets netem must hold. */
  readonly rateBps: number;
  /** Smallest full packet that the rate is made of. Default 1024 B, the least RoCE path MTU in use. */
  readonly mtuBytes?: number;
}

/** netem's own default queue, packets (tc-netem(8)): too short for a long fibre. */
const NETEM_DEFAULT_LIMIT = 1000;
/** Delay as the kernel stores it is exact to 1 ns; loss is a share of 2^32. This is far above both. */
const DELAY_TOLERANCE_NS = 1000;
const LOSS_TOLERANCE = 1e-6;

/**
 * Packets that netem must be able to hold: twice rate x delay / MTU, and never below its default. With the default of 1000 packets a
 * delay of 5 ms would cap 1500 B packets at 2.4 Gb/s.
 */
export function netemLimit(options: {
  readonly rateBps: number;
  readonly delayNs: number;
  readonly mtuBytes: number;
}): number {
  const inFlight = (options.rateBps * options.delayNs) / 1e9 / 8 / options.mtuBytes;
  return Math.max(NETEM_DEFAULT_LIMIT, Math.ceil(2 * inFlight));
}

/** `1234.5us`; whole ns, no exponent. */
const microseconds = (ns: number): string => `${trimmed((ns / 1000).toFixed(3))}us`;
const trimmed = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);

/** The one command that sets delay and loss of one interface's egress. What it does not name it resets, so it names everything. */
export function impairmentCommand(options: {
  readonly device: string;
  readonly delayNs: number;
  readonly loss: number;
  readonly limitPackets: number;
}): string {
  const { delayNs, loss, limitPackets } = options;
  if (!(delayNs >= 0 && delayNs <= 60e9)) throw new RangeError(`A delay of ${delayNs} ns is not between 0 and 60 s.`);
  if (!(loss >= 0 && loss <= 1)) throw new RangeError(`A loss of ${loss} is no fraction of 1.`);
  const share = loss === 0 ? '' : ` loss ${trimmed((loss * 100).toFixed(6))}%`;
  return `tc qdisc replace dev ${safeInterface(options.device)} root netem limit ${limitPackets} delay ${microseconds(delayNs)}${share}`;
}

const IMPAIRMENT = String.raw`tc qdisc replace dev [A-Za-z][\w.-]{0,14} root netem limit \d{1,10} delay [\d.]{1,20}us( loss [\d.]{1,12}%)?`;
const LIGHT = String.raw`ip link set dev [A-Za-z][\w.-]{0,14} (up|down)`;
const STEP = `(${IMPAIRMENT}|${LIGHT})(;(${IMPAIRMENT}|${LIGHT}))*`;

/** Everything that this driver may write. */
export const SPAN_WRITES: readonly RegExp[] = [
  new RegExp(`^(${IMPAIRMENT}|${LIGHT})$`),
  /^tc qdisc del dev [A-Za-z][\w.-]{0,14} root 2> \/dev\/null \|\| true$/,
  new RegExp(String.raw`^sh -c 'while :; do ${STEP}; sleep [\d.]{1,20}; ${STEP}; sleep [\d.]{1,20}; done'$`),
];

/** Puts delay, loss and queue of one egress back as they were found: what we put there goes, what was there comes back. */
export function restoreCommand(
  device: string,
  { queue, delayNs, loss }: Pick<ShaperState, 'queue' | 'delayNs' | 'loss'>,
): string {
  // Without a netem of its own the interface had the kernel's default, which is back when ours is deleted; none to delete is no failure.
  if (queue.kind !== 'netem') return `tc qdisc del dev ${safeInterface(device)} root 2> /dev/null || true`;
  return impairmentCommand({ device, delayNs, loss, limitPackets: queue.limitPackets ?? NETEM_DEFAULT_LIMIT });
}

/** Puts one value of a span box back: netem as a whole, all else as on any Linux box. @see Fingerprinted.putBack */
function spanPutBack(change: Change): string | undefined {
  const { section, key = '', was } = change;
  const device = /^([A-Za-z][\w.-]{0,14}) root$/.exec(key)?.[1];
  if (section !== 'qdiscs' || device === undefined || typeof was !== 'string' || !was.startsWith('netem '))
    return linuxPutBack(change);
  try {
    const options: unknown = JSON.parse(was.slice('netem '.length));
    const { kind, others, limitPackets, delayNs, loss } = parseTcQdisc(
      JSON.stringify([{ kind: 'netem', root: true, options }]),
    );
    if (others.length > 0) return undefined;
    return restoreCommand(device, { queue: { kind, limitPackets }, delayNs, loss });
  } catch {
    // A text that was too long to be kept whole, or a model of loss that we never set.
    return undefined;
  }
}

/** Light of one interface. */
export function lightCommand(device: string, state: 'on' | 'off'): string {
  return `ip link set dev ${safeInterface(device)} ${state === 'on' ? 'up' : 'down'}`;
}

/** The loop with which the box flaps by itself: down first. @throws RangeError when it is not down for a part of the period */
export function flapProgram(options: {
  readonly everyNs: number;
  readonly downNs: number;
  readonly down: readonly string[];
  readonly up: readonly string[];
}): string {
  const { everyNs, downNs, down, up } = options;
  if (!(downNs > 0 && everyNs > downNs))
    throw new RangeError(`A flap every ${everyNs} ns can not be down for ${downNs} ns.`);
  const seconds = (ns: number): string => trimmed((ns / 1e9).toFixed(9));
  return `sh -c 'while :; do ${down.join(';')}; sleep ${seconds(downNs)}; ${up.join(';')}; sleep ${seconds(everyNs - downNs)}; done'`;
}

/** A Linux box with two interfaces that is a fibre: netem delays and drops at each egress, `ip link` takes the light. */
export function netemSpan(options: NetemSpanOptions): SpanShaper {
  const { name, shell, guard, rateBps, mtuBytes = 1024 } = options;
  const { a, b } = options.interfaces ?? { a: 'eth1', b: 'eth2' };
  // Egress towards the far end: what enters at the first end leaves at the second.
  const egress = (way: Way): string => safeInterface(way === 'a-to-b' ? b : a);
  const ask = async <T>(command: string, parser: (text: string) => T): Promise<T> =>
    parsed({ device: name, tried: command }, parser, await output(shell, command));

  const send = async (command: string): Promise<void> => void succeeded(name, command, await guard.write(command));

  const both = async (way: Way) => {
    const device = egress(way);
    const [link, qdisc] = await Promise.all([
      ask(`ip -j -s link show dev ${device}`, parseIpLink),
      ask(`tc -j -s qdisc show dev ${device}`, parseTcQdisc),
    ]);
    return { link, qdisc };
  };

  const read = async (way: Way): Promise<ShaperState> => {
    const { link, qdisc } = await both(way);
    const light = link.flags.includes('UP') && link.operstate !== 'DOWN' && link.operstate !== 'LOWERLAYERDOWN';
    const limit = qdisc.limitPackets === null ? '' : ` limit ${qdisc.limitPackets}`;
    return {
      light,
      delayNs: qdisc.delayNs,
      loss: qdisc.loss,
      queue: { kind: qdisc.kind, limitPackets: qdisc.limitPackets },
      raw: `${link.name} ${link.operstate}, ${qdisc.kind}${limit} delay ${microseconds(qdisc.delayNs)} loss ${trimmed((qdisc.loss * 100).toFixed(6))}%`,
    };
  };

  /** One command for delay and loss. A longer queue that was found is kept, so that putting values back puts all back. */
  const command = async (
    way: Way,
    { delayNs, loss }: { readonly delayNs: number; readonly loss: number },
  ): Promise<string> => {
    const { qdisc } = await both(way);
    const enough = netemLimit({ rateBps, delayNs, mtuBytes });
    const found = qdisc.kind === 'netem' ? (qdisc.limitPackets ?? 0) : 0;
    const made = impairmentCommand({ device: egress(way), delayNs, loss, limitPackets: Math.max(enough, found) });
    if (qdisc.others.length > 0) {
      throw deviceError({
        device: name,
        tried: made,
        answer: `not sent: netem also sets ${qdisc.others.join(', ')} there, and this command would reset that`,
        advice:
          'Somebody else uses this box, or a test was left behind. Reset it by hand if it is yours: tc qdisc replace … netem.',
      });
    }
    return made;
  };

  const setImpairment: SpanShaper['setImpairment'] = async (way, impairment) => {
    const tried = await command(way, impairment);
    await send(tried);
    const now = await read(way);
    // Emulators clamp silently: what was asked for is not what is set until it was read back.
    if (
      Math.abs(now.delayNs - impairment.delayNs) > DELAY_TOLERANCE_NS ||
      Math.abs(now.loss - impairment.loss) > LOSS_TOLERANCE
    ) {
      throw deviceError({
        device: name,
        tried,
        answer: `it reads back as ${now.raw}`,
        advice: 'The box did not take the value. Check its limits and that its kernel has sch_netem.',
      });
    }
  };

  const setLight: SpanShaper['setLight'] = async (way, state) => {
    await send(lightCommand(egress(way), state));
  };

  return {
    name,
    fingerprint: () => fingerprintOf({ shell, guard }, [...LINUX_NETWORK_READINGS, ...computerReadings()]),
    putBack: spanPutBack,
    read,
    counters: async way => {
      const { link, qdisc } = await both(way);
      // noqueue counts nothing; the interface does.
      const counted =
        qdisc.kind === 'netem' ? qdisc : { packets: link.txPackets, bytes: link.txBytes, drops: link.txDropped };
      const { packets, bytes, drops } = counted;
      if (packets === null || bytes === null || drops === null) {
        throw deviceError({
          device: name,
          tried: `tc -j -s qdisc show dev ${egress(way)}`,
          answer: 'no counters',
          advice: 'The iproute2 there is too old for -j -s; 5.0 or later is needed.',
        });
      }
      return { packets, bytes, dropped: drops };
    },
    setLight,
    setImpairment,
    flap: async ({ everyNs, downNs, light, job }) => {
      const ways: readonly Way[] = ['a-to-b', 'b-to-a'];
      const found = await Promise.all(ways.map(read));
      const each = (make: (way: Way, was: ShaperState) => string | Promise<string>): Promise<readonly string[]> =>
        Promise.all(ways.map(async (way, i) => make(way, found[i] as ShaperState)));
      const lost = light === 'lost';
      const down = await each((way, was) =>
        lost ? lightCommand(egress(way), 'off') : command(way, { delayNs: was.delayNs, loss: 1 }),
      );
      const up = await each((way, was) => (lost ? lightCommand(egress(way), 'on') : command(way, was)));
      await guard.startJob(flapProgram({ everyNs, downNs, down, up }), '/dev/null', { fault: job });
    },
    close: () => shell.close(),
  };
}
