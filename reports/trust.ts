import type { KpiError, MeasurementError, RecordLine } from '../harness/model/record.ts';
import { FLOW_ERROR } from '../harness/model/flow-error.ts';
import { granularityText } from '../harness/model/granularity.ts';
import { TRAIN_ERROR } from '../harness/model/train-error.ts';
import { print } from '../harness/model/units.ts';
import type { RunVerdict } from '../harness/model/verdict.ts';
import { html } from './escape-html.ts';
import type { Markup } from './escape-html.ts';
import { loadText } from './fault-words.ts';
import type { Timeline } from './timeline.ts';

/** The harness's own measurement error, where a simulator knows the truth: of what the plan asks for, then of what that was read from. */
export const accuracy = (kpis: readonly KpiError[], errors: readonly MeasurementError[]): Markup =>
  html`${kpis.length > 0 ? kpiTable(kpis) : ''}${errors.length > 0 ? errorTable(errors) : ''}`;

function kpiTable(errors: readonly KpiError[]): Markup {
  const row = (error: KpiError): Markup => {
    const name = html`<td>${error.statistic} ${error.kpi}</td><td>${error.phase}</td>`;
    if (error.missing !== undefined) return html`<tr>${name}<td colspan="5" class="quiet">${error.missing}</td></tr>`;
    const { measured, truth, absolute, uncertainty, dimension } = error;
    const covers = uncertainty === null ? 'U not known' : absolute <= uncertainty ? '✓ yes' : '✗ no';
    return html`<tr>${name}<td class="number">${print(measured, dimension)}</td><td class="number">${print(truth, dimension)}</td><td class="number">${print(absolute, dimension)}</td><td class="number">${uncertainty === null ? 'not known' : print(uncertainty, dimension)}</td><td>${covers}</td></tr>`;
  };
  return html`<p class="quiet">Each KPI of the plan, from what the drivers read and from what the simulator knows.</p><div class="scroll" tabindex="0" role="region" aria-label="Measurement error of KPIs"><table><thead><tr><th scope="col">KPI</th><th scope="col">Phase</th><th scope="col" class="number">Measured</th><th scope="col" class="number">Truth</th><th scope="col" class="number">Apart</th><th scope="col" class="number">U</th><th scope="col">U covers it</th></tr></thead><tbody>${errors.map(row)}</tbody></table></div>`;
}

function errorTable(errors: readonly MeasurementError[]): Markup {
  const row = ({ quantity, phase, dimension, samples, measured, truth, absolute, relative }: MeasurementError) =>
    html`<tr><td>${quantity}</td><td>${phase}</td><td class="number">${samples}</td><td class="number">${print(measured, dimension)}</td><td class="number">${print(truth, dimension)}</td><td class="number">${print(absolute, dimension)}</td><td class="number">${relative === null ? '—' : print(Number(relative.toPrecision(3)), 'share')}</td></tr>`;
  return html`<p class="quiet">Of each quantity the pair that is furthest apart.</p><div class="scroll" tabindex="0" role="region" aria-label="Measurement error"><table><thead><tr><th scope="col">Quantity</th><th scope="col">Phase</th><th scope="col" class="number">Pairs</th><th scope="col" class="number">Measured</th><th scope="col" class="number">Truth</th><th scope="col" class="number">Error</th><th scope="col" class="number">Relative</th></tr></thead><tbody>${errors.map(row)}</tbody></table></div>`;
}

/** `8 packets move as one`, and what that costs. */
function trainText(trainPackets: number | null): string {
  if (trainPackets === null) return 'real packets';
  if (trainPackets === 1) return '1 packet (exact)';
  const { trainPackets: n, goodput, burstTime, burstMarks } = TRAIN_ERROR;
  const percent = (share: number): string => print(share, 'share');
  return `${trainPackets} packets move as one. Measured against single packets at ${n}: goodput within ${percent(goodput)}, completion time of a sudden incast up to ${percent(burstTime)} and ECN marks of bursts up to ${percent(burstMarks)} high. Judge ECN counts of bursts at --train 1.`;
}

/** What flow level costs, by family. */
const FLOW_TEXT = `rates, no packets: no queues, marks, pauses or congestion control are seen. Round times, measured against single packets: ${Object.entries(
  FLOW_ERROR,
)
  .map(([family, error]) => `${family} within ${print(error, 'share')}`)
  .join(', ')}. Elsewhere the error is not known, and no U holds it.`;

