import { escapeDeviceText } from '../device-text.ts';
import { isRecord, ParseError, parseJson } from '../parse-error.ts';
import { countCell, nameCell } from './cell.ts';
import { namespaceOf, readTables, refuseCliError } from './table.ts';

/** What a queue can count. */
export type QueueMetric =
  | 'packets'
  | 'bytes'
  | 'dropPackets'
  | 'dropBytes'
  | 'trimPackets'
  | 'trimSentPackets'
  | 'trimDropPackets'
  | 'wredDropPackets'
  | 'wredDropBytes'
  | 'ecnMarkedPackets'
  | 'ecnMarkedBytes'
  | 'creditWatchdogDeletedPackets';

/** Columns of the text form and keys of the JSON form (`queuestat` and `wredstat` of sonic-utilities). */
const METRICS: Readonly<Record<string, QueueMetric>> = {
  'Counter/pkts': 'packets',
  'Counter/bytes': 'bytes',
  'Drop/pkts': 'dropPackets',
  'Drop/bytes': 'dropBytes',
  'Trim/pkts': 'trimPackets',
  'TrimSent/pkts': 'trimSentPackets',
  'TrimDrop/pkts': 'trimDropPackets',
  'WredDrp/pkts': 'wredDropPackets',
  'WredDrp/bytes': 'wredDropBytes',
  'EcnMarked/pkts': 'ecnMarkedPackets',
  'EcnMarked/bytes': 'ecnMarkedBytes',
  'Credit-WD-Del/pkts': 'creditWatchdogDeletedPackets',
  totalpacket: 'packets',
  totalbytes: 'bytes',
  droppacket: 'dropPackets',
  dropbytes: 'dropBytes',
  trimpacket: 'trimPackets',
  trimsentpacket: 'trimSentPackets',
  trimdroppacket: 'trimDropPackets',
  wredDrppacket: 'wredDropPackets',
  wredDrpbytes: 'wredDropBytes',
  ecnpacket: 'ecnMarkedPackets',
  ecnbytes: 'ecnMarkedBytes',
  creditWDPkts: 'creditWatchdogDeletedPackets',
};

export interface QueueCounters {
  /** Namespace of a multi-ASIC switch, empty otherwise. */
  readonly namespace: string;
  /** The port, `host|port` for virtual output queues, empty in a summary over all ports. */
  readonly port: string;
  /** `UC3`, `MC10`, `ALL20`, `VOQ1`. */
  readonly queue: string;
  /** Absent: no such column. Null: the device has no value. */
  readonly counts: Readonly<Partial<Record<QueueMetric, bigint | null>>>;
}

/** `show queue counters`, `… --voq`, `… --trim`, `show queue wredcounters`: text or JSON, one port, all, or a summary. @throws ParseError */
export function parseQueueCounters(text: string): readonly QueueCounters[] {
  const expected = 'show queue counters';
  return text.trimStart().startsWith('{') ? fromJson(text, expected) : fromText(text, expected);
}

function fromText(text: string, expected: string): readonly QueueCounters[] {
  return readTables(text, expected).flatMap(table => {
    const namespace = namespaceOf(table);
    const queueColumn = ['TxQ', 'Voq'].find(column => table.columns.includes(column));
    const metrics = table.columns.flatMap(column =>
      METRICS[column] === undefined ? [] : [[column, METRICS[column]] as const],
    );
    if (queueColumn === undefined || metrics.length === 0)
      throw new ParseError(`${expected}: a column TxQ or Voq and counters`, table.columns.join('  '));
    return table.rows.map(row => ({
      namespace,
      port: row['Port'] ?? '',
      queue: nameCell(row[queueColumn]),
      counts: Object.fromEntries(metrics.map(([column, metric]) => [metric, countCell(row[column])])),
    }));
  });
}

function fromJson(text: string, expected: string): readonly QueueCounters[] {
  refuseCliError(text, expected);
  const ports = parseJson(text, expected);
  if (!isRecord(ports)) throw new ParseError(expected, text);
  const queueOf = (port: string, queue: string, counts: Readonly<Record<string, unknown>>): QueueCounters => ({
    namespace: '',
    port: escapeDeviceText(port),
    queue: escapeDeviceText(queue),
    counts: Object.fromEntries(
      Object.entries(counts).flatMap(([key, value]) => {
        const metric = METRICS[key];
        return metric === undefined ? [] : [[metric, countCell(String(value))]];
      }),
    ),
  });
  return Object.entries(ports).flatMap(([name, entry]) => {
    // `time` is when counters were last cleared.
    if (name === 'time' || name === 'cached_time') return [];
    if (!isRecord(entry)) throw new ParseError(`${expected}: an object for ${name}`, text);
    const values = Object.entries(entry).filter(([key]) => key !== 'time' && key !== 'cached_time');
    if (values.length > 0 && values.every(([, value]) => !isRecord(value))) return [queueOf('', name, entry)];
    return values.map(([queue, counts]) => {
      if (!isRecord(counts)) throw new ParseError(`${expected}: an object for ${name} ${queue}`, text);
      return queueOf(name, queue, counts);
    });
  });
}

/** `sonic-clear …` and watermark clears say what they did: the ports, or `namespace TABLE`. @throws ParseError when the text says anything else */
export function parseClearReply(text: string): readonly string[] {
  const expected = 'what was cleared';
  refuseCliError(text, expected);
  const cleared: string[] = [];
  let namespace = '';
  for (const line of text.split('\n')) {
    const saved = /^Clear and update saved counters for (\S+)$/.exec(line);
    const channel = /^Channel: (\S+) accessed in namespace: (\S+)$/.exec(line);
    const published = /^Message published to (\S+): +\["(\w+)","(\w+)"\]$/.exec(line);
    if (saved) cleared.push(saved[1] ?? '');
    else if (channel) namespace = channel[2] ?? '';
    else if (published) cleared.push(`${namespace} ${published[2]} ${published[3]}`.trim());
    else if (line.trim() !== '') throw new ParseError(expected, line);
  }
  if (cleared.length === 0) throw new ParseError(expected, text);
  return cleared;
}
