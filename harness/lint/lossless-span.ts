import { pauseS } from '../model/pfc-headroom.ts';
import { magnitude } from '../model/units.ts';
import { bitRate, bytes, counted, duration, words } from './amount.ts';
import { atLeast, type Judged, undeclared } from './finding.ts';
import { HEADROOM_SOURCE, headroom } from './headroom.ts';
import type { DeclaredSettings } from './linted-fabric.ts';
import type { LongWay } from './long-way.ts';

const CLASS = 'PFC over the span';
const NEEDED = 'PFC headroom';
/** IEEE 802.1Qbb: sixteen bits. */
const MOST_QUANTA = 65_535;

/**
 * Whether the span's traffic is lossless by PFC, and whether the switch at its end can hold what is still coming after a pause. Where PFC
 * ends before the span the class is lossy there, which is a choice and no mistake.
 */
export function losslessSpan(way: LongWay, { pfc, bufferPerSwitch }: DeclaredSettings): readonly Judged[] {
  const room = headroom(way);
  const needed = atLeast(bytes(room.bytes));
  const buffer = bufferPerSwitch === undefined ? undefined : magnitude(bufferPerSwitch);
  if (pfc === undefined)
    return [undeclared(NEEDED, 'pfc (null for none)', { needed, formula: room.formula, source: HEADROOM_SOURCE })];
  if (pfc?.overSpans !== true) {
    const fits =
      buffer === undefined
        ? ''
        : room.bytes > buffer
          ? `, more than the whole buffer of ${bytes(buffer).text}`
          : ` of a buffer of ${bytes(buffer).text}`;
    return [
      {
        check: CLASS,
        severity: 'info',
        value: words('none: lossy'),
        needed: null,
        formula: `lossless would take ${room.complete ? '' : 'more than '}${bytes(room.bytes).text} a priority at each end${fits}: ${room.formula}`,
        source: HEADROOM_SOURCE,
        advice: '',
      },
    ];
  }
  return [fullEnough(), holds(way, pfc.quanta)];

  function fullEnough(): Judged {
    const declared = pfc?.headroom === undefined ? undefined : magnitude(pfc.headroom);
    const about = { check: NEEDED, formula: room.formula, source: HEADROOM_SOURCE };
    if (buffer !== undefined && room.bytes > buffer)
      return {
        ...about,
        severity: 'error',
        value: bytes(buffer),
        needed,
        formula: `${room.formula}; the whole buffer is ${bytes(buffer).text}`,
        advice:
          'PFC is not lossless at this distance with this buffer. End the lossless class before the span (pfc.overSpans false), or take a switch whose buffer holds it.',
      };
    if (declared !== undefined && declared < room.bytes)
      return {
        ...about,
        severity: 'error',
        value: bytes(declared),
        needed,
        advice: `Declare the cable's true length on the switch, or pfc.headroom of ${needed.text}: until then a pause comes too late and packets are lost.`,
      };
    if (buffer === undefined)
      return {
        ...about,
        severity: 'unknown',
        value: declared === undefined ? null : bytes(declared),
        needed,
        advice: 'Declare bufferPerSwitch: the headroom must fit into it.',
      };
    if (!room.complete)
      return {
        ...about,
        severity: 'unknown',
        value: bytes(declared ?? room.bytes),
        needed,
        advice: 'Ask the vendor for the response time to a pause at this rate.',
      };
    return { ...about, severity: 'ok', value: bytes(declared ?? room.bytes), needed, advice: '' };
  }
}

/** How long one pause frame holds against the time until its effect comes back. */
function holds({ rateBps, rttNs }: LongWay, quanta = MOST_QUANTA): Judged {
  const holdsNs = pauseS(quanta, rateBps) * 1e9;
  const refreshes = rttNs / (holdsNs / 2);
  const short = holdsNs < rttNs;
  return {
    check: 'PFC pause time',
    severity: short ? 'warning' : 'ok',
    value: duration(holdsNs),
    needed: atLeast(duration(rttNs)),
    formula: `${counted(quanta, 'quanta').text} x 512 bit / ${bitRate(rateBps).text} = ${duration(holdsNs).text}; refreshed at half of it, ${refreshes < 1 ? 'less than one refresh is' : `${Math.ceil(refreshes)} refreshes are`} on the way in one RTT of ${duration(rttNs).text}`,
    source: 'IEEE 802.1Q clause 36 (PFC): sixteen bits of quanta of 512 bit times',
    advice: short
      ? `Each pause ends before its sender can see that it worked. One lost refresh lets up to ${bytes((holdsNs / 2 / 8e9) * rateBps).text} more come than the headroom counts with.`
      : '',
  };
}
