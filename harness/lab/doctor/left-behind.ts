import type { DeviceSurvey } from '../../drivers/device-guard.ts';
import type { Finding } from './doctor-line.ts';

/** A lease that lies on a device: its holder lives, it has ended, or another machine gave it. */
export type LeaseFate = 'living' | 'ended' | 'foreign';

/** What Farspan, this one or another, left on a device. Pure. */
export function checkLeftBehind(
  { lease, holder, undos, fired }: Pick<DeviceSurvey, 'lease' | 'holder' | 'undos' | 'fired'>,
  { fate, inventory }: { readonly fate: LeaseFate | undefined; readonly inventory: string },
): Finding {
  const check = 'left behind';
  const by = holder ?? lease?.lease ?? 'nobody';
  const armed = undos.length === 0 ? '' : `${undos.length} undo${undos.length === 1 ? '' : 's'} armed (${some(undos)})`;
  const recover = `farspan recover --inventory ${inventory}`;
  const failed = fired.filter(({ code }) => code !== 0);
  if (failed.length > 0)
    return {
      check,
      ok: false,
      detail: `timers ran ${some(failed.map(({ fault, code }) => `${fault} (exit code ${code})`))} and could not undo`,
      fix: `Run: ${recover}`,
    };
  if (fate === 'living') return { check, ok: true, detail: `in use by ${by}${armed === '' ? '' : `, ${armed}`}` };
  if (fate === 'foreign')
    return {
      check,
      ok: 'unknown',
      detail: `leased by ${by} of another machine${armed === '' ? '' : `, ${armed}`}`,
      fix: `Ask them. If they are gone, run: ${recover} --take-over`,
    };
  if (armed !== '') return { check, ok: false, detail: `${armed}, of ${by}, which is gone`, fix: `Run: ${recover}` };
  const ran = fired.length === 0 ? '' : `; a timer undid ${some(fired.map(({ fault }) => fault))}`;
  return {
    check,
    ok: true,
    detail: fate === 'ended' ? `the lease of ${by}, which is gone; the next run takes it over${ran}` : `nothing${ran}`,
  };
}

const some = (names: readonly string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
