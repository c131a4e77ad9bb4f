/** What a terminal, a log viewer or a reader's eye could obey: controls, format and bidi marks, line separators, lone surrogates, private use, unassigned. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/gu;

const visible = (character: string): string => {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
};

export interface SanitizeOptions {
  /** Line feeds and tabs stay, for text shown in a block of its own. Default: false, all on one line. */
  readonly lines?: boolean;
  /** Most UTF-16 units of the input that are shown; the rest is counted. Default 4096. */
  readonly most?: number;
}

/**
 * Text of a device as it may be shown: each ESC, C0, C1, U+202E, U+2028 and their kind becomes a visible `\x1b` or
 * `\u{202e}`, and what is too long ends with a count. Linear time. Not HTML or XML escaping; those come after it.
 */
export function sanitize(text: string, { lines = false, most = 4096 }: SanitizeOptions = {}): string {
  const kept = text.length > most ? text.slice(0, most) : text;
  const safe = kept.replace(UNSAFE, character =>
    lines && (character === '\n' || character === '\t') ? character : visible(character),
  );
  return kept === text ? safe : `${safe} … (${text.length - most} more characters not shown)`;
}
