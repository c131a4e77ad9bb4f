import type { SweepCell, SweepHead } from '../harness/model/sweep.ts';
import { print } from '../harness/model/units.ts';
import { html } from './escape-html.ts';
import type { Markup } from './escape-html.ts';
import { MEANING, SIGN, tally } from './outcome-words.ts';
import { pageShell } from './page-shell.ts';
import { relativeLink } from './render-index.ts';
import { sanitize } from './sanitize.ts';
import { SCENARIO, sweepFigures } from './sweep-figures.ts';
import type { SweepFigure, SweepRequest, SweepStop } from './sweep-figures.ts';
import { toneOf } from './verdict-board.ts';
import { OUTCOMES } from '../harness/model/verdict.ts';

export interface SweepPage {
  readonly head: SweepHead;
  /** Those that are shown. */
  readonly cells: readonly SweepCell[];
  readonly request: SweepRequest;
  /** What was held: path to value. */
  readonly where: Readonly<Record<string, string>>;
  /** From the page's folder to the sweep's, with forward slashes; empty for the same. */
  readonly toSweep: string;
}

const round = (value: number): number => Number(value.toPrecision(6));
const scaled = (value: number | undefined, scale: number): number | null =>
  value === undefined || !Number.isFinite(value) ? null : round(value / scale);

const titleOf = ({ kpi, phase, statistic }: SweepFigure): string => `${kpi} during ${phase}, ${statistic}`;
const axisTitle = ({ path, unit }: SweepFigure['axis']): string => (unit === '' ? path : `${path} (${unit})`);

/** As the page's script draws it; all text sanitized. */
const drawn = (figure: SweepFigure) => ({
  id: figure.id,
  yTitle: sanitize(`${figure.kpi} (${figure.unit})`, { most: 80 }),
  xTitle: sanitize(axisTitle(figure.axis), { most: 120 }),
  unit: figure.unit,
  comparison: figure.comparison,
  kind: figure.axis.kind,
  ticks: figure.axis.ticks.map(({ x, text }) => ({ x, text: sanitize(text, { most: 40 }) })),
  lines: figure.lines.map(({ name, stops }) => ({
    name: sanitize(name, { most: 60 }),
    stops: stops.map(({ x, points, mean, uncertainty, limit, upperLimit }) => ({
      x,
      mean: scaled(mean, figure.scale),
      u: scaled(uncertainty, figure.scale),
      limit: scaled(limit, figure.scale),
      upper: scaled(upperLimit, figure.scale),
      points: points.map(({ outcome, value }) => ({ outcome, value: scaled(value, figure.scale) })),
    })),
  })),
});

function seedCell({ points }: SweepStop, toSweep: string): Markup {
  return html`${points.map(({ seed, outcome, folder, reason }, i) => {
    const words = html`<span class="${toneOf(outcome)}"><span class="signed" aria-hidden="true">${SIGN[outcome]}</span><span class="spoken">${outcome} </span></span>${seed}`;
    const gap = i === 0 ? '' : ' ';
    if (folder === null) return html`${gap}<span title="${`${outcome}: ${reason}`}">${words}</span>`;
    const report = [...(toSweep === '' ? [] : [toSweep]), folder, 'report.html'].join('/');
    return html`${gap}<a href="${relativeLink(report)}" title="${`${outcome}: ${reason}`}">${words}</a>`;
  })}`;
}

