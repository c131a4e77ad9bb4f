import type { KpiError, MeasurementError, RecordLine, Step } from '../harness/model/record.ts';
import type { RunVerdict } from '../harness/model/verdict.ts';
import { html } from './escape-html.ts';
import type { Markup } from './escape-html.ts';
import { eventList, faultTable, stepsTree } from './evidence.ts';
import { pageShell } from './page-shell.ts';
import { plotData } from './plots.ts';
import type { PlotData } from './plots.ts';
import { timelineOf } from './timeline.ts';
import { topologyDrawing } from './topology-drawing.ts';
import { accuracy, trustSection } from './trust.ts';
import { derivation, failureCards, gateTable, thresholdTable, verdictBoard } from './verdict-board.ts';

/** Everything one report is made of. */
export interface ReportedRun {
  /** The run record, in order. */
  readonly lines: readonly RecordLine[];
  readonly verdict: RunVerdict;
  /** The sidecar of commands and answers; empty in `sim`. */
  readonly steps: readonly Step[];
  /** Why there may be more of them than could be read; absent when these are all. */
  readonly stepsMissing?: string;
  /** The sidecar of facts about the machine that ran it. */
  readonly host?: Readonly<Record<string, unknown>>;
  /** Where a simulator behind the devices knows the truth. */
  readonly errors?: readonly MeasurementError[];
  readonly kpiErrors?: readonly KpiError[];
  /** Lines of `series.ndjson`, when the run wrote one. */
  readonly series?: readonly unknown[];
}

const section = (id: string, title: string, body: Markup | readonly Markup[]): Markup =>
  html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${body}</section>`;

function plotSection(data: PlotData): Markup {
  if (data.plots.length === 0) return html`<p class="quiet">The record holds no samples over time.</p>`;
  return html`<div class="zoom" role="toolbar" aria-label="Zoom of all plots"><button type="button" data-zoom="all" aria-pressed="true">Whole run</button>${data.phases.map(({ name }, i) => html`<button type="button" data-zoom="${i}" aria-pressed="false">${name}</button>`)}<output id="window"></output></div>
    <p class="quiet hint">Drag over a plot to zoom all of them, double-click to go back. Keyboard: focus a plot, then + and − zoom, ← and → move, 0 shows all. <span class="key"><i class="swatch"></i> hatched: a fault is commanded</span></p>
    ${data.plots.map(({ id, title, unit, note }) => html`<figure class="plot" id="plot-${id}" data-plot="${id}" tabindex="0" aria-label="${`${title}, ${unit}`}"><figcaption><b>${title}</b> <span class="unit">${unit}</span> <span class="quiet">${note}</span></figcaption><div class="canvas"></div></figure>`)}
    <noscript><p>Plots need the script of this page; every verdict and table here does not.</p></noscript>`;
}

/**
 * The report of one run: one HTML file, complete offline, no network, under a content security policy.
 * All text comes from scenarios and devices and is treated as hostile.
 */
export function renderHtml(reported: ReportedRun): string {
  const { lines, verdict, steps, stepsMissing, host, errors = [], kpiErrors = [], series = [] } = reported;
  const timeline = timelineOf(lines);
  const { run } = timeline;
  const data = plotData(lines, verdict, series);
  const cards = failureCards(verdict, run?.scenario.file);
  const title = run?.scenario.title ?? 'a run without a record';
  const contents: readonly (readonly [string, string, Markup | readonly Markup[]])[] = [
    ...(cards.length > 0
      ? [
          [
            'missed',
            cards.length === 1 ? 'What went wrong' : `What went wrong: ${cards.length} findings`,
            cards,
          ] as const,
        ]
      : []),
    ['thresholds', 'Thresholds', html`${thresholdTable(verdict.checks, run?.scenario.file)}${derivation(run)}`],
    ['gates', 'Gates: was the test itself sound?', gateTable(verdict.gates)],
    ['time', 'Plots: the run over time', plotSection(data)],
    ...(run ? [['topology', 'Topology', topologyDrawing(run.plan.topology, lines)] as const] : []),
    ['faults', 'Faults: injected, seen, healed, read back', faultTable(timeline)],
    ['steps', 'Steps: what was sent and what came back', stepsTree(steps, stepsMissing)],
    ['events', 'Events: what devices said by themselves', eventList(lines)],
    ...(kpiErrors.length + errors.length > 0
      ? [['errors', "Accuracy: the harness's own measurement error", accuracy(kpiErrors, errors)] as const]
      : []),
    ['trust', 'Trust: coverage, tools, machine', trustSection(lines, verdict, timeline, host)],
  ];
  const short = (heading: string) => heading.split(':')[0] ?? heading;
  return pageShell({
    title: `${verdict.outcome.toUpperCase()} · ${title}`,
    data,
    body: html`<a class="skip" href="#main">Skip to the verdict</a>
<nav aria-label="Sections"><ul>${contents.map(([id, heading]) => html`<li><a href="#${id}">${short(heading)}</a></li>`)}</ul></nav>
<main id="main">${verdictBoard(verdict, timeline)}${contents.map(([id, heading, body]) => section(id, heading, body))}</main>
<footer><p>Farspan ${run?.version ?? ''} · ${title} · seed ${verdict.seed} · end of report</p></footer>`,
  });
}
