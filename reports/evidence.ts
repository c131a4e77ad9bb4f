import type { EventLine, RecordLine, Step } from '../harness/model/record.ts';
import { print } from '../harness/model/units.ts';
import { escapeHtml, html, trusted } from './escape-html.ts';
import type { Markup } from './escape-html.ts';
import { placedEvents } from './event-order.ts';
import { longFault } from './fault-words.ts';
import { groupBy } from './group-by.ts';
import type { FaultStory, Timeline } from './timeline.ts';

/** Characters of one command or answer that the page shows, and of all of them together. The files beside it hold the rest. */
const MOST_ANSWER = 4000;
const MOST_STEPS_TEXT = 400_000;
const MOST_EVENTS = 500;

const at = (ns: number): string => print(ns, 'duration');

function healCell({ heal }: FaultStory): Markup {
  if (!heal) return html`<td class="bad">✗ never healed</td><td class="bad">✗ not read back</td>`;
  const proof = heal.verified
    ? html`<td><b class="ok">✓ verified</b><br><span class="quiet">expected</span> <code>${heal.expected}</code><br><span class="quiet">observed</span> <code>${heal.observed}</code></td>`
    : html`<td class="bad"><b>✗ not verified</b><br><span class="quiet">expected</span> <code>${heal.expected}</code><br><span class="quiet">observed</span> <code>${heal.observed}</code>${heal.manual === undefined ? '' : html`<br>by hand: <code>${heal.manual}</code>`}</td>`;
  return html`<td>${at(heal.healedNs)}</td>${proof}`;
}

const witnessed = ({ real, witness, seen, atNs }: FaultStory['effects'][number]): Markup => {
  const [sign, word] = real === null ? ['?', 'could not tell'] : real ? ['✓', 'in effect'] : ['✗', 'not in effect'];
  return html`<li><b>${sign} ${word}</b> at ${at(atNs)} — ${witness}: ${seen}</li>`;
};

/** Every fault: injected, witnessed, healed, read back. */
export function faultTable({ faults }: Timeline): Markup {
  if (faults.length === 0) return html`<p class="quiet">No fault was injected.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Faults"><table><thead><tr><th scope="col">Fault</th><th scope="col">Injected</th><th scope="col">Seen by independent witnesses</th><th scope="col">Healed</th><th scope="col">Read-back</th></tr></thead><tbody>
    ${faults.map(story => html`<tr><td><b>${story.injected.id}</b><br>${longFault(story.injected.fault)}</td><td>${at(story.beginNs)}</td><td>${story.effects.length === 0 ? html`<b class="bad">none</b>` : html`<ul class="plain">${story.effects.map(witnessed)}</ul>`}</td>${healCell(story)}</tr>`)}
  </tbody></table></div>`;
}

/** Text in a block of its own. Counted in bytes of UTF-8, as the file beside the report has them. */
function bounded(text: string): Markup {
  const shown = text.slice(0, MOST_ANSWER);
  const left = Buffer.byteLength(text) - Buffer.byteLength(shown);
  return html`<pre tabindex="0">${trusted(escapeHtml(shown, { lines: true }))}</pre>${left > 0 ? html`<p class="quiet">${left} more bytes not shown</p>` : ''}`;
}

function stepItem(step: Step): Markup {
  const exit = step.exitCode === undefined || step.exitCode === null ? '' : `exit ${step.exitCode}`;
  const failed = step.exitCode !== undefined && step.exitCode !== null && step.exitCode !== 0;
  return html`<li><details><summary><span class="protocol">${step.protocol}</span> <code>${step.tried.length > 160 ? `${step.tried.slice(0, 160)}…` : step.tried}</code> <span class="quiet">${Math.round(step.tookMs)} ms</span> ${failed ? html`<b class="bad">✗ ${exit}</b>` : html`<span class="quiet">${exit}</span>`}</summary>
    <dl class="step"><dt>sent at</dt><dd>${step.at}</dd><dt>command</dt><dd>${bounded(step.tried)}</dd><dt>answer</dt><dd>${step.answer === '' ? html`<span class="quiet">empty</span>` : bounded(step.answer)}</dd></dl></details></li>`;
}

/** Not called failures: a code may be the answer that was asked for, such as that of `kill -0` for a process that has ended. */
function refusals(steps: readonly Step[]): string {
  const count = steps.filter(({ protocol, exitCode }) =>
    protocol === 'http' ? (exitCode ?? 0) >= 400 : exitCode,
  ).length;
  return count === 0 ? '' : `, ${count} answered with an error code`;
}

/** Every command that was sent, by device, with its raw answer; bounded, and it says what it leaves out, or what could not be read. */
export function stepsTree(steps: readonly Step[], missing = ''): Markup {
  const end =
    missing === '' ? '' : html`<p class="bad">✗ Not all steps can be read: ${missing} (<code>steps.ndjson</code>).</p>`;
  if (end !== '' && steps.length === 0) return end;
  if (steps.length === 0)
    return html`<p class="quiet">No command was sent to a device: this world is simulated, or no steps were kept.</p>`;
  let room = MOST_STEPS_TEXT;
  const shown = steps.filter(step => {
    room -= Math.min(MOST_ANSWER, step.tried.length) + Math.min(MOST_ANSWER, step.answer.length) + 300;
    return room > 0;
  });
  const left = steps.length - shown.length;
  return html`<ul class="tree">${[...groupBy(shown, ({ device }) => device)].map(
    ([device, list]) =>
      html`<li><details><summary><b>${device}</b> <span class="quiet">${list.length} ${list.length === 1 ? 'command' : 'commands'}${refusals(list)}</span></summary><ol class="tree">${list.map(stepItem)}</ol></details></li>`,
  )}</ul>${left > 0 ? html`<p class="quiet">${left} more steps not shown; all ${steps.length} are in the run's <code>steps.ndjson</code>.</p>` : ''}${end}`;
}

/** What devices said by themselves. In a lab each with how well its instant is known, and in an order only where that allows one. */
export function eventList(lines: readonly RecordLine[]): Markup {
  const events = lines.filter((line): line is EventLine => line.kind === 'event');
  if (events.length === 0) return html`<p class="quiet">No device reported an event by itself.</p>`;
  const placed = placedEvents(lines);
  const shown = placed ?? events.map(event => ({ event, boundNs: 0, order: '' }));
  const rows = shown.slice(0, MOST_EVENTS).map(({ event: { atNs, node, what }, boundNs, order }) => {
    const known = boundNs === undefined ? 'not known' : `± ${at(boundNs)}`;
    const place = placed ? html`<td class="number">${known}</td><td>${order}</td>` : '';
    return html`<tr><td class="number">${at(atNs)}</td>${place}<td>${node}</td><td>${what}</td></tr>`;
  });
  const heads = placed ? html`<th scope="col" class="number">Clock</th><th scope="col">Order</th>` : '';
  const note = placed
    ? html`<p class="quiet">When they arrived. Of two nodes one is before the other only where they are further apart than both clocks are known.</p>`
    : '';
  return html`${note}<div class="scroll" tabindex="0" role="region" aria-label="Events"><table class="compact"><thead><tr><th scope="col">At</th>${heads}<th scope="col">Node</th><th scope="col">What it said</th></tr></thead><tbody>${rows}</tbody></table></div>${events.length > MOST_EVENTS ? html`<p class="quiet">${events.length - MOST_EVENTS} more events not shown</p>` : ''}`;
}
