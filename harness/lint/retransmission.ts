import { magnitude } from '../model/units.ts';
import { type Amount, bitRate, bytes, duration } from './amount.ts';
import { silentOutageNs } from './detection.ts';
import { atLeast, type Judged, moreThan, undeclared } from './finding.ts';
import type { DeclaredSettings } from './linted-fabric.ts';
import type { LongWay } from './long-way.ts';

/** InfiniBand's local ACK timeout is 4.096 us x 2^t, t of five bits. */
const TICK_NS = 4096;
const MOST_EXPONENT = 31;
/** Three bits. */
const MOST_RETRIES = 7;
const TIMEOUT_SOURCE = 'InfiniBand Architecture Specification, volume 1, local ACK timeout: 4.096 us x 2^t';

/** The least exponent whose timeout is longer than `ns`; undefined when five bits are not enough. */
export function timeoutExponent(ns: number): number | undefined {
  const exponent = Math.max(1, Math.floor(Math.log2(ns / TICK_NS)) + 1);
  return exponent > MOST_EXPONENT ? undefined : exponent;
}

/** `4.096 us x 2^14 = 67.11 ms`. */
const setting = (t: number): string => `4.096 us x 2^${t} = ${duration(TICK_NS * 2 ** t).text}`;

const exponentOf = (t: number): Amount => ({ value: t, unit: 't', text: `t = ${t}` });

/** Retransmission timeout against the RTT and a full buffer on the way, the exponent that sets it, and how long a queue pair tries. */
export function retransmission(way: LongWay, settings: DeclaredSettings): readonly Judged[] {
  const { roce, bufferPerSwitch } = settings;
  const buffer = bufferPerSwitch === undefined ? undefined : magnitude(bufferPerSwitch);
  const queueNs = buffer === undefined ? undefined : (buffer * 8e9) / way.rateBps;
  const least = way.rttNs + (queueNs ?? 0);
  const exponent = timeoutExponent(least);
  const raise =
    exponent === undefined
      ? 'No t is long enough: shorten the way.'
      : `Set t = ${exponent} or more: ${setting(exponent)}.`;
  const timeoutNs = roce === undefined ? undefined : magnitude(roce.retransmitTimeout);
  const wait =
    queueNs === undefined || buffer === undefined
      ? `RTT ${duration(way.rttNs).text} + queueing, which an undeclared buffer does not bound`
      : `RTT ${duration(way.rttNs).text} + a full buffer ${bytes(buffer).text} / ${bitRate(way.rateBps).text} = ${duration(least).text}`;
  const needed = moreThan(duration(least));
  const aboutExponent = {
    check: 'QP timeout exponent',
    needed: exponent === undefined ? null : atLeast(exponentOf(exponent)),
    formula:
      exponent === undefined
        ? `no t of five bits lasts longer than ${duration(least).text}`
        : `${setting(exponent)} is the first above ${duration(least).text}`,
    source: TIMEOUT_SOURCE,
  };
  if (timeoutNs === undefined)
    return [
      undeclared('RoCE timeout', 'roce', { needed, formula: wait, source: TIMEOUT_SOURCE }),
      undeclared(aboutExponent.check, 'roce.retransmitTimeout', aboutExponent),
      undeclared('QP gives up after', 'roce.retries', {
        needed: null,
        formula: 'retries x timeout',
        source: TIMEOUT_SOURCE,
      }),
    ];
  // The nearest power: 16.8 ms is how people write 2^12.
  const set = Math.round(Math.log2(timeoutNs / TICK_NS));
  const fits = exponent !== undefined && set >= exponent;
  return [
    timeout(timeoutNs),
    {
      ...aboutExponent,
      severity: fits ? 'ok' : timeoutNs > way.rttNs ? 'warning' : 'error',
      value: exponentOf(set),
      advice: fits ? '' : `${raise} It is NCCL_IB_TIMEOUT, or the timeout of the queue pairs.`,
    },
    givesUp(timeoutNs),
  ];

  function timeout(declared: number): Judged {
    const about = { check: 'RoCE timeout', value: duration(declared), needed, formula: wait, source: TIMEOUT_SOURCE };
    if (declared <= way.rttNs)
      return {
        ...about,
        severity: 'error',
        advice: `Everything is sent again before its acknowledgement can be back. ${raise}`,
      };
    if (queueNs === undefined)
      return {
        ...about,
        severity: 'unknown',
        advice: 'Declare bufferPerSwitch: a full queue on the way adds to the RTT.',
      };
    if (declared <= least)
      return {
        ...about,
        severity: 'warning',
        advice: `A full buffer on the way looks like a loss, and go-back-N then sends the whole window again. ${raise}`,
      };
    return { ...about, severity: 'ok', advice: '' };
  }

  function givesUp(each: number): Judged {
    const outage = silentOutageNs(way, settings);
    const retries = roce?.retries;
    const total = (retries ?? MOST_RETRIES) * each;
    const about = {
      check: 'QP gives up after',
      needed: outage === undefined ? null : moreThan(duration(outage)),
      formula: `${retries ?? MOST_RETRIES} retries${retries === undefined ? " (InfiniBand's most, three bits)" : ''} x ${duration(each).text} = ${duration(total).text}${outage === undefined ? '' : ` against a silent cut's outage of ${duration(outage).text}`}`,
      source: `${TIMEOUT_SOURCE}; retry count of three bits`,
    };
    if (retries === undefined) return undeclared(about.check, 'roce.retries', about);
    if (outage === undefined)
      return {
        ...about,
        severity: 'unknown',
        value: duration(total),
        advice: 'Declare controlPlane: how long an outage lasts is not known.',
      };
    return {
      ...about,
      severity: total > outage ? 'ok' : 'error',
      value: duration(total),
      advice:
        total > outage
          ? ''
          : 'The queue pair goes to its error state, and the job with it, before the fabric has healed. Raise retries or t.',
    };
  }
}
