import type { Finding, Severity } from '../lint/finding.ts';
import type { LintedFabric } from '../lint/linted-fabric.ts';
import { bitRate, distance } from '../lint/amount.ts';

const VERDICTS: Readonly<Record<Severity, string>> = {
  error: 'ERROR',
  warning: 'warning',
  unknown: 'unknown',
  info: 'info',
  ok: 'ok',
};
const GRAVEST: readonly Severity[] = ['error', 'warning', 'unknown', 'info', 'ok'];
/** Most names in a heading. */
const MOST_NAMES = 6;

interface Block {
  readonly names: string[];
  readonly findings: readonly Finding[];
}

/**
 * A table for every span, then formula and source of what is not simply right. Spans of which the same is to be said share one table. Of
 * links and devices only what is not right is listed.
 *
 * @param all list what is right too, with its formula
 */
export function lintText(
  fabric: LintedFabric,
  findings: readonly Finding[],
  { all }: { readonly all: boolean },
): readonly string[] {
  const lines: string[] = [];
  for (const { names, findings: found } of alike(findings.filter(({ subject }) => subject.kind === 'span'))) {
    const span = fabric.spans.find(({ name }) => name === names[0]);
    const what = span === undefined ? '' : `  ${distance(span.metres).text} at ${bitRate(span.rateBps).text}`;
    lines.push(
      `  ${names.length > 1 ? 'spans' : 'span'} ${listed(names)}${what}`,
      ...table(found),
      ...details(found, all),
    );
  }
  const others = findings.filter(({ subject }) => subject.kind !== 'span');
  const shown = others.filter(({ severity }) => all || severity !== 'ok');
  for (const { names, findings: found } of alike(shown))
    lines.push(`  ${found[0]?.subject.kind} ${listed(names)}`, ...table(found), ...details(found, all));
  const right = others.length - shown.length;
  if (right > 0) lines.push(`  ${right} more ${right === 1 ? 'check' : 'checks'} of links, devices and paths: ok`);
  return lines;
}

const listed = (names: readonly string[]): string =>
  names.length <= MOST_NAMES
    ? names.join(', ')
    : `${names.slice(0, MOST_NAMES).join(', ')} and ${names.length - MOST_NAMES} more`;

/** Findings by subject; subjects of which exactly the same is said are one block. */
function alike(findings: readonly Finding[]): readonly Block[] {
  const bySubject = new Map<string, { name: string; findings: Finding[] }>();
  for (const finding of findings) {
    const { kind, name } = finding.subject;
    const of = bySubject.get(`${kind} ${name}`) ?? { name, findings: [] };
    bySubject.set(`${kind} ${name}`, of);
    of.findings.push(finding);
  }
  const blocks = new Map<string, Block>();
  for (const { name, findings: found } of bySubject.values()) {
    const said = JSON.stringify(found.map(({ subject, ...judged }) => ({ kind: subject.kind, judged })));
    const block = blocks.get(said);
    if (block) block.names.push(name);
    else blocks.set(said, { names: [name], findings: found });
  }
  return [...blocks.values()];
}

function table(findings: readonly Finding[]): readonly string[] {
  const rows = [
    ['quantity', 'value', 'needed', 'verdict'],
    ...findings.map(({ check, value, needed, severity }) => [
      check,
      value?.text ?? '-',
      needed === null ? '-' : `${needed.bound} ${needed.text}`,
      VERDICTS[severity],
    ]),
  ];
  const widths = [0, 1, 2].map(column => Math.max(...rows.map(row => (row[column] as string).length)));
  return rows.map(row => `    ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd());
}

function details(findings: readonly Finding[], all: boolean): readonly string[] {
  const shown = findings
    .filter(({ severity }) => all || severity !== 'ok')
    .toSorted((a, b) => GRAVEST.indexOf(a.severity) - GRAVEST.indexOf(b.severity));
  return [
    '',
    ...shown.flatMap(({ check, severity, formula, source, advice }) => [
      `    ${VERDICTS[severity]}  ${check}`,
      `      = ${formula}`,
      `      from ${source}`,
      ...(advice === '' ? [] : [`      -> ${advice}`]),
    ]),
    '',
  ];
}
