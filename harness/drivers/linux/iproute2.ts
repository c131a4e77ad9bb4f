import { escapeDeviceText } from '../device-text.ts';
import { isRecord, ParseError, parseJson } from '../parse-error.ts';

export interface LinkState {
  readonly name: string;
  readonly flags: readonly string[];
  /** `UP`, `DOWN`, `UNKNOWN`, … */
  readonly operstate: string;
  readonly mtuBytes: number | null;
  readonly rxBytes: bigint | null;
  readonly rxPackets: bigint | null;
  readonly rxDropped: bigint | null;
  readonly txBytes: bigint | null;
  readonly txPackets: bigint | null;
  readonly txDropped: bigint | null;
}

export interface QdiscState {
  /** `netem`, `noqueue`, `fq_codel`, … */
  readonly kind: string;
  readonly delayNs: number;
  /** Fraction of 1. */
  readonly loss: number;
  readonly limitPackets: number | null;
  /** What else netem is set to do there, by iproute2's names: jitter, duplicate, reorder, corrupt, rate, slot. */
  readonly others: readonly string[];
  readonly bytes: bigint | null;
  readonly packets: bigint | null;
  readonly drops: bigint | null;
}

const count = (value: unknown): bigint | null => {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : null;
};

/** `ip -j -s link show dev NAME`. @throws ParseError */
export function parseIpLink(text: string): LinkState {
  const expected = 'ip -j -s link show';
  const links = parseJson(text, expected);
  const link = Array.isArray(links)
    ? (links as readonly unknown[]).find(entry => isRecord(entry) && typeof entry['ifname'] === 'string')
    : undefined;
  if (!isRecord(link)) throw new ParseError(`${expected}: one link`, text);
  const { ifname, flags, operstate, mtu, stats64, stats } = link;
  if (typeof operstate !== 'string' || !Array.isArray(flags))
    throw new ParseError(`${expected}: operstate and flags`, text);
  const both = isRecord(stats64) ? stats64 : isRecord(stats) ? stats : {};
  const [rx, tx] = [both['rx'], both['tx']].map(way => (isRecord(way) ? way : {}));
  return {
    name: escapeDeviceText(String(ifname)),
    flags: (flags as readonly unknown[]).map(flag => escapeDeviceText(String(flag))),
    operstate: escapeDeviceText(operstate),
    mtuBytes: typeof mtu === 'number' && Number.isSafeInteger(mtu) ? mtu : null,
    rxBytes: count(rx?.['bytes']),
    rxPackets: count(rx?.['packets']),
    rxDropped: count(rx?.['dropped']),
    txBytes: count(tx?.['bytes']),
    txPackets: count(tx?.['packets']),
    txDropped: count(tx?.['dropped']),
  };
}

/**
 * The root queueing discipline out of `tc -j -s qdisc show dev NAME`. Netem's delay is in seconds there and its loss a fraction of 1
 * (iproute2, tc/q_netem.c), unlike in its text form. Models of loss other than `random` are refused: they would read as no loss.
 *
 * @throws ParseError
 */
export function parseTcQdisc(text: string): QdiscState {
  const expected = 'tc -j -s qdisc show';
  const all = parseJson(text, expected);
  const root = Array.isArray(all)
    ? (all as readonly unknown[]).find(entry => isRecord(entry) && entry['root'] === true)
    : undefined;
  if (!isRecord(root) || typeof root['kind'] !== 'string') throw new ParseError(`${expected}: a root qdisc`, text);
  const options = isRecord(root['options']) ? root['options'] : {};
  const kind = escapeDeviceText(root['kind']);
  if (kind === 'netem' && (options['loss-state'] !== undefined || options['loss-gemodel'] !== undefined)) {
    throw new ParseError(`${expected}: netem without a loss model`, text);
  }
  const part = (name: string, key: string): number => {
    const found = options[name];
    if (found === undefined || kind !== 'netem') return 0;
    const value = isRecord(found) ? found[key] : undefined;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      throw new ParseError(`${expected}: a ${name}`, text);
    return value;
  };
  const others =
    kind === 'netem' ? ['duplicate', 'reorder', 'corrupt', 'rate', 'slot'].filter(name => isRecord(options[name])) : [];
  if (
    kind === 'netem' &&
    isRecord(options['delay']) &&
    options['delay']['jitter'] !== undefined &&
    options['delay']['jitter'] !== 0
  )
    others.push('jitter');
  const limit = options['limit'];
  return {
    kind,
    delayNs: Math.round(part('delay', 'delay') * 1e9),
    loss: Math.min(1, part('loss-random', 'loss')),
    limitPackets: typeof limit === 'number' && Number.isSafeInteger(limit) ? limit : null,
    others,
    bytes: count(root['bytes']),
    packets: count(root['packets']),
    drops: count(root['drops']),
  };
}
