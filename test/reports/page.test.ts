import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from '@playwright/test';
import type { Browser, Page } from '@playwright/test';
import t from 'tap';
import { renderHtml, renderIndex } from '../../reports/index.ts';
import { sanitize } from '../../reports/index.ts';
import { sampleRun } from './sample-run.ts';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : `no Chromium at ${CHROMIUM}; set CHROMIUM to run it`;

/** Each would set `window.__xss` if it were run where it lands: element text, attributes, URLs, scripts, SVG, JSON, or a template. */
const RUN = 'window.__xss=1';
const PAYLOADS: readonly string[] = [
  `<script>${RUN}</script>`,
  `</script><script>${RUN}</script>`,
  `</SCRIPT ><sCrIpT>${RUN}</sCrIpT>`,
  `<script src="data:text/javascript,${RUN}"></script>`,
  `<script src=//127.0.0.1:9/x.js></script>`,
  `<script type=module>${RUN}</script>`,
  `<!--<script>${RUN}//-->`,
  `<!--><script>${RUN}</script>-->`,
  `--><script>${RUN}</script>`,
  `]]><script>${RUN}</script>`,
  `<img src=x onerror=${RUN}>`,
  `<img src=x onerror="${RUN}">`,
  `"><img src=x onerror=${RUN}>`,
  `'><img src=x onerror=${RUN}>`,
  `\`><img src=x onerror=${RUN}>`,
  `<img/src/onerror=${RUN}>`,
  `<img src="http://127.0.0.1:9/leak.png">`,
  `<image href=x onerror=${RUN}>`,
  `<svg onload=${RUN}>`,
  `<svg/onload=${RUN}//`,
  `</svg><svg onload=${RUN}>`,
  `</title><svg onload=${RUN}>`,
  `</text><script>${RUN}</script>`,
  `<svg><script>${RUN}</script></svg>`,
  `<svg><animate onbegin=${RUN} attributeName=x dur=1s>`,
  `<svg><a xlink:href="javascript:${RUN}"><text>x</text></a></svg>`,
  `<svg><use href="data:image/svg+xml,<svg id='x' onload='${RUN}'/>#x">`,
  `<math><mtext><img src=x onerror=${RUN}></mtext></math>`,
  `<math href="javascript:${RUN}">x</math>`,
  `<body onload=${RUN}>`,
  `<body onpageshow=${RUN}>`,
  `<iframe srcdoc="<script>parent.__xss=1</script>">`,
  `<iframe src="javascript:parent.__xss=1">`,
  `<iframe src="http://127.0.0.1:9/">`,
  `<object data="javascript:${RUN}">`,
  `<embed src="javascript:${RUN}">`,
  `<a href="javascript:${RUN}" autofocus onfocus=${RUN}>x</a>`,
  `<input autofocus onfocus=${RUN}>`,
  `" autofocus onfocus="${RUN}" x="`,
  `' autofocus onfocus='${RUN}' x='`,
  ` onmouseover=${RUN} style=position:fixed;inset:0 `,
  `<details open ontoggle=${RUN}>`,
  `<video><source onerror=${RUN}></video>`,
  `<audio src=x onerror=${RUN}>`,
  `<marquee onstart=${RUN}>`,
  `<style>@import "http://127.0.0.1:9/x.css";</style>`,
  `</style><script>${RUN}</script>`,
  `<link rel=stylesheet href="http://127.0.0.1:9/x.css">`,
  `<link rel=prefetch href="http://127.0.0.1:9/">`,
  `<meta http-equiv=refresh content="0;url=javascript:${RUN}">`,
  `<meta http-equiv=refresh content="0;url=http://127.0.0.1:9/">`,
  `<base href="http://127.0.0.1:9/">`,
  `<form action="javascript:${RUN}"><button autofocus>x`,
  `<div style="background:url(http://127.0.0.1:9/x)">`,
  `<template><script>${RUN}</script></template>`,
  `<noscript><img src=x onerror=${RUN}></noscript>`,
  `<textarea></textarea><script>${RUN}</script>`,
  `<plaintext>`,
  `<xmp><script>${RUN}</script>`,
  `&lt;script&gt;${RUN}&lt;/script&gt;`,
  `&#60;img src=x onerror=${RUN}&#62;`,
  `javascript:${RUN}`,
  `\u003cscript\u003e${RUN}\u003c/script\u003e`,
  `\\u003cscript\\u003e${RUN}\\u003c/script\\u003e`,
  `\${${RUN}}`,
  `{{constructor.constructor('${RUN}')()}}`,
  `"};${RUN};//`,
  `';${RUN};'`,
  `\u2028${RUN}\u2029`,
  `+ADw-script+AD4-${RUN}+ADw-/script+AD4-`,
  `\u0000<script>${RUN}</script>`,
  `<scr\u0000ipt>${RUN}</scr\u0000ipt>`,
  `\u001b]8;;javascript:${RUN}\u0007link\u001b]8;;\u0007`,
  `\u202e<script>${RUN}</script>`,
  `\ud800<img src=x onerror=${RUN}>\udfff`,
  `<<img src=x onerror=${RUN}>>`,
  `<dialog open><form method=dialog><button onclick=${RUN} autofocus>`,
  `__proto__`,
  `constructor`,
  `<p class="'"><img src=x onerror=${RUN}>`,
];

