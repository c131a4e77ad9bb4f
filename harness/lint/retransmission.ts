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

/** The least exponent whose timeout is longer than `ns`. @throws RangeError when five bits are not enough */
export function timeoutExponent(ns: number): number {
  const exponent = Math.max(1, Math.floor(Math.log2(ns / TICK_NS)) + 1);
  if (exponent > MOST_EXPONENT) throw new RangeError(`No timeout of five bits is longer than ${ns} ns.`);
  return exponent;
}

const exponentOf = (t: number): Amount => ({ value: t, unit: 't', text: `t = ${t}` });

/** Retransmission timeout against the RTT and a full buffer on the way, the exponent that sets it, and how long a queue pair tries. */
export function retransmission(way: LongWay, settings: DeclaredSettings): readonly Judged[] {
  const { roce, bufferPerSwitch } = settings;
  const buffer = bufferPerSwitch === undefined ? undefined : magnitude(bufferPerSwitch);
  const queueNs = buffer === undefined ? undefined : (buffer * 8e9) / way.rateBps;
  const least = way.rttNs + (queueNs ?? 0);
  const exponent = timeoutExponent(least);
  const timeoutNs = roce === undefined ? undefined : magnitude(roce.retransmitTimeout);
  const wait =
    queueNs === undefined || buffer === undefined
      ? `RTT ${duration(way.rttNs).text} + queueing, which an undeclared buffer does not bound`
      : `RTT ${duration(way.rttNs).text} + a full buffer ${bytes(buffer).text} / ${bitRate(way.rateBps).text} = ${duration(least).text}`;
  const needed = moreThan(duration(least));
  const setting = {
    check: 'QP timeout exponent',
    needed: atLeast(exponentOf(exponent)),
    formula: `4.096 us x 2^${exponent} = ${duration(TICK_NS * 2 ** exponent).text} is the first above ${duration(least).text}`,
    source: TIMEOUT_SOURCE,
  };
  if (timeoutNs === undefined)
    return [
      undeclared('RoCE timeout', 'roce', { needed, formula: wait, source: TIMEOUT_SOURCE }),
      undeclared(setting.check, 'roce.retransmitTimeout', setting),
      undeclared('QP gives up after', 'roce.retries', {
        needed: null,
        formula: 'retries x timeout',
        source: TIMEOUT_SOURCE,
      }),
    ];
  // The nearest power: 16.8 ms is how people write 2^12.
  const set = Math.round(Math.log2(timeoutNs / TICK_NS));
  return [
    timeout(timeoutNs),
    {
      ...setting,
      severity: set >= exponent ? 'ok' : timeoutNs > way.rttNs ? 'warning' : 'error',
      value: exponentOf(set),
      advice: set >= exponent ? '' : `Set NCCL_IB_TIMEOUT, or the timeout of the queue pairs, to ${exponent} or more.`,
    },
    givesUp(timeoutNs),
  ];

  function timeout(declared: number): Judged {
    const about = { check: 'RoCE timeout', value: duration(declared), needed, formula: wait, source: TIMEOUT_SOURCE };
    if (declared <= way.rttNs)
      return {
        ...about,
        severity: 'error',
        advice: `Everything is sent again before its acknowledgement can be back. Set t = ${exponent} (${duration(TICK_NS * 2 ** exponent).text}) or more.`,
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
        advice: `A full buffer on the way looks like a loss, and go-back-N then sends the whole window again. Set t = ${exponent} or more.`,
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