/** Name and value, one under the other; nested values as JSON. */
const factList = (facts: Readonly<Record<string, unknown>>): Markup =>
  html`<dl class="facts">${Object.entries(facts).map(
    ([name, value]) =>
      html`<div><dt>${name}</dt><dd>${typeof value === 'string' ? value : (JSON.stringify(value) ?? 'not known')}</dd></div>`,
  )}</dl>`;

interface Readings {
  readonly taken: number;
  readonly values: number;
  readonly unreadable: number;
}

function readingsOf(lines: readonly RecordLine[]): Readings {
  let [taken, values, unreadable] = [0, 0, 0];
  for (const line of lines) {
    if (line.kind !== 'counters') continue;
    taken++;
    for (const port of Object.values(line.ports)) {
      for (const value of Object.values(port)) {
        values++;
        if (value === null) unreadable++;
      }
    }
  }
  return { taken, values, unreadable };
}

const coverage = (samples: number, expected: number | undefined): string =>
  expected === undefined ? 'not stated' : expected === 0 ? '—' : `${Math.round((samples / expected) * 1000) / 10} %`;

function coverageTable(verdict: RunVerdict): Markup {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Coverage"><table><thead><tr><th scope="col">Expectation</th><th scope="col" class="number">Samples</th><th scope="col" class="number">Expected</th><th scope="col" class="number">Coverage</th><th scope="col">Method</th></tr></thead><tbody>${verdict.checks.map(
    check =>
      html`<tr><td>${check.title}</td><td class="number">${check.samples}</td><td class="number">${check.expectedSamples ?? '—'}</td><td class="number">${coverage(check.samples, check.expectedSamples)}</td><td>${check.method}</td></tr>`,
  )}</tbody></table></div>`;
}

function phaseTable({ phases }: Timeline): Markup {
  const words = {
    work: 'its rounds were done',
    time: 'its time was over',
    deadline: '✗ stopped at its deadline',
  } as const;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Phases"><table class="compact"><thead><tr><th scope="col">Phase</th><th scope="col" class="number">Rounds done</th><th scope="col" class="number">Asked</th><th scope="col">Ended because</th></tr></thead><tbody>${phases.map(
    ({ name, rounds, ended }) =>
      html`<tr><td>${name}</td><td class="number">${rounds?.done ?? '—'}</td><td class="number">${rounds?.asked ?? '—'}</td><td>${words[ended]}</td></tr>`,
  )}</tbody></table></div>`;
}

/** How much of the evidence is there, with what it was taken, and what a reader needs to take it again. */
export function trustSection(
  lines: readonly RecordLine[],
  verdict: RunVerdict,
  timeline: Timeline,
  host: Readonly<Record<string, unknown>> | undefined,
): Markup {
  const { run, end } = timeline;
  const readings = readingsOf(lines);
  const testbed = lines.find(line => line.kind === 'testbed');
  return html`${verdict.checks.length > 0 ? coverageTable(verdict) : ''}${timeline.phases.length > 0 ? phaseTable(timeline) : ''}
    ${factList({
      'counter readings': `${readings.taken} readings, ${readings.values} values, ${readings.unreadable} unreadable`,
      'record ended': end
        ? `${end.reason}${end.detail === undefined ? '' : `: ${end.detail}`}`
        : 'the record has no end: the run was cut short',
      ...(run && {
        'Farspan version': run.version,
        'record format': run.format,
        load: loadText(run.plan.load),
        'train size': trainText(run.trainPackets),
        ...(run.granularity && { granularity: granularityText(run.granularity) }),
        ...(Object.values(run.granularity ?? {}).includes('flow') && { 'flow level': FLOW_TEXT }),
        'world options': Object.keys(run.options).length === 0 ? 'none' : run.options,
        profile: run.profile?.name ?? 'none',
      }),
    })}
    ${
      testbed
        ? html`<h3>Testbed ${testbed.name}</h3><div class="scroll" tabindex="0" role="region" aria-label="Devices"><table class="compact"><thead><tr><th scope="col">Node</th><th scope="col">Device</th><th scope="col">Driver</th><th scope="col">Software</th></tr></thead><tbody>${testbed.devices.map(
            ({ node, device, driver, software }) =>
              html`<tr><td>${node}</td><td>${device}</td><td>${driver}</td><td>${software}</td></tr>`,
          )}</tbody></table></div>`
        : ''
    }
    ${host && Object.keys(host).length > 0 ? html`<h3>Machine that ran it</h3>${factList(host)}` : ''}`;
}
