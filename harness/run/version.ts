import { readFileSync } from 'node:fs';

/** Farspan's version, as every record names it. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
