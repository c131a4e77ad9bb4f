import { sanitize } from './sanitize.ts';
import type { SanitizeOptions } from './sanitize.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

/** The one way by which text enters a page: sanitized, then safe as element text and as a quoted attribute. */
export const escapeHtml = (text: string, options: SanitizeOptions = {}): string =>
  sanitize(text, options).replace(/[&<>"'`]/g, character => ENTITIES[character] ?? '');

/** Text that is already markup. Only `html` and `trusted` make one, so a plain string can not slip in unescaped. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

/** Markup from our own files (styles, scripts, escaped blocks). Never device text. */
export const trusted = (text: string): Markup => new Markup(text);

type Content = Markup | string | number | null | undefined | false | readonly Content[];

function render(content: Content): string {
  if (content instanceof Markup) return content.text;
  if (content === null || content === undefined || content === false) return '';
  if (typeof content === 'string') return escapeHtml(content);
  if (typeof content === 'number') return String(content);
  return content.map(render).join('');
}

/** Template tag: the literal parts are markup, everything put in is escaped unless it is `Markup`. */
export const html = (parts: TemplateStringsArray, ...contents: readonly Content[]): Markup =>
  new Markup(parts.reduce((text, part, i) => `${text}${render(contents[i - 1])}${part}`));
