/** A piece of a word. Quoted ones are neither split into fields nor taken as a pattern. */
export type Part =
  | { readonly kind: 'text'; readonly text: string; readonly quoted: boolean }
  | {
      readonly kind: 'parameter';
      readonly name: string;
      readonly quoted: boolean;
      /** `-`, `:-`, `#`, …; `length` for `${#x}`. */
      readonly operator: string | undefined;
      readonly word: Word;
    }
  | { readonly kind: 'command'; readonly body: Script; readonly quoted: boolean }
  | { readonly kind: 'arithmetic'; readonly expression: Word; readonly quoted: boolean };

export type Word = readonly Part[];

export interface Redirection {
  readonly fd: number;
  readonly operator: '>' | '>>' | '>|' | '<' | '<>' | '>&' | '<&';
  readonly target: Word;
}

export interface Assignment {
  readonly name: string;
  readonly value: Word;
}

type Compound =
  | { readonly kind: 'group' | 'subshell'; readonly body: Script }
  | {
      readonly kind: 'if';
      readonly branches: readonly { readonly when: Script; readonly body: Script }[];
      readonly otherwise: Script;
    }
  | { readonly kind: 'for'; readonly name: string; readonly words: readonly Word[] | undefined; readonly body: Script }
  | { readonly kind: 'while'; readonly until: boolean; readonly when: Script; readonly body: Script }
  | {
      readonly kind: 'case';
      readonly subject: Word;
      readonly items: readonly { readonly patterns: readonly Word[]; readonly body: Script }[];
    }
  | { readonly kind: 'function'; readonly name: string; readonly body: Command };

export type Command = { readonly redirections: readonly Redirection[]; readonly line: number } & (
  | { readonly kind: 'simple'; readonly assignments: readonly Assignment[]; readonly words: readonly Word[] }
  | Compound
);

export interface Pipeline {
  readonly negated: boolean;
  readonly commands: readonly Command[];
}

/** `a && b || c`, in the background when it ends with `&`. */
export interface AndOr {
  readonly pipelines: readonly { readonly after: '&&' | '||' | undefined; readonly pipeline: Pipeline }[];
  readonly background: boolean;
  /** As it was written. */
  readonly source: string;
}

export type Script = readonly AndOr[];

type Wrong =
  | { readonly kind: 'quote'; readonly mark: string }
  | { readonly kind: 'token'; readonly token: string; readonly expecting?: string | undefined }
  | { readonly kind: 'end'; readonly expecting?: string | undefined }
  | { readonly kind: 'other'; readonly text: string };

/** What is wrong with a script; each shell has its own words for it. */
export class ShellSyntaxError extends Error {
  readonly line: number;
  readonly wrong: Wrong;

  constructor(line: number, wrong: Wrong) {
    super(wrong.kind);
    this.line = line;
    this.wrong = wrong;
  }
}

