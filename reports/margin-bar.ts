import { print } from '../harness/model/units.ts';
import type { CheckVerdict } from '../harness/model/verdict.ts';
import { comparisonOf, limitText, valueText } from './check-words.ts';
import { html } from './escape-html.ts';
import type { Markup } from './escape-html.ts';

const WIDTH = 560;
const [TOP, BOTTOM] = [26, 44];

interface Scale {
  readonly at: (value: number) => number;
  readonly low: number;
  readonly high: number;
}

function scaleOf(values: readonly number[]): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least || Math.abs(most) || 1) * 0.3;
  const low = least >= 0 && least - room < most * 0.35 ? 0 : least - room;
  const high = most + room;
  return { low, high, at: value => ((Math.min(Math.max(value, low), high) - low) / (high - low)) * WIDTH };
}

const anchor = (x: number): string => (x < 90 ? 'start' : x > WIDTH - 90 ? 'end' : 'middle');

/** Value, uncertainty, limit and guard band on one line; the good side is hatched. Null when there is no value or no limit. */
export function marginBar(check: CheckVerdict, id: string): Markup | null {
  const { value, limit, upperLimit, uncertainty = 0, dimension } = check;
  const limits = [limit, upperLimit].filter(one => one !== undefined);
  if (value === undefined || limits.length === 0) return null;
  const scale = scaleOf([value - uncertainty, value + uncertainty, ...limits]);
  const side = comparisonOf(check);
  const from = side === 'at most' ? scale.low : (limit ?? scale.low);
  const to = side === 'at most' ? (limit ?? scale.high) : side === 'within' ? (upperLimit ?? scale.high) : scale.high;
  const [goodFrom, goodTo] = [scale.at(from), scale.at(to)];
  const x = scale.at(value);
  const [errorFrom, errorTo] = [scale.at(value - uncertainty), scale.at(value + uncertainty)];
  const middle = (TOP + BOTTOM) / 2;
  return html`<svg class="margin" viewBox="0 0 ${WIDTH} 66" width="${WIDTH}" height="66" role="img" aria-label="${`Measured ${valueText(check)}, limit ${limitText(check)}`}">
    <defs><pattern id="hatch-${id}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>
    <rect class="track" x="0" y="${TOP}" width="${WIDTH}" height="${BOTTOM - TOP}" rx="3"/>
    <rect class="good" x="${goodFrom}" y="${TOP}" width="${Math.max(0, goodTo - goodFrom)}" height="${BOTTOM - TOP}"/>
    <rect x="${goodFrom}" y="${TOP}" width="${Math.max(0, goodTo - goodFrom)}" height="${BOTTOM - TOP}" fill="url(#hatch-${id})"/>
    ${limits.map(
      one => html`<rect class="guard" x="${scale.at(one - uncertainty)}" y="${TOP}" width="${Math.max(0, scale.at(one + uncertainty) - scale.at(one - uncertainty))}" height="${BOTTOM - TOP}"><title>guard band: limit ± U</title></rect>
    <line class="limit" x1="${scale.at(one)}" y1="${TOP - 5}" x2="${scale.at(one)}" y2="${BOTTOM + 5}"/><text x="${scale.at(one)}" y="${BOTTOM + 18}" text-anchor="${anchor(scale.at(one))}">limit ${print(one, dimension)}</text>`,
    )}
    <line class="error" x1="${errorFrom}" y1="${middle}" x2="${errorTo}" y2="${middle}"/><path class="value" d="M${x} ${middle - 8}L${x + 7} ${middle}L${x} ${middle + 8}L${x - 7} ${middle}Z"/>
    <text class="strong" x="${x}" y="${TOP - 10}" text-anchor="${anchor(x)}">${valueText(check)}</text>
  </svg>`;
}
