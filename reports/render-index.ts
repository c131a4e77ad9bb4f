import { cleanlinessText, sumOf } from './cleanliness-words.ts';
import { againstLimit, wallTime } from './check-words.ts';
import { html } from './escape-html.ts';
import type { Markup } from './escape-html.ts';
import type { FinishedRun } from './finished-run.ts';
import { decides, MEANING, SIGN, tally, worstOf } from './outcome-words.ts';
import { pageShell } from './page-shell.ts';
import { badge, cleanlinessPanel, toneOf } from './verdict-board.ts';

/** A relative path as a link that can not be anything but a relative path: no scheme, no host. A lone surrogate has no URL form. */
export const relativeLink = (report: string): string =>
  `./${report
    .replace(/\p{Cs}/gu, '\u{fffd}')
    .split(/[\\/]/)
    .map(encodeURIComponent)
    .join('/')}`;

function row({ title, file, verdict, durationS, report }: FinishedRun): Markup {
  const judged = verdict.checks.filter(decides);
  const missed = judged.filter(({ outcome }) => outcome !== 'pass');
  const name = html`<b>${title}</b>`;
  return html`<tr><td>${badge(verdict.outcome)}</td><td>${report === undefined ? name : html`<a href="${relativeLink(report)}">${name}</a>`}<br><span class="quiet">${file}</span>${verdict.outcome === 'pass' ? '' : html`<p class="sentence">${verdict.reason}</p>`}</td><td>${judged.length === 0 ? 'none judged' : `${judged.length - missed.length} of ${judged.length}`}${missed.map(check => html`<br><span class="quiet">${SIGN[check.outcome]} ${check.kpi} ${check.phase}: ${againstLimit(check)}</span>`)}</td><td>${cleanlinessText(verdict.cleanliness)}</td><td class="number">${verdict.seed}</td><td class="number">${wallTime(durationS)}</td></tr>`;
}

/** The list of one `farspan run`: every scenario with its outcome and a link to its report. No script at all. */
export function renderIndex(runs: readonly FinishedRun[]): string {
  const outcome = worstOf(runs);
  const counts = tally(runs.map(({ verdict }) => verdict.outcome)) || 'nothing was run';
  return pageShell({
    title: `${outcome.toUpperCase()} · ${runs.length} scenarios · Farspan`,
    body: html`<main id="main"><header class="board ${toneOf(outcome)}"><p class="label">Farspan run</p><h1>${runs.length} ${runs.length === 1 ? 'scenario' : 'scenarios'}: ${counts}</h1><div class="result"><p class="outcome"><span aria-hidden="true">${SIGN[outcome]}</span> ${outcome}</p><div><p class="quiet">${MEANING[outcome]}</p></div></div>${cleanlinessPanel(sumOf(runs.map(({ verdict }) => verdict.cleanliness)))}</header>
<section aria-label="Scenarios"><div class="scroll" tabindex="0" role="region" aria-label="Scenarios"><table><thead><tr><th scope="col">Outcome</th><th scope="col">Scenario</th><th scope="col">Thresholds met</th><th scope="col">Testbed</th><th scope="col" class="number">Seed</th><th scope="col" class="number">Took</th></tr></thead><tbody>${runs.map(row)}</tbody></table></div></section></main>
<footer><p>Farspan · end of list</p></footer>`,
  });
}
