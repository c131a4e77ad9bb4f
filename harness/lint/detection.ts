import type { ControlPlaneSettings } from '../model/topology.ts';
import { type Duration, magnitude } from '../model/units.ts';
import { bitRate, bytes, counted, duration } from './amount.ts';
import { atLeast, type Judged, moreThan, undeclared } from './finding.ts';
import type { DeclaredSettings } from './linted-fabric.ts';
import type { LongWay } from './long-way.ts';

const BUDGET_SOURCE =
  'Detection + RTT / 2 + withdrawal + table update; RFC 6412 for what is lost meanwhile; RFC 5880, section 6.8.4 for BFD';
/** RFC 4271, section 4.2: a hold time is 0 or at least 3 s. */
const LEAST_HOLD_NS = 3e9;

const ns = (value: Duration | undefined): number | undefined => (value === undefined ? undefined : magnitude(value));

/** BFD's detection time, ns; undefined when interval or multiplier is not declared. */
function bfdNs({ bfdInterval, bfdMultiplier }: Partial<ControlPlaneSettings>): number | undefined {
  return bfdInterval === undefined || bfdMultiplier === undefined ? undefined : magnitude(bfdInterval) * bfdMultiplier;
}

/** How long a silent cut is an outage, ns: until BFD has seen it, the other site has heard of it and tables are written. */
export function silentOutageNs({ rttNs }: LongWay, { controlPlane = {} }: DeclaredSettings): number | undefined {
  const parts = [bfdNs(controlPlane), ns(controlPlane.bgpHop), ns(controlPlane.fibUpdate)];
  return parts.every(part => part !== undefined) ? parts.reduce((sum, part) => sum + part, rttNs / 2) : undefined;
}

/** Timers that notice a cut: BFD against the RTT, BGP's hold time, and what an outage costs. */
export function detection(way: LongWay, settings: DeclaredSettings): readonly Judged[] {
  const { controlPlane = {} } = settings;
  return [
    bfd(way, controlPlane),
    outage(way, controlPlane, 'light'),
    outage(way, controlPlane, 'silent'),
    hold(way, controlPlane),
  ];
}

function bfd({ rttNs, wanderNs }: LongWay, controlPlane: Partial<ControlPlaneSettings>): Judged {
  const needed = moreThan(duration(rttNs + wanderNs));
  const limit = `RTT ${duration(rttNs).text} + thermal wander ${duration(wanderNs).text} (50 ps/km/K x 10 K)`;
  const source = 'RFC 5880, section 6.8.4: detection time = multiplier x agreed interval';
  const detects = bfdNs(controlPlane);
  const check = 'BFD detection';
  if (detects === undefined)
    return undeclared(check, 'controlPlane.bfdInterval and bfdMultiplier', { needed, formula: limit, source });
  const slow = detects > rttNs + wanderNs;
  return {
    check,
    severity: slow ? 'ok' : 'warning',
    value: duration(detects),
    needed,
    formula: `${controlPlane.bfdMultiplier} x ${controlPlane.bfdInterval} = ${duration(detects).text} against ${limit}`,
    source,
    advice: slow
      ? ''
      : 'Asynchronous mode stays up, as its packets follow each other without an answer; echo and demand mode, and a protection path that is longer by this much, take the session down. Raise the interval or keep to asynchronous mode.',
  };
}

function outage(
  { rttNs, rateBps }: LongWay,
  controlPlane: Partial<ControlPlaneSettings>,
  how: 'light' | 'silent',
): Judged {
  const check = how === 'light' ? 'outage, light lost' : 'outage, silent cut';
  const [detects, hop, update] = [
    how === 'light' ? ns(controlPlane.lossOfLight) : bfdNs(controlPlane),
    ns(controlPlane.bgpHop),
    ns(controlPlane.fibUpdate),
  ];
  if (detects === undefined || hop === undefined || update === undefined)
    return undeclared(check, 'controlPlane (detection, bgpHop, fibUpdate)', {
      needed: null,
      formula: `detection + RTT / 2 ${duration(rttNs / 2).text} + one BGP hop + table update`,
      source: BUDGET_SOURCE,
    });
  const total = detects + rttNs / 2 + hop + update;
  return {
    check,
    severity: 'info',
    value: duration(total),
    needed: null,
    formula: `${how === 'light' ? 'loss of light' : 'BFD'} ${duration(detects).text} + RTT / 2 ${duration(rttNs / 2).text} + BGP hop ${duration(hop).text} + table ${duration(update).text}; at ${bitRate(rateBps).text} that is ${bytes((total * rateBps) / 8e9).text} lost`,
    source: BUDGET_SOURCE,
    advice: '',
  };
}

function hold({ rttNs }: LongWay, controlPlane: Partial<ControlPlaneSettings>): Judged {
  const check = 'BGP hold time';
  const least = Math.max(LEAST_HOLD_NS, 3 * rttNs);
  const about = {
    needed: atLeast(duration(least)),
    formula: `the larger of 3 s and three RTTs of ${duration(rttNs).text}: keepalives come every third of it`,
    source: 'RFC 4271, sections 4.2 and 4.4: a hold time is 0 or at least 3 s, keepalives a third of it',
  };
  const declared = ns(controlPlane.bgpHold);
  if (declared === undefined) return undeclared(check, 'controlPlane.bgpHold', about);
  const fits = declared === 0 || declared >= least;
  return {
    check,
    severity: fits ? 'ok' : 'error',
    value: declared === 0 ? counted(0, 's: no hold timer') : duration(declared),
    ...about,
    advice: fits ? '' : `A peer refuses it (RFC 4271: unacceptable hold time). Set at least ${duration(least).text}.`,
  };
}
