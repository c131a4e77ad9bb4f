/** Markup that runs in a browser when it is not escaped; no blanks, so that it stays one cell of a table. */
const MARKUP = '<img/src/onerror=window.__xss=1><svg/onload=window.__xss=1></script><script>window.__xss=1</script>';

/**
 * What a device, a scenario's author or a neighbour may write into any name: colours, a title of the terminal's window, C0 and C1, marks
 * that turn the direction of writing, separators of lines, markup.
 */
export const HOSTILE = `\u001b[35;7m\u001b]0;owned\u0007\u009b2J\u0000\u0008\u202e\u2066\u2028\u2029\ufeff${MARKUP}`;

/** The same without what ends a line for a parser of lines. */
export const HOSTILE_CELL = HOSTILE.replaceAll(/[\u2028\u2029]/g, '');

/** What must not reach a terminal: C0 but tab and newline, DEL, C1, bidirectional controls, line separators. */
// oxlint-disable-next-line no-control-regex
export const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
