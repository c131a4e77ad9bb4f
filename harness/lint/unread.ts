import type { Judged } from './finding.ts';

/** A setting that a device did not show: unknown, whatever it is likely to be. */
export function unread(check: string, why: string): Judged {
  return {
    check,
    severity: 'unknown',
    value: null,
    needed: null,
    formula: `not read: ${why}`,
    source: 'the device itself',
    advice: 'Run the command on the device by hand.',
  };
}
