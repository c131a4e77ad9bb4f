import type { DeviceSurvey } from '../../drivers/device-guard.ts';
import type { Finding } from './doctor-line.ts';

/** What a device can do so that a fault is undone with nobody connected, and a holder that wakes up late has no effect. Pure. */
export function checkGuarding({ timers, fences }: Pick<DeviceSurvey, 'timers' | 'fences'>): readonly Finding[] {
  return [
    {
      check: 'undo',
      ok: true,
      detail: timers === 'systemd' ? 'timers of systemd undo faults' : 'a watchdog process undoes faults',
    },
    fences
      ? { check: 'fence', ok: true, detail: 'flock: a lease is compared and the write done under one lock' }
      : {
          check: 'fence',
          ok: true,
          detail: 'no flock: a lease can not be compared together with the write',
          fix: 'Install util-linux there. Until then, whoever takes the device over from another waits a time-to-live and 30 s.',
        },
  ];
}
