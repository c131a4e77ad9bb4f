import type { Vouched } from '../binding/switch.ts';

interface Seen {
  readonly vouched: Vouched;
  /** When, by the lab's clock, ns. */
  readonly atNs: number;
}

/** TimeTicks wrap after 2^32 hundredths of a second: 497 days. */
const WRAP_TICKS = 2 ** 32;
const TICK_NS = 1e7;
/** Agents round, and some keep sysUpTime by a clock that is set while they run. */
const GRACE_TICKS = 100;
/** Clocks of lab and device, generously: NTP slews by 500 ppm. */
const CLOCKS = 0.01;
/** Two answers of one moment may be a tick apart each way. */
const ROUNDING_TICKS = 2;

/**
 * Whether the agent, and with it what it counts, started anew between two readings. snmpEngineBoots says so where it is told. Else sysUpTime
 * does: it must be what it was plus the time that passed, counted round its wrap. So a wrap is no restart, and a restart long ago,
 * after which sysUpTime has passed its old value, is one.
 *
 * @param bracketNs what both readings took together: how far their instants may be off
 * @returns why, in words; undefined when it went on
 */
export function restarted({
  before,
  now,
  bracketNs,
}: {
  readonly before: Seen;
  readonly now: Seen;
  readonly bracketNs: number;
}): string | undefined {
  const [then, since] = [before.vouched, now.vouched];
  if (then.boots !== null && since.boots !== null && then.boots !== since.boots)
    return `snmpEngineBoots was ${then.boots} and is ${since.boots}`;
  const passed = Math.max(0, now.atNs - before.atNs) / TICK_NS;
  const bracket = bracketNs / TICK_NS;
  // By how much sysUpTime is ahead of what it should be, from half a wrap behind to half a wrap ahead.
  const ahead = wrapped(since.upTicks - then.upTicks - passed);
  const back = wrapped(since.upTicks - then.upTicks);
  const fits = Math.abs(ahead) <= GRACE_TICKS + CLOCKS * passed + bracket && back >= -(ROUNDING_TICKS + bracket);
  return fits ? undefined : `sysUpTime was ${seconds(then)} and is ${seconds(since)}`;
}

const wrapped = (ticks: number): number => ticks - WRAP_TICKS * Math.round(ticks / WRAP_TICKS);

const seconds = ({ upTicks }: Vouched): string => `${upTicks / 100} s`;
