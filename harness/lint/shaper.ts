import type { ShaperConfiguration, SpanBoxConfiguration } from '../model/device-configuration.ts';
import { fibreMetres } from '../model/fibre-delay.ts';
import { bitRate, counted, distance, duration, share, words } from './amount.ts';
import { atMost, exactly, type Judged } from './finding.ts';
import type { DeclaredSettings, LintedCable } from './linted-fabric.ts';
import { longWay } from './long-way.ts';
import { lossEfficiency } from './loss-efficiency.ts';
import { heldRateBps, mtuBytesOf, netemRoom } from './netem-room.ts';
import { unread } from './unread.ts';

/** A box that is this close plays the declared length: fibre plans are no more exact, and netem's clock ticks in microseconds. */
const SAME_LENGTH = 0.005;
const SAME_NS = 1000;

/** What the box of a span is set to, for each way, against the declared length and rate. */
export function shaper(
  span: LintedCable,
  { device, ways }: SpanBoxConfiguration,
  settings: DeclaredSettings,
): readonly Judged[] {
  const { forwardNs, backNs } = longWay(span);
  const reversed = span.box?.reversed === true;
  return (['a-to-b', 'b-to-a'] as const).flatMap(way => {
    const found = ways[way];
    const wantedNs = (way === 'a-to-b') === reversed ? backNs : forwardNs;
    if ('unread' in found) return [unread('netem delay', found.unread), unread('netem limit', found.unread)];
    const at = `${device} ${found.value.interface}`;
    return [
      delay(span, found.value, { at, wantedNs }),
      ...(found.value.queue === 'netem' ? [limit(span, found.value, { at, settings })] : []),
      ...lossAtRest(span, found.value, { at, settings }),
      ...others(found.value, at),
    ];
  });
}

function delay(
  { metres, name }: LintedCable,
  { delayNs, queue, interface: dev }: ShaperConfiguration,
  { at, wantedNs }: { readonly at: string; readonly wantedNs: number },
): Judged {
  const same = Math.abs(delayNs - wantedNs) <= Math.max(SAME_NS, SAME_LENGTH * wantedNs);
  const played =
    queue === 'netem'
      ? `${duration(delayNs).text}, ${distance(fibreMetres(delayNs * 1e3)).text} of fibre`
      : `queue "${queue}", no delay`;
  return {
    check: `netem delay, ${dev}`,
    severity: same ? 'ok' : 'error',
    value: duration(delayNs),
    needed: exactly(duration(wantedNs)),
    formula: `${at} plays ${played}; ${name} is declared ${distance(metres).text} = ${duration(wantedNs).text} this way`,
    source: 'tc -j -s qdisc show on the box; group index 1.4682',
    advice: same
      ? ''
      : `Set the delay of ${at} to ${duration(wantedNs).text}, or correct the length of ${name}. Whoever was there before may have left it so: farspan doctor.`,
  };
}

function limit(
  { rateBps }: LintedCable,
  { delayNs, limitPackets, interface: dev }: ShaperConfiguration,
  { at, settings }: { readonly at: string; readonly settings: DeclaredSettings },
): Judged {
  const room = netemRoom({ rateBps, delayNs }, settings);
  const check = `${room.check}, ${dev}`;
  if (limitPackets === null || room.needed === null)
    return {
      ...room,
      check,
      severity: 'unknown',
      value: null,
      advice: `${at} does not say its limit: its iproute2 may be too old for -j.`,
    };
  const enough = limitPackets >= Number(room.needed.value);
  const passed = heldRateBps({ limit: limitPackets, delayNs, mtuBytes: mtuBytesOf(settings) });
  return {
    ...room,
    check,
    severity: enough ? 'ok' : 'error',
    value: counted(limitPackets, 'packets'),
    advice: enough
      ? ''
      : `${at} passes ${bitRate(passed).text} of ${bitRate(rateBps).text} and drops the rest. Set a limit of ${room.needed.text} or more.`,
  };
}

/** Loss that is there before any fault: ours to know, as every scenario would measure it. */
function lossAtRest(
  span: LintedCable,
  { loss, interface: dev }: ShaperConfiguration,
  { at, settings }: { readonly at: string; readonly settings: DeclaredSettings },
): readonly Judged[] {
  if (loss === 0) return [];
  const [cost] = lossEfficiency(longWay(span), settings, loss);
  return [
    {
      check: `netem loss, ${dev}`,
      severity: 'error',
      value: share(loss),
      needed: atMost(share(0)),
      formula:
        cost === undefined || cost.severity === 'unknown'
          ? `${at} loses ${share(loss).text} of all packets`
          : cost.formula,
      source: 'tc -j -s qdisc show on the box',
      advice: `Nobody declares loss on this span. Take it off ${at}: farspan recover, or by hand.`,
    },
  ];
}

function others({ others: set, interface: dev }: ShaperConfiguration, at: string): readonly Judged[] {
  if (set.length === 0) return [];
  return [
    {
      check: `netem options, ${dev}`,
      severity: 'error',
      value: words(set.join(', ')),
      needed: exactly(words('none')),
      formula: `${at} also sets ${set.join(', ')}`,
      source: 'tc -j -s qdisc show on the box',
      advice:
        'Farspan sets delay, loss and limit only, and refuses to touch a box that does more. Reset it if it is yours.',
    },
  ];
}
