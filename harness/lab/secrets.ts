import { DeviceError } from '../binding/device-error.ts';

/** Below this a secret is hidden, but ordinary words may be taken for it: people are warned. */
const SHORT = 6;
/** A secret of fewer UTF-16 units than this can not be hidden: every text would be full of it. */
const SHORTEST = 4;
/** Encoded forms that are shorter than this would be found by chance. */
const SHORTEST_FORM = 6;
/** A piece of a secret at the end of a text that was cut is hidden when it is at least so long. */
const SHORTEST_PIECE = 4;
/** Nobody cuts a text that is shorter. */
const SHORTEST_CUT = 200;
const CUT_MARK = '… (';

interface Form {
  readonly text: string;
  readonly mark: string;
}

/** The characters of a base64 text that come from `bytes` alone, when so many others stand before them in a group of three. */
function base64Core(bytes: Buffer, before: 0 | 1 | 2): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}

const percent = (text: string): string =>
  encodeURIComponent(text).replaceAll(/[!'()*]/g, found => `%${found.charCodeAt(0).toString(16).toUpperCase()}`);
const lowerPercent = (text: string): string => text.replaceAll(/%[0-9A-F]{2}/g, found => found.toLowerCase());

/** A lone surrogate has no URL encoding. */
function urlForms(value: string): readonly string[] {
  if (/\p{Cs}/u.test(value)) return [];
  const plain = [encodeURIComponent(value), percent(value)];
  return [...plain, ...plain.map(text => text.replaceAll('%20', '+'))].flatMap(text => [text, lowerPercent(text)]);
}

/** How a secret may stand in a text: as it is, quoted, and in the encodings that tools and protocols use. */
function formsOf(value: string): readonly string[] {
  const bytes = Buffer.from(value, 'utf8');
  const hex = [...bytes].map(byte => byte.toString(16).padStart(2, '0'));
  const base64 = ([0, 1, 2] as const).map(before => base64Core(bytes, before));
  const encoded = [
    ...base64,
    ...base64.map(text => text.replaceAll('+', '-').replaceAll('/', '_')),
    ...urlForms(value),
    ...['', ':', ' '].flatMap(between => [hex.join(between), hex.join(between).toUpperCase()]),
    hex.map(byte => `%${byte}`).join(''),
    hex.map(byte => `%${byte.toUpperCase()}`).join(''),
    hex.map(byte => `\\x${byte}`).join(''),
    JSON.stringify(value).slice(1, -1),
    value.replaceAll("'", `'\\''`),
  ];
  return [value, ...encoded.filter(text => text.length >= SHORTEST_FORM)];
}

/** A key file leaks by the line. Its first and last line are the same for everybody. */
const partsOf = (value: string): readonly string[] => {
  const lines = value
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(line => line !== '' && !line.startsWith('-----'));
  return lines.length > 1 ? lines.filter(line => line.length >= SHORTEST_FORM) : [value.trim()];
};

/**
 * What in the text of a device is a secret whatever its value: private keys, password hashes, and the values that stand in a configuration
 * where a secret stands. Each has bounded repetitions, so that no text takes more than linear time.
 */
const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g, '‹private key›'],
  [/\$(?:1|2[aby]|5|6|7|8|9|y|gy|sha512)\$[^\s:'",]{8,256}/g, '‹password hash›'],
  [/([a-z][a-z0-9+.-]{1,20}:\/\/[^\s/@:]{0,64}:)[^\s/@]{1,256}@/gi, '$1‹secret›@'],
  [/(\bauthorization["']?\s{0,4}[:=]\s{0,4}["']?(?:basic|bearer|token)\s{1,4})[^\s"']{1,4096}/gi, '$1‹secret›'],
  [
    /(\b(?:snmp-server community|rocommunity6?|rwcommunity6?|trapcommunity)\s{1,4}(?:\d\s{1,4})?)\S{1,256}/gi,
    '$1‹secret›',
  ],
  [/(\bSNMP_COMMUNITY\|)[^\s"'|]{1,256}/g, '$1‹secret›'],
  [
    /(\b(?:password|passwd|passphrase|secret|passkey|md5|(?:tacacs|radius)-server key|authentication-key|auth-key|priv-key|pre-shared-key)\s{1,4}(?:(?:sha512|sha256|encrypted|plaintext|clear|[0-9]{1,2})\s{1,4}))[^\s"']{1,512}/gi,
    '$1‹secret›',
  ],
  [/(\bneighbor \S{1,64} password\s{1,4})[^\s"']{1,512}/gi, '$1‹secret›'],
  [
    /(["']?\b[A-Za-z0-9_.-]{0,64}(?:password|passwd|passphrase|passkey|secret|token|api_?key|access_?key|auth_?key|priv_?key|private_?key|community)["']?\s{0,4}[=:]\s{0,4}["'])[^"'\n]{1,4096}/gi,
    '$1‹secret›',
  ],
  [
    /(\b[A-Z0-9_]{0,64}(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|ACCESS_?KEY)=)[^\s"']{1,4096}/g,
    '$1‹secret›',
  ],
];

/**
 * The secrets of a lab that this process has looked up, and the one place where they are taken out of what leaves it: `‹secret NAME›`
 * stands for each, in plain, base64 (in all three alignments), URL, hex, JSON and shell form, and a word for what looks like a secret of
 * the device itself.
 *
 * What a driver parses is never passed through here: a short secret would change what the device said.
 */
export class Secrets {
  /** By their first three UTF-16 units, the longest first: a text is looked through once, however many secrets there are. */
  readonly #byHead = new Map<number, Form[]>();
  readonly #known = new Set<string>();
  readonly #short = new Set<string>();

  /** Names of secrets that are so short that ordinary words may be taken for them, or that can not be hidden at all. */
  get short(): readonly string[] {
    return [...this.#short];
  }

  /** @param name what stands in its place, such as `snmp authKey`; never the value */
  add(name: string, value: string): void {
    if (this.#known.has(value)) return;
    this.#known.add(value);
    for (const part of partsOf(value)) {
      if (part.length < SHORT) this.#short.add(name);
      if (part.length < SHORTEST) continue;
      for (const text of new Set(formsOf(part))) this.#addForm({ text, mark: `‹secret ${name}›` });
    }
  }

  #addForm(form: Form): void {
    const head = headAt(form.text, 0);
    const forms = this.#byHead.get(head) ?? [];
    forms.push(form);
    forms.sort((a, b) => b.text.length - a.text.length);
    this.#byHead.set(head, forms);
  }

  /** The text without secrets; linear in its length. A function of its own: it may be handed over. */
  readonly redact = (text: string): string => {
    if (text.length < SHORTEST) return text;
    let redacted = this.#withoutPieces(this.#withoutKnown(text));
    for (const [shape, mark] of SHAPES) redacted = redacted.replace(shape, mark);
    return redacted;
  };

  #withoutKnown(text: string): string {
    if (this.#byHead.size === 0) return text;
    let clean = '';
    let from = 0;
    for (let at = 0; at + 3 <= text.length; ) {
      const found = this.#byHead.get(headAt(text, at))?.find(form => text.startsWith(form.text, at));
      if (found === undefined) {
        at++;
        continue;
      }
      clean += text.slice(from, at) + found.mark;
      at += found.text.length;
      from = at;
    }
    return from === 0 ? text : clean + text.slice(from);
  }

  /** Somebody before us may have cut the text in the middle of a secret. */
  #withoutPieces(text: string): string {
    if (text.length < SHORTEST_CUT && !text.includes('…')) return text;
    const cut = text.lastIndexOf(CUT_MARK);
    const end = cut >= 0 ? cut : text.endsWith('…') ? text.length - 1 : text.length;
    let longest: { readonly length: number; readonly mark: string } | undefined;
    for (const forms of this.#byHead.values()) {
      for (const { text: form, mark } of forms) {
        const length = pieceAt(text, end, form);
        if (length > (longest?.length ?? SHORTEST_PIECE - 1)) longest = { length, mark };
      }
    }
    return longest ? text.slice(0, end - longest.length) + longest.mark + text.slice(end) : text;
  }

  /**
   * Plain data (objects, arrays, maps, sets, texts) with every text and every key in it redacted: the same value where there is nothing to
   * redact, else a copy. A value under `kind` is a word of ours and stays.
   */
  data<T>(value: T): T {
    return this.#clean(value) as T;
  }

  #clean(value: unknown): unknown {
    if (typeof value === 'string') return this.redact(value);
    if (Array.isArray(value))
      return (
        changed(
          value,
          value.map(item => this.#clean(item)),
        ) ?? value
      );
    if (value instanceof Map) {
      const entries = changed(
        [...value].flat(),
        [...value].flat().map(item => this.#clean(item)),
      );
      return entries ? new Map(pairs(entries)) : value;
    }
    if (value instanceof Set) {
      const items = changed(
        [...value],
        [...value].map(item => this.#clean(item)),
      );
      return items ? new Set(items) : value;
    }
    if (typeof value !== 'object' || value === null || !isPlain(value)) return value;
    const entries = Object.entries(value as Record<string, unknown>);
    const clean = changed(
      entries.flat(),
      entries.flatMap(([key, item]) => [this.redact(key), key === 'kind' ? item : this.#clean(item)]),
    );
    return clean ? Object.fromEntries(pairs(clean)) : value;
  }

  /** The same error, with message, stack, causes and a device's words redacted. */
  error<E>(error: E, seen: Set<unknown> = new Set()): E {
    if (!(error instanceof Error) || seen.has(error)) return error;
    seen.add(error);
    const words = error as unknown as Record<string, unknown>;
    const names = [
      'message',
      'stack',
      ...(error instanceof DeviceError ? ['device', 'tried', 'answer', 'advice'] : []),
    ];
    for (const name of new Set([...names, ...Object.keys(error)])) {
      const value = words[name];
      if (typeof value !== 'string') continue;
      const clean = this.redact(value);
      // Some libraries freeze what they throw.
      if (clean !== value) Object.defineProperty(error, name, { value: clean, writable: true, configurable: true });
    }
    this.error(error.cause, seen);
    if (error instanceof AggregateError) for (const one of error.errors) this.error(one, seen);
    return error;
  }

  /** What `work` gives; what it throws is redacted. */
  async guard<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.error(error);
    }
  }
}

/** Three UTF-16 units as one number. */
const headAt = (text: string, at: number): number =>
  (text.charCodeAt(at) * 0x1_0000 + text.charCodeAt(at + 1)) * 0x1_0000 + text.charCodeAt(at + 2);

/** How many units of the form's beginning stand right before `end`. */
function pieceAt(text: string, end: number, form: string): number {
  for (let length = Math.min(form.length - 1, end); length >= SHORTEST_PIECE; length--) {
    if (
      text.charCodeAt(end - 1) === form.charCodeAt(length - 1) &&
      text.startsWith(form.slice(0, length), end - length)
    )
      return length;
  }
  return 0;
}

/** The second list when it holds anything else than the first. */
const changed = (before: readonly unknown[], after: readonly unknown[]): readonly unknown[] | undefined =>
  after.some((item, i) => item !== before[i]) ? after : undefined;

const pairs = (list: readonly unknown[]): readonly (readonly [string, unknown])[] =>
  Array.from({ length: list.length / 2 }, (_, i) => [list[2 * i] as string, list[2 * i + 1]]);

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};
