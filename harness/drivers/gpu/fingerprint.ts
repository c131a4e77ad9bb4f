import type { Change, Fingerprint } from '../../binding/fingerprint.ts';
import { type DeviceGuard, quoted } from '../device-guard.ts';
import { safeInterface } from '../linux/detached-job.ts';
import { computerReadings, fingerprintOf, LINUX_NETWORK_READINGS, linuxPutBack } from '../linux/fingerprint.ts';
import { ParseError } from '../parse-error.ts';
import type { Reading, Values } from '../read-fingerprint.ts';
import type { Shell } from '../ssh.ts';

/** What somebody sets on a GPU. Newer drivers drop some names and older ones lack some. */
const GPU_FIELDS = [
  'power.limit',
  'clocks.applications.graphics',
  'clocks.applications.memory',
  'clocks.max.graphics',
  'clocks.max.sm',
  'clocks.max.memory',
  'persistence_mode',
  'compute_mode',
  'ecc.mode.current',
  'mig.mode.current',
] as const;

/** The driver was asked and could not tell. `[N/A]` and `[Not Supported]` are its words for what the GPU does not have. */
const UNTOLD = /^\[?(Unknown Error|GPU requires reset|Insufficient Permissions)\]?$|^ERR!$/i;

/** The answer to a query of settings: `0 power.limit` → `700.00 W`. @throws ParseError */
export function parseGpuSettings(text: string, fields: readonly string[]): Values {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .flatMap(line => {
      const [index = '', ...cells] = line.split(', ').map(cell => cell.trim());
      if (!/^\d{1,4}$/.test(index) || cells.length !== fields.length)
        throw new ParseError(`nvidia-smi --query-gpu: an index and ${fields.length} values`, line);
      return cells.map((cell, i) => [`${index} ${fields[i] as string}`, UNTOLD.test(cell) ? null : cell] as const);
    });
}

const REFUSED = /Field "([\w.]{1,60})" is not a valid field to query/;

/** The query of these fields; of those that remain when the driver lacks one, as it then refuses all of them. */
function gpuReading(fields: readonly string[]): Reading {
  return {
    sections: ['gpu'],
    command: `nvidia-smi --query-gpu=index,${fields.join(',')} --format=csv,noheader`,
    parse: text => ({ gpu: parseGpuSettings(text, fields) }),
    instead({ exitCode, stdout, stderr }) {
      const refused = REFUSED.exec(`${stdout}\n${stderr}`)?.[1];
      const left = fields.filter(field => field !== refused);
      return exitCode !== 0 && left.length < fields.length && left.length > 0 ? gpuReading(left) : undefined;
    },
  };
}

/** Lines `Name: value` below a title; what ethtool itself settles with the far end (`… negotiated`) is not a setting. @throws ParseError */
export function parseEthtoolSettings(text: string, title: RegExp): Values {
  const [first = '', ...lines] = text.split('\n').filter(line => line.trim() !== '');
  if (!title.test(first)) throw new ParseError(`ethtool: ${title.source}`, text);
  return lines.flatMap(line => {
    const [, name, value] = /^\s*([^:]{1,80}):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new ParseError('ethtool: a name and a value', line);
    return /negotiated/i.test(name) ? [] : [[name, value.replace(/ *\[.*\]$/, '').trim()] as const];
  });
}

/** `mlnx_qos -i NIC`: a line at the margin is a heading with or without a value, an indented one belongs to it. */
export function parseMlnxQos(text: string): Values {
  const found = new Map<string, string>();
  let heading = '';
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const words = line.trim().split(/\s+/);
    if (!/^\s/.test(line)) {
      const colon = line.indexOf(':');
      // `tc: 0 ratelimit: unlimited, tsa: vendor` is one of several; the others have one name each.
      heading = /^tc: \d+/.exec(line)?.[0] ?? (colon < 0 ? line : line.slice(0, colon)).trim();
      const value = /^tc: \d+(.*)$/.exec(line)?.[1] ?? (colon < 0 ? '' : line.slice(colon + 1));
      if (value.trim() !== '') found.set(heading, value.trim());
    } else if (words[0] === 'priority' || /^(prio:\d+|priority:)$/.test(words[0] ?? '')) {
      const key = words[0] === 'priority' ? undefined : `${heading} ${words[0]?.replace(/:$/, '')}`;
      if (key !== undefined) found.set(key, [found.get(key), ...words.slice(1)].filter(Boolean).join(' '));
    } else found.set(`${heading} ${words[0]}`, words.slice(1).join(' '));
  }
  return found;
}

