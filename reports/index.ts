/** The one door of reports: a run's record and verdict in, text for people and for other programs out. */
export { renderHtml } from './render-html.ts';
export type { ReportedRun } from './render-html.ts';
export type { KpiError, MeasurementError } from '../harness/model/record.ts';
export { renderIndex } from './render-index.ts';
export { renderJunit } from './render-junit.ts';
export { renderTap } from './render-tap.ts';
export { renderJson } from './render-json.ts';
export { renderSummary } from './render-summary.ts';
export type { SummaryOptions } from './render-summary.ts';
export { sanitize } from './sanitize.ts';
export type { FinishedRun } from './finished-run.ts';
export { comparisonOf, wallTime } from './check-words.ts';
export { tally } from './outcome-words.ts';
export { renderSweep } from './render-sweep.ts';
export { renderSweepCsv } from './render-sweep-csv.ts';
export { SCENARIO, sweepFigures } from './sweep-figures.ts';
