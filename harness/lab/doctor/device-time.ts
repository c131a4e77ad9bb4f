import { setTimeout as sleep } from 'node:timers/promises';
import { print } from '../../model/units.ts';
import { DATE_COMMAND, measureOffset } from '../clock-offset.ts';
import type { LabClock } from '../lab-clock.ts';
import type { Finding } from './doctor-line.ts';
import { ask, type OpenDevice } from './open-device.ts';

/** Further apart than this, its logs can not be laid beside ours by eye. Our choice; intervals are corrected for any offset. */
const FAR_NS = 1e9;
/** From a date that tells whole seconds no interval below this can be judged. */
const COARSE_NS = 1e9;

export interface DeviceTime {
  readonly offsetNs: number;
  readonly boundNs: number;
}

/** Measures how far a device's date is from the runner's, or from the virtual clock of its lab. */
export async function checkTime(
  device: OpenDevice,
  clock: LabClock,
): Promise<{ readonly finding: Finding; readonly time?: DeviceTime }> {
  const virtual = clock.kind === 'virtual';
  const zeroNs = virtual ? 0 : await clock.now();
  const found = await measureOffset({
    ask: () => ask(device, DATE_COMMAND, text => text),
    now: async () => (await clock.now()) - zeroNs,
    wait: ns => sleep(ns / 1e6),
    zeroUnixNs: virtual ? 0n : BigInt(Date.now()) * 1_000_000n,
  });
  if (found.missing !== undefined)
    return {
      finding: {
        check: 'time',
        ok: 'unknown',
        detail: found.missing,
        fix: `Run there: ${DATE_COMMAND}; timedatectl. Without its clock, intervals between this device and another have no U.`,
      },
    };
  const { offsetNs, boundNs, resolutionNs } = found;
  return { finding: judgeTime({ offsetNs, boundNs, resolutionNs, virtual }), time: { offsetNs, boundNs } };
}

/** `+0.31 ms ± 0.4 ms`. */
export const timeWords = ({ offsetNs, boundNs }: DeviceTime): string =>
  `${offsetNs < 0 ? '-' : '+'}${print(Math.abs(offsetNs), 'duration')} ± ${print(boundNs, 'duration')}`;

/** Pure. */
export function judgeTime({
  offsetNs,
  boundNs,
  resolutionNs,
  virtual,
}: DeviceTime & { readonly resolutionNs: number; readonly virtual: boolean }): Finding {
  const detail = `${timeWords({ offsetNs, boundNs })} against the ${virtual ? "lab's clock" : 'runner'}`;
  if (virtual && Math.abs(offsetNs) > boundNs)
    return {
      check: 'time',
      ok: false,
      detail,
      fix: 'This device does not keep the time of the clock service that the inventory names. Does "clock" belong to this lab?',
    };
  if (!virtual && Math.abs(offsetNs) - boundNs > FAR_NS)
    return {
      check: 'time',
      ok: false,
      detail,
      fix: "Its clock is not disciplined, or the runner's is not. Compare both: chronyc tracking. Intervals are corrected for it, logs are not.",
    };
  if (resolutionNs >= COARSE_NS)
    return {
      check: 'time',
      ok: true,
      detail,
      fix: 'Its date tells whole seconds: intervals between it and another device can not be judged below that. Install GNU date (coreutils).',
    };
  return { check: 'time', ok: true, detail };
}
