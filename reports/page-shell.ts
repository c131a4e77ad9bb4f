import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { html, trusted } from './escape-html.ts';
import type { Markup } from './escape-html.ts';

const uplotFolder = (): string => path.dirname(createRequire(import.meta.url).resolve('uplot'));

/** Our own script or style, or uPlot's; read when a page is rendered. */
const pagePart = (name: string): string => readFileSync(path.join(import.meta.dirname, 'page', name), 'utf8');

const sourceHash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

interface Page {
  readonly title: string;
  readonly body: Markup;
  /** Data for the script, read as text and never run. Absent: a page without plots and without any script. */
  readonly data?: unknown;
  /** Ours that reads the data; default the one of a run's report. */
  readonly viewer?: 'viewer.js' | 'sweep-viewer.js';
}

/** JSON inside a script element: `<` would end it, U+2028 and U+2029 end lines in old parsers. */
const dataBlock = (data: unknown): string =>
  JSON.stringify(data).replace(
    /[<>&\u{2028}\u{2029}]/gu,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/**
 * One HTML file that loads nothing. The content security policy allows only the scripts and styles whose hashes it names,
 * so text that slipped through escaping could still not run, and string-to-code sinks are closed by Trusted Types.
 */
export function pageShell({ title, body, data, viewer = 'viewer.js' }: Page): string {
  const styles = [
    ...(data === undefined ? [] : [readFileSync(path.join(uplotFolder(), 'uPlot.min.css'), 'utf8')]),
    pagePart('report.css'),
  ];
  const scripts =
    data === undefined ? [] : [readFileSync(path.join(uplotFolder(), 'uPlot.iife.min.js'), 'utf8'), pagePart(viewer)];
  const policy = [
    "default-src 'none'",
    scripts.length === 0 ? "script-src 'none'" : `script-src ${scripts.map(sourceHash).join(' ')}`,
    `style-src ${styles.map(sourceHash).join(' ')}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
  return `${
    html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${trusted(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<link rel="icon" href="data:,">
${styles.map(style => html`<style>${trusted(style)}</style>`)}
</head>
<body>
${body}
${data === undefined ? '' : html`<script type="application/json" id="data">${trusted(dataBlock(data))}</script>`}
${scripts.map(script => html`<script>${trusted(script)}</script>`)}
</body>
</html>
`.text
  }`;
}
