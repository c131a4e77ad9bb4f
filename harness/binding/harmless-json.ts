/** What `JSON.stringify` writes as it is and a terminal or a reader's eye could obey: DEL and C1, bidirectional controls, line separators. */
const OBEYED = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** JSON that may be shown on a terminal: it reads back the same, with `\u009b` and its kind written as escapes. */
export const harmlessJson = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replace(
    OBEYED,
    found => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