interface Seen {
  readonly page: Page;
  readonly complaints: string[];
  readonly dialogs: string[];
  readonly requests: string[];
}

async function watched(browser: Browser, options: Parameters<Browser['newPage']>[0] = {}): Promise<Seen> {
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 }, colorScheme: 'light', ...options });
  const seen: Seen = { page, complaints: [], dialogs: [], requests: [] };
  page.on('console', message => seen.complaints.push(message.text()));
  page.on('pageerror', error => seen.complaints.push(error.message));
  page.on('dialog', dialog => {
    seen.dialogs.push(dialog.message());
    void dialog.dismiss();
  });
  page.on('request', request => {
    if (!request.url().startsWith('data:')) seen.requests.push(request.url());
  });
  return seen;
}

t.test('the report in a browser, with its content security policy active', { skip }, async t => {
  const folder = mkdtempSync(path.join(tmpdir(), 'farspan-report-'));
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });
  t.teardown(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const write = (name: string, text: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, text);
    return pathToFileURL(file).href;
  };
  const url = write('report.html', renderHtml(sampleRun()));
  const windows = `[...document.querySelectorAll('[data-plot]')].map(f => Number(f.dataset.from) + '..' + Number(f.dataset.to))`;

  await t.test('the detector works: the same payload unescaped and without a policy runs', async t => {
    const { page } = await watched(browser);
    await page.goto(write('control.html', `<!doctype html><img src=x onerror=${RUN}>`));
    await page.waitForFunction('window.__xss === 1', undefined, { timeout: 15_000 });
    t.equal(await page.evaluate('window.__xss'), 1);
    await page.close();
  });

  await t.test('the policy works: markup that slipped past escaping still does not run', async t => {
    const { page, complaints } = await watched(browser);
    const broken = renderHtml(sampleRun(undefined, { everyMs: 50 })).replace(
      '<main id="main">',
      `<main id="main"><img src=x onerror=${RUN}><script>${RUN}</script>`,
    );
    await page.goto(write('broken.html', broken));
    t.equal(await page.evaluate('window.__xss'), undefined);
    t.ok(
      complaints.some(text => /Content Security Policy/.test(text)),
      'the browser says what it blocked',
    );
    await page.close();
  });

  await t.test('a plain report loads nothing, complains of nothing and is small', async t => {
    const seen = await watched(browser);
    await seen.page.goto(url);
    t.same(seen.complaints, []);
    t.same(seen.requests, [url]);
    t.ok(renderHtml(sampleRun()).length < 1_500_000, 'under 1.5 MB');
    await seen.page.close();
  });

  await t.test(
    `${PAYLOADS.length} payloads, each once in every place that a scenario or a device can write, run nothing`,
    async t => {
      t.ok(new Set(PAYLOADS).size >= 60, `${new Set(PAYLOADS).size} distinct payloads`);
      const places = new Set<string>();
      sampleRun((plain, where) => {
        places.add(where);
        return plain;
      });
      t.ok(places.size >= 25, `${places.size} places`);
      const order = [...places];
      const seen = await watched(browser);
      const bad: string[] = [];
      for (const shift of PAYLOADS.keys()) {
        const payloadAt = (where: string) => PAYLOADS[(order.indexOf(where) + shift) % PAYLOADS.length] as string;
        const hostile = sampleRun((plain, where) => `${payloadAt(where)}${where.endsWith('name') ? plain : ''}`, {
          everyMs: 100,
        });
        const at = write('hostile.html', renderHtml(hostile));
        seen.requests.length = 0;
        await seen.page.goto(at);
        await seen.page.evaluate(`document.querySelectorAll('details').forEach(d => { d.open = true; })`);
        await seen.page.mouse.move(600, 300);
        if ((await seen.page.evaluate('window.__xss')) !== undefined) bad.push(`ran: shift ${shift}`);
        if ((await seen.page.evaluate(`document.querySelectorAll('#plot-busbw canvas').length`)) !== 1)
          bad.push(`no plot: shift ${shift}`);
        const heading = await seen.page.evaluate(`document.querySelector('h1').textContent`);
        if (heading !== sanitize(payloadAt('scenario title')))
          bad.push(`not shown as text: shift ${shift}, ${JSON.stringify(heading)}`);
        if (seen.requests.some(request => request !== at)) bad.push(`requests: ${seen.requests.join(' ')}`);
      }
      t.same(bad, []);
      t.same(seen.complaints, []);
      t.same(seen.dialogs, []);

      const index = write(
        'index.html',
        renderIndex(
          PAYLOADS.map(payload => ({
            title: payload,
            file: payload,
            verdict: { ...sampleRun(() => payload, { everyMs: 600 }).verdict, outcome: 'error' as const },
            durationS: 1,
            report: payload,
          })),
        ),
      );
      seen.requests.length = 0;
      await seen.page.goto(index);
      t.equal(await seen.page.evaluate('window.__xss'), undefined);
      t.same(seen.complaints, []);
      t.same(seen.requests, [index]);
      t.equal(
        await seen.page.evaluate(`[...document.querySelectorAll('td a')].filter(a => a.protocol !== 'file:').length`),
        0,
        'every link stays beside the list',
      );
      t.equal(await seen.page.evaluate(`document.querySelectorAll('td a').length`), PAYLOADS.length);
      await seen.page.close();
    },
  );

  await t.test('every plot has drawn its lines, in light and in dark', async t => {
    for (const [colorScheme, ink] of [
      ['light', [0x0b, 0x62, 0xc4]],
      ['dark', [0x6d, 0xb3, 0xff]],
    ] as const) {
      const { page, complaints } = await watched(browser, { colorScheme });
      await page.goto(url);
      const counts = (await page.evaluate(`[...document.querySelectorAll('[data-plot]')].map(figure => {
        const canvas = figure.querySelector('canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let ink = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] === ${ink[0]} && data[i + 1] === ${ink[1]} && data[i + 2] === ${ink[2]} && data[i + 3] === 255) ink++;
        return { plot: figure.dataset.plot, ink };
      })`)) as readonly { plot: string; ink: number }[];
      t.same(
        counts.map(({ plot }) => plot),
        ['busbw', 'flows', 'spans', 'links', 'hosts', 'probes', 'pause', 'ecn', 'queue', 'series-queue'],
      );
      // The first line of a plot may be covered by another; busbw, flows and queue have it in the open.
      for (const { plot, ink: pixels } of counts.filter(({ plot }) => ['busbw', 'flows'].includes(plot)))
        t.ok(pixels > 50, `${plot}, ${colorScheme}: ${pixels} pixels of its first line`);
      t.same(complaints, []);
      await page.close();
    }
  });

  await t.test('zoom is one for all plots: by button, by dragging, by keyboard, and back', async t => {
    const { page } = await watched(browser);
    await page.goto(url);
    const all = async () => new Set((await page.evaluate(windows)) as readonly string[]);
    t.same(await all(), new Set(['0..1200']));

    await page.getByRole('button', { name: 'northCut' }).click();
    await page.waitForFunction(`${windows}.every(w => w === '400..800')`, undefined, { timeout: 15_000 });
    t.equal(await page.getByRole('button', { name: 'northCut' }).getAttribute('aria-pressed'), 'true');
    t.equal(await page.locator('#window').textContent(), '400 … 800 ms');

    const over = page.locator('#plot-flows .u-over');
    await over.scrollIntoViewIfNeeded();
    const box = await over.boundingBox();
    if (!box) throw new Error('the plot has no area');
    await page.mouse.move(box.x + box.width * 0.25, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.75, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(`new Set(${windows}).size === 1 && !${windows}[0].startsWith('400..')`, undefined, {
      timeout: 15_000,
    });
    const [from = 0, to = 0] = ([...(await all())][0] ?? '').split('..').map(Number);
    t.ok(Math.abs(from - 500) < 5 && Math.abs(to - 700) < 5, `the middle half of 400 … 800 is ${from} … ${to}`);

    await over.dblclick();
    await page.waitForFunction(`${windows}.every(w => w === '0..1200')`, undefined, { timeout: 15_000 });
    await page.locator('#plot-queue').focus();
    await page.keyboard.press('+');
    await page.waitForFunction(`${windows}.every(w => w === '300..900')`, undefined, { timeout: 15_000 });
    await page.keyboard.press('0');
    await page.waitForFunction(`${windows}.every(w => w === '0..1200')`, undefined, { timeout: 15_000 });
    await page.close();
  });

  await t.test('verdict, thresholds, testbed, faults and steps are there as text', async t => {
    const { page } = await watched(browser);
    await page.goto(url);
    const text = await page.locator('main').innerText();
    t.match(text, /FAIL/i);
    t.match(text, 'CLEAN — 1 injected, 1 healed, 1 verified by read-back');
    t.match(text, '161 ms ± 50 us');
    t.match(text, '≤ 50 ms');
    t.match(
      text,
      "farspan run scenarios/failover/span-cut.scenario.ts -g 'one of two spans' --world emulated --seed 90211",
    );
    t.match(text, 'informative, does not decide');
    t.match(text, 'span north cut, both ways, light lost');
    t.equal(await page.locator('#thresholds tbody tr').count(), 4);
    // 80 km x 1.4682 / 299,792,458 m/s = 391.79 us.
    t.match(await page.locator('svg.topology').textContent(), '80 km · 391.8 us one way · 400 Gb/s');

    const answer = page.locator('#steps summary', { hasText: 'show interface transceiver' });
    t.notOk(await answer.isVisible(), 'steps are closed at first');
    await page.locator('#steps summary', { hasText: 'b-spine-1' }).click();
    await answer.click();
    // 40 + 45 x 200 = 9040 bytes, of which 4000 are shown.
    t.match(await page.locator('#steps').innerText(), '5040 more bytes not shown');
    await page.close();
  });

  await t.test('the topology shows the state of the chosen phase, by mouse or keyboard', async t => {
    const { page } = await watched(browser);
    await page.goto(url);
    const broken = page.locator('.topology .layer.on .broken');
    t.equal(await broken.count(), 1, 'the first phase with a fault is shown');
    await page.locator('#instant input').nth(1).focus();
    await page.keyboard.press('ArrowLeft');
    t.equal(await broken.count(), 0, 'steady has no fault');
    t.match(await page.locator('.caption.on').innerText(), 'steady: no fault in effect.');
    await page.locator('#instant label', { hasText: 'restored' }).click();
    t.match(await page.locator('.caption.on').innerText(), 'until 1 ms into this phase');
    await page.close();
  });
});
