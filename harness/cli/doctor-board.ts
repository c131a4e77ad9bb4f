import type { DoctorDevice, DoctorReport } from '../lab/doctor.ts';
import type { DoctorLine } from '../lab/doctor/doctor-line.ts';
import { timeWords } from '../lab/doctor/device-time.ts';

/** Names that the row of one device shows; the list below has them all. */
const MOST_NAMES = 3;

const sign = (ok: DoctorLine['ok']): string => (ok === true ? '✔' : ok === 'unknown' ? '?' : '✘');

const count = (many: number, what: string): string => `${many} ${what}${many === 1 ? '' : 's'}`;

function checksOf(lines: readonly DoctorLine[]): string {
  const names = [...new Set(lines.filter(({ ok }) => ok !== true).map(({ check, ok }) => `${sign(ok)} ${check}`))];
  if (names.length === 0) return count(lines.length, 'check');
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
  return `${names.slice(0, MOST_NAMES).join(', ')}${more}`;
}

function rowOf(
  { device, part, ok, health, software, time }: DoctorDevice,
  lines: readonly DoctorLine[],
): readonly string[] {
  const untouched = lines.some(({ check }) => check === 'safety');
  return [
    untouched ? '·' : sign(ok),
    device,
    part,
    untouched ? 'not touched' : (health?.health ?? '-'),
    software ?? '-',
    time ? timeWords(time) : '-',
    untouched ? '' : checksOf(lines),
  ];
}

function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? [];
  return rows.map(row => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}

const entry = ({ ok, subject, check, detail, fix }: DoctorLine): readonly string[] => [
  `  ${ok === true ? '·' : sign(ok)} ${subject}  ${check}: ${detail.replaceAll('\n', '\n      ')}`,
  ...(fix === undefined ? [] : [`      → ${fix}`]),
];

const section = (title: string, lines: readonly DoctorLine[]): readonly string[] =>
  lines.length === 0 ? [] : ['', title, ...lines.flatMap(entry)];

/** The report for people: a line a device with its state, then what needs attention and how to put it right. */
export function doctorBoard({ lab, devices, lines, tookMs }: DoctorReport): string {
  const byDevice = new Map(devices.map(({ device }) => [device, lines.filter(({ subject }) => subject === device)]));
  const rows = devices.map(device => rowOf(device, byDevice.get(device.device) ?? []));
  const others = lines.filter(({ subject, ok, fix }) => !byDevice.has(subject) && ok === true && fix === undefined);
  const wrong = lines.filter(({ ok }) => ok !== true);
  const notes = lines.filter(({ ok, fix }) => ok === true && fix !== undefined);
  const well = devices.filter(({ ok }) => ok === true).length;
  const unwell = devices.filter(({ ok }) => ok === false).length;
  const unknown = devices.length - well - unwell;
  const parts = [
    `${well} well`,
    ...(unwell > 0 ? [`${unwell} not`] : []),
    ...(unknown > 0 ? [`${unknown} not known`] : []),
  ];
  return [
    `${lab}: ${count(devices.length, 'device')} looked at in ${(tookMs / 1000).toFixed(1)} s`,
    '',
    ...table([['', 'device', 'part', 'health', 'software', 'clock', 'checks'], ...rows]),
    ...(others.length > 0 ? ['', ...others.map(({ check, detail }) => `  ✔ ${check}: ${detail}`)] : []),
    ...section('Needs attention', wrong),
    ...section('Worth knowing', notes),
    '',
    `${count(devices.length, 'device')}: ${parts.join(', ')}. ${count(lines.length, 'check')}, ${wrong.length === 0 ? 'all well' : `${wrong.length} need${wrong.length === 1 ? 's' : ''} attention`}.`,
  ].join('\n');
}
