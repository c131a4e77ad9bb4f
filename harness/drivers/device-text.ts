import { DeviceError } from '../binding/device-error.ts';

/** Longest piece of device output that an error or a step carries. */
const LONGEST_EXCERPT = 4000;

// CR LF; C0 but tab and newline; DEL and C1; bidirectional marks, embeddings, overrides and isolates; line and paragraph separators; lone surrogates.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
const UNSAFE =
  // oxlint-disable-next-line no-control-regex
  /\r\n|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** UTF-16 units that are escaped at once: `replace` keeps every match of a text until its end, some 100 bytes each. */
const PIECE = 64 * 1024;

function visible(found: string): string {
  if (found === '\r\n') return '\n';
  const code = found.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** The same two units are never in two pieces: CR LF, and a surrogate pair. */
function pieceEnd(text: string, from: number): number {
  const end = from + PIECE;
  if (end >= text.length) return text.length;
  return /^(?:\r\n|[\ud800-\udbff][\udc00-\udfff])$/.test(text.slice(end - 1, end + 1)) ? end + 1 : end;
}

/**
 * Text of a device, safe to print: control bytes (C0 but tab and newline, ESC, DEL, C1), bidirectional controls, line separators
 * and lone surrogates become visible escapes such as `\x1b` and `\u202e`. CR LF becomes LF. Linear time; memory of the result.
 *
 * This is the one choke point: the SSH session passes all output through it, and so do values taken out of JSON, XML and SNMP.
 */
export function escapeDeviceText(text: string): string {
  if (text.length <= PIECE) return text.replace(UNSAFE, visible);
  const pieces: string[] = [];
  for (let from = 0; from < text.length; ) {
    const end = pieceEnd(text, from);
    pieces.push(text.slice(from, end).replace(UNSAFE, visible));
    from = end;
  }
  return pieces.join('');
}

/** `escapeDeviceText`, cut to what an error or a step may carry, saying how much was left out. */
export function excerpt(text: string, longest: number = LONGEST_EXCERPT): string {
  const safe = escapeDeviceText(text.slice(0, longest + 1));
  return text.length <= longest ? safe : `${safe.slice(0, longest)}… (${text.length} characters in all)`;
}

/** One line of device text for names and facts: escaped, trimmed, at most 256 characters. */
export function label(text: string): string {
  return excerpt(text.trim(), 256).replaceAll('\n', '\\n').replaceAll('\t', ' ');
}

/** A `DeviceError` whose answer is escaped and bounded. Every driver makes its errors here. */
export function deviceError(about: {
  readonly device: string;
  readonly tried: string;
  readonly answer: string;
  readonly advice: string;
  readonly cause?: unknown;
}): DeviceError {
  return new DeviceError(
    label(about.device),
    excerpt(about.tried, 500),
    excerpt(about.answer),
    excerpt(about.advice),
    about.cause,
  );
}
