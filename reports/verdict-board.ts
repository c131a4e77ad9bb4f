import type { RunLine } from '../harness/model/record.ts';
import { print } from '../harness/model/units.ts';
import type { CheckVerdict, Cleanliness, GateVerdict, Outcome, RunVerdict } from '../harness/model/verdict.ts';
import { limitText, marginText, uncertaintyText, valueText, whereText } from './check-words.ts';
import { cleanlinessText, isDirty } from './cleanliness-words.ts';
import { html } from './escape-html.ts';
import type { Markup } from './escape-html.ts';
import { marginBar } from './margin-bar.ts';
import { decides, MEANING, SIGN } from './outcome-words.ts';
import type { Timeline } from './timeline.ts';

/** Class name of an outcome. */
export const toneOf = (outcome: Outcome): string => `tone-${outcome.replace(' ', '-')}`;

/** Sign and word: never colour alone. */
export const badge = (outcome: Outcome): Markup =>
  html`<span class="badge ${toneOf(outcome)}"><span aria-hidden="true">${SIGN[outcome]}</span> ${outcome}</span>`;

const RULE = {
  simple: 'simple: a value on the right side of its limit passes (w = 0, false accept up to 50 % at the limit)',
  guarded:
    'guarded: a value must be further from its limit than its uncertainty U (ILAC-G8, w = U, false accept below 2.5 %)',
} as const;

export function cleanlinessPanel(lab: Cleanliness): Markup {
  const dirty = isDirty(lab);
  return html`<div class="lab ${dirty ? 'tone-fail' : 'tone-pass'}"><p class="label">Testbed</p><p class="lab-word">${dirty ? '✗' : '✓'} ${cleanlinessText(lab)}</p>${dirty ? html`<ul>${lab.dirty.map(line => html`<li><code>${line}</code></li>`)}</ul>` : ''}</div>`;
}

/** The first screen: what came out, is the lab safe, and how to play it again. */
export function verdictBoard(verdict: RunVerdict, { run, endNs }: Timeline): Markup {
  const judged = verdict.checks.filter(decides);
  const met = judged.filter(({ outcome }) => outcome === 'pass').length;
  const facts: readonly (readonly [string, string])[] = [
    ['Thresholds met', judged.length === 0 ? 'none judged' : `${met} of ${judged.length}`],
    ['World', run?.world ?? 'not known'],
    ['Seed', String(verdict.seed)],
    ['Testbed time', print(endNs, 'duration')],
  ];
  return html`<header class="board ${toneOf(verdict.outcome)}">
    <p class="label">Farspan run report</p>
    <h1>${run?.scenario.title ?? 'a run without a record'}</h1>
    ${run ? html`<p class="why">${run.plan.why}</p>` : ''}
    <div class="result"><p class="outcome"><span aria-hidden="true">${SIGN[verdict.outcome]}</span> ${verdict.outcome}</p><div><p class="reason">${verdict.reason}</p><p class="quiet">${MEANING[verdict.outcome]}</p></div></div>
    <dl class="numbers">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${cleanlinessPanel(verdict.cleanliness)}
    <dl class="lines"><div><dt>Play it again</dt><dd><code class="copy">${verdict.replay}</code></dd></div>${run ? html`<div><dt>Scenario</dt><dd><code>${run.scenario.file}:${run.scenario.line}</code>${run.scenario.tags.map(tag => html` <span class="tag">${tag}</span>`)}</dd></div><div><dt>Decision rule</dt><dd>${RULE[run.decision]}</dd></div>` : ''}</dl>
  </header>`;
}

const samplesText = ({ samples, expectedSamples }: CheckVerdict): string =>
  expectedSamples === undefined || expectedSamples === samples
    ? `n = ${samples}`
    : `n = ${samples} of ${expectedSamples}`;

function card(check: CheckVerdict, { id, file }: { readonly id: string; readonly file: string | undefined }): Markup {
  const facts: readonly (readonly [string, string])[] = [
    ['Expected', limitText(check)],
    [
      'Measured',
      check.value === undefined
        ? valueText(check)
        : `${valueText(check)}${check.uncertainty === undefined ? ', ' : ' '}${uncertaintyText(check)}`,
    ],
    ['Margin', marginText(check)],
    ['Statistic', `${check.statistic}, ${samplesText(check)}`],
    ['Phase', check.phase],
    ...(check.band === undefined ? [] : [['Band (ILAC-G8)', check.band] as const]),
  ];
  return html`<article class="card ${toneOf(check.outcome)}"><h3>${badge(check.outcome)} ${check.title}</h3><p class="sentence">${check.reason}</p>${marginBar(check, id)}<dl class="numbers">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl><p class="quiet">at <code>${whereText(check, file)}</code></p><p class="quiet">${check.method}${check.source === undefined ? '' : ` · limit from ${check.source}`}</p></article>`;
}

const gateCard = ({ gate, outcome, title, reason }: GateVerdict): Markup =>
  html`<article class="card ${toneOf(outcome)}"><h3>${badge(outcome)} gate ${gate}: ${title}</h3><p class="sentence">${reason}</p></article>`;

/** One card for each thing that kept the run from passing. */
export function failureCards({ gates, checks }: RunVerdict, file?: string): readonly Markup[] {
  const missed = checks.filter(check => decides(check) && check.outcome !== 'pass');
  return [
    ...gates.filter(({ outcome }) => outcome !== 'pass').map(gateCard),
    ...missed.map((check, i) => card(check, { id: `card-${i}`, file })),
  ];
}

/** Every limit on one line: value against limit, margin, source. */
export function thresholdTable(checks: readonly CheckVerdict[], file?: string): Markup {
  if (checks.length === 0) return html`<p class="quiet">No threshold was judged.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Thresholds"><table class="thresholds"><thead><tr><th scope="col">Outcome</th><th scope="col">Expectation</th><th scope="col" class="number">Value</th><th scope="col" class="number">U</th><th scope="col" class="number">Limit</th><th scope="col" class="number">Margin</th><th scope="col">Statistic</th><th scope="col">Where</th></tr></thead><tbody>${checks.map(
    check =>
      html`<tr><td>${badge(check.outcome)}</td><td>${check.title}${decides(check) ? '' : html` <span class="tag">${check.kind}, does not decide</span>`}${check.source === undefined ? '' : html`<br><span class="quiet">${check.source}</span>`}</td><td class="number"><b>${valueText(check)}</b></td><td class="number">${uncertaintyText(check)}</td><td class="number">${limitText(check)}</td><td class="number">${marginText(check)}</td><td class="whole">${check.statistic}, ${samplesText(check)}</td><td class="where" title="${whereText(check, file)}">line ${check.where.line}</td></tr>`,
  )}</tbody></table></div>`;
}

export const derivation = (run: RunLine | undefined): Markup | null =>
  run?.plan.derivation === undefined
    ? null
    : html`<details class="derivation"><summary>How the limits were derived</summary><p>${run.plan.derivation}</p></details>`;

export const gateTable = (gates: readonly GateVerdict[]): Markup =>
  gates.length === 0
    ? html`<p class="quiet">No gate was judged.</p>`
    : html`<ol class="gates">${gates.map(({ gate, outcome, title, reason }) => html`<li>${badge(outcome)} <span><b>${gate}</b> — ${title}<br><span class="quiet">${reason}</span></span></li>`)}</ol>`;
