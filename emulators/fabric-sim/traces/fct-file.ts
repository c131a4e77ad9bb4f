import { reject, type Word, whole, wordedLines } from './trace-text.ts';

/**
 * One line of the HPCC family's flow completion times, in the order of its columns (`qp_finish` in third.cc): source and target
 * address, source and target port, bytes, start ns, completion time ns, standalone completion time ns. The time ends when the
 * sender has the last acknowledgement.
 */
export interface FctRow {
  /** Node numbers; the file has addresses 11.0.0.1 + node x 256. */
  readonly source: number;
  readonly target: number;
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly bytes: number;
  readonly startNs: number;
  readonly fctNs: number;
  readonly standaloneNs: number;
}

const FIRST_ADDRESS = 0x0b000001;
const MOST_NODE = 65535;

/** `node_id_to_ip` of third.cc: 11.HIGH.LOW.1. */
export function addressOf(node: number): number {
  return FIRST_ADDRESS + Math.floor(node / 256) * 0x10000 + (node % 256) * 0x100;
}

/**
 * What the family calls the completion time of a flow alone in the network: base RTT + (bytes + packets x 48 B) x 8 / rate of the
 * slowest link. Each packet's header counts without INT.
 */
export function standaloneNs({
  bytes,
  payloadBytes,
  headerBytes,
  baseRttNs,
  rateBps,
}: {
  readonly bytes: number;
  readonly payloadBytes: number;
  readonly headerBytes: number;
  readonly baseRttNs: number;
  readonly rateBps: number;
}): number {
  const packets = Math.floor((bytes - 1) / payloadBytes) + 1;
  return baseRttNs + Math.floor(((bytes + packets * headerBytes) * 8e9) / rateBps);
}

export function writeFct(rows: Iterable<FctRow>): string {
  const lines: string[] = [];
  for (const row of rows) {
    const address = (node: number) => addressOf(node).toString(16).padStart(8, '0');
    lines.push(
      [
        address(row.source),
        address(row.target),
        row.sourcePort,
        row.targetPort,
        row.bytes,
        row.startNs,
        row.fctNs,
        row.standaloneNs,
      ].join(' '),
    );
  }
  return lines.map(line => `${line}\n`).join('');
}

/** @throws TraceFormatError naming file and line */
export function parseFct(text: string, file: string): readonly FctRow[] {
  const rows: FctRow[] = [];
  for (const { words } of wordedLines(text, file)) {
    if (words.length !== 8)
      reject(
        words[0] as Word,
        `${words.length} columns; expected 8: sip dip sport dport size start fct standalone_fct`,
      );
    const number = (column: number, what: string, most = Number.MAX_SAFE_INTEGER) =>
      whole(words[column] as Word, { what, least: 0, most });
    rows.push({
      source: nodeOf(words[0] as Word),
      target: nodeOf(words[1] as Word),
      sourcePort: number(2, 'a port', 65535),
      targetPort: number(3, 'a port', 65535),
      bytes: number(4, 'a size'),
      startNs: number(5, 'a start in ns'),
      fctNs: number(6, 'a completion time in ns'),
      standaloneNs: number(7, 'a standalone completion time in ns'),
    });
  }
  return rows;
}

function nodeOf(word: Word): number {
  const address = /^[0-9a-fA-F]{8}$/.test(word.text) ? Number.parseInt(word.text, 16) : Number.NaN;
  const node = Math.floor((address - FIRST_ADDRESS) / 256);
  if (!(node >= 0 && node <= MOST_NODE) || addressOf(node) !== address)
    return reject(
      word,
      `${JSON.stringify(word.text.slice(0, 40))}; expected an address such as 0b000101, 11.HIGH.LOW.1 of a node`,
    );
  return node;
}

/** Two results of one flow. */
export interface FctPair {
  readonly theirs: FctRow;
  readonly ours: FctRow;
  /** (ours - theirs) / theirs. */
  readonly difference: number;
}

export interface FctComparison {
  readonly pairs: readonly FctPair[];
  /** Flows that one side has and the other has not. */
  readonly onlyTheirs: readonly FctRow[];
  readonly onlyOurs: readonly FctRow[];
}

/**
 * Pairs the flows of two files: by source, target, ports, size and start; for files that number source ports in another way
 * (some forks do) by source, target, size and start, in order.
 */
export function compareFct(theirs: readonly FctRow[], ours: readonly FctRow[]): FctComparison {
  const keyOf = (row: FctRow) => `${row.source} ${row.target} ${row.targetPort} ${row.bytes} ${row.startNs}`;
  const waiting = new Map<string, FctRow[]>();
  for (const row of ours) {
    const same = waiting.get(keyOf(row));
    if (same) same.push(row);
    else waiting.set(keyOf(row), [row]);
  }
  const pairs: FctPair[] = [];
  const onlyTheirs: FctRow[] = [];
  const taken = new Set<FctRow>();
  for (const row of theirs) {
    const same = (waiting.get(keyOf(row)) ?? []).filter(own => !taken.has(own));
    const own = same.find(({ sourcePort }) => sourcePort === row.sourcePort) ?? same[0];
    if (own) {
      taken.add(own);
      pairs.push({ theirs: row, ours: own, difference: (own.fctNs - row.fctNs) / row.fctNs });
    } else onlyTheirs.push(row);
  }
  return { pairs, onlyTheirs, onlyOurs: ours.filter(row => !taken.has(row)) };
}
