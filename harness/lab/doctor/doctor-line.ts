import { TestbedUnavailable } from '../../binding/binding.ts';
import { DeviceError } from '../../binding/device-error.ts';
import { firstLine } from '../../binding/first-line.ts';

/** Everything that is looked at, in the order in which a report has it. */
export const DOCTOR_CHECKS = [
  'inventory',
  'clock',
  'runner',
  'journal',
  'safety',
  'health',
  'secrets',
  'reach',
  'host key',
  'login',
  'identity',
  'snmp',
  'time',
  'disk',
  'undo',
  'fence',
  'left behind',
  'cabling',
  'optics',
  'counters',
  'refresh',
  'gpu',
  'shaper',
  'versions',
] as const;

export type DoctorCheck = (typeof DOCTOR_CHECKS)[number];

/** One thing that was looked at, and what to do when it is not right. */
export interface DoctorLine {
  /** A device, or `inventory`, `clock`, `runner`, `versions`. */
  readonly subject: string;
  readonly check: DoctorCheck;
  /** Unknown is not ok. */
  readonly ok: boolean | 'unknown';
  readonly detail: string;
  /** What to do. There when not ok; beside ok it is worth knowing and needs nothing. */
  readonly fix?: string;
}

/** A line of which the device is known. */
export type Finding = Omit<DoctorLine, 'subject'>;

/** Splits an error into what happened and what to do. */
export function told(error: unknown): { readonly detail: string; readonly fix: string } {
  if (error instanceof DeviceError) return { detail: `${error.tried}: ${firstLine(error.answer)}`, fix: error.advice };
  const [detail = '', ...rest] = (error instanceof Error ? error.message : String(error)).split('\n');
  return { detail, fix: rest.join(' ').trim() || 'Correct it and run farspan doctor again.' };
}

/** What a device or a lab may do wrong; everything else is a mistake of ours and passes on. */
export const isTrouble = (error: unknown): boolean =>
  error instanceof DeviceError || error instanceof TestbedUnavailable;
