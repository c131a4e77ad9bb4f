/** Widest field: `%999999999s` must not fill this process. */
const WIDEST = 64 * 1024;
const LONGEST_TEXT = 1024 * 1024;

const LETTERS: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
};

/** Backslash sequences. In `%b` and echo an octal number starts with 0, in a format it need not; `\c` ends everything. */
function unescape(text: string, leadingZero: boolean): { readonly text: string; readonly end: boolean } {
  let end = false;
  const pattern = leadingZero
    ? /\\(?:0([0-7]{0,3})|([1-7][0-7]{0,2})|(c)[^]*|([^]))/g
    : /\\(?:([0-7]{1,3})()|()(c)[^]*|([^]))/g;
  const plain = text.replace(pattern, (...groups: (string | undefined)[]) => {
    const [whole, octal, other, stop, letter] = leadingZero
      ? groups
      : [groups[0], groups[1], undefined, undefined, groups[5] ?? groups[4]];
    if (stop !== undefined && leadingZero) {
      end = true;
      return '';
    }
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal || '0', 8) & 255);
    if (other !== undefined) return String.fromCharCode(Number.parseInt(other, 8) & 255);
    return (letter !== undefined && Object.hasOwn(LETTERS, letter) ? LETTERS[letter] : whole) ?? '';
  });
  return { text: plain, end };
}

/** `echo`: dash's reads backslash sequences, bash's does not. Both know `-n`. */
export function echoText(words: readonly string[], escapes: boolean): string {
  const quiet = words[0] === '-n';
  const line = (quiet ? words.slice(1) : words).join(' ');
  const { text, end } = escapes ? unescape(line, true) : { text: line, end: false };
  return quiet || end ? text : `${text}\n`;
}

const CONVERSION = /%(?:%|([-+ 0#]*)(\d*|\*)(?:\.(\d*|\*))?([A-Za-z]))/y;

/** `printf`: the format is used again until every argument is. `wrong` is the first complaint. */
export function printfText(
  format: string,
  given: readonly string[],
): { readonly text: string; readonly wrong: string | undefined } {
  const words = [...given];
  let at = 0;
  let text = '';
  let wrong: string | undefined;
  do {
    const before = at;
    for (let i = 0; i < format.length; ) {
      CONVERSION.lastIndex = i;
      const match = CONVERSION.exec(format);
      if (!match) {
        const next = format.indexOf('%', i + 1);
        if (format[i] === '%') return { text, wrong: `${format.slice(i, i + 2)}: invalid directive` };
        text += unescape(format.slice(i, next < 0 ? undefined : next), false).text;
        i = next < 0 ? format.length : next;
        continue;
      }
      i += match[0].length;
      const [whole, flags = '', width = '', precision, letter] = match;
      if (whole === '%%') {
        text += '%';
        continue;
      }
      const size = (word: string | undefined): number =>
        Math.min(WIDEST, Number((word === '*' ? words[at++] : word) || 0));
      const wide = size(width);
      const precise = precision === undefined ? undefined : size(precision);
      const argument = words[at++];
      const converted = convert(letter as string, argument, flags, precise);
      wrong ??= converted.wrong;
      text += pad(converted.text, wide, flags, 'diouxX'.includes(letter as string) && precise === undefined);
      if (converted.end || text.length > LONGEST_TEXT) return { text: text.slice(0, LONGEST_TEXT), wrong };
    }
    // A format without conversions would never use them up.
    if (at === before) break;
  } while (at < words.length);
  return { text, wrong };
}

function pad(text: string, width: number, flags: string, number: boolean): string {
  if (flags.includes('-')) return text.padEnd(width);
  if (!flags.includes('0') || !number) return text.padStart(width);
  const sign = /^[-+ ]/.exec(text)?.[0] ?? '';
  return sign + text.slice(sign.length).padStart(width - sign.length, '0');
}

function convert(
  letter: string,
  argument: string | undefined,
  flags: string,
  precision: number | undefined,
): { readonly text: string; readonly wrong?: string; readonly end?: boolean } {
  const word = argument ?? '';
  switch (letter) {
    case 's':
      return { text: word.slice(0, precision) };
    case 'b': {
      const { text, end } = unescape(word, true);
      return { text: text.slice(0, precision), end };
    }
    case 'c':
      return { text: word.slice(0, 1) };
    case 'd':
    case 'i':
    case 'u':
    case 'o':
    case 'x':
    case 'X':
      return integer(letter, argument, flags, precision);
    case 'f':
    case 'e':
    case 'g': {
      const value = Number(word);
      if (Number.isNaN(value)) return { text: (0).toFixed(precision ?? 6), wrong: `${word}: expected numeric value` };
      return {
        text:
          letter === 'e'
            ? value.toExponential(Math.min(100, precision ?? 6))
            : value.toFixed(Math.min(100, precision ?? 6)),
      };
    }
    default:
      return { text: '', wrong: `%${letter}: invalid directive`, end: true };
  }
}

function integer(
  letter: string,
  argument: string | undefined,
  flags: string,
  precision: number | undefined,
): { readonly text: string; readonly wrong?: string } {
  const word = argument ?? '0';
  const [, sign, digits] = /^\s*([-+]?)(0[xX][0-9a-fA-F]+|\d+)/.exec(word.slice(0, 100)) ?? [];
  const quote = /^["'](.)/.exec(word)?.[1];
  let value = 0n;
  if (quote !== undefined) value = BigInt(quote.codePointAt(0) as number);
  else if (digits !== undefined) {
    const octal = /^0[0-7]+$/.test(digits);
    value = BigInt(octal ? `0o${digits.slice(1)}` : digits.replace(/^0+(?=\d)/, '')) * (sign === '-' ? -1n : 1n);
  }
  const read = quote !== undefined || new RegExp(`^\\s*[-+]?${digits ?? ''}$`).test(word);
  const wrong =
    digits === undefined && quote === undefined
      ? `${word}: expected numeric value`
      : read
        ? undefined
        : `${word}: not completely converted`;
  const radix = letter === 'o' ? 8 : letter === 'x' || letter === 'X' ? 16 : 10;
  const shown = letter === 'd' || letter === 'i' ? BigInt.asIntN(64, value) : BigInt.asUintN(64, value);
  const magnitude = (shown < 0n ? -shown : shown).toString(radix).padStart(precision ?? 0, '0');
  const prefix = shown < 0n ? '-' : flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '';
  const alternate = flags.includes('#') && radix === 16 && shown !== 0n ? '0x' : '';
  const text = prefix + alternate + magnitude;
  return { text: letter === 'X' ? text.toUpperCase() : text, ...(wrong !== undefined && { wrong }) };
}
