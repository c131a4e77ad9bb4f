import type { DeviceError } from '../binding/device-error.ts';
import { deviceError, excerpt } from './device-text.ts';

/** Device output that is not what it should be: what was expected, and where it went wrong. */
export class ParseError extends Error {
  override readonly name = 'ParseError';
  readonly expected: string;

  constructor(expected: string, found: string) {
    super(`not ${expected}: ${excerpt(found, 300) || 'empty'}`);
    this.expected = expected;
  }
}

/**
 * Runs a parser over the output of `tried`.
 *
 * @throws DeviceError in place of a `ParseError`, naming device and command
 */
export function parsed<T>(
  from: { readonly device: string; readonly tried: string },
  parser: (text: string) => T,
  text: string,
): T {
  try {
    return parser(text);
  } catch (cause) {
    if (cause instanceof ParseError) throw unreadable(from, cause, text);
    throw cause;
  }
}

function unreadable(
  from: { readonly device: string; readonly tried: string },
  cause: ParseError,
  text: string,
): DeviceError {
  return deviceError({
    ...from,
    answer: `${cause.message}\n${excerpt(text, 1500)}`,
    advice:
      'The device answered in a form this driver does not know. Run the command by hand; report its output with the software version.',
    cause,
  });
}

/** Objects and arrays out of JSON text. Integers beyond 2^53 come as strings of digits, so that none is rounded. @throws ParseError */
export function parseJson(text: string, expected: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return /\d{16}/.test(text) ? JSON.parse(text.replace(/([[:,]\s*)(-?\d{16,})(?=\s*[,}\]])/g, '$1"$2"')) : value;
  } catch {
    throw new ParseError(`${expected} (JSON)`, text);
  }
}

/** A plain object, not null and not an array. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