const files = (text: string): Values =>
  text.split('\n').flatMap(line => {
    const [, file, value] = /^(\/\S+) (.*)$/.exec(line) ?? [];
    return file === undefined ? [] : [[file, value ?? ''] as const];
  });

function nicReadings(nic: string): readonly Reading[] {
  const ecn = `/sys/class/net/${nic}/ecn`;
  const settings = (section: string, letter: string, title: RegExp): Reading => ({
    sections: [section],
    command: `ethtool -${letter} ${nic}`,
    parse: text => ({
      [section]: [...parseEthtoolSettings(text, title)].map(([key, value]) => [`${nic} ${key}`, value] as const),
    }),
  });
  return [
    settings('pause', 'a', /^Pause parameters for /),
    settings('offloads', 'k', /^Features for /),
    {
      sections: ['qos'],
      command: `mlnx_qos -i ${nic}`,
      parse: text => ({ qos: [...parseMlnxQos(text)].map(([key, value]) => [`${nic} ${key}`, value] as const) }),
    },
    {
      // Parameters of DCQCN and whether it is on, priority by priority (mlx5). No such files: another NIC.
      sections: ['dcqcn'],
      command: `for f in ${ecn}/roce_np/* ${ecn}/roce_rp/* ${ecn}/roce_np/enable/* ${ecn}/roce_rp/enable/*; do [ -f "$f" ] && echo "$f $(cat $f 2> /dev/null)"; done; true`,
      parse: text => ({ dcqcn: files(text) }),
    },
  ];
}

/** Everything of a GPU node that a run could leave changed. @throws DeviceError */
export async function gpuFingerprint({
  shell,
  guard,
  nic,
}: {
  readonly shell: Shell;
  readonly guard: Pick<DeviceGuard, 'survey'>;
  /** The NIC that carries the fabric's traffic. */
  readonly nic: string;
}): Promise<Fingerprint> {
  const readings = [
    ...LINUX_NETWORK_READINGS,
    ...nicReadings(safeInterface(nic)),
    gpuReading(GPU_FIELDS),
    ...computerReadings(),
  ];
  return fingerprintOf({ shell, guard }, readings);
}

/** Puts one value of a GPU node back. @see Fingerprinted.putBack */
export function gpuPutBack(change: Change): string | undefined {
  const { section, key, was } = change;
  if (typeof was !== 'string' || key === undefined) return linuxPutBack(change);
  const [name = '', what = '', ...more] = key.split(' ');
  const setting = [what, ...more].join(' ');
  const smi = (words: string): string => `nvidia-smi -i ${quoted(name)} ${words}`;
  switch (section) {
    case 'gpu': {
      const number = /^\d+(\.\d+)?/.exec(was)?.[0];
      if (setting === 'power.limit' && number !== undefined) return smi(`-pl ${number}`);
      if (setting === 'persistence_mode') return smi(`-pm ${was === 'Enabled' ? 1 : 0}`);
      if (setting === 'compute_mode') return smi(`-c ${quoted(was.toUpperCase().replaceAll(' ', '_'))}`);
      // Both clocks go into one command, memory first.
      if (setting === 'clocks.applications.graphics') return smi(`-ac MEMORY,${number ?? 'GRAPHICS'}`);
      if (setting === 'clocks.applications.memory') return smi(`-ac ${number ?? 'MEMORY'},GRAPHICS`);
      return undefined;
    }
    case 'pause':
      return `ethtool -A ${quoted(name)} ${quoted(setting.toLowerCase())} ${quoted(was)}`;
    case 'offloads':
      return `ethtool -K ${quoted(name)} ${quoted(setting)} ${quoted(was)}`;
    case 'qos':
      if (setting === 'PFC configuration enabled')
        return `mlnx_qos -i ${quoted(name)} --pfc ${quoted(was.split(' ').join(','))}`;
      return setting === 'Priority trust state' ? `mlnx_qos -i ${quoted(name)} --trust ${quoted(was)}` : undefined;
    case 'dcqcn':
      return `echo ${quoted(was)} > ${quoted(key)}`;
    default:
      return linuxPutBack(change);
  }
}