function table(figure: SweepFigure, { request, toSweep }: SweepPage): Markup {
  const { axis, lines, unit, scale, dimension } = figure;
  const [one, ...more] = request.by;
  const text = (value: number | undefined): string =>
    value === undefined ? '—' : String(Number((value / scale).toPrecision(4)));
  const nameIn = (name: string): string => {
    const value = one === undefined || more.length > 0 ? name : name.slice(name.indexOf(' = ') + 3);
    return sanitize(one === SCENARIO ? name : value, { most: 60 });
  };
  const sign = figure.comparison === 'at most' ? '≤' : '≥';
  const row = (name: string, stop: SweepStop): Markup => {
    const { points, counted, mean, uncertainty, spreadOnly, limit, upperLimit } = stop;
    const values = points.flatMap(({ value }) => value ?? []);
    const [least, most] = [text(Math.min(...values)), text(Math.max(...values))];
    const range = values.length === 0 ? '—' : least === most ? least : `${least} … ${most}`;
    const bound =
      limit === undefined
        ? 'not known'
        : upperLimit === undefined
          ? `${sign} ${text(limit)}`
          : `${text(limit)} … ${text(upperLimit)}`;
    const u =
      uncertainty === undefined
        ? 'not known'
        : `± ${print(Number(uncertainty.toPrecision(2)), dimension)}${spreadOnly ? ' *' : ''}`;
    return html`<tr>${one === undefined ? '' : html`<td>${nameIn(name)}</td>`}<td class="number">${stop.text}</td><td class="number">${mean === undefined ? 'no value' : text(mean)}</td><td class="number">${mean === undefined ? '—' : u}</td><td class="number">${range}</td><td class="number">${bound}</td><td class="number">${counted} of ${points.length}</td><td>${seedCell(stop, toSweep)}</td></tr>`;
  };
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${`Values of ${titleOf(figure)}`}"><table class="compact"><thead><tr>${one === undefined ? '' : html`<th scope="col">${request.by.join(', ')}</th>`}<th scope="col" class="number">${axis.path}</th><th scope="col" class="number">Mean, ${unit}</th><th scope="col" class="number">U (95 %)</th><th scope="col" class="number">Least … most</th><th scope="col" class="number">Limit</th><th scope="col" class="number">Values</th><th scope="col">Seeds</th></tr></thead><tbody>
    ${lines.map(({ name, stops }) => stops.map(stop => row(name, stop)))}
  </tbody></table></div>`;
}

const section = (figure: SweepFigure, page: SweepPage): Markup => {
  const title = titleOf(figure);
  const spread = figure.lines.some(({ stops }) => stops.some(({ spreadOnly }) => spreadOnly));
  const off = figure.lines
    .flatMap(({ stops }) => stops.flatMap(({ points }) => points))
    .filter(({ value }) => value === undefined);
  return html`<section aria-labelledby="${figure.id}-title"><h2 id="${figure.id}-title">${title}</h2>
    <figure class="plot sweep" id="plot-${figure.id}" role="img" aria-label="${`${title} against ${axisTitle(figure.axis)}; the table below has every value`}"><div class="canvas"></div></figure>
    <p class="quiet">${figure.axis.kind === 'log' ? 'Logarithmic x axis. ' : ''}Marks: one cell each. Line: mean over seeds. Band: U of the mean at 95 %, from the spread of the seeds and each value's own U.${spread ? ' * The U of a single value is not known, so the band is the spread of the seeds alone.' : ''}${off.length > 0 ? ` ${off.length} ${off.length === 1 ? 'cell has' : 'cells have'} no value and ${off.length === 1 ? 'stands' : 'stand'} above the plot: ${tally(off.map(({ outcome }) => outcome))}.` : ''}</p>
    <noscript><p>The plot needs the script of this page; the table does not.</p></noscript>
    ${table(figure, page)}</section>`;
};

/** The page of `farspan plot`: a KPI against a parameter, one self-contained file without network. All text is treated as hostile. */
export function renderSweep(page: SweepPage): string {
  const { head, cells, request, where } = page;
  const figures = sweepFigures({ head, cells }, request);
  const title = `${request.kpi} against ${request.against}`;
  const outcomes = cells.map(({ outcome }) => outcome);
  const finenesses = [...new Set(cells.flatMap(({ granularity }) => granularity ?? []))];
  const held = Object.entries(where);
  const facts: readonly (readonly [string, string])[] = [
    ['Cells shown', `${cells.length} of ${head.cells.length}`],
    ['Outcomes', tally(outcomes) || 'none'],
    ['World', head.world],
    ['Seeds', head.seeds.length > 12 ? `${head.seeds.length}` : head.seeds.join(', ')],
    ...(finenesses.length === 0 ? [] : [['Simulated as', finenesses.join(' · ')] as const]),
  ];
  const present = OUTCOMES.filter(
    outcome =>
      outcomes.includes(outcome) ||
      cells.some(({ kpis }) => kpis.some(one => one.kpi === request.kpi && one.outcome === outcome)),
  );
  return pageShell({
    title: `${title} · Farspan`,
    viewer: 'sweep-viewer.js',
    data: { figures: figures.map(drawn) },
    body: html`<main id="main"><header class="board tone-not-run"><p class="label">Farspan sweep</p><h1>${title}</h1>
    <p class="why">${head.scenarios.length === 1 ? head.scenarios[0] : `${head.scenarios.length} scenarios`}</p>
    <dl class="numbers">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${held.length === 0 ? '' : html`<p>Only where ${held.map(([path, value]) => `${path} = ${value}`).join(', ')}.</p>`}
    <ul class="plain">${present.map(outcome => html`<li class="quiet"><b class="${toneOf(outcome)}"><span class="signed" aria-hidden="true">${SIGN[outcome]}</span> ${outcome}</b>: ${MEANING[outcome]}</li>`)}</ul></header>
${figures.map(figure => section(figure, page))}</main>
<footer><p>Farspan ${head.version} · ${cells.length} cells · end of page</p></footer>`,
  });
}
