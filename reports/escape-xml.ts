import { sanitize } from './sanitize.ts';
import type { SanitizeOptions } from './sanitize.ts';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/**
 * Text for an XML 1.0 document, in elements and in quoted attributes. Characters that XML 1.0 forbids even as references
 * (most C0, lone surrogates: section 2.2, production 2) are made visible by `sanitize`; U+FFFE and U+FFFF here.
 */
export const escapeXml = (text: string, options: SanitizeOptions = {}): string =>
  sanitize(text, options)
    .replace(/[\u{fffe}\u{ffff}]/gu, character => `\\u{${character.codePointAt(0)?.toString(16)}}`)
    .replace(/[&<>"']/g, character => ENTITIES[character] ?? '');