/** Deepest nesting of compound commands and substitutions: far below what this process's stack holds. */
const DEEPEST = 100;
const BLANK = /(?:[ \t]|\\\n)*/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const OPERATOR = /&&|\|\||;;|<<|>>|>&|<&|>\||<>|[;&|<>()\n]/y;
const REDIRECTION = /(\d{0,9})(>>|>&|<&|>\||<>|<<|<|>)/y;
const RESERVED = /(?:if|then|elif|else|fi|for|while|until|do|done|case|esac|in|\{|\}|!)(?=[ \t\n;&|<>()]|$)/y;
const PLAIN = /[^ \t\n;&|<>()'"\\$`]+/y;
const PLAIN_QUOTED = /[^"\\$`]+/y;
const ENDERS: ReadonlySet<string> = new Set(['then', 'elif', 'else', 'fi', 'do', 'done', 'esac', '}']);

/** Reads a script line by line, each in time linear in its length, as sh does: what stands before a mistake is run. */
export class ShellParser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #line = 1;
  /** Where `#line` was counted up to. */
  #counted = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The commands of the next line that has any; undefined at the end. @throws ShellSyntaxError */
  next(): Script | undefined {
    for (;;) {
      this.#blanks();
      if (this.#at >= this.#text.length) return undefined;
      if (this.#text[this.#at] !== '\n') break;
      this.#at++;
    }
    const script: AndOr[] = [];
    for (;;) {
      script.push(this.#andOr());
      this.#blanks();
      if (this.#at >= this.#text.length) return script;
      if (this.#text[this.#at] === '\n') {
        this.#at++;
        return script;
      }
    }
  }

  #lineNow(): number {
    for (; this.#counted < this.#at; this.#counted++) if (this.#text[this.#counted] === '\n') this.#line++;
    return this.#line;
  }

  #wrong(wrong: Wrong): ShellSyntaxError {
    return new ShellSyntaxError(this.#lineNow(), wrong);
  }

  #unexpected(expecting?: string): ShellSyntaxError {
    this.#blanks();
    if (this.#at >= this.#text.length) return this.#wrong({ kind: 'end', expecting });
    const token = this.#peek(OPERATOR) ?? this.#peek(PLAIN) ?? (this.#text[this.#at] as string);
    return this.#wrong({ kind: 'token', token: token === '\n' ? 'newline' : token.slice(0, 100), expecting });
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > DEEPEST) throw this.#wrong({ kind: 'other', text: 'nested too deeply for this device' });
    const result = read();
    this.#depth--;
    return result;
  }

  #peek(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0];
  }

  #take(literal: string): boolean {
    if (!this.#text.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  #blanks(): void {
    this.#at += this.#peek(BLANK)?.length ?? 0;
    if (this.#text[this.#at] !== '#') return;
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = end < 0 ? this.#text.length : end;
  }

  #newlines(): void {
    for (this.#blanks(); this.#take('\n'); this.#blanks());
  }

  #reserved(): string | undefined {
    this.#blanks();
    return this.#peek(RESERVED);
  }

  #expect(word: string): void {
    this.#newlines();
    if (this.#reserved() !== word) throw this.#unexpected(word);
    this.#at += word.length;
  }

  /** Commands up to a word or bracket that ends them, which is left. At least one. */
  #body(): Script {
    const script: AndOr[] = [];
    for (;;) {
      this.#newlines();
      const next = this.#text[this.#at];
      if (next === undefined || next === ')' || this.#text.startsWith(';;', this.#at)) break;
      if (ENDERS.has(this.#reserved() ?? '')) break;
      script.push(this.#andOr());
    }
    return script;
  }

  #filled(closedBy: string): Script {
    const script = this.#body();
    if (script.length === 0) throw this.#unexpected(this.#at >= this.#text.length ? closedBy : undefined);
    return script;
  }

  #andOr(): AndOr {
    const start = this.#at;
    const pipelines: { after: '&&' | '||' | undefined; pipeline: Pipeline }[] = [];
    let after: '&&' | '||' | undefined;
    do {
      if (after !== undefined) this.#newlines();
      pipelines.push({ after, pipeline: this.#pipeline() });
      this.#blanks();
      after = this.#take('&&') ? '&&' : this.#take('||') ? '||' : undefined;
    } while (after !== undefined);
    const source = this.#text.slice(start, this.#at);
    const next = this.#text[this.#at];
    const background = next === '&';
    if (background || (next === ';' && this.#text[this.#at + 1] !== ';')) this.#at++;
    else if (next !== undefined && next !== '\n' && next !== ')' && next !== ';') throw this.#unexpected();
    return { pipelines, background, source };
  }

  #pipeline(): Pipeline {
    let negated = false;
    while (this.#reserved() === '!') {
      negated = !negated;
      this.#at++;
    }
    const commands = [this.#command()];
    for (;;) {
      this.#blanks();
      if (this.#text[this.#at] !== '|' || this.#text[this.#at + 1] === '|') return { negated, commands };
      this.#at++;
      this.#newlines();
      commands.push(this.#command());
    }
  }

  #command(): Command {
    const word = this.#reserved();
    const line = this.#lineNow();
    const compound = this.#nested(() => this.#compound(word));
    if (!compound) return this.#simple(line);
    if (compound.kind === 'function') return { ...compound, redirections: [], line };
    const redirections: Redirection[] = [];
    for (let next = this.#redirection(); next; next = this.#redirection()) redirections.push(next);
    return { ...compound, redirections, line };
  }

  #compound(word: string | undefined): Compound | undefined {
    if (this.#take('(')) {
      const body = this.#filled(')');
      this.#newlines();
      if (!this.#take(')')) throw this.#unexpected(')');
      return { kind: 'subshell', body };
    }
    if (word === undefined || word === 'in') return undefined;
    if (ENDERS.has(word) || word === '!') throw this.#unexpected();
    this.#at += word.length;
    switch (word) {
      case '{': {
        const body = this.#filled('}');
        this.#expect('}');
        return { kind: 'group', body };
      }
      case 'if':
        return this.#if();
      case 'for':
        return this.#for();
      case 'case':
        return this.#case();
      default: {
        const when = this.#filled('do');
        return { kind: 'while', until: word === 'until', when, body: this.#loopBody() };
      }
    }
  }

  #loopBody(): Script {
    this.#expect('do');
    const body = this.#filled('done');
    this.#expect('done');
    return body;
  }

  #if(): Compound {
    const branches: { when: Script; body: Script }[] = [];
    let otherwise: Script = [];
    for (;;) {
      const when = this.#filled('then');
      this.#expect('then');
      branches.push({ when, body: this.#filled('fi') });
      this.#newlines();
      const next = this.#reserved();
      if (next === 'elif') {
        this.#at += next.length;
        continue;
      }
      if (next === 'else') {
        this.#at += next.length;
        otherwise = this.#filled('fi');
      }
      this.#expect('fi');
      return { kind: 'if', branches, otherwise };
    }
  }

  #for(): Compound {
    this.#blanks();
    const name = this.#peek(NAME);
    if (name === undefined) throw this.#unexpected();
    this.#at += name.length;
    this.#newlines();
    let words: Word[] | undefined;
    if (this.#reserved() === 'in') {
      this.#at += 2;
      words = [];
      for (this.#blanks(); !this.#atEnd(); this.#blanks()) words.push(this.#word());
    }
    this.#blanks();
    this.#take(';');
    return { kind: 'for', name, words, body: this.#loopBody() };
  }

  #case(): Compound {
    this.#blanks();
    if (this.#atEnd()) throw this.#unexpected();
    const subject = this.#word();
    this.#expect('in');
    const items: { patterns: Word[]; body: Script }[] = [];
    for (;;) {
      this.#newlines();
      if (this.#reserved() === 'esac') break;
      this.#take('(');
      const patterns: Word[] = [];
      do {
        this.#blanks();
        if (this.#atEnd()) throw this.#unexpected();
        patterns.push(this.#word());
        this.#blanks();
      } while (this.#take('|'));
      if (!this.#take(')')) throw this.#unexpected();
      items.push({ patterns, body: this.#body() });
      this.#newlines();
      if (!this.#take(';;')) break;
    }
    this.#expect('esac');
    return { kind: 'case', subject, items };
  }

  #atEnd(): boolean {
    const c = this.#text[this.#at];
    return c === undefined || ' \t\n;&|<>()'.includes(c);
  }

  #redirection(): Redirection | undefined {
    this.#blanks();
    REDIRECTION.lastIndex = this.#at;
    const match = REDIRECTION.exec(this.#text);
    if (!match) return undefined;
    const [whole, number, operator] = match as unknown as [string, string, Redirection['operator'] | '<<'];
    if (operator === '<<') throw this.#wrong({ kind: 'other', text: 'here-documents are not part of this device' });
    this.#at += whole.length;
    this.#blanks();
    if (this.#atEnd()) throw this.#unexpected();
    return { fd: number === '' ? (operator.startsWith('<') ? 0 : 1) : Number(number), operator, target: this.#word() };
  }

  #simple(line: number): Command {
    const assignments: Assignment[] = [];
    const words: Word[] = [];
    const redirections: Redirection[] = [];
    for (;;) {
      const redirection = this.#redirection();
      if (redirection) {
        redirections.push(redirection);
        continue;
      }
      if (this.#atEnd()) break;
      const name = words.length === 0 ? this.#peek(NAME) : undefined;
      if (name !== undefined && this.#text[this.#at + name.length] === '=') {
        this.#at += name.length + 1;
        assignments.push({ name, value: this.#atEnd() ? [] : this.#word() });
        continue;
      }
      words.push(this.#word());
      if (words.length === 1 && name !== undefined && assignments.length === 0 && redirections.length === 0) {
        const body = this.#functionBody();
        if (body) return { kind: 'function', name, body, redirections, line };
      }
    }
    if (assignments.length + words.length + redirections.length === 0) throw this.#unexpected();
    return { kind: 'simple', assignments, words, redirections, line };
  }

  /** What follows `name ()`. */
  #functionBody(): Command | undefined {
    this.#blanks();
    if (!this.#take('(')) return undefined;
    this.#blanks();
    if (!this.#take(')')) throw this.#unexpected();
    this.#newlines();
    return this.#nested(() => this.#command());
  }

  #word(): Word {
    const parts: Part[] = [];
    while (!this.#atEnd()) {
      const c = this.#text[this.#at];
      if (c === "'") parts.push(this.#singleQuoted());
      else if (c === '"') this.#doubleQuoted(parts);
      else this.#unquoted(parts, PLAIN);
    }
    return parts;
  }

  #singleQuoted(): Part {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) throw this.#wrong({ kind: 'quote', mark: "'" });
    const text = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return { kind: 'text', text, quoted: true };
  }

  #doubleQuoted(parts: Part[]): void {
    this.#at++;
    const before = parts.length;
    while (this.#text[this.#at] !== '"') {
      if (this.#at >= this.#text.length) throw this.#wrong({ kind: 'quote', mark: '"' });
      this.#inQuotes(parts, PLAIN_QUOTED);
    }
    this.#at++;
    if (parts.length === before) parts.push({ kind: 'text', text: '', quoted: true });
  }

  /** One part inside double quotes. */
  #inQuotes(parts: Part[], plain: RegExp): void {
    const text = this.#peek(plain);
    if (text !== undefined) {
      parts.push({ kind: 'text', text, quoted: true });
      this.#at += text.length;
      return;
    }
    if (this.#text[this.#at] !== '\\') return this.#dollar(parts, true);
    const next = this.#text[this.#at + 1];
    this.#at += 2;
    if (next === '\n') return;
    parts.push({
      kind: 'text',
      text:
        next !== undefined && '$`"\\}'.includes(next) && (next !== '}' || plain !== PLAIN_QUOTED)
          ? next
          : `\\${next ?? ''}`,
      quoted: true,
    });
  }

  #unquoted(parts: Part[], plain: RegExp): void {
    const text = this.#peek(plain);
    if (text !== undefined) {
      parts.push({ kind: 'text', text, quoted: false });
      this.#at += text.length;
      return;
    }
    if (this.#text[this.#at] !== '\\') return this.#dollar(parts, false);
    const next = this.#text[this.#at + 1];
    this.#at += next === undefined ? 1 : 2;
    if (next !== '\n') parts.push({ kind: 'text', text: next ?? '\\', quoted: true });
  }

  /** `$…` or a backquote. */
  #dollar(parts: Part[], quoted: boolean): void {
    if (this.#text[this.#at] === '`') return void parts.push(this.#backquoted(quoted));
    this.#at++;
    if (this.#text.startsWith('((', this.#at)) {
      this.#at += 2;
      return void parts.push(this.#nested(() => this.#arithmetic(quoted)));
    }
    if (this.#take('(')) {
      const body = this.#nested(() => this.#body());
      this.#newlines();
      if (!this.#take(')')) throw this.#unexpected(')');
      return void parts.push({ kind: 'command', body, quoted });
    }
    if (this.#take('{')) return void parts.push(this.#nested(() => this.#braced(quoted)));
    const name = this.#peek(NAME) ?? this.#peek(/[0-9@*#?$!-]/y);
    if (name === undefined) return void parts.push({ kind: 'text', text: '$', quoted });
    this.#at += name.length;
    parts.push({ kind: 'parameter', name, quoted, operator: undefined, word: [] });
  }

  #backquoted(quoted: boolean): Part {
    let text = '';
    for (this.#at++; this.#text[this.#at] !== '`'; this.#at++) {
      if (this.#at >= this.#text.length) throw this.#wrong({ kind: 'quote', mark: '`' });
      if (this.#text[this.#at] === '\\' && '`\\$'.includes(this.#text[this.#at + 1] ?? ' ')) this.#at++;
      text += this.#text[this.#at];
    }
    this.#at++;
    return this.#nested(() => {
      const inner = new ShellParser(text);
      inner.#depth = this.#depth;
      const body: AndOr[] = [];
      for (let line = inner.next(); line; line = inner.next()) body.push(...line);
      return { kind: 'command', body, quoted };
    });
  }

  #arithmetic(quoted: boolean): Part {
    const expression: Part[] = [];
    for (let open = 0; ; ) {
      const c = this.#text[this.#at];
      if (c === undefined) throw this.#wrong({ kind: 'end' });
      if (c === ')' && open === 0 && this.#text[this.#at + 1] === ')') break;
      if (c === '(' || c === ')') {
        open += c === '(' ? 1 : -1;
        expression.push({ kind: 'text', text: c, quoted: true });
        this.#at++;
      } else if (c === '"') this.#at++;
      else this.#inQuotes(expression, /[^"\\$`()]+/y);
    }
    this.#at += 2;
    return { kind: 'arithmetic', expression, quoted };
  }

  #braced(quoted: boolean): Part {
    let length = false;
    if (this.#text[this.#at] === '#' && this.#text[this.#at + 1] !== '}') {
      length = true;
      this.#at++;
    }
    const name = this.#peek(NAME) ?? this.#peek(/[0-9]+|[@*#?$!-]/y);
    if (name === undefined) throw this.#badSubstitution();
    this.#at += name.length;
    if (length) {
      if (!this.#take('}')) throw this.#badSubstitution();
      return { kind: 'parameter', name, quoted, operator: 'length', word: [] };
    }
    const operator = this.#peek(/:?[-=?+]|%%?|##?/y);
    this.#at += operator?.length ?? 0;
    const word: Part[] = [];
    if (operator !== undefined) {
      while (this.#text[this.#at] !== '}') {
        const c = this.#text[this.#at];
        if (c === undefined) throw this.#wrong({ kind: 'quote', mark: '}' });
        // Inside double quotes a single quote is itself, except in the pattern of # and %.
        if (c === "'" && (!quoted || /[#%]/.test(operator))) word.push(this.#singleQuoted());
        else if (c === '"') this.#doubleQuoted(word);
        else if (quoted && !/[#%]/.test(operator)) this.#inQuotes(word, /[^"\\$`}]+/y);
        else this.#unquoted(word, /[^'"\\$`}]+/y);
      }
    }
    if (!this.#take('}')) throw this.#badSubstitution();
    return { kind: 'parameter', name, quoted, operator, word };
  }

  #badSubstitution(): ShellSyntaxError {
    return this.#wrong({ kind: 'other', text: 'Bad substitution' });
  }
}
