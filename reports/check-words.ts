import { print } from '../harness/model/units.ts';
import type { Check } from '../harness/model/check.ts';
import type { CheckVerdict } from '../harness/model/verdict.ts';

/** Which side of the limit is good. Verdicts of older versions say it only in the title: `busbw during steady at least …`. */
export function comparisonOf(check: Pick<CheckVerdict, 'comparison' | 'title' | 'upperLimit'>): Check['comparison'] {
  if (check.comparison !== undefined) return check.comparison;
  if (check.upperLimit !== undefined) return 'within';
  return / at most /.test(check.title) ? 'at most' : 'at least';
}

/** The measured value, or that there is none: missing is never zero. */
export const valueText = ({ value, dimension }: CheckVerdict): string =>
  value === undefined ? 'not measured' : print(value, dimension);

/** `≥ 30 Gb/s`, `≤ 50 ms`, `5 ms … 9 ms`. */
export function limitText(check: CheckVerdict): string {
  const { limit, upperLimit, dimension } = check;
  if (upperLimit !== undefined)
    return `${limit === undefined ? '?' : print(limit, dimension)} … ${print(upperLimit, dimension)}`;
  if (limit === undefined) return 'limit not known';
  return `${comparisonOf(check) === 'at most' ? '≤' : '≥'} ${print(limit, dimension)}`;
}

export const uncertaintyText = ({ uncertainty, dimension }: CheckVerdict): string =>
  uncertainty === undefined ? 'U not known' : `± ${print(uncertainty, dimension)}`;

/** Distance to the nearest limit in the base unit; positive is the good side. Undefined without a value or a limit. */
function marginOf(check: CheckVerdict): number | undefined {
  const { value, limit, upperLimit } = check;
  if (value === undefined) return undefined;
  const above = limit === undefined ? undefined : value - limit;
  switch (comparisonOf(check)) {
    case 'at least':
      return above;
    case 'at most':
      return above === undefined ? undefined : -above;
    case 'within':
      return Math.min(above ?? Number.POSITIVE_INFINITY, (upperLimit ?? Number.POSITIVE_INFINITY) - value);
  }
}

/** The margin as a share of the limit, signed: `+4.2 %`. In the value's own unit when the limit is 0. */
export function marginText(check: CheckVerdict): string {
  const margin = marginOf(check);
  if (margin === undefined) return '—';
  const sign = margin < 0 ? '−' : '+';
  const limit = Math.abs(check.limit ?? 0);
  if (limit === 0) return `${sign}${print(Math.abs(margin), check.dimension)}`;
  const percent = (Math.abs(margin) / limit) * 100;
  return `${sign}${percent >= 1000 ? Math.round(percent) : Number(percent.toPrecision(3))} %`;
}

/** Value against limit in a form that fits half a line: `210.4 ms > 50 ms`. */
export function againstLimit(check: CheckVerdict): string {
  const { value, limit, upperLimit, dimension } = check;
  if (value === undefined) return `not measured (${limitText(check)})`;
  if (upperLimit !== undefined || limit === undefined) return `${print(value, dimension)} (${limitText(check)})`;
  const relation = value > limit ? '>' : value < limit ? '<' : '=';
  return `${print(value, dimension)} ${relation} ${print(limit, dimension)}`;
}

/** `file:line`, as editors and terminals open it; short where the line is in the scenario's own file, as the user named it. */
export function whereText({ where }: Pick<CheckVerdict, 'where'>, scenarioFile = ''): string {
  const own = scenarioFile !== '' && where.file.replaceAll('\\', '/').endsWith(`/${scenarioFile}`);
  return `${own ? scenarioFile : where.file}:${where.line}`;
}

/** Wall time for a person: `850 ms`, `12.3 s`, `1m12s`, `2h05m`. */
export function wallTime(seconds: number): string {
  if (!(seconds >= 0) || !Number.isFinite(seconds)) return 'time not known';
  if (seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (count: number) => String(count).padStart(2, '0');
  return hours > 0 ? `${hours}h${two(minutes)}m` : `${minutes}m${two(rest)}s`;
}
